"""What an asker sees happen: events numbered per study, at the level of hospitals, never with a number about people.

Not responsible for: the audit log (it is for regulators), how a page words it.
"""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import func, insert, select

from dure.hub.store.tables import progress
from dure.hub.store.work import Work
from dure.study.protocol import Run, Stage, pending
from dure.study.protocol.run import FINAL
from dure.wire.answers import Event, What
from dure.wire.codec import decode, encode
from dure.wire.messages import Exchange

Told = tuple[What, str | None, str]


def study_topic(study: str) -> str:
    """What is rung when something happens to a study."""
    return f"study {study}"


def hospital_topic(hospital: str) -> str:
    """What is rung when there is something new for a hospital."""
    return f"hospital {hospital}"


def tell(work: Work, study: str, told: list[Told], *, now: datetime) -> None:
    """Append events. The caller holds the study's row and records the audit entry."""
    if not told:
        return
    row = work.one(select(func.max(progress.c.number).label("last")).where(progress.c.study == study))
    last = row.last if row is not None and row.last is not None else 0
    events = [
        Event(number=number, at=now, what=what, hospital=hospital, detail=detail)
        for number, (what, hospital, detail) in enumerate(told, start=last + 1)
    ]
    work.write(
        insert(progress),
        [{"study": study, "number": event.number, "body": encode(event)} for event in events],
    )
    work.ring(study_topic(study))


def events_after(work: Work, study: str, after: int) -> tuple[Event, ...]:
    """A study's events with a higher number."""
    rows = work.rows(
        select(progress.c.body)
        .where(progress.c.study == study, progress.c.number > after)
        .order_by(progress.c.number)
    )
    return tuple(decode(Event, row.body, where="a stored event") for row in rows)


def changes(before: Run, after: Run, *, hospital: str | None, exchange: Exchange | None) -> list[Told]:
    """What an asker is told of a run's step from one state to the next.

    Args:
        hospital, exchange: whose answer at which exchange led to it; None for a deadline.
    """
    told: list[Told] = []
    if (
        hospital is not None
        and exchange in (Exchange.VALUES, Exchange.RELEASE)
        and hospital not in after.dropped
    ):
        told.append((What.ANSWERED, hospital, ""))
    told += [(What.ACCEPTED, name, "") for name in after.accepted if name not in before.accepted]
    told += [
        (What.DROPPED, name, why.reason) for name, why in after.dropped.items() if name not in before.dropped
    ]
    told += _asked(before, after)
    return told


def _asked(before: Run, after: Run) -> Iterator[Told]:
    """Rounds that began; the exchanges of one round are one thing to an asker."""
    if after.stage is not Stage.ASKING:
        return
    for name in after.roster:
        task = pending(after, name)
        if task is None:
            continue
        asked = pending(before, name)
        if asked is None or (asked.position.step, asked.position.round) != (
            task.position.step,
            task.position.round,
        ):
            yield What.ANSWERING, name, f"step {task.position.step + 1}, round {task.position.round + 1}"


def awaited(before: Run, after: Run) -> tuple[str, ...]:
    """Hospitals for which a task appeared or, at the end, everyone: whom to wake."""
    if after.stage in FINAL:
        return after.roster
    return tuple(
        name
        for name in after.roster
        if (task := pending(after, name)) is not None and task != pending(before, name)
    )
