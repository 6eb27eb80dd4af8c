"""CohortGenerator's JSON to a subset definition.

Responsible for: refusing, with the place, what it doesn't know. Not responsible for: what an operator means (`relations`).
"""

from collections.abc import Callable
from datetime import date
from typing import Any

from dure.cohort.circe import document
from dure.cohort.circe.document import Fields, Part
from dure.cohort.problems import Contradictory
from dure.cohort.subset.definition import (
    Anchor,
    CohortOperator,
    DemographicOperator,
    Limit,
    LimitOperator,
    Operator,
    SubsetDefinition,
    Window,
)

MOST = 99999
"""CohortGenerator's own bound on days and ages."""
LARGEST_ID = 10**12


def read(source: bytes | str | dict[str, Any]) -> SubsetDefinition:
    """The definition in a file of CohortGenerator's `saveCohortSubsetDefinition`.

    Raises:
        NotJson, NotCirce, NotSupported: it isn't one; the problem names the JSON path.
        Contradictory: a range whose end lies before its start.
    """
    fields = document.read(source).fields()
    fields.ignore(
        "packageVersion", "identifierExpression", "operatorNameConcatString", "subsetCohortNameTemplate"
    )
    fields.ignore("targetOutputPairs")
    operators = fields.need("subsetOperators")
    found = SubsetDefinition(
        name=fields.need("name").text(),
        id=fields.need("definitionId").integer(0, LARGEST_ID),
        operators=tuple(_operator(part) for part in operators.items()),
    )
    if not found.operators:
        raise Contradictory("The subset has no operator.", where=operators.path, mend="Add one.")
    fields.finish()
    return found


def _operator(part: Part) -> Operator:
    fields = part.fields()
    fields.ignore("name")
    kind = fields.need("subsetType")
    reader = _READERS.get(kind.text())
    if reader is None:
        kind.wrong(f"one of {', '.join(_READERS)}")
    found = reader(fields)
    fields.finish()
    return found


def _limit(fields: Fields) -> LimitOperator:
    which = fields.take("limitTo")
    first, last = fields.take("calendarStartDate"), fields.take("calendarEndDate")
    found = LimitOperator(
        limit=Limit.ALL if which is None or which.value == "" else _choice(which, Limit),
        prior_days=_whole(fields, "priorTime"),
        follow_up_days=_whole(fields, "followUpTime"),
        first_day=_day(first),
        last_day=_day(last),
        least_days=_whole(fields, "minimumCohortDuration"),
    )
    if found.first_day and found.last_day and found.first_day > found.last_day:
        raise _backwards(fields, "calendarStartDate", "calendarEndDate")
    return found


def _demographic(fields: Fields) -> DemographicOperator:
    most = fields.take("ageMax")
    found = DemographicOperator(
        age_least=_whole(fields, "ageMin"),
        age_most=MOST if most is None else most.integer(0, MOST),
        genders=_concepts(fields, "gender"),
        races=_concepts(fields, "race"),
        ethnicities=_concepts(fields, "ethnicity"),
    )
    if found.age_least > found.age_most:
        raise _backwards(fields, "ageMin", "ageMax")
    return found


def _cohort(fields: Fields) -> CohortOperator:
    ids = fields.need("cohortIds")
    cohorts = tuple(each.integer(0, LARGEST_ID) for each in _listed(ids))
    if not cohorts:
        raise Contradictory("No other cohort is named.", where=ids.path, mend="Name one or more.")
    combination = fields.need("cohortCombinationOperator")
    if combination.text() not in {"any", "all"}:
        combination.wrong("any or all")
    windows = fields.take("windows")
    return CohortOperator(
        cohorts=cohorts,
        every=combination.text() == "all",
        negate=_flag(fields, "negate"),
        windows=() if windows is None else tuple(_window(each) for each in windows.items()),
    )


def _window(part: Part) -> Window:
    fields = part.fields()
    found = Window(
        first=fields.need("startDay").integer(-MOST, MOST),
        last=fields.need("endDay").integer(-MOST, MOST),
        target=_choice(fields.need("targetAnchor"), Anchor),
        other=_choice(fields.need("subsetAnchor"), Anchor),
        negate=_flag(fields, "negate"),
    )
    if found.first > found.last:
        raise _backwards(fields, "startDay", "endDay")
    fields.finish()
    return found


_READERS: dict[str, Callable[[Fields], Operator]] = {
    "LimitSubsetOperator": _limit,
    "DemographicSubsetOperator": _demographic,
    "CohortSubsetOperator": _cohort,
}


def _whole(fields: Fields, key: str) -> int:
    part = fields.take(key)
    return 0 if part is None else part.integer(0, MOST)


def _flag(fields: Fields, key: str) -> bool:
    part = fields.take(key)
    return False if part is None else part.flag()


def _listed(part: Part) -> list[Part]:
    """A list; one value alone counts as a list of it, as R writes it."""
    return part.items() if isinstance(part.value, list) else [part]


def _concepts(fields: Fields, key: str) -> tuple[int, ...]:
    part = fields.take(key)
    if part is None or part.says_nothing:
        return ()
    return tuple(each.integer(0, document.MAX_INTEGER) for each in _listed(part))


def _day(part: Part | None) -> date | None:
    if part is None or part.says_nothing:
        return None
    try:
        return date.fromisoformat(part.text())
    except ValueError:
        part.wrong("a date such as 2024-12-31")


def _choice(part: Part, kind: type[Any]) -> Any:
    try:
        return kind(part.text())
    except ValueError:
        part.wrong(f"one of {', '.join(each.value for each in kind)}")


def _backwards(fields: Fields, first: str, last: str) -> Contradictory:
    return Contradictory(
        f"{first} lies beyond {last}: nothing can be between them.",
        where=fields.part.path,
        mend="Exchange the two.",
    )
