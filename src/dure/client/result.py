"""An answer in hand: tables as pandas and Arrow, charts as Altair, the report as data and as a file.

Responsible for: types that keep hidden numbers apart from zero and from text. Not responsible for: fetching (`hub`).
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dure.client import keys, presentation
from dure.client.html import html_report
from dure.look import charts
from dure.look.words import Words
from dure.study.report import Report, Table, Value

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMULA = tuple("=+-@\t\r")


@dataclass(frozen=True)
class Result:
    """A study's answer.

    Attributes:
        report: everything, as data.
        hospitals: hospitals' names by id, where they are known.
    """

    report: Report
    hospitals: Mapping[str, str]

    @cached_property
    def arrow(self) -> dict[str, "pa.Table"]:
        """Every table by name. Numbers are int64 or double; a hidden number is null."""
        return {table.name: _arrow(table) for table in self.report.tables}

    @cached_property
    def tables(self) -> dict[str, "pd.DataFrame"]:
        """Every table by name. Numbers are Int64 or Float64, never text; a hidden number is NA, which is not zero."""
        return {name: _frame(table) for name, table in self.arrow.items()}

    @cached_property
    def hidden(self) -> dict[str, "pd.DataFrame"]:
        """For every table, True where a number is kept back."""
        return {table.name: self.tables[table.name].isna() & ~_nobody(table) for table in self.report.tables}

    def charts(self, language: str = "en") -> dict[str, Any]:
        """The charts by title, as Altair charts; those without a single number to show are left out."""
        words = Words(language)
        made = {
            figure.title: charts.altair_chart(
                figure.drawing, figure.table.columns, figure.table.rows, words=words
            )
            for figure in presentation.figures(self.report, words, self.hospitals)
        }
        return {title: chart for title, chart in made.items() if chart is not None}

    def to_html(self, path: Path | str, *, language: str = "en") -> Path:
        """Write the report as one HTML file that needs nothing else, replacing one that is there.

        Raises:
            Unwritable: the folder can't be written.
        """
        place = Path(path)
        text = html_report(self.report, language=language, names=self.hospitals)
        keys.keep(place, text.encode(), replace=True)
        return place

    def write_tables(self, folder: Path | str, *, form: str) -> tuple[Path, ...]:
        """Write every table into a folder as "csv" or "parquet". In CSV a hidden number is the word HIDDEN.

        Raises:
            Unwritable: the folder can't be written.
        """
        place = Path(folder)
        return tuple(
            _written(place / f"{name}.{form}", self.arrow[name] if form == "parquet" else csv_of(table))
            for name, table in ((table.name, table) for table in self.report.tables)
        )


def csv_of(table: Table) -> str:
    """A table as CSV (RFC 4180). A hidden number is HIDDEN, one that rests on nobody is empty; zero is 0.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(table.columns)
    nobody = _nobody(table).to_numpy()
    for index, row in enumerate(table.rows):
        writer.writerow(_plain(value, nothing=nobody[index][at]) for at, value in enumerate(row))
    return out.getvalue()


def _plain(value: Value, *, nothing: bool) -> str | int | float:
    if value is None:
        return "" if nothing else "HIDDEN"
    return f"'{value}" if isinstance(value, str) and value[:1] in FORMULA else value


def _written(path: Path, table: "pa.Table | str") -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if isinstance(table, str):
        body = table.encode("utf-8-sig")
    else:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        body = sink.getvalue().to_pybytes()
    keys.keep(path, body, replace=True)
    return path


def _arrow(table: Table) -> "pa.Table":
    import pyarrow as pa

    columns = {}
    for index, name in enumerate(table.columns):
        values = [row[index] for row in table.rows]
        columns[name] = pa.array(values, type=_type(pa, name, values))
    return pa.table(columns)


def _type(pa: Any, name: str, values: list[Any]) -> Any:
    if any(isinstance(value, str) for value in values):
        return pa.string()
    if any(isinstance(value, float) for value in values):
        return pa.float64()
    return pa.int64()


def _frame(table: "pa.Table") -> "pd.DataFrame":
    import pandas as pd
    import pyarrow as pa

    nullable = {pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype(), pa.string(): pd.StringDtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    return frame


def _nobody(table: Table) -> "pd.DataFrame":
    """True where a number has no meaning because it rests on nobody: it isn't hidden."""
    import pandas as pd

    at = table.columns.index("people") if "people" in table.columns else None
    return pd.DataFrame(
        [
            [at is not None and row[at] == 0 and index != at for index in range(len(table.columns))]
            for row in table.rows
        ],
        columns=list(table.columns),
        dtype=bool,
    )
