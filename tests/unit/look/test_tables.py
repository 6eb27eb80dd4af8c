"""Hidden, nothing and zero are three different things."""

from dure.look.tables import view
from dure.look.words import Words

EN, KO = Words("en"), Words("ko")


def _kinds(table):
    return [[cell.kind for cell in row] for row in table.rows]


def test_hidden_is_not_zero():
    table = view("t", "T", ("sex", "people"), (("female", None), ("male", 0)), EN)
    assert _kinds(table) == [["text", "hidden"], ["text", "number"]]
    assert [row[1].text for row in table.rows] == ["hidden", "0"]
    assert table.hidden == 1


def test_a_rate_of_nobody_is_neither_hidden_nor_zero():
    table = view("t", "T", ("year", "people", "rate_low"), (("2012", 0, None), ("2013", None, None)), EN)
    assert _kinds(table) == [["text", "number", "nothing"], ["text", "hidden", "hidden"]]
    assert table.hidden == 2


def test_the_hospital_column_stays_only_where_it_tells_something():
    whole = view("t", "T", ("hospital", "people"), (("network", 12),), EN)
    assert whole.labels == ("People",)
    parts = view("t", "T", ("hospital", "people"), (("a", 12), ("b", 13)), EN)
    assert parts.labels == ("Hospital", "People")


def test_a_column_has_one_number_of_places():
    table = view("t", "T", ("year", "rate_low"), (("2012", 0.5), ("2013", 12.25)), EN)
    assert [row[1].text for row in table.rows] == ["0.50", "12.25"]


def test_a_table_in_korean():
    table = view("t", "Incidence by sex", ("sex", "person_years"), (("female", None),), KO)
    assert (table.title, table.labels) == ("성별 발생률", ("성별", "인년"))
    assert [cell.text for cell in table.rows[0]] == ["여", "숨김"]


def test_an_empty_table_is_no_error():
    assert view("t", "T", ("hospital", "people"), (), EN).rows == ()


def test_no_p_value_is_nothing():
    table = view("t", "T", ("test", "se", "p_value"), (("one", 0.00001, 3e-9), ("other", 0.2, 0.04)), EN)
    assert [[cell.text for cell in row[1:]] for row in table.rows] == [
        ["0.0000", "<0.0001"],
        ["0.2000", "0.0400"],
    ]
    assert table.labels[1] == "Standard error"
