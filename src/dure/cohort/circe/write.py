"""Typed nodes to Circe JSON: the way back from `parse`, in one fixed order.

Responsible for: a document that `parse` reads as the same nodes and that ATLAS can import. Not responsible for: choosing among
definitions that mean the same (`cohort.normal`).
"""

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from dure.cohort.circe.language import CRITERIA_TYPES, DEMOGRAPHICS, Attribute, Kind
from dure.cohort.circe.nodes import (
    CohortExpression,
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
    Period,
    Range,
    Selection,
    Text,
    Value,
    Window,
)
from dure.omop.concept_sets import ConceptSet

Document = dict[str, Any]

_OCCURRENCES = {OccurrenceType.EXACTLY: 0, OccurrenceType.AT_MOST: 1, OccurrenceType.AT_LEAST: 2}
_LIMITS = {Limit.ALL: "All", Limit.FIRST: "First", Limit.LAST: "Last"}
_DATES = {DateField.START: "START_DATE", DateField.END: "END_DATE"}
_FIELDS = {DateField.START: "StartDate", DateField.END: "EndDate"}
_DEMOGRAPHICS = {each.property: each for each in DEMOGRAPHICS}


def document(expression: CohortExpression) -> Document:
    """The Circe expression. Numbers with decimals are `Decimal`; `text` writes them exactly."""
    found: Document = {"Title": expression.name} if expression.name else {}
    found |= {
        "ConceptSets": [_concept_set(each) for each in expression.concept_sets],
        "PrimaryCriteria": {
            "CriteriaList": [criterion(each) for each in expression.primary],
            "ObservationWindow": {"PriorDays": expression.prior_days, "PostDays": expression.post_days},
            "PrimaryCriteriaLimit": _limit(expression.primary_limit),
        },
    }
    if expression.additional is not None:
        found["AdditionalCriteria"] = _group(expression.additional)
    found |= {
        "QualifiedLimit": _limit(expression.qualified_limit),
        "ExpressionLimit": _limit(expression.expression_limit),
        "InclusionRules": [
            {
                "name": rule.name,
                **({"description": rule.description} if rule.description else {}),
                "expression": _group(rule.group),
            }
            for rule in expression.inclusion_rules
        ],
    }
    if expression.end is not None:
        found["EndStrategy"] = _end(expression.end)
    return found | {
        "CensoringCriteria": [criterion(each) for each in expression.censoring],
        "CollapseSettings": {"CollapseType": "ERA", "EraPad": expression.era_pad},
        "CensorWindow": _period(expression.censor_window) if expression.censor_window else {},
    }


def text(value: Any) -> str:
    """JSON, two spaces an indent, decimals written exactly."""
    return "".join(_written(value, "\n")) + "\n"


def _written(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Decimal):
        yield format(value.normalize(), "f")
    elif isinstance(value, (dict, list)) and value:
        ends = "{}" if isinstance(value, dict) else "[]"
        parts = (
            [(f"{json.dumps(key, ensure_ascii=False)}: ", item) for key, item in value.items()]
            if isinstance(value, dict)
            else [("", item) for item in value]
        )
        yield ends[0]
        for at, (lead, item) in enumerate(parts):
            yield f"{',' if at else ''}{indent}  {lead}"
            yield from _written(item, indent + "  ")
        yield indent + ends[1]
    else:
        yield json.dumps(value, ensure_ascii=False)


def _concept_set(each: ConceptSet) -> Document:
    items = [
        {
            "concept": {"CONCEPT_ID": item.concept},
            "isExcluded": item.excluded,
            "includeDescendants": item.descendants,
            "includeMapped": item.mapped,
        }
        for item in each.items
    ]
    return {"id": each.id, "name": each.name, "expression": {"items": items}}


def criterion(each: Criterion) -> Document:
    """`{"ConditionOccurrence": {...}}`."""
    kind, body = CRITERIA_TYPES[each.type], Document()
    if each.codeset is not None:
        body["CodesetId"] = each.codeset
    if each.source_codeset is not None:
        body[str(kind.source)] = each.source_codeset
    if each.first:
        body["First"] = True
    if each.parts:
        body["CriteriaList"] = [criterion(part) for part in each.parts]
        body["GapDays"] = each.gap_days
    if each.period is not None:
        body["UserDefinedPeriod"] = _period(each.period)
    if each.adjustment is not None:
        body["DateAdjustment"] = {
            "StartWith": _DATES[each.adjustment.start_with],
            "StartOffset": each.adjustment.start_offset,
            "EndWith": _DATES[each.adjustment.end_with],
            "EndOffset": each.adjustment.end_offset,
        }
    for filter_ in each.filters:
        body |= _filter(kind.attribute(filter_.property), filter_)
    if each.correlated is not None:
        body["CorrelatedCriteria"] = _group(each.correlated)
    return {each.type: body}


def _filter(attribute: Attribute, each: Filter) -> Document:
    found = {attribute.property: _value(attribute, each.value)}
    if isinstance(each.value, Concepts) and each.value.exclude:
        found[str(attribute.exclude)] = True
    return found


def _value(attribute: Attribute, value: Value) -> Any:
    match value:
        case Range(op=op, value=low, extent=high):
            ends = {"Value": _number(low)} | ({} if high is None else {"Extent": _number(high)})
            return {"Op": str(op), **ends}
        case Concepts(ids=ids):
            return [{"CONCEPT_ID": id_} for id_ in ids]
        case Selection(codeset=codeset) if attribute.kind in {Kind.CODESET, Kind.REGION}:
            return codeset
        case Selection(codeset=codeset, exclude=exclude):
            return {"CodesetId": codeset, "IsExclusion": exclude}
        case Text(pattern=pattern, negated=negated):
            word, told = _text_filter(pattern)
            return {"Text": told, "Op": ("!" if negated else "") + word}
        case Flag():
            return True


def _number(value: int | Decimal | date) -> int | Decimal | str:
    return value.isoformat() if isinstance(value, date) else value


def _text_filter(pattern: str) -> tuple[str, str]:
    """The operator and text whose pattern this is; an operator that isn't one of the three adds no wildcards."""
    before, after = pattern.startswith("%"), pattern.endswith("%")
    if before and after and len(pattern) > 1:
        return "contains", pattern[1:-1]
    if after:
        return "startsWith", pattern[:-1]
    if before:
        return "endsWith", pattern[1:]
    return "eq", pattern


def _group(group: Group) -> Document:
    found: Document = {"Type": str(group.type)}
    if group.type in {GroupType.AT_LEAST, GroupType.AT_MOST}:
        found["Count"] = group.count
    demographics = []
    for filters in group.demographics:
        body = Document()
        for each in filters:
            body |= _filter(_DEMOGRAPHICS[each.property], each)
        demographics.append(body)
    return found | {
        "CriteriaList": [_correlated(each) for each in group.criteria],
        "DemographicCriteriaList": demographics,
        "Groups": [_group(each) for each in group.groups],
    }


def _correlated(each: Correlated) -> Document:
    occurrence = each.occurrence
    start, *end = each.windows
    found: Document = {
        "Criteria": criterion(each.criterion),
        "StartWindow": _window(start, default_event=DateField.START),
    }
    if end:
        found["EndWindow"] = _window(end[0], default_event=DateField.END)
    found["Occurrence"] = {"Type": _OCCURRENCES[occurrence.type], "Count": occurrence.count}
    if occurrence.distinct:
        found["Occurrence"] |= {"IsDistinct": True, "CountColumn": occurrence.distinct}
    if each.same_visit:
        found["RestrictVisit"] = True
    if each.ignore_observation_period:
        found["IgnoreObservationPeriod"] = True
    return found


def _window(window: Window, *, default_event: DateField) -> Document:
    found: Document = {"Start": _endpoint(window.start), "End": _endpoint(window.end)}
    if window.index is DateField.END:
        found["UseIndexEnd"] = True
    if window.event is not default_event:
        found["UseEventEnd"] = window.event is DateField.END
    return found


def _endpoint(endpoint: Endpoint) -> Document:
    sign = -1 if endpoint.before else 1
    return ({} if endpoint.days is None else {"Days": sign * endpoint.days}) | {"Coeff": sign}


def _limit(limit: Limit) -> Document:
    return {"Type": _LIMITS[limit]}


def _end(end: DateOffset | CustomEra) -> Document:
    if isinstance(end, DateOffset):
        return {"DateOffset": {"DateField": _FIELDS[end.field], "Offset": end.days}}
    era = {"DrugCodesetId": end.codeset, "GapDays": end.gap_days, "Offset": end.offset}
    if end.days_supply is not None:
        era["DaysSupplyOverride"] = end.days_supply
    return {"CustomEra": era}


def _period(period: Period) -> Document:
    ends = {"StartDate": period.start, "EndDate": period.end}
    return {key: day.isoformat() for key, day in ends.items() if day is not None}
