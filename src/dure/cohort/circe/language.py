"""The language as tables: every criteria type, its attributes, what each compares, and where its meaning surprises.

Responsible for: which properties are supported and what they read; the parser, the planner, the manual's table and the
generators of tests all follow it, so the language grows by rows. Not responsible for: reading a file or planning it.
"""

from dataclasses import dataclass
from enum import StrEnum

from dure.cohort.predicates import Of, Operand
from dure.cohort.relations import DERIVED
from dure.omop.events import EVENT_TABLES, EventTable


class Kind(StrEnum):
    """What a property's value looks like in the file."""

    DATES = "date range"
    INTEGERS = "whole-number range"
    DECIMALS = "number range"
    TEXT = "text filter"
    CONCEPTS = "list of concepts"
    SELECTION = "concept set, or any/no concept"
    CODESET = "number of a concept set"
    REGION = "number of a concept set of regions"
    ABNORMAL = "true or false"
    WITHOUT_EFFECT = "accepted, without effect"


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One property of a criteria type.

    Attributes:
        operand: what it compares; None for kinds that compare nothing themselves.
        exclude: the property that turns a list of concepts into an exclusion.
        range_of: the property whose range is used instead of its own.
        quirk: what surprises here, by its name in `quirks`.
    """

    property: str
    kind: Kind
    operand: Operand | None = None
    exclude: str | None = None
    range_of: str | None = None
    quirk: str = ""


@dataclass(frozen=True, kw_only=True)
class CriteriaType:
    """One criteria type.

    Attributes:
        name: its name in the file.
        table: the events that it reads; of `CustomEra`, what its eras look like.
        source: the property that names the concept set of source concepts.
        has_codeset, has_first, has_period: whether it takes `CodesetId`, `First`, `UserDefinedPeriod`.
        has_parts: whether it takes `CriteriaList` and `GapDays`, and joins those criteria's events to eras.
        adjusts: whether `DateAdjustment` works; `adjusts_from` whether its `StartWith` and `EndWith` do.
        adjusting_quirk: the quirk where one of them doesn't.
        counts: what `CountColumn` may name, and what it counts.
    """

    name: str
    table: EventTable
    source: str | None
    has_codeset: bool
    has_first: bool
    has_period: bool
    has_parts: bool
    adjusts: bool
    adjusts_from: bool
    adjusting_quirk: str
    counts: dict[str, Operand]
    attributes: tuple[Attribute, ...]

    def attribute(self, name: str) -> Attribute:
        return next(attribute for attribute in self.attributes if attribute.property == name)


START, END, LENGTH = Operand(of=Of.START), Operand(of=Of.END), Operand(of=Of.LENGTH)
AGE_AT_START, AGE_AT_END = Operand(of=Of.AGE_AT_START), Operand(of=Of.AGE_AT_END)
GENDER = Operand(of=Of.PERSON, column="gender_concept_id")


def _column(name: str) -> Operand:
    return Operand(of=Of.COLUMN, column=name)


def _dates(name: str, operand: Operand, quirk: str = "") -> Attribute:
    return Attribute(property=name, kind=Kind.DATES, operand=operand, quirk=quirk)


def _integers(name: str, operand: Operand, quirk: str = "") -> Attribute:
    return Attribute(property=name, kind=Kind.INTEGERS, operand=operand, quirk=quirk)


def _decimals(name: str, operand: Operand) -> Attribute:
    return Attribute(property=name, kind=Kind.DECIMALS, operand=operand)


def _text(name: str, column: str) -> Attribute:
    return Attribute(property=name, kind=Kind.TEXT, operand=_column(column))


def _selection(name: str, operand: Operand, quirk: str = "") -> Attribute:
    return Attribute(property=name, kind=Kind.SELECTION, operand=operand, quirk=quirk)


def _concepts(
    name: str, operand: Operand, *, exclude: str | None = None, quirk: str = ""
) -> tuple[Attribute, ...]:
    """A list of concepts and its twin by concept set."""
    return (
        Attribute(property=name, kind=Kind.CONCEPTS, operand=operand, exclude=exclude, quirk=quirk),
        _selection(f"{name}CS", operand, quirk),
    )


def _codeset(name: str, column: str) -> Attribute:
    return Attribute(property=name, kind=Kind.CODESET, operand=_column(column))


_AGE = _integers("Age", AGE_AT_START)
_GENDER = _concepts("Gender", GENDER)
_SPECIALTY = _concepts("ProviderSpecialty", Operand(of=Of.PROVIDER, column="specialty_concept_id"))
_PLACE = _concepts("PlaceOfService", Operand(of=Of.CARE_SITE, column="place_of_service_concept_id"))
_VISIT = _concepts("VisitType", Operand(of=Of.VISIT, column="visit_concept_id"))
_PLACE_LOCATION = Attribute(property="PlaceOfServiceLocation", kind=Kind.REGION)
_OCCURRENCE_START = _dates("OccurrenceStartDate", START)
_OCCURRENCE_END = _dates("OccurrenceEndDate", END)
_CARE = (_AGE, *_GENDER, *_SPECIALTY, *_VISIT)
_ERA = (
    _dates("EraStartDate", START),
    _dates("EraEndDate", END),
    _integers("EraLength", LENGTH),
    _integers("AgeAtStart", AGE_AT_START),
    _integers("AgeAtEnd", AGE_AT_END),
    *_GENDER,
)
_PERIOD = (
    _dates("PeriodStartDate", START),
    _dates("PeriodEndDate", END),
    _integers("PeriodLength", LENGTH),
    _integers("AgeAtStart", AGE_AT_START),
    _integers("AgeAtEnd", AGE_AT_END),
)


def _type(
    name: str,
    table: str,
    *attributes: Attribute,
    source: str | None = None,
    has_first: bool = True,
    has_period: bool = False,
    has_parts: bool = False,
    adjusts: bool = True,
    adjusts_from: bool = True,
    adjusting_quirk: str = "",
    counts: dict[str, Operand] | None = None,
) -> CriteriaType:
    events = DERIVED[table] if table in DERIVED else EVENT_TABLES[table]
    columns = {"START_DATE": START, "END_DATE": END, "VISIT_ID": Operand(of=Of.VISIT_ID)}
    if events.concept:
        columns["DOMAIN_CONCEPT"] = Operand(of=Of.CONCEPT, column=events.concept)
    return CriteriaType(
        name=name,
        table=events,
        source=source,
        has_codeset=events.concept is not None,
        has_first=has_first,
        has_period=has_period,
        has_parts=has_parts,
        adjusts=adjusts,
        adjusts_from=adjusts_from,
        adjusting_quirk=adjusting_quirk,
        counts={**columns, "DURATION": LENGTH if events.end else Operand(of=Of.ONE_DAY), **(counts or {})},
        attributes=attributes,
    )


CRITERIA_TYPES: dict[str, CriteriaType] = {
    each.name: each
    for each in (
        _type(
            "ConditionOccurrence",
            "condition_occurrence",
            _OCCURRENCE_START,
            _OCCURRENCE_END,
            *_concepts("ConditionType", _column("condition_type_concept_id"), exclude="ConditionTypeExclude"),
            *_concepts("ConditionStatus", _column("condition_status_concept_id")),
            _text("StopReason", "stop_reason"),
            *_CARE,
            source="ConditionSourceConcept",
        ),
        _type(
            "DrugExposure",
            "drug_exposure",
            _OCCURRENCE_START,
            _dates("OccurrenceEndDate", START, "drug-exposure-end-date"),
            *_concepts("DrugType", _column("drug_type_concept_id"), exclude="DrugTypeExclude"),
            _text("StopReason", "stop_reason"),
            _integers("Refills", _column("refills")),
            _decimals("Quantity", _column("quantity")),
            _integers("DaysSupply", _column("days_supply")),
            *_concepts("RouteConcept", _column("route_concept_id")),
            _decimals("EffectiveDrugDose", _column("effective_drug_dose")),
            *_concepts("DoseUnit", _column("dose_unit_concept_id")),
            _text("LotNumber", "lot_number"),
            *_CARE,
            source="DrugSourceConcept",
            counts={name: _column(name.lower()) for name in ("DAYS_SUPPLY", "QUANTITY", "REFILLS")},
        ),
        _type(
            "DeviceExposure",
            "device_exposure",
            _OCCURRENCE_START,
            _OCCURRENCE_END,
            *_concepts("DeviceType", _column("device_type_concept_id"), exclude="DeviceTypeExclude"),
            _text("UniqueDeviceId", "unique_device_id"),
            _integers("Quantity", _column("quantity")),
            *_CARE,
            source="DeviceSourceConcept",
            counts={"QUANTITY": _column("quantity")},
        ),
        _type(
            "ProcedureOccurrence",
            "procedure_occurrence",
            _OCCURRENCE_START,
            *_concepts("ProcedureType", _column("procedure_type_concept_id"), exclude="ProcedureTypeExclude"),
            *_concepts("Modifier", _column("modifier_concept_id")),
            _integers("Quantity", _column("quantity")),
            *_CARE,
            source="ProcedureSourceConcept",
            counts={"QUANTITY": _column("quantity")},
        ),
        _type(
            "Measurement",
            "measurement",
            _OCCURRENCE_START,
            *_concepts(
                "MeasurementType", _column("measurement_type_concept_id"), exclude="MeasurementTypeExclude"
            ),
            *_concepts("Operator", _column("operator_concept_id")),
            _decimals("ValueAsNumber", _column("value_as_number")),
            *_concepts("ValueAsConcept", _column("value_as_concept_id")),
            *_concepts("Unit", _column("unit_concept_id")),
            _decimals("RangeLow", _column("range_low")),
            _decimals("RangeHigh", _column("range_high")),
            _decimals("RangeLowRatio", Operand(of=Of.RATIO, column="value_as_number", over="range_low")),
            _decimals("RangeHighRatio", Operand(of=Of.RATIO, column="value_as_number", over="range_high")),
            Attribute(
                property="Abnormal",
                kind=Kind.ABNORMAL,
                quirk="measurement-abnormal",
            ),
            *_CARE,
            source="MeasurementSourceConcept",
            counts={name: _column(name.lower()) for name in ("VALUE_AS_NUMBER", "RANGE_LOW", "RANGE_HIGH")},
        ),
        _type(
            "Observation",
            "observation",
            _OCCURRENCE_START,
            *_concepts(
                "ObservationType", _column("observation_type_concept_id"), exclude="ObservationTypeExclude"
            ),
            _decimals("ValueAsNumber", _column("value_as_number")),
            _text("ValueAsString", "value_as_string"),
            *_concepts("ValueAsConcept", _column("value_as_concept_id")),
            *_concepts("Qualifier", _column("qualifier_concept_id")),
            *_concepts("Unit", _column("unit_concept_id")),
            *_CARE,
            source="ObservationSourceConcept",
            counts={"VALUE_AS_NUMBER": _column("value_as_number")},
        ),
        _type(
            "VisitOccurrence",
            "visit_occurrence",
            _OCCURRENCE_START,
            _OCCURRENCE_END,
            *_concepts(
                "VisitType",
                _column("visit_type_concept_id"),
                exclude="VisitTypeExclude",
                quirk="visit-type",
            ),
            _integers("VisitLength", LENGTH),
            _AGE,
            *_GENDER,
            *_SPECIALTY,
            *_PLACE,
            _PLACE_LOCATION,
            source="VisitSourceConcept",
        ),
        _type(
            "VisitDetail",
            "visit_detail",
            _dates("VisitDetailStartDate", START),
            _dates("VisitDetailEndDate", END),
            _selection("VisitDetailTypeCS", _column("visit_detail_type_concept_id")),
            _integers("VisitDetailLength", LENGTH),
            _integers("Age", AGE_AT_END, "visit-detail-age"),
            _GENDER[1],
            _SPECIALTY[1],
            _PLACE[1],
            _PLACE_LOCATION,
            source="VisitDetailSourceConcept",
        ),
        _type(
            "Death",
            "death",
            _OCCURRENCE_START,
            *_concepts("DeathType", _column("death_type_concept_id"), exclude="DeathTypeExclude"),
            _AGE,
            *_GENDER,
            source="DeathSourceConcept",
            has_first=False,
            adjusts_from=False,
            adjusting_quirk="death-date-adjustment",
        ),
        _type(
            "Specimen",
            "specimen",
            _OCCURRENCE_START,
            *_concepts("SpecimenType", _column("specimen_type_concept_id"), exclude="SpecimenTypeExclude"),
            _decimals("Quantity", _column("quantity")),
            *_concepts("Unit", _column("unit_concept_id")),
            *_concepts("AnatomicSite", _column("anatomic_site_concept_id")),
            *_concepts("DiseaseStatus", _column("disease_status_concept_id")),
            _text("SourceId", "specimen_source_id"),
            Attribute(property="SpecimenSourceConcept", kind=Kind.WITHOUT_EFFECT, quirk="specimen-ignores"),
            _AGE,
            *_GENDER,
            adjusts=False,
            adjusting_quirk="specimen-ignores",
        ),
        _type(
            "ConditionEra",
            "condition_era",
            *_ERA,
            _integers("OccurrenceCount", _column("condition_occurrence_count")),
            counts={"ERA_OCCURRENCES": _column("condition_occurrence_count")},
        ),
        _type(
            "DrugEra",
            "drug_era",
            *_ERA,
            _integers("OccurrenceCount", _column("drug_exposure_count")),
            Attribute(
                property="GapDays",
                kind=Kind.INTEGERS,
                operand=_column("gap_days"),
                range_of="EraLength",
                quirk="drug-era-gap-days",
            ),
            counts={"ERA_OCCURRENCES": _column("drug_exposure_count"), "GAP_DAYS": _column("gap_days")},
        ),
        _type(
            "DoseEra",
            "dose_era",
            *_ERA,
            *_concepts("Unit", _column("unit_concept_id")),
            _decimals("DoseValue", _column("dose_value")),
            counts={"UNIT": _column("unit_concept_id"), "VALUE_AS_NUMBER": _column("dose_value")},
        ),
        _type(
            "ObservationPeriod",
            "observation_period",
            *_PERIOD,
            *_concepts("PeriodType", _column("period_type_concept_id")),
            has_period=True,
            counts={"DOMAIN_CONCEPT": _column("period_type_concept_id")},
        ),
        _type(
            "PayerPlanPeriod",
            "payer_plan_period",
            *_PERIOD,
            *_GENDER,
            *(
                _codeset(f"{part}{kind}Concept", f"{column}{suffix}_concept_id")
                for part, column in (
                    ("Payer", "payer"),
                    ("Plan", "plan"),
                    ("Sponsor", "sponsor"),
                    ("StopReason", "stop_reason"),
                )
                for kind, suffix in (("", ""), ("Source", "_source"))
            ),
            has_period=True,
            counts={"DOMAIN_CONCEPT": _column("payer_concept_id")},
        ),
        _type(
            "Episode",
            "episode",
            _dates("EpisodeStartDate", START),
            _dates("EpisodeEndDate", END),
            _integers("EpisodeNumber", _column("episode_number")),
            _AGE,
            _GENDER[1],
            _selection("EpisodeObjectConceptCS", _column("episode_object_concept_id")),
            _selection("EpisodeTypeCS", _column("episode_type_concept_id")),
        ),
        _type(
            "CustomEra",
            "eras",
            _dates("StartDate", START),
            _dates("EndDate", END),
            _integers("AgeAtStart", AGE_AT_START),
            _GENDER[1],
            _integers("Duration", LENGTH),
            has_parts=True,
        ),
        _type(
            "LocationRegion",
            "residences",
            Attribute(property="StartDate", kind=Kind.WITHOUT_EFFECT, quirk="location-region"),
            Attribute(property="EndDate", kind=Kind.WITHOUT_EFFECT, quirk="location-region"),
            has_first=False,
            adjusts=False,
            adjusting_quirk="location-region",
        ),
    )
}

DEMOGRAPHICS: tuple[Attribute, ...] = (
    _AGE,
    *_GENDER,
    Attribute(property="Race", kind=Kind.CONCEPTS, operand=Operand(of=Of.PERSON, column="race_concept_id")),
    _selection("RaceCS", GENDER, "demographic-race-and-ethnicity-sets"),
    Attribute(
        property="Ethnicity", kind=Kind.CONCEPTS, operand=Operand(of=Of.PERSON, column="ethnicity_concept_id")
    ),
    _selection("EthnicityCS", GENDER, "demographic-race-and-ethnicity-sets"),
    _OCCURRENCE_START,
    _OCCURRENCE_END,
)
