"""Predicates: what a plan may ask of one event, as data.

Responsible for: the closed list of things that can be compared (`Operand`) and of comparisons. Not responsible for: their SQL
(`sql`) and their plain meaning (`evaluate`), which must agree. A comparison with a missing value doesn't hold.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from dure.omop.concept_sets import ConceptSetItem


class Of(StrEnum):
    """Where an operand's value comes from."""

    START = "start"
    END = "end"
    LENGTH = "days from start to end"
    AGE_AT_START = "calendar year of the start minus year of birth"
    AGE_AT_END = "calendar year of the end minus year of birth"
    ONE_DAY = "1"
    COLUMN = "a column of the event's row"
    CONCEPT = "a concept of the event's row, 0 where it has none"
    VISIT_ID = "the event's visit"
    RATIO = "one column of the event's row over another"
    PERSON = "a column of the person"
    VISIT = "a column of the event's visit"
    PROVIDER = "a column of the event's provider"
    CARE_SITE = "a column of the event's care site"


@dataclass(frozen=True, kw_only=True)
class Operand:
    """A value that an event has; `over` is the divisor of a ratio (nothing is divided by zero: the value is missing)."""

    of: Of
    column: str | None = None
    over: str | None = None


@dataclass(frozen=True, kw_only=True)
class Compare:
    """`op` is one of <, <=, =, <>, >, >=."""

    operand: Operand
    op: str
    value: int | Decimal | date


@dataclass(frozen=True, kw_only=True)
class Between:
    """Both ends belong to the range; negated, a missing value still doesn't hold."""

    operand: Operand
    low: int | Decimal | date
    high: int | Decimal | date
    negated: bool


@dataclass(frozen=True, kw_only=True)
class OneOf:
    operand: Operand
    ids: tuple[int, ...]
    negated: bool


@dataclass(frozen=True, kw_only=True)
class InConceptSet:
    """Negated against an empty set, it holds for a missing value too, as NOT IN does in SQL."""

    operand: Operand
    items: tuple[ConceptSetItem, ...]
    negated: bool


@dataclass(frozen=True, kw_only=True)
class Known:
    """Whether there is a value; negated, whether there is none."""

    operand: Operand
    negated: bool


@dataclass(frozen=True, kw_only=True)
class Like:
    """SQL's LIKE: % is any text, _ any character, no escapes."""

    operand: Operand
    pattern: str
    negated: bool


@dataclass(frozen=True, kw_only=True)
class Abnormal:
    """A measurement outside its own range, or with a value concept that says high or low."""


@dataclass(frozen=True, kw_only=True)
class InRegion:
    """The event's care site lay, from the event's start to its end, in a region of the concept set (`location_history`)."""

    items: tuple[ConceptSetItem, ...]


Predicate = Compare | Between | OneOf | InConceptSet | Known | Like | Abnormal | InRegion


REGION = ("location", "region_concept_id")
BEYOND_CDM_5 = frozenset(
    {REGION, ("drug_exposure", "effective_drug_dose"), ("drug_exposure", "dose_unit_concept_id")}
)
"""Columns of other versions that a definition may speak of; a database may have them all the same."""

_TABLES = {
    Of.AGE_AT_START: "person",
    Of.AGE_AT_END: "person",
    Of.PERSON: "person",
    Of.VISIT: "visit_occurrence",
    Of.PROVIDER: "provider",
    Of.CARE_SITE: "care_site",
}


def linked_tables(predicates: Iterable[Predicate]) -> tuple[str, ...]:
    """The tables other than the event's own that predicates look into."""
    used: set[str] = set()
    for each in predicates:
        if isinstance(each, InRegion):
            used |= {"location", "location_history"}
        elif not isinstance(each, Abnormal) and each.operand.of in _TABLES:
            used.add(_TABLES[each.operand.of])
    return tuple(sorted(used))


def columns_beyond(table: str, predicates: Iterable[Predicate]) -> tuple[tuple[str, str], ...]:
    """(table, column) of what predicates about a table's rows read and CDM 5.3 and 5.4 don't have."""
    used: set[tuple[str, str]] = set()
    for each in predicates:
        if isinstance(each, InRegion):
            used.add(REGION)
        elif not isinstance(each, Abnormal) and each.operand.of is Of.COLUMN:
            used.add((table, each.operand.column or ""))
    return tuple(sorted(used & BEYOND_CDM_5))
