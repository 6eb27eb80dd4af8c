"""A masked round's time beside a plain one: `python -m benchmarks.masks_round [--small]`.

Whole runs in one process: every message is encoded, signed, verified and decoded, the hub advances its run by each, hospitals pass the gate and, where masked, make keys,
pieces, masks, agreements and openings. Without a network, databases or a disk. Hospitals are made up; a statistic of one round and one of many, for which keys and pieces
are dealt once. Processor seconds a round: of the whole network, and per hospital.
"""

import argparse
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.record import record
from dure import demo
from dure.stats.base import Frame
from dure.study.kinds import kind_of
from dure.study.kinds.base import Cohort
from dure.study.kinds.distribution import Distribution
from dure.study.kinds.feasibility import Feasibility
from dure.study.protocol import advance, open_run, pending
from dure.study.protocol.answer import message, remembered, through_gate
from dure.study.protocol.player import Player, table
from dure.study.protocol.run import FINAL, Run, Stage, compose
from dure.study.spec import Purpose, Study
from dure.wire.codec import decode, digest, encode
from dure.wire.envelope import Envelope, open_sealed, public_text, seal
from dure.wire.messages import Acceptance, Contribution, Exchange, Handshake, Permit, Provenance, Task
from dure.wire.rules import Mode, Rules

SIZES = {"feasibility": (5, 20, 60), "distribution": (5, 20)}
NOW = datetime(2026, 1, 1, tzinfo=UTC)
COHORT = Cohort(
    name="users",
    circe=json.loads((Path(demo.__file__).parent / "cohorts" / "empagliflozin_new_users.json").read_text()),
)
QUESTIONS = {
    "feasibility": Feasibility(cohort=COHORT),
    "distribution": Distribution(cohort=COHORT, bins=2),
}
PEOPLE = 200


def frame(question: Any, rng: np.random.Generator) -> Frame:
    if isinstance(question, Distribution):
        return Frame(person=np.arange(PEOPLE), columns={"value": rng.integers(18, 95, PEOPLE)})
    columns = {"reached": 5, "age": 11, "sex": 3, "year": 17}
    return Frame(
        person=np.arange(PEOPLE),
        columns={name: rng.integers(0, levels, PEOPLE) for name, levels in columns.items()},
    )


class World:
    """Hospitals and a hub that only exchange bytes."""

    def __init__(self, question: Any, hospitals: int, *, masked: bool) -> None:
        rng = np.random.default_rng(1)
        self.rng = rng
        names = tuple(f"h{number:03}" for number in range(hospitals))
        self.study = Study(
            title="t", asker="maker", purpose=Purpose.SAFETY, purpose_text="p", mode=Mode.TOTAL, question=question,
            hospitals=(), created=NOW, closes=NOW + timedelta(hours=1), expires=NOW + timedelta(days=1), nonce="n",
        )  # fmt: skip
        self.steps = kind_of(question).steps(question)
        self.frames = {name: frame(question, rng) for name in names}
        self.keys = {name: Ed25519PrivateKey.generate() for name in names}
        self.public = {name: public_text(key) for name, key in self.keys.items()}
        told = digest(encode(self.study))
        permits = {}
        for name in names:
            permit = Permit(
                study=told, asker="maker", asker_key="", hospital=name, node_key=self.public[name], epoch=1,
                dataset_version="1", provenance=Provenance.SYNTHETIC, mode=Mode.TOTAL, rules=Rules(), rounds=99,
                issued=NOW, expires=self.study.expires,
            )  # fmt: skip
            permits[digest(encode(permit))] = permit
        manifest = compose(told, self.study, permits, run="r", now=NOW, masked=masked)
        self.run = open_run(manifest, unaffiliated=names, patience_seconds=60, deadline=NOW)
        self.players = {
            name: Player(
                table(manifest, self.study, me=name, key=key, node_keys=self.public, outside=frozenset(names))
            )
            for name, key in self.keys.items()
        }
        self.seconds = {"hospitals": 0.0, "hub": 0.0}
        self.bytes = 0
        self.rounds: set[tuple[int, int]] = set()

    def finish(self) -> None:
        """Ask and answer until it is over."""
        while self.run.stage not in FINAL:
            for name in self.frames:
                began = time.process_time()
                task = pending(self.run, name)
                asked = None if task is None else encode(task)
                between = time.process_time()
                if asked is None:
                    continue
                said = self.answer(name, decode(Task, asked, where="task"))
                ended = time.process_time()
                self.hear(name, said)
                self.seconds["hub"] += between - began + time.process_time() - ended
                self.seconds["hospitals"] += ended - between
                self.bytes += len(said)
        assert self.run.stage is Stage.DONE

    def answer(self, name: str, task: Task) -> bytes:
        """A hospital's sealed answer, as bytes."""
        if task.position.exchange is Exchange.ACCEPT:
            accepted = Acceptance(run="r", manifest=self.run.manifest, hospital=name)
            return encode(seal(accepted, "acceptance", self.keys[name]))
        player = self.players[name]
        if player.asked_by(task):
            return encode(seal(player.word(task, secret=self.rng.bytes(32)), "handshake", self.keys[name]))
        self.rounds.add((task.position.step, task.position.round))
        step = self.steps[task.position.step]
        state = decode(step.statistic.state, task.state or b"", where="state")
        computed = step.statistic.local(self.frames[name], step.params, state)
        memory = remembered(task, me=name, roster=self.run.roster, outside=self.run.roster)
        told = message(through_gate(step, task, computed, rules=self.run.rules, memory=memory), task, name)
        assert isinstance(told, Contribution)
        if self.run.masked:
            told = player.over(task, told)
        return encode(seal(told, "contribution", self.keys[name]))

    def hear(self, name: str, said: bytes) -> None:
        """The hub verifies, advances, and stores the run as bytes."""
        kinds: dict[str, Any] = {
            "acceptance": Acceptance,
            "contribution": Contribution,
            "handshake": Handshake,
        }
        envelope: Envelope = decode(Envelope, said, where="answer")
        kind = envelope.payloadType.removeprefix("application/vnd.dure.").removesuffix("+json")
        event = open_sealed(kinds[kind], envelope, kind, self.public[name], where="answer")
        self.run = decode(Run, encode(advance(self.study, self.run, event, now=NOW)), where="run")


def measure(name: str, hospitals: int) -> list[dict[str, Any]]:
    """A plain run, then a masked one of the same question."""
    figures = []
    for masked in (False, True):
        world = World(QUESTIONS[name], hospitals, masked=masked)
        world.finish()
        rounds = len(world.rounds)
        whole = sum(world.seconds.values())
        figures.append({
            "question": name, "hospitals": hospitals, "masked": masked, "rounds": rounds,
            "network_ms_a_round": round(1000 * whole / rounds, 1),
            "hospital_ms_a_round": round(1000 * world.seconds["hospitals"] / rounds / hospitals, 2),
            "hub_ms_a_round": round(1000 * world.seconds["hub"] / rounds, 1),
            "hospital_bytes_a_round": world.bytes // rounds // hospitals,
        })  # fmt: skip
    figures[1]["to_plain"] = round(figures[1]["network_ms_a_round"] / figures[0]["network_ms_a_round"], 1)
    return figures


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="five hospitals only; records nothing")
    small = parser.parse_args().small
    for masked in (False, True):
        World(QUESTIONS["feasibility"], 3, masked=masked).finish()  # what is made once a process is made now
    figures = [
        figure
        for name, sizes in SIZES.items()
        for hospitals in (sizes[:1] if small else sizes)
        for figure in measure(name, hospitals)
    ]
    if small:
        print(*figures, sep="\n")
    else:
        record("masks_round", figures)


if __name__ == "__main__":
    main()
