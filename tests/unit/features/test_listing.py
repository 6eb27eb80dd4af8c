"""A list made at one database can be asked of all: ids and names, and nothing of how many."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dure.cli import app
from dure.client import covariate_list, study_file
from dure.client.problems import Unreadable
from dure.cohort import parse, plan
from dure.demo import synth
from dure.engines import open_engine
from dure.features.analyses import Windows, analyses
from dure.features.covariates import BadCovariate, entered, matrix
from dure.features.listing import listed

COHORTS = Path(synth.__file__).parents[1] / "cohorts"
DIABETES = COHORTS / "diabetes_first.json"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("listing") / "one.duckdb"
    synth.generate(persons=1500, seed=9, hospital=1, path=path)
    return path


def test_every_analysis_can_be_listed_and_the_list_read_back_as_a_matrix(hospital):
    planned = plan(parse(DIABETES.read_bytes()), cdm_version="5.4")
    with open_engine(str(hospital)) as engine:
        found = listed(engine, [planned], list(analyses()), Windows(), least=10)
        people = {each.covariate.id: each.people for each in found}
        assert len({each.covariate.name for each in found}) == len(found)
        assert {covariate % 1000 for covariate in people} >= {1, 2, 3, 102, 210, 410, 702, 706, 901, 904, 920}
        assert 201826210 in people, "the disease itself, as a group"
        with entered(engine, [planned]) as (entries,):
            having = matrix(engine, entries, list(people), Windows()).tocsc()
        assert dict(zip(people, (having.indptr[1:] - having.indptr[:-1]).tolist(), strict=True)) == people


def test_an_unknown_analysis_is_refused(hospital):
    planned = plan(parse(DIABETES.read_bytes()), cdm_version="5.4")
    with open_engine(str(hospital)) as engine, pytest.raises(BadCovariate, match="902"):
        listed(engine, [planned], [902], Windows(), least=1)


def test_the_command_writes_a_list_that_a_study_names(hospital, tmp_path):
    out = tmp_path / "list.csv"
    arguments = ["study", "covariates", "--cdm", str(hospital), "--cohort", str(DIABETES), "--out", str(out)]
    told = CliRunner().invoke(app, [*arguments, "--min-count", "30", "--analysis", "1", "--analysis", "210"])
    assert told.exit_code == 0, told.output
    covariates = covariate_list.read(out)
    assert f"{len(covariates)} covariates" in told.output
    assert 8532001 in {each.id for each in covariates}
    (tmp_path / "study.yaml").write_text(
        f"""
title: t
purpose: research
purpose_text: t
question:
  kind: characterise
  target: {{name: diabetes, file: {DIABETES}}}
  covariates: {{file: list.csv}}
"""
    )
    assert study_file.read(tmp_path / "study.yaml").question.covariates == tuple(covariates)


@pytest.mark.parametrize(
    "text", ["", "id,name\n1002,Age\n", "covariate_id,covariate_name\nx,Age\n", "covariate_id,covariate_name\n1002,\n"]
)  # fmt: skip
def test_what_is_no_list(text, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(text)
    if text:
        with pytest.raises(Unreadable):
            covariate_list.read(path)
    else:
        assert covariate_list.read(path) == []


def test_a_missing_list_is_said(tmp_path):
    with pytest.raises(Unreadable, match="No such file"):
        covariate_list.read(tmp_path / "none.csv")
