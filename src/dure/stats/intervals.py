"""Intervals computed from released numbers.

Responsible for: counts, rates, proportions and ratios of one or two groups. Not responsible for: strata
(`standardisation`, `mantel_haenszel`).
"""

import numpy as np
from scipy.special import betaincinv, chdtri, ndtr, ndtri

from dure.wire.codec import message


@message
class Estimate:
    """A number with its interval. `se` is on the scale on which the interval is symmetric; None where it isn't made of one."""

    value: float
    low: float
    high: float
    se: float | None = None


@message
class Effect:
    """One coefficient of a model, normal on its own scale. `low` and `high`: 95 %."""

    name: str
    estimate: float
    error: float
    low: float
    high: float
    p_value: float


def effect(name: str, estimate: float, error: float) -> Effect:
    """A coefficient with its interval and two-sided p-value."""
    around = wald(estimate, error)
    return Effect(
        name=name,
        estimate=around.value,
        error=error,
        low=around.low,
        high=around.high,
        p_value=float(2 * ndtr(-abs(estimate / error))),
    )


def z_of(level: float) -> float:
    """The normal quantile of a two-sided interval."""
    return float(ndtri(0.5 + level / 2))


def wald(value: float, se: float, level: float = 0.95) -> Estimate:
    """An estimate that is normal on its own scale."""
    reach = z_of(level) * se
    return Estimate(value=value, low=value - reach, high=value + reach, se=se)


def ratio(log_value: float, se: float, level: float = 0.95) -> Estimate:
    """A ratio whose logarithm is normal; `se` stays on the logarithm's scale."""
    reach = z_of(level) * se
    low, value, high = np.exp([log_value - reach, log_value, log_value + reach])
    return Estimate(value=float(value), low=float(low), high=float(high), se=se)


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


def wilson(events: int, people: int, level: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion, without continuity correction.

    Source: Wilson, JASA 22 (1927).
    """
    z = z_of(level)
    centre = (events + z * z / 2) / (people + z * z)
    reach = z / (people + z * z) * np.sqrt(events * (people - events) / people + z * z / 4)
    return float(max(centre - reach, 0.0)), float(min(centre + reach, 1.0))


def clopper_pearson(events: int, people: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion.

    Source: Clopper and Pearson, Biometrika 26 (1934), by quantiles of the beta distribution.
    """
    tail = (1 - level) / 2
    low = betaincinv(events, people - events + 1, tail) if events else 0.0
    high = betaincinv(events + 1, people - events, 1 - tail) if events < people else 1.0
    return float(low), float(high)


def rate_ratio_exact(
    events: tuple[int, int], time: tuple[float, float], level: float = 0.95
) -> tuple[float, float]:
    """The exact interval of the ratio of two rates, first over second, given how many events there were in all.

    The upper end is infinite where the second group has no event.
    """
    low, high = clopper_pearson(events[0], sum(events), level)
    scale = time[1] / time[0]
    return low / (1 - low) * scale, high / (1 - high) * scale if high < 1 else float("inf")


def rate_ratio_p(events: tuple[int, int], time: tuple[float, float]) -> float:
    """The exact two-sided p-value that two rates are equal: all splits of the events no likelier than the one seen."""
    from scipy.stats import binomtest

    return float(binomtest(events[0], sum(events), time[0] / sum(time)).pvalue)
