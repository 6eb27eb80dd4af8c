"""Three planted comparisons: new users of one drug against new users of another, with a known true hazard ratio.

How the truth is planted, for each comparison:

1. People with the indication may start one of two drugs on a day drawn without regard to anything.
2. Which one depends on their covariates on that day: log-odds of the first drug = the hospital's preference plus the
   sum of `treatment` coefficient times covariate.
3. The time to the outcome is drawn from a proportional-hazards model with a Weibull baseline:
   hazard(t) = baseline(t) * exp(sum of `outcome` coefficient times covariate + log hazard ratio if on the first drug).
4. Follow-up ends with the observation period, which depends neither on the drug nor on the outcome.

Every covariate is on record on the day of the start (age, sex, diagnoses, genotype), so that adjusting for what is
recorded gives the truth, and not adjusting doesn't: the same things drive the choice and the outcome. The ratio is by the
drug that was started ("intention to treat"); the few who switch keep it. It is conditional on the covariates.
"""

from dataclasses import dataclass

import numpy as np

from dure.demo.synth import vocabulary
from dure.demo.synth.arrays import YEAR, Bools, Floats, Ints, Rng, between, expit
from dure.demo.synth.chart import INPATIENT, Chart
from dure.demo.synth.diseases import CHRONIC_INDEX, Illness
from dure.demo.synth.hospital import Hospital
from dure.demo.synth.measurements import GENOTYPE, test_at
from dure.demo.synth.people import People

AGE_CENTRE = 60
POSITIVE, NEGATIVE = 9191, 9189
PRIOR_OUTCOME_SHARE = 0.03
SWITCH_SHARE = 0.05
EARLY_START_SHARE = 0.08
UNTREATED_RATIO = 0.3
"""Of the starters: have had the outcome before; take the other drug later; start within a year of first being seen.
A sound design excludes the first and the last, and those who took the other drug before.
The last is the hazard of people who start neither, over that of the second drug's starters."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One planted comparison.

    Args:
        key: its name in the truth.
        indication: the chronic condition that is treated (a key of `diseases.CHRONIC`).
        first, second: the two drugs' ingredients.
        outcome: the concept recorded as primary diagnosis of a hospital stay.
        hazard_ratio: of the first drug against the second; `carrier_hazard_ratio` for carriers of the genotype.
        start_share: of the people with the indication who start one of the two.
        procedure: done on the day of the start, which then is a stay.
        treatment, outcome_model: (covariate, coefficient) pairs. Covariates: `age` in decades above 60, `male`, or the
            key of a chronic condition on record.
        baseline: cumulative hazard over the first year, at covariates zero, on the second drug: the cumulative hazard
            at t years is baseline * t ** shape.
        shape: of the Weibull baseline; 1 is a constant hazard.
    """

    key: str
    indication: str
    first: int
    second: int
    outcome: int
    hazard_ratio: float
    carrier_hazard_ratio: float | None = None
    start_share: float
    procedure: int | None = None
    treatment: tuple[tuple[str, float], ...]
    outcome_model: tuple[tuple[str, float], ...]
    baseline: float
    shape: float = 1.0


ALL = (
    Comparison(
        key="heart_failure", indication="diabetes", first=45774751, second=1580747, outcome=316139, hazard_ratio=0.65, start_share=0.75,
        treatment=(("age", 0.35), ("ischaemic", 1.0), ("kidney", 0.8), ("complication", 0.8), ("fibrillation", 0.7)),
        outcome_model=(("age", 0.45), ("male", 0.2), ("ischaemic", 0.9), ("kidney", 0.8), ("complication", 0.7), ("fibrillation", 0.9)),
        baseline=0.012, shape=1.1,
    ),
    Comparison(
        key="infarction", indication="hypertension", first=1308216, second=1332418, outcome=312327, hazard_ratio=1.0, start_share=0.45,
        treatment=(("age", 0.25), ("diabetes", 0.9), ("kidney", 0.8), ("ischaemic", 0.9)),
        outcome_model=(("age", 0.40), ("male", 0.4), ("diabetes", 0.6), ("kidney", 0.5), ("ischaemic", 0.9)),
        baseline=0.008,
    ),
    Comparison(
        key="stroke", indication="ischaemic", first=40241186, second=1322184, outcome=443454, hazard_ratio=1.0, carrier_hazard_ratio=0.5,
        start_share=0.65, procedure=4216130,
        treatment=(("age", -0.45), ("fibrillation", -0.8), ("kidney", -0.5)),
        outcome_model=(("age", 0.40), ("fibrillation", 0.9), ("kidney", 0.4), ("hypertension", 0.4)),
        baseline=0.035,
    ),
)  # fmt: skip


def covariates(people: People, illness: Illness, person: Ints, on: Ints, names: tuple[str, ...]) -> Floats:
    """The covariates of each (person, day) as they are on record: (rows, names)."""
    columns: list[np.ndarray] = []
    for name in names:
        if name == "age":
            columns.append((people.age(person, on) - AGE_CENTRE) / 10)
        elif name == "male":
            columns.append(people.male[person])
        else:
            columns.append(illness.active(name, person, on))
    return np.column_stack(columns).astype(np.float32)


def compare(
    chart: Chart, rng: Rng, hospital: Hospital, people: People, illness: Illness, own: Floats, which: int
) -> None:
    """Plant comparison number `which` of `ALL`."""
    plan = ALL[which]
    person, start = draw_starts(rng, people, illness, plan)
    names, weights = zip(*plan.treatment, strict=True)
    score = covariates(people, illness, person, start, names) @ np.array(weights, np.float32)
    first = rng.random(len(person)) < expit(score + np.float32(hospital.preferences[which]))
    visit = open_start(chart, rng, plan, person, start)
    record_covariates(chart, people, illness, plan, person, start, visit)
    genotype(chart, rng, hospital, people, plan, person, visit)
    treat(chart, rng, hospital, people, illness, plan, person, start, first, visit)
    switch(chart, rng, people, plan, person, start, first)
    test_at(chart, rng, own, visit, person, 3004410 if plan.indication == "diabetes" else 3004249)

    ratio = np.where(first, np.log(plan.hazard_ratio), 0.0)
    if plan.carrier_hazard_ratio is not None:
        ratio = np.where(first & people.carrier[person], np.log(plan.carrier_hazard_ratio), ratio)
    happen(chart, rng, people, illness, plan, person, start, ratio)
    prior_outcome(chart, rng, people, plan, person, start)
    untreated(chart, rng, people, illness, plan, person)


def draw_starts(rng: Rng, people: People, illness: Illness, plan: Comparison) -> tuple[Ints, Ints]:
    """Who starts one of the two drugs, and when; most after a year of being seen."""
    who = np.flatnonzero(illness.has(plan.indication) & (rng.random(len(people.birth)) < plan.start_share))
    person = who.astype(np.int32)
    known = illness.onset[person, CHRONIC_INDEX[plan.indication]] + 7
    early = rng.random(len(person)) < EARLY_START_SHARE
    year = people.start[person] + 365
    low = np.where(early, known, np.maximum(known, year))
    high = np.where(early, np.minimum(year - 1, people.end[person] - 30), people.end[person] - 30)
    room = low <= high
    return person[room], between(rng, low[room].astype(np.int32), high[room].astype(np.int32))


def open_start(chart: Chart, rng: Rng, plan: Comparison, person: Ints, start: Ints) -> Ints:
    """The visit at which the drug is started."""
    if plan.procedure is None:
        return chart.visit(person, start)
    nights = rng.integers(1, 5, len(person), dtype=np.int32)
    visit = chart.visit(person, start, kind=INPATIENT, nights=nights)
    chart.perform(visit, plan.procedure)
    return visit


def record_covariates(
    chart: Chart, people: People, illness: Illness, plan: Comparison, person: Ints, start: Ints, visit: Ints
) -> None:
    """Write the indication and every covariate that is present into the visit of the start."""
    chart.diagnose(visit, illness.concept(plan.indication, person))
    keys = {name for name, _ in plan.treatment + plan.outcome_model} - {"age", "male", plan.indication}
    for key in sorted(keys):
        there = np.flatnonzero(illness.active(key, person, start))
        chart.diagnose(visit[there], illness.concept(key, person[there]), primary=0)


def genotype(
    chart: Chart, rng: Rng, hospital: Hospital, people: People, plan: Comparison, person: Ints, visit: Ints
) -> None:
    """Test the genotype at the start, where the comparison has one and the hospital does it."""
    if plan.carrier_hazard_ratio is None:
        return
    tested = np.flatnonzero(rng.random(len(person)) < hospital.genotype_coverage)
    answer = np.where(people.carrier[person[tested]], POSITIVE, NEGATIVE)
    nothing = np.full(len(tested), np.nan, np.float32)
    chart.measure(visit[tested], GENOTYPE, nothing, answer)


def treat(
    chart: Chart, rng: Rng, hospital: Hospital, people: People, illness: Illness, plan: Comparison,
    person: Ints, start: Ints, first: Bools, visit: Ints,
) -> None:  # fmt: skip
    """The first prescription, and the later ones until the person stops or is seen no more."""
    product = _product(rng, hospital, plan, first)
    supply = np.full(len(person), hospital.supply_days, np.int32)
    chart.prescribe(visit, product, days=supply)
    later = rng.poisson(rng.gamma(2.0, 4.0, len(person)) * 60 / hospital.supply_days)
    which = np.repeat(np.arange(len(person), dtype=np.int32), later)
    order = np.arange(len(which), dtype=np.int32) - np.repeat(np.cumsum(later) - later, later) + 1
    day = (start[which] + order * (supply[which] + 2) + rng.integers(-2, 12, len(which))).astype(np.int32)
    seen = day <= people.end[person[which]]
    which, day = which[seen], day[seen]
    refill = chart.visit(person[which], day)
    chart.diagnose(refill, illness.concept(plan.indication, person[which]))
    chart.prescribe(refill, product[which], days=supply[which])


def switch(
    chart: Chart, rng: Rng, people: People, plan: Comparison, person: Ints, start: Ints, first: Bools
) -> None:
    """A few take the other drug once, at a later time."""
    who = np.flatnonzero((rng.random(len(person)) < SWITCH_SHARE) & (people.end[person] > start + 60))
    day = between(rng, start[who] + 60, people.end[person[who]])
    other = np.where(first[who], vocabulary.products(plan.second)[0], vocabulary.products(plan.first)[0])
    chart.prescribe(chart.visit(person[who], day), other, days=30)


def happen(
    chart: Chart, rng: Rng, people: People, illness: Illness, plan: Comparison,
    person: Ints, start: Ints, log_ratio: Floats,
) -> None:  # fmt: skip
    """Draw the time to the outcome by proportional hazards and record those that fall inside the period."""
    names, weights = zip(*plan.outcome_model, strict=True)
    score = covariates(people, illness, person, start, names) @ np.array(weights, np.float32) + log_ratio
    years = (rng.exponential(1.0, len(person)) / (plan.baseline * np.exp(score))) ** (1 / plan.shape)
    day = start + np.ceil(np.minimum(years * YEAR, 2**20)).astype(np.int32)
    seen = np.flatnonzero(day <= people.end[person])
    admit(chart, rng, plan.outcome, person[seen], day[seen].astype(np.int32))


def admit(chart: Chart, rng: Rng, outcome: int, person: Ints, day: Ints) -> None:
    """A stay for the outcome, and a visit two weeks after its first day."""
    nights = rng.integers(3, 15, len(person), dtype=np.int32)
    chart.diagnose(chart.visit(person, day, kind=INPATIENT, nights=nights), outcome)
    again = np.flatnonzero(day + 21 <= chart.people.end[person])
    chart.diagnose(chart.visit(person[again], day[again] + 21), outcome, primary=0)


def prior_outcome(
    chart: Chart, rng: Rng, people: People, plan: Comparison, person: Ints, start: Ints
) -> None:
    """A few had the outcome before they started."""
    who = np.flatnonzero(
        (rng.random(len(person)) < PRIOR_OUTCOME_SHARE) & (start > people.start[person] + 30)
    )
    day = between(rng, people.start[person[who]], start[who] - 25)
    admit(chart, rng, plan.outcome, person[who], day)


def untreated(
    chart: Chart, rng: Rng, people: People, illness: Illness, plan: Comparison, starters: Ints
) -> None:
    """People who started neither have the outcome too, at a lower hazard, from the first day they are seen."""
    others = np.ones(len(people.birth), np.bool_)
    others[starters] = False
    who = np.flatnonzero(others).astype(np.int32)
    start = people.start[who]
    grown = people.age(who, start) >= 30
    who, start = who[grown], start[grown]
    happen(chart, rng, people, illness, plan, who, start, np.full(len(who), np.log(UNTREATED_RATIO)))


def _product(rng: Rng, hospital: Hospital, plan: Comparison, first: Bools) -> Ints:
    """One strength of the drug that each person starts."""
    weak = rng.random(len(first)) < hospital.prefers_first
    one, other = vocabulary.products(plan.first), vocabulary.products(plan.second)
    return np.where(first, np.where(weak, one[0], one[-1]), np.where(weak, other[0], other[-1])).astype(
        np.int32
    )
