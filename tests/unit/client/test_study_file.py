"""A study file is read, or refused with the file, the line and the field."""

from datetime import UTC, datetime, timedelta

import pytest

from dure.client import study_file
from dure.client.problems import BadStudyFile, Unreadable
from dure.cohort.problems import NotCirce, NotJson
from dure.study.kinds.base import BadQuestion
from dure.study.spec import Purpose
from dure.wire.rules import Mode

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = "title: T\npurpose: research\npurpose_text: W\n"
QUESTION = "question: {kind: feasibility, cohort: {file: anyone.json}}\n"


def test_a_study_is_read(study_folder):
    read = study_file.read(study_folder / "study.yaml")
    assert (read.title, read.purpose, read.mode) == ("Anyone with a condition", Purpose.RESEARCH, Mode.TOTAL)
    assert read.hospitals == ()
    assert read.question.cohort.name == "Anyone"
    assert read.question.breakdowns == ("age", "sex")
    study = read.study(asker="aram", now=NOW)
    assert (study.closes, study.expires) == (NOW + timedelta(hours=2), NOW + timedelta(days=1))
    assert study.nonce != read.study(asker="aram", now=NOW).nonce


def test_a_cohort_without_a_name_has_its_files(study_folder):
    (study_folder / "study.yaml").write_text(HEAD + QUESTION)
    assert study_file.read(study_folder / "study.yaml").question.cohort.name == "anyone"


def test_the_settings_are_told_by_their_titles(study_folder):
    read = study_file.read(study_folder / "study.yaml")
    assert study_file.fields_of(read.question)[:2] == (
        ("Cohort", "Anyone"),
        ("Break down by", ("age", "sex")),
    )


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("titel: T\n", "line 1, field titel", "no field"),
        ("title: T\n", "line 1", "'purpose' is missing"),
        ("title: T\n" + HEAD + QUESTION, "line 2", "stands twice"),
        (HEAD.replace("research", "fun") + QUESTION, "line 2, field purpose", "not one of them"),
        (HEAD.replace("title: T", "title: [T]") + QUESTION, "line 1, field title", "no text"),
        (HEAD + QUESTION + "mode: partly\n", "line 5, field mode", "not one of them"),
        (HEAD + QUESTION + "mode: [total]\n", "line 5, field mode", "not one of them"),
        (HEAD + QUESTION + "closes_in: soon\n", "line 5, field closes_in", "no length of time"),
        (HEAD + QUESTION + "closes_in: 9 weeks\n", "line 5, field closes_in", "after the permits end"),
        (HEAD + QUESTION + "expires_in: 900 weeks\n", "line 5, field expires_in", "no length of time"),
        (HEAD + QUESTION + "hospitals: north\n", "line 5, field hospitals", "no list"),
        (HEAD + "question: {kind: guess}\n", "line 4, field question.kind", "no kind"),
        (HEAD + "question: 7\n", "line 4, field question.kind", "no kind"),
        (
            HEAD + "question:\n  kind: feasibility\n  cohort: {file: anyone.json}\n  first_yeer: 2010\n",
            "line 7, field question.first_yeer",
            "Unexpected",
        ),
        (
            HEAD + "question:\n  kind: feasibility\n  cohort: {file: anyone.json, color: red}\n",
            "line 6, field question.cohort.color",
            "no field 'color'",
        ),
        (
            HEAD + "question:\n  kind: feasibility\n  cohort: {file: 7}\n",
            "line 6, field question.cohort.file",
            "no path",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_line(study_folder, text, place, what):
    path = study_folder / "study.yaml"
    path.write_text(text)
    with pytest.raises(BadStudyFile) as caught:
        study_file.read(path)
    assert caught.value.where == f"{path}, {place}"
    assert what in caught.value.what
    assert caught.value.mend


def test_a_missing_cohort_is_named(study_folder):
    (study_folder / "anyone.json").unlink()
    with pytest.raises(Unreadable) as caught:
        study_file.read(study_folder / "study.yaml")
    assert caught.value.where.endswith("anyone.json")


@pytest.mark.parametrize(("text", "problem"), [("{", NotJson), ("{}", NotCirce)])
def test_a_bad_cohort_is_named_with_its_file(study_folder, text, problem):
    (study_folder / "anyone.json").write_text(text)
    with pytest.raises(problem) as caught:
        study_file.read(study_folder / "study.yaml")
    assert "anyone.json" in caught.value.where


def test_a_question_that_contradicts_itself_is_placed(study_folder):
    path = study_folder / "study.yaml"
    path.write_text(path.read_text() + "  first_year: 2020\n  last_year: 2010\n")
    with pytest.raises(BadQuestion) as caught:
        study_file.read(path)
    assert caught.value.where.startswith(f"{path}, line 7, field question")
