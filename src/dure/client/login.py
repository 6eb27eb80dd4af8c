"""Where a user is signed in: the hub's address, the token, the root's pinned key. One private file.

Responsible for: keeping and reading it. Not responsible for: getting a token (`connection.sign_in`).
"""

import os
from dataclasses import replace
from pathlib import Path

from dure.client import keys
from dure.client.problems import NoSignIn
from dure.wire.codec import Malformed, decode, encode, message

LOGIN_FILE = "login.json"
MOST_BYTES = 100_000


@message
class Login:
    """A sign-in.

    Attributes:
        root: the root's public key, pinned; None where nobody gave it yet.
        directory_version: the newest directory that was seen; an older one is a rollback.
    """

    hub: str
    token: str
    root: str | None = None
    directory_version: int = 0


def path() -> Path:
    """The file that it is kept in."""
    return keys.folder() / LOGIN_FILE


def keep(login: Login) -> Path:
    """Keep a sign-in, in place of the one before.

    Raises:
        Unwritable: the folder can't be written.
    """
    keys.keep(path(), encode(login), replace=True)
    return path()


def read() -> Login | None:
    """The sign-in that is kept; None if there is none.

    Raises:
        NoSignIn: the file is there and isn't one, or others may read it.
    """
    place = path()
    try:
        with place.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoSignIn(f"{error.strerror}.", where=str(place), mend="Make the file yours.") from None
    if mode & 0o077:
        raise NoSignIn(
            "Others on this machine may read the token.", where=str(place), mend=f"Run: chmod 600 {place}"
        )
    try:
        return decode(Login, text, where=str(place))
    except Malformed as problem:
        raise NoSignIn(
            problem.what, where=problem.where, mend="Delete the file and run: dure study login"
        ) from None


def found(*, hub: str | None, token: str | None, root: str | None) -> Login:
    """The sign-in to use: what is given, else the environment (DURE_HUB, DURE_TOKEN, DURE_ROOT), else what is kept.

    A kept token is used with the hub that it is for and no other.

    Raises:
        NoSignIn: there is no address or no token.
    """
    kept = read()
    address = hub or os.environ.get("DURE_HUB") or (kept.hub if kept else None)
    if address is None:
        raise NoSignIn(
            "No hub is named.",
            where="--hub, DURE_HUB",
            mend="Give --hub URL, or run: dure study login --hub URL",
        )
    mine = kept if kept is not None and kept.hub == address else None
    secret = token or os.environ.get("DURE_TOKEN") or (mine.token if mine else None)
    if secret is None:
        raise NoSignIn(
            f"There is no token for {address}.",
            where="--token, DURE_TOKEN",
            mend=f"Run: dure study login --hub {address}",
        )
    seen = mine.directory_version if mine else 0
    pinned = root or os.environ.get("DURE_ROOT") or (mine.root if mine else None)
    return Login(hub=address, token=secret, root=pinned, directory_version=seen)


def remember(hub: str, version: int) -> None:
    """Keep in mind that the hub's directory has reached a version, if the sign-in to it is kept."""
    kept = read()
    if kept is not None and kept.hub == hub and kept.directory_version < version:
        keep(replace(kept, directory_version=version))
