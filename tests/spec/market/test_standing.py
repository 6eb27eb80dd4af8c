"""When a standing query is due, and what counts as a change between two released reports."""

from datetime import UTC, datetime

import pytest

from dure.market.contract_text import KOREA
from dure.market.standing import Change, changes, due
from dure.study.report import Table
from tests.spec.market.deal import report


@pytest.mark.parametrize(
    ("begun", "every", "asked", "day"),
    [
        # begun (in Korea), months, times asked, due (in Korea)
        ((2026, 3, 2), 3, 0, (2026, 3, 2)),
        ((2026, 3, 2), 3, 1, (2026, 6, 2)),
        ((2026, 3, 2), 3, 4, (2027, 3, 2)),
        ((2026, 11, 30), 3, 1, (2027, 2, 28)),
        ((2027, 11, 30), 3, 1, (2028, 2, 29)),
        ((2026, 1, 31), 1, 1, (2026, 2, 28)),
        ((2026, 1, 31), 1, 2, (2026, 3, 31)),
        ((2026, 12, 31), 12, 1, (2027, 12, 31)),
        ((2026, 3, 2), 0, 5, (2026, 3, 2)),
    ],
)
def test_due_days(begun, every, asked, day):
    """Begun at 05:00 in Korea, which is the day before in UTC: the day that counts is Korea's."""
    start = datetime(*begun, 5, tzinfo=KOREA).astimezone(UTC)
    assert due(start, every, asked) == datetime(*day, 5, tzinfo=KOREA)


def told(*rows, columns=("hospital", "stage", "people"), name="attrition"):
    return report(Table(name=name, title="t", columns=columns, rows=rows))


IN, OUT = ("network", "in"), ("network", "out")


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        # rows before, rows after, changes of 10 % or more
        ([(*IN, 100)], [(*IN, 100)], []),
        ([(*IN, 100)], [(*IN, 109)], []),
        ([(*IN, 100)], [(*IN, 110)], [(IN, "people", 100, 110)]),
        ([(*IN, 100)], [(*IN, 90)], [(IN, "people", 100, 90)]),
        ([(*IN, 0)], [(*IN, 20)], [(IN, "people", 0, 20)]),
        ([(*IN, 0)], [(*IN, 0)], []),
        ([(*IN, 20)], [(*IN, None)], [(IN, "people", 20, None)]),
        ([(*IN, None)], [(*IN, 20)], [(IN, "people", None, 20)]),
        ([(*IN, None)], [(*IN, None)], []),
        ([(*IN, 20)], [(*IN, 20), (*OUT, 30)], [(OUT, "people", None, 30)]),
        ([(*IN, 20), (*OUT, 30)], [(*OUT, 30)], [(IN, "people", 20, None)]),
        ([(*IN, 20), (*OUT, 30)], [(*OUT, 30), (*IN, 20)], []),
    ],
)
def test_changes(before, after, found):
    seen = changes(told(*before), told(*after), percent=10)
    assert [(one.row, one.column, one.before, one.after) for one in seen] == found
    assert all(one.table == "attrition" for one in seen)


def test_rows_without_words_of_their_own_are_held_together_in_order():
    columns = ("hospital", "day", "survival_percent")
    before = told(("network", 0, 100.0), ("network", 30, 90.0), columns=columns, name="curve")
    after = told(("network", 0, 100.0), ("network", 30, 70.0), columns=columns, name="curve")
    assert changes(before, after, percent=10) == (
        Change(table="curve", row=("network",), column="survival_percent", before=90.0, after=70.0),
    )


def test_a_table_that_is_gone_is_a_change():
    assert len(changes(told((*IN, 20)), report(), percent=10)) == 1


def test_every_difference_counts_at_zero_percent():
    assert len(changes(told((*IN, 1000)), told((*IN, 1001)), percent=0)) == 1
