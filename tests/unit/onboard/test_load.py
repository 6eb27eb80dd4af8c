"""A load as a whole: the account, the rejects file, and leaving nothing half-done."""

import gzip
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow.csv import read_csv
from pyarrow.parquet import read_table, write_table

from dure.engines import open_engine
from dure.engines.problems import DiskFull, OutputExists
from dure.onboard import parse, reading, records
from dure.onboard.account import Account, TableAccount
from dure.onboard.load import Progress, load
from dure.onboard.problems import (
    ColumnMissing,
    FileUnreadable,
    NobodyThere,
    RowsRejected,
    SourceAmbiguous,
    SourceNotACdm,
)

Load = Callable[..., Account]
Rejected = Callable[[], list[tuple[object, ...]]]
Of = Callable[[Account, str], TableAccount]


def people(out: Path) -> list[tuple[int, str | None]]:
    from sqlglot import exp

    with open_engine(str(out)) as engine:
        rows = engine.query(
            exp.select("person_id", "person_source_value").from_("person").order_by("person_id")
        )
    return list(zip(*rows.to_pydict().values(), strict=True))


def test_a_clean_source(loaded: Load, out: Path, rejected: Rejected, of: Of) -> None:
    account = loaded()
    assert (of(account, "person").read, of(account, "person").loaded, account.rejected) == (3, 3, 0)
    assert account.rejects is None
    assert rejected() == []
    assert people(out) == [(1, "a"), (2, "b"), (3, "c")]
    with open_engine(str(out)) as engine:
        assert engine.dataset == account.dataset
    assert account.dataset.persons == 3
    assert str(account.dataset.first_date) == "2019-01-01"
    assert str(account.dataset.last_date) == "2021-12-31"
    assert "condition_era is empty: questions about condition eras will find nobody" in account.notes
    assert sorted(path.name for path in out.parent.iterdir()) == ["hospital.duckdb"]


def test_the_version_names_the_content(source: Path, loaded: Load) -> None:
    first = loaded().dataset.version
    assert loaded(force=True).dataset.version == first
    with (source / "person.csv").open("a") as file:
        file.write("4,8507,1950,0,0,d\n")
    assert loaded(force=True).dataset.version != first


def test_zip_gzip_tabs_and_parquet_give_the_same(source: Path, out: Path, of: Of) -> None:
    person = read_csv(source / "person.csv")
    (source / "person.csv").unlink()
    write_table(person, source / "Person.parquet", row_group_size=2)
    period = (source / "observation_period.csv").read_bytes()
    (source / "observation_period.csv").unlink()
    (source / "OBSERVATION_PERIOD.csv.gz").write_bytes(gzip.compress(period))
    concept = (source / "concept.csv").read_text()
    (source / "concept.csv").write_text(concept.replace(",", "\t").replace("2 diabetes", '2 "diabetes"'))
    packed = out.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w") as archive:
        for file in source.iterdir():
            archive.write(file, f"cdm/{file.name}")
    for place in (source, packed):
        account = load(place, out, force=True)
        assert [(line.table, line.read, line.loaded) for line in account.tables] == [
            ("person", 3, 3),
            ("observation_period", 3, 3),
            ("concept", 1, 1),
            ("concept_ancestor", 1, 1),
        ]
        assert people(out) == [(1, "a"), (2, "b"), (3, "c")]


def test_rows_of_parquet_are_named_by_number(source: Path, loaded: Load, rejected: Rejected) -> None:
    person = read_csv(source / "person.csv")
    (source / "person.csv").unlink()
    years = pa.array([1980, None, 2000])
    at = person.column_names.index("year_of_birth")
    write_table(person.set_column(at, "year_of_birth", years), source / "person.parquet")
    assert loaded().rejected == 1
    assert rejected() == [("person.parquet", 2, "year_of_birth", "", "required, and empty")]


def test_parts_of_a_table_are_read_in_order_and_share_their_keys(
    source: Path, loaded: Load, rejected: Rejected
) -> None:
    text = (source / "person.csv").read_text()
    (source / "person.csv").rename(source / "person_1.csv")
    (source / "person_2.csv").write_text(text.replace("1,8507", "7,8507"))
    account = loaded()
    assert account.tables[0].files == ("person_1.csv", "person_2.csv")
    assert (account.tables[0].read, account.tables[0].loaded, account.tables[0].rejected) == (6, 4, 2)
    assert rejected() == [
        ("person_2.csv", 3, "person_id", "2", "person_id was on person_1.csv line 3 already"),
        ("person_2.csv", 4, "person_id", "3", "person_id was on person_1.csv line 4 already"),
    ]


def test_doubles_are_found_behind_rejected_rows_and_newlines(
    source: Path, loaded: Load, rejected: Rejected
) -> None:
    with (source / "person.csv").open("a") as file:
        file.write('x,8507,1950,0,0,d\n5,8507,1950,0,0,"two\nlines"\n4,8507,1950,0,0,e\n5,8507,1950,0,0,f\n')
    loaded()
    assert rejected() == [
        ("person.csv", 5, "person_id", "x", "not a whole number"),
        ("person.csv", 9, "person_id", "5", "person_id was on line 6 already"),
    ]


def test_text_keys_are_checked_too(source: Path, loaded: Load, rejected: Rejected) -> None:
    (source / "domain.csv").write_text(
        "domain_id,domain_name,domain_concept_id\nDrug,Drug,13\nA,A,1\nDrug,Drug,13\n"
    )
    loaded()
    assert rejected() == [("domain.csv", 4, "domain_id", "Drug", "domain_id was on line 2 already")]


def test_a_bad_date_far_down_is_named_by_its_line(
    source: Path, loaded: Load, rejected: Rejected, of: Of, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BLOCK", 50_000)
    monkeypatch.setattr(reading, "BLOCK", 50_000)
    lines = [f"{number},1,2020-01-01,2020-12-31,0" for number in range(40_000)]
    lines[33_333] = "33333,1,2020-02-30,2020-12-31,0"
    header = (source / "observation_period.csv").read_text().splitlines()[0]
    (source / "observation_period.csv").write_text("\n".join([header, *lines]))
    account = loaded()
    assert of(account, "observation_period").read == 40_000
    assert of(account, "observation_period").loaded == 39_999
    assert rejected() == [
        (
            "observation_period.csv",
            33_335,
            "observation_period_start_date",
            "2020-02-30",
            "no such day or time",
        )
    ]


def test_cp949_is_turned_and_said(source: Path, loaded: Load, out: Path, of: Of) -> None:
    text = (source / "person.csv").read_text().replace(",a\n", ",서울\n").replace(",b\n", ",부산\n")
    (source / "person.csv").write_bytes(text.encode("cp949"))
    assert of(loaded(), "person").notes == ("written in CP949; turned to UTF-8",)
    assert people(out) == [(1, "서울"), (2, "부산"), (3, "c")]
    (source / "person.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert of(loaded(force=True), "person").notes == ()
    assert people(out) == [(1, "서울"), (2, "부산"), (3, "c")]


def test_rows_of_unknown_persons_are_said(source: Path, loaded: Load) -> None:
    with (source / "observation_period.csv").open("a") as file:
        file.write("9,99,2020-01-01,2020-12-31,0\n")
    assert "observation_period: 1 row is of persons whom person doesn't have" in loaded().notes


def test_a_table_of_the_other_version_is_left_aside(source: Path, loaded: Load) -> None:
    (source / "episode.csv").write_text("episode_id\n")
    (source / "sales.csv").write_text("a\n")
    account = loaded(cdm_version="5.3")
    assert account.ignored == {
        "episode.csv": "the table belongs to CDM 5.4, and this is loaded as 5.3",
        "sales.csv": "no table of the CDM has this name",
    }


def test_strict_makes_no_database_and_keeps_the_rejects(
    source: Path, loaded: Load, out: Path, rejected: Rejected
) -> None:
    with (source / "person.csv").open("a") as file:
        file.write("x,8507,1950,0,0,d\n")
    with pytest.raises(RowsRejected, match="1 of 4 rows of person"):
        loaded(strict=True)
    assert not out.exists()
    assert len(rejected()) == 1
    assert loaded(strict=True, most_rejected=0.25, force=True).rejected == 1


def test_the_rejects_file_can_be_parquet_is_private_and_never_stale(
    source: Path, loaded: Load, tmp_path: Path
) -> None:
    rejects = tmp_path / "bad.parquet"
    clean = (source / "person.csv").read_text()
    (source / "person.csv").write_text(clean + "x,8507,1950,0,0,d\n")
    assert loaded(rejects=rejects).rejects == rejects
    assert read_table(rejects).schema.names == ["file", "line", "column", "value", "reason"]
    assert rejects.stat().st_mode & 0o077 == 0
    (source / "person.csv").write_text(clean)
    assert loaded(rejects=rejects, force=True).rejects is None
    assert not rejects.exists()


def test_nothing_is_replaced_unasked(loaded: Load, out: Path) -> None:
    loaded()
    with pytest.raises(OutputExists):
        loaded()
    out.unlink()
    out.with_suffix(".rejects.csv").write_text("mine")
    with pytest.raises(OutputExists, match="rejects"):
        loaded()


def test_progress_ends_at_the_end(loaded: Load) -> None:
    seen: list[Progress] = []
    loaded(progress=seen.append)
    assert [at.done for at in seen] == sorted(at.done for at in seen)
    assert seen[-1].done == seen[-1].total


def spoil(name: str, text: str | None) -> Callable[[Path], None]:
    def change(source: Path) -> None:
        if text is None:
            (source / name).unlink()
        else:
            (source / name).write_text(text)

    return change


@pytest.mark.parametrize(
    ("change", "problem", "words"),
    [
        (spoil("person.csv", None), SourceNotACdm, "person"),
        (spoil("concept_ancestor.csv", None), SourceNotACdm, "concept_ancestor"),
        (spoil("person.csv", "person_id,gender_concept_id\n"), ColumnMissing, "year_of_birth"),
        (spoil("person.csv", ""), FileUnreadable, "header"),
        (spoil("person.parquet", "PAR1 not"), SourceAmbiguous, "person.parquet"),
        (spoil("death.parquet", "not parquet"), FileUnreadable, "Parquet"),
        (spoil("death.csv.gz", "not gzip"), FileUnreadable, "damaged"),
        (
            spoil(
                "person.csv",
                "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id\n",
            ),
            NobodyThere,
            "empty",
        ),
        (
            spoil(
                "person.csv",
                "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id\nx,1,1,1,1\n",
            ),
            NobodyThere,
            "No row",
        ),
    ],
)
def test_a_source_that_is_none_leaves_nothing(
    source: Path,
    loaded: Load,
    out: Path,
    change: Callable[[Path], None],
    problem: type[Exception],
    words: str,
) -> None:
    change(source)
    with pytest.raises(problem, match=words):
        loaded()
    assert list(out.parent.iterdir()) == []


def test_utf16_is_named(source: Path, loaded: Load) -> None:
    (source / "person.csv").write_bytes((source / "person.csv").read_text().encode("utf-16"))
    with pytest.raises(FileUnreadable, match="UTF-16"):
        loaded()


def test_a_fault_of_ours_in_the_middle_leaves_nothing(
    loaded: Load, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(parse.Parser, "block", fail)
    with pytest.raises(MemoryError):
        loaded()
    assert list(out.parent.iterdir()) == []


FULL = """
import resource, signal, sys
from pathlib import Path
from dure.engines.problems import DiskFull
from dure.onboard.load import load
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
try:
    load(Path(sys.argv[1]), Path(sys.argv[2]), threads=1)
except DiskFull as problem:
    print(problem)
    sys.exit(problem.exit_code)
"""


@pytest.mark.parametrize(
    "line", ["x,8507,1950,0,0,d", "{},8507,1950,0,0,{}"], ids=["rejects file", "database"]
)
def test_a_full_disk_leaves_nothing(source: Path, out: Path, line: str) -> None:
    numbers = [(at * 2_654_435_761 % 2**61, at * 40_503**4 % 2**61) for at in range(200_000)]
    with (source / "person.csv").open("a") as file:
        file.writelines(line.format(*pair) + "\n" for pair in numbers)
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(source), str(out)], capture_output=True, text=True, check=False
    )
    assert run.returncode == DiskFull.exit_code, run.stderr
    assert "Free some room" in run.stdout
    assert list(out.parent.iterdir()) == []
