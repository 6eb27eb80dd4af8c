"""Every property of the reference implementation's classes is known here, one by one."""

import copy
import csv

import pytest

from dure.cohort import parse
from dure.cohort.circe.language import CRITERIA_TYPES, DEMOGRAPHICS, Kind
from dure.cohort.circe.quirks import QUIRKS
from dure.cohort.wording import COLUMNS, NAMES, NOUNS

ENDPOINT = {"Days": 30, "Coeff": -1}
WINDOW = {"Start": ENDPOINT, "End": {"Days": None, "Coeff": 1}, "UseIndexEnd": True, "UseEventEnd": False}
OCCURRENCE = {"Type": 2, "Count": 1, "IsDistinct": True, "CountColumn": "START_DATE"}
RANGE = {"Value": 1, "Op": "bt", "Extent": 2}
DATES = {"Value": "2020-01-01", "Op": "bt", "Extent": "2020-02-01"}
PERIOD = {"StartDate": "2020-01-01", "EndDate": "2021-01-01"}
CORRELATED = {
    "Criteria": {"DrugExposure": {"Age": RANGE, "OccurrenceStartDate": DATES, "LotNumber": {"Text": "x", "Op": "contains"}}},
    "StartWindow": WINDOW,
    "EndWindow": WINDOW,
    "Occurrence": OCCURRENCE,
    "RestrictVisit": True,
    "IgnoreObservationPeriod": True,
}  # fmt: skip
GROUP = {
    "Type": "AT_LEAST",
    "Count": 1,
    "CriteriaList": [CORRELATED],
    "DemographicCriteriaList": [],
    "Groups": [],
}
CRITERION = {
    "CorrelatedCriteria": GROUP,
    "DateAdjustment": {"StartWith": "START_DATE", "StartOffset": 1, "EndWith": "END_DATE", "EndOffset": 2},
    "GenderCS": {"CodesetId": 0, "IsExclusion": True},
}
LIMIT = {"Type": "First"}
WHOLE = {
    "cdmVersionRange": ">=5.0.0",
    "Title": "whole",
    "PrimaryCriteria": {
        "CriteriaList": [{"ConditionOccurrence": CRITERION}],
        "ObservationWindow": {"PriorDays": 1, "PostDays": 1},
        "PrimaryCriteriaLimit": LIMIT,
    },
    "AdditionalCriteria": GROUP,
    "ConceptSets": [{"id": 0, "name": "any", "expression": {"items": []}}],
    "QualifiedLimit": LIMIT,
    "ExpressionLimit": LIMIT,
    "InclusionRules": [],
    "EndStrategy": {"DateOffset": {"DateField": "EndDate", "Offset": 1}},
    "CensoringCriteria": [{"Death": {}}],
    "CollapseSettings": {"CollapseType": "ERA", "EraPad": 1},
    "CensorWindow": PERIOD,
}
ERA = {"DrugCodesetId": 0, "GapDays": 1, "Offset": 1, "DaysSupplyOverride": 3}
CLASSES = {
    # class of the reference: an object of `WHOLE` that has all its properties
    "CohortExpression": WHOLE,
    "CollapseSettings": WHOLE["CollapseSettings"],
    "ConceptSetSelection": CRITERION["GenderCS"],
    "CorelatedCriteria": CORRELATED,
    "Criteria": CRITERION,
    "CriteriaGroup": GROUP,
    "CustomEraStrategy": ERA,
    "DateAdjustment": CRITERION["DateAdjustment"],
    "DateOffsetStrategy": WHOLE["EndStrategy"]["DateOffset"],
    "DateRange": DATES,
    "NumericRange": RANGE,
    "ObservationFilter": WHOLE["PrimaryCriteria"]["ObservationWindow"],
    "Occurrence": OCCURRENCE,
    "Period": PERIOD,
    "PrimaryCriteria": WHOLE["PrimaryCriteria"],
    "ResultLimit": LIMIT,
    "TextFilter": {"Text": "x", "Op": "contains"},
    "Window": {**WINDOW, **ENDPOINT},
    "WindowedCriteria": CORRELATED,
    "GeoCriteria": dict.fromkeys(["StartDate", "EndDate"]),  # LocationRegion's
}
NO_LANGUAGE = {"CohortExpressionQueryBuilder"}
"""Options of the program that writes SQL."""


def properties(kind):
    """What the language's table knows of a criteria type."""
    known = {attribute.property for attribute in kind.attributes}
    known |= {attribute.exclude for attribute in kind.attributes}
    known |= {kind.source} | ({"CodesetId"} if kind.has_codeset else set())
    known |= ({"First"} if kind.has_first else set()) | ({"UserDefinedPeriod"} if kind.has_period else set())
    return known | ({"CriteriaList", "GapDays"} if kind.has_parts else set())


def test_every_property_of_the_reference_is_known(shared):
    with (shared / "facts" / "circe" / "circe_attributes.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["class"], row["json_property"]) for row in csv.DictReader(file)]
    assert len(rows) > 300
    for name, attribute in rows:
        if name in CRITERIA_TYPES:
            assert attribute in properties(CRITERIA_TYPES[name]), (name, attribute)
        elif name == "DemographicCriteria":
            assert attribute in {each.property for each in DEMOGRAPHICS}, attribute
        elif name not in NO_LANGUAGE:
            assert attribute in CLASSES[name], (name, attribute)


def test_a_definition_with_every_part_is_read():
    with_era = copy.deepcopy(WHOLE) | {"EndStrategy": {"CustomEra": ERA}}
    assert parse(WHOLE).warnings == () == parse(with_era).warnings
    assert parse({**WHOLE, "EndStrategy": None}).end is None


NEW = {
    "Episode": {"CodesetId", "First", "EpisodeStartDate", "EpisodeEndDate", "EpisodeNumber", "Age", "GenderCS",
                "EpisodeObjectConceptCS", "EpisodeTypeCS"},
    "CustomEra": {"CriteriaList", "First", "GapDays", "AgeAtStart", "GenderCS", "Duration", "StartDate", "EndDate"},
}  # fmt: skip


@pytest.mark.parametrize("name", NEW)
def test_the_types_of_september_2026_are_known(name):
    assert properties(CRITERIA_TYPES[name]) - {None} == NEW[name]


def test_whatever_the_language_knows_has_its_word_and_its_quirk():
    attributes = [each for kind in CRITERIA_TYPES.values() for each in kind.attributes] + list(DEMOGRAPHICS)
    for each in attributes:
        if each.kind is Kind.WITHOUT_EFFECT:
            continue
        assert {each.property, each.property.removesuffix("CS")} & NAMES.keys(), each.property
        assert not each.quirk or each.quirk in QUIRKS
    assert CRITERIA_TYPES.keys() == NOUNS.keys()
    assert {column for kind in CRITERIA_TYPES.values() for column in kind.counts} == COLUMNS.keys()
    assert len(CRITERIA_TYPES) == 18
