"""Fine and Gray's subdistribution hazards, each hospital with a baseline and a censoring distribution of its own.

Who has a competing event stays at risk, weighed by the chance not to have been censored since. That chance is the hospital's own
Kaplan-Meier curve of censoring (the stratum's own, where there are strata), so a hospital needs nothing of others.

Exact for: the pooled fit stratified by hospital with a censoring distribution for each of them, to rounding: R's `finegray` and
`coxph` with `strata(hospital)` in both, and at one hospital `crr` of cmprsk. The unstratified fit needs the network's censoring
curve at exact days, which no gate lets through. Errors are those of Fine and Gray: they hold the
censoring curves to be estimated.

Where people are censored on a day of events, events come first, as in `finegray`; then 1 less the weighted Kaplan-Meier curve is
Aalen and Johansen's. (`crr` takes both to be at risk.) Neither delayed entry nor weights.

At the same coefficients a cause-specific model (`cox`) differs by those with a competing event alone. So they are cells, with each
covariate, as those with the event are.

What `judge` stops is what it stops in `cox`. Source: Fine and Gray, JASA 94 (1999); Zhou et al., Biometrics 67 (2011).
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked
from scipy.special import ndtr, ndtri

from dure.stats import newton
from dure.stats.base import Again, Answer, Done, Frame, Released, SplitsBy, Statistic
from dure.stats.cox import (
    LEVEL,
    CoxState,
    columns,
    counted_of,
    covariates_of,
    derivatives,
    hidden_covariates,
    judge_point,
    stuck,
)
from dure.stats.cox_model import (
    MOST_HAZARD,
    MOST_RESIDUAL,
    CoxParams,
    counted,
    design,
    lawful,
    middle,
    widest,
)
from dure.stats.cox_model import layout as cox_layout
from dure.stats.design import EVERYONE, Covariate, square
from dure.stats.glm import Coefficient
from dure.stats.newton import NewtonState, Visited
from dure.stats.no_fit import NoFit
from dure.stats.risk_sets import (
    Ties,
    between,
    by_time,
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
)
from dure.stats.strata import rows_of_strata
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Layout, Relation, Sums

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Flags = NDArray[np.bool_]


@message
class FineGrayParams:
    """A model.

    Attributes:
        cause: the number in the column `event` that is the event; 0 is censored, any other competes.
        stratified: whether a column `stratum` divides each hospital further.
    """

    covariates: tuple[Covariate, ...]
    ties: Ties = "breslow"
    cause: Annotated[int, Checked(ge=1, le=20)] = 1
    stratified: bool = False
    most_rounds: Annotated[int, Checked(ge=2, le=100)] = 30

    def __post_init__(self) -> None:
        """Raise BadDesign where names clash or there are none."""
        _cox(self)


@message
class FineGrayFit:
    """A model at its maximum.

    Attributes:
        coefficients: log ratios of subdistribution hazards. `error` takes weights as given; `robust_error` and the
            interval don't.
        covariance: robust, row by row.
        log_likelihood, null_log_likelihood: of weighted risk sets, so that their difference tests nothing.
    """

    coefficients: tuple[Coefficient, ...]
    covariance: tuple[tuple[float, ...], ...]
    log_likelihood: float
    null_log_likelihood: float


@message
class FineGrayResult:
    """People, those with the event and with a competing one, the fit or why there is none, and the points asked about."""

    people: int | None
    events: int | None
    competing: int | None
    fit: FineGrayFit | None
    no_fit: NoFit | None
    path: tuple[Visited, ...]


class FineGray(Statistic[FineGrayParams, CoxState, FineGrayResult]):
    """A model of one cause's cumulative incidence, by Newton's method."""

    name = "fine_gray"
    params = FineGrayParams
    state = CoxState
    result = FineGrayResult
    splits_by = SplitsBy.SITE
    tolerance = 1e-12
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)

    def layout(self, params: FineGrayParams) -> Layout:
        """As of `cox`, with those who have a competing event, and with them each covariate."""
        return _layout(params)

    def columns(self, params: FineGrayParams) -> tuple[str, ...]:
        """`time` last seen, `event` (0 or the cause), `stratum` where stratified, covariates."""
        return columns(_cox(params))

    def rounds(self, params: FineGrayParams) -> int:
        return params.most_rounds + 1

    def begin(self, params: FineGrayParams) -> CoxState:
        """All coefficients 0."""
        return CoxState(newton=newton.begin(np.zeros(len(params.covariates))))

    def judge(self, params: FineGrayParams, state: CoxState) -> None:
        """The coefficients must be finite, as many as the model has, and bounded in what they say of anybody."""
        judge_point(_cox(params), state.newton)

    def local(self, frame: Frame, params: FineGrayParams, state: CoxState) -> Answer:
        """One row a person. Columns `hospital` and, if the model is stratified, `stratum` divide the rows."""
        model, made = _cox(params), _layout(params)
        sums: dict[str, Any] = {field.name: np.zeros(field.rests_on.shape) for field in made.fields}
        cause, time = frame.columns["event"], frame.columns["time"]
        x, beta = covariates_of(frame, model), np.array(state.newton.point)
        here = frame.once(counted_of, model)
        support = np.concatenate([here.support, _competing(params, cause, x)])
        sums |= here.oddities
        for name, cell in (("people", EVERYONE), ("events", _event(params)), ("competing", _first(params))):
            sums[name] = support[[cell]]
        names = ("hospital", "stratum") if params.stratified else ("hospital",)
        strata = rows_of_strata([frame.columns[name] for name in names if name in frame.columns], len(cause))
        for rows in strata:
            _add(sums, params, time[rows], cause[rows], x[rows], beta, last=state.last)
        return Answer(
            sums=Sums(layout=made, values=sums),
            support=support,
            populations={"everyone": here.people},
        )

    def step(
        self, params: FineGrayParams, state: CoxState, total: Released
    ) -> Again[CoxState] | Done[FineGrayResult]:
        model, path = _cox(params), state.newton.path
        hidden = hidden_covariates(model, total)
        if hidden is not None:
            return Done(result=_nothing(total, hidden, path))
        value, score, information = derivatives(model, total)
        if state.last:
            return Done(result=_result(params, state, total, information))
        after = newton.advance(
            state.newton,
            value,
            score,
            information,
            most=params.most_rounds,
            lawful=lambda beta: lawful(model, beta),
        )
        if isinstance(after, NewtonState):
            return Again(state=CoxState(newton=after))
        if isinstance(after, newton.Stuck):
            return Done(result=_nothing(total, stuck(model, after, total), after.path))
        at_maximum = replace(newton.begin(after.point), path=after.path)
        return Again(state=CoxState(newton=at_maximum, last=True))


@lru_cache(maxsize=8)
def _cox(params: FineGrayParams) -> CoxParams:
    """The model that it is but for its weights, whose cells, bounds and lawful questions are the same."""
    return CoxParams(
        covariates=params.covariates,
        ties=params.ties,
        cause=params.cause,
        stratified=params.stratified,
        robust=True,
        most_rounds=params.most_rounds,
    )


@dataclass(frozen=True, kw_only=True)
class _Censoring:
    """The curve of censoring in one stratum. All have shape (days on which somebody is censored,).

    Attributes:
        censored, at_risk: who is censored that day, who could be: those who are there after its events.
        left: the share not censored yet, after the day.
    """

    day: NDArray[Any]
    censored: NDArray[np.int64]
    at_risk: NDArray[np.int64]
    left: Vector

    @classmethod
    def of(cls, time: NDArray[Any], is_censored: Flags) -> "_Censoring":
        day, censored = np.unique(time[is_censored], return_counts=True)
        later = len(time) - np.searchsorted(np.sort(time), day, side="right")
        at_risk = later + censored
        return cls(day=day, censored=censored, at_risk=at_risk, left=np.cumprod(1 - censored / at_risk))

    def before(self, time: NDArray[Any]) -> Vector:
        """The share not censored before each time."""
        return np.concatenate([[1.0], self.left])[np.searchsorted(self.day, time, side="left")]


def _add(
    sums: dict[str, Any],
    params: FineGrayParams,
    time: NDArray[Any],
    cause: NDArray[np.int64],
    x: Matrix,
    beta: Vector,
    *,
    last: bool,
) -> None:
    """Add one stratum's sums."""
    event = cause == params.cause
    if not event.any():
        return
    times = event_times(time, event)
    followed = follow(time, event, x, times=times)
    eta, r = risk(followed, beta, origin=float(beta @ middle(_cox(params))))
    censoring = _Censoring.of(time, cause == 0)
    left = censoring.before(times)
    # Who had a competing event stays at risk from the next event on, by `left` there over `left` when they had it.
    stays = np.flatnonzero((cause != 0) & ~event)
    place = np.searchsorted(times, time[stays], side="right")
    worth = np.exp(eta[stays]) / censoring.before(time[stays])
    had, had_x = (np.cumsum(part, axis=0)[:-1] for part in by_time(place, worth, x, len(times) + 1, stays))
    of_others = time_sums(followed, r, params.ties)
    at_times = replace(of_others, s0=of_others.s0 + left * had, s1=of_others.s1 + left[:, None] * had_x)
    at = hazard(at_times, params.ties)
    still_under = _from_here_on(left * at.a)[place]
    under = r * exposure(followed, at)
    under[stays] += worth * still_under
    lower = np.tril_indices(len(beta))
    sums["value"] += eta[event].sum() - at.log.sum()
    sums["observed"] += x[event].sum(axis=0)
    sums["expected"] += expected(at_times, at)
    sums["squares"] += gram(x, np.minimum(under, MOST_HAZARD))[lower]
    sums["between"] += between(at_times, at)[lower]
    if not last:
        return
    against = means(at_times, at)
    residuals = score_residuals(followed, r, against, at)
    steps = _from_here_on(left[:, None] * against.step)
    residuals[stays] += worth[:, None] * (steps[place] - x[stays] * still_under[:, None])
    # What a censored day's hazard moves the score by: the weights, after it, of those who stayed before.
    after = np.searchsorted(times, censoring.day, side="right")
    order = np.argsort(time[stays], kind="stable")
    until = np.searchsorted(time[stays][order], censoring.day, side="right")
    stayed, stayed_x = (
        np.concatenate([np.zeros((1, *part.shape[1:])), np.cumsum(part[order], axis=0)])[until]
        for part in (worth, worth[:, None] * x[stays])
    )
    moves = stayed_x * _from_here_on(left * at.a)[after][:, None] - stayed[:, None] * steps[after]
    moves /= censoring.at_risk[:, None]
    residuals += _of_censoring(censoring, moves, time, cause == 0)
    most = MOST_RESIDUAL * widest(_cox(params))
    held = np.clip(residuals, -most, most)
    sums["meat"] += (held.T @ held)[lower]


def _of_censoring(censoring: _Censoring, moves: Matrix, time: NDArray[Any], is_censored: Flags) -> Matrix:
    """Each row's part in the error of the censoring curve: its own censoring, less the one expected of it. Shape (n, p)."""
    expected_of = moves * (censoring.censored / censoring.at_risk)[:, None]
    up_to = np.concatenate([np.zeros((1, moves.shape[1])), np.cumsum(expected_of, axis=0)])
    after = np.searchsorted(censoring.day, time, side="left") + is_censored
    parts = -up_to[after]
    parts[is_censored] += moves[after[is_censored] - 1]
    return np.asarray(parts)


def _from_here_on(values: Vector) -> Vector:
    """Sums from each place to the end; past the end, 0. Shape (T, ...) to (T + 1, ...)."""
    sums = np.cumsum(values[::-1], axis=0)[::-1]
    return np.concatenate([sums, np.zeros((1, *values.shape[1:]))])


def _people_of(total: Released) -> tuple[int | None, ...]:
    """Everyone, those with the event, those with a competing one, where shown."""
    shown = [total.shown(name)[0] for name in ("people", "events", "competing")]
    return tuple(None if value is None else int(value) for value in shown)


def _nothing(total: Released, why: NoFit, path: tuple[Visited, ...]) -> FineGrayResult:
    people, events, competing = _people_of(total)
    return FineGrayResult(people=people, events=events, competing=competing, fit=None, no_fit=why, path=path)


def _result(params: FineGrayParams, state: CoxState, total: Released, information: Matrix) -> FineGrayResult:
    p, path = len(params.covariates), state.newton.path
    inverse = newton.inverse(information)
    if inverse is None:
        raise AssertionError("the information at a maximum has an inverse")
    covariance = inverse @ square(total.values["meat"], p) @ inverse
    point, errors = np.array(state.newton.point), np.sqrt(np.diag(covariance))
    half = -float(ndtri((1 - LEVEL) / 2)) * errors
    people, events, competing = _people_of(total)
    return FineGrayResult(
        people=people,
        events=events,
        competing=competing,
        fit=FineGrayFit(
            coefficients=tuple(
                Coefficient(
                    name=covariate.name,
                    estimate=float(point[i]),
                    error=float(np.sqrt(inverse[i, i])),
                    low=float(point[i] - half[i]),
                    high=float(point[i] + half[i]),
                    p_value=float(2 * ndtr(-abs(point[i] / errors[i]))),
                    robust_error=float(errors[i]),
                    clustered_error=None,
                )
                for i, covariate in enumerate(params.covariates)
            ),
            covariance=tuple(tuple(row) for row in covariance.tolist()),
            log_likelihood=float(total.values["value"][0]),
            null_log_likelihood=path[0].value,
        ),
        no_fit=None,
        path=path,
    )


def _event(params: FineGrayParams) -> int:
    """The cell of those with the event."""
    return design(_cox(params)).outcome[0]


def _first(params: FineGrayParams) -> int:
    """The cell of those with a competing event, the first beyond the design's."""
    return len(design(_cox(params)).names)


def _competing(params: FineGrayParams, cause: NDArray[np.int64], x: Matrix) -> NDArray[np.int64]:
    """People with a competing event and with none, and with either each covariate: in the order of the layout's cells."""
    kinds = ((cause != 0) & (cause != params.cause), cause == 0)
    counts = [int(kind.sum()) for kind in kinds]
    for index, covariate in enumerate(params.covariates):
        if covariate.never_zero:
            continue
        some = [int((kind & (x[:, index] != 0)).sum()) for kind in kinds]
        counts += some
        if covariate.binary:
            counts += [whole - part for whole, part in zip(counts[:2], some, strict=True)]
    return np.array(counts, dtype=np.int64)


@lru_cache(maxsize=8)
def _layout(params: FineGrayParams) -> Layout:
    """Those without the event are those with a competing one and those without any; with each 0/1 covariate likewise.

    Where a covariate's sum would speak of few with a competing event, it isn't shown.
    """
    made = cox_layout(_cox(params))
    event, none = design(_cox(params)).outcome
    names, relations, together = list(made.cells), list(made.relations), []
    competing = _first(params)
    names += ["competing event", "no event"]
    relations.append(Relation(whole=none, parts=(competing, competing + 1)))
    together.append((event, competing))
    for index, covariate in enumerate(params.covariates):
        if covariate.never_zero:
            continue
        name, first, column = covariate.name, len(names), int(design(_cox(params)).column[index])
        # In the design stand, one after the other: with the outcome, without it, and the same of those without the covariate.
        corners = int(design(_cox(params)).case[index])
        names += [f"{name} & competing event", f"{name} & no event"]
        relations.append(Relation(whole=corners + 1, parts=(first, first + 1)))
        together.append((column, first))
        if not covariate.binary:
            continue
        names += [f"not {name} & competing event", f"not {name} & no event"]
        together.append((column, first + 2))
        relations += [
            Relation(whole=competing, parts=(first, first + 2)),
            Relation(whole=competing + 1, parts=(first + 1, first + 3)),
            Relation(whole=corners + 3, parts=(first + 2, first + 3)),
        ]
    fields = (*made.fields[:2], counted("competing", competing), *made.fields[2:])
    return Layout(
        cells=tuple(names),
        relations=tuple(relations),
        fields=fields,
        together=tuple(together),
        model=made.model,
    )
