"""The answer of a comparison: tables with stable names, and how they are drawn. Everything is computed from released numbers."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dure.features.table_one import domain
from dure.stats.intervals import Estimate, ratio
from dure.stats.meta import Pooled, pool
from dure.stats.negative_controls import Null, calibrated, p_value
from dure.stats.survival_curves import AtRisk, kaplan_meier
from dure.stats.weighted_rates import Risk, WeightedRatesResult, risk_difference, risks
from dure.study.kinds.base import NETWORK
from dure.study.kinds.effect import adjust, models
from dure.study.kinds.effect.diagnostics import (
    coefficient,
    diagnostics,
    differences,
    equipoise,
    error_of,
    null_of,
)
from dure.study.kinds.effect.spec import (
    ADJUSTED,
    ARMS,
    BALANCE,
    COVARIATES,
    CRUDE,
    CRUDE_RISKS,
    CURVES,
    POWER,
    PROPENSITY,
    RISKS,
    SCORES,
    Effect,
    control_step,
    controls_of,
    covariates_of,
)
from dure.study.report import Chart, Table, Value

SHOWN = 20
RATIOS = {"cox": "hazard ratio", "poisson": "rate ratio", "logistic": "odds ratio"}
INTERVAL = ("ratio", "ratio_low", "ratio_high", "log_ratio", "se", "p_value")
Row = tuple[Value, ...]
ByStep = Mapping[str, Any]


def tables(spec: Effect, results: Mapping[str, Mapping[str, Any]]) -> tuple[Table, ...]:
    """Every table; those of which there is nothing have no rows."""
    places = list(dict.fromkeys(place for found in results.values() for place in found))
    at = {
        place: {step: found[place] for step, found in results.items() if place in found} for place in places
    }

    def table(name: str, title: str, columns: tuple[str, ...], rows: Any) -> Table:
        return Table(
            name=name,
            title=title,
            columns=("hospital", *columns),
            rows=tuple((place, *row) for place in places for row in rows(spec, at[place])),
        )

    made = [
        table("effect", "Effect", ("estimate", "measure", *INTERVAL), _effects),
        table("forest", "Effect by hospital", ("ratio", "ratio_low", "ratio_high"), _own),
        table("diagnostics", "Diagnostics", ("diagnostic", "value", "limit", "result"), _diagnostics),
        table(
            "risks",
            "Risks",
            ("estimate", "day", "group", "risk_percent", "risk_low", "risk_high"),
            _risks,
        ),
        table(
            "risk_difference",
            "Risk difference",
            ("estimate", "day", "difference_percent", "difference_low", "difference_high"),
            _risk_differences,
        ),
        table("curves", "Survival", ("day", "group", "survival", "survival_low", "survival_high"), _curves),
        table("people", "People compared", ("stage", "group", "people"), _people),
        table("events", "People with the outcome", ("group", "people", "outcomes", "person_years"), _events),
        table(
            "love",
            "Standardised differences before and after adjusting",
            ("covariate", "when", "smd"),
            _love,
        ),
        table(
            "balance",
            "Balance",
            ("domain", "covariate_id", "covariate", "kept", "smd_before", "smd_after"),
            _balance,
        ),
        table(
            "preference",
            "Preference scores",
            ("preference_score", "group", "people", "density"),
            _preference,
        ),
        table("propensity", "Propensity model", ("covariate_id", "covariate", "coefficient"), _propensity),
        table("controls", "Negative controls", ("control", *INTERVAL), _controls),
    ]
    forest = made[1]
    made[1] = Table(
        name=forest.name,
        title=forest.title,
        columns=("hospital", "ratio", "ratio_low", "ratio_high"),
        rows=(*(row for row in forest.rows if len(places) > 1), *_pooled(spec, at)),
    )
    made.append(
        Table(
            name="heterogeneity",
            title="Heterogeneity between hospitals",
            columns=("hospitals", "tau2", "i2_percent", "predicted_low", "predicted_high"),
            rows=tuple(_heterogeneity(at)),
        )
    )
    return tuple(made)


def _effects(spec: Effect, at: ByStep) -> Iterator[Row]:
    null = null_of(spec, at)
    for step in (CRUDE, ADJUSTED):
        found = coefficient(at.get(step))
        if found is not None:
            yield (step, RATIOS[spec.model], *_interval(found.estimate, error_of(found)))
            if step == ADJUSTED and null is not None:
                yield ("calibrated", RATIOS[spec.model], *_calibrated(null, found.estimate, error_of(found)))


def _interval(log_ratio: float, se: float) -> Row:
    found = ratio(log_ratio, se)
    p = p_value(Null(mean=0.0, sd=0.0), log_ratio, se)
    return (found.value, found.low, found.high, log_ratio, se, p)


def _calibrated(null: Null, log_ratio: float, se: float) -> Row:
    found = calibrated(null, log_ratio, se)
    return (found.value, found.low, found.high, math.log(found.value), found.se, p_value(null, log_ratio, se))


def _own(spec: Effect, at: ByStep) -> Iterator[Row]:
    found = coefficient(at.get(ADJUSTED))
    if found is not None:
        yield _interval(found.estimate, error_of(found))[:3]


def _meta(at: Mapping[str, ByStep]) -> Pooled | None:
    found = [coefficient(mine.get(ADJUSTED)) for place, mine in at.items() if place != NETWORK]
    known = [each for each in found if each is not None and error_of(each) > 0]
    if len(known) < 2:
        return None
    return pool([each.estimate for each in known], [error_of(each) ** 2 for each in known])


def _pooled(spec: Effect, at: Mapping[str, ByStep]) -> Iterator[Row]:
    found = _meta(at)
    if found is not None:
        yield ("all (random effects)", *(float(np.exp(each)) for each in (found.mean, found.low, found.high)))


def _heterogeneity(at: Mapping[str, ByStep]) -> Iterator[Row]:
    found = _meta(at)
    if found is not None:
        bounds = [
            None if each is None else math.exp(each) for each in (found.predicted_low, found.predicted_high)
        ]
        yield (sum(place != NETWORK for place in at), found.tau2, found.i2, *bounds)


def _diagnostics(spec: Effect, at: ByStep) -> Iterator[Row]:
    for each in diagnostics(spec, at):
        yield (each.name, each.value, each.limit, "passed" if each.passes else "failed")


def _estimates(spec: Effect, at: ByStep) -> Iterator[tuple[str, list[list[Risk]]]]:
    """Risks by arm at the ends of the intervals, crude and adjusted."""
    for step, name, most in ((CRUDE_RISKS, CRUDE, 1.0), (RISKS, ADJUSTED, spec.largest_weight)):
        found = at.get(step)
        if isinstance(found, WeightedRatesResult):
            yield name, [risks(models.rates(spec, most), pieces) for pieces in found.groups]


def _risks(spec: Effect, at: ByStep) -> Iterator[Row]:
    for name, arms in _estimates(spec, at):
        for arm, found in zip(ARMS, arms, strict=True):
            for each in found:
                yield (name, each.day, arm, 100 * each.value, 100 * each.low, 100 * each.high)


def _risk_differences(spec: Effect, at: ByStep) -> Iterator[Row]:
    for name, (target, comparator) in _estimates(spec, at):
        for one, other in zip(target, comparator, strict=False):
            if one.day == spec.horizon:
                found: Estimate = risk_difference(one, other)
                yield (name, one.day, 100 * found.value, 100 * found.low, 100 * found.high)


def _curves(spec: Effect, at: ByStep) -> Iterator[Row]:
    found = at.get(CURVES)
    if found is None or found.edges is None:
        return
    for arm in ARMS:
        curve = kaplan_meier(AtRisk.of(found.edges, found.groups[f"arm/{arm}"]))
        yield (0, arm, 1.0, 1.0, 1.0)
        for day, value, low, high in zip(
            *(each.tolist() for each in (curve.day, curve.value, curve.low, curve.high)), strict=True
        ):
            yield (int(day), arm, value, _number(low), _number(high))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _people(spec: Effect, at: ByStep) -> Iterator[Row]:
    for stage, step in (("new users with time at risk", COVARIATES), ("left after adjusting", BALANCE)):
        if step in at:
            for arm, group in zip(ARMS, at[step].groups, strict=True):
                yield (stage, arm, group.people)
    if POWER in at:
        yield ("with the outcome", "both", at[POWER].stages[1])


def _events(spec: Effect, at: ByStep) -> Iterator[Row]:
    """Up to the horizon; hidden as soon as one interval is."""
    found = at.get(CRUDE_RISKS)
    if found is None:
        return
    edges = models.rates(spec, 1.0).edges
    widths = np.diff(edges) / models.DAYS_A_YEAR
    for arm, pieces in zip(ARMS, found.groups, strict=True):
        if any(piece is None for piece in pieces):
            yield (arm, None if pieces[0] is None else pieces[0].people, None, None)
        else:
            years = sum(piece.exposure * width for piece, width in zip(pieces, widths, strict=True))
            yield (arm, pieces[0].people, sum(piece.events for piece in pieces), float(years))


def _smds(spec: Effect, at: ByStep) -> tuple[Any, Any, Any] | None:
    """Kept or not, before, after; the last is all NaN where nothing was adjusted."""
    scale = adjust.scale_of(spec, at[COVARIATES]) if COVARIATES in at else None
    if scale is None:
        return None
    after = differences(spec, at[COVARIATES], at[BALANCE]) if BALANCE in at else None
    return scale.kept, scale.smd, np.full(len(scale.kept), np.nan) if after is None else after


def _balance(spec: Effect, at: ByStep) -> Iterator[Row]:
    """Those that differ most come first, before or after adjusting."""
    found = _smds(spec, at)
    if found is None:
        return
    kept, before, after = found
    for place in _by_difference(before, after):
        each = covariates_of(spec)[place]
        yield (
            domain(each.id),
            str(each.id),
            each.name,
            "yes" if kept[place] else "no",
            _number(float(before[place])),
            _number(float(after[place])),
        )


def _by_difference(before: Any, after: Any) -> list[int]:
    """Places of covariates, the largest difference first, before or after."""
    largest = np.fmax(np.abs(np.nan_to_num(before)), np.abs(np.nan_to_num(after)))
    places: list[int] = np.argsort(-largest, kind="stable").tolist()
    return places


def _love(spec: Effect, at: ByStep) -> Iterator[Row]:
    """The covariates that differ most, before or after."""
    found = _smds(spec, at)
    if found is None:
        return
    _, before, after = found
    for place in _by_difference(before, after)[:SHOWN]:
        for when, values in (("before", before), ("after", after)):
            if not math.isnan(values[place]):
                yield (covariates_of(spec)[place].name, when, float(values[place]))


def _preference(spec: Effect, at: ByStep) -> Iterator[Row]:
    """The density by arm, a step from each edge of the table."""
    if SCORES not in at:
        return
    found = adjust.scores_of(at[SCORES])
    if equipoise(found) is None:
        return
    edges = adjust.gathered(np.array(found.edges))
    widths = np.diff(edges)
    for arm, people in zip(ARMS, (found.people[1], found.people[0]), strict=True):
        counts = np.array(people, dtype=np.float64)
        density = counts / max(counts.sum(), 1) / widths
        for edge, count, height in zip(edges.tolist(), people, density.tolist(), strict=False):
            yield (edge, arm, count, height)
        yield (1.0, arm, None, float(density[-1]))


def _propensity(spec: Effect, at: ByStep) -> Iterator[Row]:
    solution = adjust.chosen(at[PROPENSITY]) if PROPENSITY in at else None
    if solution is None:
        return
    names = {str(each.id): each.name for each in covariates_of(spec)}
    for key, value in sorted(solution.coefficients.items(), key=lambda pair: -abs(pair[1])):
        yield (key, names[key], value)


def _controls(spec: Effect, at: ByStep) -> Iterator[Row]:
    for number, control in enumerate(controls_of(spec)):
        if control_step(number) in at:
            found = coefficient(at[control_step(number)])
            empty = (None,) * len(INTERVAL)
            yield (
                control.name,
                *(empty if found is None else _interval(found.estimate, error_of(found))),
            )


def charts(spec: Effect) -> tuple[Chart, ...]:
    """How the tables are drawn."""
    return (
        Chart(
            table="effect",
            title="Effect",
            form="forest",
            x="estimate",
            y="ratio",
            low="ratio_low",
            high="ratio_high",
            panel="hospital",
            reference=(1.0,),
            log=True,
        ),
        Chart(
            table="forest",
            title="Effect by hospital",
            form="forest",
            x="hospital",
            y="ratio",
            low="ratio_low",
            high="ratio_high",
            reference=(1.0,),
            log=True,
        ),
        Chart(
            table="curves",
            title="Survival",
            form="step",
            x="day",
            y="survival",
            low="survival_low",
            high="survival_high",
            panel="hospital",
            group="group",
        ),
        Chart(
            table="love",
            title="Standardised differences before and after adjusting",
            form="forest",
            x="covariate",
            y="smd",
            panel="hospital",
            group="when",
            reference=(-spec.most_smd, 0.0, spec.most_smd),
        ),
        Chart(
            table="preference",
            title="Preference scores",
            form="step",
            x="preference_score",
            y="density",
            panel="hospital",
            group="group",
        ),
        Chart(
            table="controls",
            title="Negative controls",
            form="forest",
            x="control",
            y="ratio",
            low="ratio_low",
            high="ratio_high",
            panel="hospital",
            reference=(1.0,),
            log=True,
        ),
    )
