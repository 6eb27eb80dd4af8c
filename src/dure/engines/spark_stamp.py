"""Stamping a CDM in a folder of Parquet files: digests of its tables' content, and the one file that Dure writes.

Responsible for: reading every row once, writing the stamp. Not responsible for: what the stamp says (`onboard.stamp`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from dure.engines import server
from dure.engines.dataset import Dataset
from dure.engines.problems import StampStale
from dure.engines.spark import as_the_model, explained, folder_of, found_in, session, witness
from dure.omop.tables import VERSIONS


class SparkUnstamped:
    """See `engines.stamping.Unstamped`."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.shown = str(folder)
        self._spark = spark
        self._folder = folder
        self._witness = witness(folder)

    def headers(self) -> Mapping[str, Sequence[str]]:
        return {name: self._table(name, VERSIONS[-1]).columns for name in found_in(self._folder)}

    def told(self, column: str) -> list[str]:
        if "cdm_source" not in found_in(self._folder):
            return []
        source = self._table("cdm_source", VERSIONS[-1])
        if column not in source.columns:
            return []
        return sorted(str(row[0]) for row in source.select(column).collect() if row[0] is not None)

    def contents(self, cdm_version: str) -> Iterator[tuple[str, int, str]]:
        for name in found_in(self._folder):
            table = self._table(name, cdm_version)
            digits = f.conv(f.substring(f.md5(f.to_json(f.struct(*table.columns))), 1, 15), 16, 10)
            (row,) = table.select(f.count("*"), f.sum(digits.cast("decimal(20,0)"))).collect()
            yield name, int(row[0]), str(row[1])

    def observed(self, cdm_version: str) -> tuple[date | None, date | None]:
        periods = self._table("observation_period", cdm_version)
        ends = f.min("observation_period_start_date"), f.max("observation_period_end_date")
        (row,) = periods.select(*ends).collect()
        return row[0], row[1]

    def keep(self, dataset: Dataset) -> None:
        if witness(self._folder) != self._witness:
            raise StampStale(
                "The CDM changed while it was read",
                where=self.shown,
                mend="Stamp it when nothing writes to it any more.",
            )
        told = {**asdict(dataset), "witness": self._witness}
        schema = pa.schema(
            [(name, pa.string()) for name in ("version", "cdm_version", "source")]
            + [("persons", pa.int64()), ("first_date", pa.date32()), ("last_date", pa.date32())]
            + [("witness", pa.string())]
        )
        partial = self._folder / f".{server.STAMP}.partial"
        pq.write_table(pa.Table.from_pylist([told], schema=schema), partial)
        partial.replace(self._folder / f"{server.STAMP}.parquet")

    def _table(self, name: str, version: str) -> DataFrame:
        return as_the_model(self._spark, self._folder, name, version)


@contextmanager
def opened(location: str) -> Iterator[SparkUnstamped]:
    """The CDM at a location. Raises the engine's Problems."""
    folder = folder_of(location)
    with explained():
        yield SparkUnstamped(session(memory="2GB", threads=None), folder)
