"""A CDM on a PostgreSQL server as hospitals have it: OHDSI's DDL and its usual indexes. For benchmarks and tests.

Responsible for: copying tables from DuckDB, and the account that reads them. Not responsible for: the server, the stamp.
"""

import tempfile
from pathlib import Path

import duckdb
import psycopg

from dure.omop.tables import BEYOND, VERSIONS, ColumnType, column_type, tables

TYPES = {
    ColumnType.INTEGER: "INTEGER",
    ColumnType.FLOAT: "NUMERIC",
    ColumnType.DATE: "DATE",
    ColumnType.DATETIME: "TIMESTAMP",
    ColumnType.TEXT: "TEXT",
}
INDEXED = (
    "person_id",
    "visit_occurrence_id",
    "ancestor_concept_id",
    "descendant_concept_id",
    "concept_id_1",
    "concept_id_2",
)
READER = "dure_reader"


def load(address: str, schema: str, source: duckdb.DuckDBPyConnection, *, wide: bool = False) -> None:
    """Copy the model's tables that have rows from a DuckDB database's main schema.

    Args:
        wide: identifiers of 64 bits, as the largest hospitals have.
    """
    model = {name: table for version in VERSIONS for name, table in tables(version).items()}
    present = [row[0] for row in source.execute("SHOW TABLES").fetchall() if row[0] in model.keys() | BEYOND]
    with psycopg.connect(address, autocommit=True) as connection, tempfile.TemporaryDirectory() as folder:
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        connection.execute(f'SET search_path = "{schema}"')
        for name in present:
            if source.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone() is None:
                continue
            columns = [row[0] for row in source.execute(f'DESCRIBE "{name}"').fetchall()]
            typed = {
                column: column_type(name, column, VERSIONS[-1]) or there
                for column, there in _types(source, name).items()
            }
            said = [
                f'"{column}" {"BIGINT" if wide and TYPES[typed[column]] == "INTEGER" else TYPES[typed[column]]}'
                for column in columns
            ]
            connection.execute(f'CREATE TABLE "{name}" ({", ".join(said)})')
            file = Path(folder, name)
            source.execute(f"COPY \"{name}\" TO '{file}' (FORMAT csv, HEADER false)")
            with (
                connection.cursor().copy(f'COPY "{name}" FROM STDIN (FORMAT csv)') as copy,
                file.open("rb") as data,
            ):
                while part := data.read(1 << 20):
                    copy.write(part)
            file.unlink()
            key = model[name].key if name in model else f"{name}_id"
            if key in columns:
                connection.execute(f'ALTER TABLE "{name}" ADD PRIMARY KEY ("{key}")')
            main = f"{name.removesuffix('_occurrence').removesuffix('_exposure').removesuffix('_era')}_concept_id"
            for column in (*INDEXED, main):
                if column in columns and column != key:
                    connection.execute(f'CREATE INDEX ON "{name}" ("{column}")')
        connection.execute("ANALYZE")


def _types(source: duckdb.DuckDBPyConnection, table: str) -> dict[str, ColumnType]:
    """The types of all columns, those that the model doesn't have too."""
    known = {
        "BIGINT": ColumnType.INTEGER,
        "INTEGER": ColumnType.INTEGER,
        "DOUBLE": ColumnType.FLOAT,
        "DATE": ColumnType.DATE,
    }
    rows = source.execute(f'DESCRIBE "{table}"').fetchall()
    return {name: known.get(type_, ColumnType.TEXT) for name, type_, *_ in rows}


def may_read(address: str, schema: str, *, temporary: bool = True, role: str = READER) -> None:
    """Make the account that the node uses, if it isn't there, and let it read a schema."""
    with psycopg.connect(address, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
            connection.execute(f"CREATE ROLE {role} LOGIN")
        database = connection.info.dbname
        connection.execute(f'REVOKE TEMPORARY ON DATABASE "{database}" FROM PUBLIC')
        if temporary:
            connection.execute(f'GRANT TEMPORARY ON DATABASE "{database}" TO {role}')
        connection.execute(f'GRANT USAGE ON SCHEMA "{schema}" TO {role}')
        connection.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA "{schema}" TO {role}')
