"""Markers: a test's last result by the day of entry, as one of declared levels.

Responsible for: reading measurements, which result counts, which level it is in. Not responsible for: what levels are compared for.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sqlglot import exp

from dure.cohort.problems import MissingTable
from dure.engines.base import Engine
from dure.features.demographics import days
from dure.wire.codec import message

Ordinals = NDArray[np.int64]
Days = NDArray[np.datetime64]
LONGEST = 36_525
MOST_LEVELS, MOST_CONCEPTS = 10, 200
Concept = Annotated[int, Field(ge=0)]


@message
class MarkerLevel:
    """A result's level: one of some answers, or a number from `low` to less than `high`."""

    name: Annotated[str, Field(title="Name", min_length=1, max_length=80)]
    answers: Annotated[
        tuple[Concept, ...],
        Field(title="Answers", description="Concepts of `value_as_concept_id`.", max_length=MOST_CONCEPTS),
    ] = ()
    low: Annotated[float | None, Field(title="From")] = None
    high: Annotated[float | None, Field(title="To less than")] = None

    @property
    def numeric(self) -> bool:
        """Whether it is a range of numbers."""
        return self.low is not None or self.high is not None

    def __str__(self) -> str:
        """As a board reads it."""
        if not self.numeric:
            return f"{self.name} = {' or '.join(map(str, self.answers))}"
        low = "" if self.low is None else f"{self.low:g} <= "
        return f"{self.name} = {low}value" + ("" if self.high is None else f" < {self.high:g}")


@message
class Marker:
    """A test whose results divide people.

    Attributes:
        concepts: of measurements, as they stand in the table: without descendants.
        unit: the unit's concept, where levels are ranges: results in other units don't count.
    """

    name: Annotated[str, Field(title="Name", min_length=1, max_length=80)]
    concepts: Annotated[
        tuple[Concept, ...], Field(title="Measurements", min_length=1, max_length=MOST_CONCEPTS)
    ]
    levels: Annotated[tuple[MarkerLevel, ...], Field(title="Levels", min_length=2, max_length=MOST_LEVELS)]
    unit: Annotated[int | None, Field(title="Unit", description="Needed where levels are ranges.", ge=0)] = (
        None
    )
    days_before: Annotated[
        int,
        Field(
            title="Days before entry",
            description="Older results don't count.",
            ge=0,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = LONGEST

    def __str__(self) -> str:
        """As a board reads it."""
        unit = "" if self.unit is None else f" in unit {self.unit}"
        return (
            f"{self.name}: measurements {', '.join(map(str, self.concepts))}{unit} of the {self.days_before} days before;"
            f" {'; '.join(map(str, self.levels))}"
        )


@dataclass(frozen=True, kw_only=True)
class _Results:
    """Results of a marker's test, by person and day. All arrays have shape (n,); number is nan where there is none."""

    person: Ordinals
    day: Days
    answer: Ordinals
    number: NDArray[np.float64]


def levels(engine: Engine, marker: Marker, person: Ordinals, at: Days) -> Ordinals:
    """The level of each person's last result up to a day; the number of levels where there is none in a level.

    Args:
        person: ascending; at: the day of each. Both have shape (n,).
    """
    results = _read(engine, marker)
    row = np.searchsorted(person, results.person)
    inside = row < len(person)
    inside[inside] = person[row[inside]] == results.person[inside]
    age = np.full(len(row), -1, dtype=np.int64)
    age[inside] = (at[row[inside]] - results.day[inside]).astype(np.int64)
    kept = np.flatnonzero(inside & (age >= 0) & (age <= marker.days_before))
    # Of two results of one day the larger counts: the order of rows means nothing.
    order = kept[np.lexsort((results.number[kept], results.answer[kept], -age[kept], row[kept]))]
    last = order[np.append(row[order][1:] != row[order][:-1], True)] if len(order) else order
    found = np.full(len(person), len(marker.levels), dtype=np.int64)
    for place in reversed(range(len(marker.levels))):
        level = marker.levels[place]
        if level.numeric:
            low = -np.inf if level.low is None else level.low
            high = np.inf if level.high is None else level.high
            holds = (low <= results.number[last]) & (results.number[last] < high)
        else:
            holds = np.isin(results.answer[last], level.answers)
        found[row[last[holds]]] = place
    return found


def _read(engine: Engine, marker: Marker) -> _Results:
    if not engine.has("measurement"):
        raise MissingTable(
            "The database has no table measurement, which the study reads.",
            where=f"{engine.dataset.source}: table measurement",
            mend="Load the table (it may be empty), or leave the marker out.",
        )
    names = ("person_id", "measurement_date", "value_as_concept_id", "value_as_number")
    query = exp.select(*names).from_("measurement")
    query = query.where(exp.column("measurement_concept_id").isin(*marker.concepts))
    if marker.unit is not None:
        query = query.where(exp.column("unit_concept_id").eq(marker.unit))
    rows = engine.query(query)
    answer = rows["value_as_concept_id"].combine_chunks().fill_null(0).to_numpy(zero_copy_only=False)
    number = rows["value_as_number"].combine_chunks().fill_null(np.nan).to_numpy(zero_copy_only=False)
    return _Results(
        person=rows["person_id"].to_numpy(),
        day=days(rows["measurement_date"].to_numpy()),
        answer=answer,
        number=number,
    )
