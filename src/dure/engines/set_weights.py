"""How much of a set of cohorts is computed at once, so that what is kept in between stays bounded.

Responsible for: counting the events that each plan reads, and cutting a set into parts of at most `MOST_EVENTS` of them (a
plan that alone reads more is a part of its own). Not responsible for: running the parts.
"""

from collections.abc import Iterator, Mapping, Sequence

from sqlglot import exp

from dure.cohort import CohortPlan
from dure.cohort import primitives as p
from dure.cohort.batch import CONCEPTS
from dure.cohort.relations import Events, walk
from dure.engines.base import Engine
from dure.omop.events import EVENT_TABLES

MOST_EVENTS = 10_000_000
FEW = 8
"""So few plans are one part, uncounted: counting would cost more than it saves."""

Column = tuple[str, str]


def parts_of(
    engine: Engine, plans: Sequence[CohortPlan], sets: Mapping[str, int]
) -> Iterator[Sequence[CohortPlan]]:
    """The plans in order, cut into parts. `CONCEPTS` is there already; `sets` are its numbers by digest."""
    if len(plans) <= FEW:
        yield plans
        return
    counted: dict[Column, dict[int, int]] = {}
    part, weight, seen = list[CohortPlan](), 0, dict[str, int]()
    for plan in plans:
        mine = {
            node.digest: _rows(engine, node, sets, counted)
            for node, _ in walk(plan.attrition, plan.rows).values()
            if isinstance(node, Events)
        }
        more = sum(rows for digest, rows in mine.items() if digest not in seen)
        if part and weight + more > MOST_EVENTS:
            yield part
            part, weight, seen = [], 0, {}
            more = sum(mine.values())
        part.append(plan)
        weight += more
        seen |= mine
    yield part


def _rows(
    engine: Engine, events: Events, sets: Mapping[str, int], counted: dict[Column, dict[int, int]]
) -> int:
    """How many rows of the table are of the concept sets: no fewer than there are events."""
    table = EVENT_TABLES[events.table]
    found = []
    for column, ids in ((table.concept, events.concepts), (table.source_concept, events.source_concepts)):
        if ids is not None:
            key = (events.table, str(column))
            if key not in counted:
                counted[key] = _count(engine, _of_sets(*key), "set_no")
            found.append(counted[key].get(sets[ids.digest], 0))
    if not found:
        key = (events.table, "")
        if key not in counted:
            counted[key] = _count(engine, _of_table(events.table), "all_of_it")
        found.append(counted[key].get(0, 0))
    return min(found)


def _count(engine: Engine, query: exp.Query, key: str) -> dict[int, int]:
    found = engine.query(query)
    return dict(zip(found.column(key).to_pylist(), found.column("n").to_pylist(), strict=True))


def _of_sets(table: str, column: str) -> exp.Query:
    """Columns set_no, n. Rows are counted by concept first, since a concept may be in many sets."""
    per_concept = p.select(
        [p.named(p.column(column, "c"), "concept_id"), p.named(exp.Count(this=exp.Star()), "n")],
        p.table(table, "c"),
        group=[p.column(column, "c")],
    )
    same = p.equal(p.column("concept_id", "s"), p.column("concept_id", "c"))
    return p.select(
        [p.column("set_no", "s"), p.named(p.big(exp.Sum(this=p.column("n", "c"))), "n")],
        p.nested(per_concept, "c"),
        joins=[(p.table(CONCEPTS, "s"), same)],
        group=[p.column("set_no", "s")],
    )


def _of_table(table: str) -> exp.Query:
    return p.select(
        [p.named(p.literal(0), "all_of_it"), p.named(exp.Count(this=exp.Star()), "n")], p.table(table, "c")
    )
