"""The budget of a hospital's dataset: what noised answers may tell of one person, over all askers, runs and versions together.

Responsible for: what is left, and saying no. Not responsible for: keeping what was spent (the journal, in the transaction of the
answer), what a study costs (`dure.study.protocol.noised`).
"""

from dataclasses import dataclass

from dure.guard.accounting import epsilon_of, rho_of
from dure.wire.codec import message
from dure.wire.rules import check_privacy

UNSET = "This hospital has set no budget for noised answers."
SPENT = "This hospital's budget for noised answers is spent."


@message
class Budget:
    """The most that all noised answers together may tell of one person: (epsilon, delta)-differential privacy."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        """Raise BadRules where it promises nothing."""
        check_privacy(self.epsilon, self.delta, where="budget")


@dataclass(frozen=True, kw_only=True)
class Purse:
    """The budget and what of it was spent: rho."""

    budget: Budget | None
    spent: float

    def refusal(self, rho: float) -> str | None:
        """Why so much more may not be told; None where it may. Raises NoiseMissing."""
        if self.budget is None:
            return UNSET
        return SPENT if self.spent + rho > rho_of(self.budget.epsilon, self.budget.delta) else None

    def sentence(self, rho: float = 0.0) -> str:
        """What was told, as epsilon at the budget's delta, and what would be with so much more. Raises NoiseMissing."""
        if self.budget is None:
            return UNSET
        before, after = (epsilon_of(told, self.budget.delta) for told in (self.spent, self.spent + rho))
        then = f", {after:.2f} after this" if rho else ""
        return f"budget: epsilon {self.budget.epsilon:g} at delta {self.budget.delta:g}; spent {before:.2f}{then}"
