"""The key directory as the hub keeps it: every version that the root signed.

Responsible for: accepting newer versions by the root's signature alone, and giving the current one. Not responsible for:
whom the root admits (`dure.govern.root`).
"""

from datetime import datetime
from functools import lru_cache

from sqlalchemy import func, insert, select

from dure.hub.problems import Settled, Unavailable
from dure.hub.store.tables import directories
from dure.hub.store.work import Work
from dure.wire.codec import decode, encode
from dure.wire.directory import Directory, open_directory
from dure.wire.envelope import Envelope, fingerprint

DIRECTORY_TOPIC = "directory"


def put_directory(work: Work, envelope: Envelope, *, root_key: str | None, now: datetime) -> Directory:
    """Accept the root's newest directory. The newest one again changes nothing.

    Raises:
        Unavailable: no root is pinned here. Forged, Untrusted: not the root's, or not fresh.
        Settled: not newer than what is here.
    """
    if root_key is None:
        raise Unavailable(
            "No root's key is pinned at this hub.",
            where="root_key",
            mend="Put root_key into hub.toml and start the hub again.",
        )
    work.lock("directory")
    row = work.one(select(func.max(directories.c.version).label("newest")))
    newest = row.newest if row is not None and row.newest is not None else 0
    directory = open_directory(
        envelope, root=root_key, now=now, least_version=newest, where="body of PUT /v1/directory"
    )
    if directory.version == newest:
        if current_envelope(work).digest == envelope.digest:
            return directory
        raise Settled(
            f"Another directory of version {newest} is here.", where="version", mend="Sign the next version."
        )
    work.write(insert(directories).values(version=directory.version, envelope=encode(envelope), accepted=now))
    work.record(
        "directory accepted",
        who=f"root {fingerprint(root_key)}",
        at=now,
        version=str(directory.version),
        directory=envelope.digest,
    )
    work.ring(DIRECTORY_TOPIC, *(f"hospital {member.id}" for member in directory.members))
    return directory


def current_envelope(work: Work) -> Envelope:
    """The newest directory as the root sealed it.

    Raises:
        Unavailable: there is none yet.
    """
    return _open(_newest(work))[0]


def peek_current(work: Work) -> Directory:
    """The newest directory, even an expired one: to compare with, never to trust. Raises Unavailable."""
    return _open(_newest(work))[1]


def current(work: Work, *, now: datetime) -> Directory:
    """The newest directory.

    Raises:
        Unavailable: there is none, or the root hasn't renewed it in time.
    """
    directory = peek_current(work)
    if now >= directory.expires:
        raise Unavailable(
            f"The key directory ended {directory.expires:%Y-%m-%d %H:%M} UTC.",
            where=f"directory, version {directory.version}",
            mend="The root signs a new version: dure directory sign, then push.",
        )
    return directory


def _newest(work: Work) -> bytes:
    row = work.one(select(directories.c.envelope).order_by(directories.c.version.desc()).limit(1))
    if row is None:
        raise Unavailable(
            "The root has not signed a key directory yet.",
            where="GET /v1/directory",
            mend="The root runs: dure directory sign, then dure directory push.",
        )
    return bytes(row.envelope)


@lru_cache(maxsize=8)
def _open(body: bytes) -> tuple[Envelope, Directory]:
    """Verified when it was put here; the bytes are the cache's key, so another version is another entry."""
    envelope: Envelope = decode(Envelope, body, where="the stored directory")
    return envelope, decode(Directory, envelope.payload, where="the stored directory")
