"""A study: a question, who asks it, what for, and how its numbers may leave. Signed by the asker.

Responsible for: the message and its check. Not responsible for: the kinds (`kinds`), reading YAML (`dure.client`).
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dure.study.kinds import Question, kind_of
from dure.wire.codec import Moment, message
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
class Study:
    """A study as it is signed.

    Attributes:
        hospitals: ids of those asked; empty for all that the directory lists.
        closes: when boards must have decided; the run starts then, or once all have.
        expires: when the permits end.
        nonce: makes two askings of one question two studies.
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
