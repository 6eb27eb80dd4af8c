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
from dure.stats.counts import Counts, CountsParams, CountsResult
from dure.stats.quantiles import Interval, Quantiles, QuantilesParams, QuantilesResult, cut_range, of_counts
from dure.stats.strata import Strata
from dure.study.kinds.base import Carried, Cohort, Kind, Step
from dure.study.report import Chart, Table, Value
from dure.wire.codec import message

Variable = Literal["age", "days_before", "days_after"]
RANGES = {"age": (0, 128), "days_before": (0, 16_384), "days_after": (0, 16_384)}
HISTOGRAM = "histogram"
SHARES = {"lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75}


@message
class Distribution:
    """Between which values do the quarters of a cohort lie?"""

    kind: Literal["distribution"] = "distribution"
    cohort: Annotated[Cohort, Field(title="Cohort", description="Each person at the first entry.")]
    variable: Annotated[
        Variable,
        Field(title="Variable", description="Age at first entry, or days observed before or after it."),
    ] = "age"
    bins: Annotated[
        int,
        Field(
            title="Parts",
            description="Into how many each round cuts what is left: more parts, fewer rounds. In one round, all values.",
            ge=2,
            le=32,
            json_schema_extra={"unit": "parts"},
        ),
    ] = 8
    one_round: Annotated[
        bool,
        Field(
            title="In one round",
            description="A single histogram, and quartiles as near as it shows them: for answers carried by hand.",
        ),
    ] = False


class DistributionKind(Kind[Distribution]):
    """Quartiles, each as the narrowest interval that the rules of disclosure allow."""

    name = "distribution"
    spec = Distribution

    def check(self, spec: Distribution) -> None:
        cohort.plan(cohort.parse(spec.cohort.circe), cdm_version="5.4")

    def steps(self, spec: Distribution) -> tuple[Step, ...]:
        if spec.one_round:
            counted = CountsParams(stages=("people",), strata=(Strata(name="value", levels=_levels(spec)),))
            return (Step(name=HISTOGRAM, statistic=Counts(), params=counted),)
        return tuple(
            Step(name=name, statistic=Quantiles(), params=_params(spec, share))
            for name, share in SHARES.items()
        )

    def against_noise(self, spec: Distribution) -> str | None:
        return None

    def extract(self, spec: Distribution, step: str, engine: Engine, carried: Carried) -> Frame:
        """One row a person in the cohort, at its first entry."""
        plan = cohort.plan(cohort.parse(spec.cohort.circe), cdm_version=engine.dataset.cdm_version)
        rows = cohorts.run(engine, plan).rows
        member, start = rows["subject_id"].to_numpy(), days(rows["cohort_start_date"].to_numpy())
        order = np.lexsort((start, member))
        person, where = np.unique(member[order], return_index=True)
        first = start[order][where]
        value = _value(spec.variable, person, first, engine)
        if step != HISTOGRAM:
            return Frame(person=person, columns={"value": value})
        lows = [part.low for part in _parts(spec)]
        part = np.maximum(np.searchsorted(lows, value, side="right") - 1, 0)
        return Frame(person=person, columns={"value": part, "reached": np.ones_like(person)})

    def tables(
        self, spec: Distribution, results: Mapping[str, Mapping[str, QuantilesResult | CountsResult]]
    ) -> tuple[Table, ...]:
        counted = {
            hospital: (result.stages[0], result.strata["value"])
            for hospital, result in results.get(HISTOGRAM, {}).items()
            if isinstance(result, CountsResult)
        }
        quartiles: list[tuple[Value, ...]] = []
        for quantile, share in SHARES.items():
            for hospital, (people, counts) in counted.items():
                found = of_counts(_params(spec, share), people, counts)
                quartiles.append((hospital, quantile, people, *_ends(found)))
            for hospital, result in results.get(quantile, {}).items():
                if isinstance(result, QuantilesResult):
                    quartiles.append((hospital, quantile, result.people, *_ends(result.interval)))
        told = Table(
            name="quartiles",
            title="Quartiles",
            columns=("hospital", "quantile", "people", "at_least", "below"),
            rows=tuple(quartiles),
        )
        if not spec.one_round:
            return (told,)
        bars = Table(
            name="histogram",
            title="Histogram",
            columns=("hospital", "value", "people"),
            rows=tuple(
                (hospital, level, people)
                for hospital, (_, counts) in counted.items()
                for level, people in zip(_levels(spec), counts, strict=True)
            ),
        )
        return (told, bars)

    def charts(self, spec: Distribution) -> tuple[Chart, ...]:
        quartiles = Chart(
            table="quartiles",
            title="Quartiles",
            form="interval",
            x="quantile",
            y="at_least",
            low="at_least",
            high="below",
            panel="hospital",
        )
        if not spec.one_round:
            return (quartiles,)
        bars = Chart(
            table="histogram", title="Histogram", form="bars", x="value", y="people", panel="hospital"
        )
        return (quartiles, bars)

    def methods(self, spec: Distribution) -> tuple[str, ...]:
        if spec.one_round:
            return (
                f"Quartiles of {spec.variable.replace('_', ' ')} among people of “{spec.cohort.name}” (OHDSI Circe) were"
                f" read off one histogram of {spec.bins} parts. Each is given as the parts that could hold it, by the numbers"
                " shown.",
            )
        return (
            f"Quartiles of {spec.variable.replace('_', ' ')} among people of “{spec.cohort.name}” (OHDSI Circe) were"
            f" sought by histograms of {spec.bins} parts, each round within one part of the round before, until a single"
            " value was reached or a part held too few people. Each is given as an interval that holds the pooled quartile.",
        )


def _params(spec: Distribution, share: float) -> QuantilesParams:
    low, high = RANGES[spec.variable]
    return QuantilesParams(low=low, high=high, bins=spec.bins, share=share)


def _parts(spec: Distribution) -> list[Interval]:
    """What one round cuts all values into."""
    return [part for part in cut_range(_params(spec, 0.5)) if part.low < part.high]


def _levels(spec: Distribution) -> tuple[str, ...]:
    """The parts as people read them; the last holds what lies beyond, too."""
    parts = _parts(spec)
    whole = [f"{part.low}-{part.high - 1}" if part.high - part.low > 1 else f"{part.low}" for part in parts]
    return (*whole[:-1], f"{parts[-1].low} or more")


def _ends(found: Interval | None) -> tuple[int | None, int | None]:
    return (None, None) if found is None else (found.low, found.high)


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
