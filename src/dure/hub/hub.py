"""The hub itself: its settings, store, clock and bell in one place, for the API and for pages.

Responsible for: running an action in a transaction, off the event loop, and ringing afterwards. Not responsible for: HTTP
(`api`), what actions do (`actions`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Concatenate, ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

from dure.hub.bell import Bell
from dure.hub.settings import Settings
from dure.hub.store.database import Store
from dure.hub.store.work import Work

P = ParamSpec("P")
T = TypeVar("T")


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Hub:
    """What every request shares."""

    settings: Settings
    store: Store
    clock: Callable[[], datetime] = utc_now
    bell: Bell = field(default_factory=Bell)

    @property
    def patience(self) -> timedelta:
        return timedelta(seconds=self.settings.patience_seconds)

    def reads(self, action: Callable[Concatenate[Work, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an action in a transaction that only reads; blocks."""
        with self.store.read() as work:
            return action(work, *args, **kwargs)

    def writes(self, action: Callable[Concatenate[Work, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an action in a transaction; blocks until it is on the disk."""
        with self.store.write() as work:
            return action(work, *args, **kwargs)

    def notes(self, action: Callable[Concatenate[Work, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an action on ephemeral tables, without waiting for the disk; blocks shortly."""
        with self.store.write(durable=False) as work:
            return action(work, *args, **kwargs)

    async def read(self, action: Callable[Concatenate[Work, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`reads`, off the event loop."""
        return await run_in_threadpool(lambda: self.reads(action, *args, **kwargs))

    async def write(self, action: Callable[Concatenate[Work, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`writes`, off the event loop."""
        return await run_in_threadpool(lambda: self.writes(action, *args, **kwargs))

    async def note(self, action: Callable[Concatenate[Work, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`notes`, off the event loop."""
        return await run_in_threadpool(lambda: self.notes(action, *args, **kwargs))
