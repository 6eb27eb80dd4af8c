"""A network that is carried by hand, in one folder: a root, an asker, an aggregator, hospitals with real nodes behind their walls.

Responsible for: making it, and running `dure` as its people do. Not responsible for: what is asked of it. The people of a hospital are
made up: the statistic runs over a frame at hand, everything around it is the program.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from dure.cli import main
from dure.client import keys as client_keys
from dure.demo.synth import generate
from dure.engines import open_engine
from dure.govern import root
from dure.node import config as node_config
from dure.node import keys, loop
from dure.node.config import NodeConfig
from dure.node.journal import DATASET, Journal
from dure.node.loop import utc_now
from dure.node.place import BOARD_KEY, NODE_KEY
from dure.wire.codec import decode
from dure.wire.directory import Member, Role
from dure.wire.envelope import public_text
from dure.wire.messages import Provenance
from dure.wire.rules import Rules
from tests.integration.conftest import EVERYONE
from tests.integration.masked_parties import AtHand

HOSPITALS = ("aram", "byeol", "chorok", "dalbit")
SIZES = (40, 55, 70, 85)
BINS = 8
PERSONS = 300
STUDY = """\
title: Ages
purpose: research
purpose_text: To see how old people are.
closes_in: 7 days
expires_in: 30 days
question:
  kind: distribution
  cohort: {name: Everyone, file: everyone.json}
  one_round: true
  bins: 8
"""


class Village:
    """All of it in a folder, the working directory of its commands.

    Attributes:
        people: one value of the histogram a person, by hospital.
    """

    def __init__(self, folder: Path, monkeypatch, capsys, *, databases: bool = False) -> None:
        """Make it. `databases`: hospitals have synthetic people in databases, read by the node's own processes."""
        self.folder, self.capsys = folder, capsys
        monkeypatch.chdir(folder)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "asker"))
        monkeypatch.delenv("DURE_ROOT", raising=False)
        rng = np.random.default_rng(4)
        self.people = {name: rng.integers(0, BINS, size) for name, size in zip(HOSPITALS, SIZES, strict=True)}
        if databases:
            for number, name in enumerate(HOSPITALS, 1):
                generate(
                    persons=PERSONS,
                    seed=1,
                    hospital=number,
                    path=folder / f"{name}.duckdb",
                    progress=lambda _: None,
                )
        else:
            monkeypatch.setattr(loop, "Workshop", self._workshop)
        self.root_key = root.make(folder / "root", None)
        self.asker = client_keys.new()
        (folder / "study.yaml").write_text(STUDY)
        (folder / "everyone.json").write_text(json.dumps(EVERYONE))
        self.sign([self._hospital(name) for name in HOSPITALS] + [self._asker()])

    def sign(self, listed) -> None:
        known = [
            member
            for member in root.members(self.folder / "root")[1]
            if member.id not in {m.id for m in listed}
        ]
        key = root.read_key(self.folder / "root", None)
        root.sign(self.folder / "root", (*known, *listed), key, now=utc_now(), days=90)

    def _asker(self) -> Member:
        return Member(
            id="maker", name="Maker", role=Role.USER, affiliation="maker", asker_key=public_text(self.asker)
        )

    def _hospital(self, name: str) -> Member:
        folder = self.folder / name
        folder.mkdir()
        node, board = keys.make(folder / NODE_KEY), keys.make(folder / BOARD_KEY)
        config = NodeConfig(
            hub="https://hub.example", hospital=name, name=name, affiliation=name, root_key=self.root_key,
            board_key=public_text(board), cdm=str(self.folder / f"{name}.duckdb"), provenance=Provenance.REAL, rules=Rules(),
        )  # fmt: skip
        node_config.write(folder, config)
        journal = Journal(folder, make=True)
        with journal.writing():
            journal.keep_fact(DATASET, self._version(name))
        journal.close()
        return Member(
            id=name, name=name, role=Role.HOLDER, affiliation=name,
            board_key=public_text(board), node_key=public_text(node),
        )  # fmt: skip

    def _version(self, name: str) -> bytes:
        path = self.folder / f"{name}.duckdb"
        if not path.exists():
            return b"v1"
        with open_engine(str(path)) as engine:
            return engine.dataset.version.encode()

    def _workshop(self, *, cdm, **_):
        return AtHand(self.people[Path(cdm).stem])

    def run(self, command: str) -> tuple[int, str]:
        """A command as it is written in the manual, without `dure`; its exit code and all that it said."""
        with pytest.raises(SystemExit) as ended:
            main(command.split())
        said = self.capsys.readouterr()
        return ended.value.code or 0, said.out + said.err

    def does(self, command: str) -> str:
        """A command that must succeed."""
        code, said = self.run(command)
        assert code == 0, f"dure {command}: {said}"
        return said

    # the usual course, file by file

    def aggregator(self, name="ministry", role="regulator", affiliation=None) -> None:
        """A second body that the root lists."""
        group = "" if affiliation is None else f" --affiliation {affiliation}"
        said = self.does(
            f"aggregator keys --dir {name} --id {name} --name {name} --role {role} --root {self.root_key}{group}"
        )
        heard = said.split("fingerprint ")[1].split()[0]
        self.does(f"directory admit-aggregator {name}/enrolment.json --fingerprint {heard}")

    def beginning(self) -> str:
        where = "--dir study --directory root/directory.json"
        return f"study carry begin study.yaml {where} --aggregator ministry --root {self.root_key}"

    def begin(self) -> None:
        self.does(self.beginning())

    def at_hospitals(self, file: str, *, sign=False, names=HOSPITALS) -> str:
        """Every hospital takes a file and gives one; their names."""
        for name in names:
            said = self.does(f"node import {file} --dir {name}")
            if sign:
                self.study = said.split("sha256:")[1][:12]
                self.does(f"node sign {self.study} --dir {name}")
            self.does(f"node export {self.study} --dir {name} --out {name}.json")
        return " ".join(f"{name}.json" for name in names)

    def permitted(self) -> None:
        self.aggregator()
        self.begin()
        files = self.at_hospitals("study/1-request.json", sign=True)
        self.does(f"study carry add {files} --dir study")

    def people_brought(self, without=()) -> None:
        """As far as the asker's file for the aggregator."""
        self.permitted()
        names = [name for name in HOSPITALS if name not in without]
        files = self.at_hospitals("study/2-people.json", names=names)
        left = "".join(f" --without {name}" for name in without)
        self.does(f"study carry add {files} --dir study{left}")

    def opened(self, without=()) -> None:
        """As far as the file that asks for numbers."""
        self.people_brought(without)
        self.does("aggregator add study/3-for-the-aggregator.json --dir ministry --out opened.json")
        self.does("study carry add opened.json --dir study")

    def numbers_brought(self, without=()) -> None:
        self.opened(without)
        names = [name for name in HOSPITALS if name not in without]
        files = self.at_hospitals("study/4-numbers.json", names=names)
        self.does(f"study carry add {files} --dir study")

    def report(self):
        from dure.study.report import Report

        return decode(Report, (self.folder / "study" / "report.json").read_bytes(), where="report")

    def counted(self, names) -> list[int]:
        """What the report must show of these hospitals."""
        return np.bincount(np.concatenate([self.people[name] for name in names]), minlength=BINS).tolist()
