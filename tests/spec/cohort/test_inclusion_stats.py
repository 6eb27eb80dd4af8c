"""Inclusion-rule statistics: hand-made people, and OHDSI's numbers for them.

Each person's qualified events are written as "day: rules that hold". Rules are 0, 1, 2.
"""

import pyarrow as pa
import pytest

from dure.engines.inclusion_stats import RuleStats, inclusion_stats, table_of

RULES = 3


def qualified(people):
    """{person: {day: rules}} or, for several events of a day, {person: [(day, rules)]}."""
    rows = [
        (person, day, sum(1 << rule for rule in rules))
        for person, events in people.items()
        for day, rules in (events.items() if isinstance(events, dict) else events)
    ]
    rows.sort()
    names, types = ("person_id", "start_date", "mask"), (pa.int64(), pa.date32(), pa.int64())
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.table({n: pa.array(c, t) for n, c, t in zip(names, columns, types, strict=True)})


def masks(people):
    """Mode 0 and mode 1: {rules that hold: how many}."""
    return [
        {tuple(rule for rule in range(RULES) if mask >> rule & 1): n for mask, n in stats.masks}
        for stats in inclusion_stats(qualified(people), RULES)
    ]


TABLE = [
    # what it shows, people, mode 0 (all events), mode 1 (one best event a person)
    ("one event", {1: {0: [0, 1, 2]}}, {(0, 1, 2): 1}, {(0, 1, 2): 1}),
    ("no rule holds", {1: {0: [], 5: []}}, {(): 2}, {(): 1}),
    ("the most rules win", {1: {0: [0], 5: [1, 2]}}, {(0,): 1, (1, 2): 1}, {(1, 2): 1}),
    ("then the earliest rule, not the date", {1: {0: [1, 2], 5: [0, 2]}}, {(1, 2): 1, (0, 2): 1}, {(0, 2): 1}),
    ("then the earliest date", {1: {0: [0, 2], 5: [0, 1]}}, {(0, 2): 1, (0, 1): 1}, {(0, 2): 1}),
    ("then the smaller mask", {1: [(0, [0, 2]), (0, [0, 1])]}, {(0, 2): 1, (0, 1): 1}, {(0, 1): 1}),
    ("one rule beats none, although none counts as rule 0", {1: {0: [], 5: [2]}}, {(): 1, (2,): 1}, {(2,): 1}),
    ("each person has one", {1: {0: [0]}, 2: {0: [0], 1: [0]}}, {(0,): 3}, {(0,): 2}),
    ("nobody", {}, {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("people", "events", "best"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_masks(people, events, best):
    assert masks(people) == [events, best]


def test_rules_and_totals():
    """Rule 2's gain: who would be in if rule 2 weren't there."""
    events, best = inclusion_stats(qualified({1: {0: [0, 1]}, 2: {0: [0, 1, 2], 9: [1]}, 3: {0: []}}), RULES)
    assert (events.base, events.final) == (4, 1)
    assert events.rules == (
        RuleStats(satisfied=2, gain=0),
        RuleStats(satisfied=3, gain=0),
        RuleStats(satisfied=1, gain=1),
    )
    assert (best.base, best.final) == (3, 1)
    assert [rule.satisfied for rule in best.rules] == [2, 2, 1]


def test_without_rules_all_are_in():
    events, best = inclusion_stats(qualified({1: {0: [], 1: []}}), 0)
    assert [(stats.base, stats.final, stats.rules) for stats in (events, best)] == [(2, 2, ()), (1, 1, ())]


def test_the_table_has_ohdsis_numbers():
    both = inclusion_stats(qualified({1: {0: [0]}, 2: {0: [0, 1]}}), 2)
    rows = table_of("c", ["first", "second"], both).to_pylist()
    told = [{key: value for key, value in row.items() if value is not None} for row in rows if row["mode_id"]]
    head = {"cohort_id": "c", "mode_id": 1}
    assert told == [
        head | {"table": "cohort_inclusion_result", "inclusion_rule_mask": 1, "person_count": 1},
        head | {"table": "cohort_inclusion_result", "inclusion_rule_mask": 3, "person_count": 1},
        head | {"table": "cohort_inclusion_stats", "rule_sequence": 0, "rule_name": "first", "person_count": 2,
                "gain_count": 0, "person_total": 2},
        head | {"table": "cohort_inclusion_stats", "rule_sequence": 1, "rule_name": "second", "person_count": 1,
                "gain_count": 1, "person_total": 2},
        head | {"table": "cohort_summary_stats", "base_count": 2, "final_count": 1},
    ]  # fmt: skip


def test_from_a_definition_the_referee_and_the_engine_count_alike(engine, people):
    for person, drug_on in ((1, 5), (2, None), (3, 500)):
        people.person(person)
        people.condition(person, 0)
        people.condition(person, 400)
        if drug_on is not None:
            people.drug(person, drug_on)
    found = engine.qualified(
        {
            "ConceptSets": [
                {"id": at, "name": "", "expression": {"items": [{"concept": {"CONCEPT_ID": concept}}]}}
                for at, concept in enumerate((1, 3))
            ],
            "PrimaryCriteria": {
                "CriteriaList": [{"ConditionOccurrence": {"CodesetId": 0}}],
                "ObservationWindow": {},
                "PrimaryCriteriaLimit": {"Type": "All"},
            },
            "InclusionRules": [
                {
                    "name": "drug within 30 days",
                    "expression": {
                        "Type": "ALL",
                        "CriteriaList": [
                            {
                                "Criteria": {"DrugExposure": {"CodesetId": 1}},
                                "StartWindow": {
                                    "Start": {"Days": 0, "Coeff": -1},
                                    "End": {"Days": 30, "Coeff": 1},
                                },
                                "Occurrence": {"Type": 2, "Count": 1},
                            }
                        ],
                    },
                }
            ],
        }
    )
    events, best = inclusion_stats(
        qualified({p: [(d, [0] if m else []) for q, d, m in found if q == p] for p in (1, 2, 3)}), 1
    )
    assert (events.masks, events.base, events.final) == (((0, 5), (1, 1)), 6, 1)
    assert (best.masks, best.base, best.final) == (((0, 2), (1, 1)), 3, 1)
