"""kill -9 of hub and nodes at random points of masked runs: the right total or a clean failure, never both shares of one node.

Every party dies again and again, at a point drawn before it starts: around or within a transaction, around a letter. Some nodes come back too
late, so that they drop out of the run. Everything that a node ever meant to send is kept by a witness, and audited: of one exchange all
pieces of one hospital are of its self-mask or of its mask key, never some of each; and at one position a node says one thing only.
"""

import json
import multiprocessing
import random
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import wait
from pathlib import Path

import httpx
import numpy as np
import pytest

from dure.guard import masks, shamir
from dure.guard.neighbours import threshold
from dure.hub import server
from dure.hub.actions import accounts, log
from dure.hub.actions import directory as directories
from dure.hub.actions.accounts import UserRole
from dure.hub.settings import Settings
from dure.node import config as node_config
from dure.node import keys
from dure.node.config import AutoSign, NodeConfig
from dure.node.journal import DATASET, Journal
from dure.node.place import BOARD_KEY, NODE_KEY
from dure.study.kinds import kind_of
from dure.study.kinds.base import Cohort
from dure.study.kinds.distribution import Distribution
from dure.study.protocol import batch
from dure.study.report import Part, Report
from dure.wire.codec import decode, encode
from dure.wire.directory import Member, Role
from dure.wire.envelope import Envelope, peek, public_text
from dure.wire.messages import Agreement, Contribution, Exchange, Handshake, MaskKeys, Provenance
from dure.wire.rules import Mode, Rules
from tests.integration import masked_parties
from tests.integration.conftest import EVERYONE, Network
from tests.integration.test_kill_hub import free_port

NAMES = ("aram", "byeol", "chorok", "dalbit", "eunha")
SIZES = (101, 202, 404, 808, 1616)
QUESTION = Distribution(cohort=Cohort(name="everyone", circe=EVERYONE), one_round=True)
RULES = Rules(least_people=1, round_to=1, least_hospitals=3)
PATIENCE_SECONDS = 4
POINTS_OF_A_STUDY = {"hub": (1, 150), "node": (1, 90)}
POINTS_OF_THE_FIRST_WORDS = {"hub": (150, 151), "node": (15, 30)}
"""Where keys are announced and pieces dealt, the words that a node that has forgotten them says otherwise."""
LONGEST_SECONDS = 60


@dataclass
class Party:
    """A program that dies and is started again."""

    name: str
    folder: Path
    program: object
    arguments: tuple
    named: dict = field(default_factory=dict)
    process: object = None
    due: float = 0.0
    chance: random.Random = field(default_factory=random.Random)

    def start(self, context, die_at: int | None) -> None:
        self.process = context.Process(
            target=self.program, args=(*self.arguments, die_at), kwargs=self.named, daemon=True
        )
        self.process.start()


class World:
    """A hub and five nodes in folders, one asker, and the studies asked so far."""

    def __init__(self, folder: Path, *, early: bool, names=NAMES) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([masked_parties.__name__])
        self.port, self.network = free_port(), Network()
        self.folder, self.studies, self.people = folder, [], {}
        root = self.network.root_key
        made = [self._node(name, size) for name, size in zip(names, SIZES, strict=False)]
        self.network.hospitals = {member.id: Listed(member) for member in made}
        hub = folder / "hub"
        hub.mkdir()
        told = Settings(database=f"sqlite:///{hub}/hub.sqlite", root_key=root)
        with server.opened(told) as opened:
            now = opened.clock()
            opened.writes(accounts.add_organisation, name="example-pharma", title="P", now=now)
            opened.writes(
                accounts.add_user, email="a@example.org", organisation="example-pharma", role=UserRole.ASKER,
                password_hash="unused", now=now,
            )  # fmt: skip
            ((asker, _),) = opened.reads(accounts.list_users)
            session = opened.writes(accounts.open_session, asker, address="here", hours=9, now=now)
            directory = self.network.directory()
            opened.writes(directories.put_directory, directory, root_key=root, now=opened.clock())
        self.token = f"Bearer {session.token}"
        self.settings = told
        run = (str(hub), self.port, root, PATIENCE_SECONDS)
        self.parties = [Party("hub", hub, masked_parties.run_hub, run)] + [
            Party(name, folder / name, masked_parties.run_node, (str(folder / name),), named={"early": early})
            for name in names
        ]
        self.names = names
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)

    def _node(self, name: str, size: int) -> Member:
        """A node's folder, as `dure node init` leaves it, whose board has a standing yes."""
        folder = self.folder / name
        folder.mkdir()
        node, board = keys.make(folder / NODE_KEY), keys.make(folder / BOARD_KEY)
        config = NodeConfig(
            hub=f"http://127.0.0.1:{self.port}", hospital=name, name=name, affiliation=name,
            root_key=self.network.root_key, board_key=public_text(board), cdm="nowhere.duckdb",
            provenance=Provenance.SYNTHETIC, rules=RULES, wait_seconds=1,
            auto_sign=AutoSign(
                kinds=("distribution",), purposes=("research",), modes=(Mode.TOTAL,), askers=("example-pharma",)
            ),
        )  # fmt: skip
        node_config.write(folder, config)
        journal = Journal(folder, make=True)
        with journal.writing():
            journal.keep_fact(DATASET, b"2026-01")
        journal.close()
        self.people[name] = np.random.default_rng(size).integers(0, QUESTION.bins, size)
        np.save(folder / masked_parties.PEOPLE, self.people[name])
        return Member(
            id=name, name=name, role=Role.HOLDER, affiliation=name,
            board_key=public_text(board), node_key=public_text(node),
        )  # fmt: skip

    def ask(self, method: str, door: str, **how) -> httpx.Response | None:
        """The hub's answer; None where it is down."""
        with suppress(httpx.HTTPError):
            return self.http.request(method, door, **how)
        return None

    def until_answered(self, method: str, door: str, **how) -> httpx.Response:
        for _ in range(600):
            reply = self.ask(method, door, **how)
            if reply is not None and reply.status_code < 500:
                return reply
            time.sleep(0.05)
        raise AssertionError((self.folder / "hub" / masked_parties.LOG).read_text())


@dataclass
class Listed:
    """A hospital that is only listed: its node is a process."""

    member: Member


def live(
    folder: Path,
    *,
    kills: int,
    seed: int,
    early: bool = False,
    points=POINTS_OF_A_STUDY,
    names=NAMES,
    dying=(),
):
    """Ask study after study while parties die; the world as it was left, with a report of every study.

    Args:
        early: with the seeded defect, until the audit finds it.
        dying: who may die; everybody if not said.
    """
    world, deaths = World(folder, early=early, names=names), defaultdict(int)
    world.dying = dying or ("hub", *names)
    for party in world.parties:
        party.chance = random.Random(f"{seed} {party.name}")
    world.points = points
    token = world.token
    try:
        for party in world.parties:
            party.start(world.context, _point(world, party))
        deadline = time.monotonic() + LONGEST_SECONDS + 5 * kills
        while True:
            done = sum(deaths.values()) >= kills
            if early and audit(world):
                return world, {}, deaths
            if done and all(over for _, over in world.studies):
                break
            assert time.monotonic() < deadline, f"{dict(deaths)}, {len(world.studies)} studies"
            _bury(world, deaths, kills)
            _question(world, token, done)
        reports = {
            study.digest: world.until_answered(
                "GET", f"/v1/studies/{study.digest}/report", headers={"authorization": token}
            ).content
            for study, _ in world.studies
        }
    finally:
        for party in world.parties:
            if party.process is not None:
                party.process.kill()
                party.process.join()
        world.http.close()
    return world, reports, deaths


def _point(world: World, party: Party) -> int | None:
    if party.name not in world.dying:
        return None
    return party.chance.randrange(*world.points["hub" if party.name == "hub" else "node"])


def _bury(world: World, deaths, kills: int) -> None:
    """Start who has died again; a node sometimes so late that it drops out of its run."""
    now = time.monotonic()
    for party in world.parties:
        if party.process is not None and not party.process.is_alive():
            party.process.join()
            assert party.process.exitcode == -9, (party.folder / masked_parties.LOG).read_text()[-3000:]
            party.process = None
            deaths[party.name] += 1
            late = party.name != "hub" and party.chance.random() < 0.04
            party.due = now + (PATIENCE_SECONDS + 1 if late else 0)
        if party.process is None and now >= party.due:
            dies = sum(deaths.values()) < kills
            party.start(world.context, _point(world, party) if dies else None)
    wait([party.process.sentinel for party in world.parties if party.process is not None], timeout=0.1)


def _question(world: World, token: str, done: bool) -> None:
    """Look whether the newest study is over; ask another, until there were enough deaths."""
    told = {"authorization": token}
    if world.studies and not world.studies[-1][1]:
        study = world.studies[-1][0]
        # A hub that was killed before it took the study is asked to take the same again.
        reply = world.ask("GET", f"/v1/studies/{study.digest}", headers=told)
        if reply is not None and reply.status_code == 404:
            world.ask("POST", "/v1/studies", content=encode(study), headers=told)
        elif reply is not None and reply.status_code == 200 and reply.json()["over"]:
            world.studies[-1] = (study, True)
    elif not done:
        moment = datetime.now(UTC)
        study = world.network.study(
            question=QUESTION, created=moment - timedelta(seconds=1), closes=moment + timedelta(hours=1)
        )
        world.studies.append((study, False))
        world.ask("POST", "/v1/studies", content=encode(study), headers=told)


def check_totals(world: World, reports: dict[str, bytes]) -> tuple[int, int]:
    """Every study ended with the right total of those it names, or with none and a reason; how many of each."""
    right = failed = 0
    for content in reports.values():
        report = decode(Report, content, where="report")
        numbers = [row for table in report.tables if table.name == "histogram" for row in table.rows]
        if not numbers:
            assert any("released" in banner for banner in report.banners), report.banners
            failed += 1
            continue
        inside = [part.hospital for part in report.participation if part.part is Part.ANSWERED]
        values = np.concatenate([world.people[name] for name in inside])
        counts = np.bincount(values, minlength=QUESTION.bins).tolist()
        assert [row[2] for row in numbers] == counts, inside
        right += 1
    with server.opened(world.settings) as hub:
        assert hub.reads(log.verify).size > 0
    return right, failed


def audit(world: World) -> list[str]:
    """What is wrong with all that nodes ever meant to send."""
    said, faults = defaultdict(set), []
    for name in world.names:
        sent = world.folder / name / masked_parties.SENT
        for line in sent.read_bytes().splitlines() if sent.exists() else ():
            envelope: Envelope = decode(Envelope, line, where=name)
            for kind in (Handshake, Contribution):
                if envelope.payloadType.endswith(f"{kind.__name__.lower()}+json"):
                    one = peek(kind, envelope, where=name)
                    said[name, one.run, one.position].add(envelope.payload)
    faults += [
        f"{name} said two things at {place}" for (name, _, place), all_ in said.items() if len(all_) > 1
    ]
    words = {}
    for (name, run, position), payloads in said.items():
        for payload in payloads:
            if position.exchange in batch.HANDSHAKES:
                words.setdefault((run, position), {}).setdefault(name, []).append(
                    decode(Handshake, payload, where=name)
                )
    for (run, position), by_teller in words.items():
        if position.exchange in batch.OPENS.values():
            faults += _both(words, run, position, by_teller)
    return faults


def _both(words, run, position, by_teller) -> list[str]:
    """Hospitals of whom pieces of both secrets were told at an exchange, or other pieces than the teller's agreement says."""
    gathered = replace(position, exchange=batch.GATHERED[position.exchange])
    agrees = replace(position, exchange=batch.AGREES[gathered.exchange])
    told = defaultdict(lambda: defaultdict(dict))
    for teller, handshakes in by_teller.items():
        for handshake in handshakes:
            for agreed in words[run, agrees][teller]:
                members = peek(Agreement, agreed.sealed[""], where="agreement").members
                for about, piece in handshake.pieces.items():
                    told[about]["self" if about in members else "key"][teller] = piece
    faults = [
        f"both shares of {about} in {run} at {position}" for about, kinds in told.items() if len(kinds) > 1
    ]
    for about, kinds in told.items():
        for kind, pieces in kinds.items():
            if not _opens(words, run, gathered, about, kind, pieces):
                faults.append(f"the pieces of {about} in {run} at {position} are not of its {kind}")
    return faults


def _opens(words, run, gathered, about, kind, pieces) -> bool:
    """Whether enough pieces give back what the hospital had announced; too few say nothing."""
    first = {exchange: position for _, position in words for exchange in [position.exchange] if _ == run}
    keys_at, shares_at = first[Exchange.KEYS], first[Exchange.SHARES]
    holders = sorted(words[run, shares_at][about][0].sealed)
    least = threshold(len(holders))
    if len(pieces) < least:
        return True
    held = {holders.index(teller) + 1: piece for teller, piece in list(pieces.items())[:least]}
    secret = shamir.combine(held)
    announced = peek(MaskKeys, words[run, keys_at][about][0].sealed[""], where="keys")
    steps = kind_of(QUESTION).steps(QUESTION)
    at = batch.positions(steps, keys_at.step, keys_at.round).index(gathered)
    if secret is None:
        return False
    if kind == "self":
        return masks._commitment(secret) == announced.commitments[at]
    key = masks.X25519PrivateKey.from_private_bytes(secret)
    return key.public_key().public_bytes_raw() == announced.keys[at]


def test_a_few_deaths_at_random_points(tmp_path):
    """The least network, of which the hub and one node die: what the sweep does with all of five."""
    world, reports, deaths = live(tmp_path, kills=3, seed=1, names=NAMES[:3], dying=("hub", "aram"))
    assert audit(world) == []
    right, failed = check_totals(world, reports)
    assert right + failed == len(world.studies)
    assert right
    assert sum(deaths.values()) >= 3


@pytest.mark.slow
def test_a_word_that_is_sent_before_it_is_kept_is_found(tmp_path):
    """The seeded defect: the audit sees two words where there may be one."""
    world, _, _ = live(tmp_path, kills=60, seed=1, early=True, points=POINTS_OF_THE_FIRST_WORDS)
    assert any("said two things" in fault for fault in audit(world))


@pytest.mark.slow
def test_two_hundred_deaths_at_random_points(tmp_path):
    began = time.monotonic()
    world, reports, deaths = live(tmp_path, kills=200, seed=2)
    assert audit(world) == []
    right, failed = check_totals(world, reports)
    assert right
    print(json.dumps({
        "deaths": dict(deaths), "studies": len(reports), "right": right, "failed cleanly": failed,
        "seconds": round(time.monotonic() - began),
    }))  # fmt: skip
