"""kill -9 of real hub processes at random moments, while hospitals and an asker keep trying.

Nothing that the hub acknowledged may be lost, nothing may count twice, and the audit log must add up: each acknowledged
message is found in it exactly once, and every checkpoint seen on the way is continued by the last.
"""

import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from dure.govern.log import Entry
from dure.hub import server, settings
from dure.hub.actions import accounts, log
from dure.hub.actions.accounts import UserRole
from dure.hub.store.tables import entries
from dure.study.report import Report
from dure.wire.codec import decode, digest, encode
from dure.wire.envelope import Envelope
from dure.wire.merkle import Checkpoint

PASSWORD = "correct horse battery"
AT_ONCE = 2
LONGEST_SECONDS = 900


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Process:
    """One hub process that is started again after each kill."""

    folder: Path
    port: int = field(default_factory=free_port)
    child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        arguments = ["hub", "serve", "--folder", str(self.folder), "--port", str(self.port)]
        with (self.folder / f"{self.port}.log").open("ab") as log_file:
            self.child = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    "import sys; from dure.cli import main; main(sys.argv[1:])",
                    *arguments,
                ],
                stdout=log_file,
                stderr=log_file,
            )

    def wait_until_up(self) -> None:
        for _ in range(2000):
            assert self.child is not None
            assert self.child.poll() is None, (self.folder / f"{self.port}.log").read_text()
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/v1/health", timeout=5).status_code == 200:
                    return
            time.sleep(0.02)
        raise AssertionError("the hub didn't come up")

    def kill(self) -> None:
        assert self.child is not None
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


everyone: list["Patient"] = []


class Patient:
    """A client that tries the hub's processes in turn until one answers; a network is like that."""

    def __init__(self, urls: list[str], stop: threading.Event) -> None:
        self.urls, self.stop = list(urls), stop
        self.client = httpx.Client(timeout=20)
        self.acknowledged: list[tuple[str, bytes]] = []
        everyone.append(self)

    def send(self, method: str, door: str, **how) -> httpx.Response:
        while not self.stop.is_set():
            try:
                reply = self.client.request(method, self.urls[0] + door, **how)
            except httpx.HTTPError:
                self.urls.append(self.urls.pop(0))
                time.sleep(0.02)
                continue
            if reply.status_code != 503:
                return reply
        raise Stopped

    def post(self, door: str, *, content: bytes, **how) -> httpx.Response:
        reply = self.send("POST", door, content=content)
        if reply.status_code == 204:
            self.acknowledged.append((door, content))
        return reply


class Stopped(Exception):
    """The test is over."""


class PollAgain(Exception):
    """A poll whose answer was lost is not repeated but made anew."""


def work(hospital, asker, patient, stop, failures) -> None:
    """A node's life: a poll that was lost with the hub is refused when repeated, so each turn makes a new one."""
    try:
        while not stop.is_set():
            try:
                hospital.turn(FreshPolls(patient, hospital), asker, wait=1)
            except PollAgain:
                continue
    except Stopped:
        return
    except BaseException as error:
        failures.append(error)
        stop.set()
        raise


class FreshPolls:
    """Posts for a node: a poll goes out once, anything else until it is taken."""

    def __init__(self, patient, hospital) -> None:
        self.patient, self.hospital = patient, hospital

    def post(self, door: str, *, content: bytes, **how) -> httpx.Response:
        if door != "/v1/node/poll":
            return self.patient.post(door, content=content)
        reply = self.patient.send("POST", door, content=content)
        if reply.status_code == 409:
            raise PollAgain
        return reply


def ask(network, patient, token, studies, stop, enough, failures) -> None:
    """An asker who always has some studies under way, until enough kills were made."""
    try:
        while not stop.is_set():
            states = {study["study"]: study["state"] for study in listed(patient, token)}
            lost = set(studies) - set(states)
            assert not lost, f"acknowledged and lost: {lost}"
            under_way = [name for name in studies if states[name] != "reported"]
            if enough.is_set() and not under_way:
                return
            if not enough.is_set() and len(under_way) < AT_ONCE:
                study = network.study(hospitals=tuple(network.hospitals))
                reply = patient.send(
                    "POST", "/v1/studies", content=encode(study), headers={"authorization": token}
                )
                assert reply.status_code in (200, 201), reply.text
                studies.append(study.digest)
            time.sleep(0.05)
    except Stopped:
        return
    except BaseException as error:
        failures.append(error)
        stop.set()
        raise


def listed(patient, token) -> list[dict]:
    reply = patient.send("GET", "/v1/studies", headers={"authorization": token})
    assert reply.status_code == 200, reply.text
    return reply.json()


def run_with_kills(folder: Path, database: str, network, *, kills: int, processes: int, seed: int):
    """Live through so many kills; the studies, the acknowledged messages, the checkpoints seen on the way."""
    server.make(folder, database=database, root_key=network.root_key)
    told = settings.load(folder, {})
    with server.opened(told) as hub:
        tokens = {}
        for organisation, role in (("example-pharma", UserRole.ASKER), ("ministry", UserRole.REGULATOR)):
            hub.writes(accounts.add_organisation, name=organisation, title=organisation, now=hub.clock())
            hub.writes(
                accounts.add_user,
                email=f"{role}@example.org",
                organisation=organisation,
                role=role,
                password_hash=accounts.hash_password(PASSWORD),
                now=hub.clock(),
            )
    hubs = [Process(folder) for _ in range(processes)]
    stop, enough, failures, studies, checkpoints = threading.Event(), threading.Event(), [], [], []
    chance = random.Random(seed)
    threads: list[threading.Thread] = []
    patients: list[Patient] = []
    try:
        for one in hubs:
            one.start()
        for one in hubs:
            one.wait_until_up()
        urls = [one.url for one in hubs]
        patient = Patient(urls, stop)
        assert patient.send("PUT", "/v1/directory", content=encode(network.directory())).status_code == 204
        for role in (UserRole.ASKER, UserRole.REGULATOR):
            reply = patient.send(
                "POST", "/v1/sessions", json={"email": f"{role}@example.org", "password": PASSWORD}
            )
            tokens[role] = f"Bearer {reply.json()['token']}"
        for number, hospital in enumerate(network.hospitals.values()):
            mine = Patient(urls[number % len(urls) :] + urls[: number % len(urls)], stop)
            patients.append(mine)
            threads.append(
                threading.Thread(target=work, args=(hospital, network.asker, mine, stop, failures))
            )
        asker = threading.Thread(
            target=ask, args=(network, patient, tokens[UserRole.ASKER], studies, stop, enough, failures)
        )
        for thread in [asker, *threads]:
            thread.start()
        reader = Patient(urls, stop)
        for number in range(kills):
            victim = hubs[number % len(hubs)]
            time.sleep(chance.uniform(0.0, 0.6))
            seen = reader.send(
                "GET", "/v1/log/checkpoint", headers={"authorization": tokens[UserRole.REGULATOR]}
            )
            checkpoints.append(decode(Checkpoint, seen.content, where="checkpoint"))
            victim.kill()
            victim.start()
            victim.wait_until_up()
            assert not failures, failures
        enough.set()
        asker.join(timeout=LONGEST_SECONDS)
        assert not asker.is_alive(), "the studies never ended"
        assert not failures, failures
        reports = {
            name: patient.send(
                "GET", f"/v1/studies/{name}/report", headers={"authorization": tokens[UserRole.ASKER]}
            ).content
            for name in studies
        }
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=60)
        for one in hubs:
            if one.child is not None:
                one.kill()
        while everyone:
            everyone.pop().client.close()
    acknowledged = [message for mine in patients for message in mine.acknowledged]
    return told, studies, reports, acknowledged, checkpoints


def check(told, studies, reports, acknowledged, checkpoints) -> Counter:
    """Everything that must hold afterwards; how many entries of each kind there are."""
    tables = set()
    for name in studies:
        report = decode(Report, reports[name], where=name)
        assert {part.part.value for part in report.participation} == {"answered"}
        tables.add(encode(report.tables[0]))
    assert len(tables) == 1, "the same question over the same people had several answers"
    with server.opened(told) as hub:
        final = hub.reads(log.verify)
        for known in checkpoints:
            hub.reads(log.verify, known)
        rows = hub.reads(lambda work: work.rows(entries.select().order_by(entries.c.number)))
    found = [decode(Entry, row.body, where="entry") for row in rows]
    assert len(found) == final.size
    once: Counter = Counter()
    for entry in found:
        if entry.what in ("study offered", "run started", "report made"):
            once[entry.what, entry.about["study"]] += 1
        elif entry.what in ("permit signed", "acceptance counted"):
            once[entry.what, entry.about["study"], entry.who] += 1
        elif entry.what == "contribution counted":
            place = (entry.about[part] for part in ("run", "step", "round", "exchange"))
            once[entry.what, entry.who, *place] += 1
    doubled = {name: count for name, count in once.items() if count > 1}
    assert not doubled
    for what in ("study offered", "run started", "report made"):
        assert {key[1] for key in once if key[0] == what} == set(studies)
    logged = {entry.about.get("message") or entry.about.get("decision") for entry in found}
    for door, body in acknowledged:
        envelope = decode(Envelope, body, where=door)
        name = envelope.digest if door == "/v1/node/decisions" else digest(encode(envelope))
        assert name in logged, f"acknowledged at {door} and not in the log"
    return Counter(entry.what for entry in found)


def test_kills_lose_and_double_nothing(tmp_path, database_url, network):
    processes = 1 if database_url.startswith("sqlite") else 2
    ended = run_with_kills(tmp_path / "hub", database_url, network, kills=10, processes=processes, seed=1)
    assert check(*ended)["report made"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_many_kills_lose_and_double_nothing(tmp_path, database_url, network, seed):
    processes = 1 if database_url.startswith("sqlite") else 2
    ended = run_with_kills(tmp_path / "hub", database_url, network, kills=60, processes=processes, seed=seed)
    counted = check(*ended)
    assert counted["report made"] > 0
    print(dict(counted), "acknowledged", len(ended[3]))
