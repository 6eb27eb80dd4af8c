"""A run simulated whole in memory: any order, repeats, drop-outs, refusals. It always ends, and never says too much."""

import json
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.guard.neighbours import threshold
from dure.stats.base import Frame
from dure.study.kinds import kind_of
from dure.study.kinds.base import NETWORK, Cohort
from dure.study.kinds.distribution import Distribution
from dure.study.kinds.feasibility import Feasibility
from dure.study.protocol import advance, open_run, pending
from dure.study.protocol.answer import message, remembered, through_gate
from dure.study.protocol.noised import Noising
from dure.study.protocol.party import MaskRefused
from dure.study.protocol.player import Player, table
from dure.study.protocol.run import FINAL, Expired, Run, Stage, compose
from dure.study.protocol.transitions import OutOfTurn
from dure.study.spec import Purpose, Study
from dure.wire import ring
from dure.wire.codec import decode, digest, encode
from dure.wire.envelope import public_text
from dure.wire.messages import Acceptance, Contribution, Exchange, Permit, Provenance, Refusal
from dure.wire.rules import RULES_OFF, Mode, Noise, Rules

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CIRCE = json.loads((Path(__file__).parents[1] / "data" / "circe" / "celecoxib.json").read_text())
COHORT = Cohort(name="users", circe=CIRCE)
QUESTIONS = {
    "feasibility": Feasibility(cohort=COHORT, breakdowns=("age", "sex")),
    "distribution": Distribution(cohort=COHORT, bins=4),
}


def study(question, mode):
    return Study(
        title="t", asker="maker", purpose=Purpose.SAFETY, purpose_text="p", mode=mode, question=question,
        hospitals=(), created=NOW, closes=NOW + timedelta(hours=1), expires=NOW + timedelta(days=1), nonce="n",
    )  # fmt: skip


def frame(question, rng, people, start):
    person = np.arange(start, start + people)
    if isinstance(question, Distribution):
        return Frame(person=person, columns={"value": rng.integers(18, 95, people)})
    return Frame(
        person=person,
        columns={
            "reached": rng.integers(1, 5, people),
            "age": rng.integers(0, 11, people),
            "sex": rng.integers(0, 3, people),
        },
    )


class World:
    """Hospitals with made-up frames, and the hub's side of one run."""

    def __init__(self, question, mode, rules, seed, hospitals, *, masked=True):
        self.rng = np.random.default_rng(seed)
        self.study = study(question, mode)
        self.frames = {
            f"h{i}": frame(question, self.rng, int(self.rng.integers(0, 80)), 1000 * i)
            for i in range(hospitals)
        }
        told = digest(encode(self.study))
        permits = {}
        for name in self.frames:
            permit = Permit(
                study=told, asker="maker", asker_key="", hospital=name, node_key="", epoch=1, dataset_version="1",
                provenance=Provenance.SYNTHETIC, mode=mode, rules=rules, rounds=99, issued=NOW, expires=self.study.expires,
            )  # fmt: skip
            permits[digest(encode(permit))] = permit
        manifest = compose(told, self.study, permits, run="r", now=NOW, masked=masked)
        keys = {name: Ed25519PrivateKey.generate() for name in self.frames}
        public = {name: public_text(key) for name, key in keys.items()}
        self.players = {
            name: Player(
                table(
                    manifest, self.study, me=name, key=key, node_keys=public, outside=frozenset(self.frames)
                )
            )
            for name, key in keys.items()
        }
        self.run = open_run(manifest, unaffiliated=tuple(self.frames), patience_seconds=60, deadline=NOW)
        self.sent = []
        self.asked = {}
        self.lie = lambda told: told

    def steps(self):
        return kind_of(self.study.question).steps(self.study.question)

    def event(self, hospital):
        task = pending(self.run, hospital)
        if task is None:
            return None
        if task.position.exchange is Exchange.ACCEPT:
            return Acceptance(run="r", manifest=self.run.manifest, hospital=hospital)
        player = copy(self.players[hospital])
        try:
            said = self._said(player, task, hospital)
        except MaskRefused as problem:
            return Refusal(
                run="r", manifest=self.run.manifest, hospital=hospital, position=task.position,
                rule=problem.rule, reason=problem.what,
            )  # fmt: skip
        self.asked[hospital] = player
        return said

    def _said(self, player, task, hospital):
        if Player.asked_by(task):
            return player.word(task, secret=self.rng.bytes(32))
        step = self.steps()[task.position.step]
        state = decode(step.statistic.state, task.state, where="test")
        step.statistic.judge(step.params, state)
        answer = step.statistic.local(self.frames[hospital], step.params, state)
        memory = remembered(task, me=hospital, roster=self.run.roster, outside=self.run.roster)
        noising = Noising(question=self.study.question, hospitals=len(self.run.roster), draw=self.draw)
        released = through_gate(step, task, answer, rules=self.run.rules, memory=memory, noising=noising)
        told = self.lie(message(released, task, hospital))
        return player.over(task, told) if self.run.masked and isinstance(told, Contribution) else told

    def draw(self, scale, size):
        """Noise from a known seed, which no hospital should use."""
        return np.rint(self.rng.normal(0, scale, size)).astype(np.int64)

    def apply(self, event):
        self.run = decode(Run, encode(advance(self.study, self.run, event, now=NOW)), where="test")
        if (player := self.asked.pop(getattr(event, "hospital", ""), None)) is not None:
            self.players[event.hospital] = player
        again = advance(self.study, self.run, event, now=NOW)
        assert isinstance(event, Expired) or again == self.run, "a repeat changes nothing"
        self.sent.append(event)


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("seed", range(25))
def test_any_schedule(name, mode, seed):
    schedule = np.random.default_rng(seed)
    world = World(QUESTIONS[name], mode, Rules(), seed, int(schedule.integers(3, 6)))
    scheduled(world, schedule)
    if mode is Mode.TOTAL and len(world.frames) - len(world.run.dropped) < 3:
        assert all(o.result is None for o in world.run.outcomes) or world.run.step > 0
    if name == "feasibility" and mode is Mode.TOTAL:
        _never_small(world)


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("seed", range(8))
def test_any_schedule_with_noise(name, seed):
    """It ends, keeps nothing for the ledger, and shows no sum of fewer hospitals than the noise was reckoned for."""
    schedule = np.random.default_rng(seed)
    rules = Rules(noise=Noise(epsilon=8.0, delta=1e-6))
    world = World(QUESTIONS[name], Mode.TOTAL, rules, seed, int(schedule.integers(3, 8)))
    scheduled(world, schedule)
    assert world.run.answered == ()
    for outcome in world.run.outcomes:
        assert outcome.result is None or len(outcome.hospitals) >= threshold(len(world.frames))


def scheduled(world, schedule):
    """Answers in any order, repeats, refusals and passed deadlines, until the run ends."""
    for _ in range(600):
        if world.run.stage in FINAL:
            break
        what = schedule.integers(0, 40)
        hospital = str(schedule.choice(sorted(world.frames)))
        if what == 0 and world.sent:
            world.apply(world.sent[schedule.integers(0, len(world.sent))])
        elif what == 1 and (task := pending(world.run, hospital)) is not None:
            refused = Refusal(
                run="r",
                manifest=world.run.manifest,
                hospital=hospital,
                position=task.position,
                rule="x",
                reason="y",
            )
            world.apply(refused)
        elif what == 2:
            world.apply(Expired())
        elif (event := world.event(hospital)) is not None:
            world.apply(event)
    assert world.run.stage in FINAL


def _never_small(world):
    """No number shown rests on a few of the people whose numbers are in the sum."""
    step = world.steps()[0]
    for outcome in world.run.outcomes:
        if outcome.result is None:
            continue
        stayed = [world.frames[name] for name in outcome.hospitals]
        state = step.statistic.begin(step.params)
        support = sum(step.statistic.local(frame, step.params, state).support for frame in stayed)
        result = decode(step.statistic.result, outcome.result, where="test")
        shown = [*result.stages, *(n for table in result.strata.values() for n in table)]
        for number, people in zip(shown, support, strict=False):
            assert number is None or number == people
            assert not 0 < people < 11 or number is None


@pytest.mark.parametrize("name", QUESTIONS)
def test_without_faults_the_total_is_the_pooled_answer(name):
    world = World(QUESTIONS[name], Mode.TOTAL, RULES_OFF, 1, 4)
    while world.run.stage not in FINAL:
        for hospital in world.frames:
            if (event := world.event(hospital)) is not None:
                world.apply(event)
    pooled = World(QUESTIONS[name], Mode.TOTAL, RULES_OFF, 1, 4)
    whole = Frame(
        person=np.concatenate([f.person for f in pooled.frames.values()]),
        columns={
            key: np.concatenate([f.columns[key] for f in pooled.frames.values()])
            for key in next(iter(pooled.frames.values())).columns
        },
    )
    single = World(QUESTIONS[name], Mode.TOTAL, RULES_OFF, 1, 1)
    single.frames = {"h0": whole}
    while single.run.stage not in FINAL:
        single.apply(single.event("h0"))
    assert world.run.stage is Stage.DONE
    assert [(o.step, o.name, o.result) for o in world.run.outcomes] == [
        (o.step, NETWORK, o.result) for o in single.run.outcomes
    ]


def test_what_answers_no_open_question_is_refused():
    world = World(QUESTIONS["feasibility"], Mode.TOTAL, Rules(), 1, 3)
    while pending(world.run, "h0").position.exchange is not Exchange.SUPPORT:
        for hospital in world.frames:
            world.apply(world.event(hospital))
    good = world.event("h0")
    ahead = replace(good, position=replace(good.position, exchange=Exchange.VALUES))
    for spoiled in (
        replace(good, run="other"),
        replace(good, manifest="other"),
        replace(good, hospital="stranger"),
        replace(good, task="other"),
        replace(good, layout="other"),
        ahead,
    ):
        with pytest.raises(OutOfTurn):
            advance(world.study, world.run, spoiled, now=NOW)
    short = advance(world.study, world.run, replace(good, numbers=good.numbers[:-16]), now=NOW)
    assert short.dropped["h0"].rule == "consistent"


def lies(numbers, value, at):
    lanes = ring.from_bytes(numbers, len(numbers) // 16).copy()
    lanes[at] = ring.to_ring(np.array([value], dtype=np.float64), 0)[0]
    return ring.to_bytes(lanes)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("exchange", [Exchange.SUPPORT, Exchange.VALUES, Exchange.RELEASE])
@pytest.mark.parametrize("value", [2.0**119, -(2.0**119), 2.0**62, -(2.0**62), -1.0])
def test_a_liar_spoils_no_more_than_its_own_result(mode, exchange, value):
    """The run still ends, with a rule named; in `by_hospital` every other hospital's result is there."""
    world = World(QUESTIONS["feasibility"], mode, RULES_OFF, 1, 4)

    def lie(told):
        if (
            told.hospital != "h0"
            or not isinstance(told, Contribution)
            or told.position.exchange is not exchange
        ):
            return told
        # What a support says of cells comes before what it says of the ledger.
        last = -1 - len(world.steps()[0].params.stages) if exchange is Exchange.SUPPORT else -1
        return replace(told, numbers=lies(told.numbers, value, last))

    world.lie = lie
    while world.run.stage not in FINAL:
        for hospital in world.frames:
            if (event := world.event(hospital)) is not None:
                world.apply(event)
    results = {outcome.name: outcome for outcome in world.run.outcomes}
    if mode is Mode.BY_HOSPITAL:
        assert {name for name, outcome in results.items() if outcome.result is not None} >= {"h1", "h2", "h3"}
    lied = exchange in (
        (Exchange.RELEASE,) if mode is Mode.BY_HOSPITAL else (Exchange.SUPPORT, Exchange.VALUES)
    )
    spoiled = results["h0" if mode is Mode.BY_HOSPITAL else NETWORK]
    if lied and (abs(value) > 1 or exchange is not Exchange.VALUES):
        assert spoiled.result is None
        assert spoiled.withheld.rule in {"bounds", "consistent"}
    elif not lied:
        assert spoiled.result is not None


def test_silence_ends_a_hospital_s_part():
    world = World(QUESTIONS["feasibility"], Mode.TOTAL, RULES_OFF, 3, 4)
    for hospital in ("h0", "h1", "h2"):
        world.apply(world.event(hospital))
    world.apply(Expired())
    assert set(world.run.dropped) == {"h3"}
    assert world.run.stage is Stage.ASKING
