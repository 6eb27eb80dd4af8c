"""Generalised linear models: coefficients, standard errors and fit of the pooled people, from sums of each hospital.

Exact for: the maximum-likelihood estimate over everyone, its model-based, robust (HC0) and clustered-by-hospital covariance, the
log-likelihood and the deviance. One row a person.

With `hospital_intercepts` every hospital has an intercept of its own, as a fixed effect. It is fitted at the hospital, for
whatever coefficients are asked about, and taken out of score and information there; what is added is the profile likelihood's, whose
maximum is that of the model with an indicator for each hospital. Nobody else learns the intercepts.

What `judge` stops: coefficients that aren't finite, are too many or too few, or under which a person within the covariates'
bounds could have a linear predictor beyond 40 on the log or logit scale (a sum that overflows, a fitted outcome of exactly 0 or
1), and more rounds than permitted. What it doesn't: within these limits a hub may still choose coefficients that give few people
most of the weight, and ask again with others; each such answer is one more weighted sum over the same cells. Counting those answers
against one another is the guard's (`populations`), not this file's.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr, ndtri, stdtr, stdtrit

from dure.stats import newton
from dure.stats.base import Again, Answer, BadState, Done, Frame, Released, SplitsBy, Statistic
from dure.stats.design import EVERYONE, people_of, square
from dure.stats.families import DISPERSED, Family
from dure.stats.glm_kernel import Part, add_up, parts_of
from dure.stats.glm_model import (
    GlmParams,
    asked_of,
    design,
    dimension,
    estimates_theta,
    lawful,
    layout,
    names,
    theta_at,
)
from dure.stats.newton import NewtonState, Visited
from dure.stats.no_fit import SMALL_CELLS, NoFit, suspects
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Layout, Sums

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
LEVEL = 0.95


@message
class GlmState:
    """The coefficients asked about (and, where it is estimated, the logarithm of theta, last)."""

    newton: NewtonState


@message
class Coefficient:
    """One estimate. `low` and `high`: 95 %.

    Attributes:
        error, robust_error, clustered_error: standard errors.
    """

    name: str
    estimate: float
    error: float
    low: float
    high: float
    p_value: float
    robust_error: float | None
    clustered_error: float | None


@message
class Fit:
    """A model at its maximum.

    Attributes:
        freedom: residual degrees of freedom.
        covariance: of the coefficients, row by row.
        theta, theta_error: of the negative binomial.
    """

    coefficients: tuple[Coefficient, ...]
    covariance: tuple[tuple[float, ...], ...]
    log_likelihood: float
    deviance: float
    pearson: float
    dispersion: float
    freedom: int
    theta: float | None
    theta_error: float | None


@message
class GlmResult:
    """The people, the fit or why there is none, and the points that were asked about."""

    people: int | None
    fit: Fit | None
    no_fit: NoFit | None
    path: tuple[Visited, ...]


class Glm(Statistic[GlmParams, GlmState, GlmResult]):
    """A generalised linear model by Newton's method."""

    name = "glm"
    params = GlmParams
    state = GlmState
    result = GlmResult
    splits_by = SplitsBy.SITE
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-12

    def layout(self, params: GlmParams) -> Layout:
        """Cells of the design with pairs and the outcome; the fields that the model asks for."""
        return layout(params)

    def columns(self, params: GlmParams) -> tuple[str, ...]:
        """`outcome`, a column for each covariate, and `weight`, `offset`, `hospital` where the model has them."""
        extra = [name for name in ("weight", "offset") if getattr(params, name) is not None]
        if params.hospital_intercepts or params.clustered:
            extra.append("hospital")
        return ("outcome", *(covariate.name for covariate in params.covariates), *extra)

    def rounds(self, params: GlmParams) -> int:
        return params.most_rounds

    def begin(self, params: GlmParams) -> GlmState:
        """All coefficients 0, theta 1."""
        return GlmState(newton=newton.begin(np.zeros(dimension(params))))

    def judge(self, params: GlmParams, state: GlmState) -> None:
        """The coefficients must be finite, as many as the model has, and bounded in what they say of anybody."""
        point = np.array(state.newton.point)
        if (
            point.shape != (dimension(params),)
            or not lawful(params, point)
            or len(state.newton.path) >= params.most_rounds
        ):
            raise BadState(
                "The coefficients are none that this model may be asked about.",
                where="state",
                mend="Nothing to do here.",
            )

    def local(self, frame: Frame, params: GlmParams, state: GlmState) -> Answer:
        """One row a person."""
        people, parts = frame.once(_people_and_parts, params)
        sums = add_up(parts, asked_of(params, np.array(state.newton.point)))
        support = np.sum([part.support for part in parts], axis=0)
        sums["people"] = support[[EVERYONE, *design(params).outcome]]
        made = layout(params)
        told = {
            field.name: (np.rint(sums[field.name]).astype(np.int64) if field.scale == 0 else sums[field.name])
            for field in made.fields
        }
        return Answer(sums=Sums(layout=made, values=told), support=support, populations={"everyone": people})

    def step(self, params: GlmParams, state: GlmState, total: Released) -> Again[GlmState] | Done[GlmResult]:
        path = state.newton.path
        hidden = _hidden(params, total)
        if hidden is not None:
            return Done(result=GlmResult(people=_people(total), fit=None, no_fit=hidden, path=path))
        score, information = derivatives(params, total)
        value = float(total.values["value"][0])
        at_first = None if path else _with_intercept(params, total, value, score, information)
        here, value, score, information = at_first or (state.newton, value, score, information)
        start = None if path or at_first else _mean_only(params, total)
        if start is not None:
            first = Visited(value=value, decrement=None, fraction=1.0)
            return Again(state=GlmState(newton=replace(newton.begin(start), path=(first,))))
        after = newton.advance(
            here,
            value,
            score,
            information,
            most=params.most_rounds,
            lawful=lambda point: lawful(params, point),
        )
        if at_first and isinstance(after, newton.Found):
            return Again(state=GlmState(newton=here))
        if isinstance(after, NewtonState):
            return Again(state=GlmState(newton=after))
        if isinstance(after, newton.Stuck):
            no_fit = NoFit(trouble=after.trouble, suspects=suspects(names(params), after.columns, total))
            return Done(result=GlmResult(people=_people(total), fit=None, no_fit=no_fit, path=after.path))
        return Done(
            result=GlmResult(
                people=_people(total), fit=_fit(params, total, after), no_fit=None, path=after.path
            )
        )


def _people_and_parts(frame: Frame, params: GlmParams) -> tuple[NDArray[np.int64], tuple[Part, ...]]:
    asked = asked_of(params, np.zeros(dimension(params)))
    return people_of(frame), parts_of(frame, asked, design(params))


def derivatives(params: GlmParams, total: Released) -> tuple[Vector, Matrix]:
    """Score and information from released sums; with log(theta) last, where it is estimated."""
    p = len(names(params))
    score = np.asarray(total.values["observed"] - total.values["expected"], dtype=np.float64)
    information = square(total.values["information"], p)
    if params.hospital_intercepts:
        information -= square(total.values["taken out"], p)
    if not estimates_theta(params):
        return score, information
    whole = np.zeros((p + 1, p + 1))
    whole[:p, :p] = information
    # Far from the maximum the second derivative may have the other sign; its size is still a step's scale.
    whole[p, p] = abs(_one(total, "theta information"))
    return np.append(score, _one(total, "theta score")), whole


def _one(total: Released, name: str) -> float:
    return float(total.values[name][0])


def _people(total: Released) -> int | None:
    people = total.shown("people")[0]
    return None if people is None else int(people)


def _with_intercept(
    params: GlmParams, total: Released, value: float, score: Vector, information: Matrix
) -> tuple[NewtonState, float, Vector, Matrix] | None:
    """What the first round's sums, which are at 0, say at the best intercept alone: there everyone's terms are scaled alike.

    A first step from 0 would often be far too long. None where that doesn't hold, or where there is no such intercept.
    """
    family = params.family
    scales = family in (Family.POISSON, Family.GAMMA) or (family is Family.BINOMIAL and params.offset is None)
    observed, expected = total.values["observed"].astype(float), total.values["expected"].astype(float)
    people = _one(total, "weight")
    if params.hospital_intercepts or not scales or min(observed[0], expected[0]) <= 0:
        return None
    ratio = observed[0] / expected[0]
    if family is Family.BINOMIAL and observed[0] >= people:
        return None
    odds = observed[0] / (people - observed[0]) if family is Family.BINOMIAL else ratio
    point = np.zeros(dimension(params))
    point[0] = np.log(odds)
    if not lawful(params, point):
        return None
    match family:
        case Family.BINOMIAL:
            value += point[0] * observed[0] - people * (np.log1p(odds) - np.log(2))
            score, information = observed - ratio * expected, information * ratio * (2 - ratio)
        case Family.POISSON:
            value += point[0] * observed[0] - (ratio - 1) * expected[0]
            score, information = observed - ratio * expected, information * ratio
        case _:
            value += observed[0] - observed[0] / ratio - people * point[0]
            score = observed / ratio - expected
    return newton.begin(point), float(value), score, information


def _mean_only(params: GlmParams, total: Released) -> Vector | None:
    """The intercept by which the fitted outcomes add up to the outcomes, or nearly: to be asked about, where nothing tells it all."""
    observed, expected = float(total.values["observed"][0]), float(total.values["expected"][0])
    if params.hospital_intercepts or min(observed, expected) <= 0:
        return None
    start = np.zeros(dimension(params))
    if params.family is Family.NEGATIVE_BINOMIAL:
        start[0] = np.log(observed / expected)
        return start if lawful(params, start) else None
    share = observed / _one(total, "weight")
    if params.family is not Family.BINOMIAL or not 0 < share < 1 or abs(share - 0.5) < 0.3:
        return None
    start[0] = np.log(share / (1 - share))
    return start if lawful(params, start) else None


def _hidden(params: GlmParams, total: Released) -> NoFit | None:
    """Whose sums aren't shown, if any: a fit without them would be another model's."""
    made, p = design(params), len(names(params))
    closed = [
        bool(~total.open[[made.column[i], made.case[i], made.pair[i, i]]].all())
        or any(not total.open[made.pair[i, j]] for j in range(p))
        for i in range(p)
    ]
    if not any(closed) and total.open[0]:
        return None
    return NoFit(
        trouble=SMALL_CELLS,
        suspects=suspects(names(params), [i for i, is_closed in enumerate(closed) if is_closed]),
    )


def _fit(params: GlmParams, total: Released, found: newton.Found) -> Fit:
    p, people = len(names(params)), int(total.values["people"][0])
    weights, value, saturated = _one(total, "weight"), _one(total, "value"), _one(total, "saturated")
    pearson, deviance = _one(total, "pearson"), 2 * (saturated - value)
    taken = int(total.values["hospitals"][0]) if params.hospital_intercepts else 0
    freedom = people - p - taken
    dispersed = params.family in DISPERSED
    dispersion = pearson / freedom if freedom > 0 else float("nan")
    bread = found.covariance[:p, :p]
    covariance = bread * dispersion if dispersed else bread
    errors = np.sqrt(np.diag(covariance))
    likelihood = value
    if params.family is Family.GAUSSIAN:
        likelihood = -people / 2 * (np.log(2 * np.pi * deviance / people) + 1)
    elif params.family is Family.GAMMA:
        scale = deviance / weights
        logs = -saturated - weights
        likelihood = (
            (1 / scale - 1) * logs + value / scale - weights * (np.log(scale) / scale + gammaln(1 / scale))
        )
    tail = (1 - LEVEL) / 2
    quantile = stdtrit(freedom, 1 - tail) if dispersed else ndtri(1 - tail)
    estimates = found.point[:p]
    ratio = -np.abs(estimates / errors)
    p_values = 2 * (stdtr(freedom, ratio) if dispersed else ndtr(ratio))
    robust, clustered = _sandwich(params, total, bread, "meat"), _sandwich(params, total, bread, "cluster")
    return Fit(
        coefficients=tuple(
            Coefficient(
                name=name,
                estimate=float(estimates[i]),
                error=float(errors[i]),
                low=float(estimates[i] - quantile * errors[i]),
                high=float(estimates[i] + quantile * errors[i]),
                p_value=float(p_values[i]),
                robust_error=None if robust is None else float(robust[i]),
                clustered_error=None if clustered is None else float(clustered[i]),
            )
            for i, name in enumerate(names(params))
        ),
        covariance=tuple(tuple(row) for row in covariance.tolist()),
        log_likelihood=float(likelihood),
        deviance=float(deviance),
        pearson=pearson,
        dispersion=float(dispersion),
        freedom=freedom,
        theta=theta_at(params, found.point) if params.family is Family.NEGATIVE_BINOMIAL else None,
        theta_error=(
            float(theta_at(params, found.point) * np.sqrt(found.covariance[p, p]))
            if estimates_theta(params)
            else None
        ),
    )


def _sandwich(params: GlmParams, total: Released, bread: Matrix, name: str) -> Vector | None:
    """Standard errors by the squares of scores, people's or hospitals'; without any small-sample factor."""
    if name not in total.values:
        return None
    p = len(bread)
    filling = square(total.values[name], p)
    if name == "meat" and params.hospital_intercepts:
        filling -= square(total.values["meat taken out"], p)
    return np.asarray(np.sqrt(np.maximum(np.diag(bread @ filling @ bread), 0)))
