"""How long the definitions of OHDSI's phenotype library take on PostgreSQL, beside DuckDB, and that both give the reference's rows.

`python -m benchmarks.postgres CONFORMANCE.zip postgresql://owner@host/empty_database [every]` copies the conformance CDM (5,000 people)
into the database with OHDSI's usual indexes, stamps it, and runs every tenth phenotype (or as given) alone on both, one after the other.
The role that reads is made there. Those of `NAMED` are always with them.
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

NAMED = (("phenotypes", 1318), ("phenotypes", 819), ("generated", 921))


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
    spread = [("phenotypes", int(number)) for name, number in listed if name == "phenotypes"][::every]
    chosen = sorted({*spread, *NAMED})
    expected: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
    for name in ("phenotypes", "generated"):
        rows = pq.read_table(folder / f"{name}_expected.parquet").to_pydict()
        for cohort, *row in zip(*rows.values(), strict=True):
            expected.setdefault((name, cohort), []).append(tuple(row))
    seconds: dict[str, dict[tuple[str, int], float]] = {"duckdb": {}, "postgresql": {}}
    right: dict[str, set[tuple[str, int]]] = {name: set() for name in seconds}
    for each in chosen:
        planned = plan(parse((folder / each[0] / f"{each[1]}.json").read_bytes()), cdm_version="5.4")
        for name, engine in (("duckdb", duck), ("postgresql", postgres)):
            began = time.perf_counter()
            rows = run(engine, planned, attrition=False).rows.to_pydict()
            seconds[name][each] = time.perf_counter() - began
            if list(zip(*rows.values(), strict=True)) == sorted(expected.get(each, [])):
                right[name].add(each)
    slowest = sorted(chosen, key=lambda each: -seconds["postgresql"][each])[:3]
    parts = {"all": chosen, **{f"{name} {number}": [(name, number)] for name, number in (*NAMED, *slowest)}}
    return [
        {
            "what": what,
            "definitions": len(some),
            "the reference's rows on both": len(right["duckdb"] & right["postgresql"] & set(some)),
            "duckdb s": round(sum(seconds["duckdb"][each] for each in some), 2),
            "postgresql s": round(sum(seconds["postgresql"][each] for each in some), 2),
            "ratio": round(
                sum(seconds["postgresql"][each] for each in some)
                / sum(seconds["duckdb"][each] for each in some),
                1,
            ),
            "postgresql median s": round(statistics.median(seconds["postgresql"][each] for each in some), 2),
        }
        for what, some in parts.items()
    ]


def main() -> None:
    """Measure and record."""
    every = int(sys.argv[3]) if len(sys.argv) > 3 else 10
    figures = measure(Path(sys.argv[1]), sys.argv[2], every)
    sys.argv[1:3] = ["CONFORMANCE.zip", "ADDRESS"]
    record("postgres", figures)


if __name__ == "__main__":
    main()
