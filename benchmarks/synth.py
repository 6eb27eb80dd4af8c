"""Making synthetic hospitals: seconds, rows, size and peak memory for 100,000 and 1,000,000 people."""

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.record import record

SIZES = (100_000, 1_000_000)


def measure(persons: int) -> dict[str, Any]:
    """Make one hospital, in this process alone."""
    from dure.demo.synth import generate

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hospital.duckdb"
        began = time.perf_counter()
        truth = generate(persons=persons, seed=1, hospital=2, path=path)
        seconds = time.perf_counter() - began
        size = path.stat().st_size
    unit = 2**30 if sys.platform == "darwin" else 2**20
    people_rows = {name: count for name, count in truth.rows.items() if count > persons / 100}
    return {
        "persons": persons,
        "seconds": round(seconds, 1),
        "rows": sum(people_rows.values()),
        "rows_per_person": round(sum(people_rows.values()) / persons, 1),
        "persons_per_second": round(persons / seconds),
        "file_gib": round(size / 2**30, 2),
        "peak_rss_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 2),
    }


def main() -> int:
    """One fresh process per size, so that each has its own peak."""
    figures = []
    for persons in SIZES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            figures.append(pool.apply(measure, (persons,)))
    record("synth", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
