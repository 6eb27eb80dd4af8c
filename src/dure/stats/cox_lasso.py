"""Cox's model with a LASSO, ridge or elastic net penalty over thousands of sparse covariates, each hospital with a baseline of its own.

Exact for: the penalised estimate stratified by hospital, -log partial likelihood / people + penalty, covariates not standardised, ties
by Breslow or Efron; with `folds`, over those outside one fold. One row a person; a sparse matrix `covariates`.

Of a risk set nothing leaves. The score of a partial likelihood is also a sum over people: what each person's covariates add to
the events', less what they add to the expected ones under the cumulative hazard that the person was at. So there are no sums by time, and
the sums are those of `lasso`, without an intercept. The path is `penalised_path`'s.

With folds, how well an estimate does on people left out is everyone's partial likelihood less that of those fitted, each with risk
sets of its own: few left out make poor risk sets by themselves. Source: Verweij and van Houwelingen, Statistics in Medicine 12 (1993).

What `judge` stops is what it stops in `lasso`. A linear predictor counts as no more than 30, a cumulative hazard as no more than 2^20.
"""

from dataclasses import dataclass
from math import log
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats import penalised_path
from dure.stats.base import Again, Answer, Done, Frame, Released, SplitsBy, Statistic
from dure.stats.cox_model import LARGEST_LOG_HAZARD, MOST_HAZARD, MOST_PEOPLE
from dure.stats.design import Covariate, check, people_of
from dure.stats.kept import kept
from dure.stats.penalised_path import EXACT, PathResult, PathState, Seen, dense
from dure.stats.risk_sets import Followed, Ties, exposure, follow, hazard, relative, time_sums
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
from dure.stats.strata import rows_of_strata
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Layout, Sums

Vector = NDArray[np.float64]
Rows = NDArray[np.int64]


@message
class CoxLassoParams:
    """A model.

    Attributes:
        penalties: strengths, falling; the last one's estimate is exact.
        share: 1 is LASSO, 0 is ridge, between is elastic net.
        cause: the number in the column `event` that is the event; any other is leaving without it.
        delayed: whether people come under observation later than at time 0.
        fold, folds: with folds above 1, people of this fold (by a hash of their ordinal) are left out and the others' estimate is
            tried on them.
        near: how far from its minimum a coordinate's derivative may be at the last penalty, per person.
    """

    covariates: tuple[Covariate, ...]
    penalties: tuple[Annotated[float, Checked(gt=0)], ...]
    share: Annotated[float, Checked(ge=0, le=1)] = 1.0
    ties: Ties = "efron"
    cause: Annotated[int, Checked(ge=1, le=20)] = 1
    delayed: bool = False
    fold: Annotated[int, Checked(ge=0)] = 0
    folds: Annotated[int, Checked(ge=1, le=50)] = 1
    most_rounds: Annotated[int, Checked(ge=2, le=1000)] = 200
    near: Annotated[float, Checked(ge=1e-13, le=1e-4)] = EXACT

    def __post_init__(self) -> None:
        """Raise BadDesign where the model can't be fitted so."""
        check(self.covariates, ("time", "event", "entry", "hospital"))
        penalised_path.check(
            self,
            {"the covariates": bool(self.covariates)},
            mend="One covariate or more, penalties falling, and a fold below the number of folds.",
        )


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """One hospital's people who are followed, and with folds everyone there.

    Attributes:
        rows: which rows of the frame they are.
    """

    rows: Rows
    followed: Followed


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """What every round has in common at a hospital (where frames are pooled: at some).

    Attributes:
        people: the population: those fitted, sorted.
        fitted: those fitted, by hospital.
        everyone: without regard to folds; empty where there are none.
        observed: events, and events' covariates, of those fitted.
    """

    held: Held
    people: NDArray[np.int64]
    fitted: tuple[Stratum, ...]
    everyone: tuple[Stratum, ...]
    observed: Vector


class CoxLasso(Statistic[CoxLassoParams, PathState, PathResult]):
    """A penalised Cox model from gradients."""

    name = "cox_lasso"
    params = CoxLassoParams
    state = PathState
    result = PathResult
    splits_by = SplitsBy.SITE
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-12

    def layout(self, params: CoxLassoParams) -> Layout:
        """Each covariate's people, and of them those with the event; with folds, those left out and everyone beside those fitted."""
        return _layout(params)

    def columns(self, params: CoxLassoParams) -> tuple[str, ...]:
        """`time` last seen, `event` (0 or the cause), `entry` if delayed, beside the matrix `covariates`."""
        return ("time", "event", "entry") if params.delayed else ("time", "event")

    def rounds(self, params: CoxLassoParams) -> int:
        return params.most_rounds

    def begin(self, params: CoxLassoParams) -> PathState:
        """No covariate at all."""
        return penalised_path.begin()

    def judge(self, params: CoxLassoParams, state: PathState) -> None:
        """Finite, bounded coefficients of columns that there are; no intercept."""
        penalised_path.judge(params, state)

    def local(self, frame: Frame, params: CoxLassoParams, state: PathState) -> Answer:
        """One row a person. A column `hospital` divides the rows."""
        here = frame.once(_hospital, params)
        held = here.held
        eta = held.predictor(dense(state.asked, len(params.covariates) + 1))
        np.clip(eta, -LARGEST_LOG_HAZARD, LARGEST_LOG_HAZARD, out=eta)
        value, under = _likelihood(here.fitted, eta, params)
        told: dict[str, Any] = {
            **counts(params, held.support),
            "value": np.array([value]),
            "observed": here.observed,
            "expected": held.sums(under),
        }
        if held.squares is not held.x:
            told["squares"] = held.sums_of_squares(under)
        if params.folds > 1:
            told["value of everyone"] = np.array([_likelihood(here.everyone, eta, params)[0]])
        return Answer(
            sums=Sums(layout=_layout(params), values=told),
            support=held.support,
            populations={"everyone": here.people},
        )

    def step(
        self, params: CoxLassoParams, state: PathState, total: Released
    ) -> Again[PathState] | Done[PathResult]:
        shown = usable(params, total.open)
        return penalised_path.advance(params, state, shown, lambda asked: _seen(params, total, shown, asked))


def _hospital(frame: Frame, params: CoxLassoParams) -> Hospital:
    if params.delayed:
        # Who comes after leaving is never at risk.
        seen = np.flatnonzero(frame.columns["entry"] < frame.columns["time"])
        frame = Frame(
            person=frame.person[seen],
            columns={name: column[seen] for name, column in frame.columns.items()},
            matrices={name: matrix[seen] for name, matrix in frame.matrices.items()},
        )
    people = people_of(frame)
    event = frame.columns["event"] == params.cause
    held = hold(frame, params, event)
    places = [frame.columns["hospital"]] if "hospital" in frame.columns else []
    strata = rows_of_strata(places, len(event))

    def followed(rows: Rows) -> Stratum:
        return Stratum(
            rows=rows,
            followed=follow(
                frame.columns["time"][rows],
                event[rows],
                np.zeros((len(rows), 0)),
                entry=frame.columns["entry"][rows] if params.delayed else None,
            ),
        )

    def with_events(groups: list[Rows]) -> tuple[Stratum, ...]:
        return tuple(followed(rows) for rows in groups if event[rows].any())

    return Hospital(
        held=held,
        people=people if held.fitted.all() else np.sort(frame.person[held.fitted]),
        fitted=with_events([rows[held.fitted[rows]] for rows in strata]),
        everyone=with_events(strata) if params.folds > 1 else (),
        observed=held.sums((event & held.fitted).astype(np.float64)),
    )


def _likelihood(strata: tuple[Stratum, ...], eta: Vector, params: CoxLassoParams) -> tuple[float, Vector]:
    """The log partial likelihood, and the events that each row was to expect: relative hazard times the hazard it was under."""
    value, under = 0.0, np.zeros(len(eta))
    for stratum in strata:
        followed, its_eta = stratum.followed, eta[stratum.rows]
        r = relative(followed, its_eta)
        at = hazard(time_sums(followed, r, params.ties), params.ties)
        value += float(its_eta[followed.event].sum() - at.log.sum())
        under[stratum.rows] = np.minimum(r * exposure(followed, at), MOST_HAZARD)
    return value, under


def _seen(params: CoxLassoParams, total: Released, shown: NDArray[np.bool_], asked: Vector) -> Seen:
    sums = {name: np.asarray(values, dtype=np.float64) for name, values in total.values.items()}
    people, value, expected = int(total.values["people"][0]), float(sums["value"][0]), sums["expected"]
    slope = sums["observed"] - expected
    slope[0] = 0.0
    # The baseline takes out of each covariate's curvature what the mean over risk sets explains: nearly this.
    own = sums.get("squares", expected) - expected**2 / max(float(expected[0]), 1.0)
    alone = np.zeros_like(own)
    own[0] = alone[0] = people
    return Seen(
        people=people,
        usable=shown,
        point=asked,
        value=value,
        held_out=float(sums["value of everyone"][0]) - value if params.folds > 1 else 0.0,
        slope=slope,
        own=own,
        crossed=alone,
    )


@kept
def _layout(params: CoxLassoParams) -> Layout:
    check_zero(params.covariates)
    made = design(params)
    events = np.array([made.outcome[0]], dtype=np.int64)
    x = max([1.0, *(covariate.most for covariate in params.covariates)])
    value = 2 * LARGEST_LOG_HAZARD + log(MOST_PEOPLE) + 1
    fields = [
        derivative("value", value, events),
        derivative("observed", x, made.case),
        derivative("expected", x * MOST_HAZARD, made.column),
    ]
    if not all_binary(params):
        fields.append(derivative("squares", x * x * MOST_HAZARD, made.column))
    return layout(params, fields, [derivative("value of everyone", value, events + 2 * len(made.names))])
