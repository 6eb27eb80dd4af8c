"""A CSV's bytes to blocks of well-formed records, each with the number of the line on which it begins.

Responsible for: where a record ends (quotes, newlines within them), line numbers, blank lines, and lines that can't be
read as a record: a quote that is never closed, a NUL byte, bytes of no encoding, a line beyond all length.
Not responsible for: the number of fields or what is in them (`onboard.parse`).

A block in which every quote stands where RFC 4180 puts it is passed on as it is, found with a few array operations.
Any other block goes record by record through Python's `csv`, strictly; a record that it can't read loses its first line
only, which is reported, and reading goes on with the next: so one stray quote can't swallow what follows.
"""

import csv
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dure.onboard.encoding import UNREADABLE, Transcoder

BLOCK = 8 * 2**20
LONGEST = BLOCK
"""Bytes of the longest record. A longer one is taken for a quote that was never closed."""
SHOWN = 200

Lines = range | npt.NDArray[np.int64]
_QUOTE, _NEWLINE, _RETURN = 34, 10, 13


class Readable(Protocol):
    """What can be read piece by piece."""

    def read(self, size: int) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A record that was rejected whole. `column` is empty where the fault isn't a column's; `value` is shortened."""

    line: int
    column: str = ""
    value: str = ""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some records of a file.

    Attributes:
        data: the records as UTF-8 CSV, every quote in its place.
        lines: for each record in `data`, the line of the file on which it begins (the header is line 1).
        blank: which records in `data` are blank lines, by index; they are no rows.
        faults: records that were not fit to be in `data`.
        careful: whether every record went through `careful`.
    """

    data: bytes
    lines: Lines
    blank: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    faults: tuple[Fault, ...] = ()
    careful: bool = False


class Records:
    """Reads a stream whose header was taken off. `encoding` is known once the blocks are read."""

    def __init__(self, stream: Readable, *, delimiter: str, quoting: bool, head: bytes = b"") -> None:
        self._stream = stream
        self._delimiter = delimiter
        self._quoting = quoting
        self._head = head
        self._transcoder = Transcoder()
        self._line = 2

    @property
    def encoding(self) -> str:
        return self._transcoder.encoding

    def blocks(self) -> Iterator[Block]:
        """The file's records, in order."""
        tail = b""
        final = False
        while not final:
            piece = self._head or self._stream.read(BLOCK)
            self._head = b""
            final = not piece
            data = tail + self._transcoder.feed(piece, final=final)
            if len(data) > LONGEST and b"\n" not in data:
                final = yield from self._skip_line(data)
                tail = b""
                continue
            block, used = self._block(data, final=final)
            tail = data[used:]
            if block is not None:
                yield block

    def _block(self, data: bytes, *, final: bool) -> tuple[Block | None, int]:
        if not data:
            return None, 0
        if b"\0" in data:
            return self._careful(data, final=final)
        ends = record_ends(data, self._delimiter) if self._quoting and b'"' in data else None
        if ends is None and self._quoting and b'"' in data:
            return self._careful(data, final=final)
        if ends is None:
            return self._plain(data, final=final)
        cut = len(data) if final and ends.open_from is None else ends.cut
        if (final and ends.open_from is not None) or (cut == 0 and len(data) > LONGEST):
            return self._careful(data, final=final)
        if cut == 0:
            return None, 0
        starts = np.concatenate(([0], ends.ends[ends.ends < cut - 1] + 1))
        newlines = np.flatnonzero(np.frombuffer(data[:cut], np.uint8) == _NEWLINE)
        lines = self._line + np.searchsorted(newlines, starts)
        self._line += len(newlines)
        return Block(data=data[:cut], lines=lines, blank=_blank(data, starts, cut)), cut

    def _plain(self, data: bytes, *, final: bool) -> tuple[Block | None, int]:
        cut = len(data) if final else data.rfind(b"\n") + 1
        if cut == 0:
            return None, 0
        data = data[:cut]
        newlines = data.count(b"\n")
        records = newlines + (not data.endswith(b"\n"))
        lines = range(self._line, self._line + records)
        self._line += newlines
        blank = np.empty(0, np.int64)
        if data[:1] in b"\r\n" or b"\n\n" in data or b"\n\r" in data:
            ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
            starts = np.concatenate(([0], ends[ends < cut - 1] + 1))
            blank = _blank(data, starts, cut)
        return Block(data=data, lines=lines, blank=blank), cut

    def _careful(self, data: bytes, *, final: bool) -> tuple[Block, int]:
        block, used, lines = careful(
            data, self._line, delimiter=self._delimiter, quoting=self._quoting, final=final
        )
        self._line += lines
        return block, used

    def _skip_line(self, data: bytes) -> Generator[Block, None, bool]:
        """Pass over the rest of a line that is beyond all length; returns whether the file ended with it."""
        fault = Fault(
            line=self._line, value=_shown(data), reason=f"a line longer than {LONGEST // 2**20} MiB"
        )
        yield Block(data=b"", lines=range(0), faults=(fault,))
        self._line += 1
        while piece := self._stream.read(BLOCK):
            found = piece.find(b"\n")
            if found >= 0:
                self._head = piece[found + 1 :]
                return False
        return True


@dataclass(frozen=True, kw_only=True)
class Ends:
    """Where records end: the positions of their newlines, the byte after the last, and where an open quote stands."""

    ends: npt.NDArray[np.int64]
    cut: int
    open_from: int | None


def record_ends(data: bytes, delimiter: str) -> Ends | None:
    """The ends of the records in `data`, or None if a quote stands where RFC 4180 has none."""
    text = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    newlines = np.flatnonzero(text == _NEWLINE)
    outside = np.searchsorted(quotes, newlines) % 2 == 0
    ends = newlines[outside]
    cut = int(ends[-1]) + 1 if len(ends) else 0
    opening, closing = quotes[0::2], quotes[1::2]
    before = text[np.maximum(opening - 1, 0)]
    begins = (opening == 0) | np.isin(before, [ord(delimiter), _NEWLINE, _QUOTE])
    after = text[np.minimum(closing + 1, len(text) - 1)]
    stops = (closing == len(text) - 1) | np.isin(after, [ord(delimiter), _NEWLINE, _RETURN, _QUOTE])
    if not begins.all() or not stops.all():
        return None
    return Ends(ends=ends, cut=cut, open_from=int(opening[-1]) if len(quotes) % 2 else None)


def careful(
    data: bytes, first_line: int, *, delimiter: str, quoting: bool, final: bool
) -> tuple[Block, int, int]:
    """Read record by record.

    Args:
        data: UTF-8, beginning with a record.
        first_line: the line on which `data` begins.
        final: whether a record that is cut off by the end of `data` will never be whole.

    Returns:
        the block; how many bytes of `data` it covers; how many lines.
    """
    csv.field_size_limit(2**31 - 1)
    *lines, last = data.decode().split("\n")
    lines = [line + "\n" for line in lines]
    if final and last:
        lines.append(last)
    style = _Style(delimiter, quoting)
    out = StringIO()
    write = csv.writer(out, style)
    numbers: list[int] = []
    faults: list[Fault] = []
    feed = _Feed(lines)
    reader = csv.reader(feed, style)
    while feed.at < len(lines):
        start = feed.at
        try:
            row = next(reader)
            reason = _unfit(row)
        except csv.Error:
            cut_off = feed.at == len(lines) and sum(map(len, lines[start:])) < LONGEST
            if cut_off and not final:
                feed.at = start
                break
            row, reason = [], "a quote isn't closed, or a quote or carriage return stands where none belongs"
            feed.at = start + 1
            reader = csv.reader(feed, style)
        if reason:
            shown = lines[start].rstrip("\n").replace(UNREADABLE, "\ufffd").replace("\0", "")[:SHOWN]
            faults.append(Fault(line=first_line + start, value=shown, reason=reason))
        elif row:
            numbers.append(first_line + start)
            write.writerow(row)
    block = Block(
        data=out.getvalue().encode(), lines=np.array(numbers, np.int64), faults=tuple(faults), careful=True
    )
    return block, len("".join(lines[: feed.at]).encode()), feed.at


class _Feed:
    """Lines for a `csv.reader`, which can be set back."""

    def __init__(self, lines: list[str]) -> None:
        self.at = 0
        self._lines = lines

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        if self.at >= len(self._lines):
            raise StopIteration
        self.at += 1
        return self._lines[self.at - 1]


class _Style(csv.Dialect):
    lineterminator = "\n"
    doublequote = True
    skipinitialspace = False
    strict = True

    def __init__(self, delimiter: str, quoting: bool) -> None:
        self.delimiter = delimiter
        self.quotechar = '"' if quoting else None
        self.quoting = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
        super().__init__()


def _unfit(row: list[str]) -> str:
    text = "".join(row)
    if UNREADABLE in text:
        return "bytes that are no text in the file's encoding"
    return "a NUL byte" if "\0" in text else ""


def _blank(data: bytes, starts: npt.NDArray[np.int64], cut: int) -> npt.NDArray[np.int64]:
    text = np.frombuffer(data, np.uint8)
    lengths = np.diff(np.append(starts, cut))
    first = text[starts]
    empty = ((lengths == 1) & (first == _NEWLINE)) | (
        (lengths == 2) & (first == _RETURN) & (text[np.minimum(starts + 1, len(text) - 1)] == _NEWLINE)
    )
    return np.flatnonzero(empty)


def _shown(data: bytes) -> str:
    return data[: 4 * SHOWN].decode(errors="replace")[:SHOWN]
