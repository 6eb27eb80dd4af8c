"""What may be shown of a variable, at k = 11: who has it, who lacks it, in whom it is 0."""

import numpy as np
import pytest

from dure.guard.suppression import open_cells
from dure.stats.base import Frame, Nothing, Released
from dure.stats.covariance import Covariance, CovarianceParams
from dure.stats.design import binary, continuous
from dure.stats.moments import Moments, MomentsParams

# says, variable, its values with how many people, is a mean shown?
CASES = [
    ("a 0/1 variable with many on both sides", binary("x"), [(0, 30), (1, 20)], 0.4),
    ("few have it", binary("x"), [(0, 30), (1, 5)], None),
    ("few don't have it", binary("x"), [(0, 5), (1, 30)], None),
    ("nobody has it", binary("x"), [(0, 30)], 0.0),
    ("everyone has it", binary("x"), [(1, 30)], 1.0),
    ("a quantity that few have", continuous("x", 0, 10), [(0, 30), (4, 5)], None),
    ("a quantity that few lack: its sum doesn't say who", continuous("x", 0, 10), [(0, 5), (4, 35)], 3.5),
    ("a quantity that can't be 0 speaks of everyone", continuous("x", 2, 10), [(4, 20), (6, 5)], 4.4),
    ("many unknown", binary("x"), [(0, 20), (1, 20), (np.nan, 15)], 0.5),
    ("too few people at all", continuous("x", 2, 10), [(4, 6)], None),
]


def ask(statistic, params, columns, k=11):
    frame = Frame(person=np.arange(len(next(iter(columns.values())))), columns=columns)
    layout, answer = statistic.layout(params), statistic.local(frame, params, Nothing())
    shown = open_cells(layout, answer.support, k)
    values = {f.name: np.where(shown[f.rests_on], answer.sums.values[f.name], 0) for f in layout.fields}
    return statistic.step(params, Nothing(), Released(layout=layout, open=shown, values=values)).result


@pytest.mark.parametrize(("says", "variable", "people", "mean"), CASES, ids=[case[0] for case in CASES])
def test_means(says, variable, people, mean):
    column = np.concatenate([np.full(number, value, dtype=float) for value, number in people])
    found = ask(Moments(), MomentsParams(variables=(variable,)), {"x": column}).groups["everyone"][0]
    assert found.mean == (None if mean is None else pytest.approx(mean))
    if mean is None:
        assert (found.variance, found.skewness, found.kurtosis) == (None, None, None)


def test_few_unknown_are_not_told_by_a_variable_that_everyone_has():
    columns = {"x": np.tile([0.0, 1.0], 30), "y": np.tile([0.0, 1.0], 30)}
    columns["y"][:4] = np.nan
    found = ask(Moments(), MomentsParams(variables=(binary("x"), binary("y"))), columns).groups["everyone"]
    assert {one.people for one in found} != {60, 56}


def test_a_pair_that_few_have_closes_the_matrix_and_is_named():
    x, y, z = np.repeat([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]], [40, 40, 3, 40], axis=0).T.astype(float)
    params = CovarianceParams(variables=(binary("x"), binary("y"), continuous("z", -1, 5)))
    result = ask(Covariance(), params, {"x": x, "y": y, "z": z})
    assert result.found is None
    assert {"x", "y"} <= set(result.hidden)
    assert ask(Covariance(), params, {"x": x, "y": y, "z": z}, k=1).found is not None
