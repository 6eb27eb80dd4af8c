"""Running plans: what is kept, shared and forgotten, whatever happens."""

from datetime import date

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from dure.cohort import parse, plan
from dure.cohort.problems import MissingTable
from dure.engines.cohorts import CONCEPTS, resolve, run, run_many, statements
from dure.engines.dataset import Dataset
from dure.engines.duckdb import DuckDBEngine
from dure.engines.problems import QueryFailed
from dure.omop.concept_sets import ConceptSet, ConceptSetItem

TABLES = """
CREATE TABLE concept AS SELECT i AS concept_id, NULL::VARCHAR AS invalid_reason FROM range(1, 5) t(i);
CREATE TABLE concept_ancestor AS SELECT 1::BIGINT AS ancestor_concept_id, i AS descendant_concept_id FROM range(1, 3) t(i);
CREATE TABLE observation_period AS SELECT i AS person_id, DATE '2020-01-01' AS observation_period_start_date,
    DATE '2020-12-31' AS observation_period_end_date FROM range(1, 4) t(i);
CREATE TABLE condition_occurrence AS SELECT i AS condition_occurrence_id, i AS person_id, i AS condition_concept_id,
    0::BIGINT AS condition_source_concept_id, DATE '2020-03-01' AS condition_start_date, NULL::DATE AS condition_end_date,
    NULL::BIGINT AS visit_occurrence_id FROM range(1, 4) t(i);
"""


@pytest.fixture
def engine(tmp_path):
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(TABLES)
    stamp = Dataset(version="1", cdm_version="5.4", source="test", persons=3, first_date=None, last_date=None)
    with DuckDBEngine(connection, stamp, tmp_path) as opened:
        opened.connection = connection
        yield opened


def planned(concept=1, *, days=30, table="ConditionOccurrence", descendants=True):
    rule = {
        "Criteria": {table: {"CodesetId": 0}},
        "StartWindow": {"Start": {"Days": days, "Coeff": -1}, "End": {"Days": 0, "Coeff": 1}},
        "Occurrence": {"Type": 2, "Count": 1},
    }
    item = {"concept": {"CONCEPT_ID": concept}, "includeDescendants": descendants}
    source = {
        "ConceptSets": [{"id": 0, "name": "", "expression": {"items": [item]}}],
        "PrimaryCriteria": {
            "CriteriaList": [{"ConditionOccurrence": {"CodesetId": 0}}],
            "ObservationWindow": {},
            "PrimaryCriteriaLimit": {"Type": "All"},
        },
        "InclusionRules": [{"name": "near", "expression": {"Type": "ALL", "CriteriaList": [rule]}}],
    }
    return plan(parse(source), cdm_version="5.4")


def left_behind(engine):
    return engine.connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()


def test_rows_and_qualified_events(engine):
    found = run(engine, planned())
    assert found.rows.to_pydict() == {
        "subject_id": [1, 2],
        "cohort_start_date": [date(2020, 3, 1)] * 2,
        "cohort_end_date": [date(2020, 12, 31)] * 2,
    }
    assert found.qualified.to_pydict()["mask"] == [1, 1]
    assert found.rules == ("near",)
    assert left_behind(engine) == []


def test_without_attrition_the_rows_are_the_same(engine):
    found = run(engine, planned(), attrition=False)
    assert found.qualified is None
    assert found.rows == run(engine, planned()).rows


def test_many_cohorts_are_the_cohorts_one_by_one(engine):
    plans = [planned(1), planned(3), planned(1), planned(1, days=60), planned(99)]
    together = [found.rows for found in run_many(engine, plans)]
    assert together == [run(engine, each).rows for each in plans]
    assert left_behind(engine) == []


def test_what_two_cohorts_share_is_made_once(engine, monkeypatch):
    made = []
    temporary = engine.temporary
    monkeypatch.setattr(engine, "temporary", lambda name, tree: (made.append(name), temporary(name, tree)))
    list(run_many(engine, [planned(1), planned(1, days=60)]))
    assert len(made) == len(set(made))
    alone = len(made)
    made.clear()
    list(run_many(engine, [planned(1)]))
    list(run_many(engine, [planned(1, days=60)]))
    assert len(made) > alone


@pytest.mark.parametrize("stop_after", [0, 1])
def test_nothing_is_left_behind_when_the_caller_stops(engine, stop_after):
    cohorts = run_many(engine, [planned(1), planned(3)])
    for _ in range(stop_after):
        next(cohorts)
    cohorts.close()
    assert left_behind(engine) == []


def test_nothing_is_left_behind_when_a_query_fails(engine, monkeypatch):
    def fail(_tree):
        raise QueryFailed("no", where="here", mend="none")

    monkeypatch.setattr(engine, "query", fail)
    with pytest.raises(QueryFailed):
        run(engine, planned())
    assert left_behind(engine) == []


def test_a_missing_table_is_named_before_anything_runs(engine):
    with pytest.raises(MissingTable, match="drug_exposure"):
        run(engine, planned(table="DrugExposure"))
    assert left_behind(engine) == []


LACKING = [
    # criterion, what the database lacks
    ({"LocationRegion": {}}, "location"),
    ({"Episode": {}}, "episode"),
    ({"CustomEra": {"CriteriaList": [{"Episode": {}}]}}, "episode"),
    ({"VisitOccurrence": {"PlaceOfServiceLocation": 0}}, "location"),
    ({"DrugExposure": {"EffectiveDrugDose": {"Op": "gt", "Value": 1}}}, "effective_drug_dose"),
    ({"DrugExposure": {"DoseUnit": [{"CONCEPT_ID": 1}]}}, "dose_unit_concept_id"),
]


@pytest.mark.parametrize(("criterion", "lacking"), LACKING)
def test_what_a_cdm_may_lack_is_named(engine, criterion, lacking):
    engine.connection.execute("CREATE TABLE drug_exposure (drug_exposure_id BIGINT)")
    engine.connection.execute("CREATE TABLE visit_occurrence (visit_occurrence_id BIGINT)")
    source = {
        "ConceptSets": [{"id": 0, "name": "", "expression": {}}],
        "PrimaryCriteria": {"CriteriaList": [criterion], "ObservationWindow": {}},
    }
    again = DuckDBEngine(engine.connection, engine.dataset, engine._spill)
    with pytest.raises(MissingTable, match=lacking) as caught:
        run(again, plan(parse(source), cdm_version="5.4"))
    assert lacking in caught.value.where


def test_a_concept_set_resolves_to_ids_in_order(engine):
    items = (
        ConceptSetItem(concept=1, descendants=True),
        ConceptSetItem(concept=4),
        ConceptSetItem(concept=99),
    )
    assert resolve(engine, ConceptSet(id=0, name="", items=items)) == (1, 2, 4)
    assert resolve(engine, ConceptSet(id=0, name="", items=())) == ()


def test_mapped_concepts_need_the_relationships(engine):
    items = (ConceptSetItem(concept=1, mapped=True),)
    with pytest.raises(MissingTable, match="concept_relationship"):
        resolve(engine, ConceptSet(id=0, name="", items=items))


def test_statements_are_what_runs(engine, monkeypatch):
    ran = []
    temporary, query = engine.temporary, engine.query
    monkeypatch.setattr(
        engine, "temporary", lambda name, tree: (ran.append(tree.sql()), temporary(name, tree))
    )
    monkeypatch.setattr(engine, "query", lambda tree: (ran.append(tree.sql()), query(tree))[1])
    listed = list(statements(planned()))
    run(engine, planned())
    assert [tree.sql() for _, tree in listed] == ran[:-1], "and last what `qualified` needs"
    assert (listed[0][0], listed[-1][0]) == (CONCEPTS, "rows")


def test_no_text_of_a_definition_becomes_sql(engine):
    source = {
        "PrimaryCriteria": {
            "CriteriaList": [
                {"Observation": {"ValueAsString": {"Text": "'; DROP TABLE concept; --", "Op": "contains"}}}
            ],
            "ObservationWindow": {},
        }
    }
    trees = [tree for _, tree in statements(plan(parse(source), cdm_version="5.4"))]
    for tree in trees:
        (again,) = sqlglot.parse(tree.sql(dialect="duckdb"), dialect="duckdb")
        assert strings(again) == strings(tree)
    assert "%'; DROP TABLE concept; --%" in strings(trees[-2]) | strings(trees[-1])


def strings(tree):
    return {each.this for each in tree.find_all(exp.Literal) if each.is_string}
