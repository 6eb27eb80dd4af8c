"""The referee of subsets: which stays are kept, stay by stay. Slow and obvious; `dure.engines.subsets` must agree with it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

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

Stay = tuple[int, date, date]
"""Person, first day, last day."""
Tables = Mapping[str, Sequence[Mapping[str, Any]]]


def evaluate(
    definition: SubsetDefinition, stays: Iterable[Stay], cohorts: Mapping[int, Sequence[Stay]], tables: Tables
) -> list[Stay]:
    """The stays that a definition keeps, in order.

    Args:
        cohorts: the stays of the other cohorts, by id.
        tables: rows of `person` and `observation_period`.
    """
    kept = sorted(stays)
    for operator in definition.operators:
        match operator:
            case LimitOperator():
                kept = _limited(operator, kept, tables)
            case DemographicOperator():
                kept = [stay for stay in kept if _fits(operator, stay, tables)]
            case CohortOperator():
                kept = _beside(operator, kept, cohorts)
    return kept


def _limited(operator: LimitOperator, stays: list[Stay], tables: Tables) -> list[Stay]:
    def observed(stay: Stay) -> bool:
        person, start, _ = stay
        return not operator.looks_at_observation or any(
            period["person_id"] == person
            and (start - period["observation_period_start_date"]).days >= operator.prior_days
            and (period["observation_period_end_date"] - start).days >= operator.follow_up_days
            and period["observation_period_start_date"] <= start <= period["observation_period_end_date"]
            for period in tables["observation_period"]
        )

    kept = [stay for stay in stays if observed(stay)] if operator.limit in REMAINING else stays
    if operator.limit is not Limit.ALL:
        at = -1 if operator.limit in LATEST else 0
        kept = [list(group)[at] for _, group in groupby(kept, key=lambda stay: stay[0])]
    return [
        stay
        for stay in kept
        if observed(stay)
        and (operator.first_day is None or stay[1] >= operator.first_day)
        and (operator.last_day is None or stay[1] <= operator.last_day)
        and (stay[2] - stay[1]).days >= operator.least_days
    ]


def _fits(operator: DemographicOperator, stay: Stay, tables: Tables) -> bool:
    return any(
        person["person_id"] == stay[0]
        and person["year_of_birth"] is not None
        and operator.age_least <= stay[1].year - person["year_of_birth"] <= operator.age_most
        and all(person[name] in ids for name, ids in operator.concepts)
        for person in tables["person"]
    )


def _beside(operator: CohortOperator, stays: list[Stay], cohorts: Mapping[int, Sequence[Stay]]) -> list[Stay]:
    def cohorts_beside(stay: Stay) -> set[int]:
        return {
            each
            for each in operator.cohorts
            if any(
                other[0] == stay[0] and all(_within(window, stay, other) for window in operator.windows)
                for other in cohorts[each]
            )
        }

    found = [stay for stay in stays if len(cohorts_beside(stay)) >= operator.least]
    if not operator.negate:
        return found
    known = {(person, start) for person, start, _ in found}
    return [stay for stay in stays if stay[:2] not in known]


def _within(window: Window, target: Stay, other: Stay) -> bool:
    distance = (_day(other, window.other) - _day(target, window.target)).days
    return (window.first <= distance <= window.last) is not window.negate


def _day(stay: Stay, anchor: Anchor) -> date:
    return stay[1] if anchor is Anchor.START else stay[2]
