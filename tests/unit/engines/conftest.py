"""A small CDM file."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from dure.engines import Dataset, Engine, open_engine
from dure.engines.cdm_file import create

STAMP = Dataset(
    version="v1",
    cdm_version="5.4",
    source="three people",
    persons=3,
    first_date=date(2020, 1, 1),
    last_date=date(2020, 12, 31),
)


@pytest.fixture
def cdm(tmp_path: Path) -> Path:
    path = tmp_path / "small.duckdb"
    with create(path, "5.4") as writer:
        ids = [1, 2, 2**40]
        zeros = [0, 0, 0]
        writer.append(
            "person",
            pa.table(
                {
                    "person_id": ids,
                    "gender_concept_id": [8507, 8532, 8532],
                    "year_of_birth": [1980, 1990, 2000],
                    "race_concept_id": zeros,
                    "ethnicity_concept_id": zeros,
                }
            ),
        )
        writer.stamp(STAMP)
    return path


@pytest.fixture
def engine(cdm: Path) -> Iterator[Engine]:
    with open_engine(str(cdm)) as opened:
        yield opened


@pytest.fixture
def files(tmp_path: Path) -> Callable[[], list[str]]:
    return lambda: sorted(path.name for path in tmp_path.iterdir())
