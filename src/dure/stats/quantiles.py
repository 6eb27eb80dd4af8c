"""A quantile: between which two values a share of people lies, by histograms that grow finer.

Exact for: the interval it ends with, which holds the pooled quantile. It goes on into a bin that is shown and must hold it, unless
that told of hidden ones; where hidden bins leave several, it ends with the stretch of those that could, since an exact quantile is one
person's value.

Values are whole numbers, or numbers on a grid of declared step. Type 7, the usual one, lies between two neighbours of the
ordered values: it is found by two searches, one for each (`Rank`), and `type_7` puts them together.

One quantile at a time, on purpose: every round then says only how the people of one bin of an earlier round fall into
smaller bins, and each such split is judged with that bin as its whole. Edges of two quantiles in one round could be
subtracted from each other.
"""

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import Field as Checked

from dure.stats.base import Again, Answer, BadState, Done, Frame, Released, SplitsBy, Statistic
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Relation, Sums, Unit

EVERYONE, BELOW, INSIDE, ABOVE = range(4)
BINS = 4
"""The first cell that is a bin; the four before it are everyone, and where they lie to the interval at hand."""


class Rank(StrEnum):
    """Which of the ordered values is sought: the quantile of type 1, or a neighbour of the quantile of type 7."""

    TYPE_1 = "type_1"
    TYPE_7_BELOW = "type_7_below"
    TYPE_7_ABOVE = "type_7_above"


@message
class QuantilesParams:
    """What is sought.

    Attributes:
        low, high: the range of values in steps, whole numbers, `high` not included; values outside count as at its ends.
        bins: into how many parts each round cuts the interval.
        share: which quantile, such as 0.5 for the median.
        unit: what one step is in the unit of the values; values are rounded to whole steps.
    """

    low: int
    high: int
    bins: Annotated[int, Checked(ge=2, le=100)]
    share: Annotated[float, Checked(gt=0, lt=1)]
    rank: Rank = Rank.TYPE_1
    unit: Annotated[float, Checked(gt=0)] = 1.0


@message
class Interval:
    """Whole numbers of steps from `low` to below `high`."""

    low: int
    high: int


@message
class QuantilesState:
    """The interval in which the quantile is known to lie, after so many cuts."""

    interval: Interval
    cuts: int


@message
class QuantilesResult:
    """People, and the interval that holds the quantile. None: hidden."""

    people: int | None
    interval: Interval | None


class Quantiles(Statistic[QuantilesParams, QuantilesState, QuantilesResult]):
    """The interval that holds one of the ordered values, by its rank."""

    name = "quantiles"
    params = QuantilesParams
    state = QuantilesState
    result = QuantilesResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)

    def layout(self, params: QuantilesParams) -> Layout:
        """Everyone; below, inside and above the interval at hand; the bins inside it."""
        bins = tuple(range(BINS, BINS + params.bins))
        return Layout(
            cells=(
                "everyone",
                "below",
                "inside",
                "above",
                *(f"bin {number}" for number in range(params.bins)),
            ),
            relations=(
                Relation(whole=EVERYONE, parts=(BELOW, INSIDE, ABOVE)),
                Relation(whole=INSIDE, parts=bins),
            ),
            fields=(
                Field(
                    name="people",
                    kind=FieldKind.COUNT,
                    unit=Unit.PERSON,
                    bound=1,
                    rests_on=np.arange(BINS + params.bins, dtype=np.int64),
                ),
            ),
        )

    def columns(self, params: QuantilesParams) -> tuple[str, ...]:
        """`value`, a number."""
        return ("value",)

    def rounds(self, params: QuantilesParams) -> int:
        """Enough to come down to a single value."""
        width, rounds = params.high - params.low, 0
        while width > 1:
            width, rounds = -(-width // params.bins), rounds + 1
        return max(rounds, 1)

    def begin(self, params: QuantilesParams) -> QuantilesState:
        return QuantilesState(interval=Interval(low=params.low, high=params.high), cuts=0)

    def judge(self, params: QuantilesParams, state: QuantilesState) -> None:
        """The interval must be one that so many cuts of the range lead to."""
        current = Interval(low=params.low, high=params.high)
        for _ in range(min(state.cuts, self.rounds(params))):
            parts = _cut(current, params.bins)
            current = next((part for part in parts if part.low <= state.interval.low < part.high), current)
        if current != state.interval or not 0 <= state.cuts < self.rounds(params):
            raise BadState(
                "The interval is none that cutting the range leads to.",
                where="state",
                mend="Nothing to do here.",
            )

    def local(self, frame: Frame, params: QuantilesParams, state: QuantilesState) -> Answer:
        """One row a person."""
        steps = np.rint(frame.columns["value"] / params.unit)
        value = np.clip(steps, params.low, params.high - 1).astype(np.int64)
        interval = state.interval
        inside = value[(value >= interval.low) & (value < interval.high)]
        lows = np.array([part.low for part in _cut(interval, params.bins)])
        bins = np.bincount(np.searchsorted(lows, inside, side="right") - 1, minlength=params.bins)
        around = [len(value), (value < interval.low).sum(), len(inside), (value >= interval.high).sum()]
        people = np.concatenate([around, bins]).astype(np.int64)
        return Answer(
            sums=Sums(layout=self.layout(params), values={"people": people}),
            support=people,
            populations={"everyone": np.unique(frame.person)},
        )

    def step(
        self, params: QuantilesParams, state: QuantilesState, total: Released
    ) -> Again[QuantilesState] | Done[QuantilesResult]:
        people = [None if value is None else int(value) for value in total.shown("people")]
        parts = _cut(state.interval, params.bins)
        could = _holding(params, people, parts)
        narrowed = Interval(low=parts[could[0]].low, high=parts[could[-1]].high) if could else state.interval
        cuts = state.cuts + 1
        if len(could) == 1 and _goes_on(people[BINS:], could[0]) and cuts < self.rounds(params):
            return Again(state=QuantilesState(interval=narrowed, cuts=cuts))
        nothing_found = narrowed == Interval(low=params.low, high=params.high)
        return Done(
            result=QuantilesResult(people=people[EVERYONE], interval=None if nothing_found else narrowed)
        )


def _goes_on(people: Sequence[int | None], bin_: int) -> bool:
    """Whether the next round may look into a bin: it is shown, and tells nothing of hidden ones.

    The next round says how many are below and above. The sum of all hidden bins is known already; where some are hidden on either
    side, each side's would come out as that number without its shown bins. Where a side has none that is shown, it is one
    group, which is judged as such.
    """
    sides = people[:bin_], people[bin_ + 1 :]
    if people[bin_] is None:
        return False
    if not all(None in side for side in sides):
        return True
    return not any(count for side in sides for count in side)


def _cut(interval: Interval, bins: int) -> list[Interval]:
    """`bins` parts of equal width; the last may be shorter, and parts beyond the end are empty."""
    width = max(-(-(interval.high - interval.low) // bins), 1)
    edges = [min(interval.low + index * width, interval.high) for index in range(bins + 1)]
    return [Interval(low=low, high=high) for low, high in pairwise(edges)]


def of_counts(params: QuantilesParams, everyone: int | None, counts: Sequence[int | None]) -> Interval | None:
    """What a histogram of the whole range says by itself, as the first round does.

    Args:
        counts: people in each part of `cut_range(params)`; None where hidden.
    """
    parts = cut_range(params)
    could = _holding(params, [everyone, 0, everyone, 0, *counts], parts)
    return Interval(low=parts[could[0]].low, high=parts[could[-1]].high) if could else None


def cut_range(params: QuantilesParams) -> list[Interval]:
    """The parts of the first round."""
    return _cut(Interval(low=params.low, high=params.high), params.bins)


def type_7(
    params: QuantilesParams, below: QuantilesResult, above: QuantilesResult
) -> tuple[float, float] | None:
    """Between which two values the quantile of type 7 lies; both are it where each search came down to one value.

    Args:
        params: of either search.
        below, above: results of the searches for TYPE_7_BELOW and TYPE_7_ABOVE.

    Returns:
        None where an interval or the number of people is hidden.
    """
    if below.people is None or below.interval is None or above.interval is None:
        return None
    part = _reach(params.share, below.people) % 1
    low = (1 - part) * below.interval.low + part * above.interval.low
    high = (1 - part) * (below.interval.high - 1) + part * (above.interval.high - 1)
    return low * params.unit, high * params.unit


def _reach(share: float, people: int) -> float:
    """How far into the ordered values, from 1, the quantile of type 7 lies."""
    return _whole((people - 1) * share + 1)


def _whole(number: float) -> float:
    """The whole number that was meant where `number` misses it by rounding: 0.1 · 70 is 7, not a little more."""
    near = round(number)
    return float(near) if abs(number - near) < 4 * np.finfo(float).eps * max(1, near) else number


def _rank(params: QuantilesParams, people: int) -> float:
    match params.rank:
        case Rank.TYPE_1:
            return _whole(params.share * people)
        case Rank.TYPE_7_BELOW:
            return int(_reach(params.share, people))
        case Rank.TYPE_7_ABOVE:
            return min(int(_reach(params.share, people)) + 1, people)


def _holding(params: QuantilesParams, people: list[int | None], parts: list[Interval]) -> list[int]:
    """The parts that could hold the quantile, one after the other: all that shown numbers don't exclude."""
    everyone, below, inside, above = people[:BINS]
    if everyone is None:
        return []
    bins = people[BINS:]
    known, unknown = sum(count or 0 for count in bins), [at for at, count in enumerate(bins) if count is None]
    outside = [count for count in (below, above) if count is not None]
    # How many are in hidden bins, and how many below; rounded numbers may be a little off.
    most = max((everyone - sum(outside) if inside is None else inside) - known, 0) if unknown else 0
    least = most if inside is not None or len(outside) == 2 else 0
    before = (below, below)
    if below is None:
        others = max(everyone - (known + least if inside is None else inside) - (above or 0), 0)
        before = (others if inside is not None and above is not None else 0, others)
    rank, found = _rank(params, everyone), []
    low, high = (float(bound) for bound in before if bound is not None)
    for at, count in enumerate(bins):
        reached_low = low + (count or 0) + (least if unknown and at == unknown[-1] else 0)
        reached_high = high + (count or 0) + (most if unknown and at == unknown[0] else 0)
        if low < rank <= reached_high and count != 0:
            found.append(at)
        low, high = reached_low, reached_high
    return found
