"""A node killed without warning at random points, again and again, during studies: nothing is lost, nothing doubled."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from dure.demo.synth import generate
from dure.engines import open_engine
from dure.hub.actions import log as log_actions
from dure.node import config as node_config
from dure.node import keys
from dure.node.config import AutoSign, NodeConfig
from dure.node.enrolment import enrol
from dure.node.hub_link import HubLink
from dure.node.loop import utc_now
from dure.node.place import is_running, opened
from dure.study.kinds.distribution import DistributionKind
from dure.study.report import Report
from dure.study.spec import Study
from dure.wire.codec import decode, encode
from dure.wire.directory import Member, Role
from dure.wire.envelope import peek, public_text
from dure.wire.messages import Provenance
from dure.wire.rules import Mode

RUN = [sys.executable, "-c", "from dure.cli import main; main()", "node", "run", "--dir"]
PERSONS = 300


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'hub.sqlite'}"


@pytest.fixture(scope="module")
def cdm(tmp_path_factory):
    path = tmp_path_factory.mktemp("cdm") / "hanbit.duckdb"
    generate(persons=PERSONS, seed=3, hospital=1, path=path, force=True, progress=lambda done: None)
    return path


@pytest.fixture
def folder(served, cdm, tmp_path):
    """A node that signs by the standing yes, listed by the root."""
    folder = tmp_path / "node"
    config = NodeConfig(
        hub=str(served.http.base_url),
        hospital="hanbit",
        name="Hanbit Hospital",
        affiliation="hanbit",
        root_key=served.network.root_key,
        board_key="",
        cdm=str(cdm),
        provenance=Provenance.SYNTHETIC,
        auto_sign=AutoSign(
            kinds=("distribution",), purposes=("research",), modes=(Mode.TOTAL,), askers=("example-pharma",)
        ),
        wait_seconds=1,
    )
    link = HubLink(config.hub)
    enrol(folder, config, code=served.code("hanbit"), passphrase=None, link=link, now=utc_now())
    link.close()
    config = node_config.read(folder)
    with opened(folder) as place:
        member = Member(
            id="hanbit",
            name="Hanbit Hospital",
            role=Role.HOLDER,
            affiliation="hanbit",
            board_key=config.board_key,
            node_key=public_text(keys.read(place.node_key)),
        )
    network = served.network
    others = tuple(hospital.member for hospital in network.hospitals.values())
    sealed = network.directory(members=(network.asker, *others, member))
    assert served.http.put("/v1/directory", content=encode(sealed)).status_code == 204
    return folder


class Asking(threading.Thread):
    """One study after another, and the made-up hospitals' answers to them, until told to stop."""

    def __init__(self, served) -> None:
        super().__init__()
        self.served = served
        self.token = served.user("ada@example.org")
        self.reports: dict[str, Report] = {}
        self.stopping = False
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            with httpx.Client(base_url=self.served.http.base_url, timeout=60) as http:
                while not self.stopping:
                    self._one(http)
        except BaseException as failure:
            self.failure = failure

    def _one(self, http: httpx.Client) -> None:
        network, told = self.served.network, {"authorization": self.token}
        study = network.study()
        http.post("/v1/studies", content=encode(study), headers=told).raise_for_status()
        while True:
            for hospital in network.hospitals.values():
                hospital.turn(http, network.asker)
            if http.get(f"/v1/studies/{study.digest}", headers=told).json()["over"]:
                break
            time.sleep(0.02)
        reply = http.get(f"/v1/studies/{study.digest}/report", headers=told)
        self.reports[study.digest] = decode(Report, reply.content, where="report")


def kill_at_random(served, cdm, folder, *, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    asking = Asking(served)
    asking.start()
    log = folder.parent / "node.log"
    with log.open("wb") as errors:
        for _ in range(kills):
            node = subprocess.Popen([*RUN, str(folder)], stderr=errors)
            time.sleep(chance.uniform(0.3, 3.0))
            assert node.poll() is None, log.read_text()
            os.kill(node.pid, signal.SIGKILL)
            node.wait()
        node = subprocess.Popen([*RUN, str(folder)], stderr=errors)
        asking.stopping = True
        asking.join(timeout=120)
        while not is_running(folder):
            assert node.poll() is None, log.read_text()
            time.sleep(0.01)
        node.terminate()
        assert node.wait(timeout=30) == 0
    assert not asking.is_alive(), log.read_text()
    assert asking.failure is None, asking.failure
    check(served, cdm, folder, asking.reports)


def check(served, cdm, folder, reports: dict[str, Report]) -> None:
    """Every study was reported with every hospital in it, its numbers are the pooled ones, each answer counted once."""
    question = peek(Study, served.network.study(), where="study").question
    with open_engine(str(cdm)) as engine:
        ages = DistributionKind().extract(question, "median", engine, {}).columns["value"]
    everyone = np.concatenate([*(h.values for h in served.network.hospitals.values()), ages])
    assert reports
    for report in reports.values():
        assert {part.hospital: part.part.value for part in report.participation}["hanbit"] == "answered"
        rows = {row[1]: row for row in report.tables[0].rows}
        assert rows["median"][2] == len(everyone)
        low, high = rows["median"][3:]
        assert low <= np.quantile(everyone, 0.5, method="inverted_cdf") < high
    with opened(folder) as place:
        assert place.journal.to_send() == []
        assert place.journal.returned() == []
        departures = place.journal.departures()
    places = [row[2:6] for row in departures]
    assert len(places) == len(set(places))
    assert len({row[2] for row in departures}) == len(reports)
    assert served.hub.reads(log_actions.verify).size > 0


def test_a_node_killed_at_twenty_random_points(served, cdm, folder):
    kill_at_random(served, cdm, folder, kills=20, seed=1)


@pytest.mark.slow
def test_a_node_killed_at_two_hundred_random_points(served, cdm, folder):
    kill_at_random(served, cdm, folder, kills=200, seed=2)
