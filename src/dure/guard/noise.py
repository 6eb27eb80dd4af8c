"""Noise: which numbers of a layout can carry it, how much, and what is made of numbers that do.

Responsible for: splitting what a study may tell over its numbers, one hospital's share in the ring's integers, and bringing
noised totals back to what can be. Pure: draws are an argument. Not responsible for: the arithmetic of losses (`accounting`),
how many cells one person is in (`sensitivity`), budgets (`dure.node.budget`).

Noise is added by every hospital before its masks, so nobody sees a sum with less of it than `shares` hospitals add. The people
behind every cell carry it as well: what is hidden in the end was never seen by anybody. A number of people is told once: the
support tells it, and the values don't again.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dure.guard import accounting, sensitivity
from dure.guard.neighbours import threshold
from dure.guard.suppression import Mask
from dure.wire import ring
from dure.wire.rules import Noise
from dure.wire.sums import Field, FieldKind, Layout, Numbers, Sums, Support, Unit

Draw = Callable[[float, int], NDArray[np.int64]]
"""Draws so many integers of a discrete Gaussian of a scale. Nobody else may know or foresee them."""
SUPPORT = ""
FINE = 10
"""A field is rounded to the power of two below a 1024th of what one person may add: finer would be lost in the noise."""
SUPPORT_PART = 0.5
"""Of a round's loss, where other fields share the rest."""


@dataclass(frozen=True, kw_only=True)
class Vector:
    """One vector of a round, as it carries noise.

    Attributes:
        name: the field's; SUPPORT for the people behind every cell.
        bits: how many low bits of the ring's integers are rounded away; what is left are steps.
        step: what a step is in the field's numbers.
        squares: the square of the largest distance, in steps, that one person makes.
        scale: of one hospital's share, in steps.
        rho: what it tells of one person.
    """

    name: str
    size: int
    bits: int
    step: float
    squares: int
    scale: float
    rho: float

    def deviation(self, hospitals: int) -> float:
        """The standard deviation of the noise in a sum over so many hospitals."""
        return self.scale * math.sqrt(hospitals) * self.step


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A round's noise: of the support, and of the fields that it doesn't tell."""

    support: Vector
    fields: tuple[Vector, ...]

    @property
    def rho(self) -> float:
        """What the round tells of one person."""
        return math.fsum([self.support.rho, *(field.rho for field in self.fields)])


def shares(noise: Noise, hospitals: int) -> int:
    """How many shares of the noise are in every sum that can be opened and unknown to all who might collude."""
    return threshold(hospitals) - noise.colluders


def unsound(layout: Layout, noise: Noise, hospitals: int) -> str | None:
    """Why these numbers can't carry noise that means something; None where they can."""
    if shares(noise, hospitals) < 1:
        return f"With {noise.colluders} colluders nobody's noise is left among {hospitals} hospitals."
    if layout.model is not None:
        return "A model's sums can't carry noise: what would be solved for isn't bounded for one person."
    for field in layout.fields:
        if field.kind is FieldKind.DERIVATIVE or field.unit is not Unit.PERSON:
            return (
                f"{field.name} is no sum of bounded numbers of single people, so noise would promise nothing."
            )
        if not math.isfinite(field.bound):
            return f"Nothing bounds what one person adds to {field.name}."
    return None


def untold(field: Field) -> bool:
    """Whether a field says nothing that noise leaves open: numbers of people, or squares by which exact quantities are judged."""
    return told_by_support(field) or bool(field.squares_of)


def told_by_support(field: Field) -> bool:
    """Whether a field is the numbers of people in its cells, which the support says."""
    return (
        field.kind is FieldKind.COUNT and field.unit is Unit.PERSON and field.bound == 1 and not field.scale
    )


def plan(layout: Layout, noise: Noise, rho: float, hospitals: int) -> Plan:
    """How a round's loss is spent on a layout for which `unsound` has nothing against it.

    Args:
        rho: what the round may tell of one person.
        hospitals: in the run, whether or not all answer.
    """
    others = [field for field in layout.fields if not untold(field)]
    of_support = rho * SUPPORT_PART if others else rho
    count = shares(noise, hospitals)
    cells = len(layout.cells)
    people = sensitivity.most(layout, np.ones(cells, dtype=np.int64))
    support = _vector(SUPPORT, cells, bits=0, step=1.0, squares=people, rho=of_support, count=count)
    return Plan(
        support=support,
        fields=tuple(_of_field(layout, field, (rho - of_support) / len(others), count) for field in others),
    )


def _of_field(layout: Layout, field: Field, rho: float, count: int) -> Vector:
    bits, reach = steps_of(field)
    elements = np.bincount(field.rests_on.ravel(), minlength=len(layout.cells))
    return _vector(
        field.name,
        field.size,
        bits=bits,
        step=math.ldexp(1.0, bits - field.scale),
        squares=reach * reach * sensitivity.most(layout, elements),
        rho=rho,
        count=count,
    )


def _vector(name: str, size: int, *, bits: int, step: float, squares: int, rho: float, count: int) -> Vector:
    scale = accounting.least_scale(squares, rho, count, size)
    return Vector(
        name=name,
        size=size,
        bits=bits,
        step=step,
        squares=squares,
        scale=scale,
        rho=accounting.loss(squares, scale, count, size),
    )


def steps_of(field: Field) -> tuple[int, int]:
    """How many low bits are rounded away, and the most steps by which one person then moves an element.

    Rounding may move it by a step more than the person adds. So may the rounding of a sum of floats, whose error over millions of
    people stays below a step; whole numbers are added exactly.
    """
    largest = math.ldexp(field.bound, field.scale)
    bits = max(math.frexp(largest)[1] - 1 - FINE, 0)
    if field.scale == 0 and bits == 0:
        return 0, math.floor(largest)
    return bits, math.floor(math.ldexp(largest, -bits)) + 2


def blurred(lanes: ring.Lanes, vector: Vector, draw: Draw) -> ring.Lanes:
    """One hospital's numbers in whole steps with its share of noise. Shape (vector.size, 2)."""
    drawn = draw(vector.scale, vector.size)
    if drawn.shape != (vector.size,):
        raise ValueError(f"{drawn.shape} draws for {vector.size} numbers")
    return ring.add(ring.rounded(lanes, vector.bits), ring.shifted(ring.to_ring(drawn, 0), vector.bits))


def opened(layout: Layout, support: Support, k: int) -> Mask:
    """The cells that are shown: those with k people or more as far as the noise lets one tell, in whole groups.

    Nothing is hidden for another's sake: what subtraction of noised numbers gives carries their noise.
    """
    shown = np.zeros(len(layout.cells), dtype=np.bool_)
    shown[layout.rests_on] = True
    shown &= support >= k
    for group in layout.together:
        cells = list(group)
        if not shown[cells].all():
            shown[cells] = False
    return shown


def settled(layout: Layout, is_open: Mask, sums: Sums, support: Support) -> Mapping[str, Numbers]:
    """A total's numbers without what can't be: below zero, or more than people can add. It tells nothing more.

    Args:
        support: with its noise, 0 where it is below.
    """
    values: dict[str, Numbers] = {}
    for field in layout.fields:
        people = support[field.rests_on]
        found = np.asarray(people if told_by_support(field) else sums.values[field.name], dtype=np.float64)
        least = 0 if field.kind is FieldKind.COUNT else -field.bound * people
        found = np.where(is_open[field.rests_on], np.clip(found, least, field.bound * people), 0.0)
        values[field.name] = found if field.scale else found.astype(np.int64)
    return values
