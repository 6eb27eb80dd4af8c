"""What a hospital refuses to say in a masked sum: each line a lie of the hub, and the rule that stops it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.stats.base import Frame
from dure.study.kinds import kind_of
from dure.study.kinds.base import Cohort
from dure.study.kinds.distribution import Distribution
from dure.study.protocol import advance, open_run, pending
from dure.study.protocol.answer import message, remembered, through_gate
from dure.study.protocol.noised import Noising
from dure.study.protocol.party import MaskRefused, Party
from dure.study.protocol.player import Player, table
from dure.study.protocol.run import FINAL, Expired, Stage, compose
from dure.study.spec import Purpose, Study
from dure.wire.codec import decode, digest, encode
from dure.wire.envelope import Forged, peek, public_text, seal
from dure.wire.messages import Acceptance, Agreement, Exchange, MaskKeys, Permit, Provenance, Refusal
from dure.wire.rules import Mode, Rules

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CIRCE = json.loads((Path(__file__).parents[2] / "data" / "circe" / "celecoxib.json").read_text())
NAMES = ("a", "b", "c", "d", "e")
NEVER = 99


class World:
    """Five hospitals of a hundred people each, and an honest hub."""

    def __init__(self, rules=None):
        self.rules = rules or Rules()
        self.study = Study(
            title="t", asker="maker", purpose=Purpose.SAFETY, purpose_text="p", mode=Mode.TOTAL,
            question=Distribution(cohort=Cohort(name="users", circe=CIRCE), bins=4),
            hospitals=(), created=NOW, closes=NOW + timedelta(hours=1), expires=NOW + timedelta(days=1), nonce="n",
        )  # fmt: skip
        self.keys = {name: Ed25519PrivateKey.generate() for name in NAMES}
        public = {name: public_text(key) for name, key in self.keys.items()}
        told = digest(encode(self.study))
        permits = [
            Permit(
                study=told,
                asker="maker",
                asker_key="",
                hospital=name,
                node_key=public[name],
                epoch=1,
                dataset_version="1",
                provenance=Provenance.REAL,
                mode=Mode.TOTAL,
                rules=self.rules,
                rounds=NEVER,
                issued=NOW,
                expires=self.study.expires,
            )
            for name in NAMES
        ]
        by_digest = {digest(encode(permit)): permit for permit in permits}
        manifest = compose(told, self.study, by_digest, run="r", now=NOW)
        self.run = open_run(manifest, unaffiliated=NAMES, patience_seconds=60, deadline=NOW)
        outside = frozenset(NAMES)
        self.players = {
            name: Player(table(manifest, self.study, me=name, key=key, node_keys=public, outside=outside))
            for name, key in self.keys.items()
        }
        self.silent: set[str] = set()
        self.rng = np.random.default_rng(3)

    def steps(self):
        return kind_of(self.study.question).steps(self.study.question)

    def said(self, name, task):
        if task.position.exchange is Exchange.ACCEPT:
            return Acceptance(run="r", manifest=self.run.manifest, hospital=name)
        player = self.players[name]
        if player.asked_by(task):
            return player.word(task, secret=self.rng.bytes(32))
        step = self.steps()[task.position.step]
        frame = Frame(person=np.arange(100), columns={"value": np.arange(100)})
        answer = step.statistic.local(frame, step.params, decode(step.statistic.state, task.state, where=""))
        memory = remembered(task, me=name, roster=NAMES, outside=NAMES)
        noising = Noising(question=self.study.question, hospitals=len(NAMES), draw=self.draw)
        released = through_gate(step, task, answer, rules=self.run.rules, memory=memory, noising=noising)
        told = message(released, task, name)
        return told if isinstance(told, Refusal) else player.over(task, told)

    def draw(self, scale, size):
        """Noise from a known seed, which no hospital should use."""
        return np.rint(self.rng.normal(0, scale, size)).astype(np.int64)

    def answer(self, name):
        self.run = advance(self.study, self.run, self.said(name, pending(self.run, name)), now=NOW)

    def until(self, exchange, *, round_=0):
        """Everybody answers until the exchange is asked of "a": its task; None where the run ends before."""
        while self.run.stage not in FINAL:
            for name in NAMES:
                task = pending(self.run, name)
                if task is None or name in self.silent:
                    continue
                if name == "a" and (task.position.exchange, task.position.round) == (exchange, round_):
                    return task
                self.answer(name)
            waiting = {name for name in NAMES if pending(self.run, name) is not None}
            if waiting and waiting <= self.silent:
                self.run = advance(self.study, self.run, Expired(), now=NOW + timedelta(days=9))
        return None

    def finish(self):
        assert self.until(Exchange.ACCEPT, round_=NEVER) is None
        return self.run


@pytest.fixture
def world():
    return World()


def refused(world, task, *, rule="masks"):
    """The task is refused under a rule, and nothing is remembered of it."""
    before = world.players["a"].party
    with pytest.raises(MaskRefused) as caught:
        world.said("a", task)
    assert caught.value.rule == rule
    assert world.players["a"].party == before


def without(sealed, name):
    return {other: envelope for other, envelope in sealed.items() if other != name}


def test_an_honest_run_ends_with_the_answer(world):
    run = world.finish()
    assert run.stage is Stage.DONE
    assert all(outcome.hospitals == NAMES for outcome in run.outcomes)


# keys and pieces


def with_keys(task, key, **changes):
    """The task with other keys of "b", signed by a key."""
    keys = replace(peek(MaskKeys, task.sealed["b"], where=""), **changes)
    return replace(task, sealed={**task.sealed, "b": seal(keys, "mask-keys", key)})


def test_keys_that_the_hub_made_are_not_taken(world):
    task = world.until(Exchange.SHARES)
    with pytest.raises(Forged):
        world.said("a", with_keys(task, Ed25519PrivateKey.generate(), seal_key=bytes(32)))


def test_keys_of_another_hospital_are_not_taken_for_a_neighbours(world):
    task = world.until(Exchange.SHARES)
    with pytest.raises(Forged):
        world.said("a", replace(task, sealed={**task.sealed, "b": task.sealed["c"]}))


def test_keys_of_which_the_others_were_told_something_else_are_not_taken(world):
    """A hospital that plays with the hub signs two announcements; the digests that all are told betray it."""
    task = world.until(Exchange.SHARES)
    refused(world, with_keys(task, world.keys["b"], seal_key=b"\x09" + bytes(31)))


SHARES_LIES = {
    "a neighbour's keys are left out": lambda task: {"sealed": without(task.sealed, "b")},
    "a digest is left out": lambda task: {"told": task.told[:-1]},
    "digests are exchanged": lambda task: {"told": tuple(reversed(task.told))},
    "a stranger among the members": lambda task: {"members": (*task.members, "z")},
    "a member twice": lambda task: {"members": ("a", *task.members)},
    "without this hospital": lambda task: {"members": task.members[1:], "told": task.told[1:]},
    "too few to be a network": lambda task: {"members": task.members[:2], "told": task.told[:2]},
}


@pytest.mark.parametrize("lie", SHARES_LIES)
def test_no_pieces_are_dealt(world, lie):
    task = world.until(Exchange.SHARES)
    refused(world, replace(task, **SHARES_LIES[lie](task)))


def test_pieces_are_dealt_once(world):
    task = world.until(Exchange.SHARES)
    world.said("a", task)
    refused(world, task)


# numbers

SUPPORT_LIES = {
    "a neighbour's pieces are left out": lambda task: {"sealed": without(task.sealed, "b")},
    "alone": lambda task: {"members": ("a",)},
    "too few outside the asker's affiliation": lambda task: {"members": ("a", "b")},
    "members out of order": lambda task: {"members": tuple(reversed(task.members))},
}


@pytest.mark.parametrize("lie", SUPPORT_LIES)
def test_no_numbers_leave(world, lie):
    task = world.until(Exchange.SUPPORT)
    refused(world, replace(task, **SUPPORT_LIES[lie](task)))


def test_pieces_that_were_dealt_to_another_are_not_taken(world):
    task = world.until(Exchange.SUPPORT)
    refused(world, replace(task, sealed={**task.sealed, "b": world.run.setup.pieces["c"]["b"]}))


def test_no_numbers_leave_before_there_are_masks(world):
    task = world.until(Exchange.SUPPORT)
    world.players["a"].party = Party()
    refused(world, task)


def test_values_are_masked_with_the_hospitals_of_their_support_only(world):
    task = world.until(Exchange.VALUES)
    refused(world, replace(task, members=NAMES[:4]), rule="same-roster")


# agreeing and opening

AGREE_LIES = {
    "a list without this hospital": lambda task: {"members": task.members[1:]},
    "a stranger in the sum": lambda task: {"members": (*task.members, "z")},
    "so few that it can't be opened": lambda task: {"members": task.members[:3]},
}


@pytest.mark.parametrize("lie", AGREE_LIES)
def test_it_does_not_agree(world, lie):
    task = world.until(Exchange.SUPPORT_AGREE)
    refused(world, replace(task, **AGREE_LIES[lie](task)))


def test_it_agrees_to_one_list_only(world):
    """The equivocating hub: a list with the victim for some, one without it for others."""
    task = world.until(Exchange.SUPPORT_AGREE)
    world.said("a", task)
    refused(world, replace(task, members=task.members[:4]))


def test_pieces_are_told_only_when_enough_have_signed_the_same_list(world):
    task = world.until(Exchange.SUPPORT_OPEN)
    other = replace(peek(Agreement, task.sealed["b"], where=""), members=NAMES[:4])
    refused(world, replace(task, sealed=dict(list(task.sealed.items())[:3])))
    refused(world, replace(task, sealed={**task.sealed, "b": seal(other, "agreement", world.keys["b"])}))
    refused(world, replace(task, members=NAMES[:4]))
    assert set(world.said("a", task).pieces) == set(NAMES)


def test_agreements_that_the_hub_wrote_are_not_taken(world):
    task = world.until(Exchange.SUPPORT_OPEN)
    forged = seal(peek(Agreement, task.sealed["b"], where=""), "agreement", Ed25519PrivateKey.generate())
    with pytest.raises(Forged):
        world.said("a", replace(task, sealed={**task.sealed, "b": forged}))


def test_agreements_of_another_exchange_are_not_taken(world):
    earlier = world.until(Exchange.SUPPORT_OPEN).sealed
    world.answer("a")
    refused(world, replace(world.until(Exchange.VALUES_OPEN), sealed=earlier))


# drop-outs


def test_who_never_dealt_is_simply_not_in_it(world):
    world.silent = {"e"}
    assert world.until(Exchange.SHARES).members == NAMES[:4]
    run = world.finish()
    assert run.stage is Stage.DONE
    assert all(outcome.hospitals == NAMES[:4] for outcome in run.outcomes)


def test_who_drops_out_before_the_first_sum_is_recovered(world):
    """Of five, one may be lost: the sum is that of the four who sent."""
    world.until(Exchange.SUPPORT)
    world.silent = {"e"}
    run = world.finish()
    assert "e" in run.dropped
    assert run.stage is Stage.DONE
    assert all(outcome.hospitals == NAMES[:4] for outcome in run.outcomes)
    result = world.steps()[0].statistic.result
    assert {decode(result, one.result, where="").people for one in run.outcomes} == {400}


def test_two_lost_of_five_can_not_be_opened(world):
    world.until(Exchange.SUPPORT)
    world.silent = {"d", "e"}
    run = world.finish()
    assert run.stage is not Stage.DONE
    assert all(outcome.result is None for outcome in run.outcomes)


def test_a_sum_that_lacks_one_hospital_of_the_sum_before_is_opened_by_nobody(world):
    """The honest hub doesn't ask."""
    world.until(Exchange.VALUES)
    world.silent = {"e"}
    run = world.finish()
    assert run.outcomes[0].withheld.rule == "same-roster"
    assert all(outcome.result is None for outcome in run.outcomes)


def test_nor_would_a_hospital_agree_to_it(world):
    task = world.until(Exchange.VALUES_AGREE)
    refused(world, replace(task, members=NAMES[:4]), rule="same-roster")


def test_masks_are_dealt_once_for_all_three_statistics(world):
    run = world.finish()
    assert {position.step for position in run.setup.positions} == {0, 1, 2}
