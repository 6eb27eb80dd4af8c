"""Sequences of events: which events of a person follow each other, alone or together, after an entry.

Responsible for: from spans of days to a sequence of combinations. Not responsible for: cohorts, counting.

Source: the pathway analysis of OHDSI ATLAS (combination window, combinations as sets of events, repeats), with the gap that joins
two spans of one event and the least length of a span from TreatmentPatterns. Unlike in ATLAS an event may last beyond the entry's end,
a span ends on the day after its last, and any number of overlapping events are told apart, where ATLAS splits pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dure.features.time_at_risk import Spans

Span = tuple[int, int]
Combination = int
"""A set of events: bit i is set where event i is in it."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How spans become a sequence.

    Attributes:
        gap: the most days between two spans of one event for them to be one.
        least_days: the fewest days that a (joined) span must last to count.
        window: starts and ends that follow each other after fewer days than this count as one day, the first of them.
        repeats: whether a combination may come again later; else only its first time counts.
    """

    gap: int
    least_days: int
    window: int
    repeats: bool


def sequences(entries: Spans, events: Sequence[Spans], rules: Rules) -> list[tuple[Combination, ...]]:
    """The sequence of each person of `entries` (one entry a person), in their order.

    Args:
        events: spans of each event of anyone. Those that start from the entry's start to its end count.
    """
    found: list[list[list[Span]]] = [[[] for _ in events] for _ in entries.person]
    order = np.argsort(entries.person)
    person = entries.person[order]
    since, until = _number(entries.start)[order], _number(entries.end)[order]
    for number, spans in enumerate(events):
        if not len(person) or not len(spans.person):
            continue
        row = np.minimum(np.searchsorted(person, spans.person), len(person) - 1)
        start, end = _number(spans.start), _number(spans.end)
        counts = (person[row] == spans.person) & (start >= since[row]) & (start <= until[row])
        mine = zip(order[row[counts]].tolist(), start[counts].tolist(), end[counts].tolist(), strict=True)
        for at, first, last in mine:
            found[at][number].append((first, last))
    return [sequence(each, rules) for each in found]


def sequence(spans: Sequence[Sequence[Span]], rules: Rules) -> tuple[Combination, ...]:
    """One person's sequence, from the spans (first day, last day) of each event."""
    events: list[tuple[int, int, int]] = []
    for number, mine in enumerate(spans):
        for start, end in _joined(mine, rules.gap):
            if end - start + 1 >= rules.least_days:
                events.append((start, end + 1, number))
    replaced = _collapsed({day for start, end, _ in events for day in (start, end)}, rules.window)
    events = [(replaced[start], replaced[end], number) for start, end, number in events]
    events = [(start, end, number) for start, end, number in events if start < end]
    days = sorted({day for start, end, _ in events for day in (start, end)})
    steps: list[Combination] = []
    for day in days[:-1]:
        together = 0
        for start, end, number in events:
            if start <= day < end:
                together |= 1 << number
        if not together or (steps and steps[-1] == together):
            continue
        if rules.repeats or together not in steps:
            steps.append(together)
    return tuple(steps)


def _joined(spans: Sequence[Span], gap: int) -> list[Span]:
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] - 1 <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _collapsed(days: set[int], window: int) -> dict[int, int]:
    """Each day's stand-in: the first of the days that follow each other within the window."""
    found: dict[int, int] = {}
    last = first = None
    for day in sorted(days):
        if last is None or first is None or day - last >= window:
            first = day
        found[day], last = first, day
    return found


def _number(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    return days.astype("datetime64[D]").astype(np.int64)
