"""The strictest of several rules holds, part by part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.wire.rules import RULES_OFF, BadRules, Noise, Rules, strictest

NOISE = st.builds(
    Noise,
    epsilon=st.sampled_from([0.1, 1.0, 8.0]),
    delta=st.sampled_from([1e-9, 1e-6]),
    colluders=st.integers(0, 3),
)
RULES = st.builds(
    Rules,
    least_people=st.integers(1, 50),
    round_to=st.integers(1, 50),
    least_hospitals=st.integers(1, 9),
    noise=st.none() | NOISE,
)


@given(st.lists(RULES, min_size=1, max_size=5))
def test_the_strictest_is_as_strict_as_each_and_no_stricter(rules):
    together = strictest(tuple(rules))
    assert all(together.at_least(one) for one in rules)
    for name in ("least_people", "round_to", "least_hospitals"):
        assert getattr(together, name) in {getattr(one, name) for one in rules}
    noises = [one.noise for one in rules if one.noise is not None]
    assert (together.noise is not None) == bool(noises)
    for name in ("epsilon", "delta", "colluders") if noises else ():
        assert getattr(together.noise, name) in {getattr(one, name) for one in noises}


@pytest.mark.parametrize("name", ["least_people", "round_to", "least_hospitals"])
def test_a_rule_below_its_meaning_is_none(name):
    with pytest.raises(BadRules, match=name):
        Rules(**{name: 0})


@pytest.mark.parametrize("name", ["least_people", "round_to", "least_hospitals"])
def test_weaker_in_one_part_is_weaker(name):
    assert not Rules(**{name: 1}).at_least(Rules())


def test_off_is_only_what_protects_nobody():
    assert RULES_OFF.off
    assert not Rules(least_people=2, round_to=1, least_hospitals=1).off


ONE = Noise(epsilon=1.0, delta=1e-6, colluders=1)


@pytest.mark.parametrize(
    "weaker", [None, {"epsilon": 1.1}, {"delta": 1e-5}, {"colluders": 0}], ids=["none", "e", "d", "c"]
)
def test_less_noise_is_weaker(weaker):
    less = None if weaker is None else Noise(**{**ONE.__dict__, **weaker})
    assert Rules(noise=ONE).at_least(Rules(noise=less))
    assert not Rules(noise=less).at_least(Rules(noise=ONE))


@pytest.mark.parametrize(
    "wrong",
    [{"epsilon": 0.0}, {"epsilon": -1.0}, {"epsilon": 21.0}, {"delta": 0.0}, {"delta": 0.01}, {"colluders": -1}],
)  # fmt: skip
def test_noise_that_promises_nothing_is_none(wrong):
    with pytest.raises(BadRules):
        Noise(**{**ONE.__dict__, **wrong})
