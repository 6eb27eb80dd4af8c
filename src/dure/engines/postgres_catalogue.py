"""What a PostgreSQL schema holds of the CDM, and how each of its tables is read as the model has it.

Responsible for: finding tables and columns, the casts that make a hospital's types the model's, the witness of their state.
Not responsible for: running queries.

Hospitals' CDMs follow several DDLs: identifiers of 32 bits or decimals, numbers as NUMERIC, dates as timestamps, names in capitals.
A table that is as the model has it is read as it is; of another, the columns that differ are cast.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from sqlglot import exp

from dure.engines.server import REST, condensed
from dure.omop.tables import VERSIONS, ColumnType, column_type, readable

_INTEGERS = ("int2", "int4", "int8")
_AS_IS = {
    **dict.fromkeys(_INTEGERS, ColumnType.INTEGER),
    "float8": ColumnType.FLOAT,
    "date": ColumnType.DATE,
    "timestamp": ColumnType.DATETIME,
    "text": ColumnType.TEXT,
    "varchar": ColumnType.TEXT,
}
_CASTS = {
    ColumnType.INTEGER: (exp.DType.BIGINT, {"numeric", "bool"}),
    ColumnType.FLOAT: (exp.DType.DOUBLE, {"numeric", "float4", *_INTEGERS}),
    ColumnType.DATE: (exp.DType.DATE, {"timestamp", "timestamptz"}),
    ColumnType.DATETIME: (exp.DType.TIMESTAMP, {"timestamptz", "date"}),
    ColumnType.TEXT: (exp.DType.TEXT, {"bpchar", "name", *_INTEGERS}),
}
_COLUMNS = """
SELECT c.oid::bigint, c.relname, a.attname, t.typname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
ORDER BY c.relname, a.attnum
"""
_STATE = """
SELECT c.relname, p.relid::bigint, (
        SELECT pg_catalog.string_agg(a.attname || ' ' || a.atttypid || ' ' || a.attnum, ',' ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ), pg_catalog.pg_relation_filenode(p.relid), pg_catalog.pg_relation_size(p.relid),
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE (
        SELECT s.n_tup_ins + s.n_tup_upd + s.n_tup_del FROM pg_catalog.pg_stat_all_tables s WHERE s.relid = p.relid
    ) END
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT t.relid::oid AS relid FROM pg_catalog.pg_partition_tree(c.oid) t WHERE c.relkind = 'p'
    UNION ALL SELECT c.oid WHERE c.relkind <> 'p'
) p
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_catalog.lower(c.relname) = ANY(%s)
"""
_KNOWN = sorted(frozenset[str]().union(*map(readable, VERSIONS)))


@dataclass(frozen=True, kw_only=True)
class Relation:
    """One table of the model as a hospital has it.

    Attributes:
        written: its name there.
        columns: by the model's name: the name there and the type there, in order.
    """

    oid: int
    schema: str
    written: str
    columns: Mapping[str, tuple[str, str]]

    def types(self, version: str) -> dict[str, ColumnType]:
        """The columns that can be read, as the model types them."""
        found = {name: self._read(name, version) for name in self.columns}
        return {name: read[0] for name, read in found.items() if read is not None}

    def source(self, version: str) -> exp.Table | exp.Subquery:
        """What to select from to read it as the model has it."""
        table = exp.Table(this=_name(self.written), db=_name(self.schema))
        listed, plain = [], True
        for name, (written, _) in self.columns.items():
            read = self._read(name, version)
            if read is None:
                continue
            value: exp.Expr = exp.Column(this=_name(written))
            if read[1] is not None:
                value = exp.Cast(this=value, to=exp.DataType(this=read[1]))
            plain = plain and read[1] is None and written == name
            listed.append(exp.Alias(this=value, alias=_name(name)))
        return table if plain else exp.Subquery(this=exp.Select(expressions=listed).from_(table, copy=False))

    def _read(self, name: str, version: str) -> tuple[ColumnType, exp.DType | None] | None:
        """A column's type here and the cast that makes it so; None where it can't be read as the model has it."""
        there = self.columns[name][1]
        wanted = column_type(self.written.lower(), name, version) or _AS_IS.get(there)
        if wanted is None or _AS_IS.get(there) is wanted:
            return None if wanted is None else (wanted, None)
        cast, from_ = _CASTS[wanted]
        return (wanted, cast) if there in from_ else None


def catalogue(connection: psycopg.Connection, schema: str) -> dict[str, Relation]:
    """The tables of any version and those beyond in a schema that the role may read, by the model's names."""
    found: dict[str, tuple[int, str, dict[str, tuple[str, str]]]] = {}
    for oid, table, column, type_ in connection.execute(_COLUMNS, (schema,)):
        name = str(table).lower()
        if name in _KNOWN:
            found.setdefault(name, (oid, table, {}))
            if found[name][0] == oid:
                found[name][2].setdefault(str(column).lower(), (column, type_))
    return {
        name: Relation(oid=oid, schema=schema, written=written, columns=columns)
        for name, (oid, written, columns) in found.items()
    }


def witness(connection: psycopg.Connection, schema: str) -> str:
    """A sign of the state of the model's tables in a schema, the same for every role that looks.

    It is made of their columns, files and sizes; on a primary server also of how many rows were ever written there.
    """
    found = connection.execute(_STATE, (schema, _KNOWN)).fetchall()
    on_replica = all(row[-1] is None for row in found)
    written = "" if on_replica else condensed((*row[:2], row[-1]) for row in found)
    return f"{condensed(row[:-1] for row in found)}{REST}{written}"


def _name(text: str) -> exp.Identifier:
    return exp.Identifier(this=text, quoted=True)
