"""The referee: a plan's plain meaning over Python rows. Slow and obvious; every engine must agree with it.

Responsible for: saying, without SQL, which rows a plan gives. Not responsible for: being fast, and for what one event's
predicates mean (`judgement`). Nothing is shared with the SQL but the plan and the table of event tables.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from dure.cohort.circe.nodes import DateAdjustment, DateField, Limit, OccurrenceType, Window
from dure.cohort.judgement import Facts, Row, holds, number_of_days, value_of
from dure.cohort.plan import CohortPlan
from dure.cohort.relations import (
    AnyEvents,
    Attrition,
    Clipped,
    Collapsed,
    Combined,
    Counted,
    DrugEras,
    Eras,
    Events,
    Everyone,
    Included,
    Index,
    Keys,
    Observed,
    OfPerson,
    Primary,
    Qualified,
    Residences,
    Rows,
    Stays,
    Such,
)
from dure.omop.events import EVENT_TABLES, EventTable

Tables = Mapping[str, Sequence[Mapping[str, Any]]]
Key = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class CohortResult:
    """A cohort.

    Attributes:
        rows: (person, start, end), in order; days are dates.
        qualified: (person, start, mask) of every qualified event before the expression limit, in order.
    """

    rows: tuple[tuple[int, date, date], ...]
    qualified: tuple[tuple[int, date, int], ...]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Days are ordinals of the calendar (day 1 is 1 January of year 1); `op_start` and `op_end` are set on index events."""

    person: int
    id: int
    start: int
    end: int | None
    visit: int | None
    sort: int
    counted: Any = None
    op_start: int = 0
    op_end: int = 0

    @property
    def key(self) -> Key:
        return (self.person, self.id)

    def day(self, field: DateField) -> int | None:
        return self.start if field is DateField.START else self.end


@dataclass(frozen=True, kw_only=True)
class Stay:
    person: int
    start: int
    end: int


def evaluate(plan: CohortPlan, tables: Tables) -> CohortResult:
    """The rows of a plan.

    Args:
        tables: rows (column to value) of every CDM table that the plan reads; dates are `datetime.date`.
    """
    referee = _Referee(tables)
    stays = referee.rows(plan.rows)
    masked = referee.attrition(plan.attrition)
    return CohortResult(
        rows=tuple(
            (person, date.fromordinal(start), date.fromordinal(end))
            for person, start, end in sorted((each.person, each.start, each.end) for each in stays)
        ),
        qualified=tuple(
            (person, date.fromordinal(start), mask)
            for person, start, mask in sorted((event.person, event.start, mask) for event, mask in masked)
        ),
    )


class _Referee:
    def __init__(self, tables: Tables) -> None:
        self.facts = Facts(tables)
        self.known: dict[str, list[Event]] = {}

    def rows(self, rows: Rows) -> list[Stay]:
        match rows:
            case Stays():
                return self.stays(rows)
            case Collapsed(stays=stays, pad=pad):
                return _islands(self.stays(stays), pad, pad)
            case Clipped():
                return self.clipped(rows)

    def clipped(self, clipped: Clipped) -> list[Stay]:
        window, found = clipped.window, []
        for stay in self.rows(clipped.stays):
            start = max(stay.start, window.start.toordinal()) if window.start else stay.start
            end = min(stay.end, window.end.toordinal()) if window.end else stay.end
            if start <= end:
                found.append(Stay(person=stay.person, start=start, end=end))
        return found

    def stays(self, stays: Stays) -> list[Stay]:
        censors = [event for each in stays.censors for event in self.events(each)]
        eras = self.drug_eras(stays.eras) if stays.eras else []
        found = []
        for event in self.included(stays.included):
            ends: list[int] = []
            if stays.offset:
                day = event.day(stays.offset.field)
                ends += [] if day is None else [min(day + stays.offset.days, event.op_end)]
            else:
                ends.append(event.op_end)
            mine = [era for era in eras if era.person == event.person]
            ends += [era.end for era in mine if era.start <= event.start <= era.end]
            ends += [
                each.start
                for each in censors
                if each.person == event.person and event.start <= each.start <= event.op_end
            ]
            lasting = [end for end in ends if end >= event.start]
            if lasting:
                found.append(Stay(person=event.person, start=event.start, end=min(lasting)))
        return found

    def drug_eras(self, eras: DrugEras) -> list[Stay]:
        concepts = self.facts.members(eras.concepts.items)
        table, exposures = EVENT_TABLES["drug_exposure"], []
        for row in self.facts.rows("drug_exposure"):
            start, end = _dates(table, row)
            if eras.days_supply is not None:
                end = start + eras.days_supply
            assert end is not None
            for concept in (row[str(table.concept)], row[str(table.source_concept)]):
                if concept in concepts:
                    exposures.append(Stay(person=row["person_id"], start=start, end=end))
        return _islands(exposures, eras.gap_days + eras.offset, eras.gap_days)

    def included(self, included: Included) -> list[Event]:
        full = included.attrition.full
        return _limited(
            [event for event, mask in self.attrition(included.attrition) if mask == full], included.limit
        )

    def attrition(self, attrition: Attrition) -> list[tuple[Event, int]]:
        rules = [self.keys(rule) for rule in attrition.rules]
        return [
            (event, sum(1 << at for at, keys in enumerate(rules) if event.key in keys))
            for event in self.index(attrition.index)
        ]

    def index(self, index: Index) -> list[Event]:
        """Computed once for a node, since every rule asks for it again."""
        if index.digest not in self.known:
            self.known[index.digest] = self.entered(index)
        return self.known[index.digest]

    def entered(self, index: Index) -> list[Event]:
        match index:
            case Observed(events=events):
                return [seen for event in self.events(events) for seen in self.observed(event)]
            case Primary():
                return self.primary(index)
            case Qualified(index=primary, keys=keys, limit=limit):
                first = self.index(primary)
                kept = self.keys(keys) if keys is not None else {event.key for event in first}
                return _limited([event for event in first if event.key in kept], limit)

    def observed(self, event: Event) -> list[Event]:
        return [
            replace(event, op_start=start, op_end=end)
            for start, end in self.facts.periods(event.person)
            if start <= event.start <= end
        ]

    def primary(self, primary: Primary) -> list[Event]:
        found = [
            (seen, position)
            for position, criterion in enumerate(primary.criteria)
            for event in self.events(criterion)
            for seen in self.observed(event)
            if seen.op_start + primary.prior_days <= seen.start
            and seen.start + primary.post_days <= seen.op_end
        ]
        backwards = -1 if primary.limit is Limit.LAST else 1
        found.sort(
            key=lambda each: (
                each[0].person,
                backwards * each[0].sort,
                each[0].id,
                each[1],
                each[0].op_start,
                each[0].op_end,
            )
        )
        seen_of: Counter[int] = Counter()
        numbered = []
        for event, _ in found:
            seen_of[event.person] += 1
            numbered.append(replace(event, id=seen_of[event.person]))
        return numbered if primary.limit is Limit.ALL else [event for event in numbered if event.id == 1]

    def keys(self, keys: Keys) -> set[Key]:
        index = self.index(keys.index)
        match keys:
            case Everyone():
                return {event.key for event in index}
            case OfPerson(where=where):
                return {event.key for event in index if self.is_of(event, where)}
            case Combined(parts=parts, at_most=at_most, count=count):
                held = [self.keys(part) for part in parts]
                total = {event.key: sum(event.key in each for each in held) for event in index}
                return {key for key, n in total.items() if (n <= count if at_most else n >= count)}
            case Counted():
                return self.counted(keys, index)

    def is_of(self, event: Event, where: Iterable[Any]) -> bool:
        person = self.facts.person(event.person)
        if person is None:
            return False
        row = Row(values={"person_id": event.person}, start=event.start, end=event.end)
        return all(holds(each, row, self.facts) for each in where)

    def counted(self, counted: Counted, index: list[Event]) -> set[Key]:
        near: dict[int, list[Event]] = {}
        for event in self.events(counted.events):
            near.setdefault(event.person, []).append(event)
        seen: dict[Key, list[Any]] = {event.key: [] for event in index}
        for event in index:
            seen[event.key] += [
                each.counted for each in near.get(event.person, []) if _lies_around(each, event, counted)
            ]
        found = set()
        for key, values in seen.items():
            n = len({value for value in values if value is not None}) if counted.distinct else len(values)
            enough = {
                OccurrenceType.EXACTLY: n == counted.count,
                OccurrenceType.AT_MOST: n <= counted.count,
                OccurrenceType.AT_LEAST: n >= counted.count,
            }
            if enough[counted.occurrence]:
                found.add(key)
        return found

    def events(self, events: AnyEvents) -> list[Event]:
        if isinstance(events, Such):
            keys = self.keys(events.keys)
            return [event for event in self.events(events.events) if event.key in keys]
        table, given = events.shape, self.rows_of(events)
        rows = [row for row in given if self.has_concepts(events, table, row)]
        if events.first:
            earliest: dict[int, Mapping[str, Any]] = {}
            for row in sorted(rows, key=lambda row: (row[table.start], row[table.id])):
                earliest.setdefault(row["person_id"], row)
            rows = list(earliest.values())
        return [event for row in rows if (event := self.event(events, table, row)) is not None]

    def rows_of(self, events: Events) -> Sequence[Mapping[str, Any]]:
        match events.of:
            case Eras():
                return self.eras(events.of)
            case Residences():
                return self.facts.residences()
            case None:
                return self.facts.rows(events.table)

    def eras(self, eras: Eras) -> list[dict[str, Any]]:
        """An event without an end comes last of its day, and reaches nowhere."""
        spans = [(each.person, each.start, each.end) for part in eras.parts for each in self.events(part)]
        spans.sort(key=lambda span: (span[0], span[1], span[2] is None, -(span[2] or 0)))
        found: list[tuple[int, int, int | None]] = []
        reach: int | None = None
        for person, start, end in spans:
            if not found or found[-1][0] != person:
                reach = None
            if reach is not None and reach >= start:
                _, first, last = found.pop()
                found.append(
                    (person, first, max((each for each in (last, end) if each is not None), default=None))
                )
            else:
                found.append((person, start, end))
            padded = None if end is None else end + eras.gap_days
            reach = max((each for each in (reach, padded) if each is not None), default=None)
        found.sort(key=lambda span: (span[0], span[1], span[2] is None, span[2] or 0))
        numbers: Counter[int] = Counter()
        rows = []
        for person, start, end in found:
            numbers[person] += 1
            dates = {
                "start_date": date.fromordinal(start),
                "end_date": None if end is None else date.fromordinal(end),
            }
            rows.append({"person_id": person, "era_id": numbers[person], **dates})
        return rows

    def has_concepts(self, events: Events, table: EventTable, row: Mapping[str, Any]) -> bool:
        return all(
            wanted is None or row[str(column)] in self.facts.members(wanted.items)
            for column, wanted in (
                (table.concept, events.concepts),
                (table.source_concept, events.source_concepts),
            )
        )

    def event(self, events: Events, table: EventTable, row: Mapping[str, Any]) -> Event | None:
        start, end = _dates(table, row)
        if events.adjustment is not None:
            moved = _moved(events.adjustment, start, end)
            if moved is None:
                return None
            start, end = moved
        visit = row[table.visit] if table.visit else None
        judged = Row(values=row, start=start, end=end, visit=visit)
        if not all(holds(each, judged, self.facts) for each in events.where):
            return None
        out_start, out_end = start, end
        if events.period is not None:
            for day in (events.period.start, events.period.end):
                if day is not None and not (end is not None and start <= day.toordinal() <= end):
                    return None
            out_start = events.period.start.toordinal() if events.period.start else start
            out_end = events.period.end.toordinal() if events.period.end else end
        counted = None
        if events.counted is not None:
            counted = value_of(events.counted, replace(judged, start=out_start, end=out_end), self.facts)
        return Event(
            person=row["person_id"],
            id=row[table.id],
            start=out_start,
            end=out_end,
            visit=visit,
            sort=start,
            counted=counted,
        )


def _dates(table: EventTable, row: Mapping[str, Any]) -> tuple[int, int | None]:
    start = row[table.start].toordinal()
    if table.end and row[table.end] is not None:
        return start, row[table.end].toordinal()
    supply = number_of_days(row[table.days_supply]) if table.days_supply else None
    if supply is not None:
        return start, start + supply
    return start, start + 1 if table.lasts_a_day else None


def _moved(adjustment: DateAdjustment, start: int, end: int | None) -> tuple[int, int] | None:
    """The dates moved; None where one is missing or the event would end before it starts."""
    dates = {DateField.START: start, DateField.END: end}
    first, last = dates[adjustment.start_with], dates[adjustment.end_with]
    if first is None or last is None:
        return None
    first, last = first + adjustment.start_offset, last + adjustment.end_offset
    return (first, last) if first <= last else None


def _limited(events: list[Event], limit: Limit) -> list[Event]:
    if limit is Limit.ALL:
        return events
    backwards = -1 if limit is Limit.LAST else 1
    chosen: dict[int, Event] = {}
    for event in sorted(events, key=lambda each: (backwards * each.start, each.id)):
        chosen.setdefault(event.person, event)
    return list(chosen.values())


def _lies_around(event: Event, index: Event, counted: Counted) -> bool:
    if counted.within_observation and not index.op_start <= event.start <= index.op_end:
        return False
    if counted.same_visit and (event.visit is None or event.visit != index.visit):
        return False
    return all(_in_window(window, event, index, counted.within_observation) for window in counted.windows)


def _in_window(window: Window, event: Event, index: Event, within_observation: bool) -> bool:
    day, centre = event.day(window.event), index.day(window.index)
    for endpoint, side in ((window.start, 1), (window.end, -1)):
        if endpoint.days is not None:
            if centre is None or day is None or side * (day - (centre + endpoint.days)) < 0:
                return False
        elif within_observation:
            bound = index.op_start if endpoint.before else index.op_end
            if day is None or side * (day - bound) < 0:
                return False
    return True


def _islands(stays: list[Stay], pad: int, unpad: int) -> list[Stay]:
    found: list[Stay] = []
    for stay in sorted(stays, key=lambda each: (each.person, each.start, -each.end)):
        end = stay.end + pad
        last = found[-1] if found else None
        if last is not None and last.person == stay.person and last.end >= stay.start:
            found[-1] = replace(last, end=max(last.end, end))
        else:
            found.append(replace(stay, end=end))
    return [replace(each, end=each.end - unpad) for each in found]
