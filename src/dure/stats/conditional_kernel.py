"""What one hospital adds up for a conditional likelihood over strata: value, score and information at given coefficients.

Responsible for: the arithmetic of each way to treat several cases in a stratum. Not responsible for: what is asked
(`conditional`), people behind cells, what may leave (`guard`).

Within a stratum of rows with predictors η, m cases D:
- Breslow: Σ_D η - m log Σ e^η. With counts in place of cases this is the conditional Poisson likelihood.
- Efron: Σ_D η - Σ_l log(Σ e^η - (l/m) Σ_D e^η), l = 0 to m - 1.
- exact: Σ_D η - log of the sum, over all sets of m rows, of e to their predictors.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Ties(StrEnum):
    """How several cases in one stratum are treated."""

    BRESLOW = "breslow"
    EFRON = "efron"
    EXACT = "exact"


@dataclass(frozen=True, kw_only=True)
class Strata:
    """Rows in the order of their strata, every stratum with a case.

    Attributes:
        x: covariates. Shape (rows, p).
        offset, case: shape (rows,). Cases are 0 or 1 except for Breslow, where they are counts.
        starts: the first row of each stratum. Shape (strata,).
    """

    x: Matrix
    offset: Vector
    case: Vector
    starts: NDArray[np.int64]

    @property
    def of_row(self) -> NDArray[np.int64]:
        """Which stratum each row is in, from 0. Shape (rows,)."""
        sizes = np.diff(np.append(self.starts, len(self.case)))
        return np.repeat(np.arange(len(self.starts), dtype=np.int64), sizes)


@dataclass(frozen=True, kw_only=True)
class Added:
    """Sums over strata. `observed` less `expected` is the score. Shapes (), (p,), (p,), (p, p)."""

    value: float
    observed: Vector
    expected: Vector
    information: Matrix


def add_up(strata: Strata, beta: Vector, ties: Ties) -> Added:
    """The sums at `beta`."""
    p = strata.x.shape[1]
    if not len(strata.starts):
        return Added(value=0.0, observed=np.zeros(p), expected=np.zeros(p), information=np.zeros((p, p)))
    eta = strata.x @ beta + strata.offset
    # Only differences within a stratum matter; taken from its mean, large values lose no digits in the information.
    sizes = np.diff(np.append(strata.starts, len(eta)))
    mean = np.add.reduceat(strata.x, strata.starts) / sizes[:, None]
    apart = replace(strata, x=strata.x - mean[strata.of_row])
    if ties is Ties.EXACT:
        lost, expected, information = _exact(apart, eta)
    else:
        lost, expected, information = _at_risk(apart, eta, efron=ties is Ties.EFRON)
    return Added(
        value=float(strata.case @ eta) - lost,
        observed=strata.case @ strata.x,
        expected=expected + np.add.reduceat(strata.case, strata.starts) @ mean,
        information=information,
    )


def _at_risk(strata: Strata, eta: Vector, *, efron: bool) -> tuple[float, Vector, Matrix]:
    """The logarithms taken off, and their first and second derivatives, by sums over all strata at once."""
    starts, of_row, x, case = strata.starts, strata.of_row, strata.x, strata.case
    top = np.maximum.reduceat(eta, starts)
    w = np.exp(eta - top[of_row])
    s0, s1 = np.add.reduceat(w, starts), np.add.reduceat(w[:, None] * x, starts)
    cases = np.add.reduceat(case, starts)
    if not efron:
        z = s1 / s0[:, None]
        lost = float(cases @ (np.log(s0) + top))
        second = (x * (w * (cases / s0)[of_row])[:, None]).T @ x - (z * cases[:, None]).T @ z
        return lost, cases @ z, second
    d0, d1 = np.add.reduceat(w * case, starts), np.add.reduceat((w * case)[:, None] * x, starts)
    lost, first = float(cases @ top), np.zeros(x.shape[1])
    outer = np.zeros((x.shape[1], x.shape[1]))
    of_all, of_cases = np.zeros(len(starts)), np.zeros(len(starts))
    for nth in range(int(cases.max())):
        more = cases > nth
        share = nth / cases[more]
        left = s0[more] - share * d0[more]
        z = (s1[more] - share[:, None] * d1[more]) / left[:, None]
        lost += float(np.log(left).sum())
        first += z.sum(axis=0)
        outer += z.T @ z
        of_all[more] += 1 / left
        of_cases[more] += share / left
    weight = w * (of_all[of_row] - case * of_cases[of_row])
    return lost, first, (x * weight[:, None]).T @ x - outer


def _exact(strata: Strata, eta: Vector) -> tuple[float, Vector, Matrix]:
    p = strata.x.shape[1]
    lost, first, second = 0.0, np.zeros(p), np.zeros((p, p))
    ends = np.append(strata.starts[1:], len(eta))
    for start, end in zip(strata.starts.tolist(), ends.tolist(), strict=True):
        rows = slice(start, end)
        log_sum, mean, spread = _subsets(strata.x[rows], eta[rows], int(strata.case[rows].sum()))
        lost, first, second = lost + log_sum, first + mean, second + spread
    return lost, first, second


def _subsets(x: Matrix, eta: Vector, cases: int) -> tuple[float, Vector, Matrix]:
    """The logarithm of the sum over all sets of `cases` rows, and its first and second derivatives.

    Adding rows one by one, in time rows × cases. Row i is taken with probability expit(η_i - c), with c such that `cases`
    rows are expected: the sum sought is then the probability of exactly that many, times known factors, and neither
    overflows nor vanishes.

    Source: Gail, Lubin and Rubinstein, Biometrika 68 (1981), for the recursion.
    """
    rows, p = x.shape
    if cases == rows:
        return float(eta.sum()), x.sum(axis=0), np.zeros((p, p))
    low, high = float(eta.min()) - np.log(rows) - 1, float(eta.max()) + np.log(rows) + 1
    centre = float(brentq(lambda c: expit(eta - c).sum() - cases, low, high))
    taken, left = expit(eta - centre), expit(centre - eta)
    sums, firsts, seconds = np.zeros(cases + 1), np.zeros((cases + 1, p)), np.zeros((cases + 1, p, p))
    sums[0] = 1.0
    for row, share, rest in zip(x, taken.tolist(), left.tolist(), strict=True):
        crossed = row[:, None] * firsts[:-1, None, :]
        added = seconds[:-1] + crossed + crossed.transpose(0, 2, 1)
        added += np.outer(row, row) * sums[:-1, None, None]
        seconds *= rest
        seconds[1:] += share * added
        moved = share * (firsts[:-1] + row * sums[:-1, None])
        firsts *= rest
        firsts[1:] += moved
        shifted = share * sums[:-1]
        sums *= rest
        sums[1:] += shifted
    mean = firsts[cases] / sums[cases]
    # Of each row's odds the factor 1 / (1 + odds) was put in, and e^-c of its predictor.
    log_sum = np.log(sums[cases]) - np.log(left).sum() + cases * centre
    return float(log_sum), mean, seconds[cases] / sums[cases] - np.outer(mean, mean)
