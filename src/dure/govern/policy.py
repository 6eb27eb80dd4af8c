"""The negative list: everything may be asked unless a rule here forbids it, and the rule says why.

Responsible for: judging a study's declaration before any hospital is asked. Not responsible for: numbers (`dure.guard`),
a board's own decision (`permit`).
"""

from dataclasses import dataclass

from dure.study.spec import Purpose, Study


@dataclass(frozen=True, kw_only=True)
class Fired:
    """A rule that forbids a study.

    Attributes:
        basis: what the rule rests on.
        mend: what the asker can change.
    """

    rule: str
    reason: str
    basis: str
    mend: str


FORBIDDEN_PURPOSES = {
    Purpose.DECISION_ON_A_PERSON: (
        "decision-on-a-person",
        "Answers may not decide on a person: underwriting, pricing, claims, hiring, credit.",
        "European Health Data Space, article 54; Korea's guideline on health data",
    ),
    Purpose.ADVERTISING: (
        "advertising",
        "Answers may not serve advertising or the targeting of sales.",
        "European Health Data Space, article 54",
    ),
    Purpose.REIDENTIFICATION: (
        "reidentification",
        "Nobody may try to find out who a person in the data is.",
        "Personal Information Protection Act (Korea), article 28-5",
    ),
}


def judge(study: Study) -> tuple[Fired, ...]:
    """Every rule that forbids the study; none: it may be asked."""
    if study.purpose not in FORBIDDEN_PURPOSES:
        return ()
    rule, reason, basis = FORBIDDEN_PURPOSES[study.purpose]
    return (
        Fired(rule=rule, reason=reason, basis=basis, mend="Declare another purpose, if it is the true one."),
    )
