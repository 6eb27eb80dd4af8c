"""Every state, problem and entry of the hub has its words, in Korean too."""

import re
from pathlib import Path

import pytest

import dure
from dure.hub import problems
from dure.hub.actions.studies import PartState
from dure.look.words import Words, catalogue
from dure.portal.standing import PARTS, STUDIES
from dure.wire.answers import PartNow, StudyState, What
from dure.wire.problems import Problem

KO = catalogue("ko")


@pytest.mark.parametrize("state", list(StudyState))
def test_states_of_studies(state):
    assert STUDIES[state][0] in KO


@pytest.mark.parametrize("state", [*PartState, What.ACCEPTED, What.ANSWERING, What.ANSWERED, What.DROPPED])
def test_states_of_hospitals(state):
    assert PARTS[PartNow(hospital="h", name="H", state=state.value, reason="").state][0] in KO


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(problems).values() if isinstance(kind, type) and issubclass(kind, Problem)]
)
def test_titles_of_problems(kind):
    assert kind is Problem or kind.title in KO


def test_entries_of_the_log():
    said = set()
    for path in (Path(dure.__file__).parent / "hub").rglob("*.py"):
        said |= set(re.findall(r'\.record\(\s*"([^"]+)"', path.read_text()))
    said |= {f"{kind} counted" for kind in ("acceptance", "contribution", "refusal")}
    said |= {"permit signed", "study declined"}
    assert len(said) > 15
    assert sorted(said - KO.keys()) == []


def test_progress_within_a_run():
    assert Words("ko").text("step 1, round 2") == "1단계 2회차"
