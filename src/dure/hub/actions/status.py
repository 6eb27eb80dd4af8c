"""What an operator sees at a glance. Not responsible for: any number about people; the hub keeps none."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from dure.hub.actions import directory as directories
from dure.hub.actions import enrolments, log, polls
from dure.hub.problems import Unavailable
from dure.hub.store.tables import deliveries, runs, studies, users
from dure.hub.store.work import Work
from dure.market.meter import Delivery
from dure.wire.directory import Directory, Role
from dure.wire.merkle import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Status:
    """A hub as it is.

    Attributes:
        studies: how many, by state.
        seen: hospitals of the directory, and when their nodes last polled.
    """

    directory: Directory | None
    studies: dict[str, int]
    running: int
    users: int
    pending_enrolments: int
    seen: dict[str, datetime | None]
    checkpoint: Checkpoint


def status(work: Work) -> Status:
    """The hub as it is."""
    try:
        directory = directories.peek_current(work)
    except Unavailable:
        directory = None
    seen = polls.last_seen(work)
    members = () if directory is None else directory.members
    by_state = work.rows(select(studies.c.state, func.count().label("number")).group_by(studies.c.state))
    return Status(
        directory=directory,
        studies={row.state: row.number for row in by_state},
        running=_count(work, select(func.count().label("number")).select_from(runs).where(runs.c.active)),
        users=_count(work, select(func.count().label("number")).select_from(users)),
        pending_enrolments=len(enrolments.pending(work)),
        seen={member.id: seen.get(member.id) for member in members if member.role is Role.HOLDER},
        checkpoint=log.checkpoint(work),
    )


def delivered(work: Work, study: str) -> tuple[Delivery, ...]:
    """What a study's report was metered at, by hospital."""
    rows = work.rows(select(deliveries).where(deliveries.c.study == study).order_by(deliveries.c.hospital))
    return tuple(Delivery(hospital=row.hospital, numbers=row.numbers) for row in rows)


def _count(work: Work, query: Select[Any]) -> int:
    row = work.one(query)
    return 0 if row is None else int(row.number)
