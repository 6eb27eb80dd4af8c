"""Subgroups' hazard ratios, from released results: floors, interaction, shrinkage.

Responsible for: the numbers of the tables. Not responsible for: the models (`dure.stats.cox`), when they are asked (`kind`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, sqrt

from scipy.special import chdtrc

from dure.stats.cox import CoxResult
from dure.stats.intervals import ratio, z_of
from dure.stats.meta import Between, RestsOn, pool
from dure.stats.problems import NoEstimate
from dure.stats.rates import RateCell
from dure.study.kinds.no_estimate import ESTIMATED, why_none
from dure.study.kinds.subgroup.spec import Subgroups
from dure.study.report import Value

DAYS_A_YEAR = 365.25
RATIO = ("hazard_ratio", "hazard_ratio_low", "hazard_ratio_high", "p_value")
SHRUNK = ("shrunk_ratio", "shrunk_ratio_low", "shrunk_ratio_high")


def floor_of(spec: Subgroups, arms: Sequence[RateCell]) -> str | None:
    """Why a subgroup isn't estimated, given both arms' people in it; None where its floors are met."""
    cases = [arm.cases for arm in arms if arm.people is not None and arm.cases is not None]
    if len(cases) < len(arms):
        return "A number of its people is hidden."
    if min(cases) < spec.least_outcomes:
        return f"An arm has fewer than {spec.least_outcomes} outcomes."
    return None


@dataclass(frozen=True, kw_only=True)
class Group:
    """A subgroup at one place: people, outcomes and person-years by arm, the log ratio with its error, or why there is none."""

    name: str
    people: tuple[Value, ...]
    found: tuple[float, float, float] | None
    why: str


def group_of(spec: Subgroups, name: str, arms: Sequence[RateCell], model: CoxResult | None) -> Group:
    """A subgroup from both arms' people in it and its model, if there is one."""
    counted: list[Value] = []
    for arm in arms:
        counted += [arm.people, arm.cases, None if arm.days is None else arm.days / DAYS_A_YEAR]
    found, why = None, ESTIMATED
    if model is None:
        why = floor_of(spec, arms) or "withheld"
    elif model.fit is None:
        assert model.no_fit is not None
        why = why_none(model.no_fit.trouble, (each.name for each in model.no_fit.suspects))
    else:
        treated = model.fit.coefficients[0]
        found = (treated.estimate, treated.error, treated.p_value)
    return Group(name=name, people=tuple(counted), found=found, why=why)


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """What a division's subgroups have in common. `se` is the mean's, on the log scale."""

    mean: float
    se: float
    tau2: float
    q: float
    freedom: int

    @property
    def row(self) -> tuple[Value, ...]:
        around = ratio(self.mean, self.se)
        p_value = float(chdtrc(self.freedom, self.q))
        return (self.q, self.freedom, p_value, around.value, around.low, around.high, sqrt(self.tau2))

    def shrunk(self, estimate: float, error: float) -> tuple[Value, ...]:
        """A subgroup's ratio drawn towards the mean, by how much of its distance is chance."""
        own = self.tau2 / (self.tau2 + error**2)
        value = self.mean + own * (estimate - self.mean)
        se = sqrt(own * error**2 + (1 - own) ** 2 * self.se**2)
        return tuple(exp(value + reach * se) for reach in (0.0, -z_of(0.95), z_of(0.95)))


def together(groups: list[Group]) -> Pooled | None:
    found = [group.found for group in groups if group.found is not None]
    if len(found) < 2:
        return None
    try:
        pooled = pool(
            [each[0] for each in found], [each[1] ** 2 for each in found], between=Between.PM, test=RestsOn.Z
        )
    except NoEstimate:
        return None
    return Pooled(mean=pooled.mean, se=pooled.se, tau2=pooled.tau2, q=pooled.q, freedom=len(found) - 1)


def row_of(group: Group, pooled: Pooled | None) -> Iterator[Value]:
    yield from (group.name, *group.people)
    if group.found is None:
        yield from [None] * (len(RATIO) + len(SHRUNK))
    else:
        estimate, error, p_value = group.found
        around = ratio(estimate, error)
        yield from (around.value, around.low, around.high, p_value)
        yield from [None] * len(SHRUNK) if pooled is None else pooled.shrunk(estimate, error)
    yield group.why
