"""Answering one task: the stored answer to a repeat, or a computed one through the gate.

Responsible for: from a judged task to the message that may leave and what must be kept with it. Not responsible for:
permission (judged before), signing and sending (`worker`, `courier`).
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dure.govern.permit import Seated
from dure.guard.gate import Release
from dure.node.errands import DATASET_CHANGED, Trouble
from dure.node.journal import Journal, Kept
from dure.node.people import compress, expand
from dure.node.problems import WorkFailed
from dure.node.workshop import Job, Workshop
from dure.stats.base import Answer
from dure.study.kinds import kind_of
from dure.study.kinds.base import Step
from dure.study.protocol.answer import message, through_gate
from dure.wire.codec import decode, digest, encode
from dure.wire.messages import Contribution, Exchange, Refusal, Task
from dure.wire.problems import Problem

PASSING = frozenset(
    {"database-busy", "database-missing", "database-unreachable", "database-stamp-stale", "disk-full"}
)
"""Troubles that pass by themselves: the task is left, and asked again by the next poll."""
log = logging.getLogger("dure.node")


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A message that may leave, and what the journal keeps in the same transaction.

    Attributes:
        kept: the numbers, for a repeat; None where they came from one, or there are none.
        populations: name and compressed people of every population whose numbers are shown by hospital.
    """

    message: Contribution | Refusal
    question: str
    dataset: str
    kept: Kept | None
    populations: tuple[tuple[str, bytes], ...]

    def keep(self, journal: Journal, now: datetime) -> None:
        """Write it, inside the caller's transaction."""
        if self.kept is not None:
            journal.keep(self.question, self.kept, dataset=self.dataset, now=now)
        for name, people in self.populations:
            journal.add_population(self.dataset, self.question, name, people)


class Computing:
    """Has answers computed and judged by the gate."""

    def __init__(self, *, hospital: str, journal: Journal, workshop: Workshop) -> None:
        self.hospital = hospital
        self.journal = journal
        self.workshop = workshop

    def answer(self, seated: Seated, task: Task, step: Step, *, now: datetime) -> Answered | None:
        """The answer to a judged task; None if the database isn't there just now."""
        dataset = seated.permit.dataset_version
        question = question_id(seated, task, step)
        kept = self.journal.kept(question)
        if kept is not None:
            log.info("run %s: the stored answer to a question asked before", task.run)
            return Answered(
                message=self._contribution(task, kept),
                question=question,
                dataset=dataset,
                kept=None,
                populations=(),
            )
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
            return self._troubled(task, computed, question, dataset)
        return self._judged(seated, task, step, computed, question, dataset)

    def _judged(
        self, seated: Seated, task: Task, step: Step, answer: Answer, question: str, dataset: str
    ) -> Answered:
        by_hospital = task.position.exchange is Exchange.RELEASE
        past = (expand(people) for people in self.journal.populations(dataset)) if by_hospital else ()
        released = through_gate(step, task, answer, rules=seated.manifest.rules, past=past)
        if not isinstance(released, Release):
            return Answered(
                message=message(released, task, self.hospital),
                question=question,
                dataset=dataset,
                kept=None,
                populations=(),
            )
        return Answered(
            message=message(released, task, self.hospital),
            question=question,
            dataset=dataset,
            kept=Kept(layout=released.layout, numbers=released.numbers, shown=released.shown),
            populations=tuple((name, compress(answer.populations[name])) for name in released.populations),
        )

    def _troubled(self, task: Task, trouble: Trouble, question: str, dataset: str) -> Answered | None:
        """A refusal that says what kind of trouble, or None. Its details stay here, in the log."""
        log.error("run %s: %s (%s) %s", task.run, trouble.what, trouble.where, trouble.mend)
        if trouble.slug in PASSING:
            return None
        rule, reason = WorkFailed.slug, "The hospital's node could not compute the answer."
        if trouble.slug == DATASET_CHANGED:
            rule, reason = "not-permitted", "The hospital's data have changed since its board signed."
        elif trouble.slug in Problem.register:
            rule, reason = trouble.slug, f"{Problem.register[trouble.slug].title}."
        refusal = Refusal(
            run=task.run,
            manifest=task.manifest,
            hospital=self.hospital,
            position=task.position,
            rule=rule,
            reason=reason,
        )
        return Answered(message=refusal, question=question, dataset=dataset, kept=None, populations=())

    def _contribution(self, task: Task, kept: Kept) -> Contribution:
        return Contribution(
            run=task.run,
            manifest=task.manifest,
            hospital=self.hospital,
            position=task.position,
            task=digest(encode(task)),
            layout=kept.layout,
            numbers=kept.numbers,
            shown=kept.shown,
        )


def question_id(seated: Seated, task: Task, step: Step) -> str:
    """Names a question whatever its run, asker and roster: equal ones get the same bytes from one dataset version."""
    state: Any = decode(step.statistic.state, task.state or b"", where="state")
    rules = seated.manifest.rules
    parts = (
        kind_of(seated.study.question).name.encode(),
        encode(seated.study.question),
        step.name.encode(),
        encode(step.params),
        encode(state),
        *task.carried,
        seated.permit.dataset_version.encode(),
        task.position.exchange.value.encode(),
        task.open or b"",
        encode(rules) if task.position.exchange is Exchange.RELEASE else b"",
    )
    return digest(b"".join(len(part).to_bytes(8, "big") + part for part in parts))
