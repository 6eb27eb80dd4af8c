"""One baseline over hospitals is the model of one hospital that has everyone; and what it refuses."""

from itertools import product

import numpy as np
import pytest

from dure.stats import newton
from dure.stats.base import BadState, Frame
from dure.stats.cox import Cox
from dure.stats.cox_model import Clock, CoxParams
from dure.stats.cox_one_baseline import CoxOneBaseline, OneBaselineParams, OneBaselineState, Told
from dure.stats.design import BadDesign, binary, continuous
from dure.stats.glm_model import Bounds

COVARIATES = (binary("new"), continuous("age", 20, 100))
DAYS = 12


def network(rng, people=400, delayed=False):
    time = rng.integers(1, DAYS + 1, people)
    entry = np.minimum(rng.integers(0, 6, people), time - 1) if delayed else np.zeros(people, dtype=int)
    return {
        "time": time,
        "entry": entry,
        "leaves": time - 1,
        "enters": entry,
        "event": rng.integers(0, 3, people),
        "new": rng.random(people) < 0.5,
        "age": rng.uniform(10, 110, people),
        "weight": rng.uniform(0, 2, people),
        "hospital": rng.integers(0, 4, people),
    }


def frames(columns):
    for place in np.unique(columns["hospital"]):
        here = np.flatnonzero(columns["hospital"] == place)
        yield Frame(person=here, columns={name: column[here] for name, column in columns.items()})


@pytest.mark.parametrize(
    ("ties", "delayed", "weighted"), list(product(("efron", "breslow"), (False, True), (False, True)))
)
def test_it_is_the_pooled_model(ties, delayed, weighted, ask):
    columns = network(np.random.default_rng(8), delayed=delayed)
    model = {
        "covariates": COVARIATES,
        "ties": ties,
        "delayed": delayed,
        "weight": Bounds(low=0, high=2) if weighted else None,
        "robust": True,
    }
    clock = Clock(scale="identity", horizon=DAYS)
    everyone = Frame(
        person=np.arange(400), columns={k: column for k, column in columns.items() if k != "hospital"}
    )
    pooled, _ = ask(Cox(), CoxParams(**model, clock=clock), [everyone])
    params = OneBaselineParams(
        model=CoxParams(**model),
        intervals=DAYS,
        clock=tuple((np.arange(1, DAYS + 1) / DAYS).tolist()),
    )
    found, rounds = ask(CoxOneBaseline(), params, list(frames(columns)))
    assert rounds % 2 == 0
    one, other = found.cox.fit, pooled.fit
    for a, b in zip(one.coefficients, other.coefficients, strict=True):
        assert (a.estimate, a.error, a.robust_error) == pytest.approx(
            (b.estimate, b.error, b.robust_error), rel=1e-9
        )
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)
    for a, b in zip(one.trends, other.trends, strict=True):
        assert a.chi_square == pytest.approx(b.chi_square, rel=1e-8)
    assert (np.diff(found.hazard) >= 0).all()


def test_a_few_in_one_interval_and_there_is_no_fit(ask):
    columns = network(np.random.default_rng(8), people=4000)
    params = OneBaselineParams(model=CoxParams(covariates=COVARIATES), intervals=DAYS)
    found, _ = ask(CoxOneBaseline(), params, list(frames(columns)), 11)
    assert found.cox.fit is not None
    for kept in (
        (columns["time"] != 5) | (np.cumsum(columns["time"] == 5) < 9),
        (columns["time"] != 5) | ~columns["new"] | (np.cumsum((columns["time"] == 5) & columns["new"]) < 9),
    ):
        fewer = {name: column[kept] for name, column in columns.items()}
        found, _ = ask(CoxOneBaseline(), params, list(frames(fewer)), 11)
        assert found.cox.fit is None
        assert found.cox.no_fit.trouble == "small-cells"


HERE = newton.begin(np.zeros(2))


def hazard(a, b):
    return Told(a=a, b=b, value=0.0, score=(0.0, 0.0), trend_score=(), between=((0.0, 0.0, 0.0),))


@pytest.mark.parametrize(
    "state",
    [
        OneBaselineState(newton=newton.begin(np.array([100.0, 0.0]))),
        OneBaselineState(newton=HERE, told=hazard((1.0,), (0.0,))),
        OneBaselineState(newton=HERE, told=hazard((-1.0, 0.0), (0.0, 0.0))),
        OneBaselineState(newton=HERE, told=hazard((1.0, 0.0), (2.0, 0.0))),
        OneBaselineState(newton=HERE, told=hazard((1e300, 0.0), (0.0, 0.0))),
    ],
    ids=["coefficients too far", "too short", "negative", "own more than all", "too much"],
)
def test_what_is_no_question(state):
    with pytest.raises(BadState):
        CoxOneBaseline().judge(OneBaselineParams(model=CoxParams(covariates=COVARIATES), intervals=2), state)


def test_models_that_are_none():
    model = CoxParams(covariates=COVARIATES)
    with pytest.raises(BadDesign):
        OneBaselineParams(model=CoxParams(covariates=COVARIATES, stratified=True), intervals=3)
    with pytest.raises(BadDesign):
        OneBaselineParams(model=model, intervals=3, clock=(0.0, 1.0))
