"""What a Cox model is asked about: its parameters, which coefficients are lawful, and the fields of its layouts.

Responsible for: bounds, of coefficients and of what one person can add. Not responsible for: the arithmetic (`risk_sets`),
the estimate (`cox`, `cox_one_baseline`).
"""

from functools import lru_cache
from math import isfinite, log
from typing import Annotated, Literal

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
from dure.stats.glm_model import Bounds
from dure.stats.risk_sets import Ties
from dure.wire.codec import message
from dure.wire.sums import Field, FieldKind, Layout, Model, Unit

LARGEST_LOG_HAZARD = 30.0
"""The furthest that anyone within the bounds may be, in log relative hazard, from the middle of the bounds."""
MOST_HAZARD = 2.0**20
"""The most cumulative hazard that one person is under. At a fit nobody's is near it; away from one it keeps sums finite."""
MOST_RESIDUAL = 2.0**10
"""The most that one score residual counts in robust errors, in units of the covariate's bound; as above."""
MOST_SCORE_PEOPLE = 2.0**24
"""The most that a hospital's score counts in clustered errors, in people; as above."""
MOST_PEOPLE = 2.0**MOST_PEOPLE_BITS
TAKEN = ("time", "event", "entry", "weight", "stratum", "hospital")
Scale = Literal["identity", "log"]


@message
class Clock:
    """A scale of time on which coefficients might change: days up to a horizon, or their logarithm from day 1."""

    scale: Scale
    horizon: float

    def __post_init__(self) -> None:
        """Raise BadDesign where the horizon is none."""
        if not (isfinite(self.horizon) and self.horizon > 1):
            raise BadDesign(
                f"The clock's horizon is {self.horizon}.", where="clock", mend="Give days, more than 1."
            )

    def read(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        """Times on the clock, from 0 to 1."""
        if self.scale == "identity":
            return np.clip(time / self.horizon, 0.0, 1.0)
        return np.log(np.clip(time, 1.0, self.horizon)) / log(self.horizon)


@message
class CoxParams:
    """A model.

    Attributes:
        cause: the number in the column `event` that is the event; any other is leaving without it.
        weight: the bounds of weights, where the model has them.
        delayed: whether people come under observation later than at time 0.
        stratified: whether a column `stratum` divides each hospital further.
        robust, clustered: whether standard errors by people's scores, and by hospitals', are asked for.
        clock: on which scale of time proportional hazards are tested, if at all.
    """

    covariates: tuple[Covariate, ...]
    ties: Ties = "efron"
    cause: Annotated[int, Checked(ge=1, le=20)] = 1
    weight: Bounds | None = None
    delayed: bool = False
    stratified: bool = False
    robust: bool = False
    clustered: bool = False
    clock: Clock | None = None
    most_rounds: Annotated[int, Checked(ge=2, le=100)] = 30

    def __post_init__(self) -> None:
        """Raise BadDesign where names clash, there are none, or bounds are none."""
        check(self.covariates, TAKEN)
        if not self.covariates:
            raise BadDesign("The model has no covariate.", where="covariates", mend="Give one or more.")
        if self.weight is not None and self.weight.low < 0:
            raise BadDesign("Weights may be below 0.", where="weight", mend="Give bounds from 0 or more.")
        _weight(self)


def _weight(params: CoxParams) -> Covariate | None:
    bounds = params.weight
    return None if bounds is None else continuous("weight", bounds.low, bounds.high)


def middle(params: CoxParams) -> NDArray[np.float64]:
    """The middle of each covariate's bounds. Shape (p,)."""
    return np.array([(covariate.low + covariate.high) / 2 for covariate in params.covariates])


def lawful(params: CoxParams, beta: NDArray[np.float64]) -> bool:
    """Whether coefficients may be asked about: under them nobody within the bounds is too far from the middle."""
    half = np.array([(covariate.high - covariate.low) / 2 for covariate in params.covariates])
    return bool(np.isfinite(beta).all() and np.abs(beta) @ half <= LARGEST_LOG_HAZARD)


@lru_cache(maxsize=8)
def design(params: CoxParams) -> Cells:
    """The cells that the model's sums rest on: the outcome is an event."""
    return cells(params.covariates, outcome=True, pairs=True)


def names(params: CoxParams) -> tuple[str, ...]:
    """The coefficients' names, in order."""
    return tuple(covariate.name for covariate in params.covariates)


def heaviest(params: CoxParams) -> float:
    """The largest weight, at least 1."""
    return 1.0 if params.weight is None else max(params.weight.high, 1.0)


def widest(params: CoxParams) -> float:
    """The largest magnitude of a covariate, at least 1."""
    return max([1.0, *(covariate.most for covariate in params.covariates)])


def derivative(
    name: str,
    bound: float,
    rests_on: NDArray[np.int64],
    unit: Unit = Unit.PERSON,
    people_bits: int = MOST_PEOPLE_BITS,
) -> Field:
    """A field of fractions."""
    return Field(
        name=name,
        kind=FieldKind.DERIVATIVE,
        unit=unit,
        bound=float(bound),
        rests_on=rests_on,
        scale=fraction_bits(float(bound), people_bits),
    )


def counted(name: str, cell: int) -> Field:
    """A field of people."""
    return Field(
        name=name,
        kind=FieldKind.COUNT,
        unit=Unit.PERSON,
        bound=1,
        rests_on=np.array([cell], dtype=np.int64),
    )


@lru_cache(maxsize=8)
def layout(params: CoxParams) -> Layout:
    """The cells, and the fields of a model with a baseline at every hospital.

    Sums over people's own covariates rest on the people in whom they aren't 0; means over risk sets, which are of everyone
    there, on the people with an event.
    """
    made = design(params)
    outcome, pairs = np.array([made.outcome[0]], dtype=np.int64), triangle(made.pair)
    of_events = np.full(len(pairs), made.outcome[0], dtype=np.int64)
    weight, x = heaviest(params), widest(params)
    value = 2 * LARGEST_LOG_HAZARD + log(MOST_PEOPLE * weight) + 1
    fields = [
        counted("people", EVERYONE),
        counted("events", made.outcome[0]),
        derivative("value", weight * value, outcome),
        *_moments("", params, made, pairs, of_events),
        *no_fit.fields(len(params.covariates)),
    ]
    everyone = np.full(len(pairs), EVERYONE, dtype=np.int64)
    if params.robust:
        fields.append(derivative("meat", (weight * x * MOST_RESIDUAL) ** 2, everyone))
    if params.clustered:
        # The square of a hospital's sum: it grows with the square of its people, of whom so many are counted in.
        bound = (MOST_SCORE_PEOPLE * weight * x) ** 2
        fields.append(derivative("cluster", bound, everyone, Unit.HOSPITAL, people_bits=7))
    if params.clock is not None:
        fields += _moments("trend ", params, made, pairs, of_events)
        fields += _moments("trend squared ", params, made, pairs, of_events)[2:]
    solved = Model(coefficients=len(params.covariates), people=EVERYONE, events=made.outcome[:1])
    return Layout(cells=made.names, relations=made.relations, fields=tuple(fields), model=solved)


def _moments(
    prefix: str, params: CoxParams, made: Cells, pairs: NDArray[np.int64], of_events: NDArray[np.int64]
) -> list[Field]:
    """Observed and expected covariates of events; everyone's squares under the hazard, and those of risk sets' means."""
    weight, x = heaviest(params), widest(params)
    return [
        derivative(f"{prefix}observed", weight * x, made.case),
        derivative(f"{prefix}expected", weight * x * MOST_HAZARD, made.column),
        derivative(f"{prefix}squares", weight * x * x * MOST_HAZARD, pairs),
        derivative(f"{prefix}between", weight * x * x, of_events, Unit.STRATUM),
    ]
