"""Suppression: which cells may be shown, so that no small one can be had by subtraction.

Responsible for: small cells, and the ordinary ones that must be hidden with them (complementary suppression) over a
layout's relations: margins, funnels, complements. Not responsible for: differences between answers (`populations`).

A cell is small when it rests on 1 to k-1 people. Zero is shown: nobody is behind it.
"""

import heapq
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dure.wire.sums import Layout, Relation, Support

Mask = NDArray[np.bool_]


class _Web:
    """The relations of a layout by the cells that they hold, so that thousands of covariates are looked up, not searched."""

    def __init__(self, layout: Layout) -> None:
        self.relations = layout.relations
        self.of: list[list[int]] = [[] for _ in layout.cells]
        for number, relation in enumerate(layout.relations):
            for cell in dict.fromkeys(_cells(relation)):
                self.of[cell].append(number)

    @cached_property
    def parts(self) -> list[NDArray[np.int64]]:
        return [np.array(relation.parts) for relation in self.relations]


def open_cells(layout: Layout, support: Support, k: int) -> Mask:
    """The cells that may be shown. Shape (len(layout.cells),).

    Two things hold for the result. In each relation whose whole is shown, what is left after subtracting the shown
    parts is nobody, or a group that holds no small cell, or at least two cells with k people. And nobody who knows all
    shown cells, all relations and how many people are in two parts of one can tell of any small cell that it is below
    k: so no small cell, and no sum that holds one, comes out by any arithmetic.

    Cells of a group that is shown together are all hidden where one of them is small, or hidden for another's sake.

    Hiding more never opens what was closed, so each small cell is made safe once.

    Args:
        support: people behind each cell, complements included. Shape (len(layout.cells),).
    """
    small = (support > 0) & (support < k)
    shown = np.zeros(len(layout.cells), dtype=np.bool_)
    shown[layout.rests_on] = True
    can_be_shown = shown.copy()
    shown &= ~small
    web = _Web(layout)
    _close_leaks(web, support, small, shown, k)
    for cell in np.flatnonzero(small):
        while (next_hidden := _exposing_cell(web, support, can_be_shown, shown, int(cell), k)) is not None:
            shown[next_hidden] = False
    while (apart := _torn_group(layout, small, can_be_shown, shown)) is not None:
        shown[apart] = False
    return shown


def _torn_group(layout: Layout, small: Mask, can_be_shown: Mask, shown: Mask) -> list[int] | None:
    """A group of which a cell is shown although another is small or hidden; None if there is none."""
    for group in layout.together:
        cells = list(group)
        if shown[cells].any() and (small[cells] | (can_be_shown[cells] & ~shown[cells])).any():
            return cells
    return None


def _close_leaks(web: _Web, support: Support, small: Mask, shown: Mask, k: int) -> None:
    """Hide a cell of each relation that by itself gives a small group away, the first relation first."""
    waiting = list(range(len(web.relations)))
    queued = set(waiting)
    while waiting:
        number = heapq.heappop(waiting)
        queued.discard(number)
        cell = _leak(web, number, support, small, shown, k)
        if cell is None:
            continue
        shown[cell] = False
        for touched in web.of[cell]:
            if touched not in queued:
                queued.add(touched)
                heapq.heappush(waiting, touched)


def _leak(web: _Web, number: int, support: Support, small: Mask, shown: Mask, k: int) -> int | None:
    """A cell to hide because this relation by itself gives a small group away; None if it doesn't."""
    relation, parts = web.relations[number], web.parts[number]
    if not shown[relation.whole]:
        return None
    left = parts[~shown[parts]]
    if not small[left].any():
        return None
    people = int(support[relation.whole] - support[parts[shown[parts]]].sum())
    # Where parts overlap, that is the least that the group can be; its largest cell is another such bound.
    group = people if relation.disjoint else max(people, int(support[left].max()))
    if len(left) > 1 and group >= k:
        return None
    return _partner(parts[shown[parts]], support, k - max(people, 0), otherwise=relation.whole)


def _partner(candidates: NDArray[np.int64], support: Support, missing: int, *, otherwise: int) -> int:
    """The smallest candidate that brings at least `missing` people, else the largest, else `otherwise`."""
    populated = candidates[support[candidates] > 0]
    if not len(populated):
        return otherwise
    enough = populated[support[populated] >= missing]
    if len(enough):
        return int(enough[np.argmin(support[enough])])
    return int(populated[np.argmax(support[populated])])


def _exposing_cell(
    web: _Web, support: Support, can_be_shown: Mask, shown: Mask, cell: int, k: int
) -> int | None:
    """A shown cell by which the small `cell` is known to be below k; None if it isn't known, or nothing is shown.

    The largest value that fits everything shown is a linear programme; its shadow prices say which shown cells bound it.
    """
    if _could_be_k(web, support, can_be_shown, shown, cell, k):
        return None
    from scipy.optimize import linprog

    relations = _around(web, shown, cell)
    cells = np.array(sorted({other for relation in relations for other in _cells(relation)}), dtype=np.int64)
    if not shown[cells].any():
        return None
    column = {int(other): index for index, other in enumerate(cells)}
    equations = np.zeros((len(relations), len(cells)))
    for row, relation in enumerate(relations):
        equations[row, [column[part] for part in relation.parts]] = 1
        equations[row, column[relation.whole]] = -1
    people, fixed = support[cells], shown[cells]
    # What could be shown and isn't is known to hold somebody, since zero is shown.
    least = np.where(fixed, people, can_be_shown[cells])
    most = np.where(fixed, people, np.inf)
    goal = column[cell]
    most[goal] = k
    solved = linprog(
        -np.eye(len(cells))[goal],
        A_eq=equations,
        b_eq=equations @ people,
        bounds=np.stack([least, most], axis=1),
        method="highs",
    )
    missing = k + solved.fun
    if missing < 0.5:
        return None
    price = solved.lower.marginals + solved.upper.marginals
    candidates = fixed & (people > 0)
    bounding = candidates & (np.abs(price) > 1e-9)
    if bounding.any():
        candidates = bounding
    enough = candidates & ((price < 0) | (people > missing))
    if enough.any():
        return int(cells[enough][np.argmin(people[enough])])
    return int(cells[candidates][np.argmax(people[candidates])]) if candidates.any() else None


def _could_be_k(web: _Web, support: Support, can_be_shown: Mask, shown: Mask, cell: int, k: int) -> bool:
    """Whether a witness is easily found: other numbers that fit everything shown, in which the small `cell` is k.

    The cell is raised to k, and in each of its relations a hidden cell that stands in no other one makes up for it; or the
    whole, if it is hidden, is raised with it. What is found is checked; what isn't found says nothing.
    """
    rise = k - int(support[cell])
    changed: dict[int, int] = {}
    rising = [cell]
    checked: set[int] = set()
    while rising:
        current = rising.pop()
        if current in changed:
            continue
        changed[current] = rise
        for number in web.of[current]:
            if number in checked:
                continue
            checked.add(number)
            relation = web.relations[number]
            step = -rise if current != relation.whole else rise
            for part in relation.parts:
                if part == current or shown[part] or len(web.of[part]) != 1 or part in changed:
                    continue
                if int(support[part]) + step >= int(can_be_shown[part]):
                    changed[part] = step
                    break
            else:
                if current == relation.whole or shown[relation.whole]:
                    return False
                rising.append(relation.whole)
    return all(
        changed.get(relation.whole, 0) == sum(changed.get(part, 0) for part in relation.parts)
        for relation in (web.relations[number] for number in checked)
    )


def _around(web: _Web, shown: Mask, cell: int) -> list[Relation]:
    """The relations that bear on a hidden cell: its own, and those of every hidden cell in one of them."""
    reached, waiting = {cell}, {cell}
    near: list[int] = []
    taken: set[int] = set()
    while waiting:
        touched = sorted({number for each in waiting for number in web.of[each]} - taken)
        taken.update(touched)
        near += touched
        hidden = {c for number in touched for c in _cells(web.relations[number]) if not shown[c]}
        waiting, reached = hidden - reached, reached | hidden
    return [web.relations[number] for number in near]


def _cells(relation: Relation) -> tuple[int, ...]:
    return (relation.whole, *relation.parts)
