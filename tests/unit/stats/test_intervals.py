"""Intervals of proportions and ratios against other libraries' and what they mean."""

import numpy as np
import pytest
from scipy.stats import binom, poisson
from statsmodels.stats.proportion import proportion_confint

from dure.stats.intervals import (
    clopper_pearson,
    poisson_exact,
    rate_ratio_exact,
    rate_ratio_p,
    ratio,
    wald,
    wilson,
)


@pytest.mark.parametrize(("events", "people"), [(0, 10), (1, 10), (10, 10), (3, 40), (964, 20_000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_proportions(events, people, level):
    assert wilson(events, people, level) == pytest.approx(
        proportion_confint(events, people, 1 - level, "wilson"), abs=1e-12
    )
    assert clopper_pearson(events, people, level) == pytest.approx(
        proportion_confint(events, people, 1 - level, "beta"), abs=1e-12
    )


def test_exact_limits_leave_their_tails():
    low, high = poisson_exact(7, 1)
    assert poisson.sf(6, low) == pytest.approx(0.025)
    assert poisson.cdf(7, high) == pytest.approx(0.025)
    low, high = clopper_pearson(7, 30)
    assert binom.sf(6, 30, low) == pytest.approx(0.025)
    assert binom.cdf(7, 30, high) == pytest.approx(0.025)


def test_a_rate_ratio_given_all_events():
    low, high = rate_ratio_exact((8, 4), (100.0, 50.0))
    # Given 12 events, those of the first group are binomial with share rt/(1+rt).
    for end, tail in (
        (low, binom.sf(7, 12, low * 2 / (1 + low * 2))),
        (high, binom.cdf(8, 12, high * 2 / (1 + high * 2))),
    ):
        assert tail == pytest.approx(0.025), end
    assert rate_ratio_exact((3, 0), (1.0, 1.0))[1] == np.inf
    assert rate_ratio_exact((0, 3), (1.0, 1.0))[0] == 0
    assert rate_ratio_p((5, 5), (1.0, 1.0)) == pytest.approx(1)
    assert rate_ratio_p((0, 6), (1.0, 1.0)) == pytest.approx(2 / 64)


def test_normal_intervals():
    flat = wald(1.0, 0.5, 0.95)
    assert (flat.low, flat.high) == pytest.approx((0.020018, 1.979982), abs=1e-6)
    steep = ratio(np.log(2), 0.5)
    assert steep.value == pytest.approx(2)
    assert steep.low * steep.high == pytest.approx(4)
