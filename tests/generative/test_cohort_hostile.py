"""Mutated definitions: each is read or refused with its place, and none crashes or becomes SQL."""

import copy
import json
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from dure.cohort import parse, plan
from dure.cohort.circe.language import CRITERIA_TYPES
from dure.cohort.relations import walk
from dure.wire.problems import Problem

QUICK = settings(derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate))
PER_SEED = 500
VALUES = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, -(10**30), 0.1, 1e308, -0.0, "", "x", "'; DROP TABLE person; --",
    "2020-13-45", "NaN", "\u0000", "\ud800", "𝟙", "9" * 5000, [], {}, [[]], [None], {"CodesetId": {}}, {"a": {"a": {"a": 1}}},
    {"Op": "gt"}, {"Op": "bt", "Value": "x", "Extent": []}, {"Days": "1e9", "Coeff": 1},
]  # fmt: skip
WORDS = [
    *CRITERIA_TYPES,
    "CodesetId",
    "First",
    "Age",
    "Gender",
    "CorrelatedCriteria",
    "Criteria",
    "Groups",
    "Type",
    "__class__",
    "$ref",
]
WINDOW = {"Start": {"Days": 30, "Coeff": -1}, "End": {"Days": None, "Coeff": 1}, "UseIndexEnd": True}
GROUP = {
    "Type": "AT_LEAST",
    "Count": 1,
    "CriteriaList": [
        {
            "Criteria": {
                "Measurement": {"CodesetId": 0, "ValueAsNumber": {"Op": "bt", "Value": 1.5, "Extent": 3}}
            },
            "StartWindow": WINDOW,
            "EndWindow": WINDOW,
            "Occurrence": {"Type": 1, "Count": 2, "IsDistinct": True, "CountColumn": "START_DATE"},
        }
    ],
    "DemographicCriteriaList": [{"Age": {"Op": "gt", "Value": 18}, "Gender": [{"CONCEPT_ID": 8507}]}],
    "Groups": [],
}
SEED = {
    "name": "seed",
    "expression": {
        "ConceptSets": [
            {"id": 0, "name": "s", "expression": {"items": [{"concept": {"CONCEPT_ID": 1}, "includeDescendants": True}]}}
        ],
        "PrimaryCriteria": {
            "CriteriaList": [
                {"DrugExposure": {"CodesetId": 0, "First": True, "Age": {"Op": "gte", "Value": 18}, "CorrelatedCriteria": GROUP}},
                {"ObservationPeriod": {"UserDefinedPeriod": {"StartDate": "2020-01-01"}}},
            ],
            "ObservationWindow": {"PriorDays": 365, "PostDays": 0},
            "PrimaryCriteriaLimit": {"Type": "First"},
        },
        "AdditionalCriteria": GROUP,
        "InclusionRules": [{"name": "r", "expression": {**GROUP, "Groups": [GROUP]}}],
        "CensoringCriteria": [{"Death": {}}],
        "EndStrategy": {"CustomEra": {"DrugCodesetId": 0, "GapDays": 30, "Offset": 0}},
        "CollapseSettings": {"CollapseType": "ERA", "EraPad": 0},
        "CensorWindow": {"EndDate": "2021-01-01"},
    },
}  # fmt: skip


def places(value):
    """Every container of a document."""
    found, todo = [], [value]
    while todo:
        each = todo.pop()
        if isinstance(each, (dict, list)) and each:
            found.append(each)
            todo += each.values() if isinstance(each, dict) else each
    return found


def mutate(random, document):
    """One change of structure: a value replaced, a property renamed, removed, added or copied elsewhere."""
    place = random.choice(places(document))
    key = random.choice(list(place)) if isinstance(place, dict) else random.randrange(len(place))
    match random.randrange(5):
        case 0 | 1:
            place[key] = copy.deepcopy(random.choice(VALUES))
        case 2:
            del place[key]
        case 3 if isinstance(place, dict):
            place[random.choice(WORDS)] = place.pop(key)
        case _:
            place[key] = copy.deepcopy(random.choice(places(document)))
    return document


def damage(random, text):
    """One change of the text itself: cut, or with characters changed or repeated."""
    at = random.randrange(len(text))
    match random.randrange(4):
        case 0:
            return text[:at]
        case 1:
            return (
                text[:at]
                + random.choice(['"', "{", "[", "}", ",", "\x00", "NaN", "1e9999", "🙂"])
                + text[at + 1 :]
            )
        case 2:
            return text[:at] + text[at : at + 40] * random.choice([2, 300]) + text[at:]
        case _:
            return text[:at] + "[" * random.choice([5, 70, 5000]) + text[at:]


def survives(seed):
    """How many of `PER_SEED` mutants were accepted."""
    random, accepted = Random(seed), 0
    for _ in range(PER_SEED):
        document = json.loads(json.dumps(SEED))
        for _ in range(random.choice([1, 1, 2, 5])):
            if document:
                document = mutate(random, document)
        text = json.dumps(document)
        if random.random() < 0.3:
            text = damage(random, text)
        try:
            made = plan(parse(text.encode("utf-8", "surrogatepass")), cdm_version="5.4")
        except Problem as problem:
            told = (problem.where.startswith("$"), bool(problem.mend), 20 <= problem.exit_code <= 29)
            assert all(told), text
        else:
            accepted += 1
            assert len(walk(made.attrition, made.rows)) > 2
    return accepted


@settings(QUICK, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_20000_mutants_are_read_or_refused(seed):
    assert 0 < survives(seed) < PER_SEED


@pytest.mark.slow
@settings(QUICK, max_examples=2000)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_million_mutants_are_read_or_refused(seed):
    assert 0 < survives(seed) < PER_SEED


@settings(QUICK, max_examples=500)
@given(
    source=st.binary(max_size=200)
    | st.text(max_size=200)
    | st.dictionaries(st.text(), st.none() | st.booleans() | st.floats() | st.text())
)
def test_anything_at_all_is_refused(source):
    with pytest.raises(Problem):
        parse(source)
