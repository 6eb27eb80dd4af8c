"""What `balance` adds up, as a table of five people."""

import numpy as np
import pytest
from scipy import sparse

from dure.guard.suppression import open_cells
from dure.stats.balance import Balance, BalanceParams
from dure.stats.base import Frame, Nothing, Released
from dure.stats.design import BadDesign, binary, continuous

PARAMS = BalanceParams(
    groups=("target", "comparator"), covariates=(binary("ill"), continuous("age", -1, 1)), largest_weight=4
)


def result(k=1):
    frame = Frame(
        person=np.arange(5),
        columns={"group": np.array([0, 0, 1, 1, 1]), "weight": np.array([1.0, 3.0, 1.0, 1.0, 99.0])},
        matrices={"covariates": sparse.csr_array([[1, 0.5], [0, 1.0], [7, 0], [0, -5], [0, 0]])},
    )
    answer = Balance().local(frame, PARAMS, Nothing())
    layout = Balance().layout(PARAMS)
    is_open = open_cells(layout, answer.support, k)
    return Balance().step(
        PARAMS, Nothing(), Released(layout=layout, open=is_open, values=answer.sums.values)
    ).result  # fmt: skip


def test_weighted_means_by_group():
    target, comparator = result().groups
    assert (target.people, target.weight, target.squares) == (2, 4.0, 10.0)
    assert target.means == pytest.approx((0.25, (0.5 + 3) / 4))
    assert comparator.weight == 6.0, "a weight beyond the bound counts as the bound"
    assert comparator.means == pytest.approx((1 / 6, -1 / 6)), "values too"


def test_means_of_few_people_are_hidden():
    target, comparator = result(k=2).groups
    assert target.means[0] is None
    assert comparator.means == (None, None)


def test_names_stand_once():
    with pytest.raises(BadDesign):
        BalanceParams(groups=("a",), covariates=(binary("x"), binary("x")))
