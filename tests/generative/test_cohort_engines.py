"""On random people and random definitions of the supported language, the referee and DuckDB give the same rows."""

import json
from dataclasses import replace
from datetime import date, timedelta
from random import Random

import duckdb
import pyarrow as pa
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from sqlglot import ErrorLevel, parse

from dure import cohort
from dure.cohort import primitives as p
from dure.cohort import sql
from dure.cohort.circe.language import CRITERIA_TYPES, DEMOGRAPHICS, Kind
from dure.cohort.circe.nodes import Limit
from dure.cohort.predicates import Of
from dure.cohort.relations import DERIVED
from dure.engines import cohorts
from dure.engines.cohorts import run_many
from dure.engines.dataset import Dataset
from dure.engines.duckdb import DuckDBEngine

FIRST = date(2020, 1, 1)
CONCEPTS = range(1, 13)
PERSONS, PER_TABLE, PER_CDM = 10, 45, 50
QUICK = settings(derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate))
TEXT_COLUMNS = {
    a.operand.column for t in CRITERIA_TYPES.values() for a in t.attributes if a.kind is Kind.TEXT
}
NUMBER_COLUMNS = {"value_as_number", "range_low", "range_high", "dose_value", "effective_drug_dose"}
DECIMAL_TABLES = {"drug_exposure", "specimen"}


def a_day(random, spread=120):
    return FIRST + timedelta(days=random.randrange(spread))


def maybe(random, value, chance=0.25):
    return None if random.random() < chance else value


class Cdm:
    """Random rows of every table that the language reads: few people, few concepts, few days, so that things meet."""

    def __init__(self, random):
        self.random = random
        self.tables = {"person": [self.person(i) for i in range(1, PERSONS + 1)]}
        self.tables["observation_period"] = self.periods()
        self.tables["provider"] = [
            {"provider_id": i, "specialty_concept_id": maybe(random, self.concept())} for i in range(1, 5)
        ]
        self.tables["care_site"] = [
            {"care_site_id": i, "place_of_service_concept_id": maybe(random, self.concept())}
            for i in range(1, 5)
        ]
        self.tables.update(self.vocabulary())
        self.tables["location"] = [
            {"location_id": i, "region_concept_id": maybe(random, self.concept())} for i in range(1, 5)
        ]
        self.tables["location_history"] = [self.residence(i) for i in range(1, PER_TABLE + 1)]
        for kind in CRITERIA_TYPES.values():
            if kind.table.name not in self.tables and kind.table.name not in DERIVED:
                self.tables[kind.table.name] = self.events(kind)

    def concept(self):
        return self.random.choice(CONCEPTS)

    def person(self, number):
        return {
            "person_id": number,
            "year_of_birth": self.random.randrange(1940, 2015),
            **{f"{name}_concept_id": self.concept() for name in ("gender", "race", "ethnicity")},
        }

    def residence(self, number):
        random, start = self.random, a_day(self.random)
        domain = random.choice(["PERSON", "PERSON", "CARE_SITE"])
        return {
            "location_history_id": number,
            "location_id": random.randrange(1, 6),
            "domain_id": domain,
            "entity_id": random.randrange(1, PERSONS + 1 if domain == "PERSON" else 5),
            "start_date": start,
            "end_date": maybe(random, start + timedelta(days=random.randrange(90))),
        }

    def periods(self):
        rows = []
        for person in range(1, PERSONS + 1):
            for _ in range(self.random.choice([0, 1, 1, 1, 2])):
                start = a_day(self.random, 60)
                rows.append(
                    {
                        "observation_period_id": len(rows) + 1,
                        "person_id": person,
                        "observation_period_start_date": start,
                        "observation_period_end_date": start + timedelta(days=self.random.randrange(10, 120)),
                        "period_type_concept_id": self.concept(),
                    }
                )
        return rows

    def vocabulary(self):
        random = self.random
        pairs = {(c, c) for c in CONCEPTS if random.random() < 0.9}
        pairs |= {tuple(sorted(random.sample(CONCEPTS, 2))) for _ in range(8)}
        return {
            "concept": [
                {"concept_id": c, "invalid_reason": maybe(random, "D", 0.8)}
                for c in CONCEPTS
                if random.random() < 0.95
            ],
            "concept_ancestor": [
                {"ancestor_concept_id": a, "descendant_concept_id": d} for a, d in sorted(pairs)
            ],
            "concept_relationship": [
                {
                    "concept_id_1": self.concept(),
                    "concept_id_2": self.concept(),
                    "relationship_id": random.choice(["Maps to", "Maps to", "Is a"]),
                    "invalid_reason": maybe(random, "D", 0.8),
                }
                for _ in range(8)
            ],
        }

    def events(self, kind):
        table = kind.table
        people = self.random.sample(range(1, PERSONS + 1), 5) if table.name == "death" else None
        return [self.event(kind, number, people) for number in range(1, (5 if people else PER_TABLE) + 1)]

    def event(self, kind, number, people):
        random, table = self.random, kind.table
        operands = [a.operand for a in kind.attributes if a.operand] + list(kind.counts.values())
        names = {operand.column for operand in operands if operand.of in {Of.COLUMN, Of.CONCEPT, Of.RATIO}}
        names |= {operand.over for operand in operands if operand.over}
        row = {
            name: self.value(table.name, name)
            for name in sorted(names | {table.concept, table.source_concept} - {None})
        }
        row |= {
            "provider_id": maybe(random, random.randrange(1, 6)),
            "care_site_id": maybe(random, random.randrange(1, 6)),
        }
        row |= {"person_id": people[number - 1] if people else random.randrange(1, PERSONS + 2)}
        if table.id != "person_id":
            row[table.id] = number
        if table.visit and table.visit != table.id:
            row[table.visit] = maybe(random, random.randrange(1, PER_TABLE + 5))
        row[table.start] = a_day(random)
        if table.end:
            row[table.end] = maybe(
                random, row[table.start] + timedelta(days=random.choice([-1, 0, 0, 1, 3, 10, 40]))
            )
        return row

    def value(self, table, name):
        random = self.random
        if name.endswith("_concept_id"):
            return maybe(random, random.choice([0, *CONCEPTS]), 0.1)
        if name in TEXT_COLUMNS:
            return maybe(random, random.choice(["", "a", "ab", "b%", "abc", "A"]))
        if name in NUMBER_COLUMNS or (name == "quantity" and table in DECIMAL_TABLES):
            return maybe(random, random.choice([0.0, 0.5, 1.0, 2.25, 3.0, 7.12345]))
        return maybe(random, random.choice([0, 1, 2, 3, 5, 30, 9_999_999]))

    def engine(self, folder):
        connection = duckdb.connect(config={"threads": 1})
        for name, rows in self.tables.items():
            columns = {key: typed(name, key, [row[key] for row in rows]) for key in rows[0]} if rows else {}
            connection.register("arriving", pa.table(columns))
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM arriving")
            connection.unregister("arriving")
        stamp = Dataset(
            version="1", cdm_version="5.4", source="random", persons=PERSONS, first_date=None, last_date=None
        )
        return DuckDBEngine(connection, stamp, folder)


def typed(table, name, values):
    if name.endswith("_date"):
        return pa.array(values, pa.date32())
    if name in TEXT_COLUMNS or name in {"relationship_id", "invalid_reason", "domain_id"}:
        return pa.array(values, pa.string())
    if name in NUMBER_COLUMNS or (name == "quantity" and table in DECIMAL_TABLES):
        return pa.array(values, pa.float64())
    return pa.array(values, pa.int64())


class Writer:
    """Random definitions, from the same tables that the parser follows."""

    def __init__(self, random):
        self.random = random

    def some(self, chance):
        return self.random.random() < chance

    def expression(self):
        random = self.random
        found = {
            "ConceptSets": [
                {"id": i, "name": f"set {i}", "expression": {"items": self.items()}} for i in range(4)
            ],
            "PrimaryCriteria": {
                "CriteriaList": [self.criterion(2) for _ in range(random.choice([1, 1, 1, 2, 3]))],
                "ObservationWindow": {
                    "PriorDays": random.choice([0, 0, 10]),
                    "PostDays": random.choice([0, 0, 7]),
                },
                "PrimaryCriteriaLimit": self.limit(),
            },
            "QualifiedLimit": self.limit(),
            "ExpressionLimit": self.limit(),
            "InclusionRules": [
                {"name": f"rule {i}", "expression": self.group(1)}
                for i in range(random.choice([0, 0, 1, 1, 2]))
            ],
            "CensoringCriteria": [self.criterion(1) for _ in range(random.choice([0, 0, 0, 0, 1, 2]))],
            "CollapseSettings": {"CollapseType": "ERA", "EraPad": random.choice([0, 0, 1, 30])},
            "CensorWindow": self.period() if self.some(0.15) else {},
        }
        if self.some(0.3):
            found["AdditionalCriteria"] = self.group(1)
        if self.some(0.7):
            found["EndStrategy"] = random.choice(
                [
                    {
                        "DateOffset": {
                            "DateField": random.choice(["StartDate", "EndDate"]),
                            "Offset": random.choice([-3, 0, 7]),
                        }
                    },
                    {
                        "CustomEra": {
                            "DrugCodesetId": 0,
                            "GapDays": random.choice([0, 5]),
                            "Offset": random.choice([-2, 0, 3]),
                        }
                    },
                    {
                        "CustomEra": {
                            "DrugCodesetId": 1,
                            "GapDays": 30,
                            "DaysSupplyOverride": random.choice([None, 4]),
                        }
                    },
                ]
            )
        return found

    def limit(self):
        return {"Type": self.random.choice(["All", "All", "First", "Last"])}

    def items(self):
        return [
            {
                "concept": {"CONCEPT_ID": self.random.choice([*CONCEPTS, 99])},
                "isExcluded": self.some(0.2),
                "includeDescendants": self.some(0.5),
                "includeMapped": self.some(0.3),
            }
            for _ in range(self.random.choice([0, 1, 2, 3, 5, 5]))
        ]

    def period(self):
        return {key: a_day(self.random).isoformat() for key in ("StartDate", "EndDate") if self.some(0.7)}

    def criterion(self, depth):
        name = self.random.choice([name for name in CRITERIA_TYPES if depth or name != "CustomEra"])
        kind, body = CRITERIA_TYPES[name], {}
        if kind.has_codeset and self.some(0.5):
            body["CodesetId"] = self.random.randrange(4)
        if kind.source and self.some(0.1):
            body[kind.source] = self.random.randrange(4)
        if kind.has_first and self.some(0.15):
            body["First"] = True
        if kind.has_period and self.some(0.3):
            body["UserDefinedPeriod"] = self.period()
        if self.some(0.12):
            body["DateAdjustment"] = {
                "StartWith": self.random.choice(["START_DATE", "END_DATE"]),
                "StartOffset": self.random.choice([-5, 0, 2]),
                "EndWith": self.random.choice(["START_DATE", "END_DATE"]),
                "EndOffset": self.random.choice([0, 3]),
            }
        for attribute in self.random.sample(
            kind.attributes, min(len(kind.attributes), self.random.choice([0, 0, 0, 1, 2]))
        ):
            self.attribute(attribute, body)
        if kind.has_parts:
            body["CriteriaList"] = [self.criterion(depth - 1) for _ in range(self.random.choice([1, 1, 2]))]
            body["GapDays"] = self.random.choice([None, 0, 3, 30, -2])
        if depth and self.some(0.15):
            body["CorrelatedCriteria"] = self.group(depth - 1)
        return {name: body}

    def attribute(self, attribute, body):
        random = self.random
        match attribute.kind:
            case Kind.DATES:
                value = self.range(lambda: a_day(random).isoformat())
            case Kind.INTEGERS:
                if attribute.range_of:
                    body[attribute.range_of] = self.range(lambda: random.choice([0, 1, 2, 30]))
                value = self.range(lambda: random.choice([0, 1, 2, 5, 10, 18.9, 40]))
            case Kind.DECIMALS:
                value = self.range(lambda: random.choice([0, 0.5, 1, 2.25, 3, 7.12345]))
            case Kind.TEXT:
                op = random.choice(["", "!"]) + random.choice(["startsWith", "endsWith", "contains", "eq"])
                value = {"Text": random.choice(["a", "b", "_b", "%", "b%"]), "Op": op}
            case Kind.CONCEPTS:
                value = [{"CONCEPT_ID": c} for c in random.sample(CONCEPTS, random.randrange(0, 8))]
                if attribute.exclude:
                    body[attribute.exclude] = self.some(0.4)
            case Kind.SELECTION:
                value = {"CodesetId": random.choice([None, 0, 1, 2, 3]), "IsExclusion": self.some(0.4)}
            case Kind.CODESET | Kind.REGION:
                value = random.randrange(4)
            case Kind.ABNORMAL:
                value = True
            case Kind.WITHOUT_EFFECT:
                value = 1
        body[attribute.property] = value

    def range(self, value):
        op = self.random.choice(["lt", "lte", "eq", "!eq", "gt", "gte", "bt", "!bt"])
        return {"Op": op, "Value": value(), **({"Extent": value()} if op.endswith("bt") else {})}

    def group(self, depth):
        random = self.random
        kind = random.choice(["ALL", "ALL", "ANY", "AT_LEAST", "AT_MOST"])
        found = {
            "Type": kind,
            "CriteriaList": [self.correlated(depth) for _ in range(random.choice([0, 1, 1, 1, 2]))],
            "DemographicCriteriaList": [self.demographic() for _ in range(random.choice([0, 0, 0, 1]))],
            "Groups": [self.group(depth - 1) for _ in range(random.choice([0, 0, 1]))] if depth else [],
        }
        if kind.startswith("AT_"):
            found["Count"] = random.randrange(3)
        return found

    def demographic(self):
        body = {}
        for attribute in self.random.sample(DEMOGRAPHICS, self.random.choice([0, 1, 2])):
            self.attribute(attribute, body)
        return body

    def correlated(self, depth):
        random, criterion = self.random, self.criterion(depth)
        occurrence = {"Type": random.randrange(3), "Count": random.choice([0, 1, 1, 2, 3])}
        if self.some(0.3):
            occurrence["IsDistinct"] = True
            occurrence["CountColumn"] = random.choice(list(CRITERIA_TYPES[next(iter(criterion))].counts))
        found = {
            "Criteria": criterion,
            "StartWindow": self.window(),
            "Occurrence": occurrence,
            "RestrictVisit": self.some(0.15),
            "IgnoreObservationPeriod": self.some(0.3),
        }
        if self.some(0.25):
            found["EndWindow"] = self.window()
        return found

    def window(self):
        random = self.random
        ends = [
            {"Days": random.choice([None, 0, 1, 7, 30]), "Coeff": sign}
            for sign in random.choice([(-1, 1), (-1, -1), (1, 1)])
        ]
        flags = {key: self.some(0.5) for key in ("UseIndexEnd", "UseEventEnd") if self.some(0.5)}
        return {"Start": ends[0], "End": ends[1], **flags}


def check(seed, folder):
    """One CDM, `PER_CDM` definitions."""
    random = Random(seed)
    cdm, writer = Cdm(random), Writer(random)
    sources = [writer.expression() for _ in range(PER_CDM)]
    plans = [cohort.plan(cohort.parse(json.dumps(source)), cdm_version="5.4") for source in sources]
    with cdm.engine(folder) as engine:
        for source, plan, table in zip(sources, plans, run_many(engine, plans), strict=True):
            expected = cohort.evaluate(plan, cdm.tables)
            rows = tuple(zip(*table.rows.to_pydict().values(), strict=True))
            qualified = tuple(zip(*table.qualified.to_pydict().values(), strict=True))
            assert (rows, qualified) == (expected.rows, expected.qualified), (seed, json.dumps(source))
            yield len(rows)


@settings(QUICK, max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
@example(seed=39_263_234)  # eras of what has no end
def test_referee_and_duckdb_agree_on_400_generated_cohorts(seed, tmp_path_factory):
    found = list(check(seed, tmp_path_factory.mktemp("spill")))
    assert len(found) == PER_CDM
    assert sum(found) > 0, "a CDM on which every cohort is empty tests nothing"


DEFECTS = {
    # what goes wrong: (name in `dure.cohort.sql` or, for items of concept sets, in `dure.engines.cohorts`, what takes its place)
    "windows that reach everywhere": ("_window", lambda _window, _days, **_: []),
    "the last is the first": ("_limited", lambda n, s, w, limit: LIMITED(n, s, w, Limit.FIRST if limit is Limit.LAST else limit)),
    "islands without a pad": ("_islands", lambda who, rows, pad, unpad: ISLANDS(who, rows, 0, 0)),
    "offsets beyond observation": ("_offset", lambda offset, days: p.later_number(p.column(f"{offset.field}_date", "i"), days)),
    "excluded concepts stay in": (
        "rows_of",
        lambda sets: SETS([[replace(item, excluded=False) for item in items] for items in sets]),
    ),
}  # fmt: skip
LIMITED, ISLANDS, SETS = sql._limited, sql._islands, cohorts.rows_of


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_comparison_finds_planted_defects(defect, monkeypatch, tmp_path):
    name, wrong = DEFECTS[defect]
    monkeypatch.setattr(cohorts if name == "rows_of" else sql, name, wrong)
    with pytest.raises(AssertionError):
        for seed in range(10):
            list(check(seed, tmp_path))


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "spark"])
def test_every_statement_can_be_written_for_every_database(dialect):
    writer = Writer(Random(1))
    for _ in range(60):
        plan = cohort.plan(cohort.parse(writer.expression()), cdm_version="5.3")
        for name, tree in cohorts.statements(plan):
            text = tree.sql(dialect=dialect, unsupported_level=ErrorLevel.RAISE)
            assert len(parse(text, dialect=dialect)) == 1, name


@pytest.mark.slow
@settings(QUICK, max_examples=600)
@given(seed=st.integers(0, 2**32 - 1))
def test_referee_and_duckdb_agree_on_30000_generated_cohorts(seed, tmp_path_factory):
    assert len(list(check(seed, tmp_path_factory.mktemp("spill")))) == PER_CDM
