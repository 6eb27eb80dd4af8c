"""Self-controlled case series: is an outcome more frequent in the days around an exposure than in the same person's other days?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import exp, log
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from scipy.special import ndtr

from dure import cohort
from dure.engines import cohorts
from dure.engines.base import Engine
from dure.features.case_series import BASELINE, CaseSeries, RiskDays, case_series
from dure.features.demographics import People
from dure.features.follow_up import LONGEST, observation
from dure.features.time_at_risk import Anchor, spans_of
from dure.stats.base import Frame
from dure.stats.conditional import Conditional, ConditionalParams, ConditionalResult
from dure.stats.conditional_kernel import Ties
from dure.stats.design import Covariate, binary, continuous
from dure.stats.problems import NoEstimate
from dure.stats.profile import Profile, ProfileParams, ProfileResult, ratio_of
from dure.study.kinds.base import BadQuestion, Carried, Cohort, Kind, Step
from dure.study.kinds.no_estimate import ESTIMATED, why_none
from dure.study.report import Chart, Table, Value
from dure.wire.codec import message

MODEL, CURVE = "ratios", "curve"
BEFORE = "before exposure"
LARGEST_OFFSET = 12.0
"""The logarithm of more days than anyone lives."""
MOST_WINDOWS, MOST_AGES = 10, 20
SIGNIFICANT = 0.05
RATE_BEFORE = "p-value of the rate before exposure"


@message
class RiskWindow:
    """Days relative to an exposure in which the outcome may be more (or less) frequent."""

    name: Annotated[str, Field(title="Name", min_length=1, max_length=80)]
    start_anchor: Annotated[Anchor, Field(title="From the exposure's")] = "start"
    start: Annotated[
        int, Field(title="plus days", ge=-LONGEST, le=LONGEST, json_schema_extra={"unit": "days"})
    ] = 0
    end_anchor: Annotated[Anchor, Field(title="To the exposure's")] = "end"
    end: Annotated[
        int, Field(title="plus days", ge=-LONGEST, le=LONGEST, json_schema_extra={"unit": "days"})
    ] = 0

    def __str__(self) -> str:
        """As a board reads it."""
        return f"{self.name}: {self.start_anchor} {self.start:+d} to {self.end_anchor} {self.end:+d} days"


@message
class SelfControlled:
    """Is an outcome more frequent after an exposure than in the same people's other time?"""

    kind: Literal["self_controlled"] = "self_controlled"
    exposure: Annotated[
        Cohort, Field(title="Exposure", description="Each entry is an exposure, from its start to its end.")
    ]
    outcome: Annotated[Cohort, Field(title="Outcome", description="Each start of this cohort is an outcome.")]
    windows: Annotated[
        tuple[RiskWindow, ...],
        Field(
            title="Risk windows",
            description="Both days included. Where the days of two overlap, the first holds.",
            min_length=1,
            max_length=MOST_WINDOWS,
        ),
    ] = (RiskWindow(name="exposed"),)
    pre_exposure: Annotated[
        int,
        Field(
            title="Days before exposure",
            description="Kept apart from the other days, and a diagnostic: an outcome that changes whether people are exposed shows here.",
            ge=0,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = 30
    ages: Annotated[
        tuple[Annotated[int, Field(ge=1, le=120)], ...],
        Field(
            title="Ages",
            description="Adjust for age: years of age at which a new interval begins.",
            max_length=MOST_AGES,
            json_schema_extra={"unit": "years"},
        ),
    ] = ()
    season_waves: Annotated[
        int,
        Field(
            title="Waves of the season",
            description="Adjust for season: 1 for a yearly wave, 2 and 3 add shorter ones; by calendar month.",
            ge=0,
            le=3,
            json_schema_extra={"unit": "waves"},
        ),
    ] = 0
    first_day: Annotated[
        date | None, Field(title="First day of the study", description="As observed if left out.")
    ] = None
    last_day: Annotated[
        date | None, Field(title="Last day of the study", description="As observed if left out.")
    ] = None
    most_outcomes: Annotated[
        int,
        Field(
            title="Most outcomes of a person",
            description="Who has more is left out.",
            ge=1,
            le=1000,
            json_schema_extra={"unit": "outcomes"},
        ),
    ] = 20
    one_round: Annotated[
        bool,
        Field(
            title="In one round",
            description="Only the first window's ratio, where answers are carried by hand; each hospital then adjusts for itself.",
        ),
    ] = False


class SelfControlledKind(Kind[SelfControlled]):
    """Incidence rate ratios within people, by conditional Poisson regression."""

    name = "self_controlled"
    spec = SelfControlled

    def check(self, spec: SelfControlled) -> None:
        for definition in (spec.exposure, spec.outcome):
            cohort.plan(cohort.parse(definition.circe), cdm_version="5.4")
        for window in spec.windows:
            if window.start_anchor == window.end_anchor and window.end < window.start:
                raise BadQuestion(
                    f"The window “{window.name}” ends before it begins.",
                    where="question.windows",
                    mend="Give the first day, then a last day that isn't before it.",
                )
        if list(spec.ages) != sorted(set(spec.ages)):
            raise BadQuestion(
                "The ages don't ascend.", where="question.ages", mend="Give each once, the youngest first."
            )
        if spec.first_day is not None and spec.last_day is not None and spec.last_day < spec.first_day:
            raise BadQuestion(
                f"The study ends on {spec.last_day}, before it begins.",
                where="question.first_day, question.last_day",
                mend="Give the first day, then a last day that isn't before it.",
            )
        self.steps(spec)

    def steps(self, spec: SelfControlled) -> tuple[Step, ...]:
        if spec.one_round:
            return (Step(name=CURVE, statistic=Profile(), params=ProfileParams(model=_params(spec))),)
        return (Step(name=MODEL, statistic=Conditional(), params=_params(spec)),)

    def extract(self, spec: SelfControlled, step: str, engine: Engine, carried: Carried) -> Frame:
        """One row for each kind of time that a person has."""
        version = engine.dataset.cdm_version
        plans = [
            cohort.plan(cohort.parse(each.circe), cdm_version=version)
            for each in (spec.exposure, spec.outcome)
        ]
        exposure, outcome = (
            spans_of(found.rows) for found in cohorts.run_many(engine, plans, attrition=False)
        )
        series = case_series(
            observation(engine),
            exposure,
            outcome,
            People.read(engine),
            windows=_days(spec),
            ages=spec.ages,
            season=spec.season_waves > 0,
            first_day=spec.first_day,
            last_day=spec.last_day,
        )
        return _frame(spec, series)

    def tables(self, spec: SelfControlled, results: Mapping[str, Mapping[str, Any]]) -> tuple[Table, ...]:
        found: dict[str, _Found] = {
            **{place: _of_model(result) for place, result in results.get(MODEL, {}).items()},
            **{place: _of_curve(spec, result) for place, result in results.get(CURVE, {}).items()},
        }
        return (
            Table(
                name="cases",
                title="People with an outcome whose time says something",
                columns=("hospital", "people", "outcomes", "estimate"),
                rows=tuple((place, *each.cases) for place, each in found.items()),
            ),
            _ratios("ratios", "Incidence rate ratios", "window", _windows(spec), found),
            Table(
                name="diagnostics",
                title="Diagnostics",
                columns=("hospital", "diagnostic", "value", "limit", "passes"),
                rows=tuple(
                    (place, RATE_BEFORE, p_value, SIGNIFICANT, "yes" if p_value >= SIGNIFICANT else "no")
                    for place, each in found.items()
                    if (p_value := each.p_value(BEFORE)) is not None
                ),
            ),
            _ratios("age_ratios", "Rate ratios of age", "age", [_age(age) for age in spec.ages], found),
            Table(
                name="season",
                title="Rate in each month over the mean of months",
                columns=("hospital", "month", "rate_ratio"),
                rows=tuple(
                    (place, month, ratio)
                    for place, each in found.items()
                    for month, ratio in enumerate(_season(spec, each), start=1)
                ),
            ),
        )

    def charts(self, spec: SelfControlled) -> tuple[Chart, ...]:
        return (
            Chart(
                table="ratios",
                title="Incidence rate ratios",
                form="forest",
                x="window",
                y="rate_ratio",
                low="rate_ratio_low",
                high="rate_ratio_high",
                panel="hospital",
                reference=(1.0,),
                log=True,
            ),
        )

    def methods(self, spec: SelfControlled) -> tuple[str, ...]:
        told = [
            f"Self-controlled case series (Farrington 1995): starts of “{spec.outcome.name}” in the risk windows of"
            f" “{spec.exposure.name}” (OHDSI Circe definitions) were compared with those in the same person's other observed"
            " time, by conditional Poisson regression. What stays the same in a person can't confound. The ratios are unbiased"
            " where an outcome changes neither later exposure nor how long a person is observed.",
            *(
                f"Risk window “{w.name}”: from its {w.start_anchor} plus {w.start} days to its {w.end_anchor} plus {w.end} days,"
                " both days included."
                for w in spec.windows
            ),
            f"Who has more than {spec.most_outcomes} outcomes was left out. Exposed people count if they are observed in a risk"
            " window, and in the window before exposure if there is one.",
        ]
        if spec.pre_exposure:
            told.append(
                f"The {spec.pre_exposure} days before an exposure have a ratio of their own. Where it differs from 1, an"
                " outcome may have changed whether people were exposed; then the other ratios should not be trusted."
            )
        if spec.ages:
            told.append(
                "Age (calendar year less year of birth) was adjusted for, in intervals that begin at"
                f" {', '.join(map(str, spec.ages))} years."
            )
        if spec.season_waves:
            told.append(
                f"Season was adjusted for by {spec.season_waves} pairs of sine and cosine of the year, at the middle of each"
                " calendar month."
            )
        if spec.ages or spec.season_waves:
            told.append("People with an outcome and no exposure help to estimate what was adjusted for.")
        if spec.one_round:
            told.append(
                "The study was asked in one round: the log-likelihood of the first window's ratio, at 8 ratios from 0.1 to 10, was added"
                " over hospitals and interpolated; other ratios were fitted by each hospital for itself. The 95 % interval is the"
                " likelihood's."
            )
        else:
            told.append("95 % intervals are of the normal distribution, on the log scale.")
        return tuple(told)


_RATIO = ("rate_ratio", "rate_ratio_low", "rate_ratio_high", "p_value")


def _windows(spec: SelfControlled) -> tuple[str, ...]:
    return (*(window.name for window in spec.windows), *((BEFORE,) if spec.pre_exposure else ()))


def _days(spec: SelfControlled) -> list[RiskDays]:
    """As `_windows`: the days before exposure come last, so that every risk window goes before them."""
    found = [
        RiskDays(start_anchor=w.start_anchor, start=w.start, end_anchor=w.end_anchor, end=w.end)
        for w in spec.windows
    ]
    return [*found, RiskDays(start=-spec.pre_exposure, end=-1)] if spec.pre_exposure else found


def _age(age: int) -> str:
    return f"from {age} years"


def _waves(spec: SelfControlled) -> list[tuple[str, np.ndarray]]:
    """The waves' names and their values at the middle of each month."""
    middle = 2 * np.pi * (np.arange(12) + 0.5) / 12
    return [
        (f"season {name} {wave}", of(wave * middle))
        for wave in range(1, spec.season_waves + 1)
        for name, of in (("cosine", np.cos), ("sine", np.sin))
    ]


def _params(spec: SelfControlled) -> ConditionalParams:
    covariates: list[Covariate] = [binary(name) for name in _windows(spec)]
    covariates += [binary(_age(age)) for age in spec.ages]
    covariates += [continuous(name, -1.0, 1.0) for name, _ in _waves(spec)]
    rows = (1 + len(_windows(spec))) * (1 + len(spec.ages)) * (12 if spec.season_waves else 1)
    return ConditionalParams(
        covariates=tuple(covariates),
        ties=Ties.BRESLOW,
        largest_offset=LARGEST_OFFSET,
        most_cases=spec.most_outcomes,
        most_rows=rows,
    )


def _frame(spec: SelfControlled, series: CaseSeries) -> Frame:
    """The rows of those who say something, in the model's columns."""
    people, row = np.unique(series.person, return_inverse=True)

    def having(window: np.ndarray) -> np.ndarray:
        return np.bincount(row[window], minlength=len(people)) > 0

    exposed = having(series.window != BASELINE)
    at_risk = having((series.window >= 0) & (series.window < len(spec.windows)))
    whole = at_risk & having(series.window == len(spec.windows)) if spec.pre_exposure else at_risk
    # Who has only a part of the windows is nearly nobody, and would give a small cell; who has none says something of
    # age and season, if these are asked for.
    counted = np.where(exposed, whole, bool(spec.ages or spec.season_waves))
    counted &= np.bincount(row, weights=series.outcomes, minlength=len(people)) <= spec.most_outcomes
    kept = counted[row]
    window, age, month = series.window[kept], series.age[kept], series.month[kept]
    columns = {name: (window == place).astype(np.int64) for place, name in enumerate(_windows(spec))}
    columns |= {_age(each): (age == place).astype(np.int64) for place, each in enumerate(spec.ages, start=1)}
    columns |= {name: value[month] for name, value in _waves(spec)}
    person = series.person[kept]
    return Frame(
        person=person,
        columns={
            "stratum": person,
            "case": series.outcomes[kept],
            "offset": np.log(np.maximum(series.days[kept], 1)),
            **columns,
        },
    )


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What is known of one place: people, outcomes, whether there is an estimate; ratios by covariate, as `_RATIO`."""

    cases: tuple[Value, ...]
    ratios: Mapping[str, tuple[float, float, float, float]]

    def p_value(self, name: str) -> float | None:
        return self.ratios[name][-1] if name in self.ratios else None


def _of_model(result: ConditionalResult) -> _Found:
    why = (
        ESTIMATED
        if result.trouble is None
        else why_none(result.trouble, (each.name for each in result.suspects))
    )
    effects = () if result.fit is None else result.fit.effects
    return _Found(
        cases=(result.people, result.events, why),
        ratios={e.name: (exp(e.estimate), exp(e.low), exp(e.high), e.p_value) for e in effects},
    )


def _of_curve(spec: SelfControlled, result: ProfileResult) -> _Found:
    """The first window's ratio; how many outcomes there are is not told in one round."""
    if result.values is None:
        return _Found(cases=(None, None, why_none("small-cells", ())), ratios={})
    try:
        found = ratio_of(result)
    except NoEstimate as problem:
        return _Found(cases=(result.people, None, problem.what), ratios={})
    assert found.se is not None
    p_value = float(2 * ndtr(-abs(log(found.value) / found.se)))
    return _Found(
        cases=(result.people, None, ESTIMATED),
        ratios={spec.windows[0].name: (found.value, found.low, found.high, p_value)},
    )


def _ratios(name: str, title: str, of: str, covariates: Sequence[str], found: Mapping[str, _Found]) -> Table:
    return Table(
        name=name,
        title=title,
        columns=("hospital", of, *_RATIO),
        rows=tuple(
            (place, each, *mine.ratios[each])
            for place, mine in found.items()
            for each in covariates
            if each in mine.ratios
        ),
    )


def _season(spec: SelfControlled, found: _Found) -> list[float]:
    """The rate in each month over the mean of the months."""
    waves = [(name, value) for name, value in _waves(spec) if name in found.ratios]
    if not waves:
        return []
    rate = np.exp(np.sum([log(found.ratios[name][0]) * value for name, value in waves], axis=0))
    return [float(each) for each in rate / rate.mean()]
