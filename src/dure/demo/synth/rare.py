"""A planted rare disease: the same one to five people at a hospital whatever its size, each below any threshold alone.

Responsible for: who they are and their visits. Wilson's disease is recorded nowhere else.
"""

import numpy as np

from dure.demo.synth.arrays import Ints, Rng, between
from dure.demo.synth.chart import Chart
from dure.demo.synth.hospital import Hospital
from dure.demo.synth.people import People

WILSON = 4229262
VISITS = 4


def patients(hospital: Hospital, persons: int) -> Ints:
    """The places (0 to persons - 1) of the hospital's patients, ascending."""
    rng = np.random.default_rng(hospital.stream(0, 2))
    count = min(hospital.rare_patients, persons)
    return np.sort(rng.choice(persons, count, replace=False)).astype(np.int32)


def be_rare(chart: Chart, rng: Rng, people: People, person: Ints) -> None:
    """Record the disease at a few visits of each patient."""
    who = np.repeat(person, VISITS)
    when = between(rng, people.start[who], people.end[who])
    chart.diagnose(chart.visit(who, when), WILSON)
