"""A planted prediction: sepsis after admission, foretold by what is measured on the first day.

How the truth is planted: every background stay of an adult that lasts a night has lactate and heart rate measured on its
first day; sepsis is recorded on one of the next days (the third at the latest) with

    log-odds = INTERCEPT + LACTATE_EFFECT * (lactate - 14 mg/dL) + HEART_RATE_EFFECT * (heart rate - 80 per minute)
               + AGE_EFFECT * (age - 60) / 10

of the values as recorded. Nowhere else is sepsis recorded.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dure.demo.synth.arrays import Bools, Floats, Ints, Rng, expit
from dure.demo.synth.background import Visits
from dure.demo.synth.chart import Chart
from dure.demo.synth.measurements import HEART_RATE, test_at
from dure.demo.synth.people import People

SEPSIS = 132797
LACTATE = 40762125
ADULT = 18
INTERCEPT = -3.2
LACTATE_EFFECT = 0.10
HEART_RATE_EFFECT = 0.035
AGE_EFFECT = 0.25
BINS = 4000


@dataclass(kw_only=True)
class Scores:
    """How the true log-odds of those with and without sepsis are distributed: counts over fine bins of (-20, 20)."""

    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, BINS), np.int64))

    def add(self, score: Floats, septic: Bools) -> None:
        """Count some admissions."""
        place = np.clip((score + 20) * (BINS / 40), 0, BINS - 1).astype(np.int64)
        for row, rows in enumerate((~septic, septic)):
            self.counts[row] += np.bincount(place[rows], minlength=BINS)

    def auc(self) -> float | None:
        """The area under the true score's ROC curve in the people made; None where one side is empty."""
        without, with_ = self.counts
        pairs = int(without.sum()) * int(with_.sum())
        if not pairs:
            return None
        below = np.cumsum(without) - without / 2
        return float((with_ * below).sum() / pairs)


def fall_septic(chart: Chart, rng: Rng, people: People, own: Floats, stays: Visits, scores: Scores) -> None:
    """Measure, draw, record."""
    adult = people.age(stays.person, stays.day) >= ADULT
    stays = stays.where(np.flatnonzero(adult & (stays.nights >= 1)))
    lactate = test_at(chart, rng, own, stays.number, stays.person, LACTATE)
    rate = test_at(chart, rng, own, stays.number, stays.person, HEART_RATE)
    age = people.age(stays.person, stays.day)
    score = log_odds(lactate, rate, age)
    septic = rng.random(len(score)) < expit(score)
    scores.add(score, septic)
    ill = np.flatnonzero(septic)
    later = np.minimum(1 + rng.integers(0, 3, len(ill)), stays.nights[ill])
    chart.diagnose(stays.number[ill], SEPSIS, day=later, days=5, primary=0)


def log_odds(lactate: Floats, heart_rate: Floats, age: Ints) -> Floats:
    """The true log-odds of sepsis."""
    score = INTERCEPT + LACTATE_EFFECT * (lactate - 14) + HEART_RATE_EFFECT * (heart_rate - 80)
    return (score + AGE_EFFECT * (age - 60) / 10).astype(np.float32)
