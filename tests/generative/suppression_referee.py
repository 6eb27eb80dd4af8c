"""Suppression as it was first written: every relation looked at again after every cell. Slow, obvious, the referee."""

import numpy as np
from numpy.typing import NDArray

from dure.wire.sums import Layout, Relation, Support

Mask = NDArray[np.bool_]


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
    while (next_hidden := _leaking_relation(layout.relations, support, small, shown, k)) is not None:
        shown[next_hidden] = False
    for cell in np.flatnonzero(small):
        while (next_hidden := _exposing_cell(layout, support, can_be_shown, shown, int(cell), k)) is not None:
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


def _leaking_relation(
    relations: tuple[Relation, ...], support: Support, small: Mask, shown: Mask, k: int
) -> int | None:
    """A cell to hide because some relation by itself gives a small group away; None if none does."""
    for relation in relations:
        if not shown[relation.whole]:
            continue
        parts = np.array(relation.parts)
        left = parts[~shown[parts]]
        if not small[left].any():
            continue
        people = int(support[relation.whole] - support[parts[shown[parts]]].sum())
        # Where parts overlap, that is the least that the group can be; its largest cell is another such bound.
        group = people if relation.disjoint else max(people, int(support[left].max()))
        if len(left) > 1 and group >= k:
            continue
        return _partner(parts[shown[parts]], support, k - max(people, 0), otherwise=relation.whole)
    return None


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
    layout: Layout, support: Support, can_be_shown: Mask, shown: Mask, cell: int, k: int
) -> int | None:
    """A shown cell by which the small `cell` is known to be below k; None if it isn't known, or nothing is shown.

    The largest value that fits everything shown is a linear programme; its shadow prices say which shown cells bound it.
    """
    from scipy.optimize import linprog

    relations = _around(layout.relations, shown, cell)
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


def _around(relations: tuple[Relation, ...], shown: Mask, cell: int) -> list[Relation]:
    """The relations that bear on a hidden cell: its own, and those of every hidden cell in one of them."""
    reached, waiting, near = {cell}, {cell}, []
    rest = list(relations)
    while waiting:
        touched = [relation for relation in rest if waiting.intersection(_cells(relation))]
        rest = [relation for relation in rest if not waiting.intersection(_cells(relation))]
        near += touched
        hidden = {int(c) for relation in touched for c in _cells(relation) if not shown[c]}
        waiting, reached = hidden - reached, reached | hidden
    return near


def _cells(relation: Relation) -> tuple[int, ...]:
    return (relation.whole, *relation.parts)
