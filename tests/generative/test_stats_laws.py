"""The laws of every statistic in `stats.ALL`: split answers add up to the pooled one, integers bit for bit and fractions to
what is lost where a hospital's own floats are rounded."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.stats import ALL
from dure.stats.base import Frame, SplitsBy
from dure.stats.counts import CountsParams
from dure.stats.hospital_strata import HospitalStrataParams, Measure
from dure.stats.log_rank import LogRankParams
from dure.stats.quantiles import QuantilesParams
from dure.stats.rates import RatesParams
from dure.stats.risk_table import RiskTableParams
from dure.stats.strata import Strata
from dure.stats.two_by_two import TwoByTwoParams
from dure.wire import ring
from dure.wire.codec import decode, encode
from dure.wire.sums import Sums

STRATA = (Strata(name="age", levels=("young", "middle", "old")), Strata(name="sex", levels=("f", "m")))


def levels(rng, rows):
    return {"age": rng.integers(0, 3, rows), "sex": rng.integers(0, 2, rows)}


def counts(rng, rows):
    params = CountsParams(stages=("entered", "adult", "in"), strata=STRATA)
    return params, Frame(
        person=np.arange(rows), columns={"reached": rng.integers(0, 4, rows), **levels(rng, rows)}
    )


def rates(rng, rows):
    person = rng.integers(0, rows // 2 + 1, rows)
    columns = {"days": rng.integers(0, 900, rows), "outcomes": rng.poisson(0.3, rows)}
    columns["outcomes"] = np.minimum(columns["outcomes"], columns["days"])
    return RatesParams(strata=STRATA), Frame(person=person, columns={**columns, **levels(rng, rows)})


def quantiles(rng, rows):
    params = QuantilesParams(low=0, high=200, bins=4, share=0.5)
    return params, Frame(person=np.arange(rows), columns={"value": rng.integers(-5, 250, rows)})


def two_by_two(rng, rows):
    columns = {"exposed": rng.integers(0, 2, rows), "case": rng.integers(0, 2, rows), **levels(rng, rows)}
    return TwoByTwoParams(strata=STRATA[0]), Frame(person=np.arange(rows), columns=columns)


def hospital_strata(rng, rows):
    params = HospitalStrataParams(measure=(Measure.RISK, Measure.RATE)[rng.integers(2)])
    outcomes = rng.poisson(0.5, rows)
    columns = {
        "exposed": rng.integers(0, 2, rows),
        "outcomes": outcomes,
        "case": (outcomes > 0).astype(int),
        "days": outcomes + rng.integers(1, 900, rows),
        "stratum": rng.integers(0, 12, rows),
    }
    return params, Frame(person=np.arange(rows), columns=columns)


def log_rank(rng, rows):
    params = LogRankParams(groups=STRATA[0], rho=float(rng.integers(0, 2)), stratified=True)
    columns = {
        "time": rng.integers(1, 30, rows),
        "event": rng.integers(0, 2, rows),
        "stratum": rng.integers(0, 3, rows),
    }
    return params, Frame(person=np.arange(rows), columns={**columns, **levels(rng, rows)})


def risk_table(rng, rows):
    edges = tuple(np.cumsum(rng.integers(1, 9, rng.integers(2, 20))).tolist())
    params = RiskTableParams(edges=edges, causes=2, breakdowns=STRATA, delayed=bool(rng.integers(0, 2)))
    columns = {
        "entry": rng.integers(-5, 60, rows),
        "time": rng.integers(-5, 90, rows),
        "event": rng.integers(0, 3, rows),
    }
    return params, Frame(person=np.arange(rows), columns={**columns, **levels(rng, rows)})


EXAMPLES = {
    "counts": counts,
    "hospital_strata": hospital_strata,
    "log_rank": log_rank,
    "rates": rates,
    "quantiles": quantiles,
    "risk_table": risk_table,
    "two_by_two": two_by_two,
}


def assert_same(field, found, expected):
    """Integers are equal; of fractions at most 8 hospitals round to the ring's grid, and floats to 53 bits."""
    if field.scale == 0:
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(
            found, expected, rtol=1e-10, atol=2.0 ** (3 - field.scale) + 1e-12 * field.bound
        )


def test_every_statistic_obeys():
    assert set(EXAMPLES) == set(ALL)


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), rows=st.integers(0, 120), hospitals=st.integers(1, 6))
def test_laws(name, seed, rows, hospitals):
    statistic, rng = ALL[name], np.random.default_rng(seed)
    params, frame = EXAMPLES[name](rng, rows)
    state = statistic.begin(params)
    layout = statistic.layout(params)
    unit = frame.columns["stratum"] if statistic.splits_by is SplitsBy.STRATUM else frame.person
    place = rng.integers(0, hospitals, 10_000)[unit]
    if statistic.splits_by is SplitsBy.SITE:
        frame = Frame(person=frame.person, columns={**frame.columns, "hospital": place})
    parts = [
        Frame(person=frame.person[place == h], columns={k: v[place == h] for k, v in frame.columns.items()})
        for h in range(hospitals)
    ]
    pooled = statistic.local(frame, params, state)
    answers = [statistic.local(part, params, state) for part in parts]

    lanes = [answer.sums.to_ring() for answer in answers]
    forward = reduce(ring.add, lanes, Sums.zero(layout).to_ring())
    np.testing.assert_array_equal(forward, reduce(ring.add, reversed(lanes)))
    total = Sums.from_ring(layout, forward)
    for field in layout.fields:
        assert_same(field, total.values[field.name], pooled.sums.values[field.name])
    np.testing.assert_array_equal(sum(answer.support for answer in answers), pooled.support)

    again = Sums.from_ring(layout, pooled.sums.to_ring())
    for answer in (pooled, *answers):
        assert answer.sums.layout.digest == layout.digest == statistic.layout(params).digest
        for field in layout.fields:
            values, people = answer.sums.values[field.name], answer.support[field.rests_on]
            slack = 0 if field.scale == 0 else 1e-12 * field.bound
            assert (np.abs(values) <= field.bound * people + slack).all()
            assert (values[people == 0] == 0).all()
        for relation in layout.relations:
            parts_sum = answer.support[list(relation.parts)].sum()
            whole = answer.support[relation.whole]
            assert parts_sum == whole if relation.disjoint else parts_sum >= whole
        for cell, people in answer.populations.items():
            assert len(people) == answer.support[layout.cells.index(cell)]
            assert (np.diff(people) > 0).all()
    for field in layout.fields:
        assert_same(field, again.values[field.name], pooled.sums.values[field.name])
    assert decode(statistic.params, encode(params), where="test") == params
    assert decode(statistic.state, encode(state), where="test") == state
    assert statistic.rounds(params) >= 1
    statistic.judge(params, state)
