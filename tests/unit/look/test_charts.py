"""Charts are drawn from what was released, say what is hidden, and let nothing of the data act."""

import pytest

from dure.look.charts import Drawing, describe, specification, svg
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


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("drawing", [BARS, INTERVAL, FUNNEL], ids=lambda drawing: drawing.form)
def test_every_form_is_drawn_in_both_themes(drawing, theme):
    picture = svg(specification(drawing, COLUMNS, ROWS, words=EN, theme=theme))
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
