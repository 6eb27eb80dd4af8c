"""Newton's method as steps over data: it converges, halves, gives up with its path, and never returns a wrong maximum."""

import numpy as np
import pytest

from dure.stats import newton
from dure.stats.newton import Found, NewtonState, Stuck, Trouble
from dure.wire.codec import decode, encode


def ascend(start, function, *, most=50, lawful=lambda point: True):
    state = newton.begin(np.array(start, dtype=float))
    while True:
        value, score, information = function(np.array(state.point))
        outcome = newton.advance(state, value, score, information, most=most, lawful=lawful)
        if not isinstance(outcome, NewtonState):
            return outcome
        state = decode(NewtonState, encode(outcome), where="test")


def quadratic(point):
    curvature = np.array([[4.0, 1.0], [1.0, 3.0]])
    apart = point - np.array([1.0, -2.0])
    return -apart @ curvature @ apart / 2, -curvature @ apart, curvature


def arctangent(point):
    """-log cosh: a full step from beyond 1.09 goes ever farther away."""
    x = float(point[0])
    return -np.log(np.cosh(x)), np.array([-np.tanh(x)]), np.array([[1 / np.cosh(x) ** 2]])


def test_a_quadratic_takes_one_step_and_a_look():
    found = ascend([0, 0], quadratic)
    assert isinstance(found, Found)
    np.testing.assert_allclose(found.point, [1, -2], atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.linalg.inv([[4, 1], [1, 3]]))
    assert len(found.path) == 2


def test_a_step_too_long_is_halved():
    found = ascend([3.0], arctangent)
    assert isinstance(found, Found)
    assert abs(found.point[0]) < 1e-9
    assert any(visited.decrement is None and visited.fraction == 1.0 for visited in found.path)
    assert any(visited.fraction < 1.0 for visited in found.path)


def test_rounds_that_run_out_give_the_path_and_no_number():
    stuck = ascend([3.0], arctangent, most=3)
    assert isinstance(stuck, Stuck)
    assert stuck.trouble is Trouble.NOT_CONVERGED
    assert len(stuck.path) == 3


def test_a_maximum_at_infinity_runs_off():
    def separated(point):
        gone = np.exp(-point[0])
        return -gone, np.array([gone]), np.array([[gone]])

    stuck = ascend([0.0], separated, lawful=lambda point: abs(point[0]) <= 10)
    assert isinstance(stuck, Stuck)
    assert stuck.trouble in (Trouble.RUNS_OFF, Trouble.NOT_CONVERGED)


def test_dependent_columns_are_named():
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(3, 100))
    x = np.stack([a, b, c, a + b])
    assert newton.collinear(x @ x.T) == (0, 1, 3)
    assert newton.collinear((x * [[1], [0], [1], [1]]) @ (x * [[1], [0], [1], [1]]).T) == (1,)
    assert newton.collinear(x[:3] @ x[:3].T) == ()

    stuck = ascend(np.zeros(4), lambda point: (0.0, np.ones(4), x @ x.T))
    assert isinstance(stuck, Stuck)
    assert (stuck.trouble, stuck.columns) == (Trouble.COLLINEAR, (0, 1, 3))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nothing_finite_is_no_number(bad):
    stuck = ascend([0.0], lambda point: (bad, np.array([1.0]), np.eye(1)))
    assert isinstance(stuck, Stuck)
    encode(stuck.path[0])
