"""The tables of states, and `docs/market-states.md`, which is made of them. Run this file to write the page anew:

python tests/spec/market/test_states.py > docs/market-states.md
"""

import sys
from itertools import product
from pathlib import Path

import pytest

from dure.market.problems import NotNow
from dure.market.states import TABLES, Party, judge

PAGE = Path(__file__).parents[3] / "docs" / "market-states.md"
HEAD = """# States of the market

Made by `python tests/spec/market/test_states.py > docs/market-states.md` from the tables in `src/dure/market/states.py`; a test holds it to them. What
isn't here can't be done. Who tries a step whose condition doesn't hold is told the sentence of that condition, and what to do. What each thing
is stands in [market.md](market.md).
"""


def diagram(table):
    """A table as Mermaid draws it."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {table.start}"]
    lines += [f"    {one.source} --> {one.target}: {one.action}" for one in table.transitions]
    lines += [f"    {state} --> [*]" for state in table.ends]
    return "\n".join([*lines, "```"])


def rows(table):
    yield "| from | step | to | by | if |"
    yield "|---|---|---|---|---|"
    for one in table.transitions:
        names = "; ".join(condition.name for condition in one.conditions)
        yield f"| {one.source} | {one.action} | {one.target} | {', '.join(one.by)} | {names} |"


def denials():
    yield "| if | where it doesn't hold | what to do |"
    yield "|---|---|---|"
    found = {condition for table in TABLES for one in table.transitions for condition in one.conditions}
    for condition in sorted(found, key=lambda condition: condition.name):
        yield f"| {condition.name} | {condition.denial} | {condition.mend} |"


def page():
    """The page as it must be."""
    parts = [HEAD.rstrip()]
    for table in TABLES:
        parts += [f"\n## {table.thing.capitalize()}\n", diagram(table), "", *rows(table)]
    return "\n".join([*parts, "\n## Denials\n", *denials(), ""])


def test_the_page_is_made_of_the_tables():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: python tests/spec/market/test_states.py > docs/market-states.md"
    )


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.thing)
def test_a_step_from_a_state_leads_to_one_state_and_every_state_is_reached(table):
    steps = [(one.source, one.action) for one in table.transitions]
    assert len(set(steps)) == len(steps)
    reached = {table.start}
    for _ in table.transitions:
        reached |= {one.target for one in table.transitions if one.source in reached}
    assert reached == set(table.states)
    assert table.ends, "it can end"
    leads = set(table.ends)
    for _ in table.transitions:
        leads |= {one.source for one in table.transitions if one.target in leads}
    assert leads == set(table.states), "from everywhere"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.thing)
def test_what_is_not_in_the_table_is_denied_with_what_can_be_done(table):
    actions = {one.action for one in table.transitions}
    lawful = {(one.source, one.action) for one in table.transitions}
    every = {condition for one in table.transitions for condition in one.conditions}
    for state, action, party in product(table.states, actions, Party):
        found = [one for one in table.transitions if (one.source, one.action) == (state, action)]
        if (state, action) in lawful and party in found[0].by:
            assert judge(table, state, action, by=party, holds=every) == found[0]
            continue
        with pytest.raises(NotNow) as denied:
            judge(table, state, action, by=party, holds=every)
        can = [one.action for one in table.transitions if one.source == state]
        if (state, action) in lawful:
            assert found[0].by[0] in denied.value.mend
        elif can:
            assert all(one in denied.value.mend for one in can)
        else:
            assert "over" in denied.value.mend


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.thing)
def test_every_missing_condition_denies_with_its_own_reason(table):
    for one in table.transitions:
        for missing in one.conditions:
            others = set(one.conditions) - {missing}
            with pytest.raises(NotNow) as denied:
                judge(table, one.source, one.action, by=one.by[0], holds=others)
            assert (denied.value.what, denied.value.mend) == (missing.denial, missing.mend)


def test_no_two_conditions_share_a_name_or_a_reason():
    every = {condition for table in TABLES for one in table.transitions for condition in one.conditions}
    assert len({condition.name for condition in every}) == len(every)


if __name__ == "__main__":
    sys.stdout.write(page())
