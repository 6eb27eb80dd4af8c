"""Families of generalised linear models: what one person adds to the log-likelihood and its derivatives.

Responsible for: the arithmetic of each family under its link, person by person. Not responsible for: adding up (`glm`).

Every score is written as `observed - expected`, where `observed` is 0 for a person whose outcome is 0: it rests on the people with
an outcome, and is judged with them. The dispersion is left out of the log-likelihood where a family has one; `glm` puts it back.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, expit, gammaln, polygamma, xlogy

Vector = NDArray[np.float64]


class Family(StrEnum):
    """The distribution of the outcome; its link is fixed: identity, logit, log, log, log."""

    GAUSSIAN = "gaussian"
    BINOMIAL = "binomial"
    POISSON = "poisson"
    GAMMA = "gamma"
    NEGATIVE_BINOMIAL = "negative-binomial"


COUNTED = frozenset({Family.BINOMIAL, Family.POISSON, Family.NEGATIVE_BINOMIAL})
"""Families whose outcome is nothing (0) for some people: those with one are a cell of their own."""
CANONICAL = frozenset({Family.GAUSSIAN, Family.BINOMIAL, Family.POISSON})
"""Families in which `observed` is the outcome itself, whatever the coefficients."""
DISPERSED = frozenset({Family.GAUSSIAN, Family.GAMMA})
"""Families with a dispersion of their own."""
LARGEST_LOGIT = 40.0
LARGEST_LOG = 30.0
LARGEST_OWN_INTERCEPT = 200.0
"""Of a linear predictor: fitted outcomes from e^-30 to e^30 still leave 30 bits below the point in the ring."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Of every person, before prior weights. Each of shape (n,).

    Attributes:
        observed, expected: their difference times x_j is the person's score.
        weight: of x_i x_j in the (expected) information.
        value: the log-likelihood.
        mean: the fitted outcome.
    """

    observed: Vector
    expected: Vector
    weight: Vector
    value: Vector
    mean: Vector


def terms(family: Family, y: Vector, eta: Vector, theta: float) -> Terms:
    """The terms at a linear predictor.

    Args:
        theta: of the negative binomial; the variance is mean + mean^2 / theta.
    """
    ones = np.ones_like(y)
    match family:
        case Family.GAUSSIAN:
            return Terms(observed=y, expected=eta, weight=ones, value=-((y - eta) ** 2) / 2, mean=eta)
        case Family.BINOMIAL:
            mean = expit(eta)
            # log(1 + e^eta), from the same exponential.
            value = y * eta - np.maximum(eta, 0) + np.log(np.maximum(mean, 1 - mean))
            return Terms(observed=y, expected=mean, weight=mean * (1 - mean), value=value, mean=mean)
        case Family.POISSON:
            mean = np.exp(eta)
            return Terms(
                observed=y, expected=mean, weight=mean, value=y * eta - mean - gammaln(y + 1), mean=mean
            )
        case Family.GAMMA:
            ratio = y * np.exp(-eta)
            return Terms(observed=ratio, expected=ones, weight=ones, value=-ratio - eta, mean=np.exp(eta))
        case Family.NEGATIVE_BINOMIAL:
            mean = np.exp(eta)
            shrunk = 1 / (1 + mean / theta)
            value = (
                gammaln(y + theta) - gammaln(theta) - gammaln(y + 1)
                + theta * np.log(shrunk) + xlogy(y, mean * shrunk / theta)
            )  # fmt: skip
            return Terms(
                observed=y * shrunk, expected=mean * shrunk, weight=mean * shrunk, value=value, mean=mean
            )


def saturated(family: Family, y: Vector, theta: float) -> Vector:
    """The log-likelihood of a person whose fitted outcome is the outcome."""
    match family:
        case Family.GAUSSIAN:
            return np.zeros_like(y)
        case Family.BINOMIAL:
            return np.asarray(xlogy(y, y) + xlogy(1 - y, 1 - y))
        case Family.POISSON:
            return np.asarray(xlogy(y, y) - y - gammaln(y + 1))
        case Family.GAMMA:
            return -1 - np.log(y)
        case Family.NEGATIVE_BINOMIAL:
            total = y + theta
            return np.asarray(
                gammaln(total) - gammaln(theta) - gammaln(y + 1)
                + theta * np.log(theta / total) + xlogy(y, y / total)
            )  # fmt: skip


def variance(family: Family, mean: Vector, theta: float) -> Vector:
    """The variance of an outcome but for the dispersion."""
    match family:
        case Family.GAUSSIAN:
            return np.ones_like(mean)
        case Family.BINOMIAL:
            return mean * (1 - mean)
        case Family.POISSON:
            return mean
        case Family.GAMMA:
            return mean**2
        case Family.NEGATIVE_BINOMIAL:
            return mean + mean**2 / theta


def theta_derivatives(y: Vector, mean: Vector, theta: float) -> tuple[Vector, Vector]:
    """The first and minus the second derivative of the negative binomial's log-likelihood by log(theta)."""
    total = mean + theta
    first = digamma(y + theta) - digamma(theta) + np.log(theta / total) + 1 - (y + theta) / total
    second = polygamma(1, y + theta) - polygamma(1, theta) + 1 / theta - 2 / total + (y + theta) / total**2
    return theta * first, -(theta * first + theta**2 * second)


def intercept(family: Family, y: Vector, eta: Vector, prior: Vector, theta: float) -> float | None:
    """The intercept at which everyone's score adds up to nothing; None where it would be infinite.

    Args:
        eta: the linear predictor without it.
        prior: prior weights.
    """
    total = float(prior.sum())
    if total <= 0:
        return None
    outcomes = float(prior @ y)
    if family is Family.GAUSSIAN:
        return float(prior @ (y - eta)) / total
    if outcomes <= 0 or (family is Family.BINOMIAL and float(prior @ (1 - y)) <= 0):
        return None
    if family is Family.POISSON:
        return float(np.log(outcomes) - np.log(prior @ np.exp(eta)))
    if family is Family.GAMMA:
        return float(np.log((prior @ (y * np.exp(-eta))) / total))
    low, high, at = -LARGEST_OWN_INTERCEPT, LARGEST_OWN_INTERCEPT, 0.0
    for _ in range(200):
        there = terms(family, y, eta + at, theta)
        score = float(prior @ (there.observed - there.expected))
        low, high = (at, high) if score > 0 else (low, at)
        information = float(prior @ there.weight)
        step = score / information if information > 0 else np.inf
        following = at + step if low < at + step < high else (low + high) / 2
        if abs(following - at) <= 1e-15 * max(abs(at), 1.0):
            return following
        at = following
    return at
