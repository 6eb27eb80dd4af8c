"""Case series: each person's observed days, cut where exposure, age or season changes, with the outcomes that start in each part.

Responsible for: the parts, by person and by what holds in them. Not responsible for: cohorts, the model.

Parts of one person in which the same holds are joined: the conditional Poisson likelihood is the same, and rows stay few.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from dure.features.demographics import People
from dure.features.time_at_risk import LIFE, Anchor, Spans

Ordinals = NDArray[np.int64]
Days = NDArray[np.datetime64]
BASELINE = -1
MONTHS = 12


@dataclass(frozen=True, kw_only=True)
class RiskDays:
    """Days around an exposure: from one of its ends plus days, to one of its ends plus days, both days included."""

    start_anchor: Anchor = "start"
    start: int
    end_anchor: Anchor = "start"
    end: int


@dataclass(frozen=True, kw_only=True)
class CaseSeries:
    """Parts of people's time. All arrays have shape (n,).

    Attributes:
        window: the place of the risk days that hold, or BASELINE.
        age: the place of the interval of age; 0 before the first of `ages`.
        month: 0 to 11; 0 throughout where season wasn't asked for.
        days: its length.
        outcomes: how many start in it.
    """

    person: Ordinals
    window: Ordinals
    age: Ordinals
    month: Ordinals
    days: Ordinals
    outcomes: Ordinals


def case_series(
    observed: Spans,
    exposure: Spans,
    outcome: Spans,
    people: People,
    *,
    windows: Sequence[RiskDays],
    ages: Sequence[int],
    season: bool,
    first_day: date | None,
    last_day: date | None,
) -> CaseSeries:
    """The parts of everybody who has an outcome while observed.

    Args:
        windows: where the days of several overlap, the first of them holds.
        ages: years of age (calendar year less year of birth) at which a new interval begins, ascending.
        first_day, last_day: of the study; None: as observed.
    """
    observed = _within(observed, first_day, last_day)
    outcome = _inside(outcome, observed)
    cases = np.unique(outcome.person)
    observed, exposure = _of(observed, cases), _of(exposure, cases)
    if not len(cases):
        nothing = np.zeros(0, dtype=np.int64)
        return CaseSeries(
            person=nothing, window=nothing, age=nothing, month=nothing, days=nothing, outcomes=nothing
        )
    origin = observed.start.min() - np.timedelta64(1, "D")
    seen = _Stretches.of(cases, observed, origin)
    risks = [
        _Stretches.of(cases, _around(exposure, each), origin).within(seen, len(cases)) for each in windows
    ]
    calendar = _calendar(seen, origin, ages=bool(ages), season=season)
    cuts = np.unique(
        np.concatenate([seen.start, seen.end + 1, *(part for r in risks for part in (r.start, r.end + 1)), calendar])
    )  # fmt: skip
    start, length = cuts[:-1], np.diff(cuts)
    kept = seen.cover(start)
    start, length = start[kept], length[kept]
    window = np.full(len(start), BASELINE, dtype=np.int64)
    for place in reversed(range(len(risks))):
        window[risks[place].cover(start)] = place
    row, day = start // LIFE, origin + (start % LIFE).astype("timedelta64[D]")
    months = day.astype("datetime64[M]").astype(np.int64)
    born = people.year_of_birth[np.searchsorted(people.person, cases)][row]
    age = np.searchsorted(np.asarray(ages, dtype=np.int64), months // MONTHS + 1970 - born, side="right")
    month = months % MONTHS if season else np.zeros(len(start), dtype=np.int64)
    onset = _Stretches.of(cases, outcome, origin).start
    counted = np.bincount(np.searchsorted(start, onset, side="right") - 1, minlength=len(start))
    key = np.stack([row, window, age, month])
    parts, which = np.unique(key, axis=1, return_inverse=True)
    return CaseSeries(
        person=cases[parts[0]],
        window=parts[1],
        age=parts[2],
        month=parts[3],
        days=np.bincount(which, weights=length).astype(np.int64),
        outcomes=np.bincount(which, weights=counted).astype(np.int64),
    )


@dataclass(frozen=True, kw_only=True)
class _Stretches:
    """Spans of people on one line, each person on a stretch of it; both ends inclusive."""

    start: Ordinals
    end: Ordinals

    @classmethod
    def of(cls, people: Ordinals, spans: Spans, origin: np.datetime64) -> "_Stretches":
        """Spans of people who are all on the line; what lies before or beyond a stretch stays on it."""
        row = np.searchsorted(people, spans.person).astype(np.int64)
        start, end = (
            row * LIFE + np.clip((day - origin).astype(np.int64), 0, LIFE - 2)
            for day in (spans.start, spans.end)
        )
        order = np.argsort(start, kind="stable")
        return cls(start=start[order], end=end[order])

    def cover(self, at: Ordinals) -> NDArray[np.bool_]:
        """Which places lie in a span."""
        begun = np.searchsorted(np.sort(self.start), at, side="right")
        over = np.searchsorted(np.sort(self.end), at, side="left")
        return np.asarray(begun > over)

    def within(self, seen: "_Stretches", rows: int) -> "_Stretches":
        """What is left of the spans between the first and the last observed day of each person."""
        first = np.full(rows, np.iinfo(np.int64).max)
        last = np.full(rows, -1, dtype=np.int64)
        np.minimum.at(first, seen.start // LIFE, seen.start)
        np.maximum.at(last, seen.start // LIFE, seen.end)
        row = self.start // LIFE
        start, end = np.maximum(self.start, first[row]), np.minimum(self.end, last[row])
        real = start <= end
        return _Stretches(start=start[real], end=end[real])


def _within(spans: Spans, first: date | None, last: date | None) -> Spans:
    start = spans.start if first is None else np.maximum(spans.start, np.datetime64(first, "D"))
    end = spans.end if last is None else np.minimum(spans.end, np.datetime64(last, "D"))
    real = start <= end
    return Spans(person=spans.person[real], start=start[real], end=end[real])


def _of(spans: Spans, people: Ordinals) -> Spans:
    kept = np.isin(spans.person, people)
    return Spans(person=spans.person[kept], start=spans.start[kept], end=spans.end[kept])


def _inside(outcome: Spans, observed: Spans) -> Spans:
    """The outcomes that start on an observed day."""
    people = np.unique(observed.person)
    outcome = _of(outcome, people)
    if not len(outcome.person):
        return outcome
    origin = min(outcome.start.min(), observed.start.min())
    stretches = _Stretches.of(people, observed, origin)
    row = np.searchsorted(people, outcome.person).astype(np.int64)
    kept = stretches.cover(row * LIFE + (outcome.start - origin).astype(np.int64))
    return Spans(person=outcome.person[kept], start=outcome.start[kept], end=outcome.end[kept])


def _around(exposure: Spans, days: RiskDays) -> Spans:
    ends = {"start": exposure.start, "end": exposure.end}
    start = ends[days.start_anchor] + np.timedelta64(days.start, "D")
    end = ends[days.end_anchor] + np.timedelta64(days.end, "D")
    real = start <= end
    return Spans(person=exposure.person[real], start=start[real], end=end[real])


def _calendar(seen: _Stretches, origin: np.datetime64, *, ages: bool, season: bool) -> Ordinals:
    """Where a year (for ages) or a month (for season) begins within each observed span."""
    if not (ages or season):
        return np.zeros(0, dtype=np.int64)
    unit = "datetime64[M]" if season else "datetime64[Y]"
    row = seen.start // LIFE
    first, last = (
        (origin + (each % LIFE).astype("timedelta64[D]")).astype(unit).astype(np.int64)
        for each in (seen.start, seen.end)
    )
    many = last - first
    which = np.repeat(np.arange(len(row)), many)
    order = np.arange(len(which)) - np.repeat(np.cumsum(many) - many, many) + 1
    begins = (first[which] + order).astype(unit).astype("datetime64[D]")
    return np.asarray(row[which] * LIFE + (begins - origin).astype(np.int64), dtype=np.int64)
