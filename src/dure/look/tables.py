"""A table as a page shows it: labels, cells as people read them, and hidden numbers as what they are.

Responsible for: telling a hidden number, a number that has no meaning and zero apart. Not responsible for: HTML
(`templates/components.html`), what is hidden (the gate).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dure.look.words import Words, decimals

Value = str | int | float | None
Row = Sequence[Value]
NETWORK = "network"
PLACE = "hospital"
LEAST_P = 0.0001
"""A smaller p-value is said to be smaller: none is 0."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell. `nothing` is a number that can't be computed because it rests on nobody; `hidden` one that is kept back."""

    text: str
    kind: Literal["text", "number", "hidden", "nothing"]


@dataclass(frozen=True, kw_only=True)
class TableView:
    """A table to be drawn.

    Attributes:
        numeric: for each column, whether it holds numbers.
        heads: how many columns at the left name the row.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    numeric: tuple[bool, ...]
    heads: int
    rows: tuple[tuple[Cell, ...], ...]
    hidden: int


def view(name: str, title: str, columns: Sequence[str], rows: Sequence[Row], words: Words) -> TableView:
    """A table from plain columns and rows. A column that only says "network" is left out: the whole table is about it."""
    kept = [i for i, column in enumerate(columns) if not (column == PLACE and _only_network(rows, i))]
    numeric = tuple(not any(isinstance(row[i], str) for row in rows) for i in kept)
    people = columns.index("people") if "people" in columns else None
    places = {i: decimals([value for row in rows if isinstance(value := row[i], float)]) for i in kept}
    cells = tuple(
        tuple(
            _cell(
                row[i],
                words,
                places=places[i],
                nobody=people is not None and row[people] == 0 and i != people,
                least=LEAST_P if columns[i] == "p_value" else None,
            )
            for i in kept
        )
        for row in rows
    )
    heads = 0
    while heads < len(numeric) and not numeric[heads]:
        heads += 1
    return TableView(
        name=name,
        title=words.text(title),
        labels=tuple(words.column(columns[i]) for i in kept),
        numeric=numeric,
        heads=heads,
        rows=cells,
        hidden=sum(cell.kind == "hidden" for row in cells for cell in row),
    )


def _only_network(rows: Sequence[Row], column: int) -> bool:
    return all(row[column] == NETWORK for row in rows)


def _cell(value: Value, words: Words, *, places: int, nobody: bool, least: float | None) -> Cell:
    if value is None:
        return Cell(text="–", kind="nothing") if nobody else Cell(text=words("hidden"), kind="hidden")
    if isinstance(value, str):
        return Cell(text=words.text(value), kind="text")
    if least is not None and value < least:
        return Cell(text=f"<{words.number(least, places=4)}", kind="number")
    return Cell(text=words.number(value, places=places), kind="number")
