"""Characterise: what the people of a cohort are like before they enter it, and how two cohorts differ."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from scipy import sparse

from dure import cohort
from dure.engines.base import Engine
from dure.features.analyses import Windows, analysis_of
from dure.features.covariates import Covariate, check, entered, matrix
from dure.features.table_one import OF_A_CONCEPT, domain, nested, partitions, standard, within
from dure.stats.base import Frame
from dure.stats.characteristics import (
    Characteristics,
    CharacteristicsParams,
    CharacteristicsResult,
    GroupResult,
)
from dure.study.kinds.base import BadQuestion, Carried, Cohort, Kind, Step
from dure.study.report import Chart, Table, Value
from dure.wire.codec import message

LARGEST_VALUE, LARGEST_COUNT = 1e9, 1e5
MOST_COVARIATES = 20_000
SHOWN = 25
"""Rows of the tables that charts are drawn of."""
FEW_WINDOWS = 20
"""Concepts up to which the windows are drawn."""


@message
class Characterise:
    """What are the people of a cohort like, and how do two cohorts differ?"""

    kind: Literal["characterise"] = "characterise"
    target: Annotated[Cohort, Field(title="People", description="Each person at the first entry.")]
    comparator: Annotated[
        Cohort | None, Field(title="Compared with", description="A second cohort; may be left out.")
    ] = None
    covariates: Annotated[
        tuple[Covariate, ...],
        Field(
            title="Covariates",
            description="By their OHDSI ids, as `dure study covariates` lists them; OHDSI's table 1 if none is given.",
            max_length=MOST_COVARIATES,
        ),
    ] = ()
    windows: Annotated[
        Windows, Field(title="Windows", description="Days relative to the first entry, which is day 0.")
    ] = Windows()


class CharacteriseKind(Kind[Characterise]):
    """Table 1: how many have each covariate, means and standard deviations, standardised differences."""

    name = "characterise"
    spec = Characterise

    def check(self, spec: Characterise) -> None:
        for definition in _cohorts(spec):
            cohort.plan(cohort.parse(definition.circe), cdm_version="5.4")
        check(_covariates(spec))
        names = [covariate.name for covariate in _covariates(spec)]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise BadQuestion(
                f"Two covariates are named “{twice}”.",
                where="question.covariates",
                mend="Name each one differently, so that a reader can tell them apart.",
            )
        if spec.comparator is not None and spec.comparator.name == spec.target.name:
            raise BadQuestion(
                "Both cohorts have one name.", where="question.comparator", mend="Name them differently."
            )

    def steps(self, spec: Characterise) -> tuple[Step, ...]:
        return (Step(name="characteristics", statistic=Characteristics(), params=_params(spec)),)

    def against_noise(self, spec: Characterise) -> str | None:
        if _params(spec).measured:
            return "Measured values are bounded too loosely for noise: list covariates that are 0 or 1."
        return None

    def extract(self, spec: Characterise, step: str, engine: Engine, carried: Carried) -> Frame:
        """One row a person and cohort, at the first entry."""
        version = engine.dataset.cdm_version
        plans = [cohort.plan(cohort.parse(each.circe), cdm_version=version) for each in _cohorts(spec)]
        ids = [covariate.id for covariate in _covariates(spec)]
        with entered(engine, plans) as groups:
            parts = [matrix(engine, entries, ids, spec.windows) for entries in groups]
        return Frame(
            person=np.concatenate([entries.person for entries in groups]),
            columns={"group": np.repeat(np.arange(len(groups)), [len(each.person) for each in groups])},
            matrices={"covariates": sparse.csr_array(sparse.vstack(parts))},
        )

    def tables(
        self, spec: Characterise, results: Mapping[str, Mapping[str, CharacteristicsResult]]
    ) -> tuple[Table, ...]:
        found = results.get("characteristics", {})
        rows = {place: _rows(spec, result) for place, result in found.items()}
        heads = ("hospital", "domain", "covariate_id", "covariate")
        sides = ("target", "comparator")[: len(_cohorts(spec))]
        difference = ("smd",) if len(sides) == 2 else ()
        counted = [f"{side}_{name}" for side in sides for name in ("people", "percent")]
        measured = [
            f"{side}_{name}" for side in sides for name in ("people", "missing_percent", "mean", "sd")
        ]
        tables = [
            Table(
                name="cohorts",
                title="People",
                columns=("hospital", "cohort", "people"),
                rows=tuple(
                    (place, each.name, group.people)
                    for place, result in found.items()
                    for each, group in zip(_cohorts(spec), result.groups, strict=True)
                ),
            ),
            _leading(spec, rows),
            Table(
                name="covariates",
                title="People with each covariate",
                columns=(*heads, *counted, *difference),
                rows=tuple(
                    (place, *row.heads, *row.numbers, *row.difference(len(sides)))
                    for place, mine in rows.items()
                    for row in mine
                    if row.binary
                ),
            ),
            Table(
                name="measured",
                title="Means and standard deviations",
                columns=(*heads, *measured, *difference),
                rows=tuple(
                    (place, *row.heads, *row.numbers, *row.difference(len(sides)))
                    for place, mine in rows.items()
                    for row in mine
                    if not row.binary
                ),
            ),
            _windows(spec, rows, sides),
        ]
        return tuple(tables)

    def charts(self, spec: Characterise) -> tuple[Chart, ...]:
        if spec.comparator is None:
            charts = [
                Chart(
                    table="most_common",
                    title="Most common covariates",
                    form="funnel",
                    x="covariate",
                    y="target_percent",
                    panel="hospital",
                )
            ]
        else:
            charts = [
                Chart(
                    table="largest_differences",
                    title="Largest standardised differences",
                    form="forest",
                    x="covariate",
                    y="smd",
                    panel="hospital",
                    reference=(-0.1, 0.0, 0.1),
                ),
                Chart(
                    table="covariates",
                    title="Share of people with each covariate in both cohorts",
                    form="scatter",
                    x="target_percent",
                    y="comparator_percent",
                    panel="hospital",
                    group="domain",
                ),
            ]
        concepts = {covariate.name.split(OF_A_CONCEPT)[0] for covariate, _ in _windowed(spec)}
        if 0 < len(concepts) <= FEW_WINDOWS:
            charts.append(
                Chart(
                    table="by_window",
                    title="Share of people by window before entry",
                    form="forest",
                    x="covariate",
                    y="target_percent",
                    panel="hospital",
                    group="window",
                )
            )
        return tuple(charts)

    def methods(self, spec: Characterise) -> tuple[str, ...]:
        windows = spec.windows
        told = [
            f"People of {', '.join(f'“{each.name}”' for each in _cohorts(spec))} (OHDSI Circe definitions) were"
            f" described at their first entry (day 0) by {len(_covariates(spec))} covariates with the ids, windows and"
            f" formulas of OHDSI FeatureExtraction: long term from day {windows.long}, medium term from day {windows.medium},"
            f" short term from day {windows.short}, all until day {windows.end}, both days included.",
            "Nobody's covariate that is 0 or 1, a count or a score is missing: where nothing is recorded, it is 0. Of measured"
            " values the last one in the window was taken; means are over those who have one, and the share of those who have none"
            " is given. Age is the difference of calendar years.",
        ]
        if spec.comparator is not None:
            told.append(
                "The standardised mean difference is the difference of means or proportions over the root of the mean of both"
                " groups' variances; beyond 0.1 a covariate is usually called imbalanced. It has no value where nobody"
                " in one group and everybody in the other has a covariate. Someone in both cohorts counts in both."
            )
        return tuple(told)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One covariate at one place, from released numbers. `share`: of the target, in percent; None where hidden."""

    heads: tuple[str, str, str]
    binary: bool
    numbers: tuple[Value, ...]
    share: float | None
    smd: float | None

    def difference(self, sides: int) -> tuple[Value, ...]:
        return (self.smd,) if sides == 2 else ()


def _cohorts(spec: Characterise) -> tuple[Cohort, ...]:
    return (spec.target,) if spec.comparator is None else (spec.target, spec.comparator)


def _covariates(spec: Characterise) -> tuple[Covariate, ...]:
    return spec.covariates or standard(spec.windows)


def _params(spec: Characterise) -> CharacteristicsParams:
    covariates = _covariates(spec)
    ids = [covariate.id for covariate in covariates]
    families = [analysis_of(covariate) for covariate in ids]
    return CharacteristicsParams(
        groups=tuple(each.name for each in _cohorts(spec)),
        covariates=tuple(str(covariate) for covariate in ids),
        measured={
            at: LARGEST_VALUE if analysis.family == "value" else LARGEST_COUNT
            for at, analysis in enumerate(families)
            if not analysis.binary
        },
        partitions=partitions(ids),
        nested=nested(ids, spec.windows),
    )


def _rows(spec: Characterise, result: CharacteristicsResult) -> list[_Row]:
    rows = []
    for at, covariate in enumerate(_covariates(spec)):
        analysis = analysis_of(covariate.id)
        heads = (domain(covariate.id), str(covariate.id), covariate.name)
        moments = [_moments(group, at, analysis.zero_if_absent) for group in result.groups]
        numbers: list[Value] = []
        for group, (mean, sd) in zip(result.groups, moments, strict=True):
            having = group.having[at]
            share = None if having is None else _percent(having, group.people)
            if analysis.binary:
                numbers += [having, share]
            else:
                missing = 0.0 if analysis.zero_if_absent else None if share is None else 100 - share
                numbers += [having, missing, mean, sd]
        shares: Any = numbers[1] if analysis.binary else None
        rows.append(
            _Row(
                heads=heads,
                binary=analysis.binary,
                numbers=tuple(numbers),
                share=shares,
                smd=_smd(moments) if len(moments) == 2 else None,
            )
        )
    return rows


def _percent(part: int, whole: int | None) -> float | None:
    """A share in percent; rounded numbers may make a part larger than its whole."""
    return min(100 * part / whole, 100.0) if whole else None


def _moments(group: GroupResult, at: int, zero_if_absent: bool) -> tuple[float | None, float | None]:
    """Mean and standard deviation of a covariate; of one that is 0 or 1 those of its share."""
    having = group.having[at]
    people = group.people if zero_if_absent else having
    if having is None or not people:
        return None, None
    if at not in group.total:
        share = min(having / people, 1.0)
        return share, math.sqrt(share * (1 - share))
    total, squares = group.total[at], group.squares[at]
    if total is None or squares is None:
        return None, None
    mean = total / people
    if people < 2:
        return mean, None
    return mean, math.sqrt(max(squares - people * mean * mean, 0.0) / (people - 1))


def _smd(moments: list[tuple[float | None, float | None]]) -> float | None:
    (first, first_sd), (second, second_sd) = moments
    if first is None or second is None or first_sd is None or second_sd is None:
        return None
    spread = math.sqrt((first_sd**2 + second_sd**2) / 2)
    if spread == 0:
        return 0.0 if first == second else None
    return (first - second) / spread


def _leading(spec: Characterise, rows: Mapping[str, list[_Row]]) -> Table:
    """What the first chart draws: the largest differences, or the most common covariates."""
    compared = spec.comparator is not None
    found: list[tuple[Value, ...]] = []
    for place, mine in rows.items():
        key = [abs(row.smd or 0.0) if compared else row.share or 0.0 for row in mine]
        order = sorted(range(len(mine)), key=lambda at: (-key[at], at))[:SHOWN]
        for at in order:
            shown = mine[at].smd if compared else mine[at].share
            if shown is not None:
                found.append((place, mine[at].heads[2], shown))
    return Table(
        name="largest_differences" if compared else "most_common",
        title="Largest standardised differences" if compared else "Most common covariates",
        columns=("hospital", "covariate", "smd" if compared else "target_percent"),
        rows=tuple(found),
    )


def _windowed(spec: Characterise) -> list[tuple[Covariate, int]]:
    """Covariates of which another window is asked for too, with their places."""
    series: dict[tuple[object, ...], list[tuple[Covariate, int]]] = {}
    for at, covariate in enumerate(_covariates(spec)):
        analysis = analysis_of(covariate.id)
        if analysis.binary and analysis.table:
            core = covariate.id - analysis.id
            key = (core, analysis.family, analysis.table, analysis.lasting, analysis.inpatient)
            series.setdefault(key, []).append((covariate, at))
    return [each for mine in series.values() if len(mine) > 1 for each in mine]


def _windows(spec: Characterise, rows: Mapping[str, list[_Row]], sides: tuple[str, ...]) -> Table:
    return Table(
        name="by_window",
        title="Share of people by window before entry",
        columns=("hospital", "covariate", "window", *(f"{side}_percent" for side in sides)),
        rows=tuple(
            (
                place,
                covariate.name.split(OF_A_CONCEPT)[0],
                within(analysis_of(covariate.id), spec.windows),
                *mine[at].numbers[1::2],
            )
            for place, mine in rows.items()
            for covariate, at in _windowed(spec)
        ),
    )
