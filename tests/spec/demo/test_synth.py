"""`dure synth` as a user meets it: the command, what it writes, what it says when it can't."""

import json

import duckdb
import pytest
from typer.testing import CliRunner

from dure.cli.synth import app
from dure.wire.problems import Problem

RUN = CliRunner()


def test_it_makes_a_file_and_its_truth(tmp_path):
    out = tmp_path / "hospital.duckdb"
    done = RUN.invoke(app, ["--persons", "300", "--seed", "1", "--hospital", "3", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(out), str(tmp_path / "hospital.truth.json")]
    assert "all synthetic" in done.stderr
    truth = json.loads((tmp_path / "hospital.truth.json").read_text(encoding="utf-8"))
    assert truth["recipe"] == {"persons": 300, "seed": 1, "hospital": 3}
    with duckdb.connect(str(out), read_only=True) as db:
        assert db.execute("select count(*) from person").fetchall() == [(300,)]


@pytest.mark.parametrize(
    ("options", "slug", "exit_code"),
    [
        (["--persons", "0", "--seed", "1"], "synth-recipe", 100),
        (["--persons", "5", "--seed", "-1"], "synth-recipe", 100),
        (["--persons", "5", "--seed", "1", "--hospital", "1000"], "synth-recipe", 100),
        (["--persons", "5", "--seed", "1", "--out", "no/such/folder/x.duckdb"], "disk-full", 97),
    ],
)
def test_what_it_says_when_it_cannot(tmp_path, monkeypatch, options, slug, exit_code):
    monkeypatch.chdir(tmp_path)
    if "--out" not in options:
        options = [*options, "--out", "x.duckdb"]
    done = RUN.invoke(app, options)
    assert isinstance(done.exception, Problem)
    assert (done.exception.slug, done.exception.exit_code) == (slug, exit_code)
    assert done.exception.where
    assert done.exception.mend
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    done = RUN.invoke(app, ["--persons", "5", "--seed", "1", "--out", str(tmp_path / "gone" / "x.duckdb")])
    assert isinstance(done.exception, Problem)
    assert "gone" in str(done.exception)


def test_options_that_are_missing_are_a_mistake_in_use():
    assert RUN.invoke(app, ["--persons", "5"]).exit_code == 2
