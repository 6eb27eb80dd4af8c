"""Definitions of OHDSI's phenotype library and generated ones give the rows that the reference implementation gives.

Needs the conformance data in `shared/`. The default run takes a spread of both sets and all phenotypes of the list below
(each once a mistake); the slow run takes them all, prints how many were identical, refused and different, and has the referee
answer all phenotypes and a fifth of the generated ones over a few people, beside DuckDB.
"""

import zipfile
from collections import Counter

import duckdb
import pyarrow.parquet as pq
import pytest
from sqlglot import exp

from dure.cohort import evaluate, parse, plan
from dure.engines.cohorts import run_many
from dure.engines.dataset import Dataset
from dure.engines.duckdb import DuckDBEngine
from dure.wire.problems import Problem

SETS = ("phenotypes", "generated")
KNOWN_TRAPS = {59, 78, 221, 258, 284, 293, 732, 1318}
EVERY = {"phenotypes": 6, "generated": 12}
PERSONS = 5000
FEW = 60
"""Every how manieth person the referee looks at."""


@pytest.fixture(scope="module")
def conformance(shared, tmp_path_factory):
    archive = shared / "data" / "cohort_conformance.zip"
    if not archive.is_file():
        pytest.skip("needs shared/data/cohort_conformance.zip")
    folder = tmp_path_factory.mktemp("conformance")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder / "cohort_conformance"


def opened(conformance, spill, people="true"):
    """The data in DuckDB, of the people of whom the condition holds."""
    connection = duckdb.connect(config={"threads": 2})
    for file in sorted((conformance / "cdm").glob("*.parquet")):
        narrow = {"DECIMAL(18,3)": "DOUBLE", "INTEGER": "BIGINT"}
        columns = connection.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()
        listed = ", ".join(
            f'CAST("{name}" AS {narrow.get(type_, type_)}) AS "{name}"' for name, type_, *_ in columns
        )
        whose = people if any(name == "person_id" for name, *_ in columns) else "true"
        connection.execute(f"CREATE TABLE {file.stem} AS SELECT {listed} FROM '{file}' WHERE {whose}")
    stamp = Dataset(
        version="1", cdm_version="5.4", source="conformance", persons=PERSONS, first_date=None, last_date=None
    )
    return DuckDBEngine(connection, stamp, spill)


@pytest.fixture(scope="module")
def engine(conformance, tmp_path_factory):
    with opened(conformance, tmp_path_factory.mktemp("spill")) as engine:
        yield engine


@pytest.fixture(scope="module")
def few(conformance, tmp_path_factory):
    with opened(conformance, tmp_path_factory.mktemp("spill"), f"person_id % {FEW} = 0") as engine:
        yield engine


def expected_rows(conformance, name):
    """(subject, start, end) by cohort, in order; a cohort that isn't in the file is empty."""
    found = {}
    table = pq.read_table(conformance / f"{name}_expected.parquet").to_pydict()
    for cohort, *row in zip(*table.values(), strict=True):
        found.setdefault(cohort, []).append(tuple(row))
    return {cohort: sorted(rows) for cohort, rows in found.items()}


def listed(conformance, name):
    rows = [line.split(",") for line in (conformance / "ids.csv").read_text().split()[1:]]
    return [int(number) for each, number in rows if each == name]


def compare(engine, conformance, name, wanted):
    """How many definitions were identical, refused (by path) and different."""
    ids = listed(conformance, name)
    expected, plans, refused = expected_rows(conformance, name), {}, Counter()
    for number in filter(wanted, ids):
        try:
            source = (conformance / name / f"{number}.json").read_bytes()
            plans[number] = plan(parse(source), cdm_version="5.4")
        except Problem as problem:
            refused["".join(c for c in problem.where if not c.isdigit())] += 1
    different = []
    for number, table in zip(plans, run_many(engine, list(plans.values()), attrition=False), strict=True):
        if list(zip(*table.rows.to_pydict().values(), strict=True)) != expected.get(number, []):
            different.append(number)
    return len(plans) - len(different), refused, different


@pytest.mark.parametrize("name", SETS)
def test_a_spread_of_definitions_gives_the_references_rows(engine, conformance, name):
    wanted = lambda number: number % EVERY[name] == 0 or (name == "phenotypes" and number in KNOWN_TRAPS)  # noqa: E731
    identical, refused, different = compare(engine, conformance, name, wanted)
    assert (refused, different) == (Counter(), [])
    assert identical > 50


@pytest.mark.slow
@pytest.mark.parametrize(("name", "total"), [("phenotypes", 548), ("generated", 1543)])
def test_every_definition_gives_the_references_rows(engine, conformance, name, total, capsys):
    identical, refused, different = compare(engine, conformance, name, lambda _: True)
    with capsys.disabled():
        print(f"\n{name}: {identical} identical, {len(different)} different, refused {dict(refused)}")
    assert (identical, refused, different) == (total, Counter(), [])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "every"), [("phenotypes", 1), ("generated", 5)])
def test_the_referee_gives_duckdbs_rows_over_a_few_people(few, conformance, name, every):
    tables = {
        file.stem: few.query(exp.select("*").from_(file.stem)).to_pylist()
        for file in sorted((conformance / "cdm").glob("*.parquet"))
    }
    plans = [
        plan(parse((conformance / name / f"{number}.json").read_bytes()), cdm_version="5.4")
        for number in listed(conformance, name)[::every]
    ]
    not_empty = 0
    for each, table in zip(plans, run_many(few, plans), strict=True):
        refereed = evaluate(each, tables)
        assert tuple(zip(*table.rows.to_pydict().values(), strict=True)) == refereed.rows
        assert tuple(zip(*table.qualified.to_pydict().values(), strict=True)) == refereed.qualified
        not_empty += bool(refereed.rows)
    assert not_empty > len(plans) / 4
