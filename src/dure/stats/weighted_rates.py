"""Weighted rates: events and time at risk of weighted people in a few intervals, by group, and the risks that follow.

Exact for: the rates of the given intervals. One round. `risks` turns them into cumulative risks, taking the rate as constant within an
interval, with an interval from people's squared residuals: robust to weights, which count as known.

Source: the Nelson-Aalen estimate on a grid (occurrence over exposure); increments of different intervals are uncorrelated.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats.base import Answer, Done, Frame, Nothing, OneRound, Released, SplitsBy
from dure.stats.design import BadDesign, fraction_bits
from dure.stats.intervals import Estimate, wald, z_of
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Relation, Sums, Unit

CELLS = ("at risk", "event", "no event", "ended", "censored")
AT_RISK, EVENT, NO_EVENT, ENDED, CENSORED = range(len(CELLS))
OF_EVENTS = ("weighted events", "event squares", "cross")


@message
class WeightedRatesParams:
    """What is tabulated.

    Attributes:
        edges: days, ascending from 0: interval i is after edges[i], up to and with edges[i + 1].
        largest_weight: weights are clipped to it.
    """

    groups: tuple[str, ...]
    edges: tuple[int, ...]
    largest_weight: Annotated[float, Checked(gt=0)] = 1.0

    def __post_init__(self) -> None:
        """Raise BadDesign where the days are none."""
        if len(self.edges) < 2 or any(a >= b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise BadDesign("The days don't ascend.", where="edges", mend="Give two or more, ascending.")


@message
class Piece:
    """One interval of one group. Times are shares of the interval's length; w: weight, d: event or not, t: time.

    Attributes:
        people, events: unweighted.
        exposure, weighted: Σwt, Σwd.
        event_squares, cross, squares: Σw²d, Σw²dt, Σw²t².
    """

    people: int
    events: int
    exposure: float
    weighted: float
    event_squares: float
    cross: float
    squares: float


@message
class WeightedRatesResult:
    """The pieces of every group in order; None: hidden."""

    groups: tuple[tuple[Piece | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Risk:
    """The cumulative risk at a day, its standard error and interval."""

    day: int
    value: float
    se: float
    low: float
    high: float


class WeightedRates(OneRound[WeightedRatesParams, WeightedRatesResult]):
    """Sums of weighted events and times."""

    name = "weighted_rates"
    params = WeightedRatesParams
    result = WeightedRatesResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-12

    def layout(self, params: WeightedRatesParams) -> Layout:
        """Of each group and interval: who is at risk, who has the event and who hasn't, who ends in it and is censored in it."""
        pieces = len(params.edges) - 1
        cells: list[str] = []
        relations: list[Relation] = []
        for group in params.groups:
            start = len(cells)
            for piece in range(pieces):
                cells += [f"{group}/{piece}/{name}" for name in CELLS]
            cells.append(f"{group}/after")
            for piece in range(pieces):
                here = start + piece * len(CELLS)
                following = here + len(CELLS)
                relations += [
                    Relation(whole=here + AT_RISK, parts=(here + EVENT, here + NO_EVENT)),
                    Relation(whole=here + AT_RISK, parts=(here + ENDED, following)),
                    Relation(whole=here + ENDED, parts=(here + EVENT, here + CENSORED)),
                ]
        stride = pieces * len(CELLS) + 1
        first = np.arange(len(params.groups), dtype=np.int64)[:, None] * stride
        place = first + np.arange(pieces, dtype=np.int64) * len(CELLS)
        weight = max(params.largest_weight, 1.0)
        return Layout(
            cells=tuple(cells),
            relations=tuple(relations),
            fields=(
                _people("people", place + AT_RISK),
                _people("events", place + EVENT),
                _sum("exposure", weight, place + AT_RISK),
                _sum("squares", weight**2, place + AT_RISK),
                *(
                    _sum(name, weight if name == "weighted events" else weight**2, place + EVENT)
                    for name in OF_EVENTS
                ),
            ),
        )

    def populations(self, params: WeightedRatesParams) -> tuple[str, ...]:
        return tuple(f"{group}/0/at risk" for group in params.groups)

    def columns(self, params: WeightedRatesParams) -> tuple[str, ...]:
        """`time` last at risk in days from 1, `event` (0 or 1), `group` and `weight`."""
        return ("time", "event", "group", "weight")

    def local(self, frame: Frame, params: WeightedRatesParams, state: Nothing) -> Answer:
        """One row a person."""
        layout = self.layout(params)
        values = dict(Sums.zero(layout).values)
        time = frame.columns["time"].astype(np.float64)
        weight = np.clip(frame.columns["weight"], 0, params.largest_weight, dtype=np.float64)
        support: list[int] = []
        populations: dict[str, NDArray[np.int64]] = {}
        for number, group in enumerate(params.groups):
            inside = (frame.columns["group"] == number) & (time > params.edges[0])
            populations[f"{group}/0/at risk"] = np.unique(frame.person[inside])
            for piece, (low, high) in enumerate(zip(params.edges, params.edges[1:], strict=False)):
                at_risk = inside & (time > low)
                ended = at_risk & (time <= high)
                event = ended & (frame.columns["event"] != 0)
                w = weight[at_risk]
                t = (np.minimum(time[at_risk], high) - low) / (high - low)
                d = event[at_risk]
                n, events, ends = len(w), int(d.sum()), int(ended.sum())
                support += [n, events, n - events, ends, ends - events]
                told = {
                    "people": n,
                    "events": events,
                    "exposure": w @ t,
                    "squares": (w * t) @ (w * t),
                    "weighted events": w @ d,
                    "event squares": (w * w) @ d,
                    "cross": (w * w * t) @ d,
                }
                for name, value in told.items():
                    values[name][number, piece] = value
            support.append(int((inside & (time > params.edges[-1])).sum()))
        return Answer(
            sums=Sums(layout=layout, values=values),
            support=np.array(support, dtype=np.int64),
            populations=populations,
        )

    def step(self, params: WeightedRatesParams, state: Nothing, total: Released) -> Done[WeightedRatesResult]:
        pieces = len(params.edges) - 1
        shown = {field.name: total.shown(field.name) for field in total.layout.fields}
        groups = []
        for number in range(len(params.groups)):
            made: list[Piece | None] = []
            for at in range(number * pieces, (number + 1) * pieces):
                mine = {name: values[at] for name, values in shown.items()}
                if any(value is None for value in mine.values()):
                    made.append(None)
                    continue
                number_of = {name: float(value or 0) for name, value in mine.items()}
                made.append(
                    Piece(
                        people=int(number_of["people"]),
                        events=int(number_of["events"]),
                        exposure=number_of["exposure"],
                        weighted=number_of["weighted events"],
                        event_squares=number_of["event squares"],
                        cross=number_of["cross"],
                        squares=number_of["squares"],
                    )
                )
            groups.append(tuple(made))
        return Done(result=WeightedRatesResult(groups=tuple(groups)))


def risks(params: WeightedRatesParams, pieces: tuple[Piece | None, ...], level: float = 0.95) -> list[Risk]:
    """The cumulative risk at the end of each interval, up to the first one that is hidden or holds nobody."""
    hazard = variance = 0.0
    made = []
    for day, piece in zip(params.edges[1:], pieces, strict=True):
        if piece is None or piece.exposure <= 0:
            break
        rate = piece.weighted / piece.exposure
        residuals = piece.event_squares - 2 * rate * piece.cross + rate**2 * piece.squares
        hazard += rate
        variance += max(residuals, 0.0) / piece.exposure**2
        se = math.sqrt(variance)
        reach = math.exp(z_of(level) * se / hazard) if hazard > 0 else 1.0
        made.append(
            Risk(
                day=day,
                value=-math.expm1(-hazard),
                se=math.exp(-hazard) * se,
                low=-math.expm1(-hazard / reach),
                high=-math.expm1(-hazard * reach),
            )
        )
    return made


def risk_difference(one: Risk, other: Risk, level: float = 0.95) -> Estimate:
    """The risk of one group less that of another at the same day."""
    return wald(one.value - other.value, math.hypot(one.se, other.se), level)


def _people(name: str, rests_on: NDArray[np.int64]) -> Field:
    return Field(name=name, kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=rests_on)


def _sum(name: str, bound: float, rests_on: NDArray[np.int64]) -> Field:
    return Field(
        name=name,
        kind=FieldKind.MOMENT,
        unit=Unit.PERSON,
        bound=bound,
        rests_on=rests_on,
        scale=fraction_bits(bound),
    )
