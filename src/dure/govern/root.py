"""The root: who signs whose key is whose. One folder with its key and the newest directory.

Responsible for: admitting members once fingerprints have been compared by people, signing the next version. Not responsible
for: bringing it to a hub (the command line), trusting it (`dure.wire.directory`).
"""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from dure.wire.by_hand import AggregatorEnrolment
from dure.wire.codec import decode, encode
from dure.wire.directory import Directory, Member, Role, seal_key
from dure.wire.envelope import Envelope, fingerprint, open_sealed, peek, public_key, public_text, seal
from dure.wire.messages import Enrolment
from dure.wire.problems import Problem

KEY, DIRECTORY = "root.key", "directory.json"


class NoRoot(Problem):
    """A folder without a root's key, or with one that can't be read or written."""

    slug, title, status, exit_code = "no-root", "The root's folder cannot be used", 500, 47


class OtherFingerprint(Problem):
    """A key that isn't the one that was read out: someone may have put in their own."""

    slug, title, status, exit_code = "other-fingerprint", "The fingerprints differ", 403, 48


class NotEnrolled(Problem):
    """A hospital that hasn't asked to be listed, or a member that isn't."""

    slug, title, status, exit_code = "not-enrolled", "There is nothing to admit or remove", 404, 49


def make(folder: Path, passphrase: str | None) -> str:
    """A new root in a folder; its public key, which every node and client pins.

    Raises:
        NoRoot: there is one already, or the folder can't be written.
    """
    key = Ed25519PrivateKey.generate()
    lock = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
    except OSError as error:
        raise NoRoot(
            f"{error.strerror}.",
            where=str(folder / KEY),
            mend="A root's key is never replaced: choose another folder.",
        ) from None
    return public_text(key)


def read_key(folder: Path, passphrase: str | None) -> Ed25519PrivateKey:
    """The root's key.

    Raises:
        NoRoot: there is none, or the passphrase is wrong.
    """
    path = folder / KEY
    try:
        key = load_pem_private_key(path.read_bytes(), None if passphrase is None else passphrase.encode())
    except OSError as error:
        raise NoRoot(f"{error.strerror}.", where=str(path), mend="Make a root: dure directory init") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise NoRoot(
            "The key does not open.", where=str(path), mend="Give its passphrase: --passphrase asks for it."
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise NoRoot(
            "It is no Ed25519 key.", where=str(path), mend="Use the file that dure directory init made."
        )
    return key


def members(folder: Path) -> tuple[int, tuple[Member, ...]]:
    """The newest version that was signed here, and its members; 0 and nobody before the first."""
    path = folder / DIRECTORY
    if not path.exists():
        return 0, ()
    envelope: Envelope = decode(Envelope, path.read_bytes(), where=str(path))
    directory = peek(Directory, envelope, where=str(path))
    return directory.version, directory.members


def sign(
    folder: Path, listed: tuple[Member, ...], key: Ed25519PrivateKey, *, now: datetime, days: int
) -> Directory:
    """Sign the next version over these members and keep it."""
    version, _ = members(folder)
    directory = Directory(
        version=version + 1,
        issued=now,
        expires=now + timedelta(days=days),
        members=tuple(sorted(listed, key=lambda member: member.id)),
    )
    partial = folder / f"{DIRECTORY}.partial"
    partial.write_bytes(encode(seal(directory, "directory", key)))
    partial.replace(folder / DIRECTORY)
    return directory


def hospital(enrolments: tuple[Envelope, ...], name: str, *, board: str, node: str) -> Member:
    """The hospital that asked to be listed, if its keys are those whose fingerprints its people read out.

    Args:
        board, node: fingerprints, as heard over the telephone.

    Raises:
        NotEnrolled: it hasn't asked.
        OtherFingerprint: a key is another one.
        Forged: it doesn't hold both keys.
    """
    here = f"enrolment of {name}"
    for envelope in enrolments:
        claimed = peek(Enrolment, envelope, where=here)
        if claimed.hospital != name:
            continue
        for what, key, heard in (("board", claimed.board_key, board), ("node", claimed.node_key, node)):
            _compare(what, key, heard, here)
        enrolment = open_sealed(
            Enrolment, envelope, "enrolment", claimed.board_key, claimed.node_key, where=here
        )
        return Member(
            id=enrolment.hospital,
            name=enrolment.name,
            role=Role.HOLDER,
            affiliation=enrolment.affiliation,
            board_key=enrolment.board_key,
            node_key=enrolment.node_key,
        )
    raise NotEnrolled(
        f"{name} has not asked to be listed.", where="the hub's enrolments", mend="It runs: dure node init"
    )


def asker(name: str, title: str, affiliation: str, *, key: str, heard: str) -> Member:
    """An asker with its public key. Raises OtherFingerprint, BadKey."""
    public_key(key)
    _compare("asker", key, heard, f"key of {name}")
    return Member(id=name, name=title, role=Role.USER, affiliation=affiliation, asker_key=key)


def aggregator(envelope: Envelope, *, heard: str) -> Member:
    """A second body, if its key is the one whose fingerprint its people read out.

    Raises:
        OtherFingerprint: a key is another one. Forged: it doesn't hold it. BadKey: no key.
        NotEnrolled: it is neither a regulator nor an intermediary.
    """
    here = "the aggregator's file"
    claimed = peek(AggregatorEnrolment, envelope, where=here)
    public_key(claimed.body_key)
    _compare("aggregator", claimed.body_key, heard, here)
    told = open_sealed(AggregatorEnrolment, envelope, "aggregator", claimed.body_key, where=here)
    if told.role not in (Role.REGULATOR, Role.INTERMEDIARY):
        raise NotEnrolled(
            f"{told.id} calls itself {told.role.value}.",
            where=here,
            mend="Only a regulator or an intermediary adds others' shares.",
        )
    seal_key(told.seal_key)
    return Member(
        id=told.id,
        name=told.name,
        role=told.role,
        affiliation=told.affiliation,
        body_key=told.body_key,
        seal_key=told.seal_key,
    )


def admit(listed: tuple[Member, ...], member: Member) -> tuple[Member, ...]:
    """The members with one more, or with its new keys: then its epoch grows, which voids what the old ones signed."""
    before = next((old for old in listed if old.id == member.id), None)
    if before is not None:
        member = replace(member, epoch=before.epoch + 1)
    return (*(old for old in listed if old.id != member.id), member)


def remove(listed: tuple[Member, ...], name: str) -> tuple[Member, ...]:
    """The members without one. Raises NotEnrolled where it isn't among them."""
    if all(member.id != name for member in listed):
        raise NotEnrolled(f"{name} is not listed.", where="directory", mend="See: dure directory show")
    return tuple(member for member in listed if member.id != name)


def _compare(what: str, key: str, heard: str, where: str) -> None:
    if fingerprint(key) != heard.strip().upper():
        raise OtherFingerprint(
            f"The {what} key has the fingerprint {fingerprint(key)}, not {heard}.",
            where=where,
            mend="Hear it again from the member itself, by telephone or in person; if it still differs, admit nobody.",
        )
