"""Survival: how long until an outcome, in one cohort or several, with or without an event that competes with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from dure import cohort
from dure.engines import cohorts
from dure.engines.base import Engine
from dure.features.covariates import first_entries
from dure.features.follow_up import LONGEST, arms, deaths, follow, observation
from dure.features.time_at_risk import Spans, spans_of
from dure.stats.base import Frame
from dure.stats.log_rank import LogRank, LogRankParams, LogRankResult
from dure.stats.risk_table import MOST_EDGES, GroupAtRisk, RiskTable, RiskTableParams, RiskTableResult
from dure.stats.strata import Strata
from dure.stats.survival_curves import (
    AtRisk,
    Curve,
    cumulative_incidence,
    kaplan_meier,
    mean_difference,
    quantile,
    restricted_mean,
)
from dure.study.kinds.base import BadQuestion, Carried, Cohort, Kind, Step
from dure.study.report import Chart, Table, Value
from dure.wire.codec import message

TABLE, TEST = "risk_table", "log_rank"
ARM = "arm"
MOST_ARMS = 8
OUTCOME, COMPETING = "outcome", "competing event"
Until = Literal["observation", "cohort"]


@message
class Survival:
    """How long until an outcome?"""

    kind: Literal["survival"] = "survival"
    arms: Annotated[
        tuple[Cohort, ...],
        Field(
            title="People",
            description="One cohort, or several that are compared; the first is what the others are compared with.",
            min_length=1,
            max_length=MOST_ARMS,
        ),
    ]
    outcome: Annotated[
        Cohort, Field(title="Outcome", description="The first start of this cohort after entry.")
    ]
    competing: Annotated[
        Cohort | None,
        Field(title="Competing event", description="After it the outcome can't come. May be left out."),
    ] = None
    death_competes: Annotated[
        bool, Field(title="Death competes", description="Whether a recorded death is a competing event.")
    ] = False
    until: Annotated[Until, Field(title="Follow up until the end of")] = "observation"
    grace: Annotated[
        int,
        Field(
            title="Days after the cohort's end",
            description="That still count, where follow-up ends with the cohort.",
            ge=0,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = 0
    washout: Annotated[
        int,
        Field(
            title="Without the outcome before",
            description="Who had it within so many days before entry, or on that day, is left out.",
            ge=0,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = LONGEST
    horizon: Annotated[
        int, Field(title="Horizon", description="The last day.", ge=1, le=LONGEST, json_schema_extra={"unit": "days"})
    ] = 1825  # fmt: skip
    width: Annotated[
        int,
        Field(
            title="Width of intervals",
            description="The finest; they are as much wider as it takes to show no small number.",
            ge=1,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = 30
    mean_until: Annotated[
        int | None,
        Field(
            title="Mean survival up to day",
            description="The horizon if left out.",
            ge=1,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = None

    @property
    def competes(self) -> bool:
        """Whether anything competes with the outcome."""
        return self.death_competes or self.competing is not None


class SurvivalKind(Kind[Survival]):
    """Curves, restricted means and cumulative incidence of one risk table; a log-rank test within hospitals."""

    name = "survival"
    spec = Survival

    def check(self, spec: Survival) -> None:
        competing = () if spec.competing is None else (spec.competing,)
        for definition in (*spec.arms, spec.outcome, *competing):
            cohort.plan(cohort.parse(definition.circe), cdm_version="5.4")
        names = [arm.name for arm in spec.arms]
        if len(set(names)) != len(names):
            raise BadQuestion(
                "Two cohorts have one name.", where="question.arms", mend="Name each one differently."
            )
        if spec.width > spec.horizon or -(-spec.horizon // spec.width) >= MOST_EDGES:
            raise BadQuestion(
                f"Intervals of {spec.width} days up to day {spec.horizon} make none, or more than {MOST_EDGES - 1}.",
                where="question.width, question.horizon",
                mend="Give a later horizon or narrower intervals; or wider ones.",
            )
        if spec.mean_until is not None and spec.mean_until > spec.horizon:
            raise BadQuestion(
                f"The mean up to day {spec.mean_until} takes days after the horizon.",
                where="question.mean_until",
                mend=f"Give a day up to {spec.horizon}.",
            )

    def steps(self, spec: Survival) -> tuple[Step, ...]:
        table = Step(name=TABLE, statistic=RiskTable(), params=_params(spec))
        if len(spec.arms) == 1:
            return (table,)
        test = Step(name=TEST, statistic=LogRank(), params=LogRankParams(groups=_groups(spec)))
        return (table, test)

    def extract(self, spec: Survival, step: str, engine: Engine, carried: Carried) -> Frame:
        """One row a person."""
        version = engine.dataset.cdm_version
        asked = (*spec.arms, spec.outcome, *(() if spec.competing is None else (spec.competing,)))
        plans = [cohort.plan(cohort.parse(each.circe), cdm_version=version) for each in asked]
        found = [table.rows for table in cohorts.run_many(engine, plans, attrition=False)]
        entered = arms([first_entries(rows) for rows in found[: len(spec.arms)]])
        competing = [spans_of(rows) for rows in found[len(spec.arms) + 1 :]]
        if spec.death_competes:
            competing.append(deaths(engine))
        followed = follow(
            entered,
            observation(engine),
            spans_of(found[len(spec.arms)]),
            _together(competing),
            horizon=spec.horizon,
            washout=spec.washout,
            until_end_plus=spec.grace if spec.until == "cohort" else None,
        )
        event = followed.event if step == TABLE else (followed.event == 1).astype(np.int64)
        return Frame(
            person=followed.person,
            columns={"time": followed.time, "event": event, ARM: entered.arm[followed.row]},
        )

    def tables(
        self, spec: Survival, results: Mapping[str, Mapping[str, RiskTableResult | LogRankResult]]
    ) -> tuple[Table, ...]:
        found = {
            place: _arms(spec, result)
            for place, result in results.get(TABLE, {}).items()
            if isinstance(result, RiskTableResult)
        }
        tested = {
            place: result
            for place, result in results.get(TEST, {}).items()
            if isinstance(result, LogRankResult)
        }
        return (
            _summary(spec, found),
            _curves(spec, found),
            _incidences(spec, found),
            _differences(spec, found),
            _tests(spec, tested),
        )

    def charts(self, spec: Survival) -> tuple[Chart, ...]:
        curves = Chart(
            table="survival",
            title=_title(spec),
            form="step",
            x="day",
            y="survival_percent",
            low="survival_low",
            high="survival_high",
            group="arm",
            panel="hospital",
        )
        if not spec.competes:
            return (curves,)
        incidences = Chart(
            table="cumulative_incidence",
            title="Cumulative incidence where events compete",
            form="step",
            x="day",
            y="cumulative_incidence_percent",
            low="cumulative_incidence_low",
            high="cumulative_incidence_high",
            group="arm",
            panel="event",
        )
        return (curves, incidences)

    def methods(self, spec: Survival) -> tuple[str, ...]:
        named = ", ".join(f"“{arm.name}”" for arm in spec.arms)
        told = [
            f"People of {named} (OHDSI Circe definitions) were followed from their first entry (day 0) for"
            f" “{spec.outcome.name}”, from day 1 to at most day {spec.horizon}. Who had it within {spec.washout} days before"
            " entry, or on that day, was left out.",
            "Follow-up ended with the observation period."
            if spec.until == "observation"
            else f"Follow-up ended {spec.grace} days after the cohort's end, or with the observation period.",
            f"Times were counted in intervals of {spec.width} days at the finest, joined as far as it took that no number"
            " of anyone with an event, or leaving without one, in an interval and cohort rests on too few people. An"
            " event counts at the end of its interval, and who leaves in it is at risk until then: on this grid curves equal those"
            " of the pooled data.",
        ]
        if spec.competes:
            named_event = [f"“{spec.competing.name}”"] if spec.competing is not None else []
            which = " or ".join([*named_event, *(["death"] if spec.death_competes else [])])
            told += [
                f"After {which} the outcome can't come. Cumulative incidence is Aalen and Johansen's (1978), with intervals on the"
                " scale log(-log(1 - F)). Curves, medians and means are of the time without either event."
            ]
        told.append(
            "Curves are Kaplan and Meier's (1958), with Greenwood's variance and 95 % intervals on the scale log(-log S). Restricted"
            " mean survival is the area under the curve, up to the last day on which every cohort is under observation if that is"
            " earlier than asked."
        )
        if len(spec.arms) > 1:
            told.append(
                "Someone in several cohorts belongs to the one entered first; who enters two on one day is left out. The log-rank"
                " test compares the cohorts within each hospital, at exact days; nothing is adjusted for."
            )
        return tuple(told)


@dataclass(frozen=True, kw_only=True)
class _Arm:
    """One arm's released table."""

    name: str
    group: GroupAtRisk
    risk: AtRisk

    @property
    def last_day(self) -> float:
        """The last day up to which the curve is known: someone is under observation, or nobody is left to have an event."""
        known = (self.risk.at_risk > 0) | (kaplan_meier(self.risk).value <= 0)
        return float(self.risk.day[known][-1]) if known.any() else 0.0


def _together(spans: list[Spans]) -> Spans | None:
    if not spans:
        return None
    return Spans(
        person=np.concatenate([each.person for each in spans]),
        start=np.concatenate([each.start for each in spans]),
        end=np.concatenate([each.end for each in spans]),
    )


def _groups(spec: Survival) -> Strata:
    return Strata(name=ARM, levels=tuple(arm.name for arm in spec.arms))


def _params(spec: Survival) -> RiskTableParams:
    return RiskTableParams(
        edges=(*range(0, spec.horizon, spec.width), spec.horizon),
        causes=2 if spec.competes else 1,
        breakdowns=(_groups(spec),) if len(spec.arms) > 1 else (),
    )


def _title(spec: Survival) -> str:
    return "Survival without either event" if spec.competes else "Survival without the outcome"


def _arms(spec: Survival, result: RiskTableResult) -> list[_Arm]:
    if result.edges is None:
        return []
    one = len(spec.arms) == 1
    found = []
    for arm in spec.arms:
        group = result.groups["everyone" if one else f"{ARM}/{arm.name}"]
        if sum(group.came):
            found.append(_Arm(name=arm.name, group=group, risk=AtRisk.of(result.edges, group)))
    return found


def _mean_until(spec: Survival, found: list[_Arm]) -> int:
    return int(min([float(spec.mean_until or spec.horizon), *(arm.last_day for arm in found)]))


def _shown(value: float, scale: float = 1.0) -> float | None:
    return None if isnan(value) else value * scale


def _summary(spec: Survival, found: Mapping[str, list[_Arm]]) -> Table:
    competing = ("competing",) if spec.competes else ()
    rows: list[tuple[Value, ...]] = []
    for place, mine in found.items():
        until = _mean_until(spec, mine)
        for arm in mine:
            median = [_shown(each) for each in quantile(kaplan_meier(arm.risk), 0.5)]
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


def _curves(spec: Survival, found: Mapping[str, list[_Arm]]) -> Table:
    """The curve with the risk table beside it."""
    rows: list[tuple[Value, ...]] = []
    for place, mine in found.items():
        for arm in mine:
            curve = kaplan_meier(arm.risk)
            causes = len(arm.group.events)
            rows.append(
                (place, arm.name, 0, sum(arm.group.came), *(0 for _ in range(causes)), 0, 100.0, None, None)
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
        title=_title(spec),
        columns=(
            "hospital", "arm", "day", "at_risk", "outcomes", *competing, "left",
            "survival_percent", "survival_low", "survival_high",
        ),
        rows=tuple(rows),
    )  # fmt: skip


def _point(curve: Curve, at: int) -> tuple[Value, ...]:
    return tuple(_shown(float(part[at]), 100.0) for part in (curve.value, curve.low, curve.high))


def _incidences(spec: Survival, found: Mapping[str, list[_Arm]]) -> Table:
    rows: list[tuple[Value, ...]] = []
    for place, mine in found.items():
        for cause, event in enumerate((OUTCOME, COMPETING) if spec.competes else ()):
            for arm in mine:
                curve = cumulative_incidence(arm.risk, cause)
                rows.append((place, event, arm.name, 0, 0.0, None, None))
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


def _differences(spec: Survival, found: Mapping[str, list[_Arm]]) -> Table:
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


def _tests(spec: Survival, found: Mapping[str, LogRankResult]) -> Table:
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
