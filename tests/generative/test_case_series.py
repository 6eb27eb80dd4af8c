"""The parts of people's time equal what comes of looking at every day by itself."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.features.case_series import BASELINE, RiskDays, case_series
from dure.features.demographics import People
from dure.features.time_at_risk import Spans

FIRST = np.datetime64("2019-12-20", "D")
PEOPLE = People(
    person=np.array([1, 2, 3]), year_of_birth=np.array([1950, 1960, 2019]), gender=np.zeros(3, dtype=np.int64)
)
DAYS = st.integers(0, 60)
SPANS = st.lists(st.tuples(st.integers(1, 3), DAYS, st.integers(0, 20)), max_size=6)
WINDOWS = st.lists(
    st.builds(
        RiskDays,
        start_anchor=st.sampled_from(["start", "end"]),
        start=st.integers(-10, 5),
        end_anchor=st.sampled_from(["start", "end"]),
        end=st.integers(-5, 15),
    ),
    min_size=1,
    max_size=3,
)


def spans(rows):
    start = FIRST + np.array([row[1] for row in rows], dtype="timedelta64[D]")
    return Spans(
        person=np.array([row[0] for row in rows], dtype=np.int64),
        start=start,
        end=start + np.array([row[2] for row in rows], dtype="timedelta64[D]"),
    )


def holds(window, exposure, day):
    ends = {"start": exposure[1], "end": exposure[1] + exposure[2]}
    return ends[window.start_anchor] + window.start <= day <= ends[window.end_anchor] + window.end


def day_by_day(observed, exposures, outcomes, windows, ages, season):
    """Days and outcomes by (person, window, age, month)."""
    days, counted = Counter(), Counter()
    for person in (1, 2, 3):
        seen = sorted({start + n for who, start, long in observed if who == person for n in range(long + 1)})
        mine = [start for who, start, _ in outcomes if who == person and start in seen]
        for day in seen if mine else []:
            window = next(
                (
                    place
                    for place, each in enumerate(windows)
                    if any(holds(each, x, day) for x in exposures if x[0] == person)
                ),
                BASELINE,
            )
            date = (FIRST + np.timedelta64(day, "D")).item()
            age = sum(date.year - int(PEOPLE.year_of_birth[person - 1]) >= each for each in ages)
            part = (person, window, age, date.month - 1 if season else 0)
            days[part] += 1
            counted[part] += mine.count(day)
    return days, counted


@settings(max_examples=150, deadline=None)
@given(SPANS, SPANS, SPANS, WINDOWS, st.booleans(), st.booleans())
def test_parts_equal_a_look_at_every_day(observed, exposures, outcomes, windows, by_age, season):
    ages = (1, 60, 70) if by_age else ()
    found = case_series(
        spans(observed),
        spans(exposures),
        spans(outcomes),
        PEOPLE,
        windows=windows,
        ages=ages,
        season=season,
        first_day=None,
        last_day=None,
    )
    days, counted = day_by_day(observed, exposures, outcomes, windows, ages, season)
    parts = list(
        zip(found.person.tolist(), found.window.tolist(), found.age.tolist(), found.month.tolist(), strict=True)
    )  # fmt: skip
    assert len(set(parts)) == len(parts)
    assert dict(zip(parts, found.days.tolist(), strict=True)) == days
    assert dict(zip(parts, found.outcomes.tolist(), strict=True)) == dict(counted)
