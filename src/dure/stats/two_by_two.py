"""2×2 tables: people with and without an exposure and an outcome, by stratum of the network.

Exact for: everything; integers are added. One round. Estimates from the released tables are in `mantel_haenszel`.
"""

import numpy as np
from numpy.typing import NDArray

from dure.stats.base import Answer, Done, Frame, Nothing, OneRound, Released, SplitsBy
from dure.stats.mantel_haenszel import Terms, table_sums, table_terms
from dure.stats.strata import Strata
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Relation, Sums, Unit

CELLS = ("exposed cases", "exposed without", "unexposed cases", "unexposed without")
MARGINS = ("exposed", "unexposed", "cases", "without")
MADE_OF = ((0, 1), (2, 3), (0, 2), (1, 3))
"""Which of CELLS make each of MARGINS."""


@message
class TwoByTwoParams:
    """The strata, of which everyone is in one."""

    strata: Strata


@message
class Table:
    """One stratum's people. None: hidden, which is not zero."""

    exposed_cases: int | None
    exposed_without: int | None
    unexposed_cases: int | None
    unexposed_without: int | None

    @property
    def cells(self) -> tuple[int, int, int, int] | None:
        """The four numbers; None where one is hidden."""
        a, b, c, d = self.exposed_cases, self.exposed_without, self.unexposed_cases, self.unexposed_without
        return None if a is None or b is None or c is None or d is None else (a, b, c, d)


@message
class TwoByTwoResult:
    """The table of each stratum, in order."""

    tables: tuple[Table, ...]

    @property
    def terms(self) -> Terms | None:
        """What `mantel_haenszel` makes estimates of; None where a table isn't whole, since leaving it out would bias them."""
        whole = [table.cells for table in self.tables]
        if any(cells is None for cells in whole):
            return None
        a, b, c, d = np.array(whole, dtype=np.int64).reshape(-1, 4).T
        return table_sums(table_terms(a, b, c, d))


class TwoByTwo(OneRound[TwoByTwoParams, TwoByTwoResult]):
    """People by exposure, outcome and stratum."""

    name = "two_by_two"
    params = TwoByTwoParams
    result = TwoByTwoResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)

    def layout(self, params: TwoByTwoParams) -> Layout:
        """Everyone; then of each stratum: its people, its four margins, its four cells (all that is shown)."""
        cells, relations, shown = ["everyone"], [], []
        for level in params.strata.levels:
            whole = len(cells)
            cells += [f"{level}/{name}" for name in ("everyone", *MARGINS, *CELLS)]
            first = whole + 1 + len(MARGINS)
            relations += [
                Relation(whole=whole, parts=(whole + 1, whole + 2)),
                Relation(whole=whole, parts=(whole + 3, whole + 4)),
            ]
            relations += [
                Relation(whole=whole + 1 + margin, parts=tuple(first + part for part in parts))
                for margin, parts in enumerate(MADE_OF)
            ]
            shown += list(range(first, first + len(CELLS)))
        wholes = range(1, len(cells), 1 + len(MARGINS) + len(CELLS))
        relations.append(Relation(whole=0, parts=tuple(wholes)))
        people = Field(
            name="people",
            kind=FieldKind.COUNT,
            unit=Unit.PERSON,
            bound=1,
            rests_on=np.array(shown, dtype=np.int64).reshape(-1, len(CELLS)),
        )
        return Layout(cells=tuple(cells), relations=tuple(relations), fields=(people,))

    def columns(self, params: TwoByTwoParams) -> tuple[str, ...]:
        """`exposed` and `case` (0 or 1), and the column of level numbers."""
        return ("exposed", "case", params.strata.name)

    def local(self, frame: Frame, params: TwoByTwoParams, state: Nothing) -> Answer:
        """One row a person."""
        levels = len(params.strata.levels)
        level = frame.columns[params.strata.name].astype(np.int64)
        cell = cell_of(frame)
        people = np.bincount(level * len(CELLS) + cell, minlength=levels * len(CELLS)).reshape(levels, -1)
        people = people.astype(np.int64)
        margins = np.stack([people[:, list(parts)].sum(axis=1) for parts in MADE_OF], axis=1)
        each = np.concatenate([people.sum(axis=1, keepdims=True), margins, people], axis=1)
        return Answer(
            sums=Sums(layout=self.layout(params), values={"people": people}),
            support=np.concatenate([[len(level)], each.ravel()]).astype(np.int64),
            populations={"everyone": np.unique(frame.person)},
        )

    def step(self, params: TwoByTwoParams, state: Nothing, total: Released) -> Done[TwoByTwoResult]:
        shown = [None if value is None else int(value) for value in total.shown("people")]
        tables = tuple(
            Table(
                exposed_cases=shown[start],
                exposed_without=shown[start + 1],
                unexposed_cases=shown[start + 2],
                unexposed_without=shown[start + 3],
            )
            for start in range(0, len(shown), len(CELLS))
        )
        return Done(result=TwoByTwoResult(tables=tables))


def cell_of(frame: Frame) -> NDArray[np.int64]:
    """Which of CELLS every row is in. Shape (n,)."""
    exposed, case = frame.columns["exposed"], frame.columns["case"]
    return np.where(exposed == 0, 2, 0) + np.where(case == 0, 1, 0)
