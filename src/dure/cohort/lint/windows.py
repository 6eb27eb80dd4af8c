"""Checks of windows and counts: how often events must lie where around an index event."""

from collections import Counter
from collections.abc import Iterator

from dure.cohort import notation
from dure.cohort.circe.language import CRITERIA_TYPES
from dure.cohort.circe.nodes import Correlated, DateField, OccurrenceType, Window
from dure.cohort.lint.finding import Check, Finding, Severity
from dure.cohort.lint.subject import Place, Subject

DEAD = Check(
    id="dead-window",
    severity=Severity.CRITICAL,
    atlas="RangeCheck",
    says="The window {window} ends before it starts, so no event of {criterion} lies in it.",
    mend="Swap its ends, or turn before and after round.",
)
APART = Check(
    id="windows-contradict",
    severity=Severity.WARNING,
    says="{criterion} must start in {start} and end in {end}: it would end before it starts.",
    mend="Move one of the windows.",
)
NOTHING = Check(
    id="at-least-zero",
    severity=Severity.WARNING,
    atlas="OcurrenceCheck",
    says="At least 0 of {criterion} always holds.",
    mend="Ask for exactly 0, or for at least 1.",
)
UNSEEN = Check(
    id="absence-beyond-observation",
    severity=Severity.INFO,
    atlas="TimeWindowCheck",
    says="{criterion} must be absent on days {window}, but people need to be observed only from {prior} days before to {post} after.",
    mend="Ask for as much observation as the window is long.",
)
ODD = Check(
    id="odd-window",
    severity=Severity.INFO,
    atlas="TimePatternCheck",
    says="The window {window} of {criterion} is the only one that begins there; most begin at {most}.",
    mend="Check that it is meant.",
)
DEATH = Check(
    id="death-before-index",
    severity=Severity.WARNING,
    atlas="DeathTimeWindowCheck",
    says="A death before the index event is asked about ({window}).",
    mend="Look for deaths after the index event.",
)
VISIT = Check(
    id="visit-never-matches",
    severity=Severity.WARNING,
    says="{criterion} belongs to no visit, so it is never in the same one.",
    mend="Take RestrictVisit out, or use a criterion whose events have a visit.",
)
CHECKS = (DEAD, APART, NOTHING, UNSEEN, ODD, DEATH, VISIT)
PATTERN = 4
"""So many windows make a pattern."""


def find(subject: Subject) -> Iterator[Finding]:
    for place, each in subject.correlated:
        title = subject.title(each.criterion)
        for name, window in zip(("StartWindow", "EndWindow"), each.windows, strict=False):
            if is_dead(window):
                yield subject.found(DEAD, (*place, name), window=notation.window(window), criterion=title)
        if _apart(each):
            start, end = map(notation.window, each.windows)
            yield subject.found(APART, place, criterion=title, start=start, end=end)
        if each.occurrence.type is OccurrenceType.AT_LEAST and each.occurrence.count == 0:
            yield subject.found(NOTHING, (*place, "Occurrence"), criterion=title)
        last = each.windows[0].end
        before = last.before if last.days is None else last.days < 0
        if each.criterion.type == "Death" and before and each.windows[0].index is DateField.START:
            yield subject.found(DEATH, (*place, "StartWindow"), window=notation.window(each.windows[0]))
        if each.same_visit and CRITERIA_TYPES[each.criterion.type].table.visit is None:
            yield subject.found(VISIT, (*place, "RestrictVisit"), criterion=title)
    yield from _of_the_entry(subject)


def is_dead(window: Window) -> bool:
    start, end = window.start.days, window.end.days
    return start is not None and end is not None and start > end


def _apart(each: Correlated) -> bool:
    """Whether the event would end before it starts."""
    if len(each.windows) < 2:
        return False
    start, end = each.windows
    same_index = start.index is end.index
    right_dates = start.event is DateField.START and end.event is DateField.END
    first, last = start.start.days, end.end.days
    return same_index and right_dates and first is not None and last is not None and last < first


def _of_the_entry(subject: Subject) -> Iterator[Finding]:
    """What is asked around the entry event itself."""
    prior, post = subject.expression.prior_days, subject.expression.post_days
    listed: list[tuple[Place, Correlated]] = [
        ((*place, "CriteriaList", at), each)
        for place, group in subject.top_groups
        for at, each in enumerate(group.criteria)
    ]
    for place, each in listed:
        window, occurrence = each.windows[0], each.occurrence
        absent = occurrence.count == 0 and occurrence.type is not OccurrenceType.AT_LEAST
        if absent and _beyond(window, prior, post) and not is_dead(window):
            yield subject.found(
                UNSEEN,
                (*place, "StartWindow"),
                criterion=subject.title(each.criterion),
                window=notation.window(window),
                prior=prior,
                post=post,
            )
    begins = Counter(_begin(each) for _, each in listed)
    ((most, times),) = begins.most_common(1) or [("", 0)]
    for place, each in listed:
        if times >= PATTERN and begins[_begin(each)] == 1:
            yield subject.found(
                ODD,
                (*place, "StartWindow"),
                window=notation.window(each.windows[0]),
                criterion=subject.title(each.criterion),
                most=most,
            )


def _begin(each: Correlated) -> str:
    start = each.windows[0].start
    return ("-∞" if start.before else "∞") if start.days is None else str(start.days)


def _beyond(window: Window, prior: int, post: int) -> bool:
    """Whether days of the window may be unobserved; an open end asks for what there is."""
    start, end = window.start.days, window.end.days
    early = start is not None and start < 0 and -start > prior
    late = end is not None and end > max(post, 0)
    return window.index is DateField.START and (early or late)
