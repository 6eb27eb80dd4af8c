"""The builder: the manual's examples, round trips, and refusals."""

import re
from datetime import date
from pathlib import Path

import pytest

from dure.cohort import build as b
from dure.cohort import parse, plan
from dure.cohort.canonical import canonical
from dure.cohort.explain import explain
from dure.cohort.lint import Severity, lint
from dure.cohort.problems import NotSupported

MANUAL = Path(__file__).parents[3] / "docs" / "cohort-tools.md"
DISEASE, DRUG = b.concepts("disease", 1), b.concepts("drug", 3, descendants=False)


def manual_examples():
    page = MANUAL.read_text(encoding="utf-8")
    return re.findall(r"```python\n(from dure\.cohort\.build import .*?)```", page, re.DOTALL)


def test_the_manuals_examples_run_and_are_sound():
    examples = manual_examples()
    assert examples
    for example in examples:
        names: dict = {}
        exec(example, names)
        built = [each for each in names.values() if isinstance(each, b.Built)]
        assert built
        for each in built:
            assert {found.check.severity for found in lint(each.document)} <= {Severity.INFO}
            again = parse(each.json)
            assert plan(again, cdm_version="5.4").digest == plan(each.expression, cdm_version="5.4").digest
            assert explain(again).startswith(each.document["Title"])


def test_people_are_who_the_builder_says(people, engine):
    for number, disease_on in ((1, -10), (2, 5), (3, None)):
        people.person(number)
        people.drug(number, 0)
        if disease_on is not None:
            people.condition(number, disease_on, concept=2)
    treated = {
        "disease before": b.at_least(1, b.condition(DISEASE), days=(None, 0)),
        "or not": b.none(b.condition(DISEASE), days=(-30, 30)),
        "either": b.any_of(b.at_most(1, b.condition(DISEASE), days=(0, None)), b.person(gender=[8507])),
    }

    def who(*names):
        rules = {name: treated[name] for name in names}
        built = b.build("x", entry=b.drug(DRUG), observed_before=100, rules=rules, exit=b.after(7))
        return engine(built.document)

    assert who() == [(1, 0, 7), (2, 0, 7), (3, 0, 7)]
    assert who("disease before") == [(1, 0, 7)]
    assert who("or not") == [(3, 0, 7)]
    assert who("either") == [(1, 0, 7), (2, 0, 7), (3, 0, 7)]


def test_age_first_era_and_censoring(people, engine):
    people.person(1, born=2000)
    people.person(2, born=1950)
    for person in (1, 2):
        people.drug(person, 0, supply=10)
        people.drug(person, 20, supply=10)
        people.drug(person, 100, supply=10)
    adults = b.drug(DRUG, first=True, age=(30, None))
    assert engine(b.build("x", entry=adults, exit=b.era(DRUG, gap=15)).document) == [(2, 0, 30)]
    people.death(2, 25)
    ended = b.build("x", entry=adults, exit=b.era(DRUG, gap=15), censored_by=[b.death()])
    assert engine(ended.document) == [(2, 0, 25)]


@pytest.mark.parametrize(
    ("keep", "descendants", "days"), [("all", True, [0, 1, 5]), ("first", True, [0]), ("all", False, [1, 5])]
)
def test_negative_controls_are_days_of_a_condition_or_an_observation(people, engine, keep, descendants, days):
    people.person(1, observed=((-10, 100),))
    for start, concept in ((0, 2), (0, 2), (1, 1), (-50, 1)):
        people.condition(1, start, concept)
    people.add("observation", person_id=1, observation_concept_id=1, observation_date=date(2020, 1, 6))
    built = b.negative_control("ingrown nail", 1, keep=keep, descendants=descendants)
    assert engine(built.document) == [(1, each, each) for each in days]


def test_one_concept_set_is_one_set_wherever_it_is_used():
    built = b.build("x", entry=b.drug(DRUG), exit=b.era(DRUG))
    assert len(built.document["ConceptSets"]) == 1
    assert canonical(built.expression).text == canonical(parse(built.json)).text


def test_what_isnt_in_the_language_is_refused():
    with pytest.raises(NotSupported):
        b.build("x", entry=b.event("Drug", DRUG))
    with pytest.raises(NotSupported):
        b.build("x", entry=b.drug(DRUG, Colour="blue"))
    with pytest.raises(ValueError, match="needs an end"):
        b.number()
