"""The negative list: what may not be asked, and that all else may."""

from types import SimpleNamespace

import pytest

from dure.govern.policy import FORBIDDEN_PURPOSES, judge
from dure.study.spec import Purpose


@pytest.mark.parametrize("purpose", Purpose)
def test_only_what_is_on_the_list_is_forbidden_and_the_rule_says_why(purpose):
    fired = judge(SimpleNamespace(purpose=purpose))
    assert bool(fired) == (purpose in FORBIDDEN_PURPOSES)
    for rule in fired:
        assert rule.rule
        assert rule.reason.endswith(".")
        assert rule.basis
        assert rule.mend


def test_what_the_law_forbids_is_on_the_list():
    assert {Purpose.DECISION_ON_A_PERSON, Purpose.ADVERTISING, Purpose.REIDENTIFICATION} == set(
        FORBIDDEN_PURPOSES
    )
