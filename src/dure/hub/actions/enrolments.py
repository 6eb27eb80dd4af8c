"""How a hospital asks to be listed: a one-time code lets it in at the door, the root's signature puts it on the list.

Responsible for: codes (kept as hashes, for one hospital, once, in time) and pending enrolments. Not responsible for:
admitting (`dure.govern.root` compares fingerprints with people).
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import insert, select, update

from dure.hub.actions import directory as directories
from dure.hub.actions.accounts import ID
from dure.hub.problems import CodeRefused, Unavailable
from dure.hub.store.tables import codes, declarations, enrolments
from dure.hub.store.work import Work
from dure.wire.codec import Malformed, decode, encode, message
from dure.wire.envelope import Envelope, fingerprint, open_sealed, peek
from dure.wire.messages import DatasetDeclaration, Enrolment

WHERE = "body of POST /v1/enrolments"


@message
class EnrolmentRequest:
    """What a node sends to ask for a listing."""

    code: str
    enrolment: Envelope


def make_code(work: Work, *, hospital: str, hours: int, now: datetime) -> str:
    """A new one-time code for one hospital, to be told to it by another way than the network.

    Raises:
        Malformed: no id of a hospital.
    """
    if not ID.fullmatch(hospital):
        raise Malformed(
            f"{hospital[:80]!r} is no id of a hospital.",
            where="hospital",
            mend="Use lower-case letters, digits and hyphens.",
        )
    code = secrets.token_hex(10)
    work.write(
        insert(codes).values(
            hash=_hash(code),
            hospital=hospital,
            created=now,
            expires=now + timedelta(hours=hours),
            used_by=None,
        )
    )
    work.record("enrolment code made", who="admin", at=now, hospital=hospital)
    return code


def verify_enrolment(envelope: Envelope) -> Enrolment:
    """The enrolment in an envelope, if both of its keys signed it and its board signed its declaration.

    Raises:
        Forged, Malformed: they didn't.
    """
    claimed = peek(Enrolment, envelope, where=WHERE)
    enrolment = open_sealed(
        Enrolment, envelope, "enrolment", claimed.board_key, claimed.node_key, where=WHERE
    )
    if enrolment.board_key == enrolment.node_key:
        raise Malformed(
            "The board's key and the node's are one.",
            where=WHERE,
            mend="Make two keys: the board's may stay offline.",
        )
    declared = open_sealed(
        DatasetDeclaration,
        enrolment.declaration,
        "declaration",
        enrolment.board_key,
        where=f"{WHERE}, declaration",
    )
    if declared.hospital != enrolment.hospital:
        raise Malformed(
            f"The declaration is about {declared.hospital!r}, the enrolment about {enrolment.hospital!r}.",
            where=f"{WHERE}, declaration",
            mend="Declare your own dataset.",
        )
    return enrolment


def enrol(work: Work, request: EnrolmentRequest, enrolment: Enrolment, *, now: datetime) -> None:
    """Take a verified enrolment by its code. The same again changes nothing.

    Raises:
        CodeRefused: wrong, used for something else, too old, or for another hospital.
    """
    work.lock(f"code {_hash(request.code)}")
    row = work.one(select(codes).where(codes.c.hash == _hash(request.code)))
    digest = request.enrolment.digest
    if row is None or row.hospital != enrolment.hospital:
        raise CodeRefused(
            f"This is no enrolment code for {enrolment.hospital!r}.",
            where=f"{WHERE}, code",
            mend="Check the code and the hospital's id; ask the hub's operator for a new code.",
        )
    if row.used_by is not None:
        if row.used_by == digest:
            return
        raise CodeRefused(
            "The enrolment code was used already.",
            where=f"{WHERE}, code",
            mend="Ask the hub's operator for a new code.",
        )
    if now >= row.expires:
        raise CodeRefused(
            f"The enrolment code ended {row.expires:%Y-%m-%d %H:%M} UTC.",
            where=f"{WHERE}, code",
            mend="Ask the hub's operator for a new code.",
        )
    work.write(update(codes).where(codes.c.hash == row.hash).values(used_by=digest))
    work.write(
        insert(enrolments).values(
            digest=digest,
            hospital=enrolment.hospital,
            board_key=enrolment.board_key,
            node_key=enrolment.node_key,
            envelope=encode(request.enrolment),
            received=now,
        )
    )
    keep_declaration(work, enrolment.declaration, board_key=enrolment.board_key, now=now)
    work.record(
        "enrolment received",
        who=enrolment.hospital,
        at=now,
        enrolment=digest,
        board_key=fingerprint(enrolment.board_key),
        node_key=fingerprint(enrolment.node_key),
    )


def pending(work: Work) -> tuple[Envelope, ...]:
    """Enrolments whose keys the directory doesn't list, newest first."""
    try:
        listed = {(m.id, m.board_key, m.node_key) for m in directories.peek_current(work).members}
    except Unavailable:
        listed = set()
    rows = work.rows(select(enrolments).order_by(enrolments.c.received.desc()))
    return tuple(
        decode(Envelope, row.envelope, where="a stored enrolment")
        for row in rows
        if (row.hospital, row.board_key, row.node_key) not in listed
    )


def keep_declaration(work: Work, envelope: Envelope, *, board_key: str, now: datetime) -> bool:
    """Keep a verified declaration; whether it is new. The caller records it."""
    if work.one(select(declarations.c.digest).where(declarations.c.digest == envelope.digest)):
        return False
    declared = peek(DatasetDeclaration, envelope, where="declaration")
    work.write(
        insert(declarations).values(
            digest=envelope.digest,
            hospital=declared.hospital,
            board_key=board_key,
            declared=declared.declared,
            envelope=encode(envelope),
            received=now,
        )
    )
    return True


def _hash(code: str) -> str:
    return hashlib.sha256(code.strip().lower().encode()).hexdigest()
