"""What people suffer from: the chronic and acute conditions of the background, and what is prescribed for each.

Responsible for: the tables of conditions, and drawing who has which chronic disease from which day on. Not responsible
for: the outcomes and pairs whose truth is planted (`comparisons`, `skin`, `sepsis`, `controls`, `rare`): no concept here
is an outcome there, so the background never dilutes a planted effect.
"""

from dataclasses import dataclass

import numpy as np

from dure.demo.synth.arrays import Bools, Floats, Ints, Rng, between, expit
from dure.demo.synth.hospital import Hospital
from dure.demo.synth.people import People

NEVER = np.int32(2**30)


@dataclass(frozen=True, kw_only=True)
class Chronic:
    """A chronic condition.

    Args:
        concepts: the concepts it may be coded as; a hospital prefers the first to some degree.
        at_60: share of men and women of 60 who have it recorded at some time.
        decade: change of its log-odds per ten years of age.
        male: change of its log-odds for men.
        needs: another chronic condition without which it doesn't occur.
        raised_by: changes of its log-odds where another chronic condition (listed earlier) is present.
        drugs: ingredient and chance of a prescription each time it is recorded.
    """

    key: str
    concepts: tuple[int, ...]
    at_60: float
    decade: float
    male: float = 0.0
    needs: str | None = None
    raised_by: tuple[tuple[str, float], ...] = ()
    drugs: tuple[tuple[int, float], ...] = ()


CHRONIC = (
    Chronic(key="hypertension", concepts=(320128, 316866), at_60=0.42, decade=0.65, male=0.15,
            drugs=((974166, 0.25), (1338005, 0.20), (1367500, 0.25))),
    Chronic(key="diabetes", concepts=(201826, 4193704), at_60=0.22, decade=0.45, male=0.3, raised_by=(("hypertension", 0.5),),
            drugs=((1503297, 0.55), (1597756, 0.25))),
    Chronic(key="complication", concepts=(4226121, 37016354), at_60=0.30, decade=0.15, needs="diabetes"),
    Chronic(key="hyperlipidemia", concepts=(432867,), at_60=0.28, decade=0.25, raised_by=(("diabetes", 0.6),),
            drugs=((1545958, 0.45), (1539403, 0.25))),
    Chronic(key="kidney", concepts=(46271022, 443597, 443612), at_60=0.06, decade=0.50, male=0.2,
            raised_by=(("diabetes", 0.9), ("hypertension", 0.5)), drugs=((956874, 0.35),)),
    Chronic(key="ischaemic", concepts=(317576, 4185932, 321318), at_60=0.09, decade=0.45, male=0.4,
            raised_by=(("diabetes", 0.6), ("hypertension", 0.5), ("hyperlipidemia", 0.3)), drugs=((1112807, 0.6), (1361711, 0.15))),
    Chronic(key="fibrillation", concepts=(313217, 4154290), at_60=0.025, decade=0.65, male=0.3,
            raised_by=(("hypertension", 0.4),), drugs=((1310149, 0.45), (1326303, 0.15))),
    Chronic(key="copd", concepts=(255573,), at_60=0.045, decade=0.45, male=0.7, drugs=((1154343, 0.35), (1137529, 0.3))),
    Chronic(key="asthma", concepts=(317009,), at_60=0.05, decade=0.05, drugs=((1154343, 0.35), (1149380, 0.35))),
    Chronic(key="rhinitis", concepts=(257007,), at_60=0.12, decade=-0.15, drugs=((1153428, 0.35), (1107830, 0.25))),
    Chronic(key="osteoarthritis", concepts=(4079750, 80180, 4079749), at_60=0.22, decade=0.55, male=-0.6,
            drugs=((1118084, 0.3), (1124300, 0.2), (1115008, 0.15))),
    Chronic(key="osteoporosis", concepts=(80502,), at_60=0.10, decade=0.70, male=-1.8, drugs=((1557272, 0.5),)),
    Chronic(key="rheumatoid", concepts=(80809,), at_60=0.012, decade=0.2, male=-1.0, drugs=((1305058, 0.5), (1551099, 0.3))),
    Chronic(key="gout", concepts=(440674,), at_60=0.04, decade=0.2, male=1.5, drugs=((1167322, 0.5),)),
    Chronic(key="hypothyroid", concepts=(140673,), at_60=0.05, decade=0.2, male=-1.2, drugs=((1501700, 0.7),)),
    Chronic(key="depression", concepts=(440383,), at_60=0.08, decade=0.12, male=-0.6, drugs=((739138, 0.6),)),
    Chronic(key="anxiety", concepts=(442077,), at_60=0.07, decade=0.08, male=-0.4, drugs=((791967, 0.4),)),
    Chronic(key="insomnia", concepts=(436962,), at_60=0.08, decade=0.25, male=-0.3, drugs=((744740, 0.55),)),
    Chronic(key="dementia", concepts=(4182210,), at_60=0.012, decade=1.05, male=-0.2, drugs=((715997, 0.5), (701322, 0.2))),
    Chronic(key="migraine", concepts=(318736,), at_60=0.05, decade=-0.15, male=-0.9, drugs=((1115008, 0.3),)),
    Chronic(key="reflux", concepts=(318800,), at_60=0.16, decade=0.15, drugs=((923645, 0.6),)),
    Chronic(key="hepatitis", concepts=(200763,), at_60=0.03, decade=0.05, male=0.4),
    Chronic(key="atopic", concepts=(133834,), at_60=0.02, decade=-0.35, drugs=((975125, 0.5), (1149196, 0.2))),
    Chronic(key="psoriasis", concepts=(140168,), at_60=0.012, decade=0.0, male=0.2, drugs=((975125, 0.5),)),
    Chronic(key="glaucoma", concepts=(437541,), at_60=0.04, decade=0.45),
    Chronic(key="anaemia", concepts=(439777,), at_60=0.05, decade=0.2, male=-0.9, drugs=((1396131, 0.5),)),
    Chronic(key="cancer_stomach", concepts=(443387,), at_60=0.010, decade=0.55, male=0.7, drugs=((1000560, 0.3),)),
    Chronic(key="cancer_colon", concepts=(4180790,), at_60=0.009, decade=0.55, male=0.3, drugs=((1000560, 0.3),)),
    Chronic(key="cancer_lung", concepts=(443388,), at_60=0.008, decade=0.65, male=0.8, drugs=((1000560, 0.3),)),
    Chronic(key="cancer_breast", concepts=(4112853,), at_60=0.014, decade=0.15, male=-5.0, drugs=((1000560, 0.2),)),
    Chronic(key="cancer_thyroid", concepts=(4178976,), at_60=0.012, decade=0.0, male=-1.2, drugs=((1501700, 0.5),)),
)  # fmt: skip
CHRONIC_INDEX = {disease.key: i for i, disease in enumerate(CHRONIC)}


@dataclass(frozen=True, kw_only=True)
class Acute:
    """An acute condition: relative weights among the acute diagnoses of children (under 15), adults, people of 65 and over,
    and of inpatients; and the ingredients prescribed for it, each with its chance."""

    concept: int
    child: float
    adult: float
    old: float
    inpatient: float = 0.0
    drugs: tuple[tuple[int, float], ...] = ()


ACUTE = (
    Acute(concept=257011, child=30, adult=14, old=8, drugs=((1125315, 0.4), (1149196, 0.2), (1119510, 0.2))),
    Acute(concept=260139, child=16, adult=9, old=8, drugs=((1119510, 0.4), (1768849, 0.2), (1125315, 0.2))),
    Acute(concept=28060, child=6, adult=2, old=1, drugs=((1713332, 0.6),)),
    Acute(concept=4266367, child=6, adult=3, old=2, inpatient=1, drugs=((1125315, 0.6),)),
    Acute(concept=4283893, child=5, adult=3, old=2, drugs=((1713332, 0.4), (1107830, 0.2))),
    Acute(concept=255848, child=3, adult=1, old=3, inpatient=12, drugs=((1777806, 0.6),)),
    Acute(concept=254761, child=5, adult=3, old=4, drugs=((1119510, 0.5),)),
    Acute(concept=437663, child=8, adult=2, old=2, inpatient=2, drugs=((1125315, 0.5), (1177480, 0.3))),
    Acute(concept=372328, child=10, adult=1, old=0.5, drugs=((1713332, 0.5),)),
    Acute(concept=379019, child=4, adult=3, old=3),
    Acute(concept=4101468, child=9, adult=5, old=4, inpatient=4, drugs=((1000560, 0.2),)),
    Acute(concept=201340, child=1, adult=9, old=8, drugs=((923645, 0.5),)),
    Acute(concept=4027663, child=0.1, adult=3, old=4, inpatient=3, drugs=((923645, 0.7),)),
    Acute(concept=192671, child=0.1, adult=0.6, old=1.5, inpatient=5, drugs=((923645, 0.7),)),
    Acute(concept=195562, child=0.1, adult=3, old=2, inpatient=1),
    Acute(concept=75860, child=3, adult=3, old=5),
    Acute(concept=4285898, child=0, adult=2, old=3, inpatient=1),
    Acute(concept=440448, child=1, adult=0.5, old=0.2, inpatient=5, drugs=((1777806, 0.7), (1125315, 0.3))),
    Acute(concept=198809, child=0, adult=0.4, old=0.6, inpatient=4, drugs=((1777806, 0.7),)),
    Acute(concept=81902, child=1, adult=3, old=5, inpatient=5, drugs=((1768849, 0.5),)),
    Acute(concept=195588, child=0.5, adult=4, old=4, drugs=((1768849, 0.5),)),
    Acute(concept=197320, child=0, adult=0.3, old=1, inpatient=4),
    Acute(concept=194133, child=0.3, adult=11, old=12, inpatient=2, drugs=((1115008, 0.3), (1124300, 0.3))),
    Acute(concept=77074, child=0.5, adult=6, old=8, drugs=((1124300, 0.3), (1118084, 0.2))),
    Acute(concept=378253, child=2, adult=6, old=5, drugs=((1125315, 0.4),)),
    Acute(concept=4223938, child=0.3, adult=4, old=7, inpatient=2),
    Acute(concept=4223659, child=0.5, adult=3, old=4),
    Acute(concept=81151, child=4, adult=4, old=2, drugs=((1177480, 0.4),)),
    Acute(concept=4278672, child=2, adult=1, old=1.5, inpatient=3, drugs=((1125315, 0.4),)),
    Acute(concept=4142905, child=0.2, adult=1, old=1.5, inpatient=2, drugs=((1124300, 0.4),)),
    Acute(concept=4230399, child=0, adult=0.1, old=1.2, inpatient=5, drugs=((1367571, 0.5),)),
    Acute(concept=139900, child=4, adult=4, old=3, drugs=((1149196, 0.6),)),
    Acute(concept=133141, child=0.5, adult=3, old=3),
    Acute(concept=443943, child=0.2, adult=1.5, old=3, inpatient=1),
    Acute(concept=433736, child=0.5, adult=1.5, old=0.7),
)  # fmt: skip
UNMAPPED = 2_000_000_601


@dataclass(frozen=True, kw_only=True)
class Illness:
    """Who has which chronic condition. `onset` is (persons, chronic conditions), int32 days, `NEVER` where absent;
    `variant` says as which of its concepts the person's is coded."""

    onset: Ints
    variant: Ints

    def has(self, key: str) -> Bools:
        """Per person: is the condition recorded at any time?"""
        return self.onset[:, CHRONIC_INDEX[key]] < NEVER

    def active(self, key: str, person: Ints, on: Ints) -> Bools:
        """For each (person, day): had the condition been recorded by then?"""
        active: Bools = self.onset[person, CHRONIC_INDEX[key]] <= on
        return active

    def concept(self, key: str, person: Ints) -> Ints:
        """The concept under which each person's condition is recorded."""
        index = CHRONIC_INDEX[key]
        coded: Ints = np.array(CHRONIC[index].concepts, np.int32)[self.variant[person, index]]
        return coded

    def burden(self) -> Ints:
        """Per person: the number of chronic conditions recorded at any time."""
        count: Ints = (self.onset < NEVER).sum(1, dtype=np.int32)
        return count


def fall_ill(rng: Rng, hospital: Hospital, people: People, prevalent: Bools, has: Bools) -> Illness:
    """Give every chronic condition its first recorded day: early where it was there on arrival, else any day."""
    onset = np.full(has.shape, NEVER, np.int32)
    variant = np.zeros(has.shape, np.int32)
    for i, disease in enumerate(CHRONIC):
        who = np.flatnonzero(has[:, i]).astype(np.int32)
        start, end = people.start[who], people.end[who]
        latest = np.where(prevalent[who, i], np.minimum(start + 180, end), end).astype(np.int32)
        onset[who, i] = between(rng, start, latest)
        other = rng.integers(1, max(2, len(disease.concepts)), len(who))
        variant[who, i] = np.where(
            rng.random(len(who)) < hospital.prefers_first, 0, other % len(disease.concepts)
        )
    return Illness(onset=onset, variant=variant)


def afflict(rng: Rng, hospital: Hospital, age: Floats, male: Bools) -> tuple[Bools, Bools]:
    """Who gets each chronic condition in the time seen, and whether it was there on arrival: two (persons, conditions)."""
    has = np.zeros((len(age), len(CHRONIC)), np.bool_)
    for i, disease in enumerate(CHRONIC):
        odds = np.log(disease.at_60 / (1 - disease.at_60)) + hospital.severity
        score = odds + disease.decade * (age - 60) / 10 + disease.male * male
        for key, raise_ in disease.raised_by:
            score = score + raise_ * has[:, CHRONIC_INDEX[key]]
        has[:, i] = rng.random(len(age)) < expit(score.astype(np.float32))
        if disease.needs:
            has[:, i] &= has[:, CHRONIC_INDEX[disease.needs]]
    return has, has & (rng.random(has.shape, np.float32) < 0.55)
