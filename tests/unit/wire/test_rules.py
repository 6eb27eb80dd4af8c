"""The strictest of several rules holds, part by part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.wire.rules import RULES_OFF, BadRules, Rules, strictest

RULES = st.builds(
    Rules, least_people=st.integers(1, 50), round_to=st.integers(1, 50), least_hospitals=st.integers(1, 9)
)


@given(st.lists(RULES, min_size=1, max_size=5))
def test_the_strictest_is_as_strict_as_each_and_no_stricter(rules):
    together = strictest(tuple(rules))
    assert all(together.at_least(one) for one in rules)
    for name in ("least_people", "round_to", "least_hospitals"):
        assert getattr(together, name) in {getattr(one, name) for one in rules}


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
