"""The chart: what is written down about the people of one chunk, visit by visit.

Responsible for: collecting visits and what happens at them, compactly, with every date inside the observation period
that the visit belongs to. Not responsible for: what happens (the other files decide), or CDM columns (`tables`).
"""

from dataclasses import dataclass, field

import numpy as np

from dure.demo.synth.arrays import Bools, Floats, Ints
from dure.demo.synth.people import People

OUTPATIENT, INPATIENT, EMERGENCY = 0, 1, 2


@dataclass(kw_only=True)
class Rows:
    """The rows of one sort of event, gathered column by column."""

    names: tuple[str, ...]
    parts: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, count: int, **columns: "np.ndarray | float | int") -> None:
        """Append `count` rows; a number stands for a column of it."""
        for name in self.names:
            column = columns[name]
            whole = column if isinstance(column, np.ndarray) else np.full(count, column)
            kind = np.float32 if whole.dtype.kind == "f" else np.int32
            self.parts.setdefault(name, []).append(whole.astype(kind, copy=False))

    def columns(self) -> dict[str, np.ndarray]:
        """The whole columns; the parts are given up."""
        whole = {
            name: np.concatenate(self.parts.pop(name)) if name in self.parts else np.empty(0, np.int32)
            for name in self.names
        }
        self.parts.clear()
        return whole


class Chart:
    """The chart of `people`. A visit is known by its number: the order in which it was opened."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.opened = 0
        self.visits = Rows(names=("person", "start", "end", "limit", "kind"))
        self.conditions = Rows(names=("visit", "concept", "day", "end", "primary"))
        self.drugs = Rows(names=("visit", "product", "days", "quantity", "refills"))
        self.measurements = Rows(names=("visit", "test", "value", "answer"))
        self.procedures = Rows(names=("visit", "concept"))
        self.observations = Rows(names=("visit", "concept", "answer"))

    def visit(
        self,
        person: Ints,
        start: Ints,
        *,
        kind: "Ints | int" = OUTPATIENT,
        nights: "Ints | int" = 0,
        early: "Bools | None" = None,
    ) -> Ints:
        """Open one visit for each (person, first day); `early` marks those in the person's first of two periods.

        A stay ends with the period at the latest. Returns the visits' numbers.
        """
        limit = self.people.end[person]
        if early is not None:
            limit = np.where(early, self.people.early_end[person], limit)
        end = np.minimum(start + nights, limit)
        self.visits.add(len(person), person=person, start=start, end=end, limit=limit, kind=kind)
        first = self.opened
        self.opened += len(person)
        return np.arange(first, self.opened, dtype=np.int32)

    def diagnose(
        self,
        visit: Ints,
        concept: "Ints | int",
        *,
        day: "Ints | int" = 0,
        days: "Ints | int" = 0,
        primary: "Bools | int" = 1,
    ) -> None:
        """Record a condition `day` days into each visit, lasting `days` more (cut at the period's end)."""
        self.conditions.add(len(visit), visit=visit, concept=concept, day=day, end=days, primary=primary)

    def prescribe(
        self,
        visit: Ints,
        product: "Ints | int",
        *,
        days: "Ints | int",
        per_day: "Ints | int" = 1,
        refills: "Ints | int" = 0,
    ) -> None:
        """Prescribe a product for a number of days at each visit."""
        quantity = np.asarray(days) * np.asarray(per_day)
        self.drugs.add(
            len(visit), visit=visit, product=product, days=days, quantity=quantity, refills=refills
        )

    def measure(self, visit: Ints, test: "Ints | int", value: Floats, answer: "Ints | int" = 0) -> None:
        """Record the result of a test (its place in `tests.TESTS`) at each visit: a number, or an answer concept."""
        self.measurements.add(len(visit), visit=visit, test=test, value=value, answer=answer)

    def perform(self, visit: Ints, concept: "Ints | int") -> None:
        """Record a procedure at each visit."""
        self.procedures.add(len(visit), visit=visit, concept=concept)

    def observe(self, visit: Ints, concept: "Ints | int", answer: "Ints | int") -> None:
        """Record an observation at each visit."""
        self.observations.add(len(visit), visit=visit, concept=concept, answer=answer)
