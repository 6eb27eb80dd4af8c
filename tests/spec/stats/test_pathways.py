"""What `pathways` counts, and what the thresholds leave of it."""

import numpy as np
import pytest

from dure.guard.suppression import open_cells
from dure.stats.base import Frame, Nothing, Released
from dure.stats.pathways import Pathways, PathwaysParams, number_of_paths

STATISTIC = Pathways()
PARAMS = PathwaysParams(steps=("a", "b", "c"), depth=2, repeats=False)


def result(people, params=PARAMS, k=1):
    rows = [path for path, count in people.items() for _ in range(count)]
    columns = {
        f"step_{place + 1}": np.array(
            ["abc".index(row[place]) if place < len(row) else -1 for row in rows], dtype=np.int64
        )
        for place in range(params.depth)
    }
    answer = STATISTIC.local(Frame(person=np.arange(len(rows)), columns=columns), params, Nothing())
    layout = STATISTIC.layout(params)
    released = Released(layout=layout, open=open_cells(layout, answer.support, k), values=answer.sums.values)
    found = STATISTIC.step(params, Nothing(), released).result
    return found, {
        "".join("abc"[step] for step in path.path): (path.began, path.ended) for path in found.paths
    }


def test_a_path_counts_who_began_so_and_who_went_no_further():
    found, paths = result({"": 4, "a": 3, "ab": 2, "ac": 1, "b": 5})
    assert (found.people, found.without) == (15, 4)
    assert paths == {"a": (6, 3), "ab": (2, 2), "ac": (1, 1), "b": (5, 5)}


def test_sequences_of_nobody_are_not_told():
    assert result({"c": 1})[1] == {"c": (1, 1)}


@pytest.mark.parametrize(
    ("people", "shown", "why"),
    [
        ({"": 30, "a": 30, "ab": 20, "b": 30}, {"a": (50, 30), "ab": (20, 20), "b": (30, 30)}, "all are many"),
        ({"": 30, "a": 30, "ab": 5, "b": 30}, {"a": (35, None), "ab": (None, None), "b": (30, 30)},
         "five went on to b: those who didn't go on are hidden with them"),
        ({"": 40, "a": 30, "b": 5}, {"a": (None, None), "b": (None, None)},
         "five began with b: a is hidden too, and who went no further than a, or b would be had by subtraction"),
    ],
)  # fmt: skip
def test_what_is_hidden(people, shown, why):
    paths = result(people, k=11)[1]
    assert {name: pair for name, pair in paths.items() if pair != (None, None)} == {
        name: pair for name, pair in shown.items() if pair != (None, None)
    }, why
    for name, pair in shown.items():
        if pair == (None, None):
            assert paths[name] == pair, why


@pytest.mark.parametrize(
    ("steps", "depth", "repeats"), [(1, 3, False), (3, 2, False), (3, 5, False), (3, 3, True), (4, 4, True)]
)
def test_the_number_of_sequences_is_known_beforehand(steps, depth, repeats):
    params = PathwaysParams(steps=tuple("abcd"[:steps]), depth=depth, repeats=repeats)
    layout = STATISTIC.layout(params)
    began = [
        cell
        for cell in layout.cells
        if not cell.endswith(", no more") and cell not in {"everyone", "no step"}
    ]
    assert len(began) == number_of_paths(params)
