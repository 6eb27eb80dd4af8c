"""Stamping a CDM that Spark reads: digests of its tables' content.

Responsible for: reading every row once. Not responsible for: what the stamp says (`onboard.stamp`), where it is written (`spark.Source`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from typing import Any

from pyspark.sql import DataFrame

from dure.engines.dataset import Dataset
from dure.engines.problems import StampStale
from dure.engines.spark import Source, as_the_model, explained
from dure.omop.tables import VERSIONS

DIGEST = "sum(CAST(conv(substring(md5(to_json(struct(*))), 1, 15), 16, 10) AS DECIMAL(20, 0)))"


class SparkUnstamped:
    """See `engines.stamping.Unstamped`."""

    def __init__(self, source: Source) -> None:
        self.shown = source.shown
        self._source = source
        self._witness = source.witness()

    def headers(self) -> Mapping[str, Sequence[str]]:
        return {name: self._table(name, VERSIONS[-1]).columns for name in self._source.names}

    def told(self, column: str) -> list[str]:
        if "cdm_source" not in self._source.names:
            return []
        source = self._table("cdm_source", VERSIONS[-1])
        if column not in source.columns:
            return []
        return sorted(str(row[column]) for row in _rows(source.select(column)) if row[column] is not None)

    def contents(self, cdm_version: str) -> Iterator[tuple[str, int, str]]:
        for name in self._source.names:
            table = self._table(name, cdm_version)
            (row,) = _rows(table.selectExpr("count(*) AS rows", f"{DIGEST} AS digest"))
            yield name, int(row["rows"]), str(row["digest"])

    def observed(self, cdm_version: str) -> tuple[date | None, date | None]:
        periods = self._table("observation_period", cdm_version)
        ends = (
            "min(observation_period_start_date) AS first",
            "max(observation_period_end_date) AS last",
        )
        (row,) = _rows(periods.selectExpr(*ends))
        return row["first"], row["last"]

    def keep(self, dataset: Dataset) -> None:
        if self._source.witness() != self._witness:
            raise StampStale(
                "The CDM changed while it was read",
                where=self.shown,
                mend="Stamp it when nothing writes to it any more.",
            )
        self._source.write({**asdict(dataset), "witness": self._witness})

    def _table(self, name: str, version: str) -> DataFrame:
        return as_the_model(self._source.table(name), name, version)


def _rows(frame: DataFrame) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = frame.toArrow().to_pylist()
    return found


@contextmanager
def unstamped(source: Source) -> Iterator[SparkUnstamped]:
    """The CDM at a source, which is closed in the end. Raises the engine's Problems."""
    try:
        with explained():
            yield SparkUnstamped(source)
    finally:
        source.close()
