"""A study's noise: how what it may tell is spent over its rounds, the same for the hospital, the hub and whoever asks first.

Responsible for: the plan of every round, from the question, the rules and the number of hospitals alone. Pure. Not responsible
for: a layout's plan (`dure.guard.noise`), the budget (`dure.node.budget`), drawing (`dure.node.draw`).

A permit's epsilon and delta are for all numbers of the study together. They are spread evenly over all rounds that it may take;
a round that isn't asked isn't charged.
"""

import math
from dataclasses import dataclass
from typing import Any

from dure.guard import accounting, noise
from dure.guard.noise import Draw, Plan
from dure.study.kinds import kind_of
from dure.study.kinds.base import Step
from dure.wire.messages import Exchange
from dure.wire.rules import Noise, Rules

PEOPLE = "people"
"""What numbers of people are called, whatever their field."""
SURE = 2
"""A number is shown where the people behind it are so many standard deviations of the noise: else nobody is taken for a group."""


@dataclass(frozen=True, kw_only=True)
class Noising:
    """What a hospital adds noise with.

    Attributes:
        question: the study's; hospitals: how many its run has, whether or not all answer.
    """

    question: Any
    hospitals: int
    draw: Draw


def objection(question: Any, rules: Noise, hospitals: int) -> str | None:
    """Why a study's answers can't carry noise; None where they can."""
    kind = kind_of(question)
    against = kind.against_noise(question)
    if against is not None:
        return against
    found = (noise.unsound(step.layout, rules, hospitals) for step in kind.steps(question))
    return next((reason for reason in found if reason is not None), None)


def plan_of(question: Any, step: Step, rules: Noise, hospitals: int) -> Plan:
    """The noise of one round of a step, of a study that `objection` has nothing against. Raises NoiseMissing."""
    rho = accounting.rho_of(rules.epsilon, rules.delta) / rounds(question)
    return noise.plan(step.layout, rules, rho, hospitals)


def cost(question: Any, rules: Noise, hospitals: int) -> float:
    """What a study tells of one person if all its rounds are asked: rho. Raises NoiseMissing."""
    return sum(
        plan_of(question, step, rules, hospitals).rho * step.statistic.rounds(step.params)
        for step in kind_of(question).steps(question)
    )


def charge(plan: Plan, exchange: Exchange) -> float:
    """What one exchange of a round tells of one person: rho."""
    return plan.support.rho if exchange is Exchange.SUPPORT else sum(field.rho for field in plan.fields)


def least_noised(question: Any, step: Step, rules: Rules, hospitals: int, answering: int) -> int:
    """How many people, counted with noise, a shown number rests on. Raises NoiseMissing.

    Args:
        hospitals: in the run; answering: whose numbers are in the sum.
    """
    if rules.noise is None:
        return rules.least_people
    plan = plan_of(question, step, rules.noise, hospitals)
    return max(rules.least_people, math.ceil(SURE * plan.support.deviation(answering)))


def rounds(question: Any) -> int:
    """The most rounds that a study may take, over all its steps."""
    return sum(step.statistic.rounds(step.params) for step in kind_of(question).steps(question))


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """How much noise one kind of a step's numbers carries: its standard deviation in the numbers' own unit."""

    step: str
    numbers: str
    deviation: float


def deviations(question: Any, rules: Noise, hospitals: int, answering: int) -> tuple[Deviation, ...]:
    """The noise in every number of a study. Raises NoiseMissing.

    Args:
        hospitals: in the run; answering: whose numbers are in the sum.
    """
    found = []
    for step in kind_of(question).steps(question):
        plan = plan_of(question, step, rules, hospitals)
        people = Deviation(step=step.name, numbers=PEOPLE, deviation=plan.support.deviation(answering))
        found.append(people)
        found += [
            Deviation(step=step.name, numbers=field.name, deviation=field.deviation(answering))
            for field in plan.fields
        ]
    return tuple(found)
