"""Hospitals as askers see them: the directory's members and what their boards declare.

Not responsible for: what a listing shows (`dure.market.catalogue`).
"""

from datetime import datetime

from sqlalchemy import select

from dure.hub.actions import directory as directories
from dure.hub.actions.enrolments import keep_declaration
from dure.hub.problems import Settled
from dure.hub.store.tables import declarations
from dure.hub.store.work import Work
from dure.market.catalogue import Listing, listing
from dure.wire.codec import decode
from dure.wire.directory import Member, Role
from dure.wire.envelope import Envelope, open_sealed, peek
from dure.wire.messages import DatasetDeclaration

WHERE = "body of POST /v1/declarations"


def declare(work: Work, envelope: Envelope, *, now: datetime) -> None:
    """Keep a board's declaration of its dataset. The same again changes nothing.

    Raises:
        Untrusted, Forged: not a listed hospital's board. Settled: older than the one that is here.
    """
    directory = directories.current(work, now=now)
    member = directory.member(peek(DatasetDeclaration, envelope, where=WHERE).hospital, where=WHERE)
    keys = () if member.board_key is None else (member.board_key,)
    declared = open_sealed(DatasetDeclaration, envelope, "declaration", *keys, where=WHERE)
    work.lock(f"declarations of {member.id}")
    last = _declared(work, member)
    if last is not None and declared.declared < last.declared:
        raise Settled(
            f"A declaration of {last.declared:%Y-%m-%d %H:%M} UTC is newer.",
            where=WHERE,
            mend="Declare the dataset as it is now.",
        )
    assert member.board_key is not None
    if keep_declaration(work, envelope, board_key=member.board_key, now=now):
        work.record("dataset declared", who=member.id, at=now, declaration=envelope.digest)


def hospitals(work: Work, *, now: datetime) -> tuple[Listing, ...]:
    """All hospitals of the directory, by id. Raises Unavailable where there is no directory."""
    directory = directories.current(work, now=now)
    return tuple(
        listing(member, _declared(work, member))
        for member in sorted(directory.members, key=lambda member: member.id)
        if member.role is Role.HOLDER
    )


def _declared(work: Work, member: Member) -> DatasetDeclaration | None:
    """The newest declaration by the board's present key."""
    row = work.one(
        select(declarations.c.envelope)
        .where(declarations.c.hospital == member.id, declarations.c.board_key == member.board_key)
        .order_by(declarations.c.declared.desc())
        .limit(1)
    )
    if row is None:
        return None
    envelope: Envelope = decode(Envelope, row.envelope, where="a stored declaration")
    return decode(DatasetDeclaration, envelope.payload, where="a stored declaration")
