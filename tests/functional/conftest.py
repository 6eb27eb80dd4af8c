"""A real browser before a real hub: its pages over HTTP, and a small network behind it.

Every message is signed with a real key and goes through the hub's own doors; the statistics and the gate are Dure's. Only
the databases are missing: a hospital's frame is drawn at random.
"""

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import dure
from dure.client.connection import Client
from dure.client.study_file import read
from dure.client.transport import Transport
from dure.hub.actions import accounts
from dure.hub.actions.accounts import UserRole
from dure.hub.settings import Settings
from dure.portal.app import create
from dure.stats.base import Frame
from dure.stats.counts import CountsParams
from dure.study.kinds import kind_of
from dure.study.protocol.answer import message, remembered, through_gate
from dure.study.protocol.player import Player, table
from dure.study.spec import Study
from dure.wire.codec import decode, digest, encode
from dure.wire.directory import Directory, Member, Role
from dure.wire.envelope import Envelope, peek, public_text, seal
from dure.wire.messages import (
    Acceptance,
    Contribution,
    DatasetDeclaration,
    Decline,
    Exchange,
    Manifest,
    Permit,
    Poll,
    PollAnswer,
    Provenance,
    Refusal,
)
from dure.wire.rules import Rules

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
PASSWORD = "correct horse battery"
ASKER, REGULATOR = "asker@example.org", "regulator@example.org"
COHORTS = Path(dure.__file__).parent / "demo" / "cohorts"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
JSON = {"Content-Type": "application/json"}


def _frame(params: Any, people: int, seed: int) -> Frame:
    """People of one hospital, with levels and sizes that look like a hospital's."""
    draw = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for strata in params.strata:
        levels = len(strata.levels)
        shape = np.exp(-0.5 * ((np.arange(levels) - 0.55 * levels) / (0.2 * levels)) ** 2)
        columns[strata.name] = draw.choice(levels, size=people, p=shape / shape.sum())
    if isinstance(params, CountsParams):
        columns["reached"] = np.minimum(draw.geometric(0.35, people), len(params.stages))
    else:
        columns["days"] = draw.integers(30, 2000, people)
        columns["outcomes"] = draw.poisson(0.03, people)
    return Frame(person=np.arange(people, dtype=np.int64), columns=columns)


@dataclass
class Hospital:
    """One hospital: keys, a size, and its board's mind."""

    name: str
    title: str
    people: int
    declines: str = ""
    board: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    node: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    runs: dict[str, tuple[Manifest, Study]] = field(default_factory=dict)
    players: dict[str, Player] = field(default_factory=dict)
    studies: dict[str, Study] = field(default_factory=dict)
    decided: set[str] = field(default_factory=set)

    @property
    def member(self) -> Member:
        return Member(
            id=self.name,
            name=self.title,
            role=Role.HOLDER,
            affiliation=self.name,
            board_key=public_text(self.board),
            node_key=public_text(self.node),
        )

    def declare(self, hub: httpx.Client) -> None:
        """Say what the dataset is."""
        declaration = DatasetDeclaration(
            hospital=self.name,
            dataset_version="2026-01",
            cdm_version="5.4",
            provenance=Provenance.SYNTHETIC,
            people_about=self.people // 100 * 100,
            first_date=date(2012, 1, 1),
            last_date=date(2025, 12, 31),
            declared=datetime.now(UTC),
        )
        _post(hub, "/v1/declarations", seal(declaration, "declaration", self.board))

    def turn(self, hub: httpx.Client, asker: Member) -> bool:
        """Poll once and answer everything that waits; whether there was anything."""
        poll = Poll(
            hospital=self.name,
            epoch=1,
            dataset_version="2026-01",
            directory_version=1,
            sent=datetime.now(UTC),
            wait_seconds=0,
            nonce=np.random.default_rng().bytes(16).hex(),
        )
        answer = decode(PollAnswer, _post(hub, "/v1/node/poll", seal(poll, "poll", self.node)), where="poll")
        offers = [offer.study for offer in answer.offers if offer.study.digest not in self.decided]
        for study in offers:
            self._decide(hub, study, asker)
        for run in answer.runs:
            manifest = decode(Manifest, run.manifest, where="manifest")
            study = self.studies[manifest.study]
            self.runs[manifest.run] = (manifest, study)
            permits = [peek(Permit, one, where="permit") for one in run.permits]
            node_keys = {permit.hospital: permit.node_key for permit in permits}
            self.players[manifest.run] = Player(
                table(
                    manifest,
                    study,
                    me=self.name,
                    key=self.node,
                    node_keys=node_keys,
                    outside=frozenset(node_keys),
                )
            )
        for task in answer.tasks:
            self._do(hub, task)
        return bool(answer.tasks or offers)

    def _decide(self, hub: httpx.Client, study: Envelope, asker: Member) -> None:
        self.studies[study.digest] = peek(Study, study, where="offer")
        asked = self.studies[study.digest]
        now = datetime.now(UTC)
        self.decided.add(study.digest)
        if self.declines:
            no = Decline(study=study.digest, hospital=self.name, reason=self.declines, issued=now)
            _post(hub, "/v1/node/decisions", seal(no, "decline", self.board))
            return
        assert asker.asker_key is not None
        permit = Permit(
            study=study.digest,
            asker=asked.asker,
            asker_key=asker.asker_key,
            hospital=self.name,
            node_key=public_text(self.node),
            epoch=1,
            dataset_version="2026-01",
            provenance=Provenance.SYNTHETIC,
            mode=asked.mode,
            rules=Rules(),
            rounds=20,
            issued=now,
            expires=asked.expires,
        )
        _post(hub, "/v1/node/decisions", seal(permit, "permit", self.board))

    def _do(self, hub: httpx.Client, task: Any) -> None:
        manifest, study = self.runs[task.run]
        if task.position.exchange is Exchange.ACCEPT:
            seat = Acceptance(run=task.run, manifest=task.manifest, hospital=self.name)
            _post(hub, "/v1/node/answers", seal(seat, "acceptance", self.node))
            return
        player = self.players[task.run]
        if player.asked_by(task):
            word = player.word(task, secret=secrets.token_bytes(32))
            _post(hub, "/v1/node/answers", seal(word, "handshake", self.node))
            return
        step = kind_of(study.question).steps(study.question)[task.position.step]
        seed = int(digest(f"{self.name} {study.title}".encode())[-8:], 16)
        frame = _frame(step.params, self.people // 10, seed)
        state = decode(step.statistic.state, task.state, where="state")
        roster = {seat.hospital for seat in manifest.roster}
        memory = remembered(task, me=self.name, roster=roster, outside=roster)
        answer = step.statistic.local(frame, step.params, state)
        released = through_gate(step, task, answer, rules=manifest.rules, memory=memory)
        said = message(released, task, self.name)
        if isinstance(said, Contribution) and manifest.masked:
            said = player.over(task, said)
        kind = "refusal" if isinstance(said, Refusal) else "contribution"
        _post(hub, "/v1/node/answers", seal(said, kind, self.node))


def directory(root: Ed25519PrivateKey, members: tuple[Member, ...]) -> Envelope:
    """The first directory, signed by the root."""
    now = datetime.now(UTC)
    return seal(
        Directory(
            version=1, issued=now - timedelta(hours=1), expires=now + timedelta(days=1), members=members
        ),
        "directory",
        root,
    )


def play(hub: httpx.Client, hospitals: list[Hospital], asker: Member, *, turns: int = 200) -> None:
    """Let every hospital answer in turn until nothing waits."""
    for _ in range(turns):
        busy = [hospital.turn(hub, asker) for hospital in hospitals]
        if not any(busy):
            return
    raise AssertionError("the hospitals were never done")


def _post(hub: httpx.Client, door: str, envelope: Envelope) -> bytes:
    answer = hub.post(door, content=encode(envelope), headers=JSON)
    assert answer.is_success, f"{door}: {answer.status_code} {answer.text}"
    return answer.content


@dataclass
class Site:
    """A hub that serves, with its network."""

    url: str
    root: Ed25519PrivateKey
    key: Ed25519PrivateKey
    asker: Member
    hospitals: list[Hospital]
    folder: Path
    token: str = ""

    @property
    def client(self) -> Client:
        return Client(Transport(self.url, self.token), root=public_text(self.root), key=self.key)

    def submit(self, title: str, *, kind: str = "feasibility", mode: str = "total", more: str = "") -> str:
        """Put a study before the hospitals; its digest."""
        path = self.folder / "study.yaml"
        cohorts = (
            f"cohort: {{name: New users of empagliflozin, file: {COHORTS}/empagliflozin_new_users.json}}"
            if kind == "feasibility"
            else f"target: {{name: New users of empagliflozin, file: {COHORTS}/empagliflozin_new_users.json}}\n"
            f"  outcome: {{name: Heart failure, file: {COHORTS}/heart_failure_stay.json}}"
        )
        path.write_text(
            f"title: {title}\npurpose: trial_design\npurpose_text: How many people fit, and which rule costs most.\n"
            f"mode: {mode}\nquestion:\n  kind: {kind}\n  {cohorts}\n  first_year: 2014\n  last_year: 2025\n{more}"
        )
        with self.client as client:
            return client.submit(read(path))

    def play(self, *names: str) -> None:
        """Let hospitals answer what waits, all if none is named."""
        chosen = [hospital for hospital in self.hospitals if not names or hospital.name in names]
        with httpx.Client(base_url=self.url, timeout=60) as hub:
            play(hub, chosen, self.asker)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[Site]:
    """A hub with its pages on this machine, five hospitals, an asker and a regulator."""
    folder = tmp_path_factory.mktemp("hub")
    root, key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    settings = Settings(database=f"sqlite:///{folder}/hub.sqlite", root_key=public_text(root))
    app = create(settings)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    asker = Member(
        id="aram-pharma", name="Aram Pharma", role=Role.USER, affiliation="aram", asker_key=public_text(key)
    )
    hospitals = [
        Hospital("hanbit", "Hanbit University Hospital", 48_000),
        Hospital("haneul", "Haneul Medical Center", 31_000),
        Hospital("mulgyeol", "Mulgyeol Hospital", 12_000),
        Hospital("saebyeok", "Saebyeok General Hospital", 22_000),
        Hospital(
            "solbaram",
            "Solbaram Hospital",
            9_000,
            declines="The board takes part in no trial design this year.",
        ),
    ]
    made = Site(
        url=f"http://127.0.0.1:{port}", root=root, key=key, asker=asker, hospitals=hospitals, folder=folder
    )
    hub, now = app.state.hub, datetime.now(UTC)
    hashed = accounts.hash_password(PASSWORD)
    for organisation, email, role in (
        ("aram-pharma", ASKER, UserRole.ASKER),
        ("ministry", REGULATOR, UserRole.REGULATOR),
    ):
        hub.writes(accounts.add_organisation, name=organisation, title=organisation, now=now)
        hub.writes(
            accounts.add_user,
            email=email,
            organisation=organisation,
            role=role,
            password_hash=hashed,
            now=now,
        )
    with httpx.Client(base_url=made.url, timeout=60) as door:
        members = directory(root, (asker, *(hospital.member for hospital in hospitals)))
        assert door.put("/v1/directory", content=encode(members), headers=JSON).is_success
        for hospital in hospitals:
            hospital.declare(door)
        session = door.post("/v1/sessions", json={"email": ASKER, "password": PASSWORD})
        made.token = session.json()["token"]
    yield made
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture(scope="session")
def reported(site) -> str:
    """A feasibility study that is over, one hospital having declined."""
    study = site.submit("New users of empagliflozin who could join a heart-failure trial")
    site.play()
    return study


@pytest.fixture(scope="session")
def reported_by_hospital(site) -> str:
    """An incidence study released by hospital."""
    study = site.submit(
        "Heart failure among new users, by hospital",
        kind="incidence",
        mode="by_hospital",
        more="  breakdowns: [age, sex]\n",
    )
    site.play()
    return study


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium."""
    found = os.environ.get("DURE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip(
            "needs Chromium: apt-get install chromium fonts-noto-cjk, or set DURE_CHROMIUM to its path"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def signed_in(browser, site):
    """What a browser keeps of a user who has signed in; each user does so once."""

    @cache
    def keeps(user: str):
        context = browser.new_context(base_url=site.url)
        page = context.new_page()
        page.goto("/signin")
        page.locator("#email").fill(user)
        page.locator("#password").fill(PASSWORD)
        page.locator("main button").click()
        page.wait_for_url("**/studies")
        kept = context.storage_state()
        context.close()
        return kept

    return keeps


@pytest.fixture
def visit(browser, site, signed_in):
    """Open a page as a reader; at the end, nothing may have gone wrong in it or left for another host."""
    opened, wrong = [], []

    def open_page(
        *,
        user: str | None = ASKER,
        dark: bool = False,
        scripts: bool = True,
        language: str = "en-GB",
        wide: int = 1180,
    ):
        context = browser.new_context(
            base_url=site.url,
            storage_state=signed_in(user) if user else None,
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            locale=language,
            viewport={"width": wide, "height": 900},
        )
        opened.append(context)
        page = context.new_page()
        page.on("request", lambda request: _inside(request.url, site.url, wrong))
        page.on(
            "console",
            lambda message: wrong.append(message.text) if message.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        if user is not None:
            page.goto("/studies")
        return page

    open_page.wrong = wrong
    yield open_page
    for context in opened:
        context.close()
    assert wrong == []


def _inside(address: str, ours: str, wrong: list[str]) -> None:
    if not address.startswith((ours, "data:")):
        wrong.append(f"a request to {address}")


@pytest.fixture
def picture(request):
    """Keep a picture of a page in tests/artifacts, for people to look at, where the variable DURE_PICTURES is set."""

    def keep(page, name: str) -> None:
        if "DURE_PICTURES" not in os.environ:
            return
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{re.sub('[^a-z0-9-]', '-', name)}.png", full_page=True)

    return keep
