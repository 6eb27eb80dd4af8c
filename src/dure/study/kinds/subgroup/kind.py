"""The kind `subgroup`: its steps, its frames, its tables and methods.

People are counted first, each arm in one step over all divisions: the gate then knows that every division adds up to the same people, and
hides what one would give away of another. A subgroup's model is asked only where all its numbers could be shown, so nothing that a
model tells can be subtracted from a shown number.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure import cohort
from dure.engines import cohorts
from dure.engines.base import Engine
from dure.features import markers
from dure.features.analyses import analysis_of
from dure.features.covariates import Covariate, Entries, check, entered, matrix
from dure.features.demographics import SEX, People
from dure.features.follow_up import Arms, FollowUp, arms, follow, observation
from dure.features.time_at_risk import spans_of
from dure.stats import design
from dure.stats.base import BadState, Frame
from dure.stats.cox import Cox
from dure.stats.cox_model import CoxParams
from dure.stats.rates import Rates, RatesParams, RatesResult
from dure.stats.strata import Strata
from dure.study.kinds.base import BadQuestion, Carried, Kind, Step
from dure.study.kinds.subgroup.ratios import RATIO, SHRUNK, floor_of, group_of, row_of, together
from dure.study.kinds.subgroup.spec import (
    AGE_COVARIATE,
    ARMS,
    BY_AGE,
    BY_SEX,
    OLDEST,
    SEX_ANALYSIS,
    TREATED,
    Subgroups,
    called,
    check_covariates,
    check_markers,
    divisions,
)
from dure.study.report import Chart, Table, Value


class SubgroupKind(Kind[Subgroups]):
    """Hazard ratios by subgroup from Cox models with a baseline a hospital, a test of interaction, and shrunk ratios."""

    name = "subgroup"
    spec = Subgroups

    def check(self, spec: Subgroups) -> None:
        for definition in (spec.target, spec.comparator, spec.outcome):
            cohort.plan(cohort.parse(definition.circe), cdm_version="5.4")
        check(spec.adjust)
        check_covariates(spec)
        check_markers(spec)
        if list(spec.ages) != sorted(set(spec.ages)):
            raise BadQuestion(
                "The ages don't ascend.", where="question.ages", mend="Give each once, the youngest first."
            )
        if not divisions(spec):
            raise BadQuestion(
                "Nothing divides the people.",
                where="question.ages, question.by_sex, question.markers",
                mend="Give ages, sex or a marker.",
            )
        self.steps(spec)

    def steps(self, spec: Subgroups) -> tuple[Step, ...]:
        """The people of each arm, then of each known level a model, which stands on them."""
        counts = RatesParams(strata=divisions(spec))
        made = [Step(name=arm, statistic=Rates(), params=counts) for arm in ARMS]
        made += [
            Step(name=called(division, level), statistic=Cox(), params=_params(spec, division), needs=ARMS)
            for division in divisions(spec)
            for level in range(len(division.levels) - 1)
        ]
        return tuple(made)

    def judge(self, spec: Subgroups, step: str, carried: Carried) -> None:
        """Counts are lawful that have every level. They decide whether a model is asked for, and nothing that is in it."""
        if step in ARMS:
            super().judge(spec, step, carried)
            return
        wanted = {division.name: len(division.levels) for division in divisions(spec)}
        for arm in ARMS:
            result = carried.get(arm)
            if (
                not isinstance(result, RatesResult)
                or {name: len(cells) for name, cells in result.strata.items()} != wanted
            ):
                raise BadState(
                    f"The {arm} arm's people are not counted by the study's levels.",
                    where="carried",
                    mend="Nothing to do here.",
                )

    def lock(self, spec: Subgroups, step: str, carried: Carried) -> str | None:
        if step in ARMS:
            return None
        division, level = _place(spec, step)
        return floor_of(spec, [carried[arm].strata[division.name][level] for arm in ARMS])

    def extract(self, spec: Subgroups, step: str, engine: Engine, carried: Carried) -> Frame:
        """One row a person; for a model, of its subgroup."""
        version = engine.dataset.cdm_version
        plans = [
            cohort.plan(cohort.parse(each.circe), cdm_version=version)
            for each in (spec.target, spec.comparator)
        ]
        last = cohort.plan(cohort.parse(spec.outcome.circe), cdm_version=version)
        outcome = spans_of(cohorts.run(engine, last, attrition=False).rows)
        with entered(engine, plans) as entries:
            both = arms(entries)
            followed = follow(
                both,
                observation(engine),
                outcome,
                None,
                horizon=spec.horizon,
                washout=spec.washout,
                until_end_plus=spec.grace if spec.until == "cohort" else None,
            )
            if step in ARMS:
                return _counted(spec, ARMS.index(step), engine, both, followed)
            division, level = _place(spec, step)
            found = _levels(spec, division, engine, both.person[followed.row], both.start[followed.row])
            kept = found == level
            row = followed.row[kept]
            index = Entries(person=both.person[row], start=both.start[row], end=both.end[row])
            columns: dict[str, NDArray[Any]] = {
                "time": followed.time[kept],
                "event": followed.event[kept],
                TREATED: (both.arm[row] == 0).astype(np.int64),
            }
            asked = _adjusted(spec, division)
            if asked:
                values = matrix(engine, index, [each.id for each in asked], spec.windows).toarray()
                columns |= {each.name: values[:, at] for at, each in enumerate(asked)}
        return Frame(person=index.person, columns=columns)

    def tables(self, spec: Subgroups, results: Mapping[str, Mapping[str, Any]]) -> tuple[Table, ...]:
        rows: list[tuple[Value, ...]] = []
        tests: list[tuple[Value, ...]] = []
        unknown: list[tuple[Value, ...]] = []
        for division in divisions(spec):
            for place, first in results.get(ARMS[0], {}).items():
                second = results.get(ARMS[1], {}).get(place)
                if second is None:
                    continue
                *groups, others = [
                    group_of(
                        spec,
                        called(division, level),
                        [arm.strata[division.name][level] for arm in (first, second)],
                        results.get(called(division, level), {}).get(place),
                    )
                    for level in range(len(division.levels))
                ]
                pooled = together(groups)
                rows += [(place, division.name, *row_of(group, pooled)) for group in groups]
                unknown.append((place, division.name, *others.people))
                if pooled is not None:
                    tests.append((place, division.name, *pooled.row))
        counted = tuple(f"{arm}_{what}" for arm in ARMS for what in ("people", "outcomes", "person_years"))
        return (
            Table(
                name="subgroups",
                title="Hazard ratios by subgroup",
                columns=("hospital", "division", "subgroup", *counted, *RATIO, *SHRUNK, "estimate"),
                rows=tuple(rows),
            ),
            Table(
                name="interaction",
                title="Whether the ratios differ between subgroups",
                columns=(
                    "hospital",
                    "division",
                    "chi_square",
                    "freedom",
                    "p_value",
                    "mean_ratio",
                    "mean_ratio_low",
                    "mean_ratio_high",
                    "spread",
                ),
                rows=tuple(tests),
            ),
            Table(
                name="in_no_subgroup",
                title="People whose subgroup isn't known",
                columns=("hospital", "division", *counted),
                rows=tuple(unknown),
            ),
        )

    def charts(self, spec: Subgroups) -> tuple[Chart, ...]:
        return (
            Chart(
                table="subgroups",
                title="Hazard ratios by subgroup",
                form="forest",
                x="subgroup",
                y="hazard_ratio",
                low="hazard_ratio_low",
                high="hazard_ratio_high",
                panel="hospital",
                reference=(1.0,),
                log=True,
            ),
        )

    def methods(self, spec: Subgroups) -> tuple[str, ...]:
        told = [
            f"People of “{spec.target.name}” were compared with those of “{spec.comparator.name}” (OHDSI Circe definitions), each at the"
            f" first entry (day 0), in the time to “{spec.outcome.name}” from day 1 to at most day {spec.horizon}. Who had it within"
            f" {spec.washout} days before entry or on that day was left out. Someone in both cohorts belongs to the one entered first;"
            " who enters both on one day is left out.",
            "Follow-up ended with the observation period."
            if spec.until == "observation"
            else f"Follow-up ended {spec.grace} days after the cohort's end, or with the observation period.",
            "Within each subgroup a Cox model with a baseline of its own for each hospital was fitted at exact days (ties by Efron), as"
            " with all hospitals' data in one place. Subgroups are of the day of entry; age is the difference of calendar years.",
            f"Models were adjusted for {', '.join(each.name for each in spec.adjust)}."
            if spec.adjust
            else "Nothing was adjusted for: differences may be of the people and not of the treatment.",
            "Whether the ratios differ is tested by Cochran's Q over a division's subgroups, which is the Wald test of an interaction"
            " in a model whose baselines and covariates all differ by subgroup. Shrunk ratios are empirical Bayes estimates of a normal"
            " random-effects model of the log ratios (variance by Paule and Mandel 1982). Divisions were not adjusted for each other,"
            " nor p-values for their number.",
            f"A subgroup was not estimated with fewer than {spec.least_outcomes} outcomes in an arm, or where a number of its people"
            " could not be shown.",
        ]
        return tuple(told)


def _place(spec: Subgroups, step: str) -> tuple[Strata, int]:
    """The division and the place of its level of a model's step."""
    return next(
        (division, level)
        for division in divisions(spec)
        for level in range(len(division.levels))
        if step == called(division, level)
    )


def _counted(spec: Subgroups, arm: int, engine: Engine, both: Arms, followed: FollowUp) -> Frame:
    """One arm's people with their levels in every division."""
    kept = both.arm[followed.row] == arm
    row = followed.row[kept]
    levels = {
        division.name: _levels(spec, division, engine, both.person[row], both.start[row])
        for division in divisions(spec)
    }
    return Frame(
        person=both.person[row],
        columns={"days": followed.time[kept], "outcomes": followed.event[kept], **levels},
    )


def _adjusted(spec: Subgroups, division: Strata) -> list[Covariate]:
    """Within one sex, sex is no covariate."""
    return [
        each for each in spec.adjust if division.name != BY_SEX or analysis_of(each.id).id != SEX_ANALYSIS
    ]


def _params(spec: Subgroups, division: Strata) -> CoxParams:
    return CoxParams(
        covariates=(
            design.binary(TREATED),
            *(
                design.continuous(each.name, 0.0, OLDEST)
                if each.id == AGE_COVARIATE
                else design.binary(each.name)
                for each in _adjusted(spec, division)
            ),
        )
    )


def _levels(
    spec: Subgroups, division: Strata, engine: Engine, person: NDArray[np.int64], at: NDArray[np.datetime64]
) -> NDArray[np.int64]:
    if division.name == BY_SEX:
        return People.read(engine).levels(SEX, person, at)
    if division.name == BY_AGE:
        people = People.read(engine)
        born = people.year_of_birth[np.searchsorted(people.person, person)]
        age = at.astype("datetime64[Y]").astype(np.int64) + 1970 - born
        place = np.searchsorted(np.asarray(spec.ages), age, side="right")
        return np.where((born > 0) & (age >= 0), place, len(spec.ages) + 1)
    marker = next(each for each in spec.markers if each.name == division.name)
    return markers.levels(engine, marker, person, at)
