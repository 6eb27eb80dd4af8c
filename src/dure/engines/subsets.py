"""Subsets of cohorts that were run: some of their stays, by arrays.

Responsible for: keeping the stays that a subset definition says, of rows at hand, with what an engine says of people. The same on every
engine, since none of it is SQL. Not responsible for: what an operator means (`dure.cohort.subset`), running cohorts (`cohorts`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlglot import exp

from dure.cohort.problems import Contradictory
from dure.cohort.subset.definition import (
    LATEST,
    REMAINING,
    Anchor,
    CohortOperator,
    DemographicOperator,
    Limit,
    LimitOperator,
    SubsetDefinition,
    Window,
)
from dure.engines.base import Engine

Whole = NDArray[np.int64]
Kept = NDArray[np.bool_]
NAMES = ("subject_id", "cohort_start_date", "cohort_end_date")
UNBORN = -(10**6)
"""The year of birth of who has none on record: no age fits."""


@dataclass(frozen=True, kw_only=True)
class _Stays:
    """Stays in the order of person, start, end. Days are counted from 1970. Shape (n,) each."""

    person: Whole
    start: Whole
    end: Whole

    @classmethod
    def of(cls, rows: pa.Table) -> "_Stays":
        columns = [rows[name].to_numpy() for name in NAMES]
        person = columns[0].astype(np.int64)
        start, end = (each.astype("datetime64[D]").astype(np.int64) for each in columns[1:])
        order = np.lexsort((end, start, person))
        return cls(person=person[order], start=start[order], end=end[order])

    def where(self, kept: Kept) -> "_Stays":
        return _Stays(person=self.person[kept], start=self.start[kept], end=self.end[kept])

    def day(self, anchor: Anchor) -> Whole:
        return self.start if anchor is Anchor.START else self.end

    def rows(self) -> pa.Table:
        days = [each.astype("datetime64[D]") for each in (self.start, self.end)]
        return pa.table(dict(zip(NAMES, (self.person, *days), strict=True)))


def subset(
    engine: Engine, definition: SubsetDefinition, target: pa.Table, cohorts: Mapping[int, pa.Table]
) -> pa.Table:
    """The rows of a cohort that a subset keeps, in order.

    Args:
        target, cohorts: rows as `cohorts.run` gives them (subject_id, cohort_start_date, cohort_end_date); cohorts by id.

    Raises:
        Contradictory: the definition names a cohort that isn't there.
        Problem: of the engine.
    """
    missing = sorted(set(definition.cohorts) - cohorts.keys())
    if missing:
        raise Contradictory(
            f"The subset looks at the cohort {missing[0]}, which isn't among those at hand.",
            where=f"subset {definition.id}, cohortIds",
            mend="Run that cohort too, or correct the id.",
        )
    others = {each: _Stays.of(cohorts[each]) for each in definition.cohorts}
    stays = _Stays.of(target)
    for operator in definition.operators:
        match operator:
            case LimitOperator():
                stays = _limited(engine, operator, stays)
            case DemographicOperator():
                stays = stays.where(_fitting(engine, operator, stays))
            case CohortOperator():
                stays = stays.where(_beside(operator, stays, others))
    return stays.rows()


def _limited(engine: Engine, operator: LimitOperator, stays: _Stays) -> _Stays:
    observed = _observed(engine, operator, stays)
    if operator.limit in REMAINING:
        stays, observed = stays.where(observed), observed[observed]
    kept = observed
    if operator.limit is not Limit.ALL:
        _, first, count = np.unique(stays.person, return_index=True, return_counts=True)
        chosen = np.zeros(len(stays.person), dtype=np.bool_)
        chosen[first + count - 1 if operator.limit in LATEST else first] = True
        kept = kept & chosen
    if operator.first_day is not None:
        kept = kept & (stays.start >= np.datetime64(operator.first_day).astype(np.int64))
    if operator.last_day is not None:
        kept = kept & (stays.start <= np.datetime64(operator.last_day).astype(np.int64))
    return stays.where(kept & (stays.end - stays.start >= operator.least_days))


def _observed(engine: Engine, operator: LimitOperator, stays: _Stays) -> Kept:
    """Whether each start lies in an observation period with enough of it on either side."""
    if not operator.looks_at_observation:
        return np.ones(len(stays.person), dtype=np.bool_)
    opens, closes = "observation_period_start_date", "observation_period_end_date"
    read = engine.query(exp.select("person_id", opens, closes).from_("observation_period"))
    periods = _Stays.of(read.rename_columns(list(NAMES)))
    at, other = _pairs(stays.person, periods.person)
    prior = stays.start[at] - periods.start[other]
    follow_up = periods.end[other] - stays.start[at]
    inside = (prior >= operator.prior_days) & (follow_up >= operator.follow_up_days)
    return _any(at[inside & (prior >= 0) & (follow_up >= 0)], len(stays.person))


def _fitting(engine: Engine, operator: DemographicOperator, stays: _Stays) -> Kept:
    names = ("person_id", "year_of_birth", *(name for name, _ in operator.concepts))
    people = engine.query(exp.select(*names).from_("person").order_by("person_id"))
    person = people["person_id"].to_numpy()
    born = people["year_of_birth"].combine_chunks().fill_null(UNBORN).to_numpy(zero_copy_only=False)
    row = np.minimum(np.searchsorted(person, stays.person), max(len(person) - 1, 0))
    if not len(person):
        return np.zeros(len(stays.person), dtype=np.bool_)
    year = stays.start.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    age = year - born[row]
    kept: Kept = (person[row] == stays.person) & (born[row] != UNBORN)
    kept &= (age >= operator.age_least) & (age <= operator.age_most)
    for name, ids in operator.concepts:
        concept = people[name].combine_chunks().fill_null(-1).to_numpy(zero_copy_only=False)
        kept &= np.isin(concept[row], np.array(ids, dtype=np.int64))
    return kept


def _beside(operator: CohortOperator, stays: _Stays, others: Mapping[int, _Stays]) -> Kept:
    number = np.zeros(len(stays.person), dtype=np.int64)
    for each in dict.fromkeys(operator.cohorts):
        at, other = _pairs(stays.person, others[each].person)
        inside = np.ones(len(at), dtype=np.bool_)
        for window in operator.windows:
            inside &= _within(window, stays, others[each], at, other)
        number += _any(at[inside], len(stays.person))
    found = number >= operator.least
    if not operator.negate:
        return found
    begins = np.stack([stays.person, stays.start], axis=1)
    _, known = np.unique(begins, axis=0, return_inverse=True)
    return ~np.isin(known, known[found])


def _within(window: Window, stays: _Stays, others: _Stays, at: Whole, other: Whole) -> Kept:
    distance = others.day(window.other)[other] - stays.day(window.target)[at]
    inside: Kept = (distance >= window.first) & (distance <= window.last)
    return ~inside if window.negate else inside


def _pairs(people: Whole, sorted_others: Whole) -> tuple[Whole, Whole]:
    """Positions of all pairs of one person, on the left and on the right. Shape (pairs,) each."""
    first = np.searchsorted(sorted_others, people, side="left")
    count = np.searchsorted(sorted_others, people, side="right") - first
    at = np.repeat(np.arange(len(people)), count)
    within = np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
    return at, np.repeat(first, count) + within


def _any(at: Whole, size: int) -> Kept:
    """Which positions are named at least once. Shape (size,)."""
    return np.bincount(at, minlength=size).astype(np.bool_)
