"""Mantel-Haenszel against statsmodels and against what it must come to in one stratum, in sparse ones, and in many."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from dure.stats import mantel_haenszel as mh
from dure.stats.problems import NoEstimate


def tables(seed, strata=6, size=60):
    rng = np.random.default_rng(seed)
    return rng.multinomial(size, [0.1, 0.35, 0.15, 0.4], strata).T


@pytest.mark.parametrize("seed", range(5))
def test_statsmodels(seed):
    a, b, c, d = tables(seed)
    sums = mh.table_sums(mh.table_terms(a, b, c, d))
    oracle = StratifiedTable(np.stack([[a, b], [c, d]]).astype(float))
    odds = mh.odds_ratio(sums)
    assert odds.value == pytest.approx(oracle.oddsratio_pooled, rel=1e-12)
    assert odds.se == pytest.approx(oracle.logodds_pooled_se, rel=1e-12)
    assert (odds.low, odds.high) == pytest.approx(oracle.oddsratio_pooled_confint(), rel=1e-12)
    assert mh.risk_ratio(sums).value == pytest.approx(oracle.riskratio_pooled, rel=1e-12)
    for corrected in (True, False):
        assert mh.chi_square(sums, corrected=corrected) == pytest.approx(
            oracle.test_null_odds(correction=corrected).statistic, rel=1e-12
        )


def test_one_stratum_is_the_crude_estimate():
    a, b, c, d = 20, 80, 10, 90
    sums = mh.table_sums(mh.table_terms([a], [b], [c], [d]))
    assert mh.odds_ratio(sums).value == pytest.approx(a * d / (b * c))
    assert mh.odds_ratio(sums).se == pytest.approx(np.sqrt(1 / a + 1 / b + 1 / c + 1 / d))
    assert mh.risk_ratio(sums).value == pytest.approx((a / 100) / (c / 100))
    assert mh.risk_ratio(sums).se == pytest.approx(np.sqrt(1 / a - 1 / 100 + 1 / c - 1 / 100))
    assert mh.risk_difference(sums).value == pytest.approx(0.1)
    rates = mh.rate_sums(mh.rate_terms([a], [50.0], [c], [100.0]))
    assert mh.rate_ratio(rates).value == pytest.approx((a / 50) / (c / 100))
    assert mh.rate_ratio(rates).se == pytest.approx(np.sqrt(1 / a + 1 / c))
    assert mh.rate_difference(rates).value == pytest.approx(a / 50 - c / 100)
    assert mh.rate_difference(rates).se == pytest.approx(np.sqrt(a / 50**2 + c / 100**2))


@pytest.mark.parametrize(("strata", "size", "tolerance"), [(5, 400, 0.15), (200, 6, 0.15)])
def test_variances_hold_for_large_strata_and_for_many(strata, size, tolerance):
    """The spread of 600 simulated estimates is what the standard error says, in both limits."""
    rng = np.random.default_rng(7)
    n1 = np.full(strata, size // 2)
    low = rng.uniform(0.1, 0.4, strata)
    found = []
    for _ in range(600):
        a, c = rng.binomial(n1, low + 0.1), rng.binomial(n1, low)
        sums = mh.table_sums(mh.table_terms(a, n1 - a, c, n1 - c))
        difference, relative = mh.risk_difference(sums), mh.risk_ratio(sums)
        odds = mh.odds_ratio(sums)
        found.append(
            (
                difference.value,
                np.log(relative.value),
                np.log(odds.value),
                difference.se,
                relative.se,
                odds.se,
            )
        )
    found = np.array(found)
    np.testing.assert_allclose(found[:, 3:].mean(axis=0), found[:, :3].std(axis=0), rtol=tolerance)


def test_adding_terms_is_adding_strata():
    a, b, c, d = tables(3)
    together = mh.table_terms(a, b, c, d).sum(axis=0)
    apart = mh.table_terms(a[:2], b[:2], c[:2], d[:2]).sum(axis=0) + mh.table_terms(
        a[2:], b[2:], c[2:], d[2:]
    ).sum(axis=0)
    np.testing.assert_allclose(together, apart, rtol=1e-13)


def test_a_stratum_with_one_group_says_nothing():
    alone = mh.table_terms([3, 0], [4, 0], [0, 5], [0, 6])
    assert not alone.any()
    assert not mh.rate_terms([3], [4.0], [0], [0.0]).any()
    with pytest.raises(NoEstimate):
        mh.odds_ratio(mh.table_sums(alone))
    with pytest.raises(NoEstimate):
        mh.peto(mh.table_sums(alone))
    with pytest.raises(NoEstimate):
        mh.risk_difference(mh.table_sums(alone))


def test_peto_is_near_the_odds_ratio_of_rare_outcomes():
    sums = mh.table_sums(mh.table_terms([11, 8], [989, 992], [9, 7], [991, 993]))
    assert mh.peto(sums).value == pytest.approx(mh.odds_ratio(sums).value, rel=1e-2)
