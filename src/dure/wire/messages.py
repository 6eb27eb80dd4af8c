"""The messages of the network: what each party says, as frozen data. `docs/protocol.md` is their order.

Responsible for: the fields and their meaning. Not responsible for: signatures (`envelope`), when each is lawful
(`dure.study.protocol`, `dure.govern.permit`).
"""

from dataclasses import field
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from dure.wire.codec import Malformed, Moment, message
from dure.wire.envelope import Envelope
from dure.wire.rules import Mode, Rules


class Provenance(StrEnum):
    """What the dataset's declaration says of it. Rules may be off only for the last two."""

    REAL = "real"
    SYNTHETIC = "synthetic"
    PUBLIC = "public"


class Exchange(StrEnum):
    """One message from every hospital of the roster, in the order of a round.

    `total` rounds are SUPPORT then VALUES, `by_hospital` RELEASE. Where sums are masked, KEYS and SHARES come before the
    first of some rounds, and what SUPPORT and VALUES gathered is opened by AGREE (who is in it) and OPEN (their pieces).
    """

    ACCEPT = "accept"
    KEYS = "keys"
    SHARES = "shares"
    SUPPORT = "support"
    SUPPORT_AGREE = "support-agree"
    SUPPORT_OPEN = "support-open"
    VALUES = "values"
    VALUES_AGREE = "values-agree"
    VALUES_OPEN = "values-open"
    RELEASE = "release"


@message
class DatasetDeclaration:
    """What a hospital's board says of its dataset, signed with the board key.

    Attributes:
        people_about: people, rounded by the hospital to two digits before it leaves.
    """

    hospital: str
    dataset_version: str
    cdm_version: str
    provenance: Provenance
    people_about: int
    first_date: date
    last_date: date
    declared: Moment


@message
class Enrolment:
    """A hospital asks to be listed: signed by both of its keys, which shows that it holds them."""

    hospital: str
    name: str
    affiliation: str
    board_key: str
    node_key: str
    declaration: Envelope
    created: Moment


@message
class Permit:
    """A board's yes: what may be run, for whom, on what, under which rules, until when. Signed with the board key.

    Attributes:
        study: digest of the signed study's payload.
        rounds: the most rounds, over all steps, that may be answered under it.
        node_key: the key to which the board delegates running it.
        epoch: the hospital's epoch when it was signed; void in any other.
    """

    study: str
    asker: str
    asker_key: str
    hospital: str
    node_key: str
    epoch: int
    dataset_version: str
    provenance: Provenance
    mode: Mode
    rules: Rules
    rounds: int
    issued: Moment
    expires: Moment


@message
class Decline:
    """A board's no, with the reason that the asker is shown. Signed with the board key."""

    study: str
    hospital: str
    reason: str
    issued: Moment


@message
class Seat:
    """One hospital of a run, bound to the permit that it signed."""

    hospital: str
    permit: str
    provenance: Provenance


@message
class Manifest:
    """One run, fixed before it starts: who, under which permits and rules, which layouts in which order.

    Attributes:
        rules: the strictest of the permits, part by part.
        layouts: the digest of every step's layout.
        masked: whether totals are summed under masks. Without them the hub sees each hospital's sums: for public or
            synthetic data only.
    """

    run: str
    study: str
    mode: Mode
    masked: bool
    roster: tuple[Seat, ...]
    rules: Rules
    layouts: tuple[str, ...]
    created: Moment
    expires: Moment


@message
class Position:
    """Where a run is: a step of the study, a round of its statistic, an exchange of the round."""

    step: int
    round: int
    exchange: Exchange


@message
class Task:
    """What the hub asks of one hospital at one position.

    Attributes:
        manifest: digest of the manifest; the manifest itself travels once, with the ACCEPT task.
        state: the statistic's state, encoded; a question in itself, judged by the node.
        carried: encoded results of the earlier steps that this step needs, in the order in which it names them; judged too.
        compare: `total` only: refs of earlier populations (`dure.guard.ledger`) that this step's are held against; the same
            throughout the step.
        open: VALUES only: a bitmap (`pack`) of the layout's cells that the network's thresholds let through.
        members: where sums are masked, the hospitals of this exchange: who deals, who masks with whom, whose sum it is.
        told: at SHARES, the digest of each member's announcement, by which all know that they were told the same.
        sealed: what other hospitals said to this one, by their ids, in their own envelopes.
    """

    run: str
    manifest: str
    position: Position
    state: bytes | None = None
    carried: tuple[bytes, ...] = ()
    compare: tuple[str, ...] = ()
    open: bytes | None = None
    members: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    sealed: dict[str, Envelope] = field(default_factory=dict)


@message
class RunOffer:
    """The exact bytes of a manifest and the permits that it names, for each node to check before it accepts."""

    manifest: bytes
    permits: tuple[Envelope, ...]


@message
class StudyOffer:
    """A study put before a hospital's board, in the asker's own envelope."""

    study: Envelope
    asked: Moment


@message
class Acceptance:
    """A node takes its seat: signed with the node key."""

    run: str
    manifest: str
    hospital: str


@message
class Contribution:
    """A hospital's numbers at one position, as the gate released them. Signed with the node key.

    Attributes:
        task: digest of the task's encoded bytes, so that an answer can't be moved to another question.
        layout: digest of the layout by which `numbers` is laid out.
        numbers: ring bytes: the cells' support (SUPPORT; in the first round of a step, then the ledger's entries), the fields
            (VALUES), or support and fields (RELEASE).
        shown: RELEASE only: a bitmap of the cells that the hospital's gate let through; the rest are zero.
    """

    run: str
    manifest: str
    hospital: str
    position: Position
    task: str
    layout: str
    numbers: bytes
    shown: bytes | None = None


@message
class MaskKeys:
    """What a hospital announces for the masks of some exchanges. Sealed with the node key, for the other hospitals.

    Attributes:
        seal_key: the X25519 key to which pieces for this hospital are sealed.
        keys, commitments: of every exchange of the batch in order: public mask key, commitment to the self-mask seed.
    """

    run: str
    manifest: str
    hospital: str
    position: Position
    seal_key: bytes
    keys: tuple[bytes, ...]
    commitments: tuple[bytes, ...]


@message
class MaskPieces:
    """The pieces that one hospital deals to another, which alone can read them. Sealed with the dealer's node key."""

    run: str
    transcript: str
    dealer: str
    holder: str
    pieces: bytes


@message
class Agreement:
    """A hospital's word on whose numbers are in a masked sum. Sealed with the node key, for the other hospitals."""

    run: str
    transcript: str
    position: Position
    members: tuple[str, ...]
    hospital: str


@message
class Handshake:
    """A hospital's part in masking, at KEYS, SHARES, AGREE or OPEN. Signed with the node key.

    Attributes:
        sealed: what it says to others: its `MaskKeys` or `Agreement` under "", its `MaskPieces` under each holder's id.
        pieces: OPEN only: one piece by hospital, of the self-mask seed of those in the sum and of the mask key of those not.
    """

    run: str
    manifest: str
    hospital: str
    position: Position
    task: str
    sealed: dict[str, Envelope] = field(default_factory=dict)
    pieces: dict[str, bytes] = field(default_factory=dict)


@message
class Refusal:
    """A hospital's gate says no at one position: an answer, distinct from zero. Signed with the node key.

    Attributes:
        rule: the id of the rule in the register.
        reason: one sentence that holds no number about people.
    """

    run: str
    manifest: str
    hospital: str
    position: Position
    rule: str
    reason: str


@message
class Poll:
    """A node asks for work and says where it stands. Signed with the node key; `sent` must be near the hub's clock."""

    hospital: str
    epoch: int
    dataset_version: str
    directory_version: int
    sent: Moment
    wait_seconds: int
    nonce: str


@message
class PollAnswer:
    """All that waits for a hospital: idempotent, the same again until it is answered."""

    now: Moment
    directory: Envelope | None
    offers: tuple[StudyOffer, ...]
    runs: tuple[RunOffer, ...]
    tasks: tuple[Task, ...]
    closed: tuple[str, ...]


def pack(bits: NDArray[np.bool_]) -> bytes:
    """A bitmap of a vector of booleans."""
    return np.packbits(bits).tobytes()


def unpack(bitmap: bytes, count: int, *, where: str) -> NDArray[np.bool_]:
    """`count` booleans from a bitmap.

    Raises:
        Malformed: another number of bits.
    """
    if len(bitmap) != (count + 7) // 8:
        raise Malformed(
            f"A bitmap of {len(bitmap)} bytes for {count} cells.", where=where, mend="Send one bit a cell."
        )
    return np.unpackbits(np.frombuffer(bitmap, dtype=np.uint8), count=count).astype(np.bool_)
