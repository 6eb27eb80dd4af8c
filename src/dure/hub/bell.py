"""Who waits for what: topics that are rung after a commit, here or in another process.

Responsible for: waking waiting requests, with no wake-up lost between looking and waiting. Not responsible for: what
there is to see (it is read from the store), telling other processes (the store does).
"""

import asyncio
from collections import defaultdict

from dure.hub.store.database import EVERYTHING


class Bell:
    """Rings may come from any thread; waiting happens on the loop that the bell was hung in."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    def hang(self) -> None:
        """Belong to the running loop."""
        self._loop = asyncio.get_running_loop()

    def ring(self, topics: frozenset[str]) -> None:
        """Wake who waits for any of these topics. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring, topics)

    def _ring(self, topics: frozenset[str]) -> None:
        named = list(self._waiting) if EVERYTHING in topics else topics
        for topic in named:
            for waiter in self._waiting.get(topic, ()):
                waiter.set()

    def listen(self, topic: str) -> "Ear":
        """An ear that hears all rings of the topic from now on; use it as a context."""
        return Ear(self._waiting, topic)


class Ear:
    """One waiting request: `wait` returns at once if the topic was rung since the last `wait`."""

    def __init__(self, waiting: dict[str, set[asyncio.Event]], topic: str) -> None:
        self._waiting, self._topic, self._event = waiting, topic, asyncio.Event()

    def __enter__(self) -> "Ear":
        self._waiting[self._topic].add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting[self._topic].discard(self._event)
        if not self._waiting[self._topic]:
            del self._waiting[self._topic]

    async def wait(self, seconds: float) -> bool:
        """Whether the topic was rung within so many seconds."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return False
        self._event.clear()
        return True
