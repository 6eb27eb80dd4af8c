"""The arithmetic of a linear mixed model with an intercept for each hospital: y = Xβ + u_hospital + e.

Responsible for: what a hospital of given products adds at a given variance ratio, and what the added terms say. Not
responsible for: rounds, cells (`mixed_model`).

With λ = var(u)/var(e), a hospital of n people and sums s of the columns [X y] has, as [X y]'V⁻¹[X y], its products less
λ/(1+nλ) s s', and log|V| = log(1+nλ). Everything here is a sum of such terms and of their derivatives by λ. The first column of X
is the intercept, so products hold n and s in their first row.

Source: Harville, JASA 72 (1977), for the two likelihoods.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dure.stats.newton import collinear

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Sums over hospitals at one λ.

    Attributes:
        products: of [X y] with itself. Shape (p + 1, p + 1).
        taken, first, second: of s s' times λ/(1+nλ), 1/(1+nλ)² and n/(1+nλ)³. Shape (p + 1, p + 1).
        logs: of log(1+nλ), n/(1+nλ) and n²/(1+nλ)². Shape (3,).
    """

    products: Matrix
    taken: Matrix
    first: Matrix
    second: Matrix
    logs: Vector

    def __add__(self, other: "Terms") -> "Terms":
        """Hospital by hospital."""
        return Terms(
            products=self.products + other.products,
            taken=self.taken + other.taken,
            first=self.first + other.first,
            second=self.second + other.second,
            logs=self.logs + other.logs,
        )


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What the terms say at their λ.

    Attributes:
        deviance, slope, curve: minus twice the profile log-likelihood, and its derivatives by λ.
        beta, covariance: of the columns of X.
        residual: var(e).
    """

    people: float
    deviance: float
    slope: float
    curve: float
    beta: Vector
    covariance: Matrix
    residual: float


def of_hospital(products: Matrix, ratio: float) -> Terms:
    """One hospital's terms, from its products."""
    n, s = float(products[0, 0]), products[0]
    outer = np.outer(s, s)
    shrunk = 1 + n * ratio
    return Terms(
        products=products,
        taken=outer * (ratio / shrunk),
        first=outer / shrunk**2,
        second=outer * (n / shrunk**3),
        logs=np.array([np.log(shrunk), n / shrunk, n**2 / shrunk**2]),
    )


def made_of_others(terms: Terms) -> tuple[int, ...]:
    """The columns of X that are made of each other, by index; all of them where there are no more people than columns."""
    columns = len(terms.products) - 1
    if float(terms.products[0, 0]) <= columns:
        return tuple(range(columns))
    return collinear((terms.products - terms.taken)[:-1, :-1])


def profile(terms: Terms, *, restricted: bool) -> Profile | None:
    """The profile likelihood; None where the columns are made of each other, or fit perfectly.

    Args:
        restricted: REML, in place of ML.
    """
    whole = terms.products - terms.taken
    xx, xy, yy = whole[:-1, :-1], whole[:-1, -1], float(whole[-1, -1])
    p, n = len(xy), float(terms.products[0, 0])
    free = n - p if restricted else n
    if n <= p or collinear(xx):
        return None
    inverse = np.linalg.inv(xx)
    beta = inverse @ xy
    rss = yy - float(xy @ beta)
    if rss <= 1e-14 * yy:
        return None
    # `first` is minus the derivative of `whole` by λ, and twice `second` its second derivative.
    r = np.append(-beta, 1.0)
    gradient = -terms.first[:-1] @ r
    rss_slope = -float(r @ terms.first @ r)
    rss_curve = 2 * float(r @ terms.second @ r) - 2 * float(gradient @ inverse @ gradient)
    deviance = free * (np.log(2 * np.pi * rss / free) + 1) + float(terms.logs[0])
    slope = free * rss_slope / rss + float(terms.logs[1])
    curve = free * (rss_curve / rss - (rss_slope / rss) ** 2) - float(terms.logs[2])
    if restricted:
        moved = inverse @ -terms.first[:-1, :-1]
        deviance += float(np.linalg.slogdet(xx)[1])
        slope += float(np.trace(moved))
        curve += 2 * float(np.trace(inverse @ terms.second[:-1, :-1])) - float(np.trace(moved @ moved))
    residual = rss / free
    return Profile(
        people=n,
        deviance=float(deviance),
        slope=slope,
        curve=curve,
        beta=beta,
        covariance=np.asarray(inverse * residual, dtype=np.float64),
        residual=residual,
    )
