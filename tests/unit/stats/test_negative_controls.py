"""Empirical calibration: planted systematic error is found, and what is calibrated by it covers the truth."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from dure.stats.negative_controls import Null, calibrated, null_distribution, p_value
from dure.stats.power import least_detectable_ratio
from dure.stats.problems import NoEstimate


def controls(seed, number=60, mean=0.15, sd=0.2):
    rng = np.random.default_rng(seed)
    se = rng.uniform(0.05, 0.4, number)
    return rng.normal(mean, np.hypot(sd, se)), se


def test_the_null_is_the_maximum_likelihood_fit():
    y, se = controls(1)
    best = minimize(lambda p: -norm.logpdf(y, p[0], np.hypot(np.exp(p[1]), se)).sum(), [0, -1], tol=1e-12).x
    null = null_distribution(y.tolist(), se.tolist())
    assert (null.mean, null.sd) == pytest.approx((best[0], np.exp(best[1])), abs=1e-5)


def test_ease_is_the_mean_absolute_error():
    null = Null(mean=0.18, sd=0.24)
    drawn = norm(null.mean, null.sd).ppf((np.arange(100_000) + 0.5) / 100_000)
    assert null.ease == pytest.approx(np.abs(drawn).mean(), rel=1e-4)
    assert Null(mean=-0.3, sd=0.0).ease == pytest.approx(0.3)
    assert Null(mean=0.0, sd=0.5).ease == pytest.approx(0.5 * np.sqrt(2 / np.pi))


def test_without_error_nothing_changes():
    clean = Null(mean=0.0, sd=0.0)
    assert p_value(clean, 0.98, 0.5) == pytest.approx(2 * norm.sf(1.96))
    assert calibrated(clean, np.log(2), 0.3).value == pytest.approx(2)


def test_calibrated_intervals_cover_what_plain_ones_miss():
    y, se = controls(2, 400)
    null = null_distribution(y[:200].tolist(), se[:200].tolist())
    plain = np.mean([abs(a) < 1.96 * b for a, b in zip(y[200:], se[200:], strict=True)])
    covered = [calibrated(null, a, b) for a, b in zip(y[200:], se[200:], strict=True)]
    share = np.mean([one.low < 1 < one.high for one in covered])
    rejected = np.mean([p_value(null, a, b) < 0.05 for a, b in zip(y[200:], se[200:], strict=True)])
    assert plain < 0.85
    assert 0.9 < share < 0.99
    assert share == pytest.approx(1 - rejected)


def test_too_few_controls():
    with pytest.raises(NoEstimate):
        null_distribution([0.1] * 4, [0.1] * 4)


def test_the_least_detectable_ratio_is_found_with_the_power_asked_for():
    """Schoenfeld: log HR is normal with variance 1/(e p (1-p))."""
    ratio = least_detectable_ratio(200, 0.3)
    assert norm.sf(norm.isf(0.025) - np.log(ratio) * np.sqrt(200 * 0.21)) == pytest.approx(0.8)
    with pytest.raises(NoEstimate):
        least_detectable_ratio(0, 0.3)
    with pytest.raises(NoEstimate):
        least_detectable_ratio(10, 1.0)
