"""Levels follow from years alone, and everyone falls into exactly one."""

import numpy as np
import pytest

from dure.features.demographics import AGE, SEX, People, breakdowns, days, years

PEOPLE = People(
    person=np.array([10, 20, 30, 40]),
    year_of_birth=np.array([1950, 0, 2020, 1900]),
    gender=np.array([8532, 8507, 0, 8521]),
)


@pytest.mark.parametrize(
    ("person", "at", "level"),
    [
        (10, "2020-01-01", "70-79"),
        (10, "2019-12-31", "60-69"),
        (10, "1950-06-01", "0-9"),
        (10, "2041-01-01", "90+"),
        (40, "2020-01-01", "90+"),
        (20, "2020-01-01", "unknown"),
        (30, "2019-12-31", "unknown"),
        (30, "2020-01-01", "0-9"),
    ],
)
def test_age_is_a_difference_of_years(person, at, level):
    assert AGE.levels[PEOPLE.levels(AGE, np.array([person]), days([at]))[0]] == level


@pytest.mark.parametrize(
    ("person", "level"), [(10, "female"), (20, "male"), (30, "other or unknown"), (40, "other or unknown")]
)
def test_sex(person, level):
    assert SEX.levels[PEOPLE.levels(SEX, np.array([person]), days(["2020-01-01"]))[0]] == level


@pytest.mark.parametrize(
    ("at", "level"),
    [
        ("1969-12-31", "before 2010"),
        ("2009-12-31", "before 2010"),
        ("2010-01-01", "2010"),
        ("2012-12-31", "2012"),
        ("2013-01-01", "after 2012"),
    ],
)
def test_year(at, level):
    strata = years(2010, 2012)
    assert strata.levels[PEOPLE.levels(strata, np.array([10]), days([at]))[0]] == level


def test_the_breakdowns_stand_in_the_order_asked():
    asked = breakdowns(("year", "sex"), first_year=2010, last_year=2010)
    assert [strata.name for strata in asked] == ["year", "sex"]
    assert asked[0].levels == ("before 2010", "2010", "after 2010")


def test_nobody_has_no_levels():
    for strata in (AGE, SEX, years(2010, 2012)):
        assert PEOPLE.levels(strata, np.array([], dtype=np.int64), days([])).shape == (0,)
