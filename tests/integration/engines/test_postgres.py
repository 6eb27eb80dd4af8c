"""PostgreSQL: who may open it, what its connection can't do, what its stamp notices, and the CDMs that hospitals have."""

import threading
from datetime import date

import psycopg
import pyarrow as pa
import pytest
from sqlglot import exp

from benchmarks.postgres_cdm import READER, may_read
from dure.engines import open_engine
from dure.engines.problems import (
    DatabaseBusy,
    DatabaseUnreachable,
    NotACdm,
    QueryFailed,
    RoleCanWrite,
    StampStale,
    UnknownEngine,
)
from dure.omop.tables import ColumnType
from dure.onboard.problems import CdmVersionUnknown, NobodyThere
from dure.onboard.stamp import stamp

from .conftest import OnServer

PEOPLE = exp.select("person_id").from_("person")


def stamped(location, cdm_version="5.4"):
    return stamp(location, cdm_version=cdm_version, progress=lambda table, rows: None)[0]


# the connection


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE cdm.x (a INTEGER)",
        "CREATE TEMPORARY TABLE x (a INTEGER)",
        "INSERT INTO cdm.person SELECT * FROM cdm.person",
        "DELETE FROM cdm.person",
        "UPDATE cdm.dure_dataset SET version = 'x'",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY (SELECT 1) TO '/tmp/dure-never.csv'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM pg_catalog.pg_authid",
    ],
)
def test_the_connection_itself_only_reads(small_server, sql):
    with open_engine(small_server.reader) as engine, pytest.raises(psycopg.Error):
        engine._connection.execute(sql)


def test_even_where_it_may_make_temporary_tables_it_cant_write_to_the_cdm(small_server):
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with open_engine(small_server.reader) as engine, refused, engine._writing():
        engine._connection.execute("DELETE FROM cdm.person")


def test_names_lead_to_the_cdms_schema_only(own):
    own.run(
        "CREATE TABLE public.death (person_id INTEGER)",
        f"GRANT SELECT ON public.death TO {READER}",
    )
    with open_engine(own.reader) as engine:
        assert not engine.has("death")
        engine._connection.execute("SET default_transaction_read_only = off")
        engine._connection.execute("CREATE TEMPORARY TABLE person AS SELECT 9 AS person_id")
        assert sorted(engine.query(PEOPLE)["person_id"].to_pylist())[:3] == [1, 2, 3]


def test_a_role_that_may_change_the_cdm_is_refused(own):
    with pytest.raises(RoleCanWrite, match="superuser"):
        open_engine(own.loader)
    own.run(f"GRANT UPDATE ON cdm.measurement TO {READER}")
    with pytest.raises(RoleCanWrite, match="measurement"):
        open_engine(own.reader)


def test_a_role_that_may_read_nothing_is_told_what_it_lacks(own):
    own.run(f"REVOKE SELECT ON ALL TABLES IN SCHEMA cdm FROM {READER}")
    with pytest.raises(NotACdm, match="person"):
        open_engine(own.reader)
    own.run(
        f"GRANT SELECT ON ALL TABLES IN SCHEMA cdm TO {READER}",
        f"REVOKE SELECT ON cdm.concept FROM {READER}",
    )
    with pytest.raises(NotACdm, match="concept that"):
        open_engine(own.reader)


def test_a_query_that_takes_too_long_ends(own):
    with open_engine(f"{own.reader}&minutes=1") as engine:
        assert engine._connection.execute("SHOW statement_timeout").fetchone() == ("1min",)
        engine._connection.execute("SET statement_timeout = '20ms'")
        many = exp.select("COUNT(*)").from_("measurement")
        for at in range(6):
            many = many.join(
                f"measurement AS m{at}", on=f"m{at}.measurement_id >= measurement.measurement_id"
            )
        with pytest.raises(QueryFailed, match="longer"):
            engine.query(many)


def test_a_table_that_is_being_loaded_is_waited_for(own):
    with open_engine(own.reader) as engine, psycopg.connect(own.database) as loading:
        engine._connection.execute("SET lock_timeout = '50ms'")
        loading.execute(f"LOCK TABLE {own.schema}.person IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(DatabaseBusy):
            engine.query(PEOPLE)


def test_a_lost_connection_is_said(own):
    with open_engine(own.reader) as engine:
        pid = engine._connection.info.backend_pid
        own.run(f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(DatabaseUnreachable):
            engine.query(PEOPLE)


# locations


@pytest.mark.parametrize(
    "location",
    [
        "postgresql://reader:hush-hush@127.0.0.1/cdm",
        "postgresql://reader@127.0.0.1/cdm?password=hush-hush",
        "postgresql://reader@127.0.0.1/cdm?options=-c%20search_path=hush-hush",
        "postgresql://reader@127.0.0.1:hush-hush/cdm",
        "postgresql://reader@127.0.0.1/cdm?schema=a&schema=hush-hush",
        "postgresql://reader@127.0.0.1/cdm?hush-hush",
        "postgresql://reader@127.0.0.1/cdm?minutes=hush-hush",
    ],
)
def test_a_location_with_a_secret_or_an_unknown_option_is_refused_unrepeated(location, postgresql_server):
    location = location.replace("127.0.0.1/", f"127.0.0.1:{postgresql_server.port}/")
    location = location.replace("reader@", f"{postgresql_server.user}@").replace("/cdm", "/postgres")
    with pytest.raises(UnknownEngine) as caught:
        open_engine(location)
    assert "hush-hush" not in str(caught.value)


def test_a_server_that_isnt_there(postgresql_server):
    with pytest.raises(DatabaseUnreachable):
        open_engine("postgresql://nobody@127.0.0.1:1/cdm")
    with pytest.raises(DatabaseUnreachable):
        open_engine(f"postgresql://dure@127.0.0.1:{postgresql_server.port}/no_such_database")


# the stamp


def test_equal_content_has_the_version_it_had(own):
    with open_engine(own.reader) as engine:
        before = engine.dataset
    own.run("VACUUM FULL cdm.measurement")
    with pytest.raises(StampStale):
        open_engine(own.reader)
    assert stamped(own.loader) == before
    with open_engine(own.reader) as engine:
        assert engine.dataset == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE cdm.measurement SET value_as_number = 3 WHERE measurement_id = 1",
        "DELETE FROM cdm.person WHERE person_id = 3",
        "INSERT INTO cdm.concept_ancestor VALUES (1, 3, 1, 1)",
        "CREATE TABLE cdm.death (person_id INTEGER)",
        "ALTER TABLE cdm.measurement DROP COLUMN range_high",
    ],
)
def test_a_changed_cdm_isnt_answered_from_until_it_is_stamped_and_has_another_version(own, change):
    with open_engine(own.reader) as engine:
        before = engine.dataset.version
        own.run(change)
        with pytest.raises(StampStale):
            engine.unchanged()
    with pytest.raises(StampStale):
        open_engine(own.reader)
    assert stamped(own.loader).version != before


def test_another_stamp_is_noticed_by_who_has_it_open(own):
    with open_engine(own.reader) as engine:
        assert engine.unchanged()
        own.run("DELETE FROM cdm.drug_exposure")
        stamped(own.loader)
        assert not engine.unchanged()


def test_without_a_stamp_nothing_is_answered(own):
    own.run("DROP TABLE cdm.dure_dataset")
    with pytest.raises(NotACdm, match="stamp"):
        open_engine(own.reader)


def test_what_changes_while_it_is_stamped_isnt_stamped(own, monkeypatch):
    done = threading.Event()

    def disturb(table, rows):
        if not done.is_set():
            own.run("DELETE FROM cdm.person WHERE person_id = 3")
            done.set()

    with pytest.raises(StampStale, match="while"):
        stamp(own.loader, cdm_version="5.4", progress=disturb)


def test_the_stamp_says_what_it_stamps(own):
    own.run(
        "CREATE TABLE cdm.cdm_source (cdm_source_abbreviation VARCHAR(25), cdm_version VARCHAR(10))",
        "INSERT INTO cdm.cdm_source VALUES ('Hanbit', 'v5.3.1')",
    )
    told = stamped(own.loader, None)
    assert (told.cdm_version, told.persons, told.first_date) == ("5.3", 4, date(2020, 1, 1))
    assert told.source.endswith("Hanbit")
    own.run("UPDATE cdm.cdm_source SET cdm_version = '6.0'")
    with pytest.raises(CdmVersionUnknown):
        stamped(own.loader, None)
    own.run("DELETE FROM cdm.person")
    with pytest.raises(NobodyThere):
        stamped(own.loader)


def test_a_file_or_an_unknown_server_isnt_stamped(small_file):
    with pytest.raises(UnknownEngine, match="stamped"):
        stamp(str(small_file), cdm_version=None, progress=lambda table, rows: None)


# as hospitals have it

AS_HOSPITALS_HAVE_IT = """
CREATE SCHEMA "Hospital";
SET search_path = "Hospital";
CREATE TABLE "PERSON" ("PERSON_ID" NUMERIC(20), "YEAR_OF_BIRTH" SMALLINT, "GENDER_CONCEPT_ID" INTEGER,
    "BIRTH_DATETIME" TIMESTAMPTZ, "RACE_CONCEPT_ID" TEXT);
INSERT INTO "PERSON" VALUES (1, 1980, 8507, '1980-05-05 23:30:00-05', 'none'), (4611686018427387904, 1990, 8532, NULL, NULL);
CREATE TABLE observation_period (person_id INTEGER, observation_period_start_date TIMESTAMP, observation_period_end_date DATE);
INSERT INTO observation_period VALUES (1, '2020-01-01 10:00:00', '2020-12-31');
CREATE TABLE measurement_2019 (measurement_id BIGINT, person_id INTEGER, measurement_date TIMESTAMP, value_as_number NUMERIC(10,3));
INSERT INTO measurement_2019 VALUES (1, 1, '2019-12-31 23:59:59', 0.100), (2, 1, '0044-03-15 BC', 2);
CREATE VIEW measurement AS SELECT * FROM measurement_2019;
CREATE TABLE concept (concept_id INTEGER, invalid_reason CHAR(1)) PARTITION BY RANGE (concept_id);
CREATE TABLE concept_low PARTITION OF concept FOR VALUES FROM (0) TO (100);
INSERT INTO concept VALUES (1, NULL), (2, 'D');
CREATE MATERIALIZED VIEW concept_ancestor AS SELECT 1 AS ancestor_concept_id, 2 AS descendant_concept_id;
"""


def test_types_and_names_of_other_ddls_are_read_as_the_model_has_them(small_server):
    made = OnServer(small_server.database, "Hospital")
    made.run(AS_HOSPITALS_HAVE_IT)
    stamped(made.loader)
    may_read(made.database, "Hospital")
    with open_engine(made.reader) as engine:
        assert list(engine.columns("person")) == [
            "person_id",
            "year_of_birth",
            "gender_concept_id",
            "birth_datetime",
        ]
        assert engine.columns("measurement")["value_as_number"] is ColumnType.FLOAT
        people = engine.query(
            exp.select("person_id", "year_of_birth", "birth_datetime").from_("person").order_by("person_id")
        )
        assert people.schema.types == [pa.int64(), pa.int64(), pa.timestamp("us")]
        assert people["person_id"].to_pylist() == [1, 2**62]
        assert people["birth_datetime"][0].as_py().isoformat() == "1980-05-06T04:30:00"
        period = engine.query(exp.select("observation_period_start_date").from_("observation_period"))
        assert period.to_pylist() == [{"observation_period_start_date": date(2020, 1, 1)}]
        found = engine.query(exp.select("*").from_("measurement").where("value_as_number = 0.1"))
        assert found.to_pylist() == [
            {
                "measurement_id": 1,
                "person_id": 1,
                "measurement_date": date(2019, 12, 31),
                "value_as_number": 0.1,
            }
        ]
        early = engine.query(exp.select("measurement_date").from_("measurement").where("measurement_id = 2"))
        assert early["measurement_date"].cast(pa.int32()).to_pylist() == [-735160]
        valid = engine.query(exp.select("concept_id").from_("concept").where("invalid_reason = 'D'"))
        assert valid["concept_id"].to_pylist() == [2]
    made.run('INSERT INTO "Hospital".concept_low VALUES (3, NULL)')
    with pytest.raises(StampStale):
        open_engine(made.reader)
