"""Time at risk: when a person could have an outcome that would be counted.

Responsible for: windows around cohort entries, clipping to observation, what clean windows take away, counting
outcomes. Not responsible for: cohorts, strata, rates.

Source: OHDSI CohortIncidence, method documentation and SQL (2024): windows that overlap are merged; both ends of a window count
as days; an outcome counts on the day it starts if that day is at risk; the days after it, until its end plus the clean
window, are not.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ordinals = NDArray[np.int64]
Days = NDArray[np.datetime64]
Anchor = Literal["start", "end"]
LIFE = 1 << 22
"""More days than between any two dates in a database: moves each person onto a stretch of one common line."""


@dataclass(frozen=True, kw_only=True)
class Spans:
    """Spans of days of people, both ends inclusive. All arrays have shape (n,)."""

    person: Ordinals
    start: Days
    end: Days


def spans_of(rows: pa.Table) -> Spans:
    """The rows of a cohort (subject_id, cohort_start_date, cohort_end_date)."""
    start, end = (
        np.asarray(rows[name].to_numpy(), dtype="datetime64[D]")
        for name in ("cohort_start_date", "cohort_end_date")
    )
    return Spans(person=rows["subject_id"].to_numpy(), start=start, end=end)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Time at risk from an anchor plus days to an anchor plus days."""

    start_anchor: Anchor
    start_offset: int
    end_anchor: Anchor
    end_offset: int


@dataclass(frozen=True, kw_only=True)
class AtRisk:
    """Merged windows with what was counted in them. All arrays have shape (n,).

    Attributes:
        start: the window's first day, from which age and calendar year are taken.
        days: days at risk, those in clean windows taken away; may be 0.
        outcomes: outcomes that start on a day at risk.
    """

    person: Ordinals
    start: Days
    days: Ordinals
    outcomes: Ordinals


def at_risk(target: Spans, observed: Spans, outcome: Spans, window: Window, *, clean_window: int) -> AtRisk:
    """The time at risk of a target cohort for an outcome.

    Args:
        target: cohort entries.
        observed: observation periods of (at least) the same people.
        outcome: outcome episodes of anyone.
        clean_window: days after an outcome's end in which another is not a new one.
    """
    windows = _windows(target, observed, window)
    first_day = _first_day(windows, outcome)
    people = np.unique(windows.person)
    outcome = _of(outcome, people)
    line_start, line_end = _merged(*_on_line(windows, people, first_day))
    case, case_end = _on_line(outcome, people, first_day)
    blocked_start, blocked_end = case + 1, case_end + clean_window
    real = blocked_end >= blocked_start
    blocked_start, blocked_end = _merged(blocked_start[real], blocked_end[real])
    total = line_end - line_start + 1
    lost = _covered(blocked_start, blocked_end, line_end) - _covered(
        blocked_start, blocked_end, line_start - 1
    )
    counted = case[~_inside(case, blocked_start, blocked_end) & _inside(case, line_start, line_end)]
    which = np.searchsorted(line_start, counted, side="right") - 1
    return AtRisk(
        person=people[line_start // LIFE],
        start=first_day + (line_start % LIFE).astype("timedelta64[D]"),
        days=total - lost,
        outcomes=np.bincount(which, minlength=len(line_start)).astype(np.int64),
    )


def _windows(target: Spans, observed: Spans, window: Window) -> Spans:
    """Each entry's window, if it starts within the entry's observation period and not after its end; clipped to it."""
    order = np.lexsort((observed.start, observed.person))
    who, since, until = observed.person[order], observed.start[order], observed.end[order]
    anchors = {"start": target.start, "end": target.end}
    start = anchors[window.start_anchor] + np.timedelta64(window.start_offset, "D")
    end = anchors[window.end_anchor] + np.timedelta64(window.end_offset, "D")
    first = np.searchsorted(who, target.person, side="left")
    last = np.searchsorted(who, target.person, side="right")
    entries = np.repeat(np.arange(len(target.person)), last - first)
    offsets = np.arange(len(entries)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
    periods = first[entries] + offsets
    inside = (
        (since[periods] <= target.start[entries])
        & (target.start[entries] <= until[periods])
        & (since[periods] <= start[entries])
        & (start[entries] <= until[periods])
        & (start[entries] <= end[entries])
    )
    entries, periods = entries[inside], periods[inside]
    return Spans(
        person=target.person[entries], start=start[entries], end=np.minimum(end[entries], until[periods])
    )


def _first_day(*spans: Spans) -> np.datetime64:
    starts = [part.start.min() for part in spans if len(part.start)]
    return min(starts) if starts else np.datetime64("1970-01-01", "D")


def _of(spans: Spans, people: Ordinals) -> Spans:
    kept = np.isin(spans.person, people)
    return Spans(person=spans.person[kept], start=spans.start[kept], end=spans.end[kept])


def _on_line(spans: Spans, people: Ordinals, first_day: np.datetime64) -> tuple[Ordinals, Ordinals]:
    stretch = np.searchsorted(people, spans.person) * LIFE
    return (
        stretch + (spans.start - first_day).astype(np.int64),
        stretch + (spans.end - first_day).astype(np.int64),
    )


def _merged(start: Ordinals, end: Ordinals) -> tuple[Ordinals, Ordinals]:
    """Overlapping spans as one, ascending. Spans that only touch (one ends the day before the next) stay two."""
    if not len(start):
        return start, end
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    reach = np.maximum.accumulate(end)
    is_first = np.ones(len(start), dtype=np.bool_)
    is_first[1:] = start[1:] > reach[:-1]
    firsts = np.flatnonzero(is_first)
    lasts = np.append(firsts[1:], len(start)) - 1
    return start[firsts], reach[lasts]


def _covered(start: Ordinals, end: Ordinals, day: Ordinals) -> Ordinals:
    """How many days up to and including `day` lie in merged spans."""
    if not len(start):
        return np.zeros(len(day), dtype=np.int64)
    before = np.concatenate([[0], np.cumsum(end - start + 1)]).astype(np.int64)
    index = np.searchsorted(start, day, side="right")
    over = np.where(index > 0, np.maximum(end[np.maximum(index - 1, 0)] - day, 0), 0)
    return before[index] - over.astype(np.int64)


def _inside(day: Ordinals, start: Ordinals, end: Ordinals) -> NDArray[np.bool_]:
    if not len(start):
        return np.zeros(len(day), dtype=np.bool_)
    index = np.searchsorted(start, day, side="right") - 1
    return (index >= 0) & (end[np.maximum(index, 0)] >= day)
