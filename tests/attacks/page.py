"""The manual's pages that are made: the table of attacks, and the register of rules that a data review board reads.

Responsible for: their text, from the registers. Not responsible for: trying attacks (`attack`), what rules are (`dure.guard.register`).
"""

from pathlib import Path

from dure.guard.register import REGISTER
from dure.wire.rules import Rules
from tests.attacks import cells, hub, liars, models, noisy, subtraction, two_bodies
from tests.attacks.attack import ALL, Attack, Class, Tried, row

DOCS = Path(__file__).resolve().parents[2] / "docs"
ATTACKS, RULES = DOCS / "attacks.md", DOCS / "rules.md"
FILES = (subtraction, cells, models, hub, liars, two_bodies, noisy)
HEAD = """# Attacks

Every line is tried by a test: with the guard switched off, where it must succeed (else it would show nothing), and on. Try one with

```
python -m pytest tests/attacks -k "<id>"
```

The table is made by `python -m tests.attacks`, and a test holds it to what happens. *Off* means rules that hide nothing, a memory that forgets and, for a hub that lies, a
hospital that checks nothing; small cells alone are hidden where the attack is on cells. *On* is the real gate, ledger, party and node with default rules. Figures "elsewhere" were measured on
other systems with the same attack or read in their documentation, as said.

| class | attacks | must |
|---|---|---|
"""
MUST = {
    Class.PREVENTED: "fail, by the rule named",
    Class.DETECTED: "be seen, by whoever is named",
    Class.BOUNDED: "gain no more than the bound that the test states",
    Class.ACCEPTED: "stand in SECURITY.md, under *not protected*",
}


def attacks(tried: dict[str, tuple[Tried, Tried]]) -> str:
    """The page of attacks, from how each went without the guard and with it."""
    lines = [HEAD.rstrip("\n")]
    for what, must in MUST.items():
        lines.append(f"| {what} | {sum(one.what is what for one in ALL.values())} | {must} |")
    groups = dict.fromkeys(one.group for one in ALL.values())
    for group in groups:
        lines += ["", f"## {group[0].upper()}{group[1:]}", ""]
        lines += ["| id | attack | class | guard off | guard on | stopped by |", "|---|---|---|---|---|---|"]
        lines += [row(one, *tried[one.id]) for one in ALL.values() if one.group == group]
    return "\n".join(lines) + "\n"


def rules() -> str:
    """The page of rules."""
    defaults = Rules()
    lines = [
        "# Rules of disclosure",
        "",
        "For the board that signs: every rule of the gate, what sets it, where it holds, attacks that show that it is needed ([attacks.md](attacks.md)), and the test"
        " that shows that it holds. Made from `dure.guard.register` by `python -m tests.attacks`. How the rules work together is in [disclosure.md](disclosure.md).",
        "",
        "| rule | what it stops | set by (default) | where it holds | attacks | test |",
        "|---|---|---|---|---|---|",
    ]
    for rule in REGISTER:
        value = getattr(defaults, rule.parameter) if rule.parameter else None
        setting = (
            f"`{rule.parameter}` ({'off' if value is None else value})" if rule.parameter else "not settable"
        )
        needed = ", ".join(f"`{one.id}`" for one in needing(rule.id)[:4])
        lines.append(
            f"| `{rule.id}` | {rule.stops} | {setting} | {rule.applies} | {needed} | `{rule.shown_by}` |"
        )
    return "\n".join(lines) + "\n"


def needing(rule: str) -> list[Attack]:
    """The attacks that a rule stops."""
    return [one for one in ALL.values() if one.rule == rule]
