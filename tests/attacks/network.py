"""A network to attack: hospitals with made-up people, asked through the real gate, suppression and ledger.

Responsible for: what an asker sees of a total or of one hospital, with the guard on or off. Not responsible for: masks and
signatures (`hub`), attacks. Off means rules that hide nothing and a memory that forgets.
"""

from functools import reduce

import numpy as np

from dure.guard import ledger
from dure.guard.gate import (
    Withheld,
    judge_concentration,
    judge_ledger,
    judge_total,
    judge_values,
    release_hospital,
    release_support,
    release_values,
)
from dure.guard.populations import Past
from dure.stats.base import Again, Answer, Frame, Released
from dure.wire import ring
from dure.wire.messages import unpack
from dure.wire.rules import RULES_OFF, Rules
from dure.wire.sums import Sums

LABS = ("glucose", "lactate", "sodium", "albumin", "ferritin")


class Network:
    """Six hospitals of two hundred people unless said otherwise.

    Attributes:
        people: columns of each hospital, by name.
        by: the rules that have said no.
        asked: how many answers were asked for.
    """

    def __init__(self, guard, *, hospitals=6, people=200, seed=5):
        rng = np.random.default_rng(seed)
        self.guard = guard
        self.rules = Rules() if guard else RULES_OFF
        self.people = {f"h{place}": made(rng, people) for place in range(hospitals)}
        self.past = {name: [] for name in self.people}
        self.by = set()
        self.runs = 0

    def total(self, statistic, params, choose=None, *, state=None, roster=None, house=(), run=None):
        """What is shown of the network's total over the chosen people; None if nothing is.

        Args:
            choose: from a hospital's name and columns, who is asked about.
            house: hospitals of the asker's affiliation.
            run: the study, where several steps belong to one.
        """
        self.runs += 1
        run = run or f"r{self.runs}"
        roster = tuple(roster or self.people)
        outside = frozenset(roster) - frozenset(house)
        layout, names = statistic.layout(params), statistic.populations(params)
        named = tuple(dict.fromkeys(p.ref for past in self.past.values() for p in past if not p.by_hospital))
        answers, memories = {}, {}
        for name in roster:
            frame = self.frame(name, choose)
            answers[name] = statistic.local(frame, params, state or statistic.begin(params))
            memories[name] = ledger.Memory(
                me=name, run=run, step=self.runs, past=tuple(self.past[name]) if self.guard else (),
                named=named if self.guard else (), members=frozenset(roster), outside=outside,
            )  # fmt: skip
        told = [release_support(layout, answers[n], self.rules, memories[n]) for n in roster]
        if self._no(told):
            return None
        cells, listed = len(layout.cells), named if self.guard else ()
        added = ring.integers(_added(told, cells + ledger.size(len(names), len(listed))))
        is_open = judge_total(layout, added[:cells], self.rules, hospitals=len(outside))
        if self._no([is_open]):
            return None
        shown = judge_ledger(
            layout,
            added[:cells],
            added[cells:],
            is_open,
            names,
            listed,
            self.rules,
            run=run,
            hospitals=len(roster),
        )
        if self._no([shown]):
            return None
        told = [release_values(layout, answers[n], is_open, self.rules, memories[n]) for n in roster]
        if self._no(told):
            return None
        sums = Sums.from_ring(layout, _added(told, layout.size))
        if self._no([judge_values(sums, added[:cells]), judge_concentration(sums, self.rules)]):
            return None
        for name in roster:
            for population in shown:
                self._keep(
                    name, answers[name], population, run, frozenset(roster), outside, by_hospital=False
                )
        return Released(layout=layout, open=is_open, values=sums.values)

    def by_hospital(self, name, statistic, params, choose=None, *, asked=None, rules=None):
        """What one hospital gives by itself; None if nothing."""
        self.runs += 1
        rules = rules or self.rules
        layout = statistic.layout(params)
        answer = statistic.local(self.frame(name, choose), params, statistic.begin(params))
        members = frozenset(asked or self.people)
        memory = ledger.Memory(
            me=name, run=f"r{self.runs}", step=0, past=tuple(self.past[name]) if self.guard else (),
            members=members, outside=members,
        )  # fmt: skip
        told = release_hospital(layout, answer, rules, memory)
        if self._no([told]):
            return None
        cells = len(layout.cells)
        lanes = ring.from_bytes(told.numbers, cells + layout.size)
        for population in told.populations:
            self._keep(name, answer, population, f"r{self.runs}", members, members, by_hospital=True)
        sums = Sums.from_ring(layout, lanes[cells:])
        return Released(layout=layout, open=unpack(told.shown, cells, where="attack"), values=sums.values)

    def fitted(self, statistic, params, choose=None):
        """What each round of a statistic shows, until it is done or nothing is shown."""
        state, run = statistic.begin(params), f"fit{self.runs}"
        while (shown := self.total(statistic, params, choose, state=state, run=run)) is not None:
            yield shown
            outcome = statistic.step(params, state, shown)
            if not isinstance(outcome, Again):
                return
            state = outcome.state

    def frame(self, name, choose=None):
        columns = self.people[name]
        inside = np.ones(len(columns["person"]), dtype=bool) if choose is None else choose(name, columns)
        return Frame(
            person=columns["person"][inside],
            columns={key: column[inside] for key, column in columns.items() if key != "person"},
        )

    def _keep(self, name, answer: Answer, population, run, members, outside, *, by_hospital):
        people = answer.populations[population]
        told = ledger.ref(run, self.runs, population, answer.sums.layout)
        self.past[name].append(
            Past(
                ref=told, size=len(people), load=lambda: people, members=members, outside=outside,
                by_hospital=by_hospital,
            )
        )  # fmt: skip

    def _no(self, judged):
        """Whether one of the judgements is a refusal; its rule is kept."""
        for one in judged:
            if isinstance(one, Withheld):
                self.by.add(one.rule.id)
                return True
        return False


def made(rng, people):
    """Columns of one hospital's people."""
    columns = {
        "person": np.arange(people),
        "age": rng.integers(20, 90, people),
        "female": rng.integers(0, 2, people),
        "treated": rng.integers(0, 2, people),
        "outcome": (rng.random(people) < 0.2).astype(int),
        "value": rng.integers(0, 1000, people),
        "days": rng.integers(30, 1500, people),
        "outcomes": (rng.random(people) < 0.2).astype(int),
        "reached": np.ones(people, dtype=int),
    }
    return columns | {lab: np.round(rng.normal(50, 10, people), 1) for lab in LABS}


def _added(told, size):
    return reduce(ring.add, (ring.from_bytes(one.numbers, size) for one in told))
