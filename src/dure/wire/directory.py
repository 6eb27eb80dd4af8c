"""The directory: whose key is whose, signed by a root that isn't the hub.

Responsible for: members and their keys, versions that only move forward, looking a member up. Not responsible for:
how the root decides whom to admit (it compares fingerprints with people, out of band).
"""

import base64
from datetime import datetime
from enum import StrEnum

from dure.wire.codec import Moment, message
from dure.wire.envelope import BadKey, Envelope, open_sealed
from dure.wire.problems import Problem

KEY_BYTES = 32


class Untrusted(Problem):
    """A directory that is stale, rolled back or not signed by the pinned root; or a member it doesn't list."""

    slug, title, status, exit_code = "untrusted", "The key directory does not vouch for this", 403, 54


class Role(StrEnum):
    """What a member is in the network."""

    HOLDER = "holder"
    USER = "user"
    INTERMEDIARY = "intermediary"
    REGULATOR = "regulator"


@message
class Member:
    """One organisation and its pinned keys.

    Attributes:
        id: short lower-case name, unique in the network ("hanbit").
        affiliation: the group that it belongs to; hospitals of the asker's group don't count towards a roster.
        board_key: signs permits (holders only).
        node_key: signs what the node sends (holders only).
        asker_key: signs studies (users only).
        body_key: signs what it adds of carried answers; seal_key: shares are sealed to it (X25519): second bodies only,
            which are regulators or intermediaries.
        epoch: grows when a node is restored from backup or its keys change; older envelopes are void.
    """

    id: str
    name: str
    role: Role
    affiliation: str
    board_key: str | None = None
    node_key: str | None = None
    asker_key: str | None = None
    body_key: str | None = None
    seal_key: str | None = None
    epoch: int = 1


@message
class Directory:
    """All members at one time. `version` grows by one with each signing; after `expires` it vouches for nothing."""

    version: int
    issued: Moment
    expires: Moment
    members: tuple[Member, ...]

    def member(self, name: str, *, where: str) -> Member:
        """The member with this id.

        Raises:
            Untrusted: there is none.
        """
        for member in self.members:
            if member.id == name:
                return member
        raise Untrusted(
            f"The directory (version {self.version}) lists no member {name!r}.",
            where=where,
            mend="Check the name; a new member is listed once the root has confirmed its fingerprint.",
        )


def open_directory(
    envelope: Envelope, *, root: str, now: datetime, least_version: int, where: str
) -> Directory:
    """The directory in an envelope, if the pinned root signed it, it is fresh and not older than one seen before.

    Raises:
        Forged: not signed by the root.
        Untrusted: expired, from the future, or rolled back.
    """
    directory = open_sealed(Directory, envelope, "directory", root, where=where)
    if directory.version < least_version:
        raise Untrusted(
            f"Version {directory.version} is older than version {least_version}, which was seen before.",
            where=where,
            mend="Someone serves an old directory: ask the root for the newest one.",
        )
    if not directory.issued <= now < directory.expires:
        raise Untrusted(
            f"It holds from {directory.issued:%Y-%m-%d %H:%M} to {directory.expires:%Y-%m-%d %H:%M} UTC.",
            where=where,
            mend="Check this machine's clock; if it is right, ask the root to sign a new directory.",
        )
    return directory


def seal_key(text: str) -> bytes:
    """The bytes of an X25519 key, to which shares are sealed, from the text that a directory has of it.

    Raises:
        BadKey: not base64 of 32 bytes.
    """
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise BadKey("The text is not an X25519 key.", where=text[:60], mend="Give base64 of 32 bytes.")
    return key
