"""Records to rows of a table: good rows converted, bad ones named by line, column and reason.

Responsible for: the number of fields, converting each column, columns that may not be empty; read = good + bad, always.
Not responsible for: where records end (`onboard.records`), rules across rows (`onboard.keys`), writing anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from dure.omop.tables import Column, ColumnType
from dure.onboard.header import Layout
from dure.onboard.records import SHOWN, Block, Fault, Lines, careful
from dure.onboard.values import ARROW_TYPES, EMPTY, Converted, convert, plain

REJECTS = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("value", pa.string()),
        ("reason", pa.string()),
    ]
)
"""The rejects file: `line` counts lines from 1 with the header in CSV, rows from 1 in Parquet."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What came of some records. `lines` has the line of each good row; read = good.num_rows + rejects.num_rows."""

    good: pa.Table
    lines: Lines
    rejects: pa.Table

    @property
    def read(self) -> int:
        return int(self.good.num_rows + self.rejects.num_rows)


@dataclass(kw_only=True)
class Parser:
    """Parses the blocks of one file; safe to call from several threads.

    `careful_columns` only grows: once Arrow can't read a column by itself, later blocks give it as text to `values`.
    """

    file: str
    layout: Layout
    careful_columns: set[int] = field(default_factory=set)

    def block(self, block: Block) -> Rows:
        """Parse one block of CSV."""
        table, wrong = self._read(block)
        expected = len(block.lines)
        if table.num_rows + len(wrong) != expected and not block.careful:
            # Arrow ends a record at a carriage return that stands alone; Python's reader judges such a block.
            again, _, _ = careful(
                block.data,
                int(block.lines[0]),
                delimiter=self.layout.delimiter,
                quoting=self.layout.quoting,
                final=True,
            )
            return self.block(again)
        if table.num_rows + len(wrong) != expected:
            raise RuntimeError(f"{self.file}: {expected} records became {table.num_rows} + {len(wrong)} rows")
        lines: Lines = block.lines
        faults = list(block.faults)
        if wrong:
            faults += [
                Fault(line=int(lines[at]), value=text[:SHOWN], reason=reason) for at, text, reason in wrong
            ]
            lines = np.delete(np.asarray(lines), [at for at, _, _ in wrong])
        if len(block.blank):
            keep = np.ones(expected, bool)
            keep[block.blank] = False
            keep = np.delete(keep, [at for at, _, _ in wrong])
            table = table.filter(pa.array(keep))
            lines = np.asarray(lines)[keep]
        return self.rows(table, lines, faults)

    def rows(self, table: pa.Table, lines: Lines, faults: Sequence[Fault] = ()) -> Rows:
        """Convert columns named `c0`, `c1`, … by field; a column of the right Arrow type is taken as it is if plain."""
        columns = {f"c{at}": column for at, column in enumerate(self.layout.columns) if column is not None}
        sources = {name: _one_chunk(table, name) for name in columns}
        first = np.zeros(table.num_rows, np.int16)
        reasons: list[tuple[str, str, str]] = [("", "", "")]
        arrays: dict[str, pa.Array] = {}
        for name, column in columns.items():
            done = _column(sources[name], column)
            arrays[column.name] = done.values
            for mask, reason in done.faults:
                _mark(first, mask, reasons, (name, column.name, reason))
            if column.required and done.values.null_count:
                empty = np.asarray(pc.is_null(done.values).to_numpy(zero_copy_only=False), bool)
                _mark(first, empty, reasons, (name, column.name, "required, and empty"))
        good = pa.table(arrays)
        rejects = [_faulty(self.file, faults)]
        if first.any():
            at = np.flatnonzero(first)
            rejects.append(self._rejected(sources, np.asarray(lines)[at], at, first[at], reasons))
            keep = first == 0
            good = good.filter(pa.array(keep))
            lines = np.asarray(lines)[keep]
        return Rows(good=good, lines=lines, rejects=pa.concat_tables(rejects))

    def _rejected(
        self,
        sources: dict[str, pa.Array],
        lines: npt.NDArray[np.int64],
        at: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int16],
        reasons: list[tuple[str, str, str]],
    ) -> pa.Table:
        values = [
            _text(sources[reasons[code][0]][int(row)])
            for row, code in zip(at.tolist(), codes.tolist(), strict=True)
        ]
        names = pa.array([column for _, column, _ in reasons])
        why = pa.array([reason for _, _, reason in reasons])
        return pa.table(
            [
                pa.repeat(pa.scalar(self.file), len(at)),
                pa.array(lines, pa.int64()),
                names.take(pa.array(codes)),
                pa.array(values, pa.string()),
                why.take(pa.array(codes)),
            ],
            schema=REJECTS,
        )

    def _read(self, block: Block) -> tuple[pa.Table, list[tuple[int, str, str]]]:
        """The block's fields by Arrow: typed where it can, as text where it can't; and records of the wrong length."""
        if not block.data:
            return pa.table(
                {f"c{at}": pa.array([], pa.string()) for at in range(len(self.layout.columns))}
            ), []
        try:
            return self._arrow(block.data, self.careful_columns)
        except pa.ArrowInvalid:
            everything = set(range(len(self.layout.columns)))
        table, wrong = self._arrow(block.data, everything)
        for at, column in enumerate(self.layout.columns):
            if column is not None and column.type is not ColumnType.TEXT and at not in self.careful_columns:
                try:
                    pc.cast(table.column(f"c{at}"), ARROW_TYPES[column.type])
                except pa.ArrowInvalid:
                    self.careful_columns.add(at)
        return table, wrong

    def _arrow(self, data: bytes, as_text: set[int]) -> tuple[pa.Table, list[tuple[int, str, str]]]:
        wrong: list[tuple[int, str, str]] = []

        def note(row: pyarrow.csv.InvalidRow) -> str:
            more = "more" if row.actual_columns > row.expected_columns else "fewer"
            reason = f"{row.actual_columns} fields, {more} than the header's {row.expected_columns}"
            wrong.append((row.number - 1, row.text, reason))
            return "skip"

        columns = self.layout.columns
        types = {
            f"c{at}": pa.string() if column is None or at in as_text else ARROW_TYPES[column.type]
            for at, column in enumerate(columns)
        }
        table = pyarrow.csv.read_csv(
            BytesIO(data),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, block_size=len(data) + 1, column_names=list(types)
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self.layout.delimiter,
                quote_char='"' if self.layout.quoting else False,
                double_quote=self.layout.quoting,
                newlines_in_values=self.layout.quoting,
                ignore_empty_lines=False,
                invalid_row_handler=note,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types,
                include_columns=[f"c{at}" for at, column in enumerate(columns) if column is not None],
                null_values=list(EMPTY),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
        return table, wrong


def _column(values: pa.Array, column: Column) -> Converted:
    typed = values.type == ARROW_TYPES[column.type] and column.type is not ColumnType.TEXT
    return Converted(values=values) if typed and plain(values, column.type) else convert(values, column.type)


def _one_chunk(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name).combine_chunks()
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column


def _mark(
    first: npt.NDArray[np.int16],
    mask: npt.NDArray[np.bool_],
    reasons: list[tuple[str, str, str]],
    reason: tuple[str, str, str],
) -> None:
    first[mask & (first == 0)] = len(reasons)
    reasons.append(reason)


def _faulty(file: str, faults: Sequence[Fault]) -> pa.Table:
    rows = [(file, fault.line, fault.column, fault.value, fault.reason) for fault in faults]
    columns = zip(*rows, strict=True) if rows else [[] for _ in REJECTS]
    return pa.table(
        [pa.array(column, kind.type) for column, kind in zip(columns, REJECTS, strict=True)], schema=REJECTS
    )


def _text(value: pa.Scalar) -> str:
    return "" if not value.is_valid else str(value.as_py())[:SHOWN]
