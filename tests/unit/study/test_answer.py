"""What the ring can't hold is refused at the gate, before masks or shares are laid over it."""

import numpy as np
import pytest

from dure.guard.gate import Release, Withheld
from dure.guard.ledger import Memory
from dure.stats.base import Answer
from dure.study.kinds.base import Step
from dure.study.protocol.answer import through_gate
from dure.wire.messages import Exchange, Position, Task, pack
from dure.wire.rules import RULES_OFF
from dure.wire.sums import Field, FieldKind, Layout, Sums, Unit

LAYOUT = Layout(
    cells=("everyone",), relations=(),
    fields=(Field(name="x", kind=FieldKind.MOMENT, unit=Unit.PERSON, bound=1e300, rests_on=np.zeros(1, np.int64), scale=40),),
)  # fmt: skip


class Wide(Step):
    """A step of which only the layout is asked: one number without a useful bound."""

    layout = LAYOUT


def gate(value):
    answer = Answer(
        sums=Sums(layout=LAYOUT, values={"x": np.array([value])}),
        support=np.array([20]),
        populations={"everyone": np.arange(20)},
    )
    task = Task(
        run="r", manifest="m", position=Position(step=0, round=0, exchange=Exchange.VALUES),
        state=b"", open=pack(np.ones(1, np.bool_)),
    )  # fmt: skip
    step = Wide(name="wide", statistic=None, params=None)
    return through_gate(step, task, answer, rules=RULES_OFF, memory=Memory(me="a", run="r", step=0))


@pytest.mark.parametrize("value", [2.0**80, -(2.0**80), 1e200])
def test_a_number_beyond_the_ring_is_refused(value):
    told = gate(value)
    assert isinstance(told, Withheld)
    assert told.rule.id == "bounds"


@pytest.mark.parametrize("value", [2.0**79, -(2.0**79), 0.5])
def test_one_within_it_is_released(value):
    assert isinstance(gate(value), Release)
