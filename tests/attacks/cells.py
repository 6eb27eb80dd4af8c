"""Small cells out of what is shown beside them, in one answer. Off hides small cells alone, as most systems do."""

import numpy as np
from scipy.optimize import linprog

from dure.guard.suppression import open_cells
from dure.stats.base import Frame, Nothing
from dure.stats.characteristics import Characteristics, CharacteristicsParams
from dure.stats.counts import Counts, CountsParams
from dure.stats.design import binary, continuous
from dure.stats.families import Family
from dure.stats.glm import Glm
from dure.stats.glm_model import GlmParams
from dure.stats.hospital_strata import HospitalStrata, HospitalStrataParams, Measure
from dure.stats.rates import Rates, RatesParams
from dure.stats.risk_table import RiskTable, RiskTableParams
from dure.stats.strata import Strata
from tests.attacks.attack import Class, Tried, attack
from tests.attacks.network import Network

GROUP = "cells of one answer"
K = 11


def shown_cells(guard, layout, support):
    if guard:
        return open_cells(layout, support, K)
    shown = np.zeros(len(support), bool)
    shown[layout.rests_on] = True
    return shown & ~((support > 0) & (support < K))


def possible(layout, support, shown, cell):
    """The least and the largest that a cell can be, for who knows what is shown, every relation, and that counts are whole."""
    equations = np.zeros((len(layout.relations), len(support)))
    for row, relation in enumerate(layout.relations):
        equations[row, list(relation.parts)] = 1
        equations[row, relation.whole] = -1
    bounds = np.stack([np.where(shown, support, 0), np.where(shown, support, np.inf)], axis=1)
    ends = []
    for sign in (1, -1):
        goal = sign * np.eye(len(support))[cell]
        solved = linprog(goal, A_eq=equations, b_eq=equations @ support, bounds=bounds)
        ends.append(sign * solved.fun if solved.success else np.inf)
    return ends


def narrowed(guard, layout, support, *, exactly=True):
    """How many small cells come out: exactly, or as being below k."""
    shown = shown_cells(guard, layout, support)
    small = np.flatnonzero((support > 0) & (support < K))
    assert len(small)
    found = 0
    for cell in small:
        least, most = possible(layout, support, shown, cell)
        found += shown[cell] or (abs(most - least) < 0.5 if exactly else most < K - 0.5)
    what = "exactly" if exactly else "as below 11"
    return Tried(success=found > 0, figure=f"{found} of {len(small)} small cells {what}", by={"least-people"})


@attack(GROUP, "a small level of a breakdown from the whole and the other levels", rule="least-people")
def margin(guard):
    layout = Counts().layout(
        CountsParams(stages=("all",), strata=(Strata(name="t", levels=("a", "b", "c")),))
    )
    return narrowed(guard, layout, np.array([100, 60, 37, 3]))


@attack(GROUP, "two hidden levels of which one is small: their sum says that it is", rule="least-people")
def bounds_of_hidden(guard):
    layout = Counts().layout(
        CountsParams(stages=("all",), strata=(Strata(name="t", levels=("a", "b", "c")),))
    )
    return narrowed(guard, layout, np.array([100, 90, 7, 3]), exactly=False)


@attack(GROUP, "a few that a stage of a funnel loses", rule="least-people")
def funnel(guard):
    layout = Counts().layout(CountsParams(stages=("a", "b", "c"), strata=()))
    support = np.array([100, 97, 60, 3, 37])
    return narrowed(guard, layout, support)


@attack(GROUP, "the few without the outcome, from those at risk and the cases", rule="least-people")
def without_outcome(guard):
    layout = Rates().layout(RatesParams(strata=()))
    return narrowed(guard, layout, np.array([100, 96, 4]))


@attack(GROUP, "the few who lack a covariate that nearly all have", rule="least-people")
def without_covariate(guard):
    params = CharacteristicsParams(groups=("all",), covariates=("x",), measured={}, partitions=(), nested=())
    return narrowed(guard, Characteristics().layout(params), np.array([100, 96, 4]))


@attack(
    GROUP, "the few who have a covariate in the long window and not in the short one", rule="least-people"
)
def windows(guard):
    params = CharacteristicsParams(
        groups=("all",), covariates=("365 days", "30 days"), measured={}, partitions=(), nested=((0, 1),)
    )
    layout = Characteristics().layout(params)
    return narrowed(guard, layout, np.array([200, 60, 56, 140, 144, 4]))


@attack(GROUP, "a cross of two breakdowns by a linear programme over all margins", rule="least-people")
def cross_of_margins(guard):
    tables = tuple(Strata(name=name, levels=tuple("abcd")) for name in ("s", "t"))
    layout = Rates().layout(RatesParams(strata=tables))
    rng, worst = np.random.default_rng(8), None
    for _ in range(30):
        people = 80
        case = rng.random(people) < 0.3
        at_risk, with_case = [people], [int(case.sum())]
        for _ in tables:
            falls = rng.choice(4, people, p=[0.5, 0.3, 0.15, 0.05])
            at_risk += np.bincount(falls, minlength=4).tolist()
            with_case += np.bincount(falls[case], minlength=4).tolist()
        support = np.array([*at_risk, *with_case, *(a - c for a, c in zip(at_risk, with_case, strict=True))])
        if ((support > 0) & (support < K)).any():
            tried = narrowed(guard, layout, support)
            worst = tried if worst is None or tried.success else worst
    assert worst is not None
    return worst


@attack(GROUP, "a small cell of a two by two table from a weighted sum over all four", rule="least-people")
def weighted_sum_of_a_table(guard):
    params = HospitalStrataParams(measure=Measure.RISK)
    layout = HospitalStrata().layout(params)
    rng = np.random.default_rng(3)
    exposed, outcome = (rng.random(300) < 0.5).astype(int), np.zeros(300, int)
    outcome[np.flatnonzero(exposed == 1)[:4]] = 1
    outcome[np.flatnonzero(exposed == 0)[:40]] = 1
    frame = Frame(
        person=np.arange(300),
        columns={"exposed": exposed, "case": outcome, "stratum": np.zeros(300, int)},
    )
    answer = HospitalStrata().local(frame, params, Nothing())
    shown = shown_cells(guard, layout, answer.support)
    terms = next(field for field in layout.fields if field.name == "terms")
    told = int(shown[terms.rests_on].sum())
    return Tried(success=told > 0, figure=f"{told} sums that speak of the four", by={"least-people"})


@attack(
    GROUP,
    "pairs of covariates of a few people in a model's information, at coefficients 0",
    rule="least-people",
    peer="DataSHIELD, vantage6, FLARE, pda: shown",
)
def pairs_in_the_information(guard):
    network = Network(guard)
    for columns in network.people.values():
        columns["rare"] = np.zeros(200, int)
        columns["rare"][:20] = 1
        columns["other"] = np.zeros(200, int)
        columns["other"][20:120] = 1
    network.people["h1"]["other"][:3] = 1
    params = GlmParams(family=Family.BINOMIAL, covariates=(binary("rare"), binary("other")))
    shown = next(network.fitted(Glm(), params), None)
    pair = 0.0 if shown is None else 4 * float(shown.values["information"][4])
    return Tried(success=round(pair) == 3, figure=f"{round(pair)} people with both", by={"least-people"})


@attack(GROUP, "days on which one person has the event", rule="least-people")
def event_days(guard):
    network = Network(guard)
    params = RiskTableParams(edges=tuple(range(1501)), breakdowns=())
    rng = np.random.default_rng(1)
    for columns in network.people.values():
        columns["time"] = rng.integers(1, 1500, 200)
        columns["event"] = (rng.random(200) < 0.5).astype(int)
    statistic, alone = RiskTable(), 0
    for shown in network.fitted(statistic, params):
        alone = max(alone, int((shown.values["people"][:, 0] == 1).sum()))
    return Tried(success=alone > 100, figure=f"{alone} days with one event", by={"least-people"})


@attack(
    GROUP,
    "everybody in a shown cell has the outcome",
    what=Class.ACCEPTED,
    line="Group disclosure",
)
def group_disclosure(guard):
    network = Network(guard)
    for columns in network.people.values():
        columns["outcomes"] = (columns["age"] < 30).astype(int)
    shown = network.total(Rates(), RatesParams(strata=()), lambda _, c: c["age"] < 30)
    same = shown is not None and int(shown.values["people"][0]) == int(shown.values["cases"][0])
    return Tried(success=same, figure="that each has it")


@attack(
    GROUP,
    "one person's days dominate a sum over eleven",
    rule="concentration",
)
def concentration(guard):
    network = Network(guard)
    chosen = lambda name, c: (name == "h1") & (c["person"] < 11)  # noqa: E731
    network.people["h1"]["days"][:11], network.people["h1"]["outcomes"][:11] = 1, 0
    network.people["h1"]["days"][0] = 20_000
    shown = network.total(Rates(), RatesParams(strata=()), chosen)
    if shown is None:
        return Tried(success=False, figure="nothing", by=network.by)
    off = abs(int(shown.values["days"][0]) - 20_000) / 20_000
    return Tried(success=off < 0.01, figure=f"the person's days to {off:.2%}")


@attack(GROUP, "quantities so declared that a clipped sum counts who is above", rule="least-people")
def clipped_to_a_count(guard):
    """A covariate with bounds so near each other that its sum is a count of the few above them."""
    network = Network(guard)
    few = np.sort(np.concatenate([c["glucose"] for c in network.people.values()]))[-4]
    for columns in network.people.values():
        columns["above"] = (columns["glucose"] >= few).astype(float)
    params = GlmParams(family=Family.GAUSSIAN, covariates=(continuous("above", 0, 1e-6),))
    shown = next(network.fitted(Glm(), params), None)
    count = 0 if shown is None else round(float(shown.values["expected"][1]) / 1e-6)
    told = 0.0 if shown is None else float(shown.values["information"][2]) / 1e-12
    return Tried(success=round(told) == 4, figure=f"{round(told) or count} people above", by={"least-people"})
