"""A hub and nodes as processes that kill themselves without warning at a point told to them: before, within or after a
transaction, before or after a letter.

Responsible for: the programs of `test_kill_masked`, forked from a server that has imported everything, and the witness: what a node
is about to send is on the disk before it can leave. Not responsible for: who dies when, what must hold.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dure.hub import server
from dure.hub.app import create_app
from dure.hub.hub import Hub
from dure.hub.settings import Settings
from dure.hub.store.work import Work
from dure.node import loop, worker
from dure.node.hub_link import HubLink
from dure.node.journal import Journal
from dure.node.loop import Node
from dure.node.operate import _log_to_standard_error, link_of
from dure.node.place import opened, working
from dure.stats.base import Frame
from dure.study.kinds import kind_of  # noqa: F401 - imported before the fork
from dure.wire.codec import decode, encode
from dure.wire.envelope import seal

SENT, PEOPLE, LOG = "sent.log", "people.npy", "log"
WITHIN_SECONDS = 0.2


class Points:
    """Counts points, and dies at one of them."""

    def __init__(self, die_at: int | None) -> None:
        self.left = die_at

    def __call__(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


class AtHand:
    """A workshop without processes of its own: the statistic over made-up people."""

    last_used = 0.0

    def __init__(self, parts: np.ndarray) -> None:
        self.frame = Frame(
            person=np.arange(len(parts)), columns={"value": parts, "reached": np.ones(len(parts), np.int64)}
        )

    def answer(self, job):
        statistic = job.step.statistic
        state = decode(statistic.state, job.state, where="state")
        return statistic.local(self.frame, job.step.params, state)

    def stop(self) -> None:
        """Nothing runs."""


def run_hub(folder: str, port: int, root_key: str, patience: int, die_at: int | None) -> None:
    """A hub on SQLite. Points: around each transaction, and before its commit."""
    _to_file(Path(folder))
    point, writes, sealing = Points(die_at), Hub.writes, Work.seal

    def seal_(self) -> None:
        sealing(self)
        point()

    def writes_(self, action, *arguments, **named):
        point()
        done = writes(self, action, *arguments, **named)
        point()
        return done

    Hub.writes, Work.seal = writes_, seal_
    database = f"sqlite:///{folder}/hub.sqlite"
    settings = Settings(
        database=database, root_key=root_key, patience_seconds=patience, sweep_seconds=WITHIN_SECONDS
    )
    server.serve(create_app(settings), host="127.0.0.1", port=port)


def run_node(folder: str, die_at: int | None, *, early: bool = False) -> None:
    """A node. Points: around and within each transaction, and around each letter.

    Args:
        early: the seeded defect: a word on masks is sent before the decision that it tells is kept.
    """
    _to_file(Path(folder))
    _log_to_standard_error()
    point, writing, post = Points(die_at), Journal.writing, HubLink.post
    witness = os.open(Path(folder) / SENT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    @contextmanager
    def writing_(self, *, durable: bool = True) -> Iterator[None]:
        point()
        with writing(self, durable=durable):
            yield
            point()
        point()

    def post_(self, door: str, body: bytes) -> None:
        os.write(witness, body + b"\n")
        point()
        post(self, door, body)
        point()

    Journal.writing, HubLink.post = writing_, post_
    loop.SHORTEST = loop.LONGEST = worker.PATIENCE_SECONDS = WITHIN_SECONDS
    with opened(Path(folder)) as place, working(place.folder):
        node = Node(place, link_of(place.config))
        node.workshop = AtHand(np.load(Path(folder) / PEOPLE))
        if early:
            worker.Worker._shake_hands = sent_before_it_is_kept(node)
        node.run()


def sent_before_it_is_kept(node: Node):
    """The seeded defect."""

    def shake_hands(self, player, task, permit) -> bool:
        said = player.word(task, secret=os.urandom(worker.SECRET_BYTES))
        sealed = seal(said, "handshake", self.node_key)
        node.link.post(worker.ANSWERS, encode(sealed))
        with self.journal.writing():
            letter = self._write(sealed, "handshake")
            self.journal.give(task, permit, numbers=0, rule="", letter=letter, now=self.clock())
            self.journal.keep_party(task.run, encode(player.party))
        return True

    return shake_hands


def _to_file(folder: Path) -> None:
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
