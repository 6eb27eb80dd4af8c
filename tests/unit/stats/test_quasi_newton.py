"""The hub's model of curvature: its minimum is one, however alike covariates are, and says how far steps reach."""

import numpy as np
import pytest

from dure.stats.quasi_newton import Penalty, _by_search, _solved, _together, curvature, minimum


def alike(seed, size=40, factors=3):
    """A model of coordinates that go together, its gradient, and a start."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(200, factors)) @ rng.normal(size=(factors, size)) + 0.3 * rng.normal(
        size=(200, size)
    )
    model = x.T @ x / 200 + 0.01 * np.eye(size)
    return model, rng.normal(size=size), np.where(rng.random(size) < 0.5, rng.normal(size=size), 0)


def off(model, gradient, point, found, penalty):
    return penalty.violation(gradient + model @ (found - point), found).max()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_the_minimum_meets_its_conditions(seed, share):
    model, gradient, point = alike(seed)
    penalty = Penalty(strength=0.2, share=share)
    found = minimum(model, gradient, point, penalty)
    assert off(model, gradient, point, found, penalty) < 1e-7


@pytest.mark.parametrize("seed", range(6))
def test_the_search_finds_it_without_guesses(seed):
    model, gradient, point = alike(seed)
    penalty = Penalty(strength=0.2, share=1.0)
    absolute = np.array([0.0, *([0.2] * (len(point) - 1))])
    found = _by_search(model, gradient - model @ point, point, absolute)
    assert off(model, gradient, point, found, penalty) < 1e-7


def test_a_model_that_is_definite_but_for_rounding_is_solved():
    ones = np.ones((3, 3))
    found = _solved(ones, np.arange(3), np.ones(3))
    np.testing.assert_allclose(ones @ found, 1, rtol=1e-6)


def test_coordinates_that_go_together_bend_as_one():
    crossed, alone = np.zeros(4), np.ones(4)
    step, change = np.ones(4), 4 * np.ones(4)
    assert _together(crossed, alone, []) == 1
    assert _together(crossed, alone, [(step, change)]) == 4
    assert _together(crossed, alone, [(step, -change)]) == 1
    model = curvature(np.ones(4), np.zeros(4), [(step, change)])
    np.testing.assert_allclose(model @ step, change, rtol=1e-6)
