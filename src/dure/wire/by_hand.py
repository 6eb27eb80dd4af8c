"""Messages of answers that are carried by hand, as files: two shares for two bodies. `docs/by-hand.md` is their order.

Responsible for: the fields and their meaning. Not responsible for: signatures (`envelope`), the arithmetic of shares
(`dure.guard.halves`), when each is lawful (`dure.study.protocol.by_hand`, `dure.govern.permit`).
"""

from dure.wire.codec import message
from dure.wire.directory import Role
from dure.wire.envelope import Envelope
from dure.wire.messages import Exchange, Position, RunOffer


@message
class AggregatorEnrolment:
    """A second body asks to be listed. Signed with its own key, which shows that it holds it.

    Attributes:
        body_key: signs what it adds (Ed25519); seal_key: shares are sealed to it (X25519). Both base64 of 32 bytes.
    """

    id: str
    name: str
    role: Role
    affiliation: str
    body_key: str
    seal_key: str


@message
class Halves:
    """A hospital's numbers at one position as two shares, each sealed to one body. Signed with the node key.

    Attributes:
        task, layout: as in `Contribution`.
        vector: sealed to the asker: the numbers less the seed's stream, ring bytes.
        seed: sealed to the aggregator: the 32 bytes from which its share is expanded.
    """

    run: str
    manifest: str
    hospital: str
    position: Position
    task: str
    layout: str
    vector: bytes
    seed: bytes


@message
class HalfSum:
    """What one body added: over whose files, and its half of the sums where the other body is to have them. Signed by the body.

    Attributes:
        hospitals: the digests of each hospital's envelopes, in the order of the tasks.
        numbers: ring bytes, one a task; none where only the list is told.
    """

    run: str
    manifest: str
    exchange: Exchange
    body: str
    hospitals: dict[str, tuple[str, ...]]
    numbers: tuple[bytes, ...]


@message
class OpenedStep:
    """What the aggregator judged of one step's support.

    Attributes:
        open: bitmap of the cells that the thresholds open; None where nothing of the step may be shown, and `reason` says why.
        support: the people behind every open cell; 0 behind the others, whoever is in them.
    """

    open: bytes | None
    support: tuple[int, ...]
    rule: str = ""
    reason: str = ""


@message
class Opened:
    """The aggregator's judgement of a run's support: who is in the sums, and what may be asked next. Signed with its body key."""

    run: str
    manifest: str
    body: str
    hospitals: dict[str, tuple[str, ...]]
    steps: tuple[OpenedStep, ...]


@message
class Mail:
    """A file from a hospital: all that it has said of one study, in its own envelopes."""

    hospital: str
    study: str
    envelopes: tuple[Envelope, ...]


@message
class ToAdd:
    """A file for the aggregator: a run, what its hospitals said at one exchange, and what the asker added of it.

    Attributes:
        summed: the asker's `HalfSum`: with its numbers at SUPPORT, which the aggregator judges; without them at VALUES.
        halves: the hospitals' `Halves`.
    """

    directory: Envelope
    study: Envelope
    run: RunOffer
    summed: Envelope
    halves: tuple[Envelope, ...]
