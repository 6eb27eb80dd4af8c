"""What a step is told of earlier ones: the right results get through, and a hub's own inventions don't."""

from dataclasses import replace

import numpy as np
import pytest

from dure.stats.base import Frame
from dure.stats.quantiles import Interval, QuantilesResult
from dure.study.kinds.base import NETWORK
from dure.study.protocol.run import FINAL, Stage
from dure.wire.codec import decode, encode
from dure.wire.messages import Contribution, Exchange, Refusal
from dure.wire.rules import Mode


def result(low, high, people=1000):
    return encode(QuantilesResult(people=people, interval=Interval(low=low, high=high)))


def begun(network, mode=Mode.TOTAL):
    """A run whose seat is taken."""
    network.permitted(network.study(mode=mode))
    network.hub.compose()
    network.turn()


def to_second_step(network):
    """The run has come to the step that stands on the first."""
    while network.hub.run.step == 0:
        assert network.turn()


@pytest.mark.parametrize("mode", Mode)
def test_the_second_step_is_told_the_first_ones_result(network, chained, mode):
    begun(network, mode)
    network.turns()
    assert network.hub.run.stage is Stage.DONE
    name = NETWORK if mode is Mode.TOTAL else "hanbit"
    found = {one.step: one.result for one in network.hub.run.outcomes if one.name == name}
    jobs = {job.step.name: job.carried for job in network.workshop.jobs}
    assert jobs == {"lower_quartile": (), "median": (found["lower_quartile"],)}
    assert network.sent(Refusal) == []
    assert len({job.frame for job in network.workshop.jobs}) == 2


def test_a_step_without_what_it_stands_on_is_not_asked(network, chained):
    network.workshop.frame = Frame(person=np.arange(5), columns={"value": np.arange(5)})
    begun(network)
    network.turns()
    assert network.hub.run.stage in FINAL
    assert [one.withheld.reason for one in network.hub.run.outcomes if one.step == "median"] == [
        "median stands on lower_quartile, of which there is no result."
    ]
    assert {job.step.name for job in network.workshop.jobs} == {"lower_quartile"}


def test_a_locked_step_is_not_asked_and_the_reason_is_told(network, chained):
    network.workshop.frame = Frame(person=np.arange(500), columns={"value": np.full(500, 70)})
    begun(network)
    network.turns()
    (locked,) = [one.withheld for one in network.hub.run.outcomes if one.step == "median"]
    assert (locked.rule, locked.reason) == ("locked", "The lower quartile is above 60.")
    assert {job.step.name for job in network.workshop.jobs} == {"lower_quartile"}


LIES = {
    "no result": ((), "lawful-state"),
    "one result too many": ((result(16, 32), result(16, 32)), "lawful-state"),
    "what is no result": ((b'{"people": 3}',), "lawful-state"),
    "an interval that the kind finds unlawful": ((result(120, 300),), "lawful-state"),
    "a result that locks the step": ((result(70, 71),), "not-permitted"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_carried_is_judged(network, chained, lie):
    begun(network)
    to_second_step(network)
    carried, rule = LIES[lie]
    network.hub.lie = lambda answer: replace(
        answer, tasks=tuple(replace(task, carried=carried) for task in answer.tasks)
    )
    before = len(network.workshop.jobs)
    network.hub._answer = lambda envelope: network.hub.answers.append((decode_refusal(envelope), envelope))
    network.turn()
    assert len(network.workshop.jobs) == before
    assert [one.rule for one in network.sent(Refusal)] == [rule]


def decode_refusal(envelope):
    return decode(Refusal, envelope.payload, where="")


def test_a_first_step_takes_nothing_carried(network, chained):
    begun(network)
    network.until(Exchange.SUPPORT)
    network.hub.lie = lambda answer: replace(
        answer, tasks=tuple(replace(task, carried=(result(16, 32),)) for task in answer.tasks)
    )
    network.hub._answer = lambda envelope: network.hub.answers.append((decode_refusal(envelope), envelope))
    network.turn()
    assert network.workshop.jobs == []
    assert [one.rule for one in network.sent(Refusal)] == ["lawful-state"]


def test_results_that_change_within_a_step_are_refused(network, chained):
    begun(network)
    to_second_step(network)
    task = network.until(Exchange.VALUES)
    network.hub.lie = lambda answer: replace(answer, tasks=(replace(task, carried=(result(24, 25),)),))
    count = len(network.sent(Contribution))
    network.turn()
    assert [one.rule for one in network.sent(Refusal)] == ["lawful-state"]
    assert len(network.sent(Contribution)) == count


def test_by_hospital_only_its_own_results_are_carried(network, chained):
    """A lawful result that the hospital's own numbers don't lead to is a question of the hub's."""
    begun(network, Mode.BY_HOSPITAL)
    to_second_step(network)
    network.hub.lie = lambda answer: replace(
        answer, tasks=tuple(replace(task, carried=(result(24, 25),)) for task in answer.tasks)
    )
    before = len(network.workshop.jobs)
    network.turn()
    assert [one.rule for one in network.sent(Refusal)] == ["lawful-state"]
    assert len(network.workshop.jobs) == before
