"""Mantel-Haenszel with strata that are each hospital's own: the hospital itself, its wards, its years, its matched sets.

Exact for: the estimate over all hospitals' strata. What leaves is no stratum's table but terms, each added over strata and
hospitals. One round. A term such as Σad/n speaks of all four cells of the tables, so these are shown together or not at all.

Not responsible for: strata of the network (`two_by_two`, `rates`), the estimates (`mantel_haenszel`).
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from dure.stats.base import Answer, Done, Frame, Nothing, OneRound, Released, SplitsBy
from dure.stats.mantel_haenszel import RATE_TERMS, TABLE_TERMS, rate_terms, table_terms
from dure.stats.rates import LONGEST_LIFE_DAYS
from dure.stats.two_by_two import CELLS, MADE_OF, MARGINS, cell_of
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Relation, Sums, Unit

SCALE = 64
EVERYONE = 0
FIRST_CELL = 1 + len(MARGINS)


class Measure(StrEnum):
    """What is compared: people with the outcome among people, or outcomes in time at risk."""

    RISK = "risk"
    RATE = "rate"


@message
class HospitalStrataParams:
    """What is compared."""

    measure: Measure


@message
class HospitalStrataResult:
    """People by exposure and outcome over all strata (None: hidden), and the terms, if all of them are shown."""

    people: tuple[int | None, ...]
    terms: dict[str, float] | None


class HospitalStrata(OneRound[HospitalStrataParams, HospitalStrataResult]):
    """Mantel-Haenszel terms over strata that never cross hospitals."""

    name = "hospital_strata"
    params = HospitalStrataParams
    result = HospitalStrataResult
    splits_by = SplitsBy.STRATUM
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-12

    def layout(self, params: HospitalStrataParams) -> Layout:
        """Everyone, the margins, the cells; the terms rest on everyone, which is shown with all the others."""
        relations = [Relation(whole=EVERYONE, parts=(1, 2)), Relation(whole=EVERYONE, parts=(3, 4))]
        relations += [
            Relation(whole=1 + margin, parts=tuple(FIRST_CELL + part for part in parts))
            for margin, parts in enumerate(MADE_OF)
        ]
        names = _terms(params)
        cells = ("everyone", *MARGINS, *CELLS)
        return Layout(
            cells=cells,
            relations=tuple(relations),
            fields=(
                Field(
                    name="people",
                    kind=FieldKind.COUNT,
                    unit=Unit.PERSON,
                    bound=1,
                    rests_on=np.arange(FIRST_CELL, FIRST_CELL + len(CELLS), dtype=np.int64),
                ),
                Field(
                    name="terms",
                    kind=FieldKind.MOMENT,
                    unit=Unit.STRATUM,
                    bound=1 if params.measure is Measure.RISK else LONGEST_LIFE_DAYS,
                    rests_on=np.full(len(names), EVERYONE, dtype=np.int64),
                    scale=SCALE,
                ),
            ),
            together=(tuple(range(len(cells))),),
        )

    def columns(self, params: HospitalStrataParams) -> tuple[str, ...]:
        """`exposed` and `case` (0 or 1), `stratum` (whole numbers of the hospital's own); for rates `outcomes` and `days`."""
        more = ("outcomes", "days") if params.measure is Measure.RATE else ()
        return ("exposed", "case", "stratum", *more)

    def local(self, frame: Frame, params: HospitalStrataParams, state: Nothing) -> Answer:
        """One row a person."""
        cell = cell_of(frame)
        people = np.bincount(cell, minlength=len(CELLS)).astype(np.int64)
        terms = np.zeros(len(_terms(params)))
        if len(cell):
            _, stratum = np.unique(frame.columns["stratum"], return_inverse=True)
            terms = _table(params, frame, cell, stratum).sum(axis=0)
        margins = [people[list(parts)].sum() for parts in MADE_OF]
        return Answer(
            sums=Sums(layout=self.layout(params), values={"people": people, "terms": terms}),
            support=np.array([len(cell), *margins, *people], dtype=np.int64),
            populations={"everyone": np.unique(frame.person)},
        )

    def step(
        self, params: HospitalStrataParams, state: Nothing, total: Released
    ) -> Done[HospitalStrataResult]:
        people = tuple(None if value is None else int(value) for value in total.shown("people"))
        shown = zip(_terms(params), total.values["terms"].tolist(), strict=True)
        return Done(
            result=HospitalStrataResult(people=people, terms=dict(shown) if total.open[EVERYONE] else None)
        )


def _terms(params: HospitalStrataParams) -> tuple[str, ...]:
    return TABLE_TERMS if params.measure is Measure.RISK else RATE_TERMS


def _table(
    params: HospitalStrataParams, frame: Frame, cell: NDArray[np.int64], stratum: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The terms of each stratum. Shape (strata, terms)."""
    strata = int(stratum.max()) + 1

    def tally(
        group: NDArray[np.int64], groups: int, weights: NDArray[np.int64] | None
    ) -> NDArray[np.float64]:
        found = np.bincount(stratum * groups + group, weights=weights, minlength=strata * groups)
        return found.reshape(strata, groups).T.astype(np.float64)

    if params.measure is Measure.RISK:
        return table_terms(*tally(cell, len(CELLS), None))
    unexposed = cell // 2
    events = tally(unexposed, 2, frame.columns["outcomes"])
    days = tally(unexposed, 2, frame.columns["days"])
    return rate_terms(events[0], days[0], events[1], days[1])
