"""How far a quantile is narrowed, at k = 11: values of people in, the interval that holds the median out."""

import numpy as np
import pytest

from dure.guard.suppression import open_cells
from dure.stats.base import Again, BadState, Frame, Released
from dure.stats.quantiles import Interval, Quantiles, QuantilesParams, QuantilesState

PARAMS = QuantilesParams(low=0, high=64, bins=4, share=0.5)
# What is said, the values, k, and the interval that is found.
CASES = [
    ("many people come down to one value", np.repeat(np.arange(64), 20), 11, (31, 32)),
    ("rules off find the value of one person", np.array([3, 7, 9]), 1, (7, 8)),
    ("everyone alike is one value", np.full(30, 5), 11, (5, 6)),
    ("it stops where a part holds too few", np.array([17] * 15 + [30] * 5), 11, (16, 32)),
    ("values outside count at the ends", np.array([-5] * 20), 11, (0, 1)),
    ("a share that is a whole number of people is theirs", np.repeat(np.arange(10), 7), 1, (4, 5)),
    (
        "a few far out leave the middle",
        np.repeat([1, 20, 21, 35, 36, 60], [3, 90, 90, 60, 60, 4]),
        11,
        (20, 22),
    ),
    ("a few below are among those not shown", np.repeat([1, 5, 20, 60], [3, 30, 300, 40]), 11, (20, 21)),
    ("too few people give nothing", np.array([3, 7, 9]), 11, None),
]


@pytest.mark.parametrize(("says", "values", "k", "expected"), CASES, ids=[case[0] for case in CASES])
def test_medians(says, values, k, expected):
    statistic, state = Quantiles(), Quantiles().begin(PARAMS)
    frame = Frame(person=np.arange(len(values)), columns={"value": values})
    layout = statistic.layout(PARAMS)
    for _ in range(statistic.rounds(PARAMS)):
        statistic.judge(PARAMS, state)
        answer = statistic.local(frame, PARAMS, state)
        shown = open_cells(layout, answer.support, k)
        outcome = statistic.step(
            PARAMS, state, Released(layout=layout, open=shown, values=answer.sums.values)
        )
        if not isinstance(outcome, Again):
            break
        state = outcome.state
    found = outcome.result.interval
    assert (None if found is None else (found.low, found.high)) == expected


@pytest.mark.parametrize(
    "state",
    [
        QuantilesState(interval=Interval(low=1, high=3), cuts=2),
        QuantilesState(interval=Interval(low=0, high=16), cuts=0),
        QuantilesState(interval=Interval(low=0, high=64), cuts=-1),
        QuantilesState(interval=Interval(low=5, high=6), cuts=99),
    ],
)
def test_an_interval_that_no_cut_leads_to_is_no_question(state):
    with pytest.raises(BadState):
        Quantiles().judge(PARAMS, state)
