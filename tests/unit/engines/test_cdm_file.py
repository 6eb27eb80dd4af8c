"""Making a CDM file: whole or not at all."""

import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from dure.engines import cdm_file
from dure.engines.cdm_file import create
from dure.engines.problems import DiskFull, OutputExists, QueryFailed
from dure.omop.tables import VERSIONS, tables

from .conftest import STAMP

TYPES = {"int": "BIGINT", "float": "DOUBLE", "date": "DATE", "datetime": "TIMESTAMP", "text": "VARCHAR"}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_column_has_the_models_name_type_and_order(tmp_path: Path, version: str) -> None:
    path = tmp_path / "x.duckdb"
    with create(path, version) as writer:
        writer.stamp(STAMP)
    with duckdb.connect(str(path), read_only=True) as connection:
        for table in tables(version).values():
            found = connection.execute(f"DESCRIBE {table.name}").fetchall()
            assert [(name, type_, empty == "NO") for name, type_, empty, *_ in found] == [
                (column.name, TYPES[column.type.value], column.required) for column in table.columns
            ]


def test_a_large_event_table_stands_in_the_order_of_its_concepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cdm_file, "MANY_ROWS", 4)
    path, day = tmp_path / "x.duckdb", date(2020, 1, 1)
    death = pa.table({"person_id": [4, 3], "death_date": [day] * 2, "cause_concept_id": [2, 1]})
    specimen = pa.table({
        "specimen_id": [1, 2, 3, 4], "person_id": [2, 1, 1, 1], "specimen_concept_id": [7, 9, 7, 1], "specimen_date": [day] * 4,
        "specimen_type_concept_id": [0] * 4,
    })  # fmt: skip
    with create(path, "5.4") as writer:
        writer.append("death", death)
        writer.append("specimen", specimen)
        writer.stamp(STAMP)
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT specimen_id FROM specimen").fetchall() == [(4,), (3,), (1,), (2,)]
        assert connection.execute("SELECT person_id FROM death").fetchall() == [(4,), (3,)], (
            "a small table stays as it came"
        )
        names = {
            name
            for (name,) in connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'"
            ).fetchall()
        }
        assert names == set(tables("5.4"))
        required = {
            name for name, _, empty, *_ in connection.execute("DESCRIBE specimen").fetchall() if empty == "NO"
        }
        assert required == {column.name for column in tables("5.4")["specimen"].columns if column.required}


def test_an_error_leaves_nothing(tmp_path: Path, files: Callable[[], list[str]]) -> None:
    with pytest.raises(ZeroDivisionError), create(tmp_path / "x.duckdb", "5.4") as writer:
        assert files() != []
        writer.append("concept_ancestor", pa.table({"ancestor_concept_id": [1]}).slice(0, 0))
        raise ZeroDivisionError
    assert files() == []


def test_a_file_without_a_stamp_is_never_put_in_place(tmp_path: Path, files: Callable[[], list[str]]) -> None:
    with pytest.raises(ValueError, match="stamped"), create(tmp_path / "x.duckdb", "5.4"):
        pass
    assert files() == []


def test_what_is_there_is_kept_unless_forced(cdm: Path, files: Callable[[], list[str]]) -> None:
    before = cdm.read_bytes()
    with pytest.raises(OutputExists):
        create(cdm, "5.4")
    with pytest.raises(ZeroDivisionError), create(cdm, "5.4", force=True):
        raise ZeroDivisionError
    assert cdm.read_bytes() == before
    assert files() == ["small.duckdb"]


def test_leftovers_of_a_killed_run_are_no_obstacle(tmp_path: Path, files: Callable[[], list[str]]) -> None:
    (tmp_path / "x.duckdb.partial").write_text("half")
    (tmp_path / "x.duckdb.partial.wal").write_text("half")
    (tmp_path / "x.duckdb.partial.spill").mkdir()
    (tmp_path / "x.duckdb.partial.spill" / "block").write_text("half")
    with create(tmp_path / "x.duckdb", "5.4") as writer:
        writer.stamp(STAMP)
    assert files() == ["x.duckdb"]


def test_only_its_owner_reads_it(cdm: Path) -> None:
    assert cdm.stat().st_mode & 0o077 == 0


def test_a_required_column_that_is_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QueryFailed, match="Constraint"), create(tmp_path / "x.duckdb", "5.4") as writer:
        writer.append("person", pa.table({"person_id": [1]}))


def test_a_folder_that_isnt_there(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="couldn't be written"):
        create(tmp_path / "no" / "x.duckdb", "5.4")


FILL = """
import resource, signal, sys
import pyarrow as pa
from pathlib import Path
from dure.engines import cdm_file
from dure.engines.cdm_file import create
from dure.engines.problems import DiskFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))
import numpy as np
ids = np.random.default_rng(1).integers(0, 2**62, 2_000_000)
try:
    with create(Path(sys.argv[1]), "5.4") as writer:
        rows = {name: ids for name in ("ancestor_concept_id", "descendant_concept_id",
                                       "min_levels_of_separation", "max_levels_of_separation")}
        writer.append("concept_ancestor", pa.table(rows))
        writer.connection.execute("CHECKPOINT")
except DiskFull as problem:
    print(problem)
    sys.exit(problem.exit_code)
"""


@pytest.mark.skipif(
    not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on file size to play a full disk"
)
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(
    tmp_path: Path, files: Callable[[], list[str]]
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path / "x.duckdb")], capture_output=True, text=True, check=False
    )
    assert run.returncode == DiskFull.exit_code, run.stderr
    assert "Free some room" in run.stdout
    assert files() == []
