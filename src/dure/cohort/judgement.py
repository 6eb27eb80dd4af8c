"""What a predicate means for one row, without SQL: the other half of the referee.

Responsible for: the value of an operand, three-valued comparison, LIKE, and looking rows up. Not responsible for: how events
relate to one another (`evaluate`).
"""

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from dure.cohort.predicates import (
    Abnormal,
    Between,
    Compare,
    InConceptSet,
    InRegion,
    Known,
    Like,
    Of,
    OneOf,
    Operand,
    Predicate,
)
from dure.omop.concept_sets import ConceptSetItem, Vocabulary, members

MOST_DAYS = 1_000_000
STILL = date(2099, 12, 31)
_OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "<>": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
}
HIGH_OR_LOW = {4155142, 4155143}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One event's row; days are ordinals of the calendar."""

    values: Mapping[str, Any]
    start: int
    end: int | None
    visit: int | None = None


class Facts:
    """The tables, and the few ways of looking something up in them."""

    def __init__(self, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self.tables = tables
        self._members: dict[tuple[ConceptSetItem, ...], frozenset[int]] = {}

    def rows(self, table: str) -> Sequence[Mapping[str, Any]]:
        return self.tables[table]

    def members(self, items: Iterable[ConceptSetItem]) -> frozenset[int]:
        key = tuple(items)
        if key not in self._members:
            self._members[key] = members(key, self.vocabulary)
        return self._members[key]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        concepts = self.tables["concept"]
        return Vocabulary(
            concepts=frozenset(row["concept_id"] for row in concepts),
            valid=frozenset(row["concept_id"] for row in concepts if row["invalid_reason"] is None),
            descendants=frozenset(
                (row["ancestor_concept_id"], row["descendant_concept_id"])
                for row in self.tables["concept_ancestor"]
            ),
            mappings=frozenset(
                (row["concept_id_1"], row["concept_id_2"])
                for row in self.tables.get("concept_relationship", ())
                if row["relationship_id"] == "Maps to" and row["invalid_reason"] is None
            ),
        )

    @cached_property
    def _periods(self) -> dict[int, list[tuple[int, int]]]:
        found: dict[int, list[tuple[int, int]]] = {}
        for row in self.tables["observation_period"]:
            bounds = (
                row["observation_period_start_date"].toordinal(),
                row["observation_period_end_date"].toordinal(),
            )
            found.setdefault(row["person_id"], []).append(bounds)
        return found

    def periods(self, person: int) -> list[tuple[int, int]]:
        return self._periods.get(person, [])

    @cached_property
    def _indexes(self) -> dict[tuple[str, str], dict[Any, Mapping[str, Any]]]:
        return {}

    def find(self, table: str, key: str, value: Any) -> Mapping[str, Any] | None:
        if (table, key) not in self._indexes:
            self._indexes[table, key] = {row[key]: row for row in self.tables.get(table, ())}
        return None if value is None else self._indexes[table, key].get(value)

    def person(self, id_: int) -> Mapping[str, Any] | None:
        return self.find("person", "person_id", id_)

    def residences(self) -> list[dict[str, Any]]:
        """Where people lived."""
        return [
            {
                "person_id": row["entity_id"],
                "location_history_id": row["location_history_id"],
                "start_date": row["start_date"],
                "end_date": row["end_date"] or STILL,
                "region_concept_id": location["region_concept_id"],
            }
            for row, location in self._located("PERSON")
        ]

    def is_in_region(self, row: Row, regions: frozenset[int]) -> bool:
        """Whether the care site of an event lay in one of the regions from its start to its end."""
        if row.end is None:
            return False
        return any(
            stay["entity_id"] == row.values["care_site_id"]
            and stay["start_date"].toordinal() <= row.start
            and row.end <= (stay["end_date"] or STILL).toordinal()
            and location["region_concept_id"] in regions
            for stay, location in self._located("CARE_SITE")
        )

    def _located(self, domain: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        for row in self.tables["location_history"]:
            location = self.find("location", "location_id", row["location_id"])
            if row["domain_id"] == domain and location is not None:
                yield row, location

    def linked(self, of: Of, row: Row) -> Mapping[str, Any] | None:
        """The person, visit, provider or care site of an event."""
        values = row.values
        match of:
            case Of.VISIT:
                visit = self.find("visit_occurrence", "visit_occurrence_id", values["visit_occurrence_id"])
                return visit if visit and visit["person_id"] == values["person_id"] else None
            case Of.PROVIDER:
                return self.find("provider", "provider_id", values["provider_id"])
            case Of.CARE_SITE:
                return self.find("care_site", "care_site_id", values["care_site_id"])
            case _:
                return self.person(values["person_id"])


def number_of_days(value: int | None) -> int | None:
    """What a column says of days; missing where it is implausible."""
    return value if value is not None and abs(value) <= MOST_DAYS else None


def value_of(operand: Operand, row: Row, facts: Facts) -> Any:
    """An operand's value for a row; None where it is missing."""
    name = str(operand.column)
    match operand.of:
        case Of.START:
            return row.start
        case Of.END:
            return row.end
        case Of.LENGTH:
            return None if row.end is None else row.end - row.start
        case Of.AGE_AT_START | Of.AGE_AT_END:
            day = row.start if operand.of is Of.AGE_AT_START else row.end
            person = facts.linked(Of.PERSON, row)
            if day is None or person is None or person["year_of_birth"] is None:
                return None
            return date.fromordinal(day).year - person["year_of_birth"]
        case Of.ONE_DAY:
            return 1
        case Of.COLUMN:
            return row.values[name]
        case Of.CONCEPT:
            return 0 if row.values[name] is None else row.values[name]
        case Of.VISIT_ID:
            return row.visit
        case Of.RATIO:
            above, below = row.values[name], row.values[str(operand.over)]
            return None if above is None or not below else float(above) / float(below)
        case _:
            linked = facts.linked(operand.of, row)
            return None if linked is None else linked[name]


def holds(predicate: Predicate, row: Row, facts: Facts) -> bool:
    """Whether a predicate holds: unknown is no."""
    if isinstance(predicate, Abnormal):
        return _is_abnormal(row.values)
    if isinstance(predicate, InRegion):
        return facts.is_in_region(row, facts.members(predicate.items))
    of = predicate.operand.of
    must_exist = of in {Of.PERSON, Of.AGE_AT_START, Of.AGE_AT_END, Of.VISIT, Of.CARE_SITE}
    if must_exist and facts.linked(of, row) is None:
        return False
    value = value_of(predicate.operand, row, facts)
    match predicate:
        case Known(negated=negated):
            return (value is None) is negated
        case InConceptSet(items=items, negated=negated):
            concepts = facts.members(items)
            return (
                (value not in concepts if value is not None or not concepts else False)
                if negated
                else value in concepts
            )
        case _ if value is None:
            return False
        case Compare(op=op, value=other):
            return _compares(value, op, other)
        case Between(low=low, high=high, negated=negated):
            return (_compares(value, ">=", low) and _compares(value, "<=", high)) is not negated
        case OneOf(ids=ids, negated=negated):
            return (value in ids) is not negated
        case Like(pattern=pattern, negated=negated):
            return _like(value, pattern) is not negated


def _compares(value: Any, op: str, other: int | Decimal | date) -> bool:
    if isinstance(other, date):
        right: Any = other.toordinal()
    elif isinstance(value, float):
        right = float(other)
    else:
        right = other
    return bool(_OPERATORS[op](value, right))


def _like(text: str, pattern: str) -> bool:
    parts = {"%": ".*", "_": "."}
    expression = "".join(parts.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _is_abnormal(values: Mapping[str, Any]) -> bool:
    number, low, high = values["value_as_number"], values["range_low"], values["range_high"]
    if number is not None and low is not None and number < low:
        return True
    if number is not None and high is not None and number > high:
        return True
    return values["value_as_concept_id"] in HIGH_OR_LOW
