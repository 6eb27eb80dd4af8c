"""Where Circe surprises: each quirk by name, what the reference does, what Dure does, and why.

Responsible for: the list that the manual prints, that `explain` quotes and that `tests/spec/cohort/test_quirks.py` shows one by
one. Not responsible for: doing it (`language`, `values`, `parse`, `plan`). The rule: what changes rows in people's phenotypes is
done as the reference does it; where the reference fails, or its rows depend on the order of a scan, Dure decides.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Quirk:
    """One surprise.

    Attributes:
        name: how the manual, messages and tests call it.
        note: what to say where it strikes, if a person has to know; {property} stands for the property.
        circe: what the reference implementation does.
        dure: what Dure does.
        why: the reason for the difference, or for following.
    """

    name: str
    note: str = ""
    circe: str
    dure: str
    why: str


_ROWS = "published phenotypes have the rows that this gives"
SAME = "the same"

QUIRKS: dict[str, Quirk] = {
    quirk.name: quirk
    for quirk in (
        Quirk(
            name="drug-exposure-end-date",
            note="{property} compares the start of the exposure, not its end.",
            circe="`DrugExposure.OccurrenceEndDate` compares the start of the exposure",
            dure=SAME,
            why=_ROWS,
        ),
        Quirk(
            name="drug-era-gap-days",
            note="{property} is compared with the range of EraLength.",
            circe="`DrugEra.GapDays` is compared with the range of `EraLength`; without one it crashes (until January 2026)",
            dure="the same, with a warning; without `EraLength` refused (exit code 23)",
            why="the range that is written beside `GapDays` was never used, so no phenotype rests on it",
        ),
        Quirk(
            name="demographic-race-and-ethnicity-sets",
            note="{property} compares the person's gender.",
            circe="`RaceCS` and `EthnicityCS` of demographic criteria compare the person's gender",
            dure="the same, with a warning",
            why=f"{_ROWS}; the lists `Race` and `Ethnicity` work",
        ),
        Quirk(
            name="visit-detail-age",
            note="{property} is the age at the end of the visit detail.",
            circe="`VisitDetail.Age` is the age at the end; everywhere else `Age` is the age at the start",
            dure=SAME,
            why=_ROWS,
        ),
        Quirk(
            name="specimen-ignores",
            note="{property} has no effect.",
            circe="`Specimen` ignores `DateAdjustment` and `SpecimenSourceConcept`",
            dure="the same, with a warning",
            why=_ROWS,
        ),
        Quirk(
            name="death-date-adjustment",
            note="StartWith and EndWith have no effect: a death has one date.",
            circe="`Death.DateAdjustment` shifts by days and ignores `StartWith` and `EndWith`",
            dure="the same, with a warning where they are given",
            why="a death has one date",
        ),
        Quirk(
            name="location-region",
            note="{property} has no effect.",
            circe="`LocationRegion` ignores `StartDate`, `EndDate` and `DateAdjustment`, and reads tables of CDM 6; with them `PlaceOfServiceLocation` is an SQL error",
            dure="ignored with a warning; answered where the database has `location_history` and `location.region_concept_id`, else refused (exit code 25). `PlaceOfServiceLocation`: the care site lay in the region from the visit's start to its end",
            why="CDM 5.3 and 5.4 lack the table, a hospital's database may have it",
        ),
        Quirk(
            name="columns-beyond-cdm-5",
            circe="`DrugExposure.EffectiveDrugDose`, `DoseUnit` and `DoseUnitCS` read columns that CDM 5.3 and 5.4 don't have: SQL error",
            dure="answered where the database has the columns, else refused (exit code 25)",
            why="the definition means something; only the data are missing",
        ),
        Quirk(
            name="measurement-abnormal",
            circe="`Measurement.Abnormal` is an SQL error unless `ValueAsConcept` is there too",
            dure="works alone: outside the row's own range, or a value concept that says high or low",
            why="its meaning is plain",
        ),
        Quirk(
            name="distinct-with-nested-criteria",
            circe="`IsDistinct` on a criterion with `CorrelatedCriteria` is an SQL error for most columns",
            dure="works",
            why="its meaning is plain",
        ),
        Quirk(
            name="count-column",
            circe="`CountColumn` names a column that some criteria types don't have: SQL error or crash, different from type to type; without one `DOMAIN_CONCEPT` is counted",
            dure="each type counts what the table above lists; the visit of what has no visit is missing, and missing values aren't counted. Else refused (exit code 22)",
            why="the reference's own list of columns says more than its SQL can do",
        ),
        Quirk(
            name="visit-type",
            note="{property} compares where the record came from (visit_type_concept_id), not the kind of visit.",
            circe="`VisitOccurrence.VisitType` compares `visit_type_concept_id`; `VisitType` of other types compares `visit_concept_id` of the event's visit",
            dure=SAME,
            why=_ROWS,
        ),
        Quirk(
            name="rounding",
            circe="whole-number ranges cut decimals off (age 18.9 is 18), number ranges have four decimals (0.000001 is 0)",
            dure="the same; halves are rounded away from zero",
            why=_ROWS,
        ),
        Quirk(
            name="without-effect",
            circe="`Abnormal: false`, `First: false`, an `…Exclude` without its list, and unknown properties do nothing; names of types are case-sensitive",
            dure="`Abnormal: false`, an empty list of concepts, an `…Exclude` that is true without its list, a `Count`, `CountColumn` or `Extent` that nothing reads are warned of; of unknown properties see [What is a warning, what an error](#what-is-a-warning-what-an-error); a type in other letters is refused",
            why="a misspelt property widens a cohort without a word",
        ),
        Quirk(
            name="text-filters",
            circe="`LIKE`; `%` and `_` are wildcards and can't be escaped; an unknown operator compares without wildcards; `@name` in the text is replaced by a parameter",
            dure="the same, but the text is a literal: nothing in it is replaced or run",
            why="SQL is a tree here, so no text becomes SQL",
        ),
        Quirk(
            name="ties",
            circe="which of several events of one day is first or last depends on the order of a scan",
            dure="by date, then the event's id in its table (an era's number within the person), then the order of the criteria in the file, then the observation period",
            why="the same data give the same rows on every database",
        ),
        Quirk(
            name="missing-parts",
            circe="without `PrimaryCriteria`, `ObservationWindow`, `StartWindow`, or a group's `Count` where it is needed, it crashes",
            dure="refused with the path (exit code 21)",
            why="nobody can know what was meant",
        ),
        Quirk(
            name="standard-and-source-sets",
            circe="`CodesetId` and a source concept set together: both must hold",
            dure=SAME,
            why=_ROWS,
        ),
        Quirk(
            name="many-rules",
            circe="inclusion rules are bits of a 64-bit number, on some databases of a double: beyond 53 inexact, beyond 63 wrong",
            dure="exact up to 62 rules; more are refused (exit code 22)",
            why="a sum of bits has to fit into a signed 64-bit number",
        ),
        Quirk(
            name="decimal-places",
            circe="with the official tables for DuckDB, numbers are DECIMAL(18, 3): digits after the third place are lost",
            dure="numbers are doubles",
            why="laboratory values have more than three places",
        ),
        Quirk(
            name="overlapping-observation-periods",
            circe="an event that lies in two observation periods is two events",
            dure="the same, told apart by the period's start",
            why="the CDM forbids such periods; hiding the mistake would hide it in one place only",
        ),
        Quirk(
            name="qualified-limit",
            circe="`QualifiedLimit` acts only if `AdditionalCriteria` is there, even empty",
            dure=SAME,
            why=_ROWS,
        ),
        Quirk(
            name="first-before-filters",
            circe="`First` takes the first event of the concept sets, before any other filter",
            dure=SAME,
            why=_ROWS,
        ),
        Quirk(
            name="age-in-calendar-years",
            circe="age is the difference of calendar years",
            dure=SAME,
            why="the day of birth is missing or coarse in many databases",
        ),
        Quirk(
            name="end-window-defaults",
            circe="a start window looks at the event's start unless `UseEventEnd` is true, an end window at its end unless it is false; both count from the index event's start unless `UseIndexEnd` is true",
            dure=SAME,
            why=_ROWS,
        ),
        Quirk(
            name="same-visit-without-visit",
            circe="`RestrictVisit` never holds for what has no visit (eras, deaths, specimens, periods, episodes)",
            dure=SAME,
            why=_ROWS,
        ),
        Quirk(
            name="exclusion-of-an-empty-set",
            circe="`IsExclusion` of a concept set that is empty holds for missing values too",
            dure=SAME,
            why="as NOT IN does in SQL",
        ),
        Quirk(
            name="adjusted-dates",
            circe="an event whose `DateAdjustment` ends before it starts is dropped",
            dure=SAME,
            why=_ROWS,
        ),
        Quirk(
            name="episode-domain-concept",
            circe="`IsDistinct` by `DOMAIN_CONCEPT` on an `Episode` is an SQL error",
            dure="counts different `episode_concept_id`",
            why="its meaning is plain",
        ),
        Quirk(
            name="custom-era-without-end",
            circe="an event without an end bridges no gap in a `CustomEra`; whether it opens an era of its own beside another of the same day depends on the order of a scan",
            dure="bridges no gap; comes last of its day, so it joins what started with it",
            why="the same data give the same rows on every database",
        ),
    )
}
