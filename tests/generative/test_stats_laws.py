"""The laws of every statistic in `stats.ALL`: split answers add up to the pooled one.

Integers to the last bit; floats in any order of hospitals to the last bit, and to the pooled answer within the tolerance that
the statistic states.
"""

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from dure.stats import ALL, newton
from dure.stats.balance import BalanceParams
from dure.stats.base import Frame, SplitsBy
from dure.stats.characteristics import CharacteristicsParams
from dure.stats.conditional import ConditionalParams, ConditionalState
from dure.stats.conditional_kernel import Ties
from dure.stats.counts import CountsParams
from dure.stats.covariance import CovarianceParams
from dure.stats.cox import CoxState
from dure.stats.cox_lasso import CoxLassoParams
from dure.stats.cox_model import Clock, CoxParams
from dure.stats.cox_one_baseline import Compared, OneBaselineParams, OneBaselineState, Told
from dure.stats.design import binary, continuous
from dure.stats.families import Family
from dure.stats.fine_gray import FineGrayParams
from dure.stats.glm_model import Bounds, GlmParams
from dure.stats.hospital_strata import HospitalStrataParams, Measure
from dure.stats.lasso import LassoParams
from dure.stats.log_rank import LogRankParams
from dure.stats.mixed_model import MixedModelParams, MixedModelState
from dure.stats.moments import MomentsParams
from dure.stats.pathways import PathwaysParams
from dure.stats.penalised_path import PathState, Sparse
from dure.stats.profile import ProfileParams
from dure.stats.quantiles import QuantilesParams
from dure.stats.rates import RatesParams
from dure.stats.risk_table import RiskTableParams
from dure.stats.score_table import ScoreTableParams, ScoreTableState
from dure.stats.strata import Strata
from dure.stats.two_by_two import TwoByTwoParams
from dure.stats.weighted_rates import WeightedRatesParams
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


def glm(rng, rows):
    """Every family, with and without each thing that a model may ask for."""
    family = list(Family)[rng.integers(0, 5)]
    flags = rng.integers(0, 2, 4).astype(bool).tolist()
    covariates = (binary("f"), continuous("age", 18, 100), binary("rare"), continuous("visits", 0, 50))
    outcome = {
        Family.GAUSSIAN: (Bounds(low=-50, high=50), rng.normal(3, 20, rows)),
        Family.BINOMIAL: (Bounds(low=0, high=1), rng.integers(0, 2, rows)),
        Family.POISSON: (Bounds(low=0, high=30), rng.poisson(2, rows)),
        Family.GAMMA: (Bounds(low=0.01, high=500), rng.gamma(2, 3, rows)),
        Family.NEGATIVE_BINOMIAL: (Bounds(low=0, high=30), rng.poisson(rng.gamma(1, 2, rows))),
    }
    bounds, y = outcome[family]
    params = GlmParams(
        family=family,
        covariates=covariates,
        outcome=bounds,
        weight=Bounds(low=0, high=3) if flags[0] else None,
        offset=Bounds(low=-2, high=2) if flags[1] else None,
        hospital_intercepts=flags[2],
        robust=flags[3],
        clustered=True,
    )
    columns = {
        "outcome": y,
        "f": rng.integers(0, 2, rows),
        "age": rng.integers(10, 110, rows),
        "rare": rng.random(rows) < 0.05,
        "visits": rng.poisson(0.5, rows),
        "weight": rng.uniform(0.1, 2, rows),
        "offset": rng.normal(0, 1, rows),
        "hospital": rng.integers(0, 4, rows),
    }
    return params, Frame(person=np.arange(rows), columns={k: columns[k] for k in ALL["glm"].columns(params)})


def characteristics(rng, rows):
    params = CharacteristicsParams(
        groups=("target", "comparator"),
        covariates=("young", "old", "ever", "lately", "age", "lactate"),
        measured={4: 120.0, 5: 1000.0},
        partitions=((0, 1),),
        nested=((2, 3),),
    )
    young, ever = rng.integers(0, 3, rows), rng.integers(0, 3, rows)
    dense = np.zeros((rows, 6))
    dense[young == 0, 0] = dense[young == 1, 1] = dense[ever > 0, 2] = dense[ever > 1, 3] = 1
    dense[:, 4] = rng.integers(1, 120, rows)
    dense[:, 5] = rng.integers(0, 2, rows) * rng.uniform(0.1, 1500, rows)
    frame = Frame(
        person=np.arange(rows),
        columns={"group": rng.integers(0, 2, rows)},
        matrices={"covariates": sparse.csr_array(dense)},
    )
    return params, frame


def balance(rng, rows):
    params = BalanceParams(
        groups=("target", "comparator"), covariates=(binary("a"), continuous("b", -1, 1)), largest_weight=4
    )
    dense = np.column_stack([rng.integers(0, 2, rows), rng.normal(0, 1, rows) * rng.integers(0, 2, rows)])
    return params, Frame(
        person=np.arange(rows),
        columns={"group": rng.integers(0, 2, rows), "weight": rng.exponential(1.5, rows)},
        matrices={"covariates": sparse.csr_array(dense)},
    )


def weighted_rates(rng, rows):
    params = WeightedRatesParams(groups=("target", "comparator"), edges=(0, 30, 90, 365), largest_weight=4)
    columns = {
        "time": rng.integers(0, 500, rows),
        "event": rng.integers(0, 2, rows),
        "group": rng.integers(0, 2, rows),
        "weight": rng.exponential(1.5, rows),
    }
    return params, Frame(person=np.arange(rows), columns=columns)


VARIABLES = (binary("diabetes"), continuous("visits", 0, 40), continuous("year", 2000, 2030))


def variables(rng, rows, unknown):
    columns = {
        "diabetes": rng.integers(0, 2, rows).astype(float),
        "visits": rng.poisson(1, rows).astype(float),
        "year": rng.normal(2015, 10, rows),
    }
    for column in columns.values():
        column[rng.random(rows) < unknown] = np.nan
    return columns


def moments(rng, rows):
    params = MomentsParams(
        variables=VARIABLES, groups=("new", "old"), largest_weight=3.0 if rng.integers(2) else None
    )
    columns = {
        **variables(rng, rows, 0.2),
        "group": rng.integers(0, 2, rows),
        "weight": rng.uniform(0, 4, rows),
    }
    return params, Frame(person=np.arange(rows), columns=columns)


def covariance(rng, rows):
    return CovarianceParams(variables=VARIABLES), Frame(
        person=np.arange(rows), columns=variables(rng, rows, 0.1)
    )


def score_table(rng, rows):
    columns = {"score": rng.random(rows), "case": rng.integers(0, 2, rows)}
    return ScoreTableParams(cuts=4), Frame(person=np.arange(rows), columns=columns)


def conditional(rng, rows):
    """Matched sets, or people with several intervals."""
    ties = list(Ties)[rng.integers(3)]
    case = rng.integers(0, 2, rows) if ties is not Ties.BRESLOW else rng.poisson(0.6, rows)
    params = ConditionalParams(
        covariates=(binary("drug"), continuous("dose", -1, 4), continuous("year", 2000, 2030)),
        ties=ties,
        largest_offset=5.0,
        most_cases=400,
    )
    stratum = rng.integers(0, 1 + rows // 4, rows)
    columns = {
        "stratum": stratum,
        "case": case,
        "drug": rng.random(rows) < 0.2,
        "dose": rng.integers(0, 2, rows) * rng.normal(0, 2, rows),
        "year": rng.uniform(1999, 2031, rows),
        "offset": rng.normal(0, 3, rows),
    }
    person = stratum if ties is Ties.BRESLOW else np.arange(rows)
    return params, Frame(person=person.astype(np.int64), columns=columns)


def cox_model(rng, *, with_clock):
    flags = rng.integers(0, 2, 5).astype(bool).tolist()
    return CoxParams(
        covariates=(binary("f"), continuous("age", 18, 100), binary("rare"), continuous("visits", 0, 50)),
        ties=("efron", "breslow")[rng.integers(2)],
        weight=Bounds(low=0, high=3) if flags[0] else None,
        delayed=flags[1],
        stratified=flags[2] and with_clock,
        robust=flags[3],
        clustered=flags[4],
        clock=Clock(scale="log", horizon=30) if with_clock else None,
    )


def cox_columns(rng, rows):
    return {
        "time": rng.integers(1, 30, rows),
        "event": rng.integers(0, 3, rows),
        "entry": rng.integers(0, 20, rows),
        "f": rng.integers(0, 2, rows),
        "age": rng.integers(10, 110, rows),
        "rare": rng.random(rows) < 0.05,
        "visits": rng.poisson(0.5, rows),
        "weight": rng.uniform(0.1, 2, rows),
        "stratum": rng.integers(0, 3, rows),
    }


def cox(rng, rows):
    params, columns = cox_model(rng, with_clock=True), cox_columns(rng, rows)
    return params, Frame(person=np.arange(rows), columns={k: columns[k] for k in ALL["cox"].columns(params)})


def fine_gray(rng, rows):
    params = FineGrayParams(
        covariates=(binary("f"), continuous("age", 18, 100), binary("rare"), continuous("visits", 0, 50)),
        ties=("efron", "breslow")[rng.integers(2)],
        stratified=bool(rng.integers(2)),
    )
    columns = cox_columns(rng, rows)
    names = ALL["fine_gray"].columns(params)
    return params, Frame(person=np.arange(rows), columns={name: columns[name] for name in names})


def cox_lasso(rng, rows):
    """Sparse covariates, with and without a fold left out."""
    folds = int(rng.integers(1, 4))
    params = CoxLassoParams(
        covariates=(binary("a"), binary("b"), continuous("visits", 0, 20), binary("c")),
        penalties=(0.1, 0.01),
        ties=("efron", "breslow")[rng.integers(2)],
        delayed=bool(rng.integers(2)),
        fold=int(rng.integers(folds)),
        folds=folds,
    )
    dense = (rng.random((rows, 4)) < [0.5, 0.1, 0.3, 0.02]) * np.array([1, 1, 2.5, 1])
    columns = cox_columns(rng, rows)
    columns = {name: columns[name] for name in ALL["cox_lasso"].columns(params)}
    matrices = {"covariates": sparse.csr_array(dense)}
    return params, Frame(person=np.arange(rows), columns=columns, matrices=matrices)


def cox_one_baseline(rng, rows):
    model, columns = cox_model(rng, with_clock=False), cox_columns(rng, rows)
    params = OneBaselineParams(model=model, intervals=30, clock=tuple(np.linspace(0, 1, 30).tolist()))
    columns["leaves"] = columns["time"]
    columns["enters"] = np.minimum(columns["entry"], columns["time"])
    names = ALL["cox_one_baseline"].columns(params)
    return params, Frame(person=np.arange(rows), columns={k: columns[k] for k in names})


def with_a_hazard(point):
    """The last round of a model with one baseline: the hub has told a hazard, and everything is asked for at once."""
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 0.1, 30)
    means = tuple(tuple(row) for row in rng.uniform(0, 1, (30, 4)).tolist())
    told = Told(
        a=tuple(a.tolist()),
        b=tuple((a / 2).tolist()),
        value=0.0,
        score=(0.0,) * 4,
        trend_score=(0.0,) * 4,
        between=((0.0,) * 10,) * 3,
    )
    compared = Compared(of_events=means, step=means, own=means)
    return OneBaselineState(newton=point, told=told, compared=compared, last=True)


def mixed_model(rng, rows):
    params = MixedModelParams(
        outcome=continuous("stay", 0, 90), covariates=VARIABLES, one_round=bool(rng.integers(2))
    )
    columns = {"stay": rng.gamma(2, 5, rows), **variables(rng, rows, 0.05)}
    return params, Frame(person=np.arange(rows), columns=columns)


def pathways(rng, rows):
    params = PathwaysParams(steps=("a", "b", "a + b"), depth=3, repeats=bool(rng.integers(0, 2)))
    steps = np.full((rows, 3), -1)
    for row in range(rows):
        order = [*rng.permutation(3)] if not params.repeats else [0, 1, 0]
        length = rng.integers(0, 4)
        steps[row, :length] = order[:length]
    columns = {f"step_{place + 1}": steps[:, place] for place in range(3)}
    return params, Frame(person=np.arange(rows), columns=columns)


def lasso(rng, rows):
    """Sparse covariates, with and without a fold left out."""
    folds = int(rng.integers(1, 4))
    params = LassoParams(
        family=(Family.BINOMIAL, Family.POISSON)[rng.integers(2)],
        covariates=(binary("a"), binary("b"), continuous("visits", 0, 20), binary("c")),
        penalties=(0.1, 0.01),
        offset=Bounds(low=-2, high=2),
        fold=int(rng.integers(folds)),
        folds=folds,
    )
    dense = (rng.random((rows, 4)) < [0.5, 0.1, 0.3, 0.02]) * np.array([1, 1, 2.5, 1])
    columns = {"outcome": rng.integers(0, 2, rows), "offset": rng.normal(0, 1, rows)}
    matrices = {"covariates": sparse.csr_array(dense)}
    return params, Frame(person=np.arange(rows), columns=columns, matrices=matrices)


def profile(rng, rows):
    person = np.sort(rng.integers(0, 1 + rows // 3, rows)).astype(np.int64)
    columns = {
        "stratum": person,
        "case": rng.poisson(0.5, rows),
        "drug": rng.random(rows) < 0.3,
        "dose": rng.integers(0, 2, rows) * rng.normal(0, 2, rows),
    }
    model = ConditionalParams(
        covariates=(binary("drug"), continuous("dose", -1, 4))[: rng.integers(1, 3)],
        ties=Ties.BRESLOW,
        most_cases=400,
    )
    return ProfileParams(model=model), Frame(person=person, columns=columns)


EXAMPLES = {
    "profile": profile,
    "balance": balance,
    "mixed_model": mixed_model,
    "conditional": conditional,
    "characteristics": characteristics,
    "counts": counts,
    "covariance": covariance,
    "cox": cox,
    "cox_lasso": cox_lasso,
    "cox_one_baseline": cox_one_baseline,
    "fine_gray": fine_gray,
    "glm": glm,
    "hospital_strata": hospital_strata,
    "lasso": lasso,
    "log_rank": log_rank,
    "moments": moments,
    "rates": rates,
    "pathways": pathways,
    "quantiles": quantiles,
    "risk_table": risk_table,
    "score_table": score_table,
    "two_by_two": two_by_two,
    "weighted_rates": weighted_rates,
}


COX_POINT = newton.begin(np.array([0.4, -0.03, 1.2, 0.05]))
LATER = {
    "cox": CoxState(newton=COX_POINT, last=True),
    "cox_one_baseline": with_a_hazard(COX_POINT),
    "cox_lasso": PathState(
        asked=Sparse(index=(1, 3), value=(0.7, -0.2)),
        origin=Sparse(index=(), value=()),
        gradient=Sparse(index=(), value=()),
    ),
    "fine_gray": CoxState(newton=COX_POINT, last=True),
    "conditional": ConditionalState(newton=newton.begin(np.array([0.7, -0.3, 0.002]))),
    "mixed_model": MixedModelState(ratio=0.3, low=0.1, high=None, asked=0),
    "score_table": ScoreTableState(edges=(0, 4, 8, 16), whole=(True, True, True)),
}
"""A state of a later round, for statistics whose first round says little."""


def test_every_statistic_obeys():
    assert set(EXAMPLES) == set(ALL)


EVENTS = ("event", "case", "outcome", "outcomes")
STRUCTURE = ("stratum", "hospital")


def harsh(frame, place):
    """The frame and its hospitals, where nothing happens at the first, everyone is alike at the second, and the third is one person."""
    columns = {name: column.copy() for name, column in frame.columns.items()}
    for name in EVENTS:
        if name in columns:
            columns[name][place == 0] = 0
    alike, matrices = np.flatnonzero(place == 1), dict(frame.matrices)
    if len(alike):
        for name, column in columns.items():
            if name not in STRUCTURE:
                column[alike] = column[alike[0]]
        rows = np.arange(len(place))
        rows[alike] = alike[0]
        matrices = {name: matrix[rows] for name, matrix in matrices.items()}
    first_of_third = frame.person[place == 2][:1]
    kept = np.flatnonzero((place != 2) | np.isin(frame.person, first_of_third))
    return Frame(
        person=frame.person[kept],
        columns={name: column[kept] for name, column in columns.items()},
        matrices={name: matrix[kept] for name, matrix in matrices.items()},
    ), place[kept]


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6), rows=st.integers(0, 120), hospitals=st.integers(1, 6), is_harsh=st.booleans()
)
def test_laws(name, seed, rows, hospitals, is_harsh):
    statistic, rng = ALL[name], np.random.default_rng(seed)
    params, frame = EXAMPLES[name](rng, rows)
    state = LATER[name] if name in LATER and rng.integers(2) else statistic.begin(params)
    layout = statistic.layout(params)
    unit = frame.columns["stratum"] if statistic.splits_by is SplitsBy.STRATUM else frame.person
    place = rng.integers(0, hospitals, 10_000)[unit]
    if is_harsh:
        frame, place = harsh(frame, place)
    if statistic.splits_by is not SplitsBy.PERSON:
        frame = replace(frame, columns={**frame.columns, "hospital": place})
    parts = [
        Frame(
            person=frame.person[place == h],
            columns={k: v[place == h] for k, v in frame.columns.items()},
            matrices={k: v[np.flatnonzero(place == h)] for k, v in frame.matrices.items()},
        )
        for h in range(hospitals)
    ]
    pooled = statistic.local(frame, params, state)
    answers = [statistic.local(part, params, state) for part in parts]

    lanes = [answer.sums.to_ring() for answer in answers]
    forward = Sums.from_ring(layout, reduce(ring.add, lanes, Sums.zero(layout).to_ring()))
    backward = Sums.from_ring(layout, reduce(ring.add, reversed(lanes)))
    for field in layout.fields:
        added, whole = forward.values[field.name], pooled.sums.values[field.name]
        np.testing.assert_array_equal(backward.values[field.name], added)
        if field.scale == 0:
            np.testing.assert_array_equal(added, whole)
        else:
            sizes = sum(np.abs(answer.sums.values[field.name]) for answer in answers)
            within = statistic.tolerance * (sizes + pooled.support[field.rests_on])
            within += hospitals * 2.0**-field.scale
            assert (np.abs(added - whole) <= within).all()
    np.testing.assert_array_equal(sum(answer.support for answer in answers), pooled.support)

    again = Sums.from_ring(layout, pooled.sums.to_ring())
    for answer in (pooled, *answers):
        assert answer.sums.layout.digest == layout.digest == statistic.layout(params).digest
        for field in layout.fields:
            values, people = answer.sums.values[field.name], answer.support[field.rests_on]
            assert np.isfinite(values).all()
            slack = 0 if field.scale == 0 else 1e-12 * field.bound
            assert (np.abs(values) <= field.bound * people + slack).all()
            assert (values[people == 0] == 0).all()
        for relation in layout.relations:
            parts_sum = answer.support[list(relation.parts)].sum()
            whole = answer.support[relation.whole]
            assert parts_sum == whole if relation.disjoint else parts_sum >= whole
        assert set(answer.populations) == set(statistic.populations(params))
        for cell, people in answer.populations.items():
            assert len(people) == answer.support[layout.cells.index(cell)]
            assert (np.diff(people) > 0).all()
    for field in layout.fields:
        error = np.abs(again.values[field.name] - pooled.sums.values[field.name])
        assert (error <= (0 if field.scale == 0 else 2.0**-field.scale)).all()
    assert decode(statistic.params, encode(params), where="test") == params
    assert decode(statistic.state, encode(state), where="test") == state
    assert statistic.rounds(params) >= 1
    statistic.judge(params, state)
