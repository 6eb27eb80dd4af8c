"""Rates: people at risk, cases, outcomes and time at risk, by stratum.

Exact for: everything; integers are added (time is in whole days). One round. Intervals are in `intervals`.
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats.base import Answer, Done, Frame, Nothing, OneRound, Released, SplitsBy
from dure.stats.strata import Strata, people_per_level, power_sums_per_level
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Relation, Sums, Unit

LONGEST_LIFE_DAYS = 125 * 366


@message
class RatesParams:
    """The breakdowns. The whole is always given; a person may be in several levels at different times.

    Attributes:
        most_outcomes, most_days: of one person in one number; what is more doesn't count.
        in_one_level: nobody is in two levels of a breakdown, as where everyone is counted once.
    """

    strata: tuple[Strata, ...]
    most_outcomes: Annotated[int, Checked(ge=1, le=LONGEST_LIFE_DAYS)] = LONGEST_LIFE_DAYS
    most_days: Annotated[int, Checked(ge=1, le=LONGEST_LIFE_DAYS)] = LONGEST_LIFE_DAYS
    in_one_level: bool = False


@message
class RateCell:
    """One stratum. None: hidden, which is not zero.

    Attributes:
        people: distinct people at risk.
        cases: distinct people with at least one outcome.
        outcomes: outcomes.
        days: days at risk.
    """

    people: int | None
    cases: int | None
    outcomes: int | None
    days: int | None


@message
class RatesResult:
    """The whole, and each breakdown's levels in order."""

    overall: RateCell
    strata: dict[str, tuple[RateCell, ...]]


class Rates(OneRound[RatesParams, RatesResult]):
    """Outcomes and time at risk by stratum."""

    name = "rates"
    params = RatesParams
    result = RatesResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)

    def layout(self, params: RatesParams) -> Layout:
        """Stratum i has three cells: at risk (i), cases (n + i), at risk without an outcome (2n + i, never shown)."""
        names = ["overall", *(f"{table.name}/{level}" for table in params.strata for level in table.levels)]
        n = len(names)
        relations = [Relation(whole=i, parts=(n + i, 2 * n + i)) for i in range(n)]
        start = 1
        for table in params.strata:
            levels = range(start, start + len(table.levels))
            relations += [
                Relation(
                    whole=kind * n,
                    parts=tuple(kind * n + level for level in levels),
                    disjoint=params.in_one_level,
                )
                for kind in range(3)
            ]
            start += len(table.levels)
        at_risk, cases = np.arange(n, dtype=np.int64), np.arange(n, 2 * n, dtype=np.int64)
        count, person = FieldKind.COUNT, Unit.PERSON
        return Layout(
            cells=tuple(
                f"{kind}/{name}" for kind in ("at risk", "cases", "without outcome") for name in names
            ),
            relations=tuple(relations),
            fields=(
                Field(name="people", kind=count, unit=person, bound=1, rests_on=at_risk),
                Field(name="cases", kind=count, unit=person, bound=1, rests_on=cases),
                Field(name="outcomes", kind=count, unit=person, bound=params.most_outcomes, rests_on=cases),
                Field(
                    name="days",
                    # A day at most each: they are people.
                    kind=count if params.most_days == 1 else FieldKind.MOMENT,
                    unit=person,
                    bound=params.most_days,
                    rests_on=at_risk,
                    grain=365,
                ),
                Field(
                    name="squares of outcomes",
                    kind=FieldKind.MOMENT,
                    unit=person,
                    bound=params.most_outcomes**2,
                    rests_on=cases,
                    squares_of="outcomes",
                ),
                Field(
                    name="squares of days",
                    kind=FieldKind.MOMENT,
                    unit=person,
                    bound=params.most_days**2,
                    rests_on=at_risk,
                    grain=365**2,
                    squares_of="days",
                ),
            ),
        )

    def populations(self, params: RatesParams) -> tuple[str, ...]:
        return ("at risk/overall", "cases/overall")

    def columns(self, params: RatesParams) -> tuple[str, ...]:
        """`days` at risk, `outcomes` in them, and a column of level numbers for each breakdown."""
        return ("days", "outcomes", *(table.name for table in params.strata))

    def local(self, frame: Frame, params: RatesParams, state: Nothing) -> Answer:
        """One row a time at risk; a person may have several. Rows without a day at risk don't count."""
        days = frame.columns["days"].astype(np.int64)
        at_risk = days > 0
        person, days = frame.person[at_risk], days[at_risk]
        outcomes = frame.columns["outcomes"].astype(np.int64)[at_risk]
        case = outcomes > 0

        def tally(level: NDArray[np.int64], levels: int) -> NDArray[np.int64]:
            people = people_per_level(person, level, levels)
            cases = people_per_level(person[case], level[case], levels)
            of_outcomes = power_sums_per_level(person, level, levels, outcomes, most=params.most_outcomes)
            of_days = power_sums_per_level(person, level, levels, days, most=params.most_days)
            return np.stack([people, cases, *of_outcomes, *of_days])

        tallies = [tally(np.zeros(len(person), dtype=np.int64), 1)]
        for table in params.strata:
            level = frame.columns[table.name][at_risk].astype(np.int64)
            tallies.append(tally(level, len(table.levels)))
        tallied = np.concatenate(tallies, axis=1)
        people, cases = tallied[:2]
        names = ("outcomes", "squares of outcomes", "days", "squares of days")
        return Answer(
            sums=Sums(
                layout=self.layout(params),
                values={"people": people, "cases": cases, **dict(zip(names, tallied[2:], strict=True))},
            ),
            support=np.concatenate([people, cases, people - cases]),
            populations={"at risk/overall": np.unique(person), "cases/overall": np.unique(person[case])},
        )

    def step(self, params: RatesParams, state: Nothing, total: Released) -> Done[RatesResult]:
        columns = [
            [None if value is None else max(int(value), 0) for value in total.shown(name)]
            for name in ("people", "cases", "outcomes", "days")
        ]
        cells = [
            RateCell(people=people, cases=cases, outcomes=outcomes, days=days)
            for people, cases, outcomes, days in zip(*columns, strict=True)
        ]
        strata = {}
        start = 1
        for table in params.strata:
            strata[table.name] = tuple(cells[start : start + len(table.levels)])
            start += len(table.levels)
        return Done(result=RatesResult(overall=cells[0], strata=strata))
