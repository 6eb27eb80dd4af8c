"""Checks of single values: ranges, dates, lists, texts, and attributes that don't do what their name says."""

from collections.abc import Iterator
from decimal import Decimal

from dure.cohort.circe.language import CRITERIA_TYPES, DEMOGRAPHICS, Kind
from dure.cohort.circe.nodes import Comparison, DateAdjustment, Period, Range, Selection, Text
from dure.cohort.lint.finding import Check, Finding, Severity
from dure.cohort.lint.subject import Place, Subject

EMPTY_RANGE = Check(
    id="impossible-range",
    severity=Severity.CRITICAL,
    atlas="RangeCheck",
    says="{property} asks for values from {low} to {high}, which no value is.",
    mend="Put the smaller value first.",
)
WHOLE_RANGE = Check(
    id="range-without-effect",
    severity=Severity.WARNING,
    says="{property} leaves out values from {low} to {high}, which no value is.",
    mend="Put the smaller value first.",
)
NEGATIVE = Check(
    id="negative-value",
    severity=Severity.WARNING,
    atlas="RangeCheck",
    says="{property} is compared with {value}; it is never negative.",
    mend="Use a value of 0 or more.",
)
AGE = Check(
    id="impossible-age",
    severity=Severity.WARNING,
    says="{property} is compared with {value} years.",
    mend="Check the age.",
)
PERIOD = Check(
    id="impossible-period",
    severity=Severity.CRITICAL,
    atlas="RangeCheck",
    says="The period from {start} to {end} ends before it starts, so nothing lies in it.",
    mend="Put the earlier date first.",
)
ADJUSTMENT = Check(
    id="impossible-adjustment",
    severity=Severity.CRITICAL,
    says="The adjusted dates end before they start, so every event of {criterion} is dropped.",
    mend="Let the end's offset be at least the start's.",
)
EMPTY_LIST = Check(
    id="empty-filter",
    severity=Severity.INFO,
    atlas="ConceptCheck",
    says="{property} lists no concept, so it asks nothing.",
    mend="List a concept, or take it out.",
)
NO_SELECTION = Check(
    id="no-concept-set-chosen",
    severity=Severity.WARNING,
    atlas="ConceptSetSelectionCheck",
    says="{property} names no concept set, so it only asks whether there is a value.",
    mend="Choose a concept set.",
)
EMPTY_TEXT = Check(
    id="empty-text",
    severity=Severity.WARNING,
    atlas="TextCheck",
    says="{property} is compared with an empty text.",
    mend="Give the text, or take it out.",
)
SURPRISE = Check(
    id="surprising-attribute",
    severity=Severity.WARNING,
    says="{property} {quirk}.",
    mend="Check that this is meant; the reference does the same.",
)
NOTE = Check(
    id="without-effect",
    severity=Severity.INFO,
    says="{note}",
    mend="Take it out, or say it another way.",
)
CHECKS = (
    EMPTY_RANGE, WHOLE_RANGE, NEGATIVE, AGE, PERIOD, ADJUSTMENT, EMPTY_LIST, NO_SELECTION, EMPTY_TEXT, SURPRISE, NOTE,
)  # fmt: skip
OLDEST = 130


def find(subject: Subject) -> Iterator[Finding]:
    demographics = {each.property: each for each in DEMOGRAPHICS}
    for place, each, type_ in subject.filters():
        attribute = CRITERIA_TYPES[type_].attribute(each.property) if type_ else demographics[each.property]
        name = each.property
        if isinstance(each.value, Range):
            yield from _range(subject, place, name, each.value, whole=attribute.kind is Kind.INTEGERS)
        elif isinstance(each.value, Text) and each.value.pattern in {"", "%", "%%"}:
            yield subject.found(EMPTY_TEXT, place, property=name)
        elif isinstance(each.value, Selection) and each.value.codeset is None:
            yield subject.found(NO_SELECTION, place, property=name)
        if attribute.quirk and attribute.kind is not Kind.ABNORMAL:
            yield subject.found(SURPRISE, place, property=name, quirk=attribute.quirk)
    for found in subject.criteria:
        criterion, moved = found.criterion, found.criterion.adjustment
        if moved is not None and _drops_all(moved):
            yield subject.found(
                ADJUSTMENT, (*found.place, "DateAdjustment"), criterion=subject.title(criterion)
            )
        if criterion.period is not None:
            yield from _period(subject, (*found.place, "UserDefinedPeriod"), criterion.period)
        body = subject.at(found.place)
        for attribute in CRITERIA_TYPES[criterion.type].attributes:
            if attribute.kind is Kind.CONCEPTS and body.get(attribute.property) == []:
                yield subject.found(
                    EMPTY_LIST, (*found.place, attribute.property), property=attribute.property
                )
    if subject.expression.censor_window is not None:
        yield from _period(subject, ("CensorWindow",), subject.expression.censor_window)
    for note in subject.expression.warnings:
        yield subject.found(NOTE, (), note=note)


def _range(subject: Subject, place: Place, name: str, value: Range, *, whole: bool) -> Iterator[Finding]:
    if value.extent is not None and value.value > value.extent:  # type: ignore[operator]
        check = EMPTY_RANGE if value.op is Comparison.BETWEEN else WHOLE_RANGE
        yield subject.found(check, place, property=name, low=value.value, high=value.extent)
    for number in (value.value, value.extent):
        if whole and isinstance(number, (int, Decimal)):
            if number < 0:
                yield subject.found(NEGATIVE, place, property=name, value=number)
            if name.startswith("Age") and number > OLDEST:
                yield subject.found(AGE, place, property=name, value=number)


def _period(subject: Subject, place: Place, period: Period) -> Iterator[Finding]:
    if period.start and period.end and period.start > period.end:
        yield subject.found(PERIOD, place, start=period.start, end=period.end)


def _drops_all(moved: DateAdjustment) -> bool:
    return moved.start_with is moved.end_with and moved.start_offset > moved.end_offset
