"""A plan's identity: equal meaning is one node, and what is different has another digest."""

import copy

import pytest

from dure.cohort import parse, plan
from dure.cohort.problems import UnknownVersion
from dure.cohort.relations import Collapsed, ConceptIds, Counted, Stays, walk
from dure.omop.concept_sets import ConceptSetItem, Vocabulary, canonical, members


def near(days, codeset=0, table="DrugExposure"):
    return {
        "Criteria": {table: {"CodesetId": codeset}},
        "StartWindow": {"Start": {"Days": days, "Coeff": -1}, "End": {"Days": 0, "Coeff": 1}},
        "Occurrence": {"Type": 2, "Count": 1},
    }


def definition(*criteria, limit="All", items=({"concept": {"CONCEPT_ID": 1}},)):
    return {
        "ConceptSets": [
            {"id": number, "name": f"set {number}", "expression": {"items": list(items)}} for number in (0, 1)
        ],
        "PrimaryCriteria": {
            "CriteriaList": [{"ConditionOccurrence": {"CodesetId": 0}}],
            "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
            "PrimaryCriteriaLimit": {"Type": limit},
        },
        "ExpressionLimit": {"Type": "All"},
        "InclusionRules": [
            {"name": f"rule {at}", "expression": {"Type": "ALL", "CriteriaList": [each]}}
            for at, each in enumerate(criteria)
        ],
    }


def planned(source):
    return plan(parse(source), cdm_version="5.4")


def test_names_and_numbers_of_concept_sets_do_not_count():
    first, second = definition(near(30, 0)), definition(near(30, 1))
    second["ConceptSets"][1]["name"] = "another name"
    assert planned(first).digest == planned(second).digest


@pytest.mark.parametrize(
    "other",
    [definition(near(31)), definition(near(30), near(30)), definition(near(30), limit="First"),
     definition(near(30, table="DrugEra")), definition(near(30), items=({"concept": {"CONCEPT_ID": 2}},)),
     definition(near(30), items=({"concept": {"CONCEPT_ID": 1}, "includeDescendants": True},))],
)  # fmt: skip
def test_a_different_meaning_has_a_different_digest(other):
    assert planned(other).digest != planned(definition(near(30))).digest


def test_equal_parts_are_one_node():
    source = definition(near(30), near(30), near(60))
    nodes = [node for node, _ in walk(planned(source).rows).values()]
    assert sum(isinstance(node, Counted) for node in nodes) == 2
    assert sum(isinstance(node, ConceptIds) for node in nodes) == 1


def test_two_cohorts_share_their_common_nodes():
    one, two = planned(definition(near(30))), planned(definition(near(60)))
    shared = set(walk(one.attrition)) & set(walk(two.attrition))
    assert one.attrition.index.digest in shared


def test_the_digest_is_stable_between_processes():
    assert planned(definition(near(30))).digest == planned(copy.deepcopy(definition(near(30)))).digest
    assert len(planned(definition()).digest) == 64


def test_one_event_a_person_needs_no_collapsing():
    assert isinstance(planned(definition(limit="All")).rows, Collapsed)
    assert isinstance(planned(definition(limit="Last")).rows, Stays)


def test_rules_are_named_in_the_order_of_the_mask():
    assert planned(definition(near(1), near(2))).rules == ("rule 0", "rule 1")


def test_an_unknown_version_is_refused():
    with pytest.raises(UnknownVersion, match=r"6\.0"):
        plan(parse(definition()), cdm_version="6.0")


VOCABULARY = Vocabulary(
    concepts=frozenset({1, 2, 3, 4, 5, 9}),
    valid=frozenset({1, 2, 4, 5, 9}),
    descendants=frozenset({(1, 1), (1, 2), (1, 3), (4, 4), (4, 5), (8, 9)}),
    mappings=frozenset({(9, 2), (5, 1), (7, 3)}),
)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], set()),
        ([(1, "")], {1}),
        ([(3, "")], {3}),  # listed itself, an invalid concept counts
        ([(77, "")], set()),  # unknown to the vocabulary
        ([(1, "d")], {1, 2}),  # invalid descendants don't count
        ([(8, "d")], {9}),  # an ancestor may be unknown itself
        ([(1, "m")], {1, 5}),
        ([(1, "dm")], {1, 2, 5, 9}),
        ([(3, "m")], {3, 7}),  # what maps needn't be in the vocabulary's concepts
        ([(1, "d"), (2, "x")], {1}),
        ([(1, "dm"), (1, "xm")], {2, 9}),
        ([(2, "x")], set()),
    ],
)
def test_members_of_a_concept_set(items, expected):
    made = [
        ConceptSetItem(concept=concept, descendants="d" in flags, mapped="m" in flags, excluded="x" in flags)
        for concept, flags in items
    ]
    assert members(canonical(made), VOCABULARY) == expected
