"""What covariates ask a database: one grouped scan of a table for all analyses of it, as trees.

Responsible for: the queries. Not responsible for: ids, matrices (`covariates`). Every query names people by person_id and the day
that their windows are relative to (index_date), both from the temporary table `INDEX`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from dure.cohort import primitives as p
from dure.features.analyses import Analysis, Windows
from dure.omop.events import EVENT_TABLES, EventTable

INDEX = "dure_index"
STAYS = (9201, 38004311, 8920, 262)
"""Visits with these above them are stays, as FeatureExtraction has it."""
KEY = ("person_id", "index_date")
FINDING = 441840
"""Clinical finding, the top of SNOMED's conditions."""
HIGH = (
    433736, 433595, 441408, 72404, 192671, 137977, 434621, 437312, 439847, 4171917, 438555, 4299449, 375258, 76784,
    40483532, 4145627, 434157, 433778, 258449, 313878,
)  # fmt: skip
"""Conditions that stand high in the hierarchy and are kept as groups all the same."""
VAGUE = (
    "%finding", "Disorder of%", "Finding of%", "Disease of%", "Injury of%", "%by site", "%by body site", "%by mechanism",
    "%of body region", "%of anatomical site", "%of specific body structure%",
)  # fmt: skip
"""Names of conditions that sort and don't tell."""


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One condition on an event: on or after the first day (None: any) of a window, judged by its end or its start."""

    first: int | None
    lasting: bool

    @classmethod
    def of(cls, analysis: Analysis, windows: Windows) -> "Flag":
        return cls(first=windows.first(analysis.start), lasting=analysis.lasting)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which concepts matter; all of them if `everything`. `below` names ancestors whose descendants matter."""

    concepts: tuple[int, ...] = ()
    below: tuple[int, ...] = ()
    everything: bool = False


def index(cohorts: Sequence[str]) -> exp.Query:
    """The first entries of each person in the cohorts kept as temporary tables: KEY, without repeats."""
    parts: list[exp.Query] = []
    for name in cohorts:
        first = exp.Min(this=p.column("cohort_start_date", "c"))
        person = p.column("subject_id", "c")
        what = [p.named(person, "person_id"), p.named(first, "index_date")]
        parts.append(p.select(what, p.table(name, "c"), group=[person.copy()]))
    return p.union(parts, distinct=True)


def persons() -> exp.Query:
    """KEY and what is fixed about each person."""
    fixed = ("year_of_birth", "gender_concept_id", "race_concept_id", "ethnicity_concept_id")
    same = p.equal(p.column("person_id", "t"), p.column("person_id", "i"))
    return p.select(
        [*p.columns(KEY, "i"), *p.columns(fixed, "t")],
        p.table(INDEX, "i"),
        joins=[(p.table("person", "t"), same)],
    )


def observed() -> exp.Query:
    """KEY and the ends of the observation periods that hold the index day."""
    ends = ("observation_period_start_date", "observation_period_end_date")
    day = p.column("index_date", "i")
    inside = [
        p.equal(p.column("person_id", "t"), p.column("person_id", "i")),
        p.at_most(p.column(ends[0], "t"), day),
        p.at_least(p.column(ends[1], "t"), day.copy()),
    ]
    return p.select(
        [*p.columns(KEY, "i"), *p.columns(ends, "t")],
        p.table(INDEX, "i"),
        joins=[(p.table("observation_period", "t"), p.both(inside))],
    )


def concepts(
    table: str, flags: Sequence[Flag], windows: Windows, wanted: Wanted, *, inpatient: bool = False
) -> exp.Query:
    """KEY, concept_id, mask: each concept of a person once, bit i of the mask set where an event meets flag i."""
    events = EVENT_TABLES[table]
    concept = _concept(events)
    where = _where(events, flags, windows, wanted)
    if inpatient:
        where.append(_during_a_stay(events))
    groups = [*p.columns(KEY, "i"), concept]
    what = [
        *p.columns(KEY, "i"),
        p.named(concept.copy(), "concept_id"),
        p.named(_mask(events, flags), "mask"),
    ]
    return p.select(what, p.table(INDEX, "i"), joins=[_events(events)], where=where, group=groups)


def counts(table: str, flags: Sequence[Flag], windows: Windows, wanted: Wanted) -> exp.Query:
    """KEY, concept_id, n0, n1...: how many events of each concept meet each flag."""
    events = EVENT_TABLES[table]
    concept = _concept(events)
    tallies = [
        p.named(exp.Sum(this=_one_if(_meets(events, flag))), f"n{place}") for place, flag in enumerate(flags)
    ]
    return p.select(
        [*p.columns(KEY, "i"), p.named(concept, "concept_id"), *tallies],
        p.table(INDEX, "i"),
        joins=[_events(events)],
        where=_where(events, flags, windows, wanted),
        group=[*p.columns(KEY, "i"), concept.copy()],
    )


def values(table: str, flags: Sequence[Flag], windows: Windows, wanted: Wanted) -> exp.Query:
    """KEY, concept_id, second (the unit), value, at: the last value of each concept and unit (the least of a day's)."""
    events = EVENT_TABLES[table]
    concept, unit = _concept(events), p.column("unit_concept_id", "t")
    number, day = p.column("value_as_number", "t"), p.column(events.start, "t")
    last = p.over(
        exp.RowNumber(),
        partition=[*p.columns(KEY, "i"), concept.copy(), unit.copy()],
        order=[p.ordered(day.copy(), descending=True), p.ordered(number.copy())],
    )
    inner = p.select(
        [
            *p.columns(KEY, "i"),
            p.named(concept, "concept_id"),
            p.named(unit, "second"),
            p.named(number, "value"),
            p.named(day, "at"),
            p.named(last, "place"),
        ],
        p.table(INDEX, "i"),
        joins=[_events(events)],
        where=[
            *_where(events, flags, windows, wanted),
            _there(number.copy()),
            _there(unit.copy()),
        ],
    )
    kept = ("concept_id", "second", "value", "at")
    return p.select(
        p.columns((*KEY, *kept), "v"),
        p.nested(inner, "v"),
        where=[p.equal(p.column("place", "v"), p.literal(1))],
    )


def ranges(table: str, flags: Sequence[Flag], windows: Windows, wanted: Wanted) -> exp.Query:
    """KEY, concept_id, second (1 below, 2 within, 3 above the row's own normal range), mask."""
    value = p.column("value_as_number", "t")
    low, high = p.column("range_low", "t"), p.column("range_high", "t")
    part = exp.Case(
        ifs=[
            exp.If(this=exp.LT(this=value, expression=low), true=p.literal(1)),
            exp.If(this=exp.GT(this=value.copy(), expression=high), true=p.literal(3)),
        ],
        default=p.literal(2),
    )
    return _by_second(table, part, [_there(low.copy()), _there(high.copy())], flags, windows, wanted)


def pairs(table: str, flags: Sequence[Flag], windows: Windows, wanted: Wanted) -> exp.Query:
    """KEY, concept_id, second (the concept of the value), mask."""
    second = p.column("value_as_concept_id", "t")
    there = [_there(second.copy()), exp.NEQ(this=second.copy(), expression=p.literal(0))]
    return _by_second(table, second, there, flags, windows, wanted)


def descendants(ancestors: Sequence[int]) -> exp.Query:
    """ancestor_concept_id, descendant_concept_id of these ancestors."""
    pair = ("ancestor_concept_id", "descendant_concept_id")
    return p.select(
        p.columns(pair, "a"),
        p.table("concept_ancestor", "a"),
        where=[p.one_of(p.column(pair[0], "a"), ancestors)],
        distinct=True,
    )


def groups(table: str) -> exp.Query:
    """ancestor_concept_id, descendant_concept_id: what the concepts of an era table roll up to, where it may be a group.

    Drugs: ATC down to its fourth level, and ingredients. Conditions: standard ones that lie more than two levels below
    `FINDING` or are `HIGH`, and whose names aren't `VAGUE`.
    """
    pair = ("ancestor_concept_id", "descendant_concept_id")
    events = EVENT_TABLES[table]
    seen = p.select([_concept(events)], p.table(table, "t"))
    is_group = p.equal(p.column("concept_id", "c"), p.column(pair[0], "a"))
    rule = _drug_group() if table == "drug_era" else _condition_group()
    return p.select(
        p.columns(pair, "a"),
        p.table("concept_ancestor", "a"),
        joins=[(p.table("concept", "c"), is_group)],
        where=[rule, p.member(p.column(pair[1], "a"), seen)],
        distinct=True,
    )


def names(ids: Sequence[int]) -> exp.Query:
    """concept_id, concept_name."""
    which = p.one_of(p.column("concept_id", "c"), ids)
    return p.select(p.columns(("concept_id", "concept_name"), "c"), p.table("concept", "c"), where=[which])


def _text_is(name: str, *texts: str) -> exp.Expr:
    return exp.In(this=p.column(name, "c"), expressions=[p.literal(text) for text in texts])


def _drug_group() -> exp.Expr:
    length = exp.Length(this=p.column("concept_code", "c"))
    atc = p.both([_text_is("vocabulary_id", "ATC"), p.one_of(length, (1, 3, 4, 5))])
    ingredient = p.both(
        [
            _text_is("standard_concept", "S"),
            _text_is("concept_class_id", "Ingredient"),
            _text_is("domain_id", "Drug"),
        ]
    )
    return exp.Paren(this=exp.Or(this=exp.Paren(this=atc), expression=exp.Paren(this=ingredient)))


def _condition_group() -> exp.Expr:
    deep = exp.GT(this=p.column("min_levels_of_separation", "f"), expression=p.literal(2))
    high = p.one_of(p.column("descendant_concept_id", "f"), HIGH)
    below = p.select(
        [p.column("descendant_concept_id", "f")],
        p.table("concept_ancestor", "f"),
        where=[
            p.equal(p.column("ancestor_concept_id", "f"), p.literal(FINDING)),
            exp.Paren(this=exp.Or(this=deep, expression=high)),
        ],
    )
    vague = [
        p.negation(exp.Like(this=p.column("concept_name", "c"), expression=p.literal(text))) for text in VAGUE
    ]
    return p.both([p.member(p.column("concept_id", "c"), below), _text_is("domain_id", "Condition"), *vague])


def _by_second(
    table: str,
    second: exp.Expr,
    also: Sequence[exp.Expr],
    flags: Sequence[Flag],
    windows: Windows,
    wanted: Wanted,
) -> exp.Query:
    events = EVENT_TABLES[table]
    inner = p.select(
        [
            *p.columns(KEY, "i"),
            p.named(_concept(events), "concept_id"),
            p.named(second, "second"),
            *(p.named(_one_if(_meets(events, flag)), f"n{place}") for place, flag in enumerate(flags)),
        ],
        p.table(INDEX, "i"),
        joins=[_events(events)],
        where=[*_where(events, flags, windows, wanted), *also],
    )
    group = (*KEY, "concept_id", "second")
    mask = _bits([p.column(f"n{place}", "v") for place in range(len(flags))])
    return p.select(
        [*p.columns(group, "v"), p.named(mask, "mask")], p.nested(inner, "v"), group=p.columns(group, "v")
    )


def _concept(events: EventTable) -> exp.Column:
    assert events.concept is not None
    return p.column(events.concept, "t")


def _events(events: EventTable) -> tuple[exp.Table, exp.Expr]:
    same = p.equal(p.column("person_id", "t"), p.column("person_id", "i"))
    return p.table(events.name, "t"), same


def _where(events: EventTable, flags: Sequence[Flag], windows: Windows, wanted: Wanted) -> list[exp.Expr]:
    """No event after the last day, none that meets no flag, no concept that nobody wants."""
    concept = _concept(events)
    last = p.later(p.column("index_date", "i"), windows.end)
    where: list[exp.Expr] = [
        p.at_most(p.column(events.start, "t"), last),
        exp.NEQ(this=concept, expression=p.literal(0)),
    ]
    firsts = [flag.first for flag in flags]
    if None not in firsts:
        earliest = min(first for first in firsts if first is not None)
        lasting = any(flag.lasting for flag in flags)
        where.append(_meets(events, Flag(first=earliest, lasting=lasting)))
    if not wanted.everything:
        choices: list[exp.Expr] = []
        if wanted.concepts:
            choices.append(p.one_of(concept.copy(), wanted.concepts))
        if wanted.below:
            below = p.column("descendant_concept_id", "a")
            is_below = [p.one_of(p.column("ancestor_concept_id", "a"), wanted.below)]
            choices.append(
                p.member(concept.copy(), p.select([below], p.table("concept_ancestor", "a"), where=is_below))
            )
        either = (
            choices[0]
            if len(choices) == 1
            else exp.Paren(this=exp.Or(this=choices[0], expression=choices[1]))
        )
        where.append(either)
    return where


def _meets(events: EventTable, flag: Flag) -> exp.Expr:
    if flag.first is None:
        return p.equal(p.literal(1), p.literal(1))
    day = events.end if flag.lasting and events.end is not None else events.start
    return p.at_least(p.column(day, "t"), p.later(p.column("index_date", "i"), flag.first))


def _one_if(condition: exp.Expr) -> exp.Expr:
    return exp.Case(ifs=[exp.If(this=condition, true=p.literal(1))], default=p.literal(0))


def _mask(events: EventTable, flags: Sequence[Flag]) -> exp.Expr:
    return _bits([_one_if(_meets(events, flag)) for flag in flags])


def _bits(ones: Sequence[exp.Expr]) -> exp.Expr:
    """The largest of each, as bits of one number."""
    total: exp.Expr = exp.Max(this=ones[0])
    for place, one in enumerate(ones[1:], start=1):
        bit = exp.Mul(this=exp.Max(this=one), expression=p.literal(1 << place))
        total = exp.Add(this=total, expression=bit)
    return total


def _there(value: exp.Expr) -> exp.Expr:
    return p.negation(exp.Is(this=value, expression=exp.Null()))


def _during_a_stay(events: EventTable) -> exp.Expr:
    day = p.column(events.start, "t")
    below = p.select(
        [p.column("descendant_concept_id", "a")],
        p.table("concept_ancestor", "a"),
        where=[p.one_of(p.column("ancestor_concept_id", "a"), STAYS)],
    )
    stay = p.select(
        [p.literal(1)],
        p.table("visit_occurrence", "v"),
        where=[
            p.equal(p.column("person_id", "v"), p.column("person_id", "t")),
            p.at_most(p.column("visit_start_date", "v"), day),
            p.at_least(p.column("visit_end_date", "v"), day.copy()),
            p.member(p.column("visit_concept_id", "v"), below),
        ],
    )
    return p.exists(stay)
