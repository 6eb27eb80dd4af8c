"""A hospital that lies, and numbers that no people add up to."""

from functools import reduce

import numpy as np

from dure.guard.gate import Withheld, judge_total, judge_values, release_support
from dure.stats.base import Answer, Frame, Nothing
from dure.stats.rates import Rates, RatesParams
from dure.stats.strata import Strata
from dure.wire import ring
from dure.wire.rules import Rules
from dure.wire.sums import Sums
from tests.attacks.attack import Class, Tried, attack

GROUP = "a hospital that lies"
PARAMS = RatesParams(strata=(Strata(name="s", levels=("a", "b")),))
LAYOUT = Rates().layout(PARAMS)


def answer(seed, people=60):
    rng = np.random.default_rng(seed)
    columns = {
        "days": rng.integers(30, 400, people),
        "outcomes": (rng.random(people) < 0.4).astype(int),
        "s": rng.integers(0, 2, people),
    }
    return Rates().local(Frame(person=np.arange(people), columns=columns), PARAMS, Nothing())


HONEST = [answer(seed) for seed in range(3)]


def spoilt(guard, support=None, values=None):
    """Three honest hospitals and one that changes its numbers on the way out: what comes of the total."""
    liar = answer(9)
    told = liar.support.copy() if support is None else support(liar.support.copy())
    sent = {name: array.astype(np.float64) for name, array in liar.sums.values.items()}
    if values is not None:
        values(sent)
    people = sum(one.support for one in HONEST) + told
    lanes = [one.sums.to_ring() for one in HONEST]
    mine = np.concatenate([ring.to_ring(sent[f.name].ravel(), f.scale) for f in LAYOUT.fields])
    total = reduce(ring.add, [*lanes, mine])
    true_people = sum(one.support for one in [*HONEST, liar])
    if guard:
        judged = judge_total(LAYOUT, people, Rules(), hospitals=4)
        if isinstance(judged, Withheld):
            return Tried(success=False, figure="no total", by={judged.rule.id})
        try:
            fault = judge_values(Sums.from_ring(LAYOUT, total), people)
        except OverflowError:
            return Tried(success=False, figure="no total", by={"bounds"})
        if fault is not None:
            return Tried(success=False, figure="no total", by={fault.rule.id})
    changed = bool((people != true_people).any()) or values is not None
    return Tried(success=changed, figure="a wrong total")


def at(index, value):
    def change(support):
        support[index] = value
        return support

    return change


@attack(GROUP, "fewer than nobody in a cell", what=Class.DETECTED, rule="bounds")
def negative_people(guard):
    return spoilt(guard, support=at(0, -10_000))


@attack(GROUP, "parts that don't make their whole", what=Class.DETECTED, rule="consistent")
def parts_without_whole(guard):
    return spoilt(guard, support=at(3, 5))


@attack(GROUP, "more days than its people can live", what=Class.DETECTED, rule="bounds")
def too_many_days(guard):
    return spoilt(guard, values=lambda sent: sent["days"].__setitem__(0, 1e12))


@attack(GROUP, "outcomes below zero", what=Class.DETECTED, rule="bounds")
def negative_outcomes(guard):
    return spoilt(guard, values=lambda sent: sent["outcomes"].__setitem__(0, -1e6))


@attack(GROUP, "a number so large that the sum wraps around", what=Class.DETECTED, rule="bounds")
def wrap_around(guard):
    return spoilt(guard, values=lambda sent: sent["days"].__setitem__(0, 2.0**119))


@attack(GROUP, "as many days as its people can live", what=Class.BOUNDED, rule="bounds")
def within_bounds(guard):
    """Off, a liar adds what it likes; on, what the bound allows for the people that it claims."""
    liar = answer(9)
    most = float(next(f for f in LAYOUT.fields if f.name == "days").bound * liar.support[0])
    wanted = most if guard else 1e12
    tried = spoilt(guard, values=lambda sent: sent["days"].__setitem__(0, wanted))
    truth = float(sum(one.sums.values["days"][0] for one in [*HONEST, liar]))
    gain = (wanted - float(liar.sums.values["days"][0])) / truth
    return Tried(
        success=tried.success and gain > most / truth, figure=f"the total times {1 + gain:.2g}", by={"bounds"},
        gain=gain, bound=most / truth,
    )  # fmt: skip


def own_gate(guard, answer_, figure):
    """A statistic that goes wrong at an honest hospital: its own gate."""
    if not guard:
        return Tried(success=True, figure=figure)
    judged = release_support(LAYOUT, answer_)
    if isinstance(judged, Withheld):
        return Tried(success=False, figure="nothing leaves", by={judged.rule.id})
    return Tried(success=True, figure=figure)


@attack(GROUP, "numbers laid out by another study", rule="consistent")
def another_layout(guard):
    other = RatesParams(strata=())
    frame = Frame(person=np.arange(60), columns={"days": np.full(60, 9), "outcomes": np.zeros(60, int)})
    made = Rates().local(frame, other, Nothing())
    leaves = not guard and len(made.support) != len(LAYOUT.cells)
    return own_gate(guard, made, "a shifted vector") if guard or leaves else Tried(success=False, figure="")


@attack(GROUP, "a count of people that its parts contradict", rule="consistent")
def contradiction_at_home(guard):
    good = HONEST[0]
    support = good.support.copy()
    support[0] += 7
    return own_gate(guard, Answer(sums=good.sums, support=support, populations={}), "a wrong count")


@attack(GROUP, "claims of people who don't exist", what=Class.ACCEPTED, line="A hospital that lies")
def people_who_do_not_exist(guard):
    """As many again of every kind, in every part: nothing contradicts it."""
    liar = answer(9)
    return spoilt(guard, support=lambda support: 2 * support, values=lambda sent: [
        sent.__setitem__(name, 2 * liar.sums.values[name].astype(np.float64)) for name in sent
    ])  # fmt: skip
