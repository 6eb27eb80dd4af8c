"""A comparison of treatments with 5,000 covariates through a hub and five nodes: real processes, permits, signatures and masks.

    python -m benchmarks.effect_network [PERSONS [COVARIATES]]

Covariates are those that the new users have (of all analyses), without the two drugs themselves; where there are fewer than asked for, some that
nobody has fill up, as in a list that was made elsewhere. Seconds and numbers sent are given by step, as one hospital's journal has them.
"""

import json
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.network import MAKER, memory
from benchmarks.record import record
from dure import cohort, demo
from dure.client import study_file
from dure.demo.nation import AUTO_SIGN, NAMES
from dure.demo.network import Hospital, Network
from dure.demo.synth import generate
from dure.engines import open_engine
from dure.features.analyses import Windows, analyses
from dure.features.covariates import Covariate
from dure.features.listing import listed
from dure.node.place import opened
from dure.study.kinds import kind_of
from dure.study.kinds.effect.spec import Effect

FOLDER = Path(demo.__file__).parent
STUDY = FOLDER / "studies" / "11_heart_failure_effect.yaml"
DRUGS = ("empagliflozin", "sitagliptin")
LEFT_OUT = (9, 10, 11)
"""What is known only later, and index months, of which there are as many as months."""


def covariates(databases: list[Path], wanted: int) -> tuple[Covariate, ...]:
    """As many covariates of new users as wanted."""
    plans = [
        cohort.plan(
            cohort.parse(json.loads((FOLDER / "cohorts" / f"{drug}_new_users.json").read_text())),
            cdm_version="5.4",
        )
        for drug in DRUGS
    ]
    numbers = [number for number in analyses() if number not in LEFT_OUT]
    found: dict[int, Covariate] = {}
    for path in databases:
        engine = open_engine(str(path))
        for each in listed(engine, plans, numbers, Windows(), least=1):
            if not any(drug in each.covariate.name.lower() for drug in DRUGS):
                found.setdefault(each.covariate.id, each.covariate)
        engine.close()
    made = [replace(each, name=f"{each.name} ({each.id})") for each in found.values()]
    padding = (Covariate(id=(900_000_000 + at) * 1000 + 102, name=f"nobody's {at}") for at in range(wanted))
    while len(made) < wanted:
        made.append(next(padding))
    return tuple(made[:wanted])


def question(databases: list[Path], wanted: int) -> Effect:
    """The demonstration's comparison, with many covariates, opened whatever its balance."""
    asked: Effect = study_file.read(STUDY).question
    return replace(
        asked,
        covariates=covariates(databases, wanted),
        despite="A measurement of the time that it takes, on synthetic people.",
    )


def ask(network: Network, asked: Effect) -> tuple[float, Any, list[dict[str, Any]]]:
    """Seconds from asking to answered, the report, and seconds by step."""
    now = datetime.now(UTC)
    study = replace(
        study_file.read(STUDY).study(asker=MAKER.id, now=now),
        question=asked,
        created=now,
        closes=now + timedelta(minutes=20),
        expires=now + timedelta(hours=4),
    )
    with network.client(MAKER.id) as client:
        start = time.perf_counter()
        digest = client.submit(study)
        for _ in client.watch(digest):
            pass
        seconds = time.perf_counter() - start
        report = client.report(digest)
    names = [step.name for step in kind_of(asked).steps(asked)]
    with opened(network.node_folder(network.hospitals[0].id)) as place:
        sent = [
            (int(step), turn, int(numbers), datetime.fromisoformat(at))
            for at, about, _, step, turn, _, numbers, *_ in place.journal.departures()
            if about == digest
        ]
    figures = []
    before = now
    for number, name in enumerate(names):
        mine = [one for one in sent if one[0] == number]
        if mine:
            last = max(at for *_, at in mine)
            figures.append(
                {
                    "what": f"step {name}",
                    "rounds": len({turn for _, turn, *_ in mine}),
                    "seconds": round((last - before).total_seconds(), 1),
                    "mib_sent_by_a_node": round(sum(numbers for _, _, numbers, _ in mine) / 2**20, 2),
                }
            )
            before = last
    return seconds, report, figures


def main() -> None:
    """Measure and record."""
    persons = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 5_000
    kinds = replace(AUTO_SIGN, kinds=("effect",), askers=(MAKER.id,))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        hospitals = []
        for number, (name, title) in enumerate(NAMES[:5], start=1):
            path = place / f"{name}.duckdb"
            generate(persons=persons, seed=2026, hospital=number, path=path)
            hospitals.append(Hospital(id=name, name=title, database=path, auto_sign=kinds))
        asked = question([one.database for one in hospitals], wanted)
        with Network(place / "network", hospitals=hospitals, organisations=[MAKER]) as network:
            seconds, report, steps = ask(network, asked)
            used = {name: memory(pid) for name, pid in network.programs().items()}
    shown = next(table for table in report.tables if table.name == "effect")
    figures = [
        {
            "what": "comparison, asked to answered",
            "persons": 5 * persons,
            "covariates": len(asked.covariates),
            "nodes": len(hospitals),
            "rounds": sum(step["rounds"] for step in steps),
            "seconds": round(seconds, 1),
            "mib_sent_by_a_node": round(sum(step["mib_sent_by_a_node"] for step in steps), 2),
        },
        *steps,
        {"what": "memory of a node", "mib": round(max(used[one.id] for one in hospitals), 1)},
        {"what": "memory of the hub", "mib": round(used["hub"], 1)},
        *(
            {
                "what": f"{row[1]} {row[2]}",
                "ratio": round(row[3], 3),
                "low": round(row[4], 3),
                "high": round(row[5], 3),
            }
            for row in shown.rows
        ),
    ]
    record("effect_network", figures)


if __name__ == "__main__":
    main()
