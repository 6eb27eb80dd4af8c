"""Prevalence: how many of the people observed on a day, or in a period, are in a cohort then."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dure import cohort
from dure.engines import cohorts
from dure.engines.base import Engine
from dure.features.demographics import Breakdown, People, breakdowns, days
from dure.stats.base import Frame
from dure.stats.intervals import clopper_pearson, wilson
from dure.stats.rates import RateCell, Rates, RatesParams, RatesResult
from dure.study.kinds.base import BadQuestion, Carried, Cohort, Kind, Step
from dure.study.report import Chart, Table, Value
from dure.wire.codec import message

COLUMNS = ("people", "cases", "prevalence_percent", "prevalence_low", "prevalence_high")
Interval = Literal["wilson", "clopper_pearson"]
INTERVALS = {"wilson": wilson, "clopper_pearson": clopper_pearson}
NAMES = {"wilson": "Wilson score", "clopper_pearson": "exact (Clopper-Pearson)"}


@message
class Prevalence:
    """How many of the people observed on a day, or in a period, have a condition then?"""

    kind: Literal["prevalence"] = "prevalence"
    target: Annotated[
        Cohort, Field(title="People", description="Who is in this cohort on a day of the period is counted.")
    ]
    condition: Annotated[
        Cohort,
        Field(title="Condition", description="Who is in this cohort too, on a day of the period, is a case."),
    ]
    first_day: Annotated[
        date, Field(title="First day", description="The same as the last day for the prevalence at a point.")
    ] = date(2020, 7, 1)
    last_day: Annotated[date, Field(title="Last day", description="Of the period; inside it.")] = date(
        2020, 7, 1
    )
    breakdowns: Annotated[
        tuple[Literal["age", "sex"], ...],
        Field(title="Break down by", description="Age in the year of the first day."),
    ] = ("age", "sex")
    interval: Annotated[
        Interval, Field(title="Interval", description="Wilson's score interval, or the exact one.")
    ] = "wilson"


class PrevalenceKind(Kind[Prevalence]):
    """Point and period prevalence with intervals of proportions."""

    name = "prevalence"
    spec = Prevalence

    def check(self, spec: Prevalence) -> None:
        for definition in (spec.target, spec.condition):
            cohort.plan(cohort.parse(definition.circe), cdm_version="5.4")
        if spec.last_day < spec.first_day:
            raise BadQuestion(
                f"The period ends on {spec.last_day}, before it begins.",
                where="question.first_day, question.last_day",
                mend="Give the first day, then a last day that isn't before it.",
            )

    def steps(self, spec: Prevalence) -> tuple[Step, ...]:
        return (Step(name="people", statistic=Rates(), params=_params(spec)),)

    def against_noise(self, spec: Prevalence) -> str | None:
        return None

    def extract(self, spec: Prevalence, step: str, engine: Engine, carried: Carried) -> Frame:
        """One row a person; each counts for one day."""
        version = engine.dataset.cdm_version
        plans = [
            cohort.plan(cohort.parse(each.circe), cdm_version=version)
            for each in (spec.target, spec.condition)
        ]
        target, condition = cohorts.run_many(engine, plans, attrition=False)
        person, cases = _present(target, spec), _present(condition, spec)
        people = People.read(engine)
        at = np.full(len(person), np.datetime64(spec.first_day, "D"))
        levels = {strata.name: people.levels(strata, person, at) for strata in _params(spec).strata}
        return Frame(
            person=person,
            columns={
                "days": np.ones(len(person), dtype=np.int64),
                "outcomes": np.isin(person, cases).astype(np.int64),
                **levels,
            },
        )

    def tables(self, spec: Prevalence, results: Mapping[str, Mapping[str, RatesResult]]) -> tuple[Table, ...]:
        found = results.get("people", {})
        overall = Table(
            name="overall",
            title="Prevalence",
            columns=("hospital", *COLUMNS),
            rows=tuple((name, *_row(result.overall, spec)) for name, result in found.items()),
        )
        by_strata = tuple(
            Table(
                name=f"by_{strata.name}",
                title=f"Prevalence by {strata.name}",
                columns=("hospital", strata.name, *COLUMNS),
                rows=tuple(
                    (name, level, *_row(cell, spec))
                    for name, result in found.items()
                    for level, cell in zip(strata.levels, result.strata[strata.name], strict=True)
                ),
            )
            for strata in _params(spec).strata
        )
        return (overall, *by_strata)

    def charts(self, spec: Prevalence) -> tuple[Chart, ...]:
        return tuple(
            Chart(
                table=f"by_{name}",
                title=f"Prevalence by {name}",
                form="interval",
                x=name,
                y="prevalence_percent",
                low="prevalence_low",
                high="prevalence_high",
                panel="hospital",
            )
            for name in spec.breakdowns
        )

    def methods(self, spec: Prevalence) -> tuple[str, ...]:
        point = spec.first_day == spec.last_day
        when = f"on {spec.first_day}" if point else f"from {spec.first_day} to {spec.last_day}"
        return (
            f"Among people who were in “{spec.target.name}” {when}, those who were in “{spec.condition.name}” (OHDSI Circe"
            f" definitions) then were counted, with {NAMES[spec.interval]} 95 % intervals, computed from the released numbers."
            " Age is the difference between the calendar year of the first day and the year of birth.",
        )


def _params(spec: Prevalence) -> RatesParams:
    names: tuple[Breakdown, ...] = spec.breakdowns
    return RatesParams(
        strata=breakdowns(names, first_year=spec.first_day.year, last_year=spec.first_day.year),
        most_outcomes=1,
        most_days=1,
        in_one_level=True,
    )


def _present(found: cohorts.CohortTable, spec: Prevalence) -> NDArray[np.int64]:
    """Who is in a cohort on some day of the period, sorted."""
    start, end = (days(found.rows[name].to_numpy()) for name in ("cohort_start_date", "cohort_end_date"))
    overlaps = (start <= np.datetime64(spec.last_day, "D")) & (end >= np.datetime64(spec.first_day, "D"))
    return np.unique(found.rows["subject_id"].to_numpy()[overlaps])


def _row(cell: RateCell, spec: Prevalence) -> tuple[Value, ...]:
    if cell.cases is None or not cell.people:
        return (cell.people, cell.cases, None, None, None)
    # Rounded by themselves, cases may be more than people.
    people = max(cell.people, cell.cases)
    low, high = INTERVALS[spec.interval](cell.cases, people)
    return (cell.people, cell.cases, 100 * cell.cases / people, 100 * low, 100 * high)
