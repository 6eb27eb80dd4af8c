"""The hub's side of a penalised model: the next coefficients to ask about, from gradients alone.

Responsible for: a model of the curvature made of what is released anyway (every covariate's own curvature, and what earlier steps
changed in the gradient), and the penalised minimum of that model. Not responsible for: sums, rounds (`lasso`).

No pair of covariates is ever asked about: counts of pairs of rare covariates would be small, thousands of times. Covariates
are taken as independent to begin with, and BFGS corrections by what steps have shown put right what matters. Curvature only says how
fast the minimum is reached: which point is one is judged by the exact gradient.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
LEAST_CURVATURE = 1e-8
TELLS_APART = 1e-8
MOST_GUESSES, MOST_SOLVES = 10, 100
ROUNDING = 1e-13


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """strength * (share * |b| + (1 - share) / 2 * b^2), on every coefficient but the intercept (the first)."""

    strength: float
    share: float

    @property
    def absolute(self) -> float:
        return self.strength * self.share

    @property
    def square(self) -> float:
        return self.strength * (1 - self.share)

    def of(self, coefficients: Vector) -> float:
        """The penalty. `coefficients` without the intercept."""
        return float(
            self.absolute * np.abs(coefficients).sum() + self.square / 2 * (coefficients @ coefficients)
        )

    def violation(self, gradient: Vector, point: Vector) -> Vector:
        """By how much each coordinate isn't at its minimum. Both of shape (p + 1,), the intercept first."""
        slope = gradient + self.square * point
        off = np.where(
            point == 0,
            np.maximum(np.abs(slope) - self.absolute, 0),
            np.abs(slope + self.absolute * np.sign(point)),
        )
        off[0] = abs(gradient[0])
        return off


def curvature(own: Vector, crossed: Vector, pairs: list[tuple[Vector, Vector]]) -> Matrix:
    """A positive definite model of the second derivative over some coordinates, the intercept first.

    Args:
        own: sums of w x_j^2, per person. Shape (m,).
        crossed: sums of w x_j, per person, and first of w: exact beside the intercept. Shape (m,).
        pairs: steps taken, oldest first, and the change of the gradient by each. Shapes (m,).
    """
    crossed = crossed / np.sqrt(max(float(crossed[0]), LEAST_CURVATURE))
    # A covariate that everybody has is the intercept again: a little more of its own keeps the model definite.
    alone = np.maximum(own, LEAST_CURVATURE) * (1 + TELLS_APART) - crossed**2
    alone = alone * _together(crossed, alone, pairs)
    # Every correction adds one square and takes one off: they are put together in one product at the end.
    added, taken = np.zeros((len(pairs), len(own))), np.zeros((len(pairs), len(own)))
    used = 0
    for step, change in pairs:
        along = alone * step + crossed * (crossed @ step)
        along += (added[:used] @ step) @ added[:used] - (taken[:used] @ step) @ taken[:used]
        seen = np.where(change != 0, change, along)
        gained, expected = float(step @ seen), float(step @ along)
        if gained <= 1e-10 * expected or expected <= 0:
            continue
        added[used], taken[used] = seen / np.sqrt(gained), along / np.sqrt(expected)
        used += 1
    model = np.outer(crossed, crossed) + added[:used].T @ added[:used] - taken[:used].T @ taken[:used]
    model[np.diag_indices(len(own))] += alone
    return model


def _together(crossed: Vector, alone: Vector, pairs: list[tuple[Vector, Vector]]) -> float:
    """How much more covariates bend the gradient together than one by one: the most of what steps have shown, and no less than 1.

    Thousands of covariates of the same people (a disease in a week, a month, a year) go together; steps that take each for itself are
    far too long, and each costs a round to find out.
    """
    factor = 1.0
    for step, change in pairs:
        seen = change != 0
        expected = float(step @ (alone * step))
        if expected > 0:
            beyond = change - crossed * float(crossed @ step)
            factor = max(factor, float(step[seen] @ beyond[seen]) / expected)
    return factor


def minimum(model: Matrix, gradient: Vector, point: Vector, penalty: Penalty) -> Vector:
    """Where gradient'(u - point) + (u - point)' model (u - point) / 2 + penalty(u) is least. The intercept is first."""
    absolute = np.full(len(point), penalty.absolute)
    absolute[0] = 0
    ridge = np.full(len(point), penalty.square)
    ridge[0] = 0
    fixed = gradient - model @ point
    whole = model + np.diag(ridge)
    guessed = _by_guesses(whole, fixed, point, absolute)
    return _by_search(whole, fixed, point, absolute) if guessed is None else guessed


def _by_guesses(model: Matrix, fixed: Vector, point: Vector, absolute: Vector) -> Vector | None:
    """By guessing all signs at once, and again from what follows: mostly right after a few, else None."""
    own = np.diag(model)
    found = point
    signs: Vector | None = None
    for _ in range(MOST_GUESSES):
        pushed = found - (fixed + model @ found) / own
        new_signs = np.where(np.abs(pushed) * own > absolute, np.sign(pushed), 0)
        new_signs[0] = 1
        # Signs that don't change say that it is the minimum only where it has been sought with them.
        if signs is not None and (new_signs == signs).all():
            return found
        signs = new_signs
        active = np.flatnonzero(signs)
        found = np.zeros(len(point))
        found[active] = _solved(model, active, -(fixed + absolute * signs)[active])
    return None


def _by_search(model: Matrix, fixed: Vector, point: Vector, absolute: Vector) -> Vector:
    """By signs that change only where the way down passes through 0: never in a circle.

    Source: feature-sign search, Lee, Battle, Raina and Ng, NIPS 19 (2007). Zeros that want to move are let go all at once, and one by
    one where that leads nowhere.
    """
    found = point.copy()
    least = ROUNDING * float(max(np.abs(fixed).max(), absolute.max()))
    all_at_once = True
    for _ in range(MOST_SOLVES):
        slope = fixed + model @ found
        signs = np.sign(found)
        free = signs != 0
        free[0] = True
        if np.abs((slope + absolute * signs)[free]).max() <= least:
            off = np.where(free, 0, np.abs(slope) - absolute)
            wanting = off > least if all_at_once else off >= max(off.max(), least)
            if not wanting.any():
                break
            signs[wanting] = -np.sign(slope[wanting])
            free = free | wanting
        active = np.flatnonzero(free)
        way = np.zeros(len(found))
        way[active] = _solved(model, active, -(slope + absolute * signs)[active])
        following = _lowest(model, slope, found, way, absolute)
        if following is not None:
            found, all_at_once = following, True
        elif all_at_once:
            all_at_once = False
        else:
            break
    return found


def _lowest(model: Matrix, slope: Vector, found: Vector, way: Vector, absolute: Vector) -> Vector | None:
    """The lowest of the whole way and the places on it where a coefficient becomes 0; None where none is lower than the start."""
    with np.errstate(divide="ignore", invalid="ignore"):
        zero_at = np.where(way != 0, -found / way, np.inf)
    crossing = np.flatnonzero((zero_at > 0) & (zero_at < 1))
    far = np.concatenate([zero_at[crossing], [1.0]])
    moving = np.flatnonzero(way)
    sizes = np.abs(found[moving] + far[:, None] * way[moving]) @ absolute[moving]
    lower = far * (slope @ way) + far**2 / 2 * (way @ model @ way) + sizes - np.abs(found) @ absolute
    best = int(np.argmin(lower))
    if not lower[best] < 0:
        return None
    following: Vector = found + far[best] * way
    if best < len(crossing):
        following[crossing[best]] = 0
    return following


def _solved(model: Matrix, active: NDArray[np.int64], right: Vector) -> Vector:
    """The solution over some coordinates. Many corrections of nearly one direction are definite but for rounding: then a little more is."""
    block = model[np.ix_(active, active)]
    own = np.diag(block).copy()
    more = 0.0
    while True:
        try:
            return np.asarray(cho_solve(cho_factor(block), right), dtype=np.float64)
        except np.linalg.LinAlgError:
            more = max(10 * more, TELLS_APART)
            np.fill_diagonal(block, own * (1 + more))
