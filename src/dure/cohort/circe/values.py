"""The values of a Circe expression: ranges, dates, concepts, texts.

Responsible for: reading one value of a stated kind, and what it rounds to. Not responsible for: where values stand in a file.
"""

import re
from collections.abc import Callable, Container
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from dure.cohort.circe.document import Part
from dure.cohort.circe.language import Kind
from dure.cohort.circe.nodes import Comparison, Concepts, Flag, Period, Range, Selection, Text, Value
from dure.cohort.problems import Contradictory

DAYS = 1_000_000
"""No window, offset or pad is longer than this (2,700 years): beyond it databases' calendars end."""

FOUR_PLACES = Decimal("0.0001")
_DATE = re.compile(r"(\d{1,4})-(\d{1,2})-(\d{1,2})", re.ASCII)
_BETWEEN = {Comparison.BETWEEN, Comparison.NOT_BETWEEN}


def days(part: Part | None, *, default: int) -> int:
    return default if part is None else part.integer(-DAYS, DAYS)


def calendar_date(part: Part) -> date:
    match = _DATE.fullmatch(part.text().strip())
    if match:
        try:
            return date(*(int(number) for number in match.groups()))
        except ValueError:
            pass
    return part.wrong("a date of the calendar, written year-month-day")


def period(part: Part | None) -> Period | None:
    """None where both dates are open."""
    if part is None:
        return None
    fields = part.fields()
    start, end = fields.take("StartDate"), fields.take("EndDate")
    fields.finish()
    if start is None and end is None:
        return None
    return Period(start=calendar_date(start) if start else None, end=calendar_date(end) if end else None)


def codeset_number(part: Part, concept_sets: Container[int]) -> int:
    number = part.integer(-(2**31), 2**31 - 1)
    if number not in concept_sets:
        raise Contradictory(
            f"There is no concept set {number}.",
            where=part.path,
            mend="Add it, or point to one that is there.",
        )
    return number


def filter_value(kind: Kind, part: Part, *, exclude: bool, concept_sets: Container[int]) -> Value | None:
    """The value of an attribute; None where it filters nothing (an empty list, a flag that isn't set)."""
    match kind:
        case Kind.DATES:
            return _range(part, calendar_date)
        case Kind.INTEGERS:
            return _range(part, whole)
        case Kind.DECIMALS:
            return _range(part, rounded)
        case Kind.TEXT:
            return _text(part)
        case Kind.CONCEPTS:
            named = {_concept(item): _concept_name(item) for item in part.items()}
            if not named:
                part.warn("It lists no concept, so it filters nothing.", quirk="without-effect")
                return None
            ids = tuple(sorted(named))
            return Concepts(ids=ids, exclude=exclude, names=tuple(named[each] for each in ids))
        case Kind.CODESET | Kind.REGION:
            return Selection(codeset=codeset_number(part, concept_sets))
        case Kind.ABNORMAL:
            if part.flag():
                return Flag()
            part.warn("It says false, so it filters nothing.", quirk="without-effect")
            return None
        case Kind.SELECTION:
            fields = part.fields()
            number, negated = fields.take("CodesetId"), fields.take("IsExclusion")
            fields.finish()
            return Selection(
                codeset=codeset_number(number, concept_sets) if number else None,
                exclude=negated.flag() if negated else False,
            )
        case Kind.WITHOUT_EFFECT:
            return None


def _range(part: Part, read: Callable[[Part], int | Decimal | date]) -> Range:
    fields = part.fields()
    op = fields.need("Op")
    if op.text() not in set(Comparison):
        op.wrong(", ".join(Comparison))
    comparison = Comparison(op.text())
    value, extent = fields.need("Value"), fields.take("Extent")
    if comparison in _BETWEEN and extent is None:
        fields.need("Extent")
    if comparison not in _BETWEEN and extent is not None:
        extent.warn(
            "It has no effect where {op} compares with one value.",
            quirk="without-effect",
            op=comparison.value,
        )
    fields.finish()
    return Range(
        op=comparison, value=read(value), extent=read(extent) if extent and comparison in _BETWEEN else None
    )


def whole(part: Part) -> int:
    """A whole number; decimals are cut off towards zero, as the format has it."""
    number = int(part.number())
    if abs(number) >= 2**31:
        part.wrong("a number below 2 to the 31st")
    return number


def rounded(part: Part) -> Decimal:
    """A number of four decimals, halves away from zero, as the format has it."""
    return part.number().quantize(FOUR_PLACES, rounding=ROUND_HALF_UP) + 0  # no minus before nothing


def _text(part: Part) -> Text:
    fields = part.fields()
    text, op = fields.need("Text").text(), fields.need("Op")
    fields.finish()
    word = op.text().removeprefix("!")
    before = "%" if word in {"endsWith", "contains"} else ""
    after = "%" if word in {"startsWith", "contains"} else ""
    return Text(pattern=f"{before}{text}{after}", negated=op.text().startswith("!"))


def _concept(part: Part) -> int:
    return part.fields().need("CONCEPT_ID").integer(-(2**63), 2**63 - 1)


def _concept_name(part: Part) -> str:
    name = part.value.get("CONCEPT_NAME")
    return name if isinstance(name, str) else ""
