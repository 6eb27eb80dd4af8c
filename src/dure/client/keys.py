"""The asker's key: made here, kept here, never sent.

Responsible for: making and reading the private key file. Not responsible for: whose key it is (the root lists it in the
directory once people have compared the fingerprint).
"""

import os
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from dure.client.problems import BadKeyFile, Unwritable

KEY_FILE = "asker.key"
MOST_BYTES = 10_000


def folder() -> Path:
    """Where this user's key and sign-in are kept: $XDG_CONFIG_HOME/dure, else ~/.config/dure."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "dure"


def key_path(path: Path | None = None) -> Path:
    """The key file that is meant: the one given, else the user's own."""
    return path if path is not None else folder() / KEY_FILE


def new(path: Path | None = None) -> Ed25519PrivateKey:
    """Make a key and keep it in a file that only its owner may read (PKCS#8, PEM).

    Raises:
        Unwritable: there is one already, which is never replaced; or the folder can't be written.
    """
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    keep(key_path(path), text, replace=False)
    return key


def read(path: Path | None = None) -> Ed25519PrivateKey:
    """The key in a file.

    Raises:
        BadKeyFile: there is none, others may read it, or it holds no Ed25519 key.
    """
    place = key_path(path)
    try:
        with place.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(MOST_BYTES)
    except OSError as error:
        raise BadKeyFile(
            f"{error.strerror}.", where=str(place), mend="Make a key with `dure study key new`."
        ) from None
    if mode & 0o077:
        raise BadKeyFile(
            "Others on this machine may read it.", where=str(place), mend=f"Run: chmod 600 {place}"
        )
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKeyFile(
            "It holds no Ed25519 private key in PEM.",
            where=str(place),
            mend="Give the file that `dure study key new` made.",
        )
    return key


def keep(place: Path, text: bytes, *, replace: bool) -> None:
    """Write a private file whole or not at all, readable by its owner only.

    Raises:
        Unwritable: it exists and may not be replaced, or the folder can't be written.
    """
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            part.replace(place)
        else:
            os.link(part, place)
    except FileExistsError:
        raise Unwritable(
            "It exists already and is not replaced.", where=str(place), mend="Give another path."
        ) from None
    except OSError as error:
        raise Unwritable(
            f"{error.strerror}.", where=str(place), mend="Make the folder writable, or give another path."
        ) from None
    finally:
        with suppress(OSError):
            part.unlink()
