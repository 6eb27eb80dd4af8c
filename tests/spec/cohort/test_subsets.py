"""What subset operators keep, as timelines. Day 0 is 1 January 2020; each person is observed from day -100 to day 300."""

import json
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from dure.cohort.problems import Contradictory, NotCirce, NotSupported
from dure.cohort.subset import read
from dure.cohort.subset.evaluate import evaluate
from dure.engines.subsets import NAMES, subset

DAY_0 = date(2020, 1, 1)
MAN, WOMAN = 8507, 8532


def day(number):
    return DAY_0 + timedelta(days=number)


def stays(*each):
    """(person, first day, last day) of each stay."""
    return [(person, day(first), day(last)) for person, first, last in each]


def table(rows):
    kinds = (pa.int64(), pa.date32(), pa.date32())
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    return pa.table({name: pa.array(c, kind) for name, c, kind in zip(NAMES, columns, kinds, strict=True)})


class People:
    """An engine that knows who people are and when they were observed."""

    def __init__(self, born, observed=((-100, 300),)):
        self.tables = {
            "person": [
                {"person_id": p, "year_of_birth": year, "gender_concept_id": MAN if p % 2 else WOMAN, "race_concept_id": p,
                 "ethnicity_concept_id": 0} for p, year in born.items()
            ],
            "observation_period": [
                {"person_id": p, "observation_period_start_date": day(first), "observation_period_end_date": day(last)}
                for p in born for first, last in observed
            ],
        }  # fmt: skip

    def query(self, tree):
        (name,) = [each.name for each in tree.find_all(exp.Table)]
        rows = sorted(self.tables[name], key=lambda row: row["person_id"])
        wanted = [each.alias_or_name for each in tree.selects]
        kinds = {each: pa.date32() if each.endswith("date") else pa.int64() for each in wanted}
        return pa.table({each: pa.array([row[each] for row in rows], kinds[each]) for each in wanted})


BORN = {1: 1950, 2: 1990, 3: None}
EVERYBODY = stays((1, 0, 10), (1, 50, 60), (1, 200, 290), (2, 20, 20), (3, 5, 9))
OTHERS = {7: stays((1, 55, 70), (2, 20, 30)), 8: stays((1, 58, 59))}


def limit(**fields):
    return {"subsetType": "LimitSubsetOperator", "name": "x", **fields}


def demographic(**fields):
    return {"subsetType": "DemographicSubsetOperator", **fields}


def beside(*windows, cohorts=(7,), how="any", negate=False):
    return {
        "subsetType": "CohortSubsetOperator", "cohortIds": list(cohorts), "cohortCombinationOperator": how, "negate": negate,
        "windows": [
            {"startDay": first, "endDay": last, "targetAnchor": target, "subsetAnchor": other, **more}
            for first, last, target, other, more in windows
        ],
    }  # fmt: skip


START, END = "cohortStart", "cohortEnd"
DURING = (-1000, 0, START, START, {}), (0, 1000, START, END, {})
CASES = {
    "a person's first": ([limit(limitTo="firstEver")], [(1, 0), (2, 20), (3, 5)]),
    "a person's last": ([limit(limitTo="lastEver")], [(1, 200), (2, 20), (3, 5)]),
    "the first, if observed long enough before": ([limit(limitTo="firstEver", priorTime=110)], [(2, 20)]),
    "the first of those observed long enough": (
        [limit(limitTo="earliestRemaining", priorTime=110)],
        [(1, 50), (2, 20)],
    ),
    "the last of those followed long enough": (
        [limit(limitTo="latestRemaining", followUpTime=150)],
        [(1, 50), (2, 20), (3, 5)],
    ),
    "the last, if followed long enough": ([limit(limitTo="lastEver", followUpTime=150)], [(2, 20), (3, 5)]),
    "all with enough before and after": ([limit(priorTime=105, followUpTime=250)], [(1, 50), (2, 20), (3, 5)]),
    "within the calendar, both days included": (
        [limit(calendarStartDate="2020-01-06", calendarEndDate="2020-01-21")],
        [(2, 20), (3, 5)],
    ),
    "the calendar is looked at last": ([limit(limitTo="firstEver", calendarStartDate="2020-01-06")], [(2, 20), (3, 5)]),
    "of ten days at least": ([limit(minimumCohortDuration=10)], [(1, 0), (1, 50), (1, 200)]),
    "of an age; unknown years of birth fit none": ([demographic(ageMin=0, ageMax=30)], [(2, 20)]),
    "men": ([demographic(gender=[MAN])], [(1, 0), (1, 50), (1, 200)]),
    "one value stands for a list, as R writes it": ([demographic(race=2)], [(2, 20)]),
    "beside a stay of another cohort, anywhen": ([beside()], [(1, 0), (1, 50), (1, 200), (2, 20)]),
    "starting within 5 days before the other": ([beside((0, 5, START, START, {}))], [(1, 50), (2, 20)]),
    "in all windows at once": ([beside((0, 5, START, START, {}), (0, 10, END, END, {}))], [(1, 50), (2, 20)]),
    "a window that the other must not lie in": ([beside((-60, 60, START, START, {"negate": True}))], [(1, 200)]),
    "without a stay of another cohort beside it": (
        [beside((0, 5, START, START, {}), negate=True)],
        [(1, 0), (1, 200), (3, 5)],
    ),
    "beside one of two cohorts": ([beside((0, 9, START, START, {}), cohorts=(7, 8))], [(1, 50), (2, 20)]),
    "beside both": ([beside((0, 9, START, START, {}), cohorts=(7, 8), how="all")], [(1, 50)]),
    "one operator after the other": ([demographic(gender=[MAN]), limit(limitTo="lastEver")], [(1, 200)]),
    "the order matters": ([limit(limitTo="lastEver"), limit(calendarEndDate="2020-04-01")], [(2, 20), (3, 5)]),
}  # fmt: skip


def definition(*operators):
    return read(json.dumps({"name": "s", "definitionId": 1, "subsetOperators": list(operators)}))


@pytest.mark.parametrize("case", CASES)
def test_what_is_kept(case):
    operators, wanted = CASES[case]
    people, asked = People(BORN), definition(*operators)
    kept = evaluate(asked, EVERYBODY, OTHERS, people.tables)
    assert [(person, (start - DAY_0).days) for person, start, _ in kept] == wanted
    fast = subset(people, asked, table(EVERYBODY), {name: table(rows) for name, rows in OTHERS.items()})
    assert list(zip(*fast.to_pydict().values(), strict=True)) == kept


DAYS, PEOPLE = st.integers(-120, 320), st.integers(1, 4)
STAYS = st.lists(
    st.tuples(PEOPLE, DAYS, st.integers(0, 90)), max_size=12, unique_by=lambda each: each[:2]
).map(lambda found: stays(*((person, first, first + length) for person, first, length in found)))
SMALL = st.integers(0, 200)
LIMITS = st.builds(
    limit,
    limitTo=st.sampled_from(["all", "firstEver", "earliestRemaining", "latestRemaining", "lastEver"]),
    priorTime=SMALL, followUpTime=SMALL, minimumCohortDuration=st.integers(0, 40),
    calendarStartDate=st.none() | st.integers(-100, 0).map(lambda d: day(d).isoformat()),
    calendarEndDate=st.none() | st.integers(0, 300).map(lambda d: day(d).isoformat()),
)  # fmt: skip
DEMOGRAPHICS = st.builds(
    demographic, ageMin=st.integers(0, 50), ageMax=st.integers(50, 90), gender=st.just([]) | st.just([MAN])
)
ANCHORS = st.sampled_from([START, END])
WINDOWS = st.tuples(
    st.integers(-90, 0), st.integers(0, 90), ANCHORS, ANCHORS, st.booleans().map(lambda n: {"negate": n})
)
BESIDES = st.builds(
    lambda windows, cohorts, how, negate: beside(*windows, cohorts=cohorts, how=how, negate=negate),
    st.lists(WINDOWS, max_size=2), st.sampled_from([(7,), (7, 8)]), st.sampled_from(["any", "all"]), st.booleans(),
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    operators=st.lists(LIMITS | DEMOGRAPHICS | BESIDES, min_size=1, max_size=3),
    target=STAYS,
    first=STAYS,
    second=STAYS,
)
def test_arrays_and_referee_keep_the_same(operators, target, first, second):
    people = People({1: 1950, 2: 1970, 3: 1990, 4: None}, observed=((-100, 100), (150, 300)))
    others, asked = {7: first, 8: second}, definition(*operators)
    kept = evaluate(asked, target, others, people.tables)
    fast = subset(people, asked, table(target), {name: table(rows) for name, rows in others.items()})
    assert list(zip(*fast.to_pydict().values(), strict=True)) == kept


REFUSED = {
    "an operator that nobody knows": ({"subsetType": "Random"}, NotCirce, "$.subsetOperators[0].subsetType"),
    "a property that could change rows": (limit(limitTo="all", sample=3), NotSupported, "$.subsetOperators[0].sample"),
    "a window that ends before it starts": (beside((5, 0, START, START, {})), Contradictory, "$.subsetOperators[0].windows[0]"),
    "ages the wrong way round": (demographic(ageMin=50, ageMax=5), Contradictory, "$.subsetOperators[0]"),
    "no other cohort": (beside(cohorts=()), Contradictory, "$.subsetOperators[0].cohortIds"),
    "a date that is none": (limit(calendarStartDate="2020-02-30"), NotCirce, "$.subsetOperators[0].calendarStartDate"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_names_its_place(case):
    operator, problem, where = REFUSED[case]
    with pytest.raises(problem) as caught:
        definition(operator)
    assert caught.value.where == where


def test_a_cohort_that_is_not_there_is_named():
    with pytest.raises(Contradictory, match="cohort 9"):
        subset(People(BORN), definition(beside(cohorts=(9,))), table(EVERYBODY), {})


def test_nobody_is_a_subset_of_nobody():
    assert subset(People({}), definition(demographic(ageMax=9)), table([]), {}).num_rows == 0
    assert np.array_equal(
        subset(People(BORN), definition(beside()), table([]), {7: table([])})["subject_id"], []
    )
