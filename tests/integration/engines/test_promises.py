"""What `engines.base.Engine` promises, of every engine."""

from datetime import date

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from dure.cohort import primitives as p
from dure.engines.problems import PlanRefused, QueryFailed
from dure.omop.tables import ColumnType

from .conftest import HUGE

ATTACKS = [
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_sleep(10)",
    "SELECT set_config('default_transaction_read_only', 'off', false)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT dblink('host=127.0.0.1', 'SELECT 1')",
    "SELECT * FROM pg_catalog.pg_shadow",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM other.person",
    "SELECT * FROM dure_dataset",
    "SELECT * FROM generate_series(1, 1000000000)",
    "SELECT * FROM parquet.`/etc/passwd`",
    "SELECT reflect('java.lang.System', 'getenv')",
    "SELECT java_method('java.lang.Runtime', 'getRuntime')",
    "SELECT current_setting('data_directory')",
    "SELECT CAST(person_id AS VARCHAR) FROM person",
    "SELECT query_to_xml('DELETE FROM person', true, true, '')",
    "INSERT INTO person SELECT * FROM person",
    "DELETE FROM person",
    "DROP TABLE person",
    "CREATE TABLE x AS SELECT 1",
    "COPY person TO '/tmp/out.csv'",
]


@pytest.mark.parametrize("sql", ATTACKS)
def test_what_isnt_on_the_list_is_refused(engine, sql):
    tree = sqlglot.parse_one(sql, dialect="spark" if "`" in sql else "postgres")
    with pytest.raises(PlanRefused):
        engine.query(tree)
    with pytest.raises(PlanRefused):
        engine.temporary("mine", tree)
    assert not engine.has("mine")


def test_it_says_what_it_holds(engine):
    assert engine.dataset.cdm_version == "5.4"
    assert engine.dataset.persons == 4
    assert (engine.dataset.first_date, engine.dataset.last_date) == (date(2020, 1, 1), date(2020, 12, 31))
    assert engine.unchanged()
    assert engine.has("person")
    assert not engine.has("dure_dataset")
    assert engine.columns("measurement")["value_as_number"] is ColumnType.FLOAT
    assert engine.columns("measurement")["measurement_date"] is ColumnType.DATE
    assert engine.columns("concept")["invalid_reason"] is ColumnType.TEXT
    assert list(engine.columns("person"))[:1] == ["person_id"]
    with pytest.raises(PlanRefused, match="nowhere"):
        engine.columns("nowhere")


def test_results_have_the_promised_types(engine):
    what = [
        p.named(exp.Sum(this=p.column("year_of_birth", "p")), "total"),
        p.named(p.literal(7), "literal"),
        p.named(p.literal(date(2020, 2, 29)), "day"),
        p.named(p.literal("x"), "word"),
        p.named(exp.Max(this=p.column("person_id", "p")), "most"),
    ]
    table = engine.query(p.select(what, p.table("person", "p")))
    assert table.schema.types == [pa.int64(), pa.int64(), pa.date32(), pa.string(), pa.int64()]
    assert table.to_pylist() == [
        {"total": 5971, "literal": 7, "day": date(2020, 2, 29), "word": "x", "most": HUGE}
    ]


def test_nothing_found_has_the_promised_types(engine):
    table = engine.query(exp.select("person_id", "birth_datetime").from_("person").where("person_id = 9"))
    assert table.num_rows == 0
    assert table.schema.types == [pa.int64(), pa.timestamp("us")]


def test_a_temporary_table_is_read_replaced_and_dropped(engine):
    engine.temporary("young", exp.select("person_id").from_("person").where("year_of_birth >= 1990"))
    assert engine.has("young")
    assert engine.columns("young") == {"person_id": ColumnType.INTEGER}
    engine.temporary("both", exp.select("person_id").from_("young"))
    engine.temporary("young", exp.select("person_id").from_("young").where("person_id > 2"))
    assert engine.query(exp.select("person_id").from_("young"))["person_id"].to_pylist() == [3]
    engine.drop("young")
    engine.drop("young")
    assert not engine.has("young")
    with pytest.raises(PlanRefused):
        engine.query(exp.select("person_id").from_("young"))
    assert engine.query(exp.select("person_id").from_("both").order_by("person_id")).num_rows == 2
    engine.drop("both")


@pytest.mark.parametrize("name", ["person", "Person", "a b", 'a"b', "", "1a", "x" * 80])
def test_a_temporary_table_takes_no_name_of_the_model_and_no_odd_one(engine, name):
    with pytest.raises(PlanRefused):
        engine.temporary(name, exp.select("person_id").from_("person"))


def test_an_error_says_no_value(engine, capfd):
    with pytest.raises(QueryFailed):
        engine.query(exp.select("no_such_column").from_("person"))
    with pytest.raises(QueryFailed) as caught:
        engine.query(
            exp.select(exp.cast(exp.column("value_source_value"), "BIGINT"))
            .from_("measurement")
            .where("value_source_value LIKE 'a%'")
        )
    assert "a\\b" not in str(caught.value)
    assert "a%" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert caught.value.__cause__ is None


def test_a_sum_beyond_64_bits_is_an_error_and_no_number(engine):
    doubled = p.union([exp.select("person_id").from_("person") for _ in range(3)])
    with pytest.raises(QueryFailed):
        engine.query(
            p.select([p.named(exp.Sum(this=p.column("person_id", "u")), "n")], p.nested(doubled, "u"))
        )


def test_it_still_answers_after_all_that(engine):
    assert engine.query(exp.select("person_id").from_("person")).num_rows == 4
