"""Counts: how far people came through a funnel of three stages, and what those in the last are."""

import numpy as np
import pytest

from dure.stats.base import Frame, Nothing, Released
from dure.stats.counts import Counts, CountsParams
from dure.stats.strata import Strata

PARAMS = CountsParams(
    stages=("entered", "adult", "in"), strata=(Strata(name="sex", levels=("female", "male")),)
)

# says, stages reached, sex of each -> people at each stage, by sex, lost before adult and before in
CASES = [
    ("nobody", [], [], [0, 0, 0], [0, 0], [0, 0]),
    ("who reached none is counted nowhere", [0, 0], [0, 1], [0, 0, 0], [0, 0], [0, 0]),
    ("who reached a stage passed those before it", [1, 2, 3], [0, 0, 0], [3, 2, 1], [1, 0], [1, 1]),
    ("levels matter only in the last stage", [3, 3, 2], [0, 1, 1], [3, 3, 2], [1, 1], [0, 1]),
    ("everyone", [3, 3, 3], [1, 1, 1], [3, 3, 3], [0, 3], [0, 0]),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_funnels(case):
    _, reached, sex, stages, by_sex, lost = case
    frame = Frame(
        person=np.arange(len(reached)),
        columns={"reached": np.array(reached, dtype=np.int64), "sex": np.array(sex, dtype=np.int64)},
    )
    answer = Counts().local(frame, PARAMS, Nothing())
    assert answer.sums.values["people"].tolist() == stages + by_sex
    assert answer.support.tolist() == stages + by_sex + lost


def test_hidden_is_not_zero():
    answer = Released(
        layout=Counts().layout(PARAMS),
        open=np.array([True, True, False, True, False, False, False]),
        values={"people": np.array([20, 15, 0, 0, 0])},
    )
    result = Counts().step(PARAMS, Nothing(), answer).result
    assert result.stages == (20, 15, None)
    assert result.strata == {"sex": (0, None)}
