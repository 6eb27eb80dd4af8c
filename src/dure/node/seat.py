"""A seat in a run, and whose turn it is: what the order of a run's questions must be, whatever the hub says.

Responsible for: checks over the history of a run, which one task alone can't show. Not responsible for: checks of one
task against its permit (`dure.govern.permit`).
"""

from typing import Any

from dure.govern.permit import NotPermitted, Seated
from dure.node.journal import Given, order
from dure.stats.base import BadState, Done
from dure.study.kinds import kind_of
from dure.study.kinds.base import Step
from dure.study.protocol.answer import follow
from dure.wire.codec import decode, digest
from dure.wire.messages import Contribution, Exchange, Position, Task
from dure.wire.rules import Mode


def judge_turn(
    seated: Seated, task: Task, given: list[Given], step: Step, released: tuple[Contribution, ...]
) -> None:
    """Whether a task may come now, after the answers given.

    Args:
        released: this hospital's own releases in the step so far, in `by_hospital`, in order.

    Raises:
        NotPermitted: a position before or beside the order of the run.
        BadState: a first round that doesn't begin at the beginning; values from another state than their support;
            in `by_hospital`, a state that this hospital's own releases don't lead to.
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
    _judge_round(seated, task, before, step, released)


def _judge_round(
    seated: Seated,
    task: Task,
    before: dict[tuple[int, int, Exchange], Given],
    step: Step,
    released: tuple[Contribution, ...],
) -> None:
    place, here = task.position, f"task of run {task.run}"
    last = Exchange.VALUES if seated.manifest.mode is Mode.TOTAL else Exchange.RELEASE
    if place.round > 0:
        if (place.step, place.round - 1, last) not in before:
            raise NotPermitted("A round is left out.", where=here, mend="Nothing to do here.")
        if seated.manifest.mode is Mode.BY_HOSPITAL:
            _judge_own_path(task, step, released)
        return
    state: Any = decode(step.statistic.state, task.state or b"", where=here)
    if state != step.statistic.begin(step.params):
        raise BadState(
            "The first round doesn't begin at the beginning.", where=here, mend="Nothing to do here."
        )


def _judge_own_path(task: Task, step: Step, released: tuple[Contribution, ...]) -> None:
    """In `by_hospital` the state follows from what this hospital released: any other is a question by the hub."""
    here = f"task of run {task.run}"
    state: Any = step.statistic.begin(step.params)
    for one in released:
        outcome = follow(step, state, one)
        if isinstance(outcome, Done):
            raise NotPermitted("The statistic is finished.", where=here, mend="Nothing to do here.")
        state = outcome.state
    if decode(step.statistic.state, task.state or b"", where=here) != state:
        raise BadState(
            "This hospital's own numbers lead to another state.", where=here, mend="Nothing to do here."
        )


def accept_position() -> Position:
    """Where a seat is taken."""
    return Position(step=0, round=0, exchange=Exchange.ACCEPT)


def steps(seated: Seated) -> tuple[Step, ...]:
    """The steps of the study."""
    return kind_of(seated.study.question).steps(seated.study.question)
