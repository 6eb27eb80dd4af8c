"""Headers in the wild."""

import pytest

from dure.omop.tables import tables
from dure.onboard.header import arrange, split
from dure.onboard.problems import ColumnMissing, FileUnreadable, SourceAmbiguous

PERSON = tables("5.4")["person"]
REQUIRED = ["person_id", "gender_concept_id", "year_of_birth", "race_concept_id", "ethnicity_concept_id"]


@pytest.mark.parametrize(
    ("line", "names", "delimiter", "quoting"),
    [
        ("a,b,c\r\n", ["a", "b", "c"], ",", True),
        ("\ufeffa,b\n", ["a", "b"], ",", True),
        ('"a","date(b,\'x\')"\n', ["a", "date(b,'x')"], ",", True),
        ("a\tb\n", ["a", "b"], "\t", False),
        ('"a"\t"b"\n', ["a", "b"], "\t", True),
        ("a;b;c\n", ["a", "b", "c"], ";", True),
        ("a|b|c\n", ["a", "b", "c"], "|", True),
    ],
)
def test_split(line: str, names: list[str], delimiter: str, quoting: bool) -> None:
    assert split(line, "x.csv") == (names, delimiter, quoting)


def test_a_file_without_a_header() -> None:
    with pytest.raises(FileUnreadable, match="header"):
        split("\n", "x.csv")


def test_case_order_and_blanks_dont_matter() -> None:
    layout = arrange(
        [" Race_Concept_ID", *(name.upper() for name in REQUIRED if name != "race_concept_id")],
        PERSON,
        version="5.4",
        where="x",
    )
    assert [column.name for column in layout.columns if column][:2] == ["race_concept_id", "person_id"]
    assert layout.notes == ()


def test_a_name_within_an_expression_is_understood_and_said() -> None:
    layout = arrange([*REQUIRED, "date(birth_datetime,'unixepoch')"], PERSON, version="5.4", where="x")
    assert layout.columns[-1] == PERSON.column("birth_datetime")
    assert "birth_datetime" in layout.notes[0]


def test_an_expression_over_two_columns_isnt_guessed() -> None:
    layout = arrange([*REQUIRED, "coalesce(month_of_birth, day_of_birth)"], PERSON, version="5.4", where="x")
    assert layout.columns[-1] is None
    assert "unknown" in layout.notes[0]


def test_the_other_versions_names_are_understood() -> None:
    visit = tables("5.3")["visit_occurrence"]
    names = [column.name for column in visit.columns if column.required] + ["admitted_from_concept_id"]
    layout = arrange(names, visit, version="5.3", where="x")
    assert layout.columns[-1] == visit.column("admitting_source_concept_id")


def test_columns_of_the_other_version_are_left_out_and_said() -> None:
    measurement = tables("5.3")["measurement"]
    names = [column.name for column in measurement.columns] + ["unit_source_concept_id", "shoe_size"]
    notes = arrange(names, measurement, version="5.3", where="x").notes
    assert notes == (
        "columns of CDM 5.4 left out: unit_source_concept_id",
        "unknown columns left out: shoe_size",
    )


def test_a_missing_column_is_named_with_its_file() -> None:
    with pytest.raises(ColumnMissing, match="year_of_birth") as caught:
        arrange(
            [name for name in REQUIRED if name != "year_of_birth"],
            PERSON,
            version="5.4",
            where="export/person.csv",
        )
    assert caught.value.where == "export/person.csv"


def test_two_fields_for_one_column() -> None:
    with pytest.raises(SourceAmbiguous, match="person_id"):
        arrange([*REQUIRED, "PERSON_ID"], PERSON, version="5.4", where="x")
