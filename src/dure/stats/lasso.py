"""Penalised models of thousands of sparse covariates: LASSO, ridge and elastic net, logistic and Poisson.

Exact for: the penalised estimate over everyone, -log-likelihood / people + penalty, the intercept unpenalised, covariates not
standardised; with `folds`, over those outside one fold. One row a person; a sparse matrix `covariates`.

Only gradients are asked for, and every covariate's own curvature: no pair of covariates, so no pair is a cell. A covariate whose
people, cases or complements are too few to be shown is left out, by name. Along the path of penalties each start is the minimum
before; earlier minima are near enough for a warm start, the last is exact.

What `judge` stops: coefficients that aren't finite, beyond 40, for columns that there aren't, or named twice, and more rounds than
permitted. A linear predictor counts as no more than 40 (log: 30) whatever is asked. What it doesn't stop is as in `glm`.
"""

from dataclasses import replace
from functools import lru_cache
from math import exp
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked
from scipy.sparse import csr_array

from dure.stats.base import Again, Answer, BadState, Done, Frame, Released, SplitsBy, Statistic
from dure.stats.design import (
    EVERYONE,
    BadDesign,
    Cells,
    Covariate,
    cells,
    check,
    continuous,
    count_sparse,
    fraction_bits,
    people_of,
    values,
)
from dure.stats.families import LARGEST_LOG, LARGEST_LOGIT, Family, terms
from dure.stats.glm_model import Bounds
from dure.stats.quasi_newton import Penalty, curvature, minimum
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Relation, Sums, Support, Unit

Vector = NDArray[np.float64]
LARGEST_COEFFICIENT = 40.0
EXACT = 1e-11
"""By default, how far from its minimum a coordinate's derivative may be at the last penalty, per person."""
NEARLY = 1e-3
"""The same at earlier penalties, as a share of the penalty."""
REMEMBERED = 20
MOST_NEW = 200
MOST_ACTIVE = 2000
SMALLEST_STEP = 2.0**-20
LOWER = 1e-13


@message
class LassoParams:
    """A model.

    Attributes:
        penalties: strengths, falling; the last one's estimate is exact.
        share: 1 is LASSO, 0 is ridge, between is elastic net.
        fold, folds: with folds above 1, people of this fold (by a hash of their ordinal) are left out and the others' estimate is
            tried on them.
        near: how far from its minimum a coordinate's derivative may be at the last penalty, per person.
    """

    family: Family
    covariates: tuple[Covariate, ...]
    penalties: tuple[Annotated[float, Checked(gt=0)], ...]
    share: Annotated[float, Checked(ge=0, le=1)] = 1.0
    outcome: Bounds = Bounds(low=0.0, high=1.0)
    offset: Bounds | None = None
    fold: Annotated[int, Checked(ge=0)] = 0
    folds: Annotated[int, Checked(ge=1, le=50)] = 1
    most_rounds: Annotated[int, Checked(ge=2, le=1000)] = 200
    near: Annotated[float, Checked(ge=1e-13, le=1e-4)] = EXACT

    def __post_init__(self) -> None:
        """Raise BadDesign where the model can't be fitted so."""
        check(self.covariates, ("outcome", "offset"))
        falling = all(a > b for a, b in zip(self.penalties, self.penalties[1:], strict=False))
        sound = {
            "the family": self.family in (Family.BINOMIAL, Family.POISSON),
            "the penalties": bool(self.penalties) and falling,
            "the fold": self.fold < self.folds,
            "the outcome's bounds": self.outcome.low >= 0
            and (self.family is not Family.BINOMIAL or self.outcome.high <= 1),
            "the number of covariates for a ridge penalty": self.share > 0
            or len(self.covariates) < MOST_ACTIVE,
        }
        for what, holds in sound.items():
            if not holds:
                raise BadDesign(
                    f"A penalised model isn't made with {what} as given.",
                    where=what.removeprefix("the "),
                    mend="Logistic or Poisson, penalties falling, and a fold below the number of folds.",
                )


@message
class Sparse:
    """Some coordinates of a vector: 0 is the intercept, j + 1 the covariate j."""

    index: tuple[int, ...]
    value: tuple[float, ...]


@message
class Taken:
    """A step, and how the gradient changed by it."""

    step: Sparse
    change: Sparse


@message
class Solution:
    """The estimate at one penalty. `held_out`: the log-likelihood of the people of the fold left out."""

    penalty: float
    intercept: float
    coefficients: dict[str, float]
    log_likelihood: float
    held_out: float


@message
class LassoState:
    """The coefficients asked about, and what it takes to go on from the answer.

    Attributes:
        asked: the coefficients.
        origin, gradient, objective: those that they are a step from, with the gradient and the objective there.
        steps: the latest steps.
        place: which penalty is sought.
        found: the estimates at earlier ones.
        rounds: asked before.
    """

    asked: Sparse
    origin: Sparse
    gradient: Sparse
    objective: float | None = None
    steps: tuple[Taken, ...] = ()
    place: int = 0
    found: tuple[Solution, ...] = ()
    rounds: int = 0


@message
class LassoResult:
    """The path; its last estimate is exact. None: there is no estimate, for the reason in `trouble`.

    Attributes:
        left_out: covariates with too few people behind one of their cells.
        off: how far from its minimum the last estimate's worst derivative is, per person.
    """

    people: int | None
    path: tuple[Solution, ...]
    left_out: tuple[str, ...]
    off: float | None
    rounds: int
    trouble: str | None


class Lasso(Statistic[LassoParams, LassoState, LassoResult]):
    """A penalised model from gradients."""

    name = "lasso"
    params = LassoParams
    state = LassoState
    result = LassoResult
    splits_by = SplitsBy.PERSON
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-12

    def layout(self, params: LassoParams) -> Layout:
        """Each covariate's people, and of them the cases; with folds, those left out and everyone beside those fitted."""
        return _layout(params)

    def columns(self, params: LassoParams) -> tuple[str, ...]:
        """`outcome` (and `offset`), beside the matrix `covariates`."""
        return ("outcome",) if params.offset is None else ("outcome", "offset")

    def rounds(self, params: LassoParams) -> int:
        return params.most_rounds

    def begin(self, params: LassoParams) -> LassoState:
        """No covariate at all."""
        nothing = Sparse(index=(), value=())
        return LassoState(asked=nothing, origin=nothing, gradient=nothing)

    def judge(self, params: LassoParams, state: LassoState) -> None:
        """Finite, bounded coefficients of columns that there are."""
        index, value = state.asked.index, state.asked.value
        if (
            len(index) != len(value)
            or len(set(index)) != len(index)
            or any(not 0 <= i <= len(params.covariates) for i in index)
            or any(not abs(v) <= LARGEST_COEFFICIENT for v in value)
            or not 0 <= state.rounds < params.most_rounds
        ):
            raise BadState(
                "The coefficients are none that this model may be asked about.",
                where="state",
                mend="Nothing to do here.",
            )

    def local(self, frame: Frame, params: LassoParams, state: LassoState) -> Answer:
        """One row a person."""
        people = people_of(frame)
        fitted = fold_of(frame.person, params.folds) != params.fold
        if params.folds == 1:
            fitted[:] = True
        x, y = _matrix(frame, params), values(frame, _outcome(params))
        offset = np.zeros(len(y)) if params.offset is None else values(frame, _offset(params))
        at = _dense(state.asked, len(params.covariates) + 1)
        limit = LARGEST_LOGIT if params.family is Family.BINOMIAL else LARGEST_LOG
        eta = np.clip(at[0] + x @ at[1:] + offset, -limit, limit)
        each = terms(params.family, y, eta, 1.0)
        made, layout = _cells(params), self.layout(params)
        support = _support(x, y, fitted, made, folds=params.folds)
        kept = fitted.astype(np.float64)

        def sums(v: Vector, matrix: Any) -> Vector:
            return np.concatenate([[v.sum()], matrix.T @ v])

        weight = each.weight * kept
        squares = x if all(c.binary for c in params.covariates) else csr_array(x.multiply(x))
        told: dict[str, Any] = {
            "people": support[[EVERYONE, *made.outcome]],
            "value": np.array([each.value @ kept]),
            "observed": sums(each.observed * kept, x),
            "expected": sums(each.expected * kept, x),
            "own": sums(weight, squares),
        }
        if squares is not x:
            told["crossed"] = sums(weight, x)
        if params.folds > 1:
            told["held out"] = np.array([each.value @ (1 - kept)])
            told["everyone"] = support[2 * len(made.names) :][_shown_cells(made)]
        return Answer(
            sums=Sums(layout=layout, values=told),
            support=support,
            populations={"everyone": people if fitted.all() else np.sort(frame.person[fitted])},
        )

    def step(
        self, params: LassoParams, state: LassoState, total: Released
    ) -> Again[LassoState] | Done[LassoResult]:
        made, p = _cells(params), len(params.covariates)
        usable = total.open[made.column] & total.open[made.case]
        left_out = tuple(
            c.name for c, is_open in zip(params.covariates, usable[1:], strict=True) if not is_open
        )
        people = int(total.values["people"][0])

        def done(off: float | None, trouble: str | None, found: tuple[Solution, ...]) -> Done[LassoResult]:
            return Done(
                result=LassoResult(
                    people=people or None,
                    path=found,
                    left_out=left_out,
                    off=off,
                    rounds=state.rounds + 1,
                    trouble=trouble,
                )
            )

        if not usable[0]:
            return done(None, "small-cells", ())
        if any(not usable[i] for i in state.asked.index):
            # A hospital has gone, and with it people behind a covariate in use: begin anew without it.
            return Again(state=replace(self.begin(params), rounds=state.rounds + 1))
        point, origin = _dense(state.asked, p + 1), _dense(state.origin, p + 1)
        gradient = np.asarray(total.values["expected"] - total.values["observed"], dtype=np.float64) / people
        gradient[~usable] = 0
        value, place = float(total.values["value"][0]), state.place
        penalty = Penalty(strength=params.penalties[place], share=params.share)
        objective = -value / people + penalty.of(point[1:])
        out = state.rounds + 1 >= params.most_rounds
        if state.objective is not None and not objective <= state.objective + LOWER * (
            abs(state.objective) + 1
        ):
            shorter = origin + (point - origin) / 2
            if out or float(np.abs(shorter - origin).max()) < SMALLEST_STEP * LOWER:
                return done(None, "not-converged", state.found)
            return Again(state=replace(state, asked=_sparse(shorter), rounds=state.rounds + 1))
        steps = state.steps
        if state.objective is not None:
            known = np.array(state.gradient.index, dtype=np.int64)
            change = Sparse(
                index=state.gradient.index, value=tuple((gradient[known] - state.gradient.value).tolist())
            )
            steps = (*steps, Taken(step=_sparse(point - origin), change=change))[-REMEMBERED:]
        found = state.found
        while True:
            off = penalty.violation(gradient, point)
            last = place + 1 == len(params.penalties)
            if off.max() > (params.near if last else NEARLY * penalty.strength):
                break
            found = (*found, _solution(params, penalty, point, value, total))
            if last:
                return done(float(off.max()), None, found)
            place += 1
            penalty = Penalty(strength=params.penalties[place], share=params.share)
        if out:
            return done(float(off.max()), "not-converged", found)
        off[~usable] = 0
        chosen = _candidates(point, off)
        if len(chosen) > MOST_ACTIVE:
            return done(float(off.max()), "too-many-covariates", found)
        own = np.asarray(total.values["own"], dtype=np.float64) / people
        crossed = np.asarray(total.values.get("crossed", total.values["own"]), dtype=np.float64) / people
        model = curvature(
            own[chosen],
            crossed[chosen],
            float(own[0]),
            [(_dense(t.step, p + 1)[chosen], _dense(t.change, p + 1)[chosen]) for t in steps],
        )
        following = point.copy()
        following[chosen] = minimum(model, gradient[chosen], point[chosen], penalty)
        following = np.clip(following, -LARGEST_COEFFICIENT, LARGEST_COEFFICIENT)
        return Again(
            state=LassoState(
                asked=_sparse(following),
                origin=_sparse(point),
                gradient=Sparse(index=tuple(chosen.tolist()), value=tuple(gradient[chosen].tolist())),
                objective=-value / people + penalty.of(point[1:]),
                steps=steps,
                place=place,
                found=found,
                rounds=state.rounds + 1,
            )
        )


def fold_of(person: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """Each person's fold, from the ordinal alone: the same in every round and run. (SplitMix64's mixing.)"""
    mixed = person.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(folds)).astype(np.int64)


def best_penalty(folds: tuple[LassoResult, ...]) -> float:
    """The penalty whose estimates fit best on the people that they weren't made from, added over folds."""
    reached = min(len(fold.path) for fold in folds)
    totals = [sum(fold.path[place].held_out for fold in folds) for place in range(reached)]
    return folds[0].path[int(np.argmax(totals))].penalty


def _candidates(point: Vector, off: Vector) -> NDArray[np.int64]:
    """The intercept, the coefficients in use, and the covariates that most want to be."""
    in_use = point != 0
    in_use[0] = True
    new = np.flatnonzero((off > 0) & ~in_use)
    new = new[np.argsort(-off[new], kind="stable")[:MOST_NEW]]
    return np.sort(np.concatenate([np.flatnonzero(in_use), new]))


def _solution(
    params: LassoParams, penalty: Penalty, point: Vector, value: float, total: Released
) -> Solution:
    held_out = float(total.values["held out"][0]) if params.folds > 1 else 0.0
    return Solution(
        penalty=penalty.strength,
        intercept=float(point[0]),
        coefficients={params.covariates[j].name: float(point[j + 1]) for j in np.flatnonzero(point[1:])},
        log_likelihood=value,
        held_out=held_out,
    )


def _dense(sparse: Sparse, size: int) -> Vector:
    full = np.zeros(size)
    full[list(sparse.index)] = sparse.value
    return full


def _sparse(full: Vector) -> Sparse:
    index = np.flatnonzero(full)
    return Sparse(index=tuple(index.tolist()), value=tuple(full[index].tolist()))


def _matrix(frame: Frame, params: LassoParams) -> Any:
    """The covariates within their bounds."""
    stored = frame.matrices["covariates"].tocsr()
    if stored.shape[1] != len(params.covariates):
        raise ValueError(f"{stored.shape[1]} columns for {len(params.covariates)} covariates")
    if all(covariate.binary for covariate in params.covariates):
        data = (stored.data != 0).astype(np.float64)
    else:
        lows = np.array([covariate.low for covariate in params.covariates])[stored.indices]
        highs = np.array([covariate.high for covariate in params.covariates])[stored.indices]
        is_binary = np.array([covariate.binary for covariate in params.covariates])[stored.indices]
        data = np.where(is_binary, stored.data != 0, np.clip(stored.data, lows, highs)).astype(np.float64)
    return csr_array((data, stored.indices, stored.indptr), shape=stored.shape)


def _support(x: Any, y: Vector, fitted: NDArray[np.bool_], made: Cells, *, folds: int) -> Support:
    def counted(held: NDArray[np.bool_]) -> Support:
        has = csr_array(((x.data != 0).astype(np.float64), x.indices, x.indptr), shape=x.shape)
        return count_sparse(
            made,
            np.rint(has.T @ held.astype(np.float64)).astype(np.int64),
            np.rint(has.T @ (held & (y != 0)).astype(np.float64)).astype(np.int64),
            int(held.sum()),
            int((held & (y != 0)).sum()),
        )

    of_fitted = counted(fitted)
    if folds == 1:
        return of_fitted
    left = counted(~fitted)
    return np.concatenate([of_fitted, left, of_fitted + left])


def _outcome(params: LassoParams) -> Covariate:
    return continuous("outcome", params.outcome.low, params.outcome.high)


def _offset(params: LassoParams) -> Covariate:
    assert params.offset is not None
    return continuous("offset", params.offset.low, params.offset.high)


def _shown_cells(made: Cells) -> NDArray[np.int64]:
    return np.unique(np.concatenate([[EVERYONE, *made.outcome], made.column, made.case]))


@lru_cache(maxsize=4)
def _cells(params: LassoParams) -> Cells:
    for covariate in params.covariates:
        if covariate.never_zero:
            raise BadDesign(
                f"The bounds of {covariate.name} leave out 0, which a sparse matrix is full of.",
                where=covariate.name,
                mend="Let the bounds hold 0.",
            )
    return cells((None, *params.covariates), outcome=True, pairs=False)


@lru_cache(maxsize=4)
def _layout(params: LassoParams) -> Layout:
    made = _cells(params)
    everyone = np.array([EVERYONE], dtype=np.int64)
    y = max(params.outcome.high, 1.0)
    x = max([1.0, *(covariate.most for covariate in params.covariates)])
    binomial = params.family is Family.BINOMIAL
    mean = 1.0 if binomial else exp(LARGEST_LOG)
    value = (y + 1) * (LARGEST_LOGIT + 2 * np.log(y + 1) + 1) + mean

    def derivative(name: str, bound: float, rests_on: NDArray[np.int64]) -> Field:
        return Field(
            name=name,
            kind=FieldKind.DERIVATIVE,
            unit=Unit.PERSON,
            bound=float(bound),
            rests_on=rests_on,
            scale=fraction_bits(float(bound)),
        )

    def people(name: str, rests_on: NDArray[np.int64]) -> Field:
        return Field(name=name, kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=rests_on)

    fields = [
        people("people", np.array([EVERYONE, *made.outcome], dtype=np.int64)),
        derivative("value", value, everyone),
        derivative("observed", x * y, made.case),
        derivative("expected", x * mean, made.column),
        derivative("own", x * x * mean, made.column),
    ]
    if not all(c.binary for c in params.covariates):
        fields.append(derivative("crossed", x * mean, made.column))
    if params.folds == 1:
        return Layout(cells=made.names, relations=made.relations, fields=tuple(fields))
    n = len(made.names)
    fields.append(derivative("held out", value, everyone + n))
    # What the same model without folds shows, so that it is judged beside what would be left of it.
    fields.append(people("everyone", _shown_cells(made) + 2 * n))
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
        fields=tuple(fields),
    )
