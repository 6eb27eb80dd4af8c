"""Making a CDM file: all tables of a version, built beside its final name and put there whole or not at all.

Responsible for: the layout of the DuckDB file (CDM in schema `main`, the stamp in schema `dure`; large event tables in the order of
their concepts), writing it atomically, saying so when the disk is full. Not responsible for: what rows go in (`onboard`, `demo`), or reading (`engines.duckdb`).
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa
from sqlglot import exp

from dure.engines.dataset import SCHEMA, TABLE, Dataset
from dure.engines.problems import DiskFull, OutputExists, QueryFailed
from dure.omop.events import EVENT_TABLES, EventTable
from dure.omop.tables import ColumnType, Table, tables

SQL_TYPES = {
    ColumnType.INTEGER: "BIGINT",
    ColumnType.FLOAT: "DOUBLE",
    ColumnType.DATE: "DATE",
    ColumnType.DATETIME: "TIMESTAMP",
    ColumnType.TEXT: "VARCHAR",
}


MANY_ROWS = 500_000
"""A table of fewer is read whole in a moment, in any order."""


class CdmWriter:
    """A CDM file being made. Use as a context manager: leaving it normally puts the file in place, an error removes it.

    Attributes:
        connection: to the file being made, for bulk SQL; it may read and write anything, so only our own code uses it.
        path: where the file will be; until then it is built at `partial`.
        cdm_version: "5.3" or "5.4".
    """

    def __init__(
        self, path: Path, cdm_version: str, *, memory: str, threads: int | None, force: bool
    ) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.cdm_version = cdm_version
        if path.exists() and not force:
            raise OutputExists(
                f"{path} exists", where=str(path), mend="Name another file, or replace it with --force."
            )
        self._remove()
        config: dict[str, str | int] = {
            "memory_limit": memory,
            "temp_directory": f"{self.partial}.spill",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        if threads is not None:
            config["threads"] = threads
        with room_for(path):
            self.connection = duckdb.connect(str(self.partial), config=config)
            self.connection.execute("SET enable_progress_bar = false")
            self.partial.chmod(0o600)
            self.connection.begin()
            for table in tables(cdm_version).values():
                self.connection.execute(_create(table).sql(dialect="duckdb"))
            self.connection.commit()
        self._stamped = False

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows to a table, matched by column name; columns that `rows` lacks are empty.

        Raises:
            DiskFull: no room. QueryFailed: a required column is empty, or a type doesn't fit.
        """
        with room_for(self.path):
            self.connection.register("arriving", rows)
            try:
                insert = exp.insert(
                    exp.select(*(exp.column(name, quoted=True) for name in rows.column_names)).from_(
                        "arriving"
                    ),
                    exp.table_(table, quoted=True),
                    columns=[exp.to_identifier(name, quoted=True) for name in rows.column_names],
                )
                self.connection.execute(insert.sql(dialect="duckdb"))
            finally:
                self.connection.unregister("arriving")

    def stamp(self, dataset: Dataset) -> None:
        """Write what the file holds; a file that was not stamped is never put in place."""
        with room_for(self.path):
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            self.connection.execute(
                f"CREATE OR REPLACE TABLE {SCHEMA}.{TABLE} (version VARCHAR, cdm_version VARCHAR, source VARCHAR, "
                "persons BIGINT, first_date DATE, last_date DATE)"
            )
            self.connection.execute(
                f"INSERT INTO {SCHEMA}.{TABLE} VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - both names are constants
                [getattr(dataset, field.name) for field in fields(dataset)],
            )
        self._stamped = True

    def finish(self) -> None:
        """Put the file in place, on disk before it has its name."""
        if not self._stamped:
            raise ValueError("a CDM file is stamped before it is finished")
        with room_for(self.path):
            for table in EVENT_TABLES.values():
                self._order(table)
            self.connection.execute("CHECKPOINT")
            self.connection.close()
            _sync(self.partial)
            self.partial.replace(self.path)
            _sync(self.path.parent)
        self._remove()

    def _order(self, table: EventTable) -> None:
        """Put rows of one concept together: who looks for some concepts then reads little else (each block knows its least and
        greatest). The room of the table as it arrived is free for the next one."""
        model = tables(self.cdm_version)
        if table.concept is None or table.name not in model or self._rows(table.name) < MANY_ROWS:
            return
        name = f"{table.name}_ordered"
        kept, ordered = (exp.table_(each, quoted=True) for each in (table.name, name))
        by = [exp.column(each, quoted=True) for each in (table.concept, "person_id")]
        self.connection.begin()
        for statement in (
            _create(model[table.name], name),
            exp.insert(exp.select("*").from_(kept).order_by(*by), ordered),
            exp.Drop(tables=[kept.copy()], kind="TABLE"),
            exp.Alter(this=ordered.copy(), kind="TABLE", actions=[exp.AlterRename(this=kept.copy())]),
        ):
            self.connection.execute(statement.sql(dialect="duckdb"))
        self.connection.commit()
        self.connection.execute("CHECKPOINT")

    def _rows(self, table: str) -> int:
        counted = exp.select(exp.Count(this=exp.Star())).from_(exp.table_(table, quoted=True))
        found = self.connection.execute(counted.sql(dialect="duckdb")).fetchall()
        return int(found[0][0])

    def abandon(self) -> None:
        """Leave nothing behind."""
        self.connection.close()
        self._remove()

    def _remove(self) -> None:
        for leftover in (self.partial, Path(f"{self.partial}.wal")):
            leftover.unlink(missing_ok=True)
        spill = Path(f"{self.partial}.spill")
        if spill.is_dir():
            for file in spill.iterdir():
                file.unlink()
            spill.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self.abandon()
            return
        try:
            self.finish()
        except BaseException:
            self.abandon()
            raise


def create(
    path: Path, cdm_version: str, *, memory: str = "2GB", threads: int | None = None, force: bool = False
) -> CdmWriter:
    """Begin a CDM file with all tables of `cdm_version`, empty.

    Raises:
        OutputExists: the file is there and `force` is false. DiskFull: no room, or the folder can't be written.
    """
    return CdmWriter(path, cdm_version, memory=memory, threads=threads, force=force)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Turns what a full or closed disk makes a library say into `DiskFull` naming `path`, the rest into `QueryFailed`."""
    try:
        yield
    except OSError as error:
        raise _no_room(path, os.strerror(error.errno or errno.EIO)) from error
    except duckdb.Error as error:
        text = str(error).lower()
        if isinstance(error, (duckdb.IOException, duckdb.FatalException)) or any(
            sign in text for sign in _FULL
        ):
            raise _no_room(path, "DuckDB couldn't write") from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise QueryFailed(
                "The database ran out of the memory that it was given",
                where=str(path),
                mend="Give it more with --memory, or close other programs.",
            ) from error
        raise QueryFailed(
            f"The database refused what was to be written: {type(error).__name__}",
            where=str(path),
            mend="This is a mistake of Dure's; please report it with the command that you ran.",
        ) from error


_FULL = ("could not write", "no space left", "max_temp_directory_size", "failed to offload")
"""What DuckDB says of a full disk when it wraps the fault in an error of another kind, as a failed commit."""


def _no_room(path: Path, why: str) -> DiskFull:
    return DiskFull(
        f"{path.name} couldn't be written: {why}",
        where=str(path.parent),
        mend="Free some room or name another disk, then run the same command again; nothing was left behind.",
    )


def _create(table: Table, name: str | None = None) -> exp.Create:
    columns = [
        exp.ColumnDef(
            this=exp.to_identifier(column.name, quoted=True),
            kind=exp.DataType.build(SQL_TYPES[column.type], dialect="duckdb"),
            constraints=[exp.ColumnConstraint(kind=exp.NotNullColumnConstraint())] if column.required else [],
        )
        for column in table.columns
    ]
    schema = exp.Schema(this=exp.table_(name or table.name, quoted=True), expressions=columns)
    return exp.Create(this=schema, kind="TABLE")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
