"""How long the definitions of OHDSI's phenotype library take on PostgreSQL, beside DuckDB, and that both give the reference's rows.

`python -m benchmarks.postgres CONFORMANCE.zip postgresql://owner@host/empty_database [every]` copies the conformance CDM (5,000 people)
into the database with OHDSI's usual indexes, stamps it, and runs each phenotype alone on both, one after the other. The role that
reads is made there. 1318, 921 and 819 are those that the reference implementation's SQL never finished on PostgreSQL.
"""

import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from benchmarks.postgres_cdm import READER, load, may_read
from benchmarks.record import record
from dure.cohort import parse, plan
from dure.engines import Engine, open_engine
from dure.engines.cohorts import run
from dure.engines.dataset import Dataset
from dure.engines.duckdb import DuckDBEngine
from dure.onboard.stamp import stamp

NEVER_FINISHED = (1318, 921, 819)


def measure(archive: Path, address: str, every: int) -> list[dict[str, Any]]:
    """Seconds on each database, together and for the definitions that tell most."""
    with tempfile.TemporaryDirectory() as name:
        with zipfile.ZipFile(archive) as file:
            file.extractall(name)
        folder = Path(name, "cohort_conformance")
        source = duckdb.connect()
        for parquet in sorted((folder / "cdm").glob("*.parquet")):
            columns = source.execute(f"DESCRIBE SELECT * FROM '{parquet}'").fetchall()
            narrow = {"DECIMAL(18,3)": "DOUBLE", "INTEGER": "BIGINT"}
            listed = ", ".join(f'CAST("{n}" AS {narrow.get(t, t)}) AS "{n}"' for n, t, *_ in columns)
            source.execute(f"CREATE TABLE {parquet.stem} AS SELECT {listed} FROM '{parquet}'")
        load(address, "cdm", source)
        location = f"{address}?schema=cdm"
        stamp(location, cdm_version="5.4", progress=lambda table, rows: None)
        may_read(address, "cdm")
        role, _, rest = location.partition("://")[2].partition("@")
        stamped = Dataset(
            version="1", cdm_version="5.4", source="", persons=5000, first_date=None, last_date=None
        )
        with (
            DuckDBEngine(source, stamped, folder) as duck,
            open_engine(location.replace(f"{role}@{rest}", f"{READER}@{rest}")) as postgres,
        ):
            return _figures(folder, duck, postgres, every)


def _figures(folder: Path, duck: Engine, postgres: Engine, every: int) -> list[dict[str, Any]]:
    listed = [line.split(",") for line in (folder / "ids.csv").read_text().split()[1:]]
    numbers = [int(number) for name, number in listed if name == "phenotypes"]
    numbers = sorted({*numbers[::every], *NEVER_FINISHED} & set(numbers))
    expected: dict[int, list[tuple[Any, ...]]] = {}
    for cohort, *row in zip(
        *pq.read_table(folder / "phenotypes_expected.parquet").to_pydict().values(), strict=True
    ):
        expected.setdefault(cohort, []).append(tuple(row))
    seconds: dict[str, dict[int, float]] = {"duckdb": {}, "postgresql": {}}
    identical = dict.fromkeys(seconds, 0)
    for number in numbers:
        planned = plan(parse((folder / "phenotypes" / f"{number}.json").read_bytes()), cdm_version="5.4")
        for name, engine in (("duckdb", duck), ("postgresql", postgres)):
            began = time.perf_counter()
            rows = run(engine, planned, attrition=False).rows
            seconds[name][number] = time.perf_counter() - began
            found = list(zip(*rows.to_pydict().values(), strict=True))
            identical[name] += found == sorted(expected.get(number, []))
    figures: list[dict[str, Any]] = []
    slowest = sorted(numbers, key=lambda number: -seconds["postgresql"][number])[:3]
    for what, some in [
        ("all", numbers),
        *((f"phenotype {number}, which the reference never finished", [number]) for number in NEVER_FINISHED),
        *((f"phenotype {number}, the slowest here", [number]) for number in slowest),
    ]:
        ours = {name: [each[number] for number in some] for name, each in seconds.items()}
        alone = len(some) == 1
        figures.append(
            {
                "what": what,
                "definitions": len(some),
                "identical on both": min(identical.values()) if not alone else "",
                "duckdb s": round(sum(ours["duckdb"]), 2),
                "postgresql s": round(sum(ours["postgresql"]), 2),
                "ratio": round(sum(ours["postgresql"]) / sum(ours["duckdb"]), 1),
                "postgresql median s": "" if alone else round(statistics.median(ours["postgresql"]), 2),
            }
        )
    return figures


def main() -> None:
    """Measure and record."""
    every = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    figures = measure(Path(sys.argv[1]), sys.argv[2], every)
    sys.argv[1:3] = ["CONFORMANCE.zip", "ADDRESS"]
    record("postgres", figures)


if __name__ == "__main__":
    main()
