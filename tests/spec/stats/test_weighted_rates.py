"""What `weighted_rates` counts, and the risks that follow, beside what is known by hand."""

import math

import numpy as np
import pytest

from dure.guard.suppression import open_cells
from dure.stats.base import Frame, Nothing, Released
from dure.stats.design import BadDesign
from dure.stats.weighted_rates import WeightedRates, WeightedRatesParams, risk_difference, risks

PARAMS = WeightedRatesParams(groups=("target", "comparator"), edges=(0, 10, 30), largest_weight=5)


def asked(params, k=1, **columns):
    frame = Frame(
        person=np.arange(len(columns["time"])),
        columns={name: np.array(each) for name, each in columns.items()},
    )
    answer = WeightedRates().local(frame, params, Nothing())
    layout = WeightedRates().layout(params)
    is_open = open_cells(layout, answer.support, k)
    values = {
        f.name: np.where(is_open[f.rests_on], answer.sums.values[f.name], 0) for f in layout.fields
    }  # fmt: skip
    return (
        WeightedRates().step(params, Nothing(), Released(layout=layout, open=is_open, values=values)).result
    )


def test_events_and_times_by_interval():
    found = asked(
        PARAMS, time=[5, 10, 20, 40], event=[1, 0, 1, 1], group=[0, 0, 0, 0], weight=[1.0, 2.0, 1.0, 1.0]
    )
    first, second = found.groups[0]
    assert (first.people, first.events) == (4, 1)
    assert first.exposure == pytest.approx(0.5 + 2 + 1 + 1)
    assert (first.weighted, first.event_squares, first.cross) == (1, 1, 0.5)
    assert (second.people, second.events) == (2, 1), "an event after the last day doesn't count"
    assert second.exposure == pytest.approx(0.5 + 1)
    assert [piece.people for piece in found.groups[1]] == [0, 0]


def test_a_risk_is_of_the_cumulative_rate():
    found = asked(
        PARAMS, time=[5, 10, 20, 40], event=[1, 0, 1, 1], group=[0, 0, 0, 0], weight=[1.0, 1.0, 1.0, 1.0]
    )
    one, two = risks(PARAMS, found.groups[0])
    assert (one.day, two.day) == (10, 30)
    assert one.value == pytest.approx(1 - math.exp(-1 / 3.5))
    assert two.value == pytest.approx(1 - math.exp(-1 / 3.5 - 1 / 1.5))
    assert one.low < one.value < one.high
    assert risks(PARAMS, found.groups[1]) == [], "of nobody there is no risk"


def test_the_error_without_weights_is_that_of_a_rate():
    """Everybody is seen to the end: the residuals' variance is that of a share."""
    rng = np.random.default_rng(5)
    params = WeightedRatesParams(groups=("a", "b"), edges=(0, 100))
    time = np.full(20_000, 100)
    event = rng.random(20_000) < 0.02
    found = asked(params, time=time, event=event, group=np.zeros(20_000), weight=np.ones(20_000))
    (risk,) = risks(params, found.groups[0])
    rate = event.mean()
    assert risk.se == pytest.approx(math.exp(-rate) * math.sqrt(rate * (1 - rate) / 20_000), rel=1e-9)
    assert risk_difference(risk, risk).value == 0


def test_a_hidden_interval_ends_the_curve():
    time, event = [5] * 3 + [20] * 12 + [40] * 20, [1] * 3 + [1] * 12 + [0] * 20
    found = asked(PARAMS, k=10, time=time, event=event, group=[0] * 35, weight=[1.0] * 35)
    assert found.groups[0][0] is None
    assert risks(PARAMS, found.groups[0]) == []


def test_days_ascend():
    with pytest.raises(BadDesign):
        WeightedRatesParams(groups=("a",), edges=(0, 0))
