"""Who is counted where in a risk table, and how fine its grid becomes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.stats.base import BadState, Frame
from dure.stats.risk_table import BadGrid, RiskTable, RiskTableParams, RiskTableState
from dure.stats.strata import Strata

ARM = Strata(name="arm", levels=("new", "old"))


def people(rows, *names):
    columns = np.array(rows, dtype=np.int64).reshape(-1, len(names)).T
    return Frame(person=np.arange(len(rows)), columns=dict(zip(names, columns, strict=True)))


def lines(group):
    return (group.came, group.events, group.left)


# says, (entry, time, event) of each, -> came, events, left in (0, 10], (10, 20], (20, 30]
CASES = [
    (
        "an interval has its last day and not its first",
        [(0, 10, 1), (0, 11, 1)],
        ((2, 0, 0), (1, 1, 0), (0, 0, 0)),
    ),
    ("who is last seen without an event leaves", [(0, 20, 0)], ((1, 0, 0), (0, 0, 0), (0, 1, 0))),
    ("what comes after the last day is not seen", [(0, 99, 1)], ((1, 0, 0), (0, 0, 0), (0, 0, 1))),
    ("who leaves on the first day is never at risk", [(0, 0, 1)], ((0, 0, 0), (0, 0, 0), (0, 0, 0))),
    (
        "who comes on a day is at risk from the next",
        [(9, 30, 1), (10, 30, 1)],
        ((1, 1, 0), (0, 0, 2), (0, 0, 0)),
    ),
    ("who comes early is there from the start", [(-5, 5, 1)], ((1, 0, 0), (1, 0, 0), (0, 0, 0))),
    ("who comes after leaving doesn't count", [(15, 15, 1), (30, 40, 1)], ((0, 0, 0), (0, 0, 0), (0, 0, 0))),
]


@pytest.mark.parametrize(("says", "rows", "expected"), CASES, ids=[case[0] for case in CASES])
def test_intervals(says, rows, expected, ask):
    params = RiskTableParams(edges=(0, 10, 20, 30), delayed=True)
    found, _ = ask(RiskTable(), params, [people(rows, "entry", "time", "event")])
    assert found.edges == params.edges
    came, events, left = expected
    assert lines(found.groups["everyone"]) == (came, (events,), left)


def test_causes_and_groups(ask):
    params = RiskTableParams(edges=(0, 10, 20), causes=2, breakdowns=(ARM,))
    rows = [(5, 1, 0), (5, 2, 0), (15, 2, 1), (20, 0, 1)]
    found, _ = ask(RiskTable(), params, [people(rows, "time", "event", "arm")])
    assert lines(found.groups["everyone"]) == ((4, 0), ((1, 0), (1, 1)), (0, 1))
    assert lines(found.groups["arm/new"]) == ((2, 0), ((1, 0), (1, 0)), (0, 0))
    assert lines(found.groups["arm/old"]) == ((2, 0), ((0, 0), (0, 1)), (0, 1))


def spread(events, left):
    """So many events, and leavers, on each day from 1."""
    days = range(1, len(events) + 1)
    times = np.concatenate([np.repeat(days, events), np.repeat(days, left)])
    event = np.repeat([1, 0], [sum(events), sum(left)])
    return Frame(person=np.arange(len(times)), columns={"time": times, "event": event})


# says, events a day, leavers a day, k, -> the grid
GRIDS = [
    ("nobody is hidden with the rules off", [1, 0, 2, 1], [0, 1, 0, 5], 1, (0, 1, 2, 3, 4)),
    ("enough on every day keeps days", [11] * 4, [11] * 4, 11, (0, 1, 2, 3, 4)),
    ("no event on a day is no small cell", [20, 0, 0, 20], [11] * 4, 11, (0, 1, 2, 3, 4)),
    ("a day with one event joins its neighbour", [20, 1, 20, 20], [0, 0, 0, 20], 11, (0, 2, 3, 4)),
    ("a few leavers join days as few events do", [20] * 4, [20, 1, 20, 20], 11, (0, 2, 3, 4)),
    ("out of the middle where only that will do", [20, 4, 4, 4], [20, 3, 3, 40], 11, (0, 1, 4)),
    ("one interval where no cut will do", [3, 3, 3, 3], [3, 3, 3, 3], 11, (0, 4)),
    ("no table where not even that will", [1, 1, 1, 1], [20] * 4, 11, None),
]


@pytest.mark.parametrize(("says", "events", "left", "k", "grid"), GRIDS, ids=[grid[0] for grid in GRIDS])
def test_grids(says, events, left, k, grid, ask):
    found, _ = ask(RiskTable(), RiskTableParams(edges=(0, 1, 2, 3, 4)), [spread(events, left)], k)
    assert found.edges == grid


# says, the cuts, of a time of four intervals
UNLAWFUL = [
    ("beyond the end", ((4,),)),
    ("two cuts of one interval", ((2, 1),)),
    ("of an interval that was to stay whole", ((None,), (1,))),
    ("within another interval", ((2,), (1, 2))),
    ("one too few", ((2,), (1,))),
    ("more rounds than there are", ((2,), (1, 3), (), ())),
]


@pytest.mark.parametrize(("says", "cuts"), UNLAWFUL, ids=[case[0] for case in UNLAWFUL])
def test_cuts_that_are_no_question(says, cuts):
    with pytest.raises(BadState):
        RiskTable().judge(RiskTableParams(edges=(0, 1, 2, 3, 4)), RiskTableState(cuts=cuts))


@pytest.mark.parametrize("edges", [(), (3,), (0, 0), (0, 2, 1)])
def test_days_that_make_no_grid(edges):
    with pytest.raises(BadGrid):
        RiskTableParams(edges=edges)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**7))
def test_nothing_in_a_table_rests_on_a_few(seed, ask):
    """Every number of a released table, of each group and of those outside it, is nobody or at least k."""
    rng, k = np.random.default_rng(seed), 5
    n = int(rng.integers(20, 400))
    entry = rng.integers(0, 40, n)
    columns = {
        "entry": entry,
        "time": entry + rng.geometric(0.04, n),
        "event": rng.integers(0, 3, n),
        "arm": rng.integers(0, 2, n),
        "sex": (rng.random(n) < 0.2).astype(np.int64),
    }
    params = RiskTableParams(
        edges=tuple(range(0, 100, int(rng.integers(1, 20)))),
        causes=2,
        breakdowns=(ARM, Strata(name="sex", levels=("f", "m"))),
        delayed=bool(rng.integers(0, 2)),
    )
    found, _ = ask(RiskTable(), params, [Frame(person=np.arange(n), columns=columns)], k)
    tables = {name: np.array([group.came, *group.events, group.left]) for name, group in found.groups.items()}
    for table in tables.values():
        assert ((table == 0) | (table >= k)).all()
        rest = tables["everyone"] - table
        assert ((rest == 0) | (rest >= k)).all()
    for breakdown in params.breakdowns if tables else ():
        levels = [tables[f"{breakdown.name}/{level}"] for level in breakdown.levels]
        np.testing.assert_array_equal(sum(levels), tables["everyone"])
