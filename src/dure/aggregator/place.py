"""The aggregator's folder: its keys, the newest directory it saw, and what it has added, which it adds only once.

Responsible for: making the folder, reading it, keeping an answer before it is given. Not responsible for: what may be added
(`adding`), whose keys are trusted (`dure.wire.directory`).
"""

import base64
import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from dure.wire.by_hand import AggregatorEnrolment
from dure.wire.codec import decode, encode, message
from dure.wire.directory import Directory, Role, open_directory
from dure.wire.envelope import Envelope, peek, public_key, seal
from dure.wire.problems import Problem

SETTINGS, BODY_KEY, SEAL_KEY, DIRECTORY, ENROLMENT, RUNS = (
    "aggregator.json", "body.key", "seal.key", "directory.json", "enrolment.json", "runs",
)  # fmt: skip
OTHERS = 0o077


class NoAggregator(Problem):
    """A folder that isn't an aggregator's, or that can't be read or written."""

    slug, title, status, exit_code = "no-aggregator", "There is no aggregator here", 404, 39


@message
class AggregatorSettings:
    """Who this aggregator is, and whose directory it trusts."""

    id: str
    name: str
    role: Role
    affiliation: str
    root_key: str


@message
class Added:
    """What was done for one run.

    Attributes:
        manifest: its digest.
        opened: the judgement that was given, and `summed` the half sum, each in its envelope; None before.
    """

    manifest: str
    opened: Envelope
    summed: Envelope | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """An aggregator's folder, opened."""

    folder: Path
    settings: AggregatorSettings
    body_key: Ed25519PrivateKey
    seal_key: X25519PrivateKey

    def learn(self, envelope: Envelope, *, now: datetime) -> Directory:
        """The directory in a file, kept if it is newer than the one seen before.

        Raises:
            Forged, Untrusted: it can't be trusted, or an older one was brought.
        """
        path = self.folder / DIRECTORY
        seen = 0
        if path.exists():
            known: Envelope = decode(Envelope, path.read_bytes(), where=str(path))
            seen = peek(Directory, known, where=str(path)).version
        directory = open_directory(
            envelope, root=self.settings.root_key, now=now, least_version=seen, where="the file's directory"
        )
        if directory.version > seen:
            _write(path, encode(envelope))
        return directory

    def added(self, run: str) -> Added | None:
        """What was done for a run."""
        path = self._of(run)
        return decode(Added, path.read_bytes(), where=str(path)) if path.exists() else None

    def keep(self, run: str, added: Added) -> None:
        """Remember it: on the disk before the answer is given, or a crash could have it added twice."""
        _write(self._of(run), encode(added))

    def _of(self, run: str) -> Path:
        return self.folder / RUNS / f"{hashlib.sha256(run.encode()).hexdigest()}.json"


def make(folder: Path, settings: AggregatorSettings) -> str:
    """A new aggregator in a folder; its public key, whose fingerprint its people read to the root.

    Raises:
        NoAggregator: there is something, or the folder can't be written. BadKey: the root's key is none.
    """
    public_key(settings.root_key)
    body, sealing = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    enrolment = AggregatorEnrolment(
        id=settings.id,
        name=settings.name,
        role=settings.role,
        affiliation=settings.affiliation,
        body_key=_text(body),
        seal_key=_text(sealing),
    )
    try:
        folder.mkdir(parents=True, mode=0o700)
        (folder / RUNS).mkdir(mode=0o700)
        for name, key in ((BODY_KEY, body), (SEAL_KEY, sealing)):
            _write(folder / name, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        _write(folder / ENROLMENT, encode(seal(enrolment, "aggregator", body)))
        _write(folder / SETTINGS, encode(settings))
    except OSError as error:
        raise NoAggregator(
            f"{error.strerror}.",
            where=str(folder),
            mend="Name a folder that doesn't exist yet; keys are never replaced.",
        ) from None
    return enrolment.body_key


def opened(folder: Path) -> Place:
    """The aggregator in a folder.

    Raises:
        NoAggregator: there is none, others may read its keys, or they don't open. Malformed: its settings.
    """
    path = folder / SETTINGS
    try:
        settings: AggregatorSettings = decode(AggregatorSettings, path.read_bytes(), where=str(path))
        keys = []
        for name in (BODY_KEY, SEAL_KEY):
            if (folder / name).stat().st_mode & OTHERS:
                raise NoAggregator(
                    f"{name} can be read by others on this machine.",
                    where=str(folder / name),
                    mend=f"chmod 600 {folder / name}",
                )
            keys.append(load_pem_private_key((folder / name).read_bytes(), password=None))
    except OSError as error:
        raise NoAggregator(
            f"{error.strerror}.", where=str(folder), mend="Make one: dure aggregator keys"
        ) from None
    except ValueError:
        raise NoAggregator(
            "A key does not open.", where=str(folder), mend="Bring the key back from a copy."
        ) from None
    body, sealing = keys
    if not isinstance(body, Ed25519PrivateKey) or not isinstance(sealing, X25519PrivateKey):
        raise NoAggregator(
            "A key is of another kind.", where=str(folder), mend="Bring the key back from a copy."
        )
    return Place(folder=folder, settings=settings, body_key=body, seal_key=sealing)


def _text(key: Ed25519PrivateKey | X25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, on the disk, readable by the owner only."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
