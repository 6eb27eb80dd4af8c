"""The PostgreSQL engine: a CDM in one schema of a server, through one connection that can only read it.

Responsible for: opening it as a role that may write nothing, running judged trees, temporary tables where the role may have them
(elsewhere their queries stand in for them). Not responsible for: how trees are said (`postgres_sql`), which tables there are
(`postgres_catalogue`), making or stamping the CDM.

What a statement that gets past the list could do: read what the role may read. Transactions are read-only, but for those that make
and drop a temporary table.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Self

import psycopg
import pyarrow as pa
from psycopg import errors
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus
from pyarrow import csv
from sqlglot import exp

from dure.engines import server
from dure.engines.allowed import NAME, judge, refusal
from dure.engines.dataset import Dataset
from dure.engines.postgres_catalogue import catalogue, witness
from dure.engines.postgres_sql import DIALECT, rewritten, text
from dure.engines.problems import (
    DatabaseBusy,
    DatabaseUnreachable,
    DiskFull,
    QueryFailed,
    RoleCanWrite,
    UnknownEngine,
)
from dure.omop.tables import NECESSARY, ColumnType, readable

WHERE = "the PostgreSQL engine"
PATIENCE_MINUTES = 60
CONNECTION_OPTIONS = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey", "passfile", "connect_timeout"})
OPTIONS = frozenset({"schema", "minutes"}) | CONNECTION_OPTIONS
TEMP = "pg_temp"

_TYPES = {
    **dict.fromkeys((20, 21, 23, 1700), ColumnType.INTEGER),
    16: ColumnType.INTEGER,
    **dict.fromkeys((700, 701), ColumnType.FLOAT),
    1082: ColumnType.DATE,
    1114: ColumnType.DATETIME,
    **dict.fromkeys((19, 25, 705, 1042, 1043), ColumnType.TEXT),
}
"""By the server's number of a type. A decimal (1700) is a sum of integers: all else that could be one is cast."""
_BOOLEAN, _DECIMAL = 16, 1700
_ARROW = {
    ColumnType.INTEGER: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.DATE: pa.int32(),
    ColumnType.DATETIME: pa.int64(),
    ColumnType.TEXT: pa.string(),
}


@dataclass(frozen=True, kw_only=True)
class _Column:
    """One column of a result: the server's number of its type."""

    name: str
    oid: int

    @property
    def type(self) -> ColumnType:
        if self.oid not in _TYPES:
            raise refusal(
                f"the column {self.name} isn't of one of the model's types", "Cast it in the query."
            )
        return _TYPES[self.oid]


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """A temporary table; without the right to make one, the query that stands in for it, and those that it needs before it."""

    columns: dict[str, ColumnType]
    written: str
    query: exp.Query | None = None
    needs: tuple["_Kept", ...] = ()


class PostgresEngine:
    """See `engines.base.Engine`. Made by `open_server`."""

    name = DIALECT

    def __init__(
        self, connection: psycopg.Connection, *, at: server.Address, dataset: Dataset, may_keep: bool
    ) -> None:
        self.dataset = dataset
        self._connection = connection
        self._at = at
        self._may_keep = may_keep
        self._relations = catalogue(connection, schema_of(at))
        version = dataset.cdm_version
        known = readable(version)
        self._model = {
            name: relation.types(version) for name, relation in self._relations.items() if name in known
        }
        self._temporary: dict[str, _Kept] = {}
        self._made = 0

    def has(self, table: str) -> bool:
        return table in self._temporary or table in self._model

    def columns(self, table: str) -> Mapping[str, ColumnType]:
        kept = self._temporary.get(table)
        found = kept.columns if kept else self._model.get(table)
        if found is None:
            raise refusal(f"there is no table '{table}'", "Ask `has` first, or make it with `temporary`.")
        return found

    def query(self, tree: exp.Query) -> pa.Table:
        said, _ = self._said(tree)
        with explained():
            columns = self._described(text(said))
            what = ", ".join(_carried(at, column) for at, column in enumerate(columns))
            listed = ", ".join(f"c{at}" for at in range(len(columns)))
            copy = f"COPY (SELECT {what} FROM ({text(said)}) AS q({listed})) TO STDOUT (FORMAT csv)"  # noqa: S608 - a judged tree
            carried = BytesIO()
            with self._connection.cursor() as cursor, cursor.copy(copy.encode()) as rows:
                for part in rows:
                    carried.write(part)
            return _arrived(carried, columns)

    def temporary(self, name: str, tree: exp.Query) -> None:
        if not NAME.fullmatch(name) or name in self._model:
            raise refusal(
                f"'{name}' can't name a temporary table", "Choose a plain name the model doesn't have."
            )
        said, needs = self._said(tree, inlined=False)
        with explained():
            columns = self._described(text(_with(said.copy(), needs)))
            self._made += 1
            written = f"dure_{self._made}"
            types = {column.name: column.type for column in columns}
            kept = _Kept(columns=types, written=written)
            if self._may_keep:
                what = ", ".join(_kept_as(column) for column in columns)
                with self._writing():
                    query = f"SELECT {what} FROM ({text(said)}) AS q"  # noqa: S608 - a judged tree
                    self._connection.execute(f'CREATE TEMPORARY TABLE {TEMP}."{written}" AS {query}'.encode())
                    self._connection.execute(f'ANALYZE {TEMP}."{written}"'.encode())
            else:
                kept = _Kept(columns=types, written=written, query=said, needs=needs)
        self.drop(name)
        self._temporary[name] = kept

    def drop(self, name: str) -> None:
        kept = self._temporary.pop(name, None)
        if kept is not None and kept.query is None:
            with explained(), self._writing():
                self._connection.execute(f'DROP TABLE {TEMP}."{kept.written}"'.encode())

    def unchanged(self) -> bool:
        with explained():
            return _dataset(self._connection, self._at) == self.dataset

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _said(self, tree: exp.Query, *, inlined: bool = True) -> tuple[exp.Query, tuple[_Kept, ...]]:
        """A tree in PostgreSQL's words, and the queries that it needs before it; with `inlined` they are in it."""
        judge(tree, self.has)
        needs: dict[str, _Kept] = {}

        def source(name: str) -> exp.Table | exp.Subquery:
            kept = self._temporary.get(name)
            if kept is None:
                return self._relations[name].source(self.dataset.cdm_version)
            if kept.query is None:
                return exp.Table(this=exp.to_identifier(kept.written), db=exp.to_identifier(TEMP))
            needs.update({need.written: need for need in (*kept.needs, kept)})
            return exp.Table(this=exp.to_identifier(kept.written))

        said = rewritten(tree, source)
        found = tuple(needs.values())
        return (_with(said, found) if inlined else said), found

    def _described(self, sql: str) -> list[_Column]:
        """The columns of a query, which is read but neither planned nor run."""
        low = self._connection.pgconn
        result = low.prepare(b"", sql.encode())
        if result.status == ExecStatus.COMMAND_OK:
            result = low.describe_prepared(b"")
        if self._connection.closed:
            raise psycopg.OperationalError
        if result.status != ExecStatus.COMMAND_OK:
            raise errors.error_from_result(result)
        names = [result.fname(at) or b"" for at in range(result.nfields)]
        return [_Column(name=name.decode(), oid=result.ftype(at)) for at, name in enumerate(names)]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction that may make and drop temporary tables."""
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION READ WRITE")
            yield


def open_server(location: str, *, memory: str = "2GB", threads: int | None = None) -> PostgresEngine:
    """Open a stamped CDM on a server to be read: `postgresql://role@host:5432/database?schema=cdm`.

    Args:
        location: options are `schema` (public, if not given), `minutes` (how long one query may take; 60), and libpq's `sslmode`,
            `sslrootcert`, `sslcert`, `sslkey`, `passfile`, `connect_timeout`.
        memory: the server may use an eighth of it for each sort or hash.
        threads: cores that one query may take; None leaves it to the server.

    Raises:
        UnknownEngine: the location can't be read, or carries a password.
        DatabaseUnreachable: no connection.
        RoleCanWrite: the role is the server's master, or may change the CDM.
        NotACdm, StampStale: see `engines.server.dataset`.
    """
    at = server.address(location, options=OPTIONS)
    with explained():
        connection = connect(at)
        try:
            with connection.cursor() as cursor:
                for name, value in _settings(at, memory, threads).items():
                    cursor.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
                with suppress(psycopg.Error):
                    # A client that died ends its query; not every system that a server runs on can tell.
                    cursor.execute("SET client_connection_check_interval = '10s'")
            _check_role(connection, at)
            may_keep = _one(
                connection, "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP')"
            )
            found = _dataset(connection, at)
            return PostgresEngine(connection, at=at, dataset=found, may_keep=bool(may_keep))
        except BaseException:
            connection.close()
            raise


def connect(at: server.Address) -> psycopg.Connection:
    """A connection, each statement its own transaction. Raises psycopg's errors, which `explained` turns into ours."""
    told: dict[str, Any] = {
        "host": at.host or None,
        "port": at.port,
        "user": at.user,
        "dbname": at.path.strip("/") or None,
        "application_name": "dure",
        "connect_timeout": 20,
        **{name: value for name, value in at.options.items() if name in CONNECTION_OPTIONS},
    }
    return psycopg.connect(make_conninfo(**told), autocommit=True)


def _settings(at: server.Address, memory: str, threads: int | None) -> dict[str, str]:
    amount, unit = memory.upper().rstrip("IB")[:-1], memory.upper().rstrip("IB")[-1:]
    kilobytes = int(float(amount) * {"K": 1, "M": 1024, "G": 1024**2, "T": 1024**3}[unit])
    minutes = at.option("minutes", str(PATIENCE_MINUTES))
    if not minutes.isdecimal() or not 0 < int(minutes) < 10_000:
        raise UnknownEngine(
            "The location's minutes aren't a number of minutes", where=at.shown, mend="Write minutes=60."
        )
    return {
        "default_transaction_read_only": "on",
        "search_path": f"pg_catalog, {quoted(schema_of(at))}, {TEMP}",
        "statement_timeout": f"{minutes}min",
        "lock_timeout": "60s",
        "TimeZone": "UTC",
        "DateStyle": "ISO",
        "extra_float_digits": "1",
        "standard_conforming_strings": "on",
        "client_encoding": "UTF8",
        "client_min_messages": "error",
        "jit": "off",
        "work_mem": f"{max(kilobytes // 8, 4096)}kB",
        **({} if threads is None else {"max_parallel_workers_per_gather": str(threads - 1)}),
    }


def schema_of(at: server.Address) -> str:
    """The CDM's schema."""
    return at.option("schema", "public")


def quoted(name: str) -> str:
    """A name as it stands in SQL, whatever is in it."""
    return '"{}"'.format(name.replace('"', '""'))


def _one(connection: psycopg.Connection, query: str, *arguments: object) -> object:
    row = connection.execute(query.encode(), arguments or None).fetchone()
    return None if row is None else row[0]


def _check_role(connection: psycopg.Connection, at: server.Address) -> None:
    strong = _one(connection, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")
    changes = [
        name
        for name, relation in catalogue(connection, schema_of(at)).items()
        if _one(
            connection,
            "SELECT pg_catalog.has_table_privilege(%s::oid, 'INSERT, UPDATE, DELETE, TRUNCATE')",
            relation.oid,
        )
    ]
    if strong or changes:
        raise RoleCanWrite(
            "The role is a superuser" if strong else f"The role may change the table {changes[0]}",
            where=at.shown,
            mend="Give the node a role that may SELECT from the CDM's tables and nothing more (see docs/engines.md).",
        )


def _dataset(connection: psycopg.Connection, at: server.Address) -> Dataset:
    relations = catalogue(connection, schema_of(at))
    rows: Sequence[Sequence[object]] = ()
    if relations.keys() >= NECESSARY:
        listed = ", ".join(server.STAMP_COLUMNS)
        with suppress(errors.UndefinedTable, errors.UndefinedColumn, errors.InsufficientPrivilege):
            rows = connection.execute(
                f"SELECT {listed} FROM {quoted(schema_of(at))}.{server.STAMP}".encode()  # noqa: S608 - checked and constant names
            ).fetchall()
    return server.dataset(rows, tables=relations, witness=witness(connection, schema_of(at)), where=at.shown)


def _with(tree: exp.Query, needs: Sequence[_Kept]) -> exp.Query:
    """A tree with the queries that it needs before it, each run once."""
    if not needs:
        return tree
    ctes = [
        exp.CTE(
            this=need.query, alias=exp.TableAlias(this=exp.to_identifier(need.written)), materialized=True
        )
        for need in needs
        if need.query is not None
    ]
    own = tree.args.get("with_")
    tree.set(
        "with_", exp.With(expressions=[*(cte.copy() for cte in ctes), *(own.expressions if own else [])])
    )
    return tree


def _kept_as(column: _Column) -> str:
    plain = quoted(column.name)
    return f"CAST({plain} AS BIGINT) AS {plain}" if column.oid in {_DECIMAL} else plain


def _carried(at: int, column: _Column) -> str:
    """How a column crosses: dates as days and datetimes as microseconds since 1970, so that no calendar's end is in the way."""
    if column.oid in {_DECIMAL}:
        return f"CAST(c{at} AS BIGINT)"
    match column.type:
        case ColumnType.DATE:
            return f"(c{at} - DATE '1970-01-01')"
        case ColumnType.DATETIME:
            return f"CAST(EXTRACT(EPOCH FROM c{at}) * 1000000 AS BIGINT)"
        case _:
            return f"c{at}"


def _arrived(carried: BytesIO, columns: Sequence[_Column]) -> pa.Table:
    names = [f"c{at}" for at in range(len(columns))]
    types = [pa.bool_() if column.oid == _BOOLEAN else _ARROW[column.type] for column in columns]
    schema = pa.schema(list(zip(names, types, strict=True)))
    if carried.tell() == 0:
        table = schema.empty_table()
    else:
        carried.seek(0)
        table = csv.read_csv(
            carried,
            read_options=csv.ReadOptions(column_names=names),
            parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=schema,
                null_values=[""],
                true_values=["t"],
                false_values=["f"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    for at, column in enumerate(columns):
        if column.type in {ColumnType.DATE, ColumnType.DATETIME}:
            real = pa.date32() if column.type is ColumnType.DATE else pa.timestamp("us")
            table = table.set_column(at, names[at], table.column(at).cast(real))
    return table.rename_columns([column.name for column in columns])


@contextmanager
def explained() -> Iterator[None]:
    """Turns PostgreSQL's errors into ours. Its own message can quote a value of a row, so only its kind is told."""
    try:
        yield
    except (errors.QueryCanceled, errors.LockNotAvailable) as error:
        if isinstance(error, errors.LockNotAvailable):
            raise DatabaseBusy(
                "Another program holds a table of the CDM",
                where=WHERE,
                mend="Wait until the load is done.",
            ) from None
        raise QueryFailed(
            "The query took longer than it may",
            where=WHERE,
            mend="Give the location more minutes, check the CDM's indexes, or ask over fewer people.",
        ) from None
    except errors.DiskFull:
        raise DiskFull(
            "The database server has no room for what the query sorts or keeps",
            where=WHERE,
            mend="Free room on the server, then ask again.",
        ) from None
    except errors.OutOfMemory:
        raise QueryFailed(
            "The query needs more memory than the server has",
            where=WHERE,
            mend="Give the server more, or the node less, so that it sorts on disk.",
        ) from None
    except (pa.ArrowInvalid, errors.NumericValueOutOfRange, errors.DatetimeFieldOverflow):
        raise QueryFailed(
            "A sum is beyond 64 bits, or a date beyond the calendar",
            where=WHERE,
            mend="Sum fewer rows, or a column of smaller numbers; check the CDM's dates.",
        ) from None
    except errors.InsufficientPrivilege:
        raise QueryFailed(
            "The role may not do that",
            where=WHERE,
            mend="Grant it SELECT on the CDM's tables and USAGE on their schema.",
        ) from None
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnreachable(
            f"The database server can't be reached, or the connection was lost: {type(error).__name__}",
            where=WHERE,
            mend="Check that it runs, the host and port, the role's password file and the server's pg_hba.conf, then ask again.",
        ) from None
    except psycopg.Error as error:
        raise QueryFailed(
            f"PostgreSQL can't run the query: {type(error).__name__}",
            where=WHERE,
            mend="Check the columns and types that the study names against the CDM version.",
        ) from None
