"""The mixed model over hospitals against statsmodels, and against the likelihood written out with its full covariance."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from statsmodels.regression.mixed_linear_model import MixedLM

from dure.guard.suppression import open_cells
from dure.stats.base import Again, BadState, Frame, Released
from dure.stats.design import binary, continuous
from dure.stats.mixed_model import (
    MixedModel,
    MixedModelParams,
    MixedModelState,
    fit_together,
)
from dure.stats.problems import NoEstimate

OUTCOME = continuous("stay", -200, 200)
COVARIATES = (binary("drug"), continuous("age", 18, 100), continuous("visits", 0, 30))


def people(seed, hospitals=8, between=3.0):
    rng = np.random.default_rng(seed)
    hospital = np.repeat(np.arange(hospitals), rng.integers(15, 90, hospitals))
    rows = len(hospital)
    columns = {
        "drug": rng.integers(0, 2, rows),
        "age": rng.uniform(20, 95, rows),
        "visits": rng.poisson(2, rows),
        "hospital": hospital,
    }
    level = rng.normal(0, between, hospitals)[hospital]
    columns["stay"] = 10 + 2 * columns["drug"] - 0.1 * columns["age"] + level + rng.normal(0, 4, rows)
    return columns


def frames(columns):
    place = columns["hospital"]
    for one in np.unique(place):
        here = {name: column[place == one] for name, column in columns.items() if name != "hospital"}
        yield Frame(person=np.arange((place == one).sum()), columns=here)


def ask(columns, params, k=1):
    """The result, and how many rounds it took."""
    statistic, hospitals = MixedModel(), list(frames(columns))
    layout, state = statistic.layout(params), statistic.begin(params)
    for number in range(1, statistic.rounds(params) + 1):
        statistic.judge(params, state)
        answers = [statistic.local(frame, params, state) for frame in hospitals]
        shown = open_cells(layout, sum(answer.support for answer in answers), k)
        values = {
            f.name: np.where(shown[f.rests_on], sum(a.sums.values[f.name] for a in answers), 0)
            for f in layout.fields
        }
        outcome = statistic.step(params, state, Released(layout=layout, open=shown, values=values))
        if not isinstance(outcome, Again):
            return outcome.result, number
        state = outcome.state
    raise AssertionError("it did not finish")


def design(columns):
    return np.stack([np.ones(len(columns["stay"])), *(columns[c.name] for c in COVARIATES)], axis=1)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_statsmodels(seed, restricted):
    columns = people(seed)
    params = MixedModelParams(outcome=OUTCOME, covariates=COVARIATES, restricted=restricted)
    result, rounds = ask(columns, params)
    oracle = MixedLM(columns["stay"], design(columns), groups=columns["hospital"]).fit(
        reml=restricted, method="bfgs", gtol=1e-6
    )
    fit = result.fit
    assert rounds <= 12
    assert (result.people, result.hospitals) == (len(columns["stay"]), 8)
    assert [effect.estimate for effect in fit.effects] == pytest.approx(oracle.fe_params, rel=1e-4)
    assert fit.between == pytest.approx(oracle.cov_re[0, 0], rel=1e-3)
    assert fit.within == pytest.approx(oracle.scale, rel=1e-4)
    assert fit.deviance == pytest.approx(-2 * oracle.llf, rel=1e-8)
    assert [effect.error for effect in fit.effects] == pytest.approx(oracle.bse_fe, rel=5e-3)


def test_the_deviance_is_that_of_the_full_covariance():
    columns = people(4)
    fit, _ = ask(columns, MixedModelParams(outcome=OUTCOME, covariates=COVARIATES, restricted=False))
    fit = fit.fit
    beta = np.array([effect.estimate for effect in fit.effects])
    same = columns["hospital"][:, None] == columns["hospital"]
    covariance = fit.within * np.eye(len(same)) + fit.between * same
    density = multivariate_normal(design(columns) @ beta, covariance)
    assert fit.deviance == pytest.approx(-2 * density.logpdf(columns["stay"]), rel=1e-10)
    for factor in (0.99, 1.01):
        moved = fit.within * np.eye(len(same)) + factor * fit.between * same
        assert -2 * multivariate_normal(design(columns) @ beta, moved).logpdf(columns["stay"]) > fit.deviance


@pytest.mark.parametrize("restricted", [True, False])
def test_one_round_by_hospital_finds_the_same(restricted):
    columns = people(5)
    together, _ = ask(
        columns, MixedModelParams(outcome=OUTCOME, covariates=COVARIATES, restricted=restricted)
    )
    params = MixedModelParams(outcome=OUTCOME, covariates=COVARIATES, restricted=restricted, one_round=True)
    parts = []
    for one in np.unique(columns["hospital"]):
        here = {name: column[columns["hospital"] == one] for name, column in columns.items()}
        parts.append(ask(here, params)[0])
    fit = fit_together(params, parts)
    assert fit.deviance == pytest.approx(together.fit.deviance, rel=1e-10)
    assert [effect.estimate for effect in fit.effects] == pytest.approx(
        [effect.estimate for effect in together.fit.effects], rel=1e-8
    )
    hidden, _ = ask({name: column[:5] for name, column in columns.items()}, params, k=11)
    with pytest.raises(NoEstimate):
        fit_together(params, [*parts, hidden])


def test_hospitals_that_do_not_differ_are_least_squares():
    columns = people(6, between=0.0)
    rng = np.random.default_rng(0)
    columns["hospital"] = rng.permutation(columns["hospital"])
    columns["stay"] -= np.array([columns["stay"][columns["hospital"] == h].mean() for h in range(8)])[
        columns["hospital"]
    ]
    result, rounds = ask(columns, MixedModelParams(outcome=OUTCOME, covariates=COVARIATES))
    assert rounds == 1
    assert result.fit.between == 0
    beta = np.linalg.lstsq(design(columns), columns["stay"], rcond=None)[0]
    assert [effect.estimate for effect in result.fit.effects] == pytest.approx(beta, rel=1e-9)


@pytest.mark.parametrize("between", [0.3, 30.0, 3000.0])
def test_any_ratio_is_found(between):
    columns = people(7, between=between)
    outcome = continuous("stay", -20_000, 20_000)
    result, rounds = ask(columns, MixedModelParams(outcome=outcome, covariates=COVARIATES))
    assert rounds <= 20
    # Nowhere on a fine grid of ratios is the deviance lower.
    same = columns["hospital"][:, None] == columns["hospital"]
    x, y, n = design(columns), columns["stay"], len(same)

    def deviance(ratio):
        inverse = np.linalg.inv(np.eye(n) + ratio * same)
        beta = np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ y)
        free = n - x.shape[1]
        rss = (y - x @ beta) @ inverse @ (y - x @ beta)
        logs = np.linalg.slogdet(np.eye(n) + ratio * same)[1] + np.linalg.slogdet(x.T @ inverse @ x)[1]
        return free * (np.log(2 * np.pi * rss / free) + 1) + logs

    best = result.fit.between / result.fit.within
    assert result.fit.deviance == pytest.approx(deviance(best), rel=1e-9)
    assert result.fit.deviance <= min(deviance(ratio) for ratio in np.geomspace(1e-4, 1e6, 12)) + 1e-9


def test_a_rare_covariate_hides_everything():
    columns = people(8)
    columns["drug"][:] = 0
    columns["drug"][:4] = 1
    result, rounds = ask(columns, MixedModelParams(outcome=OUTCOME, covariates=COVARIATES), k=11)
    assert (result.hidden, result.fit, result.people, rounds) == (True, None, None, 1)


def test_columns_made_of_each_other_have_no_fit():
    columns = people(9)
    columns["visits"] = columns["drug"] * 2
    result, _ = ask(columns, MixedModelParams(outcome=OUTCOME, covariates=COVARIATES))
    assert result.fit is None
    assert not result.hidden


@pytest.mark.parametrize(("asked", "one_round"), [(40, False), (-1, False), (1, True)])
def test_too_many_questions(asked, one_round):
    params = MixedModelParams(outcome=OUTCOME, covariates=COVARIATES, one_round=one_round)
    with pytest.raises(BadState):
        MixedModel().judge(params, MixedModelState(ratio=0.5, low=None, high=None, asked=asked))
