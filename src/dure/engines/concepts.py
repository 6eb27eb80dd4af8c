"""What a definition's concept sets select in one database, how each concept got in, and which records no concept set can see.

Responsible for: asking a database, with the meaning of `omop.concept_sets`. Not responsible for: what may leave the hospital;
counts of records are for the people who work there, and nothing here is sent anywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
from sqlglot import exp

from dure.cohort import primitives as p
from dure.cohort.circe.language import CRITERIA_TYPES
from dure.cohort.circe.nodes import CohortExpression, Criterion, CustomEra, Group
from dure.cohort.concepts_sql import concept_sets
from dure.cohort.problems import MissingTable
from dure.engines.base import Engine
from dure.omop.concept_sets import ConceptSet, ConceptSetItem
from dure.omop.events import EVENT_TABLES

FACTS = ("concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_code", "standard_concept")
HOW = ("itself", "descendant", "mapped")
MEMBERS = pa.schema(
    [
        ("set_id", pa.int64()),
        ("set_name", pa.string()),
        *((name, pa.int64() if name == "concept_id" else pa.string()) for name in FACTS),
        ("included", pa.bool_()),
        ("through", pa.int64()),
        ("how", pa.string()),
    ]
)
UNMAPPED = pa.schema(
    [
        ("table", pa.string()),
        ("source_value", pa.string()),
        ("source_concept_id", pa.int64()),
        ("records", pa.int64()),
    ]
)


def members(engine: Engine, sets: Sequence[ConceptSet]) -> pa.Table:
    """Every concept that an item of the sets stands for, one row for each item that it came in through.

    Columns: set_id, set_name; concept_id and what the vocabulary says of it; `included`, false where an excluded item takes the
    concept away; `through`, the item's concept; `how`: itself, descendant or mapped.

    Raises:
        MissingTable: the database lacks a vocabulary table.
    """
    items = [(each, item) for each in sets for item in each.items]
    for name in (
        "concept",
        "concept_ancestor",
        *(["concept_relationship"] * any(i.mapped for _, i in items)),
    ):
        _need(engine, name)
    steps = [step for _, item in items for step in _steps(item)]
    tree = concept_sets([[step] for step in steps])
    found: dict[int, list[int]] = {}
    for number, concept in _rows(engine.query(tree)):
        found.setdefault(number, []).append(concept)
    facts = {row[0]: row for row in _rows(engine.query(_facts(tree)))}
    rows: list[tuple[object, ...]] = []
    for at, (each, item) in enumerate(items):
        seen: set[int] = set()
        for how, name in enumerate(HOW):
            for concept in sorted(set(found.get(3 * at + how, ())) - seen):
                seen.add(concept)
                rows.append((each.id, each.name, *facts[concept], not item.excluded, item.concept, name))
    gone = {(row[0], row[2]) for row in rows if not row[-3]}
    final = [(*row[:-3], (row[0], row[2]) not in gone, *row[-2:]) for row in rows]
    return _table(final, MEMBERS)


def unmapped(engine: Engine, expression: CohortExpression) -> pa.Table:
    """Source codes of records without a standard concept, in the event tables that a definition looks for concepts in.

    No concept set of standard concepts sees these records. Columns: table, source_value, source_concept_id, records; the most
    frequent first.
    """
    rows: list[tuple[object, ...]] = []
    for name in sorted(set(_tables(expression))):
        table = EVENT_TABLES[name]
        source = f"{str(table.concept).removesuffix('_concept_id')}_source_value"
        _need(engine, name)
        if source not in engine.columns(name) or table.source_concept is None:
            continue
        concept = exp.Coalesce(this=p.column(str(table.concept), "c"), expressions=[p.literal(0)])
        keys = [p.column(source, "c"), p.column(table.source_concept, "c")]
        tree = p.select(
            [
                p.named(keys[0].copy(), "source_value"),
                p.named(keys[1].copy(), "source_concept_id"),
                p.named(exp.Count(this=exp.Star()), "records"),
            ],
            p.table(name, "c"),
            where=[p.equal(concept, p.literal(0))],
            group=keys,
        )
        rows += [(name, *row) for row in _rows(engine.query(tree))]
    rows.sort(key=lambda row: (row[0], -int(str(row[3])), str(row[1]), str(row[2])))
    return _table(rows, UNMAPPED)


def _steps(item: ConceptSetItem) -> tuple[ConceptSetItem, ConceptSetItem, ConceptSetItem]:
    """The item as three sets, each wider: its concept, then descendants, then mapped concepts."""
    plain = replace(item, descendants=False, mapped=False, excluded=False)
    return plain, replace(plain, descendants=item.descendants), replace(item, excluded=False)


def _facts(sets: exp.Query) -> exp.Query:
    ids = p.select([p.column("concept_id", "s")], p.nested(sets.copy(), "s"))
    where = [p.member(p.column("concept_id", "v"), ids)]
    return p.select(p.columns(FACTS, "v"), p.table("concept", "v"), where=where)


def _tables(expression: CohortExpression) -> Iterator[str]:
    """The tables of criteria that look for standard concepts."""
    if isinstance(expression.end, CustomEra):
        yield "drug_exposure"
    for each in (*expression.primary, *expression.censoring):
        yield from _tables_of(each)
    rules = [rule.group for rule in expression.inclusion_rules]
    for group in (*rules, *([expression.additional] if expression.additional else [])):
        yield from _tables_in(group)


def _tables_of(criterion: Criterion) -> Iterator[str]:
    if criterion.codeset is not None:
        yield CRITERIA_TYPES[criterion.type].table.name
    if criterion.correlated is not None:
        yield from _tables_in(criterion.correlated)


def _tables_in(group: Group) -> Iterator[str]:
    for each in group.criteria:
        yield from _tables_of(each.criterion)
    for inner in group.groups:
        yield from _tables_in(inner)


def _rows(table: pa.Table) -> Iterator[tuple[int, ...]]:
    yield from zip(*table.to_pydict().values(), strict=True)


def _table(rows: Sequence[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table(
        [pa.array(held, each.type) for held, each in zip(columns, schema, strict=True)], schema=schema
    )


def _need(engine: Engine, table: str) -> None:
    if not engine.has(table):
        raise MissingTable(
            f"The database has no table {table}, which the concept sets are looked up in.",
            where=f"{engine.dataset.source}: table {table}",
            mend="Load the table (it may be empty).",
        )
