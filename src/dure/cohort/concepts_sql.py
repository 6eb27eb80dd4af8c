"""The SQL of concept sets: many sets against a vocabulary in one query.

Responsible for: asking the vocabulary's tables what `omop.concept_sets.members` means, in one pass however many sets there are.
Not responsible for: keeping the answer.
"""

from collections.abc import Sequence

from sqlglot import exp

from dure.cohort import primitives as p
from dure.omop.concept_sets import ConceptSetItem

ITEM = ("set_no", "concept_id", "descendants", "mapped", "excluded")


def concept_sets(sets: Sequence[Sequence[ConceptSetItem]]) -> exp.Query:
    """The members of each set. Columns: set_no (position in `sets`), concept_id."""
    rows = [
        (at, item.concept, int(item.descendants), int(item.mapped), int(item.excluded))
        for at, items in enumerate(sets)
        for item in items
    ]
    if not rows:
        never = [p.equal(p.literal(0), p.literal(1))]
        what = [p.named(p.literal(0), "set_no"), p.column("concept_id", "v")]
        return p.select(what, p.table("concept", "v"), where=never)
    parts = _listed(rows)
    if any(row[3] for row in rows):
        parts.append(_mapped([row for row in rows if row[3]]))
    key = ("set_no", "concept_id")
    kept = p.equal(exp.Max(this=p.column("excluded", "u")), p.literal(0))
    return p.select(
        p.columns(key, "u"), p.nested(p.union(parts), "u"), group=p.columns(key, "u"), having=kept
    )


def _listed(rows: Sequence[Sequence[int]]) -> list[exp.Query]:
    """Columns set_no, excluded, concept_id: concepts that the vocabulary has, and valid ones below them."""
    named = p.equal(p.column("concept_id", "v"), p.column("concept_id", "i"))
    what = ("set_no", "excluded")
    parts: list[exp.Query] = [
        p.select(
            [*p.columns(what, "i"), p.column("concept_id", "v")],
            p.values(rows, ITEM, "i"),
            joins=[(p.table("concept", "v"), named)],
        )
    ]
    above = [row for row in rows if row[2]]
    if above:
        below = p.equal(p.column("ancestor_concept_id", "l"), p.column("concept_id", "i"))
        is_it = p.equal(p.column("concept_id", "v"), p.column("descendant_concept_id", "l"))
        parts.append(
            p.select(
                [*p.columns(what, "i"), p.column("concept_id", "v")],
                p.values(above, ITEM, "i"),
                joins=[(p.table("concept_ancestor", "l"), below), (p.table("concept", "v"), is_it)],
                where=[exp.Is(this=p.column("invalid_reason", "v"), expression=exp.Null())],
            )
        )
    return parts


def _mapped(rows: Sequence[Sequence[int]]) -> exp.Query:
    """Columns set_no, excluded, concept_id: source concepts that map to what the rows list."""
    on = p.equal(p.column("concept_id_2", "r"), p.column("concept_id", "t"))
    return p.select(
        [*p.columns(("set_no", "excluded"), "t"), p.named(p.column("concept_id_1", "r"), "concept_id")],
        p.nested(p.union(_listed(rows)), "t"),
        joins=[(p.table("concept_relationship", "r"), on)],
        where=[
            p.equal(p.column("relationship_id", "r"), p.literal("Maps to")),
            exp.Is(this=p.column("invalid_reason", "r"), expression=exp.Null()),
        ],
    )
