"""A node's folder: what stands where in it, opening it, and that one process works in it at a time.

Not responsible for: making it (`enrolment`), what its files say (`config`, `keys`, `journal`).
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dure.node.config import NodeConfig, read
from dure.node.journal import Journal
from dure.node.problems import NodeBusy

NODE_KEY, BOARD_KEY, LOCK, SPILL = "node.key", "board.key", "running", "spill"
LOOK_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Place:
    """An opened node: its folder, settings and journal."""

    folder: Path
    config: NodeConfig
    journal: Journal

    @property
    def node_key(self) -> Path:
        return self.folder / NODE_KEY

    @property
    def board_key(self) -> Path:
        return self.folder / BOARD_KEY


@contextmanager
def opened(folder: Path) -> Iterator[Place]:
    """The node in a folder. Raises NoNode, BadSetup, Malformed."""
    config = read(folder)
    journal = Journal(folder)
    try:
        yield Place(folder=folder, config=config, journal=journal)
    finally:
        journal.close()


@contextmanager
def working(folder: Path) -> Iterator[None]:
    """Only one process works in a folder.

    Raises:
        NodeBusy: another does. The lock dies with its process, so none is ever left behind.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(descriptor, within=LOOK_SECONDS):
            raise NodeBusy(
                f"Another process runs the node in {folder}.",
                where=str(folder / LOCK),
                mend="Stop it first (systemctl stop dure-node), or leave it running.",
            )
        yield
    finally:
        os.close(descriptor)


def is_running(folder: Path) -> bool:
    """Whether a process works in a folder now."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return not _locked(descriptor, within=0.0)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, *, within: float) -> bool:
    """Whether the lock was got in so many seconds: whoever only looks holds it for a moment."""
    until = time.monotonic() + within
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.01)
        else:
            return True
