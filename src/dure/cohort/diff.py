"""What two definitions mean differently, sentence by sentence.

Responsible for: pairing the parts of two normal forms and telling what changed in each pair. Not responsible for: whether they
select the same people in a database; equal digests promise it, different ones don't exclude it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dure.cohort import notation
from dure.cohort.canonical import digest
from dure.cohort.circe.nodes import CohortExpression, Correlated, Criterion, Group, InclusionRule
from dure.cohort.normal import normalised, renumbered
from dure.cohort.sentence import Sentence, sentence
from dure.omop.concept_sets import ConceptSet, ConceptSetItem

SAME = "Same cohort: the two definitions mean the same."
ORDER = "The rules are counted in another order; the people are the same."
GAINED = "Concept set {set} gained {items}."
LOST = "Concept set {set} lost {items}."
NEW_SET = "Concept set {set} is new: {items}."
CHANGED = "{what} was {before}, is {after}."
ASKED = "{what} {after} is asked now."
DROPPED = "{what} {before} isn't asked any more."
ADDED = "Added: {part}."
REMOVED = "Removed: {part}."
TIES = "The entry events stand in another order, which breaks ties."
ENTRY, ADDITIONAL, RULE, EXIT = "entry", "additional criteria", "rule {rule}", "exit"
MESSAGES = (SAME, ORDER, GAINED, LOST, NEW_SET, CHANGED, ASKED, DROPPED, ADDED, REMOVED, TIES, ENTRY, ADDITIONAL, RULE, EXIT)  # fmt: skip

Part = TypeVar("Part")
Place = tuple[Sentence, ...]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference, and the part of the definition that it stands in (from the outside in)."""

    place: Place
    what: Sentence

    def said(self, words: "Callable[..., str] | None" = None) -> str:
        return ": ".join(
            part
            for part in (" › ".join(each.said(words) for each in self.place), self.what.said(words))
            if part
        )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """`same` where the plans are equal; then there are no changes."""

    same: bool
    changes: tuple[Change, ...]


def diff(before: CohortExpression, after: CohortExpression) -> Difference:
    """What changed in meaning from one definition to another. Names don't count."""
    if digest(before) == digest(after):
        return Difference(same=True, changes=())
    old, new = normalised(before), normalised(after)
    pairs = _paired_sets(old.concept_sets, new.concept_sets)
    return Difference(same=False, changes=tuple(_Teller(old, new, pairs).changes()))


def _paired_sets(
    old: Sequence[ConceptSet], new: Sequence[ConceptSet]
) -> list[tuple[ConceptSet | None, ConceptSet | None]]:
    return _paired(
        old,
        new,
        lambda a, b: a.items == b.items,
        lambda a, b: bool(a.name) and a.name == b.name,
        lambda a, b: 2 * len(set(a.items) & set(b.items)) >= max(len(a.items), len(b.items), 1),
    )


def _paired(
    old: Sequence[Part], new: Sequence[Part], *alike: Callable[[Part, Part], bool]
) -> list[tuple[Part | None, Part | None]]:
    """Old parts with the new ones that they became: by the first likeness that finds one; then what came, what went."""
    left, right = dict(enumerate(old)), dict(enumerate(new))
    pairs: dict[int, int] = {}
    for like in alike:
        for at, part in list(left.items()):
            found = next((other for other, candidate in right.items() if like(part, candidate)), None)
            if found is not None:
                pairs[at] = found
                del left[at], right[found]
    both: list[tuple[Part | None, Part | None]] = [
        (old[at], new[other]) for at, other in sorted(pairs.items())
    ]
    return both + [(part, None) for part in left.values()] + [(None, part) for part in right.values()]


class _Teller:
    """Two definitions whose paired concept sets have got one number."""

    def __init__(
        self,
        old: CohortExpression,
        new: CohortExpression,
        sets: list[tuple[ConceptSet | None, ConceptSet | None]],
    ) -> None:
        self.sets = sets
        self.names = {
            at: (b or a or ConceptSet(id=0, name="", items=())).name for at, (a, b) in enumerate(sets)
        }
        self.old = renumbered(old, {a.id: at for at, (a, _) in enumerate(sets) if a})
        self.new = renumbered(new, {b.id: at for at, (_, b) in enumerate(sets) if b})

    def changes(self) -> Iterator[Change]:
        old, new = self.old, self.new
        yield from self.concept_sets()
        entry = (sentence(ENTRY),)
        yield from self.criteria(entry, old.primary, new.primary)
        if old.primary != new.primary and sorted(map(repr, old.primary)) == sorted(map(repr, new.primary)):
            yield Change(place=entry, what=sentence(TIES))
        yield from self.values(
            entry,
            {"PriorDays": str(old.prior_days), "PostDays": str(old.post_days), "PrimaryCriteriaLimit": old.primary_limit},
            {"PriorDays": str(new.prior_days), "PostDays": str(new.post_days), "PrimaryCriteriaLimit": new.primary_limit},
        )  # fmt: skip
        additional = (sentence(ADDITIONAL),)
        yield from self.groups(additional, old.additional, new.additional)
        yield from self.values(
            additional, {"QualifiedLimit": old.qualified_limit}, {"QualifiedLimit": new.qualified_limit}
        )
        yield from self.rules(old.inclusion_rules, new.inclusion_rules)
        yield from self.exit()

    def concept_sets(self) -> Iterator[Change]:
        for at, (a, b) in enumerate(self.sets):
            name = notation.quoted(at, self.names)
            if a is None and b is not None:
                yield Change(place=(), what=sentence(NEW_SET, set=name, items=_listed(b.items)))
            elif a is not None and b is not None:
                for message, items in (
                    (GAINED, set(b.items) - set(a.items)),
                    (LOST, set(a.items) - set(b.items)),
                ):
                    if items:
                        yield Change(place=(), what=sentence(message, set=name, items=_listed(items)))

    def values(self, place: Place, old: dict[str, str], new: dict[str, str]) -> Iterator[Change]:
        for name in [*old, *(name for name in new if name not in old)]:
            before, after = old.get(name), new.get(name)
            if before == after:
                continue
            if before is None:
                yield Change(place=place, what=sentence(ASKED, what=name, after=after))
            elif after is None:
                yield Change(place=place, what=sentence(DROPPED, what=name, before=before))
            else:
                yield Change(place=place, what=sentence(CHANGED, what=name, before=before, after=after))

    def criteria(self, place: Place, old: Sequence[Criterion], new: Sequence[Criterion]) -> Iterator[Change]:
        pairs = _paired(
            old,
            new,
            lambda a, b: a == b,
            lambda a, b: (a.type, a.codeset, a.source_codeset) == (b.type, b.codeset, b.source_codeset),
            lambda a, b: a.codeset is not None and a.codeset == b.codeset,
        )
        for a, b in pairs:
            yield from self.pair(place, a, b, notation.criterion, self.criterion)

    def pair(
        self,
        place: Place,
        a: Part | None,
        b: Part | None,
        shown: Callable[[Part, notation.Names], str],
        told: Callable[[Place, Part, Part], Iterator[Change]],
    ) -> Iterator[Change]:
        if a is None and b is not None:
            yield Change(place=place, what=sentence(ADDED, part=shown(b, self.names)))
        elif b is None and a is not None:
            yield Change(place=place, what=sentence(REMOVED, part=shown(a, self.names)))
        elif a is not None and b is not None and a != b:
            yield from told(place, a, b)

    def criterion(self, place: Place, a: Criterion, b: Criterion) -> Iterator[Change]:
        titles = notation.title(a, self.names), notation.title(b, self.names)
        place = (*place, Sentence(message="{part}", values={"part": titles[1]}))
        yield from self.values(place, {"Criteria": titles[0]}, {"Criteria": titles[1]})
        yield from self.values(place, notation.attributes(a, self.names), notation.attributes(b, self.names))
        yield from self.groups(place, a.correlated, b.correlated)

    def correlated(self, place: Place, a: Correlated, b: Correlated) -> Iterator[Change]:
        inner = (*place, Sentence(message="{part}", values={"part": notation.title(b.criterion, self.names)}))
        yield from self.values(inner, notation.relation(a), notation.relation(b))
        if a.criterion != b.criterion:
            yield from self.criterion(place, a.criterion, b.criterion)

    def groups(self, place: Place, a: Group | None, b: Group | None) -> Iterator[Change]:
        yield from self.pair(place, a, b, notation.group, self.group)

    def group(self, place: Place, a: Group, b: Group) -> Iterator[Change]:
        yield from self.values(place, {"Type": notation.kind(a)}, {"Type": notation.kind(b)})
        criteria = _paired(
            a.criteria,
            b.criteria,
            lambda x, y: x == y,
            lambda x, y: x.criterion == y.criterion and x.occurrence == y.occurrence,
            lambda x, y: x.criterion == y.criterion,
            lambda x, y: (x.criterion.type, x.criterion.codeset) == (y.criterion.type, y.criterion.codeset),
        )
        for x, y in criteria:
            yield from self.pair(place, x, y, notation.correlated, self.correlated)
        demographics = _paired(
            a.demographics,
            b.demographics,
            lambda x, y: x == y,
            lambda x, y: {each.property for each in x} == {each.property for each in y},
        )
        for p, q in demographics:
            yield from self.pair(
                place,
                p,
                q,
                notation.demographic,
                lambda where, x, y: self.values(
                    where,
                    {each.property: notation.value(each.value, self.names) for each in x},
                    {each.property: notation.value(each.value, self.names) for each in y},
                ),
            )
        for g, h in _paired(a.groups, b.groups, lambda x, y: x == y, lambda x, y: x.type is y.type):
            yield from self.groups(place, g, h)

    def rules(self, old: Sequence[InclusionRule], new: Sequence[InclusionRule]) -> Iterator[Change]:
        pairs = _paired(
            old,
            new,
            lambda a, b: a.group == b.group and a.name == b.name,
            lambda a, b: a.group == b.group,
            lambda a, b: a.name == b.name,
            lambda a, b: bool(_titles(a.group) & _titles(b.group)),
        )
        moved = [a for a, b in pairs if a is not None and b is not None]
        order = [new.index(b) for a, b in pairs if a is not None and b is not None]
        for a, b in pairs:
            rule = b or a
            place = (sentence(RULE, rule=f"“{rule.name}”" if rule else ""),)
            yield from self.groups(place, a.group if a else None, b.group if b else None)
        if len(moved) > 1 and order != sorted(order):
            yield Change(place=(), what=sentence(ORDER))

    def exit(self) -> Iterator[Change]:
        old, new, place = self.old, self.new, (sentence(EXIT),)
        yield from self.values(
            place, {"EndStrategy": notation.end(old.end, self.names)}, {"EndStrategy": notation.end(new.end, self.names)}
        )  # fmt: skip
        yield from self.criteria(place, old.censoring, new.censoring)

        def rest(each: CohortExpression) -> dict[str, str]:
            window = each.censor_window
            found = {"ExpressionLimit": str(each.expression_limit), "EraPad": str(each.era_pad)}
            return found | ({"CensorWindow": notation.period(window)} if window else {})

        yield from self.values(place, rest(old), rest(new))


def _titles(group: Group) -> set[tuple[str, int | None]]:
    return {(each.criterion.type, each.criterion.codeset) for each in group.criteria}


def _listed(items: Iterable[ConceptSetItem]) -> str:
    return ", ".join(notation.item(each) for each in sorted(items))
