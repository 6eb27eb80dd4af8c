"""Requests on a terminal. Not responsible for: what they say (`request`), the web page (`dure.console`)."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dure.node.board import Pending
from dure.node.request import Leaving, Request

MOST_GROUPS = 12


def print_requests(found: list[Pending], console: Console) -> None:
    """A table of requests."""
    if not found:
        console.print("No request waits for the board.")
        return
    table = Table("study", "title", "asker", "purpose", "mode", "closes (UTC)", "state")
    for one in found:
        request = one.request
        table.add_row(
            one.offer.study.removeprefix("sha256:")[:12],
            escape(one.title),
            escape(request.asker) if request else "",
            request.purpose if request else "",
            request.mode.value if request else "",
            f"{request.closes:%Y-%m-%d %H:%M}" if request else "",
            escape(state(one)),
        )
    console.print(table)
    console.print("Read one: dure node show STUDY --dir DIR", highlight=False)


def state(one: Pending) -> str:
    """Where a request stands."""
    if one.decision is not None:
        who = "" if one.decision.who == "board" else " by the standing yes"
        return f"{'signed' if one.decision.yes else 'declined'}{who}"
    if one.offer.closed:
        return "closed"
    return one.fault or "waits"


def print_request(one: Pending, console: Console) -> None:
    """One request in full."""
    console.print(f"[bold]{escape(one.title)}[/]  ({escape(state(one))})")
    console.print(f"study      {one.offer.study}", highlight=False, soft_wrap=True)
    if one.request is None:
        console.print(f"It can't be signed: {escape(one.fault)}")
        return
    request = one.request
    for title, value in lines(request):
        console.print(f"{title:<10} {escape(value)}", highlight=False, soft_wrap=True)
    console.print("[bold]What would leave[/]")
    for leaving in request.leaving:
        for line in leaving_lines(leaving):
            console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
    console.print("No row, no list of people, no date of a person, no free text.")
    for reason in request.forbidden:
        console.print(f"[bold red]forbidden[/]  {escape(reason)}")


def lines(request: Request) -> list[tuple[str, str]]:
    """Titles and values, in the order in which a board reads."""
    return [
        ("asker", f"{request.asker_name} ({request.asker})"),
        ("purpose", f"{request.purpose.replace('_', ' ')}: {request.purpose_text}"),
        ("question", f"{request.kind}: {request.kind_text}"),
        *((title.lower(), name) for title, name in request.cohorts),
        *((title.lower(), value) for title, value in request.settings),
        ("mode", f"{request.mode.value}: {request.mode_text}"),
        ("hospitals", ", ".join(request.hospitals) or "all that are listed"),
        (
            "rules",
            f"at least {request.rules.least_people} people behind a shown number, counts by hospital to the nearest"
            f" {request.rules.round_to}, totals of at least {request.rules.least_hospitals} hospitals",
        ),
        *(("noise", line) for line in request.noise),
        (
            "closes",
            f"{request.closes:%Y-%m-%d %H:%M} UTC; a permit would end {request.expires:%Y-%m-%d %H:%M} UTC",
        ),
    ]


def leaving_lines(leaving: Leaving) -> list[str]:
    """What a step would take out."""
    groups = ", ".join(leaving.groups[:MOST_GROUPS])
    more = len(leaving.groups) - MOST_GROUPS
    numbers = "; ".join(f"{name} ({what}, {count} numbers)" for name, what, count in leaving.numbers)
    return [
        f"{leaving.step}: {leaving.statistic}, at most {leaving.rounds} round{'s' * (leaving.rounds > 1)}",
        f"  about {len(leaving.groups)} groups of people: {groups}{f', and {more} more' if more > 0 else ''}",
        f"  numbers: {numbers}",
    ]
