"""The hub's side of a penalised model: a path of penalties, each with the coefficients at its minimum, from gradients alone.

Responsible for: what is kept between rounds, which coefficients are asked about next, when a point is the minimum, the path that led
there. Not responsible for: what is summed (each model: `lasso`, `cox_lasso`), the model of the curvature (`quasi_newton`).

Along the path each start is the minimum before; earlier minima are near enough for a warm start, the last is exact. A minimum
is never guessed: where the rounds run out, the outcome says so and how far it was off, with the path that led there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dure.stats.base import Again, BadState, Done
from dure.stats.design import BadDesign, Covariate
from dure.stats.quasi_newton import Penalty, curvature, minimum
from dure.wire.codec import message

Vector = NDArray[np.float64]
LARGEST_COEFFICIENT = 40.0
EXACT = 1e-11
"""By default, how far from its minimum a coordinate's derivative may be at the last penalty, per person."""
NEARLY = 1e-3
"""The same at earlier penalties, as a share of the penalty."""
REMEMBERED = 20
MOST_NEW = 500
WATCHED = 0.5
"""Gradients above this share of the penalty are remembered, so that the next step knows how they changed."""
MOST_ACTIVE = 2000
SMALLEST_STEP = 2.0**-20
LOWER = 1e-13
SMALL_CELLS, NOT_CONVERGED, TOO_MANY = "small-cells", "not-converged", "too-many-covariates"


class Penalised(Protocol):
    """What every penalised model's parameters say."""

    @property
    def covariates(self) -> tuple[Covariate, ...]: ...
    @property
    def penalties(self) -> tuple[float, ...]: ...
    @property
    def share(self) -> float: ...
    @property
    def fold(self) -> int: ...
    @property
    def folds(self) -> int: ...
    @property
    def most_rounds(self) -> int: ...
    @property
    def near(self) -> float: ...


@message
class Sparse:
    """Some coordinates of a vector: 0 is the intercept, j + 1 the covariate j."""

    index: tuple[int, ...]
    value: tuple[float, ...]


@message
class Taken:
    """A step, and how the gradient changed by it."""

    step: Sparse
    change: Sparse


@message
class Solution:
    """The estimate at one penalty. `held_out`: the log-likelihood of the people of the fold left out."""

    penalty: float
    intercept: float
    coefficients: dict[str, float]
    log_likelihood: float
    held_out: float


@message
class Look:
    """One point that sums were asked at.

    Attributes:
        objective: -log-likelihood / people + penalty, which is to be least.
        off: how far from its minimum the worst derivative was, per person; None where the step was taken back.
    """

    penalty: float
    objective: float
    off: float | None


@message
class PathState:
    """The coefficients asked about, and what it takes to go on from the answer.

    Attributes:
        asked: the coefficients.
        origin, gradient, objective: those that they are a step from, with the gradient and the objective there.
        steps: the latest steps.
        place: which penalty is sought.
        found: the estimates at earlier ones.
        looks: the points asked about so far.
        rounds: asked before.
    """

    asked: Sparse
    origin: Sparse
    gradient: Sparse
    objective: float | None = None
    steps: tuple[Taken, ...] = ()
    place: int = 0
    found: tuple[Solution, ...] = ()
    looks: tuple[Look, ...] = ()
    rounds: int = 0


@message
class PathResult:
    """The path; its last estimate is exact. With `trouble` there is none, for that reason.

    Attributes:
        left_out: covariates with too few people behind one of their cells.
        off: how far from its minimum the last estimate's worst derivative is, per person.
        suspects: the covariates whose coefficients are at the largest that may be asked about.
        looks: the points that were asked about.
    """

    people: int | None
    path: tuple[Solution, ...]
    left_out: tuple[str, ...]
    off: float | None
    rounds: int
    trouble: str | None
    suspects: tuple[str, ...] = ()
    looks: tuple[Look, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a round's sums say. Vectors of shape (p + 1,), the intercept first.

    Attributes:
        usable: the covariates of which every number is shown; of the others numbers mean nothing.
        point: the coefficients that the numbers hold at.
        value: the log-likelihood.
        held_out: that of people left out.
        slope: the derivatives of value; 0 for an intercept that the model hasn't.
        own, crossed: sums of w x_j^2 and of w x_j, with w each person's curvature; crossed[0] is the sum of w.
    """

    people: int
    usable: NDArray[np.bool_]
    point: Vector
    value: float
    held_out: float
    slope: Vector
    own: Vector
    crossed: Vector


NOTHING = Sparse(index=(), value=())


def check(params: Penalised, sound: dict[str, bool], *, mend: str) -> None:
    """Raise BadDesign where a model has no path of penalties, or something else isn't sound."""
    falling = all(a > b for a, b in zip(params.penalties, params.penalties[1:], strict=False))
    of_path = {
        "the penalties": bool(params.penalties) and falling,
        "the fold": params.fold < params.folds,
        "the number of covariates for a ridge penalty": params.share > 0
        or len(params.covariates) < MOST_ACTIVE,
    }
    for what, holds in {**sound, **of_path}.items():
        if not holds:
            raise BadDesign(
                f"A penalised model isn't made with {what} as given.",
                where=what.removeprefix("the "),
                mend=mend,
            )


def begin() -> PathState:
    """No covariate at all."""
    return PathState(asked=NOTHING, origin=NOTHING, gradient=NOTHING)


def judge(params: Penalised, state: PathState) -> None:
    """Raise BadState where what is asked about is no finite, bounded coefficients of columns that there are."""
    index, value = state.asked.index, state.asked.value
    if (
        len(index) != len(value)
        or len(set(index)) != len(index)
        or any(not 0 <= i <= len(params.covariates) for i in index)
        or any(not abs(v) <= LARGEST_COEFFICIENT for v in value)
        or not 0 <= state.rounds < params.most_rounds
    ):
        raise BadState(
            "The coefficients are none that this model may be asked about.",
            where="state",
            mend="Nothing to do here.",
        )


def advance(
    params: Penalised, state: PathState, usable: NDArray[np.bool_], look: Callable[[Vector], Seen]
) -> Again[PathState] | Done[PathResult]:
    """What a round leads to.

    Args:
        usable: the intercept, if it may be shown, and the covariates of which every number is. Shape (p + 1,).
        look: what the sums say, which were asked at these coefficients. Called only if they are shown.
    """
    p = len(params.covariates)
    left_out = tuple(params.covariates[j].name for j in np.flatnonzero(~usable[1:]))

    def ended(
        people: int | None, off: float | None, trouble: str | None, upto: PathState, at: Vector
    ) -> Done[PathResult]:
        far = np.flatnonzero(np.abs(at[1:]) >= LARGEST_COEFFICIENT) if trouble == NOT_CONVERGED else ()
        return Done(
            result=PathResult(
                people=people,
                path=upto.found,
                left_out=left_out,
                off=off,
                rounds=state.rounds + 1,
                trouble=trouble,
                suspects=tuple(params.covariates[j].name for j in far),
                looks=upto.looks,
            )
        )

    asked = dense(state.asked, p + 1)
    if not usable[0]:
        return ended(None, None, SMALL_CELLS, state, asked)
    if not usable[list(state.asked.index)].all():
        # A hospital has gone, and with it people behind a covariate in use: begin anew without it.
        return Again(state=replace(begin(), rounds=state.rounds + 1))
    seen = look(asked)
    point, people = seen.point, seen.people
    gradient = -seen.slope / people
    gradient[~usable] = 0
    penalty = Penalty(strength=params.penalties[state.place], share=params.share)
    objective = -seen.value / people + penalty.of(point[1:])
    out = state.rounds + 1 >= params.most_rounds
    steps = state.steps
    if state.objective is not None:
        steps = (*steps, _taken(state, point, gradient))[-REMEMBERED:]
    if state.objective is not None and not _no_worse(objective, state.objective):
        taken_back = Look(penalty=penalty.strength, objective=objective, off=None)
        state = replace(state, looks=(*state.looks, taken_back))
        origin = dense(state.origin, p + 1)
        length = float(np.abs(point - origin).max())
        if out or length < 2 * SMALLEST_STEP * LOWER:
            return ended(people, None, NOT_CONVERGED, state, point)
        # Too far: but now it is known how the gradient bends on this way.
        moved = np.flatnonzero((point != 0) | (origin != 0) | (np.arange(p + 1) == 0))
        again = _following(seen, steps, origin, dense(state.gradient, p + 1), moved, penalty)
        share = min(1.0, length / 2 / max(float(np.abs(again - origin).max()), SMALLEST_STEP * LOWER))
        shorter = sparse(origin + share * (again - origin))
        return Again(state=replace(state, asked=shorter, steps=steps, rounds=state.rounds + 1))
    found, place = state.found, state.place
    while True:
        off = penalty.violation(gradient, point)
        off[~usable] = 0
        worst = float(off.max())
        last = place + 1 == len(params.penalties)
        if worst > (params.near if last else NEARLY * penalty.strength):
            break
        found = (*found, _solution(params, penalty, seen))
        if last:
            break
        place += 1
        penalty = Penalty(strength=params.penalties[place], share=params.share)
    here = Look(penalty=penalty.strength, objective=-seen.value / people + penalty.of(point[1:]), off=worst)
    state = replace(state, found=found, looks=(*state.looks, here))
    if len(found) == len(params.penalties):
        return ended(people, worst, None, state, point)
    chosen = _candidates(point, off, np.stack([seen.slope, seen.own, seen.crossed], axis=1), params.share)
    if out or len(chosen) > MOST_ACTIVE:
        return ended(people, worst, NOT_CONVERGED if out else TOO_MANY, state, point)
    watched = np.union1d(chosen, np.flatnonzero(np.abs(gradient) > WATCHED * penalty.absolute))
    return Again(
        state=PathState(
            asked=sparse(_following(seen, steps, point, gradient, chosen, penalty)),
            origin=sparse(point),
            gradient=Sparse(index=tuple(watched.tolist()), value=tuple(gradient[watched].tolist())),
            objective=here.objective,
            steps=steps,
            place=place,
            found=found,
            looks=state.looks,
            rounds=state.rounds + 1,
        )
    )


def best_penalty(folds: tuple[PathResult, ...]) -> float:
    """The penalty whose estimates fit best on the people that they weren't made from, added over folds."""
    reached = min(len(fold.path) for fold in folds)
    totals = [sum(fold.path[place].held_out for fold in folds) for place in range(reached)]
    return folds[0].path[int(np.argmax(totals))].penalty


def dense(some: Sparse, size: int) -> Vector:
    """The whole vector."""
    full = np.zeros(size)
    full[list(some.index)] = some.value
    return full


def sparse(full: Vector) -> Sparse:
    """Its coordinates that aren't 0."""
    index = np.flatnonzero(full)
    return Sparse(index=tuple(index.tolist()), value=tuple(full[index].tolist()))


def _no_worse(objective: float, before: float) -> bool:
    return objective <= before + LOWER * (abs(before) + 1)


def _taken(state: PathState, point: Vector, gradient: Vector) -> Taken:
    known = np.array(state.gradient.index, dtype=np.int64)
    change = tuple((gradient[known] - state.gradient.value).tolist())
    step = sparse(point - dense(state.origin, len(point)))
    return Taken(step=step, change=Sparse(index=state.gradient.index, value=change))


def _following(
    seen: Seen,
    steps: tuple[Taken, ...],
    start: Vector,
    gradient: Vector,
    chosen: NDArray[np.int64],
    penalty: Penalty,
) -> Vector:
    """Where some coordinates of `start` go: the least of the model of what is known about the curvature."""
    size = len(start)
    model = curvature(
        seen.own[chosen] / seen.people,
        seen.crossed[chosen] / seen.people,
        [(dense(each.step, size)[chosen], dense(each.change, size)[chosen]) for each in steps],
    )
    following = start.copy()
    following[chosen] = minimum(model, gradient[chosen], start[chosen], penalty)
    return np.clip(following, -LARGEST_COEFFICIENT, LARGEST_COEFFICIENT)


def _candidates(point: Vector, off: Vector, alike: Vector, share: float) -> NDArray[np.int64]:
    """The intercept, the coefficients in use, and the covariates that most want to be.

    Args:
        alike: sums by which the same covariate under two names is known (a disease in a month and in a year): one of them is
            enough for a LASSO, which is as low with either.
    """
    in_use = point != 0
    in_use[0] = True
    new = np.flatnonzero((off > 0) & ~in_use)
    new = new[np.argsort(-off[new], kind="stable")]
    if share == 1:
        _, kind = np.unique(alike, axis=0, return_inverse=True)
        kind = kind.ravel()
        new = new[~np.isin(kind[new], kind[in_use])]
        new = new[np.sort(np.unique(kind[new], return_index=True)[1])]
    return np.sort(np.concatenate([np.flatnonzero(in_use), new[:MOST_NEW]]))


def _solution(params: Penalised, penalty: Penalty, seen: Seen) -> Solution:
    return Solution(
        penalty=penalty.strength,
        intercept=float(seen.point[0]),
        coefficients={
            params.covariates[j].name: float(seen.point[j + 1]) for j in np.flatnonzero(seen.point[1:])
        },
        log_likelihood=seen.value,
        held_out=seen.held_out,
    )
