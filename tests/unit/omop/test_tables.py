"""The tables of the CDM as data: counts known from the specification, and what each version has."""

import pytest

from dure.omop.tables import NECESSARY, VERSIONS, VOCABULARY_TABLES, ColumnType, renamed, tables


@pytest.mark.parametrize(("version", "count", "columns"), [("5.3", 38, 400), ("5.4", 39, 432)])
def test_every_table_of_the_specification_is_there(version: str, count: int, columns: int) -> None:
    model = tables(version)
    assert len(model) == count
    assert sum(len(table.columns) for table in model.values()) == columns


def test_versions_differ_where_the_specification_does() -> None:
    assert "episode" not in tables("5.3")
    assert "episode" in tables("5.4")
    assert "attribute_definition" not in tables("5.4")
    assert tables("5.3")["metadata"].key is None
    assert tables("5.4")["metadata"].key == "metadata_id"
    assert tables("5.3")["visit_occurrence"].column("admitting_source_value")
    assert tables("5.4")["visit_occurrence"].column("admitting_source_value") is None
    holder = {version: tables(version)["cdm_source"].column("cdm_holder") for version in VERSIONS}
    assert [column.required for column in holder.values() if column] == [False, True]


@pytest.mark.parametrize("version", VERSIONS)
def test_names_are_lower_case_and_unique_and_keys_may_not_be_empty(version: str) -> None:
    for name, table in tables(version).items():
        names = [column.name for column in table.columns]
        assert name == table.name == name.lower()
        assert len(set(names)) == len(names)
        assert all(column == column.lower() for column in names)
        if table.key:
            key = table.column(table.key)
            assert key is not None
            assert key.required


@pytest.mark.parametrize("version", VERSIONS)
def test_identifiers_of_rows_and_persons_are_integers(version: str) -> None:
    for table in tables(version).values():
        for column in table.columns:
            if column.name.endswith("_concept_id") or column.name in {"person_id", "visit_occurrence_id"}:
                assert column.type is ColumnType.INTEGER, (table.name, column.name)


@pytest.mark.parametrize("version", VERSIONS)
def test_another_name_of_a_column_leads_to_a_column_and_isnt_one(version: str) -> None:
    for (table, other), name in renamed(version).items():
        assert tables(version)[table].column(name)
        assert tables(version)[table].column(other) is None


def test_what_is_necessary_exists_in_both_versions() -> None:
    for version in VERSIONS:
        assert tables(version).keys() >= NECESSARY | VOCABULARY_TABLES


def test_an_unknown_version_is_an_error() -> None:
    with pytest.raises(KeyError):
        tables("6.0")
