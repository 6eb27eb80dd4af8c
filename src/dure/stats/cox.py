"""Cox's proportional hazards, each hospital with a baseline of its own: events at one hospital are compared with who is at risk there.

Exact for: the pooled fit stratified by hospital, `coxph(... + strata(hospital))`, to rounding; coefficients, standard errors,
robust ones, log-likelihoods, the score test and the test of proportional hazards. No event time leaves a hospital, nor a
risk set: only, each round, the log-likelihood, the score and the information at coefficients that the hub asks about.
A cause-specific hazard is the same with other causes as leaving.

A round more than the fit takes is asked for robust errors and for the test of proportional hazards: the score test for a
coefficient that changes with a clock (what R's `cox.zph` computes since survival 3.0).

What `judge` stops: coefficients that aren't finite, are too many or too few, or under which a person within the covariates'
bounds could have e^30 times the hazard of one in the middle; more rounds than permitted. What it doesn't: within these limits
a hub may choose coefficients that give few people most of the weight of a risk set, as in `glm`.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr, ndtri

from dure.stats import newton
from dure.stats.base import Again, Answer, BadState, Done, Frame, Released, SplitsBy, Statistic
from dure.stats.cox_model import (
    MOST_HAZARD,
    MOST_RESIDUAL,
    MOST_SCORE_PEOPLE,
    CoxParams,
    design,
    heaviest,
    lawful,
    layout,
    middle,
    names,
    widest,
)
from dure.stats.design import count, square, values
from dure.stats.glm import Coefficient
from dure.stats.newton import ALONE, NewtonState, Visited
from dure.stats.no_fit import SMALL_CELLS, NoFit, oddities, suspects
from dure.stats.risk_sets import (
    Followed,
    Hazard,
    TimeSums,
    between,
    event_times,
    expected,
    exposure,
    follow,
    gram,
    hazard,
    means,
    risk,
    score_residuals,
    time_sums,
    weighed,
)
from dure.stats.strata import distinct, rows_of_strata
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Layout, Sums

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
LEVEL = 0.95


@message
class CoxState:
    """The coefficients asked about; `last` asks at the maximum for what only the report needs."""

    newton: NewtonState
    last: bool = False


@message
class Trend:
    """The test of one coefficient (or, as `GLOBAL`, of all) not changing with the clock. No freedom: there is none."""

    name: str
    chi_square: float
    freedom: int
    p_value: float


@message
class CoxFit:
    """A model at its maximum.

    Attributes:
        covariance: of the coefficients, row by row.
        score_test: of all coefficients being 0, with as many degrees of freedom as there are.
        trends: one for each coefficient, then the global one.
    """

    coefficients: tuple[Coefficient, ...]
    covariance: tuple[tuple[float, ...], ...]
    log_likelihood: float
    null_log_likelihood: float
    score_test: float
    trends: tuple[Trend, ...] | None


@message
class CoxResult:
    """People, those with an event, the fit or why there is none, and the points that were asked about."""

    people: int | None
    events: int | None
    fit: CoxFit | None
    no_fit: NoFit | None
    path: tuple[Visited, ...]


class Cox(Statistic[CoxParams, CoxState, CoxResult]):
    """Cox's model with a baseline for each hospital, by Newton's method."""

    name = "cox"
    params = CoxParams
    state = CoxState
    result = CoxResult
    splits_by = SplitsBy.SITE
    tolerance = 1e-12
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)

    def layout(self, params: CoxParams) -> Layout:
        """Cells of the design with pairs and events; the fields that the model asks for."""
        return layout(params)

    def columns(self, params: CoxParams) -> tuple[str, ...]:
        """`time` last seen, `event` (0 or the cause), `entry`, `weight`, `stratum` where the model has them, covariates."""
        return columns(params)

    def rounds(self, params: CoxParams) -> int:
        return params.most_rounds + 1

    def begin(self, params: CoxParams) -> CoxState:
        """All coefficients 0."""
        return CoxState(newton=newton.begin(np.zeros(len(params.covariates))))

    def judge(self, params: CoxParams, state: CoxState) -> None:
        """The coefficients must be finite, as many as the model has, and bounded in what they say of anybody."""
        judge_point(params, state.newton)

    def local(self, frame: Frame, params: CoxParams, state: CoxState) -> Answer:
        """One row a person. Columns `hospital` and, if the model is stratified, `stratum` divide the rows."""
        here = frame.once(counted_of, params)
        frame, event, support = here.frame, here.event, here.support
        made = layout(params)
        sums: dict[str, Any] = {field.name: np.zeros(field.rests_on.shape) for field in made.fields}
        sums |= here.oddities
        sums["people"], sums["events"] = support[:1], support[[design(params).outcome[0]]]
        beta = np.array(state.newton.point)
        by = ("hospital", "stratum") if params.stratified else ("hospital",)
        strata = rows_of_strata([frame.columns[name] for name in by if name in frame.columns], len(event))
        scores: dict[int, Vector] = {}
        for rows in strata:
            part = frame if len(strata) == 1 else _rows(frame, rows)
            score = _add(sums, part, params, beta, last=state.last)
            place = int(part.columns["hospital"][0]) if "hospital" in part.columns and len(rows) else 0
            scores[place] = scores.get(place, np.zeros(len(beta))) + score
        if params.clustered and state.last:
            most = MOST_SCORE_PEOPLE * heaviest(params) * widest(params)
            lower = np.tril_indices(len(beta))
            for score in scores.values():
                held = np.clip(score, -most, most)
                sums["cluster"] += np.outer(held, held)[lower]
        told = {
            field.name: sums[field.name].astype(np.int64) if field.scale == 0 else sums[field.name]
            for field in made.fields
        }
        return Answer(
            sums=Sums(layout=made, values=told),
            support=support,
            populations={"everyone": here.people},
        )

    def step(self, params: CoxParams, state: CoxState, total: Released) -> Again[CoxState] | Done[CoxResult]:
        path = state.newton.path
        hidden = hidden_covariates(params, total)
        if hidden is not None:
            return Done(result=nothing(*_people_of(total), hidden, path))
        value, score, information = derivatives(params, total)
        if state.last:
            covariance = newton.inverse(information)
            if covariance is None:
                raise AssertionError("the information at a maximum has an inverse")
            found = newton.Found(point=np.array(state.newton.point), covariance=covariance, path=path)
            return Done(result=_result(params, total, found))
        after = newton.advance(
            state.newton,
            value,
            score,
            information,
            most=params.most_rounds,
            lawful=lambda beta: lawful(params, beta),
        )
        if isinstance(after, NewtonState):
            return Again(state=CoxState(newton=after))
        if isinstance(after, newton.Stuck):
            return Done(result=nothing(*_people_of(total), stuck(params, after, total), after.path))
        if params.robust or params.clustered or params.clock is not None:
            return Again(state=CoxState(newton=_at(after), last=True))
        return Done(result=_result(params, total, after))


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What every round has in common at a hospital.

    Attributes:
        frame: the rows that are ever at risk.
        people: the population.
        event: whether each row leaves with the event. Shape (n,).
        support: people behind every cell of the design.
        oddities: covariates that don't vary at a hospital, or decide there who has events; by field.
    """

    frame: Frame
    people: NDArray[np.int64]
    event: NDArray[np.bool_]
    support: NDArray[np.int64]
    oddities: dict[str, NDArray[np.int64]]


def counted_of(frame: Frame, params: CoxParams) -> Counted:
    """People of a frame; where it holds several hospitals, each is odd by itself."""
    # Not the frame itself, which would hold what is kept with it, and so itself.
    frame = replace(under_observation(frame, params))
    event = frame.columns["event"] == params.cause
    support = support_of(frame, params, event)
    places = [frame.columns["hospital"]] if "hospital" in frame.columns else []
    rows = rows_of_strata(places, len(event))
    parts = [(frame, support)] if len(rows) < 2 else [_counted_apart(frame, params, here) for here in rows]
    found = [oddities(part, params.covariates, design(params), its, both_ways=False) for part, its in parts]
    return Counted(
        frame=frame,
        people=distinct(frame.person),
        event=event,
        support=support,
        oddities={name: np.sum([one[name] for one in found], axis=0) for name in found[0]},
    )


def _counted_apart(
    frame: Frame, params: CoxParams, rows: NDArray[np.int64]
) -> tuple[Frame, NDArray[np.int64]]:
    part = _rows(frame, rows)
    return part, support_of(part, params, part.columns["event"] == params.cause)


def columns(params: CoxParams) -> tuple[str, ...]:
    """The frame's columns that a Cox model reads."""
    asked = (
        ("entry", params.delayed),
        ("weight", params.weight is not None),
        ("stratum", params.stratified),
    )
    extra = (name for name, wanted in asked if wanted)
    return ("time", "event", *extra, *(covariate.name for covariate in params.covariates))


def judge_point(params: CoxParams, state: NewtonState) -> None:
    """Raise BadState where coefficients are none that a Cox model may be asked about."""
    beta = np.array(state.point)
    too_long = len(state.path) > params.most_rounds
    if beta.shape != (len(params.covariates),) or not lawful(params, beta) or too_long:
        raise BadState(
            "The coefficients are none that this model may be asked about.",
            where="state",
            mend="Nothing to do here.",
        )


def under_observation(frame: Frame, params: CoxParams) -> Frame:
    """The rows that are ever at risk: who comes after leaving isn't."""
    if not params.delayed:
        return frame
    seen = frame.columns["entry"] < frame.columns["time"]
    return frame if seen.all() else _rows(frame, np.flatnonzero(seen))


def support_of(frame: Frame, params: CoxParams, event: NDArray[np.bool_]) -> NDArray[np.int64]:
    """People behind every cell of the design."""
    indicators = [
        values(frame, covariate) != 0 for covariate in params.covariates if not covariate.never_zero
    ]
    return count(design(params), [*indicators, event], len(frame.person))


def covariates_of(frame: Frame, params: CoxParams) -> Matrix:
    """The covariates within their bounds. Shape (n, p)."""
    x = np.empty((len(frame.person), len(params.covariates)))
    for index, covariate in enumerate(params.covariates):
        x[:, index] = values(frame, covariate)
    return x


def weight_of(frame: Frame, params: CoxParams) -> Vector | None:
    """Weights within their bounds; None where there are none."""
    if params.weight is None:
        return None
    bounds = params.weight
    return np.asarray(np.clip(frame.columns["weight"], bounds.low, bounds.high), dtype=np.float64)


def _rows(frame: Frame, rows: NDArray[np.int64]) -> Frame:
    return Frame(
        person=frame.person[rows], columns={name: column[rows] for name, column in frame.columns.items()}
    )


def _add(sums: dict[str, Vector], frame: Frame, params: CoxParams, beta: Vector, *, last: bool) -> Vector:
    """Add one stratum's sums; returns its score."""
    event = frame.columns["event"] == params.cause
    time = frame.columns["time"]
    if not event.any():
        return np.zeros(len(beta))
    entry = frame.columns["entry"] if params.delayed else None
    followed = follow(time, event, covariates_of(frame, params), entry=entry, weight=weight_of(frame, params))
    # What is taken off everyone's log hazard cancels, and keeps the hazards of numbers that floats hold well.
    eta, r = risk(followed, beta, origin=float(beta @ middle(params)))
    at_times = time_sums(followed, r, params.ties)
    at = hazard(at_times, params.ties)
    of_events = np.flatnonzero(event)
    weight = np.ones(len(of_events)) if followed.weight is None else followed.weight[of_events]
    sums["value"] += weight @ eta[of_events] - at.log.sum()
    score = _moments(sums, "", followed, r, at_times, at, weight, of_events)
    if not last:
        return score
    if params.robust:
        most = MOST_RESIDUAL * heaviest(params) * widest(params)
        residuals = np.clip(score_residuals(followed, r, means(at_times, at), at), -most, most)
        sums["meat"] += (residuals.T @ residuals)[np.tril_indices(len(beta))]
    if params.clock is not None:
        clock = params.clock.read(event_times(time, event).astype(np.float64))
        own = clock[followed.leaves[of_events]]
        _moments(sums, "trend ", followed, r, at_times, weighed(at, clock), weight * own, of_events)
        squared = weighed(at, clock**2)
        _squares(sums, "trend squared ", followed, r, at_times, squared)
    return score


def _moments(
    sums: dict[str, Vector],
    prefix: str,
    followed: Followed,
    r: Vector,
    at_times: TimeSums,
    at: Hazard,
    weight: Vector,
    of_events: NDArray[np.int64],
) -> Vector:
    """Add observed, expected and second moments; returns the score."""
    observed = _of_rows(followed.x, weight, of_events)
    due = expected(at_times, at)
    sums[f"{prefix}observed"] += observed
    sums[f"{prefix}expected"] += due
    _squares(sums, prefix, followed, r, at_times, at)
    return observed - due


def _of_rows(x: Matrix, weight: Vector, rows: NDArray[np.int64]) -> Vector:
    """The weighted sum of some rows, without a copy of them."""
    spread = np.zeros(len(x))
    spread[rows] = weight
    return spread @ x


def _squares(
    sums: dict[str, Vector], prefix: str, followed: Followed, r: Vector, at_times: TimeSums, at: Hazard
) -> None:
    lower = np.tril_indices(followed.x.shape[1])
    under = np.minimum(r * exposure(followed, at), MOST_HAZARD)
    sums[f"{prefix}squares"] += gram(followed.x, under)[lower]
    sums[f"{prefix}between"] += between(at_times, at)[lower]


def derivatives(params: CoxParams, total: Released, prefix: str = "") -> tuple[float, Vector, Matrix]:
    """The log-likelihood, the score and the information from released sums."""
    p = len(params.covariates)
    value = float(total.values["value"][0])
    score = np.asarray(
        total.values[f"{prefix}observed"] - total.values[f"{prefix}expected"], dtype=np.float64
    )
    return value, score, information_of(total, p, prefix)


def information_of(total: Released, p: int, prefix: str = "") -> Matrix:
    """Squares under the hazard less squares of the risk sets' means."""
    return square(total.values[f"{prefix}squares"], p) - square(total.values[f"{prefix}between"], p)


def hidden_covariates(params: CoxParams, total: Released) -> NoFit | None:
    """Whose sums aren't shown, if any: a fit without them would be another model's."""
    made, p = design(params), len(params.covariates)
    needed = [[made.column[i], made.case[i], *made.pair[i]] for i in range(p)]
    closed = [not total.open[cells].all() for cells in needed]
    if not any(closed) and total.open[[0, made.outcome[0]]].all():
        return None
    return NoFit(
        trouble=SMALL_CELLS,
        suspects=suspects(names(params), [index for index, is_closed in enumerate(closed) if is_closed]),
    )


def stuck(params: CoxParams, after: newton.Stuck, total: Released) -> NoFit:
    """Why Newton's method found no maximum."""
    return NoFit(trouble=after.trouble, suspects=suspects(names(params), after.columns, total))


def nothing(people: int | None, events: int | None, why: NoFit, path: tuple[Visited, ...]) -> CoxResult:
    """A result without a fit."""
    return CoxResult(people=people, events=events, fit=None, no_fit=why, path=path)


def _people_of(total: Released) -> tuple[int | None, int | None]:
    """Everyone and those with an event, where shown."""
    shown = [total.shown(name)[0] for name in ("people", "events")]
    people, events = (None if value is None else int(value) for value in shown)
    return people, events


def _at(found: newton.Found) -> NewtonState:
    point = tuple(found.point.tolist())
    return NewtonState(point=point, origin=point, direction=tuple(0.0 for _ in point), path=found.path)


def _result(params: CoxParams, total: Released, found: newton.Found) -> CoxResult:
    lower_p = len(params.covariates)
    bread = found.covariance

    def sandwich(name: str) -> Vector | None:
        """Standard errors by the squares of scores; without any small-sample factor."""
        if name not in total.values:
            return None
        filling = square(total.values[name], lower_p)
        return np.asarray(np.sqrt(np.maximum(np.diag(bread @ filling @ bread), 0)))

    trends = None if params.clock is None else _trends(params, total)
    return report(
        params,
        found,
        *_people_of(total),
        log_likelihood=float(total.values["value"][0]),
        robust=sandwich("meat"),
        clustered=sandwich("cluster"),
        trends=trends,
    )


def report(
    params: CoxParams,
    found: newton.Found,
    people: int | None,
    events: int | None,
    *,
    log_likelihood: float,
    robust: Vector | None,
    clustered: Vector | None,
    trends: tuple[Trend, ...] | None,
) -> CoxResult:
    """The fit in words that a report shows. The first point was 0: its value is the null model's."""
    errors = np.sqrt(np.diag(found.covariance))
    half = -float(ndtri((1 - LEVEL) / 2)) * errors
    p_values = 2 * ndtr(-np.abs(found.point / errors))
    first = found.path[0]
    return CoxResult(
        people=people,
        events=events,
        fit=CoxFit(
            coefficients=tuple(
                Coefficient(
                    name=covariate.name,
                    estimate=float(found.point[i]),
                    error=float(errors[i]),
                    low=float(found.point[i] - half[i]),
                    high=float(found.point[i] + half[i]),
                    p_value=float(p_values[i]),
                    robust_error=None if robust is None else float(robust[i]),
                    clustered_error=None if clustered is None else float(clustered[i]),
                )
                for i, covariate in enumerate(params.covariates)
            ),
            covariance=tuple(tuple(row) for row in found.covariance.tolist()),
            log_likelihood=log_likelihood,
            null_log_likelihood=first.value,
            score_test=first.decrement or 0.0,
            trends=trends,
        ),
        no_fit=None,
        path=found.path,
    )


def _trends(params: CoxParams, total: Released) -> tuple[Trend, ...]:
    """Score tests in the model with, for each covariate, a coefficient for covariate times clock."""
    p = len(params.covariates)
    plain = information_of(total, p)
    mixed = information_of(total, p, "trend ")
    slope = information_of(total, p, "trend squared ")
    _, score, _ = derivatives(params, total, "trend ")
    return trend_tests(params, plain, mixed, slope, score)


def trend_tests(
    params: CoxParams, plain: Matrix, mixed: Matrix, slope: Matrix, score: Vector
) -> tuple[Trend, ...]:
    """Score tests for slopes, with the coefficients themselves at their maximum.

    Args:
        plain, mixed, slope: the information weighed by 1, by the clock, by its square.
        score: of the slopes.
    """
    left = slope - mixed @ np.linalg.solve(plain, mixed)
    # Where the clock says nothing that the coefficients don't (one interval, one time), there is no test.
    kept = np.diag(left) > ALONE * np.diag(slope)
    tests = [
        (covariate.name, float(score[i] ** 2 / left[i, i]) if kept[i] else 0.0, int(kept[i]))
        for i, covariate in enumerate(params.covariates)
    ]
    whole = left[np.ix_(kept, kept)]
    tests.append(
        (
            "GLOBAL",
            float(score[kept] @ np.linalg.pinv(whole) @ score[kept]),
            int(np.linalg.matrix_rank(whole)),
        )
        if kept.any()
        else ("GLOBAL", 0.0, 0)
    )
    return tuple(
        Trend(
            name=name,
            chi_square=chi_square,
            freedom=freedom,
            p_value=float(chdtrc(freedom, chi_square)) if freedom else 1.0,
        )
        for name, chi_square, freedom in tests
    )
