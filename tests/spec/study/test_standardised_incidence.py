"""Incidence standardised by age: from released cells, with the bands that are shown."""

from dataclasses import replace

import pytest

from dure.stats.rates import RateCell, RatesResult
from dure.stats.standard_populations import BANDS, EUROPE_2013, WHO_2000
from dure.stats.standardisation import direct
from dure.study.kinds.base import BadQuestion, Cohort
from dure.study.kinds.incidence import DAYS_A_YEAR, Incidence, IncidenceKind

KIND = IncidenceKind()
CIRCE = {
    "PrimaryCriteria": {
        "CriteriaList": [{"ObservationPeriod": {}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    }
}
SPEC = Incidence(
    target=Cohort(name="people", circe=CIRCE),
    outcome=Cohort(name="falls", circe=CIRCE),
    breakdowns=("sex",),
    standard="own",
    own_standard=(0, 0, 0, 0, 0, 0, 0, 60, 30, 10),
)
EMPTY = RateCell(people=0, cases=0, outcomes=0, days=0)


def cell(events, years):
    return RateCell(people=100, cases=events, outcomes=events, days=round(years * DAYS_A_YEAR * 100) // 100)


def standardised(*old, spec=SPEC):
    ages = (*[EMPTY] * 7, *old, cell(99, 1000))
    results = {
        "rates": {"network": RatesResult(overall=cell(60, 3000), strata={"age": ages, "sex": (EMPTY,) * 3})}
    }
    tables = {table.name: table for table in KIND.tables(spec, results)}
    assert "by_age" not in tables, "age was only asked for to standardise by it"
    return dict(zip(tables["standardised"].columns, tables["standardised"].rows[0], strict=True))


def test_the_rate_is_that_of_the_standard():
    found = standardised(cell(10, 1000), cell(20, 1000), cell(30, 1000))
    assert found["standardised_rate_per_1000_person_years"] == pytest.approx(
        0.6 * 10 + 0.3 * 20 + 0.1 * 30, rel=1e-3
    )
    exact = direct([10, 20, 30], [1, 1, 1], [60, 30, 10])
    assert found["standardised_rate_low"] == pytest.approx(exact.low, rel=1e-3)
    assert found["standardised_rate_high"] == pytest.approx(exact.high, rel=1e-3)
    assert found["standard_covered_percent"] == 100.0


def test_a_hidden_band_is_left_out_of_the_standard_too():
    hidden = RateCell(people=100, cases=None, outcomes=None, days=1000)
    found = standardised(cell(10, 1000), cell(20, 1000), hidden)
    assert found["standardised_rate_per_1000_person_years"] == pytest.approx(
        (0.6 * 10 + 0.3 * 20) / 0.9, rel=1e-3
    )
    assert found["standard_covered_percent"] == pytest.approx(90.0)


def test_no_band_no_rate():
    found = standardised(EMPTY, EMPTY, EMPTY)
    assert found["standardised_rate_per_1000_person_years"] is None
    assert found["standard_covered_percent"] == 0.0


def test_published_standards():
    assert len(WHO_2000) == len(EUROPE_2013) == len(BANDS) == 10
    assert sum(EUROPE_2013) == pytest.approx(100)
    assert sum(WHO_2000) == pytest.approx(100.035), "as published: its last digits don't add up to 100"


@pytest.mark.parametrize(
    "spec",
    [
        replace(SPEC, own_standard=()),
        replace(SPEC, standard="who_2000"),
        replace(SPEC, own_standard=(1.0,) * 9),
        replace(SPEC, own_standard=(0.0,) * 10),
    ],
)
def test_weights_and_their_choice_go_together(spec):
    with pytest.raises(BadQuestion):
        KIND.check(spec)


def test_without_a_standard_nothing_changes():
    plain = replace(SPEC, standard="none", own_standard=())
    assert [table.name for table in KIND.tables(plain, {})] == ["overall", "by_sex"]
    assert [strata.name for strata in KIND.steps(plain)[0].params.strata] == ["sex"]
    assert [strata.name for strata in KIND.steps(SPEC)[0].params.strata] == ["sex", "age"]
