"""The loop of a running node: poll, work, send, wait; and what it says while it waits.

Responsible for: time, and going on whatever the network does. Not responsible for: the work (`worker`), sending
(`courier`).
"""

import logging
import random
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.node import keys
from dure.node.courier import CLOCK_SKEW, deliver
from dure.node.hub_link import HubLink
from dure.node.journal import DATASET
from dure.node.place import SPILL, Place
from dure.node.problems import HubRefused, HubUnreachable
from dure.node.worker import Worker
from dure.node.workshop import Workshop
from dure.wire.directory import Untrusted
from dure.wire.envelope import Envelope, seal
from dure.wire.messages import Poll
from dure.wire.problems import Problem

if TYPE_CHECKING:
    from dure.node.answering import Computing

SHORTEST, LONGEST = 0.5, 60.0
IDLE_SHORTEST, IDLE_LONGEST = 0.05, 2.0
HELD_SECONDS = 1.0
"""A poll that brought nothing new sooner than this was not held by the hub: the node waits by itself."""
HEAVY = "dure.study.kinds"
"""Imported with the first request; the libraries behind it can't be unloaded."""
log = logging.getLogger("dure.node")


def utc_now() -> datetime:
    """The time, of which the worker has no other source."""
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Backoff:
    """Growing waits with jitter, in seconds, until something succeeds."""

    shortest: float
    longest: float
    _next: float = field(default=0.0, init=False)

    def reset(self) -> None:
        self._next = 0.0

    def wait(self) -> float:
        """How long to wait now: between half and all of a span that doubles."""
        span = min(max(self._next, self.shortest), self.longest)
        self._next = 2 * span
        return span * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret


class Node:
    """A node at work in its place, over a link to its hub."""

    def __init__(self, place: Place, link: HubLink, *, clock: Callable[[], datetime] = utc_now) -> None:
        config = place.config
        self.place = place
        self.link = link
        self.clock = clock
        self.node_key = keys.read(place.node_key)
        self.workshop = Workshop(
            cdm=config.cdm,
            memory=config.memory,
            work_seconds=config.work_minutes * 60.0,
            spill=place.folder / SPILL,
        )
        self._computing: Computing | None = None
        self.worker = Worker(
            config=config,
            journal=place.journal,
            node_key=self.node_key,
            computing=self._compute,
            clock=clock,
            board_key=partial(_unlocked_board_key, place),
        )
        self._said = ""
        self._last_news = time.monotonic()

    def close(self) -> None:
        self.workshop.stop()
        self.link.close()

    def turn(self, *, wait_seconds: int) -> bool:
        """One poll and all that follows from it; whether anything new came of it.

        Raises:
            HubUnreachable, HubRefused: the hub. Untrusted: the directory. DiskFull: the journal.
        """
        trust, now = self.worker.trust, self.clock()
        if trust.version == 0:
            trust.learn(self.link.directory(), now=now)
        try:
            me = trust.me(trust.directory(now=now))
        except Untrusted:
            trust.learn(self.link.directory(), now=now)
            me = trust.me(trust.directory(now=now))
        sent = deliver(self.place.journal, self.link, clock=self.clock)
        self.say(self._waits())
        answer = self.link.poll(self._poll(me.epoch, wait_seconds), wait_seconds=wait_seconds)
        news = self.worker.hear(answer)
        sent += deliver(self.place.journal, self.link, clock=self.clock)
        return news or sent > 0

    def run(self) -> None:
        """Turn after turn, until a signal ends the process; or until it has worked and then been idle for long.

        Then it returns: a process that starts afresh is small again, and the journal has all that it knows.
        """
        trouble, idle = (
            Backoff(shortest=SHORTEST, longest=LONGEST),
            Backoff(shortest=IDLE_SHORTEST, longest=IDLE_LONGEST),
        )
        while True:
            began = time.monotonic()
            try:
                news = self.turn(wait_seconds=self.place.config.wait_seconds)
                trouble.reset()
                if news:
                    idle.reset()
                    self._last_news = time.monotonic()
                    continue
                if self._is_idle():
                    return
                if time.monotonic() - began < HELD_SECONDS:
                    time.sleep(idle.wait())
            except (HubUnreachable, HubRefused, Untrusted) as problem:
                self.say(self._waits_for(problem))
                if self._is_idle():
                    return
                time.sleep(trouble.wait())
            except Problem as problem:
                self.say(f"{problem.title}: {problem.what} {problem.mend}")
                time.sleep(trouble.wait())

    def run_until_idle(self) -> None:
        """Turn after turn until one brings nothing new. Raises as `turn`."""
        while self.turn(wait_seconds=0):
            pass

    def say(self, line: str) -> None:
        """A line in the log where it says something else than the last."""
        if line != self._said:
            self._said = line
            log.info("%s", line)

    def _waits(self) -> str:
        undecided = self.place.journal.undecided()
        return f"waits for {f'the board to decide (requests: {undecided}), and for ' * bool(undecided)}work"

    def _waits_for(self, problem: Problem) -> str:
        if isinstance(problem, HubRefused) and problem.told == CLOCK_SKEW:
            return f"waits for the right time: {problem.what} {problem.mend}"
        if isinstance(problem, HubUnreachable):
            return f"waits for the hub: {problem.what} ({problem.where}) {problem.mend}"
        if isinstance(problem, HubRefused):
            return f"waits: the hub says {problem.what} ({problem.where}) {problem.mend}"
        return f"waits for the root: {problem.what} {problem.mend}"

    def _is_idle(self) -> bool:
        """Whether this process carries what only work needs, and has had no work for long."""
        quiet = time.monotonic() - max(self._last_news, self.workshop.last_used)
        return HEAVY in sys.modules and quiet > self.place.config.idle_minutes * 60

    def _poll(self, epoch: int, wait_seconds: int) -> Envelope:
        poll = Poll(
            hospital=self.place.config.hospital,
            epoch=epoch,
            dataset_version=(self.place.journal.fact(DATASET) or b"").decode(),
            directory_version=self.worker.trust.version,
            sent=self.clock(),
            wait_seconds=wait_seconds,
            nonce=secrets.token_hex(16),
        )
        return seal(poll, "poll", self.node_key)

    def _compute(self) -> "Computing":
        if self._computing is None:
            from dure.node.answering import Computing

            self._computing = Computing(
                hospital=self.place.config.hospital,
                journal=self.place.journal,
                workshop=self.workshop,
                budget=self.place.config.budget,
            )
        return self._computing


def _unlocked_board_key(place: Place) -> Ed25519PrivateKey | None:
    """The board key, if it is here and has no passphrase: the standing yes can't ask for one."""
    if not place.board_key.exists() or keys.is_locked(place.board_key):
        return None
    return keys.read(place.board_key)
