"""A study whose answers are carried by hand: the asker's folder, from the request to the report, one file after the other.

Responsible for: which file is expected now and which is made of it, and that nothing is added twice. Not responsible for: what
may be added (`dure.study.protocol.by_hand`), the second body's part (`dure.aggregator`), permits (`dure.govern.permit`).
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from dure.client import keys
from dure.client.mail import halves, mails, read, refusal
from dure.client.problems import Unreadable
from dure.client.study_file import StudyFile
from dure.govern.permit import (
    NotPermitted,
    Verified,
    second_body,
    verify_opened,
    verify_permit,
    verify_run,
    verify_study,
)
from dure.study.assemble import report
from dure.study.protocol import by_hand
from dure.study.protocol.by_hand import AnsweredTwice, HospitalMissing, OtherHospitals, OtherRun
from dure.study.protocol.run import Stage, Withholding, compose, open_run
from dure.study.report import Report
from dure.study.spec import ByHand
from dure.wire import ring
from dure.wire.by_hand import HalfSum, Mail, Opened, ToAdd
from dure.wire.codec import decode, encode, message
from dure.wire.directory import Directory, Role, Untrusted, open_directory
from dure.wire.envelope import MEDIA_TYPE, Envelope, open_sealed, peek, public_text, seal
from dure.wire.messages import (
    Decline,
    Exchange,
    PollAnswer,
    Position,
    RunOffer,
    StudyOffer,
    Task,
)

STATE, SHARE_KEY, REPORT = "by-hand.json", "shares.key", "report.json"
REQUEST, PEOPLE, ADD_PEOPLE, NUMBERS, ADD_NUMBERS = (
    "1-request.json", "2-people.json", "3-for-the-aggregator.json", "4-numbers.json", "5-for-the-aggregator.json",
)  # fmt: skip
NOT_BROUGHT = "Its file was not brought."


class Wait(StrEnum):
    """What the study waits for."""

    PERMITS = "the hospitals' decisions"
    PEOPLE = "the hospitals' people"
    OPENED = "the aggregator's word on the people"
    NUMBERS = "the hospitals' numbers"
    HALF = "the aggregator's half of the numbers"
    NOTHING = "nothing: it is over"


@message
class Carrying:
    """Where a study stands.

    Attributes:
        decided: each hospital's permit or decline; run: the manifest, once permits are in.
        out: hospitals that are out of the run, and why.
        people, numbers: the hospitals' answers that were added, in the order of the tasks.
        opened: the aggregator's judgement.
    """

    waits: Wait
    root_key: str
    directory: Envelope
    study: Envelope
    decided: dict[str, Envelope]
    silent: tuple[str, ...] = ()
    run: bytes | None = None
    out: dict[str, Withholding]
    people: dict[str, tuple[Envelope, ...]]
    numbers: dict[str, tuple[Envelope, ...]]
    opened: Envelope | None = None


@dataclass(frozen=True, kw_only=True)
class Made:
    """What came of a step: the file to carry, to whom, and what is waited for then; or the report."""

    file: Path
    to: str
    waits: Wait
    report: Report | None = None


def begin(
    folder: Path,
    file: StudyFile,
    *,
    directory: Envelope,
    root: str,
    aggregator: str,
    key: Ed25519PrivateKey,
    now: datetime,
) -> Made:
    """Sign a study that is to be carried, and write the request for the hospitals.

    Raises:
        BadStudy: it can't be carried. Untrusted, NotPermitted: the directory, this key, or the second body.
        Unwritable: the folder is in use.
    """
    listed = open_directory(directory, root=root, now=now, least_version=0, where="--directory")
    own = public_text(key)
    asker = next((member for member in listed.members if member.asker_key == own), None)
    if asker is None:
        raise Untrusted(
            "The directory doesn't list your key.",
            where="--directory",
            mend="Ask the root to list it: dure study key show",
        )
    shares = X25519PrivateKey.generate()
    named = ByHand(aggregator=aggregator, collector_key=shares.public_key().public_bytes_raw())
    study = replace(file.study(asker=asker.id, now=now), by_hand=named)
    study.check()
    second_body(study, listed, where="--aggregator")
    sealed = seal(study, "study", key)
    keys.keep(folder / SHARE_KEY, shares.private_bytes_raw(), replace=False)
    begun = Carrying(
        waits=Wait.PERMITS,
        root_key=root,
        directory=directory,
        study=sealed,
        decided={},
        out={},
        people={},
        numbers={},
    )
    request = PollAnswer(
        now=now,
        directory=directory,
        offers=(StudyOffer(study=sealed, asked=now),),
        runs=(),
        tasks=(),
        closed=(),
    )
    return _made(folder, begun, REQUEST, request, to="every hospital that is asked")


def add(
    folder: Path,
    files: Sequence[Path],
    *,
    without: Collection[str] = (),
    key: Ed25519PrivateKey,
    now: datetime,
) -> Made:
    """Take the files that were brought, and make the next.

    Args:
        without: hospitals that are left out, because they gave no file.

    Raises:
        OtherRun, HospitalMissing, AnsweredTwice, OtherHospitals, ShareUnreadable: see `dure.study.protocol.by_hand`.
        Forged, Untrusted, NotPermitted, Malformed: a signature, a permit, a file. Unreadable: a file.
    """
    state: Carrying = decode(Carrying, read(folder / STATE), where=str(folder / STATE))
    directory = open_directory(
        state.directory, root=state.root_key, now=now, least_version=0, where="the study's directory"
    )
    match state.waits:
        case Wait.PERMITS:
            return _permits(folder, state, directory, mails(state.study.digest, files), without, now)
        case Wait.NOTHING:
            raise OtherRun("The study is over.", where=str(folder), mend=f"Its report is {folder / REPORT}.")
    assert state.run is not None
    offer = RunOffer(manifest=state.run, permits=_permits_of(state))
    run = verify_run(offer, state.study, directory, now=now)
    match state.waits:
        case Wait.PEOPLE:
            return _people(folder, state, run, mails(state.study.digest, files), without, key)
        case Wait.OPENED:
            return _opened(folder, state, run, _one(files), now)
        case Wait.NUMBERS:
            return _numbers(folder, state, run, mails(state.study.digest, files), key)
        case _:
            return _closed(folder, state, run, _one(files), now)


def _permits(
    folder: Path,
    state: Carrying,
    directory: Directory,
    brought: Sequence[Mail],
    without: Collection[str],
    now: datetime,
) -> Made:
    """Who signed is in the run; its manifest follows from the permits."""
    study = verify_study(state.study, directory, now=now, where="study")
    decided, permits = dict(state.decided), {}
    for mail in brought:
        here = f"file of {mail.hospital}"
        if not mail.envelopes:
            raise HospitalMissing(
                f"{mail.hospital} has decided nothing.", where=here, mend="Bring its board's decision."
            )
        if decided.setdefault(mail.hospital, mail.envelopes[0]).payload != mail.envelopes[0].payload:
            raise AnsweredTwice(
                f"{mail.hospital} decided twice, and differently.",
                where=here,
                mend="Ask its board which one holds.",
            )
    for name, envelope in decided.items():
        here = f"file of {name}"
        if envelope.payloadType == MEDIA_TYPE.format("permit"):
            permit = verify_permit(envelope, directory, now=now, where=here)
            if (permit.hospital, permit.study) != (name, state.study.digest):
                raise OtherRun(
                    "The permit is another's.", where=here, mend="Bring the file that this hospital exported."
                )
            permits[envelope.digest] = permit
        else:
            _decline(envelope, directory, name)
    asked = study.hospitals or tuple(member.id for member in directory.members if member.role is Role.HOLDER)
    silent = tuple(sorted(set(asked) - set(decided)))
    _none_missing(silent, without)
    manifest = compose(state.study.digest, study, permits, run=secrets.token_hex(16), now=now)
    if manifest.rules.noise is not None:
        wants = sorted(permit.hospital for permit in permits.values() if permit.rules.noise is not None)
        raise NotPermitted(
            f"The boards of {', '.join(wants)} want noise, which only totals under masks carry.",
            where=str(folder),
            mend="Leave them out of the files, with --without, or ask through a hub.",
        )
    after = replace(state, waits=Wait.PEOPLE, decided=decided, silent=silent, run=encode(manifest))
    offer = RunOffer(manifest=encode(manifest), permits=_permits_of(after))
    run = verify_run(offer, state.study, directory, now=now)
    seat = Task(
        run=manifest.run, manifest=run.digest, position=Position(step=0, round=0, exchange=Exchange.ACCEPT)
    )
    asked_for = _asked(after, offer, (seat, *by_hand.people_tasks(run.bench)), now)
    return _made(folder, after, PEOPLE, asked_for, to=f"{len(permits)} hospitals")


def _people(
    folder: Path,
    state: Carrying,
    run: Verified,
    brought: Sequence[Mail],
    without: Collection[str],
    key: Ed25519PrivateKey,
) -> Made:
    """The asker's half of the people, for the aggregator, which alone sees their totals."""
    bench, out = run.bench, dict(state.out)
    tasks = by_hand.people_tasks(bench)
    for mail in brought:
        refused = refusal(mail, run)
        if refused is not None:
            out[mail.hospital] = refused
    kept = [mail for mail in brought if mail.hospital not in out]
    found = by_hand.heard(bench, tasks, halves(kept, Exchange.SUPPORT))
    _none_missing(sorted(set(bench.node_keys) - set(found) - set(out)), without)
    out |= {
        name: Withholding(rule="", reason=NOT_BROUGHT)
        for name in set(bench.node_keys) - set(found) - set(out)
    }
    files = by_hand.complete(bench, tasks, found, set(found))
    half = by_hand.add(bench, tasks, files, by_hand.vectors(_share_key(folder), run.study.asker))
    after = replace(state, waits=Wait.OPENED, out=out, people=files)
    return _for_aggregator(folder, after, run, Exchange.SUPPORT, files, half, key, ADD_PEOPLE)


def _opened(folder: Path, state: Carrying, run: Verified, file: Path, now: datetime) -> Made:
    """What the aggregator opened is asked next; where that is nothing, the study is over."""
    envelope: Envelope = decode(Envelope, read(file), where=str(file))
    bench, body = run.bench, run.aggregator
    assert body is not None
    opened = verify_opened(envelope, body, run=bench.run, manifest=bench.manifest, where=str(file))
    by_hand.fits(bench, opened)
    if opened.hospitals != by_hand.listed(state.people):
        raise OtherHospitals(
            "The aggregator added other files than you did.",
            where=str(file),
            mend="Bring it the file made here, unchanged.",
        )
    after = replace(state, waits=Wait.NUMBERS, opened=envelope)
    tasks = by_hand.number_tasks(bench, opened, envelope)
    if not tasks:
        return _over(folder, after, run, opened, (), now)
    assert state.run is not None
    offer = RunOffer(manifest=state.run, permits=_permits_of(state))
    return _made(
        folder, after, NUMBERS, _asked(after, offer, tasks, now), to=f"{len(opened.hospitals)} hospitals"
    )


def _numbers(
    folder: Path, state: Carrying, run: Verified, brought: Sequence[Mail], key: Ed25519PrivateKey
) -> Made:
    """The list of files for the aggregator; the asker's own half stays here, or the two would be the numbers there."""
    bench, opened = run.bench, _word(state)
    tasks = by_hand.number_tasks(bench, opened, _envelope(state))
    for mail in brought:
        refused = refusal(mail, run)
        if refused is not None and mail.hospital in opened.hospitals:
            raise HospitalMissing(
                f"{mail.hospital} refuses its numbers: {refused.reason}",
                where=f"run {bench.run}",
                mend="Its people are in the sum already, so that no total can be made without it: ask in a new study.",
            )
    found = by_hand.heard(bench, tasks, halves(brought, Exchange.VALUES))
    files = by_hand.complete(bench, tasks, found, opened.hospitals)
    after = replace(state, waits=Wait.HALF, numbers=files)
    return _for_aggregator(folder, after, run, Exchange.VALUES, files, (), key, ADD_NUMBERS)


def _closed(folder: Path, state: Carrying, run: Verified, file: Path, now: datetime) -> Made:
    """Both halves together are the total."""
    envelope: Envelope = decode(Envelope, read(file), where=str(file))
    bench, body, opened = run.bench, run.aggregator, _word(state)
    assert body is not None
    keys_of = () if body.body_key is None else (body.body_key,)
    summed = open_sealed(HalfSum, envelope, "half-sum", *keys_of, where=str(file))
    by_hand.same_list(summed, bench, body.id, Exchange.VALUES, by_hand.listed(state.numbers))
    tasks = by_hand.number_tasks(bench, opened, _envelope(state))
    theirs = by_hand.other_half(bench, tasks, summed)
    mine = by_hand.add(bench, tasks, state.numbers, by_hand.vectors(_share_key(folder), run.study.asker))
    totals = tuple(ring.add(one, other) for one, other in zip(mine, theirs, strict=True))
    return _over(folder, state, run, opened, totals, now)


def _over(
    folder: Path, state: Carrying, run: Verified, opened: Opened, totals: Sequence[ring.Lanes], now: datetime
) -> Made:
    outcomes = by_hand.outcomes(run.bench, opened, totals)
    answered = any(outcome.result is not None for outcome in outcomes)
    whole = replace(
        open_run(run.manifest, unaffiliated=tuple(sorted(run.outside)), patience_seconds=0, deadline=now),
        stage=Stage.DONE if answered else Stage.REFUSED,
        outcomes=outcomes,
        dropped=state.out,
    )
    directory = peek(Directory, state.directory, where="directory")
    permits = {permit.hospital: (name, permit) for name, permit in run.permits.items()}
    made = report(
        run.study,
        study_digest=state.study.digest,
        run=whole,
        permits=permits,
        declined={
            name: _decline(envelope, directory, name)
            for name, envelope in state.decided.items()
            if name not in permits
        },
        silent=state.silent,
        now=now,
    )
    _keep(folder / REPORT, encode(made))
    _keep(folder / STATE, encode(replace(state, waits=Wait.NOTHING)))
    return Made(file=folder / REPORT, to="", waits=Wait.NOTHING, report=made)


def _for_aggregator(
    folder: Path,
    state: Carrying,
    run: Verified,
    exchange: Exchange,
    files: Mapping[str, Sequence[Envelope]],
    half: Sequence[ring.Lanes],
    key: Ed25519PrivateKey,
    name: str,
) -> Made:
    bench = run.bench
    assert run.aggregator is not None
    assert state.run is not None
    summed = HalfSum(
        run=bench.run,
        manifest=bench.manifest,
        exchange=exchange,
        body=run.study.asker,
        hospitals=by_hand.listed(files),
        numbers=tuple(ring.to_bytes(one) for one in half),
    )
    told = ToAdd(
        directory=state.directory,
        study=state.study,
        run=RunOffer(manifest=state.run, permits=_permits_of(state)),
        summed=seal(summed, "half-sum", key),
        halves=tuple(envelope for envelopes in files.values() for envelope in envelopes),
    )
    return _made(folder, state, name, told, to=run.aggregator.id)


def _asked(state: Carrying, offer: RunOffer, tasks: tuple[Task, ...], now: datetime) -> PollAnswer:
    return PollAnswer(now=now, directory=state.directory, offers=(), runs=(offer,), tasks=tasks, closed=())


def _made(folder: Path, state: Carrying, name: str, told: PollAnswer | ToAdd, *, to: str) -> Made:
    """Write the file, then where the study stands: after a crash in between, the same command makes the same step again."""
    _keep(folder / name, encode(told))
    _keep(folder / STATE, encode(state))
    return Made(file=folder / name, to=to, waits=state.waits)


def _none_missing(missing: Sequence[str], without: Collection[str]) -> None:
    lacking = [name for name in missing if name not in without]
    if lacking:
        raise HospitalMissing(
            f"No file of {', '.join(lacking)} was brought.",
            where="FILES",
            mend=f"Bring it, or go on without: --without {lacking[0]}. Who is left out stays out.",
        )


def _decline(envelope: Envelope, directory: Directory, name: str) -> str:
    here = f"file of {name}"
    board = directory.member(name, where=here).board_key
    said = open_sealed(Decline, envelope, "decline", *(() if board is None else (board,)), where=here)
    return said.reason


def _permits_of(state: Carrying) -> tuple[Envelope, ...]:
    return tuple(
        envelope
        for _, envelope in sorted(state.decided.items())
        if envelope.payloadType == MEDIA_TYPE.format("permit")
    )


def _envelope(state: Carrying) -> Envelope:
    assert state.opened is not None
    return state.opened


def _word(state: Carrying) -> Opened:
    return peek(Opened, _envelope(state), where=STATE)


def _share_key(folder: Path) -> X25519PrivateKey:
    try:
        return X25519PrivateKey.from_private_bytes(read(folder / SHARE_KEY))
    except ValueError:
        raise Unreadable(
            "It holds no key.",
            where=str(folder / SHARE_KEY),
            mend="Without it the shares can't be read: begin again.",
        ) from None


def _one(files: Sequence[Path]) -> Path:
    if len(files) != 1:
        raise Unreadable(
            f"{len(files)} files.", where="FILES", mend="Give the one file that the aggregator wrote."
        )
    return files[0]


def _keep(path: Path, data: bytes) -> None:
    keys.keep(path, data, replace=True)
