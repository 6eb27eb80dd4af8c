"""A hospital's part in a masked sum: what it says at each exchange, and what it refuses to say. Pure.

Responsible for: every check between what the hub passes on and what a hospital then tells. Not responsible for: numbers
and thresholds (`dure.guard.gate`), the arithmetic (`dure.guard.masks`), keeping the state (the node's journal).

What keeps a hospital's numbers from a hub that lies: announcements and agreements are signed by node keys that the permits
name; of one exchange a hospital tells of another either the piece of its self-mask or that of its mask key; it tells only
once more than two thirds have signed the same list of whose numbers are in the sum; and no sum of a run is opened whose
list lacks one or two hospitals of the sum before, since the two would subtract.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.guard import masks
from dure.guard.neighbours import threshold
from dure.guard.register import MASKS, NOISE, SAME_ROSTER, GateRule
from dure.study.kinds.base import Step
from dure.study.protocol import batch
from dure.wire import ring
from dure.wire.codec import digest, encode, message
from dure.wire.envelope import Envelope, open_sealed, seal
from dure.wire.messages import Agreement, Exchange, Handshake, MaskKeys, MaskPieces, Position, Task
from dure.wire.problems import Problem


class MaskRefused(Problem):
    """A masked sum is asked for in a way that could bare one hospital's numbers. `rule` is the id of the rule that says no."""

    slug, title, status, exit_code = "mask-refused", "A masked sum may not be made like this", 403, 36

    def __init__(self, what: str, *, where: str, mend: str, rule: GateRule = MASKS) -> None:
        super().__init__(what, where=where, mend=mend)
        self.rule = rule.id


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a hospital knows of a run before anything is summed.

    Attributes:
        node_keys: of every hospital of the manifest, by its permit.
        outside: the hospitals outside the asker's affiliation.
        least: how many of them a sum needs, and two sums of one run must differ by.
        least_shares: of how many hospitals a sum needs the noise; 0 where there is none.
    """

    run: str
    manifest: str
    me: str
    key: Ed25519PrivateKey
    node_keys: Mapping[str, str]
    outside: frozenset[str]
    least: int
    steps: Sequence[Step]
    least_shares: int = 0


@message
class Batch:
    """The masks at hand.

    Attributes:
        positions: the exchanges that they serve.
        secret: 32 bytes from which this hospital's part is derived.
        announced: what each neighbour announced, this hospital included.
        members, transcript: of all who announced; empty until the pieces are dealt.
        pieces: what each neighbour dealt to this hospital; empty until the first masked exchange.
    """

    positions: tuple[Position, ...]
    secret: bytes
    members: tuple[str, ...] = ()
    transcript: bytes = b""
    announced: dict[str, MaskKeys] | None = None
    pieces: dict[str, bytes] | None = None


@message
class Party:
    """What a hospital remembers of a run's masks. It holds secrets, and never leaves.

    Attributes:
        asked: of the exchange under way, the hospitals that mask with each other.
        at: that exchange.
        agreed: whose numbers are in the last sum that it agreed to.
    """

    batch: Batch | None = None
    at: Position | None = None
    asked: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()
    agreed_at: Position | None = None


def handshake(table: Table, party: Party, task: Task, *, secret: bytes) -> tuple[Party, Handshake]:
    """The answer at KEYS, SHARES, AGREE or OPEN, and what is to be remembered with it.

    Args:
        secret: 32 fresh random bytes; used at KEYS only.

    Raises:
        MaskRefused: the task isn't what an honest hub asks. Forged, Malformed: a word of another hospital isn't its own.
    """
    exchange = task.position.exchange
    sealed: dict[str, Envelope] = {}
    pieces: dict[str, bytes] = {}
    if exchange is Exchange.KEYS:
        party, announced = _announce(table, task, party, secret)
        sealed[""] = seal(announced, "mask-keys", table.key)
    elif exchange is Exchange.SHARES:
        party, dealt = _deal(table, party, task)
        sealed = {each.holder: seal(each, "mask-pieces", table.key) for each in dealt}
    elif exchange in batch.AGREES.values():
        party, agreement = _agree(table, party, task)
        sealed[""] = seal(agreement, "agreement", table.key)
    else:
        pieces = _open(table, party, task)
    return party, Handshake(
        run=task.run,
        manifest=task.manifest,
        hospital=table.me,
        position=task.position,
        task=digest(encode(task)),
        sealed=sealed,
        pieces=pieces,
    )


def masked(table: Table, party: Party, task: Task, numbers: bytes) -> tuple[Party, bytes]:
    """A hospital's numbers (ring bytes) under its masks, at SUPPORT or VALUES, and what is to be remembered.

    Raises:
        MaskRefused, Forged, Malformed: as `handshake`.
    """
    here = _here(task)
    party = _with_pieces(table, party, task)
    at_hand = _batch_of(party, task.position, here)
    _members(table, task.members, at_hand.members, here)
    if task.position.exchange is Exchange.VALUES:
        support = replace(task.position, exchange=Exchange.SUPPORT)
        if party.agreed_at != support or task.members != party.agreed:
            raise _refused("Values are asked of other hospitals than their support.", here, SAME_ROSTER)
    index = at_hand.positions.index(task.position)
    others = {
        name: keys.keys[index]
        for name, keys in (at_hand.announced or {}).items()
        if name != table.me and name in task.members
    }
    lanes = masks.mask(
        ring.from_bytes(numbers, len(numbers) // 16),
        at_hand.secret,
        batch.place(table.run, task.position),
        me=table.me,
        others=others,
        transcript=at_hand.transcript,
    )
    return replace(party, at=task.position, asked=task.members), ring.to_bytes(lanes)


def _announce(table: Table, task: Task, party: Party, secret: bytes) -> tuple[Party, MaskKeys]:
    places = batch.positions(table.steps, task.position.step, task.position.round)
    made = [masks.announce(secret, batch.place(table.run, position)) for position in places]
    announced = MaskKeys(
        run=table.run,
        manifest=table.manifest,
        hospital=table.me,
        position=task.position,
        seal_key=masks.seal_key(secret).public_key().public_bytes_raw(),
        keys=tuple(each.key for each in made),
        commitments=tuple(each.commitment for each in made),
    )
    return replace(party, batch=Batch(positions=places, secret=secret)), announced


def _deal(table: Table, party: Party, task: Task) -> tuple[Party, list[MaskPieces]]:
    here = _here(task)
    at_hand = party.batch
    first = replace(task.position, exchange=Exchange.SUPPORT)
    if at_hand is None or at_hand.members or at_hand.positions[0] != first:
        raise _refused("Pieces are asked for before keys, or twice.", here)
    _members(table, task.members, tuple(table.node_keys), here)
    if len(task.told) != len(task.members):
        raise _refused("Not every member's announcement is named.", here)
    transcript = batch.transcript(table.run, task.members, task.told)
    holders = batch.holders(task.members, transcript)[table.me]
    announced = {name: _announced(table, task, name, at_hand) for name in holders}
    dealt = masks.deal(
        at_hand.secret,
        [batch.place(table.run, position) for position in at_hand.positions],
        holders,
        threshold(len(holders)),
    )
    pieces = [
        MaskPieces(
            run=table.run,
            transcript=transcript.hex(),
            dealer=table.me,
            holder=name,
            pieces=masks.seal_pieces(
                dealt[name], announced[name].seal_key, about=_about(table.me, name, transcript)
            ),
        )
        for name in holders
    ]
    known = replace(at_hand, members=task.members, transcript=transcript, announced=announced)
    return replace(party, batch=known), pieces


def _announced(table: Table, task: Task, name: str, at_hand: Batch) -> MaskKeys:
    """What a neighbour announced, once its signature, its place and its digest in the transcript are checked."""
    here = f"{_here(task)}, keys of {name}"
    envelope = task.sealed.get(name)
    if envelope is None:
        raise _refused("A neighbour's announcement is missing.", here)
    keys = open_sealed(MaskKeys, envelope, "mask-keys", table.node_keys[name], where=here)
    expected = (table.run, table.manifest, name, replace(task.position, exchange=Exchange.KEYS))
    if (keys.run, keys.manifest, keys.hospital, keys.position) != expected:
        raise _refused("The announcement is for another run or round.", here)
    count = len(at_hand.positions)
    if {len(keys.keys), len(keys.commitments)} != {count} or {
        len(key) for key in (keys.seal_key, *keys.keys)
    } != {32}:
        raise _refused("The announcement has another number or size of keys.", here)
    if envelope.digest != task.told[task.members.index(name)]:
        raise _refused("The announcement isn't the one that all were told of.", here)
    return keys


def _with_pieces(table: Table, party: Party, task: Task) -> Party:
    """The party once it holds what its neighbours dealt; they come with the batch's first masked exchange."""
    at_hand, here = party.batch, _here(task)
    if at_hand is None or not at_hand.members:
        raise _refused("Numbers are asked for before masks.", here)
    if at_hand.pieces is not None:
        return party
    key = masks.seal_key(at_hand.secret)
    pieces = {}
    for name in at_hand.announced or {}:
        place = f"{here}, pieces of {name}"
        envelope = task.sealed.get(name)
        if envelope is None:
            raise _refused("A neighbour's pieces are missing.", place)
        dealt = open_sealed(MaskPieces, envelope, "mask-pieces", table.node_keys[name], where=place)
        expected = (table.run, at_hand.transcript.hex(), name, table.me)
        if (dealt.run, dealt.transcript, dealt.dealer, dealt.holder) != expected:
            raise _refused("The pieces are for another hospital, run or round.", place)
        try:
            pieces[name] = masks.open_pieces(
                dealt.pieces, key, about=_about(name, table.me, at_hand.transcript)
            )
        except (InvalidTag, ValueError):
            raise _refused("The pieces can't be read with this hospital's key.", place) from None
        if len(pieces[name]) != masks.PIECE_BYTES * len(at_hand.positions):
            raise _refused("There is another number of pieces than of exchanges.", place)
    return replace(party, batch=replace(at_hand, pieces=pieces))


def _agree(table: Table, party: Party, task: Task) -> tuple[Party, Agreement]:
    here = _here(task)
    about = replace(task.position, exchange=batch.GATHERED[task.position.exchange])
    at_hand = _batch_of(party, about, here)
    if party.at != about or party.agreed_at == about:
        raise _refused("It gave no numbers here, or has agreed already.", here)
    _members(table, task.members, party.asked, here)
    too_few = _too_few_holders(at_hand, task.members)
    if too_few:
        raise _refused("So few are in the sum that it can't be opened.", here)
    gone = table.outside & set(party.agreed) - set(task.members)
    if party.agreed and task.members != party.agreed and len(gone) < table.least:
        raise _refused(
            "This sum lacks a few hospitals of the sum before: the two would subtract.", here, SAME_ROSTER
        )
    agreement = _agreement(table, at_hand, about, task.members, table.me)
    return replace(party, agreed=task.members, agreed_at=about), agreement


def _open(table: Table, party: Party, task: Task) -> dict[str, bytes]:
    here = _here(task)
    about = replace(task.position, exchange=batch.GATHERED[task.position.exchange])
    at_hand = _batch_of(party, about, here)
    if party.agreed_at != about or task.members != party.agreed:
        raise _refused("It has not agreed to this sum.", here)
    near = tuple(at_hand.announced or {})
    signed = [name for name in near if name in task.sealed and name in task.members]
    for name in signed:
        place = f"{here}, agreement of {name}"
        told = open_sealed(Agreement, task.sealed[name], "agreement", table.node_keys[name], where=place)
        if told != _agreement(table, at_hand, about, task.members, name):
            raise _refused("It agreed to another sum.", place)
    if len(signed) < threshold(len(near)):
        raise _refused(f"{len(signed)} of {len(near)} hospitals agreed; {threshold(len(near))} must.", here)
    index = at_hand.positions.index(about)
    return {
        name: masks.piece_of(dealt, index, of_key=name not in task.members)
        for name, dealt in (at_hand.pieces or {}).items()
        if name in party.asked
    }


def _agreement(
    table: Table, at_hand: Batch, about: Position, members: tuple[str, ...], hospital: str
) -> Agreement:
    return Agreement(
        run=table.run, transcript=at_hand.transcript.hex(), position=about, members=members, hospital=hospital
    )


def _members(table: Table, members: tuple[str, ...], among: tuple[str, ...], here: str) -> None:
    """Raise MaskRefused where a list of hospitals is no lawful one: out of order, of strangers, without me, too few."""
    if members != tuple(sorted(set(members))) or not set(members) <= set(among) or table.me not in members:
        raise _refused("The list of hospitals isn't one of this sum's.", here)
    if len(table.outside & set(members)) < table.least:
        raise _refused(f"A sum needs {table.least} hospitals outside the asker's affiliation.", here)
    if len(members) < table.least_shares:
        raise _refused(
            f"The noise of {len(members)} hospitals is too little: {table.least_shares} must be in a sum.",
            here,
            NOISE,
        )


def _too_few_holders(at_hand: Batch, members: tuple[str, ...]) -> bool:
    near = tuple(at_hand.announced or {})
    return len(set(near) & set(members)) < threshold(len(near))


def _batch_of(party: Party, position: Position, here: str) -> Batch:
    if party.batch is None or position not in party.batch.positions or party.batch.pieces is None:
        raise _refused("There are no masks for this exchange.", here)
    return party.batch


def _about(dealer: str, holder: str, transcript: bytes) -> bytes:
    return b"dure pieces" + transcript + dealer.encode() + b"\n" + holder.encode()


def _here(task: Task) -> str:
    place = task.position
    return f"run {task.run}, step {place.step} round {place.round} {place.exchange.value}"


def _refused(what: str, here: str, rule: GateRule = MASKS) -> MaskRefused:
    return MaskRefused(what, where=here, mend="Nothing to do here: the hub asks what it may not.", rule=rule)
