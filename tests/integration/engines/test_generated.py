"""On random people and random definitions of the supported language, the referee, PostgreSQL and Spark give the same rows."""

import json
from random import Random

import duckdb
import pyarrow as pa
import pytest

from benchmarks.postgres_cdm import READER, load, may_read
from dure import cohort
from dure.engines import open_engine
from dure.engines.cohorts import run_many
from dure.onboard.stamp import stamp

from ...generative.test_cohort_engines import PER_CDM, Cdm, Writer, typed
from .conftest import closed, in_folder, written


def made(seed):
    """People, definitions, and both as databases want them."""
    random = Random(seed)
    cdm, writer = Cdm(random), Writer(random)
    sources = [json.dumps(writer.expression()) for _ in range(PER_CDM)]
    arrow = {
        name: pa.table({key: typed(name, key, [row[key] for row in rows]) for key in rows[0]})
        for name, rows in cdm.tables.items()
        if rows
    }
    return cdm, sources, arrow


def on_postgresql(server, arrow) -> str:
    database = server.create()
    with duckdb.connect() as source:
        for name, rows in arrow.items():
            source.register("arriving", rows)
            source.execute(f"CREATE TABLE {name} AS SELECT * FROM arriving")
            source.unregister("arriving")
        load(database, "cdm", source)
    stamp(f"{database}?schema=cdm", cdm_version="5.4", progress=lambda table, rows: None)
    may_read(database, "cdm")
    return f"{database}?schema=cdm".replace("dure@", f"{READER}@")


def agree(location, cdm, sources, seed):
    plans = [cohort.plan(cohort.parse(source), cdm_version="5.4") for source in sources]
    total = 0
    with open_engine(location) as engine:
        for source, plan, table in zip(sources, plans, run_many(engine, plans), strict=True):
            expected = cohort.evaluate(plan, cdm.tables)
            rows = tuple(zip(*table.rows.to_pydict().values(), strict=True))
            qualified = tuple(zip(*table.qualified.to_pydict().values(), strict=True))
            assert (rows, qualified) == (expected.rows, expected.qualified), (seed, source)
            total += len(rows)
    assert total > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_referee_and_postgresql_agree_on_1000_generated_cohorts(seed, postgresql_server):
    cdm, sources, arrow = made(seed)
    agree(on_postgresql(postgresql_server, arrow), cdm, sources, seed)


@pytest.mark.slow
def test_referee_and_spark_agree_on_generated_cohorts(tmp_path):
    cdm, sources, arrow = made(1)
    agree(f"spark:local?path={in_folder(tmp_path, arrow)}", cdm, sources[:20], 1)


@pytest.mark.slow
def test_referee_and_spark_connect_agree_on_generated_cohorts(cluster, tmp_path):
    closed("spark connect")
    cdm, sources, arrow = made(2)
    agree(cluster.of_files("random", written(tmp_path, arrow)), cdm, sources[:10], 2)
