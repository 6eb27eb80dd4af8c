"""What noise rests on: one person adds no more than the layout says, and noised numbers that contradict each other break nothing.

The bound from the layout is held against all people that a small layout allows, one by one; the statistics against frames of which
a person is taken away.
"""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.features.covariates import Covariate
from dure.guard import noise, sensitivity
from dure.guard.gate import release_noised
from dure.stats import ALL
from dure.stats.base import Again, Frame, Released
from dure.stats.rates import RatesParams
from dure.study.kinds import KINDS
from dure.study.kinds.base import NETWORK, Cohort
from dure.study.kinds.characterise import Characterise
from dure.study.kinds.distribution import Distribution
from dure.study.kinds.feasibility import Feasibility
from dure.study.kinds.incidence import Incidence
from dure.study.kinds.prevalence import Prevalence
from dure.wire import ring
from dure.wire.rules import Noise
from dure.wire.sums import Layout, Relation, Sums
from tests.generative import test_stats_laws as laws

CIRCE = json.loads((Path(__file__).parents[1] / "data" / "circe" / "celecoxib.json").read_text())
COHORT = Cohort(name="users", circe=CIRCE)
BINARY = tuple(
    Covariate(id=number, name=name)
    for number, name in (
        (8507001, "Gender = MALE"),
        (316866210, "Hypertension"),
        (321588210, "Heart disease"),
    )
)
QUESTIONS = {
    "feasibility": Feasibility(cohort=COHORT, breakdowns=("age", "sex")),
    "incidence": Incidence(target=COHORT, outcome=COHORT, breakdowns=("age", "sex"), standard="who_2000"),
    "first outcomes": Incidence(target=COHORT, outcome=COHORT, breakdowns=("sex",), most_outcomes=1, most_days=365),
    "prevalence": Prevalence(target=COHORT, condition=COHORT),
    "distribution": Distribution(cohort=COHORT, bins=8),
    "in one round": Distribution(cohort=COHORT, bins=8, one_round=True),
    "characterise": Characterise(target=COHORT, comparator=COHORT, covariates=BINARY),
}  # fmt: skip
ONE = Noise(epsilon=1.0, delta=1e-6)


# the bound


@st.composite
def layouts(draw):
    """A few cells, some of which are parts of others, some twice."""
    cells = draw(st.integers(1, 7))
    relations = []
    for whole in range(cells - 1):
        parts = draw(st.lists(st.integers(whole + 1, cells - 1), unique=True, max_size=4))
        if parts and draw(st.booleans()):
            relations.append(Relation(whole=whole, parts=tuple(parts), disjoint=draw(st.booleans())))
    return Layout(cells=tuple(map(str, range(cells))), relations=tuple(relations), fields=())


@given(layouts(), st.data())
@settings(max_examples=80, deadline=None)
def test_nobody_is_in_more_cells_than_the_bound(layout, data):
    size = len(layout.cells)
    weights = np.array(data.draw(st.lists(st.integers(0, 5), min_size=size, max_size=size)))
    lawful = [
        inside
        for inside in itertools.product((0, 1), repeat=size)
        if all(
            sum(inside[part] for part in relation.parts) == inside[relation.whole]
            for relation in layout.relations
            if relation.disjoint
        )
    ]
    largest = max(int(weights @ np.array(inside)) for inside in lawful)
    found = sensitivity.most(layout, weights)
    assert largest <= found <= weights.sum()


def test_trees_are_bounded_exactly():
    """A funnel with a breakdown: a person passes all stages and is in one level."""
    params = laws.counts(np.random.default_rng(1), 5)[0]
    layout = ALL["counts"].layout(params)
    assert sensitivity.most(layout, np.ones(len(layout.cells), dtype=np.int64)) == 3 + 2


def test_who_is_counted_once_is_in_few_cells():
    """Prevalence by age and sex: at risk, and a case or not, in the whole and in one level of each."""
    (step,) = KINDS["prevalence"].steps(QUESTIONS["prevalence"])
    cells = len(step.layout.cells)
    assert sensitivity.most(step.layout, np.ones(cells, dtype=np.int64)) == 6 < cells
    assert not noise.plan(step.layout, ONE, 0.02, 5).fields, "all else is told by them"


# the statistics


def frames(name, seed):
    """Parameters and a frame of a statistic whose kinds can carry noise, with wild values among them."""
    rng = np.random.default_rng(seed)
    params, frame = getattr(laws, name)(rng, int(rng.integers(1, 60)))
    if name == "rates":
        columns = dict(frame.columns)
        columns["days"] = rng.integers(0, 10**6, len(frame.person))
        columns["outcomes"] = np.minimum(rng.integers(0, 400, len(frame.person)), columns["days"])
        params = replace(
            params, most_outcomes=int(rng.choice([1, 3, 45750])), most_days=int(rng.choice([1, 900]))
        )
        frame = Frame(person=frame.person, columns=columns)
        if rng.integers(2):
            _, first = np.unique(frame.person, return_index=True)
            frame = Frame(
                person=frame.person[first], columns={key: column[first] for key, column in columns.items()}
            )
            params = replace(params, in_one_level=True)
    return params, frame


def without(frame, person):
    kept = frame.person != person
    return Frame(
        person=frame.person[kept],
        columns={key: column[kept] for key, column in frame.columns.items()},
        matrices={key: matrix.tocsr()[np.flatnonzero(kept)] for key, matrix in frame.matrices.items()},
    )


@pytest.mark.parametrize("name", ["counts", "rates", "quantiles", "characteristics"])
@pytest.mark.parametrize("seed", range(12))
def test_one_person_adds_no_more_than_the_layout_says(name, seed):
    """Taking anybody away moves no element beyond its bound, and no vector beyond its distance; people are told by the support."""
    params, frame = frames(name, seed)
    statistic = ALL[name]
    layout, state = statistic.layout(params), statistic.begin(params)
    whole = statistic.local(frame, params, state)
    plan = noise.plan(layout, ONE, 0.02, 5)
    vectors = {vector.name: vector for vector in plan.fields}
    for person in np.unique(frame.person):
        less = statistic.local(without(frame, person), params, state)
        moved = np.abs(whole.support - less.support)
        assert (moved**2).sum() <= plan.support.squares
        for field in layout.fields:
            away = np.abs(whole.sums.values[field.name] - less.sums.values[field.name])
            assert away.max(initial=0) <= field.bound * (1 + 1e-9)
            if noise.told_by_support(field):
                assert (whole.sums.values[field.name] == whole.support[field.rests_on]).all()
            if field.name in vectors:
                assert ((away / vectors[field.name].step) ** 2).sum() <= vectors[field.name].squares


@pytest.mark.parametrize("name", ["counts", "rates", "quantiles", "characteristics"])
def test_what_carries_no_noise_is_sent_as_nothing(name):
    params, frame = frames(name, 3)
    statistic = ALL[name]
    layout = statistic.layout(params)
    plan = noise.plan(layout, ONE, 0.02, 5)
    told = release_noised(
        layout, statistic.local(frame, params, statistic.begin(params)), plan,
        lambda scale, size: np.ones(size, dtype=np.int64), is_open=np.ones(len(layout.cells), dtype=bool),
    )  # fmt: skip
    sums = Sums.from_ring(layout, ring.from_bytes(told.numbers, layout.size))
    noised_fields = {vector.name for vector in plan.fields}
    for field in layout.fields:
        assert sums.values[field.name].any() == (field.name in noised_fields)


# the kinds


def test_these_are_the_kinds_that_carry_noise():
    kinds = {name for name, kind in KINDS.items() if type(kind).against_noise is not _base()}
    assert kinds == {type(question).__name__.lower() for question in QUESTIONS.values()}


def _base():
    from dure.study.kinds.base import Kind

    return Kind.against_noise


def test_measured_covariates_carry_none():
    assert KINDS["characterise"].against_noise(Characterise(target=COHORT)) is not None


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("seed", range(15))
def test_tables_of_noised_numbers_are_numbers(name, seed):
    """Totals that no people have: every table is made all the same, and no rate, share or end of an interval is absurd."""
    question, rng = QUESTIONS[name], np.random.default_rng(seed)
    kind = KINDS[question.kind]
    assert kind.against_noise(question) is None
    results = {}
    for step in kind.steps(question):
        assert noise.unsound(step.layout, ONE, 5) is None
        state = step.statistic.begin(step.params)
        for _ in range(step.statistic.rounds(step.params)):
            step.statistic.judge(step.params, state)
            outcome = step.statistic.step(step.params, state, noised(step.layout, rng))
            if not isinstance(outcome, Again):
                results[step.name] = {NETWORK: outcome.result}
                break
            state = outcome.state
    for table in kind.tables(question, results):
        for row in table.rows:
            for column, value in zip(table.columns, row, strict=True):
                if isinstance(value, float):
                    assert math.isfinite(value), (table.name, column)
                if isinstance(value, int | float) and column != "smd":
                    assert value >= 0, (table.name, column)
                if column.endswith("percent") and value is not None:
                    assert value <= 100.000001, (table.name, column)


def noised(layout, rng):
    """What a hub shows of a total that is all noise."""
    support = np.rint(rng.normal(rng.choice([5, 40, 4000]), 60, len(layout.cells))).astype(np.int64)
    is_open = noise.opened(layout, support, 11)
    values = {
        field.name: (rng.normal(0, 1, field.rests_on.shape) * field.bound * rng.choice([1, 50])).astype(
            np.int64 if field.scale == 0 else float
        )
        for field in layout.fields
    }
    told = noise.settled(layout, is_open, Wild(values), np.maximum(support, 0))
    return Released(layout=layout, open=is_open, values=told)


class Wild:
    """Sums, as far as `settled` reads them."""

    def __init__(self, values):
        self.values = values


def test_a_person_s_days_and_outcomes_are_clipped():
    frame = Frame(
        person=np.array([1, 1, 2]),
        columns={"days": np.array([400, 400, 10]), "outcomes": np.array([2, 2, 1])},
    )
    params = RatesParams(strata=(), most_outcomes=3, most_days=500)
    told = ALL["rates"].local(frame, params, ALL["rates"].begin(params)).sums.values
    assert told["outcomes"].tolist() == [3 + 1]
    assert told["days"].tolist() == [500 + 10]
