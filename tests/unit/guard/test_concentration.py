"""Of a shown quantity no person makes up more than half."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.guard.gate import Release, Withheld, judge_concentration, release_hospital
from dure.guard.noise import plan
from dure.guard.register import CONCENTRATION
from dure.stats.base import Frame
from dure.stats.rates import Rates, RatesParams
from dure.wire.rules import RULES_OFF, Noise, Rules

PARAMS = RatesParams(strata=(), most_days=50_000)
LAYOUT = Rates().layout(PARAMS)


def answer(days, outcomes=None):
    """Eleven people or more at a hospital; everybody is a case unless said otherwise."""
    many = len(days)
    columns = {
        "days": np.array(days),
        "outcomes": np.ones(many, dtype=np.int64) if outcomes is None else np.array(outcomes),
    }
    return Rates().local(Frame(person=np.arange(many), columns=columns), PARAMS, Rates().begin(PARAMS))


@pytest.mark.parametrize(
    ("days", "outcomes", "what"),
    [
        ([100] * 11, None, None),
        ([500] + [100] * 10, None, None),
        ([1_500] + [100] * 10, None, "days"),
        ([20_000] + [1] * 30, None, "days"),
        ([9_000, 9_000] + [1] * 30, None, "days"),
        ([100] * 12, [5] + [1] * 11, None),
        ([100] * 12, [40] + [1] * 11, "outcomes"),
    ],
)
def test_who_makes_up_most_of_a_quantity_is_not_shown(days, outcomes, what):
    found = answer(days, outcomes)
    judged = judge_concentration(found.sums, Rules())
    released = release_hospital(LAYOUT, found, Rules())
    if what is None:
        assert judged is None
        assert isinstance(released, Release)
    else:
        assert isinstance(judged, Withheld)
        assert (judged.rule, released) == (CONCENTRATION, judged)
        assert judged.reason.startswith(f"A few people make up most of {what}")
    assert judge_concentration(found.sums, RULES_OFF) is None
    assert isinstance(release_hospital(LAYOUT, found, RULES_OFF), Release)


@given(st.lists(st.integers(1, 40_000), min_size=11, max_size=60))
def test_what_is_shown_has_nobody_above_half(days):
    found = answer(days)
    if judge_concentration(found.sums, Rules()) is None:
        assert max(days) <= sum(days) / 2
    elif len(days) * min(days) ** 2 >= 4 * max(days) ** 2:
        pytest.fail("people so alike are withheld")


def test_the_squares_go_over_people_and_not_over_their_rows():
    columns = {"days": np.array([30, 30, 40]), "outcomes": np.array([1, 0, 1])}
    found = Rates().local(Frame(person=np.array([1, 1, 2]), columns=columns), PARAMS, Rates().begin(PARAMS))
    assert found.sums.values["squares of days"].tolist() == [60**2 + 40**2]
    assert found.sums.values["squares of outcomes"].tolist() == [2]


def test_noise_is_not_spent_on_squares():
    spent = plan(LAYOUT, Noise(epsilon=1.0, delta=1e-6, colluders=0), 0.05, 5)
    assert [vector.name for vector in spent.fields] == ["outcomes", "days"]


def test_which_field_holds_the_squares_is_part_of_the_layout():
    other = tuple(replace(field, squares_of="") for field in LAYOUT.fields)
    assert replace(LAYOUT, fields=other).digest != LAYOUT.digest
