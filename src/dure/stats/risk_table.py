"""A risk table: who is at risk, who has which event and who leaves without one, in intervals of time and in groups.

Exact for: the grid that it ends with. On it, everything that is computed of the table alone (`survival_curves`,
`log_rank`) equals the pooled answer for times moved to the ends of their intervals.

It starts from the whole time as one interval and cuts intervals in two, all at once, round by round. A part holds, of each group,
those with each cause of event, those who leave without one and those who come: all these must be nobody or enough people in
both parts. Of seven places the one nearest to the middle is taken where that is so; where it is nowhere so, the interval
stays whole. Numbers are published of the last grid only. So whatever is added or subtracted in a published table is a sum
of cells that rest on nobody or on enough people.

What the grid itself tells: at a place nearer to the middle than the one taken, *some* part held a small cell (of some
group, of some kind); not which, and never how many.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats.base import Again, Answer, BadState, Done, Frame, Released, SplitsBy, Statistic
from dure.stats.strata import Strata
from dure.wire.codec import message
from dure.wire.problems import Problem
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Numbers, Sums, Unit

EVERYONE = "everyone"
EIGHTHS = 8
"""An interval may be cut at its eighths."""
MOST_EDGES = 4001


class BadGrid(Problem):
    """Days that make no grid, or a day that is on none."""

    slug, title, status, exit_code = "bad-grid", "These days make no grid of time", 422, 43


@message
class RiskTableParams:
    """What is tabulated.

    Attributes:
        edges: days, ascending, at least two: the finest grid. Interval i is after edges[i], up to and with edges[i + 1].
        causes: how many kinds of events compete.
        breakdowns: groups to be tabulated beside everyone; each person is in one level of each.
        delayed: whether people come under observation later than at the first edge.
    """

    edges: tuple[int, ...]
    causes: Annotated[int, Checked(ge=1, le=20)] = 1
    breakdowns: tuple[Strata, ...] = ()
    delayed: bool = False

    def __post_init__(self) -> None:
        """Raise BadGrid where the edges make no grid."""
        if not 2 <= len(self.edges) <= MOST_EDGES or any(low >= high for low, high in pairwise(self.edges)):
            raise BadGrid(
                f"The grid has {len(self.edges)} edges, or they don't ascend.",
                where="edges",
                mend=f"Give 2 to {MOST_EDGES} days, each later than the one before.",
            )


@message
class RiskTableState:
    """For each round so far and each interval that was open in it: the place where it was cut, None where it stays whole.

    Places are indices of the parameters' edges.
    """

    cuts: tuple[tuple[int | None, ...], ...]


@message
class GroupAtRisk:
    """One group's people, by interval.

    Attributes:
        came: who comes under observation in it (all in the first, where nobody is delayed).
        events: for each cause, who has that event in it.
        left: who is last seen in it, without an event; in the last interval, also who stays longer.
    """

    came: tuple[int, ...]
    events: tuple[tuple[int, ...], ...]
    left: tuple[int, ...]


@message
class RiskTableResult:
    """The table on the grid that it came down to, or None where not even the whole time rests on enough people.

    Attributes:
        edges: days.
        groups: `everyone`, then each breakdown's levels as `breakdown/level`.
    """

    edges: tuple[int, ...] | None
    groups: dict[str, GroupAtRisk]


class RiskTable(Statistic[RiskTableParams, RiskTableState, RiskTableResult]):
    """People at risk, events and leavers in the finest intervals that the gate lets through."""

    name = "risk_table"
    params = RiskTableParams
    state = RiskTableState
    result = RiskTableResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL,)

    def layout(self, params: RiskTableParams) -> Layout:
        """As `_layout`."""
        return _layout(params)

    def columns(self, params: RiskTableParams) -> tuple[str, ...]:
        """`time` last seen, `event` (0, or the cause from 1), levels of each breakdown; `entry` if delayed. Days."""
        delayed = ("entry",) if params.delayed else ()
        return ("time", "event", *delayed, *(table.name for table in params.breakdowns))

    def rounds(self, params: RiskTableParams) -> int:
        """Down to the finest grid, some more where cuts are out of the middle, and one for the last grid's numbers."""
        return _depth(params) + 1

    def begin(self, params: RiskTableParams) -> RiskTableState:
        return RiskTableState(cuts=())

    def judge(self, params: RiskTableParams, state: RiskTableState) -> None:
        """Each round must have cut the intervals that were open in it, at places where they may be cut."""
        if len(state.cuts) > _depth(params) or _grid(params, state) is None:
            raise BadState("The grid is none that cuts lead to.", where="state", mend="Nothing to do here.")

    def local(self, frame: Frame, params: RiskTableParams, state: RiskTableState) -> Answer:
        """One row a person. Who is last seen at the first edge or before, or comes after the last, doesn't count."""
        edges = np.array(params.edges, dtype=np.int64)
        time = frame.columns["time"].astype(np.int64)
        cause = frame.columns["event"].astype(np.int64)
        counted = time > edges[0]
        came = np.full(len(time), edges[0])
        if params.delayed:
            came = np.maximum(frame.columns["entry"].astype(np.int64), edges[0])
            counted &= (came < edges[-1]) & (came < time)
        time, cause, came, person = time[counted], cause[counted], came[counted], frame.person[counted]
        cause = np.where(time > edges[-1], 0, cause)
        finest, kinds, causes = len(edges) - 1, len(_kinds(params)), params.causes
        # An interval is after its first edge; people come into the one that follows the day they come on.
        left = np.where(cause == 0, causes, cause - 1) * finest + np.searchsorted(
            edges[1:], np.minimum(time, edges[-1]), side="left"
        )
        came = (causes + 1) * finest + np.searchsorted(edges[1:], came, side="right")
        slots = np.zeros((_slots(params), 2), dtype=np.int64)
        used = _parts(_grid(params, state) or [])
        slots[: len(used)] = used

        def tally(group: NDArray[np.bool_] | slice) -> NDArray[np.int64]:
            table = np.bincount(left[group], minlength=kinds * finest)
            if params.delayed:
                table += np.bincount(came[group], minlength=kinds * finest)
            until = np.concatenate(
                [np.zeros((kinds, 1), dtype=np.int64), np.cumsum(table.reshape(kinds, finest), axis=1)],
                axis=1,
            )
            return np.asarray(until[:, slots[:, 1]] - until[:, slots[:, 0]])

        tables = [tally(slice(None))]
        for breakdown in params.breakdowns:
            level = frame.columns[breakdown.name].astype(np.int64)[counted]
            tables += [tally(level == index) for index in range(len(breakdown.levels))]
        people = np.stack(tables).astype(np.int64)
        return Answer(
            sums=Sums(layout=self.layout(params), values={"people": people}),
            support=np.append(people.ravel(), len(person)),
            populations={EVERYONE: np.unique(person)},
        )

    def step(
        self, params: RiskTableParams, state: RiskTableState, total: Released
    ) -> Again[RiskTableState] | Done[RiskTableResult]:
        names, grid = _groups(params), _grid(params, state) or []
        passed = np.logical_and.reduce(total.open[:-1].reshape(-1, _slots(params)), axis=0)
        parts = iter(passed.tolist())
        asked = [interval for interval in grid if interval.places]
        if asked:
            shown = [[(next(parts), next(parts)) for _ in interval.places] for interval in asked]
            cuts = tuple(interval.cut(both) for interval, both in zip(asked, shown, strict=True))
            return Again(state=RiskTableState(cuts=(*state.cuts, cuts)))
        if not all(next(parts) for _ in grid):
            return Done(result=RiskTableResult(edges=None, groups={}))
        people = total.values["people"][:, :, : len(grid)]
        return Done(
            result=RiskTableResult(
                edges=tuple(params.edges[place] for place in (0, *(interval.high for interval in grid))),
                groups={name: _group(table, params) for name, table in zip(names, people, strict=True)},
            )
        )


@dataclass(frozen=True, kw_only=True)
class _Interval:
    """An interval of the grid at hand, by places, and where it may be cut (nowhere, once it is to stay whole)."""

    low: int
    high: int
    places: tuple[int, ...]

    @classmethod
    def open(cls, low: int, high: int) -> "_Interval":
        width = high - low
        places = sorted({low + width * share // EIGHTHS for share in range(1, EIGHTHS)} - {low})
        middle = (low + high) // 2
        if width > 1 and middle not in places:
            raise ValueError("an interval may always be cut in the middle")
        return cls(low=low, high=high, places=tuple(places))

    def cut(self, passed: list[tuple[bool, bool]]) -> int | None:
        """The place nearest to the middle of which both parts passed."""
        good = [place for place, both in zip(self.places, passed, strict=True) if all(both)]
        return min(good, key=lambda place: (abs(2 * place - self.low - self.high), place), default=None)


def _grid(params: RiskTableParams, state: RiskTableState) -> list[_Interval] | None:
    """The grid that the cuts lead to; None where they are none that could be."""
    grid = [_Interval.open(0, len(params.edges) - 1)]
    for cuts in state.cuts:
        told, after = iter(cuts), []
        for interval in grid:
            if not interval.places:
                after.append(interval)
                continue
            cut = next(told, -1)
            if cut is None:
                after.append(_Interval(low=interval.low, high=interval.high, places=()))
            elif cut in interval.places:
                after += [_Interval.open(interval.low, cut), _Interval.open(cut, interval.high)]
            else:
                return None
        if next(told, -1) != -1:
            return None
        grid = after
    if len(state.cuts) == _depth(params):
        grid = [_Interval(low=interval.low, high=interval.high, places=()) for interval in grid]
    return grid


def _parts(grid: list[_Interval]) -> list[tuple[int, int]]:
    """What is asked about: both parts at each place of each open interval; the intervals once none is open."""
    asked = [
        part
        for interval in grid
        for place in interval.places
        for part in ((interval.low, place), (place, interval.high))
    ]
    return asked or [(interval.low, interval.high) for interval in grid]


@lru_cache(maxsize=8)
def _layout(params: RiskTableParams) -> Layout:
    """A cell for each group, kind of event and slot (a part of time; the last slots may be out of use); everyone.

    There are no relations, though levels and slots add up: a part of time is used only where all of its cells pass, so
    there is never a small cell that others would have to be hidden with. Everyone is a population, not a shown number.
    """
    groups, kinds, slots = _groups(params), _kinds(params), _slots(params)
    cells = [f"{group}/{kind}/{slot}" for group in groups for kind in kinds for slot in range(slots)]
    place = np.arange(len(cells), dtype=np.int64).reshape(len(groups), len(kinds), slots)
    return Layout(
        cells=(*cells, EVERYONE),
        relations=(),
        fields=(Field(name="people", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=place),),
    )


def _groups(params: RiskTableParams) -> list[str]:
    return [EVERYONE, *(f"{table.name}/{level}" for table in params.breakdowns for level in table.levels)]


def _kinds(params: RiskTableParams) -> list[str]:
    causes = [f"event {cause + 1}" for cause in range(params.causes)]
    return [*causes, "left", *(["came"] if params.delayed else [])]


def _depth(params: RiskTableParams) -> int:
    """Rounds of cutting: enough halvings for the finest grid, and half as many again for cuts out of the middle."""
    halvings = (len(params.edges) - 2).bit_length()
    return halvings + halvings // 2


def _slots(params: RiskTableParams) -> int:
    """An interval of w finest ones has at most w - 1 places and two parts at each."""
    return 2 * (len(params.edges) - 1)


def _group(table: Numbers, params: RiskTableParams) -> GroupAtRisk:
    """A group's lines of the table. Shape (kinds, intervals)."""
    causes = params.causes
    left = table[causes]
    if params.delayed:
        came = table[causes + 1]
    else:
        came = np.zeros_like(left)
        came[0] = table.sum()
    return GroupAtRisk(
        came=tuple(came.tolist()),
        events=tuple(tuple(row.tolist()) for row in table[:causes]),
        left=tuple(left.tolist()),
    )
