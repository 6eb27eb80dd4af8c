"""Characteristics: how many people of each group have each covariate, and the sums and squares of those that are numbers.

Exact for: counts; fractions to the ring's grid. One round. Means, standard deviations and differences follow from what is released.

A covariate is a column of a sparse matrix; a person has it where an entry is stored. Numbers rest on those who have them.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dure.stats.base import Answer, Done, Frame, Nothing, OneRound, Released, SplitsBy
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Relation, Sums, Unit

SCALE = 16
"""Fractional bits of sums; of squares twice as many."""


@message
class CharacteristicsParams:
    """What is counted.

    Attributes:
        groups: names of the groups of people.
        covariates: names of the matrix's columns.
        measured: columns that are numbers, with the largest magnitude that counts (beyond it a number counts as that).
        partitions: columns of which a person has at most one (age groups): what is in none of them is a cell too.
        nested: pairs of columns (wider, narrower) where whoever has the second has the first (a shorter window).
    """

    groups: tuple[str, ...]
    covariates: tuple[str, ...]
    measured: dict[int, float]
    partitions: tuple[tuple[int, ...], ...]
    nested: tuple[tuple[int, int], ...]


@message
class GroupResult:
    """One group. None: hidden, which is not zero.

    Attributes:
        people: in the group.
        having: who have each covariate.
        total, squares: of each measured covariate, over those who have it.
    """

    people: int | None
    having: tuple[int | None, ...]
    total: dict[int, float | None]
    squares: dict[int, float | None]


@message
class CharacteristicsResult:
    """Every group in order."""

    groups: tuple[GroupResult, ...]


class Characteristics(OneRound[CharacteristicsParams, CharacteristicsResult]):
    """People with each covariate, by group."""

    name = "characteristics"
    params = CharacteristicsParams
    result = CharacteristicsResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-12

    def layout(self, params: CharacteristicsParams) -> Layout:
        """Each group has a cell for everyone, for those who have each covariate, and (never shown) for every complement."""
        cells: list[str] = []
        relations: list[Relation] = []
        shown: list[int] = []
        for group in params.groups:
            start = len(cells)
            size = len(params.covariates)
            cells += [group, *(f"{group}/{name}" for name in params.covariates)]
            shown += range(start, start + 1 + size)
            cells += [f"{group}/not {name}" for name in params.covariates]
            relations += [
                Relation(whole=start, parts=(start + 1 + at, start + 1 + size + at)) for at in range(size)
            ]
            for number, columns in enumerate(params.partitions):
                relations.append(
                    Relation(whole=start, parts=(*(start + 1 + at for at in columns), len(cells)))
                )
                cells.append(f"{group}/none of {number}")
            for wider, narrower in params.nested:
                relations.append(Relation(whole=start + 1 + wider, parts=(start + 1 + narrower, len(cells))))
                cells.append(f"{group}/{wider} without {narrower}")
        return Layout(
            cells=tuple(cells),
            relations=tuple(relations),
            fields=(
                Field(
                    name="people",
                    kind=FieldKind.COUNT,
                    unit=Unit.PERSON,
                    bound=1,
                    rests_on=np.asarray(shown, dtype=np.int64),
                ),
                *self._moments(params),
            ),
        )

    def _moments(self, params: CharacteristicsParams) -> Iterable[Field]:
        """Sums and squares of the measured covariates, one field a bound, by group then covariate."""
        for bound, columns in _by_bound(params).items():
            rests_on = np.asarray(
                [
                    _first_cell(params, group) + 1 + at
                    for group in range(len(params.groups))
                    for at in columns
                ],
                dtype=np.int64,
            )
            for name, most, scale in (("total", bound, SCALE), ("squares", bound * bound, 2 * SCALE)):
                yield Field(
                    name=f"{name} up to {bound:g}",
                    kind=FieldKind.MOMENT,
                    unit=Unit.PERSON,
                    bound=most,
                    rests_on=rests_on,
                    scale=scale,
                )

    def populations(self, params: CharacteristicsParams) -> tuple[str, ...]:
        return params.groups

    def columns(self, params: CharacteristicsParams) -> tuple[str, ...]:
        """`group` (numbers of groups), and the matrix `covariates`."""
        return ("group",)

    def local(self, frame: Frame, params: CharacteristicsParams, state: Nothing) -> Answer:
        """One row a person and group; a person may be in several groups."""
        matrix = frame.matrices["covariates"].tocsr()
        group = frame.columns["group"].astype(np.int64)
        people: list[NDArray[np.int64]] = []
        support: list[NDArray[np.int64]] = []
        moments: dict[str, list[float]] = {}
        for number in range(len(params.groups)):
            rows = np.flatnonzero(group == number)
            part = matrix[rows].tocsc()
            part.sort_indices()
            having = np.diff(part.indptr).astype(np.int64)
            everyone = np.array([len(rows)], dtype=np.int64)
            people += [everyone, having]
            support += [everyone, having, len(rows) - having]
            for columns in params.partitions:
                support.append(everyone - having[list(columns)].sum())
            for wider, narrower in params.nested:
                support.append(having[[wider]] - having[[narrower]])
            for bound, columns in _by_bound(params).items():
                for at in columns:
                    value = np.clip(part.data[part.indptr[at] : part.indptr[at + 1]], -bound, bound)
                    moments.setdefault(f"total up to {bound:g}", []).append(float(value.sum()))
                    moments.setdefault(f"squares up to {bound:g}", []).append(float((value**2).sum()))
        layout = self.layout(params)
        return Answer(
            sums=Sums(
                layout=layout,
                values={
                    "people": np.concatenate(people),
                    **{name: np.asarray(values, dtype=np.float64) for name, values in moments.items()},
                },
            ),
            support=np.concatenate(support),
            populations={
                name: np.unique(frame.person[group == number]) for number, name in enumerate(params.groups)
            },
        )

    def step(
        self, params: CharacteristicsParams, state: Nothing, total: Released
    ) -> Done[CharacteristicsResult]:
        people = [None if value is None else int(value) for value in total.shown("people")]
        size = 1 + len(params.covariates)
        by_bound = _by_bound(params)
        moments = {
            (name, bound): total.shown(f"{name} up to {bound:g}")
            for bound in by_bound
            for name in ("total", "squares")
        }
        groups = []
        for number in range(len(params.groups)):
            mine = people[number * size : (number + 1) * size]
            told: dict[str, dict[int, float | None]] = {"total": {}, "squares": {}}
            for (name, bound), values in moments.items():
                columns = by_bound[bound]
                part = values[number * len(columns) : (number + 1) * len(columns)]
                told[name] |= dict(zip(columns, part, strict=True))
            groups.append(GroupResult(people=mine[0], having=tuple(mine[1:]), **told))
        return Done(result=CharacteristicsResult(groups=tuple(groups)))


def _by_bound(params: CharacteristicsParams) -> dict[float, tuple[int, ...]]:
    """Measured columns by their bound, ascending."""
    found: dict[float, tuple[int, ...]] = {}
    for at in sorted(params.measured):
        bound = params.measured[at]
        found[bound] = (*found.get(bound, ()), at)
    return dict(sorted(found.items()))


def _first_cell(params: CharacteristicsParams, group: int) -> int:
    return group * (1 + 2 * len(params.covariates) + len(params.partitions) + len(params.nested))
