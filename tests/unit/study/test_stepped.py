"""A total of which a few people make up most is judged before it is anybody's result."""

import numpy as np
import pytest

from dure.stats.base import Frame
from dure.stats.rates import Rates, RatesParams
from dure.study.kinds.base import NETWORK, Step
from dure.study.protocol.run import Strand
from dure.study.protocol.transitions import stepped
from dure.wire.codec import encode
from dure.wire.messages import Exchange
from dure.wire.rules import RULES_OFF, Rules

STEP = Step(name="rate", statistic=Rates(), params=RatesParams(strata=(), most_days=50_000))


def told(longest, rules):
    """Two hospitals of ten people who are followed a hundred days, and one of them for longer."""
    answers = []
    for first in (100, longest):
        columns = {"days": np.array([first] + [100] * 9), "outcomes": np.ones(10, dtype=np.int64)}
        frame = Frame(person=np.arange(10), columns=columns)
        answers.append(Rates().local(frame, STEP.params, Rates().begin(STEP.params)))
    strand = Strand(
        name=NETWORK, hospitals=("a", "b"), round=0, exchange=Exchange.VALUES,
        state=encode(Rates().begin(STEP.params)), support={}, received={},
    )  # fmt: skip
    total = answers[0].sums + answers[1].sums
    support = answers[0].support + answers[1].support
    return stepped(STEP, strand, support >= 11, total.to_ring(), support, round_to=1, rules=rules)


@pytest.mark.parametrize(("longest", "rules"), [(100, Rules()), (900, Rules()), (30_000, RULES_OFF)])
def test_a_total_of_many_is_a_result(longest, rules):
    assert told(longest, rules).result is not None


def test_a_total_of_one_is_withheld():
    ended = told(30_000, Rules())
    assert ended.result is None
    assert ended.withheld.rule == "concentration"
