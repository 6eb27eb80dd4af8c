"""Keeping what follows from an argument alone, for the latest few arguments.

Responsible for: finding it again by the argument, as an object first: to hash or to compare a model of thousands of covariates
takes longer than a round does. Not responsible for: anything that could change; whoever keeps something here says why it can't.
"""

from collections.abc import Callable
from typing import Any, TypeVar

K = TypeVar("K")
R = TypeVar("R")
MOST = 4


class Kept:
    """The latest few results, each of a function and an argument."""

    def __init__(self) -> None:
        self._latest: tuple[tuple[Callable[..., Any], Any, Any], ...] = ()

    def find(self, what: Callable[..., R], asked: K, work: Callable[[], R]) -> R:
        """The result of `what` for `asked`: the one that is kept, or else that of `work`."""
        latest = self._latest
        entry = next((e for e in latest if e[0] is what and e[1] is asked), None)
        if entry is None:
            same = next((e for e in latest if e[0] is what and e[1] == asked), None)
            entry = (what, asked, work() if same is None else same[2])
        self._latest = (entry, *(e for e in latest if e is not entry))[:MOST]
        found: R = entry[2]
        return found


def kept(make: Callable[[K], R]) -> Callable[[K], R]:
    """`make`, of which the latest few results are kept."""
    latest = Kept()

    def found(asked: K) -> R:
        return latest.find(make, asked, lambda: make(asked))

    return found
