"""Relations: the few ideas that a cohort's plan is made of, as frozen nodes of a graph.

Responsible for: the nodes, their columns and their identity (equal nodes have equal digests and are one subplan). Not
responsible for: making a plan of a definition (`plan`), its SQL (`sql`) and its plain meaning (`evaluate`).

Three shapes of rows pass between nodes:
    events:  person_id, event_id, start_date, end_date, visit_id, sort_date (and `counted`, where a count asks for it)
    index:   person_id, event_id, start_date, end_date, visit_id, op_start, op_end
    keys:    person_id, event_id of the index events that something holds for
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import date
from enum import Enum
from functools import cached_property
from typing import Any

from dure.cohort.circe.nodes import DateAdjustment, DateOffset, Limit, OccurrenceType, Period, Window
from dure.cohort.predicates import (
    REGION,
    InConceptSet,
    InRegion,
    Operand,
    Predicate,
    columns_beyond,
    linked_tables,
)
from dure.omop.concept_sets import ConceptSetItem
from dure.omop.events import EVENT_TABLES, EventTable

DERIVED = {
    table.name: table
    for table in (
        EventTable(
            name="eras", id="era_id", start="start_date", end="end_date", lasts_a_day=False, concept=None
        ),
        EventTable(
            name="residences",
            id="location_history_id",
            start="start_date",
            end="end_date",
            lasts_a_day=False,
            concept="region_concept_id",
        ),
    )
}
"""What `Eras` and `Residences` give, in the words of a table of events."""


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A node. `digest` is the SHA-256 of its content, its inputs' digests standing for the inputs."""

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(written(self, lambda each: each.digest).encode()).hexdigest()

    @cached_property
    def inputs(self) -> "tuple[Relation, ...]":
        """The relations that this one reads, in order and without repeats."""
        found: dict[str, Relation] = {}
        for each in fields(self):
            for relation in _relations(getattr(self, each.name)):
                found[relation.digest] = relation
        return tuple(found.values())

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of the CDM that the node itself reads."""
        return ()

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """(table, column) of what the node itself reads and CDM 5.3 and 5.4 don't have."""
        return ()

    def reads(self, _input: "Relation") -> int:
        """How often the SQL of this node reads an input."""
        return 1


def written(relation: Relation, named: Callable[[Relation], str]) -> str:
    """The content of a node as text; `named` says what stands for an input."""
    inner = ",".join(_written(getattr(relation, each), named) for each in relation.__dataclass_fields__)
    return f"{type(relation).__name__}({inner})"


def _written(value: Any, named: Callable[[Relation], str]) -> str:
    match value:
        case Relation():
            return named(value)
        case tuple():
            return f"[{','.join(_written(item, named) for item in value)}]"
        case Enum():
            return repr(value.value)
        case date():
            return value.isoformat()
        case None | bool() | int() | str():
            return repr(value)
        case _ if hasattr(value, "__dataclass_fields__"):
            inner = ",".join(_written(getattr(value, each), named) for each in value.__dataclass_fields__)
            return f"{type(value).__name__}({inner})"
        case _:
            return f"{type(value).__name__}:{value}"


def _relations(value: Any) -> Iterator[Relation]:
    if isinstance(value, Relation):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _relations(item)
    elif isinstance(value, InConceptSet | InRegion):
        yield ConceptIds(items=value.items)


@dataclass(frozen=True, kw_only=True)
class ConceptIds(Relation):
    """The concepts of a concept set. Column: concept_id."""

    items: tuple[ConceptSetItem, ...]

    @property
    def maps(self) -> bool:
        return any(item.mapped for item in self.items)

    @property
    def tables(self) -> tuple[str, ...]:
        return ("concept", "concept_ancestor", *(["concept_relationship"] if self.maps else []))


@dataclass(frozen=True, kw_only=True)
class Events(Relation):
    """The rows of one table (or of `of`), by concept sets and predicates, as events.

    Attributes:
        of: what gives the rows where `table` names one of `DERIVED`.
        first: keep each person's first row (by start, then key) of the concept sets, before `where`.
        adjustment: dates moved before `where`; an event that then ends before it starts is dropped.
        period: dates that replace the event's own after `where`, which also asks that the event covers them.
        counted: a value for the column `counted`.
    """

    table: str
    concepts: ConceptIds | None
    source_concepts: ConceptIds | None
    first: bool
    adjustment: DateAdjustment | None
    period: Period | None
    where: tuple[Predicate, ...]
    counted: Operand | None
    of: "Eras | Residences | None" = None

    @property
    def shape(self) -> EventTable:
        """Which column plays which part."""
        return DERIVED[self.table] if self.of is not None else EVENT_TABLES[self.table]

    @property
    def tables(self) -> tuple[str, ...]:
        return (*(() if self.of is not None else (self.table,)), *linked_tables(self.where))

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        return columns_beyond(self.table, self.where)


@dataclass(frozen=True, kw_only=True)
class Such(Relation):
    """The events whose keys hold. Shape: events."""

    events: "Events"
    keys: "Keys"


AnyEvents = Events | Such


@dataclass(frozen=True, kw_only=True)
class Eras(Relation):
    """Stretches of a person's events that lie at most `gap_days` apart, numbered within the person by start and end.

    An event without an end bridges nothing. Columns: person_id, era_id, start_date, end_date.
    """

    parts: tuple[AnyEvents, ...]
    gap_days: int


@dataclass(frozen=True, kw_only=True)
class Residences(Relation):
    """Where people lived. Columns: person_id, location_history_id, start_date, end_date (2099-12-31 where open), region_concept_id."""

    @property
    def tables(self) -> tuple[str, ...]:
        return ("location", "location_history")

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        return (REGION,)


@dataclass(frozen=True, kw_only=True)
class Observed(Relation):
    """Events within an observation period, with its bounds. Shape: index."""

    events: Events

    @property
    def tables(self) -> tuple[str, ...]:
        return ("observation_period",)


@dataclass(frozen=True, kw_only=True)
class Primary(Relation):
    """The events that may enter a cohort: observed for long enough before and after. Shape: index.

    Event ids are numbers within the person, ordered by sort date (descending for the last), source event id, position of the
    criterion, start and end of the observation period; so ties are always broken the same way.
    """

    criteria: tuple[AnyEvents, ...]
    prior_days: int
    post_days: int
    limit: Limit

    @property
    def tables(self) -> tuple[str, ...]:
        return ("observation_period",)


@dataclass(frozen=True, kw_only=True)
class Qualified(Relation):
    """Index events whose keys hold, and of those each person's first or last. Shape: index."""

    index: Primary
    keys: "Keys | None"
    limit: Limit


Index = Observed | Primary | Qualified


@dataclass(frozen=True, kw_only=True)
class Everyone(Relation):
    """All index events. Shape: keys."""

    index: Index


@dataclass(frozen=True, kw_only=True)
class Counted(Relation):
    """Index events around which enough (or few enough) events lie. Shape: keys.

    Attributes:
        within_observation: whether the events must start in the index event's observation period; then an open window
            reaches to that period's bounds.
        distinct: whether the different values of `counted` are counted, missing ones not, instead of events.
    """

    index: Index
    events: AnyEvents
    windows: tuple[Window, ...]
    within_observation: bool
    same_visit: bool
    occurrence: OccurrenceType
    count: int
    distinct: bool

    def reads(self, each: Relation) -> int:
        return 2 if each.digest == self.index.digest and self.occurrence is OccurrenceType.AT_MOST else 1


@dataclass(frozen=True, kw_only=True)
class OfPerson(Relation):
    """Index events of people for whom the predicates hold. Shape: keys."""

    index: Index
    where: tuple[Predicate, ...]

    @property
    def tables(self) -> tuple[str, ...]:
        return ("person",)


@dataclass(frozen=True, kw_only=True)
class Combined(Relation):
    """Index events for which at least (or at most) `count` of the parts hold. Shape: keys."""

    index: Index
    parts: "tuple[Keys, ...]"
    at_most: bool
    count: int

    def reads(self, each: Relation) -> int:
        return sum(part.digest == each.digest for part in self.parts) or 1


Keys = Everyone | Counted | OfPerson | Combined


@dataclass(frozen=True, kw_only=True)
class Attrition(Relation):
    """Qualified events with the rules that they satisfy. Shape: index, and `mask`: bit i is set where rule i holds."""

    index: Primary | Qualified
    rules: tuple[Keys, ...]

    @property
    def full(self) -> int:
        """The mask of an event that satisfies all rules."""
        return (1 << len(self.rules)) - 1


@dataclass(frozen=True, kw_only=True)
class Included(Relation):
    """Qualified events that satisfy all rules, and of those each person's first or last. Shape: index."""

    attrition: Attrition
    limit: Limit


@dataclass(frozen=True, kw_only=True)
class DrugEras(Relation):
    """Stretches of continuous exposure, by standard or source concept. Columns: person_id, start_date, end_date."""

    concepts: ConceptIds
    gap_days: int
    offset: int
    days_supply: int | None

    @property
    def tables(self) -> tuple[str, ...]:
        return ("drug_exposure",)


@dataclass(frozen=True, kw_only=True)
class Stays(Relation):
    """Included events from their start to their earliest end. Columns: person_id, start_date, end_date.

    Candidates are the offset (never later than observation), or the end of observation and of the drug era; and every
    censoring event from start to end of observation. Those before the start don't count; a stay without candidates is dropped.
    """

    included: Included
    offset: DateOffset | None
    eras: DrugEras | None
    censors: tuple[AnyEvents, ...]

    def reads(self, each: Relation) -> int:
        return 1 + (self.eras is not None) + len(self.censors) if each.digest == self.included.digest else 1


@dataclass(frozen=True, kw_only=True)
class Collapsed(Relation):
    """Stays of a person that touch, or lie at most `pad` days apart, as one. Columns: person_id, start_date, end_date."""

    stays: Stays
    pad: int


@dataclass(frozen=True, kw_only=True)
class Clipped(Relation):
    """Stays cut to a window of dates. Columns: person_id, start_date, end_date."""

    stays: Stays | Collapsed
    window: Period


Rows = Stays | Collapsed | Clipped


def walk(*roots: Relation) -> dict[str, tuple[Relation, int]]:
    """All nodes below the roots by digest, inputs before what reads them, with how often each is read."""
    order: dict[str, Relation] = {}
    readers: dict[str, int] = {}

    def visit(node: Relation) -> None:
        if node.digest in order:
            return
        for each in node.inputs:
            visit(each)
            readers[each.digest] = readers.get(each.digest, 0) + node.reads(each)
        order[node.digest] = node

    for root in roots:
        visit(root)
    return {digest: (node, readers.get(digest, 0)) for digest, node in order.items()}
