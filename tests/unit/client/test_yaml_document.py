"""Hostile YAML is refused with its line; nothing of it is ever called, expanded or guessed."""

import pytest

from dure.client.problems import BadStudyFile
from dure.client.yaml_document import parse


def test_values_know_their_lines():
    document = parse(b"a: 1\nb:\n  - x\n  - {c: 2}\n", name="f")
    assert document.fields == {"a": 1, "b": ["x", {"c": 2}]}
    assert document.place(("b", 1, "c")) == "f, line 4, field b[1].c"
    assert document.place(("b", 1, "absent")) == "f, line 4, field b[1].absent"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (b"a: 1\na: 2\n", 2, "stands twice"),
        (b"a: {b: 1, b: 2}\n", 1, "stands twice"),
        (b"a: &x [1]\nb: *x\n", 1, "aliases"),
        (b"a: !!python/object/apply:os.system [ls]\n", 1, "not read"),
        (b"a: !!set {x}\n", 1, "not read"),
        (b"a: !!python/name:os.system ''\n", 1, "not read"),
        (b"a: [1\n", 2, "not YAML"),
        (b"a: 1\n---\nb: 2\n", 2, "not YAML"),
        (b"a: 1\n\xff\n", 2, "UTF-8"),
        (b"a: 2010-99-99\n", 1, "not read"),
    ],
)
def test_what_is_refused(text, line, what):
    with pytest.raises(BadStudyFile) as caught:
        parse(text, name="f")
    assert caught.value.where.startswith(f"f, line {line}")
    assert what in caught.value.what


@pytest.mark.parametrize("text", [b"", b"[]", b"7", b"a: " + b"x" * 1_000_001, b"\x00"])
def test_what_holds_no_fields_or_is_too_large(text):
    with pytest.raises(BadStudyFile):
        parse(text, name="f")


@pytest.mark.parametrize(
    "text", [b"a: " + b"[" * 60 + b"]" * 60, b"a: " + b"[" * 100_000, b"a: " + b"{b: " * 60 + b"}" * 60]
)
def test_depth_is_bounded(text):
    with pytest.raises(BadStudyFile) as caught:
        parse(text, name="f")
    assert caught.value.what
