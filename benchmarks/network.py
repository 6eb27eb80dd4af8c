"""A whole study's round trip through a hub and five nodes, a statistic of many rounds, and memory per process.

`python -m benchmarks.network [PERSONS]`: real processes, HTTP on the loopback interface, permits and signatures.
"""

import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from benchmarks.record import record
from dure import demo
from dure.demo.nation import AUTO_SIGN, NAMES
from dure.demo.network import Hospital, Network, Organisation
from dure.demo.synth import generate
from dure.node.place import opened
from dure.study.kinds.base import Cohort
from dure.study.kinds.distribution import Distribution
from dure.study.kinds.feasibility import Feasibility
from dure.study.kinds.incidence import Incidence
from dure.study.spec import Purpose, Study
from dure.wire.rules import Mode

COHORTS = Path(demo.__file__).parent / "cohorts"
MAKER = Organisation(id="saebom", name="Saebom", email="a@saebom.example", password="a long password")
REPEATS = 3


def cohort(name):
    return Cohort(name=name, circe=json.loads((COHORTS / f"{name}.json").read_text()))


def questions():
    users = cohort("empagliflozin_new_users")
    yield "feasibility", Feasibility(cohort=users)
    yield "incidence", Incidence(target=users, outcome=cohort("heart_failure_stay"), clean_window=9999)
    yield "distribution, halving", Distribution(cohort=users, variable="age", bins=2)


def ask(network, question):
    """Seconds from asking to answered, and how many rounds it took."""
    now = datetime.now(UTC)
    study = Study(
        title="benchmark", asker="saebom", purpose=Purpose.RESEARCH, purpose_text="Timing.", mode=Mode.TOTAL,
        question=question, hospitals=(), created=now, closes=now + timedelta(minutes=5),
        expires=now + timedelta(hours=1), nonce=now.isoformat(),
    )  # fmt: skip
    with network.client("saebom") as client:
        start = time.perf_counter()
        digest = client.submit(study)
        for _ in client.watch(digest):
            pass
        seconds = time.perf_counter() - start
        client.report(digest)
    with opened(network.node_folder(network.hospitals[0].id)) as place:
        places = {
            (step, turn) for _, about, _, step, turn, *_ in place.journal.departures() if about == digest
        }
    return seconds, len(places)


def memory(pid):
    """Proportional set size in MiB of a process and its children."""
    one = psutil.Process(pid)
    return sum(p.memory_full_info().pss for p in (one, *one.children(recursive=True))) / 2**20


def main():
    persons = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        hospitals = []
        for number, (name, title) in enumerate(NAMES[:5], start=1):
            path = place / f"{name}.duckdb"
            generate(persons=persons, seed=1, hospital=number, path=path)
            hospitals.append(Hospital(id=name, name=title, database=path, auto_sign=AUTO_SIGN))
        with Network(place / "network", hospitals=hospitals, organisations=[MAKER]) as network:
            time.sleep(3)
            idle = {name: memory(pid) for name, pid in network.programs().items()}
            for name, question in questions():
                times = [ask(network, question) for _ in range(REPEATS)]
                rounds = times[0][1]
                for label, (seconds, _) in zip(("first", "again"), (times[0], min(times[1:])), strict=True):
                    figures.append(
                        {
                            "what": f"{name}, {label}",
                            "persons": 5 * persons,
                            "rounds": rounds,
                            "seconds": round(seconds, 3),
                            "seconds_per_round": round(seconds / rounds, 3),
                        }
                    )
            busy = {name: memory(pid) for name, pid in network.programs().items()}
            nodes = [one.id for one in hospitals]
            figures += [
                {"what": "memory of an idle node", "mib": round(max(idle[name] for name in nodes), 1)},
                {
                    "what": "memory of a node that has worked",
                    "mib": round(max(busy[name] for name in nodes), 1),
                },
                {"what": "memory of the hub", "mib": round(busy["hub"], 1)},
            ]
    record("network", figures)


if __name__ == "__main__":
    main()
