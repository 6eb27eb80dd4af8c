"""What one hospital adds up for a generalised linear model, in blocks of rows: no copy of its whole table is made.

Responsible for: the arithmetic at a hospital, people behind every cell included. Not responsible for: what is asked
(`glm`), what may leave (`guard`).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.stats.base import Frame
from dure.stats.design import Cells, Covariate, count, triangle_size, values
from dure.stats.families import (
    COUNTED,
    Family,
    Terms,
    intercept,
    saturated,
    terms,
    theta_derivatives,
    variance,
)
from dure.stats.no_fit import oddities

Vector = NDArray[np.float64]
BLOCK = 4096
MOST_PEARSON = 2.0**40
"""The most that one squared Pearson residual counts. At a fit nobody's is near it; away from one it keeps sums finite."""
MOST_RESIDUAL = 2.0**10
"""The most that one residual counts in robust errors, in units of the outcome's bound; as above."""
MOST_SCORE_PEOPLE = 2.0**24
"""The most that a hospital's score counts in clustered errors, in people; as above."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a hospital.

    Attributes:
        columns: None is the intercept.
        beta: the coefficients, one for each column.
        by_hospital: whether the hospital's own intercept is fitted and taken out.
    """

    family: Family
    columns: tuple[Covariate | None, ...]
    outcome: Covariate
    prior: Covariate | None
    offset: Covariate | None
    beta: Vector
    theta: float
    estimate_theta: bool
    by_hospital: bool
    robust: bool
    clustered: bool


@dataclass(frozen=True, kw_only=True)
class Part:
    """One hospital's rows, and what every round has in common.

    Attributes:
        support: people behind every cell.
        oddities: columns that don't vary here, or decide the outcome here.
        as_stored: whether each column, as it is stored, is within its bounds.
        zero_one: whether every outcome is 0 or 1.
    """

    frame: Frame
    support: NDArray[np.int64]
    oddities: dict[str, NDArray[np.int64]]
    as_stored: tuple[bool, ...]
    zero_one: bool


def parts_of(frame: Frame, asked: Asked, cells: Cells) -> tuple[Part, ...]:
    """The hospitals of a frame: at a hospital one, several where frames are pooled."""
    places = np.unique(frame.columns["hospital"]) if "hospital" in frame.columns else np.zeros(1)
    if len(places) < 2:
        return (_part(frame, asked, cells),)
    hospital = frame.columns["hospital"]
    return tuple(_part(_rows(frame, hospital == place), asked, cells) for place in places)


def add_up(parts: tuple[Part, ...], asked: Asked) -> dict[str, Vector]:
    """Every field's sums, over all hospitals of a frame."""
    sums = [_of_one(part, asked) for part in parts]
    return (
        sums[0] if len(sums) == 1 else {name: np.sum([one[name] for one in sums], axis=0) for name in sums[0]}
    )


def _rows(frame: Frame, held: NDArray[np.bool_]) -> Frame:
    return Frame(
        person=frame.person[held],
        columns={name: column[held] for name, column in frame.columns.items()},
    )


def _part(frame: Frame, asked: Asked, cells: Cells) -> Part:
    support = _support(frame, asked, cells)
    outcome = frame.columns[asked.outcome.name]
    return Part(
        # Not the frame itself, which would hold what is kept with it, and so itself.
        frame=replace(frame),
        support=support,
        oddities=oddities(frame, asked.columns, cells, support, both_ways=asked.family is Family.BINOMIAL),
        as_stored=tuple(c is None or _is_lawful(frame.columns[c.name], c) for c in asked.columns),
        zero_one=bool(((outcome == 0) | (outcome == 1)).all()),
    )


def _is_lawful(column: NDArray[Any], covariate: Covariate) -> bool:
    if covariate.binary:
        return bool(((column == 0) | (column == 1)).all())
    return bool(((column >= covariate.low) & (column <= covariate.high)).all())


def _of_one(part: Part, asked: Asked) -> dict[str, Vector]:
    frame, people, p = part.frame, len(part.frame.person), len(asked.columns)
    size = triangle_size(p)
    scalars = ("weight", "value", "saturated", "pearson", "theta score", "theta information", "hospitals")
    sums = {name: np.zeros(1) for name in scalars}
    sums |= {name: np.zeros(p) for name in ("observed", "expected")}
    sums |= {
        name: np.zeros(size) for name in ("information", "meat", "cluster", "taken out", "meat taken out")
    }
    sums |= {name: flags.astype(np.float64) for name, flags in part.oddities.items()}
    if not people:
        return sums
    own = 0.0
    if asked.by_hospital:
        found = _own_intercept(frame, asked)
        if found is None:
            # Everyone alike: whatever the coefficients, its own intercept explains everything, and it adds nothing.
            sums["weight"][0] = _prior(frame, asked, slice(None)).sum()
            return sums
        own = found
        sums["hospitals"][0] = 1
    information, meat = np.zeros((p, p)), np.zeros((p, p))
    weight_x, meat_x, weight_sum, meat_sum = np.zeros(p), np.zeros(p), 0.0, 0.0
    # Each block of rows is gone through while it is in the cache.
    columns, rooted = np.ones((p, BLOCK)), np.empty((p, BLOCK))
    for start in range(0, people, BLOCK):
        rows = slice(start, min(start + BLOCK, people))
        x, root = columns[:, : rows.stop - start], rooted[:, : rows.stop - start]
        _fill(x, part, asked, rows)
        y = values(frame, asked.outcome, rows)
        prior = None if asked.prior is None else values(frame, asked.prior, rows)
        eta = asked.beta @ x
        eta += own
        if asked.offset is not None:
            eta += values(frame, asked.offset, rows)
        at = terms(asked.family, y, eta, asked.theta)
        weight = _weighed(prior, at.weight)
        sums["weight"] += len(y) if prior is None else prior.sum()
        sums["value"] += _weighed(prior, at.value).sum()
        if asked.family is not Family.BINOMIAL or not part.zero_one:
            sums["saturated"] += _weighed(prior, saturated(asked.family, y, asked.theta)).sum()
        pearson = (y - at.mean) ** 2 / variance(asked.family, at.mean, asked.theta)
        sums["pearson"] += _weighed(prior, np.minimum(pearson, MOST_PEARSON)).sum()
        sums["observed"] += x @ _weighed(prior, at.observed)
        sums["expected"] += x @ _weighed(prior, at.expected)
        information += _products(x, weight, root)
        if asked.by_hospital:
            weight_x += x @ weight
            weight_sum += weight.sum()
        if asked.robust:
            most = MOST_RESIDUAL * max(asked.outcome.most, 1.0)
            squared = _weighed(prior, np.clip(at.observed - at.expected, -most, most)) ** 2
            meat += _products(x, squared, root)
            if asked.by_hospital:
                meat_x += x @ squared
                meat_sum += squared.sum()
        if asked.estimate_theta:
            first, second = theta_derivatives(y, at.mean, asked.theta)
            sums["theta score"] += _weighed(prior, first).sum()
            sums["theta information"] += _weighed(prior, second).sum()
    lower = np.tril_indices(p)
    sums["information"] = information[lower]
    sums["meat"] = meat[lower]
    if asked.by_hospital:
        mean_x = weight_x / weight_sum
        crossed = np.outer(meat_x, mean_x)
        sums["taken out"] = (weight_sum * np.outer(mean_x, mean_x))[lower]
        sums["meat taken out"] = (crossed + crossed.T - meat_sum * np.outer(mean_x, mean_x))[lower]
    if asked.clustered:
        heaviest = 1.0 if asked.prior is None else max(asked.prior.most, 1.0)
        widest = max([1.0, *(c.most for c in asked.columns if c is not None)])
        most = MOST_SCORE_PEOPLE * heaviest * widest * max(asked.outcome.most, 1.0)
        score = np.clip(sums["observed"] - sums["expected"], -most, most)
        sums["cluster"] = np.outer(score, score)[lower]
    return sums


def _fill(x: Vector, part: Part, asked: Asked, rows: slice) -> None:
    """Put the columns' values of some rows into x, of shape (p, rows). The intercept is there already."""
    for index, covariate in enumerate(asked.columns):
        if covariate is None:
            continue
        stored = part.as_stored[index]
        x[index] = part.frame.columns[covariate.name][rows] if stored else values(part.frame, covariate, rows)


def _weighed(prior: Vector | None, each: Vector) -> Vector:
    return each if prior is None else prior * each


def _block(frame: Frame, asked: Asked, rows: slice) -> Vector:
    """The columns' values of some rows. Shape (p, rows)."""
    x = np.empty((len(asked.columns), rows.stop - rows.start))
    for index, covariate in enumerate(asked.columns):
        x[index] = 1.0 if covariate is None else values(frame, covariate, rows)
    return x


def _prior(frame: Frame, asked: Asked, rows: slice) -> Vector:
    if asked.prior is None:
        return np.ones(len(frame.person[rows]))
    return values(frame, asked.prior, rows)


def _products(x: Vector, weight: Vector, root: Vector) -> Vector:
    """x diag(weight) x', of which BLAS computes one half since both factors are one array: `root`, which is overwritten."""
    np.multiply(x, np.sqrt(weight), out=root)
    return np.asarray(root @ root.T)


def _own_intercept(frame: Frame, asked: Asked) -> float | None:
    people = len(frame.person)
    eta = np.empty(people)
    for start in range(0, people, BLOCK):
        rows = slice(start, min(start + BLOCK, people))
        eta[rows] = asked.beta @ _block(frame, asked, rows)
    if asked.offset is not None:
        eta += values(frame, asked.offset)
    prior = _prior(frame, asked, slice(None))
    return intercept(asked.family, values(frame, asked.outcome), eta, prior, asked.theta)


def own_terms(frame: Frame, asked: Asked) -> tuple[float, Vector, float] | None:
    """One hospital's own intercept, the weighted means of its columns, and the information on the intercept; or None.

    For `by_hospital` only: it is a number of one hospital.
    """
    own = _own_intercept(frame, asked)
    if own is None:
        return None
    people = len(frame.person)
    x = _block(frame, asked, slice(0, people))
    eta = asked.beta @ x + own
    if asked.offset is not None:
        eta += values(frame, asked.offset)
    at: Terms = terms(asked.family, values(frame, asked.outcome), eta, asked.theta)
    weight = _prior(frame, asked, slice(None)) * at.weight
    return own, x @ weight / weight.sum(), float(weight.sum())


def _support(frame: Frame, asked: Asked, cells: Cells) -> NDArray[np.int64]:
    indicators = [
        frame.columns[covariate.name] != 0 if covariate.binary else values(frame, covariate) != 0
        for covariate in asked.columns
        if covariate is not None and not covariate.never_zero
    ]
    if asked.family in COUNTED:
        indicators.append(values(frame, asked.outcome) != 0)
    return count(cells, indicators, len(frame.person))
