"""What `self_controlled` asks of people's time, what it computes of a released model, and what it refuses."""

from dataclasses import replace
from datetime import date
from math import exp, log

import numpy as np
import pytest

from dure.features.case_series import BASELINE, CaseSeries
from dure.stats.base import Frame, Nothing, Released
from dure.stats.conditional import Conditional, ConditionalFit, ConditionalResult
from dure.stats.design import BadDesign
from dure.stats.intervals import effect
from dure.stats.no_fit import Suspect
from dure.stats.profile import POINTS, Profile, ProfileResult
from dure.study.kinds.base import BadQuestion, Cohort
from dure.study.kinds.self_controlled import (
    BEFORE,
    RiskWindow,
    SelfControlled,
    SelfControlledKind,
    _frame,
    _params,
)

KIND = SelfControlledKind()
CIRCE = {
    "PrimaryCriteria": {
        "CriteriaList": [{"ObservationPeriod": {}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    }
}
MONTH = RiskWindow(name="month after", start=1, end_anchor="start", end=30)
SPEC = SelfControlled(
    exposure=Cohort(name="cream", circe=CIRCE), outcome=Cohort(name="itch", circe=CIRCE), windows=(MONTH,)
)
PLAIN = replace(SPEC, pre_exposure=0)


def series(*rows):
    """(person, window, days, outcomes), at one age and in one month."""
    person, window, days, outcomes = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    same = np.zeros(len(rows), dtype=np.int64)
    return CaseSeries(person=person, window=window, age=same, month=same, days=days, outcomes=outcomes)


WHOLE = [(1, BASELINE, 300, 1), (1, 0, 30, 1), (1, 1, 30, 0)]


@pytest.mark.parametrize(
    ("rows", "spec", "people", "why"),
    [
        (WHOLE, SPEC, [1], "observed in all windows"),
        ([(2, BASELINE, 300, 1), (2, 0, 30, 0)], SPEC, [], "never before exposure"),
        ([(2, BASELINE, 300, 1), (2, 0, 30, 0)], PLAIN, [2], "which isn't asked for"),
        ([(2, BASELINE, 300, 1), (2, 1, 30, 0)], SPEC, [], "never after exposure"),
        ([(3, BASELINE, 300, 1)], SPEC, [], "not exposed, nothing to adjust for"),
        ([(3, BASELINE, 300, 1)], replace(SPEC, season_waves=1), [3], "not exposed, says something of season"),
        ([(4, BASELINE, 300, 21), (4, 0, 30, 0)], PLAIN, [], "more outcomes than the study takes"),
    ],
)  # fmt: skip
def test_who_counts(rows, spec, people, why):
    assert np.unique(_frame(spec, series(*rows)).person).tolist() == people, why


def test_rows_are_in_the_models_columns():
    spec = replace(SPEC, ages=(40,), season_waves=2)
    frame = _frame(spec, series(*WHOLE))
    assert set(Conditional().columns(_params(spec))) == frame.columns.keys()
    assert frame.columns["month after"].tolist() == [0, 1, 0]
    assert frame.columns[BEFORE].tolist() == [0, 0, 1]
    assert np.exp(frame.columns["offset"]) == pytest.approx([300, 30, 30])
    assert frame.columns["season sine 1"] == pytest.approx([np.sin(np.pi / 12)] * 3)


def fitted(frame, params, statistic=None):
    """The model at its end, with nothing hidden."""
    statistic = statistic or Conditional()
    state = statistic.begin(params)
    while True:
        answer = statistic.local(frame, params, state)
        layout = statistic.layout(params)
        shown = np.ones(len(layout.cells), dtype=np.bool_)
        done = statistic.step(params, state, Released(layout=layout, open=shown, values=answer.sums.values))
        if hasattr(done, "result"):
            return done.result
        state = done.state


def test_equal_time_for_everybody_gives_the_ratio_of_rates():
    """30 days at risk and 300 others in each of 20 people: 12 and 40 outcomes are rates of 0.02 and 0.00667 a day: ratio 3."""
    rows = []
    for person in range(20):
        rows += [
            (person, BASELINE, 300, 2),
            (person, 0, 30, 1 if person < 12 else 0),
        ]
    frame = _frame(PLAIN, series(*rows))
    result = fitted(frame, _params(PLAIN))
    tables = {table.name: table for table in KIND.tables(PLAIN, {"ratios": {"network": result}})}
    (row,) = tables["ratios"].rows
    assert row[:2] == ("network", "month after")
    assert row[2] == pytest.approx((12 / 30) / (40 / 300))
    # The variance of the logarithm is 1/12 + 1/40.
    assert log(row[3]) == pytest.approx(log(3) - 1.959964 * (1 / 12 + 1 / 40) ** 0.5, rel=1e-5)
    assert tables["cases"].rows == (("network", 20, 52, "yes"),)
    once = Profile()
    curve = once.step(
        KIND.steps(replace(PLAIN, one_round=True))[0].params,
        Nothing(),
        _released(once, KIND.steps(replace(PLAIN, one_round=True))[0].params, frame),
    ).result
    (row,) = KIND.tables(replace(PLAIN, one_round=True), {"curve": {"network": curve}})[1].rows
    assert row[2] == pytest.approx(3, rel=5e-3), "by interpolation"


def _released(statistic, params, frame: Frame) -> Released:
    layout = statistic.layout(params)
    answer = statistic.local(frame, params, Nothing())
    return Released(layout=layout, open=np.ones(len(layout.cells), dtype=np.bool_), values=answer.sums.values)


def result(*effects):
    return ConditionalResult(
        people=100, strata=100, events=150, trouble=None, suspects=(), path=(),
        fit=ConditionalFit(effects=effects, covariance=(), log_likelihood=-1.0),
    )  # fmt: skip


def tables(found, spec=SPEC, step="ratios"):
    return {
        table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        for table in KIND.tables(spec, {step: {"network": found}})
    }


@pytest.mark.parametrize(("before", "passes"), [(0.1, "yes"), (0.9, "no")])
def test_the_rate_before_exposure_is_a_diagnostic(before, passes):
    found = tables(result(effect("month after", log(3), 0.1), effect(BEFORE, before, 0.2)))
    assert [row["window"] for row in found["ratios"]] == ["month after", BEFORE]
    (diagnostic,) = found["diagnostics"]
    assert diagnostic["passes"] == passes
    assert (diagnostic["value"] >= 0.05) == (passes == "yes")


def test_ages_and_seasons_are_told_apart_from_windows():
    spec = replace(PLAIN, ages=(40,), season_waves=1)
    found = tables(
        result(
            effect("month after", log(3), 0.1),
            effect("from 40 years", log(2), 0.1),
            effect("season cosine 1", -0.5, 0.1),
            effect("season sine 1", 0.0, 0.1),
        ),
        spec,
    )
    assert [row["window"] for row in found["ratios"]] == ["month after"]
    assert [(row["age"], row["rate_ratio"]) for row in found["age_ratios"]] == [
        ("from 40 years", pytest.approx(2))
    ]
    rate = [row["rate_ratio"] for row in found["season"]]
    assert len(rate) == 12
    assert np.mean(rate) == pytest.approx(1)
    assert rate[6] / rate[0] == pytest.approx(exp(np.cos(np.pi / 12))), "July over January"
    assert found["diagnostics"] == []


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("small-cells", "Too few people for numbers that the model takes: month after"),
        ("runs-off", "It would be infinite: month after"),
    ],
)
def test_no_estimate_says_why(trouble, said):
    about = (Suspect(name="month after", constant_at=None, separates_at=None),)
    none = replace(result(), fit=None, trouble=trouble, suspects=about)
    found = tables(none)
    assert found["ratios"] == []
    assert found["cases"][0]["estimate"] == said


@pytest.mark.parametrize(
    ("curve", "said"),
    [
        (ProfileResult(people=None, values=None, slopes=None), "Too few people"),
        (ProfileResult(people=50, values=tuple(POINTS), slopes=(1.0,) * 8), "outside the ratios"),
    ],
)
def test_no_estimate_in_one_round_says_why(curve, said):
    found = tables(curve, replace(SPEC, one_round=True), step="curve")
    assert found["ratios"] == []
    assert said in found["cases"][0]["estimate"]


@pytest.mark.parametrize(
    ("spec", "problem", "why"),
    [
        (replace(SPEC, windows=(replace(MONTH, end=0),)), BadQuestion, "before it begins"),
        (replace(SPEC, windows=(MONTH, MONTH)), BadDesign, "twice"),
        (replace(SPEC, windows=(replace(MONTH, name="case"),)), BadDesign, "itself"),
        (replace(SPEC, ages=(40, 20)), BadQuestion, "ascend"),
        (
            replace(SPEC, first_day=date(2021, 1, 1), last_day=date(2020, 1, 1)),
            BadQuestion,
            "before it begins",
        ),
    ],
)
def test_what_cannot_be_asked(spec, problem, why):
    with pytest.raises(problem, match=why):
        KIND.check(spec)


def test_what_a_board_reads():
    assert str(MONTH) == "month after: start +1 to start +30 days"
