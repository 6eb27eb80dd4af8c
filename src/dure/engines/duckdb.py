"""The DuckDB engine: a CDM file, opened so that a query can read its tables and do nothing else.

Responsible for: locking the connection (read-only, no files, no network, no extensions, no Python objects, no settings),
running trees that pass `engines.allowed`, spilling into a private folder that goes when the engine closes.
Not responsible for: making the file (`engines.cdm_file`), or limiting a process as a whole (the node does).

What the lock leaves open to a statement that gets past the list: the file itself, and the spill folder, which DuckDB
always lets itself read and write. Both hold what a query could read anyway, and the folder dies with the engine.
"""

import shutil
import struct
import tempfile
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa
from sqlglot import exp

from dure.engines.allowed import NAME, judge, refusal
from dure.engines.base import Written
from dure.engines.dataset import SCHEMA, TABLE, Dataset
from dure.engines.problems import (
    DatabaseBusy,
    DatabaseMissing,
    DatabaseUnreadable,
    DiskFull,
    NotACdm,
    QueryCancelled,
    QueryFailed,
    StorageVersion,
)
from dure.omop.tables import NECESSARY, VERSIONS, ColumnType, readable

MAGIC = b"DUCK"
OLDEST_STORAGE = 64
LOCKS = (
    "SET enable_progress_bar = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
"""In this order: the last one makes the others final. Given at connect time their order isn't kept."""

warnings.filterwarnings("ignore", message="Arrow output on a DB-API result", category=UserWarning)
"""The advice is to plan each query twice, which costs more than the copy it saves."""

_TYPES = {
    "BIGINT": ColumnType.INTEGER,
    "INTEGER": ColumnType.INTEGER,
    "SMALLINT": ColumnType.INTEGER,
    "TINYINT": ColumnType.INTEGER,
    "HUGEINT": ColumnType.INTEGER,
    "UBIGINT": ColumnType.INTEGER,
    "BOOLEAN": ColumnType.INTEGER,
    "DOUBLE": ColumnType.FLOAT,
    "FLOAT": ColumnType.FLOAT,
    "DATE": ColumnType.DATE,
    "TIMESTAMP": ColumnType.DATETIME,
    "VARCHAR": ColumnType.TEXT,
}


class DuckDBEngine:
    """See `engines.base.Engine`. Made by `open_file`."""

    name = "duckdb"

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        dataset: Dataset,
        spill: Path,
        opened: "tuple[Path, tuple[int, ...]] | None" = None,
    ) -> None:
        self.dataset = dataset
        self._opened = opened
        self._connection = connection
        self._parser = connection.cursor()
        self._spill = spill
        known = readable(dataset.cdm_version)
        self._model = {name: found for name, found in _model_columns(connection).items() if name in known}
        self._temporary: dict[str, dict[str, ColumnType]] = {}

    def unchanged(self) -> bool:
        return self._opened is None or _file(self._opened[0]) == self._opened[1]

    def has(self, table: str) -> bool:
        return table in self._temporary or table in self._model

    def columns(self, table: str) -> Mapping[str, ColumnType]:
        found = self._temporary.get(table) or self._model.get(table)
        if found is None:
            raise refusal(f"there is no table '{table}'", "Ask `has` first, or make it with `temporary`.")
        return found

    def query(self, tree: exp.Query) -> pa.Table:
        asked = self._one(self._text(tree, ()), duckdb.StatementType.SELECT)
        with _explained(self._spill):
            return _narrow(self._run(asked).to_arrow_table())

    def temporary(self, name: str, tree: exp.Query) -> None:
        self.temporary_written(self.written(name, tree))

    def written(self, name: str, tree: exp.Query, *, coming: Collection[str] = ()) -> Written:
        self._check_name(name)
        return self._making(name, self._text(tree, coming))

    def temporary_written(self, written: Written) -> None:
        self._run(written.statement)
        self._temporary.pop(written.name, None)
        described = self._run(f'SELECT * FROM "{written.name}" LIMIT 0').description  # noqa: S608 - a plain name
        self._temporary[written.name] = {str(column[0]): _type(str(column[1])) for column in described}

    def temporary_numbers(self, name: str, columns: Mapping[str, Sequence[int]]) -> None:
        for each in (name, *columns):
            self._check_name(each)
        numbers = pa.table({key: pa.array(values, pa.int64()) for key, values in columns.items()})
        arriving = f"{name}_arriving"
        self._connection.register(arriving, numbers)
        try:
            self.temporary_written(self._making(name, f'SELECT * FROM "{arriving}"'))  # noqa: S608 - a plain name
        finally:
            self._connection.unregister(arriving)

    def interrupt(self) -> None:
        self._connection.interrupt()

    def _check_name(self, name: str) -> None:
        if not NAME.fullmatch(name) or name in self._model:
            raise refusal(f"'{name}' can't name what is kept", "Choose a plain name the model doesn't have.")

    def drop(self, name: str) -> None:
        if name in self._temporary:
            self._run(f'DROP TABLE IF EXISTS temp."{name}"')
            del self._temporary[name]

    def close(self) -> None:
        self._parser.close()
        self._connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _text(self, tree: exp.Query, coming: Collection[str]) -> str:
        judge(tree, lambda name: name in coming or self.has(name))
        return tree.sql(dialect="duckdb", identify=True, comments=False, copy=False)

    def _making(self, name: str, text: str) -> Written:
        making = f'CREATE OR REPLACE TEMPORARY TABLE "{name}" AS {text}'
        return Written(name=name, statement=self._one(making, duckdb.StatementType.CREATE))

    def _one(self, text: str, kind: duckdb.StatementType) -> duckdb.Statement:
        """The text as one parsed statement of a kind: a text that became two, or something else, is never run."""
        with _explained(self._spill):
            statements = self._parser.extract_statements(text)
        if len(statements) != 1 or statements[0].type != kind:
            raise refusal("it isn't one SELECT to DuckDB", "Ask one question at a time.")
        return statements[0]

    def _run(self, statement: object) -> duckdb.DuckDBPyConnection:
        with _explained(self._spill):
            return self._connection.execute(statement)


@contextmanager
def _explained(spill: Path) -> Iterator[None]:
    """Turns DuckDB's errors into ours. Its own message can quote a value of a row, so only its kind is told."""
    try:
        yield
    except RuntimeError as error:
        # DuckDB looks at signals while it works, and says so of Ctrl-C in its own way.
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise
    except duckdb.InterruptException:
        raise QueryCancelled(
            "The query was stopped before it was done",
            where="the DuckDB engine",
            mend="Ask again if the answer is still wanted.",
        ) from None
    except duckdb.OutOfMemoryException:
        raise QueryFailed(
            "The query needs more memory or spill room than the engine was given",
            where="the DuckDB engine",
            mend="Give it more memory, free room on the disk, or ask over fewer people.",
        ) from None
    except (duckdb.IOException, duckdb.FatalException):
        raise DiskFull(
            "DuckDB couldn't read the database or write what it spills",
            where=str(spill),
            mend="Check that the disk has room and the file is still there, then ask again.",
        ) from None
    except pa.ArrowInvalid:
        raise QueryFailed(
            "A sum is beyond 64 bits",
            where="the DuckDB engine",
            mend="Sum fewer rows, or a column of smaller numbers.",
        ) from None
    except duckdb.Error as error:
        raise QueryFailed(
            f"DuckDB can't run the query: {type(error).__name__}",
            where="the DuckDB engine",
            mend="Check the columns and types that the study names against the CDM version.",
        ) from None


def open_file(location: str | Path, *, memory: str = "2GB", threads: int | None = None) -> DuckDBEngine:
    """Open a stamped CDM file to be read.

    Args:
        location: the file's path; `duckdb:` before it is allowed.
        memory: the most memory to take, such as "2GB"; beyond it DuckDB spills.
        threads: cores to take; None means all.

    Raises:
        DatabaseMissing, DatabaseUnreadable, StorageVersion, DatabaseBusy: it can't be opened.
        NotACdm: it can, and isn't a CDM that `dure cdm load` or `dure synth` has made.
    """
    path = Path(str(location).removeprefix("duckdb:"))
    if not path.is_file():
        raise DatabaseMissing(
            f"{path} isn't a file",
            where=str(path),
            mend="Check the path, or make the file with `dure cdm load`.",
        )
    opened = (path, _file(path))
    _check_header(path)
    spill = Path(tempfile.mkdtemp(prefix="dure-spill-"))
    try:
        connection = _connect(path, spill, memory, threads)
        try:
            return DuckDBEngine(connection, _dataset(connection, path), spill, opened)
        except BaseException:
            connection.close()
            raise
    except BaseException:
        shutil.rmtree(spill, ignore_errors=True)
        raise


def _connect(path: Path, spill: Path, memory: str, threads: int | None) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | int] = {"temp_directory": str(spill), "memory_limit": memory}
    if threads is not None:
        config["threads"] = threads
    try:
        connection = duckdb.connect(str(path), read_only=True, config=config)
        for setting in LOCKS:
            connection.execute(setting)
        return connection
    except duckdb.Error as error:
        if "set lock on file" in str(error) or isinstance(error, duckdb.ConnectionException):
            raise DatabaseBusy(
                f"{path.name} is open elsewhere",
                where=str(path),
                mend="Wait until the other program (a load, perhaps) is done, or stop it.",
            ) from error
        raise DatabaseUnreadable(
            f"DuckDB {duckdb.__version__} can't open {path.name}: it is damaged or unfinished",
            where=str(path),
            mend="Restore it from a copy, or make it again with `dure cdm load`.",
        ) from error


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(20)
    if header[8:12] != MAGIC or len(header) < 20:
        raise DatabaseUnreadable(
            f"{path.name} isn't a DuckDB database",
            where=str(path),
            mend="Give the file that `dure cdm load` wrote; CSV and Parquet files go through it first.",
        )
    (version,) = struct.unpack("<Q", header[12:20])
    if version < OLDEST_STORAGE:
        raise StorageVersion(
            f"{path.name} has DuckDB storage version {version}; DuckDB {duckdb.__version__} reads {OLDEST_STORAGE} and later",
            where=str(path),
            mend="Open it with the DuckDB that wrote it, EXPORT DATABASE to Parquet, and load that with `dure cdm load`.",
        )


def _file(path: Path) -> tuple[int, ...]:
    """Which file has the name now; nothing where none has."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _dataset(connection: duckdb.DuckDBPyConnection, path: Path) -> Dataset:
    model = _model_columns(connection)
    missing = sorted(NECESSARY - model.keys())
    if missing:
        raise NotACdm(
            f"{path.name} has no table {', '.join(missing)} in schema main",
            where=str(path),
            mend="Give a database made by `dure cdm load`.",
        )
    try:
        row = connection.execute(
            f"SELECT version, cdm_version, source, persons, first_date, last_date FROM {SCHEMA}.{TABLE}"  # noqa: S608
        ).fetchone()
    except duckdb.Error:
        row = None
    if row is None or row[1] not in VERSIONS:
        raise NotACdm(
            f"{path.name} carries no stamp of a version that Dure knows",
            where=f"{path}: table {SCHEMA}.{TABLE}",
            mend="Load it again with `dure cdm load`.",
        )
    version, cdm_version, source, persons, first_date, last_date = row
    return Dataset(
        version=version,
        cdm_version=cdm_version,
        source=source,
        persons=persons,
        first_date=first_date,
        last_date=last_date,
    )


def _model_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, ColumnType]]:
    rows = connection.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE schema_name = 'main' AND NOT internal AND database_name = current_database() "
        "ORDER BY table_name, column_index"
    ).fetchall()
    found: dict[str, dict[str, ColumnType]] = {}
    for table, column, type_ in rows:
        if type_ in _TYPES:
            found.setdefault(table, {})[column] = _TYPES[type_]
    return found


def _type(name: str) -> ColumnType:
    if name.startswith("DECIMAL"):
        return ColumnType.FLOAT
    if name not in _TYPES:
        raise refusal(f"a column of type {name} isn't one of the model's", "Cast it in the query.")
    return _TYPES[name]


def _narrow(table: pa.Table) -> pa.Table:
    """DuckDB's sums of integers and its literals with a point come as decimals; the engine's promise is int64, float64.

    A sum beyond 64 bits is an error of pyarrow's, never a wrong number.
    """
    for index, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            narrow = pa.int64() if field.type.scale == 0 else pa.float64()
            table = table.set_column(index, field.name, table.column(index).cast(narrow))
        elif pa.types.is_integer(field.type) and field.type != pa.int64():
            table = table.set_column(index, field.name, table.column(index).cast(pa.int64()))
    return table
