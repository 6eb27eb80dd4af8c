"""What lies in a source, and archives that mean harm."""

import gzip
import stat
import zipfile
from pathlib import Path

import pytest

from dure.onboard.problems import FileUnreadable, SourceAmbiguous, SourceMissing, SourceNotACdm, SourceUnsafe
from dure.onboard.source import Source


def zipped(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_names_suffixes_and_parts(tmp_path: Path) -> None:
    for name in (
        "PERSON.CSV",
        "sub/Death.csv.gz",
        "measurement_10.csv",
        "measurement_9.csv",
        "observation/part-0001.parquet",
        "concept.tsv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("readme.md", "sales.csv", ".hidden.csv", "__MACOSX/._person.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with Source(tmp_path) as source:
        assert [(file.table, file.name) for file in source.files] == [
            ("concept", "concept.tsv"),
            ("death", "sub/Death.csv.gz"),
            ("measurement", "measurement_9.csv"),
            ("measurement", "measurement_10.csv"),
            ("observation", "observation/part-0001.parquet"),
            ("person", "PERSON.CSV"),
        ]
        assert source.ignored == {
            ".hidden.csv": "hidden file",
            "__MACOSX/._person.csv": "hidden file",
            "readme.md": "neither CSV, CSV.gz nor Parquet",
            "sales.csv": "no table of the CDM has this name",
        }


def test_two_files_for_one_table(tmp_path: Path) -> None:
    (tmp_path / "person.csv").touch()
    (tmp_path / "PERSON.parquet").touch()
    with pytest.raises(SourceAmbiguous, match="person"):
        Source(tmp_path)


def test_nothing_there_and_nothing_in_it(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing):
        Source(tmp_path / "absent")
    with pytest.raises(SourceNotACdm):
        Source(tmp_path)
    (tmp_path / "x.csv").write_text("a\n")
    with pytest.raises(FileUnreadable, match="neither"):
        Source(tmp_path / "x.csv")


@pytest.mark.parametrize(
    "name", ["../person.csv", "/person.csv", "a/../../person.csv", "C:\\person.csv", "..\\person.csv"]
)
def test_a_name_that_leads_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceUnsafe, match="outside"):
        Source(zipped(tmp_path / "x.zip", {name: b"a\n"}))


def test_a_link(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        info = zipfile.ZipInfo("person.csv")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(SourceUnsafe, match="link"):
        Source(tmp_path / "x.zip")


def test_bombs(tmp_path: Path) -> None:
    zeros = b"0" * (100 * 2**20)
    with pytest.raises(SourceUnsafe, match="500 times"):
        Source(zipped(tmp_path / "x.zip", {"person.csv": zeros}))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "person.csv.gz").write_bytes(gzip.compress(zeros))
    with (
        Source(tmp_path / "folder") as source,
        source.open(source.files[0]) as stream,
        pytest.raises(SourceUnsafe),
    ):
        while stream.read(2**20):
            pass


def test_an_entry_that_is_there_twice(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("person.csv", "a")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("person.csv", "b")
    with pytest.raises(SourceUnsafe, match="twice"):
        Source(tmp_path / "x.zip")


def test_a_damaged_gzip(tmp_path: Path) -> None:
    whole = gzip.compress(b"person_id\n" + bytes(range(256)) * 1000)
    (tmp_path / "person.csv.gz").write_bytes(whole[: len(whole) // 2])
    with (
        Source(tmp_path) as source,
        source.open(source.files[0]) as stream,
        pytest.raises(FileUnreadable, match="damaged"),
    ):
        while stream.read(2**16):
            pass
