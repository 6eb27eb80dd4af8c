"""Balance: weighted means of sparse covariates by group, to see whether weights, strata or matches made two groups alike.

Exact for: the weighted means over everyone, weights and values within their bounds. One round; what isn't stored is 0. Deviations to
divide a difference by come from unweighted people (`characteristics`), so that weights can only move the means.
"""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats.base import Answer, Done, Frame, Nothing, OneRound, Released, SplitsBy
from dure.stats.design import Covariate, check, fraction_bits
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Relation, Sums, Unit


@message
class BalanceParams:
    """What is compared.

    Attributes:
        covariates: the matrix's columns; 0 lies within the bounds of each.
        largest_weight: weights are clipped to it.
    """

    groups: tuple[str, ...]
    covariates: tuple[Covariate, ...]
    largest_weight: Annotated[float, Checked(gt=0)] = 1.0

    def __post_init__(self) -> None:
        """Raise BadDesign where names clash."""
        check(self.covariates)


@message
class BalancedGroup:
    """One group. None: hidden, which is not zero.

    Attributes:
        weight, squares: the sum of the weights, and of their squares.
        means: weighted, of each covariate.
    """

    people: int | None
    weight: float | None
    squares: float | None
    means: tuple[float | None, ...]


@message
class BalanceResult:
    """Every group in order."""

    groups: tuple[BalancedGroup, ...]


class Balance(OneRound[BalanceParams, BalanceResult]):
    """Weighted sums of covariates by group."""

    name = "balance"
    params = BalanceParams
    result = BalanceResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-12

    def layout(self, params: BalanceParams) -> Layout:
        """Each group has a cell for everyone, for those in whom each covariate isn't 0, and (never shown) for the others."""
        size, stride = len(params.covariates), 1 + 2 * len(params.covariates)
        cells: list[str] = []
        relations: list[Relation] = []
        for group in params.groups:
            start = len(cells)
            names = [covariate.name for covariate in params.covariates]
            cells += [
                group,
                *(f"{group}/{name}" for name in names),
                *(f"{group}/not {name}" for name in names),
            ]
            # A quantity's sum doesn't tell the people in whom it is 0, but counts of 0/1 columns do.
            relations += [
                Relation(whole=start, parts=(start + 1 + at, start + 1 + size + at)) for at in range(size)
            ]
        everyone = np.arange(len(params.groups), dtype=np.int64) * stride
        having = everyone[:, None] + 1 + np.arange(size, dtype=np.int64)
        x = max([1.0, *(covariate.most for covariate in params.covariates)])
        weight = max(params.largest_weight, 1.0)
        return Layout(
            cells=tuple(cells),
            relations=tuple(relations),
            fields=(
                Field(name="people", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=everyone),
                _sum("weights", weight, everyone),
                _sum("squares", weight**2, everyone),
                _sum("amounts", weight * x, having),
            ),
        )

    def populations(self, params: BalanceParams) -> tuple[str, ...]:
        return params.groups

    def columns(self, params: BalanceParams) -> tuple[str, ...]:
        """`group` (numbers of groups) and `weight`, beside the matrix `covariates`."""
        return ("group", "weight")

    def local(self, frame: Frame, params: BalanceParams, state: Nothing) -> Answer:
        """One row a person and group."""
        matrix = within(frame.matrices["covariates"], params.covariates)
        group = frame.columns["group"].astype(np.int64)
        weight = np.clip(frame.columns["weight"], 0, params.largest_weight, dtype=np.float64)
        told: dict[str, list[Any]] = {"people": [], "weights": [], "squares": [], "amounts": []}
        support: list[NDArray[np.int64]] = []
        for number in range(len(params.groups)):
            rows = np.flatnonzero(group == number)
            part, w = matrix[rows], weight[rows]
            having = np.bincount(part.indices[part.data != 0], minlength=matrix.shape[1]).astype(np.int64)
            support += [np.array([len(rows)], dtype=np.int64), having, len(rows) - having]
            told["people"].append(len(rows))
            told["weights"].append(float(w.sum()))
            told["squares"].append(float(w @ w))
            told["amounts"].append(part.T @ w)
        layout = self.layout(params)
        return Answer(
            sums=Sums(
                layout=layout,
                values={
                    "people": np.array(told["people"], dtype=np.int64),
                    **{
                        name: np.array(told[name], dtype=np.float64)
                        for name in ("weights", "squares", "amounts")
                    },
                },
            ),
            support=np.concatenate(support),
            populations={
                name: np.unique(frame.person[group == number]) for number, name in enumerate(params.groups)
            },
        )

    def step(self, params: BalanceParams, state: Nothing, total: Released) -> Done[BalanceResult]:
        people, weights, squares = (total.shown(name) for name in ("people", "weights", "squares"))
        size = len(params.covariates)
        amounts = total.shown("amounts")
        groups = []
        for number in range(len(params.groups)):
            mine, whole = amounts[number * size : (number + 1) * size], weights[number]
            counted = people[number]
            groups.append(
                BalancedGroup(
                    people=None if counted is None else int(counted),
                    weight=whole,
                    squares=squares[number],
                    means=tuple(None if each is None or not whole else each / whole for each in mine),
                )
            )
        return Done(result=BalanceResult(groups=tuple(groups)))


def within(stored: Any, covariates: tuple[Covariate, ...]) -> Any:
    """A sparse matrix with every value within its covariate's bounds, in CSR form."""
    matrix = stored.tocsr().astype(np.float64)
    if matrix.shape[1] != len(covariates):
        raise ValueError(f"{matrix.shape[1]} columns for {len(covariates)} covariates")
    low = np.array([covariate.low for covariate in covariates])
    high = np.array([covariate.high for covariate in covariates])
    is_binary = np.array([covariate.binary for covariate in covariates], dtype=np.bool_)
    at = matrix.indices
    matrix.data = np.where(is_binary[at], matrix.data != 0, np.clip(matrix.data, low[at], high[at])).astype(
        np.float64
    )
    return matrix


def _sum(name: str, bound: float, rests_on: NDArray[np.int64]) -> Field:
    return Field(
        name=name,
        kind=FieldKind.MOMENT,
        unit=Unit.PERSON,
        bound=bound,
        rests_on=rests_on,
        scale=fraction_bits(bound),
    )
