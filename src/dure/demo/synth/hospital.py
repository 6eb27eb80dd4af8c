"""A hospital's habits: whom it sees, how sick they are, what it prescribes, how it codes and how much it measures.

Responsible for: making these a function of (seed, hospital) alone, so that two hospitals of one nation differ in case mix
and one hospital is always itself. Not responsible for: the truths that are planted (they are the same everywhere).
"""

from dataclasses import dataclass

import numpy as np

MOST_HOSPITALS = 999


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A sort of hospital: its middle values, before each hospital's own small differences."""

    name: str
    age_tilt: float
    severity: float
    visits_per_year: float
    inpatient_share: float
    lab_coverage: float
    supply_days: int


KINDS = (
    Kind(name="university", age_tilt=0.06, severity=0.30, visits_per_year=1.05, inpatient_share=0.075, lab_coverage=0.95, supply_days=90),
    Kind(name="general", age_tilt=0.02, severity=0.0, visits_per_year=1.2, inpatient_share=0.05, lab_coverage=0.85, supply_days=60),
    Kind(name="rural", age_tilt=0.16, severity=0.10, visits_per_year=1.05, inpatient_share=0.045, lab_coverage=0.65, supply_days=30),
    Kind(name="metropolitan", age_tilt=-0.08, severity=-0.10, visits_per_year=1.3, inpatient_share=0.04, lab_coverage=0.80, supply_days=60),
    Kind(name="regional", age_tilt=0.10, severity=0.15, visits_per_year=1.08, inpatient_share=0.06, lab_coverage=0.75, supply_days=30),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """One hospital's habits.

    Args:
        age_tilt: log weight of an age group per ten years above 45, against the national pyramid.
        severity: shift of the log-odds of every chronic disease.
        visits_per_year: background visits of a person without chronic disease.
        inpatient_share, emergency_share: of the background visits.
        lab_coverage, genotype_coverage: share of the tests done that reach the database.
        supply_days: how many days a long-term prescription lasts.
        prefers_first: chance of an alternative listed first (a code's parent, a product's first strength).
        preferences: log-odds towards the first drug of a comparison, in the order of `comparisons.ALL`.
        unmapped_share: share of background diagnoses whose local code has no standard concept.
        speciality_spread: log standard deviation of the weights of acute conditions.
        rare_patients: people with the rare disease, 1 to 5.
    """

    seed: int
    number: int
    kind: str
    age_tilt: float
    severity: float
    visits_per_year: float
    inpatient_share: float
    emergency_share: float
    lab_coverage: float
    genotype_coverage: float
    supply_days: int
    prefers_first: float
    preferences: tuple[float, float, float]
    unmapped_share: float
    speciality_spread: float
    rare_patients: int

    @property
    def name(self) -> str:
        """A name that nobody can take for a real hospital's."""
        return f"Synthetic hospital {self.number} ({self.kind})"

    def stream(self, *key: int) -> np.random.SeedSequence:
        """The seed of one part of this hospital; `key` names the part."""
        return np.random.SeedSequence(self.seed, spawn_key=(self.number, *key))


def habits_of(*, seed: int, number: int) -> Hospital:
    """The habits of hospital `number` (1 to 999) in the nation of `seed`; the kinds take turns."""
    kind = KINDS[(number - 1) % len(KINDS)]
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, 0)))

    def near(middle: float, spread: float, low: float = -9.0, high: float = 9.0) -> float:
        return float(np.clip(rng.normal(middle, spread), low, high))

    return Hospital(
        seed=seed,
        number=number,
        kind=kind.name,
        age_tilt=near(kind.age_tilt, 0.02),
        severity=near(kind.severity, 0.05),
        visits_per_year=near(kind.visits_per_year, 0.05, low=0.5),
        inpatient_share=near(kind.inpatient_share, 0.004, low=0.01),
        emergency_share=near(0.04, 0.006, low=0.01),
        lab_coverage=near(kind.lab_coverage, 0.03, low=0.3, high=1.0),
        genotype_coverage=near(0.9, 0.05, low=0.7, high=1.0),
        supply_days=kind.supply_days,
        prefers_first=near(0.6, 0.15, low=0.2, high=0.9),
        preferences=(near(0.0, 0.4), near(0.0, 0.4), near(0.0, 0.4)),
        unmapped_share=near(0.015, 0.005, low=0.0, high=0.05),
        speciality_spread=0.35,
        rare_patients=int(rng.integers(1, 6)),
    )
