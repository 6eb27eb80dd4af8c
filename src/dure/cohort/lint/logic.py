"""Checks of groups and rules: what always holds, what never does, what is said twice."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import combinations

from dure.cohort import notation
from dure.cohort.circe.nodes import (
    Comparison,
    Concepts,
    Correlated,
    Endpoint,
    Filter,
    Group,
    GroupType,
    Occurrence,
    OccurrenceType,
    Range,
    Window,
)
from dure.cohort.lint.finding import Check, Finding, Severity
from dure.cohort.lint.subject import Place, Subject

NEVER = Check(
    id="group-cannot-hold",
    severity=Severity.CRITICAL,
    says="At least {count} of {parts} parts can't hold.",
    mend="Lower Count, or add criteria.",
)
ALWAYS = Check(
    id="group-always-holds",
    severity=Severity.WARNING,
    says="{kind} of {parts} parts always holds.",
    mend="Check Type and Count.",
)
EMPTY_RULE = Check(
    id="empty-rule",
    severity=Severity.WARNING,
    atlas="IncompleteRuleCheck",
    says="The rule {rule} asks nothing, so everybody satisfies it.",
    mend="Give it a criterion, or take it out.",
)
CONTRADICTION = Check(
    id="contradiction",
    severity=Severity.CRITICAL,
    atlas="CriteriaContradictionsCheck",
    says="{one} and {other} are both asked of the entry event, and can't both hold.",
    mend="Take one of them out, or join them with ANY.",
)
PERSON = Check(
    id="demographics-contradict",
    severity=Severity.CRITICAL,
    says="{property} {one} and {property} {other} are both asked of the entry event, and can't both hold.",
    mend="Take one of them out, or join them with ANY.",
)
TWICE = Check(
    id="duplicate-criterion",
    severity=Severity.WARNING,
    atlas="DuplicatesCriteriaCheck",
    says="{criterion} is there twice in one list.",
    mend="Take one out.",
)
SAME_RULE = Check(
    id="duplicate-rule",
    severity=Severity.WARNING,
    says="The rules {rule} and {other} ask the same.",
    mend="Take one out.",
)
EMPTY_PERSON = Check(
    id="empty-demographic",
    severity=Severity.WARNING,
    atlas="AttributeCheck",
    says="A demographic criterion asks nothing.",
    mend="Give an age, a gender, a race, an ethnicity or a date, or take it out.",
)
MANY = Check(
    id="rules-beyond-53",
    severity=Severity.WARNING,
    says="There are {rules} inclusion rules; beyond 53 the reference's masks are inexact on some databases (Dure's are exact to 62).",
    mend="Put several criteria into one rule.",
)
CHECKS = (NEVER, ALWAYS, EMPTY_RULE, CONTRADICTION, PERSON, TWICE, SAME_RULE, EMPTY_PERSON, MANY)
EXACT_RULES = 53


def find(subject: Subject) -> Iterator[Finding]:
    for place, group in subject.groups:
        yield from _group(subject, place, group)
    entry = subject.expression.primary
    for at in _repeats(entry):
        here = ("PrimaryCriteria", "CriteriaList", at)
        yield subject.found(TWICE, here, criterion=subject.title(entry[at]))
    rules = subject.expression.inclusion_rules
    for at, rule in enumerate(rules):
        same = next((each for each in rules[:at] if each.group == rule.group), None)
        if rule.group.is_empty:
            yield subject.found(EMPTY_RULE, ("InclusionRules", at), rule=f"“{rule.name}”")
        elif same is not None:
            names = {"rule": f"“{same.name}”", "other": f"“{rule.name}”"}
            yield subject.found(SAME_RULE, ("InclusionRules", at), **names)
    if len(rules) > EXACT_RULES:
        yield subject.found(MANY, ("InclusionRules",), rules=len(rules))
    yield from _contradictions(subject)


def _group(subject: Subject, place: Place, group: Group) -> Iterator[Finding]:
    parts = len(group.criteria) + len(group.demographics) + len(group.groups)
    if group.type is GroupType.AT_LEAST and group.count > parts:
        yield subject.found(NEVER, place, count=group.count, parts=parts)
    free = group.type is GroupType.AT_LEAST and group.count == 0
    if parts and (free or (group.type is GroupType.AT_MOST and group.count >= parts)):
        yield subject.found(ALWAYS, place, kind=notation.kind(group), parts=parts)
    for at in _repeats(group.criteria):
        here = (*place, "CriteriaList", at)
        yield subject.found(TWICE, here, criterion=subject.title(group.criteria[at].criterion))
    for at, filters in enumerate(group.demographics):
        if not filters:
            yield subject.found(EMPTY_PERSON, (*place, "DemographicCriteriaList", at))


def _repeats(parts: Sequence[object]) -> list[int]:
    return [at for at, each in enumerate(parts) if each in parts[:at]]


def _contradictions(subject: Subject) -> Iterator[Finding]:
    criteria: list[tuple[Place, Correlated]] = []
    people: list[tuple[Place, Filter]] = []
    for place, group in subject.top_groups:
        _needed(place, group, criteria, people)
    for (_, one), (place, other) in combinations(criteria, 2):
        if _clash(one, other) or _clash(other, one):
            told = {
                "one": notation.correlated(one, subject.names),
                "other": notation.correlated(other, subject.names),
            }
            yield subject.found(CONTRADICTION, place, **told)
    for (_, a), (place, b) in combinations(people, 2):
        if a.property == b.property and _exclude(a, b):
            values = {
                "one": notation.value(a.value, subject.names),
                "other": notation.value(b.value, subject.names),
            }
            yield subject.found(PERSON, place, property=a.property, **values)


def _needed(
    place: Place, group: Group, criteria: list[tuple[Place, Correlated]], people: list[tuple[Place, Filter]]
) -> None:
    """What must hold for the entry event: the parts of groups that ask for all, down through such groups."""
    parts = len(group.criteria) + len(group.demographics) + len(group.groups)
    if group.type is not GroupType.ALL and not (group.type is GroupType.ANY and parts == 1):
        return
    criteria += [((*place, "CriteriaList", at), each) for at, each in enumerate(group.criteria)]
    for at, filters in enumerate(group.demographics):
        people += [((*place, "DemographicCriteriaList", at, each.property), each) for each in filters]
    for at, inner in enumerate(group.groups):
        _needed((*place, "Groups", at), inner, criteria, people)


def _clash(one: Correlated, other: Correlated) -> bool:
    """Whether one asks for more events than the other allows in at least the same windows."""
    alike = (
        one.criterion == other.criterion
        and one.occurrence.distinct == other.occurrence.distinct
        and one.ignore_observation_period == other.ignore_observation_period
        and (one.same_visit or not other.same_visit)
        and len(one.windows) >= len(other.windows)
        and all(_within(a, b) for a, b in zip(one.windows, other.windows, strict=False))
    )
    return alike and _least(one.occurrence) > _most(other.occurrence)


def _least(occurrence: Occurrence) -> int:
    return 0 if occurrence.type is OccurrenceType.AT_MOST else occurrence.count


def _most(occurrence: Occurrence) -> float:
    return float("inf") if occurrence.type is OccurrenceType.AT_LEAST else occurrence.count


def _within(inner: Window, outer: Window) -> bool:
    if (inner.index, inner.event) != (outer.index, outer.event):
        return False
    starts, ends = (inner.start, outer.start), (inner.end, outer.end)
    return _reach(*starts, lambda a, b: a >= b, before=True) and _reach(
        *ends, lambda a, b: a <= b, before=False
    )


def _reach(inner: Endpoint, outer: Endpoint, fits: Callable[[int, int], bool], *, before: bool) -> bool:
    if outer.days is None:
        return outer.before is before or inner == outer
    return inner.days is not None and fits(inner.days, outer.days)


def _exclude(a: Filter, b: Filter) -> bool:
    """Whether no value passes both."""
    if isinstance(a.value, Concepts) and isinstance(b.value, Concepts):
        return not (a.value.exclude or b.value.exclude) and not set(a.value.ids) & set(b.value.ids)
    if isinstance(a.value, Range) and isinstance(b.value, Range):
        return any(_above(x, y) for x, y in ((a.value, b.value), (b.value, a.value)))
    return False


def _above(upper: Range, lower: Range) -> bool:
    """Whether everything in one range lies above everything in the other."""
    floors: dict[Comparison, bool] = {Comparison.MORE: True, Comparison.AT_LEAST: False, Comparison.EQUAL: False, Comparison.BETWEEN: False}  # fmt: skip
    ceilings: dict[Comparison, bool] = {Comparison.LESS: True, Comparison.AT_MOST: False, Comparison.EQUAL: False, Comparison.BETWEEN: False}  # fmt: skip
    if upper.op not in floors or lower.op not in ceilings:
        return False
    floor = _number(upper.value)
    ceiling = _number(lower.value if lower.extent is None else lower.extent)
    return floor > ceiling or (floor == ceiling and (floors[upper.op] or ceilings[lower.op]))


def _number(value: int | Decimal | date) -> Decimal:
    return Decimal(value.toordinal() if isinstance(value, date) else value)
