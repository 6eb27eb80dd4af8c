"""Rows and persons out of models: by as many coefficients as people, chosen points, risk sets, and models with and without one."""

from itertools import islice

import numpy as np
import pytest
from scipy.special import expit

from dure.stats import newton
from dure.stats.base import BadState
from dure.stats.covariance import Covariance, CovarianceParams
from dure.stats.design import binary, continuous
from dure.stats.families import Family
from dure.stats.glm import Glm, GlmState
from dure.stats.glm_model import Bounds, GlmParams
from tests.attacks.attack import Class, Tried, attack
from tests.attacks.network import LABS, Network
from tests.attacks.subtraction import TARGET, everybody_but

GROUP = "models"


def knows(network, count, rng):
    """Every person gets covariates that the asker knows. Returns them by hospital."""
    for columns in network.people.values():
        people = len(columns["person"])
        columns["outcome"] = columns["glucose"]
        for number in range(count):
            columns[f"x{number}"] = rng.uniform(1, 2, people)
    return np.concatenate(
        [np.column_stack([c[f"x{number}"] for number in range(count)]) for c in network.people.values()]
    )


def known_model(first, count):
    return GlmParams(
        family=Family.GAUSSIAN,
        covariates=tuple(continuous(f"x{number}", 1, 2) for number in range(first, first + count)),
        outcome=Bounds(low=0, high=200),
        hospital_intercepts=False,
    )


def rebuilt(rows, told, truth, within=0.05):
    found = np.linalg.lstsq(rows, told, rcond=None)[0]
    return int((np.abs(found - truth) < within).sum())


@attack(
    GROUP,
    "as many coefficients as people, of covariates that the asker knows",
    rule="saturation",
    peer="(read) possible",
)
def saturated_model(guard):
    network = Network(guard, people=8)
    known = knows(network, 48, np.random.default_rng(1))
    truth = np.concatenate([c["glucose"] for c in network.people.values()])
    shown = next(network.fitted(Glm(), known_model(0, 48)), None)
    if shown is None:
        return Tried(success=False, figure="nothing", by=network.by)
    right = rebuilt(known.T, shown.values["observed"][1:], truth)
    return Tried(success=right > 40, figure=f"{right} of 48 values", by=network.by)


@attack(
    GROUP,
    "the products of a covariance with vectors that the asker knows",
    rule="saturation",
    peer="Huth 2023: rows",
)
def covariance_with_known_vectors(guard):
    network = Network(guard, people=8)
    known = knows(network, 48, np.random.default_rng(1))
    truth = np.concatenate([c["glucose"] for c in network.people.values()])
    variables = (*(continuous(f"x{number}", 1, 2) for number in range(48)), continuous("glucose", 0.1, 200))
    shown = network.total(Covariance(), CovarianceParams(variables=variables))
    if shown is None:
        return Tried(success=False, figure="nothing", by=network.by)
    last = shown.values["products"][-len(variables) : -1]
    standing = (known - 1.5) / 0.5
    right = rebuilt(standing.T, last, (truth - 100.05) / 99.95, within=0.0005)
    return Tried(success=right > 40, figure=f"{right} of 48 values", by=network.by)


@attack(GROUP, "the same in many studies of few coefficients over the same people", rule="saturation")
def many_models(guard):
    network = Network(guard, people=11)
    known = knows(network, 66, np.random.default_rng(1))
    truth = np.concatenate([c["glucose"] for c in network.people.values()])
    rows, told, studies = [], [], 0
    for first in range(0, 66, 4):
        count = min(4, 66 - first)
        shown = next(network.fitted(Glm(), known_model(first, count)), None)
        studies += 1
        if shown is not None:
            rows.append(known[:, first : first + count].T)
            told.append(shown.values["observed"][1:])
    right = rebuilt(np.concatenate(rows), np.concatenate(told), truth) if rows else 0
    return Tried(success=right > 60, figure=f"{right} of 66 values in {studies} studies", by=network.by)


@attack(GROUP, "one 0/1 covariate a person", rule="least-people")
def one_flag_a_person(guard):
    network = Network(guard, people=30)
    for place, columns in enumerate(network.people.values()):
        columns["outcome"] = columns["glucose"]
        for number in range(10):
            columns[f"p{number}"] = ((columns["person"] == number) & (place == 0)).astype(int)
    params = GlmParams(
        family=Family.GAUSSIAN,
        covariates=tuple(binary(f"p{number}") for number in range(10)),
        outcome=Bounds(low=0, high=200),
    )
    shown = next(network.fitted(Glm(), params), None)
    truth = network.people["h0"]["glucose"][:10]
    told = np.zeros(10) if shown is None else shown.values["observed"][1:]
    right = int((np.abs(told - truth) < 0.05).sum())
    return Tried(success=right == 10, figure=f"{right} of 10 values", by={"least-people"})


@attack(GROUP, "coefficients so extreme that a score is one person's", rule="bad-state")
def extreme_point(guard):
    """Whose linear predictor is largest has all the weight; the score is that person's covariates."""
    network = Network(guard)
    for columns in network.people.values():
        columns["outcome"] = np.zeros(200, int)
        columns["outcome"][:40] = 1
    params = GlmParams(
        family=Family.POISSON,
        covariates=(continuous("glucose", 1, 150), continuous("lactate", 1, 150)),
        outcome=Bounds(low=0, high=1),
    )
    point = np.array([-20 * 95.0, 20.0, 0.0])
    state = GlmState(newton=newton.begin(point))
    if guard:
        with pytest.raises(BadState) as caught:
            Glm().judge(params, state)
        return Tried(success=False, figure="nothing", by={caught.value.slug})
    columns = {
        key: np.concatenate([c[key] for c in network.people.values()]) for key in ("glucose", "lactate")
    }
    weight = np.exp(np.clip(20 * (columns["glucose"] - 95), -700, 700))
    largest = int(np.argmax(weight))
    told = float(weight @ columns["lactate"] / weight.sum())
    return Tried(
        success=abs(told - columns["lactate"][largest]) < 0.05 and state.newton.point != (),
        figure=f"one person's value, error {abs(told - columns['lactate'][largest]):.0e}",
    )


@attack(GROUP, "a model with a person and one without: the difference of their sums", rule="small-difference")
def model_without_one(guard):
    network = Network(guard)
    params = GlmParams(
        family=Family.GAUSSIAN,
        covariates=tuple(continuous(lab, 1, 150) for lab in LABS[:4]),
        outcome=Bounds(low=0, high=1),
    )
    first = next(network.fitted(Glm(), params), None)
    second = next(network.fitted(Glm(), params, everybody_but(TARGET)), None)
    if first is None or second is None:
        return Tried(success=False, figure="0 of 4 values", by=network.by)
    differ = first.values["information"] - second.values["information"]
    told = differ[[1, 3, 6, 10]]
    truth = [network.people[TARGET[0]][lab][TARGET[1]] for lab in LABS[:4]]
    right = int((np.abs(told - truth) < 0.05).sum())
    return Tried(success=right == 4, figure=f"{right} of 4 values", by=network.by)


@attack(
    GROUP, "whether a person was among those a model was fitted to", rule="saturation", peer="(read) possible"
)
def membership(guard):
    """Of a model with nearly as many coefficients as people, the fitted are the near ones."""
    rng = np.random.default_rng(9)
    network = Network(guard, people=8)
    knows(network, 40, rng)
    fitted = list(islice(network.fitted(Glm(), known_model(0, 40)), 30))
    if not fitted:
        return Tried(success=False, figure="no model", by=network.by)
    columns = list(network.people.values())
    inside = np.concatenate(
        [np.column_stack([np.ones(8), *(c[f"x{n}"] for n in range(40))]) for c in columns]
    )
    values = np.concatenate([c["glucose"] for c in columns])
    p = 41
    information = np.zeros((p, p))
    information[np.tril_indices(p)] = fitted[0].values["information"]
    information += np.tril(information, -1).T
    estimate = np.linalg.lstsq(information, fitted[0].values["observed"], rcond=None)[0]
    strangers = np.column_stack([np.ones(48), rng.uniform(1, 2, (48, 40))])
    other = np.round(rng.normal(50, 10, 48), 1)
    near = np.abs(inside @ estimate - values)
    far = np.abs(strangers @ estimate - other)
    area = float((near[:, None] < far[None, :]).mean())
    return Tried(success=area > 0.8, figure=f"area {area:.2f}", by=network.by)


@attack(
    GROUP,
    "the same of a model that the rules allow",
    what=Class.BOUNDED,
    rule="saturation",
)
def membership_of_a_lawful_model(guard):
    """Twelve people a coefficient, the most that the rule lets through: the area against 0.5 + √(p/n)/2."""
    rng, people = np.random.default_rng(9), 44
    network = Network(guard, people=people if guard else 8)
    count = 20
    knows(network, 40, rng)
    params = known_model(0, count if guard else 40)
    shown = next(network.fitted(Glm(), params), None)
    assert shown is not None
    p = len(params.covariates) + 1
    columns = list(network.people.values())
    inside = np.concatenate(
        [np.column_stack([np.ones(len(c["person"])), *(c[f"x{n}"] for n in range(p - 1))]) for c in columns]
    )
    values = np.concatenate([c["glucose"] for c in columns])
    information = np.zeros((p, p))
    information[np.tril_indices(p)] = shown.values["information"]
    information += np.tril(information, -1).T
    estimate = np.linalg.lstsq(information, shown.values["observed"], rcond=None)[0]
    strangers = np.column_stack([np.ones(2000), rng.uniform(1, 2, (2000, p - 1))])
    other = np.round(rng.normal(50, 10, 2000), 1)
    near, far = np.abs(inside @ estimate - values), np.abs(strangers @ estimate - other)
    area = float((near[:, None] < far[None, :]).mean())
    bound = 0.5 + np.sqrt(1 / 12) / 2
    return Tried(success=area > bound, figure=f"area {area:.2f}", by={"saturation"}, gain=area, bound=bound)


@attack(
    GROUP,
    "a penalised model's gradient at a point of the hub's own",
    what=Class.ACCEPTED,
    line="The opened cells and the state",
)
def chosen_point_of_a_model(guard):
    """Within the bounds any point is lawful: a weighted sum over the same cells, of the hub's choosing."""
    network = Network(guard)
    params = GlmParams(family=Family.BINOMIAL, covariates=(continuous("glucose", 1, 100),))
    state = GlmState(newton=newton.begin(np.array([-15.0, 0.3])))
    Glm().judge(params, state)
    shown = network.total(Glm(), params, state=state)
    values = np.concatenate([c["glucose"] for c in network.people.values()])
    chosen = float(expit(-15 + 0.3 * values).sum())
    told = 0.0 if shown is None else float(shown.values["expected"][0])
    return Tried(success=abs(told - chosen) < 1e-6, figure="a weighted sum as chosen")
