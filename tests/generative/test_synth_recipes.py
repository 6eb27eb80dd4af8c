"""Any small recipe gives a consistent hospital."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.demo.synth.file import chunks
from dure.demo.synth.hospital import habits_of
from dure.demo.synth.rare import WILSON

STARTS = {
    "visit_occurrence": ("visit_start_date", "visit_end_date"),
    "condition_occurrence": ("condition_start_date", "condition_end_date"),
    "drug_exposure": ("drug_exposure_start_date", "drug_exposure_end_date"),
    "measurement": ("measurement_date", "measurement_date"),
}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 999), st.integers(1, 60))
def test_everything_happens_while_its_person_is_seen(seed, number, persons):
    (maker,) = chunks(habits_of(seed=seed, number=number), persons)
    tables = maker().tables
    person = tables["person"]["person_id"].to_numpy()
    assert len(np.unique(person)) == persons
    periods: dict[int, list[tuple[int, int]]] = {}
    for row in tables["observation_period"].to_pylist():
        periods.setdefault(row["person_id"], []).append(
            (row["observation_period_start_date"], row["observation_period_end_date"])
        )
    assert set(periods) == set(person.tolist())
    for name, (start, end) in STARTS.items():
        for row in tables[name].select(["person_id", *dict.fromkeys((start, end))]).to_pylist():
            assert any(a <= row[start] <= row[end] <= b for a, b in periods[row["person_id"]]), (name, row)
    concepts = tables["condition_occurrence"]["condition_concept_id"].to_numpy()
    rare = np.unique(tables["condition_occurrence"]["person_id"].to_numpy()[concepts == WILSON])
    assert 1 <= len(rare) <= min(5, persons)
