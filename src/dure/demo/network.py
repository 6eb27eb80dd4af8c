"""A whole network on this machine: a hub and nodes as processes of their own, over HTTP on the loopback interface.

Responsible for: making folders and keys, starting, listing members as their root would, stopping. A simulation in one
thing: one person holds every key. Not responsible for: what is asked (`nation`), the people (`synth`).
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.client.connection import Client, sign_in
from dure.client.transport import Transport
from dure.hub import server
from dure.hub import settings as hub_settings
from dure.hub.actions import accounts, enrolments
from dure.hub.actions.accounts import UserRole
from dure.node import config as node_config
from dure.node import keys as node_keys
from dure.node import operate
from dure.node.budget import Budget
from dure.node.config import AutoSign, NodeConfig
from dure.node.place import opened
from dure.wire.codec import encode
from dure.wire.directory import Directory, Member, Role
from dure.wire.envelope import public_text, seal
from dure.wire.messages import Provenance
from dure.wire.problems import Problem
from dure.wire.rules import Rules

COMMAND = (sys.executable, "-m", "dure.cli")
STARTS_WITHIN_SECONDS = 60
STOPS_WITHIN_SECONDS = 10


class NetworkDown(Problem):
    """A program of the demonstration that didn't start, or ended."""

    slug, title, status, exit_code = "network-down", "A program of the demonstration is not running", 500, 101


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """A hospital of the network.

    Attributes:
        auto_sign: its standing yes, so that nobody has to sign what fits it.
        budget: what its noised answers may tell.
    """

    id: str
    name: str
    database: Path
    provenance: Provenance = Provenance.SYNTHETIC
    rules: Rules = Rules()  # noqa: RUF009 - frozen
    auto_sign: AutoSign | None = None
    budget: Budget | None = None


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """Somebody who signs in at the hub. Askers get a key; a regulator doesn't."""

    id: str
    name: str
    email: str
    password: str
    role: UserRole = UserRole.ASKER


class Network:
    """A running network. Use it as a context: leaving it stops every program."""

    def __init__(
        self,
        folder: Path,
        *,
        hospitals: Sequence[Hospital],
        organisations: Sequence[Organisation],
        port: int = 0,
        database: str | None = None,
    ) -> None:
        """Nothing is started before the context is entered.

        Args:
            folder: made, and must be empty or missing.
            port: the hub's; 0 finds a free one.
            database: URL of the hub's database; an SQLite file if not given.
        """
        self.folder = folder
        self.hospitals = hospitals
        self.organisations = organisations
        self.port = port or _free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._database = database
        self._root = Ed25519PrivateKey.generate()
        self._asker_keys: dict[str, Ed25519PrivateKey] = {}
        self._programs: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def root_key(self) -> str:
        """The root's public key, as everyone pins it."""
        return public_text(self._root)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.stop)
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_hub()
            self.start_hub()
            self._enrol()
            self._list_members()
            for hospital in self.hospitals:
                self.start_node(hospital.id)
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def client(self, organisation: str) -> Client:
        """A signed-in user of an organisation, with its key."""
        member = next(one for one in self.organisations if one.id == organisation)
        transport = Transport(self.address, None, patience=STARTS_WITHIN_SECONDS)
        session = sign_in(transport, email=member.email, password=member.password)
        transport.close()
        return Client(
            Transport(self.address, session.token, patience=STARTS_WITHIN_SECONDS),
            root=self.root_key,
            key=self._asker_keys[organisation],
        )

    def sign(self, hospital: str, study: str) -> None:
        """The board of a hospital says yes, to its own numbers too if they are asked for."""
        with opened(self.node_folder(hospital)) as place:
            operate.sign(
                place,
                study,
                rules=None,
                consent_by_hospital=True,
                key=lambda: node_keys.read(place.board_key),
                prepare=None,
                signed=None,
                now=datetime.now(UTC),
                say=_quiet,
            )

    def decline(self, hospital: str, study: str, reason: str) -> None:
        """The board of a hospital says no."""
        with opened(self.node_folder(hospital)) as place:
            key = node_keys.read(place.board_key)
            operate.decline(place, study, key, reason=reason, now=datetime.now(UTC), say=_quiet)

    def waits_at(self, hospital: str, study: str) -> bool:
        """Whether a study has reached the hospital and nobody there has decided."""
        with opened(self.node_folder(hospital)) as place:
            return any(
                offer.study == study and place.journal.decision(study) is None
                for offer in place.journal.offers()
            )

    def node_folder(self, hospital: str) -> Path:
        return self.folder / hospital

    def programs(self) -> Mapping[str, int]:
        """The process ids of what runs, by "hub" or hospital."""
        return {name: program.pid for name, program in self._programs.items() if program.poll() is None}

    def start_hub(self) -> None:
        """Start the hub and wait until it answers."""
        self._start("hub", "hub", "serve", "--folder", str(self.folder / "hub"), "--port", str(self.port))
        until = time.monotonic() + STARTS_WITHIN_SECONDS
        while time.monotonic() < until:
            self._check("hub")
            try:
                if httpx.get(f"{self.address}/v1/health", timeout=2, trust_env=False).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise self._down("hub", "The hub did not answer within a minute.")

    def start_node(self, hospital: str) -> None:
        """Start a hospital's node."""
        self._start(hospital, "node", "run", "--dir", str(self.node_folder(hospital)))

    def kill(self, name: str) -> None:
        """End a program at once, as a power cut would."""
        program = self._programs[name]
        program.kill()
        program.wait()

    def check(self) -> None:
        """Raise NetworkDown where a program has ended by itself."""
        for name in self._programs:
            self._check(name)

    def stop(self) -> None:
        """End every program."""
        for program in self._programs.values():
            if program.poll() is None:
                program.send_signal(signal.SIGTERM)
        for program in self._programs.values():
            try:
                program.wait(STOPS_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()

    def _make_hub(self) -> None:
        folder = self.folder / "hub"
        server.make(folder, database=self._database, root_key=self.root_key)
        with server.opened(hub_settings.load(folder)) as hub:
            for one in self.organisations:
                hub.writes(accounts.add_organisation, name=one.id, title=one.name, now=hub.clock())
                hub.writes(
                    accounts.add_user,
                    email=one.email,
                    organisation=one.id,
                    role=one.role,
                    password_hash=accounts.hash_password(one.password),
                    now=hub.clock(),
                )
            self._codes = {
                hospital.id: hub.writes(enrolments.make_code, hospital=hospital.id, hours=1, now=hub.clock())
                for hospital in self.hospitals
            }

    def _enrol(self) -> None:
        for hospital in self.hospitals:
            told = NodeConfig(
                hub=self.address,
                hospital=hospital.id,
                name=hospital.name,
                affiliation=hospital.id,
                root_key=self.root_key,
                board_key="",
                cdm=str(hospital.database.absolute()),
                provenance=hospital.provenance,
                rules=hospital.rules,
                budget=hospital.budget,
            )
            folder = self.node_folder(hospital.id)
            operate.init(folder, told, code=self._codes[hospital.id], passphrase=None, say=_quiet)
            if hospital.auto_sign is not None:
                node_config.write(folder, replace(node_config.read(folder), auto_sign=hospital.auto_sign))

    def _list_members(self) -> None:
        members = []
        for hospital in self.hospitals:
            with opened(self.node_folder(hospital.id)) as place:
                members.append(
                    Member(
                        id=hospital.id,
                        name=hospital.name,
                        role=Role.HOLDER,
                        affiliation=hospital.id,
                        board_key=place.config.board_key,
                        node_key=public_text(node_keys.read(place.node_key)),
                    )
                )
        for one in self.organisations:
            if one.role is not UserRole.ASKER:
                continue
            self._asker_keys[one.id] = Ed25519PrivateKey.generate()
            key = public_text(self._asker_keys[one.id])
            members.append(
                Member(id=one.id, name=one.name, role=Role.USER, affiliation=one.id, asker_key=key)
            )
        now = datetime.now(UTC)
        directory = Directory(version=1, issued=now, expires=now + timedelta(days=7), members=tuple(members))
        sealed = encode(seal(directory, "directory", self._root))
        httpx.put(f"{self.address}/v1/directory", content=sealed, trust_env=False).raise_for_status()

    def _start(self, name: str, *arguments: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self._programs[name] = subprocess.Popen(  # noqa: S603 - our own command, no shell
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
        )
        log.close()

    def _check(self, name: str) -> None:
        code = self._programs[name].poll()
        if code is not None:
            raise self._down(name, f"{name} ended with exit code {code}.")

    def _down(self, name: str, what: str) -> NetworkDown:
        return NetworkDown(what, where=str(self.folder / f"{name}.log"), mend="Read that file's last lines.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _quiet(line: str) -> None:
    """The demonstration tells its own story."""
