"""Permits: whether what the hub asks is what boards signed. Every check that lets a node run something is here.

Responsible for: verifying studies, permits, manifests and tasks against the pinned directory. Pure. Not responsible
for: deciding a permit (a person, or the node's auto-sign rule), numbers (`dure.guard.gate`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dure.study.kinds import kind_of
from dure.study.kinds.base import Step
from dure.study.protocol.batch import HANDSHAKES, MASKED
from dure.study.protocol.by_hand import Bench
from dure.study.protocol.carry import read
from dure.study.protocol.run import compose
from dure.study.spec import Study
from dure.wire.by_hand import Opened
from dure.wire.codec import decode, digest, encode
from dure.wire.directory import Directory, Member, Role
from dure.wire.envelope import Envelope, open_sealed, peek
from dure.wire.messages import Exchange, Manifest, Permit, Provenance, RunOffer, Task, unpack
from dure.wire.problems import Problem
from dure.wire.rules import Mode, Rules

CLOCK_SKEW = timedelta(minutes=5)


class NotPermitted(Problem):
    """Something is asked that no board signed, or no longer, or not like this."""

    slug, title, status, exit_code = "not-permitted", "No permit covers this", 403, 45


def verify_study(envelope: Envelope, directory: Directory, *, now: datetime, where: str) -> Study:
    """The study in an envelope, if the asker that it names signed it and it can be asked.

    Raises:
        Forged, Untrusted: the signature or the asker.
        NotPermitted: expired, or from the future.
        Problem: the question itself.
    """
    claimed = peek(Study, envelope, where=where)
    asker = directory.member(claimed.asker, where=where)
    if asker.asker_key is None or asker.role is Role.HOLDER:
        raise NotPermitted(
            f"{asker.id} is no asker.", where=where, mend="Ask the root to list an asker's key for it."
        )
    study = open_sealed(Study, envelope, "study", asker.asker_key, where=where)
    if not study.created <= now + CLOCK_SKEW or now >= study.expires:
        raise NotPermitted(
            f"The study holds from {study.created:%Y-%m-%d %H:%M} to {study.expires:%Y-%m-%d %H:%M} UTC.",
            where=where,
            mend="Check the clocks; sign the study again with a later end.",
        )
    study.check()
    return study


def verify_permit(envelope: Envelope, directory: Directory, *, now: datetime, where: str) -> Permit:
    """The permit in an envelope, if the board of the hospital that it names signed it and nothing has changed since.

    Raises:
        Forged, Untrusted: the signature or the hospital.
        NotPermitted: expired, another epoch or key, rules off for real data.
    """
    hospital = directory.member(peek(Permit, envelope, where=where).hospital, where=where)
    if hospital.board_key is None or hospital.node_key is None:
        raise NotPermitted(f"{hospital.id} has no board.", where=where, mend="Only a holder signs permits.")
    permit = open_sealed(Permit, envelope, "permit", hospital.board_key, where=where)
    if permit.epoch != hospital.epoch or permit.node_key != hospital.node_key:
        raise NotPermitted(
            f"{hospital.id} has changed its keys or was restored since.",
            where=where,
            mend="Its board signs again.",
        )
    if not permit.issued <= now + CLOCK_SKEW or now >= permit.expires:
        raise NotPermitted(
            f"The permit of {hospital.id} ended {permit.expires:%Y-%m-%d %H:%M} UTC.",
            where=where,
            mend="Submit the study again.",
        )
    if permit.rules.off and permit.provenance is Provenance.REAL:
        raise NotPermitted(
            f"The permit of {hospital.id} turns the rules off for real data.",
            where=where,
            mend="Rules may be off only for data declared public or synthetic.",
        )
    return permit


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A run as its papers say, whoever reads them: the manifest follows from permits that boards signed.

    Attributes:
        permits: by their digests.
        outside: the hospitals outside the asker's affiliation.
        aggregator: the second body, where answers are carried by hand.
    """

    manifest: Manifest
    digest: str
    study: Study
    permits: Mapping[str, Permit]
    outside: frozenset[str]
    aggregator: Member | None

    @property
    def node_keys(self) -> dict[str, str]:
        """Of every hospital of the run, by its permit."""
        return {permit.hospital: permit.node_key for permit in self.permits.values()}

    @property
    def bench(self) -> Bench:
        """What a body knows of it before it adds answers that were carried by hand."""
        return Bench(
            run=self.manifest.run,
            manifest=self.digest,
            steps=kind_of(self.study.question).steps(self.study.question),
            node_keys=self.node_keys,
            outside=self.outside,
            rules=self.manifest.rules,
        )


@dataclass(frozen=True, kw_only=True)
class Seated:
    """A node's seat in a run: what it checked once, and holds every task against.

    Attributes:
        node_keys: of every hospital of the run, by its permit.
        outside: those outside the asker's affiliation.
        aggregator: the second body, where answers are carried by hand.
    """

    manifest: Manifest
    digest: str
    permit: Permit
    study: Study
    node_keys: Mapping[str, str]
    outside: frozenset[str]
    aggregator: Member | None = None


def outside(directory: Directory, hospitals: tuple[str, ...], asker: Member) -> tuple[str, ...]:
    """The hospitals outside the asker's affiliation, which count towards the least roster."""
    return tuple(
        name for name in hospitals if directory.member(name, where="roster").affiliation != asker.affiliation
    )


def second_body(study: Study, directory: Directory, *, where: str) -> Member | None:
    """The body that adds one of the two shares where a study's answers are carried by hand; None where they aren't.

    Raises:
        Untrusted: the directory doesn't list it.
        NotPermitted: it is no second body, or belongs to the asker.
    """
    if study.by_hand is None:
        return None
    body, asker = (directory.member(name, where=where) for name in (study.by_hand.aggregator, study.asker))
    if body.role not in (Role.REGULATOR, Role.INTERMEDIARY) or body.body_key is None or body.seal_key is None:
        raise NotPermitted(
            f"The directory lists {body.id} as no second body.",
            where=where,
            mend="Name a regulator or an intermediary whose keys the root has listed: dure directory admit-aggregator",
        )
    if body.affiliation == asker.affiliation:
        raise NotPermitted(
            f"{body.id} belongs to the asker: together the two would have each hospital's numbers.",
            where=where,
            mend="Name a second body outside the asker's affiliation.",
        )
    return body


def verify_run(offer: RunOffer, study_envelope: Envelope, directory: Directory, *, now: datetime) -> Verified:
    """A run whose manifest is the one that follows from the permits, and no other.

    Raises:
        NotPermitted: anything in the manifest that the permits don't say.
        Forged, Untrusted: a signature or a member.
    """
    manifest: Manifest = decode(Manifest, offer.manifest, where="manifest")
    here = f"manifest of run {manifest.run}"
    study = verify_study(study_envelope, directory, now=now, where="study")
    permits = {
        envelope.digest: verify_permit(envelope, directory, now=now, where=f"{here}, permits")
        for envelope in offer.permits
    }
    asker = directory.member(study.asker, where=here)
    for permit in permits.values():
        if (permit.study, permit.asker, permit.asker_key, permit.mode) != (
            study_envelope.digest,
            study.asker,
            asker.asker_key,
            study.mode,
        ):
            raise NotPermitted(
                f"The permit of {permit.hospital} is for another study, asker or mode.",
                where=here,
                mend="Nothing to do here: the hub offered a wrong roster.",
            )
    aggregator = second_body(study, directory, where=here)
    expected = compose(
        study_envelope.digest, study, permits, run=manifest.run, now=manifest.created, masked=manifest.masked
    )
    if not permits or encode(expected) != offer.manifest:
        raise NotPermitted(
            "The manifest is not the one that follows from the permits.",
            where=here,
            mend="Nothing to do here: the hub offered other rules, layouts or hospitals than were signed.",
        )
    if len({permit.hospital for permit in permits.values()}) != len(permits):
        raise NotPermitted(
            "A hospital sits twice.", where=here, mend="Nothing to do here: the roster is wrong."
        )
    roster = tuple(seat.hospital for seat in manifest.roster)
    unaffiliated = outside(directory, roster, asker)
    if study.mode is Mode.TOTAL and len(unaffiliated) < manifest.rules.least_hospitals:
        raise NotPermitted(
            f"{len(unaffiliated)} hospitals outside the asker's affiliation; {manifest.rules.least_hospitals} needed.",
            where=here,
            mend="Ask more hospitals.",
        )
    return Verified(
        manifest=manifest,
        digest=digest(offer.manifest),
        study=study,
        permits=permits,
        outside=frozenset(unaffiliated),
        aggregator=aggregator,
    )


def judge_run(
    offer: RunOffer,
    study_envelope: Envelope,
    my_permit: Envelope,
    directory: Directory,
    *,
    floor: Rules,
    now: datetime,
) -> Seated:
    """Whether a node may take its seat: in a run that stands on its own board's permit, under no weaker rules.

    Args:
        floor: the node's own least rules; a run under weaker ones is refused.

    Raises:
        NotPermitted: anything in the manifest that the permits don't say.
        Forged, Untrusted: a signature or a member.
    """
    run = verify_run(offer, study_envelope, directory, now=now)
    manifest, here = run.manifest, f"manifest of run {run.manifest.run}"
    mine = run.permits.get(my_permit.digest)
    if mine is None:
        raise NotPermitted(
            "The manifest doesn't stand on this hospital's permit.",
            where=here,
            mend="Nothing to do here: the hub offered a run of others.",
        )
    bare = not manifest.masked and run.aggregator is None
    if manifest.mode is Mode.TOTAL and bare and mine.provenance is Provenance.REAL:
        raise NotPermitted(
            "The hub would see this hospital's sums: the run has no masks.",
            where=here,
            mend="Run it with masks; without them only public or synthetic data are summed.",
        )
    if manifest.rules.noise is not None and (
        manifest.mode is not Mode.TOTAL or run.study.by_hand is not None
    ):
        raise NotPermitted(
            "A board wants noise, which only totals under masks carry.",
            where=here,
            mend="Ask for the network's total, through the hub.",
        )
    if not manifest.rules.at_least(floor) and mine.provenance is Provenance.REAL:
        raise NotPermitted(
            "The run's rules are weaker than this hospital's.", where=here, mend="Raise them and sign."
        )
    return Seated(
        manifest=manifest,
        digest=run.digest,
        permit=mine,
        study=run.study,
        node_keys=run.node_keys,
        outside=run.outside,
        aggregator=run.aggregator,
    )


def judge_task(seated: Seated, task: Task, *, rounds_spent: int, now: datetime) -> Step:
    """The step that a task asks for, if the permit covers it.

    Args:
        rounds_spent: rounds already answered under the permit, this one not counted.

    Raises:
        NotPermitted: another run, a step or exchange that the study doesn't have, too many rounds, too late.
        BadState: a state, or what is carried from earlier steps, that is no lawful question.
    """
    here = f"task of run {task.run}"
    place = task.position
    steps = kind_of(seated.study.question).steps(seated.study.question)
    if (task.run, task.manifest) != (seated.manifest.run, seated.digest):
        raise NotPermitted("The task is for another run.", where=here, mend="Nothing to do here.")
    if now >= seated.manifest.expires:
        raise NotPermitted("The run's time is over.", where=here, mend="Submit the study again.")
    lawful: tuple[Exchange, ...] = (Exchange.RELEASE,)
    if seated.manifest.mode is Mode.TOTAL:
        lawful = (*MASKED, *HANDSHAKES) if seated.manifest.masked else MASKED
    if place.exchange not in lawful or not 0 <= place.step < len(steps):
        raise NotPermitted("The study has no such step or exchange.", where=here, mend="Nothing to do here.")
    step = steps[place.step]
    if not 0 <= place.round < step.statistic.rounds(step.params) or rounds_spent >= seated.permit.rounds:
        raise NotPermitted(
            "More rounds than the permit allows.", where=here, mend="Ask for a permit with more rounds."
        )
    if place.exchange in HANDSHAKES:
        if task.state is not None or task.open is not None or task.carried:
            raise NotPermitted("A word on masks asks for numbers.", where=here, mend="Nothing to do here.")
        return step
    layout = step.layout
    if task.state is None or (place.exchange is Exchange.VALUES) != (task.open is not None):
        raise NotPermitted(
            "The task lacks its state or its open cells.", where=here, mend="Nothing to do here."
        )
    if task.open is not None:
        unpack(task.open, len(layout.cells), where=here)
    step.statistic.judge(step.params, decode(step.statistic.state, task.state, where=here))
    kind, question = kind_of(seated.study.question), seated.study.question
    carried = read(steps, step, task.carried, where=here)
    kind.judge(question, step.name, carried)
    locked = kind.lock(question, step.name, carried)
    if locked is not None:
        raise NotPermitted(
            locked, where=here, mend="Nothing to do here: the study says when this may be asked."
        )
    if seated.aggregator is not None:
        _judge_by_hand(seated, task)
    return step


def _judge_by_hand(seated: Seated, task: Task) -> None:
    """Raise NotPermitted where a task of a run that is carried by hand asks for what the second body hasn't opened."""
    here, body = f"task of run {task.run}", seated.aggregator
    assert body is not None
    if task.compare:
        raise NotPermitted(
            "Earlier answers are named, which nobody compares where files are carried.",
            where=here,
            mend="Nothing to do here.",
        )
    if task.position.exchange is Exchange.SUPPORT:
        if task.members or task.sealed:
            raise NotPermitted(
                "People are asked of a part of the hospitals.", where=here, mend="Nothing to do here."
            )
        return
    opened = verify_opened(task.sealed.get(body.id), body, run=task.run, manifest=task.manifest, where=here)
    members = tuple(sorted(opened.hospitals))
    if task.members != members or seated.permit.hospital not in members:
        raise NotPermitted(
            "Numbers are asked of other hospitals than those whose people were added.",
            where=here,
            mend="Nothing to do here.",
        )
    if len(seated.outside & set(members)) < seated.manifest.rules.least_hospitals:
        raise NotPermitted(
            f"A sum needs {seated.manifest.rules.least_hospitals} hospitals outside the asker's affiliation.",
            where=here,
            mend="Nothing to do here.",
        )
    if task.position.step >= len(opened.steps) or task.open != opened.steps[task.position.step].open:
        raise NotPermitted(
            f"Other cells are asked for than {body.id} opened.", where=here, mend="Nothing to do here."
        )


def verify_opened(envelope: Envelope | None, body: Member, *, run: str, manifest: str, where: str) -> Opened:
    """What the second body opened of a run, if it signed so.

    Raises:
        NotPermitted: it is missing, or of another run. Forged, Malformed: it isn't the body's word.
    """
    if envelope is None or body.body_key is None:
        raise NotPermitted(
            f"The word of {body.id} on what may be asked is missing.", where=where, mend="Nothing to do here."
        )
    opened = open_sealed(Opened, envelope, "opened", body.body_key, where=where)
    if (opened.run, opened.manifest, opened.body) != (run, manifest, body.id):
        raise NotPermitted(
            f"The word of {body.id} is of another run.",
            where=where,
            mend="Bring the file that it gave for this run.",
        )
    return opened
