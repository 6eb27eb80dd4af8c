"""A definition in plain English, and a plan as a list that a person can read.

Responsible for: words. Not responsible for: meaning; each sentence follows the typed nodes, which the plan follows too.
"""

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from dure.cohort.circe.language import CRITERIA_TYPES, Kind
from dure.cohort.circe.nodes import (
    CohortExpression,
    Comparison,
    Concepts,
    Correlated,
    Criterion,
    CustomEra,
    DateField,
    DateOffset,
    Endpoint,
    Filter,
    Flag,
    Group,
    GroupType,
    Limit,
    OccurrenceType,
    Range,
    Selection,
    Text,
    Window,
)
from dure.cohort.plan import CohortPlan
from dure.cohort.relations import Relation, walk

_RANGES = {
    Comparison.LESS: "below {}",
    Comparison.AT_MOST: "at most {}",
    Comparison.EQUAL: "{}",
    Comparison.UNEQUAL: "not {}",
    Comparison.MORE: "above {}",
    Comparison.AT_LEAST: "at least {}",
    Comparison.BETWEEN: "from {} to {}",
    Comparison.NOT_BETWEEN: "not from {} to {}",
}
_LIMITS = {
    Limit.ALL: "all such events count",
    Limit.FIRST: "each person's first such event counts",
    Limit.LAST: "each person's last such event counts",
}


def explain(expression: CohortExpression) -> str:
    """The definition as a text of short lines."""
    return "\n".join(_Explainer(expression).lines())


def outline(plan: CohortPlan) -> str:
    """The plan's nodes, inputs first, each numbered and told by its own parts."""
    graph = [node for node, _ in walk(plan.attrition, plan.rows).values()]
    numbers = {node.digest: at for at, node in enumerate(graph, start=1)}

    def shown(value: Any) -> str:
        if isinstance(value, Relation):
            return f"#{numbers[value.digest]}"
        if isinstance(value, tuple):
            return f"[{', '.join(shown(each) for each in value)}]"
        if hasattr(value, "__dataclass_fields__"):
            return f"{type(value).__name__}({', '.join(named(value))})"
        return str(value)

    def named(value: Any) -> Iterator[str]:
        for each in fields(value):
            held = getattr(value, each.name)
            if held is not None and held is not False and held != ():
                yield f"{each.name}={shown(held)}"

    return "\n".join(
        f"#{numbers[node.digest]} {type(node).__name__}: {', '.join(named(node))}" for node in graph
    )


class _Explainer:
    def __init__(self, expression: CohortExpression) -> None:
        self.expression = expression
        self.names = {each.id: each.name or f"concept set {each.id}" for each in expression.concept_sets}

    def lines(self) -> Iterator[str]:
        expression = self.expression
        if expression.name:
            yield f"{expression.name}."
        yield "People enter the cohort with:"
        for criterion in expression.primary:
            yield from self.criterion(criterion, "  - ")
        yield (
            f"  observed for at least {_days(expression.prior_days)} before and {_days(expression.post_days)} after;"
            f" {_LIMITS[expression.primary_limit]}."
        )
        if expression.additional is not None:
            if not expression.additional.is_empty:
                yield "Of these events, those qualify for which:"
                yield from self.group(expression.additional, "  ")
            yield f"Of the qualifying events, {_LIMITS[expression.qualified_limit]}."
        for at, rule in enumerate(expression.inclusion_rules, start=1):
            yield f"Inclusion rule {at}, {rule.name}:"
            yield from self.group(rule.group, "  ")
        yield f"Of the events that satisfy every rule, {_LIMITS[expression.expression_limit]}."
        yield from self.exit()
        for warning in expression.warnings:
            yield f"Note: {warning}"

    def exit(self) -> Iterator[str]:
        expression = self.expression
        match expression.end:
            case DateOffset(field=field, days=days):
                yield f"They leave {_days(days)} after the event's {field}, or when observation ends, if that is sooner."
            case CustomEra(codeset=codeset, gap_days=gap, offset=offset):
                yield (
                    f"They leave when continuous exposure to {self.names[codeset]} ends (gaps of up to {_days(gap)} allowed,"
                    f" {_days(offset)} added to each exposure), or when observation ends, if that is sooner."
                )
            case None:
                yield "They leave when observation ends."
        for criterion in expression.censoring:
            yield from self.criterion(criterion, "They leave earlier at: ")
        yield f"Stays at most {_days(expression.era_pad)} apart are one stay."
        window = expression.censor_window
        if window is not None:
            yield f"Stays are cut to {window.start or 'the beginning'} until {window.end or 'the end'}."

    def criterion(self, criterion: Criterion, lead: str) -> Iterator[str]:
        parts = [_words(criterion.type)]
        if criterion.codeset is not None:
            parts.append(f"of {self.names[criterion.codeset]}")
        if criterion.source_codeset is not None:
            parts.append(f"with a source concept of {self.names[criterion.source_codeset]}")
        if criterion.first:
            parts.append("(each person's first)")
        attributes = [self.filter(each, criterion.type) for each in criterion.filters]
        if criterion.adjustment is not None:
            moved = criterion.adjustment
            attributes.append(
                f"dates taken from {_days(moved.start_offset)} after its {moved.start_with}"
                f" to {_days(moved.end_offset)} after its {moved.end_with}"
            )
        if criterion.period is not None:
            attributes.append(
                f"covering {criterion.period.start or 'any start'} to {criterion.period.end or 'any end'}"
            )
        yield lead + " ".join(parts) + "".join(f", {each}" for each in attributes)
        if criterion.correlated is not None:
            indent = " " * (len(lead) - len(lead.lstrip()) + 2)
            yield f"{indent}around which:"
            yield from self.group(criterion.correlated, indent + "  ")

    def filter(self, each: Filter, type_: str | None) -> str:
        name = _words(each.property.removesuffix("CS"))
        quirk = CRITERIA_TYPES[type_].attribute(each.property).quirk if type_ else ""
        match each.value:
            case Range(op=op, value=value, extent=extent):
                told = f"{name} {_RANGES[op].format(value, extent)}"
            case Concepts(ids=ids, exclude=exclude):
                listed = ", ".join(str(id_) for id_ in ids)
                told = f"{name} {'none' if exclude else 'one'} of the concepts {listed}"
            case Selection(codeset=None, exclude=exclude):
                told = f"{name} {'missing' if exclude else 'known'}"
            case Selection(codeset=codeset, exclude=exclude):
                told = f"{name} {'not ' if exclude else ''}in {self.names.get(codeset or 0)}"
            case Text(pattern=pattern, negated=negated):
                told = f"{name} {'not ' if negated else ''}like {pattern!r}"
            case Flag():
                told = name
        return f"{told} ({quirk})" if quirk else told

    def group(self, group: Group, indent: str) -> Iterator[str]:
        if group.is_empty:
            yield f"{indent}nothing is asked."
            return
        yield (
            indent
            + {
                GroupType.ALL: "all of these hold:",
                GroupType.ANY: "any of these holds:",
                GroupType.AT_LEAST: f"at least {group.count} of these hold:",
                GroupType.AT_MOST: f"at most {group.count} of these hold:",
            }[group.type]
        )
        for each in group.criteria:
            yield from self.correlated(each, indent + "  ")
        for demographic in group.demographics:
            told = [self.filter(each, None) for each in demographic] or ["anyone"]
            yield f"{indent}  - the person: {', '.join(told)}"
        for nested in group.groups:
            yield from self.group(nested, indent + "  ")

    def correlated(self, each: Correlated, indent: str) -> Iterator[str]:
        occurrence = each.occurrence
        count = {
            OccurrenceType.EXACTLY: "exactly",
            OccurrenceType.AT_MOST: "at most",
            OccurrenceType.AT_LEAST: "at least",
        }[occurrence.type]
        distinct = f" different {occurrence.distinct.lower()} of" if occurrence.distinct else ""
        windows = " and ".join(_window(window) for window in each.windows)
        extra = [", in the same visit"] if each.same_visit else []
        extra += [", even outside the observation period"] if each.ignore_observation_period else []
        lead = f"{indent}- {count} {occurrence.count}{distinct}: "
        told = list(self.criterion(each.criterion, lead))
        yield f"{told[0]}, {windows}{''.join(extra)}"
        yield from told[1:]


def _window(window: Window) -> str:
    event = "starting" if window.event is DateField.START else "ending"
    index = "" if window.index is DateField.START else " the end of"
    return f"{event} {_endpoint(window.start)} to {_endpoint(window.end)}{index} the event"


def _endpoint(endpoint: Endpoint) -> str:
    if endpoint.days is None:
        return "any time before" if endpoint.before else "any time after"
    return f"{_days(abs(endpoint.days))} {'before' if endpoint.days < 0 or endpoint.before else 'after'}"


def _days(number: int) -> str:
    return f"{number} day" if abs(number) == 1 else f"{number} days"


def _words(name: str) -> str:
    """`ValueAsNumber` as "value as number"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def language_table() -> str:
    """The supported language as Markdown, from the tables that the parser follows."""
    lines = ["| criteria type | table | property | value | note |", "|---|---|---|---|---|"]
    for each in CRITERIA_TYPES.values():
        own = [("CodesetId", each.has_codeset), (each.source, each.source), ("First", each.has_first)]
        own += [
            ("UserDefinedPeriod", each.has_period),
            ("DateAdjustment", True),
            ("CorrelatedCriteria", True),
        ]
        plain = ", ".join(f"`{name}`" for name, there in own if there)
        note = "" if each.adjusts else "`DateAdjustment` has no effect"
        note = note if each.adjusts_from else "`DateAdjustment` ignores `StartWith` and `EndWith`"
        lines.append(f"| **{each.name}** | `{each.table.name}` | {plain} | | {note} |")
        for attribute in each.attributes:
            excludes = f" (`{attribute.exclude}` turns it round)" if attribute.exclude else ""
            kind = "" if attribute.kind is Kind.WITHOUT_EFFECT else str(attribute.kind)
            lines.append(f"| | | `{attribute.property}` | {kind}{excludes} | {attribute.quirk} |")
        lines.append(f"| | | `CountColumn` | {', '.join(f'`{name}`' for name in each.counts)} | |")
    return "\n".join(lines)
