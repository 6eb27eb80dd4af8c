"""Ordinary care: the visits that people make anyway, and what is diagnosed, prescribed, measured and done there.

Responsible for: the bulk of the rows, on whose noise the planted truths lie. Not responsible for: those truths.
"""

from dataclasses import dataclass

import numpy as np

from dure.demo.synth import prescriptions
from dure.demo.synth.arrays import YEAR, Floats, Ints, Rng, between
from dure.demo.synth.chart import EMERGENCY, INPATIENT, OUTPATIENT, Chart
from dure.demo.synth.diseases import ACUTE, CHRONIC, NEVER, UNMAPPED, Illness
from dure.demo.synth.hospital import Hospital
from dure.demo.synth.measurements import run_panels
from dure.demo.synth.people import People

SMOKING, DRINKING, CHECK_UP = 43054909, 2_000_000_401, 2_000_000_402
SMOKING_ANSWERS = np.array([2_000_000_411, 2_000_000_412, 2_000_000_413], np.int32)
DRINKING_ANSWERS = np.array([2_000_000_414, 2_000_000_415], np.int32)
MOST_VISITS = 250
PROCEDURES = (
    (4218408, 0.16, 0.80), (4163951, 0.05, 0.55), (4163872, 0.06, 0.55), (4230911, 0.015, 0.12), (2_000_000_212, 0.02, 0.15),
    (2_000_000_213, 0.01, 0.15), (2_000_000_211, 0.02, 0.06), (4249893, 0.01, 0.04), (2_000_000_214, 0.09, 0.08),
    (2_000_000_215, 0.004, 0.0), (2_000_000_216, 0.03, 0.0), (4198190, 0.0, 0.03), (4242997, 0.0, 0.025), (43531648, 0.0, 0.02),
    (4201540, 0.001, 0.05), (4120120, 0.002, 0.01), (4336464, 0.0, 0.004),
)  # fmt: skip
"""Procedure, share of outpatient visits with it, share of inpatient and emergency visits."""


@dataclass(frozen=True, kw_only=True)
class Visits:
    """Background visits as parallel arrays: number in the chart, person, first day, kind, nights stayed."""

    number: Ints
    person: Ints
    day: Ints
    kind: Ints
    nights: Ints

    def where(self, these: Ints) -> "Visits":
        """Some of them."""
        return Visits(
            number=self.number[these],
            person=self.person[these],
            day=self.day[these],
            kind=self.kind[these],
            nights=self.nights[these],
        )


def ordinary_care(
    chart: Chart, rng: Rng, hospital: Hospital, people: People, illness: Illness, own: Floats
) -> Visits:
    """Fill the chart with ordinary care; returns its inpatient stays."""
    record_onsets(chart, illness)
    visits = draw_visits(chart, rng, hospital, people, illness)
    diagnose(chart, rng, hospital, people, illness, visits)
    run_panels(chart, rng, hospital, own, visits.number, visits.person, visits.kind)
    for concept, outpatient, acute in PROCEDURES:
        share = np.where(visits.kind == OUTPATIENT, outpatient, acute).astype(np.float32)
        chart.perform(visits.number[rng.random(len(share), np.float32) < share], concept)
    observe(chart, rng, people, visits)
    return visits.where(np.flatnonzero(visits.kind == INPATIENT))


def record_onsets(chart: Chart, illness: Illness) -> None:
    """Record every chronic condition on the day of its onset, at a visit of its own."""
    for i, disease in enumerate(CHRONIC):
        who = np.flatnonzero(illness.onset[:, i] < NEVER).astype(np.int32)
        visit = chart.visit(who, illness.onset[who, i])
        chart.diagnose(visit, illness.concept(disease.key, who))


def draw_visits(chart: Chart, rng: Rng, hospital: Hospital, people: People, illness: Illness) -> Visits:
    """Draw visits at a rate that grows with the chronic conditions and differs between people."""
    persons = len(people.birth)
    each = np.arange(persons, dtype=np.int32)
    twice = np.flatnonzero(people.early_end > 0).astype(np.int32)
    person = np.concatenate([each, twice])
    early = np.arange(len(person)) >= persons
    start = np.where(early, people.early_start[person], people.start[person])
    end = np.where(early, people.early_end[person], people.end[person])
    rate = hospital.visits_per_year * (1 + 0.45 * illness.burden()) * rng.gamma(2.0, 0.5, persons)
    mean = rate[person] * (end - start + 1) / YEAR
    count = np.minimum(rng.poisson(mean), MOST_VISITS)
    period = np.repeat(np.arange(len(person), dtype=np.int32), count)
    who = person[period]
    day = between(rng, start[period], end[period])
    draw = rng.random(len(who), np.float32)
    kind = np.where(draw < hospital.inpatient_share, INPATIENT, OUTPATIENT)
    kind = np.where(draw > 1 - hospital.emergency_share, EMERGENCY, kind).astype(np.int32)
    nights = np.where(kind == INPATIENT, rng.geometric(0.18, len(who)), kind == EMERGENCY)
    nights = np.minimum(nights, end[period] - day).astype(np.int32)
    number = chart.visit(who, day, kind=kind, nights=nights, early=early[period])
    return Visits(number=number, person=who, day=day, kind=kind, nights=nights)


def diagnose(
    chart: Chart, rng: Rng, hospital: Hospital, people: People, illness: Illness, visits: Visits
) -> None:
    """One to three diagnoses a visit, of the person's chronic conditions and of acute ones; then what is prescribed."""
    extra = (rng.random(len(visits.number), np.float32)[:, None] < np.array([0.42, 0.14])).sum(1)
    at = np.repeat(np.arange(len(visits.number), dtype=np.int32), 1 + extra)
    primary = np.diff(at, prepend=-1) > 0
    person, day = visits.person[at], visits.day[at]
    concept = draw_acute(rng, hospital, people.age(person, day), visits.kind[at])
    known = draw_chronic(rng, illness, person, day)
    chronic = (known > 0) & (rng.random(len(at), np.float32) < 0.65)
    concept = np.where(chronic, known, concept)
    lasts = np.where(chronic, 0, rng.integers(0, 14, len(at)))
    chart.diagnose(visits.number[at], concept, days=lasts, primary=primary)
    prescriptions.prescribe(chart, rng, hospital, visits.number[at], concept, chronic)


def draw_chronic(rng: Rng, illness: Illness, person: Ints, day: Ints) -> Ints:
    """For each (person, day) one of the person's chronic conditions by then, as it is coded; 0 where the draw finds none."""
    persons, columns = np.nonzero(illness.onset < NEVER)
    if not len(columns):
        return np.zeros(len(person), np.int32)
    first = np.searchsorted(persons, np.arange(len(illness.onset) + 1))
    owned = np.diff(first)[person]
    concepts = np.zeros((len(CHRONIC), 3), np.int32)
    for i, disease in enumerate(CHRONIC):
        concepts[i, : len(disease.concepts)] = disease.concepts
    place = first[person] + np.floor(rng.random(len(person)) * owned).astype(np.int64)
    column = columns[np.minimum(place, len(columns) - 1)]
    known = (owned > 0) & (illness.onset[person, column] <= day)
    return np.where(known, concepts[column, illness.variant[person, column]], 0).astype(np.int32)


def draw_acute(rng: Rng, hospital: Hospital, age: Ints, kind: Ints) -> Ints:
    """An acute condition for each diagnosis, by age group or, in half of the stays, from the inpatients' mix."""
    taste = np.random.default_rng(hospital.stream(0, 1)).lognormal(0, hospital.speciality_spread, len(ACUTE))
    mixes = np.array([[a.child, a.adult, a.old, a.inpatient] for a in ACUTE]).T * taste
    mixes /= mixes.sum(1, keepdims=True)
    mixes = np.column_stack([mixes * (1 - hospital.unmapped_share), np.full(4, hospital.unmapped_share)])
    ladder = (np.cumsum(mixes, 1) + np.arange(4)[:, None]).ravel()
    group = np.digitize(age, [15, 65])
    group = np.where((kind == INPATIENT) & (rng.random(len(age)) < 0.5), 3, group)
    step = np.searchsorted(ladder, group + rng.random(len(age)) * (1 - 1e-9), side="right")
    concepts = np.array([a.concept for a in ACUTE] + [UNMAPPED], np.int32)
    drawn: Ints = concepts[np.minimum(step - group * len(concepts), len(concepts) - 1)]
    return drawn


def observe(chart: Chart, rng: Rng, people: People, visits: Visits) -> None:
    """Ask adults about smoking and drinking, and note who came for the national check-up."""
    adult = people.age(visits.person, visits.day) >= 18
    for concept, share in ((SMOKING, 0.12), (DRINKING, 0.10), (CHECK_UP, 0.05)):
        at = np.flatnonzero(adult & (rng.random(len(adult), np.float32) < share))
        if concept == SMOKING:
            answer: Ints | int = SMOKING_ANSWERS[people.smoking[visits.person[at]]]
        elif concept == DRINKING:
            answer = DRINKING_ANSWERS[(rng.random(len(at)) < 0.55).astype(np.int32)]
        else:
            answer = 0
        chart.observe(visits.number[at], concept, answer)


def last_visits(chart: Chart, rng: Rng, people: People) -> None:
    """Most people who die do so in a last stay."""
    who = np.flatnonzero((people.death > 0) & (rng.random(len(people.death)) < 0.7)).astype(np.int32)
    nights = np.minimum(rng.geometric(0.12, len(who)), people.end[who] - people.start[who]).astype(np.int32)
    visit = chart.visit(who, people.end[who] - nights, kind=INPATIENT, nights=nights)
    chart.diagnose(visit, 437663)
