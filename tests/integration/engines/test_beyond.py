"""Tables that a CDM may have besides those of its version are read where they are, and are a part of what is stamped."""

from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp

from dure.engines import open_engine
from dure.engines.problems import StampStale
from dure.omop.tables import ColumnType
from dure.onboard.stamp import stamp

from .conftest import needs_spark, tables, written

HISTORY = {
    "location_history_id": pa.array([1, 2], pa.int64()),
    "location_id": pa.array([7, 8], pa.int64()),
    "domain_id": ["PERSON", "PERSON"],
    "entity_id": pa.array([1, 2], pa.int64()),
    "start_date": [date(2020, 1, 1), date(2020, 2, 29)],
    "end_date": pa.array([None, date(2020, 12, 31)], pa.date32()),
}
EPISODE = {"episode_id": pa.array([1], pa.int64()), "person_id": pa.array([1], pa.int64())}


def holds_both(location):
    with open_engine(location) as engine:
        assert engine.dataset.cdm_version == "5.3"
        assert engine.has("location_history")
        assert engine.has("episode")
        assert not engine.has("episode_event")  # of 5.4 alone
        assert engine.columns("location_history")["start_date"] is ColumnType.DATE
        assert engine.columns("episode")["person_id"] is ColumnType.INTEGER
        there = exp.select("entity_id", "start_date").from_("location_history").where("location_id = 8")
        assert engine.query(there).to_pylist() == [{"entity_id": 2, "start_date": date(2020, 2, 29)}]


def restamped(location):
    return stamp(location, cdm_version="5.3", progress=lambda table, rows: None)[0].version


def test_on_postgresql(own):
    before = restamped(own.loader)
    own.run(
        "CREATE TABLE cdm.location_history (location_history_id INT, location_id INT, domain_id TEXT, entity_id INT, start_date DATE, end_date DATE)",
        "INSERT INTO cdm.location_history VALUES (1, 7, 'PERSON', 1, '2020-01-01', NULL), (2, 8, 'PERSON', 2, '2020-02-29', '2020-12-31')",
        "CREATE TABLE cdm.episode (episode_id INT, person_id INT)",
        "CREATE TABLE cdm.episode_event (episode_id INT, event_id INT)",
        "ALTER TABLE cdm.drug_exposure ADD COLUMN effective_drug_dose NUMERIC",
        "GRANT SELECT ON ALL TABLES IN SCHEMA cdm TO dure_reader",
    )
    with pytest.raises(StampStale), open_engine(own.reader):
        pass
    assert restamped(own.loader) != before
    holds_both(own.reader)
    with open_engine(own.reader) as engine:
        assert engine.columns("drug_exposure")["effective_drug_dose"] is ColumnType.FLOAT


@pytest.mark.slow
def test_on_spark(tmp_path):
    needs_spark()
    beyond = {"location_history": HISTORY, "episode": EPISODE, "episode_event": EPISODE}
    written(tmp_path, tables() | {name: pa.table(rows) for name, rows in beyond.items()})
    location = f"spark:local?path={tmp_path}"
    restamped(location)
    holds_both(location)
    pq.write_table(pa.table(HISTORY).slice(1), tmp_path / "location_history.parquet")
    with pytest.raises(StampStale), open_engine(location):
        pass
