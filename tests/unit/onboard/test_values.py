"""Values of every type, from text and from Parquet's types."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.omop.tables import ColumnType
from dure.onboard.values import HAS_DECIMALS, LOST_DIGITS, OUT_OF_RANGE, TOO_LARGE, convert

SPOIL = "spoil"


def outcome(values: pa.Array, type_: ColumnType) -> list[object]:
    """Each value as converted, or the reason why it wasn't."""
    done = convert(values, type_)
    out: list[object] = done.values.to_pylist()
    for mask, reason in done.faults:
        for at in np.flatnonzero(mask):
            assert out[at] is None
            out[at] = reason
    return out


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1))
def test_whole_numbers_are_exact(numbers: list[int | None]) -> None:
    text = pa.array([None if number is None else str(number) for number in numbers] + [SPOIL], pa.string())
    assert outcome(text, ColumnType.INTEGER)[:-1] == numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none(), min_size=1))
def test_numbers_are_the_nearest_double(numbers: list[float | None]) -> None:
    text = pa.array([None if number is None else repr(number) for number in numbers] + [SPOIL], pa.string())
    assert outcome(text, ColumnType.FLOAT)[:-1] == numbers


@given(st.lists(st.dates(date(1582, 10, 15), date(2299, 12, 31)) | st.none(), min_size=1))
def test_dates_in_three_ways_of_writing(days: list[date | None]) -> None:
    for form in ("%Y-%m-%d", "%Y%m%d", "%Y-%m-%d 23:59:59"):
        text = [None if day is None else day.strftime(form).zfill(8) for day in days]
        assert outcome(pa.array([*text, SPOIL], pa.string()), ColumnType.DATE)[:-1] == days


@given(st.lists(st.datetimes(datetime(1583, 1, 1), datetime(2299, 12, 31)) | st.none(), min_size=1))
def test_datetimes_to_the_microsecond(moments: list[datetime | None]) -> None:
    for zone in ("", "Z", "+09", "-0500", "+05:30"):
        text = [
            None if moment is None else moment.isoformat(sep=" ", timespec="microseconds") + zone
            for moment in moments
        ]
        assert outcome(pa.array([*text, SPOIL], pa.string()), ColumnType.DATETIME)[:-1] == moments


@pytest.mark.parametrize(
    "day", ["2021-02-29", "1900-02-29", "2020-13-01", "2020-00-10", "2020-04-31", "2020-01-00"]
)
def test_days_that_never_were(day: str) -> None:
    assert outcome(pa.array([day, "2020-02-29", "2000-02-29"]), ColumnType.DATE) == [
        "no such day or time",
        date(2020, 2, 29),
        date(2000, 2, 29),
    ]


@pytest.mark.parametrize("empty", ["", "NULL", "\\N", "NA", "null", "None", "NaN"])
def test_empty_is_empty_in_numbers_and_dates(empty: str) -> None:
    for type_ in (ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.DATE, ColumnType.DATETIME):
        assert outcome(pa.array([empty]), type_) == [None]


def test_na_is_text_in_text() -> None:
    assert outcome(pa.array(["NA", "", "NULL", "x"]), ColumnType.TEXT) == ["NA", None, None, "x"]


@pytest.mark.parametrize("text", ["1,5", "inf", "-inf", "1e999", "0x1p3", "1_000", "one", "1.2.3"])
def test_what_is_no_number(text: str) -> None:
    assert outcome(pa.array([text, "1.5"]), ColumnType.FLOAT) == ["not a finite number", 1.5]


PARQUET = [
    (pa.array([1, None], pa.int32()), ColumnType.INTEGER, [1, None]),
    (pa.array([1, 2**63], pa.uint64()), ColumnType.INTEGER, [1, TOO_LARGE]),
    (
        pa.array([8507.0, float("nan"), 1.5, 2.0**60]),
        ColumnType.INTEGER,
        [8507, None, HAS_DECIMALS, LOST_DIGITS],
    ),
    (pa.array([Decimal("12.00"), Decimal("12.50")]), ColumnType.INTEGER, [12, HAS_DECIMALS]),
    (pa.array([Decimal("12.25"), None]), ColumnType.FLOAT, [12.25, None]),
    (pa.array([1, 2]), ColumnType.FLOAT, [1.0, 2.0]),
    (pa.array([1.5, float("nan"), float("inf")]), ColumnType.FLOAT, [1.5, None, "not a finite number"]),
    (pa.array([date(2020, 1, 1), date(1, 1, 1)]), ColumnType.DATE, [date(2020, 1, 1), OUT_OF_RANGE]),
    (pa.array([datetime(2020, 1, 1, 9)], pa.timestamp("ns")), ColumnType.DATE, [date(2020, 1, 1)]),
    (
        pa.array([datetime(2020, 1, 1, 0, tzinfo=UTC)], pa.timestamp("us", "Asia/Seoul")),
        ColumnType.DATETIME,
        [datetime(2020, 1, 1, 9)],
    ),
    (pa.array([date(2020, 1, 1)]), ColumnType.DATETIME, [datetime(2020, 1, 1)]),
    (pa.array(["a", "b", "a"]).dictionary_encode(), ColumnType.TEXT, ["a", "b", "a"]),
    (pa.array(["1", "x"], pa.large_string()), ColumnType.INTEGER, [1, "not a whole number"]),
    (pa.array([250, 401]), ColumnType.TEXT, ["250", "401"]),
    (pa.nulls(2), ColumnType.DATE, [None, None]),
]


@pytest.mark.parametrize(("values", "type_", "expected"), PARQUET)
def test_parquets_types(values: pa.Array, type_: ColumnType, expected: list[object]) -> None:
    assert outcome(values, type_) == expected
