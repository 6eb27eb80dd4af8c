"""Checks of entry, limits and exit: who comes in how often, and when they leave."""

from collections.abc import Iterator
from datetime import date

from dure.cohort import notation
from dure.cohort.circe.nodes import Comparison, CustomEra, DateField, DateOffset, Filter, Limit, Range
from dure.cohort.lint.finding import Check, Finding, Severity
from dure.cohort.lint.subject import Subject

NO_EXIT = Check(
    id="no-exit",
    severity=Severity.WARNING,
    atlas="NoExitCriteriaCheck",
    says="All events enter and none ends before observation does, so every later event falls into the first stay.",
    mend="Give an end strategy, or keep each person's first event.",
)
BACKWARDS = Check(
    id="exit-before-entry",
    severity=Severity.CRITICAL,
    says="Stays would end {days} days before they start, so all are dropped.",
    mend="Use an offset of 0 or more.",
)
EARLY = Check(
    id="negative-offset",
    severity=Severity.WARNING,
    says="Stays end {days} days before the event does; shorter events are dropped.",
    mend="Use an offset of 0 or more.",
)
ONE_DAY = Check(
    id="zero-day-stay",
    severity=Severity.INFO,
    atlas="ExitCriteriaDaysOffsetCheck",
    says="Stays end on the day that they start: nobody has time at risk.",
    mend="Use an offset above 0, if stays are to last.",
)
CENSORED = Check(
    id="censored-at-entry",
    severity=Severity.WARNING,
    says="{criterion} both enters and censors, so such stays end on the day that they start.",
    mend="Move the censoring event's dates a day later, or take it out.",
)
LIMIT = Check(
    id="limit-without-effect",
    severity=Severity.INFO,
    atlas="EventsProgressionCheck",
    says="{limit} keeps each person's {which} event, but only the {kept} is left by then.",
    mend="Let the earlier limit keep all events.",
)
PAD = Check(
    id="pad-without-effect",
    severity=Severity.INFO,
    says="EraPad {pad} joins nothing: each person has one event.",
    mend="Keep all events, if stays are to be joined.",
)
FIRST = Check(
    id="first-observed-not-first-ever",
    severity=Severity.INFO,
    atlas="FirstTimeInHistoryCheck",
    says="The event kept is the first with {prior} days of observation before it, not the person's first {criterion}.",
    mend="Set First on the criterion, if new cases are meant.",
)
WINDOW = Check(
    id="observation-negative",
    severity=Severity.WARNING,
    atlas="RangeCheck",
    says="{property} is {days}, which asks nothing.",
    mend="Use 0 or more.",
)
GAP = Check(
    id="negative-gap",
    severity=Severity.WARNING,
    says="GapDays is {days}, so exposures that overlap by less are apart.",
    mend="Use 0 or more.",
)
CLOSED = Check(
    id="censor-window-closed",
    severity=Severity.CRITICAL,
    says="Every entry event starts after the censor window ends on {end}, so nobody stays.",
    mend="Move the window, or the dates of the entry events.",
)
CHECKS = (NO_EXIT, BACKWARDS, EARLY, ONE_DAY, CENSORED, LIMIT, PAD, FIRST, WINDOW, GAP, CLOSED)
ENTRY_DATES = ("OccurrenceStartDate", "EraStartDate", "PeriodStartDate", "VisitDetailStartDate")


def find(subject: Subject) -> Iterator[Finding]:
    expression = subject.expression
    for name, days in (("PriorDays", expression.prior_days), ("PostDays", expression.post_days)):
        if days < 0:
            yield subject.found(
                WINDOW, ("PrimaryCriteria", "ObservationWindow", name), property=name, days=days
            )
    yield from _limits(subject)
    yield from _end(subject)
    for at, each in enumerate(expression.censoring):
        if each in expression.primary:
            yield subject.found(CENSORED, ("CensoringCriteria", at), criterion=subject.title(each))
    window = expression.censor_window
    if window is not None and window.end is not None:
        starts = [_earliest(each.filters) for each in expression.primary]
        if all(start is not None and start > window.end for start in starts):
            yield subject.found(CLOSED, ("CensorWindow",), end=window.end)


def _limits(subject: Subject) -> Iterator[Finding]:
    expression = subject.expression
    kept = expression.primary_limit
    later = [("ExpressionLimit", expression.expression_limit)]
    if expression.additional is not None:
        later.insert(0, ("QualifiedLimit", expression.qualified_limit))
    for name, limit in later:
        if kept is not Limit.ALL and limit not in {Limit.ALL, kept}:
            yield subject.found(LIMIT, (name,), limit=name, which=str(limit), kept=str(kept))
        kept = limit if kept is Limit.ALL else kept
    if kept is not Limit.ALL and expression.era_pad:
        yield subject.found(PAD, ("CollapseSettings", "EraPad"), pad=expression.era_pad)
    if expression.primary_limit is Limit.FIRST and expression.prior_days > 0:
        for at, each in enumerate(expression.primary):
            if not each.first and each.type not in {"Death", "ObservationPeriod", "PayerPlanPeriod"}:
                yield subject.found(
                    FIRST,
                    ("PrimaryCriteria", "CriteriaList", at, each.type),
                    prior=expression.prior_days,
                    criterion=notation.title(each, subject.names),
                )
    several = kept is Limit.ALL
    if several and expression.end is None and not expression.censoring:
        yield subject.found(NO_EXIT, ())


def _end(subject: Subject) -> Iterator[Finding]:
    end = subject.expression.end
    if isinstance(end, DateOffset):
        place = ("EndStrategy", "DateOffset", "Offset")
        if end.days < 0:
            check = BACKWARDS if end.field is DateField.START else EARLY
            yield subject.found(check, place, days=-end.days)
        elif end.days == 0 and end.field is DateField.START:
            yield subject.found(ONE_DAY, place)
    if isinstance(end, CustomEra) and end.gap_days < 0:
        yield subject.found(GAP, ("EndStrategy", "CustomEra", "GapDays"), days=end.gap_days)


def _earliest(filters: tuple[Filter, ...]) -> date | None:
    """The first day that an event may start, where its filters say one."""
    for each in filters:
        value, name = each.value, each.property
        opens = {Comparison.MORE, Comparison.AT_LEAST, Comparison.EQUAL, Comparison.BETWEEN}
        if (
            name in ENTRY_DATES
            and isinstance(value, Range)
            and value.op in opens
            and isinstance(value.value, date)
        ):
            return value.value
    return None
