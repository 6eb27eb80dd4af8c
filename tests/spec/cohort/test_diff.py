"""What `diff` says of two definitions: a table of edits and sentences."""

import copy

import pytest

from dure.cohort import parse
from dure.cohort.diff import SAME, diff
from dure.look.words import Words

BASE = {
    "ConceptSets": [
        {"id": 0, "name": "diabetes", "expression": {"items": [{"concept": {"CONCEPT_ID": 1}, "includeDescendants": True}]}},
        {"id": 1, "name": "metformin", "expression": {"items": [{"concept": {"CONCEPT_ID": 2}}]}},
    ],
    "PrimaryCriteria": {
        "CriteriaList": [{"ConditionOccurrence": {"CodesetId": 0, "Age": {"Op": "gte", "Value": 18}}}],
        "ObservationWindow": {"PriorDays": 365, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "All"},
    },
    "QualifiedLimit": {"Type": "First"},
    "ExpressionLimit": {"Type": "First"},
    "InclusionRules": [
        {
            "name": "treated",
            "expression": {
                "Type": "ALL",
                "CriteriaList": [
                    {
                        "Criteria": {"DrugExposure": {"CodesetId": 1}},
                        "StartWindow": {"Start": {"Days": 365, "Coeff": -1}, "End": {"Days": 0, "Coeff": 1}},
                        "Occurrence": {"Type": 2, "Count": 1},
                    }
                ],
            },
        },
        {"name": "women", "expression": {"Type": "ALL", "DemographicCriteriaList": [{"Gender": [{"CONCEPT_ID": 8532}]}]}},
    ],
}  # fmt: skip


def edited(**edits):
    """The base with values put at dotted places."""
    found = copy.deepcopy(BASE)
    for place, value in edits.items():
        *path, last = [int(part) if part.isdigit() else part for part in place.split("__")]
        at = found
        for part in path:
            at = at[part]
        at[last] = value
    return found


RULE = "InclusionRules__0__expression__CriteriaList__0__"
TOLD = [
    ({"PrimaryCriteria__ObservationWindow__PriorDays": 180}, ["entry: PriorDays was 365, is 180."]),
    ({"ConceptSets__0__expression__items": [{"concept": {"CONCEPT_ID": 1}, "includeDescendants": True}, {"concept": {"CONCEPT_ID": 7}}]},
     ["Concept set “diabetes” gained 7."]),
    ({"ConceptSets__0__expression__items": [{"concept": {"CONCEPT_ID": 1}}]},
     ["Concept set “diabetes” gained 1.", "Concept set “diabetes” lost 1+."]),
    ({RULE + "StartWindow__Start__Days": 180},
     ["rule “treated” › DrugExposure “metformin”: StartWindow was -365 … 0, is -180 … 0."]),
    ({RULE + "Occurrence__Count": 2}, ["rule “treated” › DrugExposure “metformin”: Occurrence was ≥ 1×, is ≥ 2×."]),
    ({RULE + "Criteria": {"DrugExposure": {"CodesetId": 1, "First": True}}},
     ["rule “treated” › DrugExposure “metformin”: First ✓ is asked now."]),
    ({"PrimaryCriteria__CriteriaList__0__ConditionOccurrence__Age__Value": 40},
     ["entry › ConditionOccurrence “diabetes”: Age was ≥ 18, is ≥ 40."]),
    ({"PrimaryCriteria__CriteriaList": [{"ConditionOccurrence": {"CodesetId": 0}}]},
     ["entry › ConditionOccurrence “diabetes”: Age ≥ 18 isn't asked any more."]),
    ({"InclusionRules": BASE["InclusionRules"][:1]}, ["rule “women”: Removed: ALL: Gender ∈ {8532}."]),
    ({"InclusionRules": BASE["InclusionRules"][::-1]}, ["The rules are counted in another order; the people are the same."]),
    ({"ExpressionLimit": {"Type": "All"}}, ["exit: ExpressionLimit was first, is all."]),
    ({"EndStrategy": {"DateOffset": {"DateField": "StartDate", "Offset": 30}}},
     ["exit: EndStrategy was observation end, is start+30."]),
    ({"CensoringCriteria": [{"Death": {}}]}, ["exit: Added: Death."]),
    ({"CensorWindow": {"StartDate": "2020-01-01"}}, ["exit: CensorWindow 2020-01-01 … ∞ is asked now."]),
]  # fmt: skip


@pytest.mark.parametrize(("edits", "sentences"), TOLD, ids=range(len(TOLD)))
def test_an_edit_is_told(edits, sentences):
    found = diff(parse(BASE), parse(edited(**edits)))
    assert [change.said() for change in found.changes] == sentences
    assert not found.same


SILENT = [
    {"Title": "Another name"},
    {"QualifiedLimit": {"Type": "Last"}},  # acts only with additional criteria
    {"CollapseSettings": {"CollapseType": "ERA", "EraPad": 30}},  # a person's first event has nothing to join
    {"InclusionRules__1__expression__Type": "ANY"},  # of one
    {RULE + "StartWindow__End": {"Days": 0, "Coeff": -1}},
    {
        "ConceptSets": [
            *reversed(BASE["ConceptSets"]),
            {"id": 9, "name": "unused", "expression": {"items": []}},
        ]
    },
    {"InclusionRules__0__expression": {"Type": "ALL", "Groups": [BASE["InclusionRules"][0]["expression"]]}},
]


@pytest.mark.parametrize("edits", SILENT, ids=range(len(SILENT)))
def test_what_changes_no_meaning_is_the_same_cohort(edits):
    assert diff(parse(BASE), parse(edited(**edits))).same


def test_it_speaks_korean():
    say = Words("ko")
    (change,) = diff(parse(BASE), parse(edited(PrimaryCriteria__ObservationWindow__PriorDays=180))).changes
    assert change.said(say) == "진입: PriorDays 값이 365에서 180으로 바뀌었습니다."
    assert "같은 코호트" in say(SAME)
