"""Follow-up, one person at a time: whose it is, how long it lasts, how it ends."""

import numpy as np
import pytest

from dure.features.covariates import Entries
from dure.features.follow_up import arms, follow
from dure.features.time_at_risk import Spans


def day(text):
    return np.datetime64(f"2020-{text}", "D")


def spans(*rows):
    """(person, start, end) as month-day."""
    return Spans(
        person=np.array([row[0] for row in rows], dtype=np.int64),
        start=np.array([day(row[1]) for row in rows], dtype="datetime64[D]"),
        end=np.array([day(row[-1]) for row in rows], dtype="datetime64[D]"),
    )


def entries(*rows):
    found = spans(*rows)
    return Entries(person=found.person, start=found.start, end=found.end)


YEAR = (7, "01-01", "12-31")


@pytest.mark.parametrize(
    ("why", "outcome", "competing", "settings", "time", "event"),
    [
        ("nothing happens: to the end of observation", [], [], {}, 305, 0),
        ("the outcome", [(7, "03-11")], [], {}, 10, 1),
        ("only the first after entry", [(7, "03-11"), (7, "03-21")], [], {}, 10, 1),
        ("somebody else's outcome", [(6, "03-11"), (8, "03-11")], [], {}, 305, 0),
        ("what competes comes first", [(7, "03-21")], [(7, "03-11")], {}, 10, 2),
        ("what competes comes later", [(7, "03-11")], [(7, "03-21")], {}, 10, 1),
        ("on one day the outcome counts", [(7, "03-11")], [(7, "03-11")], {}, 10, 1),
        ("on the last day it counts", [(7, "12-31")], [], {}, 305, 1),
        ("after the horizon it doesn't", [(7, "03-11")], [], {"horizon": 9}, 9, 0),
        ("on the horizon it does", [(7, "03-11")], [], {"horizon": 10}, 10, 1),
        ("the cohort ends first", [(7, "04-11")], [], {"until_end_plus": 0}, 31, 0),
        ("days of grace", [(7, "04-11")], [], {"until_end_plus": 10}, 41, 1),
        ("an outcome before, long enough ago", [(7, "01-01"), (7, "03-11")], [], {"washout": 59}, 10, 1),
        ("an outcome before, not long enough", [(7, "01-01"), (7, "03-11")], [], {"washout": 60}, None, None),
        ("an outcome on the day of entry", [(7, "03-01")], [], {"washout": 0}, None, None),
        ("what competes on the day of entry is past", [], [(7, "03-01")], {}, 305, 0),
    ],
)  # fmt: skip
def test_one_person(why, outcome, competing, settings, time, event):
    entered = arms([entries((7, "03-01", "04-01"))])
    settings = {"horizon": 1000, "washout": 0, **settings}
    found = follow(entered, spans(YEAR), spans(*outcome), spans(*competing), **settings)
    told = (found.time.tolist(), found.event.tolist())
    assert told == (([], []) if time is None else ([time], [event])), why


@pytest.mark.parametrize(
    ("observed", "time"),
    [
        ([(7, "01-01", "02-29")], None),
        ([(7, "03-01", "03-01")], None),
        ([(7, "03-01", "03-02")], 1),
        ([(7, "01-01", "02-01"), (7, "02-15", "03-05"), (7, "04-01", "12-31")], 4),
        ([(6, "01-01", "12-31")], None),
    ],
)
def test_who_is_not_observed_on_the_day_of_entry_or_after_it_is_not_followed(observed, time):
    entered = arms([entries((7, "03-01", "12-31"))])
    found = follow(entered, spans(*observed), spans(), None, horizon=1000, washout=0)
    assert found.time.tolist() == ([] if time is None else [time])


def test_a_person_is_in_the_cohort_entered_first_and_in_none_after_a_tie():
    found = arms(
        [
            entries((1, "01-01", "12-31"), (2, "02-02", "12-31"), (3, "03-03", "12-31")),
            entries((1, "01-02", "12-31"), (2, "02-01", "12-31"), (3, "03-03", "12-31"), (4, "05-05", "12-31")),
        ]
    )  # fmt: skip
    assert found.person.tolist() == [1, 2, 4]
    assert found.arm.tolist() == [0, 1, 1]


def test_nobody():
    entered = arms([entries(), entries()])
    assert len(follow(entered, spans(YEAR), spans(), spans(), horizon=9, washout=0).time) == 0
