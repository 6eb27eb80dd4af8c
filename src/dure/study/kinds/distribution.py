"""Distribution: between which values the quarters of a cohort lie: age at entry, or days observed around it."""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from sqlglot import exp

from dure import cohort
from dure.engines import cohorts
from dure.engines.base import Engine
from dure.features.demographics import People, days
from dure.stats.base import Frame
from dure.stats.quantiles import Quantiles, QuantilesParams, QuantilesResult
from dure.study.kinds.base import Carried, Cohort, Kind, Step
from dure.study.report import Chart, Table
from dure.wire.codec import message

Variable = Literal["age", "days_before", "days_after"]
RANGES = {"age": (0, 128), "days_before": (0, 16_384), "days_after": (0, 16_384)}
SHARES = {"lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75}


@message
class Distribution:
    """Between which values do the quarters of a cohort lie?"""

    kind: Literal["distribution"] = "distribution"
    cohort: Annotated[Cohort, Field(title="Cohort")]
    variable: Annotated[
        Variable,
        Field(title="Variable", description="Age at first entry, or days observed before or after it."),
    ] = "age"
    bins: Annotated[
        int,
        Field(
            title="Parts",
            description="Into how many parts each round cuts: more parts, fewer rounds.",
            ge=2,
            le=32,
        ),
    ] = 8


class DistributionKind(Kind[Distribution]):
    """Quartiles, each as the narrowest interval that the rules of disclosure allow."""

    name = "distribution"
    spec = Distribution

    def check(self, spec: Distribution) -> None:
        cohort.plan(cohort.parse(spec.cohort.circe), cdm_version="5.4")

    def steps(self, spec: Distribution) -> tuple[Step, ...]:
        low, high = RANGES[spec.variable]
        return tuple(
            Step(
                name=name,
                statistic=Quantiles(),
                params=QuantilesParams(low=low, high=high, bins=spec.bins, share=share),
            )
            for name, share in SHARES.items()
        )

    def extract(self, spec: Distribution, step: str, engine: Engine, carried: Carried) -> Frame:
        """One row a person in the cohort, at its first entry."""
        plan = cohort.plan(cohort.parse(spec.cohort.circe), cdm_version=engine.dataset.cdm_version)
        rows = cohorts.run(engine, plan).rows
        member, start = rows["subject_id"].to_numpy(), days(rows["cohort_start_date"].to_numpy())
        order = np.lexsort((start, member))
        person, where = np.unique(member[order], return_index=True)
        first = start[order][where]
        return Frame(person=person, columns={"value": _value(spec.variable, person, first, engine)})

    def tables(
        self, spec: Distribution, results: Mapping[str, Mapping[str, QuantilesResult]]
    ) -> tuple[Table, ...]:
        rows = tuple(
            (hospital, quantile, result.people, *_ends(result))
            for quantile in SHARES
            for hospital, result in results.get(quantile, {}).items()
        )
        return (
            Table(
                name="quartiles",
                title="Quartiles",
                columns=("hospital", "quantile", "people", "at_least", "below"),
                rows=rows,
            ),
        )

    def charts(self, spec: Distribution) -> tuple[Chart, ...]:
        return (
            Chart(
                table="quartiles",
                title="Quartiles",
                form="interval",
                x="quantile",
                y="at_least",
                low="at_least",
                high="below",
                panel="hospital",
            ),
        )

    def methods(self, spec: Distribution) -> tuple[str, ...]:
        return (
            f"Quartiles of {spec.variable.replace('_', ' ')} among people of “{spec.cohort.name}” (OHDSI Circe) were"
            f" sought by histograms of {spec.bins} parts, each round within one part of the round before, until a single"
            " value was reached or a part held too few people. Each is given as an interval that holds the pooled quartile.",
        )


def _ends(result: QuantilesResult) -> tuple[int | None, int | None]:
    return (None, None) if result.interval is None else (result.interval.low, result.interval.high)


def _value(variable: Variable, person: np.ndarray, first: np.ndarray, engine: Engine) -> np.ndarray:
    if variable == "age":
        people = People.read(engine)
        born = people.year_of_birth[np.searchsorted(people.person, person)]
        return first.astype("datetime64[Y]").astype(np.int64) + 1970 - born
    columns = ("person_id", "observation_period_start_date", "observation_period_end_date")
    periods = engine.query(exp.select(*columns).from_("observation_period"))
    who = periods["person_id"].to_numpy()
    start, end = (days(periods[name].to_numpy()) for name in columns[1:])
    row = np.searchsorted(person, who)
    inside = (row < len(person)) & (person[np.minimum(row, len(person) - 1)] == who)
    row, start, end = row[inside], start[inside], end[inside]
    holds = (start <= first[row]) & (first[row] <= end)
    value = np.zeros(len(person), dtype=np.int64)
    reach = first[row] - start if variable == "days_before" else end - first[row]
    value[row[holds]] = reach[holds].astype(np.int64)
    return value
