"""A synthetic hospital is a consistent CDM: nothing before birth or after death, no loose ends."""

import pytest

DATED = {
    "visit_occurrence": ("visit_start_date", "visit_end_date"),
    "condition_occurrence": ("condition_start_date", "condition_end_date"),
    "condition_era": ("condition_era_start_date", "condition_era_end_date"),
    "drug_exposure": ("drug_exposure_start_date", "drug_exposure_end_date"),
    "drug_era": ("drug_era_start_date", "drug_era_end_date"),
    "measurement": ("measurement_date", "measurement_date"),
    "procedure_occurrence": ("procedure_date", "procedure_date"),
    "observation": ("observation_date", "observation_date"),
    "death": ("death_date", "death_date"),
}
KEYED = {
    "person": "person_id",
    "observation_period": "observation_period_id",
    "visit_occurrence": "visit_occurrence_id",
    "condition_occurrence": "condition_occurrence_id",
    "condition_era": "condition_era_id",
    "drug_exposure": "drug_exposure_id",
    "drug_era": "drug_era_id",
    "measurement": "measurement_id",
    "procedure_occurrence": "procedure_occurrence_id",
    "observation": "observation_id",
    "death": "person_id",
    "concept": "concept_id",
    "provider": "provider_id",
    "care_site": "care_site_id",
}


def number(made, sql):
    return made.db.execute(sql).fetchall()[0][0]


@pytest.mark.parametrize("table", DATED)
def test_events_lie_within_an_observation_period_of_their_person(made, table):
    start, end = DATED[table]
    assert number(made, f"select count(*) from {table}") > 0
    assert number(made, f"select count(*) from {table} where {start} > {end} or {end} is null") == 0
    inside = f"o.observation_period_start_date <= e.{start} and e.{end} <= o.observation_period_end_date"
    assert (
        number(
            made,
            f"select count(*) from {table} e anti join observation_period o on e.person_id = o.person_id and {inside}",
        )
        == 0
    )


@pytest.mark.parametrize("table", DATED)
def test_nothing_happens_before_birth_or_after_death(made, table):
    start, end = DATED[table]
    born = "make_date(p.year_of_birth, p.month_of_birth, p.day_of_birth)"
    assert (
        number(
            made, f"select count(*) from {table} e join person p using (person_id) where e.{start} < {born}"
        )
        == 0
    )
    assert (
        number(
            made,
            f"select count(*) from {table} e join death d using (person_id) where e.{end} > d.death_date",
        )
        == 0
    )


def test_everybody_is_seen_and_periods_do_not_overlap(made):
    assert number(made, "select count(*) from person anti join observation_period using (person_id)") == 0
    assert (
        number(
            made,
            "select count(*) from observation_period where observation_period_start_date > observation_period_end_date",
        )
        == 0
    )
    overlapping = """
        select count(*) from observation_period a join observation_period b
        on a.person_id = b.person_id and a.observation_period_id < b.observation_period_id
        and a.observation_period_start_date <= b.observation_period_end_date
        and b.observation_period_start_date <= a.observation_period_end_date"""
    assert number(made, overlapping) == 0
    assert number(made, "select count(*) - count(distinct person_id) from observation_period") > 0


@pytest.mark.parametrize("table", KEYED)
def test_ids_are_unique(made, table):
    assert number(made, f"select count(*) - count(distinct {KEYED[table]}) from {table}") == 0


def test_every_concept_in_use_exists(made):
    columns = made.db.execute(
        "select table_name, column_name from information_schema.columns "
        "where column_name like '%concept_id%' and table_schema = 'main'"
    ).fetchall()
    checked = 0
    for table, column in columns:
        missing = f'select count(*) from "{table}" t anti join concept c on t."{column}" = c.concept_id where t."{column}" is not null'
        if column == "language_concept_id":
            continue
        assert number(made, missing) == 0, (table, column)
        checked += 1
    assert checked > 50


@pytest.mark.parametrize(
    "column", ["visit_occurrence_id", "provider_id", "care_site_id", "location_id", "person_id"]
)
def test_foreign_keys_lead_somewhere(made, column):
    home = {"visit_occurrence_id": "visit_occurrence", "person_id": "person"}.get(
        column, column.removesuffix("_id")
    )
    tables = made.db.execute(
        "select table_name from information_schema.columns where table_schema = 'main' and column_name = ?",
        [column],
    ).fetchall()
    for (table,) in tables:
        if table != home:
            assert (
                number(
                    made,
                    f'select count(*) from "{table}" t anti join {home} h using ({column}) where t.{column} is not null',
                )
                == 0
            ), table


def test_an_event_belongs_to_the_person_of_its_visit_and_starts_during_it(made):
    for table in (
        "condition_occurrence",
        "drug_exposure",
        "measurement",
        "procedure_occurrence",
        "observation",
    ):
        start = DATED[table][0]
        loose = f"""select count(*) from {table} e join visit_occurrence v using (visit_occurrence_id)
            where e.person_id <> v.person_id or e.{start} not between v.visit_start_date and v.visit_end_date"""
        assert number(made, loose) == 0, table


def test_numbers_have_units_and_ranges(made):
    assert (
        number(
            made,
            "select count(*) from measurement where (value_as_number is null) = (value_as_concept_id is null)",
        )
        == 0
    )
    assert (
        number(
            made,
            "select count(*) from measurement where value_as_number is not null and (unit_concept_id is null or range_low is null or range_high is null)",
        )
        == 0
    )
    assert (
        number(made, "select count(*) from measurement where isnan(value_as_number) or value_as_number < 0")
        == 0
    )
    assert (
        number(
            made,
            "select count(distinct unit_concept_id) from measurement group by measurement_concept_id order by 1 desc limit 1",
        )
        == 1
    )


PLAUSIBLE = [
    (3004249, 80, 220, 110, 150),
    (3038553, 12, 45, 20, 27),
    (3036277, 30, 205, 140, 172),
    (3016723, 0.2, 9, 0.7, 1.2),
    (3004410, 3.5, 11, 5.4, 7),
    (3000963, 4, 21, 12, 15),
]


@pytest.mark.parametrize(("concept", "least", "most", "low", "high"), PLAUSIBLE)
def test_values_are_plausible(made, concept, least, most, low, high):
    smallest, middle, largest = made.db.execute(
        "select min(value_as_number), median(value_as_number), max(value_as_number) from measurement where measurement_concept_id = ?",
        [concept],
    ).fetchall()[0]
    assert least <= smallest
    assert low <= middle <= high
    assert largest <= most


def test_drugs_have_a_supply(made):
    assert (
        number(
            made,
            "select count(*) from drug_exposure where days_supply < 1 or quantity < 1 or refills < 0 or refills is null",
        )
        == 0
    )
    late = "select count(*) from drug_exposure where drug_exposure_end_date > drug_exposure_start_date + days_supply::int - 1"
    assert number(made, late) == 0


def test_the_file_says_that_it_is_synthetic(made):
    source, description = made.db.execute(
        "select cdm_source_name, source_description from cdm_source"
    ).fetchall()[0]
    assert "Synthetic" in source
    assert "no real person" in description
    assert "no real person" in number(made, "select source from dure.dataset")
    assert "no real person" in made.truth["synthetic"]


def test_some_local_codes_have_no_standard_concept(made):
    share = number(made, "select avg((condition_concept_id = 0)::int) from condition_occurrence")
    assert 0 < share < 0.06
    assert (
        number(
            made,
            "select count(*) from condition_occurrence where condition_source_concept_id is null or condition_source_value is null",
        )
        == 0
    )


def test_the_truth_counts_the_rows(made):
    for table, rows in made.truth["rows"].items():
        assert number(made, f"select count(*) from {table}") == rows, table
    assert number(made, "select count(*) from person") == made.truth["recipe"]["persons"]
