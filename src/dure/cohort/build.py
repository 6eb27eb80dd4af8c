"""A builder: cohort definitions in a few lines of Python, as Circe JSON that ATLAS imports.

Responsible for: readable words for the parts that most definitions are made of. Not responsible for: the whole language; what
isn't here can be written into `Built.document`, and whatever is built goes through `parse` like any file.

    metformin = concepts("metformin", 1503297)
    diabetes = concepts("diabetes", 201826, excluded=[201254])
    new_users = build(
        "New users of metformin with diabetes",
        entry=drug(metformin, first=True, age=(18, None)),
        observed_before=365,
        rules={"diabetes before": at_least(1, condition(diabetes), days=(None, 0))},
        exit=era(metformin, gap=30),
    )
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dure.cohort.circe.nodes import CohortExpression
from dure.cohort.circe.parse import parse
from dure.cohort.circe.write import Document, text

Days = tuple[int | None, int | None]
"""From and until, counted from the index event (negative is before); None reaches as far as observation does."""


@dataclass(frozen=True, kw_only=True)
class ConceptList:
    """A named concept set."""

    name: str
    items: tuple[tuple[int, bool], ...]
    descendants: bool


@dataclass(frozen=True, kw_only=True)
class Event:
    """Events of a criteria type; `also` holds further attributes by their names in the language."""

    type: str
    concepts: ConceptList | None
    also: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Times:
    """How often an event lies around the index event."""

    type: int
    count: int
    event: Event
    days: Days


@dataclass(frozen=True, kw_only=True)
class Person:
    """Demographics of the index event's person."""

    also: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Conditions of which all, any, or at least so many hold."""

    type: str
    parts: "tuple[Condition, ...]"
    count: int | None = None


Condition = Times | Person | Group


@dataclass(frozen=True, kw_only=True)
class Exit:
    """An end strategy. `concepts` is the drug of an era."""

    strategy: Mapping[str, Any]
    concepts: ConceptList | None = None


@dataclass(frozen=True, kw_only=True)
class Built:
    """A definition that `parse` has read.

    Attributes:
        document: the Circe expression.
        expression: it as typed nodes, for `plan`, `explain`, `lint`.
    """

    document: Document
    expression: CohortExpression

    @property
    def json(self) -> str:
        """The file that ATLAS imports."""
        return text(self.document)


def concepts(
    name: str, *included: int, excluded: Iterable[int] = (), descendants: bool = True
) -> ConceptList:
    """A concept set; descendants belong to its concepts unless it says otherwise."""
    items = [(each, False) for each in included] + [(each, True) for each in excluded]
    return ConceptList(name=name, items=tuple(items), descendants=descendants)


def event(
    type_: str,
    concepts: ConceptList | None = None,
    *,
    first: bool = False,
    age: tuple[int | None, int | None] | None = None,
    **also: Any,
) -> Event:
    """Events of a criteria type of the language, such as "Measurement".

    Args:
        first: only each person's first event of the concepts.
        age: at the event, from and to (both belong); None is open.
        also: further attributes as the file has them, such as `ValueAsNumber=number(at_least=6.5)`.
    """
    more = {**({"First": True} if first else {}), **({"Age": number(*age)} if age else {}), **also}
    return Event(type=type_, concepts=concepts, also=more)


def condition(of: ConceptList | None = None, **more: Any) -> Event:
    return event("ConditionOccurrence", of, **more)


def drug(of: ConceptList | None = None, **more: Any) -> Event:
    return event("DrugExposure", of, **more)


def procedure(of: ConceptList | None = None, **more: Any) -> Event:
    return event("ProcedureOccurrence", of, **more)


def measurement(of: ConceptList | None = None, **more: Any) -> Event:
    return event("Measurement", of, **more)


def visit(of: ConceptList | None = None, **more: Any) -> Event:
    return event("VisitOccurrence", of, **more)


def death() -> Event:
    return event("Death")


def number(at_least: float | None = None, at_most: float | None = None) -> Document:
    """A range whose ends belong to it; raises ValueError where it has none."""
    if at_least is not None and at_most is not None:
        return {"Op": "bt", "Value": at_least, "Extent": at_most}
    if at_least is None and at_most is None:
        raise ValueError("a range needs an end: number(at_least=...) or number(at_most=...)")
    return {"Op": "gte", "Value": at_least} if at_most is None else {"Op": "lte", "Value": at_most}


def exactly(count: int, of: Event, *, days: Days) -> Times:
    return Times(type=0, count=count, event=of, days=days)


def at_most(count: int, of: Event, *, days: Days) -> Times:
    return Times(type=1, count=count, event=of, days=days)


def at_least(count: int, of: Event, *, days: Days) -> Times:
    return Times(type=2, count=count, event=of, days=days)


def none(of: Event, *, days: Days) -> Times:
    """No such event in the window."""
    return exactly(0, of, days=days)


def person(*, age: tuple[int | None, int | None] | None = None, gender: Sequence[int] = ()) -> Person:
    """Who the person is: age at the index event, concepts of gender (8507 is male, 8532 female)."""
    genders = [{"CONCEPT_ID": each} for each in gender]
    return Person(also={**({"Age": number(*age)} if age else {}), **({"Gender": genders} if gender else {})})


def all_of(*parts: Condition) -> Group:
    return Group(type="ALL", parts=parts)


def any_of(*parts: Condition) -> Group:
    return Group(type="ANY", parts=parts)


def some_of(count: int, *parts: Condition) -> Group:
    """At least `count` of the parts."""
    return Group(type="AT_LEAST", parts=parts, count=count)


def after(days: int, *, of: Literal["start", "end"] = "start") -> Exit:
    """Leave so many days after the entry event's start or end."""
    dates = {"start": "StartDate", "end": "EndDate"}
    return Exit(strategy={"DateOffset": {"DateField": dates[of], "Offset": days}})


def era(of: ConceptList, *, gap: int = 30, offset: int = 0) -> Exit:
    """Leave when continuous exposure to a drug ends."""
    return Exit(strategy={"CustomEra": {"GapDays": gap, "Offset": offset}}, concepts=of)


def build(
    name: str,
    *,
    entry: Event | Sequence[Event],
    observed_before: int = 0,
    observed_after: int = 0,
    keep: Literal["first", "last", "all"] = "first",
    rules: Mapping[str, Condition] | None = None,
    exit: Exit | None = None,  # noqa: A002
    censored_by: Sequence[Event] = (),
    joined_within: int = 0,
) -> Built:
    """A definition.

    Args:
        entry: the event, or any of the events, that people enter with.
        observed_before, observed_after: days that a person must be observed before and after entry.
        keep: which of the events that satisfy every rule count.
        rules: inclusion rules by name, in the order that attrition counts them.
        exit: None is the end of observation.
        censored_by: events that end a stay.
        joined_within: days between stays that still join them.

    Raises:
        Problem: of `parse`, where the parts don't make a definition.
    """
    writer = _Writer()
    events = [entry] if isinstance(entry, Event) else list(entry)
    limit = {"Type": keep.capitalize()}
    found: Document = {
        "Title": name,
        "PrimaryCriteria": {
            "CriteriaList": [writer.event(each) for each in events],
            "ObservationWindow": {"PriorDays": observed_before, "PostDays": observed_after},
            "PrimaryCriteriaLimit": {"Type": "All"},
        },
        "QualifiedLimit": {"Type": "All"},
        "ExpressionLimit": limit,
        "InclusionRules": [
            {"name": title, "expression": writer.group(each if isinstance(each, Group) else all_of(each))}
            for title, each in (rules or {}).items()
        ],
        "CensoringCriteria": [writer.event(each) for each in censored_by],
        "CollapseSettings": {"CollapseType": "ERA", "EraPad": joined_within},
        "CensorWindow": {},
    }
    if exit is not None:
        found["EndStrategy"] = writer.exit(exit)
    found["ConceptSets"] = writer.concept_sets()
    return Built(document=found, expression=parse(found))


def negative_control(
    name: str, concept: int, *, keep: Literal["first", "all"] = "all", descendants: bool = True
) -> Built:
    """A negative-control outcome: the days on which a condition or an observation of the concept starts.

    As CohortGenerator makes them, except that events outside observation don't count and two on one day are one.
    """
    outcome = concepts(name, concept, descendants=descendants)
    entry = [condition(outcome), event("Observation", outcome)]
    return build(name, entry=entry, keep=keep, exit=after(0))


class _Writer:
    """Numbers concept sets as they are met."""

    def __init__(self) -> None:
        self.numbers: dict[ConceptList, int] = {}

    def number(self, of: ConceptList) -> int:
        return self.numbers.setdefault(of, len(self.numbers))

    def concept_sets(self) -> list[Document]:
        return [
            {
                "id": number_,
                "name": each.name,
                "expression": {
                    "items": [
                        {
                            "concept": {"CONCEPT_ID": concept},
                            "isExcluded": excluded,
                            "includeDescendants": each.descendants,
                            "includeMapped": False,
                        }
                        for concept, excluded in each.items
                    ]
                },
            }
            for each, number_ in self.numbers.items()
        ]

    def event(self, each: Event) -> Document:
        codeset = {} if each.concepts is None else {"CodesetId": self.number(each.concepts)}
        return {each.type: {**codeset, **each.also}}

    def group(self, group: Group) -> Document:
        found: Document = {
            "Type": group.type,
            "CriteriaList": [],
            "DemographicCriteriaList": [],
            "Groups": [],
        }
        if group.count is not None:
            found["Count"] = group.count
        for part in group.parts:
            match part:
                case Times():
                    found["CriteriaList"].append(self.times(part))
                case Person(also=also):
                    found["DemographicCriteriaList"].append(dict(also))
                case Group():
                    found["Groups"].append(self.group(part))
        return found

    def times(self, each: Times) -> Document:
        first, last = each.days
        return {
            "Criteria": self.event(each.event),
            "StartWindow": {"Start": _endpoint(first, open_sign=-1), "End": _endpoint(last, open_sign=1)},
            "Occurrence": {"Type": each.type, "Count": each.count},
        }

    def exit(self, each: Exit) -> Document:
        ((name, body),) = each.strategy.items()
        drug_ = {} if each.concepts is None else {"DrugCodesetId": self.number(each.concepts)}
        return {name: {**drug_, **body}}


def _endpoint(days: int | None, *, open_sign: int) -> Document:
    if days is None:
        return {"Coeff": open_sign}
    return {"Days": abs(days), "Coeff": -1 if days < 0 else 1}
