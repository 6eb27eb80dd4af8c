"""A seat in a run, and whose turn it is: what the order of a run's questions must be, whatever the hub says.

Responsible for: checks over the history of a run, which one task alone can't show. Not responsible for: checks of one
task against its permit (`dure.govern.permit`).
"""

from typing import Any

from dure.govern.permit import NotPermitted, Seated
from dure.node.journal import Given, order
from dure.stats.base import BadState
from dure.study.kinds import kind_of
from dure.study.kinds.base import Step
from dure.wire.codec import decode, digest
from dure.wire.messages import Exchange, Position, Task
from dure.wire.rules import Mode


def judge_turn(seated: Seated, task: Task, given: list[Given], step: Step) -> None:
    """Whether a task may come now, after the answers given.

    Raises:
        NotPermitted: a position before or beside the order of the run.
        BadState: a first round that doesn't begin at the beginning; values from another state than their support.
    """
    here = f"task of run {task.run}"
    place = task.position
    if any(one.rule for one in given):
        raise NotPermitted("This hospital is out of the run.", where=here, mend="Nothing to do here.")
    if any(order(one.position) >= order(place) for one in given):
        raise NotPermitted("The run has passed this position.", where=here, mend="Nothing to do here.")
    before = {(one.position.step, one.position.round, one.position.exchange): one for one in given}
    if (0, 0, Exchange.ACCEPT) not in before:
        raise NotPermitted("No seat was taken.", where=here, mend="Nothing to do here.")
    if place.exchange is Exchange.VALUES:
        support = before.get((place.step, place.round, Exchange.SUPPORT))
        if support is None:
            raise NotPermitted("Values before their support.", where=here, mend="Nothing to do here.")
        if support.state != digest(task.state or b""):
            raise BadState(
                "Values are asked from another state than their support.",
                where=here,
                mend="Nothing to do here.",
            )
        return
    _judge_round(seated, task, before, step)


def _judge_round(
    seated: Seated, task: Task, before: dict[tuple[int, int, Exchange], Given], step: Step
) -> None:
    place, here = task.position, f"task of run {task.run}"
    last = Exchange.VALUES if seated.manifest.mode is Mode.TOTAL else Exchange.RELEASE
    if place.round > 0:
        if (place.step, place.round - 1, last) not in before:
            raise NotPermitted("A round is left out.", where=here, mend="Nothing to do here.")
        return
    state: Any = decode(step.statistic.state, task.state or b"", where=here)
    if state != step.statistic.begin(step.params):
        raise BadState(
            "The first round doesn't begin at the beginning.", where=here, mend="Nothing to do here."
        )


def accept_position() -> Position:
    """Where a seat is taken."""
    return Position(step=0, round=0, exchange=Exchange.ACCEPT)


def steps(seated: Seated) -> tuple[Step, ...]:
    """The steps of the study."""
    return kind_of(seated.study.question).steps(seated.study.question)
