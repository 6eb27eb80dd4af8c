"""Conditional likelihoods: matched case-control studies, and self-controlled case series.

Each stratum (a matched set; in a case series, one person's intervals) is compared within itself, so nothing that is the
same throughout a stratum can confound. Exact for: the maximum-likelihood estimate over the strata of all hospitals, its standard
errors and its log-likelihood. Strata never cross hospitals.

A case series is the conditional Poisson likelihood: ties by Breslow, rows that are intervals, `case` their events, `offset` the
logarithm of their lengths.

Cells count strata, of which each holds at least one person and shares nobody with another. A score rests on the strata in
which some row has the covariate; what is observed, on those in which a case has it.

What `judge` stops is what it stops in `glm`.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked

from dure.stats import newton, no_fit
from dure.stats.base import Again, Answer, BadState, Done, Frame, Released, SplitsBy, Statistic
from dure.stats.conditional_kernel import Strata, Ties, add_up
from dure.stats.design import (
    EVERYONE,
    BadDesign,
    Cells,
    Covariate,
    cells,
    check,
    count,
    fraction_bits,
    square,
    triangle,
    values,
)
from dure.stats.intervals import Effect, effect
from dure.stats.newton import NewtonState, Visited
from dure.stats.no_fit import CONSTANT, SEPARATED, SMALL_CELLS, Suspect, suspects
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Model, Relation, Sums, Unit

Vector = NDArray[np.float64]
LARGEST_PREDICTOR = 40.0
TAKEN = ("stratum", "case", "offset")


@message
class ConditionalParams:
    """A model.

    Attributes:
        largest_offset: the largest magnitude of an offset, to which it is clipped; None where there is none.
        most_cases: the most cases (or events) that a stratum may have.
        most_rows: the most rows that it may have.
    """

    covariates: tuple[Covariate, ...]
    ties: Ties = Ties.EFRON
    largest_offset: Annotated[float, Checked(gt=0, le=40)] | None = None
    most_cases: Annotated[int, Checked(ge=1, le=1000)] = 10
    most_rows: Annotated[int, Checked(ge=2, le=100_000)] = 1000
    most_rounds: Annotated[int, Checked(ge=2, le=100)] = 30

    def __post_init__(self) -> None:
        """Raise BadDesign where names clash or there is nothing to estimate."""
        check(self.covariates, TAKEN)
        if not self.covariates:
            raise BadDesign("There is no covariate.", where="covariates", mend="Give one.")


@message
class ConditionalState:
    """The coefficients asked about."""

    newton: NewtonState


@message
class ConditionalFit:
    """A model at its maximum: log odds ratios, or log rate ratios in a case series, and their covariance, row by row."""

    effects: tuple[Effect, ...]
    covariance: tuple[tuple[float, ...], ...]
    log_likelihood: float


@message
class ConditionalResult:
    """People and strata that say something, events in them, and the fit or why there is none.

    Attributes:
        trouble: `small-cells` (too few people for the sums to be shown), or how Newton's method ended.
        suspects: the covariates that it is about.
        path: the points that were asked about.
    """

    people: int | None
    strata: int | None
    events: int | None
    fit: ConditionalFit | None
    trouble: str | None
    suspects: tuple[Suspect, ...]
    path: tuple[Visited, ...]


class Conditional(Statistic[ConditionalParams, ConditionalState, ConditionalResult]):
    """A conditional likelihood by Newton's method, with the step halved where the likelihood would fall."""

    name = "conditional"
    params = ConditionalParams
    state = ConditionalState
    result = ConditionalResult
    splits_by = SplitsBy.STRATUM
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-11

    def layout(self, params: ConditionalParams) -> Layout:
        """Cells of the design in strata, those in which a case has the covariate, and the people."""
        return _layout(params)

    def populations(self, params: ConditionalParams) -> tuple[str, ...]:
        return ("people",)

    def columns(self, params: ConditionalParams) -> tuple[str, ...]:
        """`stratum` (whole numbers of the hospital's own), `case`, the covariates, and `offset` if there is one.

        Where frames of hospitals are pooled, a column `hospital` tells them apart.
        """
        offset = () if params.largest_offset is None else ("offset",)
        return ("stratum", "case", *(covariate.name for covariate in params.covariates), *offset)

    def rounds(self, params: ConditionalParams) -> int:
        return params.most_rounds

    def begin(self, params: ConditionalParams) -> ConditionalState:
        """All coefficients 0."""
        return ConditionalState(newton=newton.begin(np.zeros(len(params.covariates))))

    def judge(self, params: ConditionalParams, state: ConditionalState) -> None:
        """The coefficients must be finite, as many as the model has, and bounded in what they say of anybody."""
        point = np.array(state.newton.point)
        if (
            point.shape != (len(params.covariates),)
            or not _lawful(params, point)
            or len(state.newton.path) >= params.most_rounds
        ):
            raise BadState(
                "The coefficients are none that this model may be asked about.",
                where="state",
                mend="Nothing to do here.",
            )

    def local(self, frame: Frame, params: ConditionalParams, state: ConditionalState) -> Answer:
        """One row a person of a matched set, or a person's interval. A person belongs to one stratum.

        Raises:
            ValueError: a person is in two strata, or a stratum has more rows or cases than declared.
        """
        here = frame.once(_kept_of, params)
        strata, people = here.strata, here.people
        added = add_up(strata, np.array(state.newton.point), params.ties)
        lower = np.tril_indices(len(params.covariates))
        return Answer(
            sums=Sums(
                layout=_layout(params),
                values={
                    "people": np.array([len(people)], dtype=np.int64),
                    "strata": np.array([len(strata.starts)], dtype=np.int64),
                    "events": np.array([strata.case.sum()], dtype=np.int64),
                    "value": np.array([added.value]),
                    "observed": added.observed,
                    "expected": added.expected,
                    "information": added.information[lower],
                    **here.oddities,
                },
            ),
            support=here.support,
            populations={"people": people},
        )

    def step(
        self, params: ConditionalParams, state: ConditionalState, total: Released
    ) -> Again[ConditionalState] | Done[ConditionalResult]:
        names = tuple(covariate.name for covariate in params.covariates)
        closed = np.flatnonzero(_closed(params, total)).tolist()
        if closed or not total.open[EVERYONE]:
            about = suspects(names, closed)
            return Done(result=_result(total, state.newton.path, trouble=SMALL_CELLS, suspects=about))
        p = len(params.covariates)
        after = newton.advance(
            state.newton,
            float(total.values["value"][0]),
            np.asarray(total.values["observed"] - total.values["expected"], dtype=np.float64),
            square(total.values["information"].astype(np.float64), p),
            most=params.most_rounds,
            lawful=lambda point: _lawful(params, point),
        )
        if isinstance(after, NewtonState):
            return Again(state=ConditionalState(newton=after))
        if isinstance(after, newton.Stuck):
            about = suspects(names, after.columns, total)
            return Done(result=_result(total, after.path, trouble=after.trouble, suspects=about))
        return Done(result=_result(total, after.path, fit=_fit(params, total, after)))


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What every round has in common at a hospital."""

    strata: Strata
    people: NDArray[np.int64]
    support: NDArray[np.int64]
    oddities: dict[str, NDArray[np.int64]]


def _kept_of(frame: Frame, params: ConditionalParams) -> _Kept:
    strata, people = strata_of(frame, params)
    apart = [strata]
    if "hospital" in frame.columns:
        place = frame.columns["hospital"]
        apart = [strata_of(_rows(frame, place == one), params)[0] for one in np.unique(place)]
    found = [_oddities(one, params) for one in apart] or [_oddities(strata, params)]
    return _Kept(
        strata=strata,
        people=people,
        support=_support(strata, params, len(people)),
        oddities={name: np.sum([one[name] for one in found], axis=0) for name in found[0]},
    )


def _rows(frame: Frame, held: NDArray[Any]) -> Frame:
    return Frame(
        person=frame.person[held], columns={name: frame.columns[name][held] for name in frame.columns}
    )


def _oddities(strata: Strata, params: ConditionalParams) -> dict[str, NDArray[np.int64]]:
    """1 for each covariate that varies within no stratum here, or is 0/1 and had by cases as often, or as seldom, as can be."""
    starts = strata.starts
    if not len(starts):
        nothing = np.zeros(len(params.covariates), dtype=np.int64)
        return {CONSTANT: nothing, SEPARATED: nothing}
    varies = np.minimum.reduceat(strata.x, starts) != np.maximum.reduceat(strata.x, starts)
    some = strata.x != 0
    had, of_cases = np.add.reduceat(some, starts, dtype=np.int64), strata.case[:, None] * some
    cases = np.add.reduceat(strata.case, starts)[:, None]
    sizes = np.diff(np.append(starts, len(strata.case)))[:, None]
    # By Breslow's ties, and in a case series, one row may be drawn for every case.
    again = params.ties is Ties.BRESLOW
    most = cases if again else np.minimum(cases, had)
    least = np.zeros_like(cases) if again else np.maximum(cases - (sizes - had), 0)
    got = np.add.reduceat(of_cases, starts)
    always, never = ((~varies | (got == end)).all(axis=0) for end in (most, least))
    binary = np.array([covariate.binary for covariate in params.covariates])
    return {
        CONSTANT: (~varies.any(axis=0)).astype(np.int64),
        SEPARATED: (binary & varies.any(axis=0) & (always | never)).astype(np.int64),
    }


def strata_of(frame: Frame, params: ConditionalParams) -> tuple[Strata, NDArray[np.int64]]:
    """The strata that say something, and the people in them."""
    stratum = frame.columns["stratum"]
    if len(np.unique(np.stack([frame.person, stratum]), axis=1).T) != len(np.unique(frame.person)):
        raise ValueError("a person is in two strata")
    case = frame.columns["case"].astype(np.float64)
    if params.ties is not Ties.BRESLOW:
        case = (case != 0).astype(np.float64)
    _, of_row, sizes = np.unique(stratum, return_inverse=True, return_counts=True)
    cases = np.bincount(of_row, weights=case, minlength=len(sizes))
    if (sizes > params.most_rows).any() or (cases > params.most_cases).any():
        raise ValueError("a stratum has more rows or cases than the study declares")
    # A stratum of one row, or without a case, is the same whatever the coefficients.
    says = ((cases > 0) & (sizes > 1))[of_row]
    order = np.flatnonzero(says)[np.argsort(of_row[says], kind="stable")]
    rows = _rows(frame, order)
    x = np.stack([values(rows, covariate) for covariate in params.covariates], axis=1)
    most = params.largest_offset
    return (
        Strata(
            x=x,
            offset=(
                np.zeros(len(order))
                if most is None
                else np.clip(rows.columns["offset"], -most, most, dtype=np.float64)
            ),
            case=case[order],
            starts=np.unique(of_row[order], return_index=True)[1].astype(np.int64),
        ),
        np.unique(rows.person),
    )


@lru_cache(maxsize=8)
def _design(params: ConditionalParams) -> Cells:
    return cells(params.covariates, outcome=False, pairs=True)


@lru_cache(maxsize=8)
def _layout(params: ConditionalParams) -> Layout:
    made = _design(params)
    names, relations = list(made.names), list(made.relations)
    case_cell = made.column.copy()
    for index, covariate in enumerate(params.covariates):
        if covariate.never_zero:
            continue
        case_cell[index] = len(names)
        names += [f"case with {covariate.name}", f"{covariate.name}, not in a case"]
        relations.append(Relation(whole=int(made.column[index]), parts=(len(names) - 2, len(names) - 1)))
    people = len(names)
    names.append("people")
    everyone = np.array([EVERYONE], dtype=np.int64)
    x = max([1.0, *(covariate.most for covariate in params.covariates)])
    m = params.most_cases
    predictor = LARGEST_PREDICTOR + (params.largest_offset or 0.0)
    return Layout(
        cells=tuple(names),
        relations=tuple(relations),
        model=Model(coefficients=len(params.covariates), people=people),
        fields=(
            Field(
                name="people",
                kind=FieldKind.COUNT,
                unit=Unit.PERSON,
                bound=1,
                rests_on=np.array([people], dtype=np.int64),
            ),
            Field(name="strata", kind=FieldKind.COUNT, unit=Unit.STRATUM, bound=1, rests_on=everyone),
            Field(name="events", kind=FieldKind.COUNT, unit=Unit.STRATUM, bound=m, rests_on=everyone),
            _derivative("value", m * (2 * predictor + log(params.most_rows)), everyone),
            _derivative("observed", m * x, case_cell),
            _derivative("expected", m * x, made.column),
            _derivative("information", m * m * x * x, triangle(made.pair)),
            *no_fit.fields(len(params.covariates)),
        ),
    )


def _derivative(name: str, bound: float, rests_on: NDArray[np.int64]) -> Field:
    return Field(
        name=name,
        kind=FieldKind.DERIVATIVE,
        unit=Unit.STRATUM,
        bound=float(bound),
        rests_on=rests_on,
        scale=fraction_bits(float(bound)),
    )


def _support(strata: Strata, params: ConditionalParams, people: int) -> NDArray[np.int64]:
    """Strata behind each cell, and the people."""
    varying = [i for i, covariate in enumerate(params.covariates) if not covariate.never_zero]
    some = strata.x[:, varying] != 0
    in_case = some & (strata.case != 0)[:, None]
    if not len(strata.starts):
        anywhere, at_case = (np.zeros((0, len(varying)), dtype=np.bool_) for _ in range(2))
    else:
        anywhere = np.logical_or.reduceat(some, strata.starts)
        at_case = np.logical_or.reduceat(in_case, strata.starts)
    design = count(_design(params), list(anywhere.T), len(strata.starts))
    cases = at_case.sum(axis=0)
    more = np.stack([cases, anywhere.sum(axis=0) - cases], axis=1).ravel()
    return np.concatenate([design, more, [people]]).astype(np.int64)


def _lawful(params: ConditionalParams, point: Vector) -> bool:
    if not np.isfinite(point).all():
        return False
    ends = np.array([[covariate.low, covariate.high] for covariate in params.covariates]) * point[:, None]
    return float(max(-ends.min(axis=1).sum(), ends.max(axis=1).sum())) <= LARGEST_PREDICTOR


def _closed(params: ConditionalParams, total: Released) -> list[bool]:
    """Of each covariate, whether a sum that it takes is hidden."""
    fields = {field.name: total.open[field.rests_on] for field in total.layout.fields}
    p = len(params.covariates)
    pairs = square(fields["information"].astype(np.float64), p) > 0
    is_open = fields["observed"] & fields["expected"] & pairs.all(axis=1)
    return [not one for one in is_open.tolist()]


def _result(
    total: Released,
    path: tuple[Visited, ...],
    *,
    fit: ConditionalFit | None = None,
    trouble: str | None = None,
    suspects: tuple[Suspect, ...] = (),
) -> ConditionalResult:
    shown = {name: total.shown(name)[0] for name in ("people", "strata", "events")}
    people, strata, events = (None if number is None else int(number) for number in shown.values())
    return ConditionalResult(
        people=people,
        strata=strata,
        events=events,
        fit=fit,
        trouble=trouble,
        suspects=suspects,
        path=path,
    )


def _fit(params: ConditionalParams, total: Released, found: newton.Found) -> ConditionalFit:
    errors = np.sqrt(np.diag(found.covariance))
    return ConditionalFit(
        effects=tuple(
            effect(covariate.name, float(estimate), float(error))
            for covariate, estimate, error in zip(params.covariates, found.point, errors, strict=True)
        ),
        covariance=tuple(tuple(row) for row in found.covariance.tolist()),
        log_likelihood=float(total.values["value"][0]),
    )
