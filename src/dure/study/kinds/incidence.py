"""Incidence: how often an outcome newly occurs among people at risk."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from dure import cohort
from dure.engines import cohorts
from dure.engines.base import Engine
from dure.features.demographics import Breakdown, People, breakdowns
from dure.features.follow_up import observation
from dure.features.time_at_risk import Anchor, Window, at_risk, spans_of
from dure.stats.base import Frame
from dure.stats.intervals import poisson_exact
from dure.stats.rates import LONGEST_LIFE_DAYS, RateCell, Rates, RatesParams, RatesResult
from dure.stats.standard_populations import BANDS, STANDARDS
from dure.stats.standardisation import direct
from dure.study.kinds.base import BadQuestion, Carried, Cohort, Kind, Step, check_years
from dure.study.report import Chart, Table, Value
from dure.wire.codec import message

DAYS_A_YEAR = 365.25
PER = 1000
LONGEST = 36_525
COLUMNS = (
    "people",
    "cases",
    "outcomes",
    "person_years",
    "rate_per_1000_person_years",
    "rate_low",
    "rate_high",
    "proportion_percent",
)


STANDARDISED = (
    "standardised_rate_per_1000_person_years",
    "standardised_rate_low",
    "standardised_rate_high",
    "standard_covered_percent",
)
Standard = Literal["none", "who_2000", "europe_2013", "own"]
NAMES = {
    "who_2000": "the WHO world standard 2000-2025",
    "europe_2013": "the European standard population 2013",
    "own": "the asker's own weights",
}


@message
class Incidence:
    """How often does an outcome newly occur among people at risk?"""

    kind: Literal["incidence"] = "incidence"
    target: Annotated[Cohort, Field(title="People at risk", description="Who is in this cohort, each time.")]
    outcome: Annotated[Cohort, Field(title="Outcome", description="Each start of this cohort is an outcome.")]
    start_anchor: Annotated[
        Anchor, Field(title="Time at risk starts from the cohort's", description="Its first or its last day.")
    ] = "start"
    start_offset: Annotated[
        int,
        Field(
            title="plus days",
            description="0 is that day itself.",
            ge=-LONGEST,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = 0
    end_anchor: Annotated[
        Anchor,
        Field(
            title="Time at risk ends at the cohort's",
            description="Or with the observation period, if that is earlier.",
        ),
    ] = "end"
    end_offset: Annotated[
        int,
        Field(
            title="plus days",
            description="0 is that day itself.",
            ge=-LONGEST,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = 0
    clean_window: Annotated[
        int,
        Field(
            title="Clean window",
            description="Days after an outcome's end in which another isn't a new one, and nobody is at risk.",
            ge=0,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = 0
    most_outcomes: Annotated[
        int,
        Field(
            title="Outcomes of one person at most",
            description="What is more doesn't count: 1 for first outcomes. Noise, where boards want it, grows with it.",
            ge=1,
            le=LONGEST_LIFE_DAYS,
            json_schema_extra={"unit": "outcomes"},
        ),
    ] = LONGEST_LIFE_DAYS
    most_days: Annotated[
        int,
        Field(
            title="Days at risk of one person at most",
            description="What is more doesn't count. Noise, where boards want it, grows with it.",
            ge=1,
            le=LONGEST_LIFE_DAYS,
            json_schema_extra={"unit": "days"},
        ),
    ] = LONGEST_LIFE_DAYS
    breakdowns: Annotated[
        tuple[Breakdown, ...], Field(title="Break down by", description="At the start of each time at risk.")
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
    standard: Annotated[
        Standard,
        Field(
            title="Standardise by age to",
            description="WHO's world standard 2000-2025, the European standard 2013, or your own weights.",
        ),
    ] = "none"
    own_standard: Annotated[
        tuple[Annotated[float, Field(ge=0)], ...],
        Field(
            title="Own weights",
            description="Ten numbers in any unit, for ages 0-9, 10-19 and so on to 90 and over.",
            max_length=10,
            json_schema_extra={"unit": "any"},
        ),
    ] = ()


class IncidenceKind(Kind[Incidence]):
    """Rates with exact intervals and proportions, time at risk and clean window as in OHDSI's CohortIncidence."""

    name = "incidence"
    spec = Incidence

    def check(self, spec: Incidence) -> None:
        for definition in (spec.target, spec.outcome):
            cohort.plan(cohort.parse(definition.circe), cdm_version="5.4")
        check_years(spec.first_year, spec.last_year)
        if (spec.standard == "own") != bool(spec.own_standard):
            raise BadQuestion(
                "Own weights and the choice of them go together.",
                where="question.standard, question.own_standard",
                mend="Write standard: own and ten weights, or leave both out.",
            )
        if spec.own_standard and (len(spec.own_standard) != len(BANDS) or not sum(spec.own_standard)):
            raise BadQuestion(
                f"{len(spec.own_standard)} weights are given, or they are all 0.",
                where="question.own_standard",
                mend=f"Give {len(BANDS)}: for ages {', '.join(BANDS)}.",
            )

    def steps(self, spec: Incidence) -> tuple[Step, ...]:
        return (Step(name="rates", statistic=Rates(), params=_params(spec)),)

    def against_noise(self, spec: Incidence) -> str | None:
        return None

    def extract(self, spec: Incidence, step: str, engine: Engine, carried: Carried) -> Frame:
        """One row a merged time at risk."""
        version = engine.dataset.cdm_version
        plans = [cohort.plan(cohort.parse(c.circe), cdm_version=version) for c in (spec.target, spec.outcome)]
        target, outcome = (spans_of(found.rows) for found in cohorts.run_many(engine, plans))
        risk = at_risk(
            target,
            observation(engine),
            outcome,
            Window(
                start_anchor=spec.start_anchor,
                start_offset=spec.start_offset,
                end_anchor=spec.end_anchor,
                end_offset=spec.end_offset,
            ),
            clean_window=spec.clean_window,
        )
        people = People.read(engine)
        levels = {
            strata.name: people.levels(strata, risk.person, risk.start) for strata in _params(spec).strata
        }
        return Frame(person=risk.person, columns={"days": risk.days, "outcomes": risk.outcomes, **levels})

    def tables(self, spec: Incidence, results: Mapping[str, Mapping[str, RatesResult]]) -> tuple[Table, ...]:
        found = results.get("rates", {})
        overall = Table(
            name="overall",
            title="Incidence",
            columns=("hospital", *COLUMNS),
            rows=tuple((name, *_row(result.overall)) for name, result in found.items()),
        )
        by_strata = tuple(
            Table(
                name=f"by_{strata.name}",
                title=f"Incidence by {strata.name}",
                columns=("hospital", strata.name, *COLUMNS),
                rows=tuple(
                    (name, level, *_row(cell))
                    for name, result in found.items()
                    for level, cell in zip(strata.levels, result.strata[strata.name], strict=True)
                ),
            )
            for strata in _params(spec).strata
            if strata.name in spec.breakdowns
        )
        if spec.standard == "none":
            return (overall, *by_strata)
        standardised = Table(
            name="standardised",
            title="Incidence standardised by age",
            columns=("hospital", "standard", *STANDARDISED),
            rows=tuple(
                (name, spec.standard, *_standardised(_weights(spec), result.strata["age"]))
                for name, result in found.items()
            ),
        )
        return (overall, standardised, *by_strata)

    def charts(self, spec: Incidence) -> tuple[Chart, ...]:
        return tuple(
            Chart(
                table=f"by_{name}",
                title=f"Incidence by {name}",
                form="interval",
                x=name,
                y="rate_per_1000_person_years",
                low="rate_low",
                high="rate_high",
                panel="hospital",
            )
            for name in spec.breakdowns
        )

    def methods(self, spec: Incidence) -> tuple[str, ...]:
        standardised = (
            ()
            if spec.standard == "none"
            else (
                "Rates were standardised directly by age in ten-year bands"
                f" ({_named(spec)}), with the interval of Fay and Feuer (1997). Bands without a shown number are left out of the"
                " standard as well; the share of the standard that is covered is given. People of unknown age have no part in it.",
            )
        )
        return (
            f"New occurrences of “{spec.outcome.name}” were counted among people of “{spec.target.name}” (OHDSI Circe"
            f" definitions). Time at risk ran from the cohort's {spec.start_anchor} plus {spec.start_offset} days to its"
            f" {spec.end_anchor} plus {spec.end_offset} days, both days included, within the observation period;"
            " overlapping times of one person were merged. The days after an outcome until its end plus"
            f" {spec.clean_window} days were not at risk, and outcomes on them were not counted (as in OHDSI"
            " CohortIncidence).",
            "Rates are outcomes per 1,000 person-years of 365.25 days with exact 95 % Poisson intervals (Garwood 1936),"
            " computed from the released numbers. The proportion is people with at least one counted outcome among"
            " people with at least one day at risk. Age is the difference between the calendar year in which the time at"
            " risk starts and the year of birth.",
            *_clipped(spec),
            *standardised,
        )


def _clipped(spec: Incidence) -> tuple[str, ...]:
    if spec.most_outcomes == LONGEST_LIFE_DAYS and spec.most_days == LONGEST_LIFE_DAYS:
        return ()
    return (
        f"Of one person at most {spec.most_outcomes} outcomes and {spec.most_days} days count in a number.",
    )


def _named(spec: Incidence) -> str:
    return NAMES[spec.standard]


def _weights(spec: Incidence) -> tuple[float, ...]:
    return spec.own_standard if spec.standard == "own" else STANDARDS[spec.standard]


def _standardised(weights: tuple[float, ...], ages: tuple[RateCell, ...]) -> tuple[Value, ...]:
    """The standardised rate and its interval per 1,000 person-years, and how much of the standard it covers."""
    known = [
        (cell.outcomes, cell.days / DAYS_A_YEAR / PER, weight)
        for cell, weight in zip(ages, weights, strict=False)
        if cell.outcomes is not None and cell.days
    ]
    covered = sum(weight for _, _, weight in known)
    if not covered:
        return (None, None, None, 0.0)
    events, years, standard = zip(*known, strict=True)
    rate = direct(events, years, standard)
    return (rate.value, rate.low, rate.high, 100 * covered / sum(weights))


def _params(spec: Incidence) -> RatesParams:
    """Age is asked for where rates are standardised by it, too."""
    names: tuple[Breakdown, ...] = spec.breakdowns
    if spec.standard != "none" and "age" not in names:
        names = (*names, "age")
    return RatesParams(
        strata=breakdowns(names, first_year=spec.first_year, last_year=spec.last_year),
        most_outcomes=spec.most_outcomes,
        most_days=spec.most_days,
    )


def _row(cell: RateCell) -> tuple[Value, ...]:
    years = None if cell.days is None else cell.days / DAYS_A_YEAR
    rate = low = high = proportion = None
    if cell.outcomes is not None and years:
        rate = PER * cell.outcomes / years
        low, high = poisson_exact(cell.outcomes, years / PER)
    if cell.cases is not None and cell.people:
        # Rounded by themselves, or with noise, cases may be more than people.
        proportion = min(100 * cell.cases / cell.people, 100.0)
    return (cell.people, cell.cases, cell.outcomes, years, rate, low, high, proportion)
