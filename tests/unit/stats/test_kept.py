"""What rounds have in common is worked out once, and never taken for what follows from something else."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from dure.stats.base import Frame
from dure.stats.design import binary
from dure.stats.families import Family
from dure.stats.kept import MOST, Kept, kept
from dure.stats.lasso import Lasso, LassoParams


def test_equal_arguments_are_worked_out_once_and_others_for_themselves():
    asked = []

    @kept
    def length(text):
        asked.append(text)
        return len(text)

    assert [length("ab"), length("".join(["a", "b"])), length("abc"), length("ab")] == [2, 2, 3, 2]
    assert asked == ["ab", "abc"]


def test_only_the_latest_few_are_kept():
    held, worked = Kept(), []
    for number in (*range(MOST + 1), 0):
        held.find(str, number, lambda number=number: worked.append(number))
    assert worked == [*range(MOST + 1), 0]


def test_one_argument_of_two_functions_is_two_questions():
    held = Kept()
    assert held.find(len, "abc", lambda: 3) == 3
    assert held.find(str, "abc", lambda: "abc") == "abc"


def test_support_follows_the_frame_and_the_model_not_what_was_asked_before():
    """The same statistic asked of another frame, and of a model with a fold left out, after the first was answered."""
    rng = np.random.default_rng(3)
    x = (rng.random((60, 2)) < 0.3).astype(float)
    y = (rng.random(60) < 0.4).astype(float)
    frame = Frame(person=np.arange(60), columns={"outcome": y}, matrices={"covariates": csr_array(x)})
    model = LassoParams(family=Family.BINOMIAL, covariates=(binary("a"), binary("b")), penalties=(0.1,))
    first = Lasso().local(frame, model, Lasso().begin(model))
    again = Lasso().local(frame, model, Lasso().begin(model))
    assert again.support is first.support
    fewer = Frame(person=np.arange(59), columns={"outcome": y[1:]}, matrices={"covariates": csr_array(x[1:])})
    assert Lasso().local(fewer, model, Lasso().begin(model)).support[0] == 59
    other = replace(frame, columns={"outcome": 1 - y})
    cells = Lasso().layout(model).cells
    cases = cells.index("outcome")
    assert Lasso().local(other, model, Lasso().begin(model)).support[cases] == (y == 0).sum()
    folded = replace(model, folds=3, fold=1)
    assert 0 < Lasso().local(frame, folded, Lasso().begin(folded)).support[0] < 60
    assert first.support[[0, cases]].tolist() == [60, int(y.sum())]
