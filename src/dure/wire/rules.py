"""Rules of disclosure, as a permit carries them. Enforced by `guard`; the register there says what each one stops."""

from enum import StrEnum

from dure.wire.codec import message
from dure.wire.problems import Problem


class BadRules(Problem):
    """Rules that contradict themselves or say nothing."""

    slug, title, status, exit_code = "bad-rules", "These disclosure rules make no sense", 422, 53


class Mode(StrEnum):
    """How numbers leave a hospital: only as the network's total, or by hospital with each one's consent."""

    TOTAL = "total"
    BY_HOSPITAL = "by_hospital"


@message
class Rules:
    """A hospital's disclosure rules.

    Attributes:
        least_people: k: a published cell, and every complement, rests on nobody or on at least so many people.
        round_to: in `by_hospital`, counts are rounded to multiples of this before they leave.
        least_hospitals: a total is made of at least so many hospitals outside the asker's affiliation.
    """

    least_people: int = 11
    round_to: int = 10
    least_hospitals: int = 3

    def __post_init__(self) -> None:
        """Raise BadRules where a value is below its meaning."""
        for name, least in (("least_people", 1), ("round_to", 1), ("least_hospitals", 1)):
            if getattr(self, name) < least:
                raise BadRules(f"{name} is {getattr(self, name)}.", where=name, mend=f"Give {least} or more.")

    @property
    def off(self) -> bool:
        """Whether they protect nobody: lawful only for data declared public or synthetic."""
        return self.least_people < 2

    def at_least(self, other: "Rules") -> bool:
        """Whether these are as strict as `other` in every part."""
        return (
            self.least_people >= other.least_people
            and self.round_to >= other.round_to
            and self.least_hospitals >= other.least_hospitals
        )


RULES_OFF = Rules(least_people=1, round_to=1, least_hospitals=1)


def strictest(rules: tuple[Rules, ...]) -> Rules:
    """The rules that hold over several permits: each part at its strictest."""
    return Rules(
        least_people=max(rule.least_people for rule in rules),
        round_to=max(rule.round_to for rule in rules),
        least_hospitals=max(rule.least_hospitals for rule in rules),
    )
