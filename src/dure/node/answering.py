"""Answering one task: the stored answer to a repeat, or a computed one through the gate.

Responsible for: from a judged task to the message that may leave and what must be kept with it. Not responsible for:
permission (judged before), signing and sending (`worker`, `courier`).
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.govern.permit import Seated
from dure.guard.accounting import NoiseMissing
from dure.guard.gate import Release, Withheld, release_again
from dure.guard.ledger import Memory, ref
from dure.guard.noise import Draw
from dure.guard.populations import Past
from dure.guard.register import NOISE, NOISE_BUDGET
from dure.node.budget import Budget, Purse
from dure.node.draw import draw
from dure.node.errands import DATASET_CHANGED, Trouble
from dure.node.journal import Journal, Kept
from dure.node.people import compress, expand
from dure.node.problems import WorkFailed
from dure.node.workshop import Job, Workshop
from dure.study.kinds import kind_of
from dure.study.kinds.base import Step
from dure.study.protocol.answer import message, remembered, through_gate
from dure.study.protocol.noised import Noising, charge, cost, objection, plan_of
from dure.wire.codec import decode, digest, encode
from dure.wire.messages import Contribution, Exchange, Refusal, Task, unpack
from dure.wire.problems import Problem
from dure.wire.rules import Noise

PASSING = frozenset(
    {"database-busy", "database-missing", "database-unreachable", "database-stamp-stale", "disk-full"}
)
"""Troubles that pass by themselves: the task is left, and asked again by the next poll."""
ELEMENT_BYTES = 16
log = logging.getLogger("dure.node")


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """A population to be kept: its name, its compressed people, how many they are, and the ref of the total it was given in."""

    name: str
    people: bytes
    size: int
    ref: str = ""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A message that may leave, and what the journal keeps in the same transaction.

    Attributes:
        kept: the numbers, for a repeat; None where they came from one, or there are none.
        populations: those whose numbers are given, and at a first support those that a repeat would be judged by.
        memory: with whom the numbers were given.
        charge: the task, and what its answer tells of one person (rho), where it carries noise.
    """

    message: Contribution | Refusal
    question: str
    people: str
    dataset: str
    memory: Memory
    kept: Kept | None = None
    populations: tuple[Remembered, ...] = ()
    charge: tuple[Task, float] | None = None

    def keep(self, journal: Journal, now: datetime) -> None:
        """Write it, inside the caller's transaction."""
        if self.kept is not None:
            journal.keep(self.question, self.kept, dataset=self.dataset, now=now)
        if self.charge is not None:
            journal.spend(*self.charge, dataset=self.dataset, now=now)
        for each in self.populations:
            journal.add_population(
                self.dataset,
                self.people,
                each.name,
                each.people,
                size=each.size,
                ref=each.ref,
                members=tuple(sorted(self.memory.members)),
                outside=tuple(sorted(self.memory.outside)),
                by_hospital=self.message.position.exchange is Exchange.RELEASE,
            )


class Computing:
    """Has answers computed and judged by the gate."""

    def __init__(
        self,
        *,
        hospital: str,
        journal: Journal,
        workshop: Workshop,
        budget: Budget | None = None,
        draw: Draw = draw,
    ) -> None:
        self.hospital = hospital
        self.journal = journal
        self.workshop = workshop
        self.budget = budget
        self.draw = draw

    def answer(self, seated: Seated, task: Task, step: Step, *, now: datetime) -> Answered | None:
        """The answer to a judged task; None if the database isn't there just now."""
        dataset = seated.permit.dataset_version
        blank = Answered(
            message=self._refusal(task, "", ""),
            question=question_id(seated, task, step),
            people=people_id(seated, task, step),
            dataset=dataset,
            memory=self._memory(seated, task),
        )
        rules = seated.manifest.rules
        noising, rho = None, 0.0
        if rules.noise is not None:
            noising = self._noising(seated)
            judged = self._judge_noise(rules.noise, noising, task, step)
            if isinstance(judged, Refusal):
                return replace(blank, message=judged)
            rho = judged
        again = None if noising is not None else self._again(seated, task, step, blank)
        if again is not None:
            log.info("run %s: the stored answer to a question asked before", task.run)
            return again
        kind = kind_of(seated.study.question)
        job = Job(
            kind=kind.name,
            question=encode(seated.study.question),
            step=step,
            state=task.state or b"",
            carried=task.carried,
            dataset_version=dataset,
        )
        try:
            computed = self.workshop.answer(job)
        except WorkFailed as problem:
            computed = Trouble(slug=problem.slug, what=problem.what, where=problem.where, mend=problem.mend)
        if isinstance(computed, Trouble):
            return self._troubled(task, computed, blank)
        released = through_gate(step, task, computed, rules=rules, memory=blank.memory, noising=noising)
        if noising is not None:
            made = replace(blank, message=message(released, task, self.hospital))
            return replace(made, charge=(task, rho)) if isinstance(released, Release) else made
        people = {name: compress(found) for name, found in computed.populations.items()}
        sizes = {name: len(found) for name, found in computed.populations.items()}
        return self._answered(task, step, released, blank, people, sizes)

    def _noising(self, seated: Seated) -> Noising:
        return Noising(question=seated.study.question, hospitals=len(seated.manifest.roster), draw=self.draw)

    def _judge_noise(self, rules: Noise, noising: Noising, task: Task, step: Step) -> float | Refusal:
        """What an answer with noise will tell of one person: rho; or why there is none.

        A run whose rounds together are more than is left isn't begun.
        """
        against = objection(noising.question, rules, noising.hospitals)
        if against is not None:
            return self._refusal(task, NOISE.id, against)
        try:
            rho = charge(plan_of(noising.question, step, rules, noising.hospitals), task.position.exchange)
            begun = self.journal.spent(task.run) > 0
            needed = rho if begun else cost(noising.question, rules, noising.hospitals)
            purse = Purse(budget=self.budget, spent=self.journal.spent())
            refused = purse.refusal(needed)
        except NoiseMissing as problem:
            log.error("run %s: %s %s", task.run, problem.what, problem.mend)  # noqa: TRY400 - no bug of ours
            return self._refusal(task, problem.slug, f"{problem.title}.")
        return rho if refused is None else self._refusal(task, NOISE_BUDGET.id, refused)

    def _memory(self, seated: Seated, task: Task) -> Memory:
        """What this hospital knows; where its numbers carry noise, nothing need be remembered."""
        past = [
            Past(
                ref=one.ref,
                size=one.size if one.size >= 0 else len(expand(self.journal.people(one.id))),
                load=partial(self._people, one.id),
                members=frozenset(one.members),
                outside=frozenset(one.outside),
                by_hospital=one.by_hospital,
            )
            for one in (self.journal.populations() if seated.manifest.rules.noise is None else ())
        ]
        roster = tuple(seat.hospital for seat in seated.manifest.roster)
        return remembered(task, me=self.hospital, roster=roster, outside=seated.outside, past=past)

    def _people(self, population: int) -> NDArray[np.int64]:
        return expand(self.journal.people(population))

    def _again(self, seated: Seated, task: Task, step: Step, blank: Answered) -> Answered | None:
        """What was answered to the same question before, judged by all that was answered since; None where there is nothing."""
        kept = self.journal.kept(blank.question)
        if kept is None:
            return None
        place = task.position
        if place.exchange is Exchange.RELEASE or (place.exchange is Exchange.SUPPORT and place.round > 0):
            return replace(blank, message=self._contribution(task, kept.numbers, kept))
        people = self.journal.people_of(blank.people)
        if set(people) != set(step.statistic.populations(step.params)):
            return None
        populations = {name: expand(found) for name, found in people.items()}
        where = f"task of run {task.run}"
        is_open = None if task.open is None else unpack(task.open, len(step.layout.cells), where=where)
        released = release_again(
            step.layout, kept.numbers, populations, seated.manifest.rules, blank.memory, is_open=is_open
        )
        sizes = {name: len(found) for name, found in populations.items()}
        return replace(self._answered(task, step, released, blank, people, sizes), kept=None)

    def _answered(
        self,
        task: Task,
        step: Step,
        released: Release | Withheld,
        blank: Answered,
        people: Mapping[str, bytes],
        sizes: Mapping[str, int],
    ) -> Answered:
        made = replace(blank, message=message(released, task, self.hospital))
        if not isinstance(released, Release):
            return made
        place = task.position
        names: Iterable[str] = released.populations
        if place.exchange is Exchange.SUPPORT and place.round == 0:
            names = people
        numbers = released.numbers
        if place.exchange is Exchange.SUPPORT:
            # What the ledger adds depends on what was answered before: a repeat adds its own.
            numbers = numbers[: ELEMENT_BYTES * len(step.layout.cells)]
        return replace(
            made,
            kept=Kept(layout=released.layout, numbers=numbers, shown=released.shown),
            populations=tuple(
                Remembered(
                    name=name,
                    people=people[name],
                    size=sizes[name],
                    ref=ref(task.run, place.step, name, step.layout)
                    if place.exchange is Exchange.VALUES
                    else "",
                )
                for name in names
            ),
        )

    def _troubled(self, task: Task, trouble: Trouble, blank: Answered) -> Answered | None:
        """A refusal that says what kind of trouble, or None. Its details stay here, in the log."""
        log.error("run %s: %s (%s) %s", task.run, trouble.what, trouble.where, trouble.mend)
        if trouble.slug in PASSING:
            return None
        rule, reason = WorkFailed.slug, "The hospital's node could not compute the answer."
        if trouble.slug == DATASET_CHANGED:
            rule, reason = "not-permitted", "The hospital's data have changed since its board signed."
        elif trouble.slug in Problem.register:
            rule, reason = trouble.slug, f"{Problem.register[trouble.slug].title}."
        return replace(blank, message=self._refusal(task, rule, reason))

    def _refusal(self, task: Task, rule: str, reason: str) -> Refusal:
        return Refusal(
            run=task.run,
            manifest=task.manifest,
            hospital=self.hospital,
            position=task.position,
            rule=rule,
            reason=reason,
        )

    def _contribution(self, task: Task, numbers: bytes, kept: Kept) -> Contribution:
        return Contribution(
            run=task.run,
            manifest=task.manifest,
            hospital=self.hospital,
            position=task.position,
            task=digest(encode(task)),
            layout=kept.layout,
            numbers=numbers,
            shown=kept.shown,
        )


def people_id(seated: Seated, task: Task, step: Step) -> str:
    """Names the people that a step is about, whatever its state, run, asker and roster."""
    return _digest(_about(seated, task, step))


def question_id(seated: Seated, task: Task, step: Step) -> str:
    """Names a question whatever its run, asker and roster: equal ones get the same bytes from one dataset version."""
    state: Any = decode(step.statistic.state, task.state or b"", where="state")
    rules = seated.manifest.rules
    return _digest(
        (
            *_about(seated, task, step),
            encode(state),
            task.position.exchange.value.encode(),
            task.open or b"",
            encode(rules) if task.position.exchange is Exchange.RELEASE else b"",
        )
    )


def _about(seated: Seated, task: Task, step: Step) -> tuple[bytes, ...]:
    return (
        kind_of(seated.study.question).name.encode(),
        encode(seated.study.question),
        step.name.encode(),
        encode(step.params),
        *task.carried,
        seated.permit.dataset_version.encode(),
    )


def _digest(parts: Iterable[bytes]) -> str:
    return digest(b"".join(len(part).to_bytes(8, "big") + part for part in parts))
