"""Penalised models over three hospitals: what is found is the pooled minimum, by the conditions that only a minimum meets."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit

from dure.guard.suppression import open_cells
from dure.stats.base import Again, BadState, Frame, Released
from dure.stats.design import BadDesign, binary, continuous
from dure.stats.families import Family
from dure.stats.glm_model import Bounds
from dure.stats.lasso import Lasso, LassoParams
from dure.stats.penalised_path import PathState, Sparse, best_penalty
from dure.stats.sparse_design import fold_of
from dure.wire.codec import decode, encode
from dure.wire.sums import Sums

PEOPLE, P = 2400, 60
COVARIATES = (*(binary(f"x{j}") for j in range(P - 1)), continuous("dose", 0, 4))
PATH = (0.05, 0.02, 0.005)


def everyone(family, seed=2):
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.02, 0.4, P)
    x = (rng.random((PEOPLE, P)) < share).astype(float)
    x[:, 1] = np.where(rng.random(PEOPLE) < 0.8, x[:, 0], x[:, 1])
    x[:, -1] *= rng.uniform(0, 6, PEOPLE)
    eta = -1 + 0.8 * x[:, 0] - 0.7 * x[:, 5] + 0.5 * x[:, 9] + 0.2 * np.minimum(x[:, -1], 4)
    y = rng.random(PEOPLE) < expit(eta) if family is Family.BINOMIAL else rng.poisson(np.exp(eta))
    return x, y.astype(float), rng.integers(0, 3, PEOPLE), rng.normal(0, 0.3, PEOPLE)


def ask(params, x, y, hospital, offset, k=1):
    statistic, state = Lasso(), Lasso().begin(params)
    layout = statistic.layout(params)
    frames = []
    for place in range(3):
        here = hospital == place
        columns = {"outcome": y[here], "offset": offset[here]}
        frames.append(
            Frame(
                person=np.arange(here.sum()),
                columns={name: columns[name] for name in statistic.columns(params)},
                matrices={"covariates": csr_array(x[here])},
            )
        )
    for _ in range(statistic.rounds(params)):
        statistic.judge(params, state)
        answers = [statistic.local(frame, params, state) for frame in frames]
        sums = sum((answer.sums for answer in answers), Sums.zero(layout))
        shown = open_cells(layout, sum(answer.support for answer in answers), k)
        hidden = {f.name: np.where(shown[f.rests_on], sums.values[f.name], 0) for f in layout.fields}
        outcome = statistic.step(params, state, Released(layout=layout, open=shown, values=hidden))
        if not isinstance(outcome, Again):
            return outcome.result
        state = decode(PathState, encode(outcome.state), where="test")
    raise AssertionError("not within its rounds")


def violation(params, solution, x, y, offset):
    """By how much each condition of a minimum fails, with everyone's rows at hand."""
    x = np.minimum(x, [c.high for c in params.covariates])
    b = np.array([solution.coefficients.get(c.name, 0.0) for c in params.covariates])
    eta = solution.intercept + x @ b + (offset if params.offset else 0)
    residual = y - (expit(eta) if params.family is Family.BINOMIAL else np.exp(eta))
    slope = -x.T @ residual / len(y) + solution.penalty * (1 - params.share) * b
    absolute = solution.penalty * params.share
    off = np.where(b == 0, np.maximum(np.abs(slope) - absolute, 0), np.abs(slope + absolute * np.sign(b)))
    return max(off.max(), abs(residual.mean()))


def test_covariates_that_go_together_cost_few_rounds():
    """Twelve sicknesses, each in a week, a month, a year, ever and ever under another name: all are asked for at once."""
    rng = np.random.default_rng(7)
    ever = rng.random((PEOPLE, 12)) < expit(rng.normal(-1, 1.5, PEOPLE))[:, None]
    windows = [ever & (rng.random(ever.shape) < share) for share in (0.3, 0.5, 0.8)]
    x = np.column_stack([*windows, ever, ever]).astype(float)
    y = (rng.random(PEOPLE) < expit(-0.5 + ever @ rng.normal(0, 0.4, 12))).astype(float)
    params = LassoParams(
        family=Family.BINOMIAL,
        covariates=tuple(binary(f"x{j}") for j in range(x.shape[1])),
        penalties=(0.001,),
        near=1e-4,
    )
    result = ask(params, x, y, rng.integers(0, 3, PEOPLE), np.zeros(PEOPLE))
    assert result.trouble is None
    assert violation(params, result.path[-1], x, y, 0) < 1.01e-4
    assert result.rounds < 30


@pytest.mark.parametrize("family", [Family.BINOMIAL, Family.POISSON])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.0], ids=["lasso", "elastic net", "ridge"])
def test_it_is_the_pooled_minimum(family, share):
    x, y, hospital, offset = everyone(family)
    params = LassoParams(
        family=family,
        covariates=COVARIATES,
        penalties=PATH,
        share=share,
        outcome=Bounds(low=0, high=1 if family is Family.BINOMIAL else 50),
        offset=Bounds(low=-3, high=3) if family is Family.POISSON else None,
    )
    result = ask(params, x, y, hospital, offset)
    assert result.trouble is None
    assert violation(params, result.path[-1], x, y, offset) < 2e-11
    print(f"{family} {share}: {result.rounds} rounds")
    for solution in result.path[:-1]:
        assert violation(params, solution, x, y, offset) < 1.1e-3 * solution.penalty
    sizes = [len(solution.coefficients) for solution in result.path]
    assert sizes == [P] * 3 if share == 0 else all(a < b for a, b in pairwise(sizes))


def test_people_of_a_fold_are_left_out_and_tried():
    x, y, hospital, offset = everyone(Family.BINOMIAL)
    fold = np.empty(PEOPLE, dtype=np.int64)
    for place in range(3):
        here = hospital == place
        fold[here] = fold_of(np.arange(here.sum()), 4)
    assert (np.bincount(fold, minlength=4) > PEOPLE / 8).all()
    results = []
    for out in range(4):
        params = LassoParams(family=Family.BINOMIAL, covariates=COVARIATES, penalties=PATH, fold=out, folds=4)
        result = ask(params, x, y, hospital, offset)
        kept = fold != out
        assert violation(params, result.path[-1], x[kept], y[kept], offset[kept]) < 2e-11
        b = np.array([result.path[-1].coefficients.get(c.name, 0.0) for c in COVARIATES])
        eta = result.path[-1].intercept + np.minimum(x, 4)[~kept] @ np.append(b[:-1], b[-1])
        tried = (y[~kept] * eta - np.logaddexp(0, eta)).sum()
        np.testing.assert_allclose(result.path[-1].held_out, tried, rtol=1e-9)
        results.append(result)
    totals = [sum(result.path[place].held_out for result in results) for place in range(3)]
    assert best_penalty(tuple(results)) == PATH[int(np.argmax(totals))]


def test_rare_covariates_are_left_out_by_name_and_the_rest_is_exact():
    x, y, hospital, offset = everyone(Family.BINOMIAL)
    x[:, 3] = 0
    x[:8, 3] = 1
    x[:, 4] = 0
    x[np.flatnonzero(y == 0)[:50], 4] = 1
    x[np.flatnonzero(y == 1)[:5], 4] = 1
    params = LassoParams(family=Family.BINOMIAL, covariates=COVARIATES, penalties=PATH)
    result = ask(params, x, y, hospital, offset, k=11)
    assert {"x3", "x4"} <= set(result.left_out)
    kept = [j for j, c in enumerate(COVARIATES) if c.name not in result.left_out]
    rest = LassoParams(family=Family.BINOMIAL, covariates=tuple(COVARIATES[j] for j in kept), penalties=PATH)
    assert violation(rest, result.path[-1], x[:, kept], y, offset) < 2e-11


def test_a_covariate_that_becomes_hidden_is_dropped_and_the_path_begins_anew():
    params = LassoParams(family=Family.BINOMIAL, covariates=COVARIATES, penalties=PATH)
    layout = Lasso().layout(params)
    zero = Sums.zero(layout)
    shown = np.ones(len(layout.cells), dtype=bool)
    shown[layout.cells.index("x1")] = False
    state = PathState(
        asked=Sparse(index=(0, 2), value=(1.0, 0.5)),
        origin=Sparse(index=(), value=()),
        gradient=Sparse(index=(), value=()),
        rounds=4,
    )
    outcome = Lasso().step(
        params,
        state,
        Released(layout=layout, open=shown, values={**zero.values, "people": np.array([90, 40, 50])}),
    )
    assert isinstance(outcome, Again)
    assert outcome.state == PathState(
        asked=Sparse(index=(), value=()),
        origin=Sparse(index=(), value=()),
        gradient=Sparse(index=(), value=()),
        rounds=5,
    )


@pytest.mark.parametrize(
    "asked",
    [
        Sparse(index=(P + 1,), value=(1.0,)),
        Sparse(index=(-1,), value=(1.0,)),
        Sparse(index=(1, 1), value=(1.0, 1.0)),
        Sparse(index=(1, 2), value=(1.0,)),
        Sparse(index=(1,), value=(41.0,)),
    ],
)
def test_coefficients_that_are_no_question(asked):
    params = LassoParams(family=Family.BINOMIAL, covariates=COVARIATES, penalties=PATH)
    nothing = Sparse(index=(), value=())
    with pytest.raises(BadState):
        Lasso().judge(params, PathState(asked=asked, origin=nothing, gradient=nothing))


@pytest.mark.parametrize(
    "wrong",
    [
        {"family": Family.GAMMA},
        {"penalties": ()},
        {"penalties": (0.1, 0.2)},
        {"fold": 3, "folds": 3},
        {"outcome": Bounds(low=0, high=2)},
        {"covariates": (binary("outcome"),)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_models_that_are_none(wrong):
    asked = {"family": Family.BINOMIAL, "covariates": COVARIATES, "penalties": PATH, **wrong}
    with pytest.raises(BadDesign):
        LassoParams(**asked)
