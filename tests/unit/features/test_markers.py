"""A marker's level is that of the last result by the day of entry, read from a real database of a few rows."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from dure.cohort.problems import MissingTable
from dure.engines import open_engine
from dure.engines.cdm_file import create
from dure.engines.dataset import Dataset
from dure.features.markers import Marker, MarkerLevel, levels

POSITIVE, NEGATIVE, MMOL, MG = 9191, 9189, 8753, 8840
GENE, GLUCOSE = 100, 200
ROWS = [
    # person, concept, day, answer, number, unit
    (1, GENE, date(2020, 1, 1), POSITIVE, None, None),
    (2, GENE, date(2020, 1, 1), POSITIVE, None, None),
    (2, GENE, date(2020, 2, 1), NEGATIVE, None, None),
    (3, GENE, date(2020, 1, 1), NEGATIVE, None, None),
    (3, GENE, date(2020, 7, 1), POSITIVE, None, None),
    (4, GENE, date(2020, 1, 1), None, None, None),
    (5, GLUCOSE, date(2020, 6, 1), None, 7.0, MMOL),
    (6, GLUCOSE, date(2020, 6, 1), None, 6.9, MMOL),
    (7, GLUCOSE, date(2020, 6, 1), None, 126.0, MG),
]
PEOPLE = np.arange(1, 9)
ENTRY = np.full(8, np.datetime64("2020-06-01", "D"))
GENOTYPE = Marker(
    name="genotype",
    concepts=(GENE,),
    levels=(
        MarkerLevel(name="carrier", answers=(POSITIVE,)),
        MarkerLevel(name="others", answers=(NEGATIVE,)),
    ),
)
SUGAR = Marker(
    name="sugar",
    concepts=(GLUCOSE,),
    unit=MMOL,
    levels=(MarkerLevel(name="high", low=7.0), MarkerLevel(name="normal", low=0.0, high=7.0)),
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    path = tmp_path_factory.mktemp("markers") / "few.duckdb"
    person, concept, day, answer, number, unit = zip(*ROWS, strict=True)
    table = pa.table(
        {
            "measurement_id": list(range(len(ROWS))),
            "person_id": person,
            "measurement_concept_id": concept,
            "measurement_date": day,
            "measurement_type_concept_id": [0] * len(ROWS),
            "value_as_concept_id": pa.array(answer, pa.int64()),
            "value_as_number": pa.array(number, pa.float64()),
            "unit_concept_id": pa.array(unit, pa.int64()),
        }
    )
    with create(path, "5.4") as writer:
        writer.append("measurement", table)
        writer.stamp(
            Dataset(
                version="v1", cdm_version="5.4", source="a few", persons=8,
                first_date=date(2020, 1, 1), last_date=date(2020, 12, 31),
            )
        )  # fmt: skip
    with open_engine(str(path)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("person", "level", "why"),
    [
        (1, 0, "positive"),
        (2, 1, "the later result counts"),
        (3, 1, "one after entry doesn't"),
        (4, 2, "a result without an answer is in no level"),
        (8, 2, "never tested"),
    ],
)
def test_answers(engine, person, level, why):
    assert levels(engine, GENOTYPE, PEOPLE, ENTRY)[person - 1] == level, why


@pytest.mark.parametrize(
    ("person", "level", "why"),
    [(5, 0, "from 7"), (6, 1, "below 7"), (7, 2, "another unit"), (8, 2, "never tested")],
)
def test_ranges(engine, person, level, why):
    assert levels(engine, SUGAR, PEOPLE, ENTRY)[person - 1] == level, why


def test_old_results_do_not_count(engine):
    recent = Marker(name="recent", concepts=(GENE,), levels=GENOTYPE.levels, days_before=151)
    assert levels(engine, recent, PEOPLE, ENTRY).tolist() == [2, 1, 2, 2, 2, 2, 2, 2]


def test_a_database_without_measurements_says_so(engine, monkeypatch):
    monkeypatch.setattr(engine, "has", lambda table: False)
    with pytest.raises(MissingTable, match="measurement"):
        levels(engine, SUGAR, PEOPLE, ENTRY)


def test_what_a_board_reads():
    assert str(SUGAR) == (
        "sugar: measurements 200 in unit 8753 of the 36525 days before; high = 7 <= value; normal = 0 <= value < 7"
    )
    assert str(GENOTYPE.levels[0]) == "carrier = 9191"
