"""Where Circe surprises: one test for each quirk of the manual, named after it.

Days are numbers (day 0 is 1 January 2020); everybody is observed from day -1000 to 1000 unless a test says otherwise.
"""

from pathlib import Path

import pytest

from dure import cohort
from dure.cohort.circe.manual import quirks_table
from dure.cohort.circe.quirks import QUIRKS
from dure.cohort.problems import Contradictory, NotCirce, NotSupported

MANUAL = Path(__file__).parents[3] / "docs" / "cohorts.md"
ALL, FIRST = {"Type": "All"}, {"Type": "First"}
ON_THAT_DAY = {"DateOffset": {"DateField": "StartDate", "Offset": 0}}
UNTIL_ITS_END = {"DateOffset": {"DateField": "EndDate", "Offset": 0}}
AGED_60 = {"Op": "gte", "Value": 60}


def entering(*criteria, limit=ALL, rules=(), **more):
    sets = [
        {
            "id": concept,
            "name": f"concept {concept}",
            "expression": {"items": [{"concept": {"CONCEPT_ID": concept}}]},
        }
        for concept in range(1, 10)
    ]
    return {
        "ConceptSets": [*sets, {"id": 0, "name": "none", "expression": {"items": []}}],
        "PrimaryCriteria": {
            "CriteriaList": list(criteria),
            "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
            "PrimaryCriteriaLimit": limit,
        },
        "ExpressionLimit": ALL,
        "InclusionRules": [{"name": f"rule {at}", "expression": rule} for at, rule in enumerate(rules)],
        "EndStrategy": ON_THAT_DAY,
        **more,
    }


def a(type_, **attributes):
    return {type_: attributes}


def nearby(criterion, before, after, *, occurrence=None, **more):
    """At least one such event from `before` days earlier to `after` days later, as a group."""
    window = {"Start": {"Days": before, "Coeff": -1}, "End": {"Days": after, "Coeff": 1}}
    how_often = {"Type": 2, "Count": 1} | (occurrence or {})
    parts = {"Criteria": criterion, "StartWindow": window, "Occurrence": how_often, **more}
    return {"Type": "ALL", "CriteriaList": [parts], "DemographicCriteriaList": [], "Groups": []}


def starts(engine, definition):
    return [start for _, start, _ in engine(definition)]


def warned_of(definition, quirk):
    return [each.where for each in cohort.parse(definition).warnings if each.quirk == quirk]


@pytest.fixture
def one(people):
    people.person(1, born=1960)
    return people


def test_drug_exposure_end_date(one, engine):
    one.drug(1, 0, end=30)
    after = {"Op": "gt", "Value": "2020-01-10"}  # day 9: the exposure ends later and starts before
    asked = entering(a("DrugExposure", CodesetId=3, OccurrenceEndDate=after))
    assert starts(engine, asked) == []
    assert warned_of(asked, "drug-exposure-end-date") == [
        "$.PrimaryCriteria.CriteriaList[0].DrugExposure.OccurrenceEndDate"
    ]


def test_drug_era_gap_days(one, engine):
    one.era("drug_era", 1, 0, 50, drug_concept_id=3, gap_days=40)
    one.era("drug_era", 1, 100, 150, drug_concept_id=3, gap_days=5)
    at_least, at_most = {"Op": "gte", "Value": 30}, {"Op": "lt", "Value": 10}
    asked = entering(a("DrugEra", GapDays=at_most, EraLength=at_least))
    assert starts(engine, asked) == [0]  # 40 is at least 30, though it isn't below 10
    assert warned_of(asked, "drug-era-gap-days")
    with pytest.raises(Contradictory, match="EraLength"):
        cohort.parse(entering(a("DrugEra", GapDays=at_most)))


def test_demographic_race_and_ethnicity_sets(people, engine):
    people.add("person", person_id=1, year_of_birth=1960, gender_concept_id=1, race_concept_id=2)
    people.observe(1)
    people.condition(1, 0, 4)

    def those(**person):
        rule = {"Type": "ALL", "DemographicCriteriaList": [person]}
        return starts(engine, entering(a("ConditionOccurrence"), rules=[rule]))

    assert those(RaceCS={"CodesetId": 1}) == [0]
    assert those(EthnicityCS={"CodesetId": 2}) == []
    assert those(Race=[{"CONCEPT_ID": 2}]) == [0]


def test_visit_detail_age(people, engine):
    people.person(1, born=1961)
    people.era(
        "visit_detail", 1, 300, 400, visit_detail_concept_id=5
    )  # ends in the year of the 60th birthday
    people.visit(1, 300, 400)
    assert starts(engine, entering(a("VisitDetail", Age=AGED_60))) == [300]
    assert starts(engine, entering(a("VisitOccurrence", Age=AGED_60))) == []


def test_specimen_ignores(one, engine):
    one.add("specimen", person_id=1, specimen_concept_id=6, specimen_date=one.day(0))
    asked = entering(a("Specimen", SpecimenSourceConcept=4, DateAdjustment={"StartOffset": 3}))
    assert starts(engine, asked) == [0]
    assert len(warned_of(asked, "specimen-ignores")) == 2


def test_death_date_adjustment(one, engine):
    one.death(1, 0)
    asked = entering(a("Death", DateAdjustment={"StartWith": "END_DATE", "StartOffset": 3, "EndOffset": 5}))
    assert starts(engine, asked) == [3]  # not 4, which is 3 days after its end
    assert warned_of(asked, "death-date-adjustment")


def test_location_region(one, engine):
    one.add("location", location_id=7, region_concept_id=9)
    for number, (entity, domain, start, end) in enumerate(
        [(1, "PERSON", 0, None), (7, "CARE_SITE", 0, 40), (1, "CARE_SITE", 0, None)], start=1
    ):
        row = {"location_history_id": number, "location_id": 7, "entity_id": entity, "domain_id": domain}
        one.add("location_history", **row, start_date=one.day(start), end_date=one.day(end))
    late = {"Op": "gt", "Value": "2030-01-01"}
    asked = entering(a("LocationRegion", CodesetId=9, StartDate=late))
    assert starts(engine, asked) == [0]
    assert warned_of(asked, "location-region")
    one.visit(1, 10, 20, care_site=7)
    one.visit(1, 30, 50, care_site=7)  # longer than the site was there
    assert starts(engine, entering(a("VisitOccurrence", PlaceOfServiceLocation=9))) == [10]


def test_columns_beyond_cdm_5(one, engine):
    one.add(
        "drug_exposure",
        person_id=1,
        drug_concept_id=3,
        drug_exposure_start_date=one.day(0),
        effective_drug_dose=5.0,
        dose_unit_concept_id=6,
    )
    strong = {"Op": "gt", "Value": 4}
    assert starts(
        engine, entering(a("DrugExposure", EffectiveDrugDose=strong, DoseUnitCS={"CodesetId": 6}))
    ) == [0]
    assert starts(engine, entering(a("DrugExposure", DoseUnit=[{"CONCEPT_ID": 7}]))) == []


def test_measurement_abnormal(one, engine):
    one.measurement(1, 0, 9.0, high=8.0)
    one.measurement(1, 10, 7.0, high=8.0)
    assert starts(engine, entering(a("Measurement", Abnormal=True))) == [0]


def test_distinct_with_nested_criteria(one, engine):
    one.condition(1, 0)
    for day in (5, 5, 6):
        one.drug(1, day)
        one.measurement(1, day, 1.0)
    tested = a("DrugExposure", CorrelatedCriteria=nearby(a("Measurement"), 0, 0))
    often = {"Count": 2, "IsDistinct": True, "CountColumn": "START_DATE"}
    assert engine(entering(a("ConditionOccurrence"), rules=[nearby(tested, 0, 30, occurrence=often)]))


def test_count_column(one, engine):
    one.condition(1, 0)
    one.era("drug_era", 1, 0, 9, drug_concept_id=3)

    def counting(type_, column):
        occurrence = {"IsDistinct": True, "CountColumn": column}
        return entering(a("ConditionOccurrence"), rules=[nearby(a(type_), 0, 9, occurrence=occurrence)])

    assert engine(counting("DrugEra", "START_DATE"))
    assert not engine(counting("DrugEra", "VISIT_ID"))  # an era has none
    for type_, column in (
        ("DrugEra", "UNIT"),
        ("VisitDetail", "VISIT_DETAIL_ID"),
        ("CustomEra", "DOMAIN_CONCEPT"),
    ):
        asked = counting(type_, column)
        if type_ == "CustomEra":
            asked["InclusionRules"][0]["expression"]["CriteriaList"][0]["Criteria"] = a(
                type_, CriteriaList=[a("Death")]
            )
        with pytest.raises(NotSupported, match="has no"):
            cohort.parse(asked)


def test_visit_type(one, engine):
    one.visit(1, 0, 5, concept=5, kind=8)
    one.condition(1, 1, visit=1)
    assert starts(engine, entering(a("VisitOccurrence", VisitType=[{"CONCEPT_ID": 8}]))) == [0]
    assert starts(engine, entering(a("VisitOccurrence", VisitType=[{"CONCEPT_ID": 5}]))) == []
    assert starts(engine, entering(a("ConditionOccurrence", VisitType=[{"CONCEPT_ID": 5}]))) == [1]


def test_rounding(one, engine):
    one.measurement(1, 0, 0.0)
    below = lambda value: {"Op": "lt", "Value": value}  # noqa: E731
    assert starts(engine, entering(a("Measurement", Age=below(60.9)))) == []  # below 60
    assert starts(engine, entering(a("Measurement", ValueAsNumber=below(0.00004)))) == []  # below 0
    assert starts(engine, entering(a("Measurement", ValueAsNumber=below(0.00005)))) == [0]  # below 0.0001


def test_without_effect(one, engine):
    one.measurement(1, 0, 1.0, high=2.0)
    silent = a("Measurement", Abnormal=False, Gender=[], MeasurementTypeExclude=True, _note="x", First=False)
    asked = entering(silent, **{"$schema": "x"})
    assert starts(engine, asked) == [0]
    path = "$.PrimaryCriteria.CriteriaList[0].Measurement"
    assert sorted(warned_of(asked, "without-effect")) == sorted(
        [
            '$["$schema"]',
            f"{path}._note",
            *(f"{path}.{name}" for name in ("Abnormal", "Gender", "MeasurementTypeExclude")),
        ]
    )
    for wrong in (a("Measurement", Abnormall=True), a("measurement"), a("Measurement", age=AGED_60)):
        with pytest.raises(NotSupported):
            cohort.parse(entering(wrong))


def test_text_filters(one, engine):
    for day, text in ((0, "50% off"), (1, "50 off"), (2, "'; DROP TABLE person; --"), (3, "@cdm")):
        one.add("observation", person_id=1, observation_date=one.day(day), value_as_string=text)

    def like(op, text):
        return starts(engine, entering(a("Observation", ValueAsString={"Op": op, "Text": text})))

    assert like("startsWith", "50%") == [0, 1]  # a wildcard
    assert like("eq", "50_off") == [1]
    assert like("contains", "'; DROP") == [2]
    assert like("startsWith", "@cdm") == [3]


def test_ties(one, engine):
    one.condition(1, 0, end=9)
    one.condition(1, 0, end=5)
    one.drug(1, 0, end=7)

    def first(*types):
        asked = entering(*map(a, types), limit=FIRST, EndStrategy=UNTIL_ITS_END)
        return [end for _, _, end in engine(asked)]

    assert first("ConditionOccurrence", "DrugExposure") == [9]
    assert first("DrugExposure", "ConditionOccurrence") == [7]


def test_missing_parts():
    whole = entering(a("ConditionOccurrence"), rules=[nearby(a("Death"), 0, 0)])
    correlated = whole["InclusionRules"][0]["expression"]["CriteriaList"][0]
    window, primary = correlated.pop("StartWindow"), whole["PrimaryCriteria"]
    with pytest.raises(NotCirce, match="StartWindow"):
        cohort.parse(whole)
    correlated["StartWindow"] = window
    whole["InclusionRules"][0]["expression"]["Type"] = "AT_LEAST"
    with pytest.raises(NotCirce, match="Count"):
        cohort.parse(whole)
    with pytest.raises(NotCirce, match="ObservationWindow"):
        cohort.parse({**whole, "PrimaryCriteria": {"CriteriaList": primary["CriteriaList"]}})
    with pytest.raises(NotCirce, match="PrimaryCriteria"):
        cohort.parse({"ConceptSets": []})


def test_standard_and_source_sets(one, engine):
    one.condition(1, 0, 1, source=3)
    one.condition(1, 10, 1, source=4)
    assert starts(engine, entering(a("ConditionOccurrence", CodesetId=1, ConditionSourceConcept=3))) == [0]


def test_many_rules(one, engine):
    one.condition(1, 0)
    rule = nearby(a("ConditionOccurrence"), 0, 0)
    assert engine.qualified(entering(a("ConditionOccurrence"), rules=[rule] * 62)) == [(1, 0, 2**62 - 1)]
    with pytest.raises(NotSupported, match="63 inclusion rules"):
        cohort.parse(entering(a("ConditionOccurrence"), rules=[rule] * 63))


def test_decimal_places(one, engine):
    one.measurement(1, 0, 0.0004)
    one.measurement(1, 10, 2e15)
    above = lambda value: {"Op": "gt", "Value": value}  # noqa: E731
    assert starts(engine, entering(a("Measurement", ValueAsNumber=above(0.0003)))) == [0, 10]
    assert starts(engine, entering(a("Measurement", ValueAsNumber=above(10**13)))) == [10]


def test_overlapping_observation_periods(people, engine):
    people.person(1, observed=((-10, 100), (-20, 50)))
    people.condition(1, 0)
    asked = entering(a("ConditionOccurrence"), EndStrategy=None)
    assert engine.qualified(asked) == [(1, 0, 0), (1, 0, 0)]
    assert engine(entering(a("ConditionOccurrence"), limit=FIRST, EndStrategy=None)) == [(1, 0, 50)]


def test_qualified_limit(one, engine):
    one.condition(1, 0)
    one.condition(1, 10)
    limited = entering(a("ConditionOccurrence"), QualifiedLimit=FIRST)
    assert starts(engine, limited) == [0, 10]
    assert starts(engine, {**limited, "AdditionalCriteria": {"Type": "ALL"}}) == [0]


def test_first_before_filters(one, engine):
    one.condition(1, -400)  # at 58
    one.condition(1, 0)  # at 60
    assert starts(engine, entering(a("ConditionOccurrence", Age=AGED_60))) == [0]
    assert starts(engine, entering(a("ConditionOccurrence", Age=AGED_60, First=True))) == []


def test_age_in_calendar_years(people, engine):
    people.person(1, born=1960)
    people.condition(1, -1)  # 31 December 2019
    people.condition(1, 0)
    assert starts(engine, entering(a("ConditionOccurrence", Age=AGED_60))) == [0]


def test_end_window_defaults(one, engine):
    one.condition(1, 0, end=10)
    one.drug(1, -5, end=12)
    window = {"Start": {"Days": 0, "Coeff": -1}, "End": {"Days": 12, "Coeff": 1}}

    def holds(**flags):
        rule = nearby(a("DrugExposure"), 30, 0, EndWindow={**window, **flags})
        return bool(engine(entering(a("ConditionOccurrence"), rules=[rule])))

    assert holds()  # its end, counted from the index event's start
    assert not holds(UseEventEnd=False)
    assert holds(UseIndexEnd=True)
    assert not engine(entering(a("ConditionOccurrence"), rules=[nearby(a("DrugExposure"), 0, 12)]))


def test_same_visit_without_visit(one, engine):
    one.visit(1, 0, 5)
    one.condition(1, 1, visit=1)
    one.era("drug_era", 1, 1, 5, drug_concept_id=3)
    era = lambda **more: entering(a("ConditionOccurrence"), rules=[nearby(a("DrugEra"), 30, 30, **more)])  # noqa: E731
    assert engine(era())
    assert not engine(era(RestrictVisit=True))


def test_exclusion_of_an_empty_set(one, engine):
    one.measurement(1, 0, 1.0, unit=None)
    one.measurement(1, 1, 1.0, unit=6)

    def units_not_in(number):
        return starts(engine, entering(a("Measurement", UnitCS={"CodesetId": number, "IsExclusion": True})))

    assert units_not_in(0) == [0, 1]
    assert units_not_in(7) == [1]


def test_adjusted_dates(one, engine):
    one.condition(1, 0, end=10)
    backwards = {"StartWith": "END_DATE", "EndWith": "START_DATE"}
    assert starts(engine, entering(a("ConditionOccurrence", DateAdjustment=backwards))) == []
    assert starts(engine, entering(a("ConditionOccurrence", DateAdjustment={"StartOffset": 10}))) == [10]


def test_episode_domain_concept(one, engine):
    one.condition(1, 0)
    for concept in (8, 8, 9):
        one.era("episode", 1, 5, 9, episode_concept_id=concept)
    occurrence = {"Count": 2, "IsDistinct": True, "CountColumn": "DOMAIN_CONCEPT"}
    rule = nearby(a("Episode"), 0, 30, occurrence=occurrence)
    assert engine(entering(a("ConditionOccurrence"), rules=[rule]))


def test_custom_era_without_end(one, engine):
    one.visit(1, 0, None)
    one.visit(1, 0, 10)
    one.visit(1, 20, None)
    one.visit(1, 21, 25)
    era = a("CustomEra", CriteriaList=[a("VisitOccurrence")], GapDays=5)
    asked = entering(era, EndStrategy=UNTIL_ITS_END)
    assert engine(asked) == [
        (1, 0, 10),
        (1, 21, 25),
    ]  # the visit of day 20 has no end, and neither has its era
    assert starts(engine, entering(era)) == [0, 20, 21]


def test_every_quirk_of_the_manual_has_its_test():
    assert {f"test_{name.replace('-', '_')}" for name in QUIRKS} <= globals().keys()


def test_the_manual_prints_the_quirks():
    text = MANUAL.read_text(encoding="utf-8")
    listed = text.partition("<!-- quirks: begin -->\n")[2].partition("\n<!-- quirks: end -->")[0]
    assert listed == quirks_table(), "write quirks_table() between the marks of docs/cohorts.md"
