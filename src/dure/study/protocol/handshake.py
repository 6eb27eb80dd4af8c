"""The hub's part in a masked sum: passing words on, adding, and opening the total. Pure.

Responsible for: what each exchange of a masked round gathers and what it leads to. Not responsible for: what a hospital
refuses (`party`), the order of the rest (`transitions`), thresholds (`dure.guard.gate`).
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from dure.guard import masks
from dure.guard.neighbours import threshold
from dure.guard.register import CONSISTENT, MASKS, SAME_ROSTER
from dure.study.kinds.base import Step
from dure.study.protocol import batch
from dure.study.protocol.run import Run, Setup, Strand, Withholding
from dure.wire import ring
from dure.wire.codec import Malformed, decode
from dure.wire.envelope import Envelope, peek
from dure.wire.messages import Exchange, Handshake, MaskKeys, Position


def first_exchange(run: Run, round_: int) -> Exchange:
    """How a round begins: with new masks where none are left for it."""
    support = Position(step=run.step, round=round_, exchange=Exchange.SUPPORT)
    ready = run.setup is not None and run.setup.dealt and support in run.setup.positions
    return Exchange.SUPPORT if ready else Exchange.KEYS


def fault(event: Handshake) -> Withholding | None:
    """What is wrong with the form of a word: the rest is for those to whom it is said."""
    exchange = event.position.exchange
    says_pieces = exchange in batch.OPENS.values()
    if says_pieces == bool(event.sealed) or (not says_pieces and event.pieces):
        return Withholding(rule=MASKS.id, reason="Its word on the masks is not of this exchange.")
    if exchange is Exchange.KEYS:
        try:
            peek(MaskKeys, event.sealed[""], where="keys")
        except (KeyError, Malformed):
            return Withholding(rule=MASKS.id, reason="It announced no keys.")
    return None


def told(
    run: Run, strand: Strand, hospital: str
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, Envelope]]:
    """What a hospital is told at the current exchange: members, digests of announcements, others' words."""
    setup = run.setup
    if strand.exchange is Exchange.KEYS or setup is None:
        return (), (), {}
    near = setup.near[hospital]
    if strand.exchange is Exchange.SHARES:
        digests = tuple(setup.announced[name].digest for name in setup.members)
        return setup.members, digests, {name: setup.announced[name] for name in near}
    if strand.exchange in batch.MASKED:
        position = Position(step=run.step, round=strand.round, exchange=strand.exchange)
        first = position == setup.positions[0]
        return strand.members, (), dict(setup.pieces.get(hospital, {})) if first else {}
    agreed = strand.exchange in batch.OPENS.values()
    words = {name: strand.agreements[name] for name in near if name in strand.agreements} if agreed else {}
    return strand.members, (), words


def can_open(run: Run, hospitals: Collection[str]) -> bool:
    """Whether a sum could still be opened by those who are left."""
    setup = run.setup
    if setup is None:
        return True
    left = set(hospitals)
    return all(len(left & set(near)) >= threshold(len(near)) for near in setup.near.values())


def keys_gathered(run: Run, steps: tuple[Step, ...], strand: Strand) -> tuple[Run, Strand]:
    """All have announced: each is told what its neighbours did."""
    words = _words(strand)
    announced = {name: words[name].sealed[""] for name in strand.hospitals}
    digests = [announced[name].digest for name in strand.hospitals]
    transcript = batch.transcript(run.id, strand.hospitals, digests)
    setup = Setup(
        positions=batch.positions(steps, run.step, strand.round),
        members=strand.hospitals,
        transcript=transcript,
        near=dict(batch.holders(strand.hospitals, transcript)),
        announced=announced,
        pieces={},
    )
    return replace(run, setup=setup), replace(strand, exchange=Exchange.SHARES, received={})


def pieces_gathered(run: Run, strand: Strand) -> tuple[Run, Strand]:
    """All have dealt: each is given what was dealt to it, with the first masked exchange."""
    assert run.setup is not None
    pieces: dict[str, dict[str, Envelope]] = {name: {} for name in strand.hospitals}
    for dealer, word in _words(strand).items():
        for holder, sealed in word.sealed.items():
            if holder in pieces:
                pieces[holder][dealer] = sealed
    members = strand.hospitals
    setup = replace(run.setup, pieces=pieces, dealt=True)
    begun = replace(strand, exchange=Exchange.SUPPORT, members=members, received={}, total=b"")
    return replace(run, setup=setup), begun


def added(strand: Strand, numbers: bytes) -> Strand:
    """One more hospital's masked numbers in the sum; they aren't kept apart."""
    lanes = ring.from_bytes(numbers, len(numbers) // 16)
    if strand.total:
        lanes = ring.add(lanes, ring.from_bytes(strand.total, len(lanes)))
    return replace(strand, total=ring.to_bytes(lanes))


def without_pieces(run: Run) -> Run:
    """A run whose hospitals have what was dealt to them: of many hospitals it is by far the most of what is kept."""
    return run if run.setup is None else replace(run, setup=replace(run.setup, pieces={}))


def numbers_gathered(run: Run, strand: Strand) -> Strand:
    """All who are left have sent their masked numbers: they are asked to agree on whose they are."""
    gone = set(run.opened) - set(strand.hospitals)
    if run.opened and gone and len(gone & set(run.unaffiliated)) < run.rules.least_hospitals:
        return replace(
            strand,
            withheld=Withholding(
                rule=SAME_ROSTER.id,
                reason="A few hospitals dropped out after a sum with them was opened; another without them would subtract.",
            ),
        )
    return replace(
        strand,
        exchange=batch.AGREES[strand.exchange],
        asked=strand.members,
        members=strand.hospitals,
        received={},
        agreements={},
    )


def agreements_gathered(strand: Strand) -> Strand:
    """Enough have agreed: the agreements are shown to all, who then tell their pieces."""
    agreements = {name: word.sealed[""] for name, word in _words(strand).items() if "" in word.sealed}
    about = batch.GATHERED[strand.exchange]
    return replace(strand, exchange=batch.OPENS[about], received={}, agreements=agreements)


def opened(run: Run, strand: Strand) -> ring.Lanes | Withholding:
    """The total, without masks."""
    setup = run.setup
    assert setup is not None
    position = Position(step=run.step, round=strand.round, exchange=batch.GATHERED[strand.exchange])
    index = setup.positions.index(position)
    words = _words(strand)
    selves = {name: _pieces(setup.near[name], name, words) for name in strand.members}
    dropped = [name for name in strand.asked if name not in strand.members]
    try:
        announced = {name: peek(MaskKeys, setup.announced[name], where="keys") for name in strand.asked}
        return masks.unmask(
            ring.from_bytes(strand.total, len(strand.total) // 16),
            batch.place(run.id, position),
            announced={
                name: masks.Announced(key=keys.keys[index], commitment=keys.commitments[index])
                for name, keys in announced.items()
            },
            near=setup.near,
            survivors=strand.members,
            dropped=dropped,
            selves=selves,
            keys={name: _pieces(setup.near[name], name, words) for name in dropped},
            transcript=setup.transcript,
        )
    except masks.BadPieces as found:
        return Withholding(
            rule=CONSISTENT.id,
            reason=f"The masks of {found} can't be taken off: wrong pieces were dealt or told.",
        )


def _pieces(near: tuple[str, ...], about: str, words: Mapping[str, Handshake]) -> dict[int, bytes]:
    """As many pieces of a hospital's secret as it takes, by the places of those who told them."""
    held = {
        at: words[name].pieces[about]
        for at, name in enumerate(near, 1)
        if name in words and about in words[name].pieces
    }
    return dict(list(held.items())[: threshold(len(near))])


def _words(strand: Strand) -> dict[str, Handshake]:
    return {
        name: decode(Handshake, word, where=f"a stored word of {name}")
        for name, word in strand.received.items()
    }
