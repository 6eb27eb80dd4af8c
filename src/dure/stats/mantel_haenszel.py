"""Mantel-Haenszel: one odds ratio, risk ratio, risk difference or rate ratio over many strata, and Peto's odds ratio.

Everything here is made of terms that are added over strata. `table_terms` and `rate_terms` give one row of terms a
stratum, from released cells or at a hospital; the estimates need only the sums over strata. Exact whenever these are.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dure.stats.intervals import Estimate, ratio, wald
from dure.stats.problems import NoEstimate

TABLE_TERMS = (
    "cases",
    "expected",
    "variance",
    "or_up",
    "or_down",
    "or_pr",
    "or_ps_qr",
    "or_qs",
    "rr_up",
    "rr_down",
    "rr_v",
    "rd_up",
    "weight",
    "rd_p",
    "rd_q",
)
RATE_TERMS = ("up", "down", "v", "weight", "v_difference")
Terms = Mapping[str, float]


def table_terms(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> NDArray[np.float64]:
    """The terms of each stratum's 2×2 table, in the order of TABLE_TERMS. Shape (strata, len(TABLE_TERMS)).

    A stratum without people in both groups says nothing and gives zeros.

    Args:
        a, b: exposed people with the outcome, and without. Shape (strata,).
        c, d: unexposed people with the outcome, and without.

    Sources: Robins, Breslow and Greenland, Biometrics 42 (1986), for the odds ratio; Greenland and Robins, Biometrics 41
    (1985), for the risk ratio; Sato, Biometrics 45 (1989), for the risk difference.
    """
    a, b, c, d = (np.asarray(cell, dtype=np.float64) for cell in (a, b, c, d))
    n1, n0, m1, m0 = a + b, c + d, a + c, b + d
    says = (n1 > 0) & (n0 > 0)
    n = np.where(says, n1 + n0, 1.0)
    r, s, p, q = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    rows = [
        a,
        n1 * m1 / n,
        n1 * n0 * m1 * m0 / (n**2 * np.maximum(n - 1, 1)),
        r,
        s,
        p * r,
        p * s + q * r,
        q * s,
        a * n0 / n,
        c * n1 / n,
        (m1 * n1 * n0 - a * c * n) / n**2,
        (a * n0 - c * n1) / n,
        n1 * n0 / n,
        c * (n1 / n) ** 2 - a * (n0 / n) ** 2 + n1 * n0 * (n0 - n1) / n**2 / 2,
        (a * (n0 - c) + c * (n1 - a)) / n / 2,
    ]
    return np.where(says[..., None], np.stack(rows, axis=-1), 0.0)


def rate_terms(a: ArrayLike, time1: ArrayLike, c: ArrayLike, time0: ArrayLike) -> NDArray[np.float64]:
    """The terms of each stratum's two rates, in the order of RATE_TERMS. Shape (strata, len(RATE_TERMS)).

    Args:
        a, time1: events and time at risk of the exposed. Shape (strata,).
        c, time0: of the unexposed.

    Source: Greenland and Robins, Biometrics 41 (1985).
    """
    a, t1, c, t0 = (np.asarray(cell, dtype=np.float64) for cell in (a, time1, c, time0))
    says = (t1 > 0) & (t0 > 0)
    t = np.where(says, t1 + t0, 1.0)
    rows = [a * t0 / t, c * t1 / t, (a + c) * t1 * t0 / t**2, t1 * t0 / t, (a * t0**2 + c * t1**2) / t**2]
    return np.where(says[..., None], np.stack(rows, axis=-1), 0.0)


def table_sums(terms: NDArray[np.float64]) -> Terms:
    """Table terms added over strata, by name."""
    return dict(zip(TABLE_TERMS, terms.sum(axis=0).tolist(), strict=True))


def rate_sums(terms: NDArray[np.float64]) -> Terms:
    """Rate terms added over strata, by name."""
    return dict(zip(RATE_TERMS, terms.sum(axis=0).tolist(), strict=True))


def odds_ratio(sums: Terms, level: float = 0.95) -> Estimate:
    """The Mantel-Haenszel odds ratio with the interval of Robins, Breslow and Greenland."""
    up, down = _both(sums["or_up"], sums["or_down"])
    variance = sums["or_pr"] / up**2 + sums["or_ps_qr"] / (up * down) + sums["or_qs"] / down**2
    return ratio(float(np.log(up / down)), float(np.sqrt(variance / 2)), level)


def risk_ratio(sums: Terms, level: float = 0.95) -> Estimate:
    """The Mantel-Haenszel risk ratio."""
    up, down = _both(sums["rr_up"], sums["rr_down"])
    return ratio(float(np.log(up / down)), float(np.sqrt(sums["rr_v"] / (up * down))), level)


def risk_difference(sums: Terms, level: float = 0.95) -> Estimate:
    """The Mantel-Haenszel risk difference with Sato's variance, which holds for few large and for many small strata."""
    weight = _some(sums["weight"])
    difference = sums["rd_up"] / weight
    variance = (difference * sums["rd_p"] + sums["rd_q"]) / weight**2
    return wald(difference, float(np.sqrt(variance)), level)


def rate_ratio(sums: Terms, level: float = 0.95) -> Estimate:
    """The Mantel-Haenszel rate ratio."""
    up, down = _both(sums["up"], sums["down"])
    return ratio(float(np.log(up / down)), float(np.sqrt(sums["v"] / (up * down))), level)


def rate_difference(sums: Terms, level: float = 0.95) -> Estimate:
    """The Mantel-Haenszel rate difference."""
    weight = _some(sums["weight"])
    return wald((sums["up"] - sums["down"]) / weight, float(np.sqrt(sums["v_difference"])) / weight, level)


def peto(sums: Terms, level: float = 0.95) -> Estimate:
    """Peto's one-step odds ratio: good for rare outcomes and groups of like size, not otherwise."""
    variance = _some(sums["variance"])
    return ratio((sums["cases"] - sums["expected"]) / variance, float(variance**-0.5), level)


def chi_square(sums: Terms, *, corrected: bool) -> float:
    """The Cochran-Mantel-Haenszel statistic, on one degree of freedom.

    Args:
        corrected: with the continuity correction of 1/2.
    """
    away = abs(sums["cases"] - sums["expected"])
    # The correction may not go past the null itself, as in R's mantelhaen.test.
    away -= min(0.5, away) if corrected else 0.0
    return float(away**2 / _some(sums["variance"]))


def _both(up: float, down: float) -> tuple[float, float]:
    return _some(up), _some(down)


def _some(value: float) -> float:
    if not value > 0:
        raise NoEstimate(
            "The strata hold no comparison: a group or an outcome is missing in all of them.",
            where="strata",
            mend="Use fewer strata, or a difference in place of a ratio.",
        )
    return value
