"""A linear mixed model: an outcome by covariates, with hospitals' own levels as a random intercept (1 | hospital).

Exact for: the (restricted) maximum-likelihood fit over all hospitals. In `total` it takes some rounds, each at one ratio λ of the
variance between hospitals to that within. In `by_hospital` one round is enough (`one_round`): each hospital's products are all
that the fit needs, and `fit_together` finds it.

People in whom something is unknown (NaN) are left out. Everything is shown or nothing: a term of a hospital's sums speaks of all its
columns at once.

What `total` can't hide: terms are sums over hospitals of curves of their sizes and means. Of few hospitals, enough rounds are
enough equations to tell their sizes and means (never a person's values: these are sums over at least k people where a
hospital has them). A board that minds should ask for a fixed effect, or many hospitals.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, reduce
from math import exp, isfinite, log
from operator import add
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats import no_fit
from dure.stats.base import Again, Answer, BadState, Done, Frame, Released, SplitsBy, Statistic
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
    triangle_size,
)
from dure.stats.intervals import Effect, effect
from dure.stats.mixed_kernel import Profile, Terms, made_of_others, of_hospital, profile
from dure.stats.moments import origin, standing
from dure.stats.newton import Trouble
from dure.stats.no_fit import SMALL_CELLS, Suspect
from dure.stats.problems import NoEstimate
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Model, Numbers, Sums, Unit

Matrix = NDArray[np.float64]
LARGEST_RATIO = 1e6
SMALLEST_RATIO = 1e-9
"""Below it, variance between hospitals is none."""
CLOSE = 1e-9
"""Ratios that differ by so little of themselves are the same."""
PEOPLE_OF_ONE = 2.0**24
"""A hospital's square of its people, and cube, divided by its people: bounds of what one person adds to these."""
ROUNDS = 40
SQUARES = ("taken", "first", "second")
FITS_PERFECTLY = "fits-perfectly"


@message
class MixedModelParams:
    """A model.

    Attributes:
        outcome: a quantity.
        restricted: REML, as is usual, in place of ML.
        one_round: only the products are asked for; for `by_hospital`.
    """

    outcome: Covariate
    covariates: tuple[Covariate, ...]
    restricted: bool = True
    one_round: bool = False

    def __post_init__(self) -> None:
        """Raise BadDesign where names clash."""
        check((self.outcome, *self.covariates), ("hospital", "(Intercept)"))


@message
class Tried:
    """One ratio that sums were asked at, and the deviance there: at its scale of sums, not of the outcome."""

    ratio: float
    deviance: float


@message
class MixedModelState:
    """The ratio asked about.

    Attributes:
        ratio: λ; 0 in the first round.
        low, high: between which the best ratio is known to lie; None where that isn't known yet.
        asked: how many rounds there were.
        path: the ratios asked about so far.
    """

    ratio: Annotated[float, Checked(ge=0, le=LARGEST_RATIO)]
    low: float | None
    high: float | None
    asked: int
    path: tuple[Tried, ...] = ()


@message
class MixedFit:
    """A model at its maximum.

    Attributes:
        covariance: of the effects, row by row.
        between, within: the variance of hospitals' levels, and of people's outcomes about them.
        deviance: minus twice the (restricted) log-likelihood.
    """

    effects: tuple[Effect, ...]
    covariance: tuple[tuple[float, ...], ...]
    between: float
    within: float
    deviance: float


@message
class MixedModelResult:
    """The people and hospitals (None: hidden), and the fit, or the products in `one_round`.

    Attributes:
        products: the lower triangle of sums of products of 1, the covariates and the outcome, from their origins in units of
            their ranges.
        hidden: whether too few people are behind some number that it takes.
        trouble: why there is no fit: `small-cells`, covariates made of each other, none that is left to explain, or rounds that ran out.
        suspects: the covariates that it is about.
        path: the ratios that were asked about.
    """

    people: int | None
    hospitals: int | None
    fit: MixedFit | None
    products: tuple[float, ...] | None
    hidden: bool
    trouble: str | None = None
    suspects: tuple[Suspect, ...] = ()
    path: tuple[Tried, ...] = ()


class MixedModel(Statistic[MixedModelParams, MixedModelState, MixedModelResult]):
    """A search for the variance ratio, by Newton's method within a bracket."""

    name = "mixed_model"
    params = MixedModelParams
    state = MixedModelState
    result = MixedModelResult
    splits_by = SplitsBy.SITE
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-11

    def layout(self, params: MixedModelParams) -> Layout:
        """Cells of every column and every pair of columns, shown together."""
        return _layout(params)

    def columns(self, params: MixedModelParams) -> tuple[str, ...]:
        """The outcome and the covariates. Where frames of hospitals are pooled, a column `hospital` tells them apart."""
        return tuple(column.name for column in (params.outcome, *params.covariates))

    def rounds(self, params: MixedModelParams) -> int:
        return 1 if params.one_round else ROUNDS

    def begin(self, params: MixedModelParams) -> MixedModelState:
        return MixedModelState(ratio=0.0, low=None, high=None, asked=0)

    def judge(self, params: MixedModelParams, state: MixedModelState) -> None:
        """Any ratio is a lawful question, and so many of them."""
        if not 0 <= state.asked < self.rounds(params) or not isfinite(state.ratio):
            raise BadState("That is no ratio, or one too many.", where="state", mend="Nothing to do here.")

    def local(self, frame: Frame, params: MixedModelParams, state: MixedModelState) -> Answer:
        """One row a person."""
        columns = (*params.covariates, params.outcome)
        known = np.ones(len(frame.person), dtype=np.bool_)
        for column in columns:
            known &= ~np.isnan(frame.columns[column.name].astype(np.float64))
        z = np.stack([np.ones(known.sum()), *(standing(frame, column)[known] for column in columns)])
        place = frame.columns["hospital"][known] if "hospital" in frame.columns else np.zeros(z.shape[1])
        empty = np.zeros((len(z), len(z)))
        terms, hospitals = of_hospital(empty, state.ratio), 0
        constant = np.zeros(len(z) - 1, dtype=np.int64)
        for one in np.unique(place):
            here = z[:, place == one]
            terms, hospitals = terms + of_hospital(here @ here.T, state.ratio), hospitals + 1
            constant[1:] += here[1:-1].min(axis=1) == here[1:-1].max(axis=1)
        lower = np.tril_indices(len(z))
        sums: dict[str, Numbers] = {
            "people": np.array([z.shape[1]], dtype=np.int64),
            "hospitals": np.array([hospitals], dtype=np.int64),
            "products": terms.products[lower],
        }
        if not params.one_round:
            sums |= {name: getattr(terms, name)[lower] for name in SQUARES}
            sums |= {f"log {i}": terms.logs[i : i + 1] for i in range(3)}
            sums[no_fit.CONSTANT] = constant
        some = [row != 0 for row, column in zip(z[1:], columns, strict=True) if not column.never_zero]
        return Answer(
            sums=Sums(layout=_layout(params), values=sums),
            support=count(_design(params), some, z.shape[1]),
            populations={"everyone": np.unique(frame.person[known])},
        )

    def step(
        self, params: MixedModelParams, state: MixedModelState, total: Released
    ) -> Again[MixedModelState] | Done[MixedModelResult]:
        if not total.open[EVERYONE]:
            return Done(
                result=MixedModelResult(
                    people=None,
                    hospitals=None,
                    fit=None,
                    products=None,
                    hidden=True,
                    trouble=SMALL_CELLS,
                    path=state.path,
                )
            )
        if params.one_round:
            return Done(result=_result(total, products=tuple(total.values["products"].tolist())))
        terms = _terms(params, total)
        found = profile(terms, restricted=params.restricted)
        if found is None:
            dependent = made_of_others(terms)
            why = no_fit.NoFit(
                trouble=Trouble.COLLINEAR if dependent else FITS_PERFECTLY,
                suspects=no_fit.suspects(_names(params), dependent, total),
            )
            return Done(result=_result(total, why=why, path=state.path))
        path = (*state.path, Tried(ratio=state.ratio, deviance=found.deviance))
        after = _next(state, found)
        if after is None:
            return Done(result=_result(total, fit=_fit(params, found, state.ratio), path=path))
        if after.asked < self.rounds(params):
            return Again(state=replace(after, path=path))
        why = no_fit.NoFit(trouble=Trouble.NOT_CONVERGED, suspects=())
        return Done(result=_result(total, why=why, path=path))


def fit_together(params: MixedModelParams, hospitals: Sequence[MixedModelResult]) -> MixedFit:
    """The fit from what each hospital showed of itself in `one_round`.

    Raises:
        NoEstimate: a hospital's products are hidden, or there is no fit.
    """
    size = len(params.covariates) + 2
    parts = [square(np.array(one.products), size) for one in hospitals if one.products is not None]
    if not parts or len(parts) != len(hospitals):
        raise NoEstimate(
            "A hospital's products are hidden; without it the fit would be another.",
            where="hospitals",
            mend="Leave the hospital out from the start, or ask in `total`.",
        )
    state, dependent = MixedModelState(ratio=0.0, low=None, high=None, asked=0), tuple[int, ...]()
    path: list[float] = []
    while state.asked < ROUNDS:
        terms = reduce(add, (of_hospital(part, state.ratio) for part in parts))
        found = profile(terms, restricted=params.restricted)
        if found is None:
            dependent = made_of_others(terms)
            break
        path.append(state.ratio)
        after = _next(state, found)
        if after is None:
            return _fit(params, found, state.ratio)
        state = after
    about = ", ".join(_names(params)[index] for index in dependent)
    asked = ", ".join(f"{ratio:.3g}" for ratio in path)
    raise NoEstimate(
        f"Nothing tells these apart: {about}."
        if about
        else f"The ratio of variances did not settle: {asked}.",
        where="covariates",
        mend="Leave out a covariate, or use a fixed effect.",
    )


def _next(state: MixedModelState, found: Profile) -> MixedModelState | None:
    """The next ratio to ask about; None where this is the best. The deviance falls below the best ratio and rises above."""
    ratio, asked = state.ratio, state.asked + 1
    if ratio == 0:
        if found.slope >= 0:
            return None
        guess = -found.slope / found.curve if found.curve > 0 else 0.1
        return MixedModelState(
            ratio=min(max(guess, SMALLEST_RATIO), 1.0), low=SMALLEST_RATIO, high=None, asked=asked
        )
    low, high = (ratio, state.high) if found.slope < 0 else (state.low, ratio)
    # Newton's step on the logarithm, where the deviance is nearly a parabola.
    slope = found.slope * ratio
    curve = found.curve * ratio**2 + slope
    step = -slope / curve if curve > 0 else (2.0 if slope < 0 else -2.0)
    if abs(step) <= CLOSE:
        return None
    following = ratio * exp(min(max(step, -5.0), 5.0))
    if low is not None and high is not None:
        if log(high / low) <= CLOSE:
            return None
        if not low < following < high:
            following = (low * high) ** 0.5
    following = min(max(following, SMALLEST_RATIO), LARGEST_RATIO)
    if following == ratio:
        return None
    return MixedModelState(ratio=following, low=low, high=high, asked=asked)


@lru_cache(maxsize=8)
def _design(params: MixedModelParams) -> Cells:
    return cells((None, *params.covariates, params.outcome), outcome=False, pairs=True)


@lru_cache(maxsize=8)
def _layout(params: MixedModelParams) -> Layout:
    made = _design(params)
    everyone = np.array([EVERYONE], dtype=np.int64)
    pairs = triangle(made.pair)
    fields = [
        Field(name="people", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=everyone),
        Field(name="hospitals", kind=FieldKind.COUNT, unit=Unit.HOSPITAL, bound=1, rests_on=everyone),
        _sum("products", 1.0, pairs, Unit.PERSON),
    ]
    if not params.one_round:
        all_pairs = np.full(triangle_size(len(made.pair)), EVERYONE, dtype=np.int64)
        most = (1.0, PEOPLE_OF_ONE, PEOPLE_OF_ONE**2)
        fields += [
            _sum(name, bound, all_pairs, Unit.HOSPITAL) for name, bound in zip(SQUARES, most, strict=True)
        ]
        logs = (log(1 + LARGEST_RATIO), 1.0, PEOPLE_OF_ONE)
        fields += [_sum(f"log {i}", bound, everyone, Unit.HOSPITAL) for i, bound in enumerate(logs)]
        fields.append(no_fit.hospitals(no_fit.CONSTANT, len(params.covariates) + 1))
    return Layout(
        cells=made.names,
        relations=made.relations,
        fields=tuple(fields),
        model=Model(coefficients=len(params.covariates) + 1, people=EVERYONE),
        together=(tuple(range(len(made.names))),),
    )


def _sum(name: str, bound: float, rests_on: NDArray[np.int64], unit: Unit) -> Field:
    return Field(
        name=name,
        kind=FieldKind.MOMENT,
        unit=unit,
        bound=bound,
        rests_on=rests_on,
        scale=fraction_bits(bound),
    )


def _terms(params: MixedModelParams, total: Released) -> Terms:
    size = len(params.covariates) + 2
    whole = {name: square(total.values[name].astype(np.float64), size) for name in ("products", *SQUARES)}
    return Terms(**whole, logs=np.array([total.values[f"log {i}"][0] for i in range(3)]))


def _result(
    total: Released,
    *,
    fit: MixedFit | None = None,
    products: tuple[float, ...] | None = None,
    why: no_fit.NoFit | None = None,
    path: tuple[Tried, ...] = (),
) -> MixedModelResult:
    return MixedModelResult(
        people=int(total.values["people"][0]),
        hospitals=int(total.values["hospitals"][0]),
        fit=fit,
        products=products,
        hidden=False,
        trouble=None if why is None else why.trouble,
        suspects=() if why is None else why.suspects,
        path=path,
    )


def _names(params: MixedModelParams) -> tuple[str, ...]:
    return ("(Intercept)", *(covariate.name for covariate in params.covariates))


def _fit(params: MixedModelParams, found: Profile, ratio: float) -> MixedFit:
    """From the scale on which sums were taken back to that of the variables."""
    start, unit = origin(params.outcome)
    p = len(found.beta)
    back = np.zeros((p, p))
    back[0, 0] = unit
    for index, covariate in enumerate(params.covariates, start=1):
        its_start, its_unit = origin(covariate)
        back[index, index] = unit / its_unit
        back[0, index] = -unit * its_start / its_unit
    beta = back @ found.beta
    beta[0] += start
    covariance = back @ found.covariance @ back.T
    errors = np.sqrt(np.diag(covariance))
    names = _names(params)
    # A change of units moves the likelihood: by each outcome's, and in REML by each column's.
    moved = found.people * np.log(unit)
    if params.restricted:
        moved -= np.log(np.diag(back)).sum()
    return MixedFit(
        effects=tuple(
            effect(name, float(estimate), float(error))
            for name, estimate, error in zip(names, beta, errors, strict=True)
        ),
        covariance=tuple(tuple(row) for row in covariance.tolist()),
        between=ratio * found.residual * unit**2,
        within=found.residual * unit**2,
        deviance=found.deviance + 2 * float(moved),
    )
