"""Exposure: whether a hidden small cell could be k people or more, as far as anybody knows who sees what is shown.

Responsible for: deciding that exactly, by a linear programme, and naming a shown cell to hide where it could not. Not
responsible for: which cells are small or leak by one relation (`suppression`).

A programme for each cell would take hours where thousands are small. Most need none: where a few hidden cells can be changed so that
every relation still holds and the small cell counts k, that is proof enough, and is looked for first. Cells for which none is found so
are put into one programme together, and only those that this doesn't clear get their own. Neither short cut ever clears a cell that the
programme wouldn't.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dure.wire.sums import Layout, Support

Mask = NDArray[np.bool_]
MOST_TRIES = 60
MOST_CANDIDATES = 4
MOST_RELATIONS = 50
"""A cell that stands in more is not changed while looking: everything would have to be changed with it."""
CLEARLY = 0.25
"""How near to k a programme of many cells must come; one of a single cell decides at one half, since people are whole."""


class Exposure:
    """What can be told of hidden cells, as more of them are hidden: `shown` is the caller's, and is read anew each time."""

    def __init__(self, layout: Layout, support: Support, can_be_shown: Mask, shown: Mask, k: int) -> None:
        self._arrays = arrays = layout.relation_arrays
        self._all_parts: list[int] = arrays.parts.tolist()
        self._ends: list[int] = arrays.ends.tolist()
        self._whole: list[int] = arrays.whole.tolist()
        self._holding: list[int] = arrays.holding.tolist()
        self._sign: list[int] = arrays.sign.tolist()
        self._starts: list[int] = arrays.starts.tolist()
        self._support = support
        self._people: list[int] = support.tolist()
        # What could be shown and isn't is known to hold somebody, since zero is shown.
        self._can_be_shown = can_be_shown
        self._least: list[int] = can_be_shown.astype(np.int64).tolist()
        self._shown = shown
        self._k = k

    def holding(self, cell: int) -> list[int]:
        """The relations that a cell stands in, in order."""
        return self._holding[self._starts[cell] : self._starts[cell + 1]]

    def _parts(self, relation: int) -> list[int]:
        return self._all_parts[self._ends[relation] : self._ends[relation + 1]]

    def doubtful(self, cells: NDArray[np.int64]) -> list[int]:
        """Those of some small cells that may be known to be below k: the rest are not, and hiding more keeps it so."""
        fixed = self._determined()
        hidden = (~fixed).tolist()
        rest = [cell for cell in cells.tolist() if not self._can_grow(cell, hidden)]
        return rest if len(rest) < 2 else self._not_cleared_together(rest, fixed)

    def _determined(self) -> Mask:
        """The cells that are shown, or are all that isn't known in some relation."""
        arrays, fixed = self._arrays, self._shown.copy()
        while True:
            unknown = arrays.over_parts((~fixed).astype(np.int64)) + ~fixed[arrays.whole]
            only = unknown == 1
            found = np.concatenate([arrays.whole[only], arrays.parts[only[arrays.of]]])
            if fixed[found].all():
                return fixed
            fixed[found] = True

    def by(self, cell: int) -> int | None:
        """A shown cell by which the small `cell` is known to be below k; None if it isn't known, or nothing is shown.

        The largest value that fits everything shown is a linear programme; its shadow prices say which shown cells bound it.
        """
        if self._can_grow(cell, ~self._shown):
            return None
        relations = self._around([cell], self._shown)
        cells = self._cells(relations)
        if not self._shown[cells].any():
            return None
        people, fixed = self._support[cells], self._shown[cells]
        goal = np.searchsorted(cells, [cell])
        solved = self._largest(relations, cells, goal, self._shown)
        missing = self._k + solved.fun
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

    def _not_cleared_together(self, goals: list[int], fixed: Mask) -> list[int]:
        free = fixed.copy()
        free[goals] = False
        relations = self._around(goals, free)
        cells = self._cells(relations)
        if not relations:
            return goals
        where = np.searchsorted(cells, goals)
        solved = self._largest(relations, cells, where, free)
        if solved.x is None:
            return goals
        return [
            goal
            for goal, largest in zip(goals, solved.x[where].tolist(), strict=True)
            if largest < self._k - CLEARLY
        ]

    # mypy: scipy has no types.
    def _largest(  # type: ignore[no-untyped-def]
        self, relations: list[int], cells: NDArray[np.int64], goals: NDArray[np.int64], known: Mask
    ):
        """The programme that makes some hidden cells as large as what is shown allows, up to k each."""
        from scipy.optimize import linprog

        rows, columns, signs = [], [], []
        for row, relation in enumerate(relations):
            parts = self._parts(relation)
            rows += [row] * (len(parts) + 1)
            columns += [*parts, self._whole[relation]]
            signs += [1.0] * len(parts) + [-1.0]
        equations = csr_array(
            (signs, (rows, np.searchsorted(cells, columns))), shape=(len(relations), len(cells))
        )
        people, fixed = self._support[cells], known[cells]
        least = np.where(fixed, people, self._can_be_shown[cells])
        most = np.where(fixed, people, np.inf)
        most[goals] = self._k
        aim = np.zeros(len(cells))
        aim[goals] = -1
        return linprog(
            aim,
            A_eq=equations,
            b_eq=equations @ people,
            bounds=np.stack([least, most], axis=1),
            method="highs",
        )

    def _around(self, cells: list[int], known: Mask) -> list[int]:
        """The relations that bear on hidden cells: their own, and those of every hidden cell in one of them."""
        reached, waiting, near = set(cells), set(cells), list[int]()
        taken: set[int] = set()
        while waiting:
            touched = sorted({r for cell in waiting for r in self.holding(cell)} - taken)
            taken.update(touched)
            near += touched
            hidden = {
                cell
                for relation in touched
                for cell in (self._whole[relation], *self._parts(relation))
                if not known[cell]
            }
            waiting, reached = hidden - reached, reached | hidden
        return near

    def _cells(self, relations: list[int]) -> NDArray[np.int64]:
        found = {cell for relation in relations for cell in (self._whole[relation], *self._parts(relation))}
        return np.array(sorted(found), dtype=np.int64)

    def _can_grow(self, cell: int, hidden: list[bool] | Mask) -> bool:
        """Whether changing a few hidden cells by k less the cell's people makes it k; False where none were found."""
        self._tries = MOST_TRIES
        by = self._k - self._people[cell]
        over: dict[int, int] = {}
        self._change(cell, by, over)
        return self._balanced({cell}, over, by, hidden)

    def _balanced(self, changed: set[int], over: dict[int, int], by: int, hidden: list[bool] | Mask) -> bool:
        """Whether further changes can make every relation hold. `over`: by how much parts exceed their whole, if at all."""
        if not over:
            return True
        relation, excess = next(iter(over.items()))
        for cell, change in self._remedies(relation, excess, changed, by, hidden):
            self._tries -= 1
            if self._tries < 0:
                return False
            changed.add(cell)
            self._change(cell, change, over)
            if self._balanced(changed, over, by, hidden):
                return True
            changed.discard(cell)
            self._change(cell, -change, over)
        return False

    def _change(self, cell: int, by: int, over: dict[int, int]) -> None:
        for place in range(self._starts[cell], self._starts[cell + 1]):
            relation = self._holding[place]
            excess = over.get(relation, 0) + self._sign[place] * by
            if excess:
                over[relation] = excess
            else:
                del over[relation]

    def _remedies(
        self, relation: int, excess: int, changed: set[int], by: int, hidden: list[bool] | Mask
    ) -> Iterator[tuple[int, int]]:
        """Hidden cells, not changed yet, by which a relation would be nearer to holding."""
        found = 0
        down = -by if excess > 0 else by
        for cell in self._parts(relation):
            if self._can_change(cell, down, changed, hidden):
                yield cell, down
                found += 1
                if found == MOST_CANDIDATES:
                    break
        whole = self._whole[relation]
        if self._can_change(whole, -down, changed, hidden):
            yield whole, -down

    def _can_change(self, cell: int, by: int, changed: set[int], hidden: list[bool] | Mask) -> bool:
        return bool(
            hidden[cell]
            and cell not in changed
            and self._people[cell] + by >= self._least[cell]
            and self._starts[cell + 1] - self._starts[cell] <= MOST_RELATIONS
        )
