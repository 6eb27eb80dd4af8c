"""Charts are drawn from what was released, say what is hidden, and let nothing of the data act."""

import pytest

from dure.look.charts import describe, specification, svg
from dure.look.drawing import Drawing
from dure.look.words import Words

EN = Words("en")
COLUMNS = ("hospital", "age", "people", "rate", "low", "high")
ROWS = (
    ("network", "0-9", None, None, None, None),
    ("network", "10-19", 30, 2.0, 1.0, 3.5),
    ("network", "20-29", 0, None, None, None),
)
BARS = Drawing(title="People by age", form="bars", x="age", y="people", panel="hospital")
INTERVAL = Drawing(title="Rate by age", form="interval", x="age", y="rate", low="low", high="high")
FUNNEL = Drawing(title="People left", form="funnel", x="age", y="people", panel="hospital")
FOREST = Drawing(
    title="Rates", form="forest", x="age", y="rate", low="low", high="high", reference=(1.0,), log=True
)

CURVE = ("hospital", "arm", "day", "survival", "low", "high")
DAYS = (
    ("network", "treated", 0, 1.0, 1.0, 1.0),
    ("network", "treated", 30, None, None, None),
    ("network", "treated", 60, None, None, None),
    ("network", "treated", 90, 0.8, 0.7, 0.9),
    ("network", "untreated", 0, 1.0, 1.0, 1.0),
    ("network", "untreated", 30, 0.7, 0.6, 0.8),
)
STEP = Drawing(
    title="Survival",
    form="step",
    x="day",
    y="survival",
    low="low",
    high="high",
    panel="hospital",
    group="arm",
    reference=(0.5,),
)

PAIRS = (("a", 1.0, 2.0), ("b", 3.0, None), ("c", None, 1.0), ("d", 40.0, 38.0))
SCATTER = Drawing(title="Prevalence", form="scatter", x="first", y="second", group="covariate")

PATHS = (
    ("network", "aspirin", 100),
    ("network", "aspirin > heparin", 60),
    ("network", "aspirin > warfarin", None),
    ("network", "aspirin > warfarin > heparin", 12),
    ("network", "heparin", 40),
    ("network", "heparin > aspirin", 20),
)
SANKEY = Drawing(title="Sequences", form="sankey", x="path", y="people", panel="hospital")
SUNBURST = Drawing(title="Sequences", form="sunburst", x="path", y="people", panel="hospital")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("drawing", "columns", "rows"),
    [
        (BARS, COLUMNS, ROWS),
        (INTERVAL, COLUMNS, ROWS),
        (FUNNEL, COLUMNS, ROWS),
        (FOREST, COLUMNS, ROWS),
        (STEP, CURVE, DAYS),
    ],
    ids=lambda value: getattr(value, "form", ""),
)
def test_every_form_is_drawn_in_both_themes(drawing, columns, rows, theme):
    picture = svg(specification(drawing, columns, rows, words=EN, theme=theme))
    assert picture.startswith("<svg")
    assert "hidden" in picture
    assert " style=" not in picture
    assert "<script" not in picture


def test_data_hold_hidden_numbers_as_null():
    spec = specification(BARS, COLUMNS, ROWS, words=EN)
    values = spec["data"]["values"]
    assert [row["y"] for row in values] == [None, 30, 0]
    assert [row["hidden"] for row in values] == [True, False, False]


def test_a_rate_of_nobody_is_not_called_hidden():
    spec = specification(INTERVAL, COLUMNS, ROWS, words=EN)
    assert [row["hidden"] for row in spec["data"]["values"]] == [True, False, False]


def test_nothing_to_show_is_no_chart():
    assert specification(BARS, COLUMNS, ROWS[:1], words=EN) is None


def test_hospitals_are_small_multiples():
    rows = tuple((name, *row[1:]) for name in ("a", "b") for row in ROWS)
    spec = specification(BARS, COLUMNS, rows, words=EN)
    assert spec["columns"] == 2
    assert spec["facet"]["field"] == "panel"


def test_the_words_say_the_highest_and_the_hidden():
    assert (
        describe(BARS, COLUMNS, ROWS, EN)
        == "People by age: People by Age. The highest is 30 (10-19). 1 hidden."
    )


def test_a_level_with_markup_stays_text():
    rows = (("network", "<script>alert(1)</script>", 30, None, None, None),)
    assert "<script" not in svg(specification(FUNNEL, COLUMNS, rows, words=EN))


def test_a_step_line_breaks_where_numbers_are_hidden():
    values = specification(STEP, CURVE, DAYS, words=EN)["data"]["values"]
    assert [row["stretch"] for row in values if row["shown"]] == [
        "treated 0",
        "treated 1",
        "untreated 0",
        "untreated 0",
    ]
    assert [row["first"] for row in values] == [False, True, False, False, False, False]


def test_a_forest_on_a_ratio_scale_has_its_line_at_one():
    spec = specification(FOREST, COLUMNS, ROWS, words=EN)
    reference, interval = spec["layer"][:2]
    assert reference["data"]["values"] == [{"at": 1.0}]
    assert interval["encoding"]["x"]["scale"]["type"] == "log"


def test_a_scatter_shows_pairs_of_which_both_are_shown():
    columns = ("covariate", "first", "second")
    spec = specification(SCATTER, columns, PAIRS, words=EN)
    assert [row["group"] for row in spec["data"]["values"] if row["shown"]] == ["a", "d"]
    assert spec["layer"][0]["data"]["values"] == [{"at": 1.0}, {"at": 40.0}]
    assert svg(spec).startswith("<svg")
    assert "2 hidden" in describe(SCATTER, columns, PAIRS, EN)


@pytest.mark.parametrize("drawing", [SANKEY, SUNBURST], ids=lambda drawing: drawing.form)
def test_paths_leave_out_what_is_hidden_and_what_goes_on_from_it(drawing):
    columns = ("hospital", "path", "people")
    spec = specification(drawing, columns, PATHS, words=EN)
    assert svg(spec).startswith("<svg")
    drawn = {row["path"] for row in spec["data"]["values"]}
    assert "aspirin > heparin" in drawn
    assert not any("warfarin" in path for path in drawn)
    assert "1 hidden" in describe(drawing, columns, PATHS, EN)


def test_an_arc_is_as_long_as_its_people_are_many():
    values = specification(SUNBURST, ("hospital", "path", "people"), PATHS, words=EN)["data"]["values"]
    turn = {row["path"]: row["to"] - row["from"] for row in values}
    assert turn["aspirin"] / turn["heparin"] == pytest.approx(100 / 40)
    assert turn["aspirin > heparin"] / turn["aspirin"] == pytest.approx(0.6)


def test_bands_of_a_sankey_leave_and_arrive_within_their_boxes():
    values = specification(SANKEY, ("hospital", "path", "people"), PATHS, words=EN)["data"]["values"]
    boxes = {row["path"]: row for row in values if row["kind"] == "node"}
    band = [row for row in values if row["kind"] == "band" and row["path"] == "aspirin > heparin"]
    for end, box in ((band[0], boxes["1. aspirin"]), (band[-1], boxes["2. heparin"])):
        assert box["y"] - 1e-9 <= end["y"]
        assert end["y2"] <= box["y2"] + 1e-9
    assert band[0]["y2"] - band[0]["y"] == pytest.approx(60 / 140)


@pytest.mark.parametrize("drawing", [STEP, SANKEY, SUNBURST], ids=lambda drawing: drawing.form)
def test_each_hospital_has_its_own_panel(drawing):
    columns, rows = (CURVE, DAYS) if drawing is STEP else (("hospital", "path", "people"), PATHS)
    both = tuple((name, *row[1:]) for name in ("a", "b") for row in rows)
    spec = specification(drawing, columns, both, words=EN)
    assert spec["facet"]["field"] == "panel"
    assert {row["panel"] for row in spec["data"]["values"]} == {"a", "b"}


def test_intervals_of_groups_that_share_a_row_do_not_cover_each_other():
    rows = (("network", "a", 1, 1.0, 0.5, 2.0), ("network", "b", 1, 1.2, 0.6, 2.4))
    shared = Drawing(
        title="Ratios", form="forest", x="people", y="rate", low="low", high="high", group="age", log=True
    )
    spec = specification(shared, COLUMNS, rows, words=EN)
    layers = [layer["encoding"] for layer in spec["layer"] if "color" in layer["encoding"]]
    assert layers
    assert all(encoding["yOffset"]["field"] == "group" for encoding in layers)


def test_the_legend_of_lines_shows_how_they_are_drawn():
    spec = specification(STEP, CURVE, DAYS, words=EN)
    legends = [
        layer["encoding"]["color"]["legend"] for layer in spec["layer"] if "color" in layer["encoding"]
    ]
    assert legends
    assert {legend["symbolType"] for legend in legends} == {"stroke"}
