"""What a definition may say, what is refused with its JSON path, and what is accepted because it says nothing."""

import copy
import json

import pytest

from dure.cohort import parse
from dure.cohort.circe.nodes import Comparison, DateField, Filter, Limit, Range
from dure.cohort.problems import Contradictory, NotCirce, NotSupported

BASE = {
    "ConceptSets": [{"id": 0, "name": "any", "expression": {"items": [{"concept": {"CONCEPT_ID": 1}}]}}],
    "PrimaryCriteria": {
        "CriteriaList": [{"ConditionOccurrence": {"CodesetId": 0}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "All"},
    },
    "InclusionRules": [
        {
            "name": "rule",
            "expression": {
                "Type": "ALL",
                "CriteriaList": [
                    {
                        "Criteria": {"DrugExposure": {"CodesetId": 0}},
                        "StartWindow": {"Start": {"Days": 0, "Coeff": -1}, "End": {"Coeff": 1}},
                        "Occurrence": {"Type": 2, "Count": 1},
                    }
                ],
            },
        }
    ],
    "EndStrategy": {"DateOffset": {"DateField": "EndDate", "Offset": 0}},
    "CensorWindow": {},
}
CONDITION = "PrimaryCriteria.CriteriaList.0.ConditionOccurrence"
CORRELATED = "InclusionRules.0.expression.CriteriaList.0"


def changed(path, value):
    """BASE with one property set."""
    document = copy.deepcopy(BASE)
    *way, last = path.split(".")
    place = document
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[last] = value
    return document


REFUSED = [
    # where to put it, what, problem, path in the message
    ("Surprise", 1, NotSupported, "$.Surprise"),
    (f"{CONDITION}.Surprise", False, NotSupported, "$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence.Surprise"),
    (f"{CONDITION}.CodesetId", 7, Contradictory, "$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence.CodesetId"),
    (f"{CONDITION}.First", "yes", NotCirce, "$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence.First"),
    (f"{CONDITION}.Age", {"Op": "gt"}, NotCirce, "$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence.Age"),
    (f"{CONDITION}.Age", {"Op": "like", "Value": 1}, NotCirce, "Age.Op"),
    (f"{CONDITION}.Age", {"Op": "bt", "Value": 1}, NotCirce, "Age"),
    (f"{CONDITION}.Age", {"Op": "gt", "Value": 1e12}, NotCirce, "Age.Value"),
    (f"{CONDITION}.OccurrenceStartDate", {"Op": "gt", "Value": "2020-02-30"}, NotCirce, "OccurrenceStartDate.Value"),
    (f"{CONDITION}.OccurrenceStartDate", {"Op": "gt", "Value": "'; DROP"}, NotCirce, "OccurrenceStartDate.Value"),
    (f"{CONDITION}.Gender", [{"CONCEPT_ID": "x"}], NotCirce, "Gender[0].CONCEPT_ID"),
    ("PrimaryCriteria.CriteriaList", [], NotCirce, "$.PrimaryCriteria.CriteriaList"),
    ("PrimaryCriteria.CriteriaList", [{"LocationRegions": {}}], NotSupported, "CriteriaList[0].LocationRegions"),
    ("PrimaryCriteria.CriteriaList", [{"CustomEra": {}}], NotCirce, "CriteriaList[0].CustomEra"),
    ("PrimaryCriteria.CriteriaList", [{"CustomEra": {"CriteriaList": []}}], NotCirce, "CriteriaList[0].CustomEra.CriteriaList"),
    ("PrimaryCriteria.CriteriaList", [{"CustomEra": {"CriteriaList": [{"Death": {}}], "GapDays": 1.5}}], NotCirce, "CustomEra.GapDays"),
    ("PrimaryCriteria.CriteriaList", [{"CustomEra": {"CriteriaList": [{"Death": {"X": 1}}]}}], NotSupported, "CustomEra.CriteriaList[0].Death.X"),
    ("PrimaryCriteria.CriteriaList", [{"Episode": {"Gender": [{"CONCEPT_ID": 1}]}}], NotSupported, "CriteriaList[0].Episode.Gender"),
    ("PrimaryCriteria.CriteriaList", [{"Death": {"First": True}}], NotSupported, "CriteriaList[0].Death.First"),
    ("PrimaryCriteria.CriteriaList", [{"DrugExposure": {"EffectiveDrugDose": {"Op": "gt"}}}], NotCirce, "EffectiveDrugDose"),
    ("PrimaryCriteria.CriteriaList", [{"DrugEra": {"GapDays": {"Op": "gt", "Value": 1}}}], Contradictory, "DrugEra.GapDays"),
    ("PrimaryCriteria.CriteriaList", [{"Death": {}, "DrugEra": {}}], NotCirce, "CriteriaList[0]"),
    ("PrimaryCriteria.ObservationWindow", None, NotCirce, "$.PrimaryCriteria"),
    ("PrimaryCriteria.PrimaryCriteriaLimit", {"Type": "Best"}, NotCirce, "PrimaryCriteriaLimit.Type"),
    ("ConceptSets", BASE["ConceptSets"] * 2, Contradictory, "$.ConceptSets[1].id"),
    ("CollapseSettings", {"CollapseType": "NONE"}, NotCirce, "$.CollapseSettings.CollapseType"),
    ("CollapseSettings", {"EraPad": -1}, NotCirce, "$.CollapseSettings.EraPad"),
    ("EndStrategy", {"DateOffset": {}, "CustomEra": {"DrugCodesetId": 0}}, Contradictory, "$.EndStrategy"),
    ("EndStrategy", {"CustomEra": {}}, NotCirce, "$.EndStrategy.CustomEra"),
    ("InclusionRules", [{"name": str(i), "expression": {}} for i in range(63)], NotSupported, "$.InclusionRules"),
    ("InclusionRules.0.expression.Type", "SOME", NotCirce, "$.InclusionRules[0].expression.Type"),
    ("InclusionRules.0.expression.Type", "AT_LEAST", NotCirce, "$.InclusionRules[0].expression"),
    (f"{CORRELATED}.StartWindow", None, NotCirce, "$.InclusionRules[0].expression.CriteriaList[0]"),
    (f"{CORRELATED}.StartWindow.Start.Days", 2_000_000, NotCirce, "StartWindow.Start.Days"),
    (f"{CORRELATED}.StartWindow.Start.Coeff", 3, NotCirce, "StartWindow.Start.Coeff"),
    (f"{CORRELATED}.Occurrence", {"Type": 3, "Count": 1}, NotCirce, "Occurrence.Type"),
    (f"{CORRELATED}.Occurrence", {"Type": 2, "Count": 1, "IsDistinct": True, "CountColumn": "GAP_DAYS"}, NotSupported, "Occurrence.CountColumn"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "problem", "place"), REFUSED)
def test_refused_with_its_path(path, value, problem, place):
    with pytest.raises(problem) as caught:
        parse(json.dumps(changed(path, value)))
    assert place in caught.value.where
    assert caught.value.mend


SAYS_NOTHING = [
    ("Surprise", None),
    ("Surprise", []),
    (f"{CONDITION}.Surprise", {}),
    (f"{CONDITION}.First", False),
    (f"{CONDITION}.Gender", []),
    (f"{CONDITION}.ConditionTypeExclude", True),
    (f"{CONDITION}.CorrelatedCriteria", {"Type": "ALL", "CriteriaList": [], "Groups": []}),
    (f"{CONDITION}.DateAdjustment", None),
    ("cdmVersionRange", ">=5.0.0"),
    ("CensorWindow", {"StartDate": None}),
    ("CensoringCriteria", []),
]


@pytest.mark.parametrize(("path", "value"), SAYS_NOTHING)
def test_accepted_because_it_says_nothing(path, value):
    assert parse(json.dumps(changed(path, value))) == parse(json.dumps(BASE))


def test_wrappers_give_the_name():
    bare = parse(BASE)
    for wrapper in (
        {"name": "Asthma", "expression": BASE},
        {
            "id": 3,
            "name": "Asthma",
            "description": "x",
            "expressionType": "SIMPLE",
            "expression": json.dumps(BASE),
        },
    ):
        found = parse(json.dumps(wrapper).encode())
        assert found.name == "Asthma"
        assert found.primary == bare.primary
    assert [str(each) for each in parse({"expression": BASE, "surprise": 1}).warnings] == [
        "$.surprise: It isn't part of the format, and nothing reads it."
    ]


def test_a_problem_inside_an_embedded_text_names_its_path():
    with pytest.raises(NotSupported) as caught:
        parse({"expression": json.dumps(changed(f"{CONDITION}.X", 1))})
    assert caught.value.where == "$.expression.PrimaryCriteria.CriteriaList[0].ConditionOccurrence.X"


def test_numbers_round_as_the_format_has_it():
    measurement = {
        "Measurement": {"ValueAsNumber": {"Op": "gt", "Value": 0.00005}, "Age": {"Op": "lt", "Value": 18.9}}
    }
    document = changed("PrimaryCriteria.CriteriaList", [measurement])
    found = {each.property: each.value for each in parse(json.dumps(document)).primary[0].filters}
    assert str(found["ValueAsNumber"].value) == "0.0001"
    assert found["Age"] == Range(op=Comparison.LESS, value=18)


@pytest.mark.parametrize(
    ("written", "read"), [("-0.00001", "0.0000"), ("1e-9999999", "0.0000"), ("-0.00005", "-0.0001")]
)
def test_numbers_near_nothing(written, read):
    text = json.dumps(
        changed("PrimaryCriteria.CriteriaList", [{"Measurement": {"RangeLow": {"Op": "gt", "Value": "N"}}}])
    )
    (found,) = parse(text.replace('"N"', written)).primary[0].filters
    assert str(found.value.value) == read


def test_defaults():
    document = changed("PrimaryCriteria.PrimaryCriteriaLimit", None)
    del document["InclusionRules"], document["EndStrategy"], document["CensorWindow"]
    found = parse(document)
    assert (found.primary_limit, found.qualified_limit, found.expression_limit) == (Limit.FIRST,) * 3
    assert (found.end, found.era_pad, found.censor_window, found.additional) == (None, 0, None, None)


def test_a_window_without_use_event_end_looks_at_the_event_start_or_for_end_windows_its_end():
    document = changed(f"{CORRELATED}.EndWindow", {"Start": {"Days": 1, "Coeff": -1}, "End": {"Coeff": 1}})
    start, end = parse(document).inclusion_rules[0].group.criteria[0].windows
    assert (start.event, end.event) == (DateField.START, DateField.END)
    assert (start.index, end.index) == (DateField.START, DateField.START)
    assert end.start.days == -1


def test_what_the_reference_silently_ignores_is_a_warning():
    specimen = {"Specimen": {"SpecimenSourceConcept": 4, "DateAdjustment": {"StartOffset": 3}}}
    found = parse(changed("PrimaryCriteria.CriteriaList", [specimen]))
    assert found.primary[0].adjustment is None
    path = "$.PrimaryCriteria.CriteriaList[0].Specimen"
    assert [str(each) for each in found.warnings] == [
        f"{path}.SpecimenSourceConcept: SpecimenSourceConcept has no effect.",
        f"{path}.DateAdjustment: DateAdjustment has no effect.",
    ]


WARNED = [
    # where to put it, what, path in the warning, a word of it
    ("_comment", "mine", "$._comment", "isn't part"),
    (f"{CONDITION}.x-editor", {"colour": 1}, '$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence["x-editor"]', "isn't part"),
    ("ConceptSets.0.colour", "red", "$.ConceptSets[0].colour", "isn't part"),
    ("InclusionRules.0.colour", "red", "$.InclusionRules[0].colour", "isn't part"),
    (f"{CONDITION}.ConditionTypeExclude", True, "ConditionOccurrence.ConditionTypeExclude", "without ConditionType"),
    (f"{CONDITION}.Gender", [], "ConditionOccurrence.Gender", "no concept"),
    (f"{CONDITION}.Age", {"Op": "gt", "Value": 1, "Extent": 2}, "ConditionOccurrence.Age.Extent", "one value"),
    ("InclusionRules.0.expression.Count", 3, "$.InclusionRules[0].expression.Count", "group ALL"),
    (f"{CORRELATED}.Occurrence.CountColumn", "START_DATE", "Occurrence.CountColumn", "IsDistinct"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "place", "word"), WARNED)
def test_warned_of_with_its_path(path, value, place, word):
    (warning,) = parse(changed(path, value)).warnings
    assert place in warning.where
    assert word in str(warning)


def test_a_misspelt_property_is_refused_and_told_the_near_one():
    with pytest.raises(NotSupported) as caught:
        parse(changed(f"{CONDITION}.OccurenceStartDate", {"Op": "gt", "Value": "2020-01-01"}))
    assert "OccurrenceStartDate" in caught.value.mend


def test_integers_written_as_text_are_integers():
    found = parse(changed("PrimaryCriteria.ObservationWindow", {"PriorDays": "365", "PostDays": "0"}))
    assert found.prior_days == 365


def test_filters_keep_the_order_of_the_language_so_that_equal_definitions_are_equal():
    first = changed(
        CONDITION, {"Age": {"Op": "gt", "Value": 1}, "Gender": [{"CONCEPT_ID": 2}, {"CONCEPT_ID": 1}]}
    )
    second = changed(
        CONDITION, {"Gender": [{"CONCEPT_ID": 1}, {"CONCEPT_ID": 2}], "Age": {"Value": 1, "Op": "gt"}}
    )
    assert parse(first) == parse(second)
    assert isinstance(parse(first).primary[0].filters[0], Filter)
