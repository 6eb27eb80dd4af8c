"""An attacker with every shown number, every relation and a linear programme learns no small cell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from dure.guard.suppression import open_cells
from dure.stats.base import Frame, Nothing
from dure.stats.characteristics import Characteristics, CharacteristicsParams
from dure.stats.counts import Counts, CountsParams
from dure.stats.rates import Rates, RatesParams
from dure.stats.strata import Strata

K = 11


def tables(rng):
    return tuple(
        Strata(name=f"t{index}", levels=tuple(str(level) for level in range(rng.integers(2, 7))))
        for index in range(rng.integers(1, 3))
    )


def falls(rng, strata, people):
    return [rng.choice(len(s.levels), people, p=rng.dirichlet(np.full(len(s.levels), 0.5))) for s in strata]


def funnel(rng):
    strata, stages, people = tables(rng), int(rng.integers(1, 6)), int(rng.integers(1, 300))
    reach = [people]
    for _ in range(stages - 1):
        reach.insert(0, reach[0] + int(rng.choice([0, 3, 8, 20])))
    levels = falls(rng, strata, people)
    support = [
        *reach,
        *(n for s, f in zip(strata, levels, strict=True) for n in np.bincount(f, minlength=len(s.levels))),
    ]
    support += [reach[i - 1] - reach[i] for i in range(1, stages)]
    layout = Counts().layout(CountsParams(stages=tuple(f"s{i}" for i in range(stages)), strata=strata))
    return layout, np.array(support)


def cases(rng):
    strata, people = tables(rng), int(rng.integers(1, 300))
    case = rng.random(people) < 0.6 * rng.random()
    at_risk, with_case = [people], [int(case.sum())]
    for s, f in zip(strata, falls(rng, strata, people), strict=True):
        at_risk += np.bincount(f, minlength=len(s.levels)).tolist()
        with_case += np.bincount(f[case], minlength=len(s.levels)).tolist()
    support = np.array([*at_risk, *with_case, *(a - c for a, c in zip(at_risk, with_case, strict=True))])
    return Rates().layout(RatesParams(strata=strata)), support


def overlapping(rng):
    """People with several times at risk, in other levels each time."""
    strata, rows = tables(rng), int(rng.integers(1, 400))
    frame = Frame(
        person=rng.integers(0, rng.integers(1, 300), rows),
        columns={
            "days": np.ones(rows, dtype=np.int64),
            "outcomes": (rng.random(rows) < 0.5 * rng.random()).astype(np.int64),
            **{s.name: f for s, f in zip(strata, falls(rng, strata, rows), strict=True)},
        },
    )
    answer = Rates().local(frame, RatesParams(strata=strata), Nothing())
    return answer.sums.layout, answer.support


def nested(rng):
    """Covariates of which some lie within others (a shorter window), and some exclude each other."""
    size, apart = int(rng.integers(3, 12)), int(rng.integers(0, 4))
    apart = min(apart, size - 1)
    within = tuple((at, at + 1) for at in range(apart, size - 1) if rng.random() < 0.7)
    params = CharacteristicsParams(
        groups=("all",),
        covariates=tuple(str(at) for at in range(size)),
        measured={},
        partitions=(tuple(range(apart)),) if apart else (),
        nested=within,
    )
    people = int(rng.integers(1, 200))
    having = rng.integers(0, min(people, rng.choice([15, 200])) + 1, size)
    for at in range(apart):
        having[at] = rng.integers(0, people - having[:at].sum() + 1)
    for wider, narrower in within:
        having[narrower] = min(having[narrower], having[wider])
    rest = [people - having[:apart].sum()] if apart else []
    between = [having[wider] - having[narrower] for wider, narrower in within]
    support = np.array([people, *having, *(people - having), *rest, *between])
    return Characteristics().layout(params), support


def possible(layout, support, shown, cell):
    """The least and largest value of a cell that fits everything shown, and how many are in two parts of a whole."""
    equations = np.zeros((len(layout.relations), len(support)))
    for row, relation in enumerate(layout.relations):
        equations[row, list(relation.parts)] = 1
        equations[row, relation.whole] = -1
    known = np.where(shown, support, 0), np.where(shown, support, np.inf)
    goal = np.eye(len(support))[cell]
    found = [
        linprog(sign * goal, A_eq=equations, b_eq=equations @ support, bounds=np.stack(known, axis=1))
        for sign in (1, -1)
    ]
    assert found[0].success
    return found[0].fun, -found[1].fun if found[1].success else np.inf


@pytest.mark.parametrize("made", [funnel, cases, overlapping, nested])
@settings(max_examples=120, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**7))
def test_no_small_cell_can_be_had(made, seed):
    layout, support = made(np.random.default_rng(seed))
    shown = open_cells(layout, support, K)
    small = (support > 0) & (support < K)
    assert not (shown & small).any()
    for cell in np.flatnonzero(small):
        least, largest = possible(layout, support, shown, cell)
        assert largest > least + 0.5
        assert largest >= K - 1e-6, "that it is small is known"
    for relation in layout.relations:
        left = [part for part in relation.parts if not shown[part]]
        if shown[relation.whole] and small[left].any():
            people = support[relation.whole] - support[[p for p in relation.parts if shown[p]]].sum()
            assert len(left) > 1
            assert people >= K or (not relation.disjoint and support[left].max() >= K)


def test_what_is_hidden_is_not_all():
    """Over the same random tables, most of which are of a few dozen people, two in three populated cells are shown."""
    shown = populated = 0
    for made in (funnel, cases, overlapping):
        for seed in range(60):
            layout, support = made(np.random.default_rng(seed))
            enough = np.zeros(len(support), dtype=bool)
            enough[layout.rests_on] = True
            enough &= support >= K
            shown += (open_cells(layout, support, K) & enough).sum()
            populated += enough.sum()
    print(f"{shown} of {populated} cells with at least {K} people are shown")
    assert shown > 2 / 3 * populated


@pytest.mark.parametrize("made", [funnel, cases])
def test_the_attack_is_real(made):
    """Without the complementary cells, the same attacker finds small cells exactly."""
    broken = 0
    for seed in range(30):
        layout, support = made(np.random.default_rng(seed))
        small = (support > 0) & (support < K)
        shown = np.zeros(len(support), dtype=bool)
        shown[layout.rests_on] = True
        shown &= ~small
        for cell in np.flatnonzero(small):
            least, largest = possible(layout, support, shown, cell)
            broken += abs(largest - least) < 0.5
    assert broken


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**7))
def test_with_rules_off_everything_is_shown(seed):
    layout, support = funnel(np.random.default_rng(seed))
    assert open_cells(layout, support, 1)[layout.rests_on].all()
