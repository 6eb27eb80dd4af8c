"""What a cohort definition means, one idea a test: people's timelines in, stays in the cohort out.

Days are numbers (day 0 is 1 January 2020); everybody is observed from day -1000 to 1000 unless a test says otherwise.
The entry event is a condition of concept 1 or 2; drugs are concept 3.
"""

import pytest

ALL, FIRST, LAST = {"Type": "All"}, {"Type": "First"}, {"Type": "Last"}
AT_LEAST, AT_MOST, EXACTLY = 2, 1, 0


def a_set(number, *items):
    return {
        "id": number,
        "name": f"set {number}",
        "expression": {"items": [{"concept": {"CONCEPT_ID": concept}, **flags} for concept, flags in items]},
    }


SETS = [
    a_set(0, (1, {"includeDescendants": True})),
    a_set(1, (3, {})),
    a_set(2, (4, {})),
    a_set(3, (5, {})),
    a_set(4, (1, {"includeDescendants": True}), (2, {"isExcluded": True})),
    a_set(5, (1, {"includeDescendants": True, "includeMapped": True})),
]
DISEASE, DRUG, TEST, STAY = ({name: {"CodesetId": at}} for at, name in enumerate(
    ("ConditionOccurrence", "DrugExposure", "Measurement", "VisitOccurrence")
))  # fmt: skip


def definition(*criteria, limit=ALL, prior=0, post=0, rules=(), **more):
    return {
        "ConceptSets": SETS,
        "PrimaryCriteria": {
            "CriteriaList": list(criteria) or [DISEASE],
            "ObservationWindow": {"PriorDays": prior, "PostDays": post},
            "PrimaryCriteriaLimit": limit,
        },
        "QualifiedLimit": ALL,
        "ExpressionLimit": ALL,
        "InclusionRules": [{"name": f"rule {at}", "expression": rule} for at, rule in enumerate(rules)],
        "EndStrategy": {"DateOffset": {"DateField": "StartDate", "Offset": 0}},
        **more,
    }


def ends(field="StartDate", offset=0):
    return {"DateOffset": {"DateField": field, "Offset": offset}}


def where(criterion, **attributes):
    ((name, body),) = criterion.items()
    return {name: body | attributes}


def group(*criteria, kind="ALL", count=None, demographics=(), groups=()):
    return {
        "Type": kind,
        "Count": count,
        "CriteriaList": list(criteria),
        "DemographicCriteriaList": list(demographics),
        "Groups": list(groups),
    }


def edge(days):
    if days in {"start", "end"}:
        return {"Coeff": -1 if days == "start" else 1}
    return {"Days": abs(days), "Coeff": -1 if days < 0 else 1}


def window(first, last, **more):
    return {"Start": edge(first), "End": edge(last), **more}


def near(criterion, first, last, *, times=(AT_LEAST, 1), **more):
    occurrence = {"Type": times[0], "Count": times[1], **more.pop("occurrence", {})}
    return {
        "Criteria": criterion,
        "StartWindow": window(first, last, **more.pop("start", {})),
        "Occurrence": occurrence,
        **more,
    }


def test_concept_sets_take_descendants_and_exclusions_and_mapped_concepts(people, engine):
    people.person(1)
    for start, concept in ((0, 1), (10, 2), (20, 8), (30, 3)):
        people.condition(1, start, concept)

    def starts(number):
        return [s for _, s, _ in engine(definition({"ConditionOccurrence": {"CodesetId": number}}))]

    assert starts(0) == [0, 10]
    assert starts(4) == [0]
    assert starts(5) == [0, 10, 20]


def test_standard_and_source_concepts_together_must_both_hold(people, engine):
    people.person(1)
    people.condition(1, 0, 1, source=3)
    people.condition(1, 10, 1, source=4)
    assert engine(definition(where(DISEASE, ConditionSourceConcept=1))) == [(1, 0, 0)]


@pytest.mark.parametrize(
    ("limit", "starts"), [(ALL, [0, 10, 20]), (FIRST, [0]), (LAST, [20])], ids=["all", "first", "last"]
)
def test_primary_limit(people, engine, limit, starts):
    people.person(1)
    for start in (20, 0, 10):
        people.condition(1, start)
    assert [s for _, s, _ in engine(definition(limit=limit))] == starts


@pytest.mark.parametrize(
    ("prior", "post", "starts"),
    [(0, 0, [0, 10, 20]), (10, 0, [10, 20]), (11, 0, [20]), (0, 10, [0, 10]), (0, 11, [0])],
)
def test_observation_window_counts_whole_days(people, engine, prior, post, starts):
    people.person(1, observed=((0, 20),))
    for start in (-1, 0, 10, 20, 21):
        people.condition(1, start)
    assert [s for _, s, _ in engine(definition(prior=prior, post=post))] == starts


def test_first_is_chosen_before_the_other_filters(people, engine):
    people.person(1, born=1960)
    people.condition(1, -400)  # in 2018, aged 58
    people.condition(1, 0)  # in 2020, aged 60
    aged = {"Op": "gte", "Value": 60}
    assert engine(definition(where(DISEASE, Age=aged))) == [(1, 0, 0)]
    assert engine(definition(where(DISEASE, Age=aged, First=True))) == []


def test_age_is_the_difference_of_calendar_years(people, engine):
    people.person(1, born=2000)
    people.condition(1, -1)  # 31 December 2019
    people.condition(1, 0)
    assert engine(definition(where(DISEASE, Age={"Op": "eq", "Value": 19}))) == [(1, -1, -1)]


@pytest.mark.parametrize(
    ("filters", "persons"),
    [
        ({"ValueAsNumber": {"Op": "gt", "Value": 7}}, [2]),
        ({"ValueAsNumber": {"Op": "gte", "Value": 7}}, [1, 2]),
        ({"ValueAsNumber": {"Op": "!bt", "Value": 6, "Extent": 7}}, [2]),  # 4 has no value: unknown is no
        ({"ValueAsNumber": {"Op": "!eq", "Value": 7}}, [2, 3]),
        ({"RangeHighRatio": {"Op": "gte", "Value": 1}}, [1, 2]),  # 3's range ends at 0: no ratio
        ({"Abnormal": True}, [2, 3]),
        ({"Unit": [{"CONCEPT_ID": 6}]}, [1, 3]),
        ({"UnitCS": {"CodesetId": None}}, [1, 3]),
        ({"UnitCS": {"CodesetId": None, "IsExclusion": True}}, [2, 4]),
    ],
)
def test_attributes_of_a_measurement(people, engine, filters, persons):
    for person, value, high, unit in (
        (1, 7.0, 7.0, 6),
        (2, 7.5, 7.0, None),
        (3, 6.5, 0.0, 6),
        (4, None, 7.0, None),
    ):
        people.person(person)
        people.measurement(person, 0, value, high=high, unit=unit)
    assert [p for p, _, _ in engine(definition(where(TEST, **filters)))] == persons


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (-30, 0, [1, 2]),
        (-30, -1, [1]),
        (0, 30, [2, 3]),
        (1, 30, [3]),
        ("start", "end", [1, 2, 3, 4]),
        (-29, -1, []),
    ],
)
def test_windows_count_days_from_the_index_event(people, engine, first, last, expected):
    for person, start in ((1, -30), (2, 0), (3, 30), (4, 500)):
        people.person(person)
        people.condition(person, 0)
        people.drug(person, start)
    rule = group(near(DRUG, first, last))
    assert [p for p, _, _ in engine(definition(rules=[rule]))] == expected


def test_windows_may_look_at_either_end_of_either_event(people, engine):
    people.person(1)
    people.condition(1, 0, end=10)
    people.drug(1, -5, end=12)
    found = lambda **start: bool(engine(definition(rules=[group(near(DRUG, 0, 5, start=start))])))  # noqa: E731
    assert not found()
    assert not found(UseEventEnd=True)  # ends 12 days after the start
    assert found(UseEventEnd=True, UseIndexEnd=True)  # and 2 days after the end
    by_end_window = near(DRUG, -30, 0, EndWindow=window(0, 12))
    assert engine(definition(rules=[group(by_end_window)]))


def test_events_outside_the_observation_period_count_only_where_told(people, engine):
    people.person(1, observed=((0, 100),))
    people.condition(1, 10)
    people.drug(1, -5)
    assert not engine(definition(rules=[group(near(DRUG, -30, 0))]))
    assert engine(definition(rules=[group(near(DRUG, -30, 0, IgnoreObservationPeriod=True))]))


@pytest.mark.parametrize(
    ("times", "persons"),
    [
        ((AT_LEAST, 1), [2, 3]), ((AT_LEAST, 2), [3]), ((AT_LEAST, 0), [1, 2, 3]), ((EXACTLY, 0), [1]),
        ((EXACTLY, 1), [2]), ((AT_MOST, 0), [1]), ((AT_MOST, 1), [1, 2]),
    ],
)  # fmt: skip
def test_occurrences(people, engine, times, persons):
    for person in (1, 2, 3):
        people.person(person)
        people.condition(person, 0)
        for start in range(1, person):
            people.drug(person, start)
    assert [p for p, _, _ in engine(definition(rules=[group(near(DRUG, 0, 30, times=times))]))] == persons


def test_distinct_counts_different_values_and_no_missing_ones(people, engine):
    people.person(1)
    people.condition(1, 0)
    for start in (5, 5, 6):
        people.drug(1, start)

    def twice(column):
        return near(DRUG, 0, 30, times=(AT_LEAST, 2), occurrence={"IsDistinct": True, "CountColumn": column})

    assert engine(definition(rules=[group(twice("START_DATE"))]))
    assert not engine(definition(rules=[group(twice("DOMAIN_CONCEPT"))]))
    assert not engine(definition(rules=[group(twice("VISIT_ID"))]))


def test_the_same_visit(people, engine):
    people.person(1)
    people.visit(1, 0, 5)
    people.condition(1, 1, visit=1)
    people.condition(1, 2, visit=None)
    rule = group(near(STAY, "start", "end", RestrictVisit=True))
    assert engine(definition(rules=[rule])) == [(1, 1, 1)]


@pytest.mark.parametrize(
    ("kind", "count", "persons"),
    [
        ("ALL", None, [3]),
        ("ANY", None, [1, 2, 3]),
        ("AT_LEAST", 2, [3]),
        ("AT_MOST", 1, [0, 1, 2]),
        ("AT_MOST", 0, [0]),
        ("AT_LEAST", 0, [0, 1, 2, 3]),
    ],
)
def test_groups(people, engine, kind, count, persons):
    for person in range(4):
        people.person(person)
        people.condition(person, 0)
        if person & 1:
            people.drug(person, 0)
        if person & 2:
            people.measurement(person, 0, 1.0)
    rule = group(near(DRUG, 0, 0), near(TEST, 0, 0), kind=kind, count=count)
    assert [p for p, _, _ in engine(definition(rules=[rule]))] == persons
    assert [p for p, _, _ in engine(definition(rules=[group(groups=[rule])]))] == persons


def test_an_empty_group_holds(people, engine):
    people.person(1)
    people.condition(1, 0)
    assert engine(definition(rules=[group()])) == [(1, 0, 0)]


def test_demographics(people, engine):
    people.person(1, born=1990, gender=8507)
    people.person(2, born=1950, gender=8507)
    people.person(3, born=1950, gender=8532)
    for person in (1, 2, 3):
        people.condition(person, 0)
    rule = group(demographics=[{"Age": {"Op": "gte", "Value": 65}, "Gender": [{"CONCEPT_ID": 8507}]}])
    assert engine(definition(rules=[rule])) == [(2, 0, 0)]


def test_attrition_keeps_every_qualified_event_with_the_rules_it_satisfies(people, engine):
    people.person(1)
    people.condition(1, 0)
    people.condition(1, 50)
    people.drug(1, 0)
    people.measurement(1, 50, 1.0)
    people.drug(1, 50)
    rules = [group(near(DRUG, 0, 0)), group(near(TEST, 0, 0))]
    asked = definition(rules=rules, ExpressionLimit=FIRST)
    assert engine.qualified(asked) == [(1, 0, 0b01), (1, 50, 0b11)]
    assert engine(asked) == [(1, 50, 50)]


def test_the_qualified_limit_acts_only_with_additional_criteria(people, engine):
    people.person(1)
    people.condition(1, 0)
    people.condition(1, 10)
    people.drug(1, 10)
    assert len(engine(definition(QualifiedLimit=FIRST))) == 2
    assert engine(definition(QualifiedLimit=FIRST, AdditionalCriteria=group())) == [(1, 0, 0)]
    assert engine(definition(QualifiedLimit=FIRST, AdditionalCriteria=group(near(DRUG, 0, 0)))) == [
        (1, 10, 10)
    ]


@pytest.mark.parametrize(
    ("strategy", "end"),
    [
        (ends(), 0),
        (ends(offset=30), 30),
        (ends("EndDate", 5), 15),
        (ends(offset=500), 100),  # never after the observation period
        (None, 100),
        ({"CustomEra": {"DrugCodesetId": 1, "GapDays": 4, "Offset": 0}}, 9),
        ({"CustomEra": {"DrugCodesetId": 1, "GapDays": 5, "Offset": 0}}, 24),
        ({"CustomEra": {"DrugCodesetId": 1, "GapDays": 5, "Offset": 2}}, 26),
        ({"CustomEra": {"DrugCodesetId": 1, "GapDays": 0, "DaysSupplyOverride": 3}}, 3),
    ],
)
def test_exits(people, engine, strategy, end):
    people.person(1, observed=((-100, 100),))
    people.condition(1, 0, end=10)
    people.drug(1, 0, end=9)
    people.drug(1, 14, supply=10)
    assert engine(definition(EndStrategy=strategy)) == [(1, 0, end)]


def test_a_stay_that_would_end_before_it_starts_is_dropped(people, engine):
    people.person(1)
    people.condition(1, 0)
    assert engine(definition(EndStrategy=ends(offset=-1))) == []


def test_a_condition_without_an_end_lasts_until_the_next_day(people, engine):
    people.person(1)
    people.condition(1, 0)
    assert engine(definition(EndStrategy=ends("EndDate"))) == [(1, 0, 1)]


@pytest.mark.parametrize(("supply", "end"), [(20, 20), (None, 1), (9_999_999, 1)])
def test_days_supply_stands_in_for_a_missing_end_unless_it_is_absurd(people, engine, supply, end):
    people.person(1)
    people.drug(1, 0, supply=supply)
    assert engine(definition(DRUG, EndStrategy=ends("EndDate"))) == [(1, 0, end)]


def test_censoring_ends_a_stay_at_the_first_such_event(people, engine):
    people.person(1)
    people.condition(1, 0)
    for start in (-5, 40, 60):
        people.drug(1, start)
    people.death(1, 50)
    assert engine(definition(EndStrategy=None, CensoringCriteria=[DRUG, {"Death": {}}])) == [(1, 0, 40)]


@pytest.mark.parametrize(("pad", "stays"), [(0, [(0, 5), (6, 30)]), (1, [(0, 30)])])
def test_stays_that_touch_within_the_pad_are_one(people, engine, pad, stays):
    people.person(1)
    for start, end in ((0, 5), (6, 20), (20, 30), (8, 9)):
        people.condition(1, start, end=end)
    asked = definition(EndStrategy=ends("EndDate"), CollapseSettings={"CollapseType": "ERA", "EraPad": pad})
    assert [(s, e) for _, s, e in engine(asked)] == stays


def test_the_censor_window_cuts(people, engine):
    people.person(1)
    for start, end in ((0, 5), (10, 20), (30, 40)):
        people.condition(1, start, end=end)
    window = {"StartDate": "2020-01-13", "EndDate": "2020-02-05"}  # days 12 and 35
    assert engine(definition(EndStrategy=ends("EndDate"), CensorWindow=window)) == [(1, 12, 20), (1, 30, 35)]


def test_nested_criteria_ask_about_the_events_around_an_event(people, engine):
    people.person(1)
    people.condition(1, 0)
    people.drug(1, 10)
    people.drug(1, 20)
    people.measurement(1, 20, 1.0)
    tested = where(DRUG, CorrelatedCriteria=group(near(TEST, 0, 0)))
    assert engine(definition(tested)) == [(1, 20, 20)]
    assert engine(definition(rules=[group(near(tested, 0, 15))])) == []
    assert engine(definition(rules=[group(near(tested, 0, 20))])) == [(1, 0, 0)]


def test_nested_criteria_that_always_hold_still_ask_for_an_observation_period(people, engine):
    people.person(1, observed=((0, 100),))
    people.condition(1, 10)
    people.drug(1, -5)
    always = near(TEST, -30, 30, times=(AT_LEAST, 0))
    plain = near(DRUG, -30, 0, IgnoreObservationPeriod=True)
    nested = near(where(DRUG, CorrelatedCriteria=group(always)), -30, 0, IgnoreObservationPeriod=True)
    assert engine(definition(rules=[group(plain)]))
    assert not engine(definition(rules=[group(nested)]))


def test_adjusted_dates_are_what_filters_and_windows_see(people, engine):
    people.person(1)
    people.condition(1, 0, end=10)
    moved = where(
        DISEASE,
        DateAdjustment={"StartWith": "END_DATE", "StartOffset": -2, "EndWith": "END_DATE", "EndOffset": 1},
    )
    assert engine(definition(moved, EndStrategy=ends("EndDate"))) == [(1, 8, 11)]
    backwards = where(DISEASE, DateAdjustment={"StartWith": "END_DATE", "EndWith": "START_DATE"})
    assert engine(definition(backwards)) == []


def test_a_period_of_the_users_own_replaces_the_dates_of_an_observation_period(people, engine):
    people.person(1, observed=((-10, 100),))
    people.person(2, observed=((20, 100),))
    own = {"ObservationPeriod": {"UserDefinedPeriod": {"StartDate": "2020-01-01", "EndDate": "2020-01-31"}}}
    assert engine(definition(own, EndStrategy=ends("EndDate"))) == [(1, 0, 30)]


def test_ties_are_broken_by_date_then_event_id_then_order_of_the_criteria(people, engine):
    people.person(1)
    people.condition(1, 0, end=9)  # id 1
    people.condition(1, 0, end=5)  # id 2
    people.drug(1, 0, end=7)  # id 1 of another table
    asked = lambda *criteria: engine(definition(*criteria, limit=FIRST, EndStrategy=ends("EndDate")))  # noqa: E731
    assert asked(DISEASE) == [(1, 0, 9)]
    assert asked(DISEASE, DRUG) == [(1, 0, 9)]
    assert asked(DRUG, DISEASE) == [(1, 0, 7)]


def test_an_era_has_no_visit_so_the_same_visit_never_holds(people, engine):
    people.person(1)
    people.visit(1, 0, 5)
    people.condition(1, 1, visit=1)
    people.add(
        "drug_era",
        person_id=1,
        drug_concept_id=3,
        drug_era_start_date=people.rows["visit_occurrence"][0]["visit_start_date"],
        drug_era_end_date=people.rows["visit_occurrence"][0]["visit_end_date"],
    )
    era = {"DrugEra": {"CodesetId": 1}}
    assert engine(definition(rules=[group(near(era, -30, 30))]))
    assert not engine(definition(rules=[group(near(era, -30, 30, RestrictVisit=True))]))
