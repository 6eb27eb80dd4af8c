"""Charts: plain rows to a Vega-Lite specification, its drawing and its words. A table stands beside every chart.

Responsible for: the forms (bars, funnel, interval, each by panel), light and dark, hidden numbers marked as such, a text
that says what is seen. Not responsible for: what is drawn (a report's charts), pages.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dure.look.tables import NETWORK, Row
from dure.look.words import Words

Form = Literal["bars", "funnel", "interval"]
Theme = Literal["light", "dark"]
FONT = "Pretendard, 'Noto Sans KR', 'Noto Sans CJK KR', 'Apple SD Gothic Neo', 'Malgun Gothic', system-ui, sans-serif"
WIDE, NARROW, HIGH, ROW = 620, 270, 240, 34
MANY_LEVELS = 9


@dataclass(frozen=True, kw_only=True)
class Colours:
    """One theme's colours, the same as in static/tokens.css."""

    ink: str
    soft: str
    line: str
    accent: str
    paper: str


COLOURS: dict[Theme, Colours] = {
    "light": Colours(ink="#1b2320", soft="#56625c", line="#dfe4df", accent="#1f6f54", paper="#ffffff"),
    "dark": Colours(ink="#e6ebe8", soft="#a3afa9", line="#333c38", accent="#6fc7a4", paper="#1b211f"),
}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What to draw: columns by name, as a report's chart says."""

    title: str
    form: Form
    x: str
    y: str
    low: str | None = None
    high: str | None = None
    panel: str | None = None


def specification(
    drawing: Drawing, columns: Sequence[str], rows: Sequence[Row], *, words: Words, theme: Theme = "light"
) -> dict[str, Any] | None:
    """A Vega-Lite specification that holds its data; None where no number of the chart is shown."""
    chart = altair_chart(drawing, columns, rows, words=words, theme=theme)
    return None if chart is None else chart.to_dict()


def altair_chart(
    drawing: Drawing, columns: Sequence[str], rows: Sequence[Row], *, words: Words, theme: Theme = "light"
) -> Any:
    """The same as an Altair chart; None where no number of the chart is shown."""
    import altair as alt

    data = _data(drawing, columns, rows, words)
    if not any(row["shown"] for row in data):
        return None
    colours = COLOURS[theme]
    panels = list(dict.fromkeys(row["panel"] for row in data))
    width = WIDE if len(panels) == 1 else NARROW
    drawn = _FORMS[drawing.form](alt, drawing, data, words, colours, width)
    chart = alt.layer(*drawn, data=alt.Data(values=data))
    if drawing.form == "funnel":
        chart = chart.properties(width=width - 100, height=ROW * len({row["x"] for row in data}))
    else:
        chart = chart.properties(width=width, height=HIGH if len(panels) == 1 else 160)
    if len(panels) > 1:
        header = alt.Header(title=None, labelFontWeight="bold", labelAnchor="start")
        chart = chart.facet(alt.Facet("panel:N", sort=panels, header=header), columns=2)
    return chart.configure(**_configuration(colours)).properties(
        description=describe(drawing, columns, rows, words)
    )


def svg(spec: dict[str, Any]) -> str:
    """The drawing as SVG."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(json.dumps(spec)))


def describe(drawing: Drawing, columns: Sequence[str], rows: Sequence[Row], words: Words) -> str:
    """What the chart shows, in a sentence or two: for those who can't see it."""
    data = _data(drawing, columns, rows, words)
    shown = [row for row in data if row["shown"]]
    text = words(
        "{title}: {y} by {x}.",
        title=words.text(drawing.title),
        y=words.column(drawing.y),
        x=words.column(drawing.x),
    )
    if shown:
        top = max(shown, key=lambda row: row["y"])
        place = top["x"] if len({row["panel"] for row in data}) == 1 else f"{top['panel']}, {top['x']}"
        text += " " + words("The highest is {value} ({place}).", value=words.number(top["y"]), place=place)
    hidden = sum(row["hidden"] for row in data)
    if hidden:
        text += " " + words("{count} hidden.", count=hidden)
    return text


def _data(
    drawing: Drawing, columns: Sequence[str], rows: Sequence[Row], words: Words
) -> list[dict[str, Any]]:
    """Rows under fixed names, so that no column's name is ever read as a Vega expression."""
    at = {name: index for index, name in enumerate(columns)}
    people = at.get("people")
    data = []
    for row in rows:
        value = row[at[drawing.y]]
        low = row[at[drawing.low]] if drawing.low else None
        high = row[at[drawing.high]] if drawing.high else None
        panel = row[at[drawing.panel]] if drawing.panel else NETWORK
        nobody = people is not None and row[people] == 0 and drawing.y != "people"
        data.append(
            {
                "x": words.text(str(row[at[drawing.x]])),
                "y": value,
                "low": low,
                "high": high,
                "panel": words.text(str(panel)),
                "shown": value is not None,
                "hidden": value is None and not nobody,
                "text": words("hidden") if value is None else words.number(value),  # type: ignore[arg-type]
            }
        )
    return data


def _tips(alt: Any, drawing: Drawing, words: Words) -> list[Any]:
    tips = [
        alt.Tooltip("x:N", title=words.column(drawing.x)),
        alt.Tooltip("text:N", title=words.column(drawing.y)),
    ]
    for name, field in (("low", drawing.low), ("high", drawing.high)):
        if field and field != drawing.y:
            tips.append(alt.Tooltip(f"{name}:Q", title=words.column(field), format=",.3~f"))
    return tips


def _bars(
    alt: Any, drawing: Drawing, data: list[dict[str, Any]], words: Words, colours: Colours, width: int
) -> list[Any]:
    x = _levels(alt, drawing, data, words, width)
    y = alt.Y("y:Q", title=words.column(drawing.y), axis=alt.Axis(tickCount=5))
    base = alt.Chart().encode(x=x)
    bars = (
        base.transform_filter("datum.shown")
        .mark_bar(color=colours.accent, cornerRadiusEnd=2)
        .encode(y=y, tooltip=_tips(alt, drawing, words))
    )
    return [bars, _hidden_marks(alt, base, words, colours, data)]


def _interval(
    alt: Any, drawing: Drawing, data: list[dict[str, Any]], words: Words, colours: Colours, width: int
) -> list[Any]:
    base = alt.Chart().encode(x=_levels(alt, drawing, data, words, width))
    shown = base.transform_filter("datum.shown")
    axis = alt.Axis(tickCount=5)
    tips = _tips(alt, drawing, words)
    title = words.column(drawing.y)
    rule = shown.mark_rule(color=colours.accent, strokeWidth=2).encode(
        y=alt.Y("low:Q", title=title, axis=axis), y2="high:Q", tooltip=tips
    )
    point = shown.mark_point(filled=True, size=58, opacity=1, color=colours.accent).encode(
        y=alt.Y("y:Q", title=title, axis=axis), tooltip=tips
    )
    return [rule, point, _hidden_marks(alt, base, words, colours, data)]


def _funnel(
    alt: Any, drawing: Drawing, data: list[dict[str, Any]], words: Words, colours: Colours, width: int
) -> list[Any]:
    order = list(dict.fromkeys(row["x"] for row in data))
    base = alt.Chart().encode(
        y=alt.Y(
            "x:N",
            sort=order,
            scale=alt.Scale(domain=order),
            title=None,
            axis=alt.Axis(labelLimit=190, ticks=False, domain=False, labelPadding=8),
        )
    )
    x = alt.X("y:Q", title=words.column(drawing.y), axis=alt.Axis(tickCount=4))
    shown = base.transform_filter("datum.shown")
    bars = shown.mark_bar(color=colours.accent, cornerRadiusEnd=2, height={"band": 0.62}).encode(
        x=x, tooltip=_tips(alt, drawing, words)
    )
    values = shown.mark_text(align="left", dx=6, color=colours.ink).encode(x=x, text="text:N")
    hidden = base.transform_filter("datum.hidden").mark_text(
        align="left", dx=6, fontStyle="italic", color=colours.soft
    )
    return [bars, values, hidden.encode(x=alt.datum(0), text=alt.value(words("hidden")))]


_FORMS = {"bars": _bars, "funnel": _funnel, "interval": _interval}


def _levels(alt: Any, drawing: Drawing, data: list[dict[str, Any]], words: Words, width: int) -> Any:
    order = list(dict.fromkeys(row["x"] for row in data))
    crowded = len(order) > MANY_LEVELS or (width == NARROW and len(order) > 4)
    axis = alt.Axis(labelAngle=-45 if crowded else 0, ticks=False, labelPadding=6)
    scale = alt.Scale(domain=order)
    return alt.X("x:N", sort=order, scale=scale, title=words.column(drawing.x), axis=axis)


def _hidden_marks(alt: Any, base: Any, words: Words, colours: Colours, data: list[dict[str, Any]]) -> Any:
    """The word "hidden" where a bar would stand, upright or along the bar where there are many."""
    upright = len({row["x"] for row in data}) <= MANY_LEVELS and len({row["panel"] for row in data}) == 1
    place: dict[str, Any] = (
        {"dy": -8, "align": "center"} if upright else {"angle": 270, "align": "left", "dx": 5}
    )
    marks = base.transform_filter("datum.hidden").mark_text(
        fontStyle="italic", fontSize=11, color=colours.soft, **place
    )
    return marks.encode(y=alt.datum(0), text=alt.value(words("hidden")))


def _configuration(colours: Colours) -> dict[str, Any]:
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": colours.soft,
            "titleColor": colours.soft,
            "titleFontWeight": "normal",
            "titlePadding": 10,
            "gridColor": colours.line,
            "domainColor": colours.line,
            "tickColor": colours.line,
            "labelFontSize": 12,
            "titleFontSize": 12,
        },
        "axisX": {"grid": False},
        "header": {"labelColor": colours.ink, "labelFontSize": 13},
        "text": {"fontSize": 12},
    }
