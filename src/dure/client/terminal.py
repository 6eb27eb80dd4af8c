"""A report in a terminal: banners first, every table, every hospital's part. Not responsible for: what is in it."""

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from dure.client.presentation import parts, sections
from dure.look.tables import TableView
from dure.look.words import Words
from dure.study.report import Report

STYLES = {"hidden": "dim italic", "nothing": "dim", "number": "", "text": ""}


def show(report: Report, console: Console, *, language: str = "en") -> None:
    """Print a report. Rows that say nobody in every number are left out, and the table says how many."""
    words = Words(language)
    console.print()
    console.print(f"[bold]{escape(report.title)}[/]")
    for banner in report.banners:
        console.print(Panel(escape(words.text(banner)), style="yellow", expand=False))
    for section in sections(report, words):
        _print(section.table, console)
    console.print()
    for part in parts(report, words):
        why = f": {escape(part.why)}" if part.why else ""
        console.print(f"  {escape(part.name)}  [bold]{escape(part.status)}[/]{why}")


def _print(view: TableView, console: Console) -> None:
    table = Table()
    for label, numeric in zip(view.labels, view.numeric, strict=True):
        table.add_column(escape(label), justify="right" if numeric else "left")
    empty = 0
    for row in view.rows:
        if all(cell.kind == "nothing" or not cell.text.strip("0.") for cell in row[view.heads :]):
            empty += 1
            continue
        table.add_row(*(f"[{STYLES[cell.kind] or 'default'}]{escape(cell.text)}[/]" for cell in row))
    console.print(f"\n[bold]{escape(view.title)}[/]")
    console.print(table)
    if empty:
        console.print(f"[dim]rows with nobody: {empty}[/]")
