"""What `survival` computes from a released table, and what it refuses to ask."""

from dataclasses import replace
from math import exp

import pytest

from dure.stats.cox import CoxFit, CoxResult
from dure.stats.fine_gray import FineGrayFit, FineGrayResult
from dure.stats.glm import Coefficient
from dure.stats.log_rank import LogRankResult
from dure.stats.no_fit import NoFit, Suspect
from dure.stats.risk_table import GroupAtRisk, RiskTableResult
from dure.study.kinds.base import BadQuestion, Cohort
from dure.study.kinds.survival import Survival, SurvivalKind

KIND = SurvivalKind()
CIRCE = {
    "PrimaryCriteria": {
        "CriteriaList": [{"ObservationPeriod": {}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    }
}
OLD, NEW, FALL = (Cohort(name=name, circe=CIRCE) for name in ("old", "new", "fall"))
SPEC = Survival(arms=(OLD, NEW), outcome=FALL, horizon=40, width=10)
EDGES = (0, 10, 20, 40)


def group(people, events, left):
    return GroupAtRisk(
        came=(people, 0, 0), events=events if isinstance(events[0], tuple) else (events,), left=left
    )


def tables(groups, spec=SPEC, edges=EDGES, test=None):
    results = {"risk_table": {"network": RiskTableResult(edges=edges, groups=groups)}}
    if test is not None:
        results["log_rank"] = {"network": test}
    return {
        table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        for table in KIND.tables(spec, results)
    }


TWO = {
    "everyone": group(200, (60, 30, 10), (0, 0, 100)),
    "arm/old": group(100, (40, 20, 5), (0, 0, 35)),
    "arm/new": group(100, (20, 10, 5), (0, 0, 65)),
}


def test_curves_with_the_people_behind_them():
    old = [row for row in tables(TWO)["survival"] if row["arm"] == "old"]
    assert [row["day"] for row in old] == [0, 10, 20, 40]
    assert [row["at_risk"] for row in old] == [100, 100, 60, 40]
    assert [row["outcomes"] for row in old] == [0, 40, 20, 5]
    assert [row["left"] for row in old] == [0, 0, 0, 35]
    assert [row["survival_percent"] for row in old] == pytest.approx([100, 60, 40, 35])
    # Greenwood at day 10: 0.6 sqrt(0.4 / 60), on the scale log(-log S).
    assert old[1]["survival_low"] == pytest.approx(49.72, abs=0.01)
    assert old[1]["survival_high"] == pytest.approx(68.84, abs=0.01)
    assert (old[0]["survival_low"], old[0]["survival_high"]) == (100, 100), "nothing is hidden there"


def test_medians_and_means():
    old, new = tables(TWO)["arms"]
    assert (old["people"], old["outcomes"], old["median_days"]) == (100, 65, 20)
    assert old["mean_days"] == pytest.approx(10 + 0.6 * 10 + 0.4 * 20)
    assert new["median_days"] == "not reached", "more than half are left"
    assert new["mean_days"] == pytest.approx(10 + 0.8 * 10 + 0.7 * 20)
    (difference,) = tables(TWO)["mean_differences"]
    assert (difference["arm"], difference["against"], difference["until_day"]) == ("new", "old", 40)
    assert difference["difference_days"] == pytest.approx(new["mean_days"] - old["mean_days"])
    assert difference["difference_low"] < difference["difference_days"] < difference["difference_high"]
    assert difference["p_value"] < 0.05


def test_a_mean_goes_no_further_than_the_shortest_follow_up():
    gone = {**TWO, "arm/new": group(100, (20, 10, 0), (0, 70, 0))}
    found = tables(gone)["arms"]
    assert [row["until_day"] for row in found] == [20, 20]
    assert found[0]["mean_days"] == pytest.approx(10 + 0.6 * 10)
    dead = {**TWO, "arm/new": group(100, (20, 80, 0), (0, 0, 0))}
    assert [row["until_day"] for row in tables(dead)["arms"]] == [40, 40], "nobody is left to fall"
    asked = replace(SPEC, mean_until=15)
    assert [row["until_day"] for row in tables(TWO, asked)["arms"]] == [15, 15]


def test_what_competes_takes_people_away_from_both():
    spec = replace(SPEC, arms=(OLD,), death_competes=True)
    found = tables({"everyone": group(100, ((20, 16, 0), (20, 12, 0)), (0, 0, 32))}, spec)
    assert [row["survival_percent"] for row in found["survival"]] == pytest.approx([100, 60, 32, 32])
    assert [row["competing"] for row in found["survival"]] == [0, 20, 12, 0]
    falls = [row for row in found["cumulative_incidence"] if row["event"] == "outcome"]
    deaths = [row for row in found["cumulative_incidence"] if row["event"] == "competing event"]
    assert [row["cumulative_incidence_percent"] for row in falls] == pytest.approx([0, 20, 36, 36])
    assert [row["cumulative_incidence_percent"] for row in deaths] == pytest.approx([0, 20, 32, 32])
    assert falls[1]["cumulative_incidence_low"] < 20 < falls[1]["cumulative_incidence_high"]
    assert [chart.form for chart in KIND.charts(spec)] == ["step", "step"]


def test_one_cohort_is_compared_with_nothing():
    alone = replace(SPEC, arms=(OLD,))
    assert [step.name for step in KIND.steps(alone)] == ["risk_table"]
    found = tables({"everyone": TWO["arm/old"]}, alone)
    assert found["mean_differences"] == []
    assert [row["arm"] for row in found["arms"]] == ["old"]


def test_the_log_rank_test_is_told_as_it_was_released():
    test = LogRankResult(
        observed=(65.0, 35.0), expected=(50.5, 49.5), variance=((20.0, -20.0), (-20.0, 20.0)),
        chi_square=10.5, freedom=1, p_value=0.0012,
    )  # fmt: skip
    old, new = tables(TWO, test=test)["log_rank"]
    assert (old["outcomes"], old["expected_outcomes"], new["outcomes"]) == (65, 50.5, 35)
    assert old["p_value"] == 0.0012
    hidden = LogRankResult(
        observed=None, expected=None, variance=None, chi_square=None, freedom=None, p_value=None
    )
    assert tables(TWO, test=hidden)["log_rank"][0]["p_value"] is None


def fitted(kind, estimate, error):
    """A model with one coefficient."""
    row = Coefficient(
        name="arm 2", estimate=estimate, error=error, low=estimate - 1.96 * error, high=estimate + 1.96 * error,
        p_value=0.01, robust_error=error, clustered_error=None,
    )  # fmt: skip
    told = {
        "coefficients": (row,),
        "covariance": ((error**2,),),
        "log_likelihood": -9.0,
        "null_log_likelihood": -10.0,
    }
    counted = {"people": 200, "events": 100, "no_fit": None, "path": ()}
    if kind == "cox":
        return CoxResult(**counted, fit=CoxFit(**told, score_test=2.0, trends=None))
    return FineGrayResult(**counted, competing=30, fit=FineGrayFit(**told))


def test_hazard_ratios_where_events_compete():
    """Cause-specific, then subdistribution; the second has the same people who had the other event at risk."""
    spec = replace(SPEC, death_competes=True)
    assert [step.name for step in KIND.steps(SPEC)] == ["risk_table", "log_rank", "cox"]
    assert [step.name for step in KIND.steps(spec)] == ["risk_table", "log_rank", "cox", "fine_gray"]
    results = {
        "cox": {"network": fitted("cox", -0.5, 0.2)},
        "fine_gray": {"network": fitted("fg", -0.7, 0.25)},
    }
    (table,) = (table for table in KIND.tables(spec, results) if table.name == "hazard_ratios")
    first, second = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert (first["arm"], first["against"], first["hazard"]) == ("new", "old", "cause-specific")
    assert second["hazard"] == "subdistribution"
    assert (first["hazard_ratio"], second["hazard_ratio"]) == pytest.approx((exp(-0.5), exp(-0.7)))
    assert first["hazard_ratio_high"] == pytest.approx(exp(-0.5 + 1.96 * 0.2))
    assert [chart.form for chart in KIND.charts(spec)] == ["step", "step", "forest"]


def test_without_a_fit_the_table_says_why_and_of_which_arm():
    none = CoxResult(
        people=200, events=100, fit=None, path=(),
        no_fit=NoFit(
            trouble="small-cells", suspects=(Suspect(name="arm 2", constant_at=None, separates_at=None),)
        ),
    )  # fmt: skip
    (table,) = (
        table for table in KIND.tables(SPEC, {"cox": {"network": none}}) if table.name == "hazard_ratios"
    )
    (row,) = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert (row["hazard"], row["hazard_ratio"]) == ("of the outcome", None)
    assert row["estimate"] == "Too few people for numbers that the model takes: new"


def test_a_table_that_is_hidden_shows_nothing():
    assert not any(tables({}, edges=None).values())


def test_an_arm_of_nobody_has_no_curve():
    found = tables({**TWO, "arm/new": group(0, (0, 0, 0), (0, 0, 0))})
    assert {row["arm"] for row in found["survival"]} == {"old"}
    assert found["mean_differences"] == []


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (replace(SPEC, arms=(OLD, OLD)), "one name"),
        (replace(SPEC, width=41), "make none"),
        (replace(SPEC, width=1, horizon=5000), "more than 4000"),
        (replace(SPEC, mean_until=41), "after the horizon"),
    ],
)
def test_what_cannot_be_asked(spec, why):
    with pytest.raises(BadQuestion, match=why):
        KIND.check(spec)


def test_the_last_interval_ends_at_the_horizon():
    assert KIND.steps(replace(SPEC, horizon=35))[0].params.edges == (0, 10, 20, 30, 35)
    KIND.check(SPEC)
