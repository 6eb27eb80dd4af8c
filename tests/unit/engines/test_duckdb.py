"""The DuckDB engine: its promises, and a connection that stays locked when the list of trees has a hole."""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from dure.engines import Engine, open_engine
from dure.engines.duckdb import DuckDBEngine
from dure.engines.problems import (
    DatabaseBusy,
    DatabaseMissing,
    DatabaseUnreadable,
    NotACdm,
    PlanRefused,
    QueryFailed,
    StorageVersion,
    UnknownEngine,
)
from dure.omop.tables import ColumnType

from .conftest import STAMP

LOCKED_OUT = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')",
    "COPY person TO '{out}/x.csv'",
    "COPY person TO '/tmp/dure-never.csv'",
    "EXPORT DATABASE '{out}/x'",
    "ATTACH '{out}/other.duckdb'",
    "ATTACH ':memory:' AS m",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{out}/x.duckdb_extension'",
    "SET memory_limit = '1TB'",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "RESET enable_external_access",
    "SET python_enable_replacements = true",
    "SET temp_directory = '{out}'",
    "PRAGMA enable_profiling",
    "CREATE TABLE x (a INTEGER)",
    "CREATE PERSISTENT SECRET s (TYPE http)",
    "INSERT INTO person SELECT * FROM person",
    "DELETE FROM person",
    "DROP TABLE person",
    "SELECT getenv('HOME')",
    "SELECT * FROM python_object",
]


@pytest.mark.parametrize("sql", LOCKED_OUT)
def test_the_connection_itself_is_locked(engine: DuckDBEngine, sql: str, tmp_path: Path) -> None:
    python_object = pa.table({"secret": [1]})
    before = sorted(tmp_path.iterdir())
    with pytest.raises(duckdb.Error):
        engine._connection.execute(sql.format(out=tmp_path)).fetchall()
    assert sorted(tmp_path.iterdir()) == before
    assert python_object.num_rows == 1


def test_a_refused_tree_never_reaches_the_connection(engine: DuckDBEngine) -> None:
    with pytest.raises(PlanRefused):
        engine.query(sqlglot.parse_one("SELECT * FROM read_text('/etc/passwd')", dialect="duckdb"))
    with pytest.raises(PlanRefused):
        engine.temporary("t", sqlglot.parse_one("SELECT * FROM glob('/*')", dialect="duckdb"))


def test_it_says_what_it_holds(engine: Engine) -> None:
    assert engine.dataset == STAMP
    assert engine.name == "duckdb"
    assert engine.has("person")
    assert engine.has("episode")
    assert not engine.has("dataset")
    assert list(engine.columns("death").items())[:2] == [
        ("person_id", ColumnType.INTEGER),
        ("death_date", ColumnType.DATE),
    ]
    with pytest.raises(PlanRefused, match="nowhere"):
        engine.columns("nowhere")


def test_results_have_the_promised_types(engine: Engine) -> None:
    tree = sqlglot.parse_one(
        "SELECT SUM(person_id) AS total, SUM(year_of_birth) / COUNT(*) AS mean, CAST('2020-02-29' AS DATE) AS day, "
        "MAX(birth_datetime) AS moment, 'x' AS word FROM person",
        dialect="duckdb",
    )
    assert isinstance(tree, exp.Select)
    table = engine.query(tree)
    assert table.schema.types == [pa.int64(), pa.float64(), pa.date32(), pa.timestamp("us"), pa.string()]
    assert table["total"].to_pylist() == [2**40 + 3]


def test_a_temporary_table_is_read_replaced_and_dropped(engine: Engine) -> None:
    engine.temporary("young", exp.select("person_id").from_("person").where("year_of_birth >= 1990"))
    assert engine.has("young")
    assert engine.columns("young") == {"person_id": ColumnType.INTEGER}
    engine.temporary("young", exp.select("person_id").from_("young").where("person_id > 2"))
    assert engine.query(exp.select("person_id").from_("young"))["person_id"].to_pylist() == [2**40]
    engine.drop("young")
    engine.drop("young")
    assert not engine.has("young")
    with pytest.raises(PlanRefused):
        engine.query(exp.select("person_id").from_("young"))


@pytest.mark.parametrize("name", ["person", "Person", "a b", 'a"b', "", "1a", "x" * 80])
def test_a_temporary_table_takes_no_name_of_the_model_and_no_odd_one(engine: Engine, name: str) -> None:
    with pytest.raises(PlanRefused):
        engine.temporary(name, exp.select("person_id").from_("person"))


def test_the_file_isnt_changed_and_nothing_is_left(cdm: Path, files: Callable[[], list[str]]) -> None:
    before = cdm.read_bytes()
    with open_engine(str(cdm)) as engine:
        engine.temporary("t", exp.select("person_id").from_("person"))
        spill = engine._spill  # type: ignore[attr-defined]
    assert cdm.read_bytes() == before
    assert files() == ["small.duckdb"]
    assert not spill.exists()


def test_what_it_spills_goes_to_a_folder_of_its_own(cdm: Path) -> None:
    with open_engine(f"duckdb:{cdm}", memory="64MB", threads=1) as engine:
        assert engine._spill.stat().st_mode & 0o777 == 0o700  # type: ignore[attr-defined]


def test_a_mistaken_column_says_so_without_a_value(engine: Engine) -> None:
    with pytest.raises(QueryFailed, match="BinderException"):
        engine.query(exp.select("no_such_column").from_("person"))
    with pytest.raises(QueryFailed) as caught:
        engine.query(exp.select(exp.cast(exp.Literal.string("private-text"), "BIGINT")).from_("person"))
    assert "private-text" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_unknown_locations(tmp_path: Path) -> None:
    with pytest.raises(UnknownEngine):
        open_engine("oracle://x")
    with pytest.raises(UnknownEngine):
        open_engine("data.sqlite")
    with pytest.raises(DatabaseMissing):
        open_engine(str(tmp_path / "absent.duckdb"))


def test_files_that_are_no_database(tmp_path: Path, cdm: Path) -> None:
    text = tmp_path / "text.duckdb"
    text.write_text("person_id\n1\n" * 100)
    with pytest.raises(DatabaseUnreadable, match="isn't a DuckDB"):
        open_engine(str(text))
    empty = tmp_path / "empty.duckdb"
    empty.touch()
    with pytest.raises(DatabaseUnreadable):
        open_engine(str(empty))
    cut = tmp_path / "cut.duckdb"
    cut.write_bytes(cdm.read_bytes()[:5000])
    with pytest.raises(DatabaseUnreadable, match="damaged"):
        open_engine(str(cut))


def test_a_flipped_byte_is_damage_and_no_lock(tmp_path: Path, cdm: Path) -> None:
    content = bytearray(cdm.read_bytes())
    content[30] ^= 0xFF
    cdm.write_bytes(content)
    with pytest.raises(DatabaseUnreadable, match="damaged"):
        open_engine(str(cdm))


def test_tables_that_arent_the_models_cant_be_read(cdm: Path) -> None:
    with duckdb.connect(str(cdm)) as connection:
        connection.execute("CREATE TABLE salaries AS SELECT 1 AS amount")
    with open_engine(str(cdm)) as engine:
        assert not engine.has("salaries")
        with pytest.raises(PlanRefused):
            engine.query(exp.select("amount").from_("salaries"))


def test_another_process_that_writes_is_named(cdm: Path) -> None:
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(cdm)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DatabaseBusy):
            open_engine(str(cdm))
        holder.communicate("")


def test_an_older_storage_version_is_named(tmp_path: Path, cdm: Path) -> None:
    old = tmp_path / "old.duckdb"
    content = bytearray(cdm.read_bytes())
    content[12:20] = struct.pack("<Q", 39)
    old.write_bytes(content)
    with pytest.raises(StorageVersion, match="39"):
        open_engine(str(old))


def test_a_database_that_isnt_a_cdm(tmp_path: Path) -> None:
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE sales (id BIGINT)")
    with pytest.raises(NotACdm, match="person"):
        open_engine(str(other))


def test_a_cdm_without_a_stamp(tmp_path: Path, cdm: Path) -> None:
    with duckdb.connect(str(cdm)) as connection:
        connection.execute("DROP TABLE dure.dataset")
    with pytest.raises(NotACdm, match="stamp"):
        open_engine(str(cdm))


def test_a_database_that_is_being_written(cdm: Path) -> None:
    with duckdb.connect(str(cdm)), pytest.raises(DatabaseBusy):
        open_engine(str(cdm))
