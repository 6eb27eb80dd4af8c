"""The gate: only what passes here leaves a hospital, and only here is a `Release` made.

Responsible for: the two judgements. `release_*` judge one hospital's answer before it leaves; `judge_total` judges the
network's support before values are asked for, and `judge_values` what came of them. Not responsible for: permits (`dure.govern.permit`), masks, sending.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dure.guard.populations import People, small_difference
from dure.guard.register import (
    BOUNDS,
    CONSISTENT,
    LEAST_HOSPITALS,
    LEAST_PEOPLE,
    SMALL_DIFFERENCE,
    GateRule,
)
from dure.guard.suppression import Mask, open_cells
from dure.stats.base import Answer
from dure.wire import ring
from dure.wire.messages import pack
from dure.wire.rules import Rules
from dure.wire.sums import FieldKind, Layout, Numbers, Sums, Support

_MADE_HERE = object()


@dataclass(frozen=True, kw_only=True)
class Release:
    """Numbers that may leave. The outbox takes nothing else, and only this file can make one.

    Attributes:
        layout: digest of the layout.
        numbers: ring bytes, as `dure.wire.messages.Contribution.numbers`.
        shown: bitmap of the cells shown, in `by_hospital`.
        populations: names of the populations of which numbers are shown, in `by_hospital`: those to remember.
    """

    layout: str
    numbers: bytes
    shown: bytes | None
    populations: tuple[str, ...]
    seal: object

    def __post_init__(self) -> None:
        """Raise TypeError where anything but the gate makes one."""
        if self.seal is not _MADE_HERE:
            raise TypeError("only the gate makes a Release")


@dataclass(frozen=True, kw_only=True)
class Withheld:
    """The gate's no: an answer of its own, distinct from zero. `reason` holds no number about people."""

    rule: GateRule
    reason: str


def release_support(layout: Layout, answer: Answer) -> Release | Withheld:
    """`total`, first exchange: people behind every cell, for the network to add."""
    fault = _fault(layout, answer)
    if fault is not None:
        return fault
    return _release(layout, ring.to_ring(answer.support, 0))


def release_values(layout: Layout, answer: Answer, is_open: Mask) -> Release | Withheld:
    """`total`, second exchange: the elements whose cells the network's thresholds opened; the rest are sent as zero."""
    fault = _fault(layout, answer)
    if fault is not None:
        return fault
    return _release(layout, _hide(answer.sums, is_open).to_ring())


def release_hospital(
    layout: Layout, answer: Answer, rules: Rules, past: Iterable[People] = ()
) -> Release | Withheld:
    """`by_hospital`: this hospital's own thresholds and rounding, before anything leaves.

    Args:
        past: populations that this hospital has shown numbers of, `by_hospital`, before.
    """
    fault = _fault(layout, answer)
    if fault is not None:
        return fault
    is_open = open_cells(layout, answer.support, rules.least_people)
    if not (is_open & (answer.support > 0)).any():
        return Withheld(rule=LEAST_PEOPLE, reason="No cell rests on enough people at this hospital.")
    spoken_of = _spoken_of(layout, is_open)
    shown = [name for name in answer.populations if spoken_of[layout.cells.index(name)]]
    if not rules.off:
        known = list(past)
        if any(small_difference(answer.populations[name], known, rules.least_people) for name in shown):
            return Withheld(
                rule=SMALL_DIFFERENCE,
                reason="The people asked about differ by a few from people already answered about.",
            )
    rounded = _round(_hide(answer.sums, is_open), rules.round_to)
    support = np.where(is_open, _nearest(answer.support, rules.round_to), 0)
    numbers = np.concatenate([ring.to_ring(support, 0), rounded.to_ring()])
    return _release(layout, numbers, shown=pack(is_open), populations=tuple(shown))


def judge_total(layout: Layout, support: Support, rules: Rules, *, hospitals: int) -> Mask | Withheld:
    """The network's thresholds: which cells' values may be asked for.

    Args:
        support: people behind every cell, added over the hospitals that answered. Shape (len(layout.cells),).
        hospitals: how many of them are outside the asker's affiliation.
    """
    if hospitals < rules.least_hospitals:
        return Withheld(
            rule=LEAST_HOSPITALS,
            reason=f"A total needs {rules.least_hospitals} hospitals outside the asker's affiliation.",
        )
    if (support < 0).any():
        return Withheld(rule=BOUNDS, reason="A hospital sent a negative number of people.")
    if _contradicts(layout, support):
        return Withheld(rule=CONSISTENT, reason="A hospital sent parts that don't add up to their whole.")
    is_open = open_cells(layout, support, rules.least_people)
    if not (is_open & (support > 0)).any():
        return Withheld(rule=LEAST_PEOPLE, reason="No cell rests on enough people in the whole network.")
    return is_open


def _release(
    layout: Layout, lanes: ring.Lanes, *, shown: bytes | None = None, populations: tuple[str, ...] = ()
) -> Release:
    return Release(
        layout=layout.digest,
        numbers=ring.to_bytes(lanes),
        shown=shown,
        populations=populations,
        seal=_MADE_HERE,
    )


def _fault(layout: Layout, answer: Answer) -> Withheld | None:
    """What makes an answer no lawful sum of people, whatever its size."""
    if answer.sums.layout.digest != layout.digest or answer.support.shape != (len(layout.cells),):
        return Withheld(rule=CONSISTENT, reason="The answer is not laid out as the study says.")
    if (answer.support < 0).any():
        return Withheld(rule=BOUNDS, reason="A number of people is negative.")
    if _contradicts(layout, answer.support):
        return Withheld(rule=CONSISTENT, reason="Parts don't add up to their whole.")
    return judge_values(answer.sums, answer.support)


def _contradicts(layout: Layout, support: Support) -> bool:
    """Whether parts make less than their whole or, where nobody is in two of them, more."""
    relations = layout.relation_arrays
    parts, whole = relations.over_parts(support), support[relations.whole]
    return bool(((parts < whole) | (relations.disjoint & (parts > whole))).any())


def judge_values(sums: Sums, support: Support, *, round_to: int = 1) -> Withheld | None:
    """What no people can add up to, whoever says so: a hospital of itself, or the network of those who answered.

    Args:
        round_to: what both were rounded to, each by itself, before they were sent.
    """
    half = round_to // 2
    for field in sums.layout.fields:
        values = sums.values[field.name]
        if not np.isfinite(values).all():
            return Withheld(rule=BOUNDS, reason=f"The field {field.name} is not finite.")
        if (np.abs(values) > field.bound * (support[field.rests_on] + half) + half * field.grain).any():
            return Withheld(rule=BOUNDS, reason=f"The field {field.name} holds more than its people can add.")
        if field.kind is FieldKind.COUNT and (values < 0).any():
            return Withheld(rule=BOUNDS, reason=f"The field {field.name} counts below zero.")
    return None


def _spoken_of(layout: Layout, is_open: Mask) -> Mask:
    """The cells that are shown, or some part of which is: a hidden whole with a shown part is no secret population."""
    relations, spoken_of = layout.relation_arrays, is_open.copy()
    while True:
        before = spoken_of.copy()
        spoken_of[relations.whole[relations.of[spoken_of[relations.parts]]]] = True
        if (spoken_of == before).all():
            return spoken_of


def _hide(sums: Sums, is_open: Mask) -> Sums:
    values: dict[str, Numbers] = {}
    for field in sums.layout.fields:
        array = sums.values[field.name].copy()
        array[~is_open[field.rests_on]] = 0
        values[field.name] = array
    return Sums(layout=sums.layout, values=values)


def _round(sums: Sums, base: int) -> Sums:
    if base == 1:
        return sums
    values: dict[str, Numbers] = {}
    for field in sums.layout.fields:
        array = sums.values[field.name]
        values[field.name] = _nearest(array, base * field.grain) if field.scale == 0 else array
    return Sums(layout=sums.layout, values=values)


def _nearest(values: Numbers, base: int) -> Support:
    return ((values.astype(np.int64) + base // 2) // base) * base
