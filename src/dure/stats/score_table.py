"""A score table: how predicted risks are spread among people with the outcome and without it.

Exact for: the grid that it ends with. Everything about discrimination and calibration that `prediction` computes is exact for
scores moved to that grid, and bounded for the scores themselves.

It starts from all scores as one interval and cuts every interval in two, round by round. A cut stands where both halves
hold, of each class, nobody or enough people; where it doesn't, the interval stays whole. Numbers are published of the last
grid only, so nothing of an earlier round can be subtracted. That a cut failed says that some half held few people of some class;
not which, and not how many.
"""

from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats.base import Again, Answer, BadState, Done, Frame, Released, SplitsBy, Statistic
from dure.stats.design import fraction_bits
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Sums, Unit

CLASSES = ("without", "cases")


@message
class ScoreTableParams:
    """How finely scores are tabulated at most: in 2^cuts equal parts of 0 to 1."""

    cuts: Annotated[int, Checked(ge=1, le=12)] = 10


@message
class ScoreTableState:
    """The grid so far.

    Attributes:
        edges: in units of the finest part, from 0 to 2^cuts.
        whole: for each interval, whether it stays as it is. Once all do, the numbers are asked for.
    """

    edges: tuple[int, ...]
    whole: tuple[bool, ...]


@message
class ScoreTableResult:
    """The table, or nothing where not even all scores together rest on enough people.

    Attributes:
        edges: scores, ascending, from 0 to 1. A part holds its lower edge; the last holds 1 too.
        people: by class (without the outcome, with it) and part.
        scores: sums of the scores, by class and part.
        squares: sums of the squared distance from score to outcome, by class and part.
    """

    edges: tuple[float, ...]
    people: tuple[tuple[int, ...], ...]
    scores: tuple[tuple[float, ...], ...]
    squares: tuple[tuple[float, ...], ...]


class ScoreTable(Statistic[ScoreTableParams, ScoreTableState, ScoreTableResult]):
    """People by outcome in the finest intervals of a score that the gate lets through."""

    name = "score_table"
    params = ScoreTableParams
    state = ScoreTableState
    result = ScoreTableResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL,)
    tolerance = 1e-12

    def layout(self, params: ScoreTableParams) -> Layout:
        """A cell for each class and slot; slots beyond the grid's parts are out of use and hold nobody.

        That everyone is the sum of them all is no relation here: everyone is a population, never a shown number.
        """
        slots = 2**params.cuts
        place = np.arange(2 * slots, dtype=np.int64).reshape(2, slots)
        return Layout(
            cells=(*(f"{name}/{slot}" for name in CLASSES for slot in range(slots)), "everyone"),
            relations=(),
            fields=(
                Field(name="people", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=place),
                Field(
                    name="scores",
                    kind=FieldKind.MOMENT,
                    unit=Unit.PERSON,
                    bound=1,
                    rests_on=place,
                    scale=fraction_bits(1),
                ),
                Field(
                    name="squares",
                    kind=FieldKind.MOMENT,
                    unit=Unit.PERSON,
                    bound=1,
                    rests_on=place,
                    scale=fraction_bits(1),
                ),
            ),
        )

    def columns(self, params: ScoreTableParams) -> tuple[str, ...]:
        """`score`, from 0 to 1, and `case`, 0 or 1."""
        return ("score", "case")

    def rounds(self, params: ScoreTableParams) -> int:
        """One for each cut, and one for the numbers."""
        return params.cuts + 1

    def begin(self, params: ScoreTableParams) -> ScoreTableState:
        return ScoreTableState(edges=(0, 2**params.cuts), whole=(False,))

    def judge(self, params: ScoreTableParams, state: ScoreTableState) -> None:
        """Every interval must be one that halving leads to."""
        ends = state.edges[:1] == (0,) and state.edges[-1:] == (2**params.cuts,)
        widths = [high - low for low, high in pairwise(state.edges)]
        halves = ends and all(
            width > 0 and width & (width - 1) == 0 and low % width == 0
            for low, width in zip(state.edges, widths, strict=False)
        )
        cuttable = len(state.whole) == len(widths) and all(
            whole or width > 1 for whole, width in zip(state.whole, widths, strict=True)
        )
        if not (halves and cuttable):
            raise BadState(
                "The grid is none that halving leads to.", where="state", mend="Nothing to do here."
            )

    def local(self, frame: Frame, params: ScoreTableParams, state: ScoreTableState) -> Answer:
        """One row a person. The numbers are sent in the last round only; before it, only the people behind them."""
        slots = 2**params.cuts
        score = np.clip(frame.columns["score"], 0, 1, dtype=np.float64)
        case = (frame.columns["case"] != 0).astype(np.int64)
        fine = np.minimum((score * slots).astype(np.int64), slots - 1)
        asked = np.array(_asked(state))
        where = case * slots + np.searchsorted(asked, fine, side="right") - 1

        def tally(weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
            return np.bincount(where, weights=weights, minlength=2 * slots).astype(np.float64)

        people = tally().astype(np.int64)
        shape = (2, slots)
        final = all(state.whole)
        amounts = (score, (score - case) ** 2) if final else (np.zeros_like(score),) * 2
        return Answer(
            sums=Sums(
                layout=self.layout(params),
                values={
                    "people": (people * final).reshape(shape),
                    "scores": tally(amounts[0]).reshape(shape),
                    "squares": tally(amounts[1]).reshape(shape),
                },
            ),
            support=np.append(people, len(score)).astype(np.int64),
            populations={"everyone": np.unique(frame.person)},
        )

    def step(
        self, params: ScoreTableParams, state: ScoreTableState, total: Released
    ) -> Again[ScoreTableState] | Done[ScoreTableResult]:
        slots = 2**params.cuts
        is_open: NDArray[np.bool_] = np.all(total.open[: 2 * slots].reshape(2, slots), axis=0)
        if not all(state.whole):
            return Again(state=_cut(state, is_open))
        parts = len(state.whole)
        if not is_open[:parts].all():
            return Done(result=ScoreTableResult(edges=(), people=(), scores=(), squares=()))
        table = {name: total.values[name][:, :parts].tolist() for name in ("people", "scores", "squares")}
        return Done(
            result=ScoreTableResult(
                edges=tuple(edge / slots for edge in state.edges),
                people=tuple(tuple(row) for row in table["people"]),
                scores=tuple(tuple(row) for row in table["scores"]),
                squares=tuple(tuple(row) for row in table["squares"]),
            )
        )


def _asked(state: ScoreTableState) -> list[int]:
    """The edges by which people are counted: those of the grid, and the middle of every interval that isn't whole."""
    edges = [0]
    for (low, high), whole in zip(pairwise(state.edges), state.whole, strict=True):
        edges += [high] if whole else [(low + high) // 2, high]
    return edges


def _cut(state: ScoreTableState, is_open: NDArray[np.bool_]) -> ScoreTableState:
    """The next grid: intervals are cut where both halves may be shown."""
    edges, whole = [0], []
    slot = 0
    for (low, high), stays in zip(pairwise(state.edges), state.whole, strict=True):
        cut = not stays and is_open[slot] and is_open[slot + 1]
        edges += [(low + high) // 2, high] if cut else [high]
        whole += [(high - low) // 2 == 1] * 2 if cut else [True]
        slot += 1 if stays else 2
    return ScoreTableState(edges=tuple(edges), whole=tuple(whole))
