"""The demo's cohort definitions are read by Dure's own parser and find on a synthetic hospital whom they should."""

import json
from importlib.resources import files

import duckdb
import pytest

from dure.cohort import parse, plan
from dure.demo.synth import generate, vocabulary
from dure.engines import cohorts, open_engine

FOLDER = files("dure.demo").joinpath("cohorts")
NAMES = sorted(each.name.removesuffix(".json") for each in FOLDER.iterdir() if each.name.endswith(".json"))


def text(name):
    return FOLDER.joinpath(f"{name}.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    path = tmp_path_factory.mktemp("cohorts") / "hospital.duckdb"
    generate(persons=8000, seed=6, hospital=1, path=path)
    return path


@pytest.fixture(scope="module")
def found(hospital):
    """name -> [(person, start, end)] as the engine finds them."""
    plans = [plan(parse(text(name)), cdm_version="5.4") for name in NAMES]
    engine = open_engine(str(hospital))
    try:
        return {
            name: [tuple(row.values()) for row in table.rows.to_pylist()]
            for name, table in zip(NAMES, cohorts.run_many(engine, plans), strict=True)
        }
    finally:
        engine.close()


def sql(hospital, query):
    with duckdb.connect(str(hospital), read_only=True) as db:
        return db.execute(query).fetchall()


@pytest.mark.parametrize("name", NAMES)
def test_concepts_are_named_as_the_vocabulary_names_them(name):
    for concept_set in json.loads(text(name))["ConceptSets"]:
        for item in concept_set["expression"]["items"]:
            concept = item["concept"]
            assert vocabulary.name(concept["CONCEPT_ID"]) == concept["CONCEPT_NAME"]


@pytest.mark.parametrize("name", NAMES)
def test_every_cohort_has_people(found, name):
    assert len(found[name]) >= (1 if name == "wilson_disease" else 20)


NEW_USERS = {
    "empagliflozin_new_users": (45774751, 1580747, 201826, 316139),
    "sitagliptin_new_users": (1580747, 45774751, 201826, 316139),
    "lisinopril_new_users": (1308216, 1332418, 316866, 312327),
    "amlodipine_new_users": (1332418, 1308216, 316866, 312327),
    "ticagrelor_new_users": (40241186, 1322184, 4185932, 443454),
    "clopidogrel_new_users": (1322184, 40241186, 4185932, 443454),
}


@pytest.mark.parametrize("name", NEW_USERS)
def test_new_users_are_those_that_plain_sql_finds(hospital, found, name):
    drug, other, indication, outcome = NEW_USERS[name]

    def descendants(concept):
        return f"(select descendant_concept_id from concept_ancestor where ancestor_concept_id = {concept})"

    expected = sql(
        hospital,
        f"""
        with first_use as (
            select person_id, min(drug_exposure_start_date) as day from drug_exposure
            where drug_concept_id in {descendants(drug)} group by all
        )
        select f.person_id, f.day from first_use f join person p using (person_id)
        where exists (from observation_period o where o.person_id = f.person_id
                and f.day between observation_period_start_date + 365 and observation_period_end_date)
            and year(f.day) - p.year_of_birth >= 18
            and exists (from condition_occurrence c where c.person_id = f.person_id
                and condition_concept_id in {descendants(indication)} and condition_start_date <= f.day)
            and not exists (from condition_occurrence c where c.person_id = f.person_id
                and condition_concept_id in {descendants(outcome)} and condition_start_date <= f.day)
            and not exists (from drug_exposure d where d.person_id = f.person_id
                and drug_concept_id in {descendants(other)} and drug_exposure_start_date <= f.day)
        order by all""",
    )
    assert [row[:2] for row in found[name]] == expected


def test_the_rare_disease_has_one_to_five_people(hospital, found):
    people = sql(
        hospital,
        "select distinct person_id from condition_occurrence where condition_concept_id = 4229262 order by 1",
    )
    assert [row[:1] for row in found["wilson_disease"]] == people
    assert 1 <= len(people) <= 5


def test_adults_with_high_hba1c(hospital, found):
    people = sql(
        hospital,
        "select distinct m.person_id from measurement m join person using (person_id) "
        "join observation_period o on o.person_id = m.person_id "
        "and measurement_date between observation_period_start_date and observation_period_end_date "
        "where measurement_concept_id = 3004410 and value_as_number >= 6.5 and year(measurement_date) - year_of_birth >= 18 "
        "order by 1",
    )
    assert [row[:1] for row in found["adults_hba1c_6_5"]] == people
