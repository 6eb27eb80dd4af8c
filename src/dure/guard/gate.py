"""The gate: only what passes here leaves a hospital, and only here is a `Release` made.

Responsible for: the two judgements. `release_*` judge one hospital's answer before it leaves; `judge_total` judges the
network's support before values are asked for, and `judge_values` what came of them. Not responsible for: permits (`dure.govern.permit`), masks, sending.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from dure.guard.ledger import Memory, entries, judge_memory, judge_network
from dure.guard.noise import Draw, Plan, blurred, opened
from dure.guard.populations import People, small_difference
from dure.guard.register import (
    BOUNDS,
    CONCENTRATION,
    CONSISTENT,
    LEAST_HOSPITALS,
    LEAST_PEOPLE,
    SATURATION,
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
LEAST_FREEDOM = 10
"""How many more events than coefficients a model needs."""
LARGEST_SHARE = 0.5
"""Of a quantity, that one person may make up."""
NOBODY = "No cell rests on enough people in the whole network."


@dataclass(frozen=True, kw_only=True)
class Release:
    """Numbers that may leave. The outbox takes nothing else, and only this file can make one.

    Attributes:
        layout: digest of the layout.
        numbers: ring bytes, as `dure.wire.messages.Contribution.numbers`.
        shown: bitmap of the cells shown, in `by_hospital`.
        populations: names of the populations of which numbers are shown: those to remember.
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


def release_support(
    layout: Layout, answer: Answer, rules: Rules | None = None, memory: Memory | None = None
) -> Release | Withheld:
    """`total`, first exchange: people behind every cell, for the network to add.

    Args:
        memory: what was answered before, at the first support of a step: the ledger's entries follow the cells then.
    """
    fault = _fault(layout, answer)
    if fault is not None:
        return fault
    if memory is None or rules is None:
        return _release(layout, ring.to_ring(answer.support, 0))
    fault = _remembered(answer.populations, memory, rules, by_hospital=False)
    if fault is not None:
        return fault
    told = np.concatenate([answer.support, entries(answer.populations, memory, rules)])
    return _release(layout, ring.to_ring(told, 0))


def release_values(
    layout: Layout,
    answer: Answer,
    is_open: Mask,
    rules: Rules | None = None,
    memory: Memory | None = None,
) -> Release | Withheld:
    """`total`, second exchange: the elements whose cells the network's thresholds opened; the rest are sent as zero.

    Args:
        memory: as in `release_support`; who is in the sum is final now.
    """
    fault = _fault(layout, answer)
    if fault is None and memory is not None and rules is not None:
        fault = _remembered(answer.populations, memory, rules, by_hospital=False)
    if fault is not None:
        return fault
    populations = spoken_populations(layout, is_open, answer.populations)
    return _release(layout, _hide(answer.sums, is_open).to_ring(), populations=populations)


def release_hospital(
    layout: Layout,
    answer: Answer,
    rules: Rules,
    memory: Memory | None = None,
) -> Release | Withheld:
    """`by_hospital`: this hospital's own thresholds and rounding, before anything leaves.

    Args:
        memory: of whom it gave numbers before, in either mode.
    """
    fault = _fault(layout, answer)
    if fault is not None:
        return fault
    is_open = open_cells(layout, answer.support, rules.least_people)
    if not (is_open & (answer.support > 0)).any():
        return Withheld(rule=LEAST_PEOPLE, reason="No cell rests on enough people at this hospital.")
    fault = judge_saturation(layout, answer.support, rules)
    if fault is not None:
        return fault
    shown = spoken_populations(layout, is_open, answer.populations)
    if not rules.off:
        known = [] if memory is None else [past.people for past in memory.past if past.by_hospital]
        if any(small_difference(answer.populations[name], known, rules.least_people) for name in shown):
            return Withheld(
                rule=SMALL_DIFFERENCE,
                reason="The people asked about differ by a few from people already answered about.",
            )
        fault = None if memory is None else _remembered(answer.populations, memory, rules, by_hospital=True)
        if fault is not None:
            return fault
    hidden = _hide(answer.sums, is_open)
    fault = judge_concentration(hidden, rules)
    if fault is not None:
        return fault
    rounded = _round(hidden, rules.round_to)
    support = np.where(is_open, _nearest(answer.support, rules.round_to), 0)
    numbers = np.concatenate([ring.to_ring(support, 0), rounded.to_ring()])
    return _release(layout, numbers, shown=pack(is_open), populations=shown)


def release_again(
    layout: Layout,
    numbers: bytes,
    populations: Mapping[str, People],
    rules: Rules,
    memory: Memory,
    *,
    is_open: Mask | None = None,
) -> Release | Withheld:
    """`total`: numbers that were released before, to a repeat of their question; its people are held against all others anew.

    Args:
        numbers: the cells' support at a step's first support, or the values of the cells in `is_open`.
        populations: the people that they rest on.
    """
    fault = _remembered(populations, memory, rules, by_hospital=False)
    if fault is not None:
        return fault
    if is_open is None:
        lanes = ring.from_bytes(numbers, len(layout.cells))
        told = ring.to_ring(entries(populations, memory, rules), 0)
        return _release(layout, np.concatenate([lanes, told]))
    shown = spoken_populations(layout, is_open, populations)
    return _release(layout, ring.from_bytes(numbers, layout.size), populations=shown)


def release_noised(
    layout: Layout, answer: Answer, plan: Plan, draw: Draw, *, is_open: Mask | None = None
) -> Release | Withheld:
    """`total` with noise: people behind every cell or, second exchange, the values of the cells in `is_open`.

    Each number carries this hospital's share. Numbers of people aren't told again by the values. Nothing is remembered: what was
    told is charged, and answers that carry noise may stand beside any others.

    Args:
        plan: of this layout; draw: the share, which nobody else may know.
    """
    fault = _fault(layout, answer)
    if fault is not None:
        return fault
    if is_open is None:
        return _release(layout, blurred(ring.to_ring(answer.support, 0), plan.support, draw))
    vectors, hidden, parts = {each.name: each for each in plan.fields}, _hide(answer.sums, is_open), []
    for field in layout.fields:
        lanes = ring.to_ring(hidden.values[field.name].ravel(), field.scale)
        known = vectors.get(field.name)
        parts.append(np.zeros_like(lanes) if known is None else blurred(lanes, known, draw))
    return _release(layout, np.concatenate(parts))


def judge_total(layout: Layout, support: Support, rules: Rules, *, hospitals: int) -> Mask | Withheld:
    """The network's thresholds: which cells' values may be asked for.

    Args:
        support: people behind every cell, added over the hospitals that answered. Where the rules want noise, with it: nobody knows
            the numbers without. Shape (len(layout.cells),).
        hospitals: how many of them are outside the asker's affiliation.
    """
    if hospitals < rules.least_hospitals:
        return Withheld(
            rule=LEAST_HOSPITALS,
            reason=f"A total needs {rules.least_hospitals} hospitals outside the asker's affiliation.",
        )
    if rules.noise is not None:
        told = opened(layout, support, rules.least_people)
        return told if told.any() else Withheld(rule=LEAST_PEOPLE, reason=NOBODY)
    if (support < 0).any():
        return Withheld(rule=BOUNDS, reason="A hospital sent a negative number of people.")
    if _contradicts(layout, support):
        return Withheld(rule=CONSISTENT, reason="A hospital sent parts that don't add up to their whole.")
    is_open = open_cells(layout, support, rules.least_people)
    if not (is_open & (support > 0)).any():
        return Withheld(rule=LEAST_PEOPLE, reason=NOBODY)
    return judge_saturation(layout, support, rules) or is_open


def judge_ledger(
    layout: Layout,
    support: Support,
    told: Support,
    is_open: Mask,
    populations: tuple[str, ...],
    named: tuple[str, ...],
    rules: Rules,
    *,
    run: str,
    hospitals: int,
) -> tuple[str, ...] | Withheld:
    """The populations that open cells speak of, unless the network's ledger has something against one of them.

    Args:
        told: what hospitals said beside the support, added: `dure.guard.ledger.entries`.
        populations: all of the step. named: the earlier ones that they were held against.
    """
    shown = spoken_populations(layout, is_open, populations)
    model = layout.model
    solved = (0, 0) if model is None else (model.coefficients, int(support[model.people]))
    found = judge_network(told, populations, shown, named, rules, run=run, hospitals=hospitals, model=solved)
    return shown if found is None else Withheld(rule=found.rule, reason=found.reason)


def judge_saturation(layout: Layout, support: Support, rules: Rules) -> Withheld | None:
    """Whether a model has so many coefficients that its sums could be solved for rows."""
    model = layout.model
    if model is None or rules.off:
        return None
    people, events = int(support[model.people]), [int(support[cell]) for cell in model.events]
    few = people < rules.least_people * model.coefficients
    if few or any(count < model.coefficients + LEAST_FREEDOM for count in events):
        return Withheld(
            rule=SATURATION,
            reason=f"Too few people or events for {model.coefficients} coefficients: its sums could be solved for rows.",
        )
    return None


def judge_concentration(sums: Sums, rules: Rules) -> Withheld | None:
    """Whether few people make up most of a quantity that is shown. Says nothing of sums that carry noise."""
    if rules.off:
        return None
    for field in sums.layout.fields:
        if not field.squares_of:
            continue
        largest = np.sqrt(sums.values[field.name].astype(np.float64))
        whole = sums.values[field.squares_of].astype(np.float64)
        if (largest > LARGEST_SHARE * whole).any():
            return Withheld(
                rule=CONCENTRATION,
                reason=f"A few people make up most of {field.squares_of}: ask about larger groups.",
            )
    return None


def _remembered(
    populations: Mapping[str, People], memory: Memory, rules: Rules, *, by_hospital: bool
) -> Withheld | None:
    if rules.off:
        return None
    found = judge_memory(populations, memory, rules, by_hospital=by_hospital)
    return None if found is None else Withheld(rule=found.rule, reason=found.reason)


def spoken_populations(layout: Layout, is_open: Mask, populations: Iterable[str]) -> tuple[str, ...]:
    """The populations that open cells speak of; one that no number and no relation of the layout names is of all of them."""
    spoken_of = _spoken_of(layout, is_open)
    arrays = layout.relation_arrays
    named = np.zeros(len(layout.cells), dtype=np.bool_)
    named[np.concatenate([layout.rests_on, arrays.whole, arrays.parts])] = True
    spoken_of |= ~named & is_open.any()
    return tuple(name for name in populations if spoken_of[layout.cells.index(name)])


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
