"""The Spark engine: a CDM's tables in a Spark session, read as the model has them.

Responsible for: reading tables with the model's types, running judged trees, temporary tables, telling errors. Not responsible for:
where the session and its tables come from (`spark_folder`: this machine's own Java; `spark_connect`: a cluster), how trees are
said (`spark_sql`), making or stamping the CDM.

What a statement that gets past the list could do: read what the session may read. Spark isn't locked as DuckDB is, so a node
doesn't use this engine (see `docs/engines.md`).

Sessions here and on a cluster have different classes with the same methods. PySpark's functions choose one kind for a whole
process, so expressions are written as text.
"""

import logging
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol, Self

import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from sqlglot import exp

from dure.engines import server
from dure.engines.allowed import NAME, judge, refusal
from dure.engines.dataset import Dataset
from dure.engines.problems import DatabaseUnreachable, QueryFailed
from dure.engines.spark_sql import DIALECT, said
from dure.omop.tables import VERSIONS, ColumnType, column_type, readable

WHERE = "the Spark engine"
KNOWN = frozenset[str]().union(*map(readable, VERSIONS))
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.runSQLOnFiles": "false",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
}
"""Of a session, on which the meaning of trees depends."""
_UNREACHABLE = {"UNAVAILABLE", "UNAUTHENTICATED", "PERMISSION_DENIED", "DEADLINE_EXCEEDED"}
_NAMES = {
    ColumnType.INTEGER: "bigint",
    ColumnType.FLOAT: "double",
    ColumnType.DATE: "date",
    ColumnType.DATETIME: "timestamp_ntz",
    ColumnType.TEXT: "string",
}
_TYPES = {name: type_ for type_, name in _NAMES.items()} | {
    **dict.fromkeys(("tinyint", "smallint", "int", "boolean"), ColumnType.INTEGER),
    "float": ColumnType.FLOAT,
    "timestamp": ColumnType.DATETIME,
}
_ARROW = {pa.int8(): pa.int64(), pa.int16(): pa.int64(), pa.int32(): pa.int64(), pa.float32(): pa.float64()}


class Source(Protocol):
    """Where a CDM's tables are, and the session that reads them."""

    @property
    def shown(self) -> str:
        """Fit for a message."""
        ...

    @property
    def session(self) -> SparkSession: ...

    @property
    def names(self) -> Collection[str]:
        """Those of `KNOWN` that are there."""
        ...

    def table(self, name: str) -> DataFrame:
        """One of `names`, as it is there."""
        ...

    def witness(self) -> str:
        """A sign of the state of the tables as they are now (see `engines.server`); `names` are looked up anew."""
        ...

    def stamps(self) -> Sequence[Sequence[object]]:
        """The rows of the stamp, columns as `server.STAMP_COLUMNS`; none where there is no stamp."""
        ...

    def write(self, told: Mapping[str, object]) -> None:
        """Put this stamp in the place of any other."""
        ...

    def close(self) -> None: ...


def stamped(source: Source) -> Dataset:
    """What the stamp at a source says. Raises as `engines.server.dataset`."""
    witness = source.witness()
    return server.dataset(source.stamps(), tables=source.names, witness=witness, where=source.shown)


def opened(source: Source) -> "SparkEngine":
    """The engine over a stamped source, which is closed where that fails."""
    try:
        with explained():
            return SparkEngine(source, stamped(source))
    except BaseException:
        source.close()
        raise


class SparkEngine:
    """See `engines.base.Engine`. Made by `opened`."""

    name = DIALECT

    def __init__(self, source: Source, dataset: Dataset) -> None:
        self.dataset = dataset
        self._source = source
        self._session = source.session
        self._names = frozenset(source.names) & readable(dataset.cdm_version)
        self._model: dict[str, dict[str, ColumnType]] = {}
        self._temporary: dict[str, tuple[str, DataFrame]] = {}
        self._made = 0

    def unchanged(self) -> bool:
        with explained():
            return stamped(self._source) == self.dataset

    def has(self, table: str) -> bool:
        return table in self._temporary or table in self._names

    def columns(self, table: str) -> Mapping[str, ColumnType]:
        if table in self._temporary:
            with explained():
                return _columns(self._temporary[table][1])
        if table not in self._names:
            raise refusal(f"there is no table '{table}'", "Ask `has` first, or make it with `temporary`.")
        if table not in self._model:
            with explained():
                frame = as_the_model(self._source.table(table), table, self.dataset.cdm_version)
                frame.createOrReplaceTempView(table)
                self._model[table] = _columns(frame)
        return self._model[table]

    def query(self, tree: exp.Query) -> pa.Table:
        with explained():
            return _narrow(self._asked(tree).toArrow())

    def temporary(self, name: str, tree: exp.Query) -> None:
        if not NAME.fullmatch(name) or name in self._names:
            raise refusal(
                f"'{name}' can't name a temporary table", "Choose a plain name the model doesn't have."
            )
        with explained():
            asked = self._asked(tree)
            _columns(asked)
            # Rows, not a plan: a plan that is read twice by a plan that is read twice would be planned four times, and so on.
            frame = asked.localCheckpoint(eager=True)
            self._made += 1
            written = f"dure_{self._made}"
            frame.createOrReplaceTempView(written)
        self.drop(name)
        self._temporary[name] = (written, frame)

    def drop(self, name: str) -> None:
        if name in self._temporary:
            written, _ = self._temporary.pop(name)  # Spark frees the rows when nothing refers to them
            with explained():
                self._session.catalog.dropTempView(written)

    def close(self) -> None:
        self._temporary.clear()
        with suppress(Py4JError, PySparkException):
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _asked(self, tree: exp.Query) -> DataFrame:
        judge(tree, self.has)
        return self._session.sql(said(tree, self._written))

    def _written(self, name: str) -> str:
        if name in self._temporary:
            return self._temporary[name][0]
        self.columns(name)
        return name


def as_the_model(frame: DataFrame, name: str, version: str) -> DataFrame:
    """A table with the model's types; columns that can't have them are left out."""
    chosen = []
    for column, there in frame.dtypes:
        type_ = column_type(name, column.lower(), version) or _TYPES.get(there)
        plain = there.partition("(")[0]
        if type_ is not None and (plain in _TYPES or plain in {"decimal", "char", "varchar"}):
            value = quoted(column)
            cast = value if there == _NAMES[type_] else f"CAST({value} AS {_NAMES[type_]})"
            chosen.append(f"{cast} AS {quoted(column.lower())}")
    return frame.selectExpr(*chosen)


def quoted(name: str) -> str:
    """A name as it stands in Spark's SQL, whatever is in it."""
    return "`{}`".format(name.replace("`", "``"))


def quiet() -> None:
    """Nothing is logged of queries that fail: PySpark's log quotes rows."""
    logging.getLogger("SQLQueryContextLogger").disabled = True


def _columns(frame: DataFrame) -> dict[str, ColumnType]:
    found = {}
    for name, there in frame.dtypes:
        if there not in _TYPES:
            raise refusal(f"the column {name} isn't of one of the model's types", "Cast it in the query.")
        found[name] = _TYPES[there]
    return found


def _narrow(table: pa.Table) -> pa.Table:
    fields = [
        pa.field(
            field.name,
            pa.string() if pa.types.is_large_string(field.type) else _ARROW.get(field.type, field.type),
        )
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


@contextmanager
def explained() -> Iterator[None]:
    """Turns Spark's errors into ours. Its own message can quote a value of a row, so only its kind is told."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"\[RETRIES_EXCEEDED\]")  # what it gave up on is told below
            yield
    except PySparkException as error:
        if _status(error) in _UNREACHABLE:
            raise DatabaseUnreachable(
                f"The Spark server can't be reached, or lets nobody in: {_status(error)}",
                where=WHERE,
                mend="Check that it runs, the host and port, tls and the token's file in the location, then ask again.",
            ) from None
        raise QueryFailed(
            f"Spark can't run the query: {_condition(error)}",
            where=WHERE,
            mend="Check the columns and types that the study names against the CDM version; a sum may be beyond 64 bits.",
        ) from None
    except Py4JError as error:
        raise QueryFailed(
            f"Spark failed: {type(error).__name__}",
            where=WHERE,
            mend="Give it more memory, or see whether its process still runs.",
        ) from None


def _status(error: Any) -> str | None:
    """What a server's transport says; None of errors that aren't of a server."""
    tell = getattr(error, "getGrpcStatusCode", None)
    return None if tell is None else str(tell().name)


def _condition(error: Any) -> str:
    """The name of what went wrong, such as ARITHMETIC_OVERFLOW."""
    name = error.getCondition() or type(error).__name__
    return name if NAME.fullmatch(name.replace(".", "_").lower()) else type(error).__name__
