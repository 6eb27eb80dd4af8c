"""A real node, made and run by its commands, beside four made-up hospitals at a real hub over HTTP."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from dure.demo.synth import generate
from dure.engines import open_engine
from dure.node import keys
from dure.node.place import opened
from dure.study.kinds.distribution import DistributionKind
from dure.study.report import Report
from dure.wire.codec import decode, encode
from dure.wire.directory import Member, Role
from dure.wire.envelope import fingerprint, peek, public_text
from dure.wire.messages import Permit
from dure.wire.rules import Mode

DURE = [sys.executable, "-c", "from dure.cli import main; main()"]
PERSONS = 300


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """The hub's own tests run on every database; the node can't tell which one the hub has."""
    return f"sqlite:///{tmp_path / 'hub.sqlite'}"


@pytest.fixture(scope="module")
def cdm(tmp_path_factory):
    path = tmp_path_factory.mktemp("cdm") / "hanbit.duckdb"
    generate(persons=PERSONS, seed=3, hospital=1, path=path, force=True, progress=lambda done: None)
    return path


def dure(*arguments: str, code: int = 0, answers: str = "") -> str:
    """Run a command; its output."""
    run = subprocess.run(
        [*DURE, *arguments], capture_output=True, text=True, timeout=120, check=False, input=answers
    )
    assert run.returncode == code, f"{run.returncode}: {run.stdout}\n{run.stderr}"
    return run.stdout + run.stderr


@dataclass
class Node:
    """The node's folder, and the network around it."""

    folder: Path
    served: Any
    token: str

    def listed(self) -> None:
        """The root lists the hospital, its keys as they were made."""
        with opened(self.folder) as place:
            member = Member(
                id="hanbit",
                name=place.config.name,
                role=Role.HOLDER,
                affiliation=place.config.affiliation,
                board_key=place.config.board_key,
                node_key=public_text(keys.read(place.node_key)),
            )
        network = self.served.network
        others = tuple(hospital.member for hospital in network.hospitals.values())
        sealed = network.directory(members=(network.asker, *others, member))
        assert self.served.http.put("/v1/directory", content=encode(sealed)).status_code == 204

    def dure(self, *arguments: str, **options: Any) -> str:
        return dure("node", *arguments, "--dir", str(self.folder), **options)

    def submit(self, **changes: Any) -> str:
        study = self.served.network.study(**changes)
        assert self.served.submit(study, self.token).status_code == 201
        return study.digest

    def others(self) -> None:
        """The made-up hospitals do what waits for them."""
        for hospital in self.served.network.hospitals.values():
            hospital.turn(self.served.http, self.served.network.asker)

    def part(self, study: str) -> dict[str, Any]:
        """What the hub tells the asker of this hospital."""
        parts = self.served.get(f"/v1/studies/{study}", self.token).json()["parts"]
        return next(part for part in parts if part["hospital"] == "hanbit")

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """The node at work, until the block ends; then it ends by a signal, with exit code 0."""
        process = subprocess.Popen(
            [*DURE, "node", "run", "--dir", str(self.folder)], stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        try:
            yield process
        finally:
            process.terminate()
            process.stderr.close()
            assert process.wait(timeout=30) == 0

    def until_reported(self, study: str) -> Report:
        """Let the made-up hospitals answer until the report is there; the node runs beside them."""
        for _ in range(2000):
            self.others()
            state = self.served.get(f"/v1/studies/{study}", self.token).json()
            if state["over"]:
                return self.report(study)
            time.sleep(0.02)
        raise AssertionError(state)

    def report(self, study: str) -> Report:
        return decode(
            Report, self.served.get(f"/v1/studies/{study}/report", self.token).content, where="report"
        )


@pytest.fixture
def init(served, cdm, tmp_path):
    """The arguments that make a node."""
    root = tmp_path / "root.pub"
    root.write_text(served.network.root_key)
    return {
        "--hub": str(served.http.base_url),
        "--code": served.code("hanbit"),
        "--root": str(root),
        "--id": "hanbit",
        "--name": "Hanbit Hospital",
        "--affiliation": "hanbit",
        "--cdm": str(cdm),
        "--declare": "synthetic",
        "--dir": str(tmp_path / "node"),
    }


def flat(options: dict[str, str]) -> list[str]:
    return [part for pair in options.items() for part in pair]


@pytest.fixture
def node(served, init, tmp_path):
    dure("node", "init", *flat(init))
    settings = tmp_path / "node" / "node.yaml"
    settings.write_text(settings.read_text().replace("wait_seconds: 25", "wait_seconds: 1"))
    made = Node(tmp_path / "node", served, served.user("ada@example.org"))
    made.listed()
    return made


def pooled(served, cdm) -> np.ndarray:
    """The ages of everyone, the made-up and the synthetic."""
    question = peek_question(served)
    with open_engine(str(cdm)) as engine:
        frame = DistributionKind().extract(question, "median", engine, {})
    return np.sort(
        np.concatenate([*(h.values for h in served.network.hospitals.values()), frame.columns["value"]])
    )


def peek_question(served):
    from dure.study.spec import Study

    return peek(Study, served.network.study(), where="study").question


def test_from_enrolment_to_the_report(served, cdm, init, tmp_path):
    out = dure("node", "init", *flat(init))
    with opened(tmp_path / "node") as place:
        assert fingerprint(place.config.board_key) in out
    node = Node(tmp_path / "node", served, served.user("ada@example.org"))
    waiting = node.dure("run", "--once", code=54)
    assert "hasn't listed hanbit yet" in waiting
    node.listed()
    study = node.submit()
    node.dure("run", "--once")
    assert "Ages" in node.dure("requests")
    shown = node.dure("show", study)
    assert "Example Pharma" in shown
    assert "What would leave" in shown
    assert "The hub has it" in node.dure("sign", study)
    assert "No request waits" in node.dure("requests")
    with node.running():
        report = node.until_reported(study)
    rows = {row[1]: row for row in report.tables[0].rows}
    everyone = pooled(served, cdm)
    assert rows["median"][2] == len(everyone)
    low, high = rows["median"][3:]
    assert low <= np.quantile(everyone, 0.5, method="inverted_cdf") < high
    assert "hanbit" in {part.hospital for part in report.participation}
    status = node.dure("status")
    assert re.search(r"listed +listed in directory version", status)
    assert re.search(r"to send +0 letters", status)


def test_by_hospital_needs_an_explicit_yes(node):
    study = node.submit(mode=Mode.BY_HOSPITAL)
    node.dure("run", "--once")
    assert "explicit yes" in node.dure("sign", study, code=77)
    node.dure("sign", study, "--consent-by-hospital", "--least-people", "20")
    node.others()
    assert node.part(study)["state"] == "signed"


def test_a_decline_reaches_the_asker(node):
    study = node.submit()
    node.dure("run", "--once")
    node.dure("decline", study, "--reason", "Not our field.")
    part = node.part(study)
    assert (part["state"], part["reason"]) == ("declined", "Not our field.")


def test_a_permit_sealed_elsewhere_counts(node, tmp_path):
    study = node.submit()
    node.dure("run", "--once")
    away = tmp_path / "away"
    away.mkdir()
    (node.folder / "board.key").rename(away / "board.key")
    node.dure("sign", study, code=75)
    node.dure("sign", study, "--prepare", str(away / "permit.json"))
    seal = [
        "node",
        "seal",
        str(away / "permit.json"),
        "--board-key",
        str(away / "board.key"),
        "--out",
        str(away / "signed.json"),
    ]
    assert "Ages" in dure(*seal, answers="y\n")
    node.dure("sign", study, "--signed", str(away / "signed.json"))
    assert node.part(study)["state"] == "signed"
    with opened(node.folder) as place:
        assert peek(Permit, place.journal.decision(study).envelope, where="").study == study


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"--code": "wrong"}, 73, "no enrolment code"),
        ({"--hub": "http://127.0.0.1:9"}, 72, "No answer"),
        ({"--cdm": "/nowhere.duckdb"}, 91, "isn't a file"),
        ({"--root": "nonsense"}, 70, "no public key"),
        ({"--id": "Han Bit"}, 70, "can't name"),
        ({"--least-people": "1", "--declare": "real"}, 70, "off for real data"),
    ],
)
def test_a_node_that_cannot_be_made_says_why_and_leaves_nothing(init, tmp_path, change, code, says):
    out = dure("node", "init", *flat({**init, **change}), code=code)
    assert says in out
    assert "mend:" in out
    assert not (tmp_path / "node").exists()
    assert not (tmp_path / "node.partial").exists()


def test_two_nodes_never_work_in_one_folder(node):
    with node.running() as process:
        assert "waits for work" in next(line for line in process.stderr if "waits" in line)
        assert "Another process" in node.dure("run", "--once", code=74)


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has mapped is read from Linux's /proc")
def test_an_idle_node_gives_its_memory_back(node):
    """The process stays the same to whoever watches it, and no longer holds the libraries of its work."""
    settings = node.folder / "node.yaml"
    settings.write_text(settings.read_text().replace("idle_minutes: 10", "idle_minutes: 0"))
    node.submit()
    with node.running() as process:
        assert "starts afresh" in next(line for line in process.stderr if "afresh" in line)
        next(line for line in process.stderr if "waits for the board" in line)
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        assert "libarrow" not in maps
        assert "libsqlite" in maps or "_sqlite3" in maps
        mebibytes = psutil.Process(process.pid).memory_full_info().pss / 2**20
        assert mebibytes < 100


def test_a_folder_that_is_no_node_is_named(tmp_path):
    assert "holds no node.yaml" in dure("node", "status", "--dir", str(tmp_path), code=71)
