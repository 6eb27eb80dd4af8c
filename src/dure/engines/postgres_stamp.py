"""Stamping a CDM on PostgreSQL: digests of its tables' content, and the one table that Dure writes.

Responsible for: reading every row once on the server, writing the stamp. Not responsible for: what the stamp says
(`onboard.stamp`), answering from it (`postgres`).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from datetime import date

import psycopg
from sqlglot import exp

from dure.engines import server
from dure.engines.dataset import Dataset
from dure.engines.postgres import OPTIONS, connect, explained, quoted, schema_of
from dure.engines.postgres_catalogue import catalogue, witness
from dure.engines.postgres_sql import text
from dure.engines.problems import StampStale

SETTLING_SECONDS, SETTLING_TRIES = 0.25, 20


class PostgresUnstamped:
    """See `engines.stamping.Unstamped`."""

    def __init__(self, connection: psycopg.Connection, at: server.Address) -> None:
        self.shown = at.shown
        self._connection = connection
        self._schema = schema_of(at)
        self._relations = catalogue(connection, self._schema)
        self._witness = self._settled()

    def _settled(self) -> str:
        """The witness once it holds still: the server counts the rows of a load a moment after the load has ended."""
        found = witness(self._connection, self._schema)
        for _ in range(SETTLING_TRIES):
            time.sleep(SETTLING_SECONDS)
            before, found = found, witness(self._connection, self._schema)
            if found == before:
                break
        return found

    def headers(self) -> Mapping[str, Sequence[str]]:
        return {name: list(relation.columns) for name, relation in self._relations.items()}

    def told(self, column: str) -> list[str]:
        source = self._relations.get("cdm_source")
        if source is None or column not in source.columns:
            return []
        written = quoted(source.columns[column][0])
        rows = self._rows(f"SELECT {written} FROM {quoted(self._schema)}.{quoted(source.written)}")  # noqa: S608
        return sorted(str(row[0]) for row in rows if row[0] is not None)

    def contents(self, cdm_version: str) -> Iterator[tuple[str, int, str]]:
        digits = "SUM(CAST(CAST(CAST('x' || SUBSTR(MD5(CAST(q AS TEXT)), 1, 16) AS BIT(64)) AS BIGINT) AS NUMERIC))"
        for name in sorted(self._relations):
            listed = exp.Select(expressions=[exp.Star()]).from_(self._source(name, cdm_version), copy=False)
            ((rows, digest),) = self._rows(f"SELECT COUNT(*), {digits} FROM ({text(listed)}) AS q")  # noqa: S608 - our own tree
            yield name, int(str(rows)), str(digest)

    def observed(self, cdm_version: str) -> tuple[date | None, date | None]:
        ends = exp.select(
            exp.Min(this=exp.column("observation_period_start_date")),
            exp.Max(this=exp.column("observation_period_end_date")),
        ).from_(self._source("observation_period", cdm_version))
        ((first, last),) = self._rows(text(ends))
        assert first is None or isinstance(first, date)
        assert last is None or isinstance(last, date)
        return first, last

    def keep(self, dataset: Dataset) -> None:
        now = witness(self._connection, self._schema)
        if now != self._witness:
            raise StampStale(
                "The CDM changed while it was read",
                where=self.shown,
                mend="Stamp it when nothing writes to it any more.",
            )
        table = f"{quoted(self._schema)}.{server.STAMP}"
        with self._connection.transaction():
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {table} (version TEXT NOT NULL, cdm_version TEXT NOT NULL, source TEXT NOT NULL, "
                "persons BIGINT NOT NULL, first_date DATE, last_date DATE, witness TEXT NOT NULL)".encode()
            )
            self._connection.execute(f"DELETE FROM {table}".encode())  # noqa: S608 - a quoted and a constant name
            self._connection.execute(
                f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s, %s, %s)".encode(),  # noqa: S608
                (*astuple(dataset), now),
            )

    def _source(self, name: str, cdm_version: str) -> exp.Table | exp.Subquery:
        source = self._relations[name].source(cdm_version)
        source.set("alias", exp.TableAlias(this=exp.to_identifier("t")))
        return source

    def _rows(self, query: str) -> list[tuple[object, ...]]:
        return self._connection.execute(query.encode()).fetchall()


@contextmanager
def opened(location: str) -> Iterator[PostgresUnstamped]:
    """The CDM at a location, with the account that loads it. Raises the engine's Problems."""
    at = server.address(location, options=OPTIONS)
    with explained(), connect(at) as connection:
        for setting in ("TimeZone = 'UTC'", "DateStyle = 'ISO'", "extra_float_digits = 1", "jit = off"):
            connection.execute(f"SET {setting}".encode())
        yield PostgresUnstamped(connection, at)
