"""The steps of a comparison and their parameters: all of it follows from the spec."""

from collections import OrderedDict
from math import log

import numpy as np

from dure.features.analyses import analysis_of
from dure.features.table_one import nested, partitions
from dure.stats.balance import Balance, BalanceParams
from dure.stats.characteristics import Characteristics, CharacteristicsParams
from dure.stats.counts import Counts, CountsParams
from dure.stats.cox import Cox
from dure.stats.cox_model import CoxParams
from dure.stats.design import Covariate, binary, continuous
from dure.stats.families import Family
from dure.stats.glm import Glm
from dure.stats.glm_model import Bounds, GlmParams
from dure.stats.lasso import Lasso, LassoParams
from dure.stats.risk_table import RiskTable, RiskTableParams
from dure.stats.score_table import ScoreTable, ScoreTableParams
from dure.stats.strata import Strata
from dure.stats.weighted_rates import WeightedRates, WeightedRatesParams
from dure.study.kinds.base import Step
from dure.study.kinds.effect import adjust
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
    TARGET,
    Effect,
    control_step,
    controls_of,
    covariates_of,
)
from dure.wire.codec import encode

DAYS_A_YEAR = 365.25
LARGEST_VALUE, LARGEST_COUNT = 1e9, 1e5
NEAR = 0.1
"""How near to its minimum the propensity model is fitted: derivatives, as a share of the penalty.

Nearer costs rounds. In simulated networks it moves what is found with strata by 0.04 standard errors at most, with weights by 0.004; one to
one matches change with the least change of a score, to others as good: by 0.1 on average.
"""
CUTS = 8
CURVE_INTERVALS = 64
MOST_KEPT = 4
PLACED = (COVARIATES, PROPENSITY, SCORES)
"""What a person's stratum, weight or match follows from."""


_kept: OrderedDict[bytes, tuple[Step, ...]] = OrderedDict()
_latest: list[tuple[Effect, tuple[Step, ...]]] = []


def steps(spec: Effect) -> tuple[Step, ...]:
    """Diagnostics first, then the outcome, which needs them all.

    They are asked for with every message of a run, and of thousands of covariates they (and their layouts) take a while: those of
    the latest studies are kept, found by the object or, where it was read anew, by its bytes.
    """
    for known, made in _latest:
        if known is spec:
            return made
    key = encode(spec)
    made = _kept[key] if key in _kept else _made(spec)
    _kept[key] = made
    _kept.move_to_end(key)
    while len(_kept) > MOST_KEPT:
        _kept.popitem(last=False)
    _latest[:] = [(spec, made), *_latest[: MOST_KEPT - 1]]
    return made


def _made(spec: Effect) -> tuple[Step, ...]:
    controls = tuple(control_step(number) for number in range(len(controls_of(spec))))
    opened_by = (*PLACED, BALANCE, POWER, *controls)
    crude, model = outcome_model(spec, adjusted=False), outcome_model(spec, adjusted=True)
    made = [
        Step(name=COVARIATES, statistic=Characteristics(), params=_characteristics(spec)),
        Step(name=PROPENSITY, statistic=Lasso(), params=_lasso(spec), needs=(COVARIATES,)),
        _scores(spec),
        Step(
            name=BALANCE,
            statistic=Balance(),
            params=BalanceParams(groups=ARMS, covariates=_columns(spec), largest_weight=spec.largest_weight),
            needs=PLACED,
        ),
        Step(
            name=POWER,
            statistic=Counts(),
            params=CountsParams(stages=("at risk", "with the outcome"), strata=()),
            needs=PLACED,
        ),
    ]
    made += [_modelled(name, model, PLACED) for name in controls]
    made += [_modelled(CRUDE, crude, opened_by), _modelled(ADJUSTED, model, opened_by)]
    if spec.curves and not spec.separately:
        made.append(Step(name=CURVES, statistic=RiskTable(), params=_curves(spec), needs=opened_by))
    made += [
        Step(name=name, statistic=WeightedRates(), params=rates(spec, most), needs=opened_by)
        for name, most in ((CRUDE_RISKS, 1.0), (RISKS, spec.largest_weight))
    ]
    return tuple(made)


def outcome_model(spec: Effect, *, adjusted: bool) -> CoxParams | GlmParams:
    """The model of an outcome. Each hospital has a baseline, or an intercept, of its own."""
    weighted = adjusted and spec.adjustment == "weight"
    stratified = adjusted and spec.adjustment == "stratify"
    weight = Bounds(low=0.0, high=spec.largest_weight) if weighted else None
    target = binary(TARGET)
    if spec.model == "cox":
        return CoxParams(covariates=(target,), weight=weight, stratified=stratified, robust=weighted)
    dummies = tuple(binary(stratum_name(number)) for number in range(1, spec.strata)) if stratified else ()
    rate = spec.model == "poisson"
    return GlmParams(
        family=Family.POISSON if rate else Family.BINOMIAL,
        covariates=(target, *dummies),
        weight=weight,
        offset=Bounds(low=log(1 / DAYS_A_YEAR), high=log(100.0)) if rate else None,
        hospital_intercepts=True,
        robust=weighted,
    )


def _scores(spec: Effect) -> Step:
    """On a grid that is halved as far as the gate lets it; in equal parts, in one round, where hospitals answer by themselves."""
    needs = (COVARIATES, PROPENSITY)
    if not spec.separately:
        return Step(name=SCORES, statistic=ScoreTable(), params=ScoreTableParams(cuts=CUTS), needs=needs)
    levels = tuple(f"{arm} {part}" for arm in reversed(ARMS) for part in range(adjust.PARTS))
    counts = CountsParams(stages=("scored",), strata=(Strata(name=adjust.SCORE, levels=levels),))
    return Step(name=SCORES, statistic=Counts(), params=counts, needs=needs)


def stratum_name(number: int) -> str:
    """The column of a stratum after the first."""
    return f"stratum {number + 1}"


def rates(spec: Effect, largest_weight: float) -> WeightedRatesParams:
    """Equal intervals up to the horizon."""
    return WeightedRatesParams(
        groups=ARMS, edges=_grid(spec.horizon, spec.pieces), largest_weight=largest_weight
    )


def _curves(spec: Effect) -> RiskTableParams:
    return RiskTableParams(
        edges=_grid(spec.horizon, CURVE_INTERVALS), breakdowns=(Strata(name="arm", levels=ARMS),)
    )


def _grid(horizon: int, parts: int) -> tuple[int, ...]:
    return tuple(np.unique(np.rint(np.linspace(0, horizon, parts + 1)).astype(int)).tolist())


def _modelled(name: str, params: CoxParams | GlmParams, needs: tuple[str, ...]) -> Step:
    return Step(
        name=name, statistic=Cox() if isinstance(params, CoxParams) else Glm(), params=params, needs=needs
    )


def _characteristics(spec: Effect) -> CharacteristicsParams:
    ids = [each.id for each in covariates_of(spec)]
    flags = adjust.binary(spec)
    families = [analysis_of(each).family for each in ids]
    return CharacteristicsParams(
        groups=ARMS,
        covariates=tuple(str(each) for each in ids),
        measured={
            at: LARGEST_VALUE if family == "value" else LARGEST_COUNT
            for at, family in enumerate(families)
            if not flags[at]
        },
        partitions=partitions(ids),
        nested=nested(ids, spec.windows),
    )


def _columns(spec: Effect) -> tuple[Covariate, ...]:
    """The covariates as `adjust.prepared` makes them."""
    flags = adjust.binary(spec).tolist()
    return tuple(
        binary(str(each.id)) if flag else continuous(str(each.id), -adjust.MOST_UNITS, adjust.MOST_UNITS)
        for each, flag in zip(covariates_of(spec), flags, strict=True)
    )


def _lasso(spec: Effect) -> LassoParams:
    return LassoParams(
        family=Family.BINOMIAL,
        covariates=_columns(spec),
        penalties=(spec.penalty,),
        near=min(NEAR * spec.penalty, 1e-4),
        most_rounds=300,
    )
