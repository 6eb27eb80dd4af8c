"""What lies in a source: which files of a folder or zip hold which table, and how to open each.

Responsible for: names, suffixes, what is ignored and why, refusing archives that would do harm. Not responsible for: what
is inside a file.
"""

import gzip
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Self, cast

from dure.omop.tables import VERSIONS, tables
from dure.onboard.problems import FileUnreadable, SourceAmbiguous, SourceMissing, SourceNotACdm, SourceUnsafe

Format = Literal["csv", "csv.gz", "parquet"]
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "csv",
    ".csv.gz": "csv.gz",
    ".txt.gz": "csv.gz",
    ".tsv.gz": "csv.gz",
    ".parquet": "parquet",
}
MOST_RATIO = 500
RATIO_MATTERS_FROM = 64 * 2**20
_NAMES = frozenset(name for version in VERSIONS for name in tables(version))
_NUMBERED = re.compile(r"(?P<table>[a-z_]+?)[-_.]?(part)?[-_.]?\d+")


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One file of one table. `name` is as in the source, with `/` between folders; `size` is in bytes as stored."""

    name: str
    table: str
    format: Format
    size: int


class Source:
    """A folder or zip. Use as a context manager.

    Attributes:
        files: every file that holds a table, by table and then name.
        ignored: name of every other file, and why.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: list[SourceFile] = []
        self.ignored: dict[str, str] = {}
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            entries = {
                file.relative_to(path).as_posix(): file.stat().st_size
                for file in sorted(path.rglob("*"))
                if file.is_file()
            }
        elif path.is_file() and zipfile.is_zipfile(path):
            self._zip = zipfile.ZipFile(path)
            entries = _entries(self._zip, path)
        elif path.is_file():
            raise FileUnreadable(
                f"{path.name} is neither a folder nor a zip",
                where=str(path),
                mend="Give the folder that holds the CDM's files, or a zip of it.",
            )
        else:
            raise SourceMissing(f"There is nothing at {path}", where=str(path), mend="Check the path.")
        self._sort(entries)

    def of(self, table: str) -> list[SourceFile]:
        """The files of one table."""
        return [file for file in self.files if file.table == table]

    @contextmanager
    def open(self, file: SourceFile) -> Iterator["Bytes"]:
        """The file's bytes, decompressed.

        Raises:
            FileUnreadable: damaged, or encrypted. SourceUnsafe: it decompresses beyond all measure.
        """
        where = f"{self.path}: {file.name}"
        with ExitStack() as stack:
            with _readable(where):
                raw = stack.enter_context(self._raw(file))
                stream: IO[bytes] = raw
                if file.format == "csv.gz":
                    stream = cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=raw)))
            yield Bytes(stream, raw, where, most=max(RATIO_MATTERS_FROM, MOST_RATIO * file.size))

    def on_disk(self, file: SourceFile, folder: Path) -> Path:
        """A path at which the file can be read at any place: its own, or a copy in `folder` if it lies in a zip."""
        if self._zip is None:
            return self.path / file.name
        copy = folder / file.name.replace("/", "__")
        if copy.exists():
            return copy
        with self.open(file) as stream, copy.open("wb") as out:
            while piece := stream.read(2**22):
                out.write(piece)
        return copy

    def _raw(self, file: SourceFile) -> IO[bytes]:
        if self._zip is not None:
            return self._zip.open(file.name)
        return (self.path / file.name).open("rb")

    def close(self) -> None:
        """Give up the archive."""
        if self._zip is not None:
            self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _sort(self, entries: dict[str, int]) -> None:
        whole: dict[str, str] = {}
        for name, size in entries.items():
            parts = PurePosixPath(name).parts
            if "__MACOSX" in parts or any(part.startswith(".") for part in parts):
                self.ignored[name] = "hidden file"
                continue
            stem, format_ = _suffix(parts[-1])
            if format_ is None:
                self.ignored[name] = "neither CSV, CSV.gz nor Parquet"
                continue
            table, is_part = _table(stem, parts[-2] if len(parts) > 1 else "")
            if table is None:
                self.ignored[name] = "no table of the CDM has this name"
                continue
            if not is_part and table in whole:
                raise SourceAmbiguous(
                    f"{whole[table]} and {name} both hold the table {table}",
                    where=f"{self.path}: {name}",
                    mend="Leave one of them; parts of one table are numbered, as in measurement_1.csv.",
                )
            if not is_part:
                whole[table] = name
            self.files.append(SourceFile(name=name, table=table, format=format_, size=size))
        self.files.sort(key=lambda file: (file.table, _natural(file.name)))
        if not self.files:
            raise SourceNotACdm(
                f"No file in {self.path.name} has the name of a CDM table",
                where=str(self.path),
                mend="Name the files after their tables, such as person.csv or MEASUREMENT.parquet.",
            )


def _entries(archive: zipfile.ZipFile, path: Path) -> dict[str, int]:
    entries: dict[str, int] = {}
    for info in archive.infolist():
        if info.is_dir():
            continue
        name = info.filename
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name):
            raise _unsafe(path, "an entry's name leads outside the archive", "Zip the folder again.")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _unsafe(path, f"{name} is a link", "Zip the files themselves.")
        if info.file_size > RATIO_MATTERS_FROM and info.file_size > MOST_RATIO * max(info.compress_size, 1):
            raise _unsafe(path, f"{name} unpacks to over {MOST_RATIO} times its size", "Zip the real file.")
        if name in entries:
            raise _unsafe(path, f"{name} is in it twice", "Zip the folder again.")
        entries[name] = info.file_size
    return entries


def _unsafe(path: Path, why: str, mend: str) -> SourceUnsafe:
    return SourceUnsafe(f"{path.name} isn't opened: {why}", where=str(path), mend=mend)


def _suffix(name: str) -> tuple[str, Format | None]:
    lower = name.lower()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if lower.endswith(suffix):
            return lower.removesuffix(suffix), SUFFIXES[suffix]
    return lower, None


def _table(stem: str, folder: str) -> tuple[str | None, bool]:
    """Which table a file holds, and whether as one part of many: `person`, `measurement_2`, `measurement/part-0001`."""
    if stem in _NAMES:
        return stem, False
    numbered = _NUMBERED.fullmatch(stem)
    if numbered and numbered["table"] in _NAMES:
        return numbered["table"], True
    if folder.lower() in _NAMES:
        return folder.lower(), True
    return None, False


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


class Bytes:
    """A stream that explains what is wrong with its file, and stops when it unpacks to more than `most` bytes.

    `digest` is the SHA-256 of what was read.
    """

    def __init__(self, stream: IO[bytes], raw: IO[bytes], where: str, *, most: int) -> None:
        self.digest = sha256()
        self._stream = stream
        self._raw = raw
        self._where = where
        self._left = most

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        with _readable(self._where):
            piece = self._stream.read(size)
        self.digest.update(piece)
        self._left -= len(piece)
        if self._left < 0:
            raise SourceUnsafe(
                f"A file unpacks to over {MOST_RATIO} times its size",
                where=self._where,
                mend="Export the real file again.",
            )
        return piece

    def position(self) -> int:
        """How much of the file as stored was read, in bytes."""
        return self._raw.tell()


@contextmanager
def _readable(where: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, OSError) as error:
        raise FileUnreadable(
            f"A file is damaged or can't be read ({type(error).__name__})",
            where=where,
            mend="Export the file again, or check that it was copied whole and isn't encrypted.",
        ) from error
