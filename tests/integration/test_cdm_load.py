"""Two public CDMs, as they lie in the wild, loaded through the command line with every row accounted for.

The referee counts their rows with Python's csv module.
"""

import csv
import gzip
import io
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from sqlglot import exp
from typer.testing import CliRunner

from dure.cli.cdm import app
from dure.engines import Engine, open_engine
from dure.onboard.load import load
from dure.onboard.split import split

SOURCES = {
    "gibleed_5.3_csv.zip": ("5.3", 2694, 411_136),
    "Synthea27Nj_5.4.zip": ("5.4", 28, 294_203),
}


def rows_by_table(path: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            stem = Path(name).name.lower().split(".")[0]
            if name.endswith("/") or "__MACOSX" in name:
                continue
            content = archive.read(name)
            text = gzip.decompress(content) if name.endswith(".gz") else content
            counts[stem] += sum(1 for row in csv.reader(io.StringIO(text.decode(), newline="")) if row) - 1
    return counts


def count(engine: Engine, table: str) -> int:
    tree = exp.select(exp.alias_(exp.Count(this=exp.Star()), "n")).from_(table)
    return int(engine.query(tree)["n"][0].as_py())


@pytest.mark.parametrize("name", SOURCES)
def test_a_real_cdm_is_loaded_and_accounted_for(shared: Path, tmp_path: Path, name: str) -> None:
    version, persons, rows = SOURCES[name]
    source = shared / "data" / name
    account = load(source, tmp_path / "x.duckdb")
    referee = rows_by_table(source)
    with open_engine(str(tmp_path / "x.duckdb")) as engine:
        for line in account.tables:
            assert line.read == referee[line.table], line.table
            assert line.loaded == count(engine, line.table)
        assert engine.dataset.cdm_version == version
    assert (account.dataset.persons, account.read, account.rejected) == (persons, rows, 0)


def test_the_command_shows_the_account(shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.duckdb"
    result = CliRunner().invoke(
        app, ["load", str(shared / "data" / "Synthea27Nj_5.4.zip"), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert "concept_relationship  │ 266,588 │ 266,588 │        0" in result.output
    assert "all                   │ 294,203 │ 294,203 │        0" in result.output
    assert "ignored __MACOSX/._CARE_SITE.csv: hidden file" in result.output
    assert "concept_ancestor is empty" in result.output
    assert out.exists()


def test_many_rejected_rows_show_in_the_exit_code(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    with zipfile.ZipFile(shared / "data" / "Synthea27Nj_5.4.zip") as archive:
        archive.extractall(folder)
    with (folder / "DEATH.csv").open("a") as file:
        file.write("8,2019-99-28,,,,,\n")
    result = CliRunner().invoke(app, ["load", str(folder), "--out", str(tmp_path / "x.duckdb")])
    assert result.exit_code == 19, result.output
    assert (tmp_path / "x.duckdb").exists()
    assert "2019-99-28" not in result.output
    assert "2019-99-28" in (tmp_path / "x.rejects.csv").read_text()


def test_five_hospitals_hold_what_one_held(shared: Path, tmp_path: Path) -> None:
    load(shared / "data" / "gibleed_5.3_csv.zip", tmp_path / "whole.duckdb")
    result = CliRunner().invoke(
        app,
        [
            "split",
            str(tmp_path / "whole.duckdb"),
            "--parts",
            "5",
            "--seed",
            "1",
            "--out-dir",
            str(tmp_path / "parts"),
        ],
    )
    assert result.exit_code == 0, result.output
    again = split(tmp_path / "whole.duckdb", parts=5, seed=1, out_dir=tmp_path / "again")
    sums: Counter[str] = Counter()
    for path, dataset in again.parts:
        with open_engine(str(tmp_path / "parts" / path.name)) as engine:
            assert engine.dataset == dataset
            for table in ("person", "observation_period", "condition_occurrence", "drug_era", "measurement"):
                sums[table] += count(engine, table)
            assert count(engine, "concept") == 444
    assert sums == {
        "person": 2694,
        "observation_period": 5343,  # half of them of persons whom this CDM lacks
        "condition_occurrence": 65_332,
        "drug_era": 52_508,
        "measurement": 44_053,
    }
