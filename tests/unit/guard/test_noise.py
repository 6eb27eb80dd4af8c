"""Noise is as much as was reckoned with, wherever it is added, and what can't carry it says so."""

import math
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from scipy import stats

from dure.guard import accounting, noise
from dure.guard.gate import Release, Withheld, judge_total, release_noised
from dure.guard.neighbours import threshold
from dure.node.draw import draw
from dure.stats.base import Answer
from dure.stats.rates import Rates, RatesParams
from dure.stats.strata import Strata
from dure.wire import ring
from dure.wire.rules import Noise, Rules
from dure.wire.sums import Field, FieldKind, Layout, Model, Relation, Sums, Unit

ONE = Noise(epsilon=1.0, delta=1e-6)
LAYOUT = Layout(
    cells=("everyone", "in", "out"),
    relations=(Relation(whole=0, parts=(1, 2)),),
    fields=(
        Field(name="people", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=np.array([0, 1])),
        Field(name="days", kind=FieldKind.MOMENT, unit=Unit.PERSON, bound=100, rests_on=np.array([1])),
        Field(
            name="value",
            kind=FieldKind.MOMENT,
            unit=Unit.PERSON,
            bound=7.5,
            rests_on=np.array([0, 1]),
            scale=32,
        ),
    ),
)
RATES = Rates().layout(RatesParams(strata=(Strata(name="sex", levels=("f", "m")),), most_outcomes=2))


def nothing(scale, size):
    """No noise at all: the defect that must be seen."""
    return np.zeros(size, dtype=np.int64)


def answer(people=(50, 40, 10), days=2000, value=(30.5, -3.25)):
    values = {"people": np.array(people[:2]), "days": np.array([days]), "value": np.array(value)}
    return Answer(
        sums=Sums(layout=LAYOUT, values=values),
        support=np.array(people),
        populations={"everyone": np.arange(people[0])},
    )


# the arithmetic of losses


def test_one_share_is_the_discrete_gaussian():
    assert accounting.loss(9, 3.0, 1, 1000) == pytest.approx(9 / (2 * 9))


@pytest.mark.parametrize(("scale", "shares"), [(0.5, 2), (0.7, 5), (1.0, 14), (4.0, 67)])
def test_many_shares_tell_what_proposition_14_says(scale, shares):
    """Written out term by term, as the authors' code has it, for a vector of 8 and one person's distance of 2."""
    tau = 10 * sum(math.exp(-2 * math.pi**2 * scale**2 * k / (k + 1)) for k in range(1, shares))
    l2 = 2 / (math.sqrt(shares) * scale)
    assert accounting.loss(4, scale, shares, 8) == pytest.approx(
        min(l2**2 / 2 + tau * 8, (l2 + math.sqrt(8) * tau) ** 2 / 2), rel=1e-9
    )


@pytest.mark.parametrize("rho", [1e-4, 0.01, 0.5, 5.0])
@pytest.mark.parametrize("shares", [1, 3, 14])
@pytest.mark.parametrize("squares", [1, 8, 5000])
def test_the_least_share_is_enough_and_hardly_more(rho, shares, squares):
    scale = accounting.least_scale(squares, rho, shares, 40)
    assert accounting.loss(squares, scale, shares, 40) <= rho
    less = scale * 0.999
    assert less < accounting.LEAST_SCALE or accounting.loss(squares, less, shares, 40) > rho


def delta_of(rho, epsilon):
    """Canonne, Kamath, Steinke 2020, Proposition 12: the conversion, by a search over alpha that anyone can read."""
    alpha = 1 + np.exp(np.linspace(-9, 9, 20_001))
    exponent = (alpha - 1) * (alpha * rho - epsilon) + alpha * np.log1p(-1 / alpha) - np.log(alpha - 1)
    return float(np.exp(exponent.min()))


@pytest.mark.parametrize("rho", [0.001, 0.02, 0.3, 2.0])
@pytest.mark.parametrize("delta", [1e-9, 1e-6, 1e-3])
def test_epsilon_and_delta_are_those_of_the_published_conversion(rho, delta):
    epsilon = accounting.epsilon_of(rho, delta)
    assert delta_of(rho, epsilon) == pytest.approx(delta, rel=1e-3)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
def test_a_loss_is_the_largest_that_fits(epsilon):
    rho = accounting.rho_of(epsilon, 1e-6)
    assert accounting.epsilon_of(rho, 1e-6) <= epsilon
    assert accounting.epsilon_of(rho * 1.0001, 1e-6) > epsilon


# what can carry noise


@pytest.mark.parametrize(
    "changes",
    [
        {"unit": Unit.STRATUM},
        {"unit": Unit.HOSPITAL},
        {"kind": FieldKind.DERIVATIVE},
        {"bound": math.inf},
    ],
)
def test_numbers_that_no_person_bounds_carry_none(changes):
    layout = replace(LAYOUT, fields=(replace(LAYOUT.fields[1], **changes),))
    assert noise.unsound(layout, ONE, 5) is not None
    assert noise.unsound(LAYOUT, ONE, 5) is None


def test_a_model_carries_none():
    assert noise.unsound(replace(LAYOUT, model=Model(coefficients=2, people=0)), ONE, 5) is not None


def test_somebody_must_be_left_who_keeps_the_noise_secret():
    assert threshold(5) == 4
    assert noise.unsound(LAYOUT, replace(ONE, colluders=3), 5) is None
    assert "colluders" in noise.unsound(LAYOUT, replace(ONE, colluders=4), 5)


# how much there is


def test_a_number_of_people_is_told_once():
    found = noise.plan(RATES, ONE, 0.02, 5)
    assert [field.name for field in found.fields] == ["outcomes", "days"]
    assert found.rho <= 0.02
    assert found.rho == pytest.approx(0.02, rel=1e-6)


def test_more_colluders_make_each_share_larger():
    shares = [noise.plan(LAYOUT, replace(ONE, colluders=c), 0.02, 6).support.scale for c in range(5)]
    assert shares == sorted(shares)
    assert shares[4] == pytest.approx(shares[0] * math.sqrt(5), rel=1e-3)


@pytest.mark.parametrize(
    ("bound", "scale", "expected"),
    [(1, 0, (0, 1)), (2047, 0, (0, 2047)), (2048, 0, (1, 1026)), (45750, 0, (5, 1431)), (1.0, 32, (22, 1026)), (7.5, 4, (0, 122))],
)  # fmt: skip
def test_steps(bound, scale, expected):
    field = Field(
        name="x", kind=FieldKind.MOMENT, unit=Unit.PERSON, bound=bound, rests_on=np.array([0]), scale=scale
    )
    assert noise.steps_of(field) == expected


def test_noised_numbers_are_whole_steps_of_the_ring():
    plan = noise.plan(LAYOUT, ONE, 0.02, 5)
    told = release_noised(LAYOUT, answer(), plan, draw, is_open=np.ones(3, dtype=bool))
    lanes = ring.from_bytes(told.numbers, LAYOUT.size)
    assert (lanes[:2] == 0).all(), "people are told by the support"
    by_name = {field.name: field for field in plan.fields}
    assert by_name["days"].bits == 0
    assert by_name["value"].bits == 24
    assert (lanes[3:, 0] % np.uint64(2**24) == 0).all()


def test_without_a_draw_a_release_is_the_number_itself():
    plan = noise.plan(LAYOUT, ONE, 0.02, 5)
    told = release_noised(LAYOUT, answer(), plan, nothing)
    assert ring.integers(ring.from_bytes(told.numbers, 3)).tolist() == [50, 40, 10]
    told = release_noised(LAYOUT, answer(), plan, nothing, is_open=np.array([True, False, True]))
    sums = Sums.from_ring(LAYOUT, ring.from_bytes(told.numbers, LAYOUT.size))
    assert sums.values["days"].tolist() == [0], "its cell is closed"
    assert sums.values["value"][0] == pytest.approx(30.5, abs=2**-8)


def test_a_draw_of_another_size_is_no_noise():
    plan = noise.plan(LAYOUT, ONE, 0.02, 5)
    with pytest.raises(ValueError, match="draws"):
        release_noised(LAYOUT, answer(), plan, lambda scale, size: np.zeros(1, dtype=np.int64))


# what is shown


def test_thresholds_are_judged_on_noised_people_and_hide_nothing_else():
    rules = Rules(noise=ONE)
    shown = judge_total(LAYOUT, np.array([48, 12, -7]), rules, hospitals=5)
    assert shown.tolist() == [True, True, False]
    assert judge_total(LAYOUT, np.array([48, 3, 40]), rules, hospitals=5).tolist() == [True, False, False]
    assert isinstance(judge_total(LAYOUT, np.array([8, 3, 40]), rules, hospitals=5), Withheld)


def test_a_group_is_shown_whole_or_not_at_all():
    layout = replace(LAYOUT, together=((0, 1),))
    assert noise.opened(layout, np.array([48, 3, 40]), 11).tolist() == [False, False, False]


def test_what_cannot_be_is_brought_back():
    sums = Sums(
        layout=LAYOUT,
        values={"people": np.zeros(2, dtype=np.int64), "days": np.array([-5000]), "value": np.array([1e6, -3.0])},
    )  # fmt: skip
    told = noise.settled(LAYOUT, np.array([True, True, False]), sums, np.array([20, 12, 0]))
    assert told["people"].tolist() == [20, 12]
    assert told["days"].tolist() == [-1200]
    assert told["value"].tolist() == [150.0, -3.0]


# its distribution


def probabilities(scale, reach):
    x = np.arange(-reach, reach + 1)
    weight = np.exp(-(x**2) / (2 * scale**2))
    return x, weight / weight.sum()


@pytest.mark.parametrize("scale", [0.6, 7.3])
def test_draws_are_a_discrete_gaussian(scale):
    """Chi-square against the exact probabilities; a seeded defect, a rounded normal of the same scale, is told apart."""
    drawn = draw(scale, 10_000)
    x, exact = probabilities(scale, math.ceil(9 * scale))
    if scale < 1:
        assert misfit(np.rint(np.random.default_rng(1).normal(0, scale, 10_000)), x, exact) < 1e-6
    assert misfit(drawn, x, exact) > 1e-6


def misfit(drawn, x, exact):
    """The p-value of a chi-square test over the values that are expected often enough."""
    expected = exact * len(drawn)
    often = expected >= 10
    seen = np.array([(drawn == value).sum() for value in x[often]])
    rest = len(drawn) - seen.sum()
    return stats.chisquare([*seen, rest], [*expected[often], expected[~often].sum()], sum_check=False).pvalue


def test_the_sum_over_those_who_must_be_left_has_the_variance_that_was_reckoned_with():
    plan = noise.plan(LAYOUT, replace(ONE, colluders=1), 0.02, 6)
    honest = threshold(6) - 1
    total = sum(draw(plan.support.scale, 3_000) for _ in range(honest))
    needed = plan.support.squares / (2 * 0.02 * noise.SUPPORT_PART)
    assert needed == pytest.approx(honest * plan.support.scale**2, rel=1e-3)
    low, high = stats.chi2.ppf([1e-6, 1 - 1e-6], 3_000) / 3_000 * needed
    assert low < total.var() < high


# what an attacker gains


def told_apart(draws, shares, vector, trials):
    """A lower bound, with 99.9 % confidence for each threshold, on the epsilon (at delta 1e-6) of one number of people.

    The attacker knows everybody but one, and says "in" where the noised number is above a threshold; the best threshold counts.
    """
    noised = [sum(draws(vector.scale, trials) for _ in range(shares)) for _ in range(2)]
    found = 0.0
    for threshold_ in range(12):
        with_one, without = (int((noised[one] + one > threshold_).sum()) for one in (1, 0))
        low = stats.beta.ppf(0.0005, with_one, trials - with_one + 1) if with_one else 0.0
        high = stats.beta.ppf(0.9995, without + 1, trials - without) if without < trials else 1.0
        found = max(found, math.log(max(low - 1e-6, 1e-300) / high))
    return found


def test_nobody_is_told_apart_beyond_epsilon():
    """The membership test wins where the noise is forgotten, or where only one hospital of fourteen added its share."""
    count = Field(name="people", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=np.array([0]))
    single = Layout(cells=("everyone",), relations=(), fields=(count,))
    vector = noise.plan(single, ONE, accounting.rho_of(ONE.epsilon, ONE.delta), 20).support
    assert told_apart(draw, threshold(20), vector, 1_000) < ONE.epsilon
    assert told_apart(draw, 1, vector, 12_000) > ONE.epsilon
    assert told_apart(nothing, threshold(20), vector, 1_000) > ONE.epsilon


def test_hospitals_and_exact_answers_are_never_mixed_up():
    """Summed over hospitals, noised numbers are the exact sum within eight standard deviations."""
    plan = noise.plan(LAYOUT, ONE, 0.02, 5)
    told = [release_noised(LAYOUT, answer(), plan, draw) for _ in range(5)]
    assert all(isinstance(one, Release) for one in told)
    total = ring.integers(reduce(ring.add, (ring.from_bytes(one.numbers, 3) for one in told)))
    assert np.abs(total - [250, 200, 50]).max() < 8 * plan.support.deviation(5)
