"""How long cohorts take: `python -m benchmarks.cohort [PERSONS ...]`, by default 100,000 and 1,000,000 synthetic people.

The people are made once into a folder under the system's temporary one. Every definition of the demo runs cold once and then
three times warm, alone, rows only; then all together. Figures are seconds, compiling included.
"""

import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from statistics import median

import psutil

from benchmarks.record import record
from dure.cohort import CohortPlan, parse, plan
from dure.demo.synth import generate
from dure.engines import open_engine
from dure.engines.cohort_cache import forget
from dure.engines.cohorts import run, run_many

CACHE = Path(tempfile.gettempdir()) / "dure-benchmarks"
MEMORY = "2GB"
REPEATS = 3


def hospital(persons: int) -> Path:
    CACHE.mkdir(exist_ok=True)
    path = CACHE / f"synth-{persons}.duckdb"
    if not path.exists():
        generate(persons=persons, seed=7, hospital=1, path=path)
    return path


def definitions() -> dict[str, bytes]:
    folder = resources.files("dure.demo") / "cohorts"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name
    )
    return {file.name.removesuffix(".json"): file.read_bytes() for file in files}


def seconds(action) -> tuple[float, object]:
    begun = time.perf_counter()
    result = action()
    return time.perf_counter() - begun, result


def planned(source: bytes) -> CohortPlan:
    return plan(parse(source), cdm_version="5.4")


def measure(persons: int) -> list[dict]:
    figures, sources = [], definitions()
    with open_engine(str(hospital(persons)), memory=MEMORY) as engine:
        for name, source in sources.items():
            times, found = [], None
            for _ in range(REPEATS + 1):
                forget(engine)
                taken, found = seconds(lambda source=source: run(engine, planned(source), attrition=False))
                times.append(taken)
            compiling, _ = seconds(lambda source=source: planned(source))
            figures.append(
                {
                    "persons": persons,
                    "cohort": name,
                    "rows": found.rows.num_rows,
                    "first_s": round(times[0], 3),
                    "warm_s": round(median(times[1:]), 3),
                    "planning_s": round(compiling, 4),
                }
            )
        plans = [planned(source) for source in sources.values()]
        forget(engine)
        together, _ = seconds(lambda: list(run_many(engine, plans, attrition=False)))
        forget(engine)
        with_attrition, _ = seconds(lambda: list(run_many(engine, plans)))
    peak = psutil.Process().memory_info().rss / 2**20
    figures.append(
        {
            "persons": persons,
            "cohort": f"all {len(sources)} together",
            "rows_s": round(together, 3),
            "rows_and_attrition_s": round(with_attrition, 3),
            "one_by_one_warm_s": round(sum(figure["warm_s"] for figure in figures), 3),
            "memory_limit": MEMORY,
            "process_mib_at_end": round(peak),
        }
    )
    return figures


if __name__ == "__main__":
    sizes = [int(text) for text in sys.argv[1:]] or [100_000, 1_000_000]
    record("cohort", [figure for size in sizes for figure in measure(size)])
