"""The SQL of events: rows of one table, and predicates about them.

Responsible for: what an operand is in SQL, and one table's events by concept set and predicates. Not responsible for: how
events relate to one another (`sql`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from sqlglot import exp

from dure.cohort import primitives as p
from dure.cohort.circe.nodes import DateField
from dure.cohort.predicates import (
    Abnormal,
    Between,
    Compare,
    InConceptSet,
    InRegion,
    Known,
    Like,
    Of,
    OneOf,
    Operand,
    Predicate,
)
from dure.cohort.relations import ConceptIds, Events, Relation
from dure.omop.events import EventTable

ConceptQuery = Callable[[ConceptIds], exp.Query]
Derived = Callable[[Relation, str], p.Source]
STILL = date(2099, 12, 31)
"""The end of a stay at a location that is still going on."""
Joined = list[tuple[p.Source, exp.Expr]]


class Nodes(Protocol):
    """Which nodes one query is of."""

    def all(self) -> exp.Query:
        """Column: node."""
        ...

    def concepts(self, concepts: ConceptIds) -> exp.Query:
        """Columns node, concept_id: each node's own concept set in the place of `concepts`."""
        ...


HIGH_OR_LOW = (4155142, 4155143)
"""Value concepts that say abnormal (of SNOMED: above and below the reference range)."""

_SIGNS = {"<": exp.LT, "<=": exp.LTE, "=": exp.EQ, "<>": exp.NEQ, ">": exp.GT, ">=": exp.GTE}
_LINKS = {Of.PROVIDER: "provider_id", Of.CARE_SITE: "care_site_id"}


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row's expressions: dates are already adjusted; `visit` is None where the table has none."""

    alias: str
    start: exp.Expr
    end: exp.Expr
    visit: exp.Expr | None = None

    def value(self, operand: Operand) -> exp.Expr:
        start, end = self.start.copy(), self.end.copy()
        name = operand.column or ""
        match operand.of:
            case Of.START:
                return start
            case Of.END:
                return end
            case Of.LENGTH:
                return p.days_between(start, end)
            case Of.AGE_AT_START | Of.AGE_AT_END:
                day = start if operand.of is Of.AGE_AT_START else end
                return exp.Sub(this=p.calendar_year(day), expression=p.column("year_of_birth", "person"))
            case Of.ONE_DAY:
                return p.literal(1)
            case Of.COLUMN:
                return p.column(name, self.alias)
            case Of.CONCEPT:
                return exp.Coalesce(this=p.column(name, self.alias), expressions=[p.literal(0)])
            case Of.VISIT_ID:
                return self.visit.copy() if self.visit is not None else p.no(exp.DType.BIGINT)
            case Of.RATIO:
                divisor = exp.Nullif(this=p.column(str(operand.over), self.alias), expression=p.literal(0))
                return exp.Div(this=p.column(name, self.alias), expression=divisor, typed=False, safe=False)
            case Of.PERSON:
                return p.column(name, "person")
            case Of.VISIT:
                return p.column(name, "visit")
            case Of.PROVIDER:
                return p.column(name, "provider")
            case Of.CARE_SITE:
                return p.column(name, "site")


class OfSets:
    """The rows under `alias` whose columns are concepts of sets, by `joins`; of many nodes, these repeat a row for every node that
    it belongs to, with the node in front (`lead`)."""

    def __init__(
        self,
        sets: Sequence[tuple[str, ConceptIds]],
        alias: str,
        concept_ids: ConceptQuery,
        nodes: Nodes | None,
    ) -> None:
        self.joins: Joined = []
        self.lead = list[exp.Expr]()
        if nodes is None:
            # Joined, not looked up: databases then know better how few rows are left.
            self.joins = [
                (
                    p.nested(concept_ids(ids), f"s{at}"),
                    p.equal(p.column("concept_id", f"s{at}"), p.column(name, alias)),
                )
                for at, (name, ids) in enumerate(sets)
            ]
            return
        self.lead = [p.column("node", "s0")]
        for at, (name, ids) in enumerate(sets):
            on = [p.equal(p.column("concept_id", f"s{at}"), p.column(name, alias))]
            if at:
                on.append(p.equal(p.column("node", f"s{at}"), p.column("node", "s0")))
            self.joins.append((p.nested(nodes.concepts(ids), f"s{at}"), p.both(on)))
        if not sets:
            self.joins.append((p.nested(nodes.all(), "s0"), p.equal(p.literal(1), p.literal(1))))


def events_query(
    events: Events, concept_ids: ConceptQuery, derived: Derived, nodes: Nodes | None = None
) -> exp.Query:
    """Columns as `relations` gives them for events; in front of them `node`, where there are `nodes`. `derived` gives the rows of
    another relation under an alias (of one node only)."""
    table = events.shape
    raw_start, raw_end = p.column(table.start, "c"), _end(table, "c")
    start, end = _adjusted(events, raw_start, raw_end)
    visit = p.column(table.visit, "c") if table.visit else None
    row = _Row(alias="c", start=start, end=end, visit=visit)
    sets = [
        (str(name), ids)
        for name, ids in ((table.concept, events.concepts), (table.source_concept, events.source_concepts))
        if ids is not None
    ]
    of_sets = OfSets(sets, "c", concept_ids, nodes)
    lead, of_nodes = of_sets.lead, of_sets.joins
    operands = [operand for each in events.where if (operand := operand_of(each)) is not None]
    where = [predicate(each, row, concept_ids) for each in events.where]
    if events.adjustment is not None:
        where.append(p.at_least(end.copy(), start.copy()))
    out_start, out_end = start, end
    if events.period is not None:
        for day in (events.period.start, events.period.end):
            if day is not None:
                where.append(p.at_most(start.copy(), p.literal(day)))
                where.append(p.at_least(end.copy(), p.literal(day)))
        out_start = p.literal(events.period.start) if events.period.start else start
        out_end = p.literal(events.period.end) if events.period.end else end
    source: p.Source = p.table(table.name, "c") if events.of is None else derived(events.of, "c")
    if events.first:
        source = _numbered(events, source, operands, of_sets)
        lead, of_nodes = p.columns(["node"] if nodes else [], "c"), []
        where.insert(0, p.equal(p.column("ordinal", "c"), p.literal(1)))
    what = [
        *lead,
        p.column("person_id", "c"),
        p.named(p.column(table.id, "c"), "event_id"),
        p.named(out_start.copy(), "start_date"),
        p.named(out_end.copy(), "end_date"),
        p.named(visit.copy() if visit is not None else p.no(exp.DType.BIGINT), "visit_id"),
        p.named(start.copy(), "sort_date"),
    ]
    if events.counted is not None:
        out = _Row(alias="c", start=out_start, end=out_end, visit=visit)
        what.append(p.named(out.value(events.counted), "counted"))
    joins, left = _joins({operand.of for operand in operands})
    return p.select(what, source, joins=[*of_nodes, *joins], left=left, where=where)


def person_predicates(where: Sequence[Predicate], alias: str, concept_ids: ConceptQuery) -> list[exp.Expr]:
    """Predicates about an index event under `alias` and its person under "person"."""
    row = _Row(alias=alias, start=p.column("start_date", alias), end=p.column("end_date", alias))
    return [predicate(each, row, concept_ids) for each in where]


def residences() -> exp.Query:
    """Where people lived, as `relations.Residences` says."""
    names = ("location_history_id", "start_date")
    return p.select(
        [
            p.named(p.column("entity_id", "h"), "person_id"),
            *p.columns(names, "h"),
            p.named(_until("h"), "end_date"),
            p.column("region_concept_id", "l"),
        ],
        p.table("location_history", "h"),
        joins=[(p.table("location", "l"), _same_location())],
        where=[p.equal(p.column("domain_id", "h"), p.literal("PERSON"))],
    )


def operand_of(predicate: Predicate) -> Operand | None:
    return None if isinstance(predicate, Abnormal | InRegion) else predicate.operand


def _until(alias: str) -> exp.Expr:
    return exp.Coalesce(this=p.column("end_date", alias), expressions=[p.literal(STILL)])


def _same_location() -> exp.Expr:
    return p.equal(p.column("location_id", "l"), p.column("location_id", "h"))


def _end(table: EventTable, alias: str) -> exp.Expr:
    choices: list[exp.Expr] = [p.column(table.end, alias)] if table.end else []
    if table.days_supply:
        choices.append(p.later_by(p.column(table.start, alias), p.column(table.days_supply, alias)))
    if table.lasts_a_day:
        choices.append(p.later(p.column(table.start, alias), 1))
    first, *rest = choices
    return exp.Coalesce(this=first, expressions=rest) if rest else first


def _adjusted(events: Events, start: exp.Expr, end: exp.Expr) -> tuple[exp.Expr, exp.Expr]:
    adjustment = events.adjustment
    if adjustment is None:
        return start, end
    dates = {DateField.START: start, DateField.END: end}
    return (
        p.later(dates[adjustment.start_with].copy(), adjustment.start_offset),
        p.later(dates[adjustment.end_with].copy(), adjustment.end_offset),
    )


def _numbered(events: Events, source: p.Source, operands: Sequence[Operand], of_sets: OfSets) -> p.Source:
    """The rows of the concept sets with `ordinal`, each person's (and node's) number by start and key."""
    table = events.shape
    counted = [events.counted] if events.counted else []
    names = ["person_id", table.id, table.start, table.end, table.days_supply, table.visit]
    for operand in (*operands, *counted):
        if operand.of in {Of.COLUMN, Of.CONCEPT, Of.RATIO}:
            names += [operand.column, operand.over]
        names.append(_LINKS.get(operand.of))
    if any(isinstance(each, Abnormal) for each in events.where):
        names += ["value_as_number", "range_low", "range_high", "value_as_concept_id"]
    if any(isinstance(each, InRegion) for each in events.where):
        names.append("care_site_id")
    kept = list(dict.fromkeys(name for name in names if name))
    order = [p.ordered(p.column(table.start, "c")), p.ordered(p.column(table.id, "c"))]
    partition = [*(each.copy() for each in of_sets.lead), p.column("person_id", "c")]
    ordinal = p.over(exp.RowNumber(), partition=partition, order=order)
    what = [*of_sets.lead, *p.columns(kept, "c"), p.named(ordinal, "ordinal")]
    rows = p.select(what, source, joins=of_sets.joins)
    return p.nested(rows, "c")


def _joins(used: set[Of]) -> tuple[Joined, Joined]:
    """Inner joins to person, visit and care site; a left join to the provider."""

    def same(name: str, table: str) -> exp.Expr:
        return p.equal(p.column(name, "c"), p.column(name, table))

    joins: Joined = []
    left: Joined = []
    if used & {Of.PERSON, Of.AGE_AT_START, Of.AGE_AT_END}:
        joins.append((p.table("person", "person"), same("person_id", "person")))
    if Of.VISIT in used:
        on = p.both([same("visit_occurrence_id", "visit"), same("person_id", "visit")])
        joins.append((p.table("visit_occurrence", "visit"), on))
    if Of.CARE_SITE in used:
        joins.append((p.table("care_site", "site"), same("care_site_id", "site")))
    if Of.PROVIDER in used:
        left.append((p.table("provider", "provider"), same("provider_id", "provider")))
    return joins, left


def predicate(each: Predicate, row: _Row, concept_ids: ConceptQuery) -> exp.Expr:
    """The condition; a missing value makes it unknown, which no WHERE lets pass."""
    match each:
        case Compare(operand=operand, op=op, value=value):
            return _SIGNS[op](this=row.value(operand), expression=p.literal(value))
        case Between(operand=operand, low=low, high=high, negated=negated):
            inside = p.both(
                [
                    p.at_least(row.value(operand), p.literal(low)),
                    p.at_most(row.value(operand), p.literal(high)),
                ]
            )
            return p.negation(inside) if negated else inside
        case OneOf(operand=operand, ids=ids, negated=negated):
            found = p.one_of(row.value(operand), ids)
            return p.negation(found) if negated else found
        case InConceptSet(operand=operand, items=items, negated=negated):
            found = p.member(row.value(operand), concept_ids(ConceptIds(items=items)))
            return p.negation(found) if negated else found
        case Known(operand=operand, negated=negated):
            missing = exp.Is(this=row.value(operand), expression=exp.Null())
            return missing if negated else exp.Not(this=missing)
        case Like(operand=operand, pattern=pattern, negated=negated):
            found = exp.Like(this=row.value(operand), expression=p.literal(pattern))
            return p.negation(found) if negated else found
        case Abnormal():
            return _abnormal(row.alias)
        case InRegion(items=items):
            return _in_region(row, concept_ids(ConceptIds(items=items)))


def _in_region(row: _Row, regions: exp.Query) -> exp.Expr:
    return p.exists(
        p.select(
            [p.literal(1)],
            p.table("location_history", "h"),
            joins=[(p.table("location", "l"), _same_location())],
            where=[
                p.equal(p.column("entity_id", "h"), p.column("care_site_id", row.alias)),
                p.equal(p.column("domain_id", "h"), p.literal("CARE_SITE")),
                p.at_most(p.column("start_date", "h"), row.start.copy()),
                p.at_least(_until("h"), row.end.copy()),
                p.member(p.column("region_concept_id", "l"), regions),
            ],
        )
    )


def _abnormal(alias: str) -> exp.Expr:
    number = p.column("value_as_number", alias)
    low = exp.LT(this=number, expression=p.column("range_low", alias))
    high = exp.GT(this=number.copy(), expression=p.column("range_high", alias))
    said = p.one_of(p.column("value_as_concept_id", alias), HIGH_OR_LOW)
    return exp.Paren(this=exp.Or(this=exp.Or(this=low, expression=high), expression=said))
