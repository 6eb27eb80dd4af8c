"""The SQL of concept sets: many sets against a vocabulary in one query.

Responsible for: asking the vocabulary's tables what `omop.concept_sets.members` means, in one pass however many sets there are.
Not responsible for: keeping the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlglot import exp

from dure.cohort import primitives as p
from dure.omop.concept_sets import ConceptSetItem

KEY = ("set_no", "concept_id")
FLAGS = ("descendants", "mapped", "excluded")
ITEM = (*KEY, *FLAGS)


class _Items(Protocol):
    def having(self, *, excluded: bool, **flags: bool) -> p.Source | None:
        """Items under the alias `i`, columns `KEY`: those with these flags; None where it is known that there are none."""
        ...


@dataclass(frozen=True, kw_only=True)
class _WrittenOut:
    sets: Sequence[Sequence[ConceptSetItem]]

    def having(self, **flags: bool) -> p.Source | None:
        found = [
            (at, item.concept)
            for at, items in enumerate(self.sets)
            for item in items
            if all(getattr(item, name) is value for name, value in flags.items())
        ]
        return p.values(found, KEY, "i") if found else None


@dataclass(frozen=True, kw_only=True)
class _InTable:
    table: str
    maps: bool

    def having(self, **flags: bool) -> p.Source | None:
        if flags.get("mapped") and not self.maps:
            return None
        where = [p.equal(p.column(name, "k"), p.literal(int(value))) for name, value in flags.items()]
        return p.nested(p.select(p.columns(KEY, "k"), p.table(self.table, "k"), where=where), "i")


def rows_of(sets: Sequence[Sequence[ConceptSetItem]]) -> dict[str, list[int]]:
    """The items as a table, which `concept_sets_in` reads: columns `ITEM`, flags as 0 and 1."""
    listed = [(at, item) for at, items in enumerate(sets) for item in items]
    return {
        "set_no": [at for at, _ in listed],
        "concept_id": [item.concept for _, item in listed],
        **{flag: [int(getattr(item, flag)) for _, item in listed] for flag in FLAGS},
    }


def concept_sets(sets: Sequence[Sequence[ConceptSetItem]]) -> exp.Query:
    """The members of each set. Columns: set_no (position in `sets`), concept_id."""
    return _members(_WrittenOut(sets=sets))


def concept_sets_in(table: str, *, maps: bool) -> exp.Query:
    """The same, of items that are in a table already (see `rows_of`); `maps`: whether any of them asks for mapped concepts."""
    return _members(_InTable(table=table, maps=maps))


def _members(items: _Items) -> exp.Query:
    included, excluded = (_selected(items, excluded=each) for each in (False, True))
    if not (included or excluded):
        never = [p.equal(p.literal(0), p.literal(1))]
        what = [p.named(p.literal(0), "set_no"), p.column("concept_id", "v")]
        return p.select(what, p.table("concept", "v"), where=never)
    if not excluded:
        return p.select(p.columns(KEY, "u"), p.nested(p.union(included), "u"), distinct=True)
    marked = [
        p.select([*p.columns(KEY, "m"), p.named(p.literal(mark), "excluded")], p.nested(p.union(parts), "m"))
        for mark, parts in enumerate((included, excluded))
        if parts
    ]
    kept = p.equal(exp.Max(this=p.column("excluded", "u")), p.literal(0))
    return p.select(
        p.columns(KEY, "u"), p.nested(p.union(marked), "u"), group=p.columns(KEY, "u"), having=kept
    )


def _selected(items: _Items, *, excluded: bool) -> list[exp.Query]:
    """Columns set_no, concept_id: what the items stand for; nothing for no items."""
    parts = _with_descendants(items, excluded=excluded)
    mapped = _with_descendants(items, excluded=excluded, mapped=True)
    if mapped:
        parts.append(_mapping_to(p.union(mapped)))
    return parts


def _with_descendants(items: _Items, *, excluded: bool, **flags: bool) -> list[exp.Query]:
    """Columns set_no, concept_id: concepts that the vocabulary has, and valid ones below them."""
    what = [p.column("set_no", "i"), p.column("concept_id", "v")]
    same = p.equal(p.column("concept_id", "v"), p.column("concept_id", "i"))
    parts = list[exp.Query]()
    listed = items.having(excluded=excluded, **flags)
    if listed is not None:
        parts.append(p.select(what, listed, joins=[(p.table("concept", "v"), same)]))
    above = items.having(excluded=excluded, descendants=True, **flags)
    if above is not None:
        below = p.equal(p.column("ancestor_concept_id", "l"), p.column("concept_id", "i"))
        is_it = p.equal(p.column("concept_id", "v"), p.column("descendant_concept_id", "l"))
        parts.append(
            p.select(
                [each.copy() for each in what],
                above,
                joins=[(p.table("concept_ancestor", "l"), below), (p.table("concept", "v"), is_it)],
                where=[exp.Is(this=p.column("invalid_reason", "v"), expression=exp.Null())],
            )
        )
    return parts


def _mapping_to(standard: exp.Query) -> exp.Query:
    """Columns set_no, concept_id: source concepts that map to what a query gives."""
    return p.select(
        [p.column("set_no", "t"), p.named(p.column("concept_id_1", "r"), "concept_id")],
        p.nested(standard, "t"),
        joins=[
            (
                p.table("concept_relationship", "r"),
                p.equal(p.column("concept_id_2", "r"), p.column("concept_id", "t")),
            )
        ],
        where=[
            p.equal(p.column("relationship_id", "r"), p.literal("Maps to")),
            exp.Is(this=p.column("invalid_reason", "r"), expression=exp.Null()),
        ],
    )
