"""Cohorts beside the reference, in one run on one machine. Needs what isn't in the repository:

python -m benchmarks.cohort_reference CONFORMANCE_ZIP PHENOTYPE_LIBRARY SQL_RENDER [--circepy PYTHON] [--copies 1 20 200:18] [--alone 18]

PHENOTYPE_LIBRARY and SQL_RENDER are checkouts of github.com/OHDSI/PhenotypeLibrary (its `inst/sql`: SQL that circe-be wrote) and
github.com/OHDSI/SqlRender (its jar translates that to DuckDB's, by this machine's Java). `--circepy` is a Python that has
`ohdsi-circepy`, whose SQL goes the same way. Hospitals are the conformance data's 5,000 people, copied `--copies` times with ids
shifted; `200:18` takes every 18th phenotype there. Every `--alone`th phenotype is also run one by one.

Each measurement of a set is a process of its own on a fresh connection to the same file, 2 GB each, all cores. SQL is timed apart
from what comes before it (the reference's rendering and translation; Dure's parsing and planning count as its own). One by one, the
reference's SQL and Dure take turns three times in one process, and the best of each counts. All rows are compared.
"""

import argparse
import csv
import json
import math
import multiprocessing
import resource
import subprocess
import tempfile
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.record import record
from dure.cohort import parse, plan
from dure.engines import open_engine
from dure.engines.cdm_file import MANY_ROWS
from dure.engines.cohorts import run, run_many, statements
from dure.omop.events import EVENT_TABLES

MEMORY = "2GB"
NARROW = {"DECIMAL(18,3)": "DOUBLE", "INTEGER": "BIGINT"}
HERE = Path(__file__).parent
SHIFTED = ("person_id", "visit_occurrence_id", "visit_detail_id")
RESULTS = {
    "cohort": "cohort_definition_id BIGINT, subject_id BIGINT, cohort_start_date DATE, cohort_end_date DATE",
    "cohort_inclusion_result": "cohort_definition_id BIGINT, inclusion_rule_mask BIGINT, person_count BIGINT, mode_id INT",
    "cohort_inclusion_stats": "cohort_definition_id BIGINT, rule_sequence INT, person_count BIGINT, gain_count BIGINT, "
    "person_total BIGINT, mode_id INT",
    "cohort_summary_stats": "cohort_definition_id BIGINT, base_count BIGINT, final_count BIGINT, mode_id INT",
    "cohort_censor_stats": "cohort_definition_id BIGINT, lost_count BIGINT",
}
CIRCEPY = """
import sys, time
from pathlib import Path
import circe
source, out, ids = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]).read_text().split()
for id in ids:
    text = (source / f"{id}.json").read_text()
    begun = time.perf_counter()
    try:
        sql = circe.build_cohort_query(circe.cohort_expression_from_json(text))
    except Exception as error:
        print(f"{id},{type(error).__name__}")
        continue
    print(f"{id},{time.perf_counter() - begun}")
    (out / f"{id}.sql").write_text(sql)
"""


def hospital(conformance: Path, copies: int, folder: Path) -> Path:
    """The conformance data's people, `copies` times, large tables in the order that `dure cdm load` gives them: person, visit and
    row ids are moved beyond those of the copy before."""
    path = folder / f"people-{5000 * copies}.duckdb"
    if path.exists():
        return path
    making = path.with_suffix(".partial")
    with duckdb.connect(str(making), config={"memory_limit": "4GB", "enable_progress_bar": "false"}) as db:
        step = 10_000_000
        for file in sorted((conformance / "cdm").glob("*.parquet")):
            table = file.stem
            columns = db.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()
            names = [name for name, *_ in columns]
            moved = {name for name in (*SHIFTED, f"{table}_id") if name in names and "person_id" in names}
            listed = ", ".join(
                f'CAST("{name}" AS {NARROW.get(kind, kind)})'
                + (f" + copy * {step}" if name in moved else "")
                + f' AS "{name}"'
                for name, kind, *_ in columns
            )
            times = copies if "person_id" in names else 1
            db.execute(
                f"CREATE TABLE {table} AS SELECT {listed} FROM '{file}', range({times}) c(copy) ORDER BY {order(db, file, times)}"
            )
        db.execute("CREATE SCHEMA dure")
        db.execute(
            f"CREATE TABLE dure.dataset AS SELECT 'conformance x {copies}' AS version, '5.4' AS cdm_version, "
            f"'conformance' AS source, {5000 * copies}::BIGINT AS persons, NULL::DATE AS first_date, NULL::DATE AS last_date"
        )
    making.rename(path)
    return path


def order(db: duckdb.DuckDBPyConnection, file: Path, times: int) -> str:
    table = EVENT_TABLES.get(file.stem)
    (rows,) = db.execute(f"SELECT count(*) FROM '{file}'").fetchall()[0]
    return (
        f"{table.concept}, person_id, copy"
        if table and table.concept and rows * times >= MANY_ROWS
        else "copy"
    )


def apart(function, *arguments):
    """What a function gives, and the peak memory (MiB) of the process of its own that it ran in."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_with_memory, function, *arguments).result()


def _with_memory(function, *arguments):
    found = function(*arguments)
    return found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def translate(render: Path, sql: Path, out: Path, ids: list[int], mode: str) -> dict[int, float]:
    """Writes each cohort's statements for DuckDB; seconds by id."""
    out.mkdir(parents=True, exist_ok=True)
    listed = out / "ids.txt"
    listed.write_text("\n".join(map(str, ids)) + "\n")
    patterns = render / "inst" / "csv" / "replacementPatterns.csv"
    jar = render / "inst" / "java" / "SqlRender.jar"
    told = subprocess.run(
        ["java", "-cp", str(jar), str(HERE / "Translate.java"), str(sql), str(out), str(patterns), str(listed), mode, "cdm.main"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {int(number): float(seconds) for number, seconds in csv.reader(told.stdout.splitlines())}


def read_statements(folder: Path, number: int) -> list[str]:
    return [part for part in (folder / f"{number}.sql").read_text().split("\n;;--;;\n") if part.strip()]


def for_reference(path: Path) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect(config={"memory_limit": MEMORY})
    db.execute(f"ATTACH '{path}' AS cdm (READ_ONLY)")
    db.execute("CREATE SCHEMA results")
    for table, columns in RESULTS.items():
        db.execute(f"CREATE TABLE results.{table} ({columns})")
    return db


def reference(
    path: Path, folder: Path, ids: list[int]
) -> tuple[dict[int, float], dict[int, list], dict[int, str]]:
    """Seconds, rows and errors by id."""
    seconds, failed = {}, {}
    with for_reference(path) as db:
        for number in ids:
            statements_of = read_statements(folder, number)
            begun = time.perf_counter()
            try:
                for statement in statements_of:
                    db.execute(statement)
            except duckdb.Error as error:
                failed[number] = type(error).__name__
                for (table,) in db.execute(
                    "SELECT table_name FROM duckdb_tables() WHERE temporary"
                ).fetchall():
                    db.execute(f'DROP TABLE temp."{table}"')
            seconds[number] = time.perf_counter() - begun
        rows: dict[int, list] = {number: [] for number in ids}
        for number, *row in db.execute("SELECT * FROM results.cohort ORDER BY ALL").fetchall():
            rows[number].append(tuple(row))
    return seconds, digests(rows), failed


def digests(rows: dict[int, list]) -> dict[int, tuple[int, int]]:
    """Enough of each cohort's rows to compare them."""
    return {
        number: (len(each), hash(tuple((s, a.toordinal(), b.toordinal()) for s, a, b in each)))
        for number, each in rows.items()
    }


def rows_of(tables: dict) -> dict[int, tuple[int, int]]:
    return digests(
        {n: list(zip(*found.rows.to_pydict().values(), strict=True)) for n, found in tables.items()}
    )


def planned(source: Path, ids: list[int]) -> list:
    return [plan(parse((source / f"{number}.json").read_bytes()), cdm_version="5.4") for number in ids]


def set_run(path: Path, source: Path, ids: list[int], attrition: bool):
    """Seconds of everything, of parsing and planning alone, and the rows."""
    with open_engine(str(path), memory=MEMORY) as engine:
        begun = time.perf_counter()
        plans = planned(source, ids)
        compiled = time.perf_counter() - begun
        tables = dict(zip(ids, run_many(engine, plans, attrition=attrition), strict=True))
        return time.perf_counter() - begun, compiled, rows_of(tables)


def alone(path: Path, folder: Path, source: Path, ids: list[int]):
    """The best of three seconds of each cohort by itself: the reference's SQL; Dure, parsing and planning included; and Dure's rows."""
    theirs, ours, tables = {}, {}, {}
    with for_reference(path) as db, open_engine(str(path), memory=MEMORY) as engine:
        for number in ids:
            statements_of = read_statements(folder, number)
            for turn in range(3):
                begun = time.perf_counter()
                for statement in statements_of:
                    db.execute(statement)
                between = time.perf_counter()
                (each,) = planned(source, [number])
                engine.dataset = replace(
                    engine.dataset, version=f"turn {turn}"
                )  # nothing is found in the cache
                tables[number] = run(engine, each, attrition=False)
                ended = time.perf_counter()
                theirs[number] = min(theirs.get(number, math.inf), between - begun)
                ours[number] = min(ours.get(number, math.inf), ended - between)
    return theirs, ours, rows_of(tables)


def compile_times(source: Path, ids: list[int]) -> list[float]:
    """Seconds from a file to the text of all its statements."""
    times = []
    for number in ids:
        begun = time.perf_counter()
        (each,) = planned(source, [number])
        for _, tree in statements(each):
            tree.sql(dialect="duckdb", identify=True, comments=False, copy=False)
        times.append(time.perf_counter() - begun)
    return times


def same(ours: dict, theirs: dict) -> int:
    return sum(ours[number] == theirs.get(number) for number in ours)


def measure(
    path: Path, source: Path, made: dict[str, tuple[Path, dict[int, float]]], ids: list[int], some: list[int]
) -> list[dict]:
    """One hospital: the set, then cohorts one by one."""
    persons = int(path.stem.partition("-")[2])
    figures, of_peer = [], {}
    for name, (folder, before) in made.items():
        known = [number for number in ids if number in before]
        (seconds, rows, failed), memory = apart(reference, path, folder, known)
        of_peer[name] = (seconds, rows)
        figures.append({
            "persons": persons, "what": name, "cohorts": len(known), "failed": len(failed) + len(ids) - len(known),
            "sql_s": round(sum(seconds.values()), 2), "compile_s": round(sum(before[n] for n in known), 2), "peak_mib": memory,
        })  # fmt: skip
    theirs, stats = of_peer["reference"], of_peer["reference, with statistics"]
    for name, attrition, peer in (("dure, set", False, theirs), ("dure, set, with statistics", True, stats)):
        (everything, compiling, rows), memory = apart(set_run, path, source, ids, attrition)
        before = made["reference, with statistics" if attrition else "reference"][1]
        sql = sum(peer[0].values())
        figures.append({
            "persons": persons, "what": name, "cohorts": len(ids), "same_rows": same(rows, peer[1]),
            "total_s": round(everything, 2), "compile_s": round(compiling, 2), "peak_mib": memory,
            "times_faster_than_sql": round(sql / everything, 2),
            "times_faster_than_sql_and_compile": round((sql + sum(before[n] for n in ids)) / everything, 2),
        })  # fmt: skip
    (known, seconds, rows), memory = apart(alone, path, made["reference"][0], source, some)
    compiling = made["reference"][1]
    ratios = sorted(known[number] / seconds[number] for number in some)
    figures.append({
        "persons": persons, "what": "dure, one by one", "cohorts": len(some), "same_rows": same(rows, theirs[1]),
        "total_s": round(sum(seconds.values()), 2), "peak_mib": memory,
        "times_faster_than_sql": round(sum(known.values()) / sum(seconds.values()), 2),
        "median_times_faster_than_sql": round(median(ratios), 2), "least_times_faster_than_sql": round(ratios[0], 2),
        "median_times_faster_than_sql_and_compile": round(
            median((known[number] + compiling[number]) / seconds[number] for number in some), 2
        ),
    })  # fmt: skip
    return figures


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("conformance", type=Path)
    asked.add_argument("phenotype_library", type=Path)
    asked.add_argument("sql_render", type=Path)
    asked.add_argument("--circepy", type=Path)
    asked.add_argument("--copies", nargs="+", default=["1", "20"])
    asked.add_argument("--alone", type=int, default=18)
    given = asked.parse_args()
    work = Path(tempfile.gettempdir()) / "dure-benchmarks" / "reference"
    work.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(given.conformance) as archive:
        archive.extractall(work)
    conformance = work / "cohort_conformance"
    source, sql = conformance / "phenotypes", given.phenotype_library / "inst" / "sql" / "sql_server"
    ids = sorted(int(file.stem) for file in source.glob("*.json"))
    some = ids[:: given.alone]
    made = {
        name: (work / mode, translate(given.sql_render, sql, work / mode, ids, mode))
        for name, mode in (("reference", "rows"), ("reference, with statistics", "stats"))
    }
    if given.circepy:
        made["circepy"] = circepy(given, work, source, ids)
    times = compile_times(source, ids)
    figures = [
        {
            "what": "compile one cohort, dure",
            "cohorts": len(ids),
            "median_ms": round(median(times) * 1000, 2),
        },
        *(
            {
                "what": f"compile one cohort, {name}",
                "cohorts": len(before),
                "median_ms": round(median(before.values()) * 1000, 2),
            }
            for name, (_, before) in made.items()
        ),
    ]
    for asked_for in given.copies:
        copies, _, every = asked_for.partition(":")
        path = hospital(conformance, int(copies), work)
        figures += measure(path, source, made, ids[:: int(every or 1)], some)
        print(json.dumps(figures[-6:], indent=1), flush=True)
    record("cohort_reference", figures)


def circepy(
    given: argparse.Namespace, work: Path, source: Path, ids: list[int]
) -> tuple[Path, dict[int, float]]:
    """Statements by circepy, translated as the reference's; the seconds of both steps."""
    raw = work / "circepy-sql"
    raw.mkdir(exist_ok=True)
    listed = raw / "ids.txt"
    listed.write_text("\n".join(map(str, ids)))
    told = subprocess.run(
        [str(given.circepy), "-c", CIRCEPY, str(source), str(raw), str(listed)],
        check=True,
        capture_output=True,
        text=True,
    )
    building = {}
    for number, seconds in csv.reader(line for line in told.stdout.splitlines() if line[:1].isdigit()):
        try:
            building[int(number)] = float(seconds)
        except ValueError:
            print(f"circepy can't build {number}: {seconds}")
    translating = translate(given.sql_render, raw, work / "circepy", list(building), "rows")
    return work / "circepy", {number: building[number] + translating[number] for number in building}


if __name__ == "__main__":
    main()
