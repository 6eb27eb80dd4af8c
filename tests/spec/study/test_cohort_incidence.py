"""The reference's own published cases, restated in days: the same days at risk and outcomes as OHDSI CohortIncidence.

Each case's numbers are facts of that package's test suite: days count from the start of observation.
"""

import numpy as np
import pytest

from dure.features.time_at_risk import Spans, Window, at_risk

ZERO = np.datetime64("2000-01-01")


def from_start(last):
    return Window(start_anchor="start", start_offset=0, end_anchor="start", end_offset=last)


WHOLE = Window(start_anchor="start", start_offset=0, end_anchor="end", end_offset=0)
LEAP_YEAR, TEN_YEARS = (0, 366), (0, 3653)
YEARS = [(1827, 2191), (2192, 2556), (2557, 2921)]
# says, observed, target, outcomes, window, clean window -> (days, outcomes) of each time at risk
CASES = [
    ("clean window of 10", LEAP_YEAR, [(182, 182)], [(191, 191)], from_start(30), 10, [(21, 1)]),
    ("clean window of 30", LEAP_YEAR, [(182, 182)], [(191, 191)], from_start(30), 30, [(10, 1)]),
    ("clean window for life", LEAP_YEAR, [(182, 182)], [(191, 191)], from_start(30), 9999, [(10, 1)]),
    (
        "several outcomes, two of them new",
        LEAP_YEAR,
        [(60, 60)],
        [(55, 55), (91, 91), (95, 95), (100, 100), (115, 115)],
        from_start(60),
        10,
        [(31, 2)],
    ),
    (
        "an outcome that never ends leaves nothing",
        LEAP_YEAR,
        [(60, 60)],
        [(day, 365) for day in (55, 91, 95, 100, 115)],
        from_start(60),
        10,
        [(0, 0)],
    ),
    ("one outcome", LEAP_YEAR, [(60, 60)], [(91, 91)], from_start(60), 30, [(32, 1)]),
    ("one outcome after a time of one day", LEAP_YEAR, [(60, 60)], [(91, 91)], WHOLE, 30, [(1, 0)]),
    (
        "time at risk until observation ends",
        LEAP_YEAR,
        [(60, 60)],
        [(91, 91)],
        Window(start_anchor="start", start_offset=0, end_anchor="end", end_offset=999),
        30,
        [(277, 1)],
    ),
    (
        "a start beyond observation",
        LEAP_YEAR,
        [(60, 60)],
        [],
        Window(start_anchor="start", start_offset=9999, end_anchor="end", end_offset=0),
        30,
        [],
    ),
    (
        "an entry on the last day, at risk from the day after",
        LEAP_YEAR,
        [(366, 366)],
        [],
        Window(start_anchor="start", start_offset=1, end_anchor="end", end_offset=0),
        30,
        [],
    ),
    (
        "at risk from the day after entry",
        LEAP_YEAR,
        [(60, 90)],
        [],
        Window(start_anchor="start", start_offset=1, end_anchor="end", end_offset=0),
        30,
        [(30, 0)],
    ),
    (
        "without a clean window every outcome counts",
        LEAP_YEAR,
        [(60, 60)],
        [(day, day) for day in (69, 69, 70, 71, 72)],
        from_start(30),
        0,
        [(31, 5)],
    ),
    (
        "part of one year, and no later year",
        TEN_YEARS,
        YEARS,
        [(2008, 3653)],
        WHOLE,
        30,
        [(182, 1), (0, 0), (0, 0)],
    ),
    ("an outcome before all years", TEN_YEARS, YEARS, [(1277, 3653)], WHOLE, 30, [(0, 0), (0, 0), (0, 0)]),
    (
        "a whole later time",
        TEN_YEARS,
        [(1827, 1857), (2100, 2130)],
        [(1978, 3804)],
        WHOLE,
        9999,
        [(31, 0), (0, 0)],
    ),
]


def spans(pairs):
    start, end = (np.array([pair[i] for pair in pairs], dtype="timedelta64[D]") + ZERO for i in (0, 1))
    return Spans(person=np.ones(len(pairs), dtype=np.int64), start=start, end=end)


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_the_reference_s_cases(case):
    _, observed, target, outcomes, window, clean, expected = case
    found = at_risk(spans(target), spans([observed]), spans(outcomes), window, clean_window=clean)
    assert list(zip(found.days.tolist(), found.outcomes.tolist(), strict=True)) == expected


def test_one_person_s_outcomes_are_not_another_s():
    person = np.array([7, 3, 5])
    start = ZERO + np.array([10, 20, 30])
    target = Spans(person=person, start=start, end=start + 9)
    observed = Spans(person=person, start=np.repeat(ZERO, 3), end=np.repeat(ZERO + 99, 3))
    outcome = Spans(person=np.array([3, 9]), start=ZERO + np.array([20, 10]), end=ZERO + np.array([20, 99]))
    found = at_risk(target, observed, outcome, WHOLE, clean_window=4)
    assert found.person.tolist() == [3, 5, 7]
    assert found.days.tolist() == [6, 10, 10]
    assert found.outcomes.tolist() == [1, 0, 0]


def test_two_observation_periods_each_hold_their_own_entries():
    target = spans([(5, 30), (50, 60), (35, 36)])
    observed = spans([(0, 9), (40, 55)])
    found = at_risk(target, observed, spans([]), WHOLE, clean_window=0)
    assert found.days.tolist() == [5, 6]
