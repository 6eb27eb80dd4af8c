"""A plan as SQL: one sqlglot tree for each node.

Responsible for: the SQL of every relation, over the primitives of `primitives`. Not responsible for: which nodes are kept as
temporary tables (an engine's choice, told by `stored`), and for running anything. No SQL is ever a string here.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlglot import exp

from dure.cohort import primitives as p
from dure.cohort.circe.nodes import DateField, DateOffset, Endpoint, Limit, OccurrenceType, Window
from dure.cohort.concepts_sql import concept_sets
from dure.cohort.events_sql import Nodes, OfSets, events_query, person_predicates, residences
from dure.cohort.relations import (
    Attrition,
    Clipped,
    Collapsed,
    Combined,
    ConceptIds,
    Counted,
    DrugEras,
    Eras,
    Events,
    Everyone,
    Included,
    Index,
    Observed,
    OfPerson,
    Primary,
    Qualified,
    Relation,
    Residences,
    Stays,
    Such,
)
from dure.omop.events import EVENT_TABLES

Stored = Callable[[Relation], exp.Table | exp.Query | None]
KEYS = ("person_id", "event_id")
EVENT = (*KEYS, "start_date", "end_date", "visit_id", "sort_date")
INDEX = (*KEYS, "start_date", "end_date", "visit_id", "op_start", "op_end")
STAY = ("person_id", "start_date", "end_date")
NODE = "node"
NUMBERS = ("number_0", "number_1", "number_2", "number_3")
"""Columns of the numbers of many nodes, after those of the input that a node looks around from."""


def nothing_stored(_relation: Relation) -> None:
    """Every node is written out where it is read."""


def compile(relation: Relation, *, stored: Stored = nothing_stored, nodes: Nodes | None = None) -> exp.Query:  # noqa: A001
    """The query of a node, or of all nodes that differ from it in their inputs only.

    Args:
        stored: where the rows of an input are already: a table, or a query that reads them; None to write it out.
        nodes: given, the query is of many nodes at once: its rows and those of all inputs begin with the column `node`,
            and what is of one person below is of one person and node.
    """
    return _Compiler(stored, nodes).query(relation)


class _Compiler:
    def __init__(self, stored: Stored, nodes: Nodes | None) -> None:
        self.stored = stored
        self.nodes = nodes
        lead = () if nodes is None else (NODE,)
        self.who = (*lead, "person_id")
        self.keys_of = (*lead, *KEYS)
        self.event = (*lead, *EVENT)
        self.index = (*lead, *INDEX)
        self.stay = (*lead, *STAY)

    def numbers(self, relation: Relation, alias: str) -> list[exp.Expr]:
        """The numbers of a node (`numbers_of`): written out, or where there are many nodes each one's own."""
        if self.nodes is None:
            return [p.literal(each) for each in numbers_of(relation)]
        return [
            exp.Cast(this=p.column(name, alias), to=exp.DataType(this=exp.DType.INT))
            for name, _ in zip(NUMBERS, numbers_of(relation), strict=False)
        ]

    def same(self, left: str, right: str) -> list[exp.Expr]:
        """Of one person (and node)."""
        return [p.equal(p.column(name, left), p.column(name, right)) for name in self.who]

    def key(self, left: str, right: str) -> list[exp.Expr]:
        """Of one event (and node)."""
        return [p.equal(p.column(name, left), p.column(name, right)) for name in self.keys_of]

    def source(self, relation: Relation, alias: str) -> p.Source:
        """An input, to select from."""
        relation = self.without_idle_steps(relation)
        found = self.stored(relation)
        if isinstance(found, exp.Table):
            return p.table(found.name, alias)
        return p.nested(found if found is not None else self.query(relation), alias)

    def without_idle_steps(self, relation: Relation) -> Relation:
        """The relation itself, or below it the first that changes rows: a level less for the database to read through."""
        if self.stored(relation) is None:
            if (
                isinstance(relation, Included)
                and relation.limit is Limit.ALL
                and not relation.attrition.rules
            ):
                return self.without_idle_steps(relation.attrition)
            if isinstance(relation, Attrition) and not relation.rules:
                return relation.index
        return relation

    def concept_ids(self, concepts: ConceptIds) -> exp.Query:
        found = self.stored(concepts)
        if isinstance(found, exp.Table):
            return p.select([p.column("concept_id", "s")], p.table(found.name, "s"))
        return found if found is not None else self.query(concepts)

    def keys(self, keys: Relation) -> exp.Query:
        """The keys, as one part of a union; a part that is a union itself is nested, or the two would run together."""
        query = self.query(keys) if self.stored(keys) is None else None
        if isinstance(query, exp.Select):
            return query
        return p.select(p.columns(self.keys_of, "k"), self.source(keys, "k"))

    def query(self, relation: Relation) -> exp.Query:
        match relation:
            case ConceptIds(items=items):
                return p.select([p.column("concept_id", "s")], p.nested(concept_sets([items]), "s"))
            case Events():
                return events_query(relation, self.concept_ids, self.source, self.nodes)
            case Such():
                return self.such(relation)
            case Eras():
                return self.eras(relation)
            case Residences():
                return residences()
            case Observed():
                return self.observed(relation)
            case Primary():
                return self.primary(relation)
            case Qualified():
                return self.qualified(relation)
            case Everyone(index=index):
                distinct = isinstance(index, Observed)
                return p.select(p.columns(self.keys_of, "p"), self.source(index, "p"), distinct=distinct)
            case Counted():
                return self.counted(relation)
            case OfPerson():
                return self.of_person(relation)
            case Combined():
                return self.combined(relation)
            case Attrition():
                return self.attrition(relation)
            case Included():
                return self.included(relation)
            case DrugEras():
                return self.drug_eras(relation)
            case Stays():
                return self.stays(relation)
            case Collapsed(stays=stays, pad=pad):
                rows = p.select(p.columns(self.stay, "r"), self.source(stays, "r"))
                return _islands(self.who, rows, pad, pad)
            case Clipped():
                return self.clipped(relation)
        raise TypeError(f"{type(relation).__name__} is no relation of a plan")

    def eras(self, eras: Eras) -> exp.Query:
        parts = [p.select(p.columns(STAY, "a"), self.source(part, "a")) for part in eras.parts]
        order = [p.ordered(p.column(name, "j")) for name in STAY[1:]]
        number = p.over(exp.RowNumber(), partition=[p.column("person_id", "j")], order=order)
        joined = _islands(self.who, p.union(parts), eras.gap_days, eras.gap_days)
        return p.select([*p.columns(STAY, "j"), p.named(number, "era_id")], p.nested(joined, "j"))

    def such(self, such: Such) -> exp.Query:
        names = (*self.event, "counted") if such.events.counted else self.event
        return p.select(
            p.columns(names, "e"), self.source(such.events, "e"), where=[self.held(such.keys, "e")]
        )

    def held(self, keys: Relation, alias: str) -> exp.Expr:
        """Whether a row's key is among the keys."""
        return p.exists(p.select([p.literal(1)], self.source(keys, "k"), where=self.key("k", alias)))

    def observed(self, observed: Observed) -> exp.Query:
        what = [*p.columns(self.index[:-2], "e"), *_bounds()]
        return p.select(
            what, self.source(observed.events, "e"), joins=[(_periods(), p.both(_within_period()))]
        )

    def primary(self, primary: Primary) -> exp.Query:
        several = len(primary.criteria) > 1
        if several:
            parts = [
                p.select(
                    [*p.columns(self.event, "e"), p.named(p.literal(at), "criterion")],
                    self.source(events, "e"),
                )
                for at, events in enumerate(primary.criteria)
            ]
            source: p.Source = p.nested(p.union(parts), "e")
        else:
            source = self.source(primary.criteria[0], "e")
        where = []
        if primary.prior_days > 0:
            earliest = p.later(p.column("observation_period_start_date", "o"), primary.prior_days)
            where.append(p.at_most(earliest, p.column("start_date", "e")))
        if primary.post_days > 0:
            latest = p.later(p.column("start_date", "e"), primary.post_days)
            where.append(p.at_most(latest, p.column("observation_period_end_date", "o")))
        order = [
            p.ordered(p.column("sort_date", "e"), descending=primary.limit is Limit.LAST),
            p.ordered(p.column("event_id", "e")),
            *([p.ordered(p.column("criterion", "e"))] if several else []),
            p.ordered(p.column("observation_period_start_date", "o")),
            p.ordered(p.column("observation_period_end_date", "o")),
        ]
        number = p.over(exp.RowNumber(), partition=p.columns(self.who, "e"), order=order)
        what = [
            *p.columns(self.who, "e"),
            p.named(number, "event_id"),
            *p.columns(("start_date", "end_date", "visit_id"), "e"),
            *_bounds(),
        ]
        numbered = p.select(
            what,
            source,
            joins=[(_periods(), p.both(_within_period()))],
            where=where,
        )
        if primary.limit is Limit.ALL:
            return numbered
        first = p.equal(p.column("event_id", "n"), p.literal(1))
        return p.select(p.columns(self.index, "n"), p.nested(numbered, "n"), where=[first])

    def qualified(self, qualified: Qualified) -> exp.Query:
        where = [self.held(qualified.keys, "i")] if qualified.keys is not None else []
        return _limited(self.index, self.source(qualified.index, "i"), where, qualified.limit)

    def counted(self, counted: Counted) -> exp.Query:
        conditions = [*self.same("a", "p"), *_around(counted, self.numbers(counted, "p"))]
        value = exp.Distinct(expressions=[p.column("counted", "a")]) if counted.distinct else exp.Star()
        missing = [negated(p.column("counted", "a"))] if counted.distinct else []
        if counted.occurrence is OccurrenceType.EXACTLY:
            having = p.equal(exp.Count(this=value), p.literal(counted.count))
            any_will_do = False
        else:
            least = counted.count + (1 if counted.occurrence is OccurrenceType.AT_MOST else 0)
            having = p.at_least(exp.Count(this=value), p.literal(least))
            any_will_do = least == 1
        joins = [(self.source(counted.events, "a"), p.both([*conditions, *missing]))]
        source, keys = self.source(counted.index, "p"), p.columns(self.keys_of, "p")
        if any_will_do:
            found = p.select(keys, source, joins=joins, distinct=True)
        else:
            found = p.select(keys, source, joins=joins, group=p.columns(self.keys_of, "p"), having=having)
        return self.all_but(counted.index, found) if counted.occurrence is OccurrenceType.AT_MOST else found

    def all_but(self, index: Index, keys: exp.Query) -> exp.Query:
        gone = p.exists(p.select([p.literal(1)], p.nested(keys, "k"), where=self.key("k", "i")))
        distinct = isinstance(index, Observed)
        where = [exp.Not(this=gone)]
        return p.select(p.columns(self.keys_of, "i"), self.source(index, "i"), where=where, distinct=distinct)

    def of_person(self, of_person: OfPerson) -> exp.Query:
        on = p.equal(p.column("person_id", "person"), p.column("person_id", "i"))
        return p.select(
            p.columns(self.keys_of, "i"),
            self.source(of_person.index, "i"),
            joins=[(p.table("person", "person"), on)],
            where=person_predicates(of_person.where, "i", self.concept_ids),
            distinct=isinstance(of_person.index, Observed),
        )

    def combined(self, combined: Combined) -> exp.Query:
        parts = [self.keys(part) for part in combined.parts]
        least = combined.count + 1 if combined.at_most else combined.count
        if least == 1:
            found: exp.Query = p.union(parts, distinct=True)
        else:
            having = p.at_least(exp.Count(this=exp.Star()), p.literal(least))
            keys = p.columns(self.keys_of, "u")
            group = p.columns(self.keys_of, "u")
            found = p.select(keys, p.nested(p.union(parts), "u"), group=group, having=having)
        return self.all_but(combined.index, found) if combined.at_most else found

    def attrition(self, attrition: Attrition) -> exp.Query:
        what = p.columns(self.index, "i")
        if not attrition.rules:
            mask = p.named(p.big(p.literal(0)), "mask")
            return p.select([*what, mask], self.source(attrition.index, "i"))
        bits = [
            p.select(
                [*p.columns(self.keys_of, "k"), p.named(p.big(p.literal(1 << at)), "bit")],
                self.source(rule, "k"),
            )
            for at, rule in enumerate(attrition.rules)
        ]
        mask = p.named(p.big(exp.Sum(this=p.column("bit", "u"))), "mask")
        masks = p.select(
            [*p.columns(self.keys_of, "u"), mask],
            p.nested(p.union(bits), "u"),
            group=p.columns(self.keys_of, "u"),
        )
        found = exp.Coalesce(this=p.column("mask", "m"), expressions=[p.big(p.literal(0))])
        return p.select(
            [*what, p.named(found, "mask")],
            self.source(attrition.index, "i"),
            left=[(p.nested(masks, "m"), p.both(self.key("m", "i")))],
        )

    def included(self, included: Included) -> exp.Query:
        attrition = included.attrition
        source = self.source(attrition, "i")
        where = [p.equal(p.column("mask", "i"), p.literal(attrition.full))] if attrition.rules else []
        return _limited(self.index, source, where, included.limit)

    def drug_eras(self, eras: DrugEras) -> exp.Query:
        table = EVENT_TABLES["drug_exposure"]
        start = p.column(table.start, "d")
        if eras.days_supply is not None:
            end = p.later(start.copy(), eras.days_supply)
        else:
            end = exp.Coalesce(
                this=p.column(str(table.end), "d"),
                expressions=[
                    p.later_by(start.copy(), p.column("days_supply", "d")),
                    p.later(start.copy(), 1),
                ],
            )
        exposures = []
        for concept in (table.concept, table.source_concept):
            of_set = OfSets([(str(concept), eras.concepts)], "d", self.concept_ids, self.nodes)
            what = [
                *of_set.lead,
                p.column("person_id", "d"),
                p.named(start.copy(), "start_date"),
                p.named(end.copy(), "end_date"),
            ]
            exposures.append(p.select(what, p.table(table.name, "d"), joins=of_set.joins))
        return _islands(self.who, p.union(exposures), eras.gap_days + eras.offset, eras.gap_days)

    def stays(self, stays: Stays) -> exp.Query:
        def candidate(end: exp.Expr, **more: Sequence[object]) -> exp.Query:
            what = [*p.columns((*self.keys_of, "start_date"), "i"), p.named(end, "end_date")]
            return p.select(what, self.source(stays.included, "i"), **more)  # type: ignore[arg-type]

        observed_end = p.column("op_end", "i")
        days = self.numbers(stays, "i")
        candidates = [candidate(_offset(stays.offset, days[0]) if stays.offset else observed_end)]
        if stays.eras is not None:
            on = p.both(
                [
                    *self.same("d", "i"),
                    p.at_least(p.column("start_date", "i"), p.column("start_date", "d")),
                    p.at_most(p.column("start_date", "i"), p.column("end_date", "d")),
                ]
            )
            candidates.append(
                candidate(p.column("end_date", "d"), joins=[(self.source(stays.eras, "d"), on)])
            )
        for censor in stays.censors:
            on = p.both(
                [
                    *self.same("c", "i"),
                    p.at_least(p.column("start_date", "c"), p.column("start_date", "i")),
                    p.at_most(p.column("start_date", "c"), p.column("op_end", "i")),
                ]
            )
            candidates.append(candidate(p.column("start_date", "c"), joins=[(self.source(censor, "c"), on)]))
        source = p.nested(p.union(candidates), "u")
        lasting = [p.at_least(p.column("end_date", "u"), p.column("start_date", "u"))]
        if len(candidates) == 1:
            return p.select(p.columns(self.stay, "u"), source, where=lasting)
        end = p.named(exp.Min(this=p.column("end_date", "u")), "end_date")
        return p.select(
            [*p.columns(self.stay[:-1], "u"), end],
            source,
            where=lasting,
            group=p.columns((*self.keys_of, "start_date"), "u"),
        )

    def clipped(self, clipped: Clipped) -> exp.Query:
        start: exp.Expr = p.column("start_date", "r")
        end: exp.Expr = p.column("end_date", "r")
        window = clipped.window
        if window.start:
            start = _case(
                exp.GT(this=start, expression=p.literal(window.start)), start, p.literal(window.start)
            )
        if window.end:
            end = _case(exp.LT(this=end, expression=p.literal(window.end)), end, p.literal(window.end))
        return p.select(
            [*p.columns(self.who, "r"), p.named(start, "start_date"), p.named(end, "end_date")],
            self.source(clipped.stays, "r"),
            where=[p.at_most(start.copy(), end.copy())],
        )


def numbers_of(relation: Relation) -> tuple[int, ...]:
    """The days of a node that many nodes may differ in and still be one query: a window's start and end (0 where it is
    open), a stay's offset."""
    match relation:
        case Counted(windows=windows):
            return tuple(end.days or 0 for window in windows for end in (window.start, window.end))
        case Stays(offset=DateOffset(days=days)):
            return (days,)
        case _:
            return ()


def without_numbers(relation: Relation) -> Relation:
    """The node with 0 in the places of its numbers."""
    match relation:
        case Counted(windows=windows):
            return replace(
                relation,
                windows=tuple(
                    replace(window, start=_at_day_zero(window.start), end=_at_day_zero(window.end))
                    for window in windows
                ),
            )
        case Stays(offset=DateOffset() as offset):
            return replace(relation, offset=replace(offset, days=0))
        case _:
            return relation


def _at_day_zero(end: Endpoint) -> Endpoint:
    return end if end.days is None else replace(end, days=0)


def negated(value: exp.Expr) -> exp.Expr:
    """Whether there is a value."""
    return exp.Not(this=exp.Is(this=value, expression=exp.Null()))


def _case(when: exp.Expr, then: exp.Expr, otherwise: exp.Expr) -> exp.Expr:
    return exp.Case(ifs=[exp.If(this=when, true=then.copy())], default=otherwise)


def _periods() -> exp.Table:
    return p.table("observation_period", "o")


def _bounds() -> list[exp.Expr]:
    return [
        p.named(p.column("observation_period_start_date", "o"), "op_start"),
        p.named(p.column("observation_period_end_date", "o"), "op_end"),
    ]


def _within_period() -> list[exp.Expr]:
    return [
        p.equal(p.column("person_id", "o"), p.column("person_id", "e")),
        p.at_least(p.column("start_date", "e"), p.column("observation_period_start_date", "o")),
        p.at_most(p.column("start_date", "e"), p.column("observation_period_end_date", "o")),
    ]


def _limited(names: Sequence[str], source: p.Source, where: list[exp.Expr], limit: Limit) -> exp.Query:
    """Each person's first or last row by start, then by event id."""
    if limit is Limit.ALL:
        return p.select(p.columns(names, "i"), source, where=where)
    order = [
        p.ordered(p.column("start_date", "i"), descending=limit is Limit.LAST),
        p.ordered(p.column("event_id", "i")),
    ]
    who = names[: names.index("person_id") + 1]
    ordinal = p.over(exp.RowNumber(), partition=p.columns(who, "i"), order=order)
    ranked = p.select([*p.columns(names, "i"), p.named(ordinal, "ordinal")], source, where=where)
    first = p.equal(p.column("ordinal", "n"), p.literal(1))
    return p.select(p.columns(names, "n"), p.nested(ranked, "n"), where=[first])


def _around(counted: Counted, days: Sequence[exp.Expr]) -> list[exp.Expr]:
    """Where the events `a` may lie around an index event `p`; `days` are the windows' in `numbers_of` order."""
    conditions = list[exp.Expr]()
    if counted.within_observation:
        conditions.append(p.at_least(p.column("start_date", "a"), p.column("op_start", "p")))
        conditions.append(p.at_most(p.column("start_date", "a"), p.column("op_end", "p")))
    for at, window in enumerate(counted.windows):
        ends = days[2 * at : 2 * at + 2]
        conditions += _window(window, ends, within_observation=counted.within_observation)
    if counted.same_visit:
        conditions.append(p.equal(p.column("visit_id", "a"), p.column("visit_id", "p")))
    return list(dict.fromkeys(conditions))


def _window(window: Window, days: Sequence[exp.Expr], *, within_observation: bool) -> list[exp.Expr]:
    names = {DateField.START: "start_date", DateField.END: "end_date"}
    event, index = names[window.event], names[window.index]
    found = []
    for endpoint, number, compare in zip(
        (window.start, window.end), days, (p.at_least, p.at_most), strict=True
    ):
        if endpoint.days is not None:
            found.append(compare(p.column(event, "a"), p.later_number(p.column(index, "p"), number)))
        elif within_observation:
            bound = p.column("op_start" if endpoint.before else "op_end", "p")
            found.append(compare(p.column(event, "a"), bound))
    return found


def _offset(offset: DateOffset, days: exp.Expr) -> exp.Expr:
    names = {DateField.START: "start_date", DateField.END: "end_date"}
    end = p.later_number(p.column(names[offset.field], "i"), days)
    bound = p.column("op_end", "i")
    return _case(exp.GT(this=end, expression=bound), bound, end.copy())


def _islands(who: Sequence[str], rows: exp.Query, pad: int, unpad: int) -> exp.Query:
    """Rows (`who`, start_date, end_date) whose stretches, `pad` days longer, touch, as one; `unpad` days are taken off."""
    stay = (*who, "start_date", "end_date")
    padded = p.select(
        [
            *p.columns(stay[:-1], "w"),
            p.named(p.later(p.column("end_date", "w"), pad), "end_date"),
        ],
        p.nested(rows, "w"),
    )

    def over(function: exp.Expr, alias: str, *order: exp.Ordered, until: str | None = None) -> exp.Window:
        return p.over(function, partition=p.columns(who, alias), order=order, until=until)

    def furthest() -> exp.Expr:
        return exp.Max(this=p.column("end_date", "x"))

    begins, ends = (p.ordered(p.column(name, "x"), descending=at > 0) for at, name in enumerate(stay[-2:]))
    reached = p.select(
        [
            *p.columns(stay, "x"),
            p.named(over(furthest(), "x", begins, ends, until="1 PRECEDING"), "before"),
            p.named(over(furthest(), "x"), "in_all"),
        ],
        p.nested(padded, "x"),
    )
    before = p.column("before", "y")
    first = exp.Is(this=before, expression=exp.Null())
    opens = exp.LT(this=before.copy(), expression=p.column("start_date", "y"))
    # An island reaches as far as anything did before the next one. What has no end, or one before its start, is one by itself.
    order = [p.ordered(p.column(name, "y")) for name in ("start_date", "before")]
    until_next = over(exp.Lead(this=before.copy()), "y", *order)
    end = _case(
        p.at_least(p.column("end_date", "y"), p.column("start_date", "y")),
        exp.Coalesce(this=until_next, expressions=[p.column("in_all", "y")]),
        p.column("end_date", "y"),
    )
    islands = p.select(
        [*p.columns(stay[:-1], "y"), p.named(end, "end_date")],
        p.nested(reached, "y"),
        where=[exp.Paren(this=exp.Or(this=first, expression=opens))],
    )
    if unpad == 0:
        return islands
    shorter = p.named(p.later(p.column("end_date", "z"), -unpad), "end_date")
    return p.select([*p.columns(stay[:-1], "z"), shorter], p.nested(islands, "z"))
