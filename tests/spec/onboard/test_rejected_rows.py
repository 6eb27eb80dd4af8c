"""What is rejected, with which reason and on which line. Each row of the table is one spoiled line of a person file."""

from pathlib import Path

import pytest
from pyarrow.csv import read_csv

from dure.onboard.load import load

HEADER = b"person_id,gender_concept_id,year_of_birth,birth_datetime,race_concept_id,ethnicity_concept_id,person_source_value\n"
GOOD = b"%d,8507,1980,1980-05-06 00:00:00,0,0,ok\n"
OTHERS = {
    "observation_period.csv": b"observation_period_id,person_id,observation_period_start_date,observation_period_end_date,"
    b"period_type_concept_id\n1,1,2020-01-01,2020-12-31,0\n",
    "concept.csv": b"concept_id,concept_name,domain_id,vocabulary_id,concept_class_id,concept_code,valid_start_date,"
    b"valid_end_date\n",
    "concept_ancestor.csv": b"ancestor_concept_id,descendant_concept_id,min_levels_of_separation,max_levels_of_separation\n",
}

REJECTED = [
    # what, the line, column, reason
    ("too few fields", b"7,8507,1980\n", "", "3 fields, fewer than the header's 7"),
    ("too many fields", b"7,8507,1980,,0,0,a,b\n", "", "8 fields, more than the header's 7"),
    ("a line of blanks", b"   \n", "", "1 fields, fewer than the header's 7"),
    ("open quote", b'7,8507,1980,,0,0,"a\n', "", "a quote isn't closed"),
    ("text after a quote", b'7,8507,1980,,0,0,"a"b\n', "", "a quote isn't closed"),
    ("lone carriage return", b"7,8507,1980,,0,0,a\rb\n", "", "carriage return"),
    ("NUL byte", b"7,8507,1980,,0,0,a\0b\n", "", "a NUL byte"),
    ("no text", b"7,8507,1980,,0,0,\xff\xfe\n", "", "bytes that are no text"),
    ("no id", b",8507,1980,,0,0,a\n", "person_id", "required, and empty"),
    ("NULL written out", b"7,NULL,1980,,0,0,a\n", "gender_concept_id", "required, and empty"),
    ("NA written out", b"7,NA,1980,,0,0,a\n", "gender_concept_id", "required, and empty"),
    ("decimals in an id", b"7.5,8507,1980,,0,0,a\n", "person_id", "this has decimals"),
    ("an exponent in an id", b"7e3,8507,1980,,0,0,a\n", "person_id", "not a whole number"),
    ("a name for an id", b"Kim,8507,1980,,0,0,a\n", "person_id", "not a whole number"),
    ("an id beyond 64 bits", b"9223372036854775808,8507,1980,,0,0,a\n", "person_id", "beyond 64 bits"),
    ("an id below 64 bits", b"-9223372036854775809,8507,1980,,0,0,a\n", "person_id", "beyond 64 bits"),
    ("an id through a float", b"9007199254740993.0,8507,1980,,0,0,a\n", "person_id", "went through a float"),
    ("no such day", b"7,8507,1980,1981-02-29 00:00:00,0,0,a\n", "birth_datetime", "no such day"),
    ("no such hour", b"7,8507,1980,1981-02-28 24:00:00,0,0,a\n", "birth_datetime", "no such day or time"),
    ("another order", b"7,8507,1980,06/05/1980,0,0,a\n", "birth_datetime", "not a date"),
    ("before Gregory", b"7,8507,1980,1582-10-14,0,0,a\n", "birth_datetime", "outside 1582-10-15"),
    ("far future", b"7,8507,1980,2300-01-01,0,0,a\n", "birth_datetime", "outside 1582-10-15"),
    ("an id that is there", b"1,8507,1980,,0,0,a\n", "person_id", "person_id was on line 2 already"),
]

ACCEPTED = [
    ("a large id", b"9223372036854775807,8507,1980,,0,0,a\n", 9223372036854775807),
    ("an id as pandas writes it", b"7.0,8507.0,1980.0,,0,0,a\n", 7),
    ("blanks around a number", b" 7 ,8507,1980,,0,0,a\n", 7),
    ("quotes within quotes", b'7,8507,1980,,0,0,"say ""hi"""\n', 7),
    ("a newline within quotes", b'7,8507,1980,,0,0,"two\nlines"\n', 7),
    ("a quote within plain text", b'7,8507,1980,,0,0,5" tall\n', 7),
    ("a day for a datetime", b"7,8507,1980,1980-05-06,0,0,a\n", 7),
    ("Athena's day", b"7,8507,1980,19800506,0,0,a\n", 7),
    ("a zone", b"7,8507,1980,1980-05-06 10:00:00+09,0,0,a\n", 7),
    ("seven decimals of a second", b"7,8507,1980,1980-05-06T10:00:00.1234567,0,0,a\n", 7),
]


def _load(tmp_path: Path, lines: bytes) -> tuple[object, list[dict[str, object]]]:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "person.csv").write_bytes(HEADER + lines)
    for name, text in OTHERS.items():
        (folder / name).write_bytes(text)
    account = load(folder, tmp_path / "x.duckdb", threads=1)
    person = account.tables[0]
    rejects = tmp_path / "x.rejects.csv"
    return person, read_csv(rejects).to_pylist() if rejects.exists() else []


@pytest.mark.parametrize(
    ("line", "column", "reason"), [row[1:] for row in REJECTED], ids=[row[0] for row in REJECTED]
)
@pytest.mark.parametrize("place", ["between good lines", "last", "last without newline"])
def test_rejected(tmp_path: Path, place: str, line: bytes, column: str, reason: str) -> None:
    lines = GOOD % 1 + GOOD % 2 + line + GOOD % 3
    if place != "between good lines":
        lines = GOOD % 1 + GOOD % 2 + GOOD % 3 + (line if place == "last" else line.removesuffix(b"\n"))
    person, rejects = _load(tmp_path, lines)
    assert (person.read, person.loaded, person.rejected) == (4, 3, 1)  # type: ignore[attr-defined]
    (reject,) = rejects
    assert reject["file"] == "person.csv"
    assert reject["line"] == (4 if place == "between good lines" else 5)
    assert (reject["column"] or "") == column
    assert reason in str(reject["reason"])


@pytest.mark.parametrize(
    ("line", "person_id"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED]
)
def test_accepted(tmp_path: Path, line: bytes, person_id: int) -> None:
    import duckdb

    person, rejects = _load(tmp_path, GOOD % 1 + line + b"\n\r\n" + GOOD % 3 + b"bad\n" + b"\n")
    assert (person.read, person.loaded, person.rejected) == (4, 3, 1)  # type: ignore[attr-defined]
    assert rejects[0]["line"] == 3 + line.count(b"\n") + 3, (
        "the line after is counted right, blank lines and all"
    )
    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as connection:
        ids = connection.execute("SELECT person_id FROM person ORDER BY rowid").fetchall()
    assert ids == [(1,), (person_id,), (3,)]
