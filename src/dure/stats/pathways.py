"""Pathways: how many people begin with each sequence of steps, and how many have no more than it.

Exact for: everything; integers are added. One round. Every sequence that could be is in the layout, so its length and the number of
different steps are bounded.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats.base import Answer, Done, Frame, Nothing, OneRound, Released, SplitsBy
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Relation, Sums, Unit

Path = tuple[int, ...]
MOST_PATHS = 20_000


@message
class PathwaysParams:
    """What could be.

    Attributes:
        steps: names of the different steps.
        depth: the most steps of a sequence.
        repeats: whether a step may come again later (never twice in a row).
    """

    steps: tuple[str, ...]
    depth: Annotated[int, Checked(ge=1, le=8)]
    repeats: bool


@message
class PathResult:
    """One sequence of step numbers. None: hidden, which is not zero.

    Attributes:
        began: people whose sequence begins so.
        ended: people whose sequence is this and no longer; of the longest sequences the same as `began`.
    """

    path: tuple[int, ...]
    began: int | None
    ended: int | None


@message
class PathwaysResult:
    """Everyone; those without a step; and every sequence that isn't shown to be nobody's."""

    people: int | None
    without: int | None
    paths: tuple[PathResult, ...]


class Pathways(OneRound[PathwaysParams, PathwaysResult]):
    """People by sequence."""

    name = "pathways"
    params = PathwaysParams
    result = PathwaysResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)

    def layout(self, params: PathwaysParams) -> Layout:
        """A sequence that can go on has two cells, who began so and who ended so; one of the greatest length has one."""
        return _layout(params)

    def columns(self, params: PathwaysParams) -> tuple[str, ...]:
        """`step_1` to `step_n`: step numbers, -1 where the sequence is over."""
        return tuple(f"step_{place + 1}" for place in range(params.depth))

    def local(self, frame: Frame, params: PathwaysParams, state: Nothing) -> Answer:
        """One row a person."""
        steps = np.stack([frame.columns[name].astype(np.int64) for name in self.columns(params)], axis=1)
        support: NDArray[np.int64] = np.zeros(len(self.layout(params).cells), dtype=np.int64)
        places = _places(params)
        unique, counts = np.unique(steps, axis=0, return_counts=True)
        for row, count in zip(unique.tolist(), counts.tolist(), strict=True):
            path = tuple(step for step in row if step >= 0)
            for length in range(len(path) + 1):
                support[places[path[:length]][0]] += count
            ended = places[path][1]
            if ended is not None:
                support[ended] += count
        return Answer(
            sums=Sums(layout=self.layout(params), values={"people": support.copy()}),
            support=support,
            populations={"everyone": np.unique(frame.person)},
        )

    def step(self, params: PathwaysParams, state: Nothing, total: Released) -> Done[PathwaysResult]:
        people = [None if value is None else int(value) for value in total.shown("people")]
        found = []
        for path, (began, ended) in _places(params).items():
            if path and people[began] != 0:
                ends = people[began] if ended is None else people[ended]
                found.append(PathResult(path=path, began=people[began], ended=ends))
        without = _places(params)[()][1]
        assert without is not None
        return Done(result=PathwaysResult(people=people[0], without=people[without], paths=tuple(found)))


def number_of_paths(params: PathwaysParams) -> int:
    """How many sequences of one step or more there could be, without making them."""
    total, ways = 0, 1
    for place in range(params.depth):
        ways *= max(len(params.steps) - (place if not params.repeats else min(place, 1)), 0)
        total += ways
    return total


def _paths(params: PathwaysParams, path: Path = ()) -> Iterator[Path]:
    """Every sequence, each before those that go on from it; the empty one first."""
    yield path
    if len(path) == params.depth:
        return
    for step in range(len(params.steps)):
        if step != path[-1] if params.repeats and path else step not in path:
            yield from _paths(params, (*path, step))


@lru_cache(maxsize=8)
def _places(params: PathwaysParams) -> dict[Path, tuple[int, int | None]]:
    """The cells of each sequence: who began so, and who ended so, if that is another."""
    places: dict[Path, tuple[int, int | None]] = {}
    cell = 0
    for path in _paths(params):
        goes_on = len(path) < params.depth and (len(path) < len(params.steps) or params.repeats)
        places[path] = (cell, cell + 1 if goes_on else None)
        cell += 2 if goes_on else 1
    return places


@lru_cache(maxsize=8)
def _layout(params: PathwaysParams) -> Layout:
    cells: list[str] = []
    parts: dict[Path, list[int]] = {}
    places = _places(params)
    for path, (began, ended) in places.items():
        name = " > ".join(params.steps[step] for step in path)
        cells.append(name or "everyone")
        if path:
            parts[path[:-1]].append(began)
        if ended is not None:
            cells.append(f"{name}, no more" if name else "no step")
            parts[path] = [ended]
    return Layout(
        cells=tuple(cells),
        relations=tuple(
            Relation(whole=places[path][0], parts=tuple(children)) for path, children in parts.items()
        ),
        fields=(
            Field(
                name="people",
                kind=FieldKind.COUNT,
                unit=Unit.PERSON,
                bound=1,
                rests_on=np.arange(len(cells), dtype=np.int64),
            ),
        ),
    )
