"""What a chart is made of: which columns go where, one theme's colours, and the parts that several forms share.

Responsible for: plain rows under fixed names, axes of levels, tips, marks of hidden numbers. Not responsible for: any one form
(`bars`, `lines`, `flows`), the finished specification (`charts`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dure.look.tables import NETWORK, Row
from dure.look.words import Words

Form = Literal["bars", "funnel", "interval", "step", "forest", "scatter", "sankey", "sunburst"]
Theme = Literal["light", "dark"]
Data = list[dict[str, Any]]
Marks = tuple[Data, list[Any]]
"""The data that a chart holds, and the layers that draw them."""
WIDE, NARROW, HIGH, ROW = 620, 270, 240, 34
MANY_LEVELS = 9
NUMERIC_X = frozenset({"step", "scatter"})
"""Forms whose `x` is a number."""


@dataclass(frozen=True, kw_only=True)
class Colours:
    """One theme's colours, the same as in static/tokens.css. `groups`: of series, the accent first."""

    ink: str
    soft: str
    line: str
    accent: str
    paper: str
    groups: tuple[str, ...]


COLOURS: dict[Theme, Colours] = {
    "light": Colours(
        ink="#1b2320",
        soft="#56625c",
        line="#dfe4df",
        accent="#1f6f54",
        paper="#ffffff",
        groups=(
            "#1f6f54",
            "#b5542c",
            "#2f5d9b",
            "#8a6d1a",
            "#7a4b8c",
            "#3f8f9b",
            "#a23b5a",
            "#5b6470",
            "#6f8f2f",
            "#9c6b4e",
            "#c077aa",
            "#16202b",
        ),
    ),
    "dark": Colours(
        ink="#e6ebe8",
        soft="#a3afa9",
        line="#333c38",
        accent="#6fc7a4",
        paper="#1b211f",
        groups=(
            "#6fc7a4",
            "#f0a37e",
            "#8fb8f0",
            "#dcc26a",
            "#c9a0dc",
            "#84cfd9",
            "#ee9ab2",
            "#b6bfc9",
            "#b5cf7a",
            "#d0a98a",
            "#e6b3d3",
            "#f2f5f3",
        ),
    ),
}
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
"""A series is told from its neighbours by its dashes too, not by colour alone."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What to draw: columns by name, as a report's chart says (`dure.study.report.Chart`)."""

    title: str
    form: Form
    x: str
    y: str
    low: str | None = None
    high: str | None = None
    panel: str | None = None
    group: str | None = None
    reference: tuple[float, ...] = ()
    log: bool = False


def plain(drawing: Drawing, columns: Sequence[str], rows: Sequence[Row], words: Words) -> Data:
    """Rows under fixed names, so that no column's name is ever read as a Vega expression."""
    at = {name: index for index, name in enumerate(columns)}
    people = at.get("people")
    numeric = drawing.form in NUMERIC_X
    data = []
    for row in rows:
        x, value = row[at[drawing.x]], row[at[drawing.y]]
        low = row[at[drawing.low]] if drawing.low else None
        high = row[at[drawing.high]] if drawing.high else None
        panel = row[at[drawing.panel]] if drawing.panel else NETWORK
        group = row[at[drawing.group]] if drawing.group else ""
        nobody = people is not None and row[people] == 0 and drawing.y != "people"
        hidden = value is None or (numeric and x is None)
        data.append(
            {
                "x": x if numeric else words.text(str(x)),
                "y": value,
                "low": low,
                "high": high,
                "panel": words.text(str(panel)),
                "group": words.text(str(group)),
                "shown": not hidden,
                "hidden": hidden and not nobody,
                "text": words("hidden") if value is None else words.number(value),  # type: ignore[arg-type]
            }
        )
    return data


def panels_of(data: Data) -> list[str]:
    """The panels, in the table's order."""
    return list(dict.fromkeys(row["panel"] for row in data))


def tips(alt: Any, drawing: Drawing, words: Words) -> list[Any]:
    """What is said where a pointer rests on a mark."""
    kind = "Q" if drawing.form in NUMERIC_X else "N"
    found = [alt.Tooltip("group:N", title=words.column(drawing.group))] if drawing.group else []
    found += [
        alt.Tooltip(f"x:{kind}", title=words.column(drawing.x)),
        alt.Tooltip("text:N", title=words.column(drawing.y)),
    ]
    for name, field in (("low", drawing.low), ("high", drawing.high)):
        if field and field != drawing.y:
            found.append(alt.Tooltip(f"{name}:Q", title=words.column(field), format=",.3~f"))
    return found


def levels(alt: Any, drawing: Drawing, data: Data, words: Words, width: int) -> Any:
    """An axis of levels along the bottom, in the table's order."""
    order = list(dict.fromkeys(row["x"] for row in data))
    crowded = len(order) > MANY_LEVELS or (width == NARROW and len(order) > 4)
    axis = alt.Axis(labelAngle=-45 if crowded else 0, ticks=False, labelPadding=6)
    scale = alt.Scale(domain=order)
    return alt.X("x:N", sort=order, scale=scale, title=words.column(drawing.x), axis=axis)


def series(
    alt: Any, drawing: Drawing, data: Data, words: Words, colours: Colours, *, lines: bool = False
) -> dict[str, Any]:
    """The colour of marks: by group where there are groups, else the accent. `lines`: a piece of line stands in the legend."""
    names = list(dict.fromkeys(row["group"] for row in data))
    if drawing.group is None:
        return {"color": alt.value(colours.accent)}
    shades = [colours.groups[index % len(colours.groups)] for index in range(len(names))]
    symbol = {"symbolType": "stroke", "symbolSize": 400, "symbolStrokeWidth": 2} if lines else {}
    legend = alt.Legend(title=None, orient="top", symbolLimit=0, labelLimit=260, **symbol)
    return {"color": alt.Color("group:N", scale=alt.Scale(domain=names, range=shades), legend=legend)}


def hidden_marks(alt: Any, base: Any, words: Words, colours: Colours, data: Data) -> Any:
    """The word "hidden" where a bar would stand, upright or along the bar where there are many."""
    upright = len({row["x"] for row in data}) <= MANY_LEVELS and len(panels_of(data)) == 1
    place: dict[str, Any] = (
        {"dy": -8, "align": "center"} if upright else {"angle": 270, "align": "left", "dx": 5}
    )
    marks = base.transform_filter("datum.hidden").mark_text(
        fontStyle="italic", fontSize=11, color=colours.soft, **place
    )
    return marks.encode(y=alt.datum(0), text=alt.value(words("hidden")))
