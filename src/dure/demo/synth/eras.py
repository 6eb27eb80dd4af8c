"""Eras: spans of one condition or one ingredient, made from its records as the CDM defines them.

Responsible for: joining records that lie at most `GAP` days apart. Not responsible for: which records there are.
"""

from dataclasses import dataclass

import numpy as np

from dure.demo.synth.arrays import Ints

GAP = 30
_ORIGIN = 10_000
_DAYS = 2**15
_GROUPS = 2**10


@dataclass(frozen=True, kw_only=True)
class Eras:
    """Parallel arrays: person, group, first and last day, records joined, days inside that no record covers."""

    person: Ints
    group: Ints
    start: Ints
    end: Ints
    records: Ints
    gap_days: Ints


def eras(person: Ints, group: Ints, start: Ints, end: Ints) -> Eras:
    """Join the records of each (person, group): a record opens a new era when it starts more than `GAP` days after the
    last day that any earlier one reached. `group` is below 1,024; days lie between 1997 and 2087."""
    who = person.astype(np.int64) * _GROUPS + group
    key = who * _DAYS + (start - _ORIGIN)
    order = np.argsort(key, kind="stable")
    who, key = who[order], key[order]
    reach = np.maximum.accumulate(who * _DAYS + (end[order] - _ORIGIN))
    ahead = key - np.roll(reach, 1)
    new = (np.diff(who, prepend=-1) != 0) | (ahead > GAP)
    opens = np.flatnonzero(new)
    uncovered = np.where(new, 0, np.maximum(ahead - 1, 0))
    closes = np.append(opens[1:], len(key)) - 1 if len(opens) else opens
    return Eras(
        person=(who[opens] // _GROUPS).astype(np.int32),
        group=(who[opens] % _GROUPS).astype(np.int32),
        start=(key[opens] % _DAYS + _ORIGIN).astype(np.int32),
        end=(reach[closes] % _DAYS + _ORIGIN).astype(np.int32),
        records=(closes - opens + 1).astype(np.int32),
        gap_days=(np.add.reduceat(uncovered, opens) if len(opens) else opens).astype(np.int32),
    )
