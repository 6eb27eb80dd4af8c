"""Risk sets: what a partial likelihood adds up at each event time, and what follows from those sums.

Responsible for: the arithmetic that Cox models with their own baseline at every hospital (`cox`) and with one for all
(`cox_one_baseline`) share: Efron's and Breslow's ties, delayed entry, weights. Not responsible for: what may be sent.

Times are places in a sorted list of distinct times, so nothing here sorts rows of covariates. At each time are summed, with
r = weight * exp(eta): S0 = sum r and S1 = sum r x over those at risk; D0 and D1 the same over those with an event; d events
and W their weight. The information needs no sum over risk sets of x x': everyone's own x x' is weighed once, by the hazard
that the person was under. Source: Efron, JASA 72 (1977); Therneau and Grambsch, Modeling Survival Data (2000), ch. 3.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Ties = Literal["efron", "breslow"]
Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]
SHORT = 1 << 16
MOST_DAYS = 1 << 17
BLOCK = 4096
"""Rows that are weighed at once: small enough for the cache."""


@dataclass(frozen=True, kw_only=True)
class Followed:
    """Rows of people, by their places in a list of T distinct times with an event.

    Attributes:
        leaves: the last time at which each row is at risk. Shape (n,).
        enters: the first one; None where everyone is at risk from the first. Shape (n,).
        idle: rows that are at risk at no time, if there are any; their places mean nothing. Shape (n,).
        event: whether it leaves with the event. Shape (n,).
        x: covariates. Shape (n, p).
        weight: shape (n,), or None for ones.
    """

    leaves: Places
    enters: Places | None
    idle: Flags | None
    event: Flags
    x: Floats
    weight: Floats | None
    times: int


def follow(
    time: NDArray[Any],
    event: Flags,
    x: Floats,
    *,
    entry: NDArray[Any] | None = None,
    weight: Floats | None = None,
    times: NDArray[Any] | None = None,
) -> Followed:
    """Rows placed on the list of event times. At risk is whoever has entry < t <= time.

    Args:
        times: the list, ascending, of one time or more; None takes the times at which these rows have events.
    """
    if entry is not None:
        event = event & (entry < time)
    if times is None:
        times = event_times(time, event)
    leaves = _places(times, time) - 1
    idle = leaves < 0
    enters = None
    if entry is not None:
        enters = _places(times, entry)
        idle |= enters > leaves
    some_idle = bool(idle.any())
    if some_idle:
        leaves = np.where(idle, 0, leaves)
        enters = None if enters is None else np.where(idle, 0, enters)
    return Followed(
        leaves=leaves,
        enters=enters,
        idle=idle if some_idle else None,
        event=event,
        x=x,
        weight=weight,
        times=len(times),
    )


@dataclass(frozen=True, kw_only=True)
class TimeSums:
    """Sums at each time: S0, D0, d, W of shape (T,); S1, D1 of shape (T, p)."""

    s0: Floats
    s1: Floats
    d0: Floats
    d1: Floats
    d: NDArray[np.int64]
    w: Floats


@dataclass(frozen=True, kw_only=True)
class Hazard:
    """What the ties at each time make of the sums. Arrays have shape (T,).

    Attributes:
        log: sum over the ties of (W/d) log(phi).
        a: sum of (W/d) / phi, the baseline hazard's step.
        b: sum of (W/d) (l/d) / phi, by which one's own event makes that step smaller.
        aa, ab, bb: sums of (W/d) / phi^2 times 1, l/d and (l/d)^2.
    """

    log: Floats
    a: Floats
    b: Floats
    aa: Floats
    ab: Floats
    bb: Floats


def event_times(time: NDArray[Any], event: Flags) -> NDArray[Any]:
    """The distinct times of events, ascending."""
    found = time[event]
    if len(found) and _few_days(found):
        return np.flatnonzero(np.bincount(found))
    return np.unique(found)


def _places(times: NDArray[Any], time: NDArray[Any]) -> Places:
    """For each time, how many of the list are at it or before. Days are looked up, other times searched for."""
    if not len(times) or not _few_days(times) or time.dtype.kind not in "iu":
        return np.searchsorted(times, time, side="right")
    up_to = np.zeros(int(times[-1]) + 2, dtype=np.int64)
    up_to[times + 1] = 1
    return np.asarray(np.cumsum(up_to)[np.clip(time, -1, times[-1]) + 1])


def _few_days(times: NDArray[Any]) -> bool:
    return times.dtype.kind in "iu" and bool(times.min() >= 0) and bool(times.max() < MOST_DAYS)


def risk(followed: Followed, beta: Floats, origin: float = 0.0) -> tuple[Floats, Floats]:
    """Each row's linear predictor and weighted relative hazard (0 where idle). Shapes (n,).

    Args:
        origin: taken off the linear predictor. What is the same for everyone cancels out of a risk set.
    """
    eta = followed.x @ beta - origin
    return eta, relative(followed, eta)


def relative(followed: Followed, eta: Floats) -> Floats:
    """Each row's weighted relative hazard (0 where idle), at its linear predictor. Shapes (n,)."""
    r = np.exp(eta)
    if followed.weight is not None:
        r *= followed.weight
    if followed.idle is not None:
        r[followed.idle] = 0
    return np.asarray(r)


def time_sums(followed: Followed, r: Floats, ties: Ties) -> TimeSums:
    """The sums at each time; those over events with hazards only where the ties need them.

    Args:
        r: weighted relative hazards. Shape (n,).
    """
    times, x = followed.times, followed.x
    s0, s1 = at_risk(
        by_time(followed.leaves, r, x, times),
        None if followed.enters is None else by_time(followed.enters, r, x, times),
    )
    rows = np.flatnonzero(followed.event)
    when = followed.leaves[rows]
    d, w = events(followed)
    if ties == "efron" and (d > 1).any():
        d0, d1 = by_time(when, r[rows], x, times, rows)
    else:
        d0, d1 = np.zeros(times), np.zeros_like(s1)
    return TimeSums(s0=s0, s1=s1, d0=d0, d1=d1, d=d, w=w)


def events(followed: Followed) -> tuple[Places, Floats]:
    """Events at each time, and their weight. Shapes (T,)."""
    rows = np.flatnonzero(followed.event)
    when = followed.leaves[rows]
    d = np.bincount(when, minlength=followed.times).astype(np.int64)
    if followed.weight is None:
        return d, d.astype(np.float64)
    return d, _add_up(when, followed.weight[rows], followed.times)


def at_risk(left: tuple[Floats, Floats], came: tuple[Floats, Floats] | None) -> tuple[Floats, Floats]:
    """S0 and S1, from the same sums over those who leave at each time and those who come at it."""
    s0, s1 = _from_here_on(left[0]), _from_here_on(left[1])
    if came is not None:
        # At risk at a time: who leaves then or later, without who enters later.
        s0 -= _from_here_on(came[0]) - came[0]
        s1 -= _from_here_on(came[1]) - came[1]
    return s0, s1


def by_time(
    place: Places, r: Floats, x: Floats, times: int, rows: Places | None = None
) -> tuple[Floats, Floats]:
    """Sums of r and of r x over the rows of each time: one sparse product, no copy of x.

    Args:
        rows: which rows of x they are; None is all.
    """
    if not x.shape[1]:
        return _add_up(place, r, times), np.zeros((times, 0))
    # Sorting short integers takes time in proportion to their number.
    order = np.argsort(place.astype(np.uint16) if times <= SHORT else place, kind="stable")
    starts = np.zeros(times + 1, dtype=np.int64)
    np.cumsum(np.bincount(place, minlength=times), out=starts[1:])
    picks = csr_array((r[order], order if rows is None else rows[order], starts), shape=(times, len(x)))
    return _add_up(place, r, times), np.asarray(picks @ x)


def _add_up(place: Places, values: Floats, times: int) -> Floats:
    """Sums by place. (Of no values at all, `bincount` makes integers.)"""
    return np.bincount(place, weights=values, minlength=times).astype(np.float64, copy=False)


def _from_here_on(sums: Floats) -> Floats:
    return np.cumsum(sums[::-1], axis=0)[::-1].copy()


def hazard(sums: TimeSums, ties: Ties) -> Hazard:
    """Efron's or Breslow's weighing of ties, at each time with an event."""
    times = len(sums.d)
    if ties == "breslow":
        some = sums.d > 0
        phi = np.where(some, sums.s0, 1.0)
        a = np.where(some, sums.w / phi, 0.0)
        nothing = np.zeros(times)
        return Hazard(
            log=np.where(some, sums.w * np.log(phi), 0.0), a=a, b=nothing, aa=a / phi, ab=nothing, bb=nothing
        )
    time = np.repeat(np.arange(times), sums.d)
    rank = np.arange(len(time)) - np.repeat(np.cumsum(sums.d) - sums.d, sums.d)
    share = rank / sums.d[time]
    mean = sums.w[time] / sums.d[time]
    phi = sums.s0[time] - share * sums.d0[time]

    def at(values: Floats) -> Floats:
        return _add_up(time, values, times)

    step = mean / phi
    steeper = step / phi
    return Hazard(
        log=at(mean * np.log(phi)),
        a=at(step),
        b=at(step * share),
        aa=at(steeper),
        ab=at(steeper * share),
        bb=at(steeper * share * share),
    )


def expected(sums: TimeSums, at: Hazard) -> Floats:
    """What the risk sets expect the events' covariates to add up to. Shape (p,)."""
    return at.a @ sums.s1 - at.b @ sums.d1


def between(sums: TimeSums, at: Hazard) -> Floats:
    """Sum over events of (W/d) z z', with z the risk set's mean covariates. Shape (p, p)."""
    cross = (sums.s1 * at.ab[:, None]).T @ sums.d1
    return (sums.s1 * at.aa[:, None]).T @ sums.s1 - cross - cross.T + (sums.d1 * at.bb[:, None]).T @ sums.d1


def exposure(followed: Followed, at: Hazard) -> Floats:
    """The cumulative baseline hazard that each row was under, one's own tie taken into account. Shape (n,)."""
    cumulative = np.concatenate([[0.0], np.cumsum(at.a)])
    under = cumulative[followed.leaves + 1]
    if followed.enters is not None:
        under = under - cumulative[followed.enters]
    if at.b.any():
        under = under - np.where(followed.event, at.b[followed.leaves], 0.0)
    return under


def gram(x: Floats, weight: Floats) -> Floats:
    """Sum of weight x x', for weights of 0 or more. Shape (p, p). In blocks, so that no second matrix of x's size is made."""
    total = np.zeros((x.shape[1], x.shape[1]))
    root = np.sqrt(weight)
    for start in range(0, len(x), BLOCK):
        part = x[start : start + BLOCK] * root[start : start + BLOCK, None]
        # A matrix times its own transpose: BLAS computes one half of it.
        total += part.T @ part
    return total


def weighed(at: Hazard, clock: Floats) -> Hazard:
    """The hazard with every time weighed by a number of its own. Shape of clock: (T,)."""
    return Hazard(
        log=at.log * clock,
        a=at.a * clock,
        b=at.b * clock,
        aa=at.aa * clock,
        ab=at.ab * clock,
        bb=at.bb * clock,
    )


@dataclass(frozen=True, kw_only=True)
class Means:
    """What rows are compared with at each time. All have shape (T, p).

    Attributes:
        of_events: the mean of the risk set, over the ties where there are any.
        step, own: the same times the hazard's step, and times what one's own tie makes of it.
    """

    of_events: Floats
    step: Floats
    own: Floats


def means(sums: TimeSums, at: Hazard) -> Means:
    """The risk sets' means."""
    weight = np.where(sums.w > 0, sums.w, 1.0)[:, None]
    return Means(
        of_events=(at.a[:, None] * sums.s1 - at.b[:, None] * sums.d1) / weight,
        step=at.aa[:, None] * sums.s1 - at.ab[:, None] * sums.d1,
        own=at.ab[:, None] * sums.s1 - at.bb[:, None] * sums.d1,
    )


def score_residuals(followed: Followed, r: Floats, against: Means, at: Hazard) -> Floats:
    """Each row's share of the score, times its weight, as R's `residuals(type = "score")` has it. Shape (n, p)."""
    cumulative = np.concatenate([np.zeros((1, followed.x.shape[1])), np.cumsum(against.step, axis=0)])
    under = cumulative[followed.leaves + 1]
    if followed.enters is not None:
        under -= cumulative[followed.enters]
    rows = np.flatnonzero(followed.event)
    under[rows] -= against.own[followed.leaves[rows]]
    residual = r[:, None] * (under - followed.x * exposure(followed, at)[:, None])
    own = followed.x[rows] - against.of_events[followed.leaves[rows]]
    residual[rows] += own if followed.weight is None else own * followed.weight[rows, None]
    return np.asarray(residual)
