"""Charts of numbers against numbers, and of estimates: steps with bands, forests, scatters.

Responsible for: their marks. Not responsible for: what an estimate means; reference lines stand where the drawing says.
"""

from typing import Any

from dure.look.drawing import DASHES, Colours, Data, Drawing, Marks, series, tips
from dure.look.words import Words


def step(alt: Any, drawing: Drawing, data: Data, words: Words, colours: Colours, width: int) -> Marks:
    """Lines that hold their value until the next `x` (survival, cumulative incidence), with bands; hidden numbers break them."""
    data = _cut_at_hidden(data)
    colour = series(alt, drawing, data, words, colours, lines=True)
    names = list(dict.fromkeys(row["group"] for row in data))
    dashes = [list(DASHES[index % len(DASHES)]) for index in range(len(names))]
    y_title, axis = words.column(drawing.y), alt.Axis(tickCount=5)
    base = alt.Chart().encode(x=alt.X("x:Q", title=words.column(drawing.x), axis=alt.Axis(tickCount=7)))
    shown = base.transform_filter("datum.shown").encode(detail="stretch:N", **colour)
    scale = alt.Scale(zero=False, type="log") if drawing.log else alt.Scale()
    layers = []
    if drawing.low and drawing.high:
        layers.append(
            shown.transform_filter("isValid(datum.low) && isValid(datum.high)")
            .mark_area(opacity=0.16, interpolate="step-after", line=False)
            .encode(y=alt.Y("low:Q", title=y_title, axis=axis, scale=scale), y2="high:Q")
        )
    line = shown.mark_line(interpolate="step-after", strokeWidth=2).encode(
        y=alt.Y("y:Q", title=y_title, axis=axis, scale=scale)
    )
    if drawing.group:
        line = line.encode(
            strokeDash=alt.StrokeDash(
                "group:N", scale=alt.Scale(domain=names, range=dashes), legend=alt.Legend(title=None)
            )
        )
    points = shown.mark_point(size=60, opacity=0, filled=True).encode(
        y="y:Q", tooltip=tips(alt, drawing, words)
    )
    hidden = (
        base.transform_filter("datum.hidden && datum.first")
        .mark_text(fontStyle="italic", fontSize=11, color=colours.soft, dy=-8, align="left")
        .encode(y=alt.datum(0), text=alt.value(words("hidden")))
    )
    return data, [*layers, line, points, hidden, *_across(alt, drawing, colours)]


def forest(alt: Any, drawing: Drawing, data: Data, words: Words, colours: Colours, width: int) -> Marks:
    """A row a level with its estimate and, where there is one, its interval; groups share a row, intervals one below the other."""
    order = list(dict.fromkeys(row["x"] for row in data))
    colour = series(alt, drawing, data, words, colours)
    kind = {"type": "log", "nice": False} if drawing.log else {}
    scale = alt.Scale(zero=False, padding=12, **kind)
    base = alt.Chart().encode(
        y=alt.Y(
            "x:N",
            sort=order,
            scale=alt.Scale(domain=order),
            title=None,
            axis=alt.Axis(labelLimit=420, ticks=False, domain=False, labelPadding=8, grid=False),
        )
    )
    if drawing.group and drawing.low:
        groups = list(dict.fromkeys(row["group"] for row in data))
        offset = alt.Scale(domain=groups, paddingOuter=0.8)
        colour["yOffset"] = alt.YOffset("group:N", sort=groups, scale=offset)
    shown = base.transform_filter("datum.shown").encode(**colour)
    title, axis = words.column(drawing.y), alt.Axis(tickCount=5, grid=True)
    said = tips(alt, drawing, words)
    layers: list[Any] = [
        alt.Chart(alt.Data(values=[{"at": at} for at in drawing.reference]))
        .mark_rule(color=colours.soft, strokeDash=[4, 3])
        .encode(x=alt.X("at:Q", title=title))
    ][: len(drawing.reference)]
    if drawing.low and drawing.high:
        layers.append(
            shown.transform_filter("isValid(datum.low) && isValid(datum.high)")
            .mark_rule(strokeWidth=2)
            .encode(x=alt.X("low:Q", title=title, axis=axis, scale=scale), x2="high:Q", tooltip=said)
        )
    layers.append(
        shown.mark_point(filled=True, size=64, opacity=1, shape="square").encode(
            x=alt.X("y:Q", title=title, axis=axis, scale=scale), tooltip=said
        )
    )
    hidden = base.transform_filter("datum.hidden").mark_text(
        fontStyle="italic", fontSize=11, align="left", dx=6, color=colours.soft
    )
    return data, [*layers, hidden.encode(x=alt.value(0), text=alt.value(words("hidden")))]


def scatter(alt: Any, drawing: Drawing, data: Data, words: Words, colours: Colours, width: int) -> Marks:
    """`y` against `x`, both in one unit, with the diagonal; hidden pairs are counted in the chart's words."""
    shown = [row for row in data if row["shown"]]
    ends = [value for row in shown for value in (row["x"], row["y"])]
    low, high = min(ends), max(ends)
    colour = series(alt, drawing, data, words, colours)
    x_title, y_title = words.column(drawing.x), words.column(drawing.y)
    diagonal = (
        alt.Chart(alt.Data(values=[{"at": low}, {"at": high}]))
        .mark_line(color=colours.soft, strokeDash=[4, 3], strokeWidth=1)
        .encode(x=alt.X("at:Q", title=x_title), y=alt.Y("at:Q", title=y_title))
    )
    points = (
        alt.Chart()
        .transform_filter("datum.shown")
        .mark_point(filled=True, size=44, opacity=0.65)
        .encode(
            x=alt.X("x:Q", title=x_title, axis=alt.Axis(tickCount=6)),
            y=alt.Y("y:Q", title=y_title, axis=alt.Axis(tickCount=6)),
            tooltip=tips(alt, drawing, words),
            **colour,
        )
    )
    return data, [diagonal, points]


def _cut_at_hidden(data: Data) -> Data:
    """The rows with each series' stretches of shown points numbered, and the first of hidden ones marked."""
    stretch: dict[tuple[str, str], int] = {}
    was_hidden: dict[tuple[str, str], bool] = {}
    cut = []
    for row in data:
        line = (row["panel"], row["group"])
        first = row["hidden"] and not was_hidden.get(line, False)
        stretch[line] = stretch.get(line, 0) + first
        cut.append({**row, "first": first, "stretch": f"{row['group']} {stretch[line]}"})
        was_hidden[line] = row["hidden"]
    return cut


def _across(alt: Any, drawing: Drawing, colours: Colours) -> list[Any]:
    """Level lines at the drawing's references."""
    rule = (
        alt.Chart(alt.Data(values=[{"at": at} for at in drawing.reference]))
        .mark_rule(color=colours.soft, strokeDash=[4, 3])
        .encode(y="at:Q")
    )
    return [rule] if drawing.reference else []
