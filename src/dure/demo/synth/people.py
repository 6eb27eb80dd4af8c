"""The people of a hospital: birth, sex, the time in which they are seen, death.

Responsible for: the age pyramid, observation periods and the law of mortality. Not responsible for: what happens to them.
"""

from dataclasses import dataclass

import numpy as np

from dure.demo.synth.arrays import FIRST_DAY, LAST_DAY, YEAR, Bools, Floats, Ints, Rng, years_of
from dure.demo.synth.hospital import Hospital

PYRAMID = np.array([0.075, 0.09, 0.13, 0.135, 0.155, 0.165, 0.13, 0.075, 0.038, 0.007])
"""Share of each ten-year age group, near the Korean one of the early 2020s."""

GOMPERTZ_RATE = 2.2e-5
GOMPERTZ_SLOPE = 0.095
FEMALE_DEATH_RATIO = 0.60
DISEASE_DEATH_RATIO = 1.15
"""Yearly hazard of death at age x of a man: rate * exp(slope * x); times these for a woman, and per chronic disease that
was there on arrival."""

SHORTEST_PERIOD = 30
CARRIER_SHARE = 0.55


@dataclass(frozen=True, kw_only=True)
class People:
    """One array per property, all of length persons. Days are inclusive; `death` is 0 where the person lives.

    `early_start` and `early_end` are a first observation period of the few who have two (0 where there is none).
    """

    male: Bools
    birth: Ints
    birth_year: Ints
    start: Ints
    end: Ints
    death: Ints
    early_start: Ints
    early_end: Ints
    smoking: Ints
    carrier: Bools

    def age(self, person: Ints, on: Ints) -> Ints:
        """Age as cohort definitions count it: year of the day less year of birth."""
        return (years_of(on) - self.birth_year[person]).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """People as they arrive, before illness and death are drawn. `age` is in years at the first day seen."""

    male: Bools
    age: Floats
    start: Ints
    end: Ints


def arrive(rng: Rng, hospital: Hospital, persons: int) -> Arrival:
    """Draw sex, age, and the period until the person moves away or the data end."""
    middles = np.arange(len(PYRAMID)) * 10 + 5
    weights = PYRAMID * np.exp(hospital.age_tilt * (middles - 45) / 10)
    group = rng.choice(len(PYRAMID), persons, p=weights / weights.sum())
    start = rng.integers(FIRST_DAY, LAST_DAY - 3 * 365, persons)
    length = SHORTEST_PERIOD + rng.exponential(11 * YEAR, persons)
    return Arrival(
        male=rng.random(persons) < 0.48,
        age=(group * 10 + rng.random(persons) * 10).astype(np.float32),
        start=start.astype(np.int32),
        end=np.minimum(start + length, LAST_DAY).astype(np.int32),
    )


def live(rng: Rng, arrival: Arrival, diseases: Ints) -> People:
    """Draw death by a Gompertz law and all that remains; `diseases` counts what each person had on arrival."""
    persons = len(arrival.age)
    ratio = np.where(arrival.male, 1.0, FEMALE_DEATH_RATIO) * DISEASE_DEATH_RATIO**diseases
    hazard = GOMPERTZ_RATE * np.exp(GOMPERTZ_SLOPE * arrival.age) * ratio
    years = np.log1p(GOMPERTZ_SLOPE * rng.exponential(1.0, persons) / hazard) / GOMPERTZ_SLOPE
    last = arrival.start + np.minimum(np.maximum(years * YEAR, 1), 2**20).astype(np.int32)
    dies = last <= arrival.end
    birth = (arrival.start - np.ceil(arrival.age * YEAR)).astype(np.int32)
    early_end = arrival.start - 90 - rng.integers(0, 700, persons)
    early_start = early_end - rng.integers(60, 900, persons)
    twice = (rng.random(persons) < 0.06) & (early_start > birth)
    return People(
        male=arrival.male,
        birth=birth,
        birth_year=years_of(birth),
        start=arrival.start,
        end=np.where(dies, last, arrival.end).astype(np.int32),
        death=np.where(dies, last, 0).astype(np.int32),
        early_start=np.where(twice, early_start, 0).astype(np.int32),
        early_end=np.where(twice, early_end, 0).astype(np.int32),
        smoking=_smoking(rng, arrival),
        carrier=rng.random(persons) < CARRIER_SHARE,
    )


def _smoking(rng: Rng, arrival: Arrival) -> Ints:
    """0 never, 1 former, 2 current."""
    never = np.where(arrival.age < 18, 1.0, np.where(arrival.male, 0.38, 0.88))
    former = np.where(arrival.male, 0.30, 0.06)
    draw = rng.random(len(never))
    return ((draw >= never).astype(np.int32) + (draw >= never + former)).astype(np.int32)
