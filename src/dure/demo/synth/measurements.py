"""Tests and their results: units, reference ranges, panels, and each person's own level.

Responsible for: the values. Not responsible for: the tests whose results are planted causes (`sepsis` draws its own).
"""

from dataclasses import dataclass

import numpy as np

from dure.demo.synth.arrays import Floats, Ints, Rng
from dure.demo.synth.chart import INPATIENT, Chart
from dure.demo.synth.diseases import Illness
from dure.demo.synth.hospital import Hospital
from dure.demo.synth.people import People

PERCENT, MG_DL, MMHG, PER_MINUTE, G_DL, THOUSAND_UL, MMOL_L, U_L, KG, CM, KG_M2, CELSIUS = (
    8554, 8840, 8876, 8541, 8713, 8848, 8753, 8645, 9529, 8582, 9531, 586323,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LabTest:
    """A test of adults: unit, mean and standard deviation at 50 (of the logarithm where `log`), reference range.

    `decade` is the change of the mean per ten years, `male` the men's difference, `shifts` those of chronic conditions.
    Results are rounded to `decimals` and never below `least`.
    """

    concept: int
    unit: int
    mean: float
    sd: float
    low: float
    high: float
    least: float = 0.0
    decimals: int = 0
    log: bool = False
    decade: float = 0.0
    male: float = 0.0
    shifts: tuple[tuple[str, float], ...] = ()


TESTS = (
    LabTest(concept=3004249, unit=MMHG, mean=122, sd=13, low=90, high=140, least=80, decade=3.0, male=3, shifts=(("hypertension", 12),)),
    LabTest(concept=3012888, unit=MMHG, mean=76, sd=9, low=60, high=90, least=40, male=2, shifts=(("hypertension", 6),)),
    LabTest(concept=3027018, unit=PER_MINUTE, mean=75, sd=11, low=60, high=100, least=35, shifts=(("fibrillation", 9),)),
    LabTest(concept=3020891, unit=CELSIUS, mean=36.6, sd=0.35, low=36.0, high=37.5, decimals=1),
    LabTest(concept=3024171, unit=PER_MINUTE, mean=17, sd=2.2, low=12, high=20, shifts=(("copd", 2),)),
    LabTest(concept=3036277, unit=CM, mean=158, sd=6, low=140, high=190, decimals=1, male=13),
    LabTest(concept=3025315, unit=KG, mean=60, sd=1, low=40, high=120, decimals=1),
    LabTest(concept=3038553, unit=KG_M2, mean=23.4, sd=3.2, low=18.5, high=25, least=12, decimals=1, male=0.8, shifts=(("diabetes", 1.4),)),
    LabTest(concept=3016723, unit=MG_DL, mean=-0.27, sd=0.16, low=0.5, high=1.2, decimals=2, log=True, decade=0.01, male=0.2,
         shifts=(("kidney", 0.65),)),
    LabTest(concept=3013682, unit=MG_DL, mean=2.6, sd=0.25, low=8, high=20, decimals=1, log=True, decade=0.04, shifts=(("kidney", 0.5),)),
    LabTest(concept=3004501, unit=MG_DL, mean=4.57, sd=0.11, low=70, high=100, log=True, decade=0.015, shifts=(("diabetes", 0.38),)),
    LabTest(concept=3006923, unit=U_L, mean=3.0, sd=0.42, low=5, high=40, least=4, log=True, male=0.25, shifts=(("hepatitis", 0.6),)),
    LabTest(concept=3013721, unit=U_L, mean=3.1, sd=0.32, low=5, high=40, least=5, log=True, male=0.1, shifts=(("hepatitis", 0.5),)),
    LabTest(concept=3019550, unit=MMOL_L, mean=140, sd=2.4, low=136, high=145),
    LabTest(concept=3023103, unit=MMOL_L, mean=4.2, sd=0.35, low=3.5, high=5.1, decimals=1, shifts=(("kidney", 0.3),)),
    LabTest(concept=3020460, unit=MG_DL, mean=-1.6, sd=1.1, low=0, high=0.5, decimals=2, log=True, shifts=(("rheumatoid", 1.2),)),
    LabTest(concept=3027114, unit=MG_DL, mean=188, sd=33, low=120, high=200, least=60, shifts=(("hyperlipidemia", 28),)),
    LabTest(concept=3009966, unit=MG_DL, mean=112, sd=29, low=50, high=130, least=15, shifts=(("hyperlipidemia", 27),)),
    LabTest(concept=3007070, unit=MG_DL, mean=55, sd=12, low=40, high=90, least=12, male=-8),
    LabTest(concept=3022192, unit=MG_DL, mean=4.65, sd=0.48, low=50, high=150, log=True, male=0.15, shifts=(("hyperlipidemia", 0.3),)),
    LabTest(concept=3000963, unit=G_DL, mean=13.1, sd=1.2, low=12, high=17, least=4, decimals=1, decade=-0.15, male=1.6,
         shifts=(("anaemia", -2.6), ("kidney", -1.2))),
    LabTest(concept=3000905, unit=THOUSAND_UL, mean=1.88, sd=0.28, low=4, high=10, decimals=2, log=True),
    LabTest(concept=3024929, unit=THOUSAND_UL, mean=245, sd=56, low=150, high=400, least=12, shifts=(("hepatitis", -45),)),
    LabTest(concept=3004410, unit=PERCENT, mean=5.5, sd=0.35, low=4.0, high=6.0, decimals=1, decade=0.05, shifts=(("diabetes", 1.8),)),
    LabTest(concept=40762125, unit=MG_DL, mean=2.6, sd=0.45, low=4.5, high=19.8, decimals=1, log=True),
    LabTest(concept=2_000_000_311, unit=0, mean=0, sd=0, low=0, high=0),
)  # fmt: skip
TEST_INDEX = {test.concept: i for i, test in enumerate(TESTS)}
GENOTYPE = TEST_INDEX[2_000_000_311]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Tests that are done together, and the share of outpatient and inpatient or emergency visits with them."""

    tests: tuple[int, ...]
    outpatient: float
    acute: float
    laboratory: bool = True


HEART_RATE = 3027018
PANELS = (
    Panel(tests=(3004249, 3012888, HEART_RATE), outpatient=0.36, acute=0.95, laboratory=False),
    Panel(tests=(3020891, 3024171), outpatient=0.12, acute=0.90, laboratory=False),
    Panel(tests=(3036277, 3025315, 3038553), outpatient=0.10, acute=0.30, laboratory=False),
    Panel(tests=(3016723, 3013682, 3004501, 3006923, 3013721, 3019550, 3023103), outpatient=0.19, acute=0.85),
    Panel(tests=(3000963, 3000905, 3024929), outpatient=0.17, acute=0.85),
    Panel(tests=(3027114, 3009966, 3007070, 3022192), outpatient=0.10, acute=0.08),
    Panel(tests=(3020460,), outpatient=0.05, acute=0.55),
    Panel(tests=(3004410,), outpatient=0.07, acute=0.10),
)
HALF = np.float32(np.sqrt(0.5))
"""Half of a test's variance lies between people, half within: each part's standard deviation is this of the whole."""


def levels(rng: Rng, people: People, illness: Illness) -> Floats:
    """Each person's own level of each test, before rounding and on the log scale where the test has one: (persons, tests)."""
    age = ((people.start + people.end) / 2 - people.birth) / 365.25
    own = np.empty((len(age), len(TESTS)), np.float32)
    for i, test in enumerate(TESTS):
        level = test.mean + test.decade * (age - 50) / 10 + test.male * people.male
        for key, shift in test.shifts:
            level = level + shift * illness.has(key)
        own[:, i] = level + HALF * test.sd * rng.standard_normal(len(age))
    child = np.clip(age / 18, 0.02, 1.0)
    height, weight, index = TEST_INDEX[3036277], TEST_INDEX[3025315], TEST_INDEX[3038553]
    own[:, height] = 50 + (own[:, height] - 50) * child**0.8
    own[:, index] = np.maximum(own[:, index] * (0.7 + 0.3 * child), 12)
    own[:, weight] = own[:, index] * (own[:, height] / 100) ** 2
    return own


def results(rng: Rng, own: Floats, person: Ints, test: int) -> Floats:
    """One result for each person: own level, the day's noise, rounded as the laboratory does."""
    spec = TESTS[test]
    noise = HALF * np.float32(spec.sd) * rng.standard_normal(len(person), np.float32)
    value = own[person, test] + (noise if test != TEST_INDEX[3036277] else 0)
    value = np.exp(value) if spec.log else value
    rounded: Floats = np.round(np.maximum(value, spec.least), spec.decimals).astype(np.float32)
    return rounded


def test_at(chart: Chart, rng: Rng, own: Floats, visit: Ints, person: Ints, concept: int) -> Floats:
    """Do one test at each visit, record and return its results."""
    test = TEST_INDEX[concept]
    value = results(rng, own, person, test)
    chart.measure(visit, test, value)
    return value


def run_panels(
    chart: Chart, rng: Rng, hospital: Hospital, own: Floats, visit: Ints, person: Ints, kind: Ints
) -> None:
    """Do the panels at background visits, as often as the hospital's coverage allows. Inpatients' heart rate is left to
    `sepsis`, which needs one and only one on the first day."""
    for panel in PANELS:
        share = np.where(kind == 0, panel.outpatient, panel.acute).astype(np.float32)
        if panel.laboratory:
            share = share * np.float32(hospital.lab_coverage)
        done = np.flatnonzero(rng.random(len(visit), np.float32) < share)
        for concept in panel.tests:
            at = done[kind[done] != INPATIENT] if concept == HEART_RATE else done
            test_at(chart, rng, own, visit[at], person[at], concept)
