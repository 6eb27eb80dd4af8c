"""A profile likelihood in one round: for hospitals whose answers are carried by hand, and for few events in each of them.

Every hospital tells the log-likelihood of one effect, and its slope, at 8 common points from a ratio of 0.1 to one of 10. Curves add
up, where a hospital's own estimate (which may be infinite) does not. Other covariates are fitted by each hospital for itself at
each point.

Exact for: the points, where there is no other covariate. Between the points the curve is interpolated by cubics with the right
slopes (`Curve`); where there are other covariates, it is that of a model in which each hospital has its own. Everything is
shown or nothing: a curve speaks of exposed and unexposed people, with events and without.

Source: Schuemie et al., Statistics in Medicine 41 (2022), for interpolated profiles.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline
from scipy.special import chdtri

from dure.stats.base import Answer, Done, Frame, Nothing, OneRound, Released, SplitsBy
from dure.stats.conditional import (
    LARGEST_PREDICTOR,
    Conditional,
    ConditionalParams,
    ConditionalState,
    strata_of,
)
from dure.stats.conditional_kernel import Strata, Ties, add_up
from dure.stats.design import EVERYONE
from dure.stats.intervals import Estimate
from dure.stats.newton import begin
from dure.stats.problems import NoEstimate
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Sums, Unit

Vector = NDArray[np.float64]
POINTS = tuple(np.linspace(np.log(0.1), np.log(10), 8).tolist())
STEPS = 50
LARGEST_OWN = 10.0
"""How far a hospital's own coefficient may move anybody's predictor at most: an infinite one stops there."""


@message
class ProfileParams:
    """The model; the effect is that of its first covariate."""

    model: ConditionalParams


@message
class ProfileResult:
    """The curve, if it is shown: log-likelihoods and slopes at POINTS. None: hidden."""

    people: int | None
    values: tuple[float, ...] | None
    slopes: tuple[float, ...] | None


class Profile(OneRound[ProfileParams, ProfileResult]):
    """A curve of the log-likelihood."""

    name = "profile"
    params = ProfileParams
    result = ProfileResult
    splits_by = SplitsBy.SITE
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-11

    def layout(self, params: ProfileParams) -> Layout:
        """The cells of the model; the curve rests on everyone, who are shown with all the others."""
        return _layout(params)

    def populations(self, params: ProfileParams) -> tuple[str, ...]:
        return Conditional().populations(params.model)

    def columns(self, params: ProfileParams) -> tuple[str, ...]:
        """As the model's. Where frames of hospitals are pooled, a column `hospital` tells them apart."""
        return Conditional().columns(params.model)

    def local(self, frame: Frame, params: ProfileParams, state: Nothing) -> Answer:
        """Rows as the model's."""
        at_zero = ConditionalState(newton=begin(np.zeros(len(params.model.covariates))))
        whole = Conditional().local(frame, params.model, at_zero)
        curve = np.zeros((2, len(POINTS)))
        place = frame.columns.get("hospital", np.zeros(len(frame.person)))
        for one in np.unique(place):
            here = Frame(
                person=frame.person[place == one],
                columns={name: column[place == one] for name, column in frame.columns.items()},
            )
            curve += _curve(strata_of(here, params.model)[0], params.model.ties, _reach(params.model))
        return Answer(
            sums=Sums(
                layout=_layout(params),
                values={"people": whole.sums.values["people"], "values": curve[0], "slopes": curve[1]},
            ),
            support=whole.support,
            populations=whole.populations,
        )

    def step(self, params: ProfileParams, state: Nothing, total: Released) -> Done[ProfileResult]:
        if not total.open[EVERYONE]:
            return Done(result=ProfileResult(people=None, values=None, slopes=None))
        return Done(
            result=ProfileResult(
                people=int(total.values["people"][0]),
                values=tuple(total.values["values"].tolist()),
                slopes=tuple(total.values["slopes"].tolist()),
            )
        )


def ratio_of(result: ProfileResult, level: float = 0.95) -> Estimate:
    """The ratio at which the curve is highest, with its likelihood interval; `se` is the curvature's, of the logarithm.

    Where the curve doesn't fall far enough within the points, the interval ends at the last of them.

    Raises:
        NoEstimate: the curve is hidden, or still rises at an end.
    """
    if result.values is None or result.slopes is None:
        raise NoEstimate("The curve is hidden.", where="profile", mend="Ask more hospitals.")
    curve = CubicHermiteSpline(POINTS, result.values, result.slopes)
    tops = curve.derivative().roots(extrapolate=False)
    tops = tops[(tops > POINTS[0]) & (tops < POINTS[-1])]
    if not len(tops) or curve(tops).max() <= max(result.values[0], result.values[-1]):
        raise NoEstimate(
            "The likelihood is highest outside the ratios 0.1 to 10, or everywhere the same.",
            where="profile",
            mend="Ask for the model in rounds.",
        )
    top = float(tops[curve(tops).argmax()])
    drop = float(curve(top)) - float(chdtri(1, 1 - level)) / 2
    ends = curve.solve(drop, extrapolate=False)
    low = max([POINTS[0], *ends[ends < top].tolist()])
    high = min([POINTS[-1], *ends[ends > top].tolist()])
    se = float(-curve(top, 2)) ** -0.5
    return Estimate(value=float(np.exp(top)), low=float(np.exp(low)), high=float(np.exp(high)), se=se)


def _reach(model: ConditionalParams) -> Vector:
    """How large each other coefficient may become, so that nobody's predictor leaves the model's bounds."""
    first, *others = (covariate.most for covariate in model.covariates)
    if not others:
        return np.zeros(0)
    left = (LARGEST_PREDICTOR - POINTS[-1] * first) / len(others)
    return np.asarray(max(min(LARGEST_OWN, left), 0.0) / np.array(others), dtype=np.float64)


def _curve(strata: Strata, ties: Ties, reach: Vector) -> Vector:
    """The log-likelihood and its slope at the points, other coefficients at their best. Shape (2, points)."""
    told = np.zeros((2, len(POINTS)))
    others = np.zeros(len(reach))
    for index, point in enumerate(POINTS):
        others = _best(strata, ties, point, others, reach)
        at = add_up(strata, np.append(point, others), ties)
        told[:, index] = at.value, at.observed[0] - at.expected[0]
    return told


def _best(strata: Strata, ties: Ties, point: float, start: Vector, reach: Vector) -> Vector:
    """The other coefficients' best values at a point, by Newton's method with halved steps, within bounds."""
    others = start
    if not len(others):
        return others
    at = add_up(strata, np.append(point, others), ties)
    for _ in range(STEPS):
        score, information = (at.observed - at.expected)[1:], at.information[1:, 1:]
        # A covariate that says nothing here has no information: the least step leaves it alone.
        step = np.linalg.lstsq(information, score, rcond=1e-10)[0]
        fraction = 1.0
        while fraction > 2.0**-20:
            tried = np.clip(others + fraction * step, -reach, reach)
            there = add_up(strata, np.append(point, tried), ties)
            if there.value >= at.value:
                break
            fraction /= 2
        else:
            return others
        gained, others, at = there.value - at.value, tried, there
        if gained <= 1e-13 * (1 + abs(at.value)):
            return others
    return others


@lru_cache(maxsize=8)
def _layout(params: ProfileParams) -> Layout:
    made = Conditional().layout(params.model)
    fields = {field.name: field for field in made.fields}
    everyone = np.full(len(POINTS), EVERYONE, dtype=np.int64)

    def on_points(name: str, like: Field) -> Field:
        return Field(
            name=name,
            kind=FieldKind.DERIVATIVE,
            unit=Unit.HOSPITAL,
            bound=like.bound,
            rests_on=everyone,
            scale=like.scale,
        )

    return Layout(
        cells=made.cells,
        relations=made.relations,
        fields=(
            fields["people"],
            on_points("values", fields["value"]),
            on_points("slopes", fields["expected"]),
        ),
        together=(tuple(range(len(made.cells))),),
    )
