"""Standardised rates: what they come to in simple cases, and how often the gamma interval covers."""

import numpy as np
import pytest

from dure.stats.intervals import poisson_exact
from dure.stats.problems import NoEstimate
from dure.stats.standardisation import direct, expected_events, indirect, ratio_to_expected


def test_one_stratum_has_the_exact_poisson_interval():
    """Fay and Feuer's interval is made to give Garwood's where all weights are alike."""
    for events in (0, 1, 12):
        found = direct([events], [40.0], [3.0])
        assert (found.low, found.high) == pytest.approx(poisson_exact(events, 40.0))
        alike = direct([events, 0, 2], [40.0, 10.0, 20.0], [4, 1, 2])
        assert (alike.low, alike.high) == pytest.approx(poisson_exact(events + 2, 70.0))


def test_the_standard_as_weights_gives_the_standards_rate():
    time, rates, standard = np.array([10.0, 20.0, 5.0]), np.array([0.5, 1.0, 2.0]), np.array([1, 1, 2])
    found = direct((time * rates).astype(int).tolist(), time.tolist(), standard.tolist())
    assert found.value == pytest.approx((0.5 + 1.0 + 2 * 2.0) / 4)


def test_intervals_cover():
    """The gamma interval is made to cover at least as often as it says, with few events and unequal weights too."""
    rng = np.random.default_rng(5)
    time, standard = np.array([300.0, 200.0, 50.0, 20.0]), np.array([3, 2, 2, 1])
    rates = np.array([0.01, 0.02, 0.05, 0.2])
    truth = standard @ rates / standard.sum()
    found = [
        direct(rng.poisson(time * rates).tolist(), time.tolist(), standard.tolist()) for _ in range(2_000)
    ]
    assert 0.95 <= np.mean([one.low <= truth <= one.high for one in found]) < 0.99


def test_indirect():
    expected = expected_events([100.0, 50.0], [0.1, 0.2])
    assert expected == pytest.approx(20)
    smr = ratio_to_expected(30, expected)
    assert smr.value == pytest.approx(1.5)
    assert (smr.low, smr.high) == pytest.approx(poisson_exact(30, 20.0))
    rate = indirect([10, 20], [100.0, 50.0], [0.1, 0.2], 0.12)
    assert rate.value == pytest.approx(1.5 * 0.12)


def test_what_gives_no_estimate():
    with pytest.raises(NoEstimate):
        direct([1, 2], [10.0, 0.0], [1, 1])
    with pytest.raises(NoEstimate):
        direct([1, 2], [10.0, 5.0], [1])
    with pytest.raises(NoEstimate):
        ratio_to_expected(3, 0.0)
