"""What is hidden is exactly what the referee hides, over tables of every shape that statistics have, large and small."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.guard.exposure import Exposure
from dure.guard.suppression import open_cells
from dure.stats.design import binary, cells, continuous, count
from dure.wire.sums import Field, FieldKind, Layout, Relation, Unit

_spec = importlib.util.spec_from_file_location(
    "suppression_referee", Path(__file__).with_name("suppression_referee.py")
)
referee = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(referee)


def layout_of(names, relations, shown, together=()):
    field = Field(
        name="people",
        kind=FieldKind.COUNT,
        unit=Unit.PERSON,
        bound=1,
        rests_on=np.array(shown, dtype=np.int64),
    )
    return Layout(cells=tuple(names), relations=tuple(relations), fields=(field,), together=tuple(together))


def design(rng):
    """Covariates, rare and common, with or without pairs and an outcome."""
    people, p = int(rng.integers(1, 400)), int(rng.integers(1, 6))
    columns = [binary(f"x{j}") if rng.random() < 0.8 else continuous(f"x{j}", 0, 9) for j in range(p)]
    outcome, pairs = rng.random() < 0.5, rng.random() < 0.5
    made = cells((None, *columns), outcome=outcome, pairs=pairs)
    indicators = [rng.random(people) < rng.choice([0.01, 0.05, 0.3, 0.95]) for _ in range(p + outcome)]
    shown = np.unique(np.concatenate([made.column, made.case, made.pair.ravel()]))
    return layout_of(made.names, made.relations, shown), count(made, indicators, people)


def lattice(rng):
    """Wholes over wholes over parts, a part in several wholes, some cells never shown, some shown only together."""
    people = int(rng.integers(1, 300))
    bottom = int(rng.integers(2, 9))
    member = rng.choice(bottom, people, p=rng.dirichlet(np.full(bottom, 0.4)))
    support = [people, *np.bincount(member, minlength=bottom).tolist()]
    relations = [Relation(whole=0, parts=tuple(range(1, bottom + 1)))]
    groups = [(1 << i, i + 1) for i in range(bottom)]
    for _ in range(rng.integers(0, 4)):
        chosen = rng.choice(len(groups), min(len(groups), int(rng.integers(2, 4))), replace=False)
        masks = [groups[i][0] for i in chosen]
        if sum(masks) != int(np.bitwise_or.reduce(masks)):
            continue
        groups.append((sum(masks), len(support)))
        relations.append(Relation(whole=len(support), parts=tuple(groups[i][1] for i in chosen)))
        support.append(sum(support[groups[i][1]] for i in chosen))
    if rng.random() < 0.5:
        overlap = np.unique(
            np.stack([rng.integers(0, 3, 2 * people), rng.integers(0, people, 2 * people)]), axis=1
        )
        seen = np.bincount(overlap[0], minlength=3)
        everyone = len(support)
        support += [len(np.unique(overlap[1])), *seen.tolist()]
        relations.append(
            Relation(whole=everyone, parts=tuple(range(everyone + 1, everyone + 4)), disjoint=False)
        )
    shown = np.flatnonzero(rng.random(len(support)) < 0.85)
    shown = shown if len(shown) else np.array([0])
    together = [tuple(rng.choice(len(support), 2, replace=False).tolist())] if rng.random() < 0.3 else []
    order = rng.permutation(len(relations))
    names = [str(i) for i in range(len(support))]
    return layout_of(names, [relations[i] for i in order], shown, together), np.array(support)


@pytest.mark.parametrize("made", [design, lattice])
@settings(max_examples=70, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**7), k=st.sampled_from([1, 2, 5, 11, 20]))
def test_it_hides_what_the_referee_hides(made, seed, k):
    layout, support = made(np.random.default_rng(seed))
    np.testing.assert_array_equal(open_cells(layout, support, k), referee.open_cells(layout, support, k))


@pytest.mark.slow
@pytest.mark.parametrize("made", [design, lattice])
@settings(max_examples=6000, deadline=None)
@given(seed=st.integers(0, 10**9), k=st.sampled_from([2, 3, 5, 11, 20]))
def test_it_hides_what_the_referee_hides_in_a_long_sweep(made, seed, k):
    layout, support = made(np.random.default_rng(seed))
    np.testing.assert_array_equal(open_cells(layout, support, k), referee.open_cells(layout, support, k))


@pytest.mark.parametrize("made", [design, lattice])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**7))
def test_a_short_cut_clears_no_cell_that_a_programme_of_its_own_does_not(made, seed):
    rng = np.random.default_rng(seed)
    layout, support = made(rng)
    small = (support > 0) & (support < 11)
    shown = ~small & ((support == 0) | (rng.random(len(small)) < 0.7))
    exposure = Exposure(layout, support, np.ones(len(small), dtype=bool), shown, 11)
    doubtful = exposure.doubtful(np.flatnonzero(small))
    for cell in set(np.flatnonzero(small).tolist()) - set(doubtful):
        assert exposure.by(cell) is None


def test_ten_thousand_covariates_are_as_the_referee_would_judge_them_one_by_one():
    """Each covariate's table stands alone beside everyone, so judging it alone is judging it among the others."""
    rng = np.random.default_rng(3)
    people, p = 4000, 10_000
    columns = tuple(binary(f"x{j}") for j in range(p))
    made = cells((None, *columns), outcome=True, pairs=False)
    share = np.minimum(rng.pareto(0.7, p) * 0.002, 0.5)
    indicators = [rng.random(people) < s for s in share]
    indicators.append(rng.random(people) < 0.08)
    support = count(made, indicators, people)
    fields = np.unique(np.concatenate([made.column, made.case, made.outcome]))
    together = open_cells(layout_of(made.names, made.relations, fields), support, 11)
    alone = cells((None, columns[0]), outcome=True, pairs=False)
    for j in range(0, p, 101):
        one = layout_of(
            alone.names, alone.relations, np.unique(np.concatenate([alone.column, alone.case, alone.outcome]))
        )
        counted = count(alone, [indicators[j], indicators[-1]], people)
        judged = referee.open_cells(one, counted, 11)
        assert together[made.column[j + 1]] == judged[alone.column[1]]
        assert together[made.case[j + 1]] == judged[alone.case[1]]
