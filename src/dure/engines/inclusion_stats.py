"""Inclusion-rule statistics, as OHDSI's `generateStats` gives them.

Responsible for: counting masks, rules and totals of a cohort's qualified events, in OHDSI's two modes. Not responsible for:
which rules hold (`cohort`), the funnel of people rule by rule (`attrition`), or what of it may be shown.

Mode 0 counts all qualified events, mode 1 one best event of each person: it satisfies the most rules, of those the one whose
first satisfied rule comes earliest, of those the first by date. The reference leaves what is equal then to the order of a
scan; here the smaller mask is taken, so the numbers are always the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

EVENTS, BEST = 0, 1
SCHEMA = pa.schema(
    [
        ("cohort_id", pa.string()),
        ("table", pa.string()),
        ("mode_id", pa.int64()),
        ("rule_sequence", pa.int64()),
        ("rule_name", pa.string()),
        ("inclusion_rule_mask", pa.int64()),
        ("person_count", pa.int64()),
        ("gain_count", pa.int64()),
        ("person_total", pa.int64()),
        ("base_count", pa.int64()),
        ("final_count", pa.int64()),
    ]
)
"""One row a number of OHDSI's tables; `table` is cohort_inclusion_result, _stats or cohort_summary_stats, and the columns that
a table doesn't have are empty. `person_count` counts events in mode 0, as it does there."""


@dataclass(frozen=True, kw_only=True)
class RuleStats:
    """One rule: events (mode 0) or people (mode 1) that satisfy it, and those that satisfy all rules but it."""

    satisfied: int
    gain: int


@dataclass(frozen=True, kw_only=True)
class InclusionStats:
    """One mode's numbers.

    Attributes:
        mode: `EVENTS` or `BEST`.
        masks: (mask, how many), in order of masks; bit i of a mask is rule i.
        rules: for each rule.
        base: how many there are.
        final: how many satisfy all rules.
    """

    mode: int
    masks: tuple[tuple[int, int], ...]
    rules: tuple[RuleStats, ...]
    base: int
    final: int


def inclusion_stats(qualified: pa.Table, rules: int) -> tuple[InclusionStats, InclusionStats]:
    """Both modes of a cohort's `qualified` events (columns person_id, start_date, mask) under so many rules."""
    masks = qualified.column("mask").to_numpy()
    return _counted(EVENTS, masks, rules), _counted(BEST, masks[_best(qualified, masks, rules)], rules)


def _best(qualified: pa.Table, masks: npt.NDArray[np.int64], rules: int) -> npt.NDArray[np.int64]:
    """Where each person's best event is."""
    person = qualified.column("person_id").to_numpy()
    start = qualified.column("start_date").cast(pa.int32()).to_numpy()
    satisfied, earliest = np.zeros_like(masks), np.zeros_like(masks)
    for at in reversed(range(rules)):
        held = (masks >> at) & 1 == 1
        satisfied += held
        earliest[held] = at
    order = np.lexsort((masks, start, earliest, -satisfied, person))
    ordered = person[order]
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return order[first]


def _counted(mode: int, masks: npt.NDArray[np.int64], rules: int) -> InclusionStats:
    values, counts = np.unique(masks, return_counts=True)
    by_mask = {int(mask): int(n) for mask, n in zip(values, counts, strict=True)}
    full = (1 << rules) - 1
    return InclusionStats(
        mode=mode,
        masks=tuple(by_mask.items()),
        rules=tuple(
            RuleStats(
                satisfied=sum(n for mask, n in by_mask.items() if mask >> at & 1),
                gain=by_mask.get(full - (1 << at), 0),
            )
            for at in range(rules)
        ),
        base=len(masks),
        final=by_mask.get(full, 0),
    )


def table_of(cohort: str, rules: Sequence[str], both: Sequence[InclusionStats]) -> pa.Table:
    """A cohort's statistics in the columns of `SCHEMA`."""
    rows = list[dict[str, int | str]]()
    for stats in both:
        head: dict[str, int | str] = {"cohort_id": cohort, "mode_id": stats.mode}
        for mask, count in stats.masks:
            rows.append(
                head
                | {"table": "cohort_inclusion_result", "inclusion_rule_mask": mask, "person_count": count}
            )
        for at, (name, rule) in enumerate(zip(rules, stats.rules, strict=True)):
            rows.append(
                head
                | {
                    "table": "cohort_inclusion_stats",
                    "rule_sequence": at,
                    "rule_name": name,
                    "person_count": rule.satisfied,
                    "gain_count": rule.gain,
                    "person_total": stats.base,
                }
            )
        rows.append(
            head | {"table": "cohort_summary_stats", "base_count": stats.base, "final_count": stats.final}
        )
    return pa.Table.from_pylist(rows, SCHEMA)
