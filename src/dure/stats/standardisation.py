"""Standardisation: rates as they would be in another population, and events against those expected.

Pure functions of released cells, so exact whenever these are. Not responsible for: the cells (`rates`).
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaincinv

from dure.stats.intervals import Estimate, poisson_exact
from dure.stats.problems import NoEstimate


def direct(
    events: Sequence[int], time: Sequence[float], standard: Sequence[float], level: float = 0.95
) -> Estimate:
    """The rate if the strata had the standard's sizes, with the gamma interval.

    Args:
        events, time: of each stratum; time above 0.
        standard: weight of each stratum, in any unit.

    Source: Fay and Feuer, Statistics in Medicine 16 (1997).
    """
    x, t, s = (np.asarray(part, dtype=np.float64) for part in (events, time, standard))
    if not len(x) == len(t) == len(s) or (t <= 0).any() or (s < 0).any() or s.sum() <= 0:
        raise NoEstimate(
            "A stratum has no time at risk, or there is no standard for it.",
            where="strata",
            mend="Join it with a neighbour, or leave it out of the standard as well.",
        )
    weight = s / s.sum() / t
    rate, variance, most = float(weight @ x), float(weight**2 @ x), float(weight.max())
    tail = (1 - level) / 2
    low = _gamma(rate, variance, tail) if variance > 0 else 0.0
    high = _gamma(rate + most, variance + most**2, 1 - tail)
    return Estimate(value=rate, low=low, high=high, se=float(np.sqrt(variance)))


def _gamma(mean: float, variance: float, share: float) -> float:
    return float(variance / mean * gammaincinv(mean**2 / variance, share))


def ratio_to_expected(observed: int, expected: float, level: float = 0.95) -> Estimate:
    """Observed over expected events (SMR, SIR) with the exact Poisson interval."""
    if expected <= 0:
        raise NoEstimate("No event is expected.", where="expected", mend="Widen the strata.")
    low, high = poisson_exact(observed, expected, level)
    return Estimate(value=observed / expected, low=low, high=high)


def expected_events(time: Sequence[float], standard_rates: Sequence[float]) -> float:
    """Events expected if the strata had the standard's rates."""
    return float(np.dot(np.asarray(time), np.asarray(standard_rates)))


def indirect(
    events: Sequence[int],
    time: Sequence[float],
    standard_rates: Sequence[float],
    standard_crude: float,
    level: float = 0.95,
) -> Estimate:
    """The indirectly standardised rate: the standard's crude rate times observed over expected."""
    smr = ratio_to_expected(sum(events), expected_events(time, standard_rates), level)
    return Estimate(
        value=smr.value * standard_crude, low=smr.low * standard_crude, high=smr.high * standard_crude
    )
