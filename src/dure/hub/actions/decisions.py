"""Boards' decisions, and the start of a run once all have decided or the offer closes.

Responsible for: verifying permits and declines, who is on the roster. Not responsible for: the run's steps (`runs`).
"""

import logging
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, select, update

from dure.govern.permit import NotPermitted, outside, verify_permit
from dure.guard.ledger import MOST_NAMED
from dure.hub.actions import directory as directories
from dure.hub.actions.progress import Told, hospital_topic, tell
from dure.hub.actions.studies import PartState, end, locked, study_of
from dure.hub.problems import Settled, Unknown
from dure.hub.store.tables import parts, populations, runs, studies
from dure.hub.store.work import Work
from dure.study.protocol import open_run
from dure.study.protocol.batch import warning
from dure.study.protocol.run import compose
from dure.study.spec import Study
from dure.wire.answers import StudyState, What
from dure.wire.codec import decode, encode
from dure.wire.directory import Directory
from dure.wire.envelope import MEDIA_TYPE, Envelope, open_sealed, peek
from dure.wire.messages import Decline, Permit
from dure.wire.problems import Problem
from dure.wire.rules import Mode

log = logging.getLogger("dure.hub")
WHERE = "body of POST /v1/node/decisions"
SILENT = "Its board had not decided when the offer closed."
WANTS_NOISE = "It wants noise in all numbers: epsilon {epsilon}, delta {delta}, with up to {colluders} colluding hospitals."


def verify_decision(work: Work, envelope: Envelope, *, now: datetime) -> Permit | Decline:
    """The permit or decline in an envelope, if its hospital's board signed it.

    Raises:
        Forged, Untrusted, NotPermitted, Malformed: as `verify_permit`.
    """
    directory = directories.current(work, now=now)
    if envelope.payloadType == MEDIA_TYPE.format("permit"):
        return verify_permit(envelope, directory, now=now, where=WHERE)
    member = directory.member(peek(Decline, envelope, where=WHERE).hospital, where=WHERE)
    keys = () if member.board_key is None else (member.board_key,)
    return open_sealed(Decline, envelope, "decline", *keys, where=WHERE)


def decide(
    work: Work, envelope: Envelope, decision: Permit | Decline, *, patience: timedelta, now: datetime
) -> None:
    """Count a verified decision; the same again changes nothing. The last one starts the run.

    Raises:
        Unknown: no such study, or the hospital wasn't asked. NotPermitted: a permit for something else.
        Settled: another decision was counted, or the offer has closed.
    """
    row = locked(work, decision.study)
    part = None if row is None else _part(work, decision.study, decision.hospital)
    if row is None or part is None:
        raise Unknown(
            "No such study was offered to this hospital.",
            where=f"{WHERE}, study",
            mend="Poll for the current offers.",
        )
    if part.decision == envelope.digest:
        return
    if part.state != PartState.OFFERED or row.state != StudyState.OFFERED:
        raise Settled(
            f"The offer is closed: the study is {row.state}, this hospital's part {part.state}.",
            where=f"{WHERE}, study {decision.study}",
            mend="Nothing to do: the decision comes too late, or an earlier one was counted.",
        )
    if isinstance(decision, Permit):
        _fits(decision, study_of(row), directories.current(work, now=now))
    signed = isinstance(decision, Permit)
    reason = decision.reason if isinstance(decision, Decline) else _wants(decision)
    state, what = (PartState.SIGNED, What.SIGNED) if signed else (PartState.DECLINED, What.DECLINED)
    _set_part(work, part, state, reason, now=now, decision=envelope.digest, envelope=encode(envelope))
    work.record(
        "permit signed" if signed else "study declined",
        who=decision.hospital,
        at=now,
        study=decision.study,
        decision=envelope.digest,
        **({} if signed else {"reason": reason}),
    )
    tell(work, decision.study, [(what, decision.hospital, reason)], now=now)
    waiting = select(parts.c.hospital).where(
        parts.c.study == row.digest, parts.c.state == PartState.OFFERED.value
    )
    if work.one(waiting) is None:
        _close(work, row, patience=patience, now=now)


def close_due(work: Work, digest: str, *, patience: timedelta, now: datetime) -> None:
    """Close an offer whose time has come; nothing happens if another process did it first."""
    row = locked(work, digest)
    if row is not None and row.state == StudyState.OFFERED and row.closes <= now:
        _close(work, row, patience=patience, now=now)


def due_offers(work: Work, *, now: datetime) -> tuple[str, ...]:
    """Studies whose offers should close."""
    query = select(studies.c.digest).where(
        studies.c.state == StudyState.OFFERED.value, studies.c.closes <= now
    )
    return tuple(row.digest for row in work.rows(query))


def _part(work: Work, study: str, hospital: str) -> Row[Any] | None:
    return work.one(select(parts).where(parts.c.study == study, parts.c.hospital == hospital))


def _set_part(
    work: Work, part: Row[Any], state: PartState, reason: str, *, now: datetime, **more: str | bytes
) -> None:
    place = (parts.c.study == part.study) & (parts.c.hospital == part.hospital)
    work.write(update(parts).where(place).values(state=state.value, reason=reason, at=now, **more))


def _wants(permit: Permit) -> str:
    """What of a permit the asker should know before the run starts."""
    noise = permit.rules.noise
    if noise is None:
        return ""
    return WANTS_NOISE.format(
        epsilon=f"{noise.epsilon:g}", delta=f"{noise.delta:g}", colluders=noise.colluders
    )


def _fits(permit: Permit, study: Study, directory: Directory) -> None:
    """Raise NotPermitted where a permit is for another asker or mode."""
    asker = directory.member(study.asker, where=WHERE)
    told = (permit.asker, permit.asker_key, permit.mode)
    if told != (study.asker, asker.asker_key, study.mode):
        raise NotPermitted(
            f"The permit is for {permit.asker}, {permit.mode}; the study is asked by {study.asker}, {study.mode}.",
            where=WHERE,
            mend="Sign a permit for the study as it was offered, with the asker's present key.",
        )


def _close(work: Work, row: Row[Any], *, patience: timedelta, now: datetime) -> None:
    """Start the run with whoever signed, or end the study where they are too few. The caller holds the study's row."""
    directory, study = directories.current(work, now=now), study_of(row)
    told: list[Told] = []
    permits: dict[str, Permit] = {}
    for part in work.rows(select(parts).where(parts.c.study == row.digest).order_by(parts.c.hospital)):
        if part.state == PartState.OFFERED:
            _set_part(work, part, PartState.SILENT, SILENT, now=now)
            told.append((What.SILENT, part.hospital, SILENT))
        elif part.state == PartState.SIGNED:
            envelope: Envelope = decode(Envelope, part.envelope, where="a stored permit")
            try:
                permit = verify_permit(envelope, directory, now=now, where=f"permit of {part.hospital}")
                _fits(permit, study, directory)
            except Problem as problem:
                _set_part(work, part, PartState.VOID, problem.what, now=now)
                told.append((What.VOID, part.hospital, problem.what))
            else:
                permits[envelope.digest] = permit
    tell(work, row.digest, told, now=now)
    too_few = _too_few(study, directory, permits)
    if too_few is not None:
        end(work, row.digest, StudyState.UNPERMITTED, too_few, now=now)
        work.record("study unpermitted", who="hub", at=now, study=row.digest, reason=too_few)
        tell(work, row.digest, [(What.UNPERMITTED, None, too_few)], now=now)
        return
    _start(work, row.digest, study, directory, permits, patience=patience, now=now)


def _too_few(study: Study, directory: Directory, permits: dict[str, Permit]) -> str | None:
    if not permits:
        return "No hospital signed a permit."
    needed = max(permit.rules.least_hospitals for permit in permits.values())
    asker = directory.member(study.asker, where="asker")
    counted = outside(directory, tuple(permit.hospital for permit in permits.values()), asker)
    if study.mode is Mode.TOTAL and len(counted) < needed:
        return f"{len(counted)} hospitals outside the asker's affiliation signed; a total needs {needed}."
    return None


def _answered(work: Work, roster: tuple[str, ...]) -> tuple[str, ...]:
    """The newest populations that totals were given of with one of these hospitals, oldest first."""
    shared = (
        select(runs.c.id)
        .join(parts, parts.c.study == runs.c.study)
        .where(parts.c.hospital.in_(roster), parts.c.state == PartState.SIGNED.value)
    )
    query = select(populations.c.ref).where(populations.c.run.in_(shared))
    newest = work.rows(query.order_by(populations.c.number.desc()).limit(MOST_NAMED))
    return tuple(row.ref for row in reversed(newest))


def _start(
    work: Work,
    digest: str,
    study: Study,
    directory: Directory,
    permits: dict[str, Permit],
    *,
    patience: timedelta,
    now: datetime,
) -> None:
    manifest = compose(digest, study, permits, run=secrets.token_hex(16), now=now)
    roster = tuple(seat.hospital for seat in manifest.roster)
    run = open_run(
        manifest,
        unaffiliated=outside(directory, roster, directory.member(study.asker, where="asker")),
        patience_seconds=int(patience.total_seconds()),
        deadline=now + patience,
        past=_answered(work, roster),
    )
    work.write(
        insert(runs).values(
            id=run.id,
            study=digest,
            manifest=encode(manifest),
            state=encode(run),
            active=True,
            deadline=run.deadline,
            started=now,
        )
    )
    told = warning(len(roster)) if manifest.masked else ""
    if told:
        log.warning("study %s: %s", digest, told)
    work.write(
        update(studies).where(studies.c.digest == digest).values(state=StudyState.RUNNING.value, reason=told)
    )
    work.record(
        "run started",
        who="hub",
        at=now,
        study=digest,
        run=run.id,
        manifest=run.manifest,
        roster=", ".join(roster),
    )
    tell(work, digest, [(What.STARTED, None, told)], now=now)
    work.ring(*(hospital_topic(name) for name in roster))
