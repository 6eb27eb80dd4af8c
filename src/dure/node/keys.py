"""The hospital's private keys, as files that only their owner can read.

Responsible for: making, writing and reading them. Not responsible for: what is signed (`decision`, `worker`), or whose
public key is trusted (`dure.wire.directory`).
"""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from dure.node.problems import BadKeyFile

OTHERS = 0o077


def make(path: Path, passphrase: str | None = None) -> Ed25519PrivateKey:
    """A new Ed25519 key, written as PEM (PKCS 8) with mode 0600, encrypted where a passphrase is given."""
    key = Ed25519PrivateKey.generate()
    lock = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
        file.flush()
        os.fsync(file.fileno())
    return key


def is_locked(path: Path) -> bool:
    """Whether a key file is encrypted with a passphrase."""
    return b"BEGIN ENCRYPTED" in _read(path)


def read(path: Path, passphrase: str | None = None) -> Ed25519PrivateKey:
    """The key in a file.

    Raises:
        BadKeyFile: missing, readable by others, not an Ed25519 key, or the passphrase doesn't open it.
    """
    data = _read(path)
    if path.stat().st_mode & OTHERS:
        raise BadKeyFile(
            f"{path.name} can be read by others on this machine.", where=str(path), mend=f"chmod 600 {path}"
        )
    try:
        key = load_pem_private_key(data, passphrase.encode() if passphrase else None)
    except TypeError:
        what = "needs its passphrase" if passphrase is None else "has no passphrase"
        raise BadKeyFile(
            f"{path.name} {what}.", where=str(path), mend="Give the passphrase it was made with, if any."
        ) from None
    except ValueError:
        raise BadKeyFile(
            f"{path.name} doesn't open.", where=str(path), mend="Check the passphrase; else use a copy."
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKeyFile(
            f"{path.name} holds another kind of key.", where=str(path), mend="Give an Ed25519 key."
        )
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadKeyFile(
            f"{path.name} can't be read: {error.strerror}.",
            where=str(path),
            mend="Bring the key back (the board key may be kept elsewhere), or name its place.",
        ) from None


def ask(path: Path, passphrase: Callable[[], str]) -> Ed25519PrivateKey:
    """The key in a file; `passphrase` is called only where the file is locked. Raises as `read`."""
    return read(path, passphrase() if is_locked(path) else None)
