"""Charts of levels: bars, a funnel, points with intervals."""

from typing import Any

from dure.look.drawing import Colours, Data, Drawing, Marks, hidden_marks, levels, tips
from dure.look.words import Words


def bars(alt: Any, drawing: Drawing, data: Data, words: Words, colours: Colours, width: int) -> Marks:
    """A bar a level."""
    x = levels(alt, drawing, data, words, width)
    y = alt.Y("y:Q", title=words.column(drawing.y), axis=alt.Axis(tickCount=5))
    base = alt.Chart().encode(x=x)
    drawn = (
        base.transform_filter("datum.shown")
        .mark_bar(color=colours.accent, cornerRadiusEnd=2)
        .encode(y=y, tooltip=tips(alt, drawing, words))
    )
    return data, [drawn, hidden_marks(alt, base, words, colours, data)]


def interval(alt: Any, drawing: Drawing, data: Data, words: Words, colours: Colours, width: int) -> Marks:
    """A point with an upright interval a level."""
    base = alt.Chart().encode(x=levels(alt, drawing, data, words, width))
    shown = base.transform_filter("datum.shown")
    axis = alt.Axis(tickCount=5)
    said = tips(alt, drawing, words)
    title = words.column(drawing.y)
    rule = shown.mark_rule(color=colours.accent, strokeWidth=2).encode(
        y=alt.Y("low:Q", title=title, axis=axis), y2="high:Q", tooltip=said
    )
    point = shown.mark_point(filled=True, size=58, opacity=1, color=colours.accent).encode(
        y=alt.Y("y:Q", title=title, axis=axis), tooltip=said
    )
    return data, [rule, point, hidden_marks(alt, base, words, colours, data)]


def funnel(alt: Any, drawing: Drawing, data: Data, words: Words, colours: Colours, width: int) -> Marks:
    """Lying bars in the table's order, with their numbers."""
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
    drawn = shown.mark_bar(color=colours.accent, cornerRadiusEnd=2, height={"band": 0.62}).encode(
        x=x, tooltip=tips(alt, drawing, words)
    )
    values = shown.mark_text(align="left", dx=6, color=colours.ink).encode(x=x, text="text:N")
    hidden = base.transform_filter("datum.hidden").mark_text(
        align="left", dx=6, fontStyle="italic", color=colours.soft
    )
    return data, [drawn, values, hidden.encode(x=alt.datum(0), text=alt.value(words("hidden")))]
