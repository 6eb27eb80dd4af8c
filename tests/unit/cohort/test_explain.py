"""Definitions in words, plans as lists, and the manual's table."""

from pathlib import Path

from dure.cohort import parse, plan
from dure.cohort.explain import explain, language_table, outline

MANUAL = Path(__file__).parents[3] / "docs" / "cohorts.md"
DEFINITION = {
    "name": "Treated asthma",
    "expression": {
        "ConceptSets": [
            {"id": 0, "name": "asthma", "expression": {"items": [{"concept": {"CONCEPT_ID": 1}}]}},
            {"id": 1, "name": "steroids", "expression": {"items": [{"concept": {"CONCEPT_ID": 2}}]}},
        ],
        "PrimaryCriteria": {
            "CriteriaList": [
                {"ConditionOccurrence": {"CodesetId": 0, "First": True, "Age": {"Op": "bt", "Value": 18, "Extent": 65}}}
            ],
            "ObservationWindow": {"PriorDays": 365, "PostDays": 1},
            "PrimaryCriteriaLimit": {"Type": "First"},
        },
        "InclusionRules": [
            {
                "name": "on steroids",
                "expression": {
                    "Type": "AT_MOST",
                    "Count": 2,
                    "CriteriaList": [
                        {
                            "Criteria": {"DrugExposure": {"CodesetId": 1, "OccurrenceEndDate": {"Op": "gt", "Value": "2020-01-31"}}},
                            "StartWindow": {"Start": {"Days": 30, "Coeff": -1}, "End": {"Days": None, "Coeff": 1}},
                            "Occurrence": {"Type": 0, "Count": 3, "IsDistinct": True, "CountColumn": "START_DATE"},
                            "RestrictVisit": True,
                        }
                    ],
                    "DemographicCriteriaList": [{"Gender": [{"CONCEPT_ID": 8507}]}],
                },
            }
        ],
        "EndStrategy": {"DateOffset": {"DateField": "EndDate", "Offset": 7}},
        "CensoringCriteria": [{"Death": {}}],
        "CensorWindow": {"EndDate": "2021-12-31"},
    },
}  # fmt: skip
WORDS = """\
Treated asthma.
People enter the cohort with:
  - condition occurrence of asthma (each person's first), age from 18 to 65
  observed for at least 365 days before and 1 day after; each person's first such event counts.
Inclusion rule 1, on steroids:
  at most 2 of these hold:
    - exactly 3 different start_date of: drug exposure of steroids, occurrence end date above 2020-01-31 (compares the start of the exposure, not its end), starting 30 days before to any time after the event, in the same visit
    - the person: gender one of the concepts 8507
Of the events that satisfy every rule, each person's first such event counts.
They leave 7 days after the event's end, or when observation ends, if that is sooner.
They leave earlier at: death
Stays at most 0 days apart are one stay.
Stays are cut to the beginning until 2021-12-31."""


def test_a_definition_in_words():
    assert explain(parse(DEFINITION)) == WORDS


def test_a_plan_lists_inputs_before_what_reads_them():
    lines = outline(plan(parse(DEFINITION), cdm_version="5.4")).splitlines()
    assert lines[0].startswith("#1 ConceptIds")
    assert lines[-1].startswith(
        f"#{len(lines)} Clipped: stays=#{len(lines) - 1}, window=Period(end=2021-12-31)"
    )
    for at, line in enumerate(lines, start=1):
        mentioned = [
            int(word.strip("#,[])"))
            for word in line.replace("=", " ").split()[1:]
            if word.lstrip("[").startswith("#")
        ]
        assert all(number < at for number in mentioned)


def test_the_manual_lists_the_language_as_the_parser_knows_it():
    text = MANUAL.read_text(encoding="utf-8")
    listed = text.partition("<!-- language: begin -->\n")[2].partition("\n<!-- language: end -->")[0]
    assert listed == language_table(), "write explain.language_table() between the marks of docs/cohorts.md"
