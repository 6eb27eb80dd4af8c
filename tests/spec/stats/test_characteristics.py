"""What `characteristics` counts, as a table, and what the network's thresholds leave of it."""

import numpy as np
import pytest
from scipy import sparse

from dure.guard.suppression import open_cells
from dure.stats.base import Frame, Nothing, Released
from dure.stats.characteristics import Characteristics, CharacteristicsParams

STATISTIC = Characteristics()
PARAMS = CharacteristicsParams(
    groups=("treated", "others"),
    covariates=("woman", "man", "diabetes, ever", "diabetes, 30 days", "HbA1c"),
    measured={4: 20.0},
    partitions=((0, 1),),
    nested=((2, 3),),
)


def people(*rows):
    """Rows of (person, group, woman, man, ever, 30 days, HbA1c or None)."""
    entries = [
        (at, column, value)
        for at, row in enumerate(rows)
        for column, value in enumerate(row[2:])
        if value is not None and (value or column == 4)
    ]
    matrix = sparse.coo_array(
        ([e[2] for e in entries], ([e[0] for e in entries], [e[1] for e in entries])),
        shape=(len(rows), 5),
        dtype=float,
    )
    columns = {"group": np.array([row[1] for row in rows], dtype=np.int64)}
    person = np.array([row[0] for row in rows], dtype=np.int64)
    return Frame(person=person, columns=columns, matrices={"covariates": sparse.csr_array(matrix)})


def result(frame, k=1):
    answer = STATISTIC.local(frame, PARAMS, Nothing())
    layout = STATISTIC.layout(PARAMS)
    released = Released(layout=layout, open=open_cells(layout, answer.support, k), values=answer.sums.values)
    return STATISTIC.step(PARAMS, Nothing(), released).result.groups


FEW = people(
    (1, 0, 1, 0, 1, 1, 7.0),
    (2, 0, 0, 1, 1, 0, None),
    (3, 0, 0, 0, 0, 0, 0.0),
    (1, 1, 1, 0, 0, 0, 30.0),
)


def test_people_and_moments_by_group():
    treated, others = result(FEW)
    assert (treated.people, treated.having) == (3, (1, 1, 2, 1, 2))
    assert (treated.total[4], treated.squares[4]) == (7.0, 49.0)
    assert (others.people, others.having) == (1, (1, 0, 0, 0, 1))
    assert (others.total[4], others.squares[4]) == (20.0, 400.0), (
        "a number beyond the bound counts as the bound"
    )


def many(women, men, neither, ever, lately):
    rows = []
    for at in range(women + men + neither):
        sex = (1, 0) if at < women else (0, 1) if at < women + men else (0, 0)
        rows.append((at, 0, *sex, int(at < ever), int(at < lately), 6.5 if at < 50 else None))
    return people(*rows)


@pytest.mark.parametrize(
    ("frame", "hidden", "why"),
    [
        (many(60, 40, 0, 50, 20), set(), "every cell and complement is large, or nobody"),
        (many(95, 5, 0, 50, 20), {0, 1}, "five men: their number is all minus women"),
        (many(60, 35, 5, 50, 20), {1}, "five of neither sex: all minus women minus men"),
        (many(60, 40, 0, 25, 20), {3}, "five who had it, and not lately"),
        (many(60, 40, 0, 97, 20), {2}, "three who never had it"),
    ],
)
def test_what_is_hidden(frame, hidden, why):
    treated = result(frame, k=11)[0]
    assert {at for at, value in enumerate(treated.having) if value is None} == hidden, why


def test_moments_are_hidden_with_their_people():
    treated = result(many(60, 40, 0, 50, 20), k=51)[0]
    assert treated.having[4] is None
    assert treated.total[4] is None
    assert treated.squares[4] is None


def test_the_matrix_may_have_any_order_of_entries():
    shuffled = sparse.coo_array(FEW.matrices["covariates"])
    back = np.arange(shuffled.nnz)[::-1]
    matrix = sparse.csr_array(
        (shuffled.data[back], (shuffled.row[back], shuffled.col[back])), shape=shuffled.shape
    )
    same = Frame(person=FEW.person, columns=FEW.columns, matrices={"covariates": matrix})
    assert result(same) == result(FEW)
