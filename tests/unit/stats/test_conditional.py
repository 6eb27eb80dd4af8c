"""Conditional likelihoods over hospitals against statsmodels on the pooled strata, and the exact one against all subsets."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from statsmodels.discrete.conditional_models import ConditionalLogit, ConditionalPoisson
from statsmodels.duration.hazard_regression import PHReg

from dure.guard.suppression import open_cells
from dure.stats import newton
from dure.stats.base import Again, BadState, Frame, Released
from dure.stats.conditional import SMALL_CELLS, Conditional, ConditionalParams, ConditionalState
from dure.stats.conditional_kernel import Strata, Ties, add_up
from dure.stats.design import BadDesign, binary, continuous

COVARIATES = (binary("drug"), continuous("dose", -10, 10))


def matched(seed, strata=80, size=5):
    """Sets of like size, with one to three cases each."""
    rng = np.random.default_rng(seed)
    stratum = np.repeat(np.arange(strata), size)
    drug, dose = rng.integers(0, 2, strata * size), rng.normal(0, 1, strata * size)
    liability = 0.8 * drug - 0.5 * dose + rng.gumbel(size=strata * size)
    case = np.zeros(strata * size, dtype=int)
    for start in range(0, strata * size, size):
        case[start + np.argsort(liability[start : start + size])[-rng.integers(1, 4) :]] = 1
    return {"stratum": stratum, "drug": drug, "dose": dose, "case": case}


def ask(columns, ties, *, k=1, hospitals=3, person=None, covariates=COVARIATES, offset=None):
    statistic = Conditional()
    params = ConditionalParams(covariates=covariates, ties=ties, largest_offset=offset, most_cases=50)
    place = columns["stratum"] % hospitals
    person = np.arange(len(place)) if person is None else person
    frames = [
        Frame(person=person[place == h], columns={n: c[place == h] for n, c in columns.items()})
        for h in range(hospitals)
    ]
    layout, state = statistic.layout(params), statistic.begin(params)
    for _ in range(statistic.rounds(params)):
        statistic.judge(params, state)
        answers = [statistic.local(frame, params, state) for frame in frames]
        shown = open_cells(layout, sum(answer.support for answer in answers), k)
        values = {
            f.name: np.where(shown[f.rests_on], sum(a.sums.values[f.name] for a in answers), 0)
            for f in layout.fields
        }
        outcome = statistic.step(params, state, Released(layout=layout, open=shown, values=values))
        if not isinstance(outcome, Again):
            return outcome.result
        state = outcome.state
    raise AssertionError("it did not finish")


@pytest.mark.parametrize("seed", range(3))
def test_exact_is_that_of_statsmodels(seed):
    columns = matched(seed)
    x = np.stack([columns["drug"], columns["dose"]], axis=1)
    oracle = ConditionalLogit(columns["case"], x, groups=columns["stratum"]).fit(
        method="newton", disp=False, skip_hessian=False, tol=1e-12
    )
    fit = ask(columns, Ties.EXACT).fit
    assert [effect.estimate for effect in fit.effects] == pytest.approx(oracle.params, rel=1e-6)
    assert [effect.error for effect in fit.effects] == pytest.approx(oracle.bse, rel=1e-4)
    assert fit.log_likelihood == pytest.approx(oracle.llf, rel=1e-10)


@pytest.mark.parametrize("ties", [Ties.BRESLOW, Ties.EFRON])
def test_approximations_are_cox_models_of_one_time(ties):
    columns = matched(5)
    x = np.stack([columns["drug"], columns["dose"]], axis=1)
    oracle = PHReg(
        np.ones(len(x)), x, status=columns["case"], strata=columns["stratum"], ties=ties.value
    ).fit()
    fit = ask(columns, ties).fit
    assert [effect.estimate for effect in fit.effects] == pytest.approx(oracle.params, rel=1e-6)
    assert [effect.error for effect in fit.effects] == pytest.approx(oracle.bse, rel=1e-5)
    assert fit.log_likelihood == pytest.approx(oracle.llf, rel=1e-9)


def test_a_case_series_is_conditional_poisson():
    rng = np.random.default_rng(3)
    people = np.repeat(np.arange(60), 4)
    columns = {
        "stratum": people,
        "drug": np.tile([0, 1, 0, 0], 60),
        "dose": rng.normal(0, 1, 240),
        "offset": np.log(rng.integers(10, 300, 240)),
    }
    rate = np.exp(columns["offset"] - 5 + 0.9 * columns["drug"] + 0.2 * columns["dose"])
    columns["case"] = rng.poisson(rate)
    result = ask(columns, Ties.BRESLOW, person=people, offset=10.0)
    oracle = ConditionalPoisson(
        columns["case"],
        pd.DataFrame({"drug": columns["drug"], "dose": columns["dose"]}),
        groups=people,
        offset=columns["offset"],
    ).fit(method="bfgs", disp=False, gtol=1e-9)
    assert [effect.estimate for effect in result.fit.effects] == pytest.approx(oracle.params, rel=1e-5)
    assert [effect.error for effect in result.fit.effects] == pytest.approx(oracle.bse, rel=1e-3)
    with_events = np.bincount(people, columns["case"]) > 0
    assert (result.people, result.strata) == (with_events.sum(), with_events.sum())
    assert result.events == columns["case"].sum()


@pytest.mark.parametrize("cases", [1, 2, 4, 6])
def test_the_exact_sum_is_over_all_sets(cases):
    rng = np.random.default_rng(cases)
    x, offset = rng.normal(0, 3, (7, 2)), rng.normal(0, 10, 7)
    case = np.zeros(7)
    case[:cases] = 1
    strata = Strata(x=x, offset=offset, case=case, starts=np.array([0]))
    beta = np.array([1.5, -2.0])
    sets = np.array(list(combinations(range(7), cases)))
    predictors, totals = (x @ beta + offset)[sets].sum(axis=1), x[sets].sum(axis=1)
    share = np.exp(predictors - logsumexp(predictors))
    mean = share @ totals
    added = add_up(strata, beta, Ties.EXACT)
    assert added.value == pytest.approx(predictors[0] - logsumexp(predictors), rel=1e-10, abs=1e-12)
    np.testing.assert_allclose(added.expected, mean, rtol=1e-9)
    np.testing.assert_allclose(
        added.information, (totals - mean).T @ (share[:, None] * (totals - mean)), rtol=1e-7, atol=1e-9
    )


def test_large_strata_neither_overflow_nor_vanish():
    rng = np.random.default_rng(8)
    x = rng.normal(0, 1, (1000, 1))
    case = (np.arange(1000) < 400).astype(float)
    strata = Strata(x=x, offset=rng.normal(0, 12, 1000), case=case, starts=np.array([0]))
    added = add_up(strata, np.array([2.0]), Ties.EXACT)
    assert np.isfinite(added.value)
    step = 1e-5
    values = [add_up(strata, np.array([2.0 + sign * step]), Ties.EXACT).value for sign in (-1, 1)]
    score = float(added.observed[0] - added.expected[0])
    assert (values[1] - values[0]) / (2 * step) == pytest.approx(score, rel=1e-4)


@pytest.mark.parametrize("ties", Ties)
def test_derivatives_are_those_of_the_value(ties):
    columns = matched(9, strata=12)
    x = np.stack([columns["drug"], columns["dose"]], axis=1).astype(float)
    strata = Strata(
        x=x, offset=np.zeros(len(x)), case=columns["case"].astype(float), starts=np.arange(0, len(x), 5)
    )
    beta, step = np.array([0.4, -0.7]), 1e-5
    at = add_up(strata, beta, ties)
    for j, move in enumerate(step * np.eye(2)):
        up, down = add_up(strata, beta + move, ties), add_up(strata, beta - move, ties)
        assert (up.value - down.value) / (2 * step) == pytest.approx(
            at.observed[j] - at.expected[j], rel=1e-6
        )
        np.testing.assert_allclose(
            (up.expected - down.expected) / (2 * step), at.information[j], rtol=1e-6, atol=1e-8
        )


def test_a_step_that_is_too_long_is_halved():
    """Short intervals with many events: from 0, Newton's first step goes past where the likelihood falls."""
    people = np.repeat(np.arange(40), 2)
    columns = {
        "stratum": people,
        "drug": np.tile([0, 1], 40),
        "offset": np.tile([np.log(200), 0.0], 40),
        "case": np.where(people < 10, np.tile([0, 1], 40), np.tile([1, 0], 40)),
    }
    result = ask(columns, Ties.BRESLOW, person=people, offset=10.0, covariates=COVARIATES[:1])
    assert any(visited.fraction < 1 for visited in result.path)
    assert result.fit.effects[0].estimate == pytest.approx(np.log(200 * 10 / 30), rel=1e-9)


def test_without_an_estimate_it_says_why():
    columns = matched(1)
    columns["drug"] = columns["case"]
    runaway = ask(columns, Ties.EFRON)
    assert runaway.fit is None
    assert runaway.trouble == newton.Trouble.RUNS_OFF
    assert [(each.name, each.separates_at) for each in runaway.suspects] == [("drug", 3)]
    columns["drug"] = columns["stratum"] % 2
    same = ask(columns, Ties.EFRON)
    assert same.trouble == newton.Trouble.COLLINEAR
    assert [(each.name, each.constant_at) for each in same.suspects] == [("drug", 3)]
    columns["drug"] = (columns["stratum"] < 4).astype(int)
    few = ask(columns, Ties.EFRON, k=11)
    assert (few.fit, few.trouble) == (None, SMALL_CELLS)
    assert "drug" in [each.name for each in few.suspects]


def test_strata_that_say_nothing_count_nothing():
    columns = matched(2)
    more = {name: np.concatenate([column, [0] * 7]) for name, column in columns.items()}
    more["stratum"][-7:] = [1000, 1000, 1000, 1001, 1002, 1003, 1003]
    more["case"][-4:-2] = 1
    for ties in Ties:
        assert ask(more, ties) == ask(columns, ties)


def test_what_is_no_matched_set():
    columns = matched(2)
    with pytest.raises(ValueError, match="two strata"):
        ask(columns, Ties.EFRON, person=np.zeros(400, dtype=int))
    columns["stratum"][:] = 0
    columns["case"][:] = 1
    with pytest.raises(ValueError, match="more rows or cases"):
        ask(columns, Ties.EFRON)
    with pytest.raises(BadDesign):
        ConditionalParams(covariates=())


@pytest.mark.parametrize("point", [(0.0,), (float("nan"), 0.0), (50.0, 0.0), (0.0, 0.0, 0.0)])
def test_coefficients_that_are_no_question(point):
    state = ConditionalState(newton=newton.NewtonState(point=point, origin=point, direction=point))
    with pytest.raises(BadState):
        Conditional().judge(ConditionalParams(covariates=COVARIATES), state)
