"""One-round profiles against the fit in rounds, and against meta-analysis where a hospital has no estimate of its own."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from dure.guard.suppression import open_cells
from dure.stats.base import Frame, Nothing, Released
from dure.stats.conditional import ConditionalParams
from dure.stats.conditional_kernel import Strata, Ties, add_up
from dure.stats.design import binary, continuous
from dure.stats.problems import NoEstimate
from dure.stats.profile import POINTS, Profile, ProfileParams, ProfileResult, ratio_of

COVARIATES = (binary("drug"), continuous("dose", -10, 10))


def series(seed, people=300, effect=0.7):
    """People with four intervals each, the second exposed for most, at five hospitals."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), 4)
    drug = np.tile([0, 1, 0, 0], people) * np.repeat(rng.random(people) < 0.7, 4)
    dose = rng.normal(0, 1, 4 * people)
    case = rng.poisson(0.15 * np.exp(effect * drug + 0.3 * dose))
    return {"stratum": person, "drug": drug, "dose": dose, "case": case}


def ask(columns, covariates, k=1, hospitals=5):
    statistic = Profile()
    params = ProfileParams(model=ConditionalParams(covariates=covariates, ties=Ties.BRESLOW, most_cases=50))
    place = columns["stratum"] % hospitals
    frames = [
        Frame(person=columns["stratum"][place == h], columns={n: c[place == h] for n, c in columns.items()})
        for h in range(hospitals)
    ]
    layout = statistic.layout(params)
    answers = [statistic.local(frame, params, Nothing()) for frame in frames]
    shown = open_cells(layout, sum(answer.support for answer in answers), k)
    values = {
        f.name: np.where(shown[f.rests_on], sum(a.sums.values[f.name] for a in answers), 0)
        for f in layout.fields
    }
    return statistic.step(params, Nothing(), Released(layout=layout, open=shown, values=values)).result


def exact(columns, names):
    """The pooled maximum, by plain Newton."""
    strata = Strata(
        x=np.stack([columns[name] for name in names], axis=1).astype(float),
        offset=np.zeros(len(columns["case"])),
        case=columns["case"].astype(float),
        starts=np.arange(0, len(columns["case"]), 4),
    )
    beta = np.zeros(len(names))
    for _ in range(30):
        at = add_up(strata, beta, Ties.BRESLOW)
        beta = beta + np.linalg.solve(at.information, at.observed - at.expected)
    return beta[0], np.sqrt(np.linalg.inv(at.information)[0, 0])


@pytest.mark.parametrize("seed", range(4))
def test_without_others_it_is_the_fit_in_rounds(seed):
    columns = series(seed)
    found = ratio_of(ask(columns, COVARIATES[:1]))
    estimate, se = exact(columns, ("drug",))
    assert abs(np.log(found.value) - estimate) < 0.006 * se
    assert found.se == pytest.approx(se, rel=0.03)
    assert found.low < found.value < found.high
    assert np.log(found.high) - np.log(found.low) == pytest.approx(2 * 1.96 * se, rel=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_with_others_it_is_near(seed):
    columns = series(seed)
    found = ratio_of(ask(columns, COVARIATES))
    estimate, se = exact(columns, ("drug", "dose"))
    assert abs(np.log(found.value) - estimate) < 0.3 * se


def test_slopes_are_those_of_the_profile():
    """The best of the other coefficients moves with the point, and by the envelope theorem adds nothing to the slope."""
    columns = series(1)
    result = ask(columns, COVARIATES, hospitals=1)
    strata = Strata(
        x=np.stack([columns["drug"], columns["dose"]], axis=1).astype(float),
        offset=np.zeros(len(columns["case"])),
        case=columns["case"].astype(float),
        starts=np.arange(0, len(columns["case"]), 4),
    )
    for point, value, slope in zip(POINTS, result.values, result.slopes, strict=True):
        best = [
            -minimize_scalar(
                lambda other, at=point + move: -add_up(strata, np.array([at, other]), Ties.BRESLOW).value,
                bounds=(-2, 2),
                method="bounded",
                options={"xatol": 1e-8},
            ).fun
            for move in (-1e-3, 0, 1e-3)
        ]
        # Strata without a case are the same whatever the coefficients.
        assert value == pytest.approx(best[1], abs=1e-7)
        assert slope == pytest.approx((best[2] - best[0]) / 2e-3, abs=1e-3)


def test_a_hospital_without_an_estimate_of_its_own_still_counts():
    """At one hospital no exposed interval has an event: its own estimate is minus infinity, its curve is as good as any."""
    columns = series(3)
    one = (columns["stratum"] % 5 == 2) & (columns["drug"] == 1)
    columns["case"][one] = 0
    found = ratio_of(ask(columns, COVARIATES[:1]))
    estimate, se = exact(columns, ("drug",))
    assert abs(np.log(found.value) - estimate) < 0.006 * se


def test_one_small_cell_hides_the_curve():
    columns = series(4)
    columns["drug"][20:] = 0
    result = ask(columns, COVARIATES[:1], k=11)
    assert result == ProfileResult(people=None, values=None, slopes=None)
    with pytest.raises(NoEstimate):
        ratio_of(result)


def test_a_likelihood_that_still_rises_has_no_estimate():
    columns = series(5)
    columns["case"][columns["drug"] == 1] = 0
    with pytest.raises(NoEstimate):
        ratio_of(ask(columns, COVARIATES[:1]))
