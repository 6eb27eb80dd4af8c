"""Rules of disclosure, as a permit carries them. Enforced by `guard`; the register there says what each one stops."""

import math
from enum import StrEnum

from dure.wire.codec import message
from dure.wire.problems import Problem

MOST_EPSILON = 20.0
MOST_DELTA = 1e-3


class BadRules(Problem):
    """Rules that contradict themselves or say nothing."""

    slug, title, status, exit_code = "bad-rules", "These disclosure rules make no sense", 422, 53


class Mode(StrEnum):
    """How numbers leave a hospital: only as the network's total, or by hospital with each one's consent."""

    TOTAL = "total"
    BY_HOSPITAL = "by_hospital"


def check_privacy(epsilon: float, delta: float, *, where: str) -> None:
    """Raise BadRules where these promise nothing."""
    if not (math.isfinite(epsilon) and 0 < epsilon <= MOST_EPSILON and 0 < delta <= MOST_DELTA):
        raise BadRules(
            f"epsilon {epsilon} with delta {delta} promises nothing.",
            where=where,
            mend=f"Give an epsilon above 0, {MOST_EPSILON:g} at most, and a delta above 0, {MOST_DELTA:g} at most.",
        )


@message
class Noise:
    """That the numbers of a total carry noise: (epsilon, delta)-differential privacy for the people of one hospital.

    Attributes:
        epsilon, delta: what all numbers of one study together may tell of one person.
        colluders: hospitals that may tell the hub what noise they added, and yet it holds.
    """

    epsilon: float
    delta: float
    colluders: int = 0

    def __post_init__(self) -> None:
        """Raise BadRules where it promises nothing."""
        check_privacy(self.epsilon, self.delta, where="noise")
        if self.colluders < 0:
            raise BadRules(f"colluders is {self.colluders}.", where="noise.colluders", mend="Give 0 or more.")

    def at_least(self, other: "Noise") -> bool:
        """Whether this is as strict as `other` in every part."""
        return (
            self.epsilon <= other.epsilon and self.delta <= other.delta and self.colluders >= other.colluders
        )


@message
class Rules:
    """A hospital's disclosure rules.

    Attributes:
        least_people: k: a published cell, and every complement, rests on nobody or on at least so many people.
        round_to: in `by_hospital`, counts are rounded to multiples of this before they leave.
        least_hospitals: a total is made of at least so many hospitals outside the asker's affiliation.
        noise: that totals carry noise. Nothing leaves `by_hospital` then.
    """

    least_people: int = 11
    round_to: int = 10
    least_hospitals: int = 3
    noise: Noise | None = None

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
            and (other.noise is None or (self.noise is not None and self.noise.at_least(other.noise)))
        )


RULES_OFF = Rules(least_people=1, round_to=1, least_hospitals=1)


def strictest(rules: tuple[Rules, ...]) -> Rules:
    """The rules that hold over several permits: each part at its strictest."""
    noises = [rule.noise for rule in rules if rule.noise is not None]
    return Rules(
        least_people=max(rule.least_people for rule in rules),
        round_to=max(rule.round_to for rule in rules),
        least_hospitals=max(rule.least_hospitals for rule in rules),
        noise=Noise(
            epsilon=min(noise.epsilon for noise in noises),
            delta=min(noise.delta for noise in noises),
            colluders=max(noise.colluders for noise in noises),
        )
        if noises
        else None,
    )
