"""Penalised Cox models: at one hospital the numbers of Coxnet and of skglm, over three the conditions of a minimum by statsmodels."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array
from statsmodels.duration.hazard_regression import PHReg

from dure.stats.base import BadState, Frame
from dure.stats.cox_lasso import CoxLasso, CoxLassoParams
from dure.stats.design import BadDesign, binary, continuous
from dure.stats.penalised_path import PathState, Sparse, best_penalty
from dure.stats.sparse_design import fold_of

PEOPLE, P = 400, 20
COVARIATES = (*(binary(f"x{j}") for j in range(P - 1)), continuous("dose", 0, 4))
PATH = (0.05, 0.02, 0.005)


def everyone():
    """The people of whom the peers' numbers below are: days with ties, 231 events, the last covariate a quantity."""
    rng = np.random.default_rng(11)
    x = (rng.random((PEOPLE, P)) < np.linspace(0.1, 0.4, P)).astype(float)
    x[:, -1] *= np.round(4 * rng.random(PEOPLE), 3)
    eta = 0.8 * x[:, 0] - 0.7 * x[:, 5] + 0.4 * x[:, 9] + 0.3 * x[:, -1]
    due = -np.log(rng.random(PEOPLE)) * np.exp(-eta) * 40
    leaves = 60 * rng.random(PEOPLE) + 1
    time = np.ceil(np.minimum(due, leaves)).astype(np.int64)
    return x, time, (due <= leaves).astype(np.int64)


X, TIME, EVENT = everyone()
ENTRY = np.random.default_rng(2).integers(0, 12, PEOPLE)
PLACE = np.random.default_rng(3).integers(0, 3, PEOPLE)
HELD = ENTRY < TIME


def frame(rows, **more):
    columns = {"time": TIME[rows], "event": EVENT[rows], "entry": ENTRY[rows], **more}
    return Frame(person=np.flatnonzero(rows), columns=columns, matrices={"covariates": csr_array(X[rows])})


HOSPITALS = [frame(place == PLACE) for place in range(3)]

# scikit-survival 0.28.0: CoxnetSurvivalAnalysis(alphas=[penalty], l1_ratio=share, tol=1e-15), Breslow's ties.
# skglm 0.5: ProxNewton(tol=1e-12) with L1(0.02) and Cox(use_efron=True).
PEERS = {
    "Coxnet, LASSO": (
        {"penalties": (0.005,), "ties": "breslow"},
        [
            0.922639526, 0, 0.347348501, 0.071910068, -0.084357087, -0.614049026, -0.057568177, 0, -0.183508006, 0.363740194,
            -0.146032024, -0.008363408, 0.125051551, -0.136895603, 0.179104698, -0.074193778, 0.003988706, -0.075282228,
            0.129906495, 0.276671959,
        ],
    ),
    "Coxnet, elastic net": (
        {"penalties": (0.02,), "share": 0.5, "ties": "breslow"},
        [
            0.677305943, 0, 0.205293993, 0, -0.031200702, -0.473951218, 0, 0, -0.137119768, 0.25326877, -0.078555026, 0,
            0.080219688, -0.077909061, 0.11671774, -0.031426087, 0, 0, 0.084343172, 0.265289088,
        ],
    ),
    "skglm, LASSO, Efron": (
        {"penalties": (0.02,), "ties": "efron"},
        [
            0.62334759, 0, 0.058661688, 0, 0, -0.416211501, 0, 0, -0.069633005, 0.172998837, 0, 0, 0, -0.001957561, 0.041297497,
            0, 0, 0, 0.013207314, 0.261293256,
        ],
    ),
}  # fmt: skip


def coefficients(solution):
    return np.array([solution.coefficients.get(c.name, 0.0) for c in COVARIATES])


def peer(params, rows):
    """statsmodels' partial likelihood of everyone in `rows`, stratified by hospital."""
    # There who enters at a time is at risk at it; here from after it.
    entry = ENTRY[rows] + 0.5 if params.delayed else None
    return PHReg(TIME[rows], X[rows], status=EVENT[rows], entry=entry, strata=PLACE[rows], ties=params.ties)


def violation(params, solution, rows):
    """By how much each condition of a minimum fails, with everyone's rows at hand."""
    b = coefficients(solution)
    slope = -peer(params, rows).score(b) / rows.sum() + solution.penalty * (1 - params.share) * b
    absolute = solution.penalty * params.share
    off = np.where(b == 0, np.maximum(np.abs(slope) - absolute, 0), np.abs(slope + absolute * np.sign(b)))
    return off.max()


@pytest.mark.parametrize("name", PEERS)
def test_one_hospital_has_the_peers_numbers(ask, name):
    asked, expected = PEERS[name]
    found, _ = ask(CoxLasso(), CoxLassoParams(covariates=COVARIATES, **asked), [frame(TIME > 0)])
    assert found.trouble is None
    np.testing.assert_allclose(coefficients(found.path[-1]), expected, atol=1e-7)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.0], ids=["lasso", "elastic net", "ridge"])
def test_three_hospitals_have_the_stratified_minimum(ask, share, ties):
    params = CoxLassoParams(
        covariates=COVARIATES, penalties=PATH, share=share, ties=ties, delayed=ties == "breslow"
    )
    rows = HELD if params.delayed else TIME > 0
    found, rounds = ask(CoxLasso(), params, HOSPITALS)
    assert found.trouble is None
    assert found.people == rows.sum()
    assert violation(params, found.path[-1], rows) < 2e-11
    for solution in found.path[:-1]:
        assert violation(params, solution, rows) < 1.1e-3 * solution.penalty
    np.testing.assert_allclose(
        found.path[-1].log_likelihood, peer(params, rows).loglike(coefficients(found.path[-1])), rtol=1e-10
    )
    assert len(found.looks) == rounds
    assert found.looks[-1].off <= params.near
    sizes = [len(solution.coefficients) for solution in found.path]
    assert sizes == [P] * 3 if share == 0 else all(a < b for a, b in pairwise(sizes))


def test_hospitals_of_a_pooled_frame_are_apart(ask):
    params = CoxLassoParams(covariates=COVARIATES, penalties=(0.01,))
    pooled, _ = ask(CoxLasso(), params, [frame(TIME > 0, hospital=PLACE)])
    apart, _ = ask(CoxLasso(), params, HOSPITALS)
    np.testing.assert_allclose(coefficients(pooled.path[-1]), coefficients(apart.path[-1]), atol=1e-9)


def test_people_of_a_fold_are_left_out_and_tried_beside_the_others(ask):
    results = []
    for out in range(4):
        params = CoxLassoParams(covariates=COVARIATES, penalties=PATH, fold=out, folds=4)
        found, _ = ask(CoxLasso(), params, HOSPITALS)
        kept = fold_of(np.arange(PEOPLE), 4) != out
        assert violation(params, found.path[-1], kept) < 2e-11
        b = coefficients(found.path[-1])
        tried = peer(params, TIME > 0).loglike(b) - peer(params, kept).loglike(b)
        np.testing.assert_allclose(found.path[-1].held_out, tried, rtol=1e-9)
        results.append(found)
    totals = [sum(found.path[place].held_out for found in results) for place in range(3)]
    assert best_penalty(tuple(results)) == PATH[int(np.argmax(totals))]


def test_rare_covariates_are_left_out_by_name(ask):
    x = X.copy()
    x[:, 3] = 0
    x[:8, 3] = 1
    frames = [replace(f, matrices={"covariates": csr_array(x[f.person])}) for f in HOSPITALS]
    found, _ = ask(CoxLasso(), CoxLassoParams(covariates=COVARIATES, penalties=PATH), frames, 11)
    assert "x3" in found.left_out
    assert found.trouble is None
    assert not set(found.left_out) & set(found.path[-1].coefficients)


def test_rounds_that_run_out_give_the_path_of_points_and_no_estimate(ask):
    params = CoxLassoParams(covariates=COVARIATES, penalties=PATH, most_rounds=4)
    found, rounds = ask(CoxLasso(), params, HOSPITALS)
    assert found.trouble == "not-converged"
    assert len(found.looks) == rounds == 4
    assert found.looks[-1].off > params.near
    assert len(found.path) < len(PATH)


@pytest.mark.parametrize(
    "asked", [Sparse(index=(P + 1,), value=(1.0,)), Sparse(index=(1,), value=(41.0,))], ids=["column", "far"]
)
def test_coefficients_that_are_no_question(asked):
    nothing = Sparse(index=(), value=())
    state = PathState(asked=asked, origin=nothing, gradient=nothing)
    with pytest.raises(BadState):
        CoxLasso().judge(CoxLassoParams(covariates=COVARIATES, penalties=PATH), state)


@pytest.mark.parametrize(
    "wrong",
    [
        {"penalties": ()},
        {"penalties": (0.1, 0.2)},
        {"fold": 3, "folds": 3},
        {"covariates": (binary("time"),)},
        {"covariates": ()},
    ],
    ids=str,
)
def test_models_that_are_none(wrong):
    with pytest.raises(BadDesign):
        CoxLassoParams(**{"covariates": COVARIATES, "penalties": PATH, **wrong})
