"""A network in memory for one node: its root, an asker, two other hospitals, and a hub at the level of HTTP."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.node import config as node_config
from dure.node import keys
from dure.node.answering import Computing
from dure.node.config import NodeConfig
from dure.node.courier import deliver
from dure.node.draw import draw
from dure.node.hub_link import HubLink
from dure.node.journal import DATASET, Journal
from dure.node.place import BOARD_KEY, NODE_KEY, Place
from dure.node.signing import sign
from dure.node.worker import Worker
from dure.stats.base import BadState, Frame
from dure.study.kinds import KINDS
from dure.study.kinds.base import Cohort
from dure.study.kinds.distribution import Distribution, DistributionKind
from dure.study.protocol import advance, open_run, pending
from dure.study.protocol.noised import Noising
from dure.study.protocol.player import Player, table
from dure.study.protocol.run import FINAL, compose
from dure.study.spec import Purpose, Study
from dure.wire.codec import decode, encode
from dure.wire.directory import Directory, Member, Role
from dure.wire.envelope import Envelope, open_sealed, peek, public_text, seal
from dure.wire.messages import (
    Acceptance,
    Contribution,
    Decline,
    Exchange,
    Handshake,
    Permit,
    Poll,
    PollAnswer,
    Provenance,
    Refusal,
    RunOffer,
    StudyOffer,
    Task,
)
from dure.wire.problems import Problem
from dure.wire.rules import Mode, Rules

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CIRCE = json.loads((Path(__file__).parents[2] / "data" / "circe" / "celecoxib.json").read_text())
HOUR = 3600


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span) -> None:
        self.now += timedelta(**span)


class Chained(DistributionKind):
    """The median stands on the lower quartile, whose interval the hospitals are told; none above 60 is asked further."""

    def steps(self, spec):
        first, second, _ = super().steps(spec)
        return (first, replace(second, needs=(first.name,)))

    def judge(self, spec, step, carried):
        for result in carried.values():
            if result.interval is None or not 0 <= result.interval.low < result.interval.high <= 128:
                raise BadState("The interval is none.", where="carried", mend="Nothing to do here.")

    def lock(self, spec, step, carried):
        late = any(result.interval.low >= 60 for result in carried.values())
        return "The lower quartile is above 60." if late else None


@pytest.fixture
def chained(monkeypatch):
    """The distribution's steps depend on each other while this lasts."""
    kind = Chained()
    monkeypatch.setitem(KINDS, "distribution", kind)
    return kind


class AtHand:
    """A workshop without processes: the statistic over a frame at hand."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.jobs = []

    def answer(self, job):
        self.jobs.append(job)
        statistic = job.step.statistic
        state = decode(statistic.state, job.state, where="state")
        return statistic.local(self.frame, job.step.params, state)


class Hub:
    """A hub that keeps to the protocol, with a hook where a test makes it lie.

    Attributes:
        lie: is given each PollAnswer and returns what is sent.
        bodies: everything that arrived, by door.
    """

    def __init__(self, network) -> None:
        self.network = network
        self.lie = lambda answer: answer
        self.bodies: list[tuple[str, bytes]] = []
        self.study = None
        self.permits: dict[str, Envelope] = {}
        self.declined: list[Decline] = []
        self.run = None
        self.past: tuple[str, ...] = ()
        self.manifest = None
        self.down = False
        self.fail_after_taking = False
        self.answers = []

    def offer(self, study: Study) -> Envelope:
        self.study = seal(study, "study", self.network.asker)
        self.question = study
        return self.study

    def compose(self, names=None):
        """Open a run over the permits at hand."""
        chosen = {
            envelope.digest: peek(Permit, envelope, where="")
            for name, envelope in self.permits.items()
            if names is None or name in names
        }
        count = getattr(self, "runs", 0) + 1
        self.runs = count
        self.manifest = compose(
            self.study.digest, self.question, chosen, run=f"run-{count}", now=self.network.clock()
        )
        self.run_permits = tuple(envelope for envelope in self.permits.values() if envelope.digest in chosen)
        self.run = open_run(
            self.manifest,
            unaffiliated=tuple(seat.hospital for seat in self.manifest.roster),
            patience_seconds=HOUR,
            deadline=self.network.clock() + timedelta(hours=1),
            past=self.past,
        )
        node_keys = {permit.hospital: permit.node_key for permit in chosen.values()}
        self.players = {
            name: Player(
                table(
                    self.manifest,
                    self.question,
                    me=name,
                    key=node,
                    node_keys=node_keys,
                    outside=frozenset(node_keys),
                )
            )
            for name, (_, node) in self.network.others.items()
        }
        self._play()

    def handle(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("down")
        door, body = request.url.path, request.content
        self.bodies.append((door, body))
        try:
            return self._open(door, body)
        except Problem as problem:
            return httpx.Response(problem.status, json=problem.document())

    def _open(self, door: str, body: bytes) -> httpx.Response:
        if door == "/v1/health":
            return httpx.Response(200, json={"status": "ok", "now": self.network.clock().isoformat()})
        if door == "/v1/directory":
            return httpx.Response(200, content=encode(self.network.sealed_directory()))
        if door == "/v1/node/poll":
            poll = open_sealed(
                Poll, decode(Envelope, body, where="poll"), "poll", self.network.node_public, where="poll"
            )
            return httpx.Response(200, content=encode(self.lie(self.poll_answer(poll))))
        envelope = decode(Envelope, body, where=door)
        if door == "/v1/node/decisions":
            if envelope.payloadType.endswith("permit+json"):
                permit = open_sealed(Permit, envelope, "permit", self.network.board_public, where=door)
                self.permits[permit.hospital] = envelope
            else:
                self.declined.append(
                    open_sealed(Decline, envelope, "decline", self.network.board_public, where=door)
                )
        elif door == "/v1/node/answers":
            self._answer(envelope)
            if self.fail_after_taking:
                self.fail_after_taking = False
                raise httpx.ReadTimeout("lost")
        return httpx.Response(204)

    def poll_answer(self, poll: Poll | None = None) -> PollAnswer:
        offers, runs, tasks = (), (), ()
        me = self.network.config.hospital
        if self.study is not None and self.run is None and me not in self.permits and not self.declined:
            offers = (StudyOffer(study=self.study, asked=NOW),)
        if self.run is not None:
            task = pending(self.run, me)
            tasks = () if task is None else (task,)
            runs = (RunOffer(manifest=encode(self.manifest), permits=self.run_permits),)
        behind = poll is None or poll.directory_version < self.network.version
        return PollAnswer(
            now=self.network.clock(),
            directory=self.network.sealed_directory() if behind else None,
            offers=offers,
            runs=runs,
            tasks=tasks,
            closed=(),
        )

    def _answer(self, envelope: Envelope) -> None:
        kinds = {
            "acceptance": Acceptance,
            "contribution": Contribution,
            "handshake": Handshake,
            "refusal": Refusal,
        }
        name = envelope.payloadType.removeprefix("application/vnd.dure.").removesuffix("+json")
        event = open_sealed(kinds[name], envelope, name, self.network.node_public, where="answer")
        self.answers.append((event, envelope))
        self.run = advance(self.question, self.run, event, now=self.network.clock())
        self._play()

    def _play(self) -> None:
        """The other hospitals accept, and have nobody in any cell."""
        moved = True
        while moved and self.run.stage not in FINAL:
            moved = False
            for name in self.network.others:
                task = pending(self.run, name)
                if task is not None:
                    self.run = advance(
                        self.question, self.run, self._nobody(task, name), now=self.network.clock()
                    )
                    moved = True

    def _nobody(self, task: Task, name: str):
        if task.position.exchange is Exchange.ACCEPT:
            return Acceptance(run=task.run, manifest=task.manifest, hospital=name)
        from dure.study.kinds import kind_of
        from dure.study.protocol.answer import message, remembered, through_gate

        player = self.players[name]
        if player.asked_by(task):
            return player.word(task, secret=np.random.default_rng().bytes(32))
        step = kind_of(self.question.question).steps(self.question.question)[task.position.step]
        frame = Frame(person=np.arange(0), columns={"value": np.arange(0), "reached": np.arange(0)})
        state = decode(step.statistic.state, task.state, where="state")
        answer = step.statistic.local(frame, step.params, state)
        memory = remembered(task, me=name, roster=self.run.roster, outside=self.run.roster)
        noising = Noising(question=self.question.question, hospitals=len(self.run.roster), draw=draw)
        released = through_gate(step, task, answer, rules=self.run.rules, memory=memory, noising=noising)
        told = message(released, task, name)
        return player.over(task, told) if self.run.masked else told


class Network:
    """Everyone around one node, and the node itself, made in `folder`."""

    def __init__(self, folder: Path, *, rules: Rules, provenance: Provenance) -> None:
        self.clock = Clock()
        self.root, self.asker = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        folder.mkdir()
        self.folder = folder
        self.node_key, self.board_key = keys.make(folder / NODE_KEY), keys.make(folder / BOARD_KEY)
        self.node_public, self.board_public = public_text(self.node_key), public_text(self.board_key)
        self.others = {
            name: (Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()) for name in ("bora", "choi")
        }
        self.config = NodeConfig(
            hub="https://hub.test",
            hospital="hanbit",
            name="Hanbit Hospital",
            affiliation="hanbit",
            root_key=public_text(self.root),
            board_key=self.board_public,
            cdm="nowhere.duckdb",
            provenance=provenance,
            rules=rules,
        )
        node_config.write(folder, self.config)
        journal = Journal(folder, make=True)
        with journal.writing():
            journal.keep_fact(DATASET, b"v1")
        journal.close()
        self.version = 1
        self.hub = Hub(self)
        self.frame = Frame(person=np.arange(1000), columns={"value": np.arange(1000) % 100})
        self.boot()

    def boot(self) -> None:
        """(Re)start the node: nothing is kept but its folder."""
        if hasattr(self, "journal"):
            self.journal.close()
        self.journal = Journal(self.folder)
        self.workshop = AtHand(self.frame)
        computing = Computing(
            hospital="hanbit", journal=self.journal, workshop=self.workshop, budget=self.config.budget
        )
        self.worker = Worker(
            config=self.config,
            journal=self.journal,
            node_key=self.node_key,
            computing=lambda: computing,
            clock=self.clock,
            board_key=lambda: self.board_key,
        )
        self.link = HubLink("https://hub.test", transport=httpx.MockTransport(self.hub.handle))
        self.place = Place(folder=self.folder, config=self.config, journal=self.journal)

    def add(self, name: str) -> None:
        """One more hospital, which the root lists in its next directory."""
        self.others[name] = (Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate())
        self.version += 1

    def hub_refs(self) -> tuple[str, ...]:
        """The populations that the hub knows totals were given of."""
        return tuple(population.ref for population in self.journal.populations() if population.ref)

    def members(self) -> tuple[Member, ...]:
        holders = {"hanbit": (self.board_key, self.node_key), **self.others}
        return (
            Member(
                id="maker",
                name="Maker",
                role=Role.USER,
                affiliation="maker",
                asker_key=public_text(self.asker),
            ),
            *(
                Member(
                    id=name,
                    name=name,
                    role=Role.HOLDER,
                    affiliation=name,
                    board_key=public_text(board),
                    node_key=public_text(node),
                )
                for name, (board, node) in holders.items()
            ),
        )

    def directory(self, **changes) -> Directory:
        made = Directory(
            version=self.version,
            issued=NOW - timedelta(days=1),
            expires=NOW + timedelta(days=7),
            members=self.members(),
        )
        return replace(made, **changes)

    def sealed_directory(self) -> Envelope:
        return seal(self.directory(), "directory", self.root)

    def study(self, **changes) -> Study:
        made = Study(
            title="Ages",
            asker="maker",
            purpose=Purpose.SAFETY,
            purpose_text="A test.",
            mode=Mode.TOTAL,
            question=Distribution(cohort=Cohort(name="celecoxib", circe=CIRCE), variable="age", bins=8),
            hospitals=(),
            created=NOW,
            closes=NOW + timedelta(hours=1),
            expires=NOW + timedelta(days=1),
            nonce="1",
        )
        return replace(made, **changes)

    def turn(self) -> bool:
        """One poll and what follows."""
        deliver(self.journal, self.link, clock=self.clock)
        poll = Poll(
            hospital="hanbit",
            epoch=1,
            dataset_version="v1",
            directory_version=self.worker.trust.version,
            sent=self.clock(),
            wait_seconds=0,
            nonce="n",
        )
        answer = self.link.poll(seal(poll, "poll", self.node_key), wait_seconds=0)
        news = self.worker.hear(answer)
        return news | bool(deliver(self.journal, self.link, clock=self.clock))

    def turns(self) -> None:
        while self.turn():
            pass

    def until(self, exchange: Exchange) -> Task:
        """Turns, until the hub asks for an exchange: its task, unanswered."""
        while True:
            for task in self.hub.poll_answer().tasks:
                if task.position.exchange is exchange:
                    return task
            assert self.turn(), f"the hub never asks for {exchange}"

    def sign(self, **changes):
        options = {"rules": None, "consent_by_hospital": True, "who": "board", "now": self.clock(), **changes}
        directory = self.worker.trust.directory(now=self.clock())
        return sign(self.hub.study, self.config, self.journal, directory, self.board_key, **options)

    def others_sign(self, **changes) -> None:
        """Permits of the other hospitals for the hub's study."""
        mine = peek(Permit, self.hub.permits["hanbit"], where="")
        for name, (board, node) in self.others.items():
            permit = replace(mine, hospital=name, node_key=public_text(node), **changes)
            self.hub.permits[name] = seal(permit, "permit", board)

    def permitted(self, study: Study | None = None) -> None:
        """A study that all three boards have signed."""
        self.hub.offer(study or self.study())
        self.turns()
        self.sign()
        self.turns()
        self.others_sign()

    def sent(self, kind: type) -> list:
        """What of a kind the hub has got, without repeats."""
        found = []
        for event, _ in self.hub.answers:
            if isinstance(event, kind) and event not in found:
                found.append(event)
        return found


@pytest.fixture
def network(tmp_path):
    made = Network(tmp_path / "node", rules=Rules(), provenance=Provenance.REAL)
    yield made
    made.journal.close()
    made.link.close()
