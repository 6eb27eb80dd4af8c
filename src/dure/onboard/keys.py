"""Keys across the rows of a table: no two rows may be identified by the same.

Responsible for: finding rows whose key an earlier row has, and the file and line of each. Not responsible for: rules
within a row (`onboard.parse`).
"""

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from dure.engines.cdm_file import CdmWriter, room_for
from dure.onboard.parse import REJECTS
from dure.onboard.records import Lines


@dataclass(kw_only=True)
class Places:
    """Where each loaded row of a table came from, in the order of loading; a run of lines costs a few bytes."""

    rows: int = 0
    _starts: list[int] = field(default_factory=list)
    _runs: list[tuple[str, Lines]] = field(default_factory=list)

    def add(self, file: str, lines: Lines) -> None:
        """The next rows are from these lines of `file`."""
        count = len(lines)
        if not count:
            return
        first, last = int(lines[0]), int(lines[-1])
        self._starts.append(self.rows)
        self._runs.append((file, range(first, last + 1) if last - first + 1 == count else lines))
        self.rows += count

    def of(self, row: int) -> tuple[str, int]:
        """The file and line of a row, counted from 0."""
        at = bisect_right(self._starts, row) - 1
        file, lines = self._runs[at]
        return file, int(lines[row - self._starts[at]])


@dataclass(kw_only=True)
class Ascent:
    """Whether a column's values only ever rose: then none is there twice, and nothing need be searched."""

    rising: bool = True
    _last: int | None = None

    def add(self, values: npt.NDArray[np.int64]) -> None:
        """The next values, in order."""
        if not self.rising or not len(values):
            return
        above = self._last is None or int(values[0]) > self._last
        self.rising = above and bool((values[1:] > values[:-1]).all())
        self._last = int(values[-1])


def remove_doubles(writer: CdmWriter, table: str, key: str, places: Places) -> pa.Table:
    """Delete every row whose key an earlier row has; returns them as rejects."""
    column, row = exp.column(key, quoted=True), exp.column("rowid")
    name = exp.table_(table, quoted=True)
    twice = exp.select(column).from_(name).group_by(column).having(exp.Count(this=exp.Star()) > 1)
    found = exp.select(row, column).from_(name).where(column.isin(query=twice)).order_by(column, row)
    with room_for(writer.path):
        rows = writer.connection.sql(found.sql(dialect="duckdb")).to_arrow_table()
    if not rows.num_rows:
        return REJECTS.empty_table()
    ids, keys = rows.column(0).to_numpy(), rows.column(1).combine_chunks()
    same = np.asarray(pc.equal(keys[1:], keys[:-1]).to_numpy(zero_copy_only=False), bool)
    again = np.flatnonzero(np.concatenate(([False], same)))
    first = np.maximum.accumulate(np.where(np.concatenate(([True], ~same)), np.arange(len(ids)), 0))
    rejects = []
    for at in again.tolist():
        file, line = places.of(int(ids[at]))
        before = places.of(int(ids[first[at]]))
        where = f"line {before[1]}" if before[0] == file else f"{before[0]} line {before[1]}"
        rejects.append((file, line, key, str(keys[at].as_py()), f"{key} was on {where} already"))
    doomed = pa.table({"doomed": ids[again]})
    with room_for(writer.path):
        writer.connection.register("doomed_rows", doomed)
        inner = exp.select("doomed").from_("doomed_rows")
        writer.connection.execute(exp.delete(name, where=row.isin(query=inner)).sql(dialect="duckdb"))
        writer.connection.unregister("doomed_rows")
    columns = [
        pa.array(column, kind.type) for column, kind in zip(zip(*rejects, strict=True), REJECTS, strict=True)
    ]
    return pa.table(columns, schema=REJECTS)
