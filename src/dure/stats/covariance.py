"""Covariance: how variables go together among people in whom all of them are known, and their principal components.

Exact for: everything over the pooled people, to rounding of floats. One round. The sum of products of two 0/1 columns is the
number of people with both, so it is judged as such; the matrix is given whole or not at all.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dure.stats.base import Answer, Done, Frame, Nothing, OneRound, Released, SplitsBy
from dure.stats.design import (
    EVERYONE,
    Cells,
    Covariate,
    cells,
    check,
    count,
    fraction_bits,
    square,
    triangle,
)
from dure.stats.moments import origin, standing
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Model, Sums, Unit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@message
class CovarianceParams:
    """The variables; people in whom one is unknown (NaN) are left out."""

    variables: tuple[Covariate, ...]

    def __post_init__(self) -> None:
        """Raise BadDesign where names clash."""
        check(self.variables)


@message
class Spread:
    """Means, and covariances with denominator n - 1, row by row."""

    means: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]


@message
class CovarianceResult:
    """The people (None: hidden), and what was found of them, if every part of it may be shown.

    Attributes:
        hidden: the variables that too few people have, alone or together with another.
    """

    people: int | None
    found: Spread | None
    hidden: tuple[str, ...]


class Covariance(OneRound[CovarianceParams, CovarianceResult]):
    """Sums of products."""

    name = "covariance"
    params = CovarianceParams
    result = CovarianceResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-12

    def layout(self, params: CovarianceParams) -> Layout:
        """Cells of every variable and every pair."""
        made = _design(params)
        return Layout(
            cells=made.names,
            relations=made.relations,
            model=Model(coefficients=len(made.column), people=EVERYONE),
            fields=(
                Field(
                    name="people",
                    kind=FieldKind.COUNT,
                    unit=Unit.PERSON,
                    bound=1,
                    rests_on=np.array([EVERYONE], dtype=np.int64),
                ),
                Field(
                    name="products",
                    kind=FieldKind.MOMENT,
                    unit=Unit.PERSON,
                    bound=1,
                    rests_on=triangle(made.pair),
                    scale=fraction_bits(1),
                ),
            ),
        )

    def columns(self, params: CovarianceParams) -> tuple[str, ...]:
        """The variables."""
        return tuple(variable.name for variable in params.variables)

    def local(self, frame: Frame, params: CovarianceParams, state: Nothing) -> Answer:
        """One row a person."""
        known = np.ones(len(frame.person), dtype=np.bool_)
        for variable in params.variables:
            known &= ~np.isnan(frame.columns[variable.name].astype(np.float64))
        z = np.stack([np.ones(known.sum()), *(standing(frame, v)[known] for v in params.variables)])
        some = [row != 0 for row, v in zip(z[1:], params.variables, strict=True) if not v.never_zero]
        made = _design(params)
        return Answer(
            sums=Sums(
                layout=self.layout(params),
                values={
                    "people": np.array([z.shape[1]], dtype=np.int64),
                    "products": (z @ z.T)[np.tril_indices(len(z))],
                },
            ),
            support=count(made, some, z.shape[1]),
            populations={"everyone": np.unique(frame.person[known])},
        )

    def step(self, params: CovarianceParams, state: Nothing, total: Released) -> Done[CovarianceResult]:
        pairs = _design(params).pair
        closed: NDArray[np.bool_] = ~total.open[pairs]
        shown = total.shown("people")[0]
        people = None if shown is None else int(shown)
        if closed.any() or people is None:
            hidden = tuple(
                variable.name
                for variable, is_closed in zip(
                    params.variables, np.atleast_1d(closed[1:].any(axis=1)), strict=True
                )
                if is_closed
            )
            return Done(result=CovarianceResult(people=people, found=None, hidden=hidden))
        products = square(total.values["products"].astype(np.float64), len(pairs))
        # Not the count beside it, which is rounded in `by_hospital`: see `moments`.
        n = products[0, 0]
        if n < 2:
            return Done(result=CovarianceResult(people=people, found=None, hidden=()))
        mean = products[0, 1:] / n
        spread = (products[1:, 1:] - n * np.outer(mean, mean)) / (n - 1)
        starts, units = np.array([origin(variable) for variable in params.variables]).reshape(-1, 2).T
        covariance = spread * np.outer(units, units)
        return Done(
            result=CovarianceResult(
                people=people,
                found=Spread(
                    means=tuple((starts + units * mean).tolist()),
                    covariance=tuple(tuple(row) for row in covariance.tolist()),
                ),
                hidden=(),
            )
        )


def correlation(found: Spread) -> Matrix:
    """The correlation matrix; 0 with variables that don't vary. Shape (p, p)."""
    covariance = np.array(found.covariance)
    spread = np.sqrt(np.maximum(np.diag(covariance), 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        made = np.where(np.outer(spread, spread) > 0, covariance / np.outer(spread, spread), 0.0)
    np.fill_diagonal(made, 1.0)
    return made


def principal_components(matrix: Matrix) -> tuple[Vector, Matrix]:
    """Eigenvalues from the largest, and loadings, a column each, signed so that the largest part is positive.

    Args:
        matrix: of correlations or of covariances. Shape (p, p).
    """
    values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(values)[::-1]
    vectors = vectors[:, order]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(len(matrix))]
    return values[order], vectors * np.sign(largest)


@lru_cache(maxsize=8)
def _design(params: CovarianceParams) -> Cells:
    return cells((None, *params.variables), outcome=False, pairs=True)
