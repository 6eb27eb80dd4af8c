"""Sensitivity: how much of a layout's numbers one person can make.

Responsible for: in how many cells one person can be at once, from the layout alone; Not responsible for: that a statistic adds
no more than its fields' bounds for one person (its own duty, held by `tests/generative/test_noise.py`), noise (`noise`).

A person who is in the whole of a disjoint relation is in exactly one of its parts, and who isn't is in none. That is all that is
taken from the layout: where parts may overlap, a person may be in each of them. The most cells that fit is a whole-number
programme; its linear relaxation is at least as large, and over the trees that layouts mostly are, as large.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dure.wire.sums import Layout

SLACK = 0.01
"""By how much a solver may be off: whole numbers are sought, and the answer is rounded down after this was added."""


@dataclass(frozen=True)
class _Question:
    """All that the answer follows from: the layout, and how much each cell counts."""

    digest: str
    weights: bytes
    layout: Layout = field(compare=False)


def most(layout: Layout, weights: NDArray[np.int64]) -> int:
    """The largest sum of weights over the cells that one person can be in, or a little more, never less.

    Args:
        weights: of each cell, 0 or more. Shape (len(layout.cells),).
    """
    told = np.ascontiguousarray(weights, dtype=np.int64).tobytes()
    return _solved(_Question(layout.digest, told, layout))


@lru_cache(maxsize=64)
def _solved(question: _Question) -> int:
    from scipy.optimize import linprog

    layout = question.layout
    weights = np.frombuffer(question.weights, dtype=np.int64)
    disjoint = [relation for relation in layout.relations if relation.disjoint]
    if not disjoint:
        return int(weights.sum())
    rows, columns, signs = [], [], []
    for row, relation in enumerate(disjoint):
        rows += [row] * (len(relation.parts) + 1)
        columns += [*relation.parts, relation.whole]
        signs += [1.0] * len(relation.parts) + [-1.0]
    solved = linprog(
        -weights.astype(np.float64),
        A_eq=csr_array((signs, (rows, columns)), shape=(len(disjoint), len(layout.cells))),
        b_eq=np.zeros(len(disjoint)),
        bounds=(0, 1),
        method="highs",
    )
    if solved.status != 0:
        return int(weights.sum())
    return int(np.floor(-solved.fun + SLACK))
