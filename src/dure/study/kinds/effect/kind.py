"""The kind `effect`: its frames at a hospital, and what it puts together of its parts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import expit

from dure import cohort
from dure.engines.base import Engine
from dure.features.covariates import check
from dure.stats.base import Frame
from dure.study.kinds.base import BadQuestion, Carried, Kind, Step
from dure.study.kinds.effect import adjust, diagnostics, models, tables, words
from dure.study.kinds.effect.people import Compared, compared, taken
from dure.study.kinds.effect.spec import (
    BALANCE,
    COVARIATES,
    CRUDE,
    CRUDE_RISKS,
    CURVES,
    POWER,
    PROPENSITY,
    SCORES,
    TARGET,
    Effect,
    control_step,
    controls_of,
    covariates_of,
)
from dure.study.report import Chart, Table

UNADJUSTED = (CRUDE, CURVES, CRUDE_RISKS)
OF_COVARIATES = (COVARIATES, PROPENSITY, BALANCE)
AFTER_ENTRY = {1009: "days observed after", 1010: "days in the cohort"}


class EffectKind(Kind[Effect]):
    """Comparative cohort study of new users: propensity score, diagnostics, then the outcome."""

    name = "effect"
    spec = Effect

    def check(self, spec: Effect) -> None:
        cohorts = (spec.target, spec.comparator, spec.outcome, *controls_of(spec))
        for definition in cohorts:
            cohort.plan(cohort.parse(definition.circe), cdm_version="5.4")
        names = [definition.name for definition in cohorts]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise BadQuestion(
                f"Two cohorts are named “{twice}”.",
                where="question",
                mend="Name each one differently, so that a reader can tell them apart.",
            )
        check(covariates_of(spec))
        for covariate in covariates_of(spec):
            if covariate.id in AFTER_ENTRY:
                raise BadQuestion(
                    f"The covariate {covariate.id} ({AFTER_ENTRY[covariate.id]}) is about the time after the entry.",
                    where="question.covariates",
                    mend="Leave it out: adjusting for what comes later biases the effect.",
                )
        if spec.windows.end > 0:
            raise BadQuestion(
                f"Covariates would be read until day {spec.windows.end}, after the entry.",
                where="question.windows",
                mend="Let the windows end on day 0 or before.",
            )

    def steps(self, spec: Effect) -> tuple[Step, ...]:
        return models.steps(spec)

    def judge(self, spec: Effect, step: str, carried: Carried) -> None:
        diagnostics.judge(spec, carried)

    def lock(self, spec: Effect, step: str, carried: Carried) -> str | None:
        return diagnostics.lock(spec, step, carried)

    def extract(self, spec: Effect, step: str, engine: Engine, carried: Carried) -> Frame:
        """One row a person compared, target first."""
        ids = [each.id for each in covariates_of(spec)]
        if step in UNADJUSTED:
            people, matrix = compared(engine, spec, None)
        elif step in OF_COVARIATES:
            people, matrix = compared(engine, spec, None, ids)
        else:
            places = adjust.used(spec, carried[PROPENSITY])
            controls = {control_step(number): each for number, each in enumerate(controls_of(spec))}
            people, found = compared(engine, spec, controls.get(step), [ids[at] for at in places])
            matrix = _spread_out(found, places, len(ids))
        return frame_of(spec, step, people, matrix, carried)

    def tables(self, spec: Effect, results: Mapping[str, Mapping[str, Any]]) -> tuple[Table, ...]:
        return tables.tables(spec, results)

    def charts(self, spec: Effect) -> tuple[Chart, ...]:
        return tables.charts(spec)

    def methods(self, spec: Effect) -> tuple[str, ...]:
        return words.methods(spec)


def frame_of(
    spec: Effect, step: str, people: Compared, covariates: sparse.csr_array, carried: Carried
) -> Frame:
    """The frame of a step.

    Args:
        people: with their times for the step's outcome.
        covariates: as they are read; those that aren't in the model may be left out, as zeros, in steps that aren't about them.
    """
    if step in UNADJUSTED:
        return _unadjusted(spec, step, people)
    if step == COVARIATES:
        return Frame(
            person=people.person,
            columns={"group": adjust.arm_numbers(people.target)},
            matrices={"covariates": covariates},
        )
    return _adjusted(spec, step, people, covariates, carried)


def _unadjusted(spec: Effect, step: str, people: Compared) -> Frame:
    """A frame of people as they are, for the outcome's crude numbers."""
    if step == CRUDE:
        everyone = adjust.Place(
            rows=np.arange(len(people.person)),
            stratum=np.zeros(len(people.person), dtype=np.int64),
            weight=np.ones(len(people.person)),
        )
        return _outcome(spec, people, everyone)
    arm = adjust.arm_numbers(people.target)
    return Frame(
        person=people.person,
        columns={
            "time": people.time,
            "event": people.event.astype(np.int64),
            "arm": arm,
            "group": arm,
            "weight": np.ones(len(arm)),
        },
    )


def _adjusted(
    spec: Effect, step: str, people: Compared, covariates: sparse.csr_array, carried: Carried
) -> Frame:
    """A frame of people with scores, or in the strata, weights or matches that follow from them."""
    scale = adjust.scale_of(spec, carried[COVARIATES])
    assert scale is not None
    covariates = adjust.prepared(covariates, scale)
    if step == PROPENSITY:
        return Frame(
            person=people.person,
            columns={"outcome": people.target.astype(np.int64)},
            matrices={"covariates": covariates},
        )
    model = carried[PROPENSITY]
    logits = adjust.preference(spec, covariates[:, adjust.used(spec, model)], scale, model)
    if step == SCORES:
        score = adjust.spread(expit(logits))
        part = np.minimum((score * adjust.PARTS).astype(np.int64), adjust.PARTS - 1)
        return Frame(
            person=people.person,
            columns={
                "score": adjust.PARTS * people.target + part if spec.separately else score,
                "case": people.target.astype(np.int64),
                "reached": np.ones(len(score), dtype=np.int64),
            },
        )
    place = adjust.adjusted(spec, people.target, logits, adjust.scores_of(carried[SCORES]))
    if step == BALANCE:
        return Frame(
            person=people.person[place.rows],
            columns={"group": adjust.arm_numbers(people.target[place.rows]), "weight": place.weight},
            matrices={"covariates": sparse.csr_array(covariates[place.rows])},
        )
    left = taken(people, place.rows)
    if step == POWER:
        return Frame(person=left.person, columns={"reached": 1 + left.event.astype(np.int64)})
    return _outcome(spec, left, place)


def _outcome(spec: Effect, people: Compared, place: adjust.Place) -> Frame:
    """A frame of an outcome: whatever a model of it or its risks reads."""
    strata = {
        models.stratum_name(number): (place.stratum == number).astype(np.int64)
        for number in range(1, spec.strata)
    }
    event = people.event.astype(np.int64)
    return Frame(
        person=people.person,
        columns={
            TARGET: people.target.astype(np.int64),
            "group": adjust.arm_numbers(people.target),
            "time": people.time,
            "event": event,
            "outcome": event,
            "offset": np.log(people.time / models.DAYS_A_YEAR),
            "hospital": np.zeros(len(event), dtype=np.int64),
            "stratum": place.stratum,
            "weight": place.weight,
            **strata,
        },
    )


def _spread_out(matrix: sparse.csr_array, places: list[int], size: int) -> sparse.csr_array:
    """Columns of some covariates at their places among all."""
    found = matrix.tocsr()
    where = np.array(places, dtype=found.indices.dtype)
    columns = where[found.indices] if len(places) else found.indices
    return sparse.csr_array((found.data, columns, found.indptr), shape=(found.shape[0], size))
