"""Suppression: which cells may be shown, so that no small one can be had by subtraction.

Responsible for: small cells, and the ordinary ones that must be hidden with them (complementary suppression) over a
layout's relations: margins, funnels, complements. Not responsible for: differences between answers (`populations`), whether a
hidden cell fits what is shown (`exposure`).

A cell is small when it rests on 1 to k-1 people. Zero is shown: nobody is behind it.

Layouts may have tens of thousands of cells, most of which bear on few others: only relations that hold a cell just hidden are
looked at again, in the relations' order. `tests/generative/suppression_referee.py` looks at all of them every time, and hides the same.
"""

import heapq
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dure.guard.exposure import Exposure
from dure.wire.sums import Layout, Relation, Support

Mask = NDArray[np.bool_]
MOST_JUDGED = 8


@dataclass(frozen=True)
class _Question:
    """All that a verdict follows from. Equal are those of one layout, the same people behind every cell, and one k."""

    digest: str
    support: bytes
    k: int
    layout: Layout = field(compare=False)


def open_cells(layout: Layout, support: Support, k: int) -> Mask:
    """The cells that may be shown. Shape (len(layout.cells),).

    Two things hold for the result. In each relation whose whole is shown, what is left after subtracting the shown
    parts is nobody, or a group that holds no small cell, or at least two cells with k people. And nobody who knows all
    shown cells, all relations and how many people are in two parts of one can tell of any small cell that it is below
    k: so no small cell, and no sum that holds one, comes out by any arithmetic.

    Cells of a group that is shown together are all hidden where one of them is small, or hidden for another's sake.

    Hiding more never opens what was closed, so each small cell is made safe once.

    Rounds of one statistic mostly ask about the same people: the latest verdicts are kept.

    Args:
        support: people behind each cell, complements included. Shape (len(layout.cells),).
    """
    told = np.ascontiguousarray(support, dtype=np.int64).tobytes()
    return _judged(_Question(layout.digest, told, k, layout)).copy()


@lru_cache(maxsize=MOST_JUDGED)
def _judged(question: _Question) -> Mask:
    layout, k = question.layout, question.k
    support = np.frombuffer(question.support, dtype=np.int64)
    small = (support > 0) & (support < k)
    shown = np.zeros(len(layout.cells), dtype=np.bool_)
    shown[layout.rests_on] = True
    can_be_shown = shown.copy()
    shown &= ~small
    if not small.any():
        return shown
    _close_leaks(layout, support, small, shown, k)
    exposure = Exposure(layout, support, can_be_shown, shown, k)
    for cell in exposure.doubtful(np.flatnonzero(small)):
        while (next_hidden := exposure.by(cell)) is not None:
            shown[next_hidden] = False
    _hide_torn_groups(layout, small, can_be_shown, shown)
    return shown


def _close_leaks(layout: Layout, support: Support, small: Mask, shown: Mask, k: int) -> None:
    """Hide cells until no relation by itself gives a small group away: always for the first relation that does."""
    waiting = _perhaps_leaking(layout, support, small, shown, k)
    queued = set(waiting)
    arrays = layout.relation_arrays
    while waiting:
        relation = heapq.heappop(waiting)
        queued.discard(relation)
        hidden = _leak(layout.relations[relation], support, small, shown, k)
        if hidden is None:
            continue
        shown[hidden] = False
        touched = arrays.holding[arrays.starts[hidden] : arrays.starts[hidden + 1]]
        for other in (relation, *touched.tolist()):
            if other not in queued:
                queued.add(other)
                heapq.heappush(waiting, other)


def _perhaps_leaking(layout: Layout, support: Support, small: Mask, shown: Mask, k: int) -> list[int]:
    """The relations, in order, whose whole is shown and of whose parts a small one is not."""
    relations = layout.relation_arrays
    small_left = relations.over_parts((small & ~shown).astype(np.int64))
    return [int(found) for found in np.flatnonzero(shown[relations.whole] & (small_left > 0))]


def _leak(relation: Relation, support: Support, small: Mask, shown: Mask, k: int) -> int | None:
    """A cell to hide because this relation by itself gives a small group away; None if it doesn't."""
    if not shown[relation.whole]:
        return None
    parts = np.array(relation.parts)
    is_shown = shown[parts]
    left = parts[~is_shown]
    if not small[left].any():
        return None
    people = int(support[relation.whole] - support[parts[is_shown]].sum())
    # Where parts overlap, that is the least that the group can be; its largest cell is another such bound.
    group = people if relation.disjoint else max(people, int(support[left].max()))
    if len(left) > 1 and group >= k:
        return None
    return _partner(parts[is_shown], support, k - max(people, 0), otherwise=relation.whole)


def _partner(candidates: NDArray[np.int64], support: Support, missing: int, *, otherwise: int) -> int:
    """The smallest candidate that brings at least `missing` people, else the largest, else `otherwise`."""
    populated = candidates[support[candidates] > 0]
    if not len(populated):
        return otherwise
    enough = populated[support[populated] >= missing]
    if len(enough):
        return int(enough[np.argmin(support[enough])])
    return int(populated[np.argmax(support[populated])])


def _hide_torn_groups(layout: Layout, small: Mask, can_be_shown: Mask, shown: Mask) -> None:
    """Hide every group of which a cell is shown although another is small or hidden, until there is none."""
    groups = [list(group) for group in layout.together]
    torn = True
    while torn:
        torn = False
        for cells in groups:
            if shown[cells].any() and (small[cells] | (can_be_shown[cells] & ~shown[cells])).any():
                shown[cells] = False
                torn = True
