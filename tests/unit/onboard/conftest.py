"""A small source: a folder of CSV files that is a CDM, to be spoiled as a test likes."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow.csv import ConvertOptions, read_csv

from dure.onboard.account import Account, TableAccount
from dure.onboard.load import load

PERSON = "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id,person_source_value"
FILES = {
    "person.csv": f"{PERSON}\n1,8507,1980,0,0,a\n2,8532,1990,0,0,b\n3,8532,2000,0,0,c\n",
    "observation_period.csv": (
        "observation_period_id,person_id,observation_period_start_date,observation_period_end_date,"
        "period_type_concept_id\n1,1,2020-01-01,2020-12-31,0\n2,2,2019-01-01,2021-12-31,0\n3,3,2020-05-01,2020-06-01,0\n"
    ),
    "concept.csv": (
        "concept_id,concept_name,domain_id,vocabulary_id,concept_class_id,standard_concept,concept_code,"
        "valid_start_date,valid_end_date,invalid_reason\n"
        "201826,Type 2 diabetes,Condition,SNOMED,Disorder,S,44054006,1970-01-01,2099-12-31,\n"
    ),
    "concept_ancestor.csv": (
        "ancestor_concept_id,descendant_concept_id,min_levels_of_separation,max_levels_of_separation\n"
        "201826,201826,0,0\n"
    ),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "hospital.duckdb"


@pytest.fixture
def loaded(source: Path, out: Path) -> Callable[..., Account]:
    """Load the source as it is now."""
    return lambda **options: load(source, out, **{"threads": 2, **options})


@pytest.fixture
def rejected(out: Path) -> Callable[[], list[tuple[object, ...]]]:
    """The rejects file's rows: file, line, column, value, reason."""

    def read() -> list[tuple[object, ...]]:
        path = out.with_suffix(".rejects.csv")
        if not path.exists():
            return []
        rows: pa.Table = read_csv(path, convert_options=ConvertOptions(column_types={"value": pa.string()}))
        return [tuple("" if value is None else value for value in row.values()) for row in rows.to_pylist()]

    return read


@pytest.fixture
def of() -> Callable[[Account, str], TableAccount]:
    return lambda account, name: next(table for table in account.tables if table.table == name)
