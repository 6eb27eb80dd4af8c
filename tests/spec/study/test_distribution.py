"""Quartiles in rounds and in one: what is read off counts, some of which are hidden."""

from dataclasses import replace

import pytest

from dure.stats.counts import CountsResult
from dure.stats.quantiles import Interval, QuantilesResult
from dure.study.kinds.base import Cohort
from dure.study.kinds.distribution import Distribution, DistributionKind

KIND = DistributionKind()
SPEC = Distribution(
    cohort=Cohort(
        name="seen",
        circe={
            "PrimaryCriteria": {
                "CriteriaList": [{"ObservationPeriod": {}}],
                "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
                "PrimaryCriteriaLimit": {"Type": "First"},
            }
        },
    ),
    bins=8,
)
ONE = replace(SPEC, one_round=True)


def quartiles(counts, people):
    found = CountsResult(stages=(people,), strata={"value": counts})
    table, _ = KIND.tables(ONE, {"histogram": {"network": found}})
    return [row[3:] for row in table.rows]


@pytest.mark.parametrize(
    ("says", "counts", "people", "found"),
    [
        ("all shown", (100, 200, 300, 400, 0, 0, 0, 0), 1000, [(16, 32), (32, 48), (48, 64)]),
        ("hidden at both ends", (None, 200, 300, 400, None, 0, 0, 0), 920, [(32, 48), (32, 48), (48, 64)]),
        ("two hidden in the middle", (300, None, None, 300, 0, 0, 0, 0), 900, [(0, 16), (16, 48), (48, 64)]),
        ("half may be either side", (100, None, 100, None, 0, 0, 0, 0), 224, [(0, 16), (16, 48), (32, 48)]),
        ("everyone hidden", (None,) * 8, None, [(None, None)] * 3),
        ("everyone alike", (0, 0, 50, 0, 0, 0, 0, 0), 50, [(32, 48)] * 3),
    ],
)  # fmt: skip
def test_quartiles_of_one_histogram(says, counts, people, found):
    assert quartiles(counts, people) == found


def test_the_histogram_is_told_with_its_parts():
    found = CountsResult(stages=(50,), strata={"value": (0, 0, 50, None, 0, 0, 0, 0)})
    _, histogram = KIND.tables(ONE, {"histogram": {"network": found}})
    assert histogram.rows[2:4] == (("network", "32-47", 50), ("network", "48-63", None))
    assert histogram.rows[-1][1] == "112 or more"
    assert [chart.form for chart in KIND.charts(ONE)] == ["interval", "bars"]


def test_in_rounds_each_quartile_is_its_own_search():
    assert [step.name for step in KIND.steps(SPEC)] == ["lower_quartile", "median", "upper_quartile"]
    found = QuantilesResult(people=50, interval=Interval(low=40, high=41))
    (table,) = KIND.tables(SPEC, {"median": {"network": found}})
    assert table.rows == (("network", "median", 50, 40, 41),)
