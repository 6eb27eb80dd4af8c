"""`dure cohort` on a small database: words, rows, numbers, and one clear line when a file is wrong."""

import json
import os
import signal
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dure.cli import main
from dure.engines.cdm_file import create
from dure.engines.dataset import Dataset
from dure.engines.duckdb import DuckDBEngine

DEFINITION = {
    "ConceptSets": [
        {"id": 0, "name": "asthma", "expression": {"items": [{"concept": {"CONCEPT_ID": 1}}]}},
    ],
    "PrimaryCriteria": {
        "CriteriaList": [{"ConditionOccurrence": {"CodesetId": 0}}],
        "ObservationWindow": {},
        "PrimaryCriteriaLimit": {"Type": "First"},
    },
    "InclusionRules": [
        {"name": "men", "expression": {"Type": "ALL", "DemographicCriteriaList": [{"Gender": [{"CONCEPT_ID": 8507}]}]}}
    ],
    "EndStrategy": {"DateOffset": {"DateField": "StartDate", "Offset": 30}},
}  # fmt: skip


@pytest.fixture
def cdm(tmp_path):
    path = tmp_path / "small.duckdb"
    with create(path, "5.4") as writer:
        writer.append("person", pa.table({
            "person_id": [1, 2], "gender_concept_id": [8507, 8532], "year_of_birth": [1960, 1970],
            "race_concept_id": [0, 0], "ethnicity_concept_id": [0, 0],
        }))  # fmt: skip
        writer.append("observation_period", pa.table({
            "observation_period_id": [1, 2], "person_id": [1, 2], "period_type_concept_id": [0, 0],
            "observation_period_start_date": [date(2020, 1, 1)] * 2, "observation_period_end_date": [date(2020, 12, 31)] * 2,
        }))  # fmt: skip
        writer.append("condition_occurrence", pa.table({
            "condition_occurrence_id": [1, 2], "person_id": [1, 2], "condition_concept_id": [1, 1],
            "condition_start_date": [date(2020, 3, 1)] * 2, "condition_type_concept_id": [0, 0],
        }))  # fmt: skip
        writer.connection.execute(
            "INSERT INTO concept (concept_id, concept_name, domain_id, vocabulary_id, concept_class_id, concept_code, "
            "valid_start_date, valid_end_date) VALUES (1, 'x', 'x', 'x', 'x', '1', DATE '2000-01-01', DATE '2099-12-31')"
        )
        writer.stamp(
            Dataset(version="1", cdm_version="5.4", source="test", persons=2, first_date=None, last_date=None)
        )
    return path


@pytest.fixture
def definition(tmp_path):
    path = tmp_path / "asthma.json"
    path.write_text(json.dumps(DEFINITION))
    return path


def call(*arguments):
    with pytest.raises(SystemExit) as caught:
        main(["cohort", *map(str, arguments)])
    return caught.value.code or 0


def test_run_writes_rows_and_shows_attrition(cdm, definition, tmp_path, capsys):
    out = tmp_path / "rows.parquet"
    assert call("run", definition, "--cdm", cdm, "--out", out, "--stats", tmp_path / "stats.parquet") == 0
    assert pq.read_table(out).to_pylist() == [
        {
            "cohort_id": "asthma",
            "subject_id": 1,
            "cohort_start_date": date(2020, 3, 1),
            "cohort_end_date": date(2020, 3, 31),
        }
    ]
    shown = capsys.readouterr().out
    assert "entry events" in shown
    assert "men" in shown
    stats = pq.read_table(tmp_path / "stats.parquet").to_pylist()
    assert {
        (row["mode_id"], row["base_count"], row["final_count"]) for row in stats if row["base_count"]
    } == {
        (0, 2, 1),
        (1, 2, 1),
    }


def test_a_cohort_that_fails_doesnt_stop_the_others(cdm, definition, tmp_path, capsys):
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "unknown.json").write_text(json.dumps(DEFINITION | {"Surprise": 1}))
    out = tmp_path / "rows.parquet"
    assert call("run", tmp_path, "--cdm", cdm, "--out", out) == 109
    assert pq.read_table(out).column("cohort_id").to_pylist() == ["asthma"]
    said = capsys.readouterr().err
    assert "2 of 3 cohorts failed" in said
    assert "$.Surprise" in said
    assert "line 1" in said


def test_where_all_fail_the_old_file_stays(cdm, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text("{")
    out = tmp_path / "rows.parquet"
    out.write_text("old")
    assert call("run", tmp_path, "--cdm", cdm, "--out", out) == 109
    assert out.read_text() == "old"


def test_ctrl_c_leaves_no_file_and_ends_with_130(cdm, definition, tmp_path, monkeypatch):
    def interrupted(self, tree):
        os.kill(os.getpid(), signal.SIGINT)
        return self._connection.sql(
            "SELECT COUNT(*) FROM range(100000000) a, range(1000) b WHERE a.range = -b.range"
        )

    monkeypatch.setattr(DuckDBEngine, "query", interrupted)
    out = tmp_path / "rows.parquet"
    assert call("run", definition, "--cdm", cdm, "--out", out, "--stats", tmp_path / "stats.parquet") == 130
    assert list(tmp_path.glob("*.parquet*")) == []


def test_run_takes_folders(cdm, definition, tmp_path):
    (tmp_path / "empty.json").write_text(
        json.dumps(DEFINITION).replace('"CONCEPT_ID": 1}', '"CONCEPT_ID": 5}')
    )
    out = tmp_path / "rows.parquet"
    assert call("run", tmp_path, "--cdm", cdm, "--out", out) == 0
    assert pq.read_table(out).column("cohort_id").to_pylist() == ["asthma"]


def test_a_failed_run_leaves_the_old_file(cdm, definition, tmp_path, capsys):
    out = tmp_path / "rows.parquet"
    out.write_text("old")
    definition.write_text(json.dumps(DEFINITION | {"CensoringCriteria": [{"Death": {}}]}))
    assert call("run", definition, "--cdm", cdm, "--out", tmp_path / "nowhere" / "rows.parquet") == 97
    definition.write_text("{}")
    assert call("run", definition, "--cdm", cdm, "--out", out) == 21
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.glob("*.partial")] == []


def test_subset_keeps_what_the_definition_says(cdm, definition, tmp_path, capsys):
    rows, out = tmp_path / "rows.parquet", tmp_path / "subset.parquet"
    assert call("run", definition, "--cdm", cdm, "--out", rows) == 0
    for most, left in ((59, 0), (60, 1)):
        subset = tmp_path / "subset.txt"
        operator = {"subsetType": "DemographicSubsetOperator", "ageMax": most}
        subset.write_text(json.dumps({"name": "s", "definitionId": 5, "subsetOperators": [operator]}))
        asked = ("subset", subset, "--rows", rows, "--cdm", cdm, "--out", out)
        assert call(*asked, "--target", "asthma") == 0
        assert pq.read_table(out)["cohort_id"].to_pylist() == ["asthma-5"] * left
    assert call(*asked, "--target", "nobody") == 2
    assert call("subset", subset, "--rows", cdm, "--cdm", cdm, "--out", out, "--target", "asthma") == 92


def test_a_folder_without_definitions_is_a_mistake_of_usage(cdm, tmp_path):
    (tmp_path / "empty").mkdir()
    assert call("run", tmp_path / "empty", "--cdm", cdm, "--out", tmp_path / "rows.parquet") == 2


def test_explain_says_the_definition_the_plan_and_the_sql(definition, capsys):
    assert call("explain", definition, "--plan", "--sql") == 0
    shown = capsys.readouterr().out
    assert "a diagnosis of “asthma”" in shown
    assert "Primary" in shown
    assert "ROW_NUMBER()" in shown


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("{", 20, "line 1"),
        ("{}", 21, "$"),
        (json.dumps(DEFINITION | {"Surprise": 1}), 22, "$.Surprise"),
        (
            json.dumps(DEFINITION).replace('"CodesetId": 0', '"CodesetId": 9'),
            23,
            "$.PrimaryCriteria.CriteriaList[0]",
        ),
    ],
)
def test_a_wrong_file_has_its_own_exit_code_and_place(definition, capsys, text, code, where):
    definition.write_text(text)
    assert call("explain", definition) == code
    assert where in capsys.readouterr().err


def test_lint_says_where_and_a_critical_finding_has_its_exit_code(definition, tmp_path, capsys):
    worse = tmp_path / "worse.json"
    window = {"Start": {"Days": 5, "Coeff": 1}, "End": {"Days": 5, "Coeff": -1}}
    rule = {"Criteria": {"Death": {}}, "StartWindow": window, "Occurrence": {"Type": 2, "Count": 1}}
    rules = [{"name": "dead", "expression": {"Type": "ALL", "CriteriaList": [rule]}}]
    worse.write_text(json.dumps(DEFINITION | {"InclusionRules": rules}))
    assert call("lint", definition) == 0
    assert "0 critical, 0 warning, 0 info (1)" in capsys.readouterr().out
    assert call("lint", worse, "--lang", "ko") == 28
    out = capsys.readouterr().out
    assert "dead-window $.InclusionRules[0].expression.CriteriaList[0].StartWindow" in out
    assert "사건이 들지 않습니다" in out


def test_canonical_and_diff(definition, tmp_path, capsys):
    other = tmp_path / "other.json"
    other.write_text(json.dumps(DEFINITION | {"Title": "Asthma in men"}))
    for path in (definition, other):
        assert call("canonical", path) == 0
    one, two = capsys.readouterr().out.split('{\n  "ConceptSets"')[1:]
    assert one == two
    assert call("diff", definition, other) == 0
    assert capsys.readouterr().out == "Same cohort: the two definitions mean the same.\n"
    other.write_text(json.dumps(DEFINITION | {"InclusionRules": []}))
    assert call("diff", definition, other) == 0
    assert capsys.readouterr().out == "rule “men”: Removed: ALL: Gender ∈ {8507}.\n"


def test_concepts_are_shown_and_written(cdm, definition, tmp_path, capsys):
    out = tmp_path / "concepts.csv"
    assert call("concepts", definition, "--cdm", cdm, "--set", 0, "--out", out) == 0
    assert "itself" in out.read_text()
    assert "1 rows in" in capsys.readouterr().out
    assert call("concepts", definition, "--cdm", cdm, "--set", 9) == 2


def test_explain_speaks_korean(definition, capsys):
    assert call("explain", definition, "--lang", "ko") == 0
    assert "“asthma” 진단" in capsys.readouterr().out
    assert call("explain", definition, "--lang", "xx") == 2


def test_run_warns_on_standard_error_with_the_path(cdm, definition, tmp_path, capsys):
    definition.write_text(json.dumps(DEFINITION | {"_note": "mine"}))
    assert call("run", definition, "--cdm", cdm, "--out", tmp_path / "rows.parquet") == 0
    heard = capsys.readouterr()
    assert "$._note: It isn't part of the format" in heard.err
    assert "_note" not in heard.out
