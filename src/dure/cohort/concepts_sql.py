"""The SQL of concept sets: many sets against a vocabulary in one query.

Responsible for: asking the vocabulary's tables what `omop.concept_sets.members` means, in one pass however many sets there are.
Not responsible for: keeping the answer.
"""

from collections.abc import Sequence

from sqlglot import exp

from dure.cohort import primitives as p
from dure.omop.concept_sets import ConceptSetItem

Numbered = tuple[int, ConceptSetItem]
KEY = ("set_no", "concept_id")


def concept_sets(sets: Sequence[Sequence[ConceptSetItem]]) -> exp.Query:
    """The members of each set. Columns: set_no (position in `sets`), concept_id."""
    numbered = [(at, item) for at, items in enumerate(sets) for item in items]
    if not numbered:
        never = [p.equal(p.literal(0), p.literal(1))]
        what = [p.named(p.literal(0), "set_no"), p.column("concept_id", "v")]
        return p.select(what, p.table("concept", "v"), where=never)
    included = [(at, item) for at, item in numbered if not item.excluded]
    excluded = [(at, item) for at, item in numbered if item.excluded]
    parts = [*_selected(included, excluded=0), *_selected(excluded, excluded=1)]
    kept = p.equal(exp.Max(this=p.column("excluded", "u")), p.literal(0))
    return p.select(
        p.columns(KEY, "u"), p.nested(p.union(parts), "u"), group=p.columns(KEY, "u"), having=kept
    )


def _selected(numbered: Sequence[Numbered], *, excluded: int) -> list[exp.Query]:
    """Columns set_no, concept_id, excluded: what the items stand for; nothing for no items."""
    if not numbered:
        return []
    parts = _with_descendants(numbered)
    mapped = [(at, item) for at, item in numbered if item.mapped]
    if mapped:
        parts.append(_mapping_to(p.union(_with_descendants(mapped))))
    mark = p.named(p.literal(excluded), "excluded")
    return [p.select([*p.columns(KEY, "m"), mark], p.nested(p.union(parts), "m"))]


def _with_descendants(numbered: Sequence[Numbered]) -> list[exp.Query]:
    """Columns set_no, concept_id: concepts that the vocabulary has, and valid ones below them."""

    def listed(items: Sequence[Numbered]) -> exp.Values:
        return p.values([(at, item.concept) for at, item in items], KEY, "i")

    what = [p.column("set_no", "i"), p.column("concept_id", "v")]
    same = p.equal(p.column("concept_id", "v"), p.column("concept_id", "i"))
    parts: list[exp.Query] = [p.select(what, listed(numbered), joins=[(p.table("concept", "v"), same)])]
    above = [(at, item) for at, item in numbered if item.descendants]
    if above:
        below = p.equal(p.column("ancestor_concept_id", "l"), p.column("concept_id", "i"))
        is_it = p.equal(p.column("concept_id", "v"), p.column("descendant_concept_id", "l"))
        parts.append(
            p.select(
                [each.copy() for each in what],
                listed(above),
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
