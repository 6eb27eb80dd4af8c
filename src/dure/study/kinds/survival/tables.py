"""The tables of `survival`, from released results. Not responsible for: when what is asked (`kind`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, isnan

from dure.stats.cox import CoxResult
from dure.stats.fine_gray import FineGrayResult
from dure.stats.log_rank import LogRankResult
from dure.stats.risk_table import GroupAtRisk, RiskTableResult
from dure.stats.survival_curves import (
    AtRisk,
    Curve,
    cumulative_incidence,
    kaplan_meier,
    mean_difference,
    quantile,
    restricted_mean,
)
from dure.study.kinds.no_estimate import ESTIMATED, why_none
from dure.study.kinds.survival.spec import Survival
from dure.study.report import Table, Value

ARM = "arm"
OUTCOME, COMPETING = "outcome", "competing event"
NOT_REACHED = "not reached"
HAZARD, CAUSE_SPECIFIC, SUBDISTRIBUTION = "of the outcome", "cause-specific", "subdistribution"
Model = CoxResult | FineGrayResult


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm's released table."""

    name: str
    group: GroupAtRisk
    risk: AtRisk

    @property
    def last_day(self) -> float:
        """The last day up to which the curve is known: someone is under observation, or nobody is left to have an event."""
        known = (self.risk.at_risk > 0) | (kaplan_meier(self.risk).value <= 0)
        return float(self.risk.day[known][-1]) if known.any() else 0.0


def title(spec: Survival) -> str:
    return "Survival without either event" if spec.competes else "Survival without the outcome"


def arms_of(spec: Survival, result: RiskTableResult) -> list[Arm]:
    if result.edges is None:
        return []
    one = len(spec.arms) == 1
    found = []
    for arm in spec.arms:
        group = result.groups["everyone" if one else f"{ARM}/{arm.name}"]
        if sum(group.came):
            found.append(Arm(name=arm.name, group=group, risk=AtRisk.of(result.edges, group)))
    return found


def names_of_arms(spec: Survival) -> tuple[str, ...]:
    """The covariates of a model that compares the other arms with the first."""
    return tuple(f"{ARM} {index}" for index in range(2, len(spec.arms) + 1))


def _mean_until(spec: Survival, found: list[Arm]) -> int:
    return int(min([float(spec.mean_until or spec.horizon), *(arm.last_day for arm in found)]))


def _shown(value: float) -> float | None:
    return None if isnan(value) else value


def summary(spec: Survival, found: Mapping[str, list[Arm]]) -> Table:
    competing = ("competing",) if spec.competes else ()
    rows: list[tuple[Value, ...]] = []
    for place, mine in found.items():
        until = _mean_until(spec, mine)
        for arm in mine:
            median = [NOT_REACHED if isnan(each) else each for each in quantile(kaplan_meier(arm.risk), 0.5)]
            mean = restricted_mean(arm.risk, until)
            rows.append(
                (
                    place,
                    arm.name,
                    sum(arm.group.came),
                    *(sum(cause) for cause in arm.group.events),
                    *median,
                    until,
                    mean.value,
                    mean.low,
                    mean.high,
                )
            )
    return Table(
        name="arms",
        title="Median and mean survival",
        columns=(
            "hospital", "arm", "people", "outcomes", *competing, "median_days", "median_low", "median_high",
            "until_day", "mean_days", "mean_low", "mean_high",
        ),
        rows=tuple(rows),
    )  # fmt: skip


def curves(spec: Survival, found: Mapping[str, list[Arm]]) -> Table:
    """The curve with the risk table beside it."""
    rows: list[tuple[Value, ...]] = []
    for place, mine in found.items():
        for arm in mine:
            curve = kaplan_meier(arm.risk)
            causes = len(arm.group.events)
            rows.append(
                (place, arm.name, 0, sum(arm.group.came), *(0 for _ in range(causes)), 0, 100.0, 100.0, 100.0)
            )
            rows += [
                (
                    place,
                    arm.name,
                    int(arm.risk.day[at]),
                    int(arm.risk.at_risk[at]),
                    *(cause[at] for cause in arm.group.events),
                    arm.group.left[at],
                    *_point(curve, at),
                )
                for at in range(len(arm.risk.day))
            ]
    competing = ("competing",) if spec.competes else ()
    return Table(
        name="survival",
        title=title(spec),
        columns=(
            "hospital", "arm", "day", "at_risk", "outcomes", *competing, "left",
            "survival_percent", "survival_low", "survival_high",
        ),
        rows=tuple(rows),
    )  # fmt: skip


def _point(curve: Curve, at: int) -> tuple[Value, ...]:
    """The value and its interval in per cent; where nothing has happened yet, or nobody is left, the interval is the value."""
    value = float(curve.value[at])
    ends = (float(curve.low[at]), float(curve.high[at]))
    return tuple(100.0 * (value if isnan(each) else each) for each in (value, *ends))


def incidences(spec: Survival, found: Mapping[str, list[Arm]]) -> Table:
    rows: list[tuple[Value, ...]] = []
    for place, mine in found.items():
        for cause, event in enumerate((OUTCOME, COMPETING) if spec.competes else ()):
            for arm in mine:
                curve = cumulative_incidence(arm.risk, cause)
                rows.append((place, event, arm.name, 0, 0.0, 0.0, 0.0))
                rows += [
                    (place, event, arm.name, int(day), *_point(curve, at))
                    for at, day in enumerate(arm.risk.day)
                ]
    names = tuple(f"cumulative_incidence_{part}" for part in ("percent", "low", "high"))
    return Table(
        name="cumulative_incidence",
        title="Cumulative incidence where events compete",
        columns=("hospital", "event", "arm", "day", *names),
        rows=tuple(rows),
    )


def differences(spec: Survival, found: Mapping[str, list[Arm]]) -> Table:
    rows: list[tuple[Value, ...]] = []
    for place, mine in found.items():
        if len(mine) < 2 or mine[0].name != spec.arms[0].name:
            continue
        until = _mean_until(spec, mine)
        for arm in mine[1:]:
            both = (arm.risk, mine[0].risk)
            if not any((each.all_events > 0).any() for each in both):
                continue
            found_difference = mean_difference(*both, until)
            rows.append(
                (
                    place,
                    arm.name,
                    mine[0].name,
                    until,
                    found_difference.value,
                    found_difference.low,
                    found_difference.high,
                    _shown(found_difference.p),
                )
            )
    return Table(
        name="mean_differences",
        title="Difference of mean survival",
        columns=(
            "hospital", "arm", "against", "until_day", "difference_days", "difference_low", "difference_high", "p_value",
        ),
        rows=tuple(rows),
    )  # fmt: skip


def ratios(spec: Survival, causes: Mapping[str, Model], subdistributions: Mapping[str, Model]) -> Table:
    """Each arm against the first, of either hazard."""
    called = dict(zip(names_of_arms(spec), (arm.name for arm in spec.arms[1:]), strict=True))
    rows: list[tuple[Value, ...]] = []
    kinds = ((CAUSE_SPECIFIC if spec.competes else HAZARD, causes), (SUBDISTRIBUTION, subdistributions))
    for hazard, models in kinds:
        for place, model in models.items():
            if model.fit is None:
                assert model.no_fit is not None
                why = why_none(model.no_fit.trouble, (called[each.name] for each in model.no_fit.suspects))
                estimates: list[tuple[Value, ...]] = [(None, None, None, None, why) for _ in called]
            else:
                estimates = [
                    (exp(row.estimate), exp(row.low), exp(row.high), row.p_value, ESTIMATED)
                    for row in model.fit.coefficients
                ]
            rows += [
                (place, arm, spec.arms[0].name, hazard, *estimate)
                for arm, estimate in zip(called.values(), estimates, strict=True)
            ]
    return Table(
        name="hazard_ratios",
        title="Hazard ratios",
        columns=(
            "hospital", "arm", "against", "hazard",
            "hazard_ratio", "hazard_ratio_low", "hazard_ratio_high", "p_value", "estimate",
        ),
        rows=tuple(rows),
    )  # fmt: skip


def tests(spec: Survival, found: Mapping[str, LogRankResult]) -> Table:
    rows: list[tuple[Value, ...]] = []
    for place, result in found.items():
        test = (result.chi_square, result.freedom, result.p_value)
        for at, arm in enumerate(spec.arms):
            seen = None if result.observed is None else round(result.observed[at])
            due = None if result.expected is None else result.expected[at]
            rows.append((place, arm.name, seen, due, *test))
    return Table(
        name="log_rank",
        title="Log-rank test within hospitals",
        columns=("hospital", "arm", "outcomes", "expected_outcomes", "chi_square", "freedom", "p_value"),
        rows=tuple(rows),
    )
