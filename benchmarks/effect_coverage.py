"""Coverage: how often the 95 % interval of a comparison holds what was planted, over many small simulated networks; the naive one beside it.

    python -m benchmarks.effect_coverage [seeds]

The networks are those of `effect_simulated`: frames of people, with the study's own steps, gate thresholds and statistics. Two truths are
planted, a hazard ratio of 0.65 and none (1.0), and each way of adjusting is asked; once more with two causes that nobody measured, so that
only the ten negative controls know of them. The true risk difference is that of the people compared (of the matched: of the target's).

Negative controls: the share whose p-value is below 0.05, as they are, and against the null distribution of the nine others.
"""

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from benchmarks.effect_simulated import COVARIATES, KIND, Hospital, answer, asked, simulate, spec_of, table
from benchmarks.record import record
from dure.stats.negative_controls import Null, null_distribution, p_value
from dure.study.kinds.effect.diagnostics import coefficient
from dure.study.kinds.effect.kind import frame_of
from dure.study.kinds.effect.spec import CRUDE, RISKS, Effect, control_step

SEEDS, HOSPITALS, PEOPLE, CONTROLS, PROCESSES = 200, 4, 1500, 10, 2
STRATIFY, UNMEASURED = "stratify", "stratify, two causes unmeasured"
WAYS: dict[str, dict[str, Any]] = {
    STRATIFY: {},
    "weight": {"adjustment": "weight"},
    "match": {"adjustment": "match"},
    UNMEASURED: {"covariates": COVARIATES[2:]},
}
TRUTHS = (0.65, 1.0)
NONE = Null(mean=0.0, sd=0.0)
Found = tuple[tuple[str, float | None, str, str], float, float, bool]
"""(measure, truth, adjustment, estimate), its error, its standard error, whether the interval holds the truth."""


def one(seed: int) -> list[Found]:
    """Every estimate of one seed."""
    found: list[Found] = []
    for truth in TRUTHS:
        hospitals = simulate(
            np.random.default_rng([seed, round(100 * truth)]),
            hospitals=HOSPITALS,
            people=PEOPLE,
            ratio=truth,
            controls=CONTROLS,
        )
        for way, fields in WAYS.items():
            spec = spec_of(CONTROLS, **fields)
            mine = [_with(each, spec) for each in hospitals]
            results = answer(spec, mine)
            found += _ratios(spec, results, truth, way)
            found += _differences(spec, results, mine, truth, way)
            found += _nulls(spec, results, mine, way)
    return found


def _with(hospital: Hospital, spec: Effect) -> Hospital:
    """The hospital with the covariates that are asked about."""
    places = [COVARIATES.index(each) for each in spec.covariates]
    return replace(hospital, covariates=hospital.covariates[:, places])


def _named(way: str, estimate: str) -> tuple[str, str] | None:
    """How an estimate is told of; None where it is told of already."""
    if estimate != CRUDE:
        return way, estimate
    return ("none", CRUDE) if way == STRATIFY else None


def _ratios(spec: Effect, results: Mapping[str, Any], truth: float, way: str) -> Iterator[Found]:
    for row in table(spec, results, "effect"):
        named = _named(way, row["estimate"])
        if named is not None:
            holds = row["ratio_low"] <= truth <= row["ratio_high"]
            yield ("log hazard ratio", truth, *named), row["log_ratio"] - np.log(truth), row["se"], holds


def _differences(
    spec: Effect, results: Mapping[str, Any], hospitals: list[Hospital], truth: float, way: str
) -> Iterator[Found]:
    planted = _planted_difference(spec, results, hospitals, truth)
    for row in table(spec, results, "risk_difference"):
        named = _named(way, row["estimate"])
        if named is not None:
            low, high = row["difference_low"], row["difference_high"]
            error, se = row["difference_percent"] - planted, (high - low) / (2 * 1.959964)
            yield ("risk difference, points", truth, *named), error, se, low <= planted <= high


def _planted_difference(
    spec: Effect, results: Mapping[str, Any], hospitals: list[Hospital], truth: float
) -> float:
    """The mean over those compared of the risk that the target adds to, in percent points at the horizon."""
    added = []
    for each in hospitals:
        frame = frame_of(spec, RISKS, each.outcomes[0], each.covariates, results)
        rows = np.searchsorted(each.outcomes[0].person, frame.person)
        if spec.adjustment == "match":
            rows = rows[frame.columns["target"] == 1]
        hazard = spec.horizon * np.exp(each.log_hazard[rows])
        added.append(np.exp(-hazard) - np.exp(-truth * hazard))
    return 100 * float(np.concatenate(added).mean())


def _nulls(spec: Effect, results: Mapping[str, Any], hospitals: list[Hospital], way: str) -> Iterator[Found]:
    """Negative controls: whether each one's p-value is at least 0.05."""
    told = "negative control, log hazard ratio"
    steps = {step.name: step for step in KIND.steps(spec)}
    estimates = {way: [coefficient(results.get(control_step(number))) for number in range(CONTROLS)]}
    if way == STRATIFY:
        estimates["none"] = [
            coefficient(
                asked(
                    steps[CRUDE],
                    [
                        frame_of(spec, CRUDE, each.outcomes[1 + number], each.covariates, {})
                        for each in hospitals
                    ],
                )
            )
            for number in range(CONTROLS)
        ]
    for name, coefficients in estimates.items():
        values = [each.estimate for each in coefficients if each is not None]
        errors = [each.robust_error or each.error for each in coefficients if each is not None]
        label = CRUDE if name == "none" else "adjusted"
        for at, (value, error) in enumerate(zip(values, errors, strict=True)):
            yield (told, 1.0, name, label), value, error, p_value(NONE, value, error) >= 0.05
            null = null_distribution(values[:at] + values[at + 1 :], errors[:at] + errors[at + 1 :])
            # Whatever is left after calibration: the truth is the null's mean.
            spread = float(np.hypot(null.sd, error))
            holds = p_value(null, value, error) >= 0.05
            yield (told, 1.0, name, f"{label}, calibrated"), value - null.mean, spread, holds


def main() -> None:
    """Measure and record."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    with ProcessPoolExecutor(PROCESSES) as pool:
        rows = [row for found in pool.map(one, range(seeds), chunksize=4) for row in found]
    figures: list[dict[str, Any]] = []
    order = list(dict.fromkeys(row[0] for row in rows))
    for key, group in groupby(sorted(rows, key=lambda row: order.index(row[0])), key=lambda row: row[0]):
        errors, ses, holds = (
            np.array(column, dtype=np.float64)
            for column in zip(*((row[1], row[2], row[3]) for row in group), strict=True)
        )
        measure, truth, adjustment, estimate = key
        figures.append(
            {
                "measure": measure,
                "truth": truth,
                "adjustment": adjustment,
                "estimate": estimate,
                "estimates": len(errors),
                "coverage_percent": round(100 * float(holds.mean()), 1),
                "bias": round(float(errors.mean()), 4),
                "sd": round(float(errors.std()), 4),
                "mean_se": round(float(ses.mean()), 4),
            }
        )
    figures.sort(key=lambda figure: (figure["measure"], figure["truth"], figure["adjustment"] != "none"))
    record("effect_coverage", figures)


if __name__ == "__main__":
    main()
