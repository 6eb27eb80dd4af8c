"""The linter, a table: an edit of a sound definition, the check that speaks, and where."""

import copy
import zipfile
from pathlib import Path

import pytest

from dure.cohort.lint import CHECKS, Severity, lint, table
from dure.look.words import catalogue

MANUAL = Path(__file__).parents[3] / "docs" / "cohort-tools.md"


def a_set(number, *concepts, domain="Condition", **flags):
    concept = {"DOMAIN_ID": domain, "STANDARD_CONCEPT": flags.pop("standard", "S")}
    items = [{"concept": {"CONCEPT_ID": each, **concept}, **flags} for each in concepts]
    return {"id": number, "name": f"set {number}", "expression": {"items": items}}


def window(first, last):
    ends = [{"Days": abs(days), "Coeff": -1 if days < 0 else 1} for days in (first, last)]
    return {"Start": ends[0], "End": ends[1]}


def near(criterion, first=-30, last=0, kind=2, count=1, **more):
    occurrence = {"Type": kind, "Count": count}
    return {"Criteria": criterion, "StartWindow": window(first, last), "Occurrence": occurrence, **more}


def group(*criteria, kind="ALL", **more):
    return {"Type": kind, "CriteriaList": list(criteria), **more}


def rules(*groups):
    return [{"name": f"r{at}", "expression": each} for at, each in enumerate(groups)]


DISEASE, DRUG = {"ConditionOccurrence": {"CodesetId": 0}}, {"DrugExposure": {"CodesetId": 1}}
SOUND = {
    "ConceptSets": [a_set(0, 1), a_set(1, 2, domain="Drug")],
    "PrimaryCriteria": {
        "CriteriaList": [DISEASE],
        "ObservationWindow": {"PriorDays": 30, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "All"},
    },
    "ExpressionLimit": {"Type": "First"},
    "InclusionRules": rules(group(near(DRUG))),
    "EndStrategy": {"DateOffset": {"DateField": "StartDate", "Offset": 30}},
}
DISEASE_WITH = lambda **more: {"ConditionOccurrence": {"CodesetId": 0, **more}}  # noqa: E731
ENTRY = "$.PrimaryCriteria.CriteriaList[0]"
RULE = "$.InclusionRules[0].expression"
AGES = [{"Age": {"Op": "lt", "Value": 18}}, {"Age": {"Op": "gte", "Value": 18}}]


def entering(*criteria, prior=30, limit="All"):
    return {
        "CriteriaList": list(criteria),
        "ObservationWindow": {"PriorDays": prior},
        "PrimaryCriteriaLimit": {"Type": limit},
    }


def entry(*criteria, **more):
    return {"PrimaryCriteria": entering(*criteria, **more)}


def ruled(*groups):
    return {"InclusionRules": rules(*groups)}


def ends(field, days):
    return {"EndStrategy": {"DateOffset": {"DateField": field, "Offset": days}}}


FOUND = [
    ("refused", {"Unknown": 1}, "$.Unknown"),
    ("unused-concept-set", {"ConceptSets": [*SOUND["ConceptSets"], a_set(2, 9)]}, "$.ConceptSets[2]"),
    ("empty-concept-set", {"ConceptSets": [a_set(0, 1), a_set(1)]}, "$.ConceptSets[1]"),
    ("entry-selects-nobody", {"ConceptSets": [a_set(0, 1, isExcluded=True), a_set(1, 2, domain="Drug")]}, "$.PrimaryCriteria.CriteriaList"),
    ("duplicate-concept-set", {"ConceptSets": [a_set(0, 2), a_set(1, 2, domain="Drug")]}, "$.ConceptSets[1]"),
    ("duplicate-concept", {"ConceptSets": [a_set(0, 1, 1), SOUND["ConceptSets"][1]]}, "$.ConceptSets[0].expression.items[1]"),
    ("included-and-excluded",
     {"ConceptSets": [a_set(0, 1, 3) | {"expression": {"items": [{"concept": {"CONCEPT_ID": 1}}, {"concept": {"CONCEPT_ID": 1}, "isExcluded": True}, {"concept": {"CONCEPT_ID": 3}}]}}, SOUND["ConceptSets"][1]]},
     "$.ConceptSets[0].expression.items[1]"),
    ("domain-mismatch", {"ConceptSets": [a_set(0, 1, domain="Drug"), SOUND["ConceptSets"][1]]}, f"{ENTRY}.ConditionOccurrence"),
    ("non-standard-concept", {"ConceptSets": [a_set(0, 1, standard="N"), SOUND["ConceptSets"][1]]}, f"{ENTRY}.ConditionOccurrence"),
    ("no-concept-set", entry(DISEASE, {"Measurement": {}}), "$.PrimaryCriteria.CriteriaList[1].Measurement"),
    ("impossible-range", entry(DISEASE_WITH(Age={"Op": "bt", "Value": 65, "Extent": 18})), f"{ENTRY}.ConditionOccurrence.Age"),
    ("range-without-effect", entry(DISEASE_WITH(Age={"Op": "!bt", "Value": 65, "Extent": 18})), f"{ENTRY}.ConditionOccurrence.Age"),
    ("negative-value", entry(DISEASE_WITH(Age={"Op": "gt", "Value": -1})), f"{ENTRY}.ConditionOccurrence.Age"),
    ("impossible-age", entry(DISEASE_WITH(Age={"Op": "gt", "Value": 180})), f"{ENTRY}.ConditionOccurrence.Age"),
    ("impossible-period", {"CensorWindow": {"StartDate": "2021-01-01", "EndDate": "2020-01-01"}}, "$.CensorWindow"),
    ("impossible-adjustment", entry(DISEASE_WITH(DateAdjustment={"StartWith": "START_DATE", "StartOffset": 5, "EndWith": "START_DATE", "EndOffset": 0})), f"{ENTRY}.ConditionOccurrence.DateAdjustment"),
    ("empty-filter", entry(DISEASE_WITH(Gender=[])), f"{ENTRY}.ConditionOccurrence.Gender"),
    ("no-concept-set-chosen", entry(DISEASE_WITH(GenderCS={"IsExclusion": False})), f"{ENTRY}.ConditionOccurrence.GenderCS"),
    ("empty-text", entry(DISEASE_WITH(StopReason={"Text": "", "Op": "contains"})), f"{ENTRY}.ConditionOccurrence.StopReason"),
    ("surprising-attribute", ruled(group(near(DRUG), DemographicCriteriaList=[{"RaceCS": {"CodesetId": 0}}])), f"{RULE}.DemographicCriteriaList[0].RaceCS"),
    ("without-effect", entry(DISEASE, {"Specimen": {"CodesetId": 0, "SpecimenSourceConcept": 0}}), "$"),
    ("dead-window", ruled(group(near(DRUG, 10, -10))), f"{RULE}.CriteriaList[0].StartWindow"),
    ("windows-contradict", ruled(group(near(DRUG, 0, 30, EndWindow=window(-30, -1)))), f"{RULE}.CriteriaList[0]"),
    ("at-least-zero", ruled(group(near(DRUG, count=0))), f"{RULE}.CriteriaList[0].Occurrence"),
    ("absence-beyond-observation", ruled(group(near(DRUG, -365, -1, kind=0, count=0))), f"{RULE}.CriteriaList[0].StartWindow"),
    ("odd-window", ruled(group(*(near(DRUG, -30, last) for last in (0, 1, 2, 3)), near(DRUG, -7, 0))), f"{RULE}.CriteriaList[4].StartWindow"),
    ("death-before-index", ruled(group(near(DRUG), near({"Death": {}}, -30, -1))), f"{RULE}.CriteriaList[1].StartWindow"),
    ("visit-never-matches", ruled(group(near({"DrugEra": {"CodesetId": 1}}, RestrictVisit=True))), f"{RULE}.CriteriaList[0].RestrictVisit"),
    ("group-cannot-hold", ruled(group(near(DRUG), kind="AT_LEAST", Count=2)), RULE),
    ("group-always-holds", ruled(group(near(DRUG), kind="AT_MOST", Count=1)), RULE),
    ("empty-rule", ruled(group(near(DRUG)), group()), "$.InclusionRules[1]"),
    ("contradiction", ruled(group(near(DRUG)), group(near(DRUG, -365, 0, kind=0, count=0))), "$.InclusionRules[1].expression.CriteriaList[0]"),
    ("demographics-contradict", ruled(group(near(DRUG), DemographicCriteriaList=AGES)), f"{RULE}.DemographicCriteriaList[1].Age"),
    ("duplicate-criterion", entry(DISEASE, DISEASE), "$.PrimaryCriteria.CriteriaList[1]"),
    ("duplicate-rule", ruled(group(near(DRUG)), group(near(DRUG))), "$.InclusionRules[1]"),
    ("empty-demographic", ruled(group(near(DRUG), DemographicCriteriaList=[{}])), f"{RULE}.DemographicCriteriaList[0]"),
    ("rules-beyond-53", ruled(*(group(near(DRUG, -day, 0)) for day in range(54))), "$.InclusionRules"),
    ("no-exit", {"EndStrategy": None, "ExpressionLimit": {"Type": "All"}}, "$"),
    ("exit-before-entry", ends("StartDate", -1), "$.EndStrategy.DateOffset.Offset"),
    ("negative-offset", ends("EndDate", -1), "$.EndStrategy.DateOffset.Offset"),
    ("zero-day-stay", ends("StartDate", 0), "$.EndStrategy.DateOffset.Offset"),
    ("censored-at-entry", {"CensoringCriteria": [DISEASE]}, "$.CensoringCriteria[0]"),
    ("limit-without-effect", entry(DISEASE_WITH(First=True), limit="First") | {"ExpressionLimit": {"Type": "Last"}}, "$.ExpressionLimit"),
    ("pad-without-effect", {"CollapseSettings": {"CollapseType": "ERA", "EraPad": 30}}, "$.CollapseSettings.EraPad"),
    ("first-observed-not-first-ever", entry(DISEASE, limit="First"), f"{ENTRY}.ConditionOccurrence"),
    ("observation-negative", entry(DISEASE, prior=-1), "$.PrimaryCriteria.ObservationWindow.PriorDays"),
    ("negative-gap", {"EndStrategy": {"CustomEra": {"DrugCodesetId": 1, "GapDays": -1}}}, "$.EndStrategy.CustomEra.GapDays"),
    ("censor-window-closed", entry(DISEASE_WITH(OccurrenceStartDate={"Op": "gt", "Value": "2020-01-01"})) | {"CensorWindow": {"EndDate": "2019-12-31"}}, "$.CensorWindow"),
]  # fmt: skip


def test_a_sound_definition_has_no_finding():
    assert lint(SOUND) == ()


@pytest.mark.parametrize(("check", "edits", "path"), FOUND, ids=[each[0] for each in FOUND])
def test_a_check_speaks_where_it_should(check, edits, path):
    found = lint(copy.deepcopy(SOUND) | edits)
    assert (check, path) in [(each.check.id, each.path) for each in found]
    assert all(each.what.said() and each.mend.said() for each in found)
    wrapped = lint({"name": "x", "expression": copy.deepcopy(SOUND) | edits})
    assert [each.path for each in wrapped] == [each.path.replace("$", "$.expression", 1) for each in found]


def test_every_check_is_in_the_table_above_and_in_the_manual_and_speaks_korean():
    assert [each.id for each in CHECKS] == [name for name, _, _ in FOUND]
    assert table() in MANUAL.read_text(encoding="utf-8")
    messages = {message for each in CHECKS for message in (each.says, each.mend)} - {"{mend}", "{note}"}
    assert messages <= catalogue("ko").keys()


def test_an_absence_that_one_may_have_is_no_contradiction():
    inside = ruled(group(near(DRUG, -365, 0)), group(near(DRUG, kind=0, count=0)))
    assert "contradiction" not in [each.check.id for each in lint(SOUND | inside)]


def test_the_phenotype_library_has_no_critical_finding(shared):
    archive = shared / "data" / "cohort_conformance.zip"
    if not archive.is_file():
        pytest.skip("needs shared/data/cohort_conformance.zip")
    with zipfile.ZipFile(archive) as file:
        names = [name for name in file.namelist() if "/phenotypes/" in name and name.endswith(".json")]
        found = {name: lint(file.read(name)) for name in names}
    assert len(found) == 548
    grave = [
        (name, each)
        for name, all_ in found.items()
        for each in all_
        if each.check.severity is Severity.CRITICAL
    ]
    assert grave == []
