"""Cohorts on an engine: plans to rows.

Responsible for: running plans on any engine (one alone, or a set whose cohorts share concept sets, scans and equal subplans),
in temporary tables that go when nobody needs them; that one cohort's failure isn't another's. Not responsible for: what a plan
means (`dure.cohort`), which nodes make one query (`cohort.batch`), what may leave the hospital.
"""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import pyarrow as pa
from sqlglot import exp

from dure.cohort import CohortPlan, primitives, sql
from dure.cohort.batch import CONCEPTS, LINKS, QUALIFIED, ROWS, Batch, can_share
from dure.cohort.concepts_sql import concept_sets, concept_sets_in, rows_of
from dure.cohort.problems import MissingTable
from dure.cohort.relations import ConceptIds, Relation, walk
from dure.engines.base import Engine, Interruptible, TakesNumbers, Written
from dure.engines.cohort_cache import Kept, cache_of
from dure.engines.problems import QueryCancelled
from dure.engines.set_weights import parts_of
from dure.omop.concept_sets import ConceptSet
from dure.wire.problems import Problem

ITEMS = "dure_concept_set_items"


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


Found = TypeVar("Found")


class Cohorts(Iterator[Found]):
    """Cohorts as they are computed. `close` may be called by any thread at any time: it stops what the database is doing for
    them, drops their temporary tables and comes back when that is done."""

    def __init__(self, engine: Engine, found: Generator[Found]) -> None:
        self._engine = engine
        self._found = found

    def __next__(self) -> Found:
        return next(self._found)

    def close(self) -> None:
        while True:
            try:
                return self._found.close()
            except ValueError:  # another thread waits for the next cohort
                if isinstance(self._engine, Interruptible):
                    self._engine.interrupt()
                time.sleep(0.01)


def run_many(engine: Engine, plans: Sequence[CohortPlan], *, attrition: bool = True) -> Cohorts[CohortTable]:
    """Cohorts in the order of `plans`; what they have in common is computed once.

    What this engine has computed before of the same dataset version isn't computed again. An engine runs one set at a
    time: begin another when this one is exhausted or closed.

    Args:
        attrition: whether `CohortTable.qualified` is wanted.

    Raises:
        MissingTable: the database lacks a table that a cohort reads.
        QueryCancelled: another thread has closed the iterator.
        Problem: of the engine.
    """
    return Cohorts(engine, _all_or_none(run_each(engine, plans, attrition=attrition)))


def _all_or_none(cohorts: Cohorts[CohortTable | Problem]) -> Generator[CohortTable]:
    with closing(cohorts):
        for found in cohorts:
            if isinstance(found, Problem):
                raise found
            yield found


def run_each(
    engine: Engine,
    plans: Sequence[CohortPlan],
    *,
    attrition: bool = True,
    advance: Callable[[float], None] = lambda _cohorts: None,
) -> Cohorts[CohortTable | Problem]:
    """As `run_many`, with the problem of each cohort that fails in its place; the others are computed all the same.

    Args:
        advance: told as work gets done how many cohorts it amounts to; over the whole run about `len(plans)`.
    """
    return Cohorts(engine, _each(engine, plans, attrition=attrition, advance=advance))


def _each(
    engine: Engine, plans: Sequence[CohortPlan], *, attrition: bool, advance: Callable[[float], None]
) -> Generator[CohortTable | Problem]:
    cache, version = cache_of(engine), engine.dataset.version
    waiting = Counter(plan.digest for plan in plans)
    ahead: dict[str, Kept | Problem] = {}
    missing: dict[str, CohortPlan] = {}
    for plan in plans:
        kept = cache.find(version, plan, attrition=attrition)
        if kept is None:
            missing[plan.digest] = plan
        else:
            ahead[plan.digest] = kept
            advance(1)
    computed = _computed(engine, list(missing.values()), attrition=attrition, advance=advance)
    with closing(computed):
        for plan in plans:
            while plan.digest not in ahead:
                other, result = next(computed)
                ahead[other.digest] = result
                if isinstance(result, Kept):
                    cache.keep(version, other, result)
            found = ahead[plan.digest]
            waiting[plan.digest] -= 1
            if not waiting[plan.digest]:
                del ahead[plan.digest]
            if isinstance(found, Kept):
                qualified = found.qualified if attrition else None
                yield CohortTable(rows=found.rows, qualified=qualified, rules=plan.rules)
            else:
                yield found


@contextmanager
def kept(engine: Engine, plans: Mapping[str, CohortPlan]) -> Iterator[dict[str, CohortTable]]:
    """Cohorts by name, whose rows also stand as temporary tables of these names until the end: to be joined with.

    Raises: as `run_many`.
    """
    found = dict[str, CohortTable]()
    with _Temporary(engine) as temporary:
        for name, plan in plans.items():
            _check_tables(engine, walk(plan.rows).values())
            with _laid_out(engine, plan, attrition=False) as layout:
                temporary.make(name, layout.rows())
            asked = primitives.select(primitives.columns(ROWS, "k"), primitives.table(name, "k"))
            rows = engine.query(asked.order_by(*map(primitives.name_of, ROWS), copy=False))
            found[name] = CohortTable(rows=rows, qualified=None, rules=plan.rules)
        yield found


def resolve(engine: Engine, concept_set: ConceptSet) -> tuple[int, ...]:
    """The concept ids of a set against the database's vocabulary, in order."""
    _check_tables(engine, [(ConceptIds(items=concept_set.items), 0)])
    found = engine.query(concept_sets([concept_set.items]))
    return tuple(sorted(found.column("concept_id").to_pylist()))


def statements(plan: CohortPlan) -> Iterator[tuple[str, exp.Query]]:
    """What `run` asks for, in order: (name of a temporary table, its query), and last ("rows", query). Touches nothing."""
    layout = _Layout(plan, attrition=True)
    if layout.sets:
        yield CONCEPTS, layout.concepts()
    for digest, name in layout.names.items():
        yield name, layout.query(layout.graph[digest][0])
    yield "rows", layout.rows()


Computed = Iterator[tuple[CohortPlan, Kept | Problem]]


def _computed(
    engine: Engine, plans: Sequence[CohortPlan], *, attrition: bool, advance: Callable[[float], None]
) -> Generator[tuple[CohortPlan, Kept | Problem]]:
    able = list[CohortPlan]()
    for plan in plans:
        try:
            _check_tables(engine, walk(*_roots(plan, attrition=attrition)).values())
            able.append(plan)
        except MissingTable as problem:
            yield plan, problem
    shared = [plan for plan in able if can_share(plan)] if isinstance(engine, TakesNumbers) else []
    if len(shared) > 1:
        yield from _set(engine, shared, attrition=attrition, advance=advance)
        able = [plan for plan in able if not can_share(plan)]
    for plan in able:
        try:
            yield plan, _alone(engine, plan, attrition=attrition)
        except QueryCancelled:
            raise
        except Problem as problem:
            yield plan, problem
        advance(1)


def _alone(engine: Engine, plan: CohortPlan, *, attrition: bool) -> Kept:
    with _laid_out(engine, plan, attrition=attrition) as layout:
        return Kept(
            rows=engine.query(layout.rows()),
            qualified=engine.query(layout.qualified()) if attrition else None,
        )


@contextmanager
def _laid_out(engine: Engine, plan: CohortPlan, *, attrition: bool) -> "Iterator[_Layout]":
    """One cohort: what it reads twice is kept, everything else is written out where it is read."""
    layout = _Layout(plan, attrition=attrition)
    with _Temporary(engine) as temporary:
        if layout.sets:
            temporary.make(CONCEPTS, layout.concepts())
        for digest, name in layout.names.items():
            temporary.make(name, layout.query(layout.graph[digest][0]))
        yield layout


def _set(
    engine: Engine, plans: Sequence[CohortPlan], *, attrition: bool, advance: Callable[[float], None]
) -> Computed:
    """Several cohorts: concept sets resolved once for all, then part by part."""
    roots = [root for plan in plans for root in _roots(plan, attrition=attrition)]
    sets = [node for node, _ in walk(*roots).values() if isinstance(node, ConceptIds)]
    numbers = {node.digest: at for at, node in enumerate(sets)}
    with _Temporary(engine) as temporary:
        try:
            temporary.numbers(ITEMS, rows_of([node.items for node in sets]))
            members = concept_sets_in(ITEMS, maps=any(node.maps for node in sets))
            if sets:
                temporary.make(CONCEPTS, members.order_by(primitives.name_of("set_no"), copy=False))
            parts = list(parts_of(engine, plans, numbers))
        except QueryCancelled:
            raise
        except Problem as problem:
            yield from ((plan, problem) for plan in plans)
            return
        for part in parts:
            yield from _part(engine, part, numbers, attrition=attrition, advance=advance)


def _part(
    engine: Engine,
    plans: Sequence[CohortPlan],
    sets: Mapping[str, int],
    *,
    attrition: bool,
    advance: Callable[[float], None],
) -> Computed:
    """Cohorts at once. Where that fails, each half by itself: what is wrong with one doesn't stop the others."""
    try:
        found = _together(engine, plans, sets, attrition=attrition, advance=advance)
    except QueryCancelled:
        raise
    except Problem as problem:
        if len(plans) == 1:
            yield plans[0], problem
            return
        half = len(plans) // 2
        for some in (plans[:half], plans[half:]):
            yield from _part(engine, some, sets, attrition=attrition, advance=lambda _cohorts: None)
    else:
        yield from found


def _together(
    engine: Engine,
    plans: Sequence[CohortPlan],
    sets: Mapping[str, int],
    *,
    attrition: bool,
    advance: Callable[[float], None],
) -> list[tuple[CohortPlan, Kept]]:
    assert isinstance(engine, TakesNumbers)
    batch = Batch(plans, sets, attrition=attrition)
    blocks = sum(len(stage.blocks) for stage in batch.stages)
    coming = frozenset(stage.store.name for stage in batch.stages)
    making = (engine.written(stage.store.name, batch.query(stage), coming=coming) for stage in batch.stages)
    with _Temporary(engine) as temporary:
        temporary.numbers(LINKS, batch.links())
        for stage, written in zip(batch.stages, _one_ahead(making), strict=True):
            temporary.make_written(written)
            for name in stage.done_with:
                temporary.drop(name)
            advance(len(plans) * len(stage.blocks) / blocks)
        rows = _by_node(engine.query(batch.rows()))
        qualified = _by_node(engine.query(batch.qualified())) if attrition else None
    return [
        (
            plan,
            Kept(
                rows=rows(batch.node(plan.rows)),
                qualified=qualified(batch.node(plan.attrition)) if qualified else None,
            ),
        )
        for plan in plans
    ]


def _one_ahead(made: Iterator[Found]) -> Iterator[Found]:
    """The same, each made by another thread while the one before is in use: the database doesn't wait for Python."""
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, made, None)
        while (found := coming.result()) is not None:
            coming = maker.submit(next, made, None)
            yield found


def _by_node(found: pa.Table) -> Callable[[int], pa.Table]:
    """The rows of one node in a table that is in order of nodes."""
    nodes, rows = found.column(sql.NODE).to_numpy(), found.drop_columns([sql.NODE])

    def of(node: int) -> pa.Table:
        begin, end = np.searchsorted(nodes, [node, node + 1])
        return rows.slice(begin, end - begin)

    return of


def _roots(plan: CohortPlan, *, attrition: bool) -> tuple[Relation, ...]:
    return (plan.attrition, plan.rows) if attrition else (plan.rows,)


class _Temporary:
    """Temporary tables that go when this is left."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.present: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self.present:
            name = min(self.present)
            try:
                self.engine.drop(name)
            except QueryCancelled:  # who closes interrupts until all is gone, and so may meet this too
                continue
            self.present.discard(name)

    def make(self, name: str, query: exp.Query) -> None:
        self.present.add(name)
        self.engine.temporary(name, query)

    def make_written(self, written: Written) -> None:
        """What only an engine that `TakesNumbers` is asked for."""
        assert isinstance(self.engine, TakesNumbers)
        self.present.add(written.name)
        self.engine.temporary_written(written)

    def numbers(self, name: str, columns: Mapping[str, Sequence[int]]) -> None:
        """What only an engine that `TakesNumbers` is asked for."""
        assert isinstance(self.engine, TakesNumbers)
        self.present.add(name)
        self.engine.temporary_numbers(name, columns)

    def drop(self, name: str) -> None:
        self.present.discard(name)
        self.engine.drop(name)


class _Layout:
    """Which nodes of one plan are kept, under which names."""

    def __init__(self, plan: CohortPlan, *, attrition: bool) -> None:
        self.plan = plan
        roots = _roots(plan, attrition=attrition)
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

    def rows(self) -> exp.Query:
        return self.read(self.plan.rows, sql.STAY, ROWS)

    def qualified(self) -> exp.Query:
        return self.read(self.plan.attrition, QUALIFIED, QUALIFIED)


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
