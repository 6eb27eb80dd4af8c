"""Pathways: in which order, and with what else, the people of a cohort come to have events, such as treatments."""

from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from dure import cohort
from dure.engines import cohorts
from dure.engines.base import Engine
from dure.features.covariates import first_entries
from dure.features.demographics import days
from dure.features.sequences import Rules, sequences
from dure.features.time_at_risk import Spans
from dure.stats.base import Frame
from dure.stats.pathways import (
    MOST_PATHS,
    PathResult,
    Pathways,
    PathwaysParams,
    PathwaysResult,
    number_of_paths,
)
from dure.study.kinds.base import BadQuestion, Carried, Cohort, Kind, Step
from dure.study.report import Chart, Table, Value
from dure.wire.codec import message

STEP, WITH = " > ", " + "
MORE = "several at once"
DAYS = {"unit": "days"}
LONGEST = 36_525


@message
class TreatmentPathways:
    """Which events follow each other, alone or together, after people enter a cohort?"""

    kind: Literal["pathways"] = "pathways"
    target: Annotated[
        Cohort,
        Field(title="People", description="Each person at the first entry; what starts in its stay counts."),
    ]
    events: Annotated[
        tuple[Cohort, ...],
        Field(title="Events", description="Cohorts, such as one a drug.", min_length=1, max_length=12),
    ]
    combination_window: Annotated[
        int,
        Field(
            title="Combination window",
            description="Starts and ends that follow each other after fewer days than this count as one day.",
            ge=0,
            le=LONGEST,
            json_schema_extra=DAYS,
        ),
    ] = 30
    collapse_gap: Annotated[
        int,
        Field(
            title="Gap that joins",
            description="Two stays in one event are one if there are no more days between them.",
            ge=0,
            le=LONGEST,
            json_schema_extra=DAYS,
        ),
    ] = 30
    least_days: Annotated[
        int,
        Field(
            title="Least length",
            description="An event that lasts less doesn't count.",
            ge=1,
            le=LONGEST,
            json_schema_extra=DAYS,
        ),
    ] = 1
    together: Annotated[
        int,
        Field(
            title="At once",
            description=f"Combinations of more events are counted as “{MORE}”.",
            ge=1,
            le=4,
            json_schema_extra={"unit": "events"},
        ),
    ] = 2
    depth: Annotated[
        int,
        Field(
            title="Steps",
            description="How many steps of a sequence are counted.",
            ge=1,
            le=6,
            json_schema_extra={"unit": "steps"},
        ),
    ] = 3
    repeats: Annotated[
        bool, Field(title="Repeats", description="Whether the same step may come again later.")
    ] = False


class PathwaysKind(Kind[TreatmentPathways]):
    """Sequences of events as in ATLAS's pathways and TreatmentPatterns, counted from a list of all that could be."""

    name = "pathways"
    spec = TreatmentPathways

    def check(self, spec: TreatmentPathways) -> None:
        for definition in (spec.target, *spec.events):
            cohort.plan(cohort.parse(definition.circe), cdm_version="5.4")
        names = [event.name for event in spec.events]
        if len(set(names)) != len(names) or MORE in names:
            raise BadQuestion(
                "Two events have one name.", where="question.events", mend="Name them differently."
            )
        if any(STEP.strip() in name or WITH.strip() in name for name in names):
            raise BadQuestion(
                "An event's name holds “>” or “+”, which sequences are written with.",
                where="question.events",
                mend="Name it without them.",
            )
        count = number_of_paths(_params(spec))
        if count > MOST_PATHS:
            raise BadQuestion(
                f"There could be {count:,} different sequences; {MOST_PATHS:,} are the most.",
                where="question.depth, question.together, question.events",
                mend="Ask for fewer steps, fewer events at once, or fewer events.",
            )

    def steps(self, spec: TreatmentPathways) -> tuple[Step, ...]:
        return (Step(name="pathways", statistic=Pathways(), params=_params(spec)),)

    def extract(self, spec: TreatmentPathways, step: str, engine: Engine, carried: Carried) -> Frame:
        """One row a person, at the first entry: the numbers of the steps, -1 after the last."""
        version = engine.dataset.cdm_version
        plans = [
            cohort.plan(cohort.parse(each.circe), cdm_version=version) for each in (spec.target, *spec.events)
        ]
        target, *events = cohorts.run_many(engine, plans, attrition=False)
        entries = first_entries(target.rows)
        rules = Rules(
            gap=spec.collapse_gap,
            least_days=spec.least_days,
            window=spec.combination_window,
            repeats=spec.repeats,
        )
        found = sequences(
            Spans(person=entries.person, start=entries.start, end=entries.end),
            [_spans(each) for each in events],
            rules,
        )
        numbers = {mask: at for at, mask in enumerate(_masks(spec))}
        table = np.full((len(found), spec.depth), -1, dtype=np.int64)
        for row, path in enumerate(found):
            named = _without_repeats([numbers.get(mask, len(numbers)) for mask in path], spec.repeats)
            table[row, : min(len(named), spec.depth)] = named[: spec.depth]
        return Frame(
            person=entries.person,
            columns={f"step_{place + 1}": table[:, place] for place in range(spec.depth)},
        )

    def tables(
        self, spec: TreatmentPathways, results: Mapping[str, Mapping[str, PathwaysResult]]
    ) -> tuple[Table, ...]:
        found = results.get("pathways", {})
        names = _params(spec).steps
        return (
            Table(
                name="people",
                title="People",
                columns=("hospital", "who", "people"),
                rows=tuple(
                    (place, who, people)
                    for place, result in found.items()
                    for who, people in (
                        (spec.target.name, result.people),
                        ("without any of the events", result.without),
                    )
                ),
            ),
            Table(
                name="paths",
                title="People by sequence of events",
                columns=("hospital", "path", "people", "percent", "no_more"),
                rows=tuple(
                    (place, STEP.join(names[step] for step in path.path), *_row(path, result.people))
                    for place, result in found.items()
                    for path in _ordered(result.paths)
                ),
            ),
        )

    def charts(self, spec: TreatmentPathways) -> tuple[Chart, ...]:
        return (
            Chart(
                table="paths",
                title="How people go from event to event",
                form="sankey",
                x="path",
                y="people",
                panel="hospital",
            ),
            Chart(
                table="paths",
                title="Sequences, the first event innermost",
                form="sunburst",
                x="path",
                y="people",
                panel="hospital",
            ),
        )

    def methods(self, spec: TreatmentPathways) -> tuple[str, ...]:
        again = "could come again" if spec.repeats else "counted the first time only"
        return (
            f"People of “{spec.target.name}” were followed from their first entry to its end for"
            f" {', '.join(f'“{event.name}”' for event in spec.events)} (OHDSI Circe definitions). Stays in one event with no"
            f" more than {spec.collapse_gap} days between them were joined, and those shorter than {spec.least_days} days left"
            f" out. Starts and ends less than {spec.combination_window} days after the one before counted as the first of them;"
            f" then what was present between two such days was one step, which {again}. The first {spec.depth} steps were"
            " counted (as in OHDSI ATLAS's pathways).",
            f"Of more than {spec.together} events at once only that there were several was kept. The number beside a sequence is of"
            " people whose own sequence begins so. Sequences of nobody are not listed; what goes on from a hidden sequence is not"
            " drawn.",
        )


def _without_repeats(steps: list[int], repeats: bool) -> list[int]:
    """Larger combinations share a name, so they may meet themselves."""
    kept: list[int] = []
    for step in steps:
        if step not in (kept[-1:] if repeats else kept):
            kept.append(step)
    return kept


def _masks(spec: TreatmentPathways) -> list[int]:
    """The combinations that have a name of their own, single events first."""
    return [
        sum(1 << event for event in chosen)
        for size in range(1, spec.together + 1)
        for chosen in combinations(range(len(spec.events)), size)
    ]


def _params(spec: TreatmentPathways) -> PathwaysParams:
    names = [
        WITH.join(spec.events[event].name for event in range(len(spec.events)) if mask >> event & 1)
        for mask in _masks(spec)
    ]
    if len(spec.events) > spec.together:
        names.append(MORE)
    return PathwaysParams(steps=tuple(names), depth=spec.depth, repeats=spec.repeats)


def _spans(found: cohorts.CohortTable) -> Spans:
    return Spans(
        person=found.rows["subject_id"].to_numpy(),
        start=days(found.rows["cohort_start_date"].to_numpy()),
        end=days(found.rows["cohort_end_date"].to_numpy()),
    )


def _ordered(paths: tuple[PathResult, ...]) -> list[PathResult]:
    """Each path before those that go on from it, more frequent ones first; nothing that goes on from a hidden one."""
    people = {path.path: path.began for path in paths}

    def key(path: PathResult) -> tuple[tuple[int, tuple[int, ...]], ...]:
        prefixes = [path.path[: length + 1] for length in range(len(path.path))]
        return tuple((-(people[prefix] or 0), prefix) for prefix in prefixes)

    told = [
        path
        for path in paths
        if all(people.get(path.path[:length]) is not None for length in range(1, len(path.path)))
    ]
    return sorted(told, key=key)


def _row(path: PathResult, people: int | None) -> tuple[Value, ...]:
    percent = None if path.began is None or not people else 100 * path.began / people
    return (path.began, percent, path.ended)
