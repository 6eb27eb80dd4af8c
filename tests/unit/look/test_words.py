"""Every word on every page has a translation, and a page speaks the language that its reader asked for."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.extract import extract
from jinja2.ext import babel_extract

from dure.govern.policy import FORBIDDEN_PURPOSES
from dure.guard.register import REGISTER
from dure.hub.actions.decisions import WANTS_NOISE
from dure.look.words import Words, catalogue, choose
from dure.study import assemble
from dure.study.kinds import KINDS
from dure.study.protocol.batch import FEW_HOSPITALS
from dure.study.report import Part
from dure.study.spec import Purpose
from dure.wire.messages import Provenance
from dure.wire.rules import Mode

SOURCE = Path(assemble.__file__).parents[1]


def _said_by_templates() -> set[str]:
    said = set()
    for path in sorted(SOURCE.rglob("templates/*.html")):
        with path.open("rb") as file:
            options = {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
            said |= {
                str(found[1]) for found in extract(babel_extract, file, keywords={"_": None}, options=options)
            }
    return said


def _said_by_code() -> set[str]:
    said = set()
    for path in sorted(
        path for part in ("look", "client", "portal") for path in (SOURCE / part).rglob("*.py")
    ):
        with path.open("rb") as file:
            said |= {str(found[1]) for found in extract("python", file, keywords={"words": None, "_": None})}
    return said


def _said_by_the_protocol() -> set[str]:
    said = {str(word) for kind in (Part, Mode, Provenance, Purpose) for word in kind} | set(KINDS)
    said |= {text for rule in REGISTER for text in (rule.stops, rule.applies)}
    said |= {text for _, reason, basis in FORBIDDEN_PURPOSES.values() for text in (reason, basis)}
    return said | {
        assemble.SYNTHETIC,
        assemble.PUBLIC,
        assemble.RULES_OFF,
        assemble.ROUNDED,
        assemble.COUNTED_TWICE,
        FEW_HOSPITALS,
        assemble.NOISED,
        assemble.NOISE_METHODS,
        WANTS_NOISE,
    }


@pytest.mark.parametrize("said", [_said_by_templates, _said_by_code, _said_by_the_protocol])
def test_every_word_is_translated(said):
    words = said()
    assert words
    assert sorted(words - catalogue("ko").keys()) == []


def test_every_translation_keeps_the_values_of_its_sentence():
    for source, text in catalogue("ko").items():
        values = {part.split("}")[0] for part in source.split("{")[1:]}
        assert {part.split("}")[0] for part in text.split("{")[1:]} <= values, source


def test_a_template_says_nothing_that_cannot_be_translated():
    """Text between tags that isn't marked: only marks, code and Dure's own name may stand there."""
    import re

    allowed = {"Dure", "두레", "·", "CDM", "–"}
    for path in sorted(SOURCE.rglob("templates/*.html")):
        text = re.sub(
            r"{#.*?#}|{%.*?%}|{{.*?}}|<style>.*?</style>|<pre.*?</pre>|<[^>]*>",
            " ",
            path.read_text(),
            flags=re.DOTALL,
        )
        left = {
            word
            for word in re.sub(r"[():,.\s]+", " ", text).split()
            if word not in allowed and word != "dure"
        }
        assert not left, f"{path.name}: {left}"


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "language"),
    [
        (None, None, "", "en"),
        (None, None, "ko-KR,ko;q=0.9,en-US;q=0.8", "ko"),
        (None, None, "en-US,en;q=0.9,ko;q=0.8", "en"),
        (None, None, "fr;q=0.9,ko;q=0.2", "ko"),
        (None, None, "ko;q=0,en", "en"),
        (None, None, "ko;q=lots, fr", "en"),
        (None, "ko", "en", "ko"),
        ("en", "ko", "ko", "en"),
        ("tlh", "../ko", "ko", "ko"),
    ],
)
def test_the_language_of_a_page(asked, kept, accepted, language):
    assert choose(asked, kept, accepted) == language


def test_a_sentence_with_values_is_translated_and_its_values_kept():
    words = Words("ko")
    assert words.text("No number could be released: It did not answer in time.") == (
        "공개할 수 있는 숫자가 없습니다. 시간 안에 답하지 않았습니다."
    )
    assert words.text("before 2012") == "2012년보다 앞"


def test_what_people_wrote_is_left_as_it_is():
    assert Words("ko").text("Our board meets on Fridays. {x}") == "Our board meets on Fridays. {x}"
    assert Words("en").text("{not a value}") == "{not a value}"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567, "1,234,567"), (1234.56, "1,234.6"), (35.65, "35.65"), (0.01234, "0.0123")],
)
def test_numbers(value, text):
    assert Words("en").number(value) == text


def test_a_time_says_its_zone():
    at = datetime(2026, 1, 2, 23, 30, tzinfo=UTC)
    assert Words("en").moment(at) == "2026-01-02 23:30 UTC"
    assert Words("ko").moment(at) == "2026-01-03 08:30 KST"
