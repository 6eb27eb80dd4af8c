"""Why a model has no estimate: which covariates it is about, and at how many hospitals, never at which.

Responsible for: what a hospital can tell of itself (columns that don't vary there, 0/1 columns by which the outcome is certain there), the
fields that it is added up in, and the names that come of it. Not responsible for: finding that there is no estimate (`newton`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dure.stats.base import Frame, Released
from dure.stats.design import EVERYONE, Cells, Covariate, values
from dure.wire.codec import message
from dure.wire.sums import Field, FieldKind, Support, Unit

SMALL_CELLS = "small-cells"
CONSTANT, SEPARATED = "constant", "separated"


@message
class Suspect:
    """A covariate by which a model has no estimate.

    Attributes:
        constant_at, separates_at: at how many hospitals it doesn't vary, or the outcome is certain by it. Not at which.
    """

    name: str
    constant_at: int | None
    separates_at: int | None


@message
class NoFit:
    """Why there is no estimate. `small-cells`: too few people for the sums of these covariates to be shown."""

    trouble: str
    suspects: tuple[Suspect, ...]


def fields(columns: int) -> list[Field]:
    """Hospitals at which each column doesn't vary, and at which it decides the outcome."""
    return [hospitals(name, columns) for name in (CONSTANT, SEPARATED)]


def hospitals(name: str, columns: int) -> Field:
    """A number of hospitals for each column."""
    everyone = np.full(columns, EVERYONE, dtype=np.int64)
    return Field(name=name, kind=FieldKind.COUNT, unit=Unit.HOSPITAL, bound=1, rests_on=everyone)


def oddities(
    frame: Frame,
    columns: Sequence[Covariate | None],
    cells: Cells,
    support: Support,
    *,
    both_ways: bool,
) -> dict[str, NDArray[np.int64]]:
    """What one hospital tells: 1 for each column that doesn't vary, or is 0/1 and decides the outcome.

    Args:
        cells, support: of the columns with the outcome. A model without a counted outcome has no column that decides it.
        both_ways: whether having no outcome is as certain as having one, as in a logistic model.
    """
    constant = np.zeros(len(columns), dtype=np.int64)
    separates = np.zeros(len(columns), dtype=np.int64)
    people = int(support[EVERYONE])
    for index, covariate in enumerate(columns):
        if covariate is None or not people:
            continue
        if not covariate.binary:
            column = values(frame, covariate)
            constant[index] = column.min() == column.max()
            continue
        some = int(support[cells.column[index]])
        constant[index] = some in (0, people)
        if constant[index] or not cells.outcome:
            continue
        events, both = int(support[cells.outcome[0]]), int(support[cells.case[index]])
        corners = [both, events - both]
        if both_ways:
            corners += [some - both, people - some - events + both]
        separates[index] = events > 0 and min(corners) == 0 and not (both_ways and events == people)
    return {CONSTANT: constant, SEPARATED: separates}


def suspects(
    names: Sequence[str], columns: Sequence[int], total: Released | None = None
) -> tuple[Suspect, ...]:
    """The columns by name, with the hospitals that `total` counts for each.

    Args:
        names: of all columns; an index beyond them is none of a covariate.
        total: None where its counts aren't shown.
    """

    def counted(field: str, index: int) -> int | None:
        return int(total.values[field][index]) if total is not None and field in total.values else None

    return tuple(
        Suspect(
            name=names[index], constant_at=counted(CONSTANT, index), separates_at=counted(SEPARATED, index)
        )
        for index in columns
        if index < len(names)
    )
