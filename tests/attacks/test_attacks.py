"""Every attack succeeds without the guard, and with it does what its class says; the manual's table says what happened."""

import pytest

from dure.guard.register import REGISTER
from tests.attacks.attack import ALL, Class, row
from tests.attacks.page import ATTACKS, RULES, needing, rules

DOCS = ATTACKS.parent


@pytest.mark.parametrize("name", sorted(ALL))
def test_attack(name):
    attack = ALL[name]
    off, on = attack.run(False), attack.run(True)
    assert off.success, f"it shows nothing: without the guard it gets {off.figure}"
    match attack.what:
        case Class.PREVENTED | Class.DETECTED:
            assert not on.success
            assert attack.rule in on.by, on.by
        case Class.BOUNDED:
            assert on.gain <= on.bound
            assert not on.success
        case Class.ACCEPTED:
            security = (DOCS.parent / "SECURITY.md").read_text(encoding="utf-8")
            assert attack.line
            assert attack.line in security
            assert on.success, "it is prevented now: say so"
    page = ATTACKS.read_text(encoding="utf-8")
    assert row(attack, off, on) in page, "stale: python -m tests.attacks"


def test_the_table_has_no_other_lines():
    lines = [line for line in ATTACKS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(lines) == len(ALL)
    for what in Class:
        count = sum(one.what is what for one in ALL.values())
        assert f"| {what} | {count} |" in ATTACKS.read_text(encoding="utf-8")


def test_the_page_of_rules_is_the_register():
    assert RULES.read_text(encoding="utf-8") == rules(), "stale: python -m tests.attacks"


def test_every_rule_but_rounding_is_needed_by_an_attack():
    assert {rule.id for rule in REGISTER if not needing(rule.id)} == {"rounding"}
