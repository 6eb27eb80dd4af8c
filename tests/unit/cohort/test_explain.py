"""Definitions in words, plans as lists, and the manual's table."""

import ast
import inspect
import json
import re
from pathlib import Path

from dure.cohort import explain as explaining
from dure.cohort import parse, plan, wording
from dure.cohort.circe import document, quirks, values
from dure.cohort.circe import parse as parse_module
from dure.cohort.circe.manual import language_table
from dure.cohort.circe.quirks import QUIRKS
from dure.cohort.explain import explain
from dure.cohort.outline import outline
from dure.look.words import Words, catalogue

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
Treated asthma

Who enters
  People enter at this event:
  - a diagnosis of “asthma”, only each person's first, age 18 to 65
  It has to start in an observation period, with at least 365 days of it before and 1 day after.
  Of these events, only each person's first counts.
Inclusion rules
  1. on steroids
     at most 2 of these hold:
     - exposures to “steroids” with exactly 3 different start dates, end after 2020-01-31, starting at any time from 30 days before entry on, in the same visit
     - the person: sex concept 8507
How long they stay
  They leave 7 days after the event of entry ends, or when observation ends if that is sooner.
  They leave earlier at the first of these events:
  - death from any cause
  Only days up to 2021-12-31 count.
To know
  - $.expression.InclusionRules[0].expression.CriteriaList[0].Criteria.DrugExposure.OccurrenceEndDate: OccurrenceEndDate compares the start of the exposure, not its end."""
KOREAN = """\
Treated asthma

진입하는 사람
  다음 사건이 있을 때 진입합니다:
  - “asthma” 진단, 사람마다 첫 기록만, 나이 18 이상 65 이하
  사건은 관찰 기간 안에서 시작해야 하고, 관찰 기간이 그 전에 365일 이상, 그 후에 1일 이상 있어야 합니다.
  이 가운데 사람마다 첫 사건만 셉니다.
포함 기준
  1. on steroids
     다음 중 만족하는 것이 2개 이하:
     - “steroids” 투약 중 서로 다른 시작일 정확히 3개, 종료일 2020-01-31 다음 날부터, 진입 30일 전부터 언제든 시작, 같은 방문에서
     - 대상자: 성별 개념 8507
머무는 기간
  진입 사건이 끝나고 7일 뒤에 나가며, 관찰이 먼저 끝나면 그때 나갑니다.
  다음 사건이 있으면 그중 가장 이른 때에 나갑니다:
  - 사망(원인: 무관)
  2021-12-31까지만 셉니다.
알아 둘 점
  - $.expression.InclusionRules[0].expression.CriteriaList[0].Criteria.DrugExposure.OccurrenceEndDate: OccurrenceEndDate 속성은 투약 종료일이 아니라 시작일과 비교합니다."""


def test_a_definition_in_words():
    assert explain(parse(DEFINITION)) == WORDS


def test_a_definition_in_korean():
    assert explain(parse(DEFINITION), Words("ko", "cohort")) == KOREAN


def messages():
    """Every message of `explain` and of warnings that the code writes out, and the words of its tables."""
    for module in (explaining, parse_module, document, values, quirks):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in {
                "say",
                "warn",
            }:
                yield from (
                    (each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant))
                    if node.args
                    else ()
                )
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in {"message", "once"}:
                yield from (
                    each.value
                    for each in ast.walk(node.value)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                )
    yield from (quirk.note for quirk in QUIRKS.values() if quirk.note)
    for noun in wording.NOUNS.values():
        yield from (noun.one, noun.many, noun.anything)
    for table in (
        wording.NAMES,
        wording.COLUMNS,
        wording.NUMBERS,
        wording.DATES,
        wording.GROUPS,
        wording.LIMITS,
        wording.AFTER_RULES,
    ):
        yield from table.values()


def test_korean_has_every_message_with_its_values():
    korean, found = catalogue("ko", "cohort"), set(messages())
    assert len(found) > 150
    assert found <= korean.keys()
    for message, text in korean.items():
        assert sorted(re.findall(r"{\w+}", message)) == sorted(re.findall(r"{\w+}", text)), message


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
    assert listed == language_table(), "write manual.language_table() between the marks of docs/cohorts.md"


def test_a_name_cannot_write_lines_of_its_own():
    definition = json.loads(json.dumps(DEFINITION))
    definition["expression"]["ConceptSets"][0]["name"] = (
        "asthma \nInclusion rules\r  1. none\x1b[2K\u2028 end"
    )
    assert "  - a diagnosis of “asthma Inclusion rules 1. none [2K end”" in explain(parse(definition))
