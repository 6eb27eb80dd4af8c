"""Answers that subtract: about a group and the group without somebody, in ever new clothes."""

from itertools import pairwise

import numpy as np

from dure.stats.counts import Counts, CountsParams
from dure.stats.design import binary, continuous
from dure.stats.moments import Moments, MomentsParams
from dure.stats.quantiles import Quantiles, QuantilesParams
from dure.stats.rates import Rates, RatesParams
from dure.stats.strata import Strata
from dure.wire.rules import Rules
from tests.attacks.attack import Class, Tried, attack
from tests.attacks.network import LABS, Network

GROUP = "answers that subtract"
HEAD = CountsParams(stages=("all",), strata=())
LAB_SUMS = MomentsParams(variables=tuple(continuous(lab, 0.5, 150) for lab in LABS))
TARGET = ("h2", 17)


def everybody_but(*people):
    """Who is asked about: all but the given (hospital, person)s."""

    def choose(name, columns):
        gone = [person for hospital, person in people if hospital == name]
        return ~np.isin(columns["person"], gone)

    return choose


def only(name_, inside):
    """Who is asked about: of one hospital the people in a mask, of the others all."""
    return lambda name, columns: inside(columns) if name == name_ else np.ones(len(columns["person"]), bool)


def people(shown):
    return None if shown is None else int(shown.values["people"].ravel()[0])


def cases(shown):
    """Cases at risk, from a table of rates."""
    return None if shown is None else int(shown.values["cases"][0])


def lab_sums(shown):
    """Σx of each lab."""
    middle, half = 75.25, 74.75
    return (
        None
        if shown is None
        else shown.values["powers"][0, :, 0] * half + middle * shown.values["amounts"][0]
    )


def stolen_labs(first, second, network):
    """How many of the target's five values are the difference of two answers, and the largest error."""
    if first is None or second is None:
        return Tried(success=False, figure="0 of 5 values", by=network.by)
    hospital, person = TARGET
    truth = np.array([network.people[hospital][lab][person] for lab in LABS])
    error = np.abs(lab_sums(first) - lab_sums(second) - truth)
    right = int((error < 0.05).sum())
    return Tried(success=right == 5, figure=f"{right} of 5 values, error {error.max():.0e}", by=network.by)


@attack(
    GROUP,
    "leave one person out of the group, and subtract",
    rule="small-difference",
    peer="DataSHIELD 5 of 5, 4e-13",
)
def drop_one(guard):
    network = Network(guard)
    first = network.total(Moments(), LAB_SUMS)
    return stolen_labs(first, network.total(Moments(), LAB_SUMS, everybody_but(TARGET)), network)


@attack(GROUP, "the same by two askers, each of whom asks one of the two", rule="small-difference")
def two_askers(guard):
    network = Network(guard)
    first = network.total(Moments(), LAB_SUMS, house=("h0",))
    return stolen_labs(
        first, network.total(Moments(), LAB_SUMS, everybody_but(TARGET), house=("h1",)), network
    )


@attack(GROUP, "the same question before and after one person opts out", rule="small-difference")
def next_version(guard):
    network = Network(guard)
    first = network.total(Moments(), LAB_SUMS)
    hospital, person = TARGET
    before = network.people[hospital]
    network.people[hospital] = {key: np.delete(column, person) for key, column in before.items()}
    second = network.total(Moments(), LAB_SUMS)
    network.people[hospital] = before
    return stolen_labs(first, second, network)


@attack(GROUP, "the same by hospital", rule="small-difference")
def drop_one_by_hospital(guard):
    network = Network(guard)
    hospital, _ = TARGET
    first = network.by_hospital(hospital, Moments(), LAB_SUMS)
    return stolen_labs(
        first, network.by_hospital(hospital, Moments(), LAB_SUMS, everybody_but(TARGET)), network
    )


@attack(
    GROUP,
    "count who is above each threshold, one by one",
    rule="small-difference",
    peer="DataSHIELD 34 of 40",
)
def threshold_sweep(guard):
    network = Network(guard)
    sought = np.sort(np.concatenate([c["glucose"] for c in network.people.values()]))[-40:]
    counts = {}
    for threshold in np.round(np.arange(sought[0] - 0.1, sought[-1] + 0.2, 0.1), 1):
        count = people(network.total(Counts(), HEAD, lambda _, c, t=threshold: c["glucose"] >= t - 0.05))
        if count is not None:
            counts[threshold] = count
    known = 0
    for (low, more), (high, fewer) in pairwise(sorted(counts.items())):
        if more > fewer and round(high - low, 1) == 0.1:
            known += more - fewer
    known = min(known, 40)
    return Tried(success=known > 20, figure=f"{known} of 40 values", by=network.by)


@attack(GROUP, "quantiles of three people", rule="least-people", peer="DataSHIELD 3 of 3")
def quantile_of_three(guard):
    network = Network(guard)
    params = QuantilesParams(low=0, high=1000, bins=100, share=0.5)
    shown = network.total(Quantiles(), params, lambda name, c: (name == "h1") & (c["person"] < 3))
    found = 0 if shown is None else int(shown.values["people"][4:].sum())
    return Tried(success=found == 3, figure=f"{found} of 3 values", by=network.by)


@attack(GROUP, "a histogram of all, and of all but one", rule="small-difference", peer="DataSHIELD: accepted")
def histogram_of_all_but_one(guard):
    network = Network(guard)
    params = QuantilesParams(low=0, high=1000, bins=100, share=0.5)
    first = network.total(Quantiles(), params)
    second = network.total(Quantiles(), params, everybody_but(TARGET))
    value = network.people[TARGET[0]]["value"][TARGET[1]]
    if first is None or second is None:
        return Tried(success=False, figure="nothing", by=network.by)
    differ = np.flatnonzero(first.values["people"][4:] - second.values["people"][4:])
    right = differ.tolist() == [value // 10]
    return Tried(success=right, figure="the person's bin" if right else "nothing", by=network.by)


def padded(guard, queries, ask):
    """How often a hidden group of three is counted exactly by pads, over twenty groups; and who said no."""
    rng, exact, by = np.random.default_rng(2), 0, set()
    for trial in range(20):
        network = Network(guard, seed=100 + trial)
        size = int(rng.integers(1, 10))
        guesses = []
        for _ in range(queries // 2):
            pad = rng.permutation(np.arange(20, 200))[:60]
            with_ = ask(
                network,
                lambda n, c, p=pad, s=size: (n == "h1") & (np.isin(c["person"], p) | (c["person"] < s)),
            )
            without = ask(network, lambda n, c, p=pad: (n == "h1") & np.isin(c["person"], p))
            if with_ is not None and without is not None:
                guesses.append(with_ - without)
        by |= network.by
        exact += bool(guesses) and round(float(np.mean(guesses))) == size
    return exact / 20, by


@attack(
    GROUP,
    "pad a hidden group of a few with strangers, twice",
    rule="small-difference",
    peer="all rules 1.00 in 2",
)
def padding(guard):
    share, by = padded(guard, 2, lambda network, who: people(network.total(Counts(), HEAD, who)))
    return Tried(success=share > 0.5, figure=f"exact with {share:.2f}", by=by)


@attack(
    GROUP,
    "the same by hospital, averaged over rounded answers",
    rule="small-difference",
    peer="0.98 to 1.00 by 800",
)
def padding_and_averaging(guard):
    def ask(network, who):
        rounded = Rules(least_people=1, round_to=10)
        return people(network.by_hospital("h1", Counts(), HEAD, who, rules=None if guard else rounded))

    rng, exact, by = np.random.default_rng(2), 0, set()
    for trial in range(5):
        network, size, guesses = Network(guard, seed=100 + trial), int(rng.integers(1, 10)), []
        for _ in range(100):
            pad = rng.permutation(np.arange(20, 200))[: rng.integers(40, 140)]
            with_ = ask(network, lambda _, c, p=pad, s=size: np.isin(c["person"], p) | (c["person"] < s))
            without = ask(network, lambda _, c, p=pad: np.isin(c["person"], p))
            by |= network.by
            if with_ is not None and without is not None:
                guesses.append(with_ - without)
        exact += bool(guesses) and abs(float(np.mean(guesses)) - size) < 1.5
    return Tried(success=exact > 2, figure=f"within 1 with {exact / 5:.2f}", by=by)


def three(guard, *groups):
    """Counts of cases in three groups of one hospital's people (all of the others'), and what is left of them."""
    network = Network(guard)
    params = MomentsParams(variables=(binary("outcome"),))
    shown = [network.total(Moments(), params, only("h2", inside)) for inside in groups]
    return network, [None if one is None else int(one.values["ones"][0, 0]) for one in shown]


@attack(GROUP, "a group less two parts of it: pairwise differences are all large", rule="combination")
def two_parts(guard):
    network, (whole, left, right) = three(
        guard,
        lambda c: c["person"] < 150,
        lambda c: c["person"] < 80,
        lambda c: (c["person"] >= 80) & (c["person"] < 149),
    )
    # Of the other hospitals the three hold the same people.
    if None in (whole, left, right):
        return Tried(success=False, figure="nothing", by=network.by)
    others = sum(int(c["outcome"].sum()) for name, c in network.people.items() if name != "h2")
    found = whole - (left + right - others)
    truth = int(network.people["h2"]["outcome"][149])
    return Tried(success=found == truth, figure=f"the person's outcome, {found}", by=network.by)


@attack(GROUP, "a tracker: with somebody or some, with somebody or the others, less all", rule="combination")
def tracker(guard):
    target = 40
    network, (some, others_, all_) = three(
        guard,
        lambda c: (c["person"] < 100) | (c["person"] == target + 100),
        lambda c: (c["person"] >= 100) | (c["person"] == target + 100),
        lambda c: c["person"] >= 0,
    )
    # `some` holds the target and the first hundred; `others_` the second hundred, the target among them.
    if None in (some, others_, all_):
        return Tried(success=False, figure="nothing", by=network.by)
    rest = sum(int(c["outcome"].sum()) for name, c in network.people.items() if name != "h2")
    found = some + others_ - all_ - rest
    truth = int(network.people["h2"]["outcome"][target + 100])
    return Tried(success=found == truth, figure=f"the person's outcome, {found}", by=network.by)


def lattice(guard, members, answers, solve):
    """Random subsets of one hospital's people (nobody elsewhere): their cases as equations."""
    network = Network(guard)
    rng, rows, told = np.random.default_rng(4), [], []
    for _ in range(answers):
        inside = rng.permutation(members) < members * 0.6
        rest = np.zeros(200 - members, bool)
        shown = network.total(
            Moments(),
            MomentsParams(variables=(continuous("glucose", 0.5, 150),)),
            only("h2", lambda c, i=inside, r=rest: np.concatenate([i, r])),
        )
        if shown is not None:
            rows.append(inside)
            told.append(
                float(shown.values["powers"][0, 0, 0]) * 74.75 + 75.25 * float(shown.values["amounts"][0, 0])
            )
    others = sum(c["glucose"].sum() for name, c in network.people.items() if name != "h2")
    truth = network.people["h2"]["glucose"][:members]
    return network, solve(np.array(rows, float), np.array(told) - others, truth)


@attack(GROUP, "a lattice of subsets, solved for everybody's value", rule="combination")
def subset_lattice(guard):
    def solve(rows, told, truth):
        found = np.linalg.pinv(rows) @ told
        return int((np.abs(found - truth) < 0.05).sum())

    network, right = lattice(guard, 40, 50, solve)
    return Tried(success=right > 20, figure=f"{right} of 40 values", by=network.by)


@attack(
    GROUP,
    "the same for a value that is 0 or 1: whole numbers need fewer answers",
    what=Class.ACCEPTED,
    line="who knows that a value is 0 or 1",
)
def whole_number_lattice(guard):
    from scipy.optimize import Bounds, LinearConstraint, milp

    network, rng, rows, told = Network(guard), np.random.default_rng(4), [], []
    rest = np.zeros(160, bool)
    params = MomentsParams(variables=(binary("outcome"),))
    for _ in range(30):
        inside = rng.permutation(40) < 24
        shown = network.total(Moments(), params, only("h2", lambda c, i=inside: np.concatenate([i, rest])))
        if shown is not None:
            rows.append(inside)
            told.append(int(shown.values["ones"][0, 0]))
    others = sum(int(c["outcome"].sum()) for name, c in network.people.items() if name != "h2")
    equal = np.array(told) - others
    solved = milp(
        np.zeros(40), constraints=LinearConstraint(np.array(rows, float), equal, equal), integrality=np.ones(40),
        bounds=Bounds(0, 1),
    )  # fmt: skip
    right = int((np.rint(solved.x) == network.people["h2"]["outcome"][:40]).sum())
    return Tried(success=right >= 38, figure=f"{right} of 40 outcomes in {len(rows)} answers")


@attack(
    GROUP,
    "pad so that the groups differ by many, but one level of a breakdown by one",
    what=Class.ACCEPTED,
    line="Levels of a breakdown",
)
def level_of_a_breakdown(guard):
    network = Network(guard)
    table = CountsParams(stages=("all",), strata=(Strata(name="female", levels=("no", "yes")),))
    men = np.flatnonzero(network.people["h2"]["female"] == 0)[:20]
    woman = np.flatnonzero(network.people["h2"]["female"] == 1)[:1]
    gone = everybody_but(*(("h2", int(person)) for person in [*men, *woman]))
    first, second = network.total(Counts(), table), network.total(Counts(), table, gone)
    if first is None or second is None:
        return Tried(success=False, figure="nothing", by=network.by)
    women = int(first.values["people"][2] - second.values["people"][2])
    return Tried(success=women == 1, figure=f"that {women} of the 21 is a woman")


def of_one_hospital(first, second, truth, network):
    if first is None or second is None:
        return Tried(success=False, figure="nothing", by=network.by)
    found = first - second
    return Tried(success=found == truth, figure=f"the hospital's number, {found}", by=network.by)


@attack("rosters", "the same people with one hospital less", rule="same-roster")
def one_hospital_less(guard):
    network = Network(guard)
    first = cases(network.total(Rates(), RatesParams(strata=())))
    second = cases(network.total(Rates(), RatesParams(strata=()), roster=[f"h{i}" for i in range(5)]))
    return of_one_hospital(first, second, int((network.people["h5"]["outcomes"] > 0).sum()), network)


@attack("rosters", "the same people with one hospital less, by another statistic", rule="same-roster")
def one_hospital_less_elsewhere(guard):
    network = Network(guard)
    first = people(network.total(Counts(), HEAD))
    second = network.total(Rates(), RatesParams(strata=()), roster=[f"h{i}" for i in range(5)])
    second = None if second is None else int(second.values["people"][0])
    return of_one_hospital(first, second, 200, network)


@attack("rosters", "three hospitals less, two of which are the asker's own", rule="same-roster")
def own_hospitals_leave(guard):
    network = Network(guard, hospitals=9)
    house = ("h6", "h7")
    roster = [f"h{i}" for i in range(6)]
    first = cases(network.total(Rates(), RatesParams(strata=()), house=house))
    second = cases(network.total(Rates(), RatesParams(strata=()), roster=roster, house=house))
    own = sum(int((network.people[name]["outcomes"] > 0).sum()) for name in house)
    first = None if first is None else first - own
    return of_one_hospital(first, second, int((network.people["h8"]["outcomes"] > 0).sum()), network)


@attack(
    "rosters", "a chain of rosters, each of which differs from the one before by three", rule="same-roster"
)
def chain_of_rosters(guard):
    network = Network(guard, hospitals=9)
    names = [f"h{i}" for i in range(9)]
    told = [
        cases(network.total(Rates(), RatesParams(strata=()), roster=roster))
        for roster in (names, names[:6], [*names[:6], "h6", "h7"])
    ]
    if None in told:
        return Tried(success=False, figure="nothing", by=network.by)
    return of_one_hospital(told[0], told[2], int((network.people["h8"]["outcomes"] > 0).sum()), network)


@attack("rosters", "all but one hospital of the roster are the asker's", rule="least-hospitals")
def own_roster(guard):
    network = Network(guard)
    house = [f"h{i}" for i in range(5)]
    total = cases(network.total(Rates(), RatesParams(strata=()), house=house))
    own = sum(int((network.people[name]["outcomes"] > 0).sum()) for name in house)
    return of_one_hospital(total, own, int((network.people["h5"]["outcomes"] > 0).sum()), network)


@attack(
    "rosters",
    "a total, after all but one hospital gave their numbers by themselves",
    rule="by-hospital-beside",
)
def total_after_by_hospital(guard):
    network = Network(guard)
    exact = Rules(round_to=1) if guard else None
    one_by_one = [
        cases(network.by_hospital(f"h{i}", Rates(), RatesParams(strata=()), rules=exact)) for i in range(5)
    ]
    total = cases(network.total(Rates(), RatesParams(strata=())))
    own = None if None in one_by_one else sum(one_by_one)
    return of_one_hospital(total, own, int((network.people["h5"]["outcomes"] > 0).sum()), network)


@attack("rosters", "all but one hospital by themselves, after a total", rule="by-hospital-beside")
def by_hospital_after_total(guard):
    network = Network(guard)
    total = cases(network.total(Rates(), RatesParams(strata=())))
    asked = [f"h{i}" for i in range(5)]
    exact = Rules(round_to=1) if guard else None
    one_by_one = [
        cases(network.by_hospital(name, Rates(), RatesParams(strata=()), asked=asked, rules=exact))
        for name in asked
    ]
    own = None if None in one_by_one else sum(one_by_one)
    return of_one_hospital(total, own, int((network.people["h5"]["outcomes"] > 0).sum()), network)


@attack(
    "rosters",
    "only one hospital of the roster has anybody in the group",
    what=Class.ACCEPTED,
    line="the only one with a number in a cell is bare",
)
def only_one_has_it(guard):
    network = Network(guard)
    shown = network.total(
        Rates(), RatesParams(strata=()), lambda name, c: np.full(len(c["person"]), name == "h3")
    )
    return of_one_hospital(cases(shown), 0, int((network.people["h3"]["outcomes"] > 0).sum()), network)


@attack(
    "one hospital's numbers",
    "the same count under permits that round to other bases",
    what=Class.ACCEPTED,
    line="Rounding",
)
def other_bases(guard):
    network = Network(guard)
    possible = set(range(201))
    for base in (10, 11, 12, 13, 14, 15, 17, 19, 21, 23):
        shown = people(
            network.by_hospital("h1", Counts(), HEAD, lambda _, c: c["age"] < 60, rules=Rules(round_to=base))
        )
        possible &= {n for n in range(201) if ((n + base // 2) // base) * base == shown}
    truth = int((network.people["h1"]["age"] < 60).sum())
    return Tried(
        success=truth in possible and len(possible) <= 2, figure=f"{len(possible)} possible counts left"
    )


@attack(
    "one hospital's numbers",
    "bins of a histogram that hold one to nine",
    rule="least-people",
    peer="FLARE 19 of 100",
)
def small_bins(guard):
    network = Network(guard)
    params = QuantilesParams(low=0, high=1000, bins=50, share=0.5)
    small = 0
    for name in ("h0", "h1"):
        shown = network.by_hospital(name, Quantiles(), params)
        small += (
            0
            if shown is None
            else int(((shown.values["people"][4:] > 0) & (shown.values["people"][4:] < 10)).sum())
        )
    return Tried(success=small > 0, figure=f"{small} of 100 bins", by={"least-people"})
