"""Charts of sequences: a Sankey diagram and a sunburst, whose marks are computed here, since Vega-Lite has neither.

A row is a path ("aspirin > heparin") with the people whose sequence begins so. Responsible for: where each mark lies. Not
responsible for: which paths there are, or may be shown: a hidden path is left out, and what follows from it with it.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from dure.look.drawing import Colours, Data, Drawing, Marks, panels_of
from dure.look.words import Words

STEP = " > "
"""Between the events of a path."""
WITH = " + "
"""Between events that come together."""
GAP = 0.03
NODE = 0.05
"""Of a column's width."""
POINTS = 16


@dataclass(kw_only=True)
class _Branch:
    """A path with the paths that go on from it. `people` is None where it is hidden, or isn't a row of its own."""

    events: tuple[str, ...]
    people: float | None = None
    after: dict[str, "_Branch"] = field(default_factory=dict)


def sankey(alt: Any, drawing: Drawing, data: Data, words: Words, colours: Colours, width: int) -> Marks:
    """Columns of events by their place in the sequence, joined by bands as wide as the people who went that way."""
    nodes: Data = []
    bands: Data = []
    for panel in panels_of(data):
        _flow(_tree(data, panel), panel, nodes, bands, words)
    deepest = max(row["depth"] for row in nodes)
    colour = _colour(alt, data, nodes, colours)
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, deepest + 0.9], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(nice=False, reverse=True))
    tips = [
        alt.Tooltip("path:N", title=words.column(drawing.x)),
        alt.Tooltip("text:N", title=words.column(drawing.y)),
    ]
    drawn = (
        alt.Chart()
        .transform_filter("datum.kind == 'band'")
        .mark_area(opacity=0.32, line=False)
        .encode(x=x, y=y, y2="y2:Q", detail="path:N", color=colour, tooltip=tips)
    )
    base = alt.Chart().transform_filter("datum.kind == 'node'")
    boxes = base.mark_rect().encode(x=x, x2="x2:Q", y=y, y2="y2:Q", color=colour, tooltip=tips)
    said = (
        base.transform_filter("datum.large")
        .mark_text(align="left", dx=5, baseline="middle", fontSize=11, color=colours.ink)
        .encode(x=alt.X("x2:Q", axis=None), y=alt.Y("middle:Q", axis=None), text="label:N")
    )
    return [*bands, *nodes], [drawn, boxes, said]


def sunburst(alt: Any, drawing: Drawing, data: Data, words: Words, colours: Colours, width: int) -> Marks:
    """Rings by place in the sequence, from the middle outwards; an arc is as long as its people are many."""
    arcs: Data = []
    for panel in panels_of(data):
        tree = _tree(data, panel)
        first = sum(_people(branch) for branch in tree.after.values())
        _ring(tree, panel, 0.0, 2 * math.pi, first, arcs, words)
    rings = max(arc["depth"] for arc in arcs) + 1
    hole, ring = 0.22, 0.78 / rings
    radius = 0.5 * (width if width < 400 else 380)
    for arc in arcs:
        arc["inner"] = radius * (hole + ring * arc["depth"])
        arc["outer"] = radius * (hole + ring * (arc["depth"] + 1)) - 1
    tips = [
        alt.Tooltip("path:N", title=words.column(drawing.x)),
        alt.Tooltip("text:N", title=words.column(drawing.y)),
    ]
    drawn = (
        alt.Chart()
        .mark_arc(stroke=colours.paper, strokeWidth=1)
        .encode(
            theta=alt.Theta("from:Q", scale=None),
            theta2="to:Q",
            radius=alt.Radius("inner:Q", scale=None),
            radius2="outer:Q",
            color=_colour(alt, data, arcs, colours),
            tooltip=tips,
        )
    )
    return arcs, [drawn]


def _tree(data: Data, panel: str) -> _Branch:
    """The shown paths of a panel, each under the path that it goes on from; a path whose beginning is hidden is left out."""
    root = _Branch(events=())
    for row in data:
        if row["panel"] != panel or not row["shown"] or not row["y"]:
            continue
        events = tuple(row["x"].split(STEP))
        branch = root
        for event in events[:-1]:
            if event not in branch.after:
                break
            branch = branch.after[event]
        else:
            branch.after[events[-1]] = _Branch(events=events, people=row["y"])
    return root


def _people(branch: _Branch) -> float:
    assert branch.people is not None
    return branch.people


def _flow(root: _Branch, panel: str, nodes: Data, bands: Data, words: Words) -> None:
    levels: list[dict[str, list[_Branch]]] = []
    waiting = list(root.after.values())
    while waiting:
        level: dict[str, list[_Branch]] = {}
        for branch in waiting:
            level.setdefault(branch.events[-1], []).append(branch)
        levels.append(level)
        waiting = [after for branch in waiting for after in branch.after.values()]
    if not levels:
        return
    whole = sum(_people(branch) for branches in levels[0].values() for branch in branches)
    place: dict[tuple[str, ...], tuple[float, float]] = {}
    for depth, level in enumerate(levels):
        top = 0.0
        order = sorted(level, key=lambda event: -sum(_people(b) for b in level[event]))
        for event in order:
            people = sum(_people(branch) for branch in level[event])
            height = people / whole
            nodes.append(
                {
                    "kind": "node",
                    "panel": panel,
                    "depth": depth,
                    "group": event,
                    "path": f"{depth + 1}. {event}",
                    "x": depth,
                    "x2": depth + NODE,
                    "y": top,
                    "y2": top + height,
                    "middle": top + height / 2,
                    "large": height > 0.02,
                    "text": words.number(people),
                    "label": f"{event} · {words.number(people)}",
                }
            )
            start = top
            for branch in sorted(level[event], key=lambda b: place.get(b.events[:-1], (0.0, 0.0))):
                place[branch.events] = (start, start + _people(branch) / whole)
                start += _people(branch) / whole
            top += height + GAP
    for depth, level in enumerate(levels[:-1]):
        for branch in (branch for branches in level.values() for branch in branches):
            start = place[branch.events][0]
            for after in sorted(branch.after.values(), key=lambda b: place[b.events]):
                thick = _people(after) / whole
                bands += _band(after, panel, depth, start, place[after.events][0], thick, words)
                start += thick


def _band(
    branch: _Branch, panel: str, depth: int, start: float, end: float, thick: float, words: Words
) -> Data:
    """Points of one band, which leaves and arrives level."""
    points = []
    for index in range(POINTS + 1):
        along = index / POINTS
        eased = along * along * (3 - 2 * along)
        y = start + (end - start) * eased
        points.append(
            {
                "kind": "band",
                "panel": panel,
                "group": branch.events[-1],
                "path": STEP.join(branch.events),
                "text": words.number(_people(branch)),
                "x": depth + NODE + (1 - NODE) * along,
                "y": y,
                "y2": y + thick,
            }
        )
    return points


def _ring(
    branch: _Branch, panel: str, start: float, angle: float, people: float, arcs: Data, words: Words
) -> None:
    for after in sorted(branch.after.values(), key=lambda b: -_people(b)):
        turn = angle * _people(after) / people
        arcs.append(
            {
                "panel": panel,
                "depth": len(after.events) - 1,
                "group": after.events[-1],
                "path": STEP.join(after.events),
                "text": words.number(_people(after)),
                "from": start,
                "to": start + turn,
            }
        )
        _ring(after, panel, start, turn, _people(after), arcs, words)
        start += turn


def _colour(alt: Any, data: Data, marks: Data, colours: Colours) -> Any:
    """An event's colour, the same in every chart of one table: events by themselves come first, then combinations."""
    order = list(dict.fromkeys(event for row in data for event in row["x"].split(STEP)))
    order.sort(key=lambda event: WITH in event)
    drawn = {mark["group"] for mark in marks}
    pairs = [
        (event, colours.groups[place % len(colours.groups)])
        for place, event in enumerate(order)
        if event in drawn
    ]
    names, shades = [event for event, _ in pairs], [shade for _, shade in pairs]
    legend = alt.Legend(title=None, orient="bottom", columns=3, symbolLimit=0, labelLimit=260)
    return alt.Color("group:N", scale=alt.Scale(domain=names, range=shades), legend=legend)
