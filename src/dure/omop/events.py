"""Event tables: which CDM tables hold dated events of a person, and which column plays which part in them.

Responsible for: the roles of columns (key, start, end, concept, visit) that a cohort definition speaks of, the same in CDM
5.3 and 5.4. Not responsible for: the tables' full list of columns and types, and what a query does with them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EventTable:
    """One table of dated events.

    Attributes:
        name: the CDM table.
        id: its key; for `death` the person, since a person dies once.
        start: date that the event starts.
        end: date that it ends; None where the table has none.
        days_supply: days that stand in for a missing end; None where the table has none.
        lasts_a_day: whether an event without an end (and days of supply) ends the day after it starts.
        concept, source_concept: standard and source concept; None where the table has none.
        visit: the visit that the event belongs to; None where the table has none.
    """

    name: str
    id: str
    start: str
    end: str | None
    days_supply: str | None = None
    lasts_a_day: bool
    concept: str | None
    source_concept: str | None = None
    visit: str | None = None


def _clinical(
    name: str, prefix: str, *, start: str, end: str | None, days_supply: str | None = None
) -> EventTable:
    return EventTable(
        name=name,
        id=f"{name}_id",
        start=start,
        end=end,
        days_supply=days_supply,
        lasts_a_day=True,
        concept=f"{prefix}_concept_id",
        source_concept=f"{prefix}_source_concept_id",
        visit="visit_occurrence_id",
    )


def _era(name: str, prefix: str) -> EventTable:
    return EventTable(
        name=name,
        id=f"{name}_id",
        start=f"{name}_start_date",
        end=f"{name}_end_date",
        lasts_a_day=False,
        concept=f"{prefix}_concept_id",
    )


EVENT_TABLES: dict[str, EventTable] = {
    table.name: table
    for table in (
        _clinical(
            "condition_occurrence", "condition", start="condition_start_date", end="condition_end_date"
        ),
        _clinical(
            "drug_exposure",
            "drug",
            start="drug_exposure_start_date",
            end="drug_exposure_end_date",
            days_supply="days_supply",
        ),
        _clinical(
            "device_exposure", "device", start="device_exposure_start_date", end="device_exposure_end_date"
        ),
        _clinical("procedure_occurrence", "procedure", start="procedure_date", end=None),
        _clinical("measurement", "measurement", start="measurement_date", end=None),
        _clinical("observation", "observation", start="observation_date", end=None),
        EventTable(
            name="visit_occurrence",
            id="visit_occurrence_id",
            start="visit_start_date",
            end="visit_end_date",
            lasts_a_day=False,
            concept="visit_concept_id",
            source_concept="visit_source_concept_id",
            visit="visit_occurrence_id",
        ),
        EventTable(
            name="visit_detail",
            id="visit_detail_id",
            start="visit_detail_start_date",
            end="visit_detail_end_date",
            lasts_a_day=False,
            concept="visit_detail_concept_id",
            source_concept="visit_detail_source_concept_id",
            visit="visit_occurrence_id",
        ),
        EventTable(
            name="death",
            id="person_id",
            start="death_date",
            end=None,
            lasts_a_day=True,
            concept="cause_concept_id",
            source_concept="cause_source_concept_id",
        ),
        EventTable(
            name="specimen",
            id="specimen_id",
            start="specimen_date",
            end=None,
            lasts_a_day=True,
            concept="specimen_concept_id",
        ),
        _era("condition_era", "condition"),
        _era("drug_era", "drug"),
        _era("dose_era", "drug"),
        EventTable(
            name="episode",
            id="episode_id",
            start="episode_start_date",
            end="episode_end_date",
            lasts_a_day=False,
            concept="episode_concept_id",
        ),
        EventTable(
            name="observation_period",
            id="observation_period_id",
            start="observation_period_start_date",
            end="observation_period_end_date",
            lasts_a_day=False,
            concept=None,
        ),
        EventTable(
            name="payer_plan_period",
            id="payer_plan_period_id",
            start="payer_plan_period_start_date",
            end="payer_plan_period_end_date",
            lasts_a_day=False,
            concept=None,
        ),
    )
}
