"""Time at risk on timelines, after OHDSI CohortIncidence: days are numbers, spans include both ends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.features.time_at_risk import Spans, Window, at_risk

ZERO = np.datetime64("2020-01-01")
WHOLE = Window(start_anchor="start", start_offset=0, end_anchor="end", end_offset=0)
# says, target, observed, outcomes, window, clean window -> (days, outcomes) of each time at risk
CASES = [
    ("both ends count", [(0, 9)], [(0, 99)], [], WHOLE, 0, [(10, 0)]),
    ("observation ends it", [(0, 9)], [(0, 4)], [], WHOLE, 0, [(5, 0)]),
    ("an outcome on a day at risk counts", [(0, 9)], [(0, 99)], [(5, 5)], WHOLE, 0, [(10, 1)]),
    ("its later days are not at risk", [(0, 9)], [(0, 99)], [(5, 7)], WHOLE, 0, [(8, 1)]),
    ("nor the clean window", [(0, 9)], [(0, 99)], [(2, 2)], WHOLE, 3, [(7, 1)]),
    ("a second outcome within it does not count", [(0, 9)], [(0, 99)], [(2, 2), (4, 4)], WHOLE, 3, [(5, 1)]),
    ("after it, it does", [(0, 9)], [(0, 99)], [(2, 2), (6, 6)], WHOLE, 3, [(4, 2)]),
    ("an outcome before takes the start away", [(10, 19)], [(0, 99)], [(8, 8)], WHOLE, 5, [(6, 0)]),
    ("or everything", [(10, 19)], [(0, 99)], [(8, 8)], WHOLE, 9999, [(0, 0)]),
    ("overlapping times are one", [(0, 9), (5, 14)], [(0, 99)], [], WHOLE, 0, [(15, 0)]),
    ("touching times are two", [(0, 4), (5, 9)], [(0, 99)], [], WHOLE, 0, [(5, 0), (5, 0)]),
    (
        "offsets move both ends",
        [(0, 9)],
        [(0, 99)],
        [],
        Window(start_anchor="start", start_offset=1, end_anchor="start", end_offset=5),
        0,
        [(5, 0)],
    ),
    (
        "from the end",
        [(0, 9)],
        [(0, 99)],
        [(12, 12)],
        Window(start_anchor="end", start_offset=1, end_anchor="end", end_offset=5),
        0,
        [(5, 1)],
    ),
    (
        "a time that ends before it starts is none",
        [(0, 9)],
        [(0, 99)],
        [],
        Window(start_anchor="end", start_offset=0, end_anchor="start", end_offset=0),
        0,
        [],
    ),
    (
        "nor one that starts outside observation",
        [(0, 9)],
        [(0, 9)],
        [],
        Window(start_anchor="end", start_offset=1, end_anchor="end", end_offset=5),
        0,
        [],
    ),
]


def spans(pairs, person=1):
    start, end = (np.array([pair[i] for pair in pairs], dtype="timedelta64[D]") + ZERO for i in (0, 1))
    return Spans(person=np.full(len(pairs), person, dtype=np.int64), start=start, end=end)


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_timelines(case):
    _, target, observed, outcomes, window, clean, expected = case
    found = at_risk(spans(target), spans(observed), spans(outcomes), window, clean_window=clean)
    assert list(zip(found.days.tolist(), found.outcomes.tolist(), strict=True)) == expected


PAIRS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=5)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    target=PAIRS, outcomes=PAIRS, clean=st.integers(0, 8), first=st.integers(-3, 5), last=st.integers(-3, 9)
)
def test_the_same_as_looking_at_every_day(target, outcomes, clean, first, last):
    """A naive count over sets of days gives the same totals."""
    target = [(start, start + length) for start, length in target]
    outcomes = [(start, start + length) for start, length in outcomes]
    window = Window(start_anchor="start", start_offset=first, end_anchor="end", end_offset=last)
    found = at_risk(spans(target), spans([(0, 45)]), spans(outcomes), window, clean_window=clean)
    at = set()
    for start, end in target:
        if start <= 45 and 0 <= start + first <= 45 and start + first <= end + last:
            at |= set(range(start + first, min(end + last, 45) + 1))
    blocked = {day for start, end in outcomes for day in range(start + 1, end + clean + 1)}
    assert found.days.sum() == len(at - blocked)
    assert found.outcomes.sum() == sum(start in at - blocked for start, _ in outcomes)
