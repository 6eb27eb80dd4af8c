"""The English words for what a definition speaks of; each is also the id of its translation.

Responsible for: nouns of criteria types, names of attributes and counted columns, comparisons. Not responsible for: sentences
(`explain`), nor for other languages (the caller gives a translator).
"""

from dataclasses import dataclass

from dure.cohort.circe.nodes import Comparison, GroupType, Limit


@dataclass(frozen=True, kw_only=True)
class Noun:
    """What events of a type are called: one of a concept set, several, and what stands for the set where there is none."""

    one: str
    many: str
    anything: str = "any kind"


NOUNS = {
    "ConditionOccurrence": Noun(one="a diagnosis of {set}", many="diagnoses of {set}"),
    "DrugExposure": Noun(one="an exposure to {set}", many="exposures to {set}", anything="any drug"),
    "DeviceExposure": Noun(one="a use of the device {set}", many="uses of the device {set}"),
    "ProcedureOccurrence": Noun(one="a procedure of {set}", many="procedures of {set}"),
    "Measurement": Noun(one="a measurement of {set}", many="measurements of {set}"),
    "Observation": Noun(one="an observation of {set}", many="observations of {set}"),
    "VisitOccurrence": Noun(one="a visit of {set}", many="visits of {set}"),
    "VisitDetail": Noun(one="a visit detail of {set}", many="visit details of {set}"),
    "Death": Noun(one="death from {set}", many="deaths from {set}", anything="any cause"),
    "Specimen": Noun(one="a specimen of {set}", many="specimens of {set}"),
    "ConditionEra": Noun(one="a condition era of {set}", many="condition eras of {set}"),
    "DrugEra": Noun(one="a drug era of {set}", many="drug eras of {set}", anything="any drug"),
    "DoseEra": Noun(one="a dose era of {set}", many="dose eras of {set}", anything="any drug"),
    "ObservationPeriod": Noun(one="an observation period", many="observation periods"),
    "PayerPlanPeriod": Noun(one="a payer plan period", many="payer plan periods"),
    "Episode": Noun(one="an episode of {set}", many="episodes of {set}"),
    "CustomEra": Noun(one="an era made of the events below", many="eras made of the events below"),
    "LocationRegion": Noun(
        one="a stay in the region {set}", many="stays in the region {set}", anything="any region"
    ),
}
NAMES = {
    "Abnormal": "outside its normal range",
    "Age": "age",
    "AgeAtEnd": "age at its end",
    "AgeAtStart": "age at its start",
    "AnatomicSite": "anatomic site",
    "ConditionStatus": "status",
    "ConditionType": "type of record",
    "DaysSupply": "days of supply",
    "DeathType": "type of record",
    "DeviceType": "type of record",
    "DiseaseStatus": "disease status",
    "DoseUnit": "dose unit",
    "DoseValue": "dose",
    "DrugType": "type of record",
    "Duration": "length in days",
    "EffectiveDrugDose": "effective dose",
    "EndDate": "end",
    "EpisodeEndDate": "end",
    "EpisodeNumber": "number of the episode",
    "EpisodeObjectConcept": "disease or treatment of the episode",
    "EpisodeStartDate": "start",
    "EpisodeType": "type of record",
    "EraEndDate": "end",
    "EraLength": "length in days",
    "EraStartDate": "start",
    "Ethnicity": "ethnicity",
    "GapDays": "days without drug",
    "Gender": "sex",
    "LotNumber": "lot number",
    "MeasurementType": "type of record",
    "Modifier": "modifier",
    "ObservationType": "type of record",
    "OccurrenceCount": "number of records in it",
    "OccurrenceEndDate": "end",
    "OccurrenceStartDate": "start",
    "Operator": "operator",
    "PayerConcept": "payer",
    "PayerSourceConcept": "payer (source)",
    "PeriodEndDate": "end",
    "PeriodLength": "length in days",
    "PeriodStartDate": "start",
    "PeriodType": "type of record",
    "PlaceOfService": "place of service",
    "PlaceOfServiceLocation": "region of the place of service",
    "PlanConcept": "plan",
    "PlanSourceConcept": "plan (source)",
    "ProcedureType": "type of record",
    "ProviderSpecialty": "specialty of the provider",
    "Qualifier": "qualifier",
    "Quantity": "quantity",
    "Race": "race",
    "RangeHigh": "upper limit of normal",
    "RangeHighRatio": "multiple of the upper limit of normal",
    "RangeLow": "lower limit of normal",
    "RangeLowRatio": "multiple of the lower limit of normal",
    "Refills": "refills",
    "RouteConcept": "route",
    "SourceId": "id at the source",
    "SpecimenType": "type of record",
    "SponsorConcept": "sponsor",
    "SponsorSourceConcept": "sponsor (source)",
    "StartDate": "start",
    "StopReason": "reason for stopping",
    "StopReasonConcept": "reason for stopping",
    "StopReasonSourceConcept": "reason for stopping (source)",
    "UniqueDeviceId": "device id",
    "Unit": "unit",
    "ValueAsConcept": "result",
    "ValueAsNumber": "value",
    "ValueAsString": "text",
    "VisitDetailEndDate": "end",
    "VisitDetailLength": "length in days",
    "VisitDetailStartDate": "start",
    "VisitDetailType": "type of record",
    "VisitLength": "length in days",
    "VisitType": "kind of visit",
}
"""Of attributes, without the CS of those that name a concept set."""

COLUMNS = {
    "DAYS_SUPPLY": "days of supply",
    "DOMAIN_CONCEPT": "concepts",
    "DURATION": "lengths",
    "END_DATE": "end dates",
    "ERA_OCCURRENCES": "numbers of records",
    "GAP_DAYS": "days without drug",
    "QUANTITY": "quantities",
    "RANGE_HIGH": "upper limits of normal",
    "RANGE_LOW": "lower limits of normal",
    "REFILLS": "refills",
    "START_DATE": "start dates",
    "UNIT": "units",
    "VALUE_AS_NUMBER": "values",
    "VISIT_ID": "visits",
}
NUMBERS = {
    Comparison.LESS: "{name} below {low}",
    Comparison.AT_MOST: "{name} at most {low}",
    Comparison.EQUAL: "{name} exactly {low}",
    Comparison.UNEQUAL: "{name} other than {low}",
    Comparison.MORE: "{name} above {low}",
    Comparison.AT_LEAST: "{name} at least {low}",
    Comparison.BETWEEN: "{name} {low} to {high}",
    Comparison.NOT_BETWEEN: "{name} outside {low} to {high}",
}
DATES = {
    Comparison.LESS: "{name} before {low}",
    Comparison.AT_MOST: "{name} on or before {low}",
    Comparison.EQUAL: "{name} on {low}",
    Comparison.UNEQUAL: "{name} not on {low}",
    Comparison.MORE: "{name} after {low}",
    Comparison.AT_LEAST: "{name} on or after {low}",
    Comparison.BETWEEN: "{name} from {low} to {high}",
    Comparison.NOT_BETWEEN: "{name} not from {low} to {high}",
}
GROUPS = {
    GroupType.ALL: "all of these hold:",
    GroupType.ANY: "at least one of these holds:",
    GroupType.AT_LEAST: "at least {count} of these hold:",
    GroupType.AT_MOST: "at most {count} of these hold:",
}
LIMITS = {
    Limit.ALL: "Every such event counts.",
    Limit.FIRST: "Of these events, only each person's first counts.",
    Limit.LAST: "Of these events, only each person's last counts.",
}
AFTER_RULES = {
    Limit.FIRST: "Of the events that satisfy every rule, only each person's first counts.",
    Limit.LAST: "Of the events that satisfy every rule, only each person's last counts.",
}
