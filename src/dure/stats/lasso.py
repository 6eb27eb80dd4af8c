"""Penalised models of thousands of sparse covariates: LASSO, ridge and elastic net, logistic and Poisson.

Exact for: the penalised estimate over everyone, -log-likelihood / people + penalty, the intercept unpenalised, covariates not
standardised; with `folds`, over those outside one fold. One row a person; a sparse matrix `covariates`.

Only gradients are asked for, and every covariate's own curvature: no pair of covariates, so no pair is a cell. A covariate whose
people, cases or complements are too few to be shown is left out, by name. The path is `penalised_path`'s.

What `judge` stops: coefficients that aren't finite, beyond 40, for columns that there aren't, or named twice, and more rounds than
permitted. A linear predictor counts as no more than 40 (log: 30) whatever is asked. What it doesn't stop is as in `glm`.
"""

from dataclasses import dataclass
from math import exp
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats import penalised_path
from dure.stats.base import Again, Answer, Done, Frame, Released, SplitsBy, Statistic
from dure.stats.design import EVERYONE, Covariate, check, continuous, people_of, values
from dure.stats.families import LARGEST_LOG, LARGEST_LOGIT, Family, terms
from dure.stats.glm_model import Bounds
from dure.stats.kept import kept
from dure.stats.penalised_path import EXACT, LARGEST_COEFFICIENT, PathResult, PathState, Seen
from dure.stats.sparse_design import (
    Held,
    all_binary,
    check_zero,
    counts,
    derivative,
    design,
    hold,
    layout,
    usable,
)
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Layout, Sums

Vector = NDArray[np.float64]


@message
class LassoParams:
    """A model.

    Attributes:
        penalties: strengths, falling; the last one's estimate is exact.
        share: 1 is LASSO, 0 is ridge, between is elastic net.
        fold, folds: with folds above 1, people of this fold (by a hash of their ordinal) are left out and the others' estimate is
            tried on them.
        near: how far from its minimum a coordinate's derivative may be at the last penalty, per person.
    """

    family: Family
    covariates: tuple[Covariate, ...]
    penalties: tuple[Annotated[float, Checked(gt=0)], ...]
    share: Annotated[float, Checked(ge=0, le=1)] = 1.0
    outcome: Bounds = Bounds(low=0.0, high=1.0)
    offset: Bounds | None = None
    fold: Annotated[int, Checked(ge=0)] = 0
    folds: Annotated[int, Checked(ge=1, le=50)] = 1
    most_rounds: Annotated[int, Checked(ge=2, le=1000)] = 200
    near: Annotated[float, Checked(ge=1e-13, le=1e-4)] = EXACT

    def __post_init__(self) -> None:
        """Raise BadDesign where the model can't be fitted so."""
        check(self.covariates, ("outcome", "offset"))
        penalised_path.check(
            self,
            {
                "the family": self.family in (Family.BINOMIAL, Family.POISSON),
                "the outcome's bounds": self.outcome.low >= 0
                and (self.family is not Family.BINOMIAL or self.outcome.high <= 1),
            },
            mend="Logistic or Poisson, penalties falling, and a fold below the number of folds.",
        )


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """What every round has in common at a hospital.

    Attributes:
        people: the population: those fitted, sorted.
        y, offset: shape (n,).
        observed: the sums of outcomes over those fitted; they don't depend on coefficients.
    """

    held: Held
    people: NDArray[np.int64]
    y: Vector
    offset: Vector | None
    observed: Vector


class Lasso(Statistic[LassoParams, PathState, PathResult]):
    """A penalised model from gradients."""

    name = "lasso"
    params = LassoParams
    state = PathState
    result = PathResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-12

    def layout(self, params: LassoParams) -> Layout:
        """Each covariate's people, and of them the cases; with folds, those left out and everyone beside those fitted."""
        return _layout(params)

    def columns(self, params: LassoParams) -> tuple[str, ...]:
        """`outcome` (and `offset`), beside the matrix `covariates`."""
        return ("outcome",) if params.offset is None else ("outcome", "offset")

    def rounds(self, params: LassoParams) -> int:
        return params.most_rounds

    def begin(self, params: LassoParams) -> PathState:
        """No covariate at all."""
        return penalised_path.begin()

    def judge(self, params: LassoParams, state: PathState) -> None:
        """Finite, bounded coefficients of columns that there are."""
        penalised_path.judge(params, state)

    def local(self, frame: Frame, params: LassoParams, state: PathState) -> Answer:
        """One row a person."""
        here = frame.once(_hospital, params)
        held, limit = here.held, _largest_predictor(params)
        eta = held.predictor(penalised_path.dense(state.asked, len(params.covariates) + 1))
        if here.offset is not None:
            eta += here.offset
        each = terms(params.family, here.y, np.clip(eta, -limit, limit, out=eta), 1.0)
        kept_in = held.fitted.astype(np.float64)
        weight = each.weight * kept_in
        told: dict[str, Any] = {
            **counts(params, held.support),
            "value": np.array([each.value @ kept_in]),
            "observed": here.observed,
            "expected": held.sums(each.expected * kept_in),
            "own": held.sums_of_squares(weight),
        }
        if held.squares is not held.x:
            told["crossed"] = held.sums(weight)
        if params.folds > 1:
            told["held out"] = np.array([each.value @ (1 - kept_in)])
        return Answer(
            sums=Sums(layout=_layout(params), values=told),
            support=held.support,
            populations={"everyone": here.people},
        )

    def step(
        self, params: LassoParams, state: PathState, total: Released
    ) -> Again[PathState] | Done[PathResult]:
        shown = usable(params, total.open)

        def look(asked: Vector) -> Seen:
            seen = _seen(params, total, shown, asked)
            first = state.objective is None and not asked.any()
            return (_with_intercept(params, total, seen) or seen) if first else seen

        return penalised_path.advance(params, state, shown, look)


def _hospital(frame: Frame, params: LassoParams) -> Hospital:
    people = people_of(frame)
    y = values(frame, _outcome(params))
    held = hold(frame, params, y != 0)
    offset = None if params.offset is None else values(frame, _offset(params))
    return Hospital(
        held=held,
        people=people if held.fitted.all() else np.sort(frame.person[held.fitted]),
        y=y,
        offset=offset,
        observed=held.sums(np.where(held.fitted, y, 0.0)),
    )


def _seen(params: LassoParams, total: Released, shown: NDArray[np.bool_], asked: Vector) -> Seen:
    sums = {name: np.asarray(values, dtype=np.float64) for name, values in total.values.items()}
    return Seen(
        people=int(total.values["people"][0]),
        usable=shown,
        point=asked,
        value=float(sums["value"][0]),
        held_out=float(sums["held out"][0]) if params.folds > 1 else 0.0,
        slope=sums["observed"] - sums["expected"],
        own=sums["own"],
        crossed=sums.get("crossed", sums["own"]),
    )


def _with_intercept(params: LassoParams, total: Released, seen: Seen) -> Seen | None:
    """What the first round's sums, which are at 0, say at the best intercept alone: everyone's fitted outcome is scaled alike.

    None where it isn't (a logistic model's offset), where there is no such intercept, or where people left out are tried: their number
    with an outcome isn't asked for.
    """
    binomial = params.family is Family.BINOMIAL
    if (binomial and params.offset is not None) or params.folds > 1:
        return None
    observed, expected = (np.asarray(total.values[name], np.float64) for name in ("observed", "expected"))
    if not 0 < observed[0] < (seen.people if binomial else np.inf):
        return None
    ratio = observed[0] / expected[0]
    odds = observed[0] / (seen.people - observed[0]) if binomial else ratio
    intercept = float(np.log(odds))
    if abs(intercept) > LARGEST_COEFFICIENT:
        return None
    bends = ratio * (1 - ratio / 2) / (1 / 2) if binomial else ratio
    lost = seen.people * (np.log1p(odds) - np.log(2)) if binomial else expected[0] * (ratio - 1)
    point = seen.point.copy()
    point[0] = intercept
    return Seen(
        people=seen.people,
        usable=seen.usable,
        point=point,
        value=seen.value + intercept * float(observed[0]) - float(lost),
        held_out=seen.held_out,
        slope=observed - ratio * expected,
        own=bends * seen.own,
        crossed=bends * seen.crossed,
    )


def _outcome(params: LassoParams) -> Covariate:
    return continuous("outcome", params.outcome.low, params.outcome.high)


def _offset(params: LassoParams) -> Covariate:
    assert params.offset is not None
    return continuous("offset", params.offset.low, params.offset.high)


def _largest_predictor(params: LassoParams) -> float:
    return LARGEST_LOGIT if params.family is Family.BINOMIAL else LARGEST_LOG


@kept
def _layout(params: LassoParams) -> Layout:
    check_zero(params.covariates)
    made = design(params)
    everyone = np.array([EVERYONE], dtype=np.int64)
    y = max(params.outcome.high, 1.0)
    x = max([1.0, *(covariate.most for covariate in params.covariates)])
    mean = 1.0 if params.family is Family.BINOMIAL else exp(LARGEST_LOG)
    value = (y + 1) * (LARGEST_LOGIT + 2 * np.log(y + 1) + 1) + mean
    fields = [
        derivative("value", value, everyone),
        derivative("observed", x * y, made.case),
        derivative("expected", x * mean, made.column),
        derivative("own", x * x * mean, made.column),
    ]
    if not all_binary(params):
        fields.append(derivative("crossed", x * mean, made.column))
    return layout(params, fields, [derivative("held out", value, everyone + len(made.names))])
