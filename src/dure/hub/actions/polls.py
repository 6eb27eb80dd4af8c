"""What waits for a hospital, and who may ask.

Responsible for: a poll's signature, clock and nonce; the answer, which is the same until something changes. Not
responsible for: waiting (the API holds the request, the bell wakes it).
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from dure.govern.permit import CLOCK_SKEW, NotPermitted
from dure.hub.actions import directory as directories
from dure.hub.actions.studies import OPEN, PartState, envelope_of
from dure.hub.problems import ClockSkew, Settled
from dure.hub.store.tables import nonces, parts, presence, runs, studies
from dure.hub.store.work import Work
from dure.study.protocol import Run, pending
from dure.wire.answers import StudyState
from dure.wire.codec import Malformed, decode
from dure.wire.envelope import Envelope, open_sealed, peek
from dure.wire.messages import Exchange, Poll, PollAnswer, RunOffer, StudyOffer, Task

WHERE = "body of POST /v1/node/poll"
LONGEST_NONCE = 100
CLOSED_FOR = timedelta(days=7)
"""How long a node is told that something is over; it may have been away."""


def verify_poll(work: Work, envelope: Envelope, *, now: datetime) -> Poll:
    """The poll in an envelope, if the hospital's node signed it just now.

    Raises:
        Untrusted, Forged: the hospital or the signature. ClockSkew: the clocks differ.
        NotPermitted: another epoch. Malformed: no nonce.
    """
    member = directories.current(work, now=now).member(
        peek(Poll, envelope, where=WHERE).hospital, where=WHERE
    )
    keys = () if member.node_key is None else (member.node_key,)
    poll = open_sealed(Poll, envelope, "poll", *keys, where=WHERE)
    if abs(now - poll.sent) > CLOCK_SKEW:
        raise ClockSkew.between(poll.sent, now, where=f"{WHERE}, sent")
    if poll.epoch != member.epoch:
        raise NotPermitted(
            f"The node is in epoch {poll.epoch}, the directory lists epoch {member.epoch} for {member.id}.",
            where=f"{WHERE}, epoch",
            mend="Fetch the directory; after a restore from backup, enrol the node again.",
        )
    if not 8 <= len(poll.nonce) <= LONGEST_NONCE:
        raise Malformed(
            f"The nonce has {len(poll.nonce)} characters.",
            where=f"{WHERE}, nonce",
            mend="Send 8 to 100 random ones.",
        )
    return poll


def admit(work: Work, poll: Poll, *, now: datetime) -> None:
    """Note that a hospital was here, and that its poll can't be used again.

    Raises:
        Settled: this poll was received before.
    """
    work.lock(f"hospital {poll.hospital}")
    used = (nonces.c.hospital == poll.hospital) & (nonces.c.nonce == poll.nonce)
    if work.one(select(nonces.c.nonce).where(used)):
        raise Settled("This poll was received before.", where=f"{WHERE}, nonce", mend="Send a new nonce.")
    work.write(insert(nonces).values(hospital=poll.hospital, nonce=poll.nonce, sent=poll.sent))
    seen = {"seen": now, "dataset_version": poll.dataset_version}
    if not work.write(update(presence).where(presence.c.hospital == poll.hospital).values(seen)):
        work.write(insert(presence).values(hospital=poll.hospital, **seen))


def forget_nonces(work: Work, *, now: datetime) -> None:
    """Drop the nonces of polls that are too old to be accepted anyway."""
    work.write(delete(nonces).where(nonces.c.sent < now - 2 * CLOCK_SKEW))


def last_seen(work: Work) -> dict[str, datetime]:
    """When each hospital's node last polled."""
    return {row.hospital: row.seen for row in work.rows(select(presence.c.hospital, presence.c.seen))}


def waiting_for(work: Work, hospital: str, *, directory_version: int, now: datetime) -> PollAnswer:
    """All that waits for a hospital.

    Args:
        directory_version: the one that the node has; a newer one is sent along.
    """
    newest = directories.current(work, now=now)
    offers, tasks, run_offers = [], [], []
    mine = select(studies, parts.c.state.label("part")).join(parts, parts.c.study == studies.c.digest)
    mine = mine.where(parts.c.hospital == hospital).order_by(studies.c.created, studies.c.digest)
    open_states = [state.value for state in OPEN]
    for row in work.rows(mine.where(studies.c.state.in_(open_states))):
        if row.state == StudyState.OFFERED and row.part == PartState.OFFERED:
            offers.append(StudyOffer(study=envelope_of(row), asked=row.created))
        elif row.state == StudyState.RUNNING and row.part == PartState.SIGNED:
            task, offer = _task(work, row.digest, hospital)
            tasks += [task] if task is not None else []
            run_offers += [offer] if offer is not None else []
    return PollAnswer(
        now=now,
        directory=directories.current_envelope(work) if newest.version > directory_version else None,
        offers=tuple(offers),
        runs=tuple(run_offers),
        tasks=tuple(tasks),
        closed=_closed(work, hospital, now=now),
    )


def _task(work: Work, study: str, hospital: str) -> tuple[Task | None, RunOffer | None]:
    """What a run waits for from a hospital; the manifest and permits travel with the ACCEPT task."""
    row = work.one(select(runs).where(runs.c.study == study, runs.c.active))
    if row is None:
        return None, None
    task = pending(decode(Run, row.state, where="a stored run"), hospital)
    if task is None or task.position.exchange is not Exchange.ACCEPT:
        return task, None
    signed = select(parts.c.envelope).where(parts.c.study == study, parts.c.state == PartState.SIGNED.value)
    permits: tuple[Envelope, ...] = tuple(
        decode(Envelope, part.envelope, where="a stored permit")
        for part in work.rows(signed.order_by(parts.c.hospital))
    )
    return task, RunOffer(manifest=bytes(row.manifest), permits=permits)


def _closed(work: Work, hospital: str, *, now: datetime) -> tuple[str, ...]:
    """Studies and runs that were this hospital's and are over."""
    query = (
        select(studies.c.digest, runs.c.id)
        .join(parts, parts.c.study == studies.c.digest)
        .outerjoin(runs, runs.c.study == studies.c.digest)
        .where(parts.c.hospital == hospital, studies.c.ended > now - CLOSED_FOR)
        .order_by(studies.c.ended, studies.c.digest)
    )
    return tuple(name for row in work.rows(query) for name in row if name is not None)
