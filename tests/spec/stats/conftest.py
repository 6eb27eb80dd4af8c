"""A network in miniature: a statistic asked of frames of several hospitals until it is done, its gate at k people."""

from functools import reduce

import numpy as np
import pytest

from dure.guard.suppression import open_cells
from dure.stats.base import Again, Released


def ask(statistic, params, frames, k=1):
    """The result, and how many rounds it took."""
    state, layout, rounds = statistic.begin(params), statistic.layout(params), 0
    while True:
        rounds += 1
        assert rounds <= statistic.rounds(params)
        statistic.judge(params, state)
        answers = [statistic.local(frame, params, state) for frame in frames]
        total = reduce(lambda a, b: a + b, (answer.sums for answer in answers))
        shown = open_cells(layout, sum(answer.support for answer in answers), k)
        values = {
            field.name: np.where(shown[field.rests_on], total.values[field.name], 0)
            for field in layout.fields
        }
        outcome = statistic.step(params, state, Released(layout=layout, open=shown, values=values))
        if not isinstance(outcome, Again):
            return outcome.result, rounds
        state = outcome.state


@pytest.fixture(name="ask", scope="session")
def ask_fixture():
    return ask
