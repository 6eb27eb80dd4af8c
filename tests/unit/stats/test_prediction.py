"""Discrimination and calibration over hospitals against scikit-learn on the pooled people."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from dure.guard.suppression import open_cells
from dure.stats import prediction
from dure.stats.base import Again, BadState, Frame, Released
from dure.stats.problems import NoEstimate
from dure.stats.score_table import ScoreTable, ScoreTableParams, ScoreTableState


def people(seed, rows=4000):
    rng = np.random.default_rng(seed)
    score = rng.beta(1, 6, rows)
    return score, (rng.random(rows) < score).astype(np.int64)


def ask(score, case, cuts=8, k=1, hospitals=3):
    statistic, params = ScoreTable(), ScoreTableParams(cuts=cuts)
    frames = [
        Frame(
            person=np.arange(len(score))[h::hospitals],
            columns={"score": score[h::hospitals], "case": case[h::hospitals]},
        )
        for h in range(hospitals)
    ]
    layout, state = statistic.layout(params), statistic.begin(params)
    for _ in range(statistic.rounds(params)):
        statistic.judge(params, state)
        answers = [statistic.local(frame, params, state) for frame in frames]
        shown = open_cells(layout, sum(answer.support for answer in answers), k)
        values = {
            f.name: np.where(shown[f.rests_on], sum(a.sums.values[f.name] for a in answers), 0)
            for f in layout.fields
        }
        outcome = statistic.step(params, state, Released(layout=layout, open=shown, values=values))
        if not isinstance(outcome, Again):
            return outcome.result
        state = outcome.state
    raise AssertionError("it did not finish")


def delong(score, case):
    """The textbook form, over all pairs."""
    x, y = score[case == 1], score[case == 0]
    psi = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    v10, v01 = psi.mean(axis=1), psi.mean(axis=0)
    return psi.mean(), np.sqrt(v10.var(ddof=1) / len(x) + v01.var(ddof=1) / len(y))


def test_on_the_grid_everything_is_exact():
    score, case = people(1, 1500)
    table = ask(score, case)
    assert len(table.edges) == 257
    moved = np.floor(score * 256) / 256
    found = prediction.discrimination(table)
    auc, se = delong(moved, case)
    assert found.auc == pytest.approx(auc, rel=1e-12)
    assert found.auc == pytest.approx(roc_auc_score(case, moved), rel=1e-12)
    assert found.se == pytest.approx(se, rel=1e-10)
    assert prediction.brier(table) == pytest.approx(brier_score_loss(case, score), rel=1e-12)
    false, true, thresholds = roc_curve(case, moved, drop_intermediate=False)
    ours = {threshold: (f, t) for threshold, f, t in prediction.roc(table)}
    for f, t, threshold in list(zip(false, true, thresholds, strict=True))[1:]:
        assert ours[threshold] == pytest.approx((f, t))
    treated = moved >= 0.25
    expected = (case[treated].sum() - (1 - case[treated]).sum() / 3) / len(case)
    benefit = prediction.net_benefit(table, 0.25)
    assert (benefit.least, benefit.most) == pytest.approx((expected, expected))


@pytest.mark.parametrize("seed", range(4))
def test_bounds_hold_under_the_gate(seed):
    score, case = people(seed)
    table = ask(score, case, k=11)
    assert 2 < len(table.edges) < 257
    numbers = np.array(table.people)
    assert not ((numbers > 0) & (numbers < 11)).any()
    assert numbers.sum() == len(score)
    found = prediction.discrimination(table)
    truth = roc_auc_score(case, score)
    assert found.least <= truth <= found.most
    assert abs(found.auc - truth) < 0.01
    assert prediction.brier(table) == pytest.approx(brier_score_loss(case, score), rel=1e-12)
    for threshold in (0.05, 0.1, 0.3):
        treated = score >= threshold
        odds = threshold / (1 - threshold)
        expected = (case[treated].sum() - odds * (1 - case[treated]).sum()) / len(case)
        benefit = prediction.net_benefit(table, threshold)
        assert benefit.least - 1e-12 <= expected <= benefit.most + 1e-12
        assert benefit.everyone == pytest.approx(case.mean() - odds * (1 - case.mean()))


def test_calibration_bins_hold_everyone():
    score, case = people(2)
    bins = prediction.calibration(ask(score, case), 5)
    assert sum(one.people for one in bins) == len(score)
    assert sum(one.people * one.predicted for one in bins) == pytest.approx(score.sum())
    assert sum(one.people * one.observed for one in bins) == pytest.approx(case.sum())
    assert all(one.low <= one.observed <= one.high for one in bins)
    assert all(abs(one.people - 800) < 300 for one in bins)


def test_too_few_of_a_class_give_nothing():
    score, case = people(3, 300)
    case[:] = 0
    case[:5] = 1
    table = ask(score, case, k=11)
    assert table.people == ()
    with pytest.raises(NoEstimate):
        prediction.discrimination(table)
    with pytest.raises(NoEstimate):
        prediction.calibration(table)
    with pytest.raises(NoEstimate):
        prediction.net_benefit(ask(*people(3)), 1.0)


@pytest.mark.parametrize(
    "state",
    [
        ScoreTableState(edges=(0, 3, 8), whole=(True, True)),
        ScoreTableState(edges=(0, 2, 6, 8), whole=(True,) * 3),
        ScoreTableState(edges=(0, 4), whole=(True,)),
        ScoreTableState(edges=(), whole=()),
        ScoreTableState(edges=(0, 4, 8), whole=(True,)),
        ScoreTableState(edges=(0, 4, 4, 8), whole=(True,) * 3),
        ScoreTableState(edges=tuple(range(9)), whole=(False,) * 8),
    ],
)
def test_a_grid_that_halving_does_not_lead_to_is_no_question(state):
    with pytest.raises(BadState):
        ScoreTable().judge(ScoreTableParams(cuts=3), state)
