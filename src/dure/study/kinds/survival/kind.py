"""Survival's steps, frames, charts and words."""

from collections.abc import Mapping

import numpy as np

from dure import cohort
from dure.engines import cohorts
from dure.engines.base import Engine
from dure.features.covariates import first_entries
from dure.features.follow_up import arms, deaths, follow, observation
from dure.features.time_at_risk import Spans, spans_of
from dure.stats.base import Frame
from dure.stats.cox import Cox, CoxResult
from dure.stats.cox_model import CoxParams
from dure.stats.design import binary
from dure.stats.fine_gray import FineGray, FineGrayParams, FineGrayResult
from dure.stats.log_rank import LogRank, LogRankParams, LogRankResult
from dure.stats.risk_table import MOST_EDGES, RiskTable, RiskTableParams, RiskTableResult
from dure.stats.strata import Strata
from dure.study.kinds.base import BadQuestion, Carried, Kind, Step
from dure.study.kinds.survival.spec import Survival
from dure.study.kinds.survival.tables import (
    ARM,
    arms_of,
    curves,
    differences,
    incidences,
    names_of_arms,
    ratios,
    summary,
    tests,
    title,
)
from dure.study.report import Chart, Table

TABLE, TEST, HAZARDS, SUBDISTRIBUTION = "risk_table", "log_rank", "cox", "fine_gray"


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
        others = tuple(binary(name) for name in names_of_arms(spec))
        hazards = Step(name=HAZARDS, statistic=Cox(), params=CoxParams(covariates=others))
        if not spec.competes:
            return (table, test, hazards)
        lasting = FineGrayParams(covariates=others, ties="efron")
        return (
            table,
            test,
            hazards,
            Step(name=SUBDISTRIBUTION, statistic=FineGray(), params=lasting),
        )

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
        arm = entered.arm[followed.row]
        columns = {"time": followed.time, "event": followed.event, ARM: arm}
        if step == TEST:
            columns["event"] = (followed.event == 1).astype(np.int64)
        columns |= {
            name: (arm == index + 1).astype(np.int64) for index, name in enumerate(names_of_arms(spec))
        }
        return Frame(person=followed.person, columns=columns)

    def tables(
        self,
        spec: Survival,
        results: Mapping[str, Mapping[str, RiskTableResult | LogRankResult | CoxResult | FineGrayResult]],
    ) -> tuple[Table, ...]:
        found = {
            place: arms_of(spec, result)
            for place, result in results.get(TABLE, {}).items()
            if isinstance(result, RiskTableResult)
        }
        tested = {
            place: result
            for place, result in results.get(TEST, {}).items()
            if isinstance(result, LogRankResult)
        }
        models = {
            step: {
                place: result
                for place, result in results.get(step, {}).items()
                if isinstance(result, (CoxResult, FineGrayResult))
            }
            for step in (HAZARDS, SUBDISTRIBUTION)
        }
        return (
            summary(spec, found),
            curves(spec, found),
            incidences(spec, found),
            differences(spec, found),
            ratios(spec, models[HAZARDS], models[SUBDISTRIBUTION]),
            tests(spec, tested),
        )

    def charts(self, spec: Survival) -> tuple[Chart, ...]:
        survival = Chart(
            table="survival",
            title=title(spec),
            form="step",
            x="day",
            y="survival_percent",
            low="survival_low",
            high="survival_high",
            group="arm",
            panel="hospital",
        )
        compared = Chart(
            table="hazard_ratios",
            title="Hazard ratios",
            form="forest",
            x="arm",
            y="hazard_ratio",
            low="hazard_ratio_low",
            high="hazard_ratio_high",
            group="hazard" if spec.competes else None,
            panel="hospital",
            reference=(1.0,),
            log=True,
        )
        among = (compared,) if len(spec.arms) > 1 else ()
        if not spec.competes:
            return (survival, *among)
        incidence = Chart(
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
        return (survival, incidence, *among)

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
            told.append(
                f"Hazard ratios against “{spec.arms[0].name}” are Cox's (1972), with Efron's ties and a baseline for each hospital, at exact"
                " days; nothing is adjusted for."
            )
            if spec.competes:
                told.append(
                    "The cause-specific hazard is that of those without either event. The subdistribution hazard is Fine and Gray's (1999),"
                    " with each hospital's own baseline and censoring curve; its ratio compares cumulative incidences."
                )
        return tuple(told)


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
