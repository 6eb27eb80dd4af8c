"""Running plans: what is kept, shared and forgotten, whatever happens."""

import threading
from dataclasses import replace
from datetime import date

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from dure.cohort import parse, plan
from dure.cohort.batch import CONCEPTS, LINKS
from dure.cohort.problems import MissingTable
from dure.engines import set_weights
from dure.engines.cohort_cache import CohortCache, Kept, forget
from dure.engines.cohorts import resolve, run, run_each, run_many, statements
from dure.engines.dataset import Dataset
from dure.engines.duckdb import DuckDBEngine
from dure.engines.problems import QueryCancelled, QueryFailed
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
    forget(engine)
    list(run_many(engine, [planned(1), planned(1, days=60)] * 2))
    assert len(made) == alone, "equal plans are one"
    made.clear()
    forget(engine)
    list(run_many(engine, [planned(1), planned(1, days=60), planned(3), planned(3, days=60)]))
    assert len(made) == alone, "plans of one shape are one query"


def test_an_answer_is_found_again_for_the_same_dataset_version_only(engine, monkeypatch):
    first = list(run_many(engine, [planned(1), planned(3)]))
    asked = []
    query = engine.query
    monkeypatch.setattr(engine, "query", lambda tree: (asked.append(tree), query(tree))[1])
    assert [found.rows for found in run_many(engine, [planned(3), planned(1)])] == [
        first[1].rows,
        first[0].rows,
    ]
    assert run(engine, planned(1)).qualified == first[0].qualified
    assert asked == []
    engine.connection.execute(
        "INSERT INTO condition_occurrence SELECT 9, 3, 1, 0, DATE '2020-04-01', NULL, NULL"
    )
    engine.dataset = replace(engine.dataset, version="2")
    assert run(engine, planned(1)).rows.num_rows == first[0].rows.num_rows + 1
    assert asked != []


def test_rows_alone_are_not_an_answer_to_who_asks_for_attrition(engine):
    assert run(engine, planned(1), attrition=False).qualified is None
    assert run(engine, planned(1)).qualified.num_rows == 2
    assert run(engine, planned(1), attrition=False).qualified is None


def test_names_of_rules_are_of_the_plan_that_asks(engine):
    run(engine, planned(1))
    assert run(engine, replace(planned(1), rules=("otherwise",))).rules == ("otherwise",)


def test_the_cache_keeps_what_was_asked_for_last_within_its_bound(engine):
    plans = [planned(1, days=days) for days in (1, 2, 3)]
    kept = Kept(rows=run(engine, plans[0]).rows, qualified=None)
    cache = CohortCache(most_bytes=2 * kept.size)
    for each in plans[:2]:
        cache.keep("1", each, kept)
    assert cache.find("1", plans[0], attrition=False) is not None
    cache.keep("1", plans[2], kept)
    assert [cache.find("1", each, attrition=False) is not None for each in plans] == [True, False, True]
    tiny = CohortCache(most_bytes=1)
    tiny.keep("1", plans[0], kept)
    assert tiny.find("1", plans[0], attrition=False) is None


def test_what_fails_in_a_set_doesnt_stop_the_rest(engine, monkeypatch):
    wrong = planned(1, days=77)

    def temporary(written, make=engine.temporary_written):
        if any(links["number_0"].count(-77) for links in made):
            raise QueryFailed("no", where="here", mend="none")
        make(written)

    made = []
    keep = engine.temporary_numbers
    monkeypatch.setattr(
        engine,
        "temporary_numbers",
        lambda name, columns: (
            made.__setitem__(slice(None), [columns] if name == LINKS else []),
            keep(name, columns),
        ),
    )
    monkeypatch.setattr(engine, "temporary_written", temporary)
    missing = planned(table="DrugExposure")
    found = list(run_each(engine, [planned(1), wrong, planned(3), missing, planned(1, days=60)]))
    assert [type(each).__name__ for each in found] == [
        "CohortTable",
        "QueryFailed",
        "CohortTable",
        "MissingTable",
        "CohortTable",
    ]
    assert left_behind(engine) == []


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_parts_of_a_set_give_what_the_whole_set_gives(engine, monkeypatch, limit):
    plans = [planned(1 + days % 4, days=days) for days in range(12)]
    whole = [found.rows for found in run_many(engine, plans)]
    forget(engine)
    monkeypatch.setattr(set_weights, "MOST_EVENTS", limit)
    assert [found.rows for found in run_many(engine, plans)] == whole
    assert left_behind(engine) == []


def test_closing_from_another_thread_stops_the_running_query(engine):
    names = [f"c{at}" for at in range(20)]
    endless = sqlglot.parse_one(f"SELECT COUNT(*) AS n FROM concept AS {names[0]}", dialect="duckdb")
    for each in names[1:]:
        endless = endless.join(f"concept AS {each}", join_type="cross")
    # A sum that is possible: DuckDB knows the range of a column, and answers what is beyond it at once.
    endless = endless.where(f"{' + '.join(f'{each}.concept_id' for each in names)} = {len(names) + 1}")
    query = engine.query
    cohorts = run_many(engine, [planned(1)])
    began, ended = threading.Event(), []

    def slow(_tree):
        began.set()
        return query(endless)

    engine.query = slow

    def ask():
        try:
            next(cohorts)
        except BaseException as error:
            ended.append(type(error))

    asking = threading.Thread(target=ask)
    asking.start()
    assert began.wait(60)
    cohorts.close()
    asking.join(60)
    assert ended == [QueryCancelled]
    assert left_behind(engine) == []


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
