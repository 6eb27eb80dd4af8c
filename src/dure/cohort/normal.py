"""Definitions that say the same in other words, as one: the normal form that a plan is made of.

Responsible for: rewriting typed nodes without changing who is in the cohort, who counts for which rule, or any name. Not
responsible for: reading or writing files, nor for laws that need a vocabulary or data.

What is the same: concept sets by content, their numbers and order, unused ones; limits and pads after a person can have one event
only; the order of a group's parts and of censoring events (not of entry events, which break ties, nor of rules, which attrition
counts in order); groups inside groups; what always holds inside a group; the sign of a window's zero.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from operator import is_
from typing import Any, TypeVar

from dure.cohort.circe.nodes import (
    CohortExpression,
    Correlated,
    Criterion,
    DateField,
    Endpoint,
    Group,
    GroupType,
    Limit,
    Occurrence,
    OccurrenceType,
    Window,
)
from dure.omop.concept_sets import ConceptSet, ConceptSetItem

HOLDS = Group(type=GroupType.ALL, count=0, criteria=(), demographics=(), groups=())
OBSERVED = Group(
    type=GroupType.ALL,
    count=0,
    criteria=(
        Correlated(
            criterion=Criterion(
                type="Death",
                codeset=None,
                source_codeset=None,
                first=False,
                filters=(),
                adjustment=None,
                period=None,
                correlated=None,
            ),
            windows=(
                Window(
                    start=Endpoint(days=None, before=True),
                    end=Endpoint(days=None, before=False),
                    index=DateField.START,
                    event=DateField.START,
                ),
            ),
            occurrence=Occurrence(type=OccurrenceType.AT_LEAST, count=0, distinct=None),
            same_visit=False,
            ignore_observation_period=False,
        ),
    ),
    demographics=(),
    groups=(),
)
"""What nested criteria that always hold still ask: that the event lies in an observation period."""
CODESETS = ("codeset", "source_codeset")
"""The fields of nodes that hold a concept set's number."""

Node = TypeVar("Node")


def normalised(expression: CohortExpression) -> CohortExpression:
    """The normal form; that of a normal form is itself."""
    numbered = _with_sets_by_content(expression)
    rewritten: CohortExpression = _rebuilt(numbered, _simpler)
    censoring = tuple(_sorted(rewritten.censoring, once=True))
    return _with_sets_by_content(_with_limits(replace(rewritten, censoring=censoring)))


def minimal(items: Iterable[ConceptSetItem]) -> tuple[ConceptSetItem, ...]:
    """The items of a set without those that another of them takes in; none where none is included."""
    kept = list(dict.fromkeys(items))
    if all(item.excluded for item in kept):
        return ()
    if len({(item.concept, item.excluded) for item in kept}) == len(kept):
        return tuple(kept)
    return tuple(item for item in kept if not any(_takes_in(other, item) for other in kept if other != item))


def _takes_in(whole: ConceptSetItem, part: ConceptSetItem) -> bool:
    same = (whole.concept, whole.excluded) == (part.concept, part.excluded)
    return same and whole.descendants >= part.descendants and whole.mapped >= part.mapped


def key(value: Any) -> tuple[Any, ...]:
    """An order over nodes: by content, numbers as numbers, whatever the types."""
    match value:
        case None:
            return (0,)
        case int() | Decimal():
            return (1, value)
        case date():
            return (2, value.toordinal())
        case str():
            return (3, str(value))
        case tuple():
            return (4, tuple(key(each) for each in value))
        case _:
            return (
                5,
                type(value).__name__,
                tuple(key(getattr(value, name)) for name in _names(value.__class__)),
            )


def used(value: Any) -> Iterator[int]:
    """The numbers of the concept sets that nodes refer to, in order."""
    if isinstance(value, tuple):
        for each in value:
            yield from used(each)
    else:
        for name in _names(value.__class__):
            held = getattr(value, name)
            if name in CODESETS:
                yield from () if held is None else (held,)
            else:
                yield from used(held)


def renumbered(value: Node, numbers: dict[int, int]) -> Node:
    """The nodes with other numbers of concept sets."""
    if isinstance(value, tuple):
        parts = tuple(renumbered(each, numbers) for each in value)
        return value if all(map(is_, parts, value)) else parts  # type: ignore[return-value]
    changes: dict[str, Any] = {}
    for name in _names(type(value)):  # type: ignore[arg-type]
        held = getattr(value, name)
        new = (None if held is None else numbers[held]) if name in CODESETS else renumbered(held, numbers)
        if new is not held:
            changes[name] = new
    return replace(value, **changes) if changes else value  # type: ignore[type-var]


@cache
def _names(kind: Hashable) -> tuple[str, ...]:
    """The fields of a kind of node that count when nodes are compared; a concept set and what is no node have none."""
    if not is_dataclass(kind) or kind is ConceptSet:
        return ()
    return tuple(each.name for each in fields(kind) if each.compare)


def _with_sets_by_content(expression: CohortExpression) -> CohortExpression:
    items = {each.id: minimal(each.items) for each in expression.concept_sets}
    names = {each.id: each.name for each in expression.concept_sets}
    wanted = sorted(set(used(expression)), key=lambda number: (items[number], number))
    first: dict[Hashable, int] = {}
    numbers: dict[int, int] = {}
    for old in wanted:
        numbers[old] = first.setdefault(items[old], len(first))
    sets: dict[int, ConceptSet] = {}
    for old in wanted:
        new = numbers[old]
        sets.setdefault(new, ConceptSet(id=new, name=names[old], items=items[old]))
    return replace(renumbered(expression, numbers), concept_sets=tuple(sets.values()))


def _with_limits(expression: CohortExpression) -> CohortExpression:
    """Limits that can still choose; whether a person can have more than one event decides the later ones."""
    several = expression.primary_limit is Limit.ALL
    additional, qualified = expression.additional, expression.qualified_limit
    if additional is None or not several:
        qualified = Limit.ALL
    if additional is not None and additional.is_empty and qualified is Limit.ALL:
        additional = None
    several = several and qualified is Limit.ALL
    last = expression.expression_limit if several else Limit.ALL
    return replace(
        expression,
        additional=additional,
        qualified_limit=qualified,
        expression_limit=last,
        era_pad=expression.era_pad if several and last is Limit.ALL else 0,
    )


def _rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:
    """Nodes rewritten from the leaves up."""
    if isinstance(value, tuple):
        parts = tuple(_rebuilt(each, change) for each in value)
        return value if all(map(is_, parts, value)) else parts
    names = _names(value.__class__)
    if not names:
        return value
    changes = {}
    for name in names:
        held = getattr(value, name)
        new = _rebuilt(held, change)
        if new is not held:
            changes[name] = new
    return change(replace(value, **changes) if changes else value)


def _simpler(node: Any) -> Any:
    match node:
        case Endpoint(days=days) if days is not None and node.before is not (days < 0):
            return replace(node, before=days < 0)
        case Occurrence(type=OccurrenceType.AT_MOST, count=0):
            return replace(node, type=OccurrenceType.EXACTLY)
        case Criterion(correlated=group) if group is not None and group.is_empty:
            return replace(node, correlated=OBSERVED)
        case Group():
            return _simpler_group(node)
        case CohortExpression():
            return replace(node, prior_days=max(node.prior_days, 0), post_days=max(node.post_days, 0))
        case _:
            return node


def _always(each: Correlated) -> bool:
    return each.occurrence.type is OccurrenceType.AT_LEAST and each.occurrence.count == 0


def _simpler_group(group: Group) -> Group:
    """A group whose inner groups are simple already."""
    parts = len(group.criteria) + len(group.demographics) + len(group.groups)
    kind = group.type
    if (kind is GroupType.AT_LEAST and group.count <= 0) or (
        kind is GroupType.AT_MOST and group.count >= parts
    ):
        return HOLDS
    if kind is GroupType.AT_LEAST and group.count in {1, parts}:
        kind = GroupType.ALL if group.count == parts else GroupType.ANY
    if kind in {GroupType.AT_LEAST, GroupType.AT_MOST}:
        return _in_order(group, once=False)
    free = any(_always(each) for each in group.criteria) or any(each.is_empty for each in group.groups)
    if kind is GroupType.ANY and free:
        return HOLDS
    found = replace(
        group,
        type=kind,
        count=0,
        criteria=tuple(each for each in group.criteria if not _always(each)),
        groups=tuple(each for each in group.groups if not each.is_empty),
    )
    for inner in found.groups:
        if inner.type is kind or (inner.type is GroupType.ALL and _parts(inner) == 1):
            found = replace(
                found,
                criteria=found.criteria + inner.criteria,
                demographics=found.demographics + inner.demographics,
                groups=tuple(each for each in found.groups if each is not inner) + inner.groups,
            )
    found = _in_order(found, once=True)
    if _parts(found) == 1:
        return found.groups[0] if found.groups else replace(found, type=GroupType.ALL)
    return found if _parts(found) else HOLDS


def _parts(group: Group) -> int:
    return len(group.criteria) + len(group.demographics) + len(group.groups)


def _in_order(group: Group, *, once: bool) -> Group:
    return replace(
        group,
        criteria=tuple(_sorted(group.criteria, once=once)),
        demographics=tuple(_sorted(group.demographics, once=once)),
        groups=tuple(_sorted(group.groups, once=once)),
    )


def _sorted(parts: Iterable[Node], *, once: bool) -> list[Node]:
    return sorted(dict.fromkeys(parts) if once else parts, key=key)
