"""Survival curves and what is read off them, computed of a released risk table and nothing else.

Responsible for: Kaplan-Meier with Greenwood's variance and log-log intervals, quantiles, restricted mean survival time,
Aalen-Johansen's cumulative incidence. Not responsible for: the table (`risk_table`), tests between groups (`log_rank`).

All are exact for the table's grid: an event in an interval counts as at its end.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from dure.stats.risk_table import BadGrid, GroupAtRisk

Floats = NDArray[np.float64]
SAME = 1e-12
"""Survival this close to a share counts as equal to it: it is a product of many factors."""


@dataclass(frozen=True, kw_only=True)
class AtRisk:
    """One group's table by interval, as numbers to compute with.

    Attributes:
        day: the end of each interval. Shape (T,).
        start: the first interval's start.
        at_risk: who is under observation at some time in it. Shape (T,).
        events: by cause. Shape (causes, T).
    """

    day: Floats
    start: float
    at_risk: Floats
    events: Floats

    @classmethod
    def of(cls, edges: tuple[int, ...], group: GroupAtRisk) -> "AtRisk":
        """From a released table's group and edges."""
        events = np.array(group.events, dtype=np.float64)
        gone = events.sum(axis=0) + np.array(group.left)
        at_risk = np.cumsum(group.came) - np.concatenate([[0.0], np.cumsum(gone)[:-1]])
        return cls(
            day=np.array(edges[1:], dtype=np.float64), start=float(edges[0]), at_risk=at_risk, events=events
        )

    @property
    def all_events(self) -> Floats:
        """Events of any cause. Shape (T,)."""
        return np.asarray(self.events.sum(axis=0))


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A step function of time with its standard error and pointwise interval. Arrays have shape (T,).

    Attributes:
        start: its value before the first step.
        low, high: nan where there is no interval (nothing has happened yet, or everyone is gone).
    """

    start: float
    day: Floats
    value: Floats
    se: Floats
    low: Floats
    high: Floats

    def at(self, day: float) -> "Estimate":
        """What is known at a day: the value at the last step up to it. Events later in an interval don't count yet."""
        place = int(np.searchsorted(self.day, day, side="right")) - 1
        if place < 0:
            return Estimate(value=self.start, se=0.0, low=math.nan, high=math.nan)
        return Estimate(
            value=float(self.value[place]),
            se=float(self.se[place]),
            low=float(self.low[place]),
            high=float(self.high[place]),
        )


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number, its standard error, its interval and, where it is compared with something, the p value."""

    value: float
    se: float
    low: float
    high: float
    p: float = math.nan


def kaplan_meier(group: AtRisk, level: float = 0.95) -> Curve:
    """Survival past the end of each interval.

    Source: Kaplan and Meier, JASA 53 (1958); Greenwood (1926); interval on the scale log(-log S).
    """
    n, d = group.at_risk, group.all_events
    survival = _survival(d, n)
    relative = np.sqrt(np.asarray(np.cumsum(_ratio(d, n * (n - d))), dtype=np.float64))
    low, high = _log_log(survival, relative, level)
    return Curve(start=1.0, day=group.day, value=survival, se=survival * relative, low=low, high=high)


def quantile(curve: Curve, share: float) -> tuple[float, float, float]:
    """The first day by which survival has fallen to 1 - share, and its interval; nan where it isn't reached.

    Where survival is that share exactly for a while, the middle of that while (as R's `survfit` has it).
    """
    reached = 1 - share
    return (
        _crossed(curve.day, curve.value, reached),
        _first_below(curve, curve.low, reached),
        _first_below(curve, curve.high, reached),
    )


def restricted_mean(group: AtRisk, until: float, level: float = 0.95) -> Estimate:
    """Mean survival time up to a day: the area under the curve.

    Source: Uno et al., Statistics in Medicine 34 (2015); the variance as in the R package survRM2.
    """
    value, variance = _area(group, until)
    return _normal(value, math.sqrt(variance), level)


def mean_difference(one: AtRisk, other: AtRisk, until: float, level: float = 0.95) -> Estimate:
    """Restricted mean survival time of one group less that of another."""
    (a, a_variance), (b, b_variance) = _area(one, until), _area(other, until)
    found = _normal(a - b, math.sqrt(a_variance + b_variance), level)
    return _with_p(found, found.value / found.se)


def mean_ratio(
    one: AtRisk, other: AtRisk, until: float, *, lost: bool = False, level: float = 0.95
) -> Estimate:
    """The ratio of two restricted means, with the interval on the log scale; `se` is that of the logarithm.

    Args:
        lost: of the time lost (until less the mean) instead of the time lived.
    """
    (a, a_variance), (b, b_variance) = _area(one, until), _area(other, until)
    if lost:
        span = until - one.start
        a, b = span - a, span - b
    log, se = math.log(a / b), math.sqrt(a_variance / a**2 + b_variance / b**2)
    found = _normal(log, se, level)
    return _with_p(
        Estimate(value=math.exp(log), se=se, low=math.exp(found.low), high=math.exp(found.high)), log / se
    )


def cumulative_incidence(group: AtRisk, cause: int, level: float = 0.95) -> Curve:
    """The share that has had a cause's event (from 0) by the end of each interval, where causes compete.

    Variance: multinomial steps carried through the product, which equals the infinitesimal jackknife (R's `survfit`).
    Interval: on the scale log(-log(1 - F)). Source: Aalen and Johansen, Scand. J. Stat. 5 (1978).
    """
    n, hazards = group.at_risk, _ratio(group.events, group.at_risk)
    any_cause = hazards.sum(axis=0)
    survival = _survival(group.all_events, n)
    before = np.concatenate([[1.0], survival[:-1]])
    value = np.cumsum(before * hazards[cause])
    # With hazard j of cause c, F(t) moves by before_j (if c is the cause asked about) - (F(t) - F_j) / (1 - hazard_j).
    # The square is a polynomial in F(t), so running sums give every t at once.
    per = _ratio(np.ones_like(n), n)
    own, all_ = hazards[cause], any_cause
    fraction = _ratio(np.ones_like(all_), 1 - all_)
    spread = all_ * (1 - all_) * per
    cross = own * (1 - all_) * per
    single = own * (1 - own) * per
    through = np.cumsum(spread * fraction**2)
    through_value = np.cumsum(spread * fraction**2 * value)
    through_square = np.cumsum(spread * fraction**2 * value**2)
    mixed, mixed_value = np.cumsum(cross * fraction * before), np.cumsum(cross * fraction * before * value)
    variance = (
        np.cumsum(single * before**2)
        - 2 * (value * mixed - mixed_value)
        + value**2 * through
        - 2 * value * through_value
        + through_square
    )
    se = np.sqrt(np.maximum(variance, 0))
    low, high = _log_log(1 - value, _ratio(se, 1 - value), level)
    return Curve(start=0.0, day=group.day, value=value, se=se, low=1 - high, high=1 - low)


def _survival(events: Floats, at_risk: Floats) -> Floats:
    return np.asarray(np.cumprod(1 - _ratio(events, at_risk)), dtype=np.float64)


def _ratio(above: Floats, below: Floats) -> Floats:
    """above / below, and 0 where below is 0."""
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below != 0)


def _log_log(survival: Floats, relative: Floats, level: float) -> tuple[Floats, Floats]:
    """The interval of survival with relative standard error; nan where survival is 0 or 1."""
    inside = (survival > 0) & (survival < 1)
    log = np.log(np.where(inside, survival, 0.5))
    half = -ndtri((1 - level) / 2) * relative / -log
    low, high = (np.exp(log * np.exp(sign * half)) for sign in (1, -1))
    return np.where(inside, low, np.nan), np.where(inside, high, np.nan)


def _crossed(day: Floats, value: Floats, reached: float) -> float:
    below = np.flatnonzero(value < reached - SAME)
    equal = np.flatnonzero(np.abs(value - reached) <= SAME)
    if len(equal):
        return float((day[equal[0]] + day[below[0]]) / 2) if len(below) else float(day[equal[0]])
    return float(day[below[0]]) if len(below) else math.nan


def _first_below(curve: Curve, bound: Floats, reached: float) -> float:
    """Where a bound of the interval crosses; a bound that doesn't exist doesn't cross."""
    known = ~np.isnan(bound)
    return _crossed(curve.day[known], bound[known], reached)


def _area(group: AtRisk, until: float) -> tuple[float, float]:
    """The area under the survival curve up to a day, and its variance.

    Raises:
        BadGrid: the day is not within the table.
    """
    if not group.start < until <= group.day[-1]:
        raise BadGrid(
            f"Day {until:g} is not within the table.",
            where="until",
            mend=f"Give a day after {group.start:g}, up to {group.day[-1]:g}.",
        )
    n, d = group.at_risk, group.all_events
    survival = _survival(d, n)
    steps = np.concatenate([[group.start], np.minimum(group.day, until)])
    pieces = np.diff(steps) * np.concatenate([[1.0], survival[:-1]])
    area = np.cumsum(pieces[::-1])[::-1]
    # After the last step comes nothing: the area beyond an interval's end is that of the later ones.
    beyond = np.append(area[1:], 0.0)
    return float(area[0]), float((beyond**2 * _ratio(d, n * (n - d))).sum())


def _normal(value: float, se: float, level: float) -> Estimate:
    half = -float(ndtri((1 - level) / 2)) * se
    return Estimate(value=value, se=se, low=value - half, high=value + half)


def _with_p(found: Estimate, z: float) -> Estimate:
    return Estimate(
        value=found.value, se=found.se, low=found.low, high=found.high, p=float(2 * ndtr(-abs(z)))
    )
