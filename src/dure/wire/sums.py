"""Sums: the only shape in which anything about people crosses a hospital's wall.

Responsible for: layouts (fixed by a study's parameters alone, never by data), the numbers laid out so, their addition.
Not responsible for: computing them (`stats`), letting them out (`guard`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dure.wire import ring

Numbers = NDArray[np.float64] | NDArray[np.int64]
Support = NDArray[np.int64]


class FieldKind(StrEnum):
    """What a field's numbers are: people or events counted, a quantity added up, or a derivative of a likelihood."""

    COUNT = "count"
    MOMENT = "moment"
    DERIVATIVE = "derivative"


class Unit(StrEnum):
    """What a field is a sum over."""

    PERSON = "person"
    STRATUM = "stratum"
    HOSPITAL = "hospital"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One named array of a layout.

    Attributes:
        rests_on: for every element, the index of the cell whose people it is a sum over; its shape is the field's.
        bound: the largest magnitude that one person may add to an element.
        scale: fractional bits in the ring; 0 means integers, exactly.
        grain: what `by_hospital` rounding counts as one (1 for people, 365 for person-days).
        squares_of: the field of quantities, none below 0, whose squares over people these are: they tell whether few people
            make up most of a quantity. "" where the field is of its own account.
    """

    name: str
    kind: FieldKind
    unit: Unit
    bound: float
    rests_on: NDArray[np.int64]
    scale: int = 0
    grain: int = 1
    squares_of: str = ""

    @property
    def size(self) -> int:
        return int(self.rests_on.size)


@dataclass(frozen=True, kw_only=True)
class Relation:
    """`whole` counts everyone that `parts` count: cells by index. What isn't published of it can be subtracted.

    Attributes:
        disjoint: nobody is in two parts. Where somebody may be, a group of cells is only as large as its largest cell.
    """

    whole: int
    parts: tuple[int, ...]
    disjoint: bool = True


@dataclass(frozen=True, kw_only=True)
class RelationArrays:
    """A layout's relations as arrays, for arithmetic over all of them at once.

    Attributes:
        whole, disjoint: of each relation.
        parts, of: every part, and the relation that it stands in; relations in order.
        ends: for each relation, from ends[relation] to ends[relation + 1] its parts.
        holding, sign, starts: for each cell from starts[cell] to starts[cell + 1] the relations that it stands in, and whether
            as a part (1) or as the whole (-1).
    """

    whole: NDArray[np.int64]
    disjoint: NDArray[np.bool_]
    parts: NDArray[np.int64]
    of: NDArray[np.int64]
    ends: NDArray[np.int64]
    holding: NDArray[np.int64]
    sign: NDArray[np.int64]
    starts: NDArray[np.int64]

    def over_parts(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each relation the sum of its parts' values, exactly. Shape (cells,) to (relations,)."""
        up_to = np.zeros(len(self.parts) + 1, dtype=np.int64)
        np.cumsum(values[self.parts], out=up_to[1:])
        return np.asarray(np.diff(up_to[self.ends]))


@dataclass(frozen=True, kw_only=True)
class Model:
    """That the sums are a model's score and information.

    Attributes:
        coefficients: how many it has.
        people: the cell of everyone in it; events: the cells of those with and without an outcome, where that is counted.
    """

    coefficients: int
    people: int
    events: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a statistic sends, known before any data is seen.

    Attributes:
        cells: every group of people that a number rests on, *and every complement that can be had by subtraction*.
        relations: which cells add up to which.
        fields: the arrays, in the order in which they are sent.
        together: groups of cells that are shown all or not at all, because a number that rests on one speaks of the others too.
        model: where the fields are a model's that is solved for coefficients.
    """

    cells: tuple[str, ...]
    relations: tuple[Relation, ...]
    fields: tuple[Field, ...]
    together: tuple[tuple[int, ...], ...] = ()
    model: Model | None = None

    @cached_property
    def size(self) -> int:
        """The number of elements over all fields."""
        return sum(field.size for field in self.fields)

    @cached_property
    def rests_on(self) -> NDArray[np.int64]:
        """The cell of every element, over all fields in order. Shape (size,)."""
        return np.concatenate([field.rests_on.ravel() for field in self.fields])

    @cached_property
    def relation_arrays(self) -> RelationArrays:
        """The relations as arrays."""
        sizes = [len(relation.parts) for relation in self.relations]
        whole = np.array([relation.whole for relation in self.relations], dtype=np.int64)
        parts = np.fromiter(
            (part for relation in self.relations for part in relation.parts), np.int64, sum(sizes)
        )
        of = np.repeat(np.arange(len(sizes)), sizes)
        cells = np.concatenate([whole, parts])
        holding = np.concatenate([np.arange(len(sizes)), of])
        sign = np.concatenate([np.full(len(whole), -1), np.ones(len(parts), dtype=np.int64)])
        order = np.lexsort((holding, cells))
        return RelationArrays(
            whole=whole,
            disjoint=np.array([relation.disjoint for relation in self.relations], dtype=np.bool_),
            parts=parts,
            of=of,
            ends=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]),
            holding=holding[order],
            sign=sign[order],
            starts=np.searchsorted(cells[order], np.arange(len(self.cells) + 1)),
        )

    @cached_property
    def digest(self) -> str:
        """The content id by which both sides know that they mean the same vector."""
        told = hashlib.sha256(repr((self.cells, self.relations, self.together, self.model)).encode())
        for field in self.fields:
            told.update(
                repr(
                    (
                        *(field.name, field.kind, field.unit, field.bound),
                        *(field.scale, field.grain, field.squares_of),
                    )
                ).encode()
                + repr(field.rests_on.shape).encode()
                + field.rests_on.astype("<i8").tobytes()
            )
        return "sha256:" + told.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Numbers laid out by a layout: one array a field, of the field's shape (int64 at scale 0, else float64)."""

    layout: Layout
    values: Mapping[str, Numbers]

    def __post_init__(self) -> None:
        """Raise ValueError where names, shapes or types differ from the layout's."""
        if set(self.values) != {field.name for field in self.layout.fields}:
            raise ValueError(f"fields {sorted(self.values)} are not the layout's")
        for field in self.layout.fields:
            array = self.values[field.name]
            wanted = np.int64 if field.scale == 0 else np.float64
            if array.shape != field.rests_on.shape or array.dtype != wanted:
                raise ValueError(f"{field.name}: {array.dtype}{array.shape} is not the layout's")

    @classmethod
    def zero(cls, layout: Layout) -> "Sums":
        """The neutral element of addition."""
        return cls.from_ring(layout, np.zeros((layout.size, 2), dtype=np.uint64))

    def to_ring(self) -> ring.Lanes:
        """All fields, in order, as one vector of the ring. Shape (layout.size, 2)."""
        return np.concatenate(
            [ring.to_ring(self.values[field.name].ravel(), field.scale) for field in self.layout.fields]
        )

    @classmethod
    def from_ring(cls, layout: Layout, lanes: ring.Lanes) -> "Sums":
        """The numbers in a vector of the ring, each rounded once to double (integers stay exact)."""
        values: dict[str, Numbers] = {}
        start = 0
        for field in layout.fields:
            part = lanes[start : start + field.size]
            flat: Numbers = ring.integers(part) if field.scale == 0 else ring.from_ring(part, field.scale)
            values[field.name] = flat.reshape(field.rests_on.shape)
            start += field.size
        return cls(layout=layout, values=values)

    def __add__(self, other: "Sums") -> "Sums":
        """Element-wise. Integers are exact; others are rounded to double, so a long sum is made of `to_ring`."""
        if other.layout.digest != self.layout.digest:
            raise ValueError("two layouts cannot be added")
        return Sums.from_ring(self.layout, ring.add(self.to_ring(), other.to_ring()))
