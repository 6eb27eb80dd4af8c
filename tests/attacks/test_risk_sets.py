"""Patients' covariates out of a Cox model's risk sets: consecutive ones differ by who left between them.

The attacker has what a model with one baseline gives to whoever runs it: sums over the risk set at each time. Without a gate that
is most patients, whole. With it, neither the statistic at exact times nor the one on a gated grid tells of anybody.
"""

from functools import reduce

import numpy as np
import pytest

from dure.guard.gate import Withheld, judge_total, judge_values, release_support, release_values
from dure.stats.base import Again, Frame, Released
from dure.stats.cox import Cox
from dure.stats.cox_model import CoxParams
from dure.stats.cox_one_baseline import CoxOneBaseline, OneBaselineParams
from dure.stats.design import binary, continuous
from dure.stats.risk_sets import at_risk
from dure.stats.risk_table import RiskTable, RiskTableParams
from dure.stats.strata import Strata
from dure.wire import ring
from dure.wire.rules import RULES_OFF, Rules
from dure.wire.sums import Sums

COVARIATES = (binary("new"), binary("female"), continuous("age", 0, 120), continuous("lactate", 0, 30))
MODEL = CoxParams(covariates=COVARIATES)
NAMES = [covariate.name for covariate in COVARIATES]


@pytest.fixture(scope="module")
def patients():
    """600 patients of four hospitals; most leave on a day of their own."""
    rng, people = np.random.default_rng(11), 600
    return {
        "time": rng.integers(1, 2000, people),
        "event": (rng.random(people) < 0.6).astype(int),
        "new": rng.integers(0, 2, people),
        "female": rng.integers(0, 2, people),
        "age": rng.integers(20, 95, people),
        "lactate": np.round(rng.gamma(2, 1, people), 1),
        "hospital": rng.integers(0, 4, people),
    }


def frames(columns, places=None):
    held = columns if places is None else {**columns, "leaves": places}
    for hospital in range(4):
        here = np.flatnonzero(columns["hospital"] == hospital)
        yield Frame(
            person=here, columns={name: column[here] for name, column in held.items() if name != "hospital"}
        )


def released(statistic, params, hospitals, rules):
    """What each round shows to whoever runs it, until it is done; nothing where the gate withholds the total."""
    state, layout, hospitals = statistic.begin(params), statistic.layout(params), list(hospitals)
    while True:
        answers = [statistic.local(frame, params, state) for frame in hospitals]
        parts = [release_support(layout, answer).numbers for answer in answers]
        people = ring.integers(reduce(ring.add, (ring.from_bytes(part, len(layout.cells)) for part in parts)))
        is_open = judge_total(layout, people, rules, hospitals=4)
        if isinstance(is_open, Withheld):
            return
        parts = [release_values(layout, answer, is_open).numbers for answer in answers]
        sums = Sums.from_ring(
            layout, reduce(ring.add, (ring.from_bytes(part, layout.size) for part in parts))
        )
        assert judge_values(sums, people) is None
        total = Released(layout=layout, open=is_open, values=sums.values)
        yield total
        outcome = statistic.step(params, state, total)
        if not isinstance(outcome, Again):
            return
        state = outcome.state


def stolen(total, columns):
    """How many patients' covariates are differences of consecutive risk sets at coefficients 0."""
    values = total.values
    s0, s1 = at_risk((values["event 0"] + values["left 0"], values["event 1"] + values["left 1"]), came=None)
    left0, left1 = -np.diff(s0, append=0.0), -np.diff(s1, axis=0, append=0.0)
    claimed = left1[np.abs(left0 - 1) < 1e-9]
    truth = np.stack([columns[name] for name in NAMES], axis=1)
    return sum((np.abs(truth - one).max(axis=1) < 1e-6).any() for one in claimed)


def at_exact_times(columns):
    days = np.unique(columns["time"])
    return OneBaselineParams(model=MODEL, intervals=len(days)), np.searchsorted(days, columns["time"])


def on_a_gated_grid(columns):
    levels = ("0", "1")
    params = RiskTableParams(
        edges=tuple(range(0, 2001, 20)),
        breakdowns=tuple(Strata(name=name, levels=levels) for name in ("new", "female")),
    )
    state, statistic = RiskTable().begin(params), RiskTable()
    for total in released(statistic, params, frames(columns), Rules()):
        outcome = statistic.step(params, state, total)
        state = outcome.state if isinstance(outcome, Again) else None
    edges = np.array(outcome.result.edges)
    return OneBaselineParams(model=MODEL, intervals=len(edges) - 1), np.searchsorted(
        edges[1:], columns["time"]
    )


def test_without_a_gate_most_patients_are_had(patients):
    params, places = at_exact_times(patients)
    first = next(released(CoxOneBaseline(), params, frames(patients, places), RULES_OFF))
    had = stolen(first, patients)
    print(f"{had} of {len(patients['time'])} patients' covariates, from the first round")
    assert had > 0.7 * len(patients["time"])


def test_at_exact_times_the_gate_hides_them(patients):
    params, places = at_exact_times(patients)
    rounds = list(released(CoxOneBaseline(), params, frames(patients, places), Rules()))
    assert len(rounds) <= 1
    assert all(stolen(total, patients) == 0 for total in rounds)
    for total in rounds:
        for kind in ("event", "left"):
            assert not total.values[f"{kind} 0"].any()
            assert not total.values[f"{kind} 1"].any()


def test_on_a_gated_grid_no_difference_is_of_a_few(patients):
    params, places = on_a_gated_grid(patients)
    assert params.intervals > 3
    rounds = list(released(CoxOneBaseline(), params, frames(patients, places), Rules()))
    assert len(rounds) > 4, "it comes to a fit"
    assert stolen(rounds[0], patients) == 0
    groups = rounds[0].values
    for kind in ("event", "left"):
        # At coefficients 0 these are people, and those of a 0/1 covariate's levels.
        people, with_it = np.rint(groups[f"{kind} 0"]), np.rint(groups[f"{kind} 1"][:, :2])
        for count in (people[:, None], with_it, people[:, None] - with_it):
            assert ((count == 0) | (count >= Rules().least_people)).all()


def test_stratified_by_hospital_there_is_nothing_to_subtract(patients):
    """As many numbers for patients of one day as for those of two thousand: none is of a time."""
    shown = list(released(Cox(), MODEL, frames(patients), Rules()))
    assert len(shown) > 3
    assert all(array.size <= 10 for total in shown for array in total.values.values())
    one_day = {**patients, "time": np.ones_like(patients["time"])}
    again = next(released(Cox(), MODEL, frames(one_day), Rules()))
    assert again.layout.digest == shown[0].layout.digest
