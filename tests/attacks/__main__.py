"""Writes docs/attacks.md and docs/rules.md anew: `python -m tests.attacks`. Takes a minute."""

from tests.attacks.attack import ALL
from tests.attacks.page import ATTACKS, RULES, attacks, rules

if __name__ == "__main__":
    tried = {one.id: (one.run(False), one.run(True)) for one in ALL.values()}
    ATTACKS.write_text(attacks(tried), encoding="utf-8")
    RULES.write_text(rules(), encoding="utf-8")
