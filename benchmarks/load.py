"""How fast a hospital's CDM is loaded, from CSV and from Parquet, and in how much memory.

The input is a synthetic hospital, exported by DuckDB. Each load runs in a process of its own, so that its memory is its
own. `--persons` changes the size.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.record import record
from dure.demo.synth import generate
from dure.omop.tables import tables
from dure.onboard.load import load

FORMATS = {
    "csv": "(FORMAT csv, HEADER true)",
    "parquet": "(FORMAT parquet)",
}


def export(database: Path, folder: Path, form: str) -> int:
    """Write every table as a file; returns the bytes written."""
    folder.mkdir()
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("SET enable_progress_bar = false")
        for name in tables("5.4"):
            target = folder / f"{name}.{form}"
            connection.execute(f"COPY {name} TO '{target}' {FORMATS[form]}")
    return sum(file.stat().st_size for file in folder.iterdir())


def measure(source: Path, out: Path, report: Path) -> None:
    """Load once and write the figures; the peak is of the whole process."""
    began = time.perf_counter()
    account = load(source, out, force=True)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report.write_text(
        json.dumps({"rows": account.loaded, "rejected": account.rejected, "seconds": seconds, "peak": peak})
    )


def figure(folder: Path, persons: int, form: str, database: Path) -> dict[str, Any]:
    """One format's figures."""
    source, out, report = folder / form, folder / f"{form}.duckdb", folder / f"{form}.json"
    size = export(database, source, form)
    process = multiprocessing.get_context("spawn").Process(target=measure, args=(source, out, report))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"the load of {form} ended with {process.exitcode}")
    found = json.loads(report.read_text())
    return {
        "format": form,
        "persons": persons,
        "rows": found["rows"],
        "rejected": found["rejected"],
        "source_mb": round(size / 1e6),
        "database_mb": round(out.stat().st_size / 1e6),
        "seconds": round(found["seconds"], 1),
        "persons_per_second": round(persons / found["seconds"]),
        "rows_per_second": round(found["rows"] / found["seconds"]),
        "peak_mib": round(found["peak"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=100_000)
    persons = parser.parse_args().persons
    with tempfile.TemporaryDirectory(prefix="dure-bench-") as name:
        folder = Path(name)
        generate(persons=persons, seed=1, path=folder / "made.duckdb")
        record("load", [figure(folder, persons, form, folder / "made.duckdb") for form in FORMATS])


if __name__ == "__main__":
    main()
