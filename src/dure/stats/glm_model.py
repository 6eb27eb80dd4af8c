"""What a generalised linear model is asked about: its parameters, which coefficients are lawful, and its layout.

Responsible for: bounds, of coefficients and of what one person can add. Not responsible for: the arithmetic (`glm_kernel`), the
estimate (`glm`).
"""

from functools import lru_cache
from math import exp, inf, log
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats import no_fit
from dure.stats.design import (
    EVERYONE,
    MOST_PEOPLE_BITS,
    BadDesign,
    Cells,
    Covariate,
    cells,
    check,
    continuous,
    fraction_bits,
    triangle,
)
from dure.stats.families import CANONICAL, COUNTED, LARGEST_LOG, LARGEST_LOGIT, LARGEST_OWN_INTERCEPT, Family
from dure.stats.glm_kernel import (
    MOST_PEARSON,
    MOST_RESIDUAL,
    MOST_SCORE_PEOPLE,
    Asked,
)
from dure.wire.codec import message
from dure.wire.sums import Field, FieldKind, Layout, Model, Unit

LARGEST_LOG_THETA = 15.0
TAKEN = ("outcome", "weight", "offset", "hospital", "(Intercept)")


@message
class Bounds:
    """Values outside count as at the bounds."""

    low: float
    high: float


@message
class GlmParams:
    """A model.

    Attributes:
        outcome: its bounds; a binomial one lies within 0 and 1.
        weight, offset: the bounds of prior weights and of an offset, where the model has them.
        theta: of the negative binomial; None has it estimated.
        hospital_intercepts: one intercept for each hospital instead of one for all.
        robust, clustered: whether HC0 and clustered-by-hospital standard errors are asked for.
    """

    family: Family
    covariates: tuple[Covariate, ...]
    outcome: Bounds = Bounds(low=0.0, high=1.0)
    weight: Bounds | None = None
    offset: Bounds | None = None
    theta: Annotated[float, Checked(gt=0, le=1e6)] | None = None
    hospital_intercepts: bool = False
    robust: bool = False
    clustered: bool = False
    most_rounds: Annotated[int, Checked(ge=2, le=100)] = 30

    def __post_init__(self) -> None:
        """Raise BadDesign where names clash or bounds are none."""
        check(self.covariates, TAKEN)
        _outcome(self)
        _quantity("weight", self.weight)
        _quantity("offset", self.offset)
        least = {
            Family.BINOMIAL: 0.0,
            Family.POISSON: 0.0,
            Family.NEGATIVE_BINOMIAL: 0.0,
            Family.GAMMA: 1e-300,
        }
        most = 1.0 if self.family is Family.BINOMIAL else inf
        if self.outcome.low < least.get(self.family, -inf) or self.outcome.high > most:
            raise BadDesign(
                f"An outcome from {self.outcome.low} to {self.outcome.high} is none of the family {self.family}.",
                where="outcome",
                mend="Give bounds within the family's values.",
            )


def names(params: GlmParams) -> tuple[str, ...]:
    """The coefficients' names, in order."""
    first = () if params.hospital_intercepts else ("(Intercept)",)
    return (*first, *(covariate.name for covariate in params.covariates))


def columns(params: GlmParams) -> tuple[Covariate | None, ...]:
    """The coefficients' columns, in order; None is the intercept."""
    return params.covariates if params.hospital_intercepts else (None, *params.covariates)


def estimates_theta(params: GlmParams) -> bool:
    """Whether theta is one of the parameters asked about."""
    return params.family is Family.NEGATIVE_BINOMIAL and params.theta is None


def dimension(params: GlmParams) -> int:
    """How many numbers a point has."""
    return len(columns(params)) + estimates_theta(params)


def asked_of(params: GlmParams, point: NDArray[np.float64]) -> Asked:
    """What a hospital is asked at a point."""
    p = len(columns(params))
    return Asked(
        family=params.family,
        columns=columns(params),
        outcome=_outcome(params),
        prior=_quantity("weight", params.weight),
        offset=_quantity("offset", params.offset),
        beta=point[:p],
        theta=theta_at(params, point),
        estimate_theta=estimates_theta(params),
        by_hospital=params.hospital_intercepts,
        robust=params.robust,
        clustered=params.clustered,
    )


def theta_at(params: GlmParams, point: NDArray[np.float64]) -> float:
    """Theta, as it is given or asked about; 1 where the family has none."""
    return exp(point[-1]) if estimates_theta(params) else params.theta or 1.0


def lawful(params: GlmParams, point: NDArray[np.float64]) -> bool:
    """Whether a point may be asked about: what it says of anybody within the bounds is finite and bounded."""
    if not np.isfinite(point).all():
        return False
    p = len(columns(params))
    if (np.abs(point[p:]) > LARGEST_LOG_THETA).any():
        return False
    lows = point[:p] * [1.0 if c is None else c.low for c in columns(params)]
    highs = point[:p] * [1.0 if c is None else c.high for c in columns(params)]
    low, high = float(np.minimum(lows, highs).sum()), float(np.maximum(lows, highs).sum())
    if params.offset is not None:
        low, high = low + params.offset.low, high + params.offset.high
    return max(-low, high) <= _largest_predictor(params)


@lru_cache(maxsize=8)
def design(params: GlmParams) -> Cells:
    """The cells that the model's sums rest on."""
    return cells(columns(params), outcome=params.family in COUNTED, pairs=True)


@lru_cache(maxsize=8)
def layout(params: GlmParams) -> Layout:
    """The cells, and the fields that the model asks for."""
    made = design(params)
    everyone = np.array([EVERYONE], dtype=np.int64)
    pairs = triangle(made.pair)
    all_pairs = np.full(len(pairs), EVERYONE, dtype=np.int64)
    prior = _quantity("weight", params.weight)
    weight = 1.0 if prior is None else max(prior.most, 1.0)
    y = max(_outcome(params).most, 1.0)
    x = max([1.0, *(covariate.most for covariate in params.covariates)])
    predictor = _largest_predictor(params)
    mean = {Family.GAUSSIAN: predictor, Family.BINOMIAL: 1.0}.get(params.family, exp(LARGEST_LOG))
    observed = y if params.family in CANONICAL | COUNTED else y * mean
    value = _most_value(params, y, predictor + LARGEST_OWN_INTERCEPT, mean)
    squared = weight**2 * (MOST_RESIDUAL * y) ** 2 * x * x
    fields = [
        _count("people", np.array([EVERYONE, *made.outcome], dtype=np.int64), Unit.PERSON),
        _derivative("weight", weight, everyone),
        _derivative("value", weight * value, everyone),
        _derivative("saturated", weight * value, everyone),
        _derivative("pearson", weight * MOST_PEARSON, everyone),
        _derivative("observed", weight * x * observed, made.case),
        _derivative("expected", weight * x * mean, made.column),
        _derivative("information", weight * x * x * mean, pairs),
        *no_fit.fields(len(made.column)),
    ]
    if estimates_theta(params):
        of_theta = weight * 1000 * (y + exp(LARGEST_LOG_THETA))
        fields += [_derivative(name, of_theta, everyone) for name in ("theta score", "theta information")]
    if params.hospital_intercepts:
        fields.append(_count("hospitals", everyone, Unit.HOSPITAL))
        fields.append(_derivative("taken out", weight * x * x * mean, all_pairs, Unit.HOSPITAL))
    if params.robust:
        fields.append(_derivative("meat", squared, pairs))
    if params.robust and params.hospital_intercepts:
        fields.append(_derivative("meat taken out", 3 * squared, all_pairs, Unit.HOSPITAL))
    if params.clustered:
        # The square of a hospital's sum: it grows with the square of its people, of whom so many are counted in.
        bound = (MOST_SCORE_PEOPLE * weight * x * y) ** 2
        fields.append(_derivative("cluster", bound, all_pairs, Unit.HOSPITAL, people_bits=7))
    solved = Model(coefficients=len(made.column), people=EVERYONE, events=made.outcome)
    return Layout(cells=made.names, relations=made.relations, fields=tuple(fields), model=solved)


def _most_value(params: GlmParams, y: float, predictor: float, mean: float) -> float:
    """The most that one person's log-likelihood can be, either way."""
    match params.family:
        case Family.GAUSSIAN:
            return (y + predictor) ** 2
        case Family.GAMMA:
            return y * mean + predictor + 1000
        case _:
            shape = max(params.theta or 0.0, exp(LARGEST_LOG_THETA) if estimates_theta(params) else 0.0)
            return (y + 1) * (predictor + 2 * log(y + shape + 1) + 1) + mean + 60 * shape


def _derivative(
    name: str,
    bound: float,
    rests_on: NDArray[np.int64],
    unit: Unit = Unit.PERSON,
    people_bits: int = MOST_PEOPLE_BITS,
) -> Field:
    return Field(
        name=name,
        kind=FieldKind.DERIVATIVE,
        unit=unit,
        bound=float(bound),
        rests_on=rests_on,
        scale=fraction_bits(float(bound), people_bits),
    )


def _count(name: str, rests_on: NDArray[np.int64], unit: Unit) -> Field:
    return Field(name=name, kind=FieldKind.COUNT, unit=unit, bound=1, rests_on=rests_on)


def _quantity(name: str, bounds: Bounds | None) -> Covariate | None:
    return None if bounds is None else continuous(name, bounds.low, bounds.high)


def _outcome(params: GlmParams) -> Covariate:
    return continuous("outcome", params.outcome.low, params.outcome.high)


def _largest_predictor(params: GlmParams) -> float:
    if params.family is Family.GAUSSIAN:
        return 1000 * max(_outcome(params).most, 1.0)
    return LARGEST_LOGIT if params.family is Family.BINOMIAL else LARGEST_LOG
