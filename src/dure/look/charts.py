"""Charts: plain rows to a Vega-Lite specification, its drawing and its words. A table stands beside every chart.

Responsible for: the finished specification of every form, by panel, light and dark; a text that says what is seen. Not
responsible for: marks (`bars`, `lines`, `flows`), what is drawn (a report's charts), pages.
"""

import json
from collections.abc import Sequence
from typing import Any

from dure.look import bars, flows, lines
from dure.look.drawing import (
    COLOURS,
    HIGH,
    NARROW,
    NUMERIC_X,
    ROW,
    WIDE,
    Colours,
    Data,
    Drawing,
    Theme,
    panels_of,
    plain,
)
from dure.look.tables import Row
from dure.look.words import Words

FONT = "Pretendard, 'Noto Sans KR', 'Noto Sans CJK KR', 'Apple SD Gothic Neo', 'Malgun Gothic', system-ui, sans-serif"
FORMS = {
    "bars": bars.bars,
    "funnel": bars.funnel,
    "interval": bars.interval,
    "step": lines.step,
    "forest": lines.forest,
    "scatter": lines.scatter,
    "sankey": flows.sankey,
    "sunburst": flows.sunburst,
}


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

    data = plain(drawing, columns, rows, words)
    if not any(row["shown"] for row in data):
        return None
    colours = COLOURS[theme]
    panels = panels_of(data)
    width = WIDE if len(panels) == 1 else NARROW
    held, layers = FORMS[drawing.form](alt, drawing, data, words, colours, width)
    chart = _sized(alt.layer(*layers, data=alt.Data(values=held)), drawing, data, width)
    if len(panels) > 1:
        header = alt.Header(title=None, labelFontWeight="bold", labelAnchor="start")
        chart = chart.facet(alt.Facet("panel:N", sort=panels, header=header), columns=2)
    return chart.configure(**_configuration(colours)).properties(
        description=describe(drawing, columns, rows, words)
    )


def _sized(chart: Any, drawing: Drawing, data: Data, width: int) -> Any:
    many = width == NARROW
    match drawing.form:
        case "funnel":
            return chart.properties(width=width - 100, height=ROW * len({row["x"] for row in data}))
        case "forest":
            levels = len({row["x"] for row in data})
            return chart.properties(
                width=max(width - 180, 210), height=max(60, (26 if levels < 25 else 16) * levels)
            )
        case "sankey":
            return chart.properties(width=width, height=200 if many else 340)
        case "sunburst":
            return chart.properties(width=width if many else 400, height=width if many else 400)
        case "step" | "scatter":
            return chart.properties(width=width, height=200 if many else 300)
        case _:
            return chart.properties(width=width, height=160 if many else HIGH)


def svg(spec: dict[str, Any]) -> str:
    """The drawing as SVG."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(json.dumps(spec)))


def describe(drawing: Drawing, columns: Sequence[str], rows: Sequence[Row], words: Words) -> str:
    """What the chart shows, in a sentence or two: for those who can't see it."""
    data = plain(drawing, columns, rows, words)
    shown = [row for row in data if row["shown"]]
    text = words(
        "{title}: {y} by {x}.",
        title=words.text(drawing.title),
        y=words.column(drawing.y),
        x=words.column(drawing.x),
    )
    if shown:
        top = max(shown, key=lambda row: row["y"])
        at = words.number(top["x"]) if drawing.form in NUMERIC_X else top["x"]
        parts = (top["panel"] if len(panels_of(data)) > 1 else "", top["group"], at)
        place = ", ".join(part for part in parts if part)
        text += " " + words("The highest is {value} ({place}).", value=words.number(top["y"]), place=place)
    hidden = sum(row["hidden"] for row in data)
    if hidden:
        text += " " + words("{count} hidden.", count=hidden)
    return text


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
        "legend": {"labelColor": colours.ink, "labelFontSize": 12, "symbolOpacity": 1},
        "text": {"fontSize": 12},
    }
