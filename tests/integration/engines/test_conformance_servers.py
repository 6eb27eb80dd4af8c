"""Definitions of OHDSI's phenotype library and generated ones give the same rows on every server.

The default run holds a few against DuckDB on a tenth of the people; the slow one holds every tenth definition (PostgreSQL) against the
reference implementation's rows, on all of them.
"""

import duckdb
import pytest

from benchmarks.postgres_cdm import READER, load, may_read
from dure.cohort import parse, plan
from dure.engines import open_engine
from dure.engines.cohorts import run_many
from dure.engines.dataset import Dataset
from dure.engines.duckdb import DuckDBEngine
from dure.onboard.stamp import stamp

from ..test_conformance import SETS, conformance, expected_rows  # noqa: F401 - a fixture and its words
from .conftest import in_folder

SHARE = 10
OF_PEOPLE = "person_id % 10 = 0"


def tables(folder, where=None) -> duckdb.DuckDBPyConnection:
    """The conformance CDM in memory, all people or some."""
    connection = duckdb.connect(config={"threads": 2})
    for file in sorted((folder / "cdm").glob("*.parquet")):
        columns = connection.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()
        narrow = {"DECIMAL(18,3)": "DOUBLE", "INTEGER": "BIGINT"}
        listed = ", ".join(f'CAST("{n}" AS {narrow.get(t, t)}) AS "{n}"' for n, t, *_ in columns)
        some = f"WHERE {where}" if where and any(n == "person_id" for n, *_ in columns) else ""
        connection.execute(f"CREATE TABLE {file.stem} AS SELECT {listed} FROM '{file}' {some}")
    return connection


def on_server(server, source) -> str:
    """Its location on PostgreSQL, for the reader."""
    database = server.create()
    load(database, "cdm", source)
    stamp(f"{database}?schema=cdm", cdm_version="5.4", progress=lambda table, rows: None)
    may_read(database, "cdm")
    return f"{database}?schema=cdm".replace("dure@", f"{READER}@")


def definitions(folder, every):
    """Every so many definitions of both sets: (set, number, plan)."""
    listed = [line.split(",") for line in (folder / "ids.csv").read_text().split()[1:]]
    for name in SETS:
        for number in [int(number) for each, number in listed if each == name][::every]:
            source = (folder / name / f"{number}.json").read_bytes()
            yield name, number, plan(parse(source), cdm_version="5.4")


def rows(engine, plans):
    return [
        list(zip(*found.rows.to_pydict().values(), strict=True))
        for found in run_many(engine, plans, attrition=False)
    ]


def test_a_few_definitions_give_duckdbs_rows_on_postgresql(postgresql_server, conformance, tmp_path):  # noqa: F811
    source = tables(conformance, OF_PEOPLE)
    stamped = Dataset(
        version="1", cdm_version="5.4", source="test", persons=500, first_date=None, last_date=None
    )
    plans = [each for _, _, each in definitions(conformance, every=50)]
    location = on_server(postgresql_server, source)
    with DuckDBEngine(source, stamped, tmp_path) as duck, open_engine(location) as postgres:
        expected, found = rows(duck, plans), rows(postgres, plans)
    assert [at for at, pair in enumerate(zip(expected, found, strict=True)) if pair[0] != pair[1]] == []
    assert len(plans) > 40
    assert sum(len(each) for each in expected) > 1000


def differing(engine, folder, every):
    """How many definitions were run, and those whose rows aren't the reference's."""
    listed = list(definitions(folder, every))
    expected = {name: expected_rows(folder, name) for name in SETS}
    found = rows(engine, [each for *_, each in listed])
    return len(listed), [
        (name, number)
        for (name, number, _), one in zip(listed, found, strict=True)
        if one != expected[name].get(number, [])
    ]


@pytest.mark.slow
def test_every_tenth_definition_gives_the_references_rows_on_postgresql(postgresql_server, conformance):  # noqa: F811
    with open_engine(on_server(postgresql_server, tables(conformance))) as postgres:
        count, different = differing(postgres, conformance, every=SHARE)
    assert (count, different) == (210, [])


@pytest.mark.slow
def test_sixty_definitions_give_the_references_rows_on_spark(conformance, tmp_path):  # noqa: F811
    source = tables(conformance)
    found = {
        name: source.sql(f"SELECT * FROM {name}").to_arrow_table()
        for (name,) in source.execute("SHOW TABLES").fetchall()
    }
    with open_engine(f"spark:local?path={in_folder(tmp_path, found)}") as spark:
        count, different = differing(spark, conformance, every=35)
    assert (count, different) == (61, [])
