"""Cohorts on an engine: plans to rows.

Responsible for: running plans on any engine, each shared subplan once, as temporary tables that go when nobody needs them.
Not responsible for: what a plan means (`dure.cohort`), or what may leave the hospital.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
from sqlglot import exp

from dure.cohort import CohortPlan, primitives, sql
from dure.cohort.concepts_sql import concept_sets
from dure.cohort.problems import MissingTable
from dure.cohort.relations import ConceptIds, Relation, walk
from dure.engines.base import Engine
from dure.omop.concept_sets import ConceptSet

CONCEPTS = "dure_concept_sets"


@dataclass(frozen=True, kw_only=True)
class CohortTable:
    """A cohort's people.

    Attributes:
        rows: columns subject_id, cohort_start_date, cohort_end_date; ordered by them.
        qualified: every qualified event before the expression limit, in the order of its columns person_id, start_date,
            mask (bit i is set where the event satisfies `rules[i]`); None where it wasn't asked for.
        rules: names of the inclusion rules.
    """

    rows: pa.Table
    qualified: pa.Table | None
    rules: tuple[str, ...]


def run(engine: Engine, plan: CohortPlan, *, attrition: bool = True) -> CohortTable:
    """One cohort. See `run_many`."""
    return next(run_many(engine, [plan], attrition=attrition))


def run_many(engine: Engine, plans: Sequence[CohortPlan], *, attrition: bool = True) -> Iterator[CohortTable]:
    """Cohorts in the order of `plans`; what they have in common is computed once.

    An engine runs one such set at a time: begin another when this one is exhausted or closed.

    Args:
        attrition: whether `CohortTable.qualified` is wanted.

    Raises:
        MissingTable: the database lacks a table that a cohort reads.
        Problem: of the engine.
    """
    with _Workspace(engine, plans, attrition=attrition) as workspace:
        for plan in plans:
            yield workspace.cohort(plan)


@contextmanager
def kept(engine: Engine, plans: Mapping[str, CohortPlan]) -> Iterator[dict[str, CohortTable]]:
    """Cohorts by name, whose rows also stand as temporary tables of these names until the end: to be joined with.

    Raises: as `run_many`.
    """
    with _Workspace(engine, list(plans.values()), attrition=False) as workspace:
        yield {name: workspace.cohort(plan, keep=name) for name, plan in plans.items()}


def resolve(engine: Engine, concept_set: ConceptSet) -> tuple[int, ...]:
    """The concept ids of a set against the database's vocabulary, in order."""
    _check_tables(engine, [(ConceptIds(items=concept_set.items), 0)])
    found = engine.query(concept_sets([concept_set.items]))
    return tuple(sorted(found.column("concept_id").to_pylist()))


def statements(plan: CohortPlan) -> Iterator[tuple[str, exp.Query]]:
    """What `run` asks for, in order: (name of a temporary table, its query), and last ("rows", query). Touches nothing."""
    layout = _Layout([plan], attrition=True)
    yield CONCEPTS, layout.concepts()
    for digest, (node, _) in layout.graph.items():
        if digest in layout.names:
            yield layout.names[digest], layout.query(node)
    yield "rows", layout.rows(plan)


class _Layout:
    """Which nodes of the plans are kept, under which names."""

    def __init__(self, plans: Sequence[CohortPlan], *, attrition: bool) -> None:
        roots = [
            root for plan in plans for root in ((plan.attrition, plan.rows) if attrition else (plan.rows,))
        ]
        self.graph = walk(*roots)
        self.sets = [node.items for node, _ in self.graph.values() if isinstance(node, ConceptIds)]
        self.numbers = {ConceptIds(items=items).digest: at for at, items in enumerate(self.sets)}
        asked = [root.digest for root in roots]
        self.names = {
            digest: f"dure_{digest[:32]}"
            for digest, (node, reads) in self.graph.items()
            if reads + asked.count(digest) > 1 and not isinstance(node, ConceptIds)
        }

    def stored(self, relation: Relation) -> exp.Table | exp.Query | None:
        if isinstance(relation, ConceptIds):
            number = primitives.literal(self.numbers[relation.digest])
            return primitives.select(
                [primitives.column("concept_id", "s")],
                primitives.table(CONCEPTS, "s"),
                where=[primitives.equal(primitives.column("set_no", "s"), number)],
            )
        name = self.names.get(relation.digest)
        return None if name is None else primitives.table(name, name)

    def concepts(self) -> exp.Query:
        return concept_sets(self.sets).order_by(primitives.name_of("set_no"), copy=False)

    def query(self, relation: Relation) -> exp.Query:
        """The rows of a node, which may itself be kept."""
        return sql.compile(relation, stored=self.stored)

    def read(self, relation: Relation, names: Sequence[str], aliases: Sequence[str]) -> exp.Query:
        kept = self.stored(relation)
        source = (
            primitives.table(kept.name, "r")
            if isinstance(kept, exp.Table)
            else primitives.nested(self.query(relation), "r")
        )
        what = [
            primitives.named(primitives.column(name, "r"), alias)
            for name, alias in zip(names, aliases, strict=True)
        ]
        return primitives.select(what, source).order_by(
            *(primitives.name_of(alias) for alias in aliases), copy=False
        )

    def rows(self, plan: CohortPlan) -> exp.Query:
        return self.read(plan.rows, sql.STAY, ("subject_id", "cohort_start_date", "cohort_end_date"))

    def qualified(self, plan: CohortPlan) -> exp.Query:
        names = ("person_id", "start_date", "mask")
        return self.read(plan.attrition, names, names)


class _Workspace:
    """The temporary tables of one run."""

    def __init__(self, engine: Engine, plans: Sequence[CohortPlan], *, attrition: bool) -> None:
        self.engine = engine
        self.attrition = attrition
        self.layout = _Layout(plans, attrition=attrition)
        self.needs = [self._kept_by(plan) for plan in plans]
        self.present: set[str] = set()

    def __enter__(self) -> "_Workspace":
        _check_tables(self.engine, self.layout.graph.values())
        if self.layout.sets:
            self.present.add(CONCEPTS)
            self.engine.temporary(CONCEPTS, self.layout.concepts())
        return self

    def __exit__(self, *_: object) -> None:
        for name in sorted(self.present):
            self.engine.drop(name)

    def _kept_by(self, plan: CohortPlan) -> list[str]:
        """Digests of the kept nodes that a plan needs, inputs first."""
        roots = (plan.attrition, plan.rows) if self.attrition else (plan.rows,)
        return [digest for digest in walk(*roots) if digest in self.layout.names]

    def cohort(self, plan: CohortPlan, *, keep: str | None = None) -> CohortTable:
        needed = self.needs.pop(0)
        for digest in needed:
            name = self.layout.names[digest]
            if name not in self.present:
                node = self.layout.graph[digest][0]
                self.present.add(name)
                self.engine.temporary(name, self.layout.query(node))
        source = self.layout.rows(plan)
        if keep is not None:
            self.present.add(keep)
            self.engine.temporary(keep, source)
            names = [
                primitives.name_of(name) for name in ("subject_id", "cohort_start_date", "cohort_end_date")
            ]
            kept = primitives.table(keep, "k")
            source = primitives.select(names, kept).order_by(*(name.copy() for name in names), copy=False)
        rows = self.engine.query(source)
        qualified = None
        if self.attrition:
            qualified = self.engine.query(self.layout.qualified(plan))
        self._forget(needed)
        return CohortTable(rows=rows, qualified=qualified, rules=plan.rules)

    def _forget(self, used: Sequence[str]) -> None:
        """Drop what no later plan needs."""
        later = {digest for needs in self.needs for digest in needs}
        for digest in used:
            name = self.layout.names[digest]
            if digest not in later and name in self.present:
                self.present.discard(name)
                self.engine.drop(name)


def _check_tables(engine: Engine, graph: Iterable[tuple[Relation, int]]) -> None:
    nodes = [node for node, _ in graph]
    for table in sorted({table for node in nodes for table in node.tables}):
        if not engine.has(table):
            raise MissingTable(
                f"The database has no table {table}, which the cohort reads.",
                where=f"{engine.dataset.source}: table {table}",
                mend="Load the table (it may be empty), or take what reads it out of the definition.",
            )
    for table, column in sorted({each for node in nodes for each in node.columns}):
        if column not in engine.columns(table):
            raise MissingTable(
                f"The database's {table} has no column {column}, which the cohort reads and CDM 5.3 and 5.4 don't have.",
                where=f"{engine.dataset.source}: column {table}.{column}",
                mend="Add the column to the database, or take what reads it out of the definition.",
            )
