"""Newton's method over released sums, as pure steps: value, score and information in, the next point to ask about out.

Responsible for: damping (a step that lowers the value is halved), when it has converged, when it never will, the path.
Not responsible for: what is summed (each model), which points are lawful (each model says so through `lawful`).

A maximum is never guessed: where the method ends elsewhere, the outcome is `Stuck`, with the path that led there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from dure.wire.codec import message

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
CLOSE = 1e-20
"""Twice what the value can still gain, as the score and the information tell, where a point counts as the maximum."""
NEAR = 1e-10
"""The same where a step no longer makes it smaller: floats say no more than that."""
FLAT = 1e-13
"""A value may be lower by so much of itself, as floats are added."""
FLATTENING = 1e-6
"""As CLOSE, from where on a step that is still as long as the one before shows a value that grows for ever."""
SMALLEST_STEP = 2.0**-20
ALONE = 1e-9
"""A column is as good as made of others when so little of its information is its own."""


@message
class Visited:
    """One point that sums were asked at.

    Attributes:
        value: the log-likelihood there.
        decrement: twice what a full step is expected to gain; None where the step was taken back.
        fraction: how much of the last full step led here.
    """

    value: float
    decrement: float | None
    fraction: float


@message
class NewtonState:
    """Where to ask next, and what it takes to go back.

    Attributes:
        point: where sums are asked now.
        origin, direction, fraction: point = origin + fraction * direction.
        value: the value at the origin; None before anything is known.
        path: the points asked so far.
    """

    point: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    fraction: float = 1.0
    value: float | None = None
    path: tuple[Visited, ...] = ()


class Trouble(StrEnum):
    """Why there is no maximum to report."""

    COLLINEAR = "collinear"
    RUNS_OFF = "runs-off"
    NOT_CONVERGED = "not-converged"


@dataclass(frozen=True, kw_only=True)
class Found:
    """The maximum, its inverse information, and the path."""

    point: Vector
    covariance: Matrix
    path: tuple[Visited, ...]


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """No maximum. `columns`: the ones that it is about, by index, as far as that can be told."""

    trouble: Trouble
    columns: tuple[int, ...]
    path: tuple[Visited, ...]


def begin(start: Vector) -> NewtonState:
    """The first point."""
    point = tuple(start.tolist())
    return NewtonState(point=point, origin=point, direction=tuple(0.0 for _ in point))


def advance(
    state: NewtonState,
    value: float,
    score: Vector,
    information: Matrix,
    *,
    most: int,
    lawful: Callable[[Vector], bool],
) -> NewtonState | Found | Stuck:
    """What the sums at `state.point` lead to.

    Args:
        value, score, information: the log-likelihood, its gradient and minus its second derivative (or what is expected
            of it) at the point. Shapes (), (p,), (p, p).
        most: after so many points it gives up.
        lawful: whether a point may be asked about; a step that leads to none that may is `RUNS_OFF`.
    """
    numbers = np.concatenate([[value], score, information.ravel()])
    held = bool(np.isfinite(numbers).all())
    if held and state.value is not None:
        held = value >= state.value - FLAT * (abs(state.value) + 1)
    if not held:
        path = (*state.path, Visited(value=_finite(value), decrement=None, fraction=state.fraction))
        return _shorter(replace(state, path=path), most)
    dependent = collinear(information)
    if dependent:
        path = (*state.path, Visited(value=value, decrement=None, fraction=state.fraction))
        # Columns that were apart before, and aren't now, have lost their weight: every fitted value runs to a limit.
        trouble = Trouble.RUNS_OFF if state.value is not None else Trouble.COLLINEAR
        return Stuck(trouble=trouble, columns=dependent, path=path)
    factor = cho_factor(information)
    direction = cho_solve(factor, score)
    decrement = float(score @ direction)
    path = (*state.path, Visited(value=value, decrement=decrement, fraction=state.fraction))
    running = _running(state, direction) if decrement <= FLATTENING else ()
    if running:
        return Stuck(trouble=Trouble.RUNS_OFF, columns=running, path=path)
    before = state.path[-1].decrement if state.path else None
    stalls = before is not None and decrement <= NEAR and decrement > before / 4
    if decrement <= CLOSE or stalls:
        return Found(point=np.array(state.point), covariance=cho_solve(factor, np.eye(len(score))), path=path)
    if len(path) >= most:
        return Stuck(trouble=Trouble.NOT_CONVERGED, columns=(), path=path)
    origin = np.array(state.point)
    fraction = 1.0
    while not lawful(origin + fraction * direction):
        fraction /= 2
        if fraction < SMALLEST_STEP:
            return Stuck(trouble=Trouble.RUNS_OFF, columns=_far(origin, information), path=path)
    return _ask(origin, direction, fraction, value, path)


def collinear(information: Matrix) -> tuple[int, ...]:
    """Columns that are (nearly) made of others, with those that they are made of; empty where there are none."""
    scale = np.sqrt(np.maximum(np.diag(information), 0))
    if (scale == 0).any():
        return tuple(np.flatnonzero(scale == 0).tolist())
    weights, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    null = vectors[:, weights <= ALONE]
    return tuple(np.flatnonzero((np.abs(null) > 1e-3).any(axis=1)).tolist())


def inverse(information: Matrix) -> Matrix | None:
    """The inverse of a positive definite matrix; None where it isn't one."""
    try:
        return np.asarray(cho_solve(cho_factor(information), np.eye(len(information))))
    except LinAlgError:
        return None


def _shorter(state: NewtonState, most: int) -> NewtonState | Stuck:
    fraction = state.fraction / 2
    if state.value is None or fraction < SMALLEST_STEP or len(state.path) >= most:
        return Stuck(trouble=Trouble.NOT_CONVERGED, columns=(), path=state.path)
    return _ask(np.array(state.origin), np.array(state.direction), fraction, state.value, state.path)


def _ask(
    origin: Vector, direction: Vector, fraction: float, value: float, path: tuple[Visited, ...]
) -> NewtonState:
    return NewtonState(
        point=tuple((origin + fraction * direction).tolist()),
        origin=tuple(origin.tolist()),
        direction=tuple(direction.tolist()),
        fraction=fraction,
        value=value,
        path=path,
    )


def _running(state: NewtonState, direction: Vector) -> tuple[int, ...]:
    """Columns whose steps stay as long as they were, and count beside the coefficient, while nothing is gained by them.

    Near a maximum each step is a small part of the one before.
    """
    last, point = np.array(state.direction), np.array(state.point)
    as_long = (direction * last > 0) & (np.abs(direction) > np.abs(last) / 2)
    return tuple(np.flatnonzero(as_long & (np.abs(direction) > 1e-3 * np.abs(point))).tolist())


def _far(point: Vector, information: Matrix) -> tuple[int, ...]:
    """The columns whose coefficients have run far although little is known of them any more."""
    covariance = inverse(information)
    if covariance is None:
        return ()
    spread = np.sqrt(np.diag(covariance))
    return tuple(np.flatnonzero((spread > 0.1 * spread.max()) & (np.abs(point) > 0)).tolist())


def _finite(value: float) -> float:
    """A number that a message may hold."""
    return float(np.clip(np.nan_to_num(value), -1e300, 1e300))
