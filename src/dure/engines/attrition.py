"""Attrition: how many people are left after each inclusion rule.

Responsible for: counting people from qualified events and their masks. Not responsible for: what of it may be shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """Numbers of people.

    Attributes:
        persons: with a qualified event.
        satisfied: for each rule, with an event that satisfies it.
        left: for each rule, with an event that satisfies it and all rules before it.
    """

    persons: int
    satisfied: tuple[int, ...]
    left: tuple[int, ...]


def funnel(qualified: pa.Table, rules: Sequence[str]) -> Funnel:
    """Count the people of a cohort's `qualified` events (columns person_id, mask)."""
    person = qualified.column("person_id").to_numpy()
    mask = qualified.column("mask").to_numpy()

    def people(bits: int) -> int:
        return len(np.unique(person[(mask & bits) == bits]))

    return Funnel(
        persons=len(np.unique(person)),
        satisfied=tuple(people(1 << at) for at in range(len(rules))),
        left=tuple(people((2 << at) - 1) for at in range(len(rules))),
    )
