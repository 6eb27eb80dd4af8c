"""A study: a question, who asks it, what for, and how its numbers may leave. Signed by the asker.

Responsible for: the message and its check. Not responsible for: the kinds (`kinds`), reading YAML (`dure.client`).
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dure.study.kinds import Question, kind_of
from dure.wire.codec import Moment, message
from dure.wire.directory import KEY_BYTES
from dure.wire.problems import Problem
from dure.wire.rules import Mode


class BadStudy(Problem):
    """A study that can't be asked as it is written."""

    slug, title, status, exit_code = "bad-study", "The study cannot be asked as it is written", 422, 30


class Purpose(StrEnum):
    """What an asker declares that the answer is for."""

    RESEARCH = "research"
    TRIAL_DESIGN = "trial_design"
    SAFETY = "safety"
    PRODUCT_DEVELOPMENT = "product_development"
    PUBLIC_HEALTH = "public_health"
    ACTUARIAL_TABLES = "actuarial_tables"
    DECISION_ON_A_PERSON = "decision_on_a_person"
    ADVERTISING = "advertising"
    REIDENTIFICATION = "reidentification"


@message
class ByHand:
    """That answers are carried by hand, as two shares for two bodies: the asker and an aggregator.

    Attributes:
        aggregator: the second body's id, by which the directory lists its keys.
        collector_key: the X25519 key (32 bytes) to which the asker's shares are sealed, for this study alone.
    """

    aggregator: str
    collector_key: bytes


@message
class Study:
    """A study as it is signed.

    Attributes:
        hospitals: ids of those asked; empty for all that the directory lists.
        closes: when boards must have decided; the run starts then, or once all have.
        expires: when the permits end.
        nonce: makes two askings of one question two studies.
        by_hand: where answers are carried by hand, between whom; None where they go through the hub.
    """

    title: Annotated[str, Field(min_length=1, max_length=200)]
    asker: str
    purpose: Purpose
    purpose_text: Annotated[str, Field(min_length=1, max_length=2000)]
    mode: Mode
    question: Question
    hospitals: tuple[str, ...]
    created: Moment
    closes: Moment
    expires: Moment
    nonce: str
    by_hand: ByHand | None = None

    def check(self) -> None:
        """Raise BadStudy, or the kind's own Problem, where it can't be asked."""
        if not self.created < self.closes < self.expires:
            raise BadStudy(
                "The dates are out of order.",
                where="created, closes, expires",
                mend="Close after now, expire after that.",
            )
        if len(set(self.hospitals)) != len(self.hospitals):
            raise BadStudy("A hospital stands twice.", where="hospitals", mend="Name each hospital once.")
        kind = kind_of(self.question)
        kind.check(self.question)
        for step in kind.steps(self.question):
            if self.mode not in step.statistic.modes:
                raise BadStudy(
                    f"{step.statistic.name} cannot be released {self.mode}.",
                    where="mode",
                    mend="Choose the other mode.",
                )
        if self.by_hand is not None:
            self._check_by_hand()

    def _check_by_hand(self) -> None:
        """Raise BadStudy where this can't be carried by hand: one trip for people, one for numbers, and no more."""
        assert self.by_hand is not None
        if self.mode is not Mode.TOTAL:
            raise BadStudy(
                "Only totals are carried as shares.",
                where="mode",
                mend="Ask in total mode, or through the hub.",
            )
        if len(self.by_hand.collector_key) != KEY_BYTES:
            raise BadStudy(
                "The asker's key for shares is no X25519 key.",
                where="by_hand.collector_key",
                mend="Begin again: dure study carry begin",
            )
        for step in kind_of(self.question).steps(self.question):
            if step.needs or step.statistic.rounds(step.params) != 1:
                raise BadStudy(
                    f"{step.name} takes more than one round, which nobody carries by hand.",
                    where="question",
                    mend="Choose the one-round form (one_round: true) where the kind has one, or ask through the hub.",
                )
