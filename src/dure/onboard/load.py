"""Loading a CDM: a folder or zip of files becomes one DuckDB file, with every row accounted for, or nothing at all.

Responsible for: the order of things, the account, leaving nothing half-done. Not responsible for: how a file is read
(`onboard.reading`), how the database is laid out (`engines.cdm_file`), how progress is shown.
"""

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
from sqlglot import exp

from dure.engines.cdm_file import CdmWriter, create, room_for
from dure.engines.dataset import Dataset
from dure.omop.tables import NECESSARY, VERSIONS, ColumnType, Table, tables
from dure.onboard.account import Account, TableAccount
from dure.onboard.header import arrange
from dure.onboard.keys import Ascent, Places, remove_doubles
from dure.onboard.problems import NobodyThere, RowsRejected, SourceNotACdm
from dure.onboard.reading import Head, Reading, head
from dure.onboard.rejects import Rejects
from dure.onboard.source import Source, SourceFile
from dure.onboard.version import choose

MOST_REJECTED = 0.01
"""The largest share of a table's rows that may be rejected before a load says so by its exit code."""

_WORTH_SAYING = {
    "observation_period": "observation_period is empty: no cohort can be found before it has rows",
    "concept_ancestor": "concept_ancestor is empty: a concept set's descendants will not be found",
    "condition_era": "condition_era is empty: questions about condition eras will find nobody",
    "drug_era": "drug_era is empty: questions about drug eras will find nobody",
}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a load is: bytes of the source as stored, and the table that is being read."""

    table: str
    done: int
    total: int


def load(
    source: Path,
    out: Path,
    *,
    cdm_version: str | None = None,
    rejects: Path | None = None,
    force: bool = False,
    strict: bool = False,
    most_rejected: float = MOST_REJECTED,
    memory: str = "2GB",
    threads: int | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Account:
    """Load a CDM.

    Args:
        source: a folder or zip of CSV, CSV.gz or Parquet files named after the CDM's tables.
        out: the DuckDB file to make.
        cdm_version: "5.3" or "5.4"; None finds out.
        rejects: where rejected rows go, `.csv` or `.parquet`; None puts them beside `out`.
        force: replace what is at `out` and `rejects`.
        strict: fail, and make no database, if a table's share of rejected rows is above `most_rejected`.
        most_rejected: that share, 0 to 1.
        memory: the most memory for DuckDB, such as "2GB".
        threads: cores to use; None means all.
        progress: called after each block.

    Raises:
        Problem: one of `onboard.problems` or `engines.problems`. Nothing is left at `out` then; after `RowsRejected`
            the rejects file is kept, because it is what the user needs.
    """
    began = time.monotonic()
    rejects = rejects or out.with_suffix(".rejects.csv")
    workers = threads or os.cpu_count() or 1
    with Source(source) as opened, tempfile.TemporaryDirectory(prefix="dure-load-") as spool:
        plan = _plan(opened, cdm_version, Path(spool))
        rejected = Rejects(rejects, force=force)
        try:
            with (
                create(out, plan.version, memory=memory, threads=threads, force=force) as writer,
                ThreadPoolExecutor(workers) as pool,
            ):
                loading = _Loading(plan=plan, writer=writer, rejects=rejected, pool=pool, progress=progress)
                accounts = [loading.table(table) for table in plan.tables]
                _refuse_if_strict(accounts, most_rejected if strict else 1.0, rejects)
                dataset = loading.dataset()
                writer.stamp(dataset)
                notes = (*plan.notes, *_notes(writer))
        except RowsRejected:
            rejected.finish()
            raise
        except BaseException:
            rejected.abandon()
            raise
        written = rejected.finish()
    return Account(
        dataset=dataset,
        tables=tuple(accounts),
        ignored=plan.ignored,
        notes=notes,
        rejects=written,
        seconds=time.monotonic() - began,
    )


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is to be loaded, settled before anything is written."""

    source: Source
    version: str
    notes: tuple[str, ...]
    ignored: dict[str, str]
    tables: list[Table]
    readings: dict[str, list[Reading]]


def _plan(source: Source, asked: str | None, spool: Path) -> _Plan:
    heads = {file.name: head(source, file, spool) for file in source.files}
    names: dict[str, set[str]] = {}
    for file in source.files:
        names.setdefault(file.table, set()).update(name.strip().lower() for name in heads[file.name].names)
    version, notes = choose(asked, _written_version(source, heads, spool), names, str(source.path))
    model = tables(version)
    missing = sorted(NECESSARY - names.keys())
    if missing:
        raise SourceNotACdm(
            f"{source.path.name} has no file for {', '.join(missing)}",
            where=str(source.path),
            mend="Add the missing tables; without them no cohort can be found.",
        )
    ignored = dict(source.ignored)
    readings: dict[str, list[Reading]] = {}
    for file in source.files:
        if file.table not in model:
            others = " and ".join(other for other in VERSIONS if file.table in tables(other))
            ignored[file.name] = f"the table belongs to CDM {others}, and this is loaded as {version}"
            continue
        readings.setdefault(file.table, []).append(
            _reading(source, file, heads[file.name], model[file.table], version, spool)
        )
    return _Plan(
        source=source,
        version=version,
        notes=notes,
        ignored=ignored,
        tables=[table for name, table in model.items() if name in readings],
        readings=readings,
    )


def _reading(
    source: Source, file: SourceFile, found: Head, table: Table, version: str, spool: Path
) -> Reading:
    layout = arrange(
        found.names,
        table,
        version=version,
        where=f"{source.path}: {file.name}",
        delimiter=found.delimiter,
        quoting=found.quoting,
    )
    return Reading(source=source, file=file, layout=layout, spool=spool, notes=list(layout.notes))


def _written_version(source: Source, heads: dict[str, Head], spool: Path) -> list[str]:
    """What `cdm_source` says, read as text before it is known which version its columns are of."""
    found: list[str] = []
    column = tables(VERSIONS[-1])["cdm_source"].column("cdm_version")
    only = Table(name="cdm_source", columns=(column,) if column else (), key=None)
    with ThreadPoolExecutor(1) as pool:
        for file in source.of("cdm_source"):
            if "cdm_version" not in {name.strip().lower() for name in heads[file.name].names}:
                continue
            reading = _reading(source, file, heads[file.name], only, VERSIONS[-1], spool)
            for rows, _ in reading.rows(pool):
                found += [text for text in rows.good.column("cdm_version").to_pylist() if text]
    return found


@dataclass(kw_only=True)
class _Loading:
    """A load under way."""

    plan: _Plan
    writer: CdmWriter
    rejects: Rejects
    pool: Executor
    progress: Callable[[Progress], None]
    done: int = 0
    digests: list[str] = field(default_factory=list)

    def table(self, table: Table) -> TableAccount:
        """Read all files of a table and write its rows."""
        readings = self.plan.readings[table.name]
        key = table.column(table.key) if table.key else None
        places, ascent = Places(), Ascent(rising=key is None or key.type is ColumnType.INTEGER)
        read, before = 0, self.rejects.count
        with room_for(self.writer.path):
            self.writer.connection.begin()
        for reading in readings:
            for rows, position in reading.rows(self.pool):
                read += rows.read
                self.rejects.write(rows.rejects)
                if rows.good.num_rows:
                    self.writer.append(table.name, rows.good)
                if key is not None:
                    places.add(reading.file.name, rows.lines)
                    if ascent.rising:
                        ascent.add(np.asarray(rows.good.column(key.name)))
                self._tell(table.name, position)
            self.done += reading.file.size
            self.digests.append(f"{table.name} {reading.file.name} {reading.digest}")
        with room_for(self.writer.path):
            self.writer.connection.commit()
        if key is not None and not ascent.rising:
            self.rejects.write(remove_doubles(self.writer, table.name, key.name, places))
        loaded = self._count(table.name)
        if table.name == "person" and loaded == 0:
            raise NobodyThere(
                "No row of person could be loaded" if read else "The person table is empty",
                where=f"{self.plan.source.path}: {readings[0].file.name}",
                mend="Check that the export holds the people, and in the CDM's own columns and types.",
            )
        return TableAccount(
            table=table.name,
            files=tuple(reading.file.name for reading in readings),
            read=read,
            loaded=loaded,
            rejected=self.rejects.count - before,
            notes=tuple(dict.fromkeys(note for reading in readings for note in reading.notes)),
        )

    def dataset(self) -> Dataset:
        """What was loaded; the version is a digest of every byte of every file, and of the CDM version."""
        text = "\n".join([self.plan.version, *sorted(self.digests)])
        period = exp.table_("observation_period")
        ends = exp.select(
            exp.Min(this=exp.column("observation_period_start_date")),
            exp.Max(this=exp.column("observation_period_end_date")),
        ).from_(period)
        with room_for(self.writer.path):
            first, last = self.writer.connection.execute(ends.sql(dialect="duckdb")).fetchall()[0]
        return Dataset(
            version=sha256(text.encode()).hexdigest()[:20],
            cdm_version=self.plan.version,
            source=self.plan.source.path.name,
            persons=self._count("person"),
            first_date=first,
            last_date=last,
        )

    def _count(self, table: str) -> int:
        return _number(
            self.writer, exp.select(exp.Count(this=exp.Star())).from_(exp.table_(table, quoted=True))
        )

    def _tell(self, table: str, position: int) -> None:
        total = sum(file.size for file in self.plan.source.files)
        self.progress(Progress(table=table, done=min(self.done + position, total), total=total))


def _number(writer: CdmWriter, query: exp.Select) -> int:
    with room_for(writer.path):
        return int(writer.connection.execute(query.sql(dialect="duckdb")).fetchall()[0][0])


def _refuse_if_strict(accounts: list[TableAccount], most: float, rejects: Path) -> None:
    worst = max(accounts, key=lambda account: account.share_rejected)
    if worst.share_rejected > most:
        raise RowsRejected(
            f"{worst.rejected} of {worst.read} rows of {worst.table} were rejected, above the share of {most:.1%}",
            where=f"{', '.join(worst.files)}; the rows and reasons are in {rejects}",
            mend="Mend the rows that the rejects file lists, or load without --strict.",
        )


def _notes(writer: CdmWriter) -> list[str]:
    """What a hospital should know of what it loaded."""
    notes = []
    model = tables(writer.cdm_version)
    for name, table in model.items():
        rows = exp.select(exp.Count(this=exp.Star())).from_(
            exp.alias_(exp.table_(name, quoted=True), "t", table=True)
        )
        if name in _WORTH_SAYING and _number(writer, rows) == 0:
            notes.append(_WORTH_SAYING[name])
        if name != "person" and table.column("person_id"):
            known = exp.select("1").from_(exp.alias_(exp.table_("person", quoted=True), "p", table=True))
            known = known.where(exp.column("person_id", "p").eq(exp.column("person_id", "t")))
            strangers = _number(writer, rows.where(exp.Exists(this=known).not_()))
            if strangers:
                rows_are = "1 row is" if strangers == 1 else f"{strangers} rows are"
                notes.append(f"{name}: {rows_are} of persons whom person doesn't have")
    return notes
