"""A design: which covariates a model has, within which bounds, and the cells that its sums rest on.

Responsible for: declaring covariates (values are clipped to their bounds, so that one person adds a bounded amount), the
cells and relations of a layout for score and information, counting the people in them. Not responsible for: models.

A sum over the people with x_j not 0 rests on these people; a sum of products of two columns rests on the people in whom
both aren't 0. Where a column is 0/1, subtracting its sum from everyone's leaves the sum over the others: a cell too.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, isfinite, log2

import numpy as np
from numpy.typing import NDArray

from dure.stats.base import Frame
from dure.wire.codec import message
from dure.wire.problems import Problem
from dure.wire.sums import Numbers, Relation, Support

Bits = NDArray[np.uint64]
EVERYONE = 0
MOST_PEOPLE_BITS = 27
RING_BITS = 119
MOST_FRACTION_BITS = 64


class BadDesign(Problem):
    """Covariates that make no design."""

    slug, title, status, exit_code = "bad-design", "These covariates make no model", 422, 41


class CovariateKind(StrEnum):
    """Whether a covariate is 0/1 or a quantity."""

    BINARY = "binary"
    CONTINUOUS = "continuous"


@message
class Covariate:
    """One column of a model.

    Attributes:
        low, high: values outside count as at the bounds.
    """

    name: str
    kind: CovariateKind = CovariateKind.BINARY
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        """Raise BadDesign where the bounds are none."""
        if not (isfinite(self.low) and isfinite(self.high) and self.low < self.high):
            raise BadDesign(
                f"The bounds of {self.name} are {self.low} and {self.high}.",
                where=self.name,
                mend="Give two numbers, the lower one first.",
            )
        if self.kind is CovariateKind.BINARY and (self.low, self.high) != (0.0, 1.0):
            raise BadDesign(
                f"{self.name} is binary, and has bounds other than 0 and 1.",
                where=self.name,
                mend="Leave the bounds out, or declare it continuous.",
            )

    @property
    def binary(self) -> bool:
        return self.kind is CovariateKind.BINARY

    @property
    def most(self) -> float:
        """The largest magnitude of a value."""
        return max(abs(self.low), abs(self.high))

    @property
    def never_zero(self) -> bool:
        """Whether no lawful value is 0, so that it speaks of everyone."""
        return self.low > 0 or self.high < 0


def binary(name: str) -> Covariate:
    """A 0/1 covariate."""
    return Covariate(name=name)


def continuous(name: str, low: float, high: float) -> Covariate:
    """A quantity within bounds."""
    return Covariate(name=name, kind=CovariateKind.CONTINUOUS, low=low, high=high)


def check(covariates: tuple[Covariate, ...], taken: tuple[str, ...] = ()) -> None:
    """Raise BadDesign where a name stands twice or is one of `taken`."""
    seen = set(taken)
    for covariate in covariates:
        if covariate.name in seen:
            raise BadDesign(
                f"The covariate {covariate.name!r} stands twice or has a name that the model uses itself.",
                where=covariate.name,
                mend="Give every covariate a name of its own.",
            )
        seen.add(covariate.name)


def fraction_bits(bound: float, people_bits: int = MOST_PEOPLE_BITS) -> int:
    """How finely a field may be sent whose elements one person changes by at most `bound`, so that no sum overflows."""
    return max(min(RING_BITS - people_bits - ceil(log2(max(bound, 1.0))), MOST_FRACTION_BITS), 1)


def people_of(frame: Frame) -> NDArray[np.int64]:
    """The people, sorted, of a frame that must have one row a person. Frames mostly come sorted: then nothing is sorted again.

    Raises:
        ValueError: a person has several rows.
    """
    people = frame.person
    if not (np.diff(people) > 0).all():
        people = np.unique(people)
    if len(people) != len(frame.person):
        raise ValueError("a person has several rows")
    return people


def values(frame: Frame, covariate: Covariate, rows: slice = slice(None)) -> NDArray[np.float64]:
    """A covariate's column within its bounds. Shape (rows,)."""
    column = frame.columns[covariate.name][rows]
    if covariate.binary:
        return np.asarray(column != 0, dtype=np.float64)
    return np.asarray(np.clip(column, covariate.low, covariate.high), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Cells of a design, and where each sum rests.

    Attributes:
        names, relations: as in a layout.
        column: the cell of the people with each column not 0. Shape (p,).
        case: the cell of those among them whose outcome isn't 0, where the outcome is counted; else as `column`. Shape (p,).
        pair: the cell of the people in whom both columns aren't 0, if pairs were asked for. Shape (p, p) or (0, 0).
        outcome: the cells of the people with an outcome and of those without; empty where it isn't counted.
        counted: how to count a cell: indices of two indicators, and whether each is to hold or not. Shape (cells, 4).
    """

    names: tuple[str, ...]
    relations: tuple[Relation, ...]
    column: NDArray[np.int64]
    case: NDArray[np.int64]
    pair: NDArray[np.int64]
    outcome: tuple[int, ...]
    counted: NDArray[np.int64]


def cells(columns: tuple[Covariate | None, ...], *, outcome: bool, pairs: bool) -> Cells:
    """The cells of a design.

    Args:
        columns: None is the intercept.
        outcome: whether people with an outcome other than 0 are few enough to matter (cases, people with events).
        pairs: whether sums of products of two columns are asked for.
    """
    made = _Making()
    everyone = made.cell("everyone", made.ALL)
    indicators = [made.ALL if c is None or c.never_zero else made.indicator() for c in columns]
    alone = [
        everyone if c is None or c.never_zero else made.cell(c.name, indicator)
        for c, indicator in zip(columns, indicators, strict=True)
    ]
    # What is 0/1 can be told from its complement; a quantity's sum says nothing of the people in whom it is 0.
    without = [
        made.complement(everyone, alone[i], f"not {c.name}", indicators[i])
        if c is not None and c.binary
        else None
        for i, c in enumerate(columns)
    ]
    column = np.array(alone, dtype=np.int64)
    case, of_outcome = column, tuple[int, ...]()
    if outcome:
        event = made.indicator()
        cases = made.cell("outcome", event)
        no_cases = made.complement(everyone, cases, "no outcome", event)
        of_outcome = (cases, no_cases)
        case = np.array(
            [
                cases if i == made.ALL else made.cross(a, w, cases, no_cases, (i, event), ("outcome", c))
                for i, a, w, c in zip(indicators, alone, without, columns, strict=True)
            ],
            dtype=np.int64,
        )
    pair = np.zeros((0, 0), dtype=np.int64)
    if pairs:
        p = len(columns)
        pair = np.empty((p, p), dtype=np.int64)
        for i in range(p):
            pair[i, i] = alone[i]
            for j in range(i):
                if made.ALL in (indicators[i], indicators[j]):
                    made_cell = alone[j] if indicators[i] == made.ALL else alone[i]
                else:
                    other = columns[j]
                    assert other is not None
                    made_cell = made.cross(
                        alone[i],
                        without[i],
                        alone[j],
                        without[j],
                        (indicators[i], indicators[j]),
                        (other.name, columns[i]),
                    )
                pair[i, j] = pair[j, i] = made_cell
    return Cells(
        names=tuple(made.names),
        relations=tuple(made.relations),
        column=column,
        case=case,
        pair=pair,
        outcome=of_outcome,
        counted=np.array(made.counted, dtype=np.int64),
    )


def triangle(square: NDArray[np.int64]) -> NDArray[np.int64]:
    """The lower triangle with the diagonal, row by row. Shape (p, p) to (p (p + 1) / 2,)."""
    return square[np.tril_indices(len(square))]


def triangle_size(p: int) -> int:
    """The length of `triangle` of a (p, p) matrix."""
    return p * (p + 1) // 2


def square(triangle_values: Numbers, p: int) -> NDArray[np.float64]:
    """A symmetric matrix from its lower triangle."""
    full = np.zeros((p, p))
    full[np.tril_indices(p)] = triangle_values
    return full + np.tril(full, -1).T


def count(made: Cells, indicators: list[NDArray[np.bool_]], people: int) -> Support:
    """People in every cell.

    Args:
        indicators: one for each column that is sometimes 0, in order, then the outcome's if it is counted: each of shape
            (people,), whether the value isn't 0.
    """
    packed = [_pack(np.ones(people, dtype=np.bool_)), *(_pack(indicator) for indicator in indicators)]
    support = np.empty(len(made.counted), dtype=np.int64)
    singles = np.array([np.bitwise_count(bits).sum() for bits in packed], dtype=np.int64)
    both: dict[tuple[int, int], int] = {}
    for cell, (a, b, with_a, with_b) in enumerate(made.counted.tolist()):
        if a == b:
            support[cell] = singles[a] if with_a else people - singles[a]
            continue
        if (a, b) not in both:
            both[a, b] = int(np.bitwise_count(packed[a] & packed[b]).sum())
        joint = both[a, b]
        if with_a and with_b:
            support[cell] = joint
        elif with_a:
            support[cell] = singles[a] - joint
        elif with_b:
            support[cell] = singles[b] - joint
        else:
            support[cell] = people - singles[a] - singles[b] + joint
    return support


def count_sparse(
    made: Cells,
    having: NDArray[np.int64],
    cases_having: NDArray[np.int64],
    people: int,
    cases: int,
) -> Support:
    """People in every cell of a design without pairs whose outcome is counted.

    Args:
        having, cases_having: for each column, the people in whom it isn't 0, and those among them with an outcome. Shapes (p,).
    """
    first, second, with_first, with_second = made.counted.T
    singles = np.concatenate([[people], having, [cases]])
    both = np.concatenate([[cases], cases_having, [cases]])[first]
    alone = first == second
    a, b = singles[first], singles[second]
    corners = np.select(
        [(with_first & with_second) == 1, with_first == 1, with_second == 1],
        [both, a - both, b - both],
        people - a - b + both,
    )
    return np.asarray(np.where(alone, np.where(with_first == 1, a, people - a), corners), dtype=np.int64)


def _pack(indicator: NDArray[np.bool_]) -> Bits:
    packed = np.packbits(indicator)
    return np.pad(packed, (0, -len(packed) % 8)).view(np.uint64)


class _Making:
    """Cells and relations as they are made. Indicator 0 holds for everyone."""

    ALL = 0

    def __init__(self) -> None:
        self.names: list[str] = []
        self.relations: list[Relation] = []
        self.counted: list[tuple[int, int, int, int]] = []
        self._indicators = 1

    def indicator(self) -> int:
        self._indicators += 1
        return self._indicators - 1

    def cell(self, name: str, indicator: int, *, holds: bool = True) -> int:
        return self._add(name, (indicator, indicator, int(holds), int(holds)))

    def complement(self, whole: int, part: int, name: str, indicator: int) -> int:
        """The rest of a whole, which its 0/1 part gives away."""
        rest = self.cell(name, indicator, holds=False)
        self.relations.append(Relation(whole=whole, parts=(part, rest)))
        return rest

    def cross(
        self,
        a: int,
        not_a: int | None,
        b: int,
        not_b: int | None,
        indicators: tuple[int, int],
        named: tuple[str, Covariate | None],
    ) -> int:
        """The cell of both, and the other corners of the table as far as subtraction gives them."""
        first, second = indicators
        left, right = named[1].name if named[1] else "everyone", named[0]
        both = self._add(f"{left} & {right}", (first, second, 1, 1))
        only_a = only_b = None
        if not_b is not None:
            only_a = self._add(f"{left} & not {right}", (first, second, 1, 0))
            self.relations.append(Relation(whole=a, parts=(both, only_a)))
        if not_a is not None:
            only_b = self._add(f"not {left} & {right}", (first, second, 0, 1))
            self.relations.append(Relation(whole=b, parts=(both, only_b)))
        if not_a is not None and not_b is not None:
            assert only_a is not None
            assert only_b is not None
            neither = self._add(f"not {left} & not {right}", (first, second, 0, 0))
            self.relations.append(Relation(whole=not_b, parts=(only_a, neither)))
            self.relations.append(Relation(whole=not_a, parts=(only_b, neither)))
        return both

    def _add(self, name: str, how: tuple[int, int, int, int]) -> int:
        self.names.append(name)
        self.counted.append(how)
        return len(self.names) - 1
