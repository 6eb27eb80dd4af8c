"""Rates on a handful of people, and the exact interval against known values."""

import csv

import numpy as np
import pytest

from dure.stats.base import Frame, Released
from dure.stats.intervals import poisson_exact
from dure.stats.rates import RateCell, Rates, RatesParams
from dure.stats.strata import Strata

PARAMS = RatesParams(strata=(Strata(name="sex", levels=("f", "m")),))
# person, sex, days, outcomes
ROWS = [(1, 0, 100, 0), (2, 0, 50, 2), (2, 0, 30, 0), (3, 1, 10, 1), (4, 1, 0, 0)]


def test_people_are_counted_once_and_only_while_at_risk():
    person, sex, days, outcomes = (np.array(column) for column in zip(*ROWS, strict=True))
    frame = Frame(person=person, columns={"sex": sex, "days": days, "outcomes": outcomes})
    rates = Rates()
    answer = rates.local(frame, PARAMS, rates.begin(PARAMS))
    layout = rates.layout(PARAMS)
    shown = Released(layout=layout, open=np.ones(len(layout.cells), dtype=bool), values=answer.sums.values)
    result = rates.step(PARAMS, rates.begin(PARAMS), shown).result
    assert result.overall == RateCell(people=3, cases=2, outcomes=3, days=190)
    assert result.strata["sex"] == (
        RateCell(people=2, cases=1, outcomes=2, days=180),
        RateCell(people=1, cases=1, outcomes=1, days=10),
    )


@pytest.mark.parametrize(
    ("events", "low", "high"),
    [(0, 0.0, 3.688879), (1, 0.025318, 5.571643), (10, 4.795389, 18.390356), (100, 81.364, 121.627)],
)
def test_the_exact_interval_of_a_count(events, low, high):
    """The published table of exact Poisson limits."""
    assert poisson_exact(events, 1) == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize("arm", ["trt0", "trt1"])
def test_the_exact_interval_is_that_of_r(shared, arm):
    """R's answer for thousands of events over some ten thousand person-years."""
    with (shared / "reference" / "reference.csv").open(newline="") as file:
        known = {
            row["term"].removeprefix(f"{arm}_"): row
            for row in csv.DictReader(file)
            if row["id"] == "A11" and row["quantity"] == "ir" and row["term"].startswith(arm)
        }
    events, years = int(float(known["events"]["value"])), float(known["py"]["value"])
    assert events / years == pytest.approx(float(known["rate"]["value"]), rel=float(known["rate"]["tol"]))
    for end, name in zip(poisson_exact(events, years), ("lcl", "ucl"), strict=True):
        assert end == pytest.approx(float(known[name]["value"]), rel=float(known[name]["tol"]))
