"""Counts: how many people pass each stage of a funnel, and how those who pass them all are made up.

Exact for: everything; integers are added. One round.
"""

import numpy as np

from dure.stats.base import Answer, Done, Frame, Nothing, OneRound, Released, SplitsBy
from dure.stats.strata import Strata
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Relation, Sums, Unit


@message
class CountsParams:
    """The funnel's stages from widest to narrowest (at least one) and the breakdowns of those who pass the last."""

    stages: tuple[str, ...]
    strata: tuple[Strata, ...]


@message
class CountsResult:
    """People by stage, and by breakdown and level. None: hidden, which is not zero."""

    stages: tuple[int | None, ...]
    strata: dict[str, tuple[int | None, ...]]


class Counts(OneRound[CountsParams, CountsResult]):
    """People by stage and stratum."""

    name = "counts"
    params = CountsParams
    result = CountsResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)

    def layout(self, params: CountsParams) -> Layout:
        """Cells: the stages, then each breakdown's levels, then who is lost between stages (never shown)."""
        stages = len(params.stages)
        cells = [f"stage/{name}" for name in params.stages]
        relations = []
        for strata in params.strata:
            start = len(cells)
            cells += [f"{strata.name}/{level}" for level in strata.levels]
            relations.append(Relation(whole=stages - 1, parts=tuple(range(start, len(cells)))))
        shown = len(cells)
        for stage in range(1, stages):
            relations.append(Relation(whole=stage - 1, parts=(stage, len(cells))))
            cells.append(f"lost/{params.stages[stage]}")
        people = Field(
            name="people",
            kind=FieldKind.COUNT,
            unit=Unit.PERSON,
            bound=1,
            rests_on=np.arange(shown, dtype=np.int64),
        )
        return Layout(cells=tuple(cells), relations=tuple(relations), fields=(people,))

    def populations(self, params: CountsParams) -> tuple[str, ...]:
        return tuple(f"stage/{name}" for name in params.stages)

    def columns(self, params: CountsParams) -> tuple[str, ...]:
        """`reached` (the number of stages passed) and a column of level numbers for each breakdown."""
        return ("reached", *(strata.name for strata in params.strata))

    def local(self, frame: Frame, params: CountsParams, state: Nothing) -> Answer:
        """One row a person: `reached` in 0..stages; levels matter only where all stages are passed."""
        reached = frame.columns["reached"].astype(np.int64)
        stages = len(params.stages)
        passed = np.bincount(reached, minlength=stages + 1)
        by_stage = np.cumsum(passed[::-1])[::-1][1:]
        inside = reached == stages
        by_level = [
            np.bincount(frame.columns[strata.name][inside], minlength=len(strata.levels))
            for strata in params.strata
        ]
        shown = np.concatenate([by_stage, *by_level]).astype(np.int64)
        support = np.concatenate([shown, passed[1:stages]]).astype(np.int64)
        layout = self.layout(params)
        return Answer(
            sums=Sums(layout=layout, values={"people": shown}),
            support=support,
            populations={
                f"stage/{name}": np.unique(frame.person[reached > index])
                for index, name in enumerate(params.stages)
            },
        )

    def step(self, params: CountsParams, state: Nothing, total: Released) -> Done[CountsResult]:
        people = [None if value is None else int(value) for value in total.shown("people")]
        start = len(params.stages)
        strata = {}
        for table in params.strata:
            strata[table.name] = tuple(people[start : start + len(table.levels)])
            start += len(table.levels)
        return Done(result=CountsResult(stages=tuple(people[: len(params.stages)]), strata=strata))
