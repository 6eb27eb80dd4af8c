"""Moments: means, variances, skewness and kurtosis of variables by group, weighted too, and standardised differences.

Exact for: everything over the pooled people, to rounding of floats. One round. Each variable speaks of those in whom it is
known; who lacks it is a cell of its own. What a 0/1 variable sends is counts; a quantity sends sums of its powers.

A quantity's powers are of its distance from 0 (from the middle of its range where it can't be 0), in units of its range:
people in whom it is 0 add nothing, and the sums rest on the others.
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats.base import Answer, Done, Frame, Nothing, OneRound, Released, SplitsBy
from dure.stats.design import Covariate, check, fraction_bits, values
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Numbers, Relation, Sums, Unit

Vector = NDArray[np.float64]
POWERS = 4
PER_VARIABLE = 4
"""Cells of a variable in a group: known, missing, not 0, 0."""
TAKEN = ("group", "weight")


@message
class MomentsParams:
    """What is described.

    Attributes:
        variables: unknown values are NaN in the frame.
        groups: the levels of the column `group`; with one, nobody needs it.
        largest_weight: where people have weights, which are clipped to it; None where they have none.
    """

    variables: tuple[Covariate, ...]
    groups: tuple[str, ...] = ("everyone",)
    largest_weight: Annotated[float, Checked(gt=0)] | None = None

    def __post_init__(self) -> None:
        """Raise BadDesign where names clash."""
        check(self.variables, TAKEN)


@message
class Weighted:
    """Moments of weighted people. `people`: how many unweighted ones say as much, (Σw)²/Σw²."""

    people: float
    mean: float | None
    variance: float | None


@message
class Moment:
    """One variable in one group; None is hidden, or not to be had from so few people.

    Attributes:
        people, missing: those in whom it is known, and not.
        variance: with denominator n - 1.
        skewness, kurtosis: g1 and g2; 0 both for a normal distribution. Of quantities only.
    """

    name: str
    people: int | None
    missing: int | None
    mean: float | None
    variance: float | None
    skewness: float | None
    kurtosis: float | None
    weighted: Weighted | None


@message
class MomentsResult:
    """The variables, in order, in each group."""

    groups: dict[str, tuple[Moment, ...]]


class Moments(OneRound[MomentsParams, MomentsResult]):
    """Sums of powers by group."""

    name = "moments"
    params = MomentsParams
    result = MomentsResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-12

    def layout(self, params: MomentsParams) -> Layout:
        """Of each group: its people (never shown), and for each variable those in whom it is known, missing,
        not 0, and 0.

        A quantity that can't be 0 rests on all in whom it is known. In whom one is 0 can't be told from its sum.
        """
        cells: list[str] = []
        relations: list[Relation] = []
        known, some = [], []
        for group in params.groups:
            whole = len(cells)
            cells.append(group)
            for variable in params.variables:
                first = len(cells)
                cells += [f"{group}/{variable.name}/{what}" for what in ("known", "missing", "some", "none")]
                relations.append(Relation(whole=whole, parts=(first, first + 1)))
                if variable.binary:
                    relations.append(Relation(whole=first, parts=(first + 2, first + 3)))
                known.append(first)
                some.append(first if variable.never_zero else first + 2)
        shape = (len(params.groups), len(params.variables))
        at_known = np.array(known, dtype=np.int64).reshape(shape)
        at_some = np.array(some, dtype=np.int64).reshape(shape)
        flags, amounts = _split(params)
        fields = [
            Field(name="people", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=at_known),
            Field(name="missing", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=at_known + 1),
            Field(name="ones", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=at_some[:, flags]),
            # Exact beside the powers: a mean whose denominator alone is rounded would be wrong, not coarse.
            _sum("amounts", 1.0, at_known[:, amounts]),
            _sum("powers", 1.0, np.repeat(at_some[:, amounts, None], POWERS, axis=2)),
        ]
        if params.largest_weight is not None:
            most = max(params.largest_weight, 1.0) ** 2
            fields += [
                _sum("weights", most, np.repeat(at_known[:, :, None], 2, axis=2)),
                _sum("weighted powers", most, np.repeat(at_some[:, :, None], 2, axis=2)),
            ]
        return Layout(cells=tuple(cells), relations=tuple(relations), fields=tuple(fields))

    def populations(self, params: MomentsParams) -> tuple[str, ...]:
        return params.groups

    def columns(self, params: MomentsParams) -> tuple[str, ...]:
        """The variables, with NaN where unknown; `group` (level numbers) and `weight` where there are any."""
        more = [
            name
            for name, asked in (
                ("group", len(params.groups) > 1),
                ("weight", params.largest_weight is not None),
            )
            if asked
        ]
        return (*(variable.name for variable in params.variables), *more)

    def local(self, frame: Frame, params: MomentsParams, state: Nothing) -> Answer:
        """One row a person."""
        layout = self.layout(params)
        told: dict[str, Numbers] = dict(Sums.zero(layout).values)
        support = np.zeros(len(layout.cells), dtype=np.int64)
        flags, amounts = _split(params)
        group = (
            frame.columns["group"] if len(params.groups) > 1 else np.zeros(len(frame.person), dtype=np.int64)
        )
        stride = 1 + PER_VARIABLE * len(params.variables)
        for g in range(len(params.groups)):
            inside = group == g
            support[g * stride] = inside.sum()
            for v, variable in enumerate(params.variables):
                known = inside & ~np.isnan(frame.columns[variable.name].astype(np.float64))
                z = standing(frame, variable)[known]
                people, some = len(z), int((z != 0).sum())
                if variable.never_zero:
                    some = people
                first = g * stride + 1 + v * PER_VARIABLE
                support[first : first + PER_VARIABLE] = (people, inside.sum() - people, some, people - some)
                told["people"][g, v], told["missing"][g, v] = people, inside.sum() - people
                if variable.binary:
                    told["ones"][g, flags.index(v)] = some
                else:
                    told["amounts"][g, amounts.index(v)] = people
                    told["powers"][g, amounts.index(v)] = [(z**power).sum() for power in range(1, POWERS + 1)]
                if params.largest_weight is not None:
                    w = np.clip(frame.columns["weight"][known], 0, params.largest_weight, dtype=np.float64)
                    told["weights"][g, v] = w.sum(), w @ w
                    told["weighted powers"][g, v] = w @ z, w @ z**2
        return Answer(
            sums=Sums(layout=layout, values=told),
            support=support,
            populations={name: np.unique(frame.person[group == g]) for g, name in enumerate(params.groups)},
        )

    def step(self, params: MomentsParams, state: Nothing, total: Released) -> Done[MomentsResult]:
        at = {field.name: total.open[field.rests_on] for field in total.layout.fields}
        flags, amounts = _split(params)
        groups: dict[str, tuple[Moment, ...]] = {}
        for g, group in enumerate(params.groups):
            made = []
            for v, variable in enumerate(params.variables):
                people = int(total.values["people"][g, v]) if at["people"][g, v] else None
                missing = int(total.values["missing"][g, v]) if at["missing"][g, v] else None
                plain, weighted = _NOTHING, None
                if variable.binary and people is not None and at["ones"][g, flags.index(v)]:
                    plain = _of_flags(people, int(total.values["ones"][g, flags.index(v)]))
                elif not variable.binary and people is not None and at["powers"][g, amounts.index(v)].all():
                    i = amounts.index(v)
                    plain = _of_powers(
                        variable, float(total.values["amounts"][g, i]), total.values["powers"][g, i]
                    )
                if params.largest_weight is not None and plain is not _NOTHING:
                    weighted = _weighted(
                        variable, total.values["weights"][g, v], total.values["weighted powers"][g, v]
                    )
                made.append(_moment(variable.name, people, missing, plain, weighted))
            groups[group] = tuple(made)
        return Done(result=MomentsResult(groups=groups))


def standardised_difference(first: Moment, second: Moment, *, weighted: bool = False) -> float | None:
    """The standardised mean difference of two groups (SMD).

    The denominator is always that of unweighted people, sqrt((s1² + s2²)/2), so that weights can only move the means.

    Returns:
        None where a number that it takes is hidden, or nothing varies.
    """
    means = [
        (None if group.weighted is None else group.weighted.mean) if weighted else group.mean
        for group in (first, second)
    ]
    if means[0] is None or means[1] is None or first.variance is None or second.variance is None:
        return None
    spread = np.sqrt((first.variance + second.variance) / 2)
    return float((means[0] - means[1]) / spread) if spread > 0 else None


def origin(variable: Covariate) -> tuple[float, float]:
    """The point from which a variable's powers are counted, and the unit in which."""
    if variable.never_zero:
        return (variable.low + variable.high) / 2, (variable.high - variable.low) / 2
    return 0.0, variable.most


def standing(frame: Frame, variable: Covariate) -> Vector:
    """A variable's values from its origin, in units of its range: from -1 to 1. Shape (n,)."""
    start, unit = origin(variable)
    return (values(frame, variable) - start) / unit


def _split(params: MomentsParams) -> tuple[list[int], list[int]]:
    """Which variables are 0/1, and which are quantities."""
    flags = [i for i, variable in enumerate(params.variables) if variable.binary]
    return flags, [i for i, variable in enumerate(params.variables) if not variable.binary]


def _sum(name: str, bound: float, rests_on: NDArray[np.int64]) -> Field:
    return Field(
        name=name,
        kind=FieldKind.MOMENT,
        unit=Unit.PERSON,
        bound=bound,
        rests_on=rests_on,
        scale=fraction_bits(bound),
    )


Plain = tuple[float | None, float | None, float | None, float | None]
_NOTHING: Plain = (None, None, None, None)


def _moment(
    name: str, people: int | None, missing: int | None, plain: Plain, weighted: Weighted | None
) -> Moment:
    mean, variance, skewness, kurtosis = plain
    return Moment(
        name=name,
        people=people,
        missing=missing,
        mean=mean,
        variance=variance,
        skewness=skewness,
        kurtosis=kurtosis,
        weighted=weighted,
    )


def _of_flags(people: int, ones: int) -> Plain:
    if not people:
        return _NOTHING
    # Both numbers are rounded, each by itself, in `by_hospital`.
    share = min(ones / people, 1.0)
    return share, share * (1 - share) * people / (people - 1) if people > 1 else None, None, None


def _of_powers(variable: Covariate, people: float, powers: Vector) -> Plain:
    if people < 1:
        return _NOTHING
    start, unit = origin(variable)
    m1, m2, m3, m4 = (powers / people).tolist()
    mean = start + unit * m1
    if people < 2:
        return mean, None, None, None
    c2 = max(m2 - m1**2, 0.0)
    variance = unit**2 * c2 * people / (people - 1)
    if c2 <= 1e-14 * m2:
        return mean, variance, None, None
    c3 = m3 - 3 * m1 * m2 + 2 * m1**3
    c4 = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    return mean, variance, float(c3 / c2**1.5), float(c4 / c2**2 - 3)


def _weighted(variable: Covariate, weights: Vector, powers: Vector) -> Weighted | None:
    total, squares = weights.tolist()
    if total <= 0 or squares <= 0:
        return None
    start, unit = origin(variable)
    m1, m2 = (powers / total).tolist()
    people = total**2 / squares
    left = 1 - 1 / people
    return Weighted(
        people=people,
        mean=start + unit * m1,
        variance=unit**2 * max(m2 - m1**2, 0.0) / left if left > 1e-12 else None,
    )
