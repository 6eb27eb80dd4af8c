"""The analyses that covariates come from, with the numbers that OHDSI's FeatureExtraction gives them.

Responsible for: which table, columns and window each number stands for, and how a covariate's id is made of it. Not responsible
for: reading a database (`scans`), scores (`scores`).

Source: OHDSI FeatureExtraction 3, `PrespecAnalyses.csv` and its documented formulas. Left out: 12 (care sites: a hospital's own
numbers), 902 and 926 (DCSI and the frailty score, which are made of ICD-9 and ICD-10 source codes).
"""

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dure.omop.events import EVENT_TABLES
from dure.wire.codec import message

Ids = NDArray[np.int64]
Start = Literal["any", "long", "medium", "short", "end"]
Family = Literal[
    "demographic", "concept", "group", "value", "range", "pair", "score", "distinct", "count", "concept count"
]
ANY_LONG_MEDIUM_SHORT: tuple[Start, ...] = ("any", "long", "medium", "short")
DAYS = {
    "any": "AnyTimePrior",
    "long": "LongTerm",
    "medium": "MediumTerm",
    "short": "ShortTerm",
    "end": "Overlapping",
}
LONGEST = 36_525


@message
class Windows:
    """Days relative to the index day (0) on which windows start, and the one on which all of them end; both inclusive."""

    long: Annotated[int, Field(title="Long term from day", ge=-LONGEST, le=LONGEST)] = -365
    medium: Annotated[int, Field(title="Medium term from day", ge=-LONGEST, le=LONGEST)] = -180
    short: Annotated[int, Field(title="Short term from day", ge=-LONGEST, le=LONGEST)] = -30
    end: Annotated[int, Field(title="Until day", ge=-LONGEST, le=LONGEST)] = 0

    def __str__(self) -> str:
        """As a board reads it."""
        return f"days {self.long}, {self.medium} and {self.short} to {self.end}"

    def first(self, start: Start) -> int | None:
        """The first day of a window; None: any time before."""
        return None if start == "any" else int(getattr(self, start))


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """One analysis.

    Attributes:
        table: the CDM table that it reads; "" for demographics.
        start: where its window starts.
        lasting: whether an event counts that began before the window and reaches into it; else it must begin in it.
        inpatient: whether only events during a stay count.
    """

    id: int
    name: str
    family: Family
    table: str = ""
    start: Start = "any"
    lasting: bool = False
    inpatient: bool = False

    @property
    def binary(self) -> bool:
        """Whether its covariates are 0 or 1; absent means 0."""
        if self.family == "demographic":
            return self.id not in {2, 8, 9, 10}
        return self.family in {"concept", "group", "range", "pair"}

    @property
    def zero_if_absent(self) -> bool:
        """Whether nobody's value is missing: where nothing is recorded it is 0."""
        return self.binary or self.family in {"score", "distinct", "count", "concept count"}


def identify(analysis: Analysis, first: Ids, second: Ids | None = None) -> Ids:
    """Covariate ids.

    Args:
        first: concepts; for demographics what stands in their place; for scores and counts ones.
        second: units (value), 1 to 3 for below, within and above the normal range (range), concepts of values (pair).
    """
    match analysis.family:
        case "value":
            assert second is not None
            return first * 1_000_000 + (second % 1000) * 1000 + analysis.id
        case "range":
            assert second is not None
            return first * 10_000 + second * 1000 + analysis.id
        case "pair":
            assert second is not None
            return _pair(first, second) + analysis.id
        case _:
            return first * 1000 + analysis.id


def _pair(concept: Ids, value: Ids) -> Ids:
    """Two concepts hashed into one id, of which three decimal places are left free (multiplicative hashing, Knuth)."""
    golden = np.uint64(2_654_435_769)
    high = (concept.astype(np.uint64) * golden // np.uint64(4096)) % np.uint64(1 << 20)
    low = (value.astype(np.uint64) * golden // np.uint64(1024)) % np.uint64(1 << 22)
    return (high * np.uint64(4_194_304_000) + low * np.uint64(1000)).astype(np.int64)


def concept_of(covariate: int) -> int:
    """The concept that a covariate is about; 0 where it is about none, or its id is a hash."""
    match analysis_of(covariate).family:
        case "value":
            return covariate // 1_000_000
        case "range":
            return covariate // 10_000
        case "concept" | "group" | "concept count":
            return covariate // 1000
        case _:
            return 0


def analysis_of(covariate: int) -> Analysis:
    """The analysis of a covariate. Raises KeyError where there is none."""
    return analyses()[covariate % 1000]


@cache
def analyses() -> MappingProxyType[int, Analysis]:
    """All analyses by their number."""
    found = [*_demographics(), *_occurrences(), *_measured(), *_eras("condition", 200), *_eras("drug", 400)]
    found += _scores_and_counts()
    return MappingProxyType({analysis.id: analysis for analysis in sorted(found, key=lambda each: each.id)})


def _demographics() -> list[Analysis]:
    names = (
        "Gender",
        "Age",
        "AgeGroup",
        "Race",
        "Ethnicity",
        "IndexYear",
        "IndexMonth",
        "PriorObservationTime",
        "PostObservationTime",
        "TimeInCohort",
        "IndexYearMonth",
    )
    return [
        Analysis(id=number, name=f"Demographics{name}", family="demographic")
        for number, name in enumerate(names, start=1)
    ]


def _series(
    first: int,
    name: str,
    family: Family,
    table: str,
    *,
    starts: tuple[Start, ...] = ANY_LONG_MEDIUM_SHORT,
    lasting: bool = False,
    inpatient: bool = False,
) -> list[Analysis]:
    return [
        Analysis(
            id=first + offset,
            name=name + DAYS[start],
            family=family,
            table=table,
            start=start,
            lasting=lasting,
            inpatient=inpatient,
        )
        for offset, start in enumerate(starts)
    ]


def _occurrences() -> list[Analysis]:
    inpatient = "ConditionOccurrencePrimaryInpatient"
    return [
        *_series(101, "ConditionOccurrence", "concept", "condition_occurrence"),
        *_series(105, inpatient, "concept", "condition_occurrence", inpatient=True),
        *_series(301, "DrugExposure", "concept", "drug_exposure"),
        *_series(501, "ProcedureOccurrence", "concept", "procedure_occurrence"),
        *_series(601, "DeviceExposure", "concept", "device_exposure"),
        *_series(701, "Measurement", "concept", "measurement"),
        *_series(801, "Observation", "concept", "observation"),
    ]


def _measured() -> list[Analysis]:
    return [
        *_series(705, "MeasurementValue", "value", "measurement"),
        *_series(709, "MeasurementRangeGroup", "range", "measurement"),
        *_series(713, "MeasurementValueAsConcept", "pair", "measurement"),
        *_series(805, "ObservationValueAsConcept", "pair", "observation"),
        *_series(809, "ObservationValue", "value", "observation"),
    ]


def _eras(domain: str, hundred: int) -> list[Analysis]:
    """Sixteen a domain: concepts then groups, each by any overlap, overlap with the last day, and start in the window."""
    table, name = f"{domain}_era", domain.capitalize()
    found: list[Analysis] = []
    kinds: tuple[tuple[int, str, Family], ...] = (
        (1, f"{name}Era", "concept"),
        (9, f"{name}GroupEra", "group"),
    )
    for first, title, family in kinds:
        reaching: tuple[Start, ...] = (*ANY_LONG_MEDIUM_SHORT, "end")
        found += _series(hundred + first, title, family, table, starts=reaching, lasting=True)
        found += _series(
            hundred + first + 5, f"{title}Start", family, table, starts=ANY_LONG_MEDIUM_SHORT[1:]
        )
    return found


def _scores_and_counts() -> list[Analysis]:
    found = [
        Analysis(id=number, name=name, family="score", table="condition_era", lasting=True)
        for number, name in ((901, "CharlsonIndex"), (903, "Chads2"), (904, "Chads2Vasc"))
    ]
    starts = ANY_LONG_MEDIUM_SHORT[1:]
    for first, noun, table in (
        (905, "Condition", "condition_era"),
        (908, "Ingredient", "drug_era"),
        (911, "Procedure", "procedure_occurrence"),
        (914, "Measurement", "measurement"),
        (917, "Observation", "observation"),
    ):
        found += _series(
            first,
            f"Distinct{noun}Count",
            "distinct",
            table,
            starts=starts,
            lasting=EVENT_TABLES[table].end is not None,
        )
    found += _series(920, "VisitCount", "count", "visit_occurrence", starts=starts, lasting=True)
    found += _series(
        923, "VisitConceptCount", "concept count", "visit_occurrence", starts=starts, lasting=True
    )
    return found
