"""A design of thousands of sparse covariates, at one hospital and in a layout: what penalised models have in common.

Responsible for: the matrix within its bounds, folds, the people behind every cell, the cells and relations of a layout with and without
folds, the fields that don't depend on the model. Not responsible for: what each model sums (`lasso`, `cox_lasso`).

No pair of covariates is a cell, since none is ever asked about: each covariate's people, and of them those with an outcome. With
folds, those left out and everyone stand beside those fitted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dure.stats.base import Frame
from dure.stats.design import EVERYONE, BadDesign, Cells, Covariate, cells, count_sparse, fraction_bits
from dure.stats.kept import kept
from dure.stats.penalised_path import Penalised
from dure.wire.sums import Field, FieldKind, Layout, Relation, Support, Unit

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Held:
    """One hospital's design. Of n rows and p covariates.

    Attributes:
        fitted: rows that aren't left out with a fold. Shape (n,).
        x, squares: covariates within their bounds, and their squares; the stored matrix itself where it is lawful. Shape (n, p).
        support: people behind every cell.
    """

    fitted: Flags
    x: Any
    squares: Any
    support: Support

    def predictor(self, at: Vector) -> Vector:
        """Each row's linear predictor at coefficients, the intercept first. Shape (n,)."""
        if not at[1:].any():
            return np.full(len(self.fitted), at[0])
        return np.asarray(self.x @ at[1:] + at[0])

    def sums(self, weight: Vector) -> Vector:
        """The sum of a weight over rows, then over each covariate's rows times its value. Shape (p + 1,)."""
        return np.concatenate([[weight.sum()], self.x.T @ weight])

    def sums_of_squares(self, weight: Vector) -> Vector:
        """The same times the square of the value."""
        return np.concatenate([[weight.sum()], self.squares.T @ weight])


def hold(frame: Frame, params: Penalised, has: Flags) -> Held:
    """A hospital's rows.

    Args:
        has: who has an outcome. Shape (n,).
    """
    fitted = np.ones(len(has), dtype=np.bool_)
    if params.folds > 1:
        fitted = fold_of(frame.person, params.folds) != params.fold
    x = _within_bounds(frame, params)
    squares = x if all_binary(params) else csr_array(x.multiply(x))
    support = _support(x, has, fitted, design(params), folds=params.folds)
    support.flags.writeable = False
    return Held(fitted=fitted, x=x, squares=squares, support=support)


def fold_of(person: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """Each person's fold, from the ordinal alone: the same in every round and run. (SplitMix64's mixing.)"""
    mixed = person.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(folds)).astype(np.int64)


def check_zero(covariates: tuple[Covariate, ...]) -> None:
    """Raise BadDesign where a covariate can't be 0."""
    for covariate in covariates:
        if covariate.never_zero:
            raise BadDesign(
                f"The bounds of {covariate.name} leave out 0, which a sparse matrix is full of.",
                where=covariate.name,
                mend="Let the bounds hold 0.",
            )


def design(params: Penalised) -> Cells:
    """The cells of those fitted."""
    return _cells(params.covariates)


def usable(params: Penalised, is_open: Flags) -> Flags:
    """The intercept, if everyone and those with an outcome are shown, and the covariates of which every number is."""
    made = design(params)
    return is_open[made.column] & is_open[made.case]


def layout(params: Penalised, fields: list[Field], of_folds: list[Field]) -> Layout:
    """The cells, those fitted first, and the fields; people come before and behind them.

    Args:
        of_folds: further fields where there are folds; cells of those left out come a number of cells later, of everyone twice that.
    """
    made = design(params)
    counted = [people("people", np.array([EVERYONE, *made.outcome], dtype=np.int64)), *fields]
    if params.folds == 1:
        return Layout(cells=made.names, relations=made.relations, fields=tuple(counted))
    n = len(made.names)
    # What the same model without folds shows, so that it is judged beside what would be left of it.
    counted += [*of_folds, people("everyone", shown_cells(made) + 2 * n)]
    groups = ("", "left out: ", "with those left out: ")
    return Layout(
        cells=tuple(group + name for group in groups for name in made.names),
        relations=(
            *(
                Relation(whole=r.whole + start, parts=tuple(part + start for part in r.parts))
                for start in (0, n, 2 * n)
                for r in made.relations
            ),
            *(Relation(whole=cell + 2 * n, parts=(cell, cell + n)) for cell in range(n)),
        ),
        fields=tuple(counted),
    )


def counts(params: Penalised, support: Support) -> dict[str, Support]:
    """The numbers of people that `layout` asks for."""
    made = design(params)
    told = {"people": support[[EVERYONE, *made.outcome]]}
    if params.folds > 1:
        told["everyone"] = support[2 * len(made.names) :][shown_cells(made)]
    return told


def shown_cells(made: Cells) -> NDArray[np.int64]:
    """The cells that numbers of a model without folds rest on."""
    return np.unique(np.concatenate([[EVERYONE, *made.outcome], made.column, made.case]))


def people(name: str, rests_on: NDArray[np.int64]) -> Field:
    """A field of people."""
    return Field(name=name, kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=rests_on)


def derivative(name: str, bound: float, rests_on: NDArray[np.int64]) -> Field:
    """A field of fractions."""
    return Field(
        name=name,
        kind=FieldKind.DERIVATIVE,
        unit=Unit.PERSON,
        bound=float(bound),
        rests_on=rests_on,
        scale=fraction_bits(float(bound)),
    )


@kept
def all_binary(params: Penalised) -> bool:
    """Whether every covariate is its own square."""
    return bool(_columns(params.covariates).binary.all())


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Covariates' bounds and kinds as arrays. Shape (p,)."""

    low: Vector
    high: Vector
    binary: Flags


@kept
def _columns(covariates: tuple[Covariate, ...]) -> Columns:
    return Columns(
        low=np.array([covariate.low for covariate in covariates]),
        high=np.array([covariate.high for covariate in covariates]),
        binary=np.array([covariate.binary for covariate in covariates], dtype=np.bool_),
    )


@kept
def _cells(covariates: tuple[Covariate, ...]) -> Cells:
    return cells((None, *covariates), outcome=True, pairs=False)


def _within_bounds(frame: Frame, params: Penalised) -> Any:
    stored = frame.matrices["covariates"].tocsr()
    if stored.shape[1] != len(params.covariates):
        raise ValueError(f"{stored.shape[1]} columns for {len(params.covariates)} covariates")
    columns, at = _columns(params.covariates), stored.indices
    if columns.binary.all():
        lawful = (stored.data != 0).astype(np.float64)
    else:
        clipped = np.clip(stored.data, columns.low[at], columns.high[at])
        lawful = np.where(columns.binary[at], stored.data != 0, clipped).astype(np.float64)
    if stored.data.dtype == np.float64 and (lawful == stored.data).all():
        return stored
    return csr_array((lawful, at, stored.indptr), shape=stored.shape)


def _support(x: Any, has: Flags, fitted: Flags, made: Cells, *, folds: int) -> Support:
    some = (
        x
        if (x.data == 1).all()
        else csr_array(((x.data != 0).astype(np.float64), x.indices, x.indptr), shape=x.shape)
    )

    def having(held: Flags) -> NDArray[np.int64]:
        return np.asarray(np.rint(some.T @ held.astype(np.float64)), dtype=np.int64)

    def counted(held: Flags) -> Support:
        cases = held & has
        return count_sparse(made, having(held), having(cases), int(held.sum()), int(cases.sum()))

    of_fitted = counted(fitted)
    if folds == 1:
        return of_fitted
    left = counted(~fitted)
    return np.concatenate([of_fitted, left, of_fitted + left])
