"""Standing queries: when one is asked again, and what has changed since it was asked last.

Changes are read from two released reports, so an alert tells nothing that the reports don't.

Responsible for: due days and changes. Not responsible for: whether it may run (`deal`: a permit is needed each time), telling anybody.
"""

import calendar
from collections import Counter
from datetime import datetime

from dure.market.contract_text import KOREA
from dure.study.report import Report, Table, Value
from dure.wire.codec import message


@message
class Change:
    """A cell that differs. None: hidden, or not there.

    Attributes:
        row: the row's words, by which it is found in both reports.
    """

    table: str
    row: tuple[str, ...]
    column: str
    before: Value
    after: Value


def due(begun: datetime, every_months: int, asked: int) -> datetime:
    """When a query that was asked so many times may be asked again: the same day in Korea so many months on, or the month's last."""
    local = begun.astimezone(KOREA)
    year, month = divmod(local.month - 1 + every_months * asked, 12)
    last = calendar.monthrange(local.year + year, month + 1)[1]
    return local.replace(year=local.year + year, month=month + 1, day=min(local.day, last))


def changes(before: Report, after: Report, *, percent: int) -> tuple[Change, ...]:
    """Cells that differ by at least `percent` of what they were, that were shown and are hidden or the reverse, or whose row is new or gone."""
    old, new = (_cells(report) for report in (before, after))
    places = [*old, *(place for place in new if place not in old)]
    return tuple(
        Change(table=table, row=row, column=column, before=old.get(place), after=new.get(place))
        for place in places
        for table, row, _, column in (place,)
        if _differs(old.get(place), new.get(place), percent)
    )


Place = tuple[str, tuple[str, ...], int, str]


def _cells(report: Report) -> dict[Place, float | None]:
    """Numbers by table, the row's words, how many such rows came before, and column."""
    return {place: value for table in report.tables for place, value in _of(table)}


def _of(table: Table) -> list[tuple[Place, float | None]]:
    named = [any(isinstance(row[at], str) for row in table.rows) for at in range(len(table.columns))]
    found: list[tuple[Place, float | None]] = []
    seen: Counter[tuple[str, ...]] = Counter()
    for row in table.rows:
        words = tuple(str(value) for value, word in zip(row, named, strict=True) if word)
        for column, value, word in zip(table.columns, row, named, strict=True):
            if not word and not isinstance(value, str):
                found.append(((table.name, words, seen[words], column), value))
        seen[words] += 1
    return found


def _differs(old: float | None, new: float | None, percent: int) -> bool:
    if old is None or new is None:
        return old is not new
    return old != new and abs(new - old) * 100 >= percent * abs(old)
