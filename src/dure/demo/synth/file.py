"""Making a synthetic hospital's file: chunk after chunk into DuckDB, and its truth beside it.

Responsible for: bounded memory (one chunk is made while the one before is written), the stamp, the truth's place. Not
responsible for: what the people are like.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from dure.demo.synth.arrays import Ints
from dure.demo.synth.chunk import CHUNK, Chunk, make, sizes
from dure.demo.synth.hospital import MOST_HOSPITALS, Hospital, habits_of
from dure.demo.synth.problems import BadRecipe
from dure.demo.synth.rare import patients
from dure.demo.synth.sepsis import Scores
from dure.demo.synth.tables import SOURCE, hospital_tables
from dure.demo.synth.truth import Truth
from dure.engines.cdm_file import CdmWriter, create, room_for
from dure.engines.dataset import Dataset

MOST_PERSONS = 100_000_000
CDM_VERSION = "5.4"
MEMORY = "1GB"
GENERATOR = 1
"""Counts up when the same recipe gives other people."""


def truth_path(path: Path) -> Path:
    """Where the truth of a hospital's file lies: `x.duckdb` has `x.truth.json`."""
    return path.with_suffix(".truth.json")


def generate(
    *,
    persons: int,
    seed: int,
    path: Path,
    hospital: int = 1,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Truth:
    """Make hospital `hospital` of the nation of `seed` with `persons` people, as a CDM 5.4 file.

    The same (persons, seed, hospital) gives the same rows. The truth is written to `truth_path(path)`.

    Args:
        progress: called with the number of people done so far, after each chunk.

    Raises:
        BadRecipe: a number is out of range. OutputExists: `path` is there and `force` is false.
        DiskFull: there is no room; nothing is left behind.
    """
    who = _checked(persons=persons, seed=seed, number=hospital)
    rows: Counter[str] = Counter()
    scores = Scores()
    beside = truth_path(path).with_suffix(".json.partial")
    try:
        with create(path, CDM_VERSION, memory=MEMORY, threads=1, force=force) as writer:
            _append(writer, hospital_tables(who), rows)
            done = 0
            for chunk in _ahead(who, persons):
                _append(writer, chunk.tables, rows)
                scores.counts += chunk.scores.counts
                done += chunk.tables["person"].num_rows
                if progress is not None:
                    progress(done)
            writer.stamp(_dataset(writer, who, persons))
            truth = Truth(
                hospital=who,
                persons=persons,
                rows=dict(sorted(rows.items())),
                rare_patients=len(patients(who, persons)),
                sepsis_auc=scores.auc(),
            )
            with room_for(beside):
                beside.write_text(truth.json(), encoding="utf-8")
        beside.replace(truth_path(path))
    finally:
        beside.unlink(missing_ok=True)
    return truth


def chunks(who: Hospital, persons: int) -> Iterator[Callable[[], Chunk]]:
    """What makes each chunk of a hospital; they may be called in any order."""
    rare = patients(who, persons)
    for number, size in enumerate(sizes(persons)):
        mine = (rare[rare // CHUNK == number] % CHUNK).astype(np.int32)
        yield _maker(who, number, size, mine)


def _maker(who: Hospital, number: int, size: int, rare: Ints) -> Callable[[], Chunk]:
    return lambda: make(who, number=number, persons=size, rare=rare)


def _ahead(who: Hospital, persons: int) -> Iterator[Chunk]:
    """The chunks in order, the next one being made while the caller has one."""
    with ThreadPoolExecutor(1) as worker:
        coming: Future[Chunk] | None = None
        for maker in chunks(who, persons):
            following = worker.submit(maker)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()


def _append(writer: CdmWriter, tables: dict[str, pa.Table], rows: Counter[str]) -> None:
    for name, table in tables.items():
        writer.append(name, table)
        rows[name] += table.num_rows


def _dataset(writer: CdmWriter, who: Hospital, persons: int) -> Dataset:
    first, last = writer.connection.execute(
        "SELECT min(observation_period_start_date), max(observation_period_end_date) FROM observation_period"
    ).fetchall()[0]
    return Dataset(
        version=f"synthetic-{GENERATOR}-{who.seed}-{who.number}-{persons}",
        cdm_version=CDM_VERSION,
        source=f"{who.name}. {SOURCE}",
        persons=persons,
        first_date=first,
        last_date=last,
    )


def _checked(*, persons: int, seed: int, number: int) -> Hospital:
    limits = {"persons": (persons, 1, MOST_PERSONS), "seed": (seed, 0, 2**63 - 1), "hospital": (number, 1, MOST_HOSPITALS)}  # fmt: skip
    for name, (value, least, most) in limits.items():
        if not least <= value <= most:
            raise BadRecipe(
                f"{name} is {value}",
                where=f"--{name}",
                mend=f"Give a whole number from {least} to {most}.",
            )
    return habits_of(seed=seed, number=number)
