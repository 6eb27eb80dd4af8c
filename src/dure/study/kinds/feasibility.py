"""Feasibility: how many people fit a cohort definition, rule by rule, and how they are made up."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dure import cohort
from dure.engines import cohorts
from dure.engines.base import Engine
from dure.features.demographics import Breakdown, People, breakdowns, days
from dure.stats.base import Frame
from dure.stats.counts import Counts, CountsParams, CountsResult
from dure.study.kinds.base import Carried, Cohort, Kind, Step, check_years
from dure.study.report import Chart, Table
from dure.wire.codec import message


@message
class Feasibility:
    """How many people fit a cohort definition?"""

    kind: Literal["feasibility"] = "feasibility"
    cohort: Annotated[Cohort, Field(title="Cohort", description="Whom to count.")]
    breakdowns: Annotated[
        tuple[Breakdown, ...],
        Field(title="Break down by", description="At the first entry of each person in the cohort."),
    ] = ("age", "sex", "year")
    first_year: Annotated[
        int,
        Field(
            title="First year",
            description="Of the breakdown by year.",
            ge=1900,
            le=2200,
            json_schema_extra={"unit": "year"},
        ),
    ] = 2010
    last_year: Annotated[
        int,
        Field(
            title="Last year",
            description="Of the breakdown by year.",
            ge=1900,
            le=2200,
            json_schema_extra={"unit": "year"},
        ),
    ] = 2026


class FeasibilityKind(Kind[Feasibility]):
    """Counts people by stage of the cohort definition, then those in the cohort by age, sex and year."""

    name = "feasibility"
    spec = Feasibility

    def check(self, spec: Feasibility) -> None:
        cohort.plan(cohort.parse(spec.cohort.circe), cdm_version="5.4")
        check_years(spec.first_year, spec.last_year)

    def steps(self, spec: Feasibility) -> tuple[Step, ...]:
        return (Step(name="people", statistic=Counts(), params=_params(spec)),)

    def against_noise(self, spec: Feasibility) -> str | None:
        return None

    def extract(self, spec: Feasibility, step: str, engine: Engine, carried: Carried) -> Frame:
        """One row a person with a qualifying event: how far the best of its events came, and its levels if all the way."""
        plan = cohort.plan(cohort.parse(spec.cohort.circe), cdm_version=engine.dataset.cdm_version)
        found = cohorts.run(engine, plan)
        assert found.qualified is not None
        qualified, mask = (found.qualified[name].to_numpy() for name in ("person_id", "mask"))
        member = found.rows["subject_id"].to_numpy()
        person = np.union1d(qualified, member)
        reached = np.ones(len(person), dtype=np.int64)
        np.maximum.at(reached, np.searchsorted(person, qualified), 1 + _rules_passed(mask, len(plan.rules)))
        params = _params(spec)
        columns: dict[str, Any] = {}
        first = days(found.rows["cohort_start_date"].to_numpy())
        order = np.lexsort((first, member))
        members, where = np.unique(member[order], return_index=True)
        at = np.searchsorted(person, members)
        reached[at] = len(params.stages)
        people = People.read(engine)
        for strata in params.strata:
            column = np.zeros(len(person), dtype=np.int64)
            column[at] = people.levels(strata, members, first[order][where])
            columns[strata.name] = column
        return Frame(person=person, columns={"reached": reached, **columns})

    def tables(
        self, spec: Feasibility, results: Mapping[str, Mapping[str, CountsResult]]
    ) -> tuple[Table, ...]:
        params = _params(spec)
        found = results.get("people", {})
        attrition = Table(
            name="attrition",
            title="People left after each rule",
            columns=("hospital", "stage", "people"),
            rows=tuple(
                (name, stage, people)
                for name, result in found.items()
                for stage, people in zip(params.stages, result.stages, strict=True)
            ),
        )
        by_strata = tuple(
            Table(
                name=f"by_{strata.name}",
                title=f"People in the cohort by {strata.name}",
                columns=("hospital", strata.name, "people"),
                rows=tuple(
                    (name, level, people)
                    for name, result in found.items()
                    for level, people in zip(strata.levels, result.strata[strata.name], strict=True)
                ),
            )
            for strata in params.strata
        )
        return (attrition, *by_strata)

    def charts(self, spec: Feasibility) -> tuple[Chart, ...]:
        funnel = Chart(
            table="attrition",
            title="People left after each rule",
            form="funnel",
            x="stage",
            y="people",
            panel="hospital",
        )
        bars = (
            Chart(
                table=f"by_{name}",
                title=f"People in the cohort by {name}",
                form="bars",
                x=name,
                y="people",
                panel="hospital",
            )
            for name in spec.breakdowns
        )
        return (funnel, *bars)

    def methods(self, spec: Feasibility) -> tuple[str, ...]:
        return (
            f"People were counted who fit the cohort definition “{spec.cohort.name}” (OHDSI Circe), at each stage of it:"
            " with a qualifying event; passing the inclusion rules one after the other, judged by the event of each person"
            " that passes most of them; and in the cohort, after its limits and exit rules.",
            "Age is the difference between the calendar year of a person's first entry and the year of birth.",
        )


def _params(spec: Feasibility) -> CountsParams:
    rules = cohort.plan(cohort.parse(spec.cohort.circe), cdm_version="5.4").rules
    named = (f"{number}. {rule or 'unnamed rule'}" for number, rule in enumerate(rules, start=1))
    return CountsParams(
        stages=("with a qualifying event", *named, "in the cohort"),
        strata=breakdowns(spec.breakdowns, first_year=spec.first_year, last_year=spec.last_year),
    )


def _rules_passed(mask: NDArray[np.int64], rules: int) -> NDArray[np.int64]:
    """How many rules each event passes before the first that it fails; bit i of its mask is rule i."""
    passed, still = np.zeros(len(mask), dtype=np.int64), np.ones(len(mask), dtype=np.bool_)
    for rule in range(rules):
        still &= (mask >> rule) & 1 == 1
        passed += still
    return passed
