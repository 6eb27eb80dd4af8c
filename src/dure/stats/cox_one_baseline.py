"""Cox's proportional hazards with one baseline for the whole network, on a grid of intervals, in `total` mode only.

Exact for: the pooled fit without strata, for times moved to the ends of the grid's intervals (`risk_table` finds a grid that
the gate allows). It takes two rounds for each set of coefficients. First hospitals send, for each interval, sums over those who have
the event in it, who leave in it without, and who come in it, of r = weight * exp(eta) and of r x; the risk sets are the running
totals of these. Then the hub tells the hazard that follows, and hospitals send everyone's squares under it.

What can't be had: the fit at exact times. Consecutive risk sets differ by those who left between them, so on exact times each
difference is one person's covariates (`tests/attacks`). Here everything that is sent about an interval, and every difference, is a
sum over people who came, had the event or left in it, and no total over intervals is sent from which a hidden one could be had.
Each such group, and each level of a 0/1 covariate in it, must be nobody or enough people, or there is no fit.

What that doesn't stop: each round is another sum over the same groups, so with many rounds a group's distribution of covariates
becomes known (not who has which); and a lying hub may tell a hazard that weighs one interval alone.
"""

from dataclasses import replace
from functools import lru_cache
from itertools import chain
from math import exp
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats import newton, no_fit
from dure.stats.base import Again, Answer, BadState, Done, Frame, Released, SplitsBy, Statistic
from dure.stats.cox import (
    CoxResult,
    Trend,
    counted_of,
    covariates_of,
    judge_point,
    nothing,
    report,
    stuck,
    trend_tests,
    weight_of,
)
from dure.stats.cox_model import (
    LARGEST_LOG_HAZARD,
    MOST_HAZARD,
    MOST_RESIDUAL,
    MOST_SCORE_PEOPLE,
    CoxParams,
    derivative,
    design,
    heaviest,
    lawful,
    middle,
    widest,
)
from dure.stats.design import EVERYONE, BadDesign, square, triangle
from dure.stats.newton import NewtonState
from dure.stats.no_fit import SMALL_CELLS, NoFit
from dure.stats.risk_sets import (
    Followed,
    Hazard,
    Means,
    TimeSums,
    at_risk,
    between,
    by_time,
    events,
    expected,
    exposure,
    gram,
    hazard,
    means,
    risk,
    score_residuals,
    weighed,
)
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Model, Relation, Sums, Unit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Cells = NDArray[np.int64]
KINDS = ("event", "left", "came")
EVENT, LEFT, CAME = range(3)


@message
class OneBaselineParams:
    """A model on a grid.

    Attributes:
        model: as for `cox`; its clock and strata don't apply. (Strata that cross hospitals are stretches of the grid: who is
            in one comes at its first interval and leaves within it.)
        intervals: at most so many; those that are out of use hold nobody.
        clock: a number for each interval, by which proportional hazards are tested, if at all.
    """

    model: CoxParams
    intervals: Annotated[int, Checked(ge=1, le=10_000)]
    clock: tuple[Annotated[float, Checked(ge=0, le=1)], ...] | None = None

    def __post_init__(self) -> None:
        """Raise BadDesign where the parts contradict each other."""
        if self.model.clock is not None or self.model.stratified:
            raise BadDesign(
                "A model with one baseline has no strata, and a clock of its own.",
                where="model",
                mend="Leave `clock` and `stratified` out of the model.",
            )
        if self.clock is not None and len(self.clock) != self.intervals:
            raise BadDesign(
                f"The clock has {len(self.clock)} numbers for {self.intervals} intervals.",
                where="clock",
                mend="Give one number for each interval.",
            )


@message
class Compared:
    """For the report only: what people are compared with, by interval and covariate (as in `risk_sets.Means`)."""

    of_events: tuple[tuple[float, ...], ...]
    step: tuple[tuple[float, ...], ...]
    own: tuple[tuple[float, ...], ...]


@message
class Told:
    """The hazard that the sums led to, by interval, and what the hub keeps with it until the squares are there.

    Attributes:
        a, b: as in `risk_sets.Hazard`.
        value, score: the log-likelihood and its gradient; with a clock, at the maximum, also the slopes' gradient.
        between: the risk sets' part of the information, weighed by each power of the clock that is asked for.
    """

    a: tuple[float, ...]
    b: tuple[float, ...]
    value: float
    score: tuple[float, ...]
    trend_score: tuple[float, ...]
    between: tuple[tuple[float, ...], ...]


@message
class OneBaselineState:
    """The coefficients asked about; in every second round also the hazard.

    Attributes:
        last: whether they are the maximum, asked about once more for what only the report needs.
    """

    newton: NewtonState
    told: Told | None = None
    compared: Compared | None = None
    last: bool = False


@message
class OneBaselineResult:
    """The fit, and the cumulative hazard of someone whose covariates are all 0, at the end of each interval."""

    cox: CoxResult
    hazard: tuple[float, ...] | None


class CoxOneBaseline(Statistic[OneBaselineParams, OneBaselineState, OneBaselineResult]):
    """Cox's model with one baseline for all hospitals, by Newton's method in pairs of rounds."""

    name = "cox_one_baseline"
    params = OneBaselineParams
    state = OneBaselineState
    result = OneBaselineResult
    splits_by = SplitsBy.SITE
    tolerance = 1e-12
    modes = (Mode.TOTAL,)

    def layout(self, params: OneBaselineParams) -> Layout:
        """Cells of the design, and of who comes, has the event and leaves in each interval, by covariate."""
        return _layout(params)

    def columns(self, params: OneBaselineParams) -> tuple[str, ...]:
        """`leaves`, the interval (from 0) in which last seen, `event`; `enters`, the first one, if delayed; covariates."""
        asked = (("enters", params.model.delayed), ("weight", params.model.weight is not None))
        extra = (name for name, wanted in asked if wanted)
        return ("leaves", "event", *extra, *(covariate.name for covariate in params.model.covariates))

    def rounds(self, params: OneBaselineParams) -> int:
        return 2 * (params.model.most_rounds + 1)

    def begin(self, params: OneBaselineParams) -> OneBaselineState:
        """All coefficients 0."""
        return OneBaselineState(newton=newton.begin(np.zeros(len(params.model.covariates))))

    def judge(self, params: OneBaselineParams, state: OneBaselineState) -> None:
        """Lawful coefficients, and a hazard that is one: finite, not negative, of every interval."""
        judge_point(params.model, state.newton)
        lawful_shape = True
        if state.told is not None:
            a, b = np.array(state.told.a), np.array(state.told.b)
            lawful_shape = a.shape == b.shape == (params.intervals,) and bool(
                (a >= b).all() and (b >= 0).all() and a.sum() <= MOST_HAZARD * exp(LARGEST_LOG_HAZARD)
            )
        if state.compared is not None:
            shape = (params.intervals, len(params.model.covariates))
            told = (state.compared.of_events, state.compared.step, state.compared.own)
            lawful_shape &= state.last and all(np.array(part).shape == shape for part in told)
        lawful_shape &= (state.compared is not None) == (
            state.told is not None and _asks(params) and state.last
        )
        if not lawful_shape:
            raise BadState(
                "The hazard is none that sums could lead to.", where="state", mend="Nothing to do here."
            )

    def local(self, frame: Frame, params: OneBaselineParams, state: OneBaselineState) -> Answer:
        """One row a person. A column `hospital` matters only to clustered errors."""
        model, made = params.model, _layout(params)
        sums: dict[str, Any] = {field.name: np.zeros(field.rests_on.shape) for field in made.fields}
        here = frame.once(counted_of, _at_risk_throughout(model))
        event = here.event
        sums |= here.oddities
        followed = Followed(
            leaves=frame.columns["leaves"].astype(np.int64),
            enters=frame.columns["enters"].astype(np.int64) if model.delayed else None,
            idle=None,
            event=event,
            x=covariates_of(frame, model),
            weight=weight_of(frame, model),
            times=params.intervals,
        )
        support = np.concatenate([here.support, _people(followed, params)], dtype=np.int64)
        beta = np.array(state.newton.point)
        _, r = risk(followed, beta, origin=float(beta @ middle(model)))
        sums["event people"] = events(followed)[0]
        sums["left people"] = np.bincount(followed.leaves[~event], minlength=params.intervals)
        if state.told is None:
            _add_sums(sums, followed, r)
        else:
            _add_squares(sums, followed, r, params, state, frame.columns.get("hospital"))
        told = {
            field.name: sums[field.name].astype(np.int64) if field.scale == 0 else sums[field.name]
            for field in made.fields
        }
        return Answer(
            sums=Sums(layout=made, values=told),
            support=support,
            populations={"everyone": here.people},
        )

    def step(
        self, params: OneBaselineParams, state: OneBaselineState, total: Released
    ) -> Again[OneBaselineState] | Done[OneBaselineResult]:
        model, path = params.model, state.newton.path
        if not total.open[total.layout.rests_on].all():
            hidden = NoFit(trouble=SMALL_CELLS, suspects=())
            return Done(result=OneBaselineResult(cox=nothing(None, None, hidden, path), hazard=None))
        if state.told is None:
            return Again(state=_tell(params, state, total))
        told, p = state.told, len(model.covariates)
        score = np.array(told.score)
        information = square(total.values["squares"], p) - square(np.array(told.between[0]), p)
        if state.last:
            covariance = newton.inverse(information)
            if covariance is None:
                raise AssertionError("the information at a maximum has an inverse")
            point = np.array(state.newton.point)
            found = newton.Found(point=point, covariance=covariance, path=path)
            return Done(result=_result(params, state, total, found, information))
        after = newton.advance(
            state.newton,
            told.value,
            score,
            information,
            most=model.most_rounds,
            lawful=lambda beta: lawful(model, beta),
        )
        if isinstance(after, NewtonState):
            return Again(state=OneBaselineState(newton=after))
        if isinstance(after, newton.Stuck):
            without = nothing(*_people_of(total), stuck(model, after, total), after.path)
            return Done(result=OneBaselineResult(cox=without, hazard=None))
        if _asks(params):
            here = state.newton.point
            again = NewtonState(point=here, origin=here, direction=tuple(0.0 for _ in here), path=after.path)
            return Again(state=OneBaselineState(newton=again, last=True))
        return Done(result=_result(params, state, total, after, information))


@lru_cache(maxsize=8)
def _at_risk_throughout(model: CoxParams) -> CoxParams:
    """The model as far as people are counted: whoever is in a frame of intervals is at risk in one."""
    return replace(model, delayed=False)


def _people_of(total: Released) -> tuple[int, int]:
    """Everyone and those with an event, in all intervals: totals are never sent, or a hidden group would be the rest."""
    with_event = int(total.values["event people"].sum())
    return with_event + int(total.values["left people"].sum()), with_event


def _asks(params: OneBaselineParams) -> bool:
    """Whether the report needs a last pair of rounds."""
    return params.model.robust or params.model.clustered or params.clock is not None


def _powers(params: OneBaselineParams) -> int:
    return 1 if params.clock is None else 3


def _people(followed: Followed, params: OneBaselineParams) -> Cells:
    """People by kind and interval, and by covariate: in the order of the layout's cells."""
    kinds = [(followed.leaves, followed.event), (followed.leaves, ~followed.event)]
    if followed.enters is not None:
        kinds.append((followed.enters, np.ones(len(followed.event), dtype=np.bool_)))
    tables = []
    for place, kind in kinds:
        everyone = np.bincount(place[kind], minlength=params.intervals)
        tables.append(everyone)
        for index, covariate in enumerate(params.model.covariates):
            if covariate.never_zero:
                continue
            some = np.bincount(place[kind & (followed.x[:, index] != 0)], minlength=params.intervals)
            tables.append(some)
            if covariate.binary:
                tables.append(everyone - some)
    return np.concatenate(tables)


def _add_sums(sums: dict[str, Any], followed: Followed, r: Vector) -> None:
    of_events = np.flatnonzero(followed.event)
    others = np.flatnonzero(~followed.event)
    weight = np.zeros(len(r))
    weight[of_events] = 1.0 if followed.weight is None else followed.weight[of_events]
    own = followed.leaves[of_events]
    sums["event covariates"] = by_time(own, weight[of_events], followed.x, followed.times, of_events)[1]
    if followed.weight is not None:
        sums["event weight"] = events(followed)[1]
    for kind, rows in ((EVENT, of_events), (LEFT, others)):
        zeroth, first = by_time(followed.leaves[rows], r[rows], followed.x, followed.times, rows)
        sums[f"{KINDS[kind]} 0"], sums[f"{KINDS[kind]} 1"] = zeroth, first
    if followed.enters is not None:
        sums["came 0"], sums["came 1"] = by_time(followed.enters, r, followed.x, followed.times)


def _add_squares(
    sums: dict[str, Any],
    followed: Followed,
    r: Vector,
    params: OneBaselineParams,
    state: OneBaselineState,
    hospital: NDArray[np.int64] | None,
) -> None:
    assert state.told is not None
    p = followed.x.shape[1]
    lower = np.tril_indices(p)
    at = _hazard_told(state.told)
    clock = np.ones(params.intervals)
    for power in range(_powers(params) if state.last else 1):
        under = np.minimum(r * exposure(followed, weighed(at, clock)), MOST_HAZARD)
        sums[_squares_name(power)] = gram(followed.x, under)[lower]
        clock = clock * np.array(params.clock or 0.0)
    if state.compared is None:
        return
    against = Means(
        **{name: np.array(getattr(state.compared, name)) for name in ("of_events", "step", "own")}
    )
    residuals = score_residuals(followed, r, against, at)
    largest = heaviest(params.model) * widest(params.model)
    if params.model.robust:
        held = np.clip(residuals, -MOST_RESIDUAL * largest, MOST_RESIDUAL * largest)
        sums["meat"] = (held.T @ held)[lower]
    if params.model.clustered:
        places = np.zeros(len(r), dtype=np.int64) if hospital is None else hospital
        for place in np.unique(places):
            score = residuals[places == place].sum(axis=0)
            held = np.clip(score, -MOST_SCORE_PEOPLE * largest, MOST_SCORE_PEOPLE * largest)
            sums["cluster"] += np.outer(held, held)[lower]


def _hazard_told(told: Told) -> Hazard:
    """Of a hazard, exposure needs only `a` and `b`."""
    a, b = np.array(told.a), np.array(told.b)
    nothing_told = np.zeros(len(a))
    return Hazard(log=nothing_told, a=a, b=b, aa=nothing_told, ab=nothing_told, bb=nothing_told)


def _squares_name(power: int) -> str:
    return ("squares", "trend squares", "trend squared squares")[power]


def _tell(params: OneBaselineParams, state: OneBaselineState, total: Released) -> OneBaselineState:
    """From sums over the intervals' groups to risk sets, hazard, value and score."""
    model = params.model
    beta = np.array(state.newton.point)

    def of(kind: str) -> tuple[Vector, Vector]:
        return (
            total.values[f"{kind} 0"].astype(np.float64, copy=False),
            total.values[f"{kind} 1"].astype(np.float64, copy=False),
        )

    d0, d1 = of("event")
    left0, left1 = of("left")
    s0, s1 = at_risk((d0 + left0, d1 + left1), of("came") if model.delayed else None)
    d = total.values["event people"].astype(np.int64)
    w = d.astype(np.float64) if model.weight is None else total.values["event weight"].astype(np.float64)
    at_times = TimeSums(s0=s0, s1=s1, d0=d0, d1=d1, d=d, w=w)
    at = hazard(at_times, model.ties)
    covariates = total.values["event covariates"].astype(np.float64, copy=False)
    observed = np.asarray(covariates.sum(axis=0))
    value = float(beta @ observed - (beta @ middle(model)) * w.sum() - at.log.sum())
    lower = np.tril_indices(len(beta))
    trended = state.last and params.clock is not None
    clock = np.array(params.clock) if params.clock is not None else np.ones(params.intervals)
    slopes = weighed(at, clock)
    told = Told(
        a=tuple(at.a.tolist()),
        b=tuple(at.b.tolist()),
        value=value,
        score=tuple((observed - expected(at_times, at)).tolist()),
        trend_score=tuple((clock @ covariates - expected(at_times, slopes)).tolist()) if trended else (),
        between=tuple(
            tuple(between(at_times, weighed(at, clock**power))[lower].tolist())
            for power in range(3 if trended else 1)
        ),
    )
    compared = None
    if state.last:
        found = means(at_times, at)
        compared = Compared(
            **{
                name: tuple(tuple(row) for row in getattr(found, name).tolist())
                for name in ("of_events", "step", "own")
            }
        )
    return OneBaselineState(newton=state.newton, told=told, compared=compared, last=state.last)


def _result(
    params: OneBaselineParams,
    state: OneBaselineState,
    total: Released,
    found: newton.Found,
    information: Matrix,
) -> OneBaselineResult:
    model, told, p = params.model, state.told, len(params.model.covariates)
    assert told is not None
    bread = found.covariance

    def sandwich(name: str) -> Vector | None:
        if name not in total.values:
            return None
        filling = square(total.values[name], p)
        return np.asarray(np.sqrt(np.maximum(np.diag(bread @ filling @ bread), 0)))

    trends: tuple[Trend, ...] | None = None
    if params.clock is not None:
        mixed, slope = (
            square(total.values[_squares_name(power)], p) - square(np.array(told.between[power]), p)
            for power in (1, 2)
        )
        trends = trend_tests(model, information, mixed, slope, np.array(told.trend_score))
    origin = float(found.point @ middle(model))
    return OneBaselineResult(
        cox=report(
            model,
            found,
            *_people_of(total),
            log_likelihood=told.value,
            robust=sandwich("meat"),
            clustered=sandwich("cluster"),
            trends=trends,
        ),
        hazard=tuple((np.cumsum(told.a) * exp(-origin)).tolist()),
    )


@lru_cache(maxsize=8)
def _layout(params: OneBaselineParams) -> Layout:
    model = params.model
    made, intervals, p = design(model), params.intervals, len(model.covariates)
    names, relations = list(made.names), list(made.relations)
    kinds = KINDS if model.delayed else KINDS[:2]
    everyone: list[Cells] = []
    by_covariate: list[Cells] = []

    def row(name: str) -> Cells:
        start = len(names)
        names.extend(f"{name} in {interval}" for interval in range(intervals))
        return np.arange(start, start + intervals, dtype=np.int64)

    for kind in kinds:
        whole = row(kind)
        of_covariates = np.empty((intervals, p), dtype=np.int64)
        for index, covariate in enumerate(model.covariates):
            of_covariates[:, index] = whole
            if covariate.never_zero:
                continue
            some = row(f"{kind}, {covariate.name}")
            of_covariates[:, index] = some
            if covariate.binary:
                others = row(f"{kind}, not {covariate.name}")
                relations += [
                    Relation(whole=int(all_), parts=(int(with_), int(without)))
                    for all_, with_, without in zip(whole, some, others, strict=True)
                ]
        everyone.append(whole)
        by_covariate.append(of_covariates)
    pairs = triangle(made.pair)
    weight, x, most = heaviest(model), widest(model), heaviest(model) * exp(LARGEST_LOG_HAZARD)
    fields = [
        Field(name="event people", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=everyone[EVENT]),
        Field(name="left people", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=everyone[LEFT]),
        derivative("event covariates", weight * x, by_covariate[EVENT]),
        *chain.from_iterable(
            (
                derivative(f"{kind} 0", most, everyone[index]),
                derivative(f"{kind} 1", most * x, by_covariate[index]),
            )
            for index, kind in enumerate(kinds)
        ),
        derivative("squares", weight * x * x * MOST_HAZARD, pairs),
        *no_fit.fields(p),
    ]
    if model.weight is not None:
        fields.append(derivative("event weight", weight, everyone[EVENT]))
    every_pair = np.full(len(pairs), EVERYONE, dtype=np.int64)
    if model.robust:
        fields.append(derivative("meat", (weight * x * MOST_RESIDUAL) ** 2, every_pair))
    if model.clustered:
        bound = (MOST_SCORE_PEOPLE * weight * x) ** 2
        fields.append(derivative("cluster", bound, every_pair, Unit.HOSPITAL, people_bits=7))
    if params.clock is not None:
        fields += [derivative(_squares_name(power), weight * x * x * MOST_HAZARD, pairs) for power in (1, 2)]
    solved = Model(coefficients=p, people=EVERYONE, events=made.outcome[:1])
    return Layout(cells=tuple(names), relations=tuple(relations), fields=tuple(fields), model=solved)
