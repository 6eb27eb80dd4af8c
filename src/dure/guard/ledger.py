"""The ledger of populations: what a hospital remembers of its answers, held against the next one.

Responsible for: what a hospital adds to its support so that the network can tell how far its populations are apart; what the
network makes of the sum; what a hospital refuses by itself. Pure. Not responsible for: keeping populations (the node's
journal), which earlier ones are named (`dure.study.protocol`), comparing two groups of people (`populations`).

In `total` mode only totals can be subtracted, so only the network's difference counts: three people here and sixty in all
speak of nobody. Hospitals therefore add up how far a population is from each earlier one, under the masks of the support. Each
says at most k, which decides the same. What a hub that lies could leave out, hospitals look at themselves.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dure.guard.populations import Past, People, apart, small_combination
from dure.guard.register import (
    BOUNDS,
    BY_HOSPITAL_BESIDE,
    COMBINATION,
    SAME_ROSTER,
    SATURATION,
    SMALL_DIFFERENCE,
    GateRule,
)
from dure.wire.rules import Rules
from dure.wire.sums import Layout, Support

OF_A_MODEL = " solved for "
MOST_NAMED = 1000
"""Earlier populations that are named to the hospitals of a run: the newest. Of others a hospital refuses a small difference."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a hospital knows when it answers.

    Attributes:
        past: of what it gave numbers before, oldest first.
        named: refs of the earlier populations that the hub wants compared, in `total`, at a step's first support.
        run, step: where it answers now.
        members: the hospitals whose people are in the number to be or, `by_hospital`, who were asked with this one.
        outside: those of them outside the asker's affiliation.
    """

    me: str
    run: str
    step: int
    past: Sequence[Past] = ()
    named: tuple[str, ...] = ()
    members: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Objection:
    """What the ledger has against an answer."""

    rule: GateRule
    reason: str


def ref(run: str, step: int, name: str, layout: Layout) -> str:
    """The name by which hub and hospitals know a population of which numbers were given; a model's says its coefficients."""
    told = f"{run}/{step}/{name}"
    return told if layout.model is None else f"{told}{OF_A_MODEL}{layout.model.coefficients}"


def _coefficients(told: str) -> int:
    _, of_a_model, count = told.rpartition(OF_A_MODEL)
    return int(count) if of_a_model and count.isdecimal() else 0


def size(populations: int, named: int) -> int:
    """How many numbers a hospital adds to its support for the ledger."""
    return populations * (named + 1)


def entries(populations: Mapping[str, People], memory: Memory, rules: Rules) -> Support:
    """What a hospital adds to its support: for each population, by name, how far it is from each named one, at most k; then
    1 where this hospital is outside the asker's affiliation and hasn't given the same people's numbers by itself.

    A hospital that wasn't in an earlier answer has nobody in its population. Shape (`size`,).
    """
    k = rules.least_people
    known = {past.ref: past for past in memory.past}
    told: list[int] = []
    for name in sorted(populations):
        people = populations[name]
        for each in memory.named:
            past = known.get(each)
            told.append(min(len(people), k) if past is None else apart(people, past, k))
        alone = any(past.by_hospital and apart(people, past, k) < k for past in memory.past)
        told.append(int(memory.me in memory.outside and not alone))
    return np.array(told, dtype=np.int64)


def judge_network(
    sums: Support,
    names: Sequence[str],
    spoken_of: Collection[str],
    named: Sequence[str],
    rules: Rules,
    *,
    run: str,
    hospitals: int,
    model: tuple[int, int] = (0, 0),
) -> Objection | None:
    """What the network's differences say against showing numbers of some populations.

    Args:
        sums: `entries` of the hospitals, added.
        names: all populations of the step.
        spoken_of: those of which numbers are to be shown.
        named: the earlier populations that they were held against.
        hospitals: how many said so.
        run: this run, whose own models the board saw as one study.
        model: the coefficients that the step solves for, and the people that it has for them.
    """
    most = hospitals * rules.least_people
    if ((sums < 0) | (sums > most)).any():
        return Objection(rule=BOUNDS, reason="A hospital says of its populations what no hospital can say.")
    if rules.off:
        return None
    by_name = sums.reshape(len(names), len(named) + 1)
    coefficients, people = model
    for name, row in zip(sorted(names), by_name, strict=True):
        if name not in spoken_of:
            continue
        if ((row[:-1] > 0) & (row[:-1] < rules.least_people)).any():
            return Objection(
                rule=SMALL_DIFFERENCE,
                reason="The people asked about differ by a few from people already answered about.",
            )
        spent = sum(
            _coefficients(told)
            for told, away in zip(named, row[:-1].tolist(), strict=True)
            if not away and not told.startswith(f"{run}/")
        )
        if coefficients and spent and people < rules.least_people * (coefficients + spent):
            return Objection(
                rule=SATURATION,
                reason=f"Earlier models solved for {spent} coefficients of these people: with more they could be solved for rows.",
            )
        if row[-1] < rules.least_hospitals:
            return Objection(
                rule=BY_HOSPITAL_BESIDE,
                reason="All but a few hospitals have given these people's numbers by themselves: a total would tell the rest.",
            )
    return None


def judge_memory(
    populations: Mapping[str, People], memory: Memory, rules: Rules, *, by_hospital: bool
) -> Objection | None:
    """What a hospital itself has against answering, whatever the hub says. Empty populations speak of nobody, and what was
    judged in an earlier round of the step needs no other judgement.

    Args:
        by_hospital: whether this hospital's own numbers are to be given; `small_difference` looks at those given so before.
    """
    k = rules.least_people
    totals = [past for past in memory.past if not past.by_hospital]
    here = f"{memory.run}/{memory.step}/"
    done = {
        past.ref.removeprefix(here).partition(OF_A_MODEL)[0] for past in totals if past.ref.startswith(here)
    }
    other_runs = [past for past in totals if not past.ref.startswith(f"{memory.run}/")]
    for name, people in populations.items():
        if not len(people) or name in done:
            continue
        for past in totals:
            near = apart(people, past, k)
            if near >= k:
                continue
            if not by_hospital and near and past.ref not in memory.named:
                return Objection(
                    rule=SMALL_DIFFERENCE,
                    reason="The people asked about differ by a few from others answered about, which the hub didn't name.",
                )
            if past.ref.startswith(f"{memory.run}/"):
                continue
            if by_hospital and 0 < len(past.outside - memory.members) < rules.least_hospitals:
                return Objection(
                    rule=BY_HOSPITAL_BESIDE,
                    reason="All but a few hospitals of a total would give these people's numbers by themselves: it would tell the"
                    " rest.",
                )
            if not by_hospital and _rosters_subtract(past, memory, rules):
                return Objection(
                    rule=SAME_ROSTER,
                    reason="These people's numbers were given with one or two other hospitals: the two would subtract.",
                )
        if not by_hospital and small_combination(people, other_runs, k):
            return Objection(
                rule=COMBINATION, reason="With earlier answers this one would make up a few people."
            )
    return None


def _rosters_subtract(past: Past, memory: Memory, rules: Rules) -> bool:
    """Whether two rosters differ, and by so few hospitals that the asker's own may not be, that their difference tells of them."""
    differ = (past.outside - memory.members) | (memory.outside & (memory.members - past.members))
    return past.members != memory.members and len(differ) < rules.least_hospitals
