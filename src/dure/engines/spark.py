"""The Spark engine: a CDM as Parquet files in one folder, read by Spark in this machine's own Java.

Responsible for: starting Spark without a web page, a log or a catalogue of its own, reading files as the model has them, running
judged trees, temporary tables. Not responsible for: how trees are said (`spark_sql`), making or stamping the CDM.

What a statement that gets past the list could do: read what this process may read. Spark isn't locked as DuckDB is, so a node
doesn't use this engine (see `docs/engines.md`).
"""

import atexit
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from sqlglot import exp

from dure.engines import server
from dure.engines.allowed import NAME, judge, refusal
from dure.engines.dataset import Dataset
from dure.engines.problems import DatabaseMissing, QueryFailed, SparkMissing
from dure.engines.spark_sql import DIALECT, said
from dure.omop.tables import VERSIONS, ColumnType, tables

WHERE = "the Spark engine"
OPTIONS = frozenset({"path"})
_KNOWN = sorted({name for version in VERSIONS for name in tables(version)})
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


class SparkEngine:
    """See `engines.base.Engine`. Made by `open_folder`."""

    name = DIALECT

    def __init__(self, session: SparkSession, folder: Path, dataset: Dataset) -> None:
        self.dataset = dataset
        self._session = session
        self._folder = folder
        self._model: dict[str, dict[str, ColumnType]] = {}
        for name in found_in(folder):
            frame = as_the_model(session, folder, name, dataset.cdm_version)
            frame.createOrReplaceTempView(name)
            self._model[name] = _columns(frame)
        self._temporary: dict[str, tuple[str, DataFrame]] = {}
        self._made = 0

    def unchanged(self) -> bool:
        return stamped(self._folder) == self.dataset

    def has(self, table: str) -> bool:
        return table in self._temporary or table in self._model

    def columns(self, table: str) -> Mapping[str, ColumnType]:
        if table in self._temporary:
            return _columns(self._temporary[table][1])
        if table not in self._model:
            raise refusal(f"there is no table '{table}'", "Ask `has` first, or make it with `temporary`.")
        return self._model[table]

    def query(self, tree: exp.Query) -> pa.Table:
        with explained():
            return _narrow(self._asked(tree).toArrow())

    def temporary(self, name: str, tree: exp.Query) -> None:
        if not NAME.fullmatch(name) or name in self._model:
            raise refusal(
                f"'{name}' can't name a temporary table", "Choose a plain name the model doesn't have."
            )
        with explained():
            frame = self._asked(tree).persist()
            _columns(frame)
            self._made += 1
            written = f"dure_{self._made}"
            frame.createOrReplaceTempView(written)
        self.drop(name)
        self._temporary[name] = (written, frame)

    def drop(self, name: str) -> None:
        written, frame = self._temporary.pop(name, (None, None))
        if written is not None and frame is not None:
            with explained():
                # What was made of it and is kept still has its rows: Spark keeps them with their origin, and asks again.
                self._session.catalog.dropTempView(written)
                frame.unpersist()

    def close(self) -> None:
        for name in list(self._temporary):
            self.drop(name)
        for name in self._model:
            with suppress(Py4JError, PySparkException):
                self._session.catalog.dropTempView(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _asked(self, tree: exp.Query) -> DataFrame:
        judge(tree, self.has)
        return self._session.sql(said(tree, lambda name: self._temporary.get(name, (name, None))[0]))


def open_folder(location: str, *, memory: str = "2GB", threads: int | None = None) -> SparkEngine:
    """Open a stamped CDM in a folder of Parquet files: `spark:local?path=/data/cdm`.

    A table is a file `person.parquet` or a folder `person` of such files.

    Args:
        memory: of Java's heap; what doesn't fit is spilled. It is that of the first engine that a process opens.
        threads: cores to take; None means all. Also the first one's.

    Raises:
        UnknownEngine: the location can't be read. DatabaseMissing: there is no such folder.
        SparkMissing: Java or Spark can't be started. NotACdm, StampStale: see `engines.server.dataset`.
    """
    folder = folder_of(location)
    dataset = stamped(folder)
    return SparkEngine(session(memory=memory, threads=threads), folder, dataset)


def folder_of(location: str) -> Path:
    """The folder that a location names."""
    at = server.address(location, options=OPTIONS)
    folder = Path(at.option("path", ""))
    if at.path != "local" or not at.option("path", "") or not folder.is_dir():
        raise DatabaseMissing(
            "The location names no folder",
            where=at.shown,
            mend="Write spark:local?path=/folder/of/the/cdm, with a Parquet file or folder for each table.",
        )
    return folder


def session(*, memory: str, threads: int | None) -> SparkSession:
    """A session of its own in this process's Spark, which is started by the first."""
    cores = "*" if threads is None else str(threads)
    spill = Path(tempfile.mkdtemp(prefix="dure-spark-")) if SparkSession.getActiveSession() is None else None
    if spill is not None:
        atexit.register(shutil.rmtree, spill, ignore_errors=True)
    settings = {
        "spark.driver.memory": memory.upper().rstrip("IB").lower(),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.runSQLOnFiles": "false",
        "spark.sql.parser.escapedStringLiterals": "false",
        "spark.sql.shuffle.partitions": str(threads or 4),
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
        **({} if spill is None else {"spark.local.dir": str(spill), "spark.sql.warehouse.dir": str(spill)}),
    }
    builder = SparkSession.Builder().master(f"local[{cores}]").appName("dure")
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        found = builder.getOrCreate()
    except (PySparkException, OSError) as error:
        raise SparkMissing(
            f"Spark can't be started: {type(error).__name__}",
            where=WHERE,
            mend="Install Java 17 or later (Debian: default-jre-headless) and set JAVA_HOME if it isn't in PATH.",
        ) from None
    found.sparkContext.setLogLevel("OFF")  # its log quotes rows, and so does PySpark's own
    logging.getLogger("SQLQueryContextLogger").disabled = True
    return found.newSession()


def found_in(folder: Path) -> list[str]:
    """The model's tables in a folder."""
    return [name for name in _KNOWN if (folder / name).is_dir() or (folder / f"{name}.parquet").is_file()]


def as_the_model(session: SparkSession, folder: Path, name: str, version: str) -> DataFrame:
    """A table with the model's types; columns that can't have them are left out."""
    path = folder / name if (folder / name).is_dir() else folder / f"{name}.parquet"
    frame = session.read.parquet(str(path))
    model = tables(version).get(name)
    chosen = []
    for column, there in frame.dtypes:
        known = model.column(column.lower()) if model else None
        type_ = known.type if known else _TYPES.get(there)
        plain = there.partition("(")[0]
        if type_ is not None and (plain in _TYPES or plain in {"decimal", "char", "varchar"}):
            value = f.col(f"`{column}`")
            cast = value if there == _NAMES[type_] else value.cast(_NAMES[type_])
            chosen.append(cast.alias(column.lower()))
    return frame.select(chosen)


def stamped(folder: Path) -> Dataset:
    """What the stamp in a folder says. Raises as `engines.server.dataset`."""
    file = folder / f"{server.STAMP}.parquet"
    rows = []
    if file.is_file():
        with suppress(pa.ArrowInvalid, KeyError):
            rows = [
                tuple(row[name] for name in server.STAMP_COLUMNS) for row in pq.read_table(file).to_pylist()
            ]
    return server.dataset(rows, tables=found_in(folder), witness=witness(folder), where=str(folder))


def witness(folder: Path) -> str:
    """A sign of the state of the folder's tables: names, sizes and times of their files."""
    facts = []
    for name in found_in(folder):
        path = folder / name if (folder / name).is_dir() else folder / f"{name}.parquet"
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            state = file.stat()
            if file.is_file():
                facts.append((str(file.relative_to(folder)), state.st_size, state.st_mtime_ns))
    return server.condensed(facts)


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
        yield
    except PySparkException as error:
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


def _condition(error: Any) -> str:
    """The name of what went wrong, such as ARITHMETIC_OVERFLOW."""
    name = error.getCondition() or type(error).__name__
    return name if NAME.fullmatch(name.replace(".", "_").lower()) else type(error).__name__
