"""The manual's examples of kinds, asked of a small synthetic nation: what was planted is seen, and hidden numbers stay so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dure import demo
from dure.client import study_file
from dure.demo import synth
from dure.engines import open_engine
from dure.features.covariates import Covariate
from dure.lab.run import Site, run
from dure.wire.messages import Provenance
from dure.wire.rules import Mode, Noise, Rules

STUDIES = Path(demo.__file__).parent / "studies"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
# A few covariates find what hundreds do, in a tenth of the time: OHDSI's whole table 1 is asked for in total.
FEW = tuple(
    Covariate(id=number, name=name)
    for number, name in (
        (1002, "Age in years"),
        (8507001, "Gender = MALE"),
        (316866210, "Hypertensive disorder"),
        (321588210, "Heart disease"),
        (313217210, "Atrial fibrillation"),
    )
)


@pytest.fixture(scope="module")
def nation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nation")
    engines = {}
    for number in (1, 2, 3):
        path = folder / f"{number}.duckdb"
        synth.generate(persons=2000, seed=2026, hospital=number, path=path)
        engines[f"h{number}"] = open_engine(str(path))
    yield engines
    for engine in engines.values():
        engine.close()


def asked(nation, file, mode=Mode.TOTAL, **fields):
    return tables(answered(nation, file, Rules(), mode, **fields))


def tables(report):
    return {
        table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        for table in report.tables
    }


def answered(nation, file, rules, mode=Mode.TOTAL, **fields):
    question = study_file.read(STUDIES / file)
    study = question.study(asker="lab", lasting=timedelta(days=1), now=NOW)
    sites = {
        name: Site(engine=engine, provenance=Provenance.SYNTHETIC, rules=rules)
        for name, engine in nation.items()
    }
    study = replace(study, mode=mode, question=replace(study.question, **fields))
    return run(study, sites, now=NOW)


@pytest.mark.parametrize("mode", list(Mode))
def test_characterise_finds_the_planted_confounding(nation, mode):
    found = asked(
        nation, "7_diabetes_characterise.yaml", mode, **({} if mode is Mode.TOTAL else {"covariates": FEW})
    )
    places = {"network"} if mode is Mode.TOTAL else set(nation)
    ages = {row["hospital"]: row for row in found["measured"] if row["covariate"] == "Age in years"}
    assert set(ages) == places
    for row in ages.values():
        assert row["target_mean"] > row["comparator_mean"] + 5
        assert row["smd"] > 0.3
    for row in found["covariates"]:
        assert not row["target_people"] or row["target_people"] >= 10
    assert any(row["smd"] is not None for row in found["covariates"])


@pytest.mark.parametrize("mode", list(Mode))
def test_pathways_of_diabetes(nation, mode):
    found = asked(nation, "8_diabetes_pathways.yaml", mode)
    people = {row["hospital"]: row["people"] for row in found["people"] if row["who"].startswith("First")}
    for place, everyone in people.items():
        first = [
            row["people"] for row in found["paths"] if row["hospital"] == place and ">" not in row["path"]
        ]
        assert 0 < sum(number or 0 for number in first) <= everyone * 1.2
    top = next(row for row in found["paths"] if row["people"] is not None)
    assert top["path"] in {"metformin", "empagliflozin"}
    assert all(row["people"] is None or row["people"] >= 10 for row in found["paths"])


def test_infarction_is_standardised_by_age(nation):
    found = asked(nation, "9_infarction_standardised.yaml")
    (row,) = found["standardised"]
    assert row["standard"] == "who_2000"
    low, rate, high = (row[f"standardised_rate_{name}"] for name in ("low", "per_1000_person_years", "high"))
    assert 0 < low < rate < high
    assert 30 < row["standard_covered_percent"] < 100, "children aren't among adults seen"
    crude = found["overall"][0]["rate_per_1000_person_years"]
    assert rate < crude, "patients are older than the world"


def test_diabetes_is_prevalent(nation):
    found = asked(nation, "10_diabetes_prevalence.yaml")
    (row,) = found["overall"]
    assert 0 < row["prevalence_low"] < row["prevalence_percent"] < row["prevalence_high"] < 50
    by_age = {each["age"]: each["prevalence_percent"] for each in found["by_age"]}
    assert by_age["60-69"] > by_age["30-39"]


def test_an_effect_is_kept_shut_until_its_diagnostics_pass(nation):
    """Without negative controls nobody knows the systematic error: nothing about the outcome is computed."""
    found = asked(
        nation, "11_heart_failure_effect.yaml", control_concepts=(), pieces=1, penalty=0.005, covariates=FEW
    )
    ages = {row["when"]: row["smd"] for row in found["love"] if row["covariate"] == "Age in years"}
    assert ages["before"] > 0.5
    assert abs(ages["after"]) < 0.2
    results = {row["diagnostic"]: row["result"] for row in found["diagnostics"]}
    assert results["expected systematic error of negative controls"] == "failed"
    assert not {"effect", "risks", "risk_difference", "curves", "events"} & set(found)


@pytest.mark.slow
def test_the_planted_effects_are_found_where_the_naive_ones_are_wrong(tmp_path):
    """A nation of 5 hospitals: a hazard ratio of 0.65, opened by its own diagnostics."""
    engines = {}
    for number in range(1, 6):
        path = tmp_path / f"{number}.duckdb"
        synth.generate(persons=20_000, seed=2026, hospital=number, path=path)
        engines[f"h{number}"] = open_engine(str(path))
    found = asked(engines, "11_heart_failure_effect.yaml")
    for engine in engines.values():
        engine.close()
    assert [row["result"] for row in found["diagnostics"]] == ["passed"] * 4
    crude, adjusted, calibrated = found["effect"]
    assert crude["ratio_low"] > 1
    for row in (adjusted, calibrated):
        assert row["ratio_low"] < 0.65 < row["ratio_high"] < 1
    naive, fair = found["risk_difference"]
    assert naive["difference_low"] > 0 > fair["difference_high"]


NOISY = Rules(noise=Noise(epsilon=1.0, delta=1e-6))


def test_prevalence_with_noise_is_near_and_says_how_near(nation):
    exact = asked(nation, "10_diabetes_prevalence.yaml")
    report = answered(nation, "10_diabetes_prevalence.yaml", NOISY)
    found = tables(report)
    (noise,) = found["noise"]
    for name in ("people", "cases"):
        away = found["overall"][0][name] - exact["overall"][0][name]
        assert abs(away) < 8 * noise["standard_deviation"]
    assert any(banner.startswith("Every number carries noise") for banner in report.banners)
    ages = [row["people"] for row in found["by_age"]]
    assert all(people is None or people >= 2 * noise["standard_deviation"] for people in ages)
    again = tables(answered(nation, "10_diabetes_prevalence.yaml", NOISY))
    assert again["by_age"] != found["by_age"], "other noise"


def test_a_curve_is_refused_with_noise_and_said_why(nation):
    report = answered(nation, "12_mortality_survival.yaml", NOISY)
    assert not tables(report)
    assert any("survival can't be read off noised numbers" in part.reason for part in report.participation)
