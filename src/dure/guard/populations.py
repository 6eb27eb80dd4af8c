"""Populations don't subtract: two answered groups of people may not differ by a few, nor make up a few together.

Responsible for: comparing populations within one hospital. Not responsible for: keeping them (the node's journal), what
the comparison is for (`ledger`), cells of one layout (`suppression`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

People = NDArray[np.int64]
TWICE = 2
"""Populations are combined that have at least twice k people: among fewer everything is near everything."""
MOST_COMBINED = 60
"""How many of the newest populations are combined with a new one."""
TOLD = 0.95
"""Answers may explain so much of what a few people add up to; two that aren't within each other never explain more than 10/11."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """A population of which numbers were given.

    Attributes:
        ref: names it to hub and hospitals alike: the run, the step, the cell that counts it.
        size: how many people it has here.
        load: gives them: sorted, distinct ordinals.
        members: the hospitals whose people were in the number; outside: those outside its asker's affiliation.
    """

    ref: str
    size: int
    load: Callable[[], People]
    members: frozenset[str]
    outside: frozenset[str]
    by_hospital: bool

    @cached_property
    def people(self) -> People:
        """The people, read once."""
        return self.load()


def small_difference(new: People, past: Iterable[People], k: int) -> bool:
    """Whether `new` without some past population, or that without `new`, is 1 to k-1 people.

    Args:
        new, past: sorted, distinct ordinals of people.
    """
    for other in past:
        common = len(np.intersect1d(new, other, assume_unique=True))
        if 0 < len(new) - common < k or 0 < len(other) - common < k:
            return True
    return False


def apart(new: People, past: Past, k: int) -> int:
    """How many people are in one of two populations only: exactly below k, and k where they are as many or more."""
    if abs(len(new) - past.size) >= k:
        return k
    common = len(np.intersect1d(new, past.people, assume_unique=True))
    return min(len(new) + past.size - 2 * common, k)


def small_combination(new: People, past: Sequence[Past], k: int) -> bool:
    """Whether `new` and past populations, added and subtracted in any measure, leave 1 to k-1 people and nobody else.

    People who are in the same of these populations can't be told apart: an atom. How much of the sum over an atom the answers tell
    is its leverage: the share of the sum's variance that they explain, were people's values independent; 1 where it comes out
    exactly. Small atoms of which they tell more than `TOLD` are refused, unless they told as much before, or `new` and a
    single other do (the network's difference, which is judged as such).
    """
    rows = [one.people for one in past if one.size >= TWICE * k][-MOST_COMBINED:]
    if len(new) < TWICE * k or len(rows) < TWICE:
        return False
    everyone = np.unique(np.concatenate([new, *rows]))
    pattern = np.zeros(len(everyone), dtype=np.uint64)
    for bit, people in enumerate([new, *rows]):
        pattern[np.searchsorted(everyone, people)] |= np.uint64(1 << bit)
    atoms, count = np.unique(pattern, return_counts=True)
    inside = ((atoms[:, None] >> np.arange(1 + len(rows), dtype=np.uint64)) & np.uint64(1)).astype(np.float64)
    small = count < k
    now, before = (_leverage(rows_inside, count, small) for rows_inside in (inside, inside[:, 1:]))
    differs = np.abs(inside[:, :1] - inside[:, 1:])
    by_two: NDArray[np.bool_] = differs[:, differs.sum(axis=0) == 1].sum(axis=1) > 0
    return bool(((now > TOLD) & (before <= TOLD) & ~by_two[small]).any())


def _leverage(
    inside: NDArray[np.float64], count: NDArray[np.int64], of: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The leverage of chosen atoms.

    Args:
        inside: which atoms lie in which populations. Shape (atoms, populations).
        count: the people of each atom.
    """
    weighted = inside * np.sqrt(count)[:, None]
    across = np.linalg.pinv(weighted.T @ weighted, rcond=1e-12, hermitian=True)
    chosen = weighted[of]
    return np.asarray(np.einsum("ij,jk,ik->i", chosen, across, chosen))
