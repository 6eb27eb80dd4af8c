"""Eras equal a naive recomputation from the records."""

from datetime import date, timedelta

import numpy as np
import pytest

from dure.demo.synth.eras import eras

DAY = timedelta(days=1)


def naive(records):
    """Eras of [(start, end)] of one person and concept: [(start, end, records, uncovered days)]."""
    found = []
    for start, end in sorted(records):
        if found and start <= found[-1][1] + 30 * DAY:
            first, reached, count, gap = found[-1]
            gap += max((start - reached).days - 1, 0)
            found[-1] = (first, max(reached, end), count + 1, gap)
        else:
            found.append((start, end, 1, 0))
    return found


CASES = {
    "one record": [[(0, 4)]],
    "thirty days apart join": [[(0, 0), (30, 31)]],
    "thirty-one days apart don't": [[(0, 0), (31, 31)]],
    "a long one covers a later short one": [[(0, 100), (10, 12), (125, 130)]],
    "gap counts days that nothing covers": [[(0, 1), (5, 6), (6, 9)]],
    "people are apart": [[(0, 1)], [(2, 3)]],
}


@pytest.mark.parametrize("case", CASES)
def test_the_rule(case):
    groups = CASES[case]
    rows = [(g, s, e) for g, records in enumerate(groups) for s, e in records]
    person, start, end = (np.array(column) for column in zip(*rows, strict=True))
    made = eras(person, np.zeros(len(rows), int), start + 18000, end + 18000)
    origin = date(1970, 1, 1) + 18000 * DAY
    expected = []
    for g, records in enumerate(groups):
        for s, e, count, gap in naive([(origin + a * DAY, origin + b * DAY) for a, b in records]):
            expected.append((g, (s - origin).days, (e - origin).days, count, gap))
    got = list(
        zip(
            made.person.tolist(),
            (made.start - 18000).tolist(),
            (made.end - 18000).tolist(),
            made.records.tolist(),
            made.gap_days.tolist(),
            strict=True,
        )
    )
    assert got == expected


def test_no_records_make_no_eras():
    nothing = np.empty(0, np.int32)
    assert len(eras(nothing, nothing, nothing, nothing).person) == 0


@pytest.mark.parametrize(
    ("records", "made_eras"),
    [
        (
            "select person_id, condition_concept_id, condition_start_date, condition_end_date from condition_occurrence "
            "where condition_concept_id <> 0",
            "select person_id, condition_concept_id, condition_era_start_date, condition_era_end_date, "
            "condition_occurrence_count from condition_era",
        ),
        (
            "select person_id, ancestor_concept_id, drug_exposure_start_date, drug_exposure_end_date from drug_exposure "
            "join concept_ancestor on descendant_concept_id = drug_concept_id "
            "join concept on concept_id = ancestor_concept_id where concept_class_id in ('Ingredient', 'Synthetic Ingredient')",
            "select person_id, drug_concept_id, drug_era_start_date, drug_era_end_date, drug_exposure_count, gap_days from drug_era",
        ),
    ],
    ids=["conditions", "drugs"],
)
def test_a_hospitals_eras_are_those_of_its_records(made, records, made_eras):
    groups = {}
    some = " and person_id % 10 = 3" if " where " in records else " where person_id % 10 = 3"
    for person, concept, start, end in made.db.execute(records + some).fetchall():
        groups.setdefault((person, concept), []).append((start, end))
    got = made.db.execute(made_eras + " where person_id % 10 = 3").fetchall()
    width = len(got[0]) - 2
    expected = [(*key, *era[:width]) for key, found in groups.items() for era in naive(found)]
    assert len(expected) > 5_000
    assert sorted(got) == sorted(expected)
