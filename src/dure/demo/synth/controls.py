"""Negative controls: conditions that no drug causes, but that the older and sicker have more often.

How the truth is planted: each is a Poisson process of visits with yearly rate = base * exp(AGE_EFFECT * (age at the middle
of the time seen - 50) / 10 + BURDEN_EFFECT * number of chronic conditions). So every drug's true ratio is 1, and a crude
comparison of drugs given to different people is biased for them as it is for the outcomes.
"""

import numpy as np

from dure.demo.synth.arrays import YEAR, Rng, between
from dure.demo.synth.chart import Chart
from dure.demo.synth.diseases import Illness
from dure.demo.synth.people import People

AGE_EFFECT = 0.15
BURDEN_EFFECT = 0.20
YEARLY = {
    377575: 0.012,
    134460: 0.010,
    140480: 0.008,
    137053: 0.012,
    381859: 0.010,
    141932: 0.008,
    4224968: 0.010,
    195294: 0.007,
    78272: 0.010,
    201620: 0.007,
}
"""Concept of each control and its base rate per person-year."""


def unrelated(chart: Chart, rng: Rng, people: People, illness: Illness) -> None:
    """Plant all controls."""
    age = ((people.start + people.end) / 2 - people.birth) / YEAR
    score = AGE_EFFECT * (age - 50) / 10 + BURDEN_EFFECT * illness.burden()
    exposure = np.exp(score) * (people.end - people.start + 1) / YEAR
    for concept, yearly in YEARLY.items():
        count = rng.poisson(yearly * exposure)
        person = np.repeat(np.arange(len(age), dtype=np.int32), count)
        when = between(rng, people.start[person], people.end[person])
        chart.diagnose(chart.visit(person, when), concept)
