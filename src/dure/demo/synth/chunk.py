"""One chunk: the unit in which a hospital is made, from its seed to its tables.

Responsible for: the order of the steps and their random streams. Every chunk and every step has a stream of its own, so
that a chunk is the same whenever it is made, and a change to one step leaves the others' draws alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dure.demo.synth import comparisons, vocabulary
from dure.demo.synth.arrays import Ints, Rng
from dure.demo.synth.background import last_visits, ordinary_care
from dure.demo.synth.chart import Chart
from dure.demo.synth.controls import unrelated
from dure.demo.synth.diseases import afflict, fall_ill
from dure.demo.synth.hospital import Hospital
from dure.demo.synth.measurements import levels
from dure.demo.synth.people import arrive, live
from dure.demo.synth.rare import be_rare
from dure.demo.synth.sepsis import Scores, fall_septic
from dure.demo.synth.skin import HYDROCORTISONE, itch
from dure.demo.synth.tables import ChunkTables

CHUNK = 25_000
"""Persons in a chunk. A part of what a seed means: another size gives other people."""
_STEPS = 15


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What was made: the CDM tables, and how the true sepsis scores are distributed."""

    tables: dict[str, pa.Table]
    scores: Scores


def make(hospital: Hospital, *, number: int, persons: int, rare: Ints) -> Chunk:
    """Make chunk `number` (from 0) with `persons` people; `rare` are the places of those with the rare disease."""
    steps = _streams(hospital, number)
    arrival = arrive(next(steps), hospital, persons)
    has, prevalent = afflict(next(steps), hospital, arrival.age, arrival.male)
    people = live(next(steps), arrival, prevalent.sum(1, dtype=np.int32))
    illness = fall_ill(next(steps), hospital, people, prevalent, has)
    own = levels(next(steps), people, illness)
    chart = Chart(people)
    scores = Scores()
    stays = ordinary_care(chart, next(steps), hospital, people, illness, own)
    fall_septic(chart, next(steps), people, own, stays, scores)
    for which in range(len(comparisons.ALL)):
        comparisons.compare(chart, next(steps), hospital, people, illness, own, which)
    itch(chart, next(steps), people, vocabulary.products(HYDROCORTISONE)[0])
    unrelated(chart, next(steps), people, illness)
    be_rare(chart, next(steps), people, rare)
    last_visits(chart, next(steps), people)
    return Chunk(tables=ChunkTables(hospital, number, chart).all(), scores=scores)


def sizes(persons: int) -> list[int]:
    """How many people are in each chunk of a hospital."""
    whole, rest = divmod(persons, CHUNK)
    return [CHUNK] * whole + [rest] * (rest > 0)


def _streams(hospital: Hospital, number: int) -> Iterator[Rng]:
    return iter(
        [np.random.Generator(np.random.SFC64(seed)) for seed in hospital.stream(1, number).spawn(_STEPS)]
    )
