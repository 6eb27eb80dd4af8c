"""Suppression: which cells may be shown, so that no small one can be had by subtraction.

Responsible for: small cells, and the ordinary ones that must be hidden with them (complementary suppression) over a
layout's relations: margins, funnels, complements. Not responsible for: differences between answers (`populations`).

A cell is small when it rests on 1 to k-1 people. Zero is shown: nobody is behind it.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dure.wire.sums import Layout, Relation, Support

Mask = NDArray[np.bool_]


def open_cells(layout: Layout, support: Support, k: int) -> Mask:
    """The cells that may be shown. Shape (len(layout.cells),).

    Two things hold for the result. In each relation whose whole is shown, what is left after subtracting the shown
    parts is nobody, or a group that holds no small cell, or at least two cells with k people. And no small cell is
    determined by all relations together, taken as linear equations.

    Args:
        support: people behind each cell, complements included. Shape (len(layout.cells),).
    """
    small = (support > 0) & (support < k)
    shown = np.zeros(len(layout.cells), dtype=np.bool_)
    shown[layout.rests_on] = True
    shown &= ~small
    while True:
        next_hidden = _leaking_relation(layout.relations, support, small, shown, k)
        if next_hidden is None:
            next_hidden = _determined_cell(layout.relations, support, small, shown)
        if next_hidden is None:
            return shown
        shown[next_hidden] = False


def _leaking_relation(
    relations: tuple[Relation, ...], support: Support, small: Mask, shown: Mask, k: int
) -> int | None:
    """A cell to hide because some relation gives a small group away; None if none does."""
    for relation in relations:
        if not shown[relation.whole]:
            continue
        parts = np.array(relation.parts)
        left = parts[~shown[parts]]
        if not small[left].any():
            continue
        people = support[left]
        group = int(people.sum()) if relation.disjoint else int(people.max())
        if len(left) > 1 and group >= k:
            continue
        missing = k - group if relation.disjoint else k
        return _partner(parts[shown[parts]], support, missing, otherwise=relation.whole)
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


def _determined_cell(
    relations: tuple[Relation, ...], support: Support, small: Mask, shown: Mask
) -> int | None:
    """A cell to hide because the relations together determine a small one; None if they don't."""
    for component in _components(relations, shown):
        unknown = np.array(
            sorted({cell for relation in component for cell in _cells(relation) if not shown[cell]})
        )
        if not small[unknown].any():
            continue
        column = {int(cell): index for index, cell in enumerate(unknown)}
        equations = np.zeros((len(component), len(unknown)))
        for row, relation in enumerate(component):
            for cell in relation.parts:
                if cell in column:
                    equations[row, column[cell]] = 1
            if relation.whole in column:
                equations[row, column[relation.whole]] = -1
        _, values, basis = np.linalg.svd(equations)
        free = basis[int((values > 1e-9).sum()) :]
        determined = unknown[~(np.abs(free) > 1e-9).any(axis=0)]
        if small[determined].any():
            around = np.array(
                sorted({cell for relation in component for cell in _cells(relation) if shown[cell]})
            )
            populated = around[support[around] > 0]
            candidates = populated if len(populated) else around
            if len(candidates):
                return int(candidates[np.argmin(support[candidates])])
    return None


def _cells(relation: Relation) -> tuple[int, ...]:
    return (relation.whole, *relation.parts)


def _components(relations: tuple[Relation, ...], shown: Mask) -> Iterable[list[Relation]]:
    """The relations in groups that share no hidden cell: each group's equations can be solved by themselves."""
    parent: dict[int, int] = {}

    def root(cell: int) -> int:
        while parent.setdefault(cell, cell) != cell:
            cell = parent[cell]
        return cell

    hidden = [[cell for cell in _cells(relation) if not shown[cell]] for relation in relations]
    for cells in hidden:
        for cell in cells[1:]:
            parent[root(cell)] = root(cells[0])
    groups: dict[int, list[Relation]] = {}
    for relation, cells in zip(relations, hidden, strict=True):
        if cells:
            groups.setdefault(root(cells[0]), []).append(relation)
    return groups.values()
