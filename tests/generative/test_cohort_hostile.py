"""Mutated definitions: each is refused with its place, or becomes a plan whose SQL is one allowed SELECT; none crashes.

What is mutated: a definition with a bit of everything, generated ones of the whole language and, where `shared/` is there,
OHDSI's phenotypes with their concept sets cut short.
"""

import copy
import json
import multiprocessing
import zipfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlglot import exp
from sqlglot import parse as parse_sql

from dure.cohort import parse, plan
from dure.cohort.circe.language import CRITERIA_TYPES
from dure.cohort.circe.parse import MAX_ERAS
from dure.cohort.explain import explain
from dure.cohort.relations import walk
from dure.engines.allowed import judge
from dure.engines.cohorts import statements
from dure.look.words import Words
from dure.wire.problems import Problem
from tests.generative.test_cohort_engines import Writer

QUICK = settings(derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate))
PER_SEED = 500
VALUES = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, -(10**30), 0.1, 1e308, -0.0, "", "x", "'; DROP TABLE person; --",
    "2020-13-45", "NaN", "\u0000", "\ud800", "𝟙", "9" * 5000, [], {}, [[]], [None], {"CodesetId": {}}, {"a": {"a": {"a": 1}}},
    {"Op": "gt"}, {"Op": "bt", "Value": "x", "Extent": []}, {"Days": "1e9", "Coeff": 1}, -(2**63), 2**31 - 1, 1e-320,
    "\u202e", "\ud83d", "{name}", "{0}", "%s", "$$); SELECT 1; --", "a\\'; --", "*/ UNION SELECT 1 /*", "9223372036854775807",
    {"CodesetId": 0, "IsExclusion": True}, [{"CONCEPT_ID": -(2**63)}], {"Text": "'", "Op": "contains"}, [0] * 3000,
    [{"CONCEPT_ID": number} for number in range(400)], {"StartDate": "0001-01-01", "EndDate": "9999-12-31"},
    {"CustomEra": {"CriteriaList": [{"Death": {}}], "GapDays": -5}}, {"Episode": {}}, {"LocationRegion": {"CodesetId": 0}},
]  # fmt: skip
PHENOTYPES = Path(__file__).resolve().parents[3] / "shared" / "data" / "cohort_conformance.zip"
SQL_OF_EVERY = 20
"""In the sweep of a million, the SQL of one accepted mutant in so many is judged: it takes longer than all the rest."""
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


def sources():
    """What is mutated, as texts."""
    writer = Writer(Random(5))
    found = [json.dumps(SEED)] * 20 + [json.dumps(writer.expression()) for _ in range(60)]
    if PHENOTYPES.is_file():
        with zipfile.ZipFile(PHENOTYPES) as archive:
            for name in sorted(archive.namelist()):
                if "/phenotypes/" in name and name.endswith(".json"):
                    document = json.loads(archive.read(name))
                    for each in document["ConceptSets"]:
                        del each["expression"]["items"][3:]
                    found.append(json.dumps(document))
    return found


SOURCES: list[str] = []


def judge_sql(made):
    """Every statement of a plan is on the engines' list, and its text is one query again."""
    for _, tree in statements(made):
        judge(tree, lambda _name: True)
        (again,) = parse_sql(tree.sql(dialect="duckdb", identify=True, comments=False), dialect="duckdb")
        assert isinstance(again, exp.Query)


def survives(seed, every=1):
    """How many of `PER_SEED` mutants were accepted; the SQL of one in `every` of them is judged."""
    SOURCES[:] = SOURCES or sources()
    random, accepted = Random(seed), 0
    for _ in range(PER_SEED):
        document = json.loads(random.choice(SOURCES))
        for _ in range(random.choice([1, 1, 2, 5])):
            if document:
                document = mutate(random, document)
        text = json.dumps(document)
        if random.random() < 0.3:
            text = damage(random, text)
        try:
            expression = parse(text.encode("utf-8", "surrogatepass"))
            made = plan(expression, cdm_version="5.4")
        except Problem as problem:
            told = (problem.where.startswith("$"), bool(problem.mend), 20 <= problem.exit_code <= 25)
            assert all(told), text
        else:
            accepted += 1
            assert all(each.where.startswith("$") for each in expression.warnings)
            assert len(walk(made.attrition, made.rows)) > 2
            if accepted % every == 0:
                judge_sql(made)
                assert explain(expression, Words("ko", "cohort"))
    return accepted


@settings(QUICK, max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_4000_mutants_are_read_or_refused(seed):
    assert 0 < survives(seed, every=10) < PER_SEED


@pytest.mark.slow
def test_a_million_mutants_are_read_or_refused():
    SOURCES[:] = sources()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.starmap(survives, [(seed, SQL_OF_EVERY) for seed in range(1_000_000 // PER_SEED)], 20)
    assert sum(found) > 100_000


def nested(levels, inner):
    """A `CustomEra` of a `CustomEra` of ..."""
    for _ in range(levels):
        inner = {"CustomEra": {"CriteriaList": [inner], "GapDays": 1}}
    return inner


def deep(levels):
    criteria = [nested(levels, {"Death": {}})]
    return {"PrimaryCriteria": {"CriteriaList": criteria, "ObservationWindow": {}}}


def test_the_deepest_eras_are_still_one_query():
    judge_sql(plan(parse(deep(MAX_ERAS)), cdm_version="5.4"))
    with pytest.raises(Problem, match="eras") as caught:
        parse(deep(MAX_ERAS + 1))
    eras = ".CriteriaList[0].CustomEra" * (MAX_ERAS + 1)
    assert caught.value.where == f"$.PrimaryCriteria{eras}.CriteriaList"


@pytest.mark.parametrize("eras", [0, MAX_ERAS])
def test_the_deepest_nested_criteria_are_still_one_query(eras):
    def within(levels, criterion):
        for _ in range(levels):
            near = {**GROUP["CriteriaList"][0], "Criteria": criterion, "Occurrence": {"Type": 2, "Count": 1}}
            criterion = {"Death": {"CorrelatedCriteria": {"Type": "ALL", "CriteriaList": [near]}}}
        return {
            **SEED["expression"],
            "PrimaryCriteria": {"CriteriaList": [criterion], "ObservationWindow": {}},
        }

    for most in range(20, 0, -1):
        document = within(most, nested(eras, {"Death": {}}))
        try:
            made = plan(parse(document), cdm_version="5.4")
        except Problem:
            continue
        break
    assert most > 5
    judge_sql(made)


TWICE = json.dumps(SEED).replace('"First": true', '"First": true, "First": false', 1)


def test_a_property_that_is_there_twice_is_named():
    with pytest.raises(Problem) as caught:
        parse(TWICE)
    assert caught.value.where.endswith(".DrugExposure.First")


@settings(QUICK, max_examples=500)
@given(
    source=st.binary(max_size=200)
    | st.text(max_size=200)
    | st.dictionaries(st.text(), st.none() | st.booleans() | st.floats() | st.text())
)
def test_anything_at_all_is_refused(source):
    with pytest.raises(Problem):
        parse(source)
