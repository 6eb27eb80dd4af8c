"""What is prescribed at a diagnosis: the table from condition to products, and drawing from it.

Responsible for: background prescriptions. Not responsible for: the drugs that are compared (`comparisons`), which are
never prescribed here.
"""

import numpy as np

from dure.demo.synth import vocabulary
from dure.demo.synth.arrays import Bools, Ints, Rng
from dure.demo.synth.chart import Chart
from dure.demo.synth.diseases import ACUTE, CHRONIC
from dure.demo.synth.hospital import Hospital

MOST = 6
"""No condition has more products to choose from."""
ACUTE_DAYS = np.array([3, 5, 7, 10, 14], np.int32)


def choices(hospital: Hospital) -> tuple[np.ndarray, np.ndarray]:
    """Per concept index: the products given for it, (concepts, MOST), and the cumulative chance of each."""
    product = np.zeros((len(vocabulary.concepts()), MOST), np.int32)
    chance = np.full((len(vocabulary.concepts()), MOST), 2.0, np.float32)
    wanted = [(concept, disease.drugs) for disease in CHRONIC for concept in disease.concepts]
    wanted += [(condition.concept, condition.drugs) for condition in ACUTE]
    for concept, drugs in wanted:
        row = int(vocabulary.codes().index(np.array([concept], np.int32))[0])
        total, column = 0.0, 0
        for ingredient, share in drugs:
            total = _fill(hospital, product[row], chance[row], column, ingredient, share, total)
            column += len(vocabulary.products(ingredient))
    return product, chance


def _fill(
    hospital: Hospital,
    product: Ints,
    chance: np.ndarray,
    column: int,
    ingredient: int,
    share: float,
    total: float,
) -> float:
    made = vocabulary.products(ingredient)
    first = hospital.prefers_first if len(made) > 1 else 1.0
    for i, each in enumerate(made):
        total += share * (first if i == 0 else (1 - first) / (len(made) - 1))
        product[column + i], chance[column + i] = each, total
    return total


def prescribe(chart: Chart, rng: Rng, hospital: Hospital, visit: Ints, concept: Ints, chronic: Bools) -> None:
    """Draw at most one product for each diagnosis; a chronic one gets the hospital's usual supply."""
    product, chance = choices(hospital)
    row = vocabulary.codes().index(concept)
    draw = rng.random(len(row), np.float32)
    column = (draw[:, None] >= chance[row]).sum(1)
    given = np.flatnonzero(column < MOST)
    given = given[product[row[given], column[given]] > 0]
    long = chronic[given]
    supply = rng.choice(np.array([hospital.supply_days, 30, 90], np.int32), len(given), p=[0.6, 0.25, 0.15])
    days = np.where(long, supply, rng.choice(ACUTE_DAYS, len(given)))
    chart.prescribe(
        visit[given],
        product[row[given], column[given]],
        days=days,
        per_day=np.where(long, 1 + (rng.random(len(given)) < 0.2), 3),
        refills=np.where(long, rng.integers(0, 4, len(given)), 0),
    )
