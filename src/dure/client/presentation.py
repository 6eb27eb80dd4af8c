"""A report as people read it: sections of tables and charts in one language, participation, provenance.

Responsible for: what the portal's page and the HTML file both show. Not responsible for: HTML, drawing (`dure.look`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dure.look import charts, tables
from dure.look.drawing import Drawing, Theme
from dure.look.tables import PLACE, TableView
from dure.look.words import Words
from dure.study.report import Chart, Part, Report, Table
from dure.wire.rules import Noise

KINDS_OF_PART = {
    Part.ANSWERED: "good",
    Part.DECLINED: "warn",
    Part.SILENT: "",
    Part.REFUSED: "warn",
    Part.DROPPED: "bad",
}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One chart of a report. `number` is its place among the report's charts."""

    number: int
    title: str
    alternative: str
    drawing: Drawing
    table: Table

    def specification(self, words: Words, theme: Theme) -> dict[str, Any] | None:
        """A Vega-Lite specification; None where every number is hidden."""
        return charts.specification(
            self.drawing, self.table.columns, self.table.rows, words=words, theme=theme
        )

    @property
    def drawable(self) -> bool:
        """Whether any number of it is shown."""
        at = self.table.columns.index(self.drawing.y)
        return any(row[at] is not None for row in self.table.rows)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table and the charts that draw it."""

    table: TableView
    figures: tuple[Figure, ...]


@dataclass(frozen=True, kw_only=True)
class PartView:
    """A hospital's part, as a line of a progress list."""

    name: str
    status: str
    kind: str
    why: str


def drawing(chart: Chart) -> Drawing:
    """A report's chart as the design system draws it."""
    return Drawing(
        title=chart.title,
        form=chart.form,
        x=chart.x,
        y=chart.y,
        low=chart.low,
        high=chart.high,
        panel=chart.panel,
        group=chart.group,
        reference=chart.reference,
        log=chart.log,
    )


def _named(report: Report, names: Mapping[str, str]) -> tuple[Table, ...]:
    """The report's tables with hospitals by name, where it is known."""
    return tuple(
        replace(table, rows=tuple((names.get(str(row[0]), row[0]), *row[1:]) for row in table.rows))
        if table.columns[:1] == (PLACE,)
        else table
        for table in report.tables
    )


def figures(report: Report, words: Words, names: Mapping[str, str]) -> tuple[Figure, ...]:
    """Every chart of a report. `names`: hospitals' names by id, where they are known."""
    found = {table.name: table for table in _named(report, names)}
    return tuple(
        Figure(
            number=number,
            title=words.text(chart.title),
            alternative=charts.describe(
                drawing(chart), found[chart.table].columns, found[chart.table].rows, words
            ),
            drawing=drawing(chart),
            table=found[chart.table],
        )
        for number, chart in enumerate(report.charts)
        if chart.table in found
    )


def sections(report: Report, words: Words, names: Mapping[str, str]) -> tuple[Section, ...]:
    """Every table of a report, each with its charts."""
    drawn = figures(report, words, names)
    return tuple(
        Section(
            table=tables.view(table.name, table.title, table.columns, table.rows, words),
            figures=tuple(figure for figure in drawn if figure.table.name == table.name and figure.drawable),
        )
        for table in _named(report, names)
    )


def parts(report: Report, words: Words, names: Mapping[str, str]) -> tuple[PartView, ...]:
    """What became of every hospital; a hospital's name where it is known, else its id."""
    return tuple(
        PartView(
            name=names.get(part.hospital, part.hospital),
            status=words(part.part.value),
            kind=KINDS_OF_PART[part.part],
            why=words.text(part.reason),
        )
        for part in report.participation
    )


def answered(report: Report) -> tuple[int, int]:
    """How many hospitals answered, and how many were asked."""
    return sum(part.part is Part.ANSWERED for part in report.participation), len(report.participation)


def _noise(noise: Noise | None, words: Words) -> str:
    if noise is None:
        return words("none")
    return words(
        "epsilon {epsilon}, delta {delta}, {colluders} colluding hospitals",
        epsilon=f"{noise.epsilon:g}",
        delta=f"{noise.delta:g}",
        colluders=noise.colluders,
    )


def provenance(report: Report, words: Words) -> Sequence[tuple[str, str]]:
    """By what the report can be checked."""
    rules = words(
        "at least {people} people, {hospitals} hospitals; rounded to {round} by hospital",
        people=report.rules.least_people,
        hospitals=report.rules.least_hospitals,
        round=report.rules.round_to,
    )
    return (
        (words("Asked by"), report.asker),
        (words("Finished"), words.moment(report.finished)),
        (words("Released"), words(report.mode.value)),
        (words("Rules"), words("off") if report.rules.off else rules),
        (words("Noise"), _noise(report.rules.noise, words)),
        (words("Study"), report.study),
        (words("Manifest"), report.manifest),
        (words("Software"), report.software),
    )
