"""What opens an outcome, and which results of earlier steps are lawful questions.

Responsible for: judging what is carried, computing the diagnostics, saying why an outcome stays shut. Both hub and hospitals run it.

What `judge` stops: results that aren't shaped as their step's, numbers that aren't finite or are beyond what people can add, coefficients
of covariates that there aren't or beyond 40, tables whose edges don't ascend. What it doesn't: in `total` a hospital can't see whether a
carried result follows from the network's total. A hub that lies may choose coefficients or edges under which the people of a trim, a
stratum or a match differ by one from those of another run; a permit names the runs, thresholds count the people of each, and
the differences between populations are the guard's (SECURITY.md).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from dure.stats.balance import BalanceResult
from dure.stats.base import BadState
from dure.stats.characteristics import CharacteristicsResult
from dure.stats.counts import CountsResult
from dure.stats.cox import CoxResult
from dure.stats.glm import Coefficient, GlmResult
from dure.stats.negative_controls import Null, null_distribution
from dure.stats.penalised_path import LARGEST_COEFFICIENT, PathResult
from dure.stats.power import least_detectable_ratio
from dure.stats.problems import NoEstimate
from dure.stats.score_table import ScoreTableResult
from dure.study.kinds.effect import adjust
from dure.study.kinds.effect.spec import (
    BALANCE,
    COVARIATES,
    OUTCOME_STEPS,
    POWER,
    PROPENSITY,
    SCORES,
    TARGET,
    Effect,
    control_step,
    controls_of,
    covariates_of,
)

MOST_LOG_RATIO = 40.0


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One question that must be answered well before the outcome is asked about.

    Attributes:
        value: None where it can't be told.
        limit: that it must be below (or, for equipoise, at least).
    """

    name: str
    value: float | None
    limit: float
    passes: bool


SMD = "largest standardised difference after adjusting"
EQUIPOISE = "share of people in equipoise"
MDRR = "minimum detectable rate ratio"
EASE = "expected systematic error of negative controls"


def diagnostics(spec: Effect, results: Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    """All four, from results by step. What can't be told doesn't pass."""
    counts, scores, balance = (results.get(name) for name in (COVARIATES, SCORES, BALANCE))
    after = None if counts is None or balance is None else differences(spec, counts, balance)
    known = None if after is None else np.abs(after[~np.isnan(after)])
    largest = float(known.max()) if known is not None and len(known) else None
    share = None if scores is None else equipoise(adjust.scores_of(scores))
    ratio = detectable(spec, results)
    null = null_of(spec, results)
    ease = None if null is None else null.ease
    return (
        _below(SMD, largest, spec.most_smd),
        Diagnostic(
            name=EQUIPOISE,
            value=share,
            limit=spec.least_equipoise,
            passes=share is not None and share >= spec.least_equipoise,
        ),
        _below(MDRR, ratio, spec.most_mdrr),
        _below(EASE, ease, spec.most_ease),
    )


def _below(name: str, value: float | None, limit: float) -> Diagnostic:
    return Diagnostic(name=name, value=value, limit=limit, passes=value is not None and value < limit)


def lock(spec: Effect, step: str, carried: Mapping[str, Any]) -> str | None:
    """Why a step can't or mustn't be asked."""
    counts, model, scores = (carried.get(name) for name in (COVARIATES, PROPENSITY, SCORES))
    if counts is not None and adjust.scale_of(spec, counts) is None:
        return "One of the two groups has too few people to be shown."
    if model is not None and adjust.chosen(model) is None:
        return f"The propensity model has no estimate ({model.trouble})."
    if (
        scores is not None
        and spec.adjustment == "stratify"
        and not len(adjust.cut_points(spec, adjust.scores_of(scores)))
    ):
        return "The scores of the two groups overlap too little to make strata."
    if step not in OUTCOME_STEPS or spec.despite:
        return None
    failed = [each for each in diagnostics(spec, carried) if not each.passes]
    if not failed:
        return None
    told = "; ".join(
        f"{each.name} {'unknown' if each.value is None else f'{each.value:.3g}'}, limit {each.limit:g}"
        for each in failed
    )
    return f"The outcome stays shut, since diagnostics failed: {told}."


def differences(spec: Effect, counts: CharacteristicsResult, balance: BalanceResult) -> np.ndarray | None:
    """Standardised differences after adjusting; NaN where hidden or dropped. Shape (p,)."""
    scale = adjust.scale_of(spec, counts)
    if scale is None:
        return None
    means = np.array(
        [[np.nan if mean is None else mean for mean in group.means] for group in balance.groups],
        dtype=np.float64,
    )
    return scale.difference(means)


def equipoise(scores: ScoreTableResult) -> float | None:
    """The share of people whose preference score is 0.3 to 0.7, counting only parts of the table that lie within."""
    people = np.array(scores.people, dtype=np.float64)
    if not scores.edges or people.sum() <= 0:
        return None
    edges = np.array(scores.edges)
    inside = (edges[:-1] >= 0.25) & (edges[1:] <= 0.75)
    return float(people[:, inside].sum() / people.sum())


def detectable(spec: Effect, results: Mapping[str, Any]) -> float | None:
    """The minimum detectable rate ratio, from the people left after adjusting."""
    power, balance = results.get(POWER), results.get(BALANCE)
    if power is None or balance is None or power.stages[1] is None:
        return None
    target, comparator = (group.people for group in balance.groups)
    if not target or not comparator:
        return None
    try:
        return least_detectable_ratio(power.stages[1], target / (target + comparator))
    except NoEstimate:
        return None


def coefficient(result: CoxResult | GlmResult | None) -> Coefficient | None:
    """That of the target, where a model has an estimate."""
    if result is None or result.fit is None:
        return None
    return next(each for each in result.fit.coefficients if each.name == TARGET)


def error_of(found: Coefficient) -> float:
    """The standard error that intervals are made of: the robust one where there are weights."""
    return found.error if found.robust_error is None else found.robust_error


def null_of(spec: Effect, results: Mapping[str, Any]) -> Null | None:
    """The distribution of systematic error, where five negative controls have an estimate."""
    found = [coefficient(results.get(control_step(number))) for number in range(len(controls_of(spec)))]
    known = [each for each in found if each is not None and error_of(each) > 0]
    try:
        return null_distribution([each.estimate for each in known], [error_of(each) for each in known])
    except NoEstimate:
        return None


def judge(spec: Effect, carried: Mapping[str, Any]) -> None:
    """Raise BadState where something carried is no lawful question."""
    for name, result in carried.items():
        if not _lawful(spec, name, result):
            raise BadState(
                f"What is carried of {name} is no result that this study could have.",
                where="carried",
                mend="Nothing to do here.",
            )


def _lawful(spec: Effect, name: str, result: Any) -> bool:
    match result:
        case CharacteristicsResult():
            return _lawful_counts(spec, result)
        case PathResult():
            return _lawful_model(spec, result)
        case ScoreTableResult():
            return _lawful_scores(result)
        case BalanceResult():
            return len(result.groups) == 2 and all(
                len(group.means) == len(covariates_of(spec))
                and _sound((group.people, group.weight, group.squares))
                and all(mean is None or abs(mean) <= adjust.MOST_UNITS + 1e-9 for mean in group.means)
                for group in result.groups
            )
        case CountsResult() if name == SCORES:
            told = result.strata.get(adjust.SCORE, ())
            return len(told) == 2 * adjust.PARTS and len(result.strata) == 1 and _sound(told)
        case CountsResult():
            return len(result.stages) == 2 and not result.strata and _sound(result.stages)
        case CoxResult() | GlmResult():
            return _lawful_fit(result)
        case _:
            return False


def _lawful_counts(spec: Effect, result: CharacteristicsResult) -> bool:
    size = len(covariates_of(spec))
    measured = set(np.flatnonzero(~adjust.binary(spec)).tolist())
    return len(result.groups) == 2 and all(
        len(group.having) == size
        and set(group.total) == set(group.squares) == measured
        and _sound((group.people, *group.having, *group.squares.values()))
        and all(have is None or group.people is None or have <= group.people for have in group.having)
        and all(value is None or math.isfinite(value) for value in group.total.values())
        for group in result.groups
    )


def _lawful_model(spec: Effect, result: PathResult) -> bool:
    names = {str(each.id) for each in covariates_of(spec)}
    return all(
        set(solution.coefficients) <= names
        and all(
            abs(value) <= LARGEST_COEFFICIENT
            for value in (solution.intercept, *solution.coefficients.values())
        )
        for solution in result.path
    )


def _lawful_scores(result: ScoreTableResult) -> bool:
    edges, parts = result.edges, max(len(result.edges) - 1, 0)
    rows = (*result.people, *result.scores, *result.squares)
    return (
        (not edges or (edges[0] == 0 and edges[-1] == 1))
        and all(low < high for low, high in pairwise(edges))
        and (not edges or len(rows) == 6)
        and all(len(row) == parts and _sound(row) for row in rows)
    )


def _lawful_fit(result: CoxResult | GlmResult) -> bool:
    if result.fit is None:
        return True
    return sum(each.name == TARGET for each in result.fit.coefficients) == 1 and all(
        abs(each.estimate) <= MOST_LOG_RATIO and _sound((each.error, each.robust_error))
        for each in result.fit.coefficients
    )


def _sound(values: Iterable[float | int | None]) -> bool:
    """Whether numbers are finite and not below 0, hidden ones aside."""
    return all(value is None or (math.isfinite(value) and value >= 0) for value in values)
