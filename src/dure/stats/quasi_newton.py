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
MOST_SWEEPS = 500
MOST_GUESSES = 50


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


def minimum(model: Matrix, gradient: Vector, point: Vector, penalty: Penalty) -> Vector:
    """Where gradient'(u - point) + (u - point)' model (u - point) / 2 + penalty(u) is least. The intercept is first."""
    absolute = np.full(len(point), penalty.absolute)
    absolute[0] = 0
    ridge = np.full(len(point), penalty.square)
    ridge[0] = 0
    own = np.diag(model) + ridge
    fixed = gradient - model @ point
    found = point.copy()
    signs: Vector | None = None
    for _ in range(MOST_GUESSES):
        slope = fixed + model @ found + ridge * found
        pushed = found - slope / own
        new_signs = np.where(np.abs(pushed) * own > absolute, np.sign(pushed), 0)
        new_signs[0] = 1
        # Signs that don't change say that it is the minimum only where it has been sought with them.
        if signs is not None and (new_signs == signs).all():
            return found
        signs = new_signs
        active = np.flatnonzero(signs)
        block = model[np.ix_(active, active)] + np.diag(ridge[active])
        found = np.zeros(len(point))
        try:
            factor = cho_factor(block)
        except np.linalg.LinAlgError:
            # Many corrections of nearly one direction: definite but for rounding.
            break
        found[active] = cho_solve(factor, -(fixed[active] + (absolute * signs)[active]))
    return _by_coordinates(model, fixed, point.copy(), absolute, ridge)


def _by_coordinates(model: Matrix, fixed: Vector, found: Vector, absolute: Vector, ridge: Vector) -> Vector:
    """The same by coordinate descent: slower, and never in a circle."""
    own = np.diag(model) + ridge
    slope = fixed + model @ found
    for _ in range(MOST_SWEEPS):
        largest = 0.0
        for j in range(len(found)):
            pushed = found[j] * model[j, j] - slope[j]
            value = np.sign(pushed) * max(abs(pushed) - absolute[j], 0) / own[j]
            change = value - found[j]
            if change:
                slope += model[:, j] * change
                found[j] = value
                largest = max(largest, abs(change) * np.sqrt(own[j]))
        if largest < 1e-13:
            break
    return found
