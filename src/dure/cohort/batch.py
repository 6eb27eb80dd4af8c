"""Many plans as one: nodes that differ in their inputs only are one query, whose rows say whose they are.

Responsible for: numbering the nodes of a set of plans, the blocks of nodes that are computed together, the stages in which
blocks run, and their SQL. Not responsible for: what a node means (`sql`), how many plans fit into memory, running anything.

A plan's node waits for its inputs, so nodes fall into levels. All rows of one level and one shape of rows lie in one
temporary table, which begins with the column `node`. Equal nodes are one node, whichever plans they are of. Which node
reads which is itself a table (`LINKS`): block, hole (which input), node, input.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from dure.cohort import primitives as p
from dure.cohort import sql
from dure.cohort.circe.nodes import Limit
from dure.cohort.plan import CohortPlan
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
    Observed,
    OfPerson,
    Primary,
    Qualified,
    Relation,
    Residences,
    Stays,
    Such,
    walk,
    written,
)

CONCEPTS = "dure_concept_sets"
LINKS = "dure_links"
LINK = ("block", "hole", "node", "input", *sql.NUMBERS)
LATE = (Attrition, Included, Stays, Collapsed, Clipped)
"""What only such nodes read, so that it may wait."""
ROWS = ("subject_id", "cohort_start_date", "cohort_end_date")
QUALIFIED = ("person_id", "start_date", "mask")


@dataclass(frozen=True, kw_only=True)
class Store:
    """A temporary table of nodes' rows; its columns after `node`."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Nodes of one query. `first` stands for them: the others have other nodes in the places of its inputs."""

    number: int
    first: Relation
    nodes: tuple[Relation, ...]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One statement: the blocks whose rows make a store, and the stores that nobody reads afterwards."""

    store: Store
    blocks: tuple[Block, ...]
    done_with: tuple[str, ...]


def can_share(plan: CohortPlan) -> bool:
    """Whether a plan can be one of a set: eras of criteria and residences are computed for one node only."""
    return not any(
        isinstance(node, Eras | Residences) for node, _ in walk(plan.attrition, plan.rows).values()
    )


class Batch:
    """A set of plans, or a part of one.

    Args:
        sets: number of each concept set in `CONCEPTS`, by digest.
        attrition: whether the plans' qualified events are wanted too.
    """

    def __init__(self, plans: Sequence[CohortPlan], sets: Mapping[str, int], *, attrition: bool) -> None:
        self.plans = plans
        self.with_attrition = attrition
        self.masked = {plan.attrition.digest for plan in plans} if attrition else set[str]()
        roots = [root for plan in plans for root in self.roots(plan)]
        graph = [node for node, _ in walk(*roots).values()]
        self._idle = {node.digest: each for node in graph if (each := self._below(node)) is not None}
        kept = [node for node in graph if not isinstance(node, ConceptIds) and node.digest not in self._idle]
        self.numbers = {**sets} | {node.digest: at for at, node in enumerate(kept)}
        self.levels = self._leveled(kept)
        self.stores = {node.digest: _store(node, self.levels[node.digest]) for node in kept}
        self.stages = self._staged(self._blocks(kept))

    def roots(self, plan: CohortPlan) -> tuple[Relation, ...]:
        return (plan.attrition, plan.rows) if self.with_attrition else (plan.rows,)

    def real(self, relation: Relation) -> Relation:
        """The relation, or the one below it with the same rows."""
        return self._idle.get(relation.digest, relation)

    def _leveled(self, kept: Sequence[Relation]) -> dict[str, int]:
        """The level of each node: above its inputs, and as low as can be, but for what ends a plan (`LATE`).

        That is as high as can be: plans of different depths then end together, in fewer blocks and stages.
        """
        inputs = {
            node.digest: [self.real(each).digest for each in node.inputs if not isinstance(each, ConceptIds)]
            for node in kept
        }
        levels = dict[str, int]()
        for node in kept:
            levels[node.digest] = 1 + max((levels[each] for each in inputs[node.digest]), default=0)
        latest = dict.fromkeys(levels, max(levels.values(), default=0))
        for node in reversed(kept):
            for each in inputs[node.digest]:
                latest[each] = min(latest[each], latest[node.digest] - 1)
        return levels | {node.digest: latest[node.digest] for node in kept if isinstance(node, LATE)}

    def _below(self, node: Relation) -> Relation | None:
        if isinstance(node, Attrition) and not node.rules and node.digest not in self.masked:
            return node.index
        if isinstance(node, Included) and node.limit is Limit.ALL and not node.attrition.rules:
            return node.attrition if node.attrition.digest in self.masked else node.attrition.index
        return None

    def _blocks(self, kept: Sequence[Relation]) -> list[Block]:
        alike: dict[tuple[str, str], list[Relation]] = {}
        for node in kept:
            alike.setdefault((self.stores[node.digest].name, self._shape(node)), []).append(node)
        return [
            Block(number=at, first=nodes[0], nodes=tuple(nodes)) for at, nodes in enumerate(alike.values())
        ]

    def _shape(self, node: Relation) -> str:
        """Text that is equal for nodes which one query can compute: all but which rows of which store they read."""
        places = {each.digest: at for at, each in enumerate(node.inputs)}

        def place(each: Relation) -> str:
            if isinstance(each, ConceptIds):
                return f"set {places[each.digest]}"
            return (
                f"{places[each.digest]}:{type(each).__name__} in {self.stores[self.real(each).digest].name}"
            )

        rules = f" of {len(node.attrition.rules)} rules" if isinstance(node, Included) else ""
        return written(sql.without_numbers(node), place) + rules

    def _staged(self, blocks: Sequence[Block]) -> list[Stage]:
        of_store: dict[str, list[Block]] = {}
        for block in blocks:
            of_store.setdefault(self.stores[block.first.digest].name, []).append(block)
        ordered = sorted(of_store.values(), key=lambda each: self.levels[each[0].first.digest])
        last_read = {
            self.stores[self.real(each).digest].name: at
            for at, stage in enumerate(ordered)
            for block in stage
            for each in block.first.inputs
            if not isinstance(each, ConceptIds)
        }
        wanted = {
            self.stores[self.real(root).digest].name for plan in self.plans for root in self.roots(plan)
        }
        return [
            Stage(
                store=self.stores[stage[0].first.digest],
                blocks=tuple(stage),
                done_with=tuple(
                    sorted(name for name, read in last_read.items() if read == at and name not in wanted)
                ),
            )
            for at, stage in enumerate(ordered)
        ]

    def links(self) -> dict[str, list[int]]:
        """Which node of which block reads which node (or concept set) in which place: columns `LINK`."""
        rows = list[tuple[int, ...]]()
        numbered = [
            (node, block.number) for stage in self.stages for block in stage.blocks for node in block.nodes
        ]
        for node, block in numbered:
            number, numbers = self.numbers[node.digest], sql.numbers_of(node)
            numbers += (0,) * (len(sql.NUMBERS) - len(numbers))
            rows.append((block, -1, number, -1, *numbers))
            for hole, each in enumerate(node.inputs):
                rows.append((block, hole, number, self.numbers[self.real(each).digest], *numbers))
        columns = zip(*rows, strict=True)
        return {name: list(column) for name, column in zip(LINK, columns, strict=True)}

    def query(self, stage: Stage) -> exp.Query:
        """The rows of a stage's store."""
        return p.union([_BlockQuery(self, block).compiled() for block in stage.blocks])

    def rows(self) -> exp.Query:
        """Columns node, then `ROWS`; in order."""
        return self._read([plan.rows for plan in self.plans], sql.STAY, ROWS)

    def qualified(self) -> exp.Query:
        """Columns node, then `QUALIFIED`; in order."""
        return self._read([plan.attrition for plan in self.plans], QUALIFIED, QUALIFIED)

    def node(self, relation: Relation) -> int:
        return self.numbers[self.real(relation).digest]

    def _read(self, roots: Sequence[Relation], names: Sequence[str], aliases: Sequence[str]) -> exp.Query:
        of_store: dict[str, set[int]] = {}
        for root in roots:
            real = self.real(root)
            of_store.setdefault(self.stores[real.digest].name, set()).add(self.numbers[real.digest])
        parts = [
            p.select(
                [
                    p.column(sql.NODE, "r"),
                    *(
                        p.named(p.column(name, "r"), alias)
                        for name, alias in zip(names, aliases, strict=True)
                    ),
                ],
                p.table(store, "r"),
                where=[p.one_of(p.column(sql.NODE, "r"), sorted(nodes))],
            )
            for store, nodes in of_store.items()
        ]
        everything = (sql.NODE, *aliases)
        return p.select(p.columns(everything, "u"), p.nested(p.union(parts), "u")).order_by(
            *(p.name_of(alias) for alias in everything), copy=False
        )


class _BlockQuery:
    """The SQL of one block. Is the `Nodes` of `sql.compile`."""

    def __init__(self, batch: Batch, block: Block) -> None:
        self.batch = batch
        self.block = block
        self.holes = {each.digest: hole for hole, each in enumerate(block.first.inputs)}

    def compiled(self) -> exp.Query:
        store = self.batch.stores[self.block.first.digest]
        query = sql.compile(self.block.first, stored=self.stored, nodes=self)
        names = (sql.NODE, *store.columns)
        return p.select(p.columns(names, "b"), p.nested(query, "b"))

    def stored(self, relation: Relation) -> exp.Query:
        if isinstance(relation, ConceptIds):
            number = p.literal(self.batch.numbers[relation.digest])
            return p.select(
                [p.column("concept_id", "s")],
                p.table(CONCEPTS, "s"),
                where=[p.equal(p.column("set_no", "s"), number)],
            )
        store = self.batch.stores[self.batch.real(relation).digest]
        return self._linked(store.name, sql.NODE, store.columns, self.holes[relation.digest])

    def concepts(self, concepts: ConceptIds) -> exp.Query:
        return self._linked(CONCEPTS, "set_no", ["concept_id"], self.holes[concepts.digest])

    def all(self) -> exp.Query:
        return p.select([p.column(sql.NODE, "l")], p.table(LINKS, "l"), where=self._links(-1))

    def _links(self, hole: int) -> list[exp.Expr]:
        return [
            p.equal(p.column("block", "l"), p.literal(self.block.number)),
            p.equal(p.column("hole", "l"), p.literal(hole)),
        ]

    def _linked(self, table: str, key: str, names: Sequence[str], hole: int) -> exp.Query:
        numbers = sql.NUMBERS[: len(sql.numbers_of(self.block.first))]
        on = [p.equal(p.column("input", "l"), p.column(key, "t")), *self._links(hole)]
        return p.select(
            [p.column(sql.NODE, "l"), *p.columns(names, "t"), *p.columns(numbers, "l")],
            p.table(table, "t"),
            joins=[(p.table(LINKS, "l"), p.both(on))],
        )


def _store(node: Relation, level: int) -> Store:
    match node:
        case Events() | Such():
            events = node.events if isinstance(node, Such) else node
            if events.counted is None:
                return Store(name=f"dure_events_{level}", columns=sql.EVENT)
            # What is counted may be a number or a date, so each kind of it has a store.
            kind = hashlib.sha256(f"{events.table} {events.counted}".encode()).hexdigest()[:16]
            return Store(name=f"dure_counted_{kind}_{level}", columns=(*sql.EVENT, "counted"))
        case Observed() | Primary() | Qualified() | Included():
            return Store(name=f"dure_index_{level}", columns=sql.INDEX)
        case Attrition():
            return Store(name=f"dure_masks_{level}", columns=(*sql.INDEX, "mask"))
        case Everyone() | Counted() | OfPerson() | Combined():
            return Store(name=f"dure_keys_{level}", columns=sql.KEYS)
        case DrugEras() | Stays() | Collapsed() | Clipped():
            return Store(name=f"dure_stays_{level}", columns=sql.STAY)
    raise TypeError(f"{type(node).__name__} has no rows of its own")
