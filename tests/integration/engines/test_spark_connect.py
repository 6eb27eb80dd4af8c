"""A CDM in a schema of a Spark server, over Spark Connect: its location, its stamp, its secrets, what is kept there."""

import pytest
from sqlglot import exp

from dure.cohort import primitives as p
from dure.engines import open_engine
from dure.engines.problems import (
    DatabaseBusy,
    DatabaseUnreachable,
    NotACdm,
    QueryFailed,
    StampStale,
    UnknownEngine,
)
from dure.omop.tables import ColumnType
from dure.onboard.stamp import stamp

from .conftest import closed, needs_spark, tables, written


@pytest.fixture(autouse=True)
def alone():
    """A program has one session of Connect."""
    closed("spark connect")


@pytest.fixture(scope="module")
def location(cluster, tmp_path_factory) -> str:
    folder = written(tmp_path_factory.mktemp("connect"), tables())
    return cluster.of_files("mine", folder, copied={"person"})


def test_it_answers_keeps_and_forgets(location):
    with open_engine(location) as engine:
        assert (engine.dataset.persons, engine.dataset.cdm_version) == (4, "5.4")
        assert engine.unchanged()
        assert engine.columns("measurement")["measurement_date"] is ColumnType.DATE
        engine.temporary("young", exp.select("person_id").from_("person").where("year_of_birth >= 1990"))
        pairs = (
            exp.select("a.person_id").from_("young AS a").join("young AS b", on="a.person_id = b.person_id")
        )
        for _ in range(12):  # each reads the one before twice: as plans, these would be 4,096 of the first
            engine.temporary("young", pairs.copy())
        assert engine.query(exp.select("person_id").from_("young").order_by("person_id"))[
            "person_id"
        ].to_pylist() == [2, 3]
        engine.drop("young")
        assert not engine.has("young")
        with pytest.raises(QueryFailed) as caught:
            engine.query(
                exp.select(exp.cast(exp.column("value_source_value"), "BIGINT")).from_("measurement")
            )
        assert "CAST_INVALID_INPUT" in str(caught.value)
        with pytest.raises(DatabaseBusy), open_engine(location):
            pass
        assert engine.query(p.select([p.column("person_id", "p")], p.table("person", "p"))).num_rows == 4


@pytest.mark.slow
def test_a_write_after_the_stamp_is_seen(cluster, location):
    with open_engine(location) as engine:
        version = engine.dataset.version
    cluster.run("INSERT INTO mine.person SELECT 9, 0, 1990, NULL, 0, 0")
    with pytest.raises(StampStale), open_engine(location):
        pass
    dataset, _ = stamp(location, cdm_version="5.4", progress=lambda table, rows: None)
    assert (dataset.persons, dataset.version != version) == (5, True)
    with open_engine(location) as engine:
        assert engine.dataset == dataset


@pytest.mark.slow
def test_what_isnt_a_stamped_cdm_is_refused(cluster, location):
    with pytest.raises(NotACdm, match="no table concept"), open_engine(cluster.location("nowhere")):
        pass
    cluster.run(
        "CREATE SCHEMA bare", *(f"CREATE VIEW bare.{name} AS SELECT * FROM mine.{name}" for name in tables())
    )
    with pytest.raises(NotACdm, match="no stamp"), open_engine(cluster.location("bare")):
        pass
    stamp(cluster.location("bare"), cdm_version="5.4", progress=lambda table, rows: None)
    with open_engine(cluster.location("bare")) as views, pytest.raises(QueryFailed):
        views.query(exp.select("no_such_column").from_("person"))


def test_no_server_is_told_at_once(capfd):
    needs_spark()
    with pytest.raises(DatabaseUnreachable, match="UNAVAILABLE"), open_engine("sc://127.0.0.1:1?schema=cdm"):
        pass
    assert capfd.readouterr() == ("", "")


def test_who_has_not_the_token_isnt_let_in(cluster, location, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("hush")
    for where in (location.partition("&")[0], location.replace(str(cluster.tokenfile), str(wrong))):
        with pytest.raises(DatabaseUnreachable, match="UNAUTHENTICATED") as caught, open_engine(where):
            pass
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("sc://a:hush@host?schema=cdm", "password"),
        ("sc://host?token=hush", "option"),
        ("sc://host?tls=maybe", "no Spark server"),
        ("sc:?schema=cdm", "no Spark server"),
        ("sc://host/database?schema=cdm", "no Spark server"),
        ("sc://host?tls=off&tokenfile=HELD", "in the open"),
        ("sc://host?tokenfile=LOOSE", "Others than its owner"),
        ("sc://host?tokenfile=MISSING", "can't be read"),
    ],
)
def test_a_location_that_gives_a_secret_away_or_cant_be_read_is_refused(where, why, tmp_path):
    needs_spark()
    for name, mode in (("HELD", 0o600), ("LOOSE", 0o644)):
        (tmp_path / name).touch(mode=mode)
        (tmp_path / name).write_text("hush")
    for name in ("HELD", "LOOSE", "MISSING"):
        where = where.replace(name, str(tmp_path / name))
    with pytest.raises(UnknownEngine, match=why) as caught, open_engine(where):
        pass
    assert "hush" not in str(caught.value)
