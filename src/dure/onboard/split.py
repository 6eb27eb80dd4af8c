"""Splitting a CDM at random by person, so that one database can be tried as several hospitals.

Responsible for: who goes where, and taking a person's rows along. Not responsible for: making hospitals that differ; a
random split has the same people everywhere, which is what makes pooled and federated answers comparable.

Rows follow their person, also one whom `person` lacks, so that nothing that could be counted is lost; those of `note_nlp`
and `episode_event` follow the note and the episode. The vocabulary and what describes the database or its sites go to
every part whole. `cost` and `fact_relationship` name no person and are left out, which is said.
"""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import exp

from dure.engines.base import Engine
from dure.engines.cdm_file import CdmWriter, create, room_for
from dure.engines.dataset import Dataset
from dure.engines.duckdb import open_file
from dure.omop.tables import Table, tables
from dure.onboard.problems import NobodyThere

_FOLLOWS = {"note_nlp": ("note_id", "note"), "episode_event": ("episode_id", "episode")}
_NAMES_NO_PERSON = ("cost", "fact_relationship")

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Split:
    """The files made, each with what it holds, and what should be known of them."""

    parts: tuple[tuple[Path, Dataset], ...]
    notes: tuple[str, ...]


def split(
    source: Path, *, parts: int, seed: int, out_dir: Path, force: bool = False, memory: str = "1GB"
) -> Split:
    """Write `hospital-1.duckdb` … `hospital-N.duckdb`, each with an equal share (to within one) of the people.

    Args:
        source: a stamped CDM file.
        parts: how many; at least 1.
        seed: the same seed, source and number of parts give the same split.
        out_dir: made if it isn't there.
        force: replace files that are there.

    Raises:
        NobodyThere: fewer people than parts. Problem: of `engines.problems`, as for reading and making any CDM file.
    """
    with open_file(source, memory=memory) as engine:
        dataset = engine.dataset
        has = {name for name in tables(dataset.cdm_version) if engine.has(name)}
        people = _people(engine, ["person"])
        strangers = np.setdiff1d(_people(engine, sorted(has)), people)
        left_out = {name: _rows(engine, name) for name in _NAMES_NO_PERSON if name in has}
    if len(people) < parts:
        raise NobodyThere(
            f"{len(people)} people can't be split into {parts} parts",
            where=str(source),
            mend="Ask for fewer parts, or give a larger database.",
        )
    with room_for(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
    dice = np.random.default_rng(seed)
    shares = np.array_split(dice.permutation(people), parts)
    others = np.array_split(dice.permutation(strangers), parts)
    made = []
    with ExitStack() as stack:
        for number, (share, other) in enumerate(zip(shares, others, strict=True), 1):
            path = out_dir / f"hospital-{number}.duckdb"
            mark = sha256(f"{dataset.version} {parts} {seed} {number}".encode()).hexdigest()[:20]
            stamp = replace(dataset, version=mark, persons=len(share))
            writer = stack.enter_context(create(path, dataset.cdm_version, memory=memory, force=force))
            made.append((path, _fill(writer, source, np.concatenate([share, other]), has, stamp)))
    notes = tuple(
        f"left out, for it names no person: {name}, rows: {count}"
        for name, count in left_out.items()
        if count
    )
    return Split(parts=tuple(made), notes=notes)


def _people(engine: Engine, names: list[str]) -> Ids:
    """Everyone whom a row of these tables is of, in order: also those whom `person` doesn't have."""
    model = tables(engine.dataset.cdm_version)
    found = [np.empty(0, np.int64)]
    for name in names:
        column = _person(model[name])
        if column is not None:
            rows = engine.query(exp.select(column).distinct().from_(name))
            found.append(np.asarray(rows.column(column)))
    return np.unique(np.concatenate(found))


def _rows(engine: Engine, name: str) -> int:
    counted = engine.query(exp.select(exp.alias_(exp.Count(this=exp.Star()), "n")).from_(name))
    return int(counted["n"][0].as_py())


def _person(table: Table) -> str | None:
    """The column that says of whom a row is."""
    return next((name for name in ("person_id", "subject_id") if table.column(name)), None)


def _fill(writer: CdmWriter, source: Path, people: Ids, has: set[str], dataset: Dataset) -> Dataset:
    with room_for(writer.path):
        attach = exp.Attach(
            this=exp.alias_(exp.Literal.string(str(source)), "whole"),
            expressions=[exp.AttachOption(this=exp.var("READ_ONLY"))],
        )
        writer.connection.execute(attach.sql(dialect="duckdb"))
        writer.connection.register("chosen", pa.table({"person_id": people}))
        for name, table in tables(dataset.cdm_version).items():
            if name in has and name not in _NAMES_NO_PERSON:
                writer.connection.execute(_copy(table).sql(dialect="duckdb"))
        ends = exp.select(
            exp.Min(this=exp.column("observation_period_start_date")),
            exp.Max(this=exp.column("observation_period_end_date")),
        ).from_("observation_period")
        first, last = writer.connection.execute(ends.sql(dialect="duckdb")).fetchall()[0]
        writer.connection.unregister("chosen")
        writer.connection.execute("DETACH whole")
    part = replace(dataset, first_date=first, last_date=last)
    writer.stamp(part)
    return part


def _copy(table: Table) -> exp.Insert:
    columns = [exp.to_identifier(column.name, quoted=True) for column in table.columns]
    rows = exp.select(*(exp.Column(this=column.copy()) for column in columns)).from_(
        _table(table.name, "whole")
    )
    person = _person(table)
    if person is not None:
        chosen = exp.select(exp.column("person_id")).from_(exp.table_("chosen"))
        rows = rows.where(exp.column(person).isin(query=chosen))
    elif table.name in _FOLLOWS:
        column, leader = _FOLLOWS[table.name]
        kept = exp.select(exp.column(column)).from_(_table(leader))
        rows = rows.where(exp.column(column).isin(query=kept))
    return exp.insert(rows, _table(table.name), columns=columns)


def _table(name: str, catalog: str | None = None) -> exp.Table:
    return exp.table_(name, db="main" if catalog else None, catalog=catalog, quoted=True)
