"""In `by_hospital` a hub can't choose the branch of a statistic: it follows from the hospital's own releases."""

import numpy as np
import pytest

from dure.node.seat import _judge_own_path
from dure.stats.base import Again, BadState, Frame
from dure.stats.quantiles import Interval, Quantiles, QuantilesParams, QuantilesState
from dure.study.kinds.base import Step
from dure.study.protocol.answer import follow, message, remembered, through_gate
from dure.wire.codec import encode
from dure.wire.messages import Exchange, Position, Task
from dure.wire.rules import Rules

STEP = Step(name="median", statistic=Quantiles(), params=QuantilesParams(low=0, high=25, bins=5, share=0.5))
PEOPLE = np.repeat([2, 7, 12, 17, 22], [50, 3, 40, 60, 20])
"""The three between 5 and 9 are hidden, and another bin with them."""


def task(state, number):
    place = Position(step=0, round=number, exchange=Exchange.RELEASE)
    return Task(run="r", manifest="m", position=place, state=encode(state))


def alone(asked):
    return remembered(asked, me="hanbit", roster=("hanbit",), outside=("hanbit",))


@pytest.fixture
def released():
    state = Quantiles().begin(STEP.params)
    frame = Frame(person=np.arange(len(PEOPLE)), columns={"value": PEOPLE})
    answer = Quantiles().local(frame, STEP.params, state)
    first = task(state, 0)
    return message(
        through_gate(STEP, first, answer, rules=Rules(round_to=1), memory=alone(first)), first, "hanbit"
    )


def test_a_branch_that_would_give_a_small_bin_by_subtraction_is_no_question(released):
    """Below 10 there are 53 people; 50 were shown: the hub would have the three."""
    chosen = QuantilesState(interval=Interval(low=10, high=15), cuts=1)
    Quantiles().judge(STEP.params, chosen)
    outcome = follow(STEP, Quantiles().begin(STEP.params), released)
    assert not isinstance(outcome, Again) or outcome.state != chosen
    with pytest.raises(Exception, match=r"another state|finished") as caught:
        _judge_own_path(task(chosen, 1), chosen, STEP, (released,))
    assert caught.type.__name__ in {"BadState", "NotPermitted"}


def test_the_branch_that_follows_is_asked():
    people = np.repeat([2, 7, 12, 17, 22], 40)
    state = Quantiles().begin(STEP.params)
    answer = Quantiles().local(Frame(person=np.arange(200), columns={"value": people}), STEP.params, state)
    first = task(state, 0)
    given = message(
        through_gate(STEP, first, answer, rules=Rules(round_to=1), memory=alone(first)), first, "hanbit"
    )
    after = follow(STEP, state, given)
    assert isinstance(after, Again)
    _judge_own_path(task(after.state, 1), after.state, STEP, (given,))
    with pytest.raises(BadState):
        other = QuantilesState(interval=Interval(low=0, high=5), cuts=1)
        _judge_own_path(task(other, 1), other, STEP, (given,))
