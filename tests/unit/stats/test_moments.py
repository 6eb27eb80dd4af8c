"""Moments, covariances and principal components over hospitals against NumPy, SciPy and scikit-learn on the pooled people."""

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA
from statsmodels.stats.weightstats import DescrStatsW

from dure.guard.suppression import open_cells
from dure.stats.base import Frame, Nothing, Released
from dure.stats.covariance import Covariance, CovarianceParams, correlation, principal_components
from dure.stats.design import binary, continuous
from dure.stats.moments import Moments, MomentsParams, standardised_difference

VARIABLES = (binary("dm"), continuous("visits", 0, 60), continuous("year", 2000, 2030))


def people(rng, rows, unknown=0.1):
    columns = {
        "dm": rng.integers(0, 2, rows).astype(float),
        "visits": rng.poisson(2, rows).astype(float),
        "year": rng.uniform(2001, 2029, rows),
    }
    columns["visits"] += 3 * columns["dm"]
    for column in columns.values():
        column[rng.random(rows) < unknown] = np.nan
    return {**columns, "group": rng.integers(0, 2, rows), "weight": rng.uniform(0.2, 3, rows)}


def ask(statistic, params, columns, hospitals=4, k=1):
    rows = len(next(iter(columns.values())))
    frames = [
        Frame(person=np.arange(rows)[h::hospitals], columns={n: c[h::hospitals] for n, c in columns.items()})
        for h in range(hospitals)
    ]
    layout = statistic.layout(params)
    answers = [statistic.local(frame, params, Nothing()) for frame in frames]
    shown = open_cells(layout, sum(answer.support for answer in answers), k)
    values = {
        field.name: np.where(shown[field.rests_on], sum(a.sums.values[field.name] for a in answers), 0)
        for field in layout.fields
    }
    return statistic.step(params, Nothing(), Released(layout=layout, open=shown, values=values)).result


def test_moments_are_those_of_the_pooled_people():
    columns = people(np.random.default_rng(1), 400)
    params = MomentsParams(variables=VARIABLES, groups=("a", "b"), largest_weight=5.0)
    result = ask(Moments(), params, columns)
    for g, group in enumerate(("a", "b")):
        inside = columns["group"] == g
        for found in result.groups[group]:
            known = inside & ~np.isnan(columns[found.name])
            x, w = columns[found.name][known], columns["weight"][known]
            assert found.people == len(x)
            assert found.mean == pytest.approx(x.mean(), rel=1e-12)
            assert found.variance == pytest.approx(x.var(ddof=1), rel=1e-10)
            if found.name != "dm":
                assert found.skewness == pytest.approx(stats.skew(x), rel=1e-9, abs=1e-9)
                assert found.kurtosis == pytest.approx(stats.kurtosis(x), rel=1e-9, abs=1e-9)
            oracle = DescrStatsW(x, w)
            assert found.weighted.mean == pytest.approx(oracle.mean, rel=1e-12)
            assert found.weighted.variance == pytest.approx(np.cov(x, aweights=w), rel=1e-9)
            assert found.weighted.people == pytest.approx(w.sum() ** 2 / (w @ w))


def test_a_standardised_difference_is_in_units_of_unweighted_spread():
    columns = people(np.random.default_rng(2), 300, unknown=0)
    params = MomentsParams(variables=VARIABLES, groups=("a", "b"), largest_weight=5.0)
    result = ask(Moments(), params, columns)
    for first, second in zip(*result.groups.values(), strict=True):
        x, w = columns[first.name], columns["weight"]
        a, b = columns["group"] == 0, columns["group"] == 1
        spread = np.sqrt((x[a].var(ddof=1) + x[b].var(ddof=1)) / 2)
        assert standardised_difference(first, second) == pytest.approx((x[a].mean() - x[b].mean()) / spread)
        moved = (np.average(x[a], weights=w[a]) - np.average(x[b], weights=w[b])) / spread
        assert standardised_difference(first, second, weighted=True) == pytest.approx(moved)
        assert standardised_difference(first, first) == 0


def test_a_covariance_matrix_is_that_of_complete_people():
    columns = people(np.random.default_rng(3), 500)
    result = ask(Covariance(), CovarianceParams(variables=VARIABLES), columns)
    x = np.stack([columns[variable.name] for variable in VARIABLES])
    x = x[:, ~np.isnan(x).any(axis=0)]
    assert result.people == x.shape[1]
    np.testing.assert_allclose(result.found.means, x.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(result.found.covariance, np.cov(x), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(correlation(result.found), np.corrcoef(x), rtol=1e-9, atol=1e-11)
    values, loadings = principal_components(np.array(result.found.covariance))
    oracle = PCA().fit(x.T)
    np.testing.assert_allclose(values, oracle.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(np.abs(loadings.T), np.abs(oracle.components_), atol=1e-9)
    assert (loadings[np.abs(loadings).argmax(axis=0), range(3)] > 0).all()


def test_values_outside_the_declared_range_count_as_at_its_ends():
    columns = {
        "dm": np.array([0.0, 1.0]),
        "visits": np.array([-4.0, 999.0]),
        "year": np.array([1900.0, 2010.0]),
    }
    result = ask(Moments(), MomentsParams(variables=VARIABLES), columns, hospitals=1)
    assert [found.mean for found in result.groups["everyone"]] == [0.5, 30.0, 2005.0]


def test_what_does_not_vary():
    columns = {"dm": np.ones(5), "visits": np.full(5, 7.0), "year": np.full(5, 2010.0)}
    found = ask(Moments(), MomentsParams(variables=VARIABLES), columns, hospitals=1).groups["everyone"]
    assert [one.variance for one in found] == pytest.approx([0, 0, 0], abs=1e-12)
    assert [one.skewness for one in found] == [None] * 3
    assert standardised_difference(found[0], found[0]) is None
    alone = ask(
        Covariance(), CovarianceParams(variables=VARIABLES), {n: c[:1] for n, c in columns.items()}, 1
    )
    assert alone.found is None
