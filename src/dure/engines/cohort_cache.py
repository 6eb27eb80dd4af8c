"""Cohorts that an engine has computed, kept for the next study that asks for them.

Responsible for: which answers are kept, for how long, under which key. A plan's digest says what is computed and a dataset's
version of what, so an answer of another version is never found. Kept in the memory of the engine's own process, never on a
disk; it goes with the engine. Not responsible for: computing, or what may leave the hospital.
"""

from collections import OrderedDict
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import pyarrow as pa

from dure.cohort import CohortPlan
from dure.engines.base import Engine

MOST_BYTES = 64 << 20
Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Rows of a plan; `qualified` is None where nobody has asked for it."""

    rows: pa.Table
    qualified: pa.Table | None

    @property
    def size(self) -> int:
        return int(self.rows.nbytes + (self.qualified.nbytes if self.qualified is not None else 0))


class CohortCache:
    """The answers of one engine, up to `most_bytes`; those that were asked for longest ago go first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._bytes = 0

    def find(self, version: str, plan: CohortPlan, *, attrition: bool) -> Kept | None:
        found = self._kept.get((version, plan.digest))
        if found is None or (attrition and found.qualified is None):
            return None
        self._kept.move_to_end((version, plan.digest))
        return found

    def keep(self, version: str, plan: CohortPlan, kept: Kept) -> None:
        self._drop((version, plan.digest))
        if kept.size > self.most_bytes:
            return
        self._kept[version, plan.digest] = kept
        self._bytes += kept.size
        while self._bytes > self.most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._bytes -= gone.size


_OF_ENGINE: WeakKeyDictionary[Engine, CohortCache] = WeakKeyDictionary()


def cache_of(engine: Engine) -> CohortCache:
    """The engine's own cache."""
    return _OF_ENGINE.setdefault(engine, CohortCache())


def forget(engine: Engine) -> None:
    """Forget what was computed, so that the next run computes again."""
    _OF_ENGINE.pop(engine, None)
