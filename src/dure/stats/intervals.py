"""Intervals computed from released numbers."""

from scipy.special import chdtri


def poisson_exact(events: int, time: float, level: float = 0.95) -> tuple[float, float]:
    """The exact (Garwood) interval of a rate.

    Args:
        events: number of events.
        time: time at risk, above 0; the interval is in events per unit of it.

    Source: Garwood, Biometrika 28 (1936), by quantiles of the chi-square distribution.
    """
    tail = (1 - level) / 2
    low = chdtri(2 * events, 1 - tail) / 2 if events else 0.0
    high = chdtri(2 * events + 2, tail) / 2
    return float(low / time), float(high / time)
