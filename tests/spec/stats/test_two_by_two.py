"""2×2 tables on a handful of people: who is counted where, and what a hidden cell leaves of the estimate."""

import numpy as np
import pytest

from dure.guard.suppression import open_cells
from dure.stats.base import Frame, Nothing, Released
from dure.stats.mantel_haenszel import odds_ratio
from dure.stats.strata import Strata
from dure.stats.two_by_two import Table, TwoByTwo, TwoByTwoParams

PARAMS = TwoByTwoParams(strata=Strata(name="sex", levels=("f", "m")))


def ask(people, k=1):
    """`people`: by stratum, exposed cases, exposed without, unexposed cases, unexposed without."""
    rows = [
        (sex, exposed, case)
        for sex, cells in enumerate(people)
        for (exposed, case), number in zip(((1, 1), (1, 0), (0, 1), (0, 0)), cells, strict=True)
        for _ in range(number)
    ]
    sex, exposed, case = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    frame = Frame(person=np.arange(len(rows)), columns={"sex": sex, "exposed": exposed, "case": case})
    statistic = TwoByTwo()
    answer = statistic.local(frame, PARAMS, Nothing())
    layout = statistic.layout(PARAMS)
    shown = open_cells(layout, answer.support, k)
    values = {"people": np.where(shown[layout.fields[0].rests_on], answer.sums.values["people"], 0)}
    return statistic.step(PARAMS, Nothing(), Released(layout=layout, open=shown, values=values)).result


# People by stratum, k, and the cells that are shown.
CASES = [
    ("everyone is in one cell", [(1, 2, 3, 4), (5, 0, 0, 6)], 1, [(1, 2, 3, 4), (5, 0, 0, 6)]),
    (
        "nobody in a cell is shown as zero",
        [(20, 30, 0, 40), (20, 20, 20, 20)],
        11,
        [(20, 30, 0, 40), (20,) * 4],
    ),
]


@pytest.mark.parametrize(("says", "people", "k", "shown"), CASES, ids=[case[0] for case in CASES])
def test_tables(says, people, k, shown):
    assert [table.cells for table in ask(people, k).tables] == shown


def test_one_small_cell_closes_its_stratum_and_the_estimate():
    result = ask([(3, 30, 40, 50), (20, 20, 20, 20)], 11)
    assert result.tables[0].exposed_cases is None
    assert result.tables[0].cells is None
    assert result.tables[1].cells == (20, 20, 20, 20)
    assert result.terms is None


def test_the_estimate_follows_from_whole_tables():
    result = ask([(20, 80, 10, 90), (20, 80, 10, 90)])
    assert result.tables[0] == Table(
        exposed_cases=20, exposed_without=80, unexposed_cases=10, unexposed_without=90
    )
    assert odds_ratio(result.terms).value == pytest.approx(20 * 90 / (80 * 10))
