"""What every kind of study has, and `docs/questions.md`, which lists it. Run this file to write the page anew:

python tests/spec/study/test_every_kind.py > docs/questions.md
"""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from dure import demo
from dure.client import study_file
from dure.look.words import COLUMNS, Words, catalogue
from dure.study.kinds import KINDS, kind_of
from dure.wire.rules import Mode

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "questions.md"
STUDIES = Path(demo.__file__).parent / "studies"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = """# Questions, field by field

Made by `python tests/spec/study/test_every_kind.py > docs/questions.md` from the kinds themselves; a test holds it to them. What each
kind does, with an example that was run, stands in [kinds.md](kinds.md). Tables keep their names and columns; a None in them is a hidden number.
"""


@cache
def examples():
    """The demo's studies, by kind."""
    found = {}
    for path in sorted(STUDIES.glob("*.yaml"), key=lambda path: int(path.name.split("_")[0])):
        study = study_file.read(path).study(asker="lab", lasting=timedelta(days=1), now=NOW)
        found.setdefault(kind_of(study.question).name, []).append((path.name, study.question))
    return found


def questions(kind):
    """The examples, and what they are in one round where that is a choice."""
    found = examples()[kind.name]
    if "one_round" in fields(kind)[0]:
        return [*found, *((name, replace(question, one_round=True)) for name, question in found)]
    return found


def fields(kind):
    """The question's fields but `kind`, and the messages inside it, as its JSON schema has them.

    A schema leaves a title out where it is the name of the field's type.
    """
    schema = TypeAdapter(kind.spec).json_schema()
    top = {name: part for name, part in schema["properties"].items() if name != "kind"}
    for part in top.values():
        if "$ref" in part:
            part.setdefault("title", part["$ref"].split("/")[-1])
    return top, schema.get("$defs", {})


def is_number(part):
    """Whether it holds a number, alone or in a list, or none."""
    parts = [part, *part.get("anyOf", ()), part.get("items", {})]
    return any(each.get("type") in {"integer", "number"} for each in parts)


def columns_of(kind):
    """Every table with its columns, over the kind's examples: the same whenever it is there."""
    found = {}
    for _, question in questions(kind):
        for table in kind.tables(question, {}):
            assert found.setdefault(table.name, table.columns) == table.columns, table.name
    return found


def section(kind):
    """One kind's part of the page."""
    question = examples()[kind.name][0][1]
    steps = kind.steps(question)
    modes = [str(mode) for mode in Mode if all(mode in step.statistic.modes for step in steps)]
    rounds = sum(step.statistic.rounds(step.params) for step in steps)
    yield f"## {kind.name}"
    yield ""
    yield f"{(kind.spec.__doc__ or '').strip().splitlines()[0]} In {' or '.join(f'`{mode}`' for mode in modes)}; of the first example"
    yield f"{len(steps)} step{'s' if len(steps) > 1 else ''}, {'one round' if rounds == 1 else f'{rounds} rounds at the most'}."
    yield f"Examples: {', '.join(f'`{name}`' for name, _ in examples()[kind.name])}."
    yield ""
    yield "| field | title | help | unit | default |"
    yield "|---|---|---|---|---|"
    for name, part in fields(kind)[0].items():
        default = (
            f"`{json.dumps(part['default'], ensure_ascii=False)}`" if "default" in part else "must be given"
        )
        yield f"| `{name}` | {part['title']} | {part['description']} | {part.get('unit', '')} | {default} |"
    yield ""
    yield "| table | columns | drawn as |"
    yield "|---|---|---|"
    drawn = {}
    for _, example in questions(kind):
        for chart in kind.charts(example):
            drawn.setdefault(chart.table, []).append(chart.form)
    for name, columns in columns_of(kind).items():
        forms = ", ".join(dict.fromkeys(drawn.get(name, ())))
        yield f"| `{name}` | {', '.join(f'`{column}`' for column in columns)} | {forms} |"
    yield ""


def page():
    """The page as it must be."""
    return HEAD + "\n" + "\n".join(line for kind in KINDS.values() for line in section(kind))


def test_the_page_lists_every_field_and_column():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: python tests/spec/study/test_every_kind.py > docs/questions.md"
    )


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_field_says_what_it_is(kind):
    """A title and help, in two languages, and a number its unit; of messages inside, a title."""
    top, inner = fields(kind)
    said = catalogue("ko")
    for name, part in top.items():
        assert {"title", "description"} <= part.keys(), name
        assert part["title"] in said, name
        assert part["description"] in said, name
        assert not is_number(part) or "unit" in part, name
    for message in inner.values():
        for name, part in message.get("properties", {}).items():
            assert part.get("title") in said, f"{message['title']}.{name}"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_report_is_drawn_described_and_translated(kind):
    words, said = Words("ko"), catalogue("ko")
    for name, question in questions(kind):
        tables = {table.name: table for table in kind.tables(question, {})}
        charts, methods = kind.charts(question), kind.methods(question)
        assert charts
        assert methods
        for chart in charts:
            columns = tables[chart.table].columns
            asked = (chart.x, chart.y, chart.low, chart.high, chart.panel, chart.group)
            assert {each for each in asked if each} <= set(columns), (name, chart.table)
            assert chart.title in said, chart.title
        for table in tables.values():
            assert table.title in said, table.title
            for column in table.columns:
                plain = column.replace("_", " ")
                assert COLUMNS.get(column, plain[:1].upper() + plain[1:]) in said, column
        for sentence in methods:
            assert words.text(sentence) != sentence, sentence


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_manual_has_a_page_with_an_example_that_was_run(kind):
    manual = (DOCS / "kinds.md").read_text(encoding="utf-8")
    parts = {part.split("\n")[0].split(",")[0].strip(): part for part in manual.split("\n## ")[1:]}
    assert kind.name in parts
    assert "**Example.**" in parts[kind.name]
    assert any(name in parts[kind.name] for name, _ in examples()[kind.name])


def test_what_is_asked_in_one_round():
    """Where mathematics allows it: of a Cox model with several covariates, a risk table, a propensity score it doesn't."""
    rounds = {}
    for kind in KINDS.values():
        question = questions(kind)[-1][1]
        rounds[kind.name] = sum(step.statistic.rounds(step.params) for step in kind.steps(question))
    assert {name for name, count in rounds.items() if count > 1} == {"effect", "subgroup", "survival"}


if __name__ == "__main__":
    sys.stdout.write(page())
