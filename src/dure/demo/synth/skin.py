"""A planted season and a planted signal: contact dermatitis, and a sun cream that brings more of it.

How the truth is planted: a person's visits for contact dermatitis are a Poisson process with

    rate(day) = YEARLY * (1 + AMPLITUDE * cos(2 pi (day of year - PEAK) / 365.25))

times EXPOSED_RATIO on the RISK_DAYS days after each use of the cream, which is sold from LAUNCH on. The rate is the same
for everybody at every hospital, so nothing confounds it.
"""

from datetime import date

import numpy as np

from dure.demo.synth.arrays import YEAR, Floats, Ints, Rng, between, day, days_of_year
from dure.demo.synth.chart import Chart
from dure.demo.synth.people import People

DERMATITIS = 134438
YEARLY = 0.06
AMPLITUDE = 0.6
PEAK = 200
HYDROCORTISONE = 975125

CREAM = 2_000_000_900
CREAM_PRODUCT = 2_000_000_901
LAUNCH = date(2021, 3, 1)
USER_SHARE = 0.12
RISK_DAYS = 30
EXPOSED_RATIO = 3.0
USE_EVERY = 120
MOST_USES = 5


def season(days: Ints) -> Floats:
    """The rate on each day over the yearly mean."""
    angle = 2 * np.pi * (days_of_year(days) - PEAK) / YEAR
    rate: Floats = (1 + AMPLITUDE * np.cos(angle)).astype(np.float32)
    return rate


def itch(chart: Chart, rng: Rng, people: People, product: int) -> None:
    """Plant the season, the cream's users, and what the cream brings. `product` is prescribed for it now and then."""
    everyone = np.arange(len(people.birth), dtype=np.int32)
    occur(chart, rng, everyone, people.start, people.end, YEARLY, product)
    person, used = use_cream(chart, rng, people)
    last = np.minimum(used + RISK_DAYS, people.end[person]).astype(np.int32)
    at_risk = last > used
    excess = YEARLY * (EXPOSED_RATIO - 1)
    occur(chart, rng, person[at_risk], used[at_risk] + 1, last[at_risk], excess, product)


def occur(chart: Chart, rng: Rng, person: Ints, first: Ints, last: Ints, yearly: float, product: int) -> None:
    """A Poisson process with the season's shape from `first` to `last` of each person: drawn at the peak's rate, thinned."""
    most = yearly * (1 + AMPLITUDE)
    count = rng.poisson(most * (last - first + 1) / YEAR)
    which = np.repeat(np.arange(len(person)), count)
    when = between(rng, first[which], last[which])
    kept = rng.random(len(when)) * (1 + AMPLITUDE) < season(when)
    visit = chart.visit(person[which[kept]], when[kept])
    chart.diagnose(visit, DERMATITIS, days=rng.integers(3, 14, len(visit)))
    treated = visit[rng.random(len(visit)) < 0.6]
    chart.prescribe(treated, product, days=14)


def use_cream(chart: Chart, rng: Rng, people: People) -> tuple[Ints, Ints]:
    """Who used the cream and when: from a random day after the launch, every `USE_EVERY` days, at most `MOST_USES` times."""
    opens = np.maximum(people.start, day(LAUNCH))
    who = np.flatnonzero((opens < people.end) & (rng.random(len(opens)) < USER_SHARE)).astype(np.int32)
    first = between(rng, opens[who], people.end[who])
    uses = rng.integers(1, MOST_USES + 1, len(who))
    which = np.repeat(np.arange(len(who)), uses)
    order = np.arange(len(which)) - np.repeat(np.cumsum(uses) - uses, uses)
    used = (first[which] + USE_EVERY * order).astype(np.int32)
    seen = used <= people.end[who[which]]
    person, used = who[which[seen]], used[seen]
    chart.prescribe(chart.visit(person, used), CREAM_PRODUCT, days=RISK_DAYS)
    return person, used
