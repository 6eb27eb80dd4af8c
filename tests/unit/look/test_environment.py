"""Templates escape what they are given and say when they lack something."""

import pytest
from jinja2 import UndefinedError

from dure.look.environment import address, environment, speaking
from dure.look.tables import view
from dure.look.words import Words


def test_values_are_escaped():
    made = speaking(environment(), Words("en"))
    template = made.from_string('{% import "components.html" as part %}{{ part.banner(text) }}')
    assert "&lt;script&gt;" in template.render(text="<script>")


def test_macros_speak_the_pages_language():
    source = '{% import "components.html" as part %}{{ part.legend() }}'
    shown = [speaking(environment(), Words(name)).from_string(source).render() for name in ("en", "ko")]
    assert "hidden" in shown[0]
    assert "숨김" in shown[1]


def test_a_missing_value_fails():
    with pytest.raises(UndefinedError):
        speaking(environment(), Words("en")).from_string("{{ absent }}").render()


def test_an_address_changes_with_its_content():
    assert address("base.css").startswith("/look/base.css?v=")


@pytest.mark.parametrize(("rows", "shown"), [(100, 100), (101, 50)])
def test_of_a_table_of_many_rows_the_first_are_shown(rows, shown):
    many = view("t", "T", ("covariate", "people"), [(f"c{at}", at + 20) for at in range(rows)], Words("en"))
    source = '{% import "components.html" as part %}{{ part.table(many, most=most) }}'
    made = speaking(environment(), Words("en")).from_string(source)
    assert made.render(many=many, most=50).count("<tr>") == 1 + shown
    assert (f"The first {shown} of {rows} rows" in made.render(many=many, most=50)) == (shown < rows)
    assert made.render(many=many, most=None).count("<tr>") == 1 + rows
