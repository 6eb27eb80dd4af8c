"""Risk sets' sums against the partial likelihood written down as its definition has it."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dure.stats.risk_sets import (
    between,
    expected,
    exposure,
    follow,
    gram,
    hazard,
    means,
    risk,
    score_residuals,
    time_sums,
)


def people(rng, n):
    entry = rng.integers(0, 6, n)
    return {
        "time": entry + rng.integers(0, 8, n),
        "event": rng.random(n) < 0.6,
        "x": rng.normal(size=(n, 3)),
        "entry": entry if rng.integers(2) else None,
        "weight": rng.uniform(0.2, 2, n) if rng.integers(2) else None,
    }


def by_definition(time, event, x, entry, weight, beta, ties):
    """The logarithm of the partial likelihood, event time by event time, tie by tie."""
    entry = np.full(len(time), -1) if entry is None else entry
    weight = np.ones(len(time)) if weight is None else weight
    event = event & (entry < time)
    r, total = weight * np.exp(x @ beta), 0.0
    for t in np.unique(time[event]):
        tied, at_risk = event & (time == t), (entry < t) & (t <= time)
        d, mean = tied.sum(), weight[tied].mean()
        total += (weight * (x @ beta))[tied].sum()
        for rank in range(d):
            share = rank / d if ties == "efron" else 0.0
            total -= mean * np.log(r[at_risk].sum() - share * r[tied].sum())
    return total


def derivatives(function, beta, step=1e-4):
    p, eye = len(beta), np.eye(len(beta)) * step
    score = np.array([(function(beta + eye[i]) - function(beta - eye[i])) / (2 * step) for i in range(p)])
    information = np.array(
        [
            [
                function(beta + eye[i] + eye[j])
                - function(beta + eye[i] - eye[j])
                - function(beta - eye[i] + eye[j])
                + function(beta - eye[i] - eye[j])
                for j in range(p)
            ]
            for i in range(p)
        ]
    ) / (-4 * step**2)
    return score, information


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_value_score_and_information(ties, seed):
    rng = np.random.default_rng(seed)
    data, beta = people(rng, int(rng.integers(2, 40))), rng.normal(scale=0.5, size=3)
    followed = follow(**data)
    assume(followed.times)
    eta, r = risk(followed, beta)
    sums = time_sums(followed, r, ties)
    at = hazard(sums, ties)
    weight = np.ones(len(r)) if data["weight"] is None else data["weight"]
    rows = followed.event
    value = weight[rows] @ eta[rows] - at.log.sum()
    score = weight[rows] @ data["x"][rows] - expected(sums, at)
    information = gram(data["x"], r * exposure(followed, at)) - between(sums, at)

    def function(beta):
        return by_definition(**data, beta=beta, ties=ties)

    assert value == pytest.approx(function(beta), abs=1e-9)
    by_steps, curvature = derivatives(function, beta)
    np.testing.assert_allclose(score, by_steps, atol=1e-5)
    np.testing.assert_allclose(information, curvature, atol=1e-4)
    residuals = score_residuals(followed, r, means(sums, at), at)
    np.testing.assert_allclose(residuals.sum(axis=0), score, atol=1e-9)


def test_what_is_the_same_for_everyone_cancels():
    rng = np.random.default_rng(1)
    data, beta = people(rng, 50), np.array([0.3, -0.2, 0.1])
    followed = follow(**data)
    found = []
    for origin in (0.0, 3.0):
        _, r = risk(followed, beta, origin=origin)
        sums = time_sums(followed, r, "efron")
        at = hazard(sums, "efron")
        found.append((expected(sums, at), between(sums, at), r * exposure(followed, at)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_rows_that_are_never_at_risk_say_nothing():
    followed = follow(
        np.array([1, 5, 5]), np.array([False, True, False]), np.ones((3, 1)), entry=np.array([0, 0, 5])
    )
    assert followed.idle.tolist() == [True, False, True]
    _, r = risk(followed, np.zeros(1))
    sums = time_sums(followed, r, "efron")
    assert sums.s0.tolist() == [1]
    assert exposure(followed, hazard(sums, "efron"))[1] == 1
