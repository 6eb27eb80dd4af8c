"""A real node whose CDM is on a real PostgreSQL server: from enrolment to the report, shut in, and through the server's bad days."""

import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import psutil
import psycopg
import pytest

from benchmarks.postgres_cdm import READER, load, may_read
from dure.node.errands import DATASET_CHANGED, Trouble
from dure.node.workshop import Job, Workshop
from dure.onboard.stamp import stamp
from dure.stats.base import Answer
from dure.study.kinds import kind_of
from dure.study.kinds.base import Cohort
from dure.study.kinds.feasibility import Feasibility
from dure.wire.codec import encode

from .conftest import EVERYONE
from .test_node_hub import cdm as file_cdm  # noqa: F401 - a fixture
from .test_node_hub import database_url, dure, flat, init, node, pooled  # noqa: F401 - fixtures and their words


@pytest.fixture(scope="module")
def on_server(postgresql_server, file_cdm):  # noqa: F811
    """The database's address, after the file's content was loaded into it and stamped."""
    database = postgresql_server.create()
    with duckdb.connect(str(file_cdm), read_only=True) as source:
        load(database, "cdm", source, wide=True)
    stamp(f"{database}?schema=cdm", cdm_version=None, progress=lambda table, rows: None)
    may_read(database, "cdm")
    return database


@pytest.fixture(scope="module")
def cdm(on_server):
    """The node's location: a role that may only read."""
    return f"{on_server}?schema=cdm".replace("dure@", f"{READER}@")


@pytest.fixture
def workshop(cdm, tmp_path):
    made = Workshop(cdm=cdm, memory="1GB", work_seconds=60, spill=tmp_path / "spill")
    yield made
    made.stop()


def job(version: str, first_year: int = 2010) -> Job:
    question = Feasibility(
        cohort=Cohort(name="everyone", circe=EVERYONE), first_year=first_year, last_year=2026
    )
    (step,) = kind_of(question).steps(question)
    state = encode(step.statistic.begin(step.params))
    return Job(kind="feasibility", question=encode(question), step=step, state=state, dataset_version=version)


def version_of(database: str) -> str:
    with psycopg.connect(database) as connection:
        return connection.execute("SELECT version FROM cdm.dure_dataset").fetchone()[0]


def test_from_enrolment_to_the_report(served, node, file_cdm, cdm):  # noqa: F811
    assert f"cdm: {cdm}" in (node.folder / "node.yaml").read_text()
    study = node.submit()
    node.dure("run", "--once")
    assert "The hub has it" in node.dure("sign", study)
    with node.running():
        report = node.until_reported(study)
    everyone = pooled(served, file_cdm)
    median = next(row for row in report.tables[0].rows if row[1] == "median")
    assert median[2] == len(everyone)
    assert median[3] <= np.quantile(everyone, 0.5, method="inverted_cdf") < median[4]
    assert "hanbit" in {part.hospital for part in report.participation}


def test_a_server_that_isnt_there_a_password_or_spark_makes_no_node(init, tmp_path):  # noqa: F811
    refused = {
        "postgresql://a@127.0.0.1:1/x": 105,
        "postgresql://a:hush@127.0.0.1/x": 90,
        "spark:local?path=/hush": 70,
        "sc://hush@host?schema=cdm": 70,
    }
    for location, code in refused.items():
        said = dure("node", "init", *flat({**init, "--cdm": location}), code=code)
        assert "hush" not in said
        assert not (tmp_path / "node").exists()


def test_the_extractor_is_shut_in_with_the_one_connection_it_needs(workshop, on_server):
    answer = workshop.answer(job(version_of(on_server)))
    assert isinstance(answer, Answer)
    assert answer.support[0] == 300
    extractor = psutil.Process(workshop.processes[0])
    port = psycopg.conninfo.conninfo_to_dict(on_server)["port"]
    (only,) = extractor.net_connections()
    assert str(only.raddr.port) == port
    assert "hush" not in " ".join(extractor.cmdline())
    if sys.platform == "linux":
        with Path(f"/proc/{extractor.pid}/status").open() as status:
            assert "Seccomp:\t2" in status.read()


def test_after_a_lost_connection_the_next_errand_is_answered(workshop, on_server):
    version = version_of(on_server)
    assert isinstance(workshop.answer(job(version)), Answer)
    with psycopg.connect(on_server, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dure'"
        )
    lost = workshop.answer(job(version, first_year=2011))
    assert isinstance(lost, Trouble)
    assert lost.slug == "database-unreachable"
    assert isinstance(workshop.answer(job(version, first_year=2011)), Answer)


def test_a_changed_cdm_is_waited_for_and_a_new_version_is_refused(workshop, on_server):
    version = version_of(on_server)
    assert isinstance(workshop.answer(job(version)), Answer)
    with psycopg.connect(on_server, autocommit=True) as connection:
        connection.execute("UPDATE cdm.person SET year_of_birth = year_of_birth + 1")
    for year in (2012, 2013):
        changed = workshop.answer(job(version, first_year=year))
        assert isinstance(changed, Trouble)
        assert changed.slug == "database-stamp-stale"
    stamp(f"{on_server}?schema=cdm", cdm_version=None, progress=lambda table, rows: None)
    other = version_of(on_server)
    assert other != version
    refused = workshop.answer(job(version, first_year=2013))
    assert isinstance(refused, Trouble)
    assert refused.slug == DATASET_CHANGED
    assert isinstance(workshop.answer(job(other, first_year=2013)), Answer)


def test_a_server_that_is_gone_is_waited_for(tmp_path, on_server):
    gone = Workshop(cdm="postgresql://a@127.0.0.1:1/x", memory="1GB", work_seconds=60, spill=tmp_path / "s")
    began = time.monotonic()
    try:
        for _ in range(2):
            trouble = gone.answer(job(version_of(on_server)))
            assert isinstance(trouble, Trouble)
            assert trouble.slug == "database-unreachable"
    finally:
        gone.stop()
    assert time.monotonic() - began < 60
