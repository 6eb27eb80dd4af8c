"""People as small timelines, and the two ways of asking who is in a cohort."""

from dataclasses import replace
from datetime import date, timedelta

import duckdb
import pyarrow as pa
import pytest

from dure import cohort
from dure.engines.cohorts import run
from dure.engines.dataset import Dataset
from dure.engines.duckdb import DuckDBEngine
from dure.omop.tables import Column, ColumnType, Table, tables

DAY_ZERO = date(2020, 1, 1)
ARROW = {
    ColumnType.INTEGER: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.DATE: pa.date32(),
    ColumnType.DATETIME: pa.timestamp("us"),
    ColumnType.TEXT: pa.string(),
}


def wider(table, **columns):
    """A table of CDM 5.4 with columns of other versions."""
    added = tuple(Column(name=name, type=type_, required=False) for name, type_ in columns.items())
    return replace(table, columns=(*table.columns, *added))


PLAIN = tables("5.4")
INT, FLOAT, DATE, TEXT = ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.DATE, ColumnType.TEXT
HISTORY = wider(
    Table(name="location_history", columns=(), key="location_history_id"),
    location_history_id=INT,
    location_id=INT,
    entity_id=INT,
    domain_id=TEXT,
    start_date=DATE,
    end_date=DATE,
)
MODEL = {
    **PLAIN,
    "location": wider(PLAIN["location"], region_concept_id=INT),
    "drug_exposure": wider(PLAIN["drug_exposure"], effective_drug_dose=FLOAT, dose_unit_concept_id=INT),
    "location_history": HISTORY,
}
"""CDM 5.4, and what a definition may speak of besides."""


def day(number):
    return None if number is None else DAY_ZERO + timedelta(days=number)


class People:
    """A CDM in rows, with a little of other versions. Days are numbers: day 0 is 1 January 2020. Concepts 1 to 9 exist; 1 is above 2; 8 maps to 2."""

    day = staticmethod(day)

    def __init__(self):
        self.rows = {name: [] for name in MODEL}
        for concept in range(1, 10):
            self.add("concept", concept_id=concept, invalid_reason=None)
        for above, below in ((1, 1), (1, 2)):
            self.add("concept_ancestor", ancestor_concept_id=above, descendant_concept_id=below)
        self.add(
            "concept_relationship",
            concept_id_1=8,
            concept_id_2=2,
            relationship_id="Maps to",
            invalid_reason=None,
        )

    def add(self, table, **values):
        columns = {column.name: None for column in MODEL[table].columns}
        key = MODEL[table].key
        if key and key not in values:
            values[key] = len(self.rows[table]) + 1
        assert values.keys() <= columns.keys()
        self.rows[table].append(columns | values)

    def person(self, number, *, born=1960, gender=8532, observed=((-1000, 1000),)):
        self.add("person", person_id=number, year_of_birth=born, gender_concept_id=gender)
        self.observe(number, *observed)

    def observe(self, number, *periods):
        for start, end in periods or ((-1000, 1000),):
            self.add(
                "observation_period",
                person_id=number,
                observation_period_start_date=day(start),
                observation_period_end_date=day(end),
            )

    def condition(self, person, start, concept=1, *, end=None, visit=None, source=0):
        self.add(
            "condition_occurrence",
            person_id=person,
            condition_concept_id=concept,
            condition_source_concept_id=source,
            condition_start_date=day(start),
            condition_end_date=day(end),
            visit_occurrence_id=visit,
        )

    def drug(self, person, start, concept=3, *, end=None, supply=None, source=0):
        self.add(
            "drug_exposure",
            person_id=person,
            drug_concept_id=concept,
            drug_source_concept_id=source,
            drug_exposure_start_date=day(start),
            drug_exposure_end_date=day(end),
            days_supply=supply,
        )

    def measurement(self, person, start, value, concept=4, *, low=None, high=None, unit=None):
        self.add(
            "measurement",
            person_id=person,
            measurement_concept_id=concept,
            measurement_date=day(start),
            value_as_number=value,
            range_low=low,
            range_high=high,
            unit_concept_id=unit,
        )

    def era(self, table, person, start, end, **values):
        """A row of any table whose dates are named after it."""
        dates = {f"{table}_start_date": day(start), f"{table}_end_date": day(end)}
        self.add(table, person_id=person, **dates, **values)

    def visit(self, person, start, end, concept=5, *, care_site=None, kind=None):
        self.add(
            "visit_occurrence",
            person_id=person,
            visit_concept_id=concept,
            visit_start_date=day(start),
            visit_end_date=day(end),
            care_site_id=care_site,
            visit_type_concept_id=kind,
        )

    def death(self, person, on):
        self.add("death", person_id=person, death_date=day(on))


@pytest.fixture
def people():
    return People()


def by_referee(plan, people, _folder):
    found = cohort.evaluate(plan, people.rows)
    return list(found.rows), list(found.qualified)


def by_duckdb(plan, people, folder):
    connection = duckdb.connect(config={"threads": 1})
    for name, rows in people.rows.items():
        columns = {
            c.name: pa.array([row[c.name] for row in rows], ARROW[c.type]) for c in MODEL[name].columns
        }
        connection.register("arriving", pa.table(columns))
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM arriving")
        connection.unregister("arriving")
    stamp = Dataset(version="1", cdm_version="5.4", source="test", persons=1, first_date=None, last_date=None)
    with DuckDBEngine(connection, stamp, folder) as engine:
        found = run(engine, plan)
    return [list(zip(*table.to_pydict().values(), strict=True)) for table in (found.rows, found.qualified)]


@pytest.fixture(params=[by_referee, by_duckdb], ids=["referee", "duckdb"])
def engine(request, people, tmp_path):
    """Asks one of the two. `engine(definition)` gives the rows as (person, start day, end day)."""

    class Engine:
        def __call__(self, definition):
            return [(p, number(s), number(e)) for p, s, e in self.both(definition)[0]]

        def qualified(self, definition):
            return [(p, number(s), mask) for p, s, mask in self.both(definition)[1]]

        def both(self, definition):
            return request.param(cohort.plan(cohort.parse(definition), cdm_version="5.4"), people, tmp_path)

    return Engine()


def number(on):
    return (on - DAY_ZERO).days
