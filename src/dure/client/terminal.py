"""Studies, their progress and their reports on a terminal.

Responsible for: what the command line prints. Not responsible for: asking for it (`dure.cli`), pages.
"""

from collections.abc import Iterable
from datetime import UTC, timedelta

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dure.client import presentation
from dure.client.study_file import UNITS, StudyFile, fields_of
from dure.look import tables
from dure.look.words import Words
from dure.study.kinds import kind_of
from dure.study.protocol.batch import warning
from dure.study.protocol.noised import deviations, objection
from dure.study.report import Report
from dure.wire.answers import Event, StudyNow, Summary
from dure.wire.rules import Noise

COLOURS = {"good": "green", "warn": "yellow", "bad": "red", "": "dim"}


def show_check(file: StudyFile, console: Console) -> None:
    """What a study will ask, and what would leave each hospital if its board says yes."""
    console.print(Text(file.title, style="bold"))
    facts = Table.grid(padding=(0, 2))
    rows: list[tuple[str, object]] = [
        ("kind", file.question.kind),
        ("purpose", f"{file.purpose}: {file.purpose_text}"),
        ("hospitals", ", ".join(file.hospitals) or "all that the directory lists"),
        ("boards decide within", _length(file.closes_in)),
        ("permits end after", _length(file.expires_in)),
        *fields_of(file.question),
    ]
    for name, value in rows:
        told = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        facts.add_row(Text(name, style="dim"), Text(told))
    console.print(Padding(facts, (0, 0, 1, 0)))
    console.print("What would leave each hospital, if its board says yes:")
    table = Table("step", "statistic", "rounds", "groups of people", "numbers")
    for step in kind_of(file.question).steps(file.question):
        layout = step.layout
        numbers = ", ".join(f"{field.name} × {field.size}" for field in layout.fields)
        table.add_row(
            step.name,
            step.statistic.name,
            str(step.statistic.rounds(step.params)),
            str(len(layout.cells)),
            numbers,
        )
    console.print(table)
    if file.mode == "total":
        console.print(
            "Released as the network's total: nobody but the hub sees one hospital's sums, and numbers that rest on few"
            " people are hidden in the total."
        )
        if file.hospitals and warning(len(file.hospitals)):
            console.print(Text(warning(len(file.hospitals)), style="bold yellow"))
    else:
        console.print(
            "Released by hospital: each hospital's gate hides numbers that rest on few people and rounds the others"
            " before they leave."
        )


def show_noise(file: StudyFile, noise: Noise, hospitals: int, console: Console) -> None:
    """How much noise the numbers of a study would carry, if boards want it. Raises NoiseMissing."""
    against = (
        objection(file.question, noise, hospitals) if file.mode == "total" else "Only totals carry noise."
    )
    if against is not None:
        console.print(f"Its numbers can't carry noise: {against}")
        return
    console.print(
        f"With noise, all numbers together tell at most epsilon {noise.epsilon:g} at delta {noise.delta:g} of one person."
        f" Over {hospitals} hospitals a shown number would be off by:"
    )
    table = Table("step", "numbers", "standard deviation")
    for one in deviations(file.question, noise, hospitals, hospitals):
        table.add_row(one.step, one.numbers, f"{one.deviation:,.1f}")
    console.print(table)


def _length(time: timedelta) -> str:
    """A length of time in the largest unit that divides it."""
    seconds = int(time.total_seconds())
    name, unit = max(
        ((name, unit) for name, unit in UNITS.items() if seconds % unit == 0), key=lambda pair: pair[1]
    )
    count = seconds // unit
    return f"{count} {name}{'s' * (count != 1)}"


def show_studies(studies: Iterable[Summary], console: Console) -> None:
    """The list of studies, newest first."""
    table = Table("study", "title", "kind", "released", "state", "asked (UTC)")
    for study in studies:
        asked = f"{study.created.astimezone(UTC):%Y-%m-%d %H:%M}"
        table.add_row(study.study, study.title, study.kind, study.mode, study.state, asked)
    console.print(table)


def show_event(event: Event, console: Console) -> None:
    """One line of progress."""
    line = Text(f"{event.at.astimezone(UTC):%H:%M:%S}  ", style="dim")
    line.append(f"{event.hospital or '':14} ", style="bold")
    line.append(event.what.replace("_", " "), style="none")
    line.append(f"  {event.detail}" if event.detail else "", style="dim")
    console.print(line, soft_wrap=True)


def follow(events: Iterable[Event], console: Console) -> None:
    """Progress as it comes, with a sign of life between events where the terminal can show one."""
    if not console.is_terminal:
        for event in events:
            show_event(event, console)
        return
    with Live(Spinner("dots", text="waiting for the hospitals"), console=console, transient=True):
        for event in events:
            show_event(event, console)


def show_state(now: StudyNow, console: Console) -> None:
    """Where a study and its hospitals stand."""
    console.print(Text(f"{now.state}  {now.reason}".rstrip(), style="bold"))
    for part in now.parts:
        console.print(Text(f"  {part.name:24} {part.state}  {part.reason}".rstrip()), soft_wrap=True)


def show_report(report: Report, console: Console, *, language: str = "en") -> None:
    """Banners, who answered, then every table with hidden numbers as such."""
    words = Words(language)
    console.print(Text(report.title, style="bold"))
    for banner in report.banners:
        console.print(Text(words.text(banner), style="bold yellow"))
    answered, asked = presentation.answered(report)
    console.print(Text(words("{answered} of {asked} hospitals answered.", answered=answered, asked=asked)))
    for part in presentation.parts(report, words, {}):
        line = Text(f"  {part.name:24} ")
        line.append(part.status, style=COLOURS[part.kind])
        line.append(f"  {part.why}" if part.why else "", style="dim")
        console.print(line, soft_wrap=True)
    for table in report.tables:
        view = tables.view(table.name, table.title, table.columns, table.rows, words)
        console.print(Text(view.title, style="bold"))
        console.print(_drawn(view), overflow="fold")


def _drawn(view: tables.TableView) -> Table:
    """Rows about nobody are left out: a terminal is short, and the files have them."""
    drawn = Table()
    for label, numeric in zip(view.labels, view.numeric, strict=True):
        drawn.add_column(label, justify="right" if numeric else "left")
    for row in view.rows:
        if all(cell.kind == "nothing" or not cell.text.strip("0.") for cell in row[view.heads :]):
            continue
        drawn.add_row(
            *(Text(cell.text, style="dim italic" if cell.kind == "hidden" else "none") for cell in row)
        )
    return drawn
