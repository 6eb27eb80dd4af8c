"""A CDM in one schema of a Spark cluster, reached over Spark Connect: `sc://user@host:15002?schema=cdm`.

Responsible for: the connection and its secrets, finding tables, the stamp's table. Not responsible for: what is asked of the tables
(`spark`), how the cluster is run.

Nothing is written there but the stamp, by whoever stamps. What is kept for later trees is the session's own, and goes with it.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path

import grpc_status  # noqa: F401 - first: where it is missing, PySpark's own check would end the process
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql.connect.client import DefaultChannelBuilder
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.session import SparkSession

from dure.engines import server
from dure.engines.problems import DatabaseBusy, UnknownEngine
from dure.engines.spark import KNOWN, SETTINGS, explained, quiet, quoted

OPTIONS = frozenset({"schema", "tls", "tokenfile"})
HERE = ("localhost", "127.0.0.1", "::1")
PORT = 15002
RETRIES = 4
"""About ten seconds; what is still broken then is told."""


class Schema:
    """See `engines.spark.Source`. Made by `opened_schema`."""

    def __init__(self, session: SparkSession, at: server.Address) -> None:
        self.session = session
        self.shown = at.shown
        self._schema = ".".join(map(quoted, at.option("schema", "default").split(".")))
        self._there = self._looked()

    @property
    def names(self) -> list[str]:
        return sorted(KNOWN & self._there.keys())

    def table(self, name: str) -> DataFrame:
        return self.session.table(f"{self._schema}.{quoted(self._there[name])}")

    def witness(self) -> str:
        """The tables' columns, numbers of rows, files, and when the last of them was written (of a view or a foreign table, what
        there is of these)."""
        self._there = self._looked()
        frames = {name: self.table(name) for name in self.names}
        facts: list[Sequence[object]] = [
            (name, frame.dtypes, sorted(frame.inputFiles())) for name, frame in frames.items()
        ]
        if frames:
            counts = reduce(_together, [_counted(*each) for each in frames.items()])
            facts += [tuple(row.values()) for row in counts.toArrow().to_pylist()]
        return server.condensed(facts)

    def stamps(self) -> Sequence[Sequence[object]]:
        if server.STAMP not in self._there:
            return []
        try:
            rows = self.table(server.STAMP).select(*server.STAMP_COLUMNS).toArrow().to_pylist()
        except AnalysisException:  # other columns
            return []
        return [tuple(row.values()) for row in rows]

    def write(self, told: Mapping[str, object]) -> None:
        types = {"persons": "BIGINT", "first_date": "DATE", "last_date": "DATE"}
        columns = ", ".join(f"CAST(:{name} AS {types.get(name, 'STRING')}) AS {name}" for name in told)
        stamp = self.session.sql(f"SELECT {columns}", args=dict(told))
        stamp.write.mode("overwrite").saveAsTable(f"{self._schema}.{server.STAMP}")

    def close(self) -> None:
        self.session.stop()

    def _looked(self) -> dict[str, str]:
        """Names of tables there, by lower-case names."""
        try:
            shown = self.session.sql(f"SHOW TABLES IN {self._schema}").toArrow().to_pylist()
        except AnalysisException:  # no such schema
            return {}
        return {row["tableName"].lower(): row["tableName"] for row in shown if not row["isTemporary"]}


def opened_schema(location: str) -> Schema:
    """The schema that a location names.

    Raises:
        UnknownEngine: the location can't be read, its secrets aren't kept, or they would cross a network in the open.
        DatabaseUnreachable: no server, or it lets this user in not.
        DatabaseBusy: this process has a session of Spark Connect already.
    """
    at = server.address(location, options=OPTIONS)
    channel = _channel(at)
    quiet()
    with explained():
        session = SparkSession.builder.channelBuilder(channel).create()
        try:
            # What a session keeps is handed out through the process's active session, so that must be this one.
            if SparkSession.active() is not session:
                raise DatabaseBusy(
                    "This program holds a session of Spark Connect already",
                    where=at.shown,
                    mend="Close it first: one program has one such session.",
                )
            session.client.set_retry_policies([])  # a server that isn't there is told at once
            for name, value in SETTINGS.items():
                if session.conf.get(name) != value:  # a cluster may let nobody set what is right already
                    session.conf.set(name, value)
            session.client.set_retry_policies([DefaultPolicy(max_retries=RETRIES)])
            return Schema(session, at)
        except BaseException:
            session.release_session_on_close = False  # there may be nobody to tell
            session.stop()
            raise


def _channel(at: server.Address) -> DefaultChannelBuilder:
    here = at.host in HERE
    tls = at.option("tls", "off" if here else "on")
    if not at.host or at.path not in {"", "/"} or tls not in {"on", "off"}:
        raise UnknownEngine(
            "The location names no Spark server",
            where=at.shown,
            mend="Write sc://user@host:15002?schema=cdm; tls is on or off.",
        )
    # To this machine a token may go without encryption, which gRPC believes of this name only.
    host = "localhost" if here else f"[{at.host}]" if ":" in at.host else at.host
    channel = DefaultChannelBuilder(f"sc://{host}:{at.port or PORT}/;use_ssl={str(tls == 'on').lower()}")
    if at.user:
        channel.set("user_id", at.user)
    if file := at.option("tokenfile", ""):
        channel.set("token", _token(Path(file), at.shown))
    if channel.token is not None and tls == "off" and not here:
        raise UnknownEngine(
            "The token would cross the network in the open",
            where=at.shown,
            mend="Leave tls=off out, and let the server or a proxy before it speak TLS.",
        )
    return channel


def _token(file: Path, shown: str) -> str:
    try:
        if file.stat().st_mode & 0o077:
            raise UnknownEngine(
                "Others than its owner may read the token's file",
                where=str(file),
                mend=f"Make it the node's alone: chmod 600 {file}",
            )
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnknownEngine(
            f"The token's file can't be read: {type(error).__name__}",
            where=shown,
            mend="Name in tokenfile= a file that holds the token and nothing else.",
        ) from None
    return token


def _counted(name: str, frame: DataFrame) -> DataFrame:
    """One row: a table's name, number of rows, and when the last of its files was written, if it is made of files."""
    told = frame.selectExpr(
        f"'{name}' AS name", "count(*) AS rows", "CAST(max(_metadata.file_modification_time) AS STRING) AS at"
    )
    try:
        told.schema  # noqa: B018 - asks the server whether it can be said
    except AnalysisException:
        return frame.selectExpr(f"'{name}' AS name", "count(*) AS rows", "CAST(NULL AS STRING) AS at")
    return told


def _together(one: DataFrame, other: DataFrame) -> DataFrame:
    return one.unionAll(other)
