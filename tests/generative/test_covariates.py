"""On random people, the sparse matrix and the referee hold the same covariates, id by id."""

import importlib.util
import json
from datetime import date, timedelta
from pathlib import Path
from random import Random

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure import cohort
from dure.engines.dataset import Dataset
from dure.engines.duckdb import DuckDBEngine
from dure.features.analyses import Windows, analyses, analysis_of
from dure.features.covariates import entered, held, matrix
from dure.features.scores import CHADS2_VASC, CHARLSON

_spec = importlib.util.spec_from_file_location(
    "covariate_referee", Path(__file__).with_name("covariate_referee.py")
)
referee = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(referee)

FIRST = date(2020, 1, 1)
PERSONS = 6
CONDITIONS = [316139, 201820, 443767, 197930, 320128, 318773, 11, 12, 13]
OTHERS = [21, 22, 23, 9201, 1_000_000_021]
EVERYONE = {"PrimaryCriteria": {"CriteriaList": [{"ObservationPeriod": {}}],
            "ObservationWindow": {"PriorDays": 0, "PostDays": 0}, "PrimaryCriteriaLimit": {"Type": "First"}},
            "EndStrategy": {"DateOffset": {"DateField": "StartDate", "Offset": 90}}}  # fmt: skip
DRUGS = {"ConceptSets": [], "PrimaryCriteria": {"CriteriaList": [{"DrugEra": {}}],
         "ObservationWindow": {"PriorDays": 0, "PostDays": 0}, "PrimaryCriteriaLimit": {"Type": "All"}},
         "EndStrategy": {"DateOffset": {"DateField": "StartDate", "Offset": 9}}}  # fmt: skip


def cdm(random: Random) -> dict:
    def day(spread=200):
        return FIRST + timedelta(days=random.randrange(spread))

    def maybe(value):
        return None if random.random() < 0.25 else value

    people = range(1, PERSONS + 1)
    tables = {
        "person": [
            {
                "person_id": person,
                "year_of_birth": random.randrange(1930, 2020),
                "gender_concept_id": random.choice([8507, 8532, 0]),
                "race_concept_id": random.choice([0, 8515]),
                "ethnicity_concept_id": random.choice([0, 38003564]),
            }
            for person in people
        ],
        "observation_period": [
            {
                "observation_period_id": person,
                "person_id": person,
                "observation_period_start_date": (
                    start := FIRST + timedelta(days=random.choice([40, 60, 100]))
                ),
                "observation_period_end_date": start + timedelta(days=random.randrange(10, 300)),
            }
            for person in people
        ],
        "concept": [{"concept_id": c, "invalid_reason": None} for c in (*CONDITIONS, *OTHERS)],
    }
    pairs = {(c, c) for c in (*CONDITIONS, *OTHERS) if random.random() < 0.9}
    pairs |= {tuple(random.sample(CONDITIONS, 2)) for _ in range(8)} | {
        tuple(random.sample(OTHERS, 2)) for _ in range(3)
    }
    tables["concept_ancestor"] = [
        {"ancestor_concept_id": a, "descendant_concept_id": d} for a, d in sorted(pairs)
    ]
    for name, (concept, start, end) in referee.DATED.items():
        rows = []
        for number in range(18):
            begins = day()
            row = {
                f"{name}_id": number,
                "person_id": random.choice(people),
                concept: random.choice([0, *(CONDITIONS if name.startswith("condition") else OTHERS)]),
                start: begins,
            }
            if end != start:
                row[end] = begins + timedelta(days=random.choice([0, 0, 5, 40]))
            if name in {"measurement", "observation"}:
                row |= {
                    "value_as_number": maybe(random.choice([0.0, 1.5, 2.5, 9.0])),
                    "value_as_concept_id": maybe(random.choice([0, 45877994, 9191])),
                    "unit_concept_id": maybe(random.choice([0, 8840, 8753])),
                }
            if name == "measurement":
                row |= {"range_low": maybe(1.0), "range_high": maybe(2.0)}
            rows.append(row)
        tables[name] = rows
    for name in ("condition_occurrence", "drug_exposure", "device_exposure"):
        prefix = name.split("_")[0] if name == "condition_occurrence" else name
        for row in tables[name]:
            row[f"{prefix}_end_date"] = row[referee.DATED[name][1]]
            row["days_supply"] = None
    return tables


def opened(tables, folder) -> DuckDBEngine:
    connection = duckdb.connect(config={"threads": 1})
    for name, rows in tables.items():
        columns = {}
        for key in rows[0]:
            values = [row[key] for row in rows]
            kind = pa.date32() if key.endswith("_date") else pa.float64() if key in {"value_as_number", "range_low", "range_high"} else pa.string() if key == "invalid_reason" else pa.int64()  # fmt: skip
            columns[key] = pa.array(values, kind)
        connection.register("arriving", pa.table(columns))
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM arriving")
        connection.unregister("arriving")
    stamp = Dataset(
        version="1", cdm_version="5.4", source="random", persons=PERSONS, first_date=None, last_date=None
    )
    return DuckDBEngine(connection, stamp, folder)


@pytest.mark.parametrize("definition", [EVERYONE, DRUGS], ids=["everyone", "drugs"])
@settings(max_examples=4, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 10**6), end=st.sampled_from([0, -1, 20]))
def test_the_matrix_is_the_referees(definition, seed, end, tmp_path_factory):
    random = Random(seed)
    tables = cdm(random)
    windows = Windows(long=-60, medium=-20, short=-5, end=end)
    plan = cohort.plan(cohort.parse(json.dumps(definition)), cdm_version="5.4")
    with opened(tables, tmp_path_factory.mktemp("spill")) as engine, entered(engine, [plan]) as (entries,):
        expected = [
            referee.covariates(tables, person, day, leaves, windows)
            for person, day, leaves in zip(
                entries.person.tolist(), entries.start.tolist(), entries.end.tolist(), strict=True
            )
        ]
        ids = sorted({covariate for row in expected for covariate in row} | {99_000_101, 5_000_705})
        random.shuffle(ids)
        found = matrix(engine, entries, ids, windows)
        assert found.shape == (len(entries.person), len(ids))
        for row, wanted in enumerate(expected):
            start, stop = found.indptr[row], found.indptr[row + 1]
            got = {
                ids[c]: v
                for c, v in zip(
                    found.indices[start:stop].tolist(), found.data[start:stop].tolist(), strict=True
                )
            }
            assert {
                k: v for k, v in got.items() if v or k % 1000 in {705, 706, 707, 708, 809, 810, 811, 812}
            } == {
                k: v for k, v in wanted.items() if v or k % 1000 in {705, 706, 707, 708, 809, 810, 811, 812}
            }
        some = {number: each for number, each in analyses().items() if each.family != "group"}
        people = held(engine, entries, some, windows)
        for covariate in ids:
            if analysis_of(covariate).family != "group":
                assert people.get(covariate, 0) == sum(covariate in row for row in expected), covariate
    assert np.all(np.diff(entries.person) > 0)


def test_ids_are_those_of_feature_extraction():
    """Ids that OHDSI publishes: its table 1, and the ids of its vignettes."""
    assert analysis_of(8532001).name == "DemographicsGender"
    assert analysis_of(201820210).name == "ConditionGroupEraLongTerm"
    assert analysis_of(21601782410).name == "DrugGroupEraLongTerm"
    assert analysis_of(1901).name == "CharlsonIndex"
    assert analysis_of(1904).name == "Chads2Vasc"
    assert sum(category.weight for category in CHARLSON.categories) == 33
    assert sum(category.weight for category in CHADS2_VASC.categories) == 6
