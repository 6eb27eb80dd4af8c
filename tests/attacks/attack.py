"""What an attack is, and the register of them: each is tried with the guard switched off, where it must succeed, and on.

Responsible for: the classes of attacks, what each must show, the row of the manual's table. Not responsible for: attacks
(the other files of this folder), running them (`test_attacks`, `__main__`).
"""

from collections.abc import Callable, Set
from dataclasses import dataclass
from enum import StrEnum


class Class(StrEnum):
    """What the guard does about an attack."""

    PREVENTED = "prevented"
    DETECTED = "detected"
    BOUNDED = "bounded"
    ACCEPTED = "accepted"


@dataclass(frozen=True, kw_only=True)
class Tried:
    """How one attempt went.

    Attributes:
        success: whether the attacker has what it wanted.
        figure: how much, in a few words, for the table.
        by: the rules that said no, or who saw it.
        gain, bound: of a bounded attack.
    """

    success: bool
    figure: str
    by: Set[str] = frozenset()
    gain: float = 0.0
    bound: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attack.

    Attributes:
        group: what it goes against; title: what it does.
        rule: what is to stop it or see it: a rule of the register, a problem's slug or a check, as `Tried.by` names it.
        peer: the figure seen with other systems (the facts are in the manual's page), if there is one.
        line: of an accepted attack, words that SECURITY.md says of it.
    """

    id: str
    group: str
    title: str
    what: Class
    rule: str
    peer: str
    line: str
    run: Callable[[bool], Tried]


ALL: dict[str, Attack] = {}


def attack(
    group: str, title: str, *, what: Class = Class.PREVENTED, rule: str = "", peer: str = "", line: str = ""
) -> Callable[[Callable[[bool], Tried]], Callable[[bool], Tried]]:
    """Register a function of `guard` (on or off) as an attack, by its name."""

    def put(run: Callable[[bool], Tried]) -> Callable[[bool], Tried]:
        id_ = run.__name__.replace("_", "-")
        assert id_ not in ALL, id_
        ALL[id_] = Attack(
            id=id_, group=group, title=title, what=what, rule=rule, peer=peer, line=line, run=run
        )
        return run

    return put


def row(attack: Attack, off: Tried, on: Tried) -> str:
    """The attack's row of the manual's table."""
    stopped = f"`{attack.rule}`" if attack.rule else ""
    peer = f" (elsewhere: {attack.peer})" if attack.peer else ""
    return (
        f"| `{attack.id}` | {attack.title}{peer} | {attack.what} | {off.figure} | {on.figure} | {stopped} |"
    )
