"""Against noise: thinning it, averaging it out, taking one's own part away, reading what thresholds would have hidden.

Off, numbers leave exact, or there is no budget, or a hospital doesn't count the shares. Draws are seeded, so that the table's
figures stay; the real ones are tried in `tests/unit/guard/test_noise.py`.
"""

from dataclasses import replace

import numpy as np

from dure.guard import accounting, noise
from dure.guard.gate import release_noised
from dure.guard.neighbours import threshold
from dure.node.budget import Budget, Purse
from dure.stats.counts import Counts, CountsParams
from dure.study.protocol.party import MaskRefused
from dure.wire import ring
from dure.wire.messages import Exchange
from dure.wire.rules import Noise, Rules
from tests.attacks.attack import Class, Tried, attack
from tests.attacks.network import Network
from tests.attacks.subtraction import TARGET, everybody_but
from tests.unit.study.test_party import World

NOISE = "noise"
ONE = Noise(epsilon=1.0, delta=1e-6)
HEAD = CountsParams(stages=("all",), strata=())
LAYOUT = Counts().layout(HEAD)
HOSPITALS, HELPERS = 20, 6


def seeded(seed):
    rng = np.random.default_rng(seed)
    return lambda scale, size: np.rint(rng.normal(0, scale, size)).astype(np.int64)


def nothing(scale, size):
    return np.zeros(size, dtype=np.int64)


def plan(rules=ONE, hospitals=HOSPITALS):
    return noise.plan(LAYOUT, rules, accounting.rho_of(rules.epsilon, rules.delta), hospitals)


def counted(network, draw, choose=None):
    """The network's number of people, as the gate of every hospital lets it out."""
    total, made = 0, plan(hospitals=len(network.people))
    for name in network.people:
        answer = Counts().local(network.frame(name, choose), HEAD, Counts().begin(HEAD))
        told = release_noised(LAYOUT, answer, made, draw)
        total += int(ring.integers(ring.from_bytes(told.numbers, 1))[0])
    return total


@attack(NOISE, "a hub drops hospitals, so that the noise of few is left", rule="noise")
def thinned_noise(guard):
    world = World(Rules(noise=ONE))
    task = world.until(Exchange.SUPPORT)
    if not guard:
        player = world.players["a"]
        player.table = replace(player.table, least_shares=0)
    try:
        world.said("a", replace(task, members=task.members[:3]))
    except MaskRefused as problem:
        return Tried(success=False, figure="nothing", by={problem.rule})
    return Tried(success=True, figure="numbers with 3 shares where 4 were reckoned with")


@attack(NOISE, "ask the same again and again, and average", what=Class.BOUNDED, rule="noise-budget")
def averaged_noise(guard):
    """A budget of epsilon 10 at a hospital that tells epsilon 1 an answer; off, there is none."""
    purse, made = Purse(budget=Budget(epsilon=10.0, delta=1e-6), spent=0.0), plan()
    answers = 0
    while answers < 100_000 and (not guard or purse.refusal(made.rho) is None):
        purse, answers = replace(purse, spent=purse.spent + made.rho), answers + 1
        if not guard:
            answers = 100_000
    drawn = seeded(7)(made.support.deviation(threshold(HOSPITALS)), answers)
    error = abs(float(drawn.mean()))
    return Tried(
        success=error < 0.1, figure=f"a count to {error:.2f} people, from {answers:,} answers",
        by={"noise-budget"} if guard else frozenset(),
        gain=accounting.epsilon_of(purse.spent, 1e-6), bound=10.0,
    )  # fmt: skip


@attack(
    NOISE, "hospitals that help the hub take their own noise out of the sum", what=Class.BOUNDED, rule="noise"
)
def colluders_noise(guard):
    """Six of twenty help; off, nobody reckoned with it."""
    made = plan(replace(ONE, colluders=HELPERS if guard else 0)).support
    left = threshold(HOSPITALS) - HELPERS
    gain = accounting.epsilon_of(accounting.loss(made.squares, made.scale, left, made.size), ONE.delta)
    return Tried(
        success=gain > ONE.epsilon * 1.001, figure=f"epsilon {gain:.2f} where 1 was promised", by={"noise"},
        gain=gain, bound=ONE.epsilon,
    )  # fmt: skip


@attack(NOISE, "read a support that thresholds would hide", what=Class.BOUNDED, rule="noise")
def small_support(guard):
    """Three patients in the network: the hub adds up the support to judge it. Off, it carries no noise."""
    network = Network(guard)
    few = counted(
        network,
        seeded(3) if guard else nothing,
        lambda name, columns: (columns["person"] < 1) & (name in {"h0", "h1", "h2"}),
    )
    return Tried(
        success=few == 3, figure=f"3 people as {few}", by={"noise"} if guard else frozenset(),
        gain=accounting.epsilon_of(plan().rho, ONE.delta), bound=ONE.epsilon,
    )  # fmt: skip


@attack(NOISE, "an exact total, and one with noise without one person", what=Class.BOUNDED, rule="noise")
def exact_beside_noised(guard):
    network = Network(guard)
    draw = seeded(11) if guard else nothing
    everyone = sum(len(columns["person"]) for columns in network.people.values())
    away = everyone - counted(network, draw, everybody_but(TARGET))
    return Tried(
        success=away == 1, figure=f"1 person as {away}", by={"noise"} if guard else frozenset(),
        gain=accounting.epsilon_of(plan().rho, ONE.delta), bound=ONE.epsilon,
    )  # fmt: skip
