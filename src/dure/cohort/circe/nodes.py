"""A Circe expression as typed nodes, just as the file means it and before any plan is made.

Responsible for: the shape of a parsed definition. Not responsible for: reading files (`parse`), nor for which properties a
criterion may have (`language`).
"""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from dure.omop.concept_sets import ConceptSet


class Comparison(StrEnum):
    """How a range compares; values are the file's words."""

    LESS = "lt"
    AT_MOST = "lte"
    EQUAL = "eq"
    UNEQUAL = "!eq"
    MORE = "gt"
    AT_LEAST = "gte"
    BETWEEN = "bt"
    NOT_BETWEEN = "!bt"


@dataclass(frozen=True, kw_only=True)
class Range:
    """A comparison with one value, or with two for the betweens (both ends belong to the range)."""

    op: Comparison
    value: int | Decimal | date
    extent: int | Decimal | date | None = None


@dataclass(frozen=True, kw_only=True)
class Concepts:
    """A list of concepts written out in the definition."""

    ids: tuple[int, ...]
    exclude: bool = False
    names: tuple[str, ...] = field(default=(), compare=False)
    """Of the ids, as the file gives them ("" where it doesn't); for people."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Membership in one of the definition's concept sets; without a set, whether there is a concept at all."""

    codeset: int | None
    exclude: bool = False


@dataclass(frozen=True, kw_only=True)
class Text:
    """A comparison of text in SQL's LIKE language."""

    pattern: str
    negated: bool


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A property that is simply set."""


Value = Range | Concepts | Selection | Text | Flag


@dataclass(frozen=True, kw_only=True)
class Filter:
    """One attribute of a criterion, by its name in the language."""

    property: str
    value: Value


@dataclass(frozen=True, kw_only=True)
class Period:
    """Two dates, either of which may be open."""

    start: date | None
    end: date | None


class DateField(StrEnum):
    START = "start"
    END = "end"


@dataclass(frozen=True, kw_only=True)
class DateAdjustment:
    """An event's dates moved: each end starts from one of the event's own dates and is shifted by days."""

    start_with: DateField = DateField.START
    start_offset: int = 0
    end_with: DateField = DateField.END
    end_offset: int = 0


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """Events of one type, by concept set and attributes.

    Attributes:
        type: name of the criteria type in the language.
        codeset, source_codeset: numbers of concept sets; both given means both must hold.
        first: only each person's first event of the concept sets, before any other filter.
        parts, gap_days: of a `CustomEra`, the events that its eras are made of and the days that they may lie apart.
    """

    type: str
    codeset: int | None
    source_codeset: int | None
    first: bool
    filters: tuple[Filter, ...]
    adjustment: DateAdjustment | None
    period: Period | None
    correlated: "Group | None"
    parts: "tuple[Criterion, ...]" = ()
    gap_days: int = 0


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One end of a window: signed days from the index, or with None as far as observation goes in a direction."""

    days: int | None
    before: bool


@dataclass(frozen=True, kw_only=True)
class Window:
    """Where one of an event's dates must lie, counted from one of the index's dates; both ends belong to it."""

    start: Endpoint
    end: Endpoint
    index: DateField
    event: DateField


class OccurrenceType(StrEnum):
    EXACTLY = "exactly"
    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """How often; `distinct` counts the different values of a column instead of events."""

    type: OccurrenceType
    count: int
    distinct: str | None


@dataclass(frozen=True, kw_only=True)
class Correlated:
    """A criterion in relation to an index event."""

    criterion: Criterion
    windows: tuple[Window, ...]
    occurrence: Occurrence
    same_visit: bool
    ignore_observation_period: bool


class GroupType(StrEnum):
    ALL = "ALL"
    ANY = "ANY"
    AT_LEAST = "AT_LEAST"
    AT_MOST = "AT_MOST"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Criteria of which all, any, at least or at most `count` must hold; an empty group holds."""

    type: GroupType
    count: int
    criteria: tuple[Correlated, ...]
    demographics: tuple[tuple[Filter, ...], ...]
    groups: "tuple[Group, ...]"

    @property
    def is_empty(self) -> bool:
        return not (self.criteria or self.demographics or self.groups)


class Limit(StrEnum):
    ALL = "all"
    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, kw_only=True)
class InclusionRule:
    name: str
    description: str
    group: Group


@dataclass(frozen=True, kw_only=True)
class DateOffset:
    """Exit some days after the event's start or end."""

    field: DateField
    days: int


@dataclass(frozen=True, kw_only=True)
class CustomEra:
    """Exit when continuous exposure to a drug ends.

    Attributes:
        gap_days: days without drug that don't break an era.
        offset: days added to each exposure's end.
        days_supply: days that every exposure lasts, instead of what its row says.
    """

    codeset: int
    gap_days: int
    offset: int
    days_supply: int | None


@dataclass(frozen=True, kw_only=True)
class Warned:
    """Something in the file that has no effect, or another than it seems.

    Attributes:
        where: its JSON path.
        what: a sentence, with {names} where its values belong.
        quirk: the quirk behind it, by name; "" if there is none.
    """

    where: str
    what: str
    quirk: str = ""
    values: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.what.format(**dict(self.values))}"


@dataclass(frozen=True, kw_only=True)
class CohortExpression:
    """A whole definition.

    Attributes:
        additional: None where the file has none; an empty group still lets `qualified_limit` act.
        end: None for the end of observation.
        censoring: events that end a stay in the cohort.
        era_pad: days between two stays that still join them.
        censor_window: dates that stays are cut to.
        warnings: what the format's reference silently ignores or takes otherwise than it seems. Two files that differ in
            nothing else are equal.
    """

    name: str
    concept_sets: tuple[ConceptSet, ...]
    primary: tuple[Criterion, ...]
    prior_days: int
    post_days: int
    primary_limit: Limit
    additional: Group | None
    qualified_limit: Limit
    inclusion_rules: tuple[InclusionRule, ...]
    expression_limit: Limit
    end: DateOffset | CustomEra | None
    censoring: tuple[Criterion, ...]
    era_pad: int
    censor_window: Period | None
    warnings: tuple[Warned, ...] = field(default=(), compare=False)
