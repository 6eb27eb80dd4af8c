"""Studies: taken from an asker, judged by policy, offered to hospitals, shown to those who may see them.

Responsible for: the life of a study up to its run, and reading it. Not responsible for: boards' decisions (`decisions`),
the run (`runs`).
"""

from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, Select, insert, select, update

from dure.govern.permit import verify_study
from dure.govern.policy import Fired, judge
from dure.hub.actions import directory as directories
from dure.hub.actions.accounts import Person, UserRole, require
from dure.hub.actions.progress import events_after, hospital_topic, tell
from dure.hub.problems import NotAllowed, Settled, Unknown
from dure.hub.store.tables import parts, reports, runs, studies
from dure.hub.store.work import Work
from dure.study.protocol import Run, Stage, pending
from dure.study.spec import BadStudy, Study
from dure.wire.answers import Event, Events, PartNow, StudyNow, StudyState, Summary, What
from dure.wire.codec import decode, encode
from dure.wire.directory import Directory, Role, Untrusted
from dure.wire.envelope import Envelope

WHERE = "body of POST /v1/studies"


OPEN = frozenset({StudyState.OFFERED, StudyState.RUNNING})


class PartState(StrEnum):
    """What a hospital's board said, or that it didn't. VOID: it signed, and its permit no longer held at the start."""

    OFFERED = "offered"
    SIGNED = "signed"
    DECLINED = "declined"
    SILENT = "silent"
    VOID = "void"


def submit(work: Work, envelope: Envelope, person: Person, *, now: datetime) -> tuple[bool, Fired | None]:
    """Take a signed study and offer it. Whether it is new, and the rule that forbids it, which is recorded.

    Raises:
        NotAllowed: not the user's organisation. BadStudy, NotPermitted, Forged, Untrusted: it can't be asked like this.
    """
    require(person, UserRole.ASKER, where="POST /v1/studies")
    digest = envelope.digest
    work.lock(f"study {digest}")
    known = work.one(select(studies).where(studies.c.digest == digest))
    directory = directories.current(work, now=now)
    if known is not None:
        _own(known, person)
        return False, _fired(study_of(known))
    study = verify_study(envelope, directory, now=now, where=WHERE)
    if study.asker != person.organisation:
        raise NotAllowed(
            f"The study is asked by {study.asker!r}; you belong to {person.organisation!r}.",
            where=f"{WHERE}, asker",
            mend="Sign in as a user of the asker.",
        )
    if study.by_hand is not None:
        raise BadStudy(
            "Its answers are carried by hand, not through a hub.",
            where="by_hand",
            mend="Carry its files: dure study carry; or ask without it.",
        )
    if study.closes <= now:
        raise BadStudy("It closes in the past.", where="closes", mend="Give the boards some time to decide.")
    asked, fired = _asked(study, directory), _fired(study)
    state = StudyState.OFFERED if fired is None else StudyState.FORBIDDEN
    work.write(
        insert(studies).values(
            digest=digest,
            envelope=encode(envelope),
            asker=study.asker,
            submitted_by=person.id,
            state=state.value,
            reason="" if fired is None else fired.reason,
            created=now,
            closes=study.closes,
            ended=None if fired is None else now,
        )
    )
    if fired is not None:
        work.record("study forbidden", who=person.who, at=now, study=digest, rule=fired.rule)
        tell(work, digest, [(What.FORBIDDEN, None, fired.reason)], now=now)
        return True, fired
    offered = PartState.OFFERED.value
    work.write(
        insert(parts),
        [{"study": digest, "hospital": name, "state": offered, "reason": "", "at": now} for name in asked],
    )
    work.record(
        "study offered",
        who=person.who,
        at=now,
        study=digest,
        purpose=study.purpose.value,
        to=", ".join(asked),
    )
    tell(work, digest, [(What.OFFERED, name, "") for name in asked], now=now)
    work.ring(*(hospital_topic(name) for name in asked))
    return True, None


def _fired(study: Study) -> Fired | None:
    return next(iter(judge(study)), None)


def _asked(study: Study, directory: Directory) -> tuple[str, ...]:
    """The hospitals that a study is for. Raises BadStudy where one isn't known."""
    if not study.hospitals:
        everyone = tuple(sorted(member.id for member in directory.members if member.role is Role.HOLDER))
        if not everyone:
            raise BadStudy(
                "The network has no hospital yet.", where="hospitals", mend="Wait until one is listed."
            )
        return everyone
    for number, name in enumerate(study.hospitals):
        try:
            known = directory.member(name, where="hospitals").role is Role.HOLDER
        except Untrusted:
            known = False
        if not known:
            raise BadStudy(
                f"The directory (version {directory.version}) lists no hospital {name!r}.",
                where=f"hospitals[{number}]",
                mend="Name hospitals by their id in the catalogue; leave the list empty to ask all.",
            )
    return study.hospitals


def list_studies(work: Work, person: Person) -> tuple[Summary, ...]:
    """The studies that a user may see, newest first: its organisation's, or all for a regulator or admin."""
    query = select(studies).order_by(studies.c.created.desc(), studies.c.digest)
    rows = work.rows(
        query if person.role is not UserRole.ASKER else query.where(studies.c.asker == person.organisation)
    )
    return tuple(_summary(row) for row in rows)


def _summary(row: Row[Any]) -> Summary:
    study = study_of(row)
    return Summary(
        study=row.digest,
        title=study.title,
        kind=study.question.kind,
        mode=study.mode.value,
        state=StudyState(row.state),
        created=row.created,
    )


def view(work: Work, digest: str, person: Person) -> StudyNow:
    """A study as it is.

    Raises:
        Unknown: there is none that the user may see.
    """
    row = _visible(work, digest, person)
    directory = directories.peek_current(work)
    names = {member.id: member.name for member in directory.members}
    run_row = work.one(select(runs).where(runs.c.study == digest))
    run: Run | None = None if run_row is None else decode(Run, run_row.state, where="a stored run")
    rows = work.rows(select(parts).where(parts.c.study == digest).order_by(parts.c.hospital))
    shown = []
    for part in rows:
        state, reason = _standing(part, run)
        shown.append(
            PartNow(
                hospital=part.hospital,
                name=names.get(part.hospital, part.hospital),
                state=state,
                reason=reason,
            )
        )
    permits: tuple[Envelope, ...] = tuple(
        decode(Envelope, part.envelope, where="a stored permit")
        for part in rows
        if run is not None and part.state == PartState.SIGNED
    )
    return StudyNow(
        study=digest,
        envelope=envelope_of(row),
        state=StudyState(row.state),
        reason=row.reason,
        over=StudyState(row.state) not in OPEN,
        parts=tuple(shown),
        manifest=None if run_row is None else bytes(run_row.manifest),
        permits=permits,
    )


def _standing(part: Row[Any], run: Run | None) -> tuple[str, str]:
    """A hospital's state and reason: its board's or, once it runs, its node's."""
    if run is None or part.hospital not in run.roster:
        return part.state, part.reason
    if part.hospital in run.dropped:
        return What.DROPPED.value, run.dropped[part.hospital].reason
    refused = next(
        (o.withheld for o in run.outcomes if o.name == part.hospital and o.withheld is not None), None
    )
    if refused is not None:
        return What.ANSWERED.value, refused.reason
    if run.stage is Stage.ACCEPTING:
        return (What.ACCEPTED.value if part.hospital in run.accepted else PartState.SIGNED.value), ""
    task = pending(run, part.hospital)
    if task is None:
        return What.ANSWERED.value, ""
    return What.ANSWERING.value, f"step {task.position.step + 1}, round {task.position.round + 1}"


def events(work: Work, digest: str, person: Person, *, after: int) -> Events:
    """What happened to a study after an event. Raises Unknown as `view`."""
    row = _visible(work, digest, person)
    found: tuple[Event, ...] = events_after(work, digest, after)
    return Events(events=found, over=StudyState(row.state) not in OPEN)


def report_body(work: Work, digest: str, person: Person) -> bytes:
    """The report's exact bytes, for the asker alone.

    Raises:
        Unknown: no such study for this user, or no report (yet).
        NotAllowed: a regulator or admin: results are the asker's.
    """
    row = _visible(work, digest, person)
    require(person, UserRole.ASKER, where=f"report of {digest}")
    found = work.one(select(reports.c.body).where(reports.c.study == digest))
    if found is None:
        open_still = StudyState(row.state) in OPEN
        raise Unknown(
            f"The study has no report{' yet' if open_still else ''}: its state is {row.state}. {row.reason}".strip(),
            where=f"report of {digest}",
            mend="Wait until it is reported." if open_still else "Ask again differently.",
        )
    return bytes(found.body)


def withdraw(work: Work, digest: str, person: Person, *, now: datetime) -> None:
    """Take a study back. A second time changes nothing.

    Raises:
        Unknown: as `view`. Settled: it is over.
    """
    _visible(work, digest, person)
    require(person, UserRole.ASKER, where=f"withdrawal of {digest}")
    row = locked(work, digest)
    assert row is not None
    if row.state == StudyState.WITHDRAWN:
        return
    if StudyState(row.state) not in OPEN:
        raise Settled(
            f"The study is over: its state is {row.state}.",
            where=digest,
            mend="There is nothing left to take back.",
        )
    work.write(update(runs).where(runs.c.study == digest).values(active=False))
    end(work, digest, StudyState.WITHDRAWN, "The asker took it back.", now=now)
    work.record("study withdrawn", who=person.who, at=now, study=digest)
    tell(work, digest, [(What.WITHDRAWN, None, "")], now=now)
    asked = work.rows(select(parts.c.hospital).where(parts.c.study == digest))
    work.ring(*(hospital_topic(part.hospital) for part in asked))


def end(work: Work, digest: str, state: StudyState, reason: str, *, now: datetime) -> None:
    """Put a study into a final state. The caller records it."""
    work.write(
        update(studies).where(studies.c.digest == digest).values(state=state.value, reason=reason, ended=now)
    )


def locked(work: Work, digest: str) -> Row[Any] | None:
    """A study's row, locked until the end of the transaction: whatever changes a study or its run takes it first."""
    query: Select[Any] = select(studies).where(studies.c.digest == digest).with_for_update()
    return work.one(query)


def envelope_of(row: Row[Any]) -> Envelope:
    """A stored study as the asker sealed it."""
    return decode(Envelope, row.envelope, where="a stored study")


def study_of(row: Row[Any]) -> Study:
    """A stored study; verified when it was taken."""
    return _study(bytes(row.envelope))


@lru_cache(maxsize=64)
def _study(body: bytes) -> Study:
    return decode(Study, decode(Envelope, body, where="a stored study").payload, where="a stored study")


def _visible(work: Work, digest: str, person: Person) -> Row[Any]:
    row = work.one(select(studies).where(studies.c.digest == digest))
    if row is None or (person.role is UserRole.ASKER and row.asker != person.organisation):
        raise _no_study(digest)
    return row


def _own(row: Row[Any], person: Person) -> None:
    if row.asker != person.organisation:
        raise _no_study(row.digest)


def _no_study(digest: str) -> Unknown:
    return Unknown(
        "There is no such study of your organisation.",
        where=digest[:100],
        mend="GET /v1/studies lists those that there are.",
    )
