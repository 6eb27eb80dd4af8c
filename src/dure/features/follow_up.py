"""Follow-up: from a person's first entry into a cohort to an outcome, to what competes with it, or to the last day seen.

Responsible for: who is followed, for how many days, how it ends. Not responsible for: cohorts, statistics.

Day 0 is the day of entry. Only later days count: who has the outcome or leaves on day 0 isn't followed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlglot import exp

from dure.cohort.problems import MissingTable
from dure.engines.base import Engine
from dure.features.covariates import Entries
from dure.features.demographics import days
from dure.features.time_at_risk import LIFE, Spans

Ordinals = NDArray[np.int64]
Days = NDArray[np.datetime64]
LONGEST = 36_525
FAR = np.iinfo(np.int64).max
"""The day of what never happens."""


@dataclass(frozen=True, kw_only=True)
class Arms:
    """People by the cohort that they enter first, by ascending person. All arrays have shape (n,).

    Attributes:
        arm: the cohort's place.
        start, end: of the first entry.
    """

    person: Ordinals
    arm: Ordinals
    start: Days
    end: Days


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """How people's follow-up went, by ascending person. All arrays have shape (n,).

    Attributes:
        row: where the person stands in `Arms`.
        time: days from entry to its end, at least 1.
        event: 0: neither; 1: the outcome; 2: what competes.
    """

    row: Ordinals
    person: Ordinals
    time: Ordinals
    event: Ordinals


def arms(entries: Sequence[Entries]) -> Arms:
    """Each person in the cohort that they enter first; who enters two on one day is in none."""
    person = np.concatenate([each.person for each in entries])
    arm = np.repeat(np.arange(len(entries)), [len(each.person) for each in entries])
    start = np.concatenate([each.start for each in entries])
    end = np.concatenate([each.end for each in entries])
    order = np.lexsort((start, person))
    person, arm, start, end = person[order], arm[order], start[order], end[order]
    same_person = person[1:] == person[:-1]
    first = np.concatenate([[True], ~same_person])[: len(person)]
    tied = np.concatenate([same_person & (start[1:] == start[:-1]), [False]])[: len(person)]
    kept = first & ~tied
    return Arms(person=person[kept], arm=arm[kept], start=start[kept], end=end[kept])


def follow(
    entered: Arms,
    observed: Spans,
    outcome: Spans,
    competing: Spans | None,
    *,
    horizon: int,
    washout: int,
    until_end_plus: int | None = None,
) -> FollowUp:
    """The follow-up of people who are under observation on the day of entry.

    Args:
        observed: observation periods.
        outcome, competing: whose starts are the events. On one day the outcome comes first.
        horizon: the last day that counts.
        washout: who had the outcome within so many days before entry isn't followed.
        until_end_plus: follow-up ends so many days after the cohort's end; None: with the observation period.
    """
    origin = min(
        [np.datetime64("1970-01-01", "D")]
        + [each.min() for each in (entered.start, observed.start, outcome.start) if len(each)]
        + ([competing.start.min()] if competing is not None and len(competing.start) else [])
    )
    line = _Line(people=entered.person, origin=origin)
    at = line.at(entered.person, entered.start)
    last = line.last_day(observed, at)
    if until_end_plus is not None:
        last = np.minimum(last, line.at(entered.person, entered.end) + until_end_plus)
    last = np.minimum(last, at + horizon)
    before, after = line.around(outcome, at)
    other = np.full(len(at), FAR) if competing is None else line.around(competing, at)[1]
    happened = np.minimum(after, other)
    event = np.where(happened > last, 0, np.where(after <= other, 1, 2))
    time = np.minimum(happened, last) - at
    kept = (time > 0) & (at - before > washout)
    row = np.flatnonzero(kept)
    return FollowUp(row=row, person=entered.person[row], time=time[row], event=event[row])


def observation(engine: Engine) -> Spans:
    """Everybody's observation periods."""
    columns = ("person_id", "observation_period_start_date", "observation_period_end_date")
    rows = engine.query(exp.select(*columns).from_("observation_period"))
    person, start, end = (rows[name].to_numpy() for name in columns)
    return Spans(person=person, start=days(start), end=days(end))


def deaths(engine: Engine) -> Spans:
    """Everybody's death, as a span of a day.

    Raises:
        MissingTable: the database has no table of deaths.
    """
    if not engine.has("death"):
        raise MissingTable(
            "The database has no table death, which the study reads.",
            where=f"{engine.dataset.source}: table death",
            mend="Load the table (it may be empty), or ask without death as competing event.",
        )
    rows = engine.query(exp.select("person_id", "death_date").from_("death"))
    day = days(rows["death_date"].to_numpy())
    return Spans(person=rows["person_id"].to_numpy(), start=day, end=day)


@dataclass(frozen=True, kw_only=True)
class _Line:
    """People's days on one line, each person on a stretch of it. `people` ascend."""

    people: Ordinals
    origin: np.datetime64

    def at(self, person: Ordinals, day: Days) -> Ordinals:
        """The places of days of people who are on it."""
        rows = np.searchsorted(self.people, person).astype(np.int64)
        return rows * LIFE + (day - self.origin).astype(np.int64)

    def starts(self, spans: Spans) -> tuple[Ordinals, Ordinals]:
        """The places of the spans of people who are on it, and their last days, both in order of the first."""
        kept = np.isin(spans.person, self.people)
        start = self.at(spans.person[kept], spans.start[kept])
        end = self.at(spans.person[kept], spans.end[kept])
        order = np.argsort(start, kind="stable")
        return start[order], end[order]

    def last_day(self, spans: Spans, at: Ordinals) -> Ordinals:
        """The last day of the span that holds each place; a day before the place where there is none."""
        start, end = self.starts(spans)
        if not len(start):
            return at - 1
        place = np.searchsorted(start, at, side="right") - 1
        return np.where(place >= 0, np.maximum(end[np.maximum(place, 0)], at - 1), at - 1)

    def around(self, spans: Spans, at: Ordinals) -> tuple[Ordinals, Ordinals]:
        """The last start up to each place, and the first after it, of the same person; far away where there is none."""
        start, _ = self.starts(spans)
        place = np.searchsorted(start, at, side="right")
        padded = np.concatenate([[-LIFE], start, [FAR]])
        before, after = padded[place], padded[place + 1]
        stretch = at // LIFE
        before = np.where((place > 0) & (before // LIFE == stretch), before, at - LIFE)
        return before, np.where((place < len(start)) & (after // LIFE == stretch), after, FAR)
