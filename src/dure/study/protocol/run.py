"""A run's state and what can happen to it, as messages: they are stored between events and may move between processes.

Not responsible for: what an event leads to (`transitions`), who may send one (`dure.govern.permit`).
"""

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from dure.study.kinds import kind_of
from dure.study.spec import Study
from dure.wire.codec import Moment, digest, encode, message
from dure.wire.envelope import Envelope
from dure.wire.messages import (
    Acceptance,
    Contribution,
    Exchange,
    Handshake,
    Manifest,
    Permit,
    Position,
    Refusal,
    Seat,
)
from dure.wire.rules import Mode, Rules, strictest


class Stage(StrEnum):
    """Where a run is. The last three are final."""

    ACCEPTING = "accepting"
    ASKING = "asking"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


FINAL = frozenset({Stage.DONE, Stage.REFUSED, Stage.FAILED})


@message
class Withholding:
    """Why there is no number: the rule's id, and one sentence."""

    rule: str
    reason: str


@message
class Strand:
    """One result in the making: the whole roster's in `total`, one hospital's in `by_hospital`.

    Attributes:
        name: NETWORK, or the hospital's id.
        hospitals: those who are still in it.
        state: the statistic's state, encoded.
        carried: encoded results of the earlier steps that this one needs.
        compare: refs of the earlier populations that this step's are held against, in `total`.
        support, received: ring bytes by hospital, of the SUPPORT exchange and of the one that is under way.
        open: bitmap of the cells whose values are asked for or, in `by_hospital`, were shown.
        members: where sums are masked, the hospitals of the exchange: those who mask with each other, then those in the sum.
        asked: those who masked with each other, once the members are those in the sum.
        total: the masked numbers, added up.
        agreements: who signed the list of members, in their own envelopes.
        result: the statistic's result, encoded, once it is there; or why it never will be.
    """

    name: str
    hospitals: tuple[str, ...]
    round: int
    exchange: Exchange
    state: bytes
    support: dict[str, bytes]
    received: dict[str, bytes]
    carried: tuple[bytes, ...] = ()
    compare: tuple[str, ...] = ()
    open: bytes | None = None
    members: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    total: bytes = b""
    agreements: dict[str, Envelope] = field(default_factory=dict)
    result: bytes | None = None
    withheld: Withholding | None = None

    @property
    def over(self) -> bool:
        return self.result is not None or self.withheld is not None


@message
class Outcome:
    """What a finished strand left: its step, its name, and a result or why there is none.

    Attributes:
        hospitals: whose numbers are in the result.
    """

    step: str
    name: str
    result: bytes | None
    withheld: Withholding | None
    hospitals: tuple[str, ...] = ()


@message
class Setup:
    """The masks that a run's hospitals have at hand, as the hub knows them: none of it is secret from it.

    Attributes:
        positions: the exchanges that they serve.
        members: who announced; `near`: who holds whose pieces.
        announced: every member's keys; `pieces`: what was dealt, by holder, then dealer, until all who are left have it. Both in
            their own envelopes.
        dealt: whether pieces were dealt: masks are ready.
    """

    positions: tuple[Position, ...]
    members: tuple[str, ...]
    transcript: bytes
    near: dict[str, tuple[str, ...]]
    announced: dict[str, Envelope]
    pieces: dict[str, dict[str, Envelope]]
    dealt: bool = False


@message
class Run:
    """A run between two events.

    Attributes:
        unaffiliated: hospitals outside the asker's affiliation, which alone count towards the least roster.
        accepted: who has taken the seat.
        dropped: who is out, and why.
        deadline: when those who haven't answered the current exchange are out.
        patience_seconds: how long an exchange may take.
        masked: whether totals are summed under masks; then `setup` has those at hand, and `opened` says whose numbers are
            in the last sum that was opened.
        past: refs of the populations that totals were given of before this run; `answered`: of those of this run.
    """

    id: str
    manifest: str
    mode: Mode
    rules: Rules
    roster: tuple[str, ...]
    unaffiliated: tuple[str, ...]
    stage: Stage
    accepted: tuple[str, ...]
    dropped: dict[str, Withholding]
    step: int
    strands: tuple[Strand, ...]
    outcomes: tuple[Outcome, ...]
    deadline: Moment
    patience_seconds: int
    masked: bool
    setup: Setup | None = None
    opened: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()


@message
class Expired:
    """The deadline has passed: whoever hasn't answered is out."""


Event = Acceptance | Contribution | Handshake | Refusal | Expired


def compose(
    study_digest: str,
    study: Study,
    permits: dict[str, Permit],
    *,
    run: str,
    now: datetime,
    masked: bool = True,
) -> Manifest:
    """The manifest of a run over the hospitals that signed.

    Args:
        permits: by the digest of their payload.
        masked: whether totals are summed under masks; numbers by hospital are the hospital's own and have none, those
            that are carried by hand go as shares.
    """
    steps = kind_of(study.question).steps(study.question)
    seats = sorted(
        (
            Seat(hospital=permit.hospital, permit=name, provenance=permit.provenance)
            for name, permit in permits.items()
        ),
        key=lambda seat: seat.hospital,
    )
    return Manifest(
        run=run,
        study=study_digest,
        mode=study.mode,
        masked=masked and study.mode is Mode.TOTAL and study.by_hand is None,
        roster=tuple(seats),
        rules=strictest(tuple(permit.rules for permit in permits.values())),
        layouts=tuple(step.layout.digest for step in steps),
        created=now,
        expires=min(permit.expires for permit in permits.values()),
    )


def open_run(
    manifest: Manifest,
    *,
    unaffiliated: tuple[str, ...],
    patience_seconds: int,
    deadline: datetime,
    past: tuple[str, ...] = (),
) -> Run:
    """A run that waits for its hospitals to take their seats.

    Args:
        past: refs of the populations that totals were given of before, oldest first (`Run.answered` of earlier runs).
    """
    return Run(
        id=manifest.run,
        manifest=digest(encode(manifest)),
        mode=manifest.mode,
        rules=manifest.rules,
        roster=tuple(seat.hospital for seat in manifest.roster),
        unaffiliated=unaffiliated,
        stage=Stage.ACCEPTING,
        accepted=(),
        dropped={},
        step=0,
        strands=(),
        outcomes=(),
        deadline=deadline,
        masked=manifest.masked,
        patience_seconds=patience_seconds,
        past=past if manifest.mode is Mode.TOTAL else (),
    )
