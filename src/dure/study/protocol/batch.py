"""Which exchanges one set of masks serves, and by what name each is known.

Responsible for: what both sides must work out alike from the study. Not responsible for: masks (`dure.guard.masks`), the
hospital's part (`party`), the hub's (`handshake`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from dure.guard.neighbours import FEW, neighbours, tolerated
from dure.study.kinds.base import Step
from dure.wire.messages import Exchange, Position

LARGEST = 64
"""Exchanges for which keys and pieces are dealt at once: a statistic of thirty rounds needs them once."""
MASKED = (Exchange.SUPPORT, Exchange.VALUES)
AGREES = {Exchange.SUPPORT: Exchange.SUPPORT_AGREE, Exchange.VALUES: Exchange.VALUES_AGREE}
OPENS = {Exchange.SUPPORT: Exchange.SUPPORT_OPEN, Exchange.VALUES: Exchange.VALUES_OPEN}
GATHERED = {later: first for table in (AGREES, OPENS) for first, later in table.items()}
"""The exchange whose numbers an AGREE or OPEN is about."""
FEW_HOSPITALS = "Only {count} hospitals take part: the total is lost if more than {lost} of them drop out."
HANDSHAKES = (Exchange.KEYS, Exchange.SHARES, *AGREES.values(), *OPENS.values())


def positions(steps: Sequence[Step], step: int, round_: int) -> tuple[Position, ...]:
    """The exchanges of a batch that begins at a round: that round's and those after it, over the steps to come."""

    def every() -> Iterator[Position]:
        for number in range(step, len(steps)):
            first = round_ if number == step else 0
            for at in range(first, steps[number].statistic.rounds(steps[number].params)):
                for exchange in MASKED:
                    yield Position(step=number, round=at, exchange=exchange)

    return tuple(position for position, _ in zip(every(), range(LARGEST), strict=False))


def place(run: str, position: Position) -> str:
    """The name of an exchange, by which its masks are derived."""
    return f"{run}/{position.step}/{position.round}/{position.exchange.value}"


def transcript(run: str, members: Sequence[str], told: Sequence[str]) -> bytes:
    """The digest of all that was announced: whoever was told anything else has another.

    Args:
        told: digest of each member's announcement.
    """
    lines = [run, *(f"{name} {digest}" for name, digest in zip(members, told, strict=True))]
    return hashlib.sha256("\n".join(lines).encode()).digest()


def holders(members: Sequence[str], seed: bytes) -> Mapping[str, tuple[str, ...]]:
    """Who holds each member's pieces: its neighbours and itself, in the members' order."""
    near = neighbours(members, seed)
    return {
        name: tuple(other for other in members if other == name or other in set(near[name]))
        for name in members
    }


def warning(hospitals: int) -> str:
    """What the asker and the hub's operator are told of a masked total over so many hospitals; "" where it needs no word."""
    if hospitals >= FEW:
        return ""
    return FEW_HOSPITALS.format(count=hospitals, lost=tolerated(hospitals))
