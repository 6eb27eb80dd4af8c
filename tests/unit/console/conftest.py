"""A node's folder with one request in it, a browser without a screen, and no hub."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.console.app import create
from dure.node import config, keys
from dure.node.config import NodeConfig
from dure.node.journal import DATASET, Journal
from dure.node.trust import Trust
from dure.study.kinds.base import Cohort
from dure.study.kinds.distribution import Distribution
from dure.study.spec import Purpose, Study
from dure.wire.directory import Directory, Member, Role
from dure.wire.envelope import public_text, seal
from dure.wire.messages import Provenance
from dure.wire.rules import Mode

CIRCE = json.loads((Path(__file__).parents[2] / "data" / "circe" / "celecoxib.json").read_text())
HERE = "http://127.0.0.1"


class Browser:
    """Asks the application in this process, and keeps its cookies."""

    def __init__(self, app) -> None:
        self.app, self.cookies = app, httpx.Cookies()

    def ask(self, method, path, data=None, **headers):
        async def once():
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=HERE, cookies=self.cookies) as client:
                answer = await client.request(method, path, headers=headers, data=data)
                self.cookies.update(client.cookies)
                return answer

        # In a thread of its own: a browser test in this process leaves an event loop running here.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, once()).result()


@dataclass
class Desk:
    """A node's folder, one study in it, and the browser on it."""

    folder: Path
    study: str
    browser: Browser

    def journal(self) -> Journal:
        return Journal(self.folder)


def make(folder: Path, *, mode: Mode, passphrase: str | None) -> Desk:
    now = datetime.now(UTC)
    root, asker = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    folder.mkdir()
    board, node = keys.make(folder / "board.key", passphrase), keys.make(folder / "node.key")
    told = NodeConfig(
        hub="http://127.0.0.1:9",
        hospital="hanbit",
        name="Hanbit",
        affiliation="hanbit",
        root_key=public_text(root),
        board_key=public_text(board),
        cdm="x.duckdb",
        provenance=Provenance.SYNTHETIC,
    )
    config.write(folder, told)
    members = (
        Member(
            id="maker", name="<b>Maker</b>", role=Role.USER, affiliation="maker", asker_key=public_text(asker)
        ),
        Member(
            id="hanbit",
            name="Hanbit",
            role=Role.HOLDER,
            affiliation="hanbit",
            board_key=public_text(board),
            node_key=public_text(node),
        ),
    )
    directory = Directory(
        version=1, issued=now - timedelta(hours=1), expires=now + timedelta(days=1), members=members
    )
    study = seal(
        Study(
            title="Ages of <script>",
            asker="maker",
            purpose=Purpose.SAFETY,
            purpose_text="A test.",
            mode=mode,
            question=Distribution(cohort=Cohort(name="celecoxib", circe=CIRCE)),
            hospitals=(),
            created=now,
            closes=now + timedelta(hours=1),
            expires=now + timedelta(days=1),
            nonce="1",
        ),
        "study",
        asker,
    )
    journal = Journal(folder, make=True)
    Trust(told, journal, public_text(node)).learn(seal(directory, "directory", root), now=now)
    with journal.writing():
        journal.keep_fact(DATASET, b"v1")
        journal.add_offer(study, fault="", now=now)
    journal.close()
    return Desk(folder, study.digest, Browser(create(folder, key="right")))


@pytest.fixture
def desk(tmp_path):
    """A desk that the reader was let in to, with one request for the network's totals."""
    made = make(tmp_path / "node", mode=Mode.TOTAL, passphrase=None)
    made.browser.ask("GET", "/?key=right")
    return made


@pytest.fixture
def locked_desk(tmp_path):
    """One whose board key has a passphrase, and whose request is for the hospital's own numbers."""
    made = make(tmp_path / "node", mode=Mode.BY_HOSPITAL, passphrase="field")
    made.browser.ask("GET", "/?key=right")
    return made
