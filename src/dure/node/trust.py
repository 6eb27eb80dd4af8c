"""What this node trusts: the pinned root, the newest directory seen, and its own place in it.

Responsible for: learning a directory and never going back. Not responsible for: the checks themselves
(`dure.wire.directory`).
"""

from datetime import datetime

from dure.node.config import NodeConfig
from dure.node.journal import Journal
from dure.wire.codec import decode, encode
from dure.wire.directory import Directory, Member, Untrusted, open_directory
from dure.wire.envelope import Envelope, fingerprint

DIRECTORY, VERSION = "directory", "directory version"


class Trust:
    """The directory as this node knows it."""

    def __init__(self, config: NodeConfig, journal: Journal, node_key: str) -> None:
        self.config = config
        self.journal = journal
        self.node_key = node_key

    @property
    def version(self) -> int:
        """The newest version seen; 0 before any."""
        return int(self.journal.fact(VERSION) or b"0")

    def learn(self, envelope: Envelope, *, now: datetime) -> bool:
        """Keep a directory that is newer than the one known; whether it was.

        Raises:
            Forged, Untrusted, Malformed: it can't be trusted; what is known stays.
        """
        known, seen = self.journal.fact(DIRECTORY), self.version
        directory = open_directory(
            envelope, root=self.config.root_key, now=now, least_version=seen, where="the hub's directory"
        )
        if directory.version == seen and known is not None:
            kept: Envelope = decode(Envelope, known, where="journal")
            if kept.payload == envelope.payload:
                return False
            raise Untrusted(
                f"Two directories call themselves version {seen}.",
                where="the hub's directory",
                mend="Ask the root which one holds; it signs a newer one.",
            )
        with self.journal.writing():
            self.journal.keep_fact(DIRECTORY, encode(envelope))
            self.journal.keep_fact(VERSION, str(directory.version).encode())
        return True

    def directory(self, *, now: datetime) -> Directory:
        """The directory known, checked again.

        Raises:
            Untrusted: none was seen yet, or it has expired.
        """
        known = self.journal.fact(DIRECTORY)
        if known is None:
            raise Untrusted(
                "The hub has shown no directory yet.",
                where="directory",
                mend="Wait until the root has signed one.",
            )
        return open_directory(
            decode(Envelope, known, where="journal"),
            root=self.config.root_key,
            now=now,
            least_version=self.version,
            where="the directory known to this node",
        )

    def me(self, directory: Directory) -> Member:
        """This hospital's entry.

        Raises:
            Untrusted: not listed yet, or with other keys.
        """
        config = self.config
        prints = f"board {fingerprint(config.board_key)}, node {fingerprint(self.node_key)}"
        mend = f"Read the fingerprints to the root: {prints}."
        if all(member.id != config.hospital for member in directory.members):
            raise Untrusted(
                f"The root hasn't listed {config.hospital} yet (directory version {directory.version}).",
                where="directory",
                mend=mend,
            )
        member = directory.member(config.hospital, where="directory")
        if (member.board_key, member.node_key) != (config.board_key, self.node_key):
            raise Untrusted(
                f"The directory lists other keys for {config.hospital}.", where="directory", mend=mend
            )
        return member
