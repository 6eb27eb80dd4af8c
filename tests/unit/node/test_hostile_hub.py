"""A hub that is taken over asks for what no board signed. Each line: the lie, and that no number leaves for it."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.stats.quantiles import Interval, QuantilesState
from dure.study.kinds.base import Cohort
from dure.study.kinds.distribution import Distribution
from dure.wire.codec import decode, digest, encode
from dure.wire.envelope import peek, public_text, seal
from dure.wire.messages import Contribution, Exchange, Manifest, Permit, Position, Refusal, StudyOffer, pack
from dure.wire.rules import Mode, Rules


def manifest(network, offer, **changes):
    told = decode(Manifest, offer.manifest, where="")
    return replace(offer, manifest=encode(replace(told, **changes)))


def with_manifest(**changes):
    """A run whose manifest isn't what the permits say, and its task renamed to fit."""

    def lie(network, answer):
        runs = tuple(manifest(network, offer, **changes) for offer in answer.runs)
        tasks = tuple(replace(task, manifest=digest(runs[0].manifest)) for task in answer.tasks)
        return replace(answer, runs=runs, tasks=tasks)

    return lie


def foreign_permit(network, answer):
    """One seat's permit is signed by a key that the hub made."""
    offer = answer.runs[0]
    forged = [
        seal(peek(Permit, envelope, where=""), "permit", Ed25519PrivateKey.generate())
        if peek(Permit, envelope, where="").hospital == "bora"
        else envelope
        for envelope in offer.permits
    ]
    return replace(answer, runs=(replace(offer, permits=tuple(forged)),))


def weaker_permit(network, answer):
    """My own permit, changed to weaker rules and signed by the hub."""
    offer = answer.runs[0]
    weak = [
        seal(
            replace(peek(Permit, envelope, where=""), rules=Rules(least_people=2)),
            "permit",
            Ed25519PrivateKey.generate(),
        )
        for envelope in offer.permits
    ]
    return replace(answer, runs=(replace(offer, permits=tuple(weak)),))


def two_hospitals_fewer(network, answer):
    """The others are left out: the total would be this hospital's own numbers."""
    offer = answer.runs[0]
    told = decode(Manifest, offer.manifest, where="")
    mine = tuple(seat for seat in told.roster if seat.hospital == "hanbit")
    alone = replace(
        offer, manifest=encode(replace(told, roster=mine)), permits=(network.hub.permits["hanbit"],)
    )
    tasks = tuple(replace(task, manifest=digest(alone.manifest)) for task in answer.tasks)
    return replace(answer, runs=(alone,), tasks=tasks)


def sybil(network, answer):
    """The hub enrols hospitals of its own, which no directory of the root lists."""
    offer = answer.runs[0]
    key = Ed25519PrivateKey.generate()
    mine = peek(Permit, network.hub.permits["hanbit"], where="")
    fake = seal(replace(mine, hospital="ghost", node_key=public_text(key)), "permit", key)
    return replace(answer, runs=(replace(offer, permits=(*offer.permits, fake)),))


RUN_LIES = {
    "weaker rules in the manifest": with_manifest(rules=Rules(least_people=2)),
    "another mode in the manifest": with_manifest(mode=Mode.BY_HOSPITAL),
    "another layout in the manifest": with_manifest(layouts=("sha256:" + "0" * 64,) * 3),
    "another study in the manifest": with_manifest(study="sha256:" + "0" * 64),
    "a longer run than the permits": with_manifest(expires=None),
    "a permit signed by another key": foreign_permit,
    "my permit with weaker rules, forged": weaker_permit,
    "a roster of this hospital alone": two_hospitals_fewer,
    "a hospital that the root doesn't list": sybil,
}


@pytest.mark.parametrize("lie", RUN_LIES)
def test_no_seat_is_taken_in_a_run_that_the_boards_did_not_sign(network, lie):
    network.permitted()
    network.hub.compose()
    told = RUN_LIES[lie]
    if lie == "a longer run than the permits":
        told = with_manifest(expires=network.hub.manifest.expires + timedelta(days=365))
    network.hub.lie = lambda answer: told(network, answer) if answer.runs else answer
    network.turn()
    assert network.journal.seat("run-1") is None
    assert network.workshop.jobs == []
    assert network.sent(Contribution) == []


def task_with(**changes):
    return lambda network, task: replace(task, **changes)


def another_state(network, task):
    return replace(task, state=encode(QuantilesState(interval=Interval(low=17, high=18), cuts=0)))


def a_later_state(network, task):
    """A lawful state, but of a later round than asked."""
    return replace(task, state=encode(QuantilesState(interval=Interval(low=16, high=32), cuts=1)))


def at(step, round_, exchange):
    return task_with(position=Position(step=step, round=round_, exchange=exchange))


TASK_LIES = {
    "a state that cutting never reaches": (another_state, "lawful-state"),
    "a first round that doesn't begin at the beginning": (a_later_state, "lawful-state"),
    "a state that is no state": (task_with(state=b'{"person": 7}'), "lawful-state"),
    "a state with a key twice": (task_with(state=b'{"cuts": 0, "cuts": 1}'), "lawful-state"),
    "no state": (task_with(state=None), "not-permitted"),
    "another manifest": (task_with(manifest="sha256:" + "0" * 64), "not-permitted"),
    "an exchange of the other mode": (at(0, 0, Exchange.RELEASE), "not-permitted"),
    "a step that the study doesn't have": (at(3, 0, Exchange.SUPPORT), "not-permitted"),
    "a negative step": (at(-1, 0, Exchange.SUPPORT), "not-permitted"),
    "an extra round": (at(0, 3, Exchange.SUPPORT), "not-permitted"),
    "a round left out": (at(0, 1, Exchange.SUPPORT), "not-permitted"),
    "values before their support": (
        lambda network, task: replace(
            task,
            position=replace(task.position, exchange=Exchange.VALUES),
            open=pack(np.ones(12, dtype=np.bool_)),
        ),
        "not-permitted",
    ),
    "support with open cells": (task_with(open=pack(np.ones(12, dtype=np.bool_))), "not-permitted"),
}


@pytest.mark.parametrize("lie", TASK_LIES)
def test_a_task_that_the_permit_does_not_cover_is_refused(network, lie):
    change, rule = TASK_LIES[lie]
    network.permitted()
    network.hub.compose()
    network.until(Exchange.SUPPORT)
    network.hub.lie = lambda answer: replace(
        answer, tasks=tuple(change(network, task) for task in answer.tasks)
    )
    network.hub._answer = lambda envelope: network.hub.answers.append(
        (peek(Refusal, envelope, where=""), envelope)
    )
    network.turn()
    assert network.workshop.jobs == []
    assert network.sent(Contribution) == []
    assert [one.rule for one in network.sent(Refusal)] == [rule]


def values_task(network):
    """Bring the run to its first VALUES task, unanswered."""
    network.permitted()
    network.hub.compose()
    return network.until(Exchange.VALUES)


def test_values_from_another_state_than_their_support_are_refused(network):
    task = values_task(network)
    other = encode(QuantilesState(interval=Interval(low=16, high=32), cuts=1))
    network.hub.lie = lambda answer: replace(answer, tasks=(replace(task, state=other),))
    network.turn()
    assert [one.rule for one in network.sent(Refusal)] == ["lawful-state"]


def test_an_open_mask_widened_after_the_answer_gets_nothing_new(network):
    task = values_task(network)
    narrow = replace(task, open=pack(np.zeros(12, dtype=np.bool_)))
    network.hub.lie = lambda answer: replace(answer, tasks=(narrow,))
    network.turn()
    count = len(network.hub.answers)
    assert network.hub.answers[-1][0].position.exchange is Exchange.VALUES
    jobs = len(network.workshop.jobs)
    wide = replace(task, open=pack(np.ones(12, dtype=np.bool_)))
    network.hub.lie = lambda answer: replace(answer, tasks=(wide,))
    network.turns()
    assert len(network.hub.answers) == count
    assert len(network.workshop.jobs) == jobs


def test_an_open_mask_of_another_length_is_refused(network):
    task = values_task(network)
    network.hub.lie = lambda answer: replace(answer, tasks=(replace(task, open=b"\xff" * 99),))
    network.turn()
    assert [one.rule for one in network.sent(Refusal)] == ["lawful-state"]


def test_an_answered_position_asked_with_another_state_gets_nothing_new(network):
    network.permitted()
    network.hub.compose()
    task = network.until(Exchange.SUPPORT)
    network.turn()
    count = len(network.hub.answers)
    network.hub.lie = lambda answer: replace(answer, tasks=(another_state(network, task),))
    network.turns()
    assert len(network.hub.answers) == count


def test_a_second_run_under_one_permit_is_refused_once_numbers_have_left(network):
    """Two rosters of one study would subtract to the hospitals between them."""
    network.permitted()
    network.hub.compose()
    network.turns()
    count = len(network.sent(Contribution))
    network.hub.compose()
    network.turns()
    assert network.journal.seat("run-2") is None
    assert [one.rule for one in network.sent(Refusal)] == ["not-permitted"]
    assert len(network.sent(Contribution)) == count


def test_a_task_for_a_run_without_a_seat_is_left_alone(network):
    network.permitted()
    network.hub.compose()
    (task,) = network.hub.poll_answer().tasks
    asked = replace(task, position=Position(step=0, round=0, exchange=Exchange.SUPPORT), state=b"{}")
    network.hub.lie = lambda answer: replace(answer, tasks=(asked,))
    network.turns()
    assert network.hub.answers == []
    assert network.workshop.jobs == []


def test_a_run_over_a_study_that_was_declined_is_left_alone(network):
    from dure.node.signing import decline

    network.permitted()
    network.hub.compose()
    offered = network.hub.poll_answer()
    network.journal._db.execute("DELETE FROM decision")
    decline(
        network.hub.study,
        network.config,
        network.journal,
        network.board_key,
        reason="No.",
        now=network.clock(),
    )
    network.hub.lie = lambda answer: replace(offered, directory=None)
    network.turns()
    assert network.journal.seat("run-1") is None
    assert network.hub.answers == []


def test_a_changed_study_under_an_old_signature_cannot_be_signed(network):
    sealed = network.hub.offer(network.study())
    other = Distribution(
        cohort=Cohort(name="everyone", circe=network.hub.question.question.cohort.circe), bins=32
    )
    changed = replace(sealed, payload=encode(network.study(question=other)))
    network.hub.lie = lambda answer: replace(
        answer, offers=(StudyOffer(study=changed, asked=network.clock()),)
    )
    network.turns()
    (offer,) = network.journal.offers()
    assert "No valid signature" in offer.fault


def test_an_old_directory_is_not_believed(network):
    network.version = 5
    network.turns()
    old = network.version = 4
    sealed = network.sealed_directory()
    network.hub.lie = lambda answer: replace(answer, directory=sealed)
    network.turn()
    assert network.worker.trust.version == 5 > old


@pytest.mark.parametrize("lie", ["another root", "expired", "same version, other members"])
def test_a_directory_that_the_root_does_not_vouch_for_is_not_believed(network, lie):
    network.turns()
    known = network.journal.fact("directory")
    made = {
        "another root": lambda: seal(network.directory(version=9), "directory", Ed25519PrivateKey.generate()),
        "expired": lambda: seal(
            network.directory(version=9, expires=network.clock() - timedelta(seconds=1)),
            "directory",
            network.root,
        ),
        "same version, other members": lambda: seal(
            network.directory(members=network.members()[:-1]), "directory", network.root
        ),
    }[lie]()
    network.hub.lie = lambda answer: replace(answer, directory=made)
    network.turn()
    assert network.journal.fact("directory") == known
    assert network.worker.trust.version == 1


def test_nothing_is_answered_once_the_directory_has_expired(network):
    from dure.wire.directory import Untrusted

    network.permitted(network.study(expires=network.clock() + timedelta(days=30)))
    network.hub.compose()
    network.turn()
    network.clock.pass_(days=8)
    with pytest.raises(Untrusted):
        network.turn()
    assert network.sent(Contribution) == []


def test_nothing_is_answered_after_the_permit_has_ended(network):
    network.permitted()
    network.hub.compose()
    network.turn()
    network.clock.pass_(days=1)
    network.turns()
    assert network.workshop.jobs == []
    assert [one.rule for one in network.sent(Refusal)] == ["not-permitted"]


def test_a_seat_is_judged_again_when_the_root_drops_a_hospital(network):
    network.permitted()
    network.hub.compose()
    network.turn()
    network.version = 2
    del network.others["choi"]
    network.turn()
    assert network.workshop.jobs == []
    assert network.sent(Contribution) == []


def test_a_replayed_permit_of_an_earlier_epoch_opens_no_run(network):
    network.permitted()
    network.hub.compose()
    mine = network.members()[1]
    network.version = 2
    later = replace(mine, epoch=2)
    members = (network.members()[0], later, *network.members()[2:])
    network.sealed_directory = lambda: seal(network.directory(members=members), "directory", network.root)
    network.turn()
    assert network.journal.seat("run-1") is None
    assert network.sent(Contribution) == []
