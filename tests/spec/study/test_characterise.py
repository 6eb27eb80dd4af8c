"""What `characterise` computes from released numbers, and what it refuses to ask."""

import math
from dataclasses import replace

import pytest

from dure.features.analyses import Windows, analyses
from dure.features.covariates import BadCovariate, Covariate
from dure.features.table_one import named, nested, partitions, standard
from dure.stats.characteristics import CharacteristicsResult, GroupResult
from dure.study.kinds.base import BadQuestion, Cohort
from dure.study.kinds.characterise import Characterise, CharacteriseKind

KIND = CharacteriseKind()
CIRCE = {
    "PrimaryCriteria": {
        "CriteriaList": [{"ObservationPeriod": {}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    }
}
TARGET, COMPARATOR = Cohort(name="treated", circe=CIRCE), Cohort(name="others", circe=CIRCE)
WOMAN, AGE, LAB = (
    Covariate(id=8532001, name="Female"),
    Covariate(id=1002, name="Age in years"),
    Covariate(id=3004410554706, name="HbA1c"),
)
SPEC = Characterise(target=TARGET, comparator=COMPARATOR, covariates=(WOMAN, AGE, LAB))


def group(people, women, total, squares, measured=None, lab=None):
    return GroupResult(
        people=people,
        having=(women, people, measured),
        total={1: total, 2: None if lab is None else lab[0]},
        squares={1: squares, 2: None if lab is None else lab[1]},
    )


def tables(*groups, spec=SPEC):
    results = {"characteristics": {"network": CharacteristicsResult(groups=groups)}}
    return {table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows] for table in KIND.tables(spec, results)}  # fmt: skip


def test_shares_means_and_differences():
    found = tables(
        group(100, 60, 5000.0, 260_000.0, 50, (350.0, 2500.0)),
        group(50, 20, 3000.0, 183_000.0, 50, (300.0, 1850.0)),
    )
    (woman,) = found["covariates"]
    assert (woman["target_percent"], woman["comparator_percent"]) == (60.0, 40.0)
    assert woman["smd"] == pytest.approx(0.2 / math.sqrt(0.24))
    age, lab = found["measured"]
    assert (age["target_mean"], age["comparator_mean"]) == (50.0, 60.0)
    assert age["target_sd"] == pytest.approx(math.sqrt(10_000 / 99))
    assert age["comparator_sd"] == pytest.approx(math.sqrt(3_000 / 49))
    assert age["smd"] == pytest.approx(-10 / math.sqrt((10_000 / 99 + 3_000 / 49) / 2))
    assert (lab["target_missing_percent"], lab["comparator_missing_percent"]) == (50.0, 0.0)
    assert (lab["target_mean"], lab["comparator_mean"]) == (7.0, 6.0)
    assert [row["covariate"] for row in found["largest_differences"]] == ["Age in years", "HbA1c", "Female"]


def test_what_is_hidden_stays_hidden():
    found = tables(group(100, None, 5000.0, 260_000.0), group(50, 20, 3000.0, 183_000.0))
    (woman,) = found["covariates"]
    assert [woman[name] for name in ("target_people", "target_percent", "smd")] == [None, None, None]
    assert found["measured"][1]["target_mean"] is None
    assert "Female" not in [row["covariate"] for row in found["largest_differences"]]


def test_rounded_numbers_give_no_impossible_ones():
    found = tables(group(10, 20, 500.0, 24_000.0), group(50, 20, 3000.0, 183_000.0))
    assert found["covariates"][0]["target_percent"] == 100.0
    assert found["measured"][0]["target_sd"] == 0.0


def test_a_cohort_alone_has_no_differences():
    alone = replace(SPEC, comparator=None)
    found = tables(group(100, 60, 5000.0, 260_000.0, 50, (350.0, 2500.0)), spec=alone)
    assert list(found["covariates"][0]) == [
        "hospital", "domain", "covariate_id", "covariate", "target_people", "target_percent",
    ]  # fmt: skip
    assert found["most_common"] == [{"hospital": "network", "covariate": "Female", "target_percent": 60.0}]
    assert [chart.form for chart in KIND.charts(alone)] == ["funnel"]


@pytest.mark.parametrize(
    ("spec", "problem", "why"),
    [
        (replace(SPEC, covariates=(WOMAN, WOMAN)), BadCovariate, "twice"),
        (replace(SPEC, covariates=(replace(WOMAN, id=8532902),)), BadCovariate, "902"),
        (replace(SPEC, covariates=(WOMAN, replace(AGE, name="Female"))), BadQuestion, "Two covariates"),
        (replace(SPEC, comparator=TARGET), BadQuestion, "one name"),
    ],
)
def test_what_cannot_be_asked(spec, problem, why):
    with pytest.raises(problem, match=why):
        KIND.check(spec)


def test_the_standard_list_can_be_asked_and_has_distinct_names():
    KIND.check(replace(SPEC, covariates=()))
    assert len(standard(Windows())) > 80


def test_windows_of_one_concept_lie_in_each_other():
    ids = [11_101, 11_102, 11_104, 11_106, 11_202, 11_207, 22_104]
    assert nested(ids, Windows()) == ((0, 1), (1, 2), (1, 3))
    odd = Windows(long=-30, medium=-180, short=-365)
    assert nested([11_102, 11_104], odd) == (), "the windows aren't nested as they are named"
    assert partitions([8532001, 1003, 8507001, 2003, 2020006, 1002]) == ((0, 2), (1, 3))


def test_every_analysis_names_its_covariates_apart():
    names = [named(123_456_000_000 + number, "Thing", Windows()) for number, each in analyses().items() if each.family not in {"demographic", "range"}]  # fmt: skip
    names += [named(123_450_000 + 1000 + number, "Thing", Windows()) for number, each in analyses().items() if each.family == "range"]  # fmt: skip
    assert len(names) == len(set(names))
