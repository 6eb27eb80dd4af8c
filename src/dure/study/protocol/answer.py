"""A hospital's side of one exchange, as pure steps: its computed answer through the gate, into a message.

Responsible for: which gate serves which exchange. Not responsible for: permits (checked before), signing, sending.
"""

from collections.abc import Collection, Sequence
from typing import Any

from dure.guard.gate import (
    Release,
    Withheld,
    release_hospital,
    release_noised,
    release_support,
    release_values,
)
from dure.guard.ledger import Memory
from dure.guard.populations import Past
from dure.guard.register import BOUNDS, NOISE
from dure.stats.base import Answer, Released
from dure.study.kinds.base import Step
from dure.study.protocol.noised import Noising, objection, plan_of
from dure.wire import ring
from dure.wire.codec import digest, encode
from dure.wire.messages import Contribution, Exchange, Refusal, Task, unpack
from dure.wire.rules import Noise, Rules
from dure.wire.sums import Sums


def through_gate(
    step: Step, task: Task, answer: Answer, *, rules: Rules, memory: Memory, noising: Noising | None = None
) -> Release | Withheld:
    """What the gate lets through of an answer, at the task's exchange. What the ring can't hold is refused here, before any mask.

    Args:
        noising: needed where the rules want noise; without it nothing leaves then.
    """
    try:
        if rules.noise is not None:
            return _with_noise(step, task, answer, rules.noise, noising)
        return _through(step, task, answer, rules, memory)
    except OverflowError:
        return Withheld(rule=BOUNDS, reason="A number is too large to be added.")


def _through(step: Step, task: Task, answer: Answer, rules: Rules, memory: Memory) -> Release | Withheld:
    layout = step.layout
    match task.position.exchange:
        case Exchange.SUPPORT:
            return release_support(layout, answer, rules, memory if task.position.round == 0 else None)
        case Exchange.VALUES:
            opened = unpack(task.open or b"", len(layout.cells), where=f"task of run {task.run}")
            return release_values(layout, answer, opened, rules, memory)
        case Exchange.RELEASE:
            return release_hospital(layout, answer, rules, memory)
        case _:
            raise ValueError(f"{task.position.exchange} asks for no numbers")


def _with_noise(
    step: Step, task: Task, answer: Answer, rules: Noise, noising: Noising | None
) -> Release | Withheld:
    exchange, layout = task.position.exchange, step.layout
    if noising is None or exchange not in (Exchange.SUPPORT, Exchange.VALUES):
        return Withheld(rule=NOISE, reason="Only totals carry noise, and nothing leaves here without.")
    against = objection(noising.question, rules, noising.hospitals)
    if against is not None:
        return Withheld(rule=NOISE, reason=against)
    is_open = None
    if exchange is Exchange.VALUES:
        is_open = unpack(task.open or b"", len(layout.cells), where=f"task of run {task.run}")
    plan = plan_of(noising.question, step, rules, noising.hospitals)
    return release_noised(layout, answer, plan, noising.draw, is_open=is_open)


def remembered(
    task: Task,
    *,
    me: str,
    roster: Collection[str],
    outside: Collection[str],
    past: Sequence[Past] = (),
) -> Memory:
    """What a hospital knows when it answers a task.

    Args:
        roster: the run's hospitals; outside: those outside the asker's affiliation.
        past: of what it gave numbers before, oldest first.
    """
    members = frozenset(task.members or roster)
    return Memory(
        me=me,
        run=task.run,
        step=task.position.step,
        past=past,
        named=task.compare,
        members=members,
        outside=members & frozenset(outside),
    )


def follow(step: Step, state: Any, given: Contribution) -> Any:
    """What a hospital's own release leads to, in `by_hospital`: `Again` with the next state, or `Done`.

    The hospital knows all that decides it, so it can tell what the hub may ask next, and nothing else.
    """
    layout = step.layout
    cells = len(layout.cells)
    lanes = ring.from_bytes(given.numbers, cells + layout.size)[cells:]
    shown = unpack(given.shown or b"", cells, where=f"release in run {given.run}")
    values = Sums.from_ring(layout, lanes).values
    return step.statistic.step(step.params, state, Released(layout=layout, open=shown, values=values))


def message(released: Release | Withheld, task: Task, hospital: str) -> Contribution | Refusal:
    """The message that carries a gate's decision."""
    if isinstance(released, Withheld):
        return Refusal(
            run=task.run,
            manifest=task.manifest,
            hospital=hospital,
            position=task.position,
            rule=released.rule.id,
            reason=released.reason,
        )
    return Contribution(
        run=task.run,
        manifest=task.manifest,
        hospital=hospital,
        position=task.position,
        task=digest(encode(task)),
        layout=released.layout,
        numbers=released.numbers,
        shown=released.shown,
    )
