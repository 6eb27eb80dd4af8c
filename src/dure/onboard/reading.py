"""Reading one file of a source: its header, then its rows block by block, several blocks at a time.

Responsible for: CSV (plain or gzip) and Parquet giving the same `Rows`. Not responsible for: what becomes of the rows.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from dure.onboard.header import Layout, split
from dure.onboard.parse import Parser, Rows
from dure.onboard.problems import FileUnreadable
from dure.onboard.records import BLOCK, Records
from dure.onboard.source import Bytes, Source, SourceFile

AHEAD = 4
"""Blocks that are parsed while one is written: bounds memory to about this many times 50 MB."""
BATCH = 131_072
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True)
class Head:
    """A file's column names as written, and how its fields are told apart (CSV only)."""

    names: list[str]
    delimiter: str = ","
    quoting: bool = True


@dataclass(kw_only=True)
class Reading:
    """One file being read; `digest` and `notes` are complete once `rows` is exhausted."""

    source: Source
    file: SourceFile
    layout: Layout
    spool: Path
    digest: str = ""
    notes: list[str] = field(default_factory=list)

    def rows(self, pool: Executor) -> Iterator[tuple[Rows, int]]:
        """The file's rows in order, with how many bytes of it (as stored) were read so far."""
        parser = Parser(file=self.file.name, layout=self.layout)
        if self.file.format == "parquet":
            return self._parquet(parser)
        return self._csv(parser, pool)

    def _csv(self, parser: Parser, pool: Executor) -> Iterator[tuple[Rows, int]]:
        with self.source.open(self.file) as stream:
            _, rest = _first_line(stream)
            records = Records(stream, delimiter=self.layout.delimiter, quoting=self.layout.quoting, head=rest)
            waiting: deque[Future[Rows]] = deque()
            for block in records.blocks():
                waiting.append(pool.submit(parser.block, block))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result(), stream.position()
            for future in waiting:
                yield future.result(), stream.position()
            self.digest = stream.digest.hexdigest()
            if records.encoding == "cp949":
                self.notes.append("written in CP949; turned to UTF-8")

    def _parquet(self, parser: Parser) -> Iterator[tuple[Rows, int]]:
        path = self.source.on_disk(self.file, self.spool)
        at = 1
        with _parquet(path, self.file.name) as parquet:
            total = max(parquet.metadata.num_rows, 1)
            for batch in _batches(parquet, self.file.name):
                table = pa.Table.from_batches([batch])
                table = table.rename_columns([f"c{index}" for index in range(table.num_columns)])
                try:
                    rows = parser.rows(table, range(at, at + table.num_rows))
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
                    raise _damaged(self.file.name, "a column's type is none that the CDM has") from error
                at += table.num_rows
                yield rows, self.file.size * (at - 1) // total
        with path.open("rb") as stream:
            digest = sha256()
            while piece := stream.read(BLOCK):
                digest.update(piece)
        self.digest = digest.hexdigest()


def head(source: Source, file: SourceFile, spool: Path) -> Head:
    """A file's column names.

    Raises:
        FileUnreadable: no header, damaged, or UTF-16.
    """
    if file.format == "parquet":
        with _parquet(source.on_disk(file, spool), file.name) as parquet:
            return Head(names=list(parquet.schema_arrow.names))
    with source.open(file) as stream:
        line, _ = _first_line(stream)
    if line.startswith(_UTF16):
        raise FileUnreadable(
            "The file is UTF-16, which no CDM tool reads",
            where=file.name,
            mend="Export it as UTF-8 (in Excel: CSV UTF-8).",
        )
    names, delimiter, quoting = split(line.decode(errors="replace"), file.name)
    return Head(names=names, delimiter=delimiter, quoting=quoting)


def _first_line(stream: Bytes) -> tuple[bytes, bytes]:
    piece = stream.read(BLOCK)
    line, newline, rest = piece.partition(b"\n")
    return line + newline, rest


def _parquet(path: Path, name: str) -> Any:
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(name, "it isn't Parquet") from error


def _batches(parquet: Any, name: str) -> Iterator[pa.RecordBatch]:
    """One row group at a time: asked for all at once, Arrow decodes far ahead of what is written."""
    for group in range(parquet.metadata.num_row_groups):
        batches = parquet.iter_batches(BATCH, row_groups=[group])
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowInvalid, OSError) as error:
                raise _damaged(name, type(error).__name__) from error
            if batch is None:
                break
            yield batch


def _damaged(name: str, why: str) -> FileUnreadable:
    return FileUnreadable(
        f"A Parquet file can't be read: {why}",
        where=name,
        mend="Export it again, or as CSV, and check its columns.",
    )
