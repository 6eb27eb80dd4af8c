"""A run's events at the hub: a node's verified answer or a passed deadline, one step of the protocol, its report.

Responsible for: applying each event once, under the study's lock, with everything that follows from it in the same
transaction. Not responsible for: what an event leads to (`dure.study.protocol`), waking nodes (the bell).
"""

import logging
import secrets
from dataclasses import replace
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import Row, insert, select, update

from dure.govern.permit import NotPermitted
from dure.guard.register import CONSISTENT
from dure.hub.actions import directory as directories
from dure.hub.actions.progress import awaited, changes, hospital_topic, tell
from dure.hub.actions.studies import PartState, end, locked, study_of
from dure.hub.problems import Unknown
from dure.hub.store.tables import deliveries, parts, populations, reports, runs, studies
from dure.hub.store.work import Work
from dure.market.meter import measure
from dure.study.assemble import report
from dure.study.kinds.base import NETWORK
from dure.study.protocol import Event, Run, Stage, advance
from dure.study.protocol.run import FINAL, Expired, Outcome, Withholding
from dure.study.spec import Study
from dure.wire.answers import StudyState, What
from dure.wire.codec import Malformed, decode, digest, encode
from dure.wire.directory import Member
from dure.wire.envelope import MEDIA_TYPE, Envelope, open_sealed, peek
from dure.wire.messages import Acceptance, Contribution, Handshake, Permit, Refusal
from dure.wire.problems import Problem

log = logging.getLogger("dure.hub")
WHERE = "body of POST /v1/node/answers"
NodeAnswer = Acceptance | Contribution | Handshake | Refusal
KINDS: dict[str, type[NodeAnswer]] = {
    MEDIA_TYPE.format(kind.__name__.lower()): kind for kind in get_args(NodeAnswer)
}
SALT_BYTES = 32
BROKEN = Withholding(rule=CONSISTENT.id, reason="The hospitals' numbers could not be put together.")


def verify_answer(work: Work, envelope: Envelope, *, now: datetime) -> NodeAnswer:
    """A node's message, if the node that the hospital's permit names signed it.

    Raises:
        Malformed: another type of message. Forged, Untrusted: the signature or the hospital.
    """
    kind = KINDS.get(envelope.payloadType)
    if kind is None:
        raise Malformed(
            f"{envelope.payloadType[:100]!r} is no answer.",
            where=f"{WHERE}, payloadType",
            mend="Send a sealed acceptance, contribution, handshake or refusal.",
        )
    member = directories.current(work, now=now).member(
        peek(kind, envelope, where=WHERE).hospital, where=WHERE
    )
    keys = () if member.node_key is None else (member.node_key,)
    answer: NodeAnswer = open_sealed(kind, envelope, kind.__name__.lower(), *keys, where=WHERE)
    _still_seated(work, answer, member)
    return answer


def _still_seated(work: Work, answer: NodeAnswer, member: Member) -> None:
    """Raise NotPermitted where the hospital's keys or epoch are no longer those of its permit, Unknown without a run."""
    query = select(parts.c.envelope).join(runs, runs.c.study == parts.c.study)
    row = work.one(
        query.where(
            runs.c.id == answer.run, parts.c.hospital == member.id, parts.c.state == PartState.SIGNED.value
        )
    )
    if row is None:
        raise Unknown(
            "This hospital has no seat in such a run.",
            where=f"{WHERE}, run",
            mend="Poll for the current tasks.",
        )
    permit = peek(Permit, decode(Envelope, row.envelope, where="a stored permit"), where="a stored permit")
    if (permit.node_key, permit.epoch) != (member.node_key, member.epoch):
        raise NotPermitted(
            f"{member.id} has changed its keys or was restored since it signed.",
            where=f"{WHERE}, run {answer.run}",
            mend="It is out of this run; its board signs again for the next.",
        )


def answer(work: Work, envelope: Envelope, event: NodeAnswer, *, now: datetime) -> None:
    """Count a verified answer. The same again changes nothing.

    Raises:
        Unknown: no such run. OutOfTurn: it answers no open question.
    """
    row = _run(work, event.run)
    if row is None:
        raise Unknown("There is no such run.", where=f"{WHERE}, run", mend="Poll for the current tasks.")
    if row.active:
        # The envelope's digest, with its signature: nobody who guesses the numbers can check the guess in the log.
        _apply(work, row, event, message=digest(encode(envelope)), now=now)


def expire(work: Work, run: str, *, now: datetime) -> None:
    """Let a passed deadline count; nothing happens if another process did it first."""
    row = _run(work, run)
    if row is not None and row.active and row.deadline <= now:
        _apply(work, row, Expired(), message="", now=now)


def due_runs(work: Work, *, now: datetime) -> tuple[str, ...]:
    """Runs whose deadline has passed."""
    return tuple(row.id for row in work.rows(select(runs.c.id).where(runs.c.active, runs.c.deadline <= now)))


def _run(work: Work, run: str) -> Row[Any] | None:
    """A run's row, after its study's row was locked."""
    found = work.one(select(runs.c.study).where(runs.c.id == run))
    if found is None:
        return None
    locked(work, found.study)
    return work.one(select(runs).where(runs.c.id == run))


def _apply(work: Work, row: Row[Any], event: Event, *, message: str, now: datetime) -> None:
    study_row = work.one(select(studies).where(studies.c.digest == row.study))
    assert study_row is not None
    study = study_of(study_row)
    before: Run = decode(Run, row.state, where="a stored run")
    after = _advanced(study, before, event, now=now)
    if after is before or after == before:
        return
    over = after.stage in FINAL
    work.write(
        update(runs)
        .where(runs.c.id == row.id)
        .values(state=encode(after), deadline=after.deadline, active=not over)
    )
    new = after.answered[len(before.answered) :]
    if new:
        work.write(insert(populations), [{"run": row.id, "ref": ref} for ref in new])
    _record(work, row, event, after, message=message, now=now)
    hospital = None if isinstance(event, Expired) else event.hospital
    exchange = event.position.exchange if isinstance(event, Contribution) else None
    tell(work, row.study, changes(before, after, hospital=hospital, exchange=exchange), now=now)
    work.ring(*(hospital_topic(name) for name in awaited(before, after)))
    if over:
        _report(work, row.study, study, after, now=now)


def _advanced(study: Study, run: Run, event: Event, *, now: datetime) -> Run:
    """The run after an event. Numbers that the arithmetic can't take end the run instead of stopping the hub."""
    try:
        return advance(study, run, event, now=now)
    except Problem:
        raise
    except (ArithmeticError, ValueError, LookupError) as error:
        log.error("run %s cannot go on: %s", run.id, type(error).__name__)  # noqa: TRY400 - a trace could show numbers
        nothing = Outcome(step="", name=NETWORK, result=None, withheld=BROKEN)
        return replace(run, stage=Stage.FAILED, strands=(), outcomes=(*run.outcomes, nothing))


def _record(work: Work, row: Row[Any], event: Event, after: Run, *, message: str, now: datetime) -> None:
    if isinstance(event, Expired):
        work.record(
            "deadline passed", who="hub", at=now, study=row.study, run=row.id, stage=after.stage.value
        )
        return
    about = {} if isinstance(event, Acceptance) else _place(event)
    if isinstance(event, Refusal):
        about["rule"] = event.rule
    work.record(
        f"{type(event).__name__.lower()} counted",
        who=event.hospital,
        at=now,
        study=row.study,
        run=row.id,
        message=message,
        **about,
    )


def _place(event: Contribution | Handshake | Refusal) -> dict[str, str]:
    place = event.position
    return {"step": str(place.step), "round": str(place.round), "exchange": place.exchange.value}


def _report(work: Work, digest_of_study: str, study: Study, run: Run, *, now: datetime) -> None:
    """Make the report, meter it, end the study."""
    permits: dict[str, tuple[str, Permit]] = {}
    declined: dict[str, str] = {}
    silent: list[str] = []
    for part in work.rows(select(parts).where(parts.c.study == digest_of_study).order_by(parts.c.hospital)):
        match PartState(part.state):
            case PartState.SIGNED:
                envelope: Envelope = decode(Envelope, part.envelope, where="a stored permit")
                permits[part.hospital] = (envelope.digest, peek(Permit, envelope, where="a stored permit"))
            case PartState.DECLINED | PartState.VOID:
                declined[part.hospital] = part.reason
            case PartState.SILENT | PartState.OFFERED:
                silent.append(part.hospital)
    made = report(
        study,
        study_digest=digest_of_study,
        run=run,
        permits=permits,
        declined=declined,
        silent=tuple(silent),
        now=now,
    )
    body, salt = encode(made), secrets.token_bytes(SALT_BYTES)
    work.write(insert(reports).values(study=digest_of_study, body=body, salt=salt, finished=now))
    delivered = [
        {"study": digest_of_study, "hospital": one.hospital, "numbers": one.numbers, "delivered": now}
        for one in measure(made)
    ]
    if delivered:
        work.write(insert(deliveries), delivered)
    reason = (
        "" if run.stage is Stage.DONE else " ".join(sorted({why for why in map(_why, run.outcomes) if why}))
    )
    end(work, digest_of_study, StudyState.REPORTED, reason, now=now)
    # Salted: a regulator who guesses the released numbers can't check the guess; with salt and report anyone can.
    work.record(
        "report made", who="hub", at=now, study=digest_of_study, run=run.id, commitment=digest(salt + body)
    )
    tell(work, digest_of_study, [(What.REPORTED, None, reason)], now=now)


def _why(outcome: Outcome) -> str:
    return "" if outcome.withheld is None else outcome.withheld.reason
