"""Whatever the bytes say, a definition is read or refused with its place; nothing crashes."""

import pytest

from dure.cohort.circe.document import MAX_DEPTH, read
from dure.cohort.problems import NotCirce, NotJson

REFUSED = [
    # text, problem, place
    ("", NotJson, "$, line 1, column 1"),
    ("{", NotJson, "$, line 1"),
    ('{"a": 1} trailing', NotJson, "$, line 1, column 10"),
    ('{"a": 1, "a": 2}', NotCirce, "$.a"),
    ('{"a": [{"b": {}, "b": 1}]}', NotCirce, "$.a[0].b"),
    ('{"a": NaN}', NotCirce, "$.a"),
    ('{"a": [0, -Infinity]}', NotCirce, "$.a[1]"),
    ('{"a": 1e999}', NotCirce, "$.a"),
    ('{"a": 1e9999999}', NotCirce, "$.a"),
    ('{"a": [1e99999999999999999999]}', NotCirce, "$.a[0]"),
    ('{"a": -1e-99999999999999999999}', NotCirce, "$.a"),
    ('{"a": 9223372036854775808}', NotCirce, "$.a"),
    ('{"a": ' + "9" * 100_000 + "}", NotCirce, "$.a"),
    ('{"odd key": NaN}', NotCirce, '$["odd key"]'),
    ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), NotJson, "$[0]"),
    ("[" * 1_000_000, NotJson, "$"),
    ('{"a":' * 200_000 + "1" + "}" * 200_000, NotJson, "$"),
    (b'{"a": "\xff"}', NotJson, "$"),
]


@pytest.mark.parametrize(("text", "problem", "place"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_refused_with_its_place(text, problem, place):
    with pytest.raises(problem) as caught:
        read(text)
    assert caught.value.where.startswith(place)
    assert caught.value.mend
    assert len(caught.value.where) < 400


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**30, {1: 2}, {"a": object()}, {"a": {2}}])
def test_a_dictionary_is_judged_like_text(value):
    with pytest.raises(NotCirce):
        read({"a": value})


def test_a_dictionary_that_holds_itself_is_too_deep():
    loop: dict = {}
    loop["a"] = loop
    with pytest.raises(NotJson, match="nested deeper"):
        read(loop)


def test_a_byte_order_mark_is_no_part_of_the_document():
    assert read(b'\xef\xbb\xbf{"a": 1}').value == {"a": 1}
