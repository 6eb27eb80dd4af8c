"""Prevalence: who counts, and the intervals that published tables give."""

from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from dure.engines.cohorts import CohortTable
from dure.stats.rates import RateCell, RatesResult
from dure.study.kinds.base import BadQuestion, Cohort
from dure.study.kinds.prevalence import Prevalence, PrevalenceKind, _present

KIND = PrevalenceKind()
CIRCE = {
    "PrimaryCriteria": {
        "CriteriaList": [{"ObservationPeriod": {}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    }
}
SPEC = Prevalence(
    target=Cohort(name="people", circe=CIRCE),
    condition=Cohort(name="asthma", circe=CIRCE),
    first_day=date(2020, 3, 1),
    last_day=date(2020, 3, 31),
    breakdowns=("sex",),
)


@pytest.mark.parametrize(
    ("start", "end", "is_present"),
    [
        ("2020-01-01", "2020-02-29", False),
        ("2020-01-01", "2020-03-01", True),
        ("2020-03-10", "2020-03-11", True),
        ("2020-01-01", "2021-01-01", True),
        ("2020-03-31", "2020-04-30", True),
        ("2020-04-01", "2020-04-30", False),
    ],
)
def test_a_stay_counts_that_touches_the_period(start, end, is_present):
    rows = pa.table(
        {
            "subject_id": pa.array([7], pa.int64()),
            "cohort_start_date": pa.array([date.fromisoformat(start)], pa.date32()),
            "cohort_end_date": pa.array([date.fromisoformat(end)], pa.date32()),
        }
    )
    found = _present(CohortTable(rows=rows, qualified=None, rules=()), SPEC)
    np.testing.assert_array_equal(found, [7] if is_present else [])


def row(people, cases, **changes):
    cell = RateCell(people=people, cases=cases, outcomes=cases, days=people)
    results = {"people": {"network": RatesResult(overall=cell, strata={"sex": (cell, cell, cell)})}}
    table = KIND.tables(replace(SPEC, **changes), results)[0]
    return dict(zip(table.columns, table.rows[0], strict=True))


@pytest.mark.parametrize(
    ("people", "cases", "interval", "low", "high"),
    [
        (263, 81, "wilson", 25.53, 36.62),
        (263, 81, "clopper_pearson", 25.27, 36.76),
        (148, 15, "wilson", 6.24, 16.05),
        (148, 15, "clopper_pearson", 5.78, 16.17),
        (20, 0, "wilson", 0.0, 16.11),
        (20, 0, "clopper_pearson", 0.0, 16.84),
        (29, 1, "wilson", 0.61, 17.18),
        (29, 1, "clopper_pearson", 0.09, 17.76),
    ],
)
def test_intervals_are_those_of_newcombe(people, cases, interval, low, high):
    """Newcombe, Statistics in Medicine 17 (1998) 857-872, table I."""
    found = row(people, cases, interval=interval)
    assert found["prevalence_percent"] == pytest.approx(100 * cases / people)
    assert found["prevalence_low"] == pytest.approx(low, abs=0.006)
    assert found["prevalence_high"] == pytest.approx(high, abs=0.006)


def test_hidden_numbers_and_nobody_have_no_prevalence():
    assert [row(50, None)[name] for name in ("cases", "prevalence_percent", "prevalence_low")] == [None] * 3
    assert row(0, 0)["prevalence_percent"] is None


def test_rounded_cases_never_exceed_their_people():
    assert row(10, 20)["prevalence_percent"] == 100.0


def test_a_period_must_not_end_before_it_begins():
    with pytest.raises(BadQuestion, match="before it begins"):
        KIND.check(replace(SPEC, last_day=date(2020, 2, 29)))
