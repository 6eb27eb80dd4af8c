"""Curves of small tables by hand, and identities between estimators."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.stats.risk_table import BadGrid, GroupAtRisk
from dure.stats.survival_curves import (
    AtRisk,
    cumulative_incidence,
    kaplan_meier,
    mean_difference,
    mean_ratio,
    quantile,
    restricted_mean,
)


def table(events, left, edges=None, came=None):
    """A group by interval; events of one cause, or a list for each."""
    events = np.atleast_2d(events)
    total = int(events.sum() + sum(left))
    return AtRisk.of(
        tuple(edges or range(len(left) + 1)),
        GroupAtRisk(
            came=tuple(came or (total, *[0] * (len(left) - 1))),
            events=tuple(tuple(int(d) for d in cause) for cause in events),
            left=tuple(left),
        ),
    )


# The 6-MP arm of Freireich's trial (Gehan 1965), by week: the table that every textbook prints.
WEEKS = [6, 7, 9, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 34, 35]
GEHAN = table(
    [3, 1, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0],
    [1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 2, 1, 1],
    edges=(0, *WEEKS),
)
PUBLISHED = [(6, 0.857, 0.0764), (7, 0.807, 0.0869), (10, 0.753, 0.0963), (13, 0.690, 0.1068)]
PUBLISHED += [(16, 0.627, 0.1141), (22, 0.538, 0.1282), (23, 0.448, 0.1346)]


@pytest.mark.parametrize(("week", "survival", "error"), PUBLISHED)
def test_the_textbook_curve(week, survival, error):
    found = kaplan_meier(GEHAN).at(week + 0.5)
    assert found.value == pytest.approx(survival, abs=5e-4)
    assert found.se == pytest.approx(error, abs=5e-5)
    assert found.low < found.value < found.high


def test_before_anything_happens_there_is_no_interval():
    curve = kaplan_meier(table([0, 1], [0, 3]))
    assert curve.value[0] == 1
    assert math.isnan(curve.low[0])
    assert kaplan_meier(GEHAN).at(5.9).value == 1
    assert cumulative_incidence(GEHAN, 0).at(5.9).value == 0


def test_who_comes_later_is_at_risk_from_then():
    group = table([1, 1], [0, 2], came=(2, 2))
    assert group.at_risk.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("events", "left", "expected"),
    [([1, 1, 1], [0, 0, 0], 2.0), ([1, 1, 1, 1], [0, 0, 0, 0], 2.5), ([1, 0], [0, 3], math.nan)],
    ids=["the first day below a half", "the middle where it is a half", "never reached"],
)
def test_medians(events, left, expected):
    assert quantile(kaplan_meier(table(events, left)), 0.5)[0] == pytest.approx(expected, nan_ok=True)


def test_the_mean_of_everyone_seen_to_the_end_is_the_mean():
    everyone = table([2, 1, 1], [0, 0, 0])
    assert restricted_mean(everyone, 3).value == pytest.approx((1 + 1 + 2 + 3) / 4)
    assert restricted_mean(everyone, 2.5).value == pytest.approx((1 + 1 + 2 + 2.5) / 4)
    with pytest.raises(BadGrid):
        restricted_mean(everyone, 4)


def test_a_group_is_as_good_as_itself():
    assert mean_difference(GEHAN, GEHAN, 30).value == 0
    assert mean_difference(GEHAN, GEHAN, 30).p == 1
    for lost in (False, True):
        assert mean_ratio(GEHAN, GEHAN, 30, lost=lost).value == 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_incidences_and_survival_share_everyone_out(seed):
    """Over random tables: the causes' incidences and survival make 1; with one cause, incidence is 1 - Kaplan-Meier."""
    rng = np.random.default_rng(seed)
    causes, times = rng.integers(1, 4), rng.integers(1, 12)
    group = table(rng.integers(0, 6, (causes, times)), rng.integers(0, 6, times).tolist())
    survival = kaplan_meier(group)
    curves = [cumulative_incidence(group, cause) for cause in range(causes)]
    some = group.at_risk > 0
    np.testing.assert_allclose((survival.value + sum(c.value for c in curves))[some], 1, atol=1e-12)
    if causes == 1:
        np.testing.assert_allclose(curves[0].se[some], survival.se[some], atol=1e-9)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_the_variance_of_incidence_is_the_jackknife(seed):
    """One person more or less of each kind, to first order: the definition of the infinitesimal jackknife."""
    rng = np.random.default_rng(seed)
    events, left = rng.integers(1, 6, (2, 6)).astype(float), rng.integers(1, 6, 6).astype(float)

    def incidence(events, left):
        gone = events.sum(axis=0) + left
        at_risk = gone[::-1].cumsum()[::-1]
        survival = np.concatenate([[1.0], np.cumprod(1 - events.sum(axis=0) / at_risk)[:-1]])
        return np.cumsum(survival * events[0] / at_risk)

    at, square, step = incidence(events, left), np.zeros(6), 1e-6
    for time in range(6):
        for kind in range(3):
            more, later = events.copy(), left.copy()
            (more[kind] if kind < 2 else later)[time] += step
            people = events[kind, time] if kind < 2 else left[time]
            square += people * ((incidence(more, later) - at) / step) ** 2
    found = cumulative_incidence(table(events, left.astype(int).tolist()), 0)
    np.testing.assert_allclose(found.value, at, rtol=1e-12)
    np.testing.assert_allclose(found.se, np.sqrt(square), rtol=1e-4)
