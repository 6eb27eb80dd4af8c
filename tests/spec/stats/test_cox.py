"""Cox's model with a baseline at every hospital: what it may be asked, when it has no fit, what its parts mean."""

import numpy as np
import pytest

from dure.stats import newton
from dure.stats.base import BadState, Frame
from dure.stats.cox import Cox, CoxState
from dure.stats.cox_model import Clock, CoxParams
from dure.stats.design import BadDesign, binary, continuous
from dure.stats.glm_model import Bounds

MODEL = CoxParams(covariates=(binary("new"), continuous("age", 20, 100)))


def hospital(rng, people=300, effect=-0.7, rare=0):
    new = rng.random(people) < 0.5
    age = rng.uniform(20, 100, people)
    time = rng.exponential(1000 * np.exp(-effect * new - 0.02 * (age - 60)))
    columns = {
        "time": np.ceil(time).astype(int),
        "event": rng.choice([0, 1, 2], people, p=[0.2, 0.6, 0.2]),
        "new": new,
        "age": age,
        "rare": np.arange(people) < rare,
        "weight": np.ones(people),
        "stratum": rng.integers(0, 3, people),
    }
    return Frame(person=np.arange(people), columns=columns)


def but(frame, **columns):
    return Frame(person=frame.person, columns={**frame.columns, **columns})


@pytest.fixture(scope="module")
def hospitals():
    rng = np.random.default_rng(5)
    return [hospital(rng) for _ in range(4)]


def points(fit):
    return [(row.estimate, row.error) for row in fit.coefficients]


def test_it_finds_what_was_planted(ask, hospitals):
    found, rounds = ask(Cox(), MODEL, hospitals, 11)
    assert found.people == 1200
    assert rounds <= 7
    for row, planted in zip(found.fit.coefficients, (-0.7, 0.02), strict=True):
        assert abs(row.estimate - planted) < 3 * row.error
        assert row.low < row.estimate < row.high
        assert row.p_value < 0.05


def test_a_cause_is_the_same_with_other_causes_leaving(ask, hospitals):
    of_two, _ = ask(Cox(), CoxParams(covariates=MODEL.covariates, cause=2), hospitals)
    leaving = [but(frame, event=(frame.columns["event"] == 2).astype(int)) for frame in hospitals]
    assert points(ask(Cox(), MODEL, leaving)[0].fit) == points(of_two.fit)


def test_weights_of_two_are_people_twice_for_breslow(ask, hospitals):
    weighted = CoxParams(covariates=MODEL.covariates, weight=Bounds(low=0, high=5), ties="breslow")
    twice, _ = ask(Cox(), weighted, [but(f, weight=np.full(len(f.person), 2.0)) for f in hospitals])
    doubled = [
        Frame(
            person=np.arange(2 * len(frame.person)),
            columns={name: np.repeat(column, 2) for name, column in frame.columns.items()},
        )
        for frame in hospitals
    ]
    again, _ = ask(Cox(), CoxParams(covariates=MODEL.covariates, ties="breslow"), doubled)
    np.testing.assert_allclose(points(twice.fit), points(again.fit), rtol=1e-9)


def test_hospitals_and_strata_are_alike(ask, hospitals):
    """Three strata at one hospital are three hospitals."""
    stratified = CoxParams(covariates=MODEL.covariates, stratified=True)
    one, _ = ask(Cox(), stratified, hospitals[:1])
    parts = [
        Frame(
            person=hospitals[0].person[here],
            columns={name: column[here] for name, column in hospitals[0].columns.items()},
        )
        for here in (hospitals[0].columns["stratum"] == level for level in range(3))
    ]
    three, _ = ask(Cox(), MODEL, parts)
    np.testing.assert_allclose(points(one.fit), points(three.fit), rtol=1e-9)


def test_proportional_hazards_are_rejected_where_they_don_t_hold(ask):
    """An effect that turns round half way: the trend of `new` shows it, that of `age` doesn't."""
    rng, made = np.random.default_rng(3), []
    for _ in range(3):
        frame = hospital(rng, people=500)
        new = frame.columns["new"]
        early = rng.random(500) < np.where(new, 0.2, 0.8)
        made.append(but(frame, time=np.where(early, rng.integers(1, 100, 500), rng.integers(100, 200, 500))))
    model = CoxParams(covariates=MODEL.covariates, clock=Clock(scale="identity", horizon=200))
    found, _ = ask(Cox(), model, made)
    trends = {trend.name: trend for trend in found.fit.trends}
    assert trends["new"].p_value < 1e-6
    assert trends["GLOBAL"].p_value < 1e-6
    assert trends["age"].p_value > 0.01


@pytest.mark.parametrize("rare", [0, 5])
def test_a_covariate_of_a_few_has_no_fit(ask, rare):
    """Nobody has it: collinear. A few have it: their sums are hidden."""
    frames = [hospital(np.random.default_rng(1), rare=rare), hospital(np.random.default_rng(2))]
    found, _ = ask(Cox(), CoxParams(covariates=(*MODEL.covariates, binary("rare"))), frames, 11)
    assert found.fit is None
    assert found.no_fit.trouble == ("small-cells" if rare else "collinear")
    assert "rare" in [suspect.name for suspect in found.no_fit.suspects]


def test_values_beyond_the_bounds_count_as_at_them(ask, hospitals):
    """One person of 900 years moves nothing further than one of 100."""
    old = but(hospitals[0], age=np.where(hospitals[0].person == 0, 900.0, hospitals[0].columns["age"]))
    held = but(hospitals[0], age=np.where(hospitals[0].person == 0, 100.0, hospitals[0].columns["age"]))
    assert points(ask(Cox(), MODEL, [old])[0].fit) == points(ask(Cox(), MODEL, [held])[0].fit)


@pytest.mark.parametrize(
    "point", [(0.0,), (0.0, 1.0), (61.0, 0.0), (0.0, 0.0, 0.0)], ids=["few", "far", "far too", "many"]
)
def test_points_that_are_no_question(point):
    state = newton.begin(np.array(point))
    with pytest.raises(BadState):
        Cox().judge(MODEL, CoxState(newton=state))


def test_too_many_points_are_no_question():
    state = newton.NewtonState(
        point=(0.0, 0.0),
        origin=(0.0, 0.0),
        direction=(0.0, 0.0),
        path=(newton.Visited(value=0.0, decrement=1.0, fraction=1.0),) * 31,
    )
    with pytest.raises(BadState):
        Cox().judge(MODEL, CoxState(newton=state))


@pytest.mark.parametrize(
    "made",
    [
        lambda: CoxParams(covariates=()),
        lambda: CoxParams(covariates=(binary("time"),)),
        lambda: CoxParams(covariates=MODEL.covariates, weight=Bounds(low=-1, high=1)),
        lambda: Clock(scale="log", horizon=1),
    ],
    ids=["no covariate", "a taken name", "negative weights", "no horizon"],
)
def test_models_that_are_none(made):
    with pytest.raises(BadDesign):
        made()
