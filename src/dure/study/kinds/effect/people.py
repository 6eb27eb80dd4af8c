"""Who is compared at one hospital, and for how long: first entries into two cohorts, time at risk, first outcome in it.

Responsible for: reading cohorts, observation and outcomes. Not responsible for: covariates' meaning (`adjust`), statistics.

Each person counts once, at the earlier of the entries into the two cohorts; who enters both on one day isn't compared. Somebody who
has no day at risk, or had the study's outcome before it begins, isn't compared either. Negative controls leave out nobody, whoever had them
before: all steps are about the same people, so that no two answers differ by a few of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sqlglot import exp

from dure import cohort
from dure.engines import cohorts
from dure.engines.base import Engine
from dure.features.covariates import Entries, entered, matrix
from dure.features.demographics import days
from dure.features.time_at_risk import LIFE, Spans
from dure.study.kinds.base import Cohort
from dure.study.kinds.effect.spec import Effect

Ints = NDArray[np.int64]
Days = NDArray[np.datetime64]
Mask = NDArray[np.bool_]
EPOCH = np.datetime64("1900-01-01", "D")


@dataclass(frozen=True, kw_only=True)
class Compared:
    """People compared. All arrays have shape (n,).

    Attributes:
        target: who entered the target cohort; the others entered the comparator.
        since, until: the first and the last day at risk.
        time, event: days at risk until the outcome or the end, from 1; whether the outcome came.
    """

    person: Ints
    target: Mask
    since: Days
    until: Days
    time: Ints
    event: Mask


def compared(
    engine: Engine, spec: Effect, outcome: Cohort | None, ids: Sequence[int] = ()
) -> tuple[Compared, sparse.csr_array]:
    """The people compared by a study, with covariates at their entries.

    Args:
        outcome: the one whose times are wanted; None for the study's own. It doesn't change who is compared.
        ids: of the covariates wanted.

    Returns:
        The people, target first, and their covariates, of shape (n, len(ids)).
    """
    plans = [_plan(engine, each) for each in (spec.target, spec.comparator)]
    with entered(engine, plans) as groups:
        kept = _first_of(*groups)
        parts = [
            matrix(engine, each, ids, spec.windows)
            if ids
            else sparse.csr_array((len(each.person), 0), dtype=np.float64)
            for each in kept
        ]
    wanted = [spec.outcome] if outcome is None else [spec.outcome, outcome]
    spans = [_spans(found) for found in cohorts.run_many(engine, [_plan(engine, each) for each in wanted])]
    target = np.repeat([True, False], [len(each.person) for each in kept])
    person, start, end = (
        np.concatenate([getattr(each, name) for each in kept]) for name in ("person", "start", "end")
    )
    since, until, observed = _at_risk(engine, spec, person, start, end)
    all_of_them = Compared(
        person=person,
        target=target,
        since=since,
        until=until,
        time=np.zeros(len(person), dtype=np.int64),
        event=np.zeros(len(person), dtype=np.bool_),
    )
    followed, before = _followed(all_of_them, spans[0])
    rows = np.flatnonzero(observed & ~before)
    people = taken(followed, rows)
    if outcome is not None:
        people, _ = _followed(people, spans[1])
    return people, sparse.csr_array(sparse.vstack(parts))[rows]


def taken(people: Compared, rows: Ints) -> Compared:
    """Some of the people, in the order of `rows`."""
    return Compared(**{name: getattr(people, name)[rows] for name in Compared.__dataclass_fields__})


def _plan(engine: Engine, definition: Cohort) -> cohort.CohortPlan:
    return cohort.plan(cohort.parse(definition.circe), cdm_version=engine.dataset.cdm_version)


def _spans(found: cohorts.CohortTable) -> Spans:
    return Spans(
        person=found.rows["subject_id"].to_numpy(),
        start=days(found.rows["cohort_start_date"].to_numpy()),
        end=days(found.rows["cohort_end_date"].to_numpy()),
    )


def _first_of(target: Entries, comparator: Entries) -> tuple[Entries, Entries]:
    """Each cohort's entries without those of people who entered the other one earlier, or on the same day."""
    _, mine, theirs = np.intersect1d(
        target.person, comparator.person, assume_unique=True, return_indices=True
    )
    later, earlier = target.start[mine], comparator.start[theirs]
    keep_target, keep_other = (np.ones(len(each.person), dtype=np.bool_) for each in (target, comparator))
    keep_target[mine[later >= earlier]] = False
    keep_other[theirs[later <= earlier]] = False
    return _of(target, keep_target), _of(comparator, keep_other)


def _of(entries: Entries, kept: Mask) -> Entries:
    return Entries(person=entries.person[kept], start=entries.start[kept], end=entries.end[kept])


def _at_risk(engine: Engine, spec: Effect, person: Ints, start: Days, end: Days) -> tuple[Days, Days, Mask]:
    """The first and last day at risk, and whether there is a day at all: within the period in which the person entered."""
    columns = ("person_id", "observation_period_start_date", "observation_period_end_date")
    found = engine.query(exp.select(*columns).from_("observation_period"))
    who, first, last = (found[name].to_numpy() for name in columns)
    numbers = np.unique(person)
    known = np.isin(who, numbers)
    keys, last = _key(numbers, who[known], days(first)[known]), days(last)[known]
    order = np.argsort(keys)
    keys, last = keys[order], last[order]
    here = _key(numbers, person, start)
    place = np.searchsorted(keys, here, side="right") - 1
    inside, period_end = place >= 0, start
    if len(keys):
        place = np.maximum(place, 0)
        period_end = last[place]
        inside = inside & (keys[place] // LIFE == here // LIFE) & (start <= period_end)
    since = start + np.timedelta64(spec.start_offset, "D")
    anchor = start if spec.end_anchor == "start" else end
    until = np.minimum(anchor + np.timedelta64(spec.end_offset, "D"), period_end)
    return since, until, inside & (since <= until)


def _followed(people: Compared, outcome: Spans) -> tuple[Compared, Mask]:
    """People with their times for an outcome, and who had it before the time at risk."""
    numbers = np.unique(people.person)
    known = np.isin(outcome.person, numbers)
    keys = np.sort(_key(numbers, outcome.person[known], outcome.start[known]))
    here = _key(numbers, people.person, people.since)
    time = (people.until - people.since).astype(np.int64) + 1
    if not len(keys):
        nobody = np.zeros(len(here), dtype=np.bool_)
        return replace(people, time=time, event=nobody), nobody
    place = np.searchsorted(keys, here, side="left")
    before = (place > 0) & (keys[np.maximum(place - 1, 0)] // LIFE == here // LIFE)
    following = keys[np.minimum(place, len(keys) - 1)]
    wait = following - here
    event = (place < len(keys)) & (following // LIFE == here // LIFE) & (wait < time)
    return replace(people, time=np.where(event, wait + 1, time), event=event), before


def _key(numbers: Ints, person: Ints, day: Days) -> Ints:
    """A person's day on one common line."""
    return np.searchsorted(numbers, person) * LIFE + (day - EPOCH).astype(np.int64)
