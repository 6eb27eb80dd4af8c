"""Survival, case series and subgroups asked of a synthetic nation: what was planted lies in the intervals that come back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import exp, log
from pathlib import Path

import pytest

from dure import demo
from dure.client import study_file
from dure.demo import synth
from dure.engines import open_engine
from dure.lab.run import Site, run
from dure.wire.messages import Provenance
from dure.wire.rules import Mode, Rules

STUDIES = Path(demo.__file__).parent / "studies"
MORTALITY, CREAM, PLATELETS = (
    "12_mortality_survival.yaml",
    "13_sun_cream_self_controlled.yaml",
    "14_antiplatelet_subgroup.yaml",
)
CARRIER, OTHERS = (f"CYP2C19 loss of function: {level}" for level in ("carrier", "not a carrier"))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CREAM_RATIO, WOMEN_RATIO, CARRIER_RATIO = 3.0, 0.6, 0.5


def open_nation(folder, persons):
    engines = {}
    for number in (1, 2, 3):
        path = folder / f"{number}.duckdb"
        synth.generate(persons=persons, seed=2026, hospital=number, path=path)
        engines[f"h{number}"] = open_engine(str(path))
    return engines


@pytest.fixture(scope="module")
def nation(tmp_path_factory):
    engines = open_nation(tmp_path_factory.mktemp("nation"), 20_000)
    yield engines
    for engine in engines.values():
        engine.close()


@pytest.fixture(scope="module")
def large_nation(tmp_path_factory):
    engines = open_nation(tmp_path_factory.mktemp("large"), 60_000)
    yield engines
    for engine in engines.values():
        engine.close()


def asked(nation, file, mode=Mode.TOTAL, **changes):
    study = study_file.read(STUDIES / file).study(asker="lab", lasting=timedelta(days=1), now=NOW)
    study = replace(study, mode=mode, question=replace(study.question, **changes))
    sites = {
        name: Site(engine=engine, provenance=Provenance.SYNTHETIC, rules=Rules())
        for name, engine in nation.items()
    }
    report = run(study, sites, now=NOW)
    return {
        table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        for table in report.tables
    }


def gompertz(age, years):
    """Survival of a man, by the law that was planted; each chronic disease on arrival makes it a little less."""
    rate, slope = 2.2e-5, 0.095
    return exp(-rate * exp(slope * age) * (exp(slope * years) - 1) / slope)


def test_survival_follows_the_planted_mortality(nation):
    found = asked(nation, MORTALITY)
    men, women = found["arms"]
    assert women["mean_days"] > men["mean_days"]
    assert found["mean_differences"][0]["difference_days"] > 0
    last = next(row for row in found["survival"] if row["day"] == 1825)
    assert gompertz(80, 5) < last["survival_percent"] / 100 < gompertz(70, 5)
    # Women's hazard is 0.6 of men's: Peto's estimate from what the test released.
    at_women = found["log_rank"][1]
    excess = at_women["outcomes"] - at_women["expected_outcomes"]
    variance = excess**2 / at_women["chi_square"]
    assert abs(excess / variance - log(WOMEN_RATIO)) < 1.96 / variance**0.5
    assert at_women["p_value"] < 0.05
    (of_women,) = found["hazard_ratios"]
    assert of_women["hazard_ratio_low"] < WOMEN_RATIO < of_women["hazard_ratio_high"] < 1
    assert log(of_women["hazard_ratio"]) == pytest.approx(excess / variance, abs=0.1)
    for row in found["survival"]:
        assert row["outcomes"] == 0 or row["outcomes"] >= 11
        assert row["left"] == 0 or row["left"] >= 11


def test_death_competes_with_a_stay(nation):
    study = study_file.read(STUDIES / "2_heart_failure_incidence.yaml").question
    found = asked(
        nation,
        MORTALITY,
        arms=(study.target,),
        outcome=study.outcome,
        death_competes=True,
        horizon=1460,
    )
    (arm,) = found["arms"]
    assert arm["competing"] >= 11
    ends = {
        row["event"]: row["cumulative_incidence_percent"]
        for row in found["cumulative_incidence"]
        if row["day"] == 1460
    }
    free = [row["survival_percent"] for row in found["survival"]][-1]
    assert free + sum(ends.values()) == pytest.approx(100)
    assert "log_rank" not in found


@pytest.mark.parametrize("one_round", [False, True])
def test_the_cream_is_found_within_people(nation, one_round):
    found = asked(nation, CREAM, one_round=one_round)
    ratio = found["ratios"][0]
    assert ratio["rate_ratio_low"] < CREAM_RATIO < ratio["rate_ratio_high"]
    assert ratio["rate_ratio_low"] > 1.5
    if not one_round:
        assert found["diagnostics"][0]["passes"] == "yes"
        season = [row["rate_ratio"] for row in found["season"]]
        assert max(season) == season[6], "day 200 is in July"
        assert max(season) == pytest.approx(1.6, abs=0.2)


def test_the_cream_is_found_at_each_hospital(nation):
    found = asked(
        nation, CREAM, Mode.BY_HOSPITAL, one_round=True, pre_exposure=0, season_waves=0, most_outcomes=50
    )
    assert {row["hospital"] for row in found["ratios"]} == set(nation)
    assert all(row["rate_ratio_low"] > 1 for row in found["ratios"])
    assert all(row["people"] % 10 == 0 for row in found["cases"])


def test_small_subgroups_are_not_estimated(nation):
    found = asked(nation, PLATELETS, adjust=(), ages=(), by_sex=False, least_outcomes=60)
    rows = {row["subgroup"]: row for row in found["subgroups"]}
    assert rows[CARRIER]["estimate"] == "An arm has fewer than 60 outcomes."
    assert rows[CARRIER]["hazard_ratio"] is None
    untested = found["in_no_subgroup"][-1]["comparator_people"]
    assert untested is None or untested >= 11


def test_carriers_differ(nation):
    found = asked(nation, PLATELETS, adjust=(), ages=(), by_sex=False)
    rows = {row["subgroup"]: row for row in found["subgroups"]}
    assert rows[CARRIER]["hazard_ratio_high"] < 1
    assert rows[CARRIER]["hazard_ratio"] < rows[OTHERS]["hazard_ratio"]
    assert rows[CARRIER]["hazard_ratio"] <= rows[CARRIER]["shrunk_ratio"]
    for row in found["subgroups"]:
        for name in ("target_outcomes", "comparator_outcomes"):
            assert row[name] is None or row[name] == 0 or row[name] >= 11


@pytest.mark.slow
def test_the_planted_interaction_is_found_after_adjustment(large_nation):
    found = asked(large_nation, PLATELETS)
    rows = {row["subgroup"]: row for row in found["subgroups"]}
    for subgroup, truth in ((CARRIER, CARRIER_RATIO), (OTHERS, 1.0)):
        assert rows[subgroup]["hazard_ratio_low"] < truth < rows[subgroup]["hazard_ratio_high"]
    p_value = {row["division"]: row["p_value"] for row in found["interaction"]}
    assert p_value["CYP2C19 loss of function"] < 1e-4
    assert p_value["sex"] > 0.01
    crude = asked(large_nation, PLATELETS, adjust=(), ages=(), by_sex=False)["subgroups"]
    crude_others = next(row for row in crude if row["subgroup"] == OTHERS)
    assert crude_others["hazard_ratio_high"] < 1, "without adjustment the truth isn't in the interval"


@pytest.mark.slow
def test_the_planted_rate_ratio_is_found_narrowly(large_nation):
    (ratio, before) = asked(large_nation, CREAM)["ratios"]
    assert ratio["rate_ratio_low"] < CREAM_RATIO < ratio["rate_ratio_high"]
    assert ratio["rate_ratio_high"] / ratio["rate_ratio_low"] < 1.3
    assert before["rate_ratio_low"] < 1 < before["rate_ratio_high"]
