"""Databases for the hub, real ones; and a network of made-up members that keeps to the protocol over HTTP."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from dure.hub.actions import accounts, enrolments
from dure.hub.actions.accounts import UserRole
from dure.hub.app import create_app
from dure.hub.hub import Hub
from dure.hub.settings import Settings
from dure.node.draw import draw
from dure.stats.base import Frame
from dure.study.kinds import kind_of
from dure.study.kinds.base import Cohort
from dure.study.kinds.distribution import Distribution
from dure.study.protocol.answer import message, remembered, through_gate
from dure.study.protocol.noised import Noising
from dure.study.protocol.player import Player, table
from dure.study.spec import Purpose, Study
from dure.wire.codec import decode, digest, encode
from dure.wire.directory import Directory, Member, Role
from dure.wire.envelope import Envelope, peek, public_text, seal
from dure.wire.messages import (
    Acceptance,
    Contribution,
    DatasetDeclaration,
    Decline,
    Enrolment,
    Exchange,
    Manifest,
    Permit,
    Poll,
    PollAnswer,
    Provenance,
    Refusal,
    RunOffer,
)
from dure.wire.rules import Mode, Rules

PASSWORD = "correct horse battery"
HOSPITALS = ("aram", "byeol", "chorok", "dalbit", "eunha")
EVERYONE = {
    "PrimaryCriteria": {
        "CriteriaList": [{"ObservationPeriod": {}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    },
    "ConceptSets": [],
    "QualifiedLimit": {"Type": "First"},
    "ExpressionLimit": {"Type": "First"},
    "InclusionRules": [],
    "CensoringCriteria": [],
    "CollapseSettings": {"CollapseType": "ERA", "EraPad": 0},
    "CensorWindow": {},
}


def now() -> datetime:
    return datetime.now(UTC)


# databases


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server that belongs to this test session."""

    socket: str
    port: int
    user: str

    def address(self, database: str) -> str:
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{database}"

    def create(self) -> str:
        name = f"dure_{secrets.token_hex(6)}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.address(name)


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in candidates if (folder / "postgres").exists()), None)


def _account() -> str | None:
    """Whom to run the server as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip(
            "PostgreSQL's server isn't installed, so nothing was tested on it."
            " On Debian: apt-get install postgresql; elsewhere put its bin folder into PATH"
        )
    account = _account()
    if os.geteuid() == 0 and account is None:
        pytest.skip(
            "PostgreSQL doesn't run as root and there is no account 'postgres' or 'nobody' to run it as"
        )
    folder = Path(tempfile.mkdtemp(prefix="dure-pg-"))
    as_whom: dict[str, Any] = {}
    if account is not None:
        entry = pwd.getpwnam(account)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        as_whom = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    run = {**as_whom, "cwd": folder, "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}}
    subprocess.run(
        [
            str(binaries / "initdb"),
            *(
                "--pgdata",
                str(folder / "data"),
                "--username",
                "dure",
                "--auth",
                "trust",
                "--encoding",
                "UTF8",
            ),
            *("--locale", "C", "--no-sync"),
        ],
        check=True,
        capture_output=True,
        **run,
    )
    port = _free_port()
    options = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "shared_buffers": "32MB",
        "max_connections": 200,
    }
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        server = subprocess.Popen(
            [
                str(binaries / "postgres"),
                *("-D", str(folder / "data")),
                *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
            ],
            stdout=log,
            stderr=log,
            **run,
        )
        try:
            _wait_until_ready(server, port, Path(log.name))
            yield Server(str(folder), port, "dure")
        finally:
            server.terminate()
            server.wait(timeout=30)
            shutil.rmtree(folder, ignore_errors=True)
            Path(log.name).unlink(missing_ok=True)


def _wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL didn't start: {log.read_text(errors='replace')}")
        try:
            psycopg.connect(f"postgresql://dure@127.0.0.1:{port}/postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("PostgreSQL didn't answer within half a minute")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind that the hub can use."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.sqlite'}"
    server: Server = request.getfixturevalue("postgresql_server")
    return server.create()


# members


@dataclass
class Hospital:
    """A hospital: its keys, its made-up people, and a node that forgets nothing it sent.

    Attributes:
        values: one value a person, the column that Distribution asks about.
    """

    id: str
    affiliation: str
    values: np.ndarray
    board: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    node: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    rules: Rules = field(default_factory=Rules)
    provenance: Provenance = Provenance.REAL
    declines: str | None = None
    epoch: int = 1
    studies: dict[str, Envelope] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    permits: dict[str, tuple[Permit, ...]] = field(default_factory=dict)
    players: dict[str, Player] = field(default_factory=dict)
    decided: dict[str, Envelope] = field(default_factory=dict)
    sent: dict[tuple[str, str], Envelope] = field(default_factory=dict)

    @property
    def member(self) -> Member:
        return Member(
            id=self.id,
            name=f"{self.id.title()} Hospital",
            role=Role.HOLDER,
            affiliation=self.affiliation,
            board_key=public_text(self.board),
            node_key=public_text(self.node),
            epoch=self.epoch,
        )

    def declaration(self, **changes: Any) -> Envelope:
        told = {
            "hospital": self.id,
            "dataset_version": "2026-01",
            "cdm_version": "5.4",
            "provenance": self.provenance,
            "people_about": 200,
            "first_date": date(2015, 1, 1),
            "last_date": date(2025, 12, 31),
            "declared": now(),
        }
        return seal(DatasetDeclaration(**{**told, **changes}), "declaration", self.board)

    def enrolment(self) -> Envelope:
        asked = Enrolment(
            hospital=self.id,
            name=self.member.name,
            affiliation=self.affiliation,
            board_key=public_text(self.board),
            node_key=public_text(self.node),
            declaration=self.declaration(),
            created=now(),
        )
        return seal(asked, "enrolment", self.board, self.node)

    def poll(
        self, *, wait: int = 0, version: int = 0, sent: datetime | None = None, **changes: Any
    ) -> Envelope:
        told = {
            "hospital": self.id,
            "epoch": self.epoch,
            "dataset_version": "2026-01",
            "directory_version": version,
            "sent": sent or now(),
            "wait_seconds": wait,
            "nonce": secrets.token_hex(16),
        }
        return seal(Poll(**{**told, **changes}), "poll", self.node)

    def permit(self, study: Envelope, asker: Member, **changes: Any) -> Envelope:
        asked = decode(Study, study.payload, where="study")
        told = {
            "study": study.digest,
            "asker": asker.id,
            "asker_key": asker.asker_key,
            "hospital": self.id,
            "node_key": public_text(self.node),
            "epoch": self.epoch,
            "dataset_version": "2026-01",
            "provenance": self.provenance,
            "mode": asked.mode,
            "rules": self.rules,
            "rounds": 100,
            "issued": now(),
            "expires": asked.expires,
        }
        return seal(Permit(**{**told, **changes}), "permit", self.board)

    def decide(self, study: Envelope, asker: Member) -> Envelope:
        """The board's decision; the same envelope however often it is asked for."""
        if study.digest not in self.decided:
            no = Decline(study=study.digest, hospital=self.id, reason=self.declines or "", issued=now())
            self.decided[study.digest] = (
                self.permit(study, asker) if self.declines is None else seal(no, "decline", self.board)
            )
        return self.decided[study.digest]

    def answer(self, task: Any) -> Envelope:
        """The node's answer to a task; the same envelope for the same task."""
        key = (task.run, digest(encode(task)))
        if key not in self.sent:
            reply = self._answer(task)
            self.sent[key] = seal(reply, type(reply).__name__.lower(), self.node)
        return self.sent[key]

    def _answer(self, task: Any) -> Any:
        manifest = self.manifests[task.run]
        if task.position.exchange is Exchange.ACCEPT:
            return Acceptance(run=task.run, manifest=task.manifest, hospital=self.id)
        study = decode(Study, self.studies[manifest.study].payload, where="study")
        player = self._player(manifest, study)
        if player.asked_by(task):
            return player.word(task, secret=secrets.token_bytes(32))
        step = kind_of(study.question).steps(study.question)[task.position.step]
        frame = Frame(person=np.arange(len(self.values)), columns={"value": self.values})
        state = decode(step.statistic.state, task.state, where="state")
        computed = step.statistic.local(frame, step.params, state)
        roster = {seat.hospital for seat in manifest.roster}
        memory = remembered(task, me=self.id, roster=roster, outside=roster)
        noising = Noising(question=study.question, hospitals=len(roster), draw=draw)
        released = through_gate(step, task, computed, rules=manifest.rules, memory=memory, noising=noising)
        told = message(released, task, self.id)
        return player.over(task, told) if manifest.masked and isinstance(told, Contribution) else told

    def _player(self, manifest: Manifest, study: Study) -> Player:
        if manifest.run not in self.players:
            node_keys = {permit.hospital: permit.node_key for permit in self.permits[manifest.run]}
            self.players[manifest.run] = Player(
                table(
                    manifest,
                    study,
                    me=self.id,
                    key=self.node,
                    node_keys=node_keys,
                    outside=frozenset(node_keys),
                )
            )
        return self.players[manifest.run]

    def hear(self, offer: RunOffer) -> None:
        """Keep what a run is made of."""
        manifest = decode(Manifest, offer.manifest, where="manifest")
        self.manifests[manifest.run] = manifest
        self.permits[manifest.run] = tuple(peek(Permit, one, where="permit") for one in offer.permits)

    def refuse(self, task: Any, reason: str) -> Envelope:
        said = Refusal(
            run=task.run,
            manifest=task.manifest,
            hospital=self.id,
            position=task.position,
            rule="least-people",
            reason=reason,
        )
        return seal(said, "refusal", self.node)

    def turn(self, http: Any, asker: Member, *, wait: int = 0, send: bool = True) -> PollAnswer:
        """One poll and all that it asks for."""
        body = encode(self.poll(wait=wait))
        reply = http.post("/v1/node/poll", content=body, timeout=wait + 30)
        assert reply.status_code == 200, reply.text
        found = decode(PollAnswer, reply.content, where="poll")
        for offer in found.offers:
            self.studies[offer.study.digest] = offer.study
        for run in found.runs:
            self.hear(run)
        if send:
            for offer in found.offers:
                _ok(http.post("/v1/node/decisions", content=encode(self.decide(offer.study, asker))))
            for task in found.tasks:
                _ok(http.post("/v1/node/answers", content=encode(self.answer(task))))
        return found


def _ok(reply: httpx.Response) -> None:
    assert reply.status_code == 204, reply.text


@dataclass
class Network:
    """Root, askers and hospitals, and how they speak to a hub."""

    root: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    asker_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    hospitals: dict[str, Hospital] = field(default_factory=dict)
    version: int = 0

    @property
    def root_key(self) -> str:
        return public_text(self.root)

    @property
    def asker(self) -> Member:
        return Member(
            id="example-pharma",
            name="Example Pharma",
            role=Role.USER,
            affiliation="example-pharma",
            asker_key=public_text(self.asker_key),
        )

    def directory(self, **changes: Any) -> Envelope:
        self.version += 1
        told = {
            "version": self.version,
            "issued": now() - timedelta(minutes=1),
            "expires": now() + timedelta(days=30),
            "members": (self.asker, *(hospital.member for hospital in self.hospitals.values())),
        }
        return seal(Directory(**{**told, **changes}), "directory", self.root)

    def study(self, **changes: Any) -> Envelope:
        told = {
            "title": "Ages",
            "asker": "example-pharma",
            "purpose": Purpose.RESEARCH,
            "purpose_text": "To test.",
            "mode": Mode.TOTAL,
            "question": Distribution(cohort=Cohort(name="everyone", circe=EVERYONE), bins=32),
            "hospitals": (),
            "created": now(),
            "closes": now() + timedelta(hours=1),
            "expires": now() + timedelta(days=1),
            "nonce": secrets.token_hex(8),
        }
        return seal(Study(**{**told, **changes}), "study", self.asker_key)


@pytest.fixture
def network() -> Network:
    """Five hospitals of 200 made-up people each."""
    random = np.random.default_rng(7)
    made = Network()
    for name in HOSPITALS:
        made.hospitals[name] = Hospital(id=name, affiliation=name, values=random.integers(20, 90, 200))
    return made


@dataclass
class Served:
    """A hub within the test's process, its accounts, and a client for each."""

    hub: Hub
    http: httpx.Client
    network: Network

    def user(
        self, email: str, *, organisation: str = "example-pharma", role: UserRole = UserRole.ASKER
    ) -> str:
        """An Authorization header's value for a new user."""
        with suppress(Exception):
            self.hub.writes(accounts.add_organisation, name=organisation, title=organisation, now=now())
        self.hub.writes(
            accounts.add_user,
            email=email,
            organisation=organisation,
            role=role,
            password_hash=accounts.hash_password(PASSWORD),
            now=now(),
        )
        reply = self.http.post("/v1/sessions", json={"email": email, "password": PASSWORD})
        assert reply.status_code == 200, reply.text
        return f"Bearer {reply.json()['token']}"

    def code(self, hospital: str, *, hours: int = 1) -> str:
        return self.hub.writes(enrolments.make_code, hospital=hospital, hours=hours, now=now())

    def put_directory(self) -> None:
        _ok(self.http.put("/v1/directory", content=encode(self.network.directory())))

    def submit(self, study: Envelope, token: str) -> httpx.Response:
        return self.http.post("/v1/studies", content=encode(study), headers={"authorization": token})

    def turn_all(self, turns: int = 100) -> None:
        """Let every hospital work until nothing is asked any more."""
        for _ in range(turns):
            found = [h.turn(self.http, self.network.asker) for h in self.network.hospitals.values()]
            if not any(answer.offers or answer.tasks for answer in found):
                return
        raise AssertionError("the network never came to rest")

    def get(self, path: str, token: str, **query: Any) -> httpx.Response:
        return self.http.get(path, params=query, headers={"authorization": token})


@pytest.fixture
def served(database_url: str, network: Network) -> Iterator[Served]:
    """A hub on each database, with the network's directory put."""
    settings = Settings(database=database_url, root_key=network.root_key, sweep_seconds=0.2)
    app = create_app(settings)
    with serving(app) as http:
        made = Served(hub=app.state.hub, http=http, network=network)
        made.put_directory()
        yield made


@contextmanager
def serving(app: FastAPI) -> Iterator[httpx.Client]:
    """The app on a real port, in a thread of this process, and a client for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            with httpx.Client(base_url=address, timeout=60, transport=httpx.HTTPTransport(retries=3)) as http:
                while not server.started:
                    assert thread.is_alive(), "the hub didn't start"
                    time.sleep(0.01)
                yield http
        finally:
            server.should_exit = True
            thread.join(timeout=60)
