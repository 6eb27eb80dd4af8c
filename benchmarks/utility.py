"""What is left of counts under three ways of protecting people: a peer's rule, thresholds on totals, noise.

    python -m benchmarks.utility [PERSONS]

Twenty hospitals of the synthetic nation with three patients each of a rare disease. The peer's rule: every hospital leaves out its own counts
below k, and what is left is added up. The other two are Dure's gate: suppression on the total (k = 11), and noise at epsilon = 1. A cell is a number of
people that isn't 0. It is answered where anything is shown; its error is relative to the truth. Noise is
drawn fifty times: medians are over all, the largest error is the median answer's. Writes docs/images/utility.svg too.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import record
from dure import demo
from dure.client import study_file
from dure.demo.synth import generate
from dure.demo.synth.hospital import habits_of
from dure.engines import open_engine
from dure.guard import noise
from dure.guard.gate import Release, judge_total, release_noised
from dure.node.draw import draw
from dure.study.kinds import kind_of
from dure.study.protocol.noised import least_noised, plan_of
from dure.wire import ring
from dure.wire.rules import Noise, Rules

STUDIES = Path(demo.__file__).parent / "studies"
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "utility.svg"
SEED, HOSPITALS, PATIENTS, REPEATS = 2026, 20, 3, 50
RULES = Rules(noise=Noise(epsilon=1.0, delta=1e-6))
ASKED = (
    ("rare disease by sex", "6_rare_disease_total.yaml", {}),
    ("heart failure cohort: funnel, age, sex, year", "1_heart_failure_feasibility.yaml", {}),
    ("diabetes prevalence by age and sex", "10_diabetes_prevalence.yaml", {}),
    ("age at diabetes: a histogram", "15_diabetes_age_distribution.yaml", {"one_round": True, "bins": 16}),
)
TOTALS, NOISED = "thresholds on totals, k = 11", "noise, ε = 1"


def hospitals() -> list[int]:
    """The first hospitals of the nation with three patients."""
    chosen = (n for n in range(1, 1000) if habits_of(seed=SEED, number=n).rare_patients == PATIENTS)
    return [next(chosen) for _ in range(HOSPITALS)]


def made(folder: Path, persons: int, number: int) -> Path:
    path = folder / f"{number}.duckdb"
    generate(persons=persons, seed=SEED, hospital=number, path=path)
    return path


class Question:
    """A question of one round, and every hospital's answer to it."""

    def __init__(self, file: str, changes: dict[str, Any], databases: list[Path]) -> None:
        self.asked = replace(study_file.read(STUDIES / file).question, **changes)
        kind = kind_of(self.asked)
        (self.step,) = kind.steps(self.asked)
        self.layout = self.step.layout
        self.answers = []
        for path in databases:
            engine = open_engine(str(path))
            frame = kind.extract(self.asked, self.step.name, engine, {})
            statistic = self.step.statistic
            self.answers.append(statistic.local(frame, self.step.params, statistic.begin(self.step.params)))
            engine.close()
        self.here = np.stack([answer.support for answer in self.answers])
        self.truth = self.here.sum(axis=0)
        told = [field.rests_on.ravel() for field in self.layout.fields if noise.told_by_support(field)]
        cells = np.unique(np.concatenate(told))
        self.cells = cells[self.truth[cells] > 0]

    def per_hospital(self, k: int) -> Iterator[tuple[Any, Any]]:
        """Which cells are answered, and what with."""
        kept = np.where(self.here >= k, self.here, 0).sum(axis=0)
        yield (kept > 0)[self.cells], kept[self.cells]

    def on_totals(self) -> Iterator[tuple[Any, Any]]:
        shown = judge_total(self.layout, self.truth, Rules(), hospitals=HOSPITALS)
        yield shown[self.cells], self.truth[self.cells]

    def noised(self) -> Iterator[tuple[Any, Any]]:
        assert RULES.noise is not None
        plan = plan_of(self.asked, self.step, RULES.noise, HOSPITALS)
        least = least_noised(self.asked, self.step, RULES, HOSPITALS, HOSPITALS)
        for _ in range(REPEATS):
            told = [release_noised(self.layout, answer, plan, draw) for answer in self.answers]
            lanes = [
                ring.from_bytes(one.numbers, len(self.truth)) for one in told if isinstance(one, Release)
            ]
            support = ring.integers(reduce(ring.add, lanes))
            shown = judge_total(self.layout, support, replace(RULES, least_people=least), hospitals=HOSPITALS)
            yield (
                shown[self.cells] if isinstance(shown, np.ndarray) else np.zeros(len(self.cells), bool),
                support[self.cells],
            )

    def deviation(self) -> float:
        """Of the noise in a number of people."""
        assert RULES.noise is not None
        return plan_of(self.asked, self.step, RULES.noise, HOSPITALS).support.deviation(HOSPITALS)


def methods(question: Question) -> Iterator[tuple[str, list[tuple[Any, Any]]]]:
    for k in (3, 5, 11):
        yield f"each hospital hides below {k}", list(question.per_hospital(k))
    yield TOTALS, list(question.on_totals())
    yield NOISED, list(question.noised())


def figure(name: str, question: Question, method: str, told: list[tuple[Any, Any]]) -> dict[str, Any]:
    truth = question.truth[question.cells]
    errors = [np.abs(value - truth)[shown] / truth[shown] for shown, value in told if shown.any()]
    return {
        "question": name,
        "method": method,
        "cells": len(truth),
        "answered_percent": round(100 * float(np.mean([shown.mean() for shown, _ in told])), 1),
        "error_median_percent": round(100 * float(np.median(np.concatenate(errors))), 1) if errors else None,
        "error_largest_percent": round(100 * float(np.median([one.max() for one in errors])), 1)
        if errors
        else None,
    }


def of_patients(question: Question, method: str, told: list[tuple[Any, Any]]) -> dict[str, Any]:
    """The number of patients with the rare disease, which is the last stage of its funnel."""
    at = int(np.flatnonzero(question.cells == len(question.step.params.stages) - 1)[0])
    values = [int(value[at]) if shown[at] else None for shown, value in told]
    seen = sorted(value for value in values if value is not None)
    return {
        "question": "patients with the rare disease",
        "method": method,
        "truth": int(question.truth[question.cells][at]),
        "answered_percent": round(100 * len(seen) / len(values), 1),
        "shown": seen[len(seen) // 2] if seen else None,
        "smallest": seen[0] if seen else None,
        "largest": seen[-1] if seen else None,
    }


def draw_picture(figures: list[dict[str, Any]], path: Path) -> None:
    """Shares of cells answered, and their errors, by question and method."""
    import altair as alt
    import vl_convert

    rows = [row | {"said": _said(row)} for row in figures if "cells" in row]
    order = list(dict.fromkeys(row["method"] for row in rows))
    shades = ["#c8b8a6", "#a68f78", "#7d6650", "#2f6f8f", "#d0803a"]
    colour = alt.Color("method:N", sort=order, scale=alt.Scale(range=shades), legend=None)
    share = alt.X("answered_percent:Q", title="cells answered, %", scale=alt.Scale(domain=[0, 100]))
    error = alt.X(
        "error_largest_percent:Q",
        title="error of an answered cell, %: median (bar), largest (line)",
        scale=alt.Scale(type="symlog", constant=1, domain=[0, 100]),
        axis=alt.Axis(values=[0, 1, 3, 10, 30, 100]),
    )
    panels = []
    for name in dict.fromkeys(row["question"] for row in rows):
        data = alt.Chart(alt.Data(values=[row for row in rows if row["question"] == name]))
        labelled = data.encode(y=alt.Y("method:N", sort=order, title=None, axis=alt.Axis(labelLimit=220)))
        base = data.encode(y=alt.Y("method:N", sort=order, title=None, axis=None))
        answered = labelled.mark_bar(height=12).encode(x=share, color=colour)
        errors = alt.layer(
            base.mark_rule(strokeWidth=2).encode(x=error, x2=alt.datum(0), color=colour),
            base.mark_bar(height=12).encode(x=alt.X("error_median_percent:Q"), color=colour),
            base.mark_text(align="left", dx=6, fontStyle="italic").encode(x=alt.datum(0), text="said:N"),
        )
        sized = (part.properties(width=260, height=105) for part in (answered, errors))
        panels.append(
            alt.hconcat(*sized).properties(title=alt.TitleParams(name, anchor="start", fontSize=13))
        )
    chart = alt.vconcat(*panels, background="white").configure_view(stroke=None).configure_axis(grid=False)
    path.write_text(vl_convert.vegalite_to_svg(json.loads(chart.to_json())), encoding="utf-8")


def _said(row: dict[str, Any]) -> str:
    if row["error_largest_percent"] is None:
        return "no answer"
    return "" if row["error_largest_percent"] else "exact"


def main() -> None:
    persons = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder:
        with ProcessPoolExecutor(max_workers=2) as pool:
            numbers = hospitals()
            databases = list(pool.map(made, [Path(folder)] * HOSPITALS, [persons] * HOSPITALS, numbers))
        figures: list[dict[str, Any]] = []
        for name, file, changes in ASKED:
            question = Question(file, changes, databases)
            told = dict(methods(question))
            figures += [figure(name, question, method, each) for method, each in told.items()]
            if question.here.max() <= PATIENTS:
                figures += [of_patients(question, method, each) for method, each in told.items()]
            figures.append({"question": name, "noise_deviation": round(question.deviation(), 1)})
    record("utility", [{"persons": persons, "hospitals": HOSPITALS, "repeats_of_noise": REPEATS}, *figures])
    draw_picture(figures, PICTURE)


if __name__ == "__main__":
    main()
