"""A small simulated network for comparisons of treatments: frames of people, not databases, so that hundreds run in minutes.

Not the synthetic nation: a simulator of its own, which says what it plants. At each hospital people have ten 0/1 covariates and an age;
the older and sicker get the target more often (by a preference that differs between hospitals) and have every outcome more often. The
outcome's hazard ratio is planted, given the covariates; negative controls have a ratio of 1. Follow-up ends by chance alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit

from dure.features.covariates import Covariate
from dure.guard.suppression import open_cells
from dure.stats.base import Frame, Released
from dure.study.kinds.base import NETWORK, Cohort, Step
from dure.study.kinds.effect.kind import EffectKind, frame_of
from dure.study.kinds.effect.people import Compared
from dure.study.kinds.effect.spec import Effect, control_step
from dure.wire.sums import Layout

KIND = EffectKind()
FLAGS = 10
CIRCE = {
    "PrimaryCriteria": {
        "CriteriaList": [{"ObservationPeriod": {}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    }
}
COVARIATES = (
    *(Covariate(id=1000 * (at + 1) + 210, name=f"diagnosis {at + 1}") for at in range(FLAGS)),
    Covariate(id=1002, name="age"),
)
CHOICE = np.array([0.7, 0.6, -0.5, 0.5, 0.4, 0, 0, 0.3, 0, 0])
HARM = np.array([0.6, 0.5, -0.4, 0.6, 0.3, 0.3, 0, 0, 0.4, 0])
BY_AGE = (0.35, 0.4)
"""Of the choice and of every outcome, by ten years."""
LEAST_PEOPLE = 10
PER_DAY = 4e-5


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """One simulated hospital.

    Attributes:
        outcomes: people with times for the outcome, then for each negative control.
        log_hazard: of any outcome a day, in the comparator. Shape (n,).
    """

    outcomes: tuple[Compared, ...]
    covariates: sparse.csr_array
    log_hazard: NDArray[np.float64]


def spec_of(controls: int, **fields: Any) -> Effect:
    """The question that is asked of the simulated hospitals."""
    told: dict[str, Any] = {
        "target": Cohort(name="target", circe=CIRCE),
        "comparator": Cohort(name="comparator", circe=CIRCE),
        "outcome": Cohort(name="outcome", circe=CIRCE),
        "controls": tuple(Cohort(name=f"control {at + 1}", circe=CIRCE) for at in range(controls)),
        "covariates": COVARIATES,
        "curves": False,
        "horizon": 1000,
        "despite": "a simulation",
        **fields,
    }
    return Effect(**told)


def simulate(
    rng: np.random.Generator, *, hospitals: int, people: int, ratio: float, controls: int
) -> list[Hospital]:
    """Hospitals with a planted hazard ratio of the outcome."""
    made = []
    for number in range(hospitals):
        flags = rng.random((people, FLAGS)) < rng.uniform(0.1, 0.4, FLAGS)
        age = np.rint(np.clip(rng.normal(62, 11, people), 20, 95))
        decades = (age - 60) / 10
        leaning = rng.normal(0, 0.4)
        target = rng.random(people) < expit(leaning - 0.5 + flags @ CHOICE + BY_AGE[0] * decades)
        order = np.argsort(~target, kind="stable")
        flags, age, decades, target = flags[order], age[order], decades[order], target[order]
        harm = np.log(PER_DAY) + flags @ HARM + BY_AGE[1] * decades
        left = np.ceil(rng.uniform(200, 2000, people)).astype(np.int64)
        base = Compared(
            person=np.arange(people) + number * people,
            target=target,
            since=np.full(people, np.datetime64("2020-01-01", "D")),
            until=np.datetime64("2020-01-01", "D") + left.astype("timedelta64[D]"),
            time=left,
            event=np.zeros(people, dtype=np.bool_),
        )
        effects = [np.log(ratio), *np.zeros(controls)]
        made.append(
            Hospital(
                outcomes=tuple(_followed(rng, base, harm + effect * target) for effect in effects),
                covariates=sparse.csr_array(np.column_stack([flags, age]).astype(np.float64)),
                log_hazard=harm,
            )
        )
    return made


def _followed(rng: np.random.Generator, people: Compared, log_hazard: NDArray[np.float64]) -> Compared:
    wait = np.ceil(rng.exponential(np.exp(-log_hazard))).astype(np.int64)
    event = wait <= people.time
    return replace(people, event=event, time=np.where(event, wait, people.time))


def answer(spec: Effect, hospitals: Sequence[Hospital]) -> dict[str, Any]:
    """Results by step, of sums that pass the network's thresholds: what a run leads to, without its messages."""
    found: dict[str, Any] = {}
    places = {control_step(number): number + 1 for number in range(len(spec.controls))}
    for step in KIND.steps(spec):
        carried = {name: found[name] for name in step.needs if name in found}
        if len(carried) < len(step.needs):
            continue
        KIND.judge(spec, step.name, carried)
        if KIND.lock(spec, step.name, carried) is not None:
            continue
        frames = [
            frame_of(spec, step.name, each.outcomes[places.get(step.name, 0)], each.covariates, carried)
            for each in hospitals
        ]
        result = asked(step, frames)
        if result is not None:
            found[step.name] = result
    return found


def asked(step: Step, frames: list[Frame]) -> Any:
    """One step's result over some frames; None where rounds run out."""
    statistic, layout = step.statistic, step.layout
    judged = _Judge(layout)
    state = statistic.begin(step.params)
    for _ in range(statistic.rounds(step.params)):
        answers = [statistic.local(frame, step.params, state) for frame in frames]
        is_open = judged(sum(each.support for each in answers))
        values = {
            field.name: np.where(
                is_open[field.rests_on], sum(each.sums.values[field.name] for each in answers), 0
            )
            for field in layout.fields
        }
        outcome = statistic.step(step.params, state, Released(layout=layout, open=is_open, values=values))
        if hasattr(outcome, "result"):
            return outcome.result
        state = outcome.state
    return None


class _Judge:
    """The network's thresholds; the same support isn't judged twice."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: dict[bytes, Any] = {}

    def __call__(self, support: NDArray[np.int64]) -> Any:
        key = support.tobytes()
        if key not in self._known:
            self._known[key] = open_cells(self._layout, support, LEAST_PEOPLE)
        return self._known[key]


def table(spec: Effect, results: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A table of the report, as dictionaries."""
    shown = KIND.tables(spec, {step: {NETWORK: result} for step, result in results.items()})
    found = next(each for each in shown if each.name == name)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]
