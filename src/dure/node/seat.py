"""A seat in a run, and whose turn it is: what the order of a run's questions must be, whatever the hub says.

Responsible for: checks over the history of a run, which one task alone can't show. Not responsible for: checks of one
task against its permit (`dure.govern.permit`).
"""

from collections.abc import Callable
from typing import Any

from dure.govern.permit import NotPermitted, Seated
from dure.node.journal import EXCHANGES, Given, digest_carried, order
from dure.stats.base import BadState, Done
from dure.study.kinds import kind_of
from dure.study.kinds.base import Step
from dure.study.protocol.answer import follow
from dure.study.protocol.batch import HANDSHAKES
from dure.wire.codec import decode, digest, encode
from dure.wire.messages import Contribution, Exchange, Position, Task
from dure.wire.rules import Mode

Releases = Callable[[int], tuple[Contribution, ...]]
"""This hospital's own releases in a step of the run (by its number), in `by_hospital`, in order."""


def judge_turn(seated: Seated, task: Task, given: list[Given], step: Step, released: Releases) -> None:
    """Whether a task may come now, after the answers given.

    Raises:
        NotPermitted: a position before or beside the order of the run.
        BadState: a first round that doesn't begin at the beginning; values from another state than their support;
            other results carried than earlier in the step; in `by_hospital`, a state or carried results that this
            hospital's own releases don't lead to.
    """
    here = f"task of run {task.run}"
    place = task.position
    if any(one.rule for one in given):
        raise NotPermitted("This hospital is out of the run.", where=here, mend="Nothing to do here.")
    at = _order(seated)
    if any(at(one.position) >= at(place) for one in given):
        raise NotPermitted("The run has passed this position.", where=here, mend="Nothing to do here.")
    before = {(one.position.step, one.position.round, one.position.exchange): one for one in given}
    if (0, 0, Exchange.ACCEPT) not in before:
        raise NotPermitted("No seat was taken.", where=here, mend="Nothing to do here.")
    if place.exchange in HANDSHAKES:
        return
    no_numbers = (Exchange.ACCEPT, *HANDSHAKES)
    in_step = [
        one for one in given if one.position.step == place.step and one.position.exchange not in no_numbers
    ]
    if any(one.carried != digest_carried(task) for one in in_step):
        raise BadState(
            "Other results are carried than earlier in the step.", where=here, mend="Nothing to do here."
        )
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


def _order(seated: Seated) -> Callable[[Position], tuple[int, int, int]]:
    """By which a run's positions follow each other: where files are carried, all steps' people come before all steps' numbers."""
    if seated.aggregator is None:
        return order
    return lambda position: (EXCHANGES[position.exchange], position.step, position.round)


def _judge_round(
    seated: Seated,
    task: Task,
    before: dict[tuple[int, int, Exchange], Given],
    step: Step,
    released: Releases,
) -> None:
    place, here = task.position, f"task of run {task.run}"
    by_hospital = seated.manifest.mode is Mode.BY_HOSPITAL
    last = Exchange.RELEASE if by_hospital else Exchange.VALUES
    state: Any = decode(step.statistic.state, task.state or b"", where=here)
    if place.round > 0:
        if (place.step, place.round - 1, last) not in before:
            raise NotPermitted("A round is left out.", where=here, mend="Nothing to do here.")
        if by_hospital:
            _judge_own_path(task, state, step, released(place.step))
        return
    if state != step.statistic.begin(step.params):
        raise BadState(
            "The first round doesn't begin at the beginning.", where=here, mend="Nothing to do here."
        )
    if by_hospital:
        _judge_own_results(seated, task, step, released)


def _judge_own_path(task: Task, state: Any, step: Step, released: tuple[Contribution, ...]) -> None:
    """In `by_hospital` the state follows from what this hospital released: any other is a question by the hub."""
    here = f"task of run {task.run}"
    reached = _reached(step, released)
    if isinstance(reached, Done):
        raise NotPermitted("The statistic is finished.", where=here, mend="Nothing to do here.")
    if state != reached:
        raise BadState(
            "This hospital's own numbers lead to another state.", where=here, mend="Nothing to do here."
        )


def _judge_own_results(seated: Seated, task: Task, step: Step, released: Releases) -> None:
    """In `by_hospital` the results carried are those of this hospital."""
    every = steps(seated)
    numbers = {each.name: number for number, each in enumerate(every)}
    for need, told in zip(step.needs, task.carried, strict=True):
        reached = _reached(every[numbers[need]], released(numbers[need]))
        if not isinstance(reached, Done) or encode(reached.result) != told:
            raise BadState(
                f"This hospital's own numbers lead to another result of {need}.",
                where=f"task of run {task.run}",
                mend="Nothing to do here.",
            )


def _reached(step: Step, released: tuple[Contribution, ...]) -> Any:
    """The state after this hospital's own releases, or `Done`."""
    state: Any = step.statistic.begin(step.params)
    for one in released:
        outcome = follow(step, state, one)
        if isinstance(outcome, Done):
            return outcome
        state = outcome.state
    return state


def accept_position() -> Position:
    """Where a seat is taken."""
    return Position(step=0, round=0, exchange=Exchange.ACCEPT)


def steps(seated: Seated) -> tuple[Step, ...]:
    """The steps of the study."""
    return kind_of(seated.study.question).steps(seated.study.question)
