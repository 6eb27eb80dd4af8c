"""From a chart to CDM 5.4 tables in Arrow.

Responsible for: ids, columns, dates, codes and eras of one chunk, and the tables that a hospital has once. Not
responsible for: what is in the chart, or writing a file.

Every id is hospital * 10^12 + chunk * 10^8 + a count from 1, so that it doesn't depend on the order in which chunks are
made, several hospitals can be pooled without a clash, and nobody gets away with 32 bits.
"""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from dure.demo.synth import vocabulary
from dure.demo.synth.arrays import LAST_DAY, Ints
from dure.demo.synth.chart import EMERGENCY, Chart
from dure.demo.synth.eras import eras
from dure.demo.synth.hospital import Hospital
from dure.demo.synth.measurements import TESTS

HOSPITAL_STRIDE, CHUNK_STRIDE = 10**12, 10**8
EHR, PRESCRIPTION, ORAL = 32817, 32838, 4132161
PRIMARY, SECONDARY = 32902, 32908
MALE, FEMALE, KOREAN, NOT_HISPANIC = 8507, 8532, 38003585, 38003564
VISIT_CONCEPTS = np.array([9202, 9201, 9203], np.int32)
SPECIALITIES = (38004456, 38004451, 38004452, 38004446, 38004510)
COUNTRY = 2_000_000_501
SOURCE = "Synthetic data made by Dure; no real person is in it"

Columns = dict[str, Any]


class ChunkTables:
    """The tables of one chunk."""

    def __init__(self, hospital: Hospital, chunk: int, chart: Chart) -> None:
        self.hospital = hospital
        self.base = np.int64(hospital.number * HOSPITAL_STRIDE + chunk * CHUNK_STRIDE + 1)
        self.chart = chart
        self.visits = chart.visits.columns()

    def all(self) -> dict[str, pa.Table]:
        """Every table of the chunk, by name."""
        return {
            "person": self.person(),
            "observation_period": self.observation_period(),
            "death": self.death(),
            "visit_occurrence": self.visit_occurrence(),
            **self.conditions(),
            **self.drugs(),
            "measurement": self.measurement(),
            "procedure_occurrence": self.procedure_occurrence(),
            "observation": self.observation(),
        }

    def person(self) -> pa.Table:
        """One row per person."""
        people = self.chart.people
        count = len(people.birth)
        birth = people.birth.astype("datetime64[D]")
        month = birth.astype("datetime64[M]")
        ids = self._ids(count)
        return _table(
            person_id=ids,
            gender_concept_id=np.where(people.male, MALE, FEMALE),
            year_of_birth=people.birth_year,
            month_of_birth=month.astype(np.int32) % 12 + 1,
            day_of_birth=(birth - month).astype(np.int32) + 1,
            race_concept_id=_same(KOREAN, count),
            ethnicity_concept_id=_same(NOT_HISPANIC, count),
            location_id=_same(self._own(1), count),
            care_site_id=_same(self._own(1), count),
            person_source_value=pa.array([f"SYNTHETIC-{each}" for each in ids.tolist()]),
            gender_source_value=_text(np.where(people.male, 0, 1), ("M", "F")),
            race_source_value=_text(np.zeros(count, np.int8), ("Korean",)),
        )

    def observation_period(self) -> pa.Table:
        """One row per person, two for the few who were away between."""
        people = self.chart.people
        twice = np.flatnonzero(people.early_end > 0)
        person = np.concatenate([np.arange(len(people.birth)), twice])
        return _table(
            observation_period_id=self._ids(len(person)),
            person_id=self.base + person,
            observation_period_start_date=_dates(np.concatenate([people.start, people.early_start[twice]])),
            observation_period_end_date=_dates(np.concatenate([people.end, people.early_end[twice]])),
            period_type_concept_id=_same(EHR, len(person)),
        )

    def death(self) -> pa.Table:
        """One row for each who died."""
        who = np.flatnonzero(self.chart.people.death > 0)
        return _table(
            person_id=self.base + who,
            death_date=_dates(self.chart.people.death[who]),
            death_type_concept_id=_same(EHR, len(who)),
        )

    def visit_occurrence(self) -> pa.Table:
        """All visits."""
        kind = self.visits["kind"]
        ids = self._ids(len(kind))
        return _table(
            visit_occurrence_id=ids,
            person_id=self.base + self.visits["person"],
            visit_concept_id=VISIT_CONCEPTS[kind],
            visit_start_date=_dates(self.visits["start"]),
            visit_end_date=_dates(self.visits["end"]),
            visit_type_concept_id=_same(EHR, len(kind)),
            provider_id=self._own(1) + np.where(kind == EMERGENCY, 4, ids % 4),
            care_site_id=self._own(1) + kind,
            visit_source_value=_text(kind, ("outpatient", "inpatient", "emergency")),
        )

    def conditions(self) -> dict[str, pa.Table]:
        """Condition records and their eras."""
        rows = self.chart.conditions.columns()
        visit = rows["visit"]
        start = (self.visits["start"][visit] + rows["day"]).astype(np.int32)
        reached = np.maximum(
            start + rows["end"], np.where(rows["primary"] == 1, self.visits["end"][visit], 0)
        )
        end = np.minimum(reached, self.visits["limit"][visit]).astype(np.int32)
        code = vocabulary.codes().index(rows["concept"])
        table = _table(
            condition_occurrence_id=self._ids(len(visit)),
            **self._event(visit),
            **_coded("condition", code),
            condition_start_date=_dates(start),
            condition_end_date=_dates(end),
            condition_type_concept_id=_same(EHR, len(visit)),
            condition_status_concept_id=np.where(rows["primary"] == 1, PRIMARY, SECONDARY),
        )
        mapped = np.flatnonzero(vocabulary.codes().standard[code] > 0)
        person = self.visits["person"][visit]
        spans = eras(person[mapped], code[mapped], start[mapped], end[mapped])
        return {
            "condition_occurrence": table,
            "condition_era": _table(
                condition_era_id=self._ids(len(spans.person)),
                person_id=self.base + spans.person,
                condition_concept_id=vocabulary.codes().standard[spans.group],
                condition_era_start_date=_dates(spans.start),
                condition_era_end_date=_dates(spans.end),
                condition_occurrence_count=spans.records,
            ),
        }

    def drugs(self) -> dict[str, pa.Table]:
        """Drug records, and their eras by ingredient."""
        rows = self.chart.drugs.columns()
        visit = rows["visit"]
        start = self.visits["start"][visit]
        end = np.minimum(start + rows["days"] - 1, self.visits["limit"][visit]).astype(np.int32)
        code = vocabulary.codes().index(rows["product"])
        table = _table(
            drug_exposure_id=self._ids(len(visit)),
            **self._event(visit),
            **_coded("drug", code),
            drug_exposure_start_date=_dates(start),
            drug_exposure_end_date=_dates(end),
            drug_type_concept_id=_same(PRESCRIPTION, len(visit)),
            refills=rows["refills"],
            quantity=rows["quantity"].astype(np.float64),
            days_supply=rows["days"],
            route_concept_id=_same(ORAL, len(visit)),
        )
        ingredient = vocabulary.codes().index(vocabulary.ingredient_of()[code])
        spans = eras(self.visits["person"][visit], ingredient, start, end)
        return {
            "drug_exposure": table,
            "drug_era": _table(
                drug_era_id=self._ids(len(spans.person)),
                person_id=self.base + spans.person,
                drug_concept_id=vocabulary.codes().id[spans.group],
                drug_era_start_date=_dates(spans.start),
                drug_era_end_date=_dates(spans.end),
                drug_exposure_count=spans.records,
                gap_days=spans.gap_days,
            ),
        }

    def measurement(self) -> pa.Table:
        """Test results; the genotype has an answer instead of a number, and no unit."""
        rows = self.chart.measurements.columns()
        visit, test = rows["visit"], rows["test"]
        code = vocabulary.codes().index(np.array([each.concept for each in TESTS], np.int32))[test]
        spec = {name: np.array([getattr(each, name) for each in TESTS]) for name in ("unit", "low", "high")}
        number = spec["unit"][test] > 0
        value = np.round(rows["value"].astype(np.float64), 2)
        return _table(
            measurement_id=self._ids(len(visit)),
            **self._event(visit),
            **_coded("measurement", code),
            measurement_date=_dates(self.visits["start"][visit]),
            measurement_type_concept_id=_same(EHR, len(visit)),
            value_as_number=pa.array(value, mask=~number),
            value_as_concept_id=pa.array(rows["answer"], mask=number),
            unit_concept_id=pa.array(spec["unit"][test].astype(np.int32), mask=~number),
            range_low=pa.array(spec["low"][test], mask=~number),
            range_high=pa.array(spec["high"][test], mask=~number),
            unit_source_value=_text(test, tuple(_unit_text(each.unit) for each in TESTS)),
        )

    def procedure_occurrence(self) -> pa.Table:
        """Procedures."""
        rows = self.chart.procedures.columns()
        visit = rows["visit"]
        return _table(
            procedure_occurrence_id=self._ids(len(visit)),
            **self._event(visit),
            **_coded("procedure", vocabulary.codes().index(rows["concept"])),
            procedure_date=_dates(self.visits["start"][visit]),
            procedure_type_concept_id=_same(EHR, len(visit)),
        )

    def observation(self) -> pa.Table:
        """Observations, with the answer's concept."""
        rows = self.chart.observations.columns()
        visit = rows["visit"]
        return _table(
            observation_id=self._ids(len(visit)),
            **self._event(visit),
            observation_concept_id=rows["concept"],
            observation_date=_dates(self.visits["start"][visit]),
            observation_type_concept_id=_same(EHR, len(visit)),
            value_as_concept_id=rows["answer"],
        )

    def _ids(self, count: int) -> np.ndarray:
        return np.arange(self.base, self.base + count, dtype=np.int64)

    def _own(self, number: int) -> np.int64:
        return np.int64(self.hospital.number * HOSPITAL_STRIDE + number)

    def _event(self, visit: Ints) -> Columns:
        return {
            "person_id": self.base + self.visits["person"][visit],
            "visit_occurrence_id": self.base + visit,
        }


def hospital_tables(hospital: Hospital) -> dict[str, pa.Table]:
    """The tables that a hospital has once: its vocabulary, itself, its doctors, and that all this is synthetic."""
    own = hospital.number * HOSPITAL_STRIDE + 1
    sites = ("outpatient clinic", "wards", "emergency room")
    last_day = np.datetime64(LAST_DAY, "D").astype(date)
    return {
        **vocabulary.tables(),
        "location": _table(
            location_id=[own], country_concept_id=[COUNTRY], location_source_value=["synthetic"]
        ),
        "care_site": _table(
            care_site_id=[own + i for i in range(len(sites))],
            care_site_name=[f"{hospital.name}: {site}" for site in sites],
            place_of_service_concept_id=[8756, 8717, 8756],
            location_id=[own] * len(sites),
        ),
        "provider": _table(
            provider_id=[own + i for i in range(len(SPECIALITIES))],
            provider_name=[f"Synthetic provider {i + 1}" for i in range(len(SPECIALITIES))],
            specialty_concept_id=list(SPECIALITIES),
            care_site_id=[own, own, own, own, own + 2],
        ),
        "cdm_source": _table(
            cdm_source_name=[hospital.name],
            cdm_source_abbreviation=[f"SYNTHETIC-{hospital.number}"],
            cdm_holder=["Nobody: synthetic"],
            source_description=[SOURCE],
            cdm_etl_reference=["dure synth"],
            source_release_date=[last_day],
            cdm_release_date=[last_day],
            cdm_version=["5.4"],
            cdm_version_concept_id=[0],
            vocabulary_version=[vocabulary.VOCABULARY_VERSION],
        ),
    }


def _table(**columns: Any) -> pa.Table:
    return pa.table(columns)


def _same(value: "int | np.int64", count: int) -> np.ndarray:
    return np.full(count, value, np.int64)


def _dates(days: Ints) -> pa.Array:
    return pa.array(days.astype(np.int32, copy=False)).cast(pa.date32())


def _text(index: np.ndarray, words: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int16)), pa.array(words))


def _coded(stem: str, code: Ints) -> Columns:
    lookup = vocabulary.codes()
    return {
        f"{stem}_concept_id": lookup.standard[code],
        f"{stem}_source_concept_id": lookup.source[code],
        f"{stem}_source_value": pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int16)), lookup.text),
    }


def _unit_text(unit: int) -> str:
    return next((concept.code for concept in vocabulary.concepts() if unit and concept.id == unit), "")
