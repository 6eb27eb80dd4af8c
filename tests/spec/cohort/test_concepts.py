"""Which concepts a set selects and how each got in, and the records that it can't see."""

import duckdb
import pyarrow as pa
import pytest

from dure.cohort import build as b
from dure.engines.cohorts import resolve
from dure.engines.concepts import members, unmapped
from dure.engines.dataset import Dataset
from dure.engines.duckdb import DuckDBEngine
from dure.omop.concept_sets import ConceptSet, ConceptSetItem
from dure.omop.tables import ColumnType, tables

ARROW = {
    ColumnType.INTEGER: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.DATE: pa.date32(),
    ColumnType.DATETIME: pa.timestamp("us"),
    ColumnType.TEXT: pa.string(),
}


@pytest.fixture
def database(people, tmp_path):
    """The people's CDM, where concept 1 is above 2, and 8 maps to 2."""
    people.condition(1, 0, 0, source=8)
    people.condition(1, 1, 0, source=8)
    people.condition(1, 2, 2, source=8)
    people.condition(1, 3, None)
    people.drug(1, 0, 0)
    codes = ["E11", "E11", "E11", "local"]
    for row, code in zip(people.rows["condition_occurrence"], codes, strict=True):
        row["condition_source_value"] = code
    connection = duckdb.connect(config={"threads": 1})
    for name, model in tables("5.4").items():
        columns = {
            c.name: pa.array([row[c.name] for row in people.rows[name]], ARROW[c.type]) for c in model.columns
        }
        connection.register("arriving", pa.table(columns))
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM arriving")
        connection.unregister("arriving")
    stamp = Dataset(version="1", cdm_version="5.4", source="test", persons=1, first_date=None, last_date=None)
    with DuckDBEngine(connection, stamp, tmp_path) as engine:
        yield engine


SETS = [
    # the items of a set; then concept, included, through, how
    ([ConceptSetItem(concept=1)], [(1, True, 1, "itself")]),
    ([ConceptSetItem(concept=1, descendants=True)], [(1, True, 1, "itself"), (2, True, 1, "descendant")]),
    ([ConceptSetItem(concept=1, descendants=True, mapped=True)],
     [(1, True, 1, "itself"), (2, True, 1, "descendant"), (8, True, 1, "mapped")]),
    ([ConceptSetItem(concept=1, descendants=True), ConceptSetItem(concept=2, excluded=True)],
     [(1, True, 1, "itself"), (2, False, 1, "descendant"), (2, False, 2, "itself")]),
    ([ConceptSetItem(concept=77)], []),
    ([], []),
]  # fmt: skip


@pytest.mark.parametrize(("items", "expected"), SETS, ids=range(len(SETS)))
def test_how_a_concept_got_in(database, items, expected):
    wanted = ConceptSet(id=0, name="x", items=tuple(items))
    found = members(database, [wanted]).select(["concept_id", "included", "through", "how"]).to_pydict()
    assert list(zip(*found.values(), strict=True)) == expected
    assert sorted({c for c, included, _, _ in expected if included}) == list(resolve(database, wanted))


def test_records_that_no_concept_set_sees(database):
    asked = b.build("x", entry=b.condition(b.concepts("disease", 1)))
    assert unmapped(database, asked.expression).to_pylist() == [
        {"table": "condition_occurrence", "source_value": "E11", "source_concept_id": 8, "records": 2},
        {"table": "condition_occurrence", "source_value": "local", "source_concept_id": 0, "records": 1},
    ]
    nested = b.build(
        "x", entry=b.visit(), rules={"drug": b.all_of(b.none(b.drug(b.concepts("d", 3)), days=(0, 1)))}
    )
    assert [row["table"] for row in unmapped(database, nested.expression).to_pylist()] == ["drug_exposure"]
