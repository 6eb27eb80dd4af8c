"""Mantel-Haenszel over hospitals' own strata: when terms are shown, and that they are those of whole tables."""

import numpy as np
import pytest

from dure.guard.suppression import open_cells
from dure.stats import mantel_haenszel as mh
from dure.stats.base import Frame, Nothing, Released
from dure.stats.hospital_strata import HospitalStrata, HospitalStrataParams, Measure


def hospital(rng, strata, rows):
    exposed, outcomes = rng.integers(0, 2, rows), rng.poisson(0.4, rows)
    columns = {
        "exposed": exposed,
        "outcomes": outcomes,
        "case": (outcomes > 0).astype(np.int64),
        "days": outcomes + rng.integers(1, 900, rows),
        "stratum": rng.choice(strata, rows),
    }
    return Frame(person=np.arange(rows), columns=columns)


def ask(frames, measure, k):
    statistic, params = HospitalStrata(), HospitalStrataParams(measure=measure)
    layout = statistic.layout(params)
    answers = [statistic.local(frame, params, Nothing()) for frame in frames]
    shown = open_cells(layout, sum(answer.support for answer in answers), k)
    values = {
        field.name: np.where(shown[field.rests_on], sum(a.sums.values[field.name] for a in answers), 0)
        for field in layout.fields
    }
    return statistic.step(params, Nothing(), Released(layout=layout, open=shown, values=values)).result


@pytest.mark.parametrize("measure", Measure)
def test_terms_are_those_of_every_hospitals_strata(measure):
    rng = np.random.default_rng(4)
    frames = [hospital(rng, np.arange(5) * 7, 200) for _ in range(3)]
    result = ask(frames, measure, 11)
    expected = 0
    for frame in frames:
        for stratum in np.unique(frame.columns["stratum"]):
            at = {k: v[frame.columns["stratum"] == stratum] for k, v in frame.columns.items()}
            exposed, case = at["exposed"] == 1, at["case"] == 1
            if measure is Measure.RISK:
                expected += mh.table_terms(
                    *[[(one & two).sum()] for one in (exposed, ~exposed) for two in (case, ~case)]
                )
            else:
                events, days = at["outcomes"], at["days"]
                expected += mh.rate_terms(
                    [events[exposed].sum()],
                    [days[exposed].sum()],
                    [events[~exposed].sum()],
                    [days[~exposed].sum()],
                )
    np.testing.assert_allclose(list(result.terms.values()), expected[0], rtol=1e-9, atol=1e-9)


def test_one_small_cell_hides_the_terms():
    columns = {
        "exposed": np.repeat([1, 1, 0, 0], [5, 100, 80, 90]),
        "case": np.repeat([1, 0, 1, 0], [5, 100, 80, 90]),
        "stratum": np.zeros(275, dtype=np.int64),
    }
    frames = [Frame(person=np.arange(275), columns=columns)]
    result = ask(frames, Measure.RISK, 11)
    assert result.terms is None
    assert result.people == (None,) * 4
    result = ask(frames, Measure.RISK, 1)
    assert mh.odds_ratio(result.terms).value == pytest.approx(5 * 90 / (100 * 80))


def test_a_hospital_without_people_adds_nothing():
    rng = np.random.default_rng(4)
    frame = hospital(rng, np.arange(2), 300)
    alone = ask([frame], Measure.RISK, 11)
    with_empty = ask([frame, hospital(rng, np.arange(2), 0)], Measure.RISK, 11)
    assert alone == with_empty
