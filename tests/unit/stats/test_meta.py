"""Meta-analysis: what each estimator of τ² is defined by, since the numbers themselves are checked against metafor's."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from statsmodels.stats.meta_analysis import combine_effects

from dure.stats.meta import Between, RestsOn, pool
from dure.stats.problems import NoEstimate

Y = [-0.9, -1.6, -1.3, -0.2, -0.8, 0.1, 0.4]
V = [0.3, 0.2, 0.4, 0.02, 0.01, 0.25, 0.07]


@pytest.mark.parametrize(
    ("between", "method", "close"), [(Between.DL, "chi2", 1e-12), (Between.PM, "iterated", 1e-5)]
)
def test_statsmodels(between, method, close):
    ours = pool(Y, V, between=between, test=RestsOn.Z)
    oracle = combine_effects(np.array(Y), np.array(V), method_re=method, atol=1e-10)
    assert ours.tau2 == pytest.approx(oracle.tau2, rel=close)
    assert ours.mean == pytest.approx(oracle.mean_effect_re, rel=close)
    assert ours.se == pytest.approx(oracle.sd_eff_w_re, rel=close)
    assert ours.q == pytest.approx(oracle.q, rel=1e-12)
    hksj = pool(Y, V, between=between, test=RestsOn.HKSJ)
    assert hksj.se == pytest.approx(oracle.sd_eff_w_re_hksj, rel=close)
    assert hksj.high - hksj.low > ours.high - ours.low


@pytest.mark.parametrize(("between", "restricted"), [(Between.ML, False), (Between.REML, True)])
def test_likelihood_estimates_are_where_the_likelihood_is_largest(between, restricted):
    y, v = np.array(Y), np.array(V)

    def deviance(tau2):
        w = 1 / (v + tau2)
        q = w @ (y - w @ y / w.sum()) ** 2
        return q - np.log(w).sum() + (np.log(w.sum()) if restricted else 0)

    best = minimize_scalar(deviance, bounds=(0, 5), method="bounded", options={"xatol": 1e-10}).x
    assert pool(Y, V, between=between).tau2 == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("between", Between)
def test_alike_hospitals_have_no_variance_between_them(between):
    found = pool([0.5] * 4, [0.1, 0.2, 0.3, 0.4], between=between, test=RestsOn.Z)
    assert found.tau2 == 0
    assert found.mean == pytest.approx(0.5)
    assert found.q == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("between", Between)
def test_shift_and_scale(between):
    """Moving all effects moves the mean; another unit scales everything."""
    base = pool(Y, V, between=between)
    moved = pool([y + 3 for y in Y], V, between=between)
    scaled = pool([2 * y for y in Y], [4 * v for v in V], between=between)
    assert moved.mean == pytest.approx(base.mean + 3)
    assert moved.tau2 == pytest.approx(base.tau2, abs=1e-9)
    assert (scaled.mean, scaled.se) == pytest.approx((2 * base.mean, 2 * base.se))
    assert scaled.tau2 == pytest.approx(4 * base.tau2)


@pytest.mark.parametrize(
    ("estimates", "variances"),
    [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([1.0, 2.0], [1.0, 0.0]), ([1.0, float("nan")], [1.0, 1.0])],
)
def test_what_gives_no_estimate(estimates, variances):
    with pytest.raises(NoEstimate):
        pool(estimates, variances)
