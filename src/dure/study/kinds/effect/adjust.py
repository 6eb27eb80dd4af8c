"""Adjusting at one hospital: from the network's propensity model to everybody's score, stratum, weight or match.

Responsible for: what of earlier results each person's place follows from, and only from. Not responsible for: whether these results are
lawful (`diagnostics`). Nothing here leaves a hospital.

A covariate that few of the network's people have stays in the matrix as a column of zeros (layouts follow from the spec alone). One
that is a number counts in standard deviations, by the network's totals (or in larger units where its mean is far from 0); who has none
counts as 0. So one penalty means alike for numbers and for covariates that are 0 or 1.
"""

import heapq
import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import brentq
from scipy.special import expit

from dure.features.analyses import analysis_of
from dure.stats.characteristics import CharacteristicsResult
from dure.stats.counts import CountsResult
from dure.stats.penalised_path import PathResult, Solution
from dure.stats.score_table import ScoreTableResult
from dure.study.kinds.effect.spec import ARMS, Effect, covariates_of

Vector = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
LOW, HIGH = 0.3, 0.7
"""A preference score between them is one of equipoise (Walker et al., 2013)."""
FURTHEST = 30.0
SCORE, PARTS = "score", 20
"""How scores are counted where each hospital answers by itself: in equal parts of the tabulated scale, by arm."""
MOST_UNITS = 16.0
"""The most that a quantity counts, in its units."""
BEYOND = 3
"""So many deviations beyond the mean must still count."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How covariates count, from the network's totals. Arrays have shape (p,).

    Attributes:
        kept: not rare, and not hidden.
        unit: by which values are divided; 1 for those that are 0 or 1.
        means, variances: by arm, over everyone in it, in these units; NaN where hidden. Shape (2, p).
        people: in each arm.
    """

    kept: Mask
    unit: Vector
    means: Vector
    variances: Vector
    people: tuple[int, int]

    @property
    def share(self) -> float:
        """The share of people in the target."""
        return self.people[0] / sum(self.people)

    @property
    def smd(self) -> Vector:
        """Standardised mean differences before adjusting; NaN where hidden, dropped, or nothing varies."""
        return self.difference(self.means)

    def difference(self, means: Vector) -> Vector:
        """Standardised differences of some means, always by the deviations of unweighted people."""
        spread = np.sqrt(self.variances.mean(axis=0))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.kept & (spread > 0), (means[0] - means[1]) / spread, np.nan)


def binary(spec: Effect) -> Mask:
    """Which covariates are 0 or 1. Shape (p,)."""
    return np.array([analysis_of(each.id).binary for each in covariates_of(spec)], dtype=np.bool_)


def scale_of(spec: Effect, counts: CharacteristicsResult) -> Scale | None:
    """How covariates count; None where the people of an arm are hidden or nobody."""
    people = [group.people for group in counts.groups]
    if any(not each for each in people):
        return None
    n = np.array(people, dtype=np.float64)
    flags = binary(spec)
    having = np.array(
        [[np.nan if one is None else one for one in group.having] for group in counts.groups],
        dtype=np.float64,
    )
    everyone, all_having = n.sum(), having.sum(axis=0)
    fewest = max(spec.rare * everyone, 1)
    # What nearly everybody has is as rare: by those who lack it.
    with np.errstate(invalid="ignore"):
        kept = (all_having >= fewest) & (~flags | (everyone - all_having >= fewest))
    means = having / n[:, None]
    variances = means * (1 - means)
    unit = np.ones(len(flags))
    for at in np.flatnonzero(~flags).tolist():
        totals = [[group.total[at], group.squares[at]] for group in counts.groups]
        if any(value is None for pair in totals for value in pair):
            kept[at] = False
            continue
        sums = np.array(totals, dtype=np.float64)
        mean = sums[:, 0].sum() / n.sum()
        spread = math.sqrt(max(sums[:, 1].sum() / n.sum() - mean**2, 0.0))
        unit[at] = max(spread, (abs(mean) + BEYOND * spread) / MOST_UNITS)
        if spread <= 0:
            kept[at], unit[at] = False, 1.0
            continue
        means[:, at] = sums[:, 0] / n / unit[at]
        variances[:, at] = np.maximum(sums[:, 1] / n / unit[at] ** 2 - means[:, at] ** 2, 0.0)
    return Scale(
        kept=kept,
        unit=unit,
        means=means,
        variances=variances,
        people=(int(n[0]), int(n[1])),
    )


def prepared(covariates: sparse.csr_array, scale: Scale) -> sparse.csr_array:
    """A hospital's covariates as the model has them."""
    found = covariates.tocsr().astype(np.float64)
    data = np.where(
        scale.kept[found.indices],
        np.clip(found.data / scale.unit[found.indices], -MOST_UNITS, MOST_UNITS),
        0.0,
    ).astype(np.float64)
    made = sparse.csr_array((data, found.indices, found.indptr), shape=found.shape)
    made.eliminate_zeros()
    return made


def chosen(model: PathResult) -> Solution | None:
    """The model that scores are made of: the last of the path."""
    return model.path[-1] if model.trouble is None and model.path else None


def used(spec: Effect, model: PathResult) -> list[int]:
    """Places of the covariates in the model."""
    solution = chosen(model)
    names = set() if solution is None else set(solution.coefficients)
    return [at for at, each in enumerate(covariates_of(spec)) if str(each.id) in names]


def preference(spec: Effect, covariates: sparse.csr_array, scale: Scale, model: PathResult) -> Vector:
    """The logit of everybody's preference score: that of the propensity, less that of the target's share. Shape (n,).

    Args:
        covariates: prepared, those that are `used`.
    """
    solution = chosen(model)
    assert solution is not None
    named = [str(covariates_of(spec)[at].id) for at in used(spec, model)]
    beta = np.array([solution.coefficients[name] for name in named], dtype=np.float64)
    share = float(np.log(scale.people[0] / scale.people[1]))
    logits: Vector = np.clip(solution.intercept + covariates @ beta - share, -FURTHEST, FURTHEST)
    return logits


def spread(preference_score: Vector) -> Vector:
    """A preference score on the scale that is tabulated: 0.3 and 0.7 lie at a quarter and three quarters, where halving cuts."""
    return np.interp(preference_score, (0, LOW, HIGH, 1), (0, 0.25, 0.75, 1))


def gathered(edges: Vector) -> Vector:
    """The preference scores at edges of the tabulated scale."""
    return np.interp(edges, (0, 0.25, 0.75, 1), (0, LOW, HIGH, 1))


def scores_of(result: ScoreTableResult | CountsResult) -> ScoreTableResult:
    """The table of scores; counts in equal parts, of hospitals that answer by themselves, make one too. Hidden ones are 0 there."""
    if isinstance(result, ScoreTableResult):
        return result
    people = [each or 0 for each in result.strata[SCORE]]
    return ScoreTableResult(
        edges=tuple(np.linspace(0, 1, PARTS + 1).tolist()),
        people=(tuple(people[:PARTS]), tuple(people[PARTS:])),
        scores=(),
        squares=(),
    )


def cut_points(spec: Effect, scores: ScoreTableResult) -> Vector:
    """Preference scores between the strata, ascending: edges of the table nearest to equal shares of the people within the trim."""
    edges = gathered(np.array(scores.edges))
    people = np.array(scores.people, dtype=np.float64).sum(axis=0)
    if not len(edges) or people.sum() <= 0:
        return np.zeros(0)
    until = np.interp([spec.trim, 1 - spec.trim], edges, np.concatenate([[0.0], np.cumsum(people)]))
    wanted = until[0] + (until[1] - until[0]) * np.arange(1, spec.strata) / spec.strata
    reached = np.cumsum(people)[:-1]
    inner = edges[1:-1]
    inside = (inner > spec.trim) & (inner < 1 - spec.trim)
    reached, inner = reached[inside], inner[inside]
    if not len(inner):
        return np.zeros(0)
    return np.unique(inner[np.abs(reached[None, :] - wanted[:, None]).argmin(axis=1)])


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where adjusting puts people: those left, and each one's stratum and weight. Arrays have shape (left,).

    Attributes:
        rows: places of those left among all.
    """

    rows: Ints
    stratum: Ints
    weight: Vector


def adjusted(spec: Effect, target: Mask, logits: Vector, scores: ScoreTableResult) -> Place:
    """Strata, weights or matches of one hospital's people.

    Args:
        logits: of the preference score. Shape (n,).
    """
    score = expit(logits)
    rows = np.flatnonzero((score >= spec.trim) & (score <= 1 - spec.trim))
    target, logits, score = target[rows], logits[rows], score[rows]
    stratum = np.zeros(len(rows), dtype=np.int64)
    weight = np.ones(len(rows))
    if spec.adjustment == "stratify":
        stratum = np.searchsorted(cut_points(spec, scores), score, side="right").astype(np.int64)
        weight = standard_weights(stratum, target)
    elif spec.adjustment == "weight":
        weight = inverse_weights(target, logits)
    else:
        kept = np.flatnonzero(matched(target, logits, spec.caliper))
        rows, stratum, weight = rows[kept], stratum[kept], weight[kept]
    return Place(rows=rows, stratum=stratum, weight=np.clip(weight, 0, spec.largest_weight))


def standard_weights(stratum: Ints, target: Mask) -> Vector:
    """Weights under which both arms are spread over the strata as everyone is; 0 in a stratum where an arm is empty."""
    weight = np.zeros(len(stratum))
    for number in np.unique(stratum):
        inside = stratum == number
        for arm in (inside & target, inside & ~target):
            if 0 < arm.sum() < inside.sum():
                weight[arm] = inside.sum() / (2 * arm.sum())
    return weight


def inverse_weights(target: Mask, logits: Vector) -> Vector:
    """Stabilised weights by the inverse probability of the arm that each person is in; 0 where a hospital has one arm only.

    Hospitals lean to one treatment or the other, and people are compared within theirs: so the intercept is the hospital's own, at
    which as many are expected in the target as there are. It stays there.
    """
    if not 0 < target.sum() < len(target):
        return np.zeros(len(target))
    share = float(target.mean())
    own = brentq(lambda a: float(expit(logits + a).mean()) - share, -2 * FURTHEST, 2 * FURTHEST)
    propensity = expit(logits + own)
    weight: Vector = np.where(target, share / propensity, (1 - share) / (1 - propensity))
    return weight


def matched(target: Mask, logits: Vector, caliper: float) -> Mask:
    """Who is matched, one to one: the nearest pair first, then the nearest of those still free, as far as the caliper.

    The caliper is in standard deviations of the logit at this hospital. Matches never leave it.
    """
    kept = np.zeros(len(target), dtype=np.bool_)
    if not 0 < target.sum() < len(target):
        return kept
    reach = caliper * float(logits.std())
    others = np.flatnonzero(~target)
    others = others[np.argsort(logits[others], kind="stable")]
    # Lists: the search takes single numbers, of which arrays are slow.
    at, mine = logits[others].tolist(), logits.tolist()
    below, above = list(range(-1, len(at) - 1)), list(range(1, len(at) + 1))
    taken = bytearray(len(at))

    def nearest(person: int) -> tuple[float, int, int] | None:
        """How far the nearest free one is, for whom, and where."""
        here = mine[person]
        place = bisect_left(at, here)
        left, right = _free(below, place - 1, taken), _free(above, place, taken)
        found = [(abs(at[each] - here), person, each) for each in (left, right) if 0 <= each < len(at)]
        best = min(found, default=None)
        return best if best is not None and best[0] <= reach else None

    waiting = [pair for pair in map(nearest, np.flatnonzero(target).tolist()) if pair is not None]
    heapq.heapify(waiting)
    while waiting:
        _, person, place = heapq.heappop(waiting)
        if taken[place]:
            again = nearest(person)
            if again is not None:
                heapq.heappush(waiting, again)
            continue
        taken[place] = True
        kept[person] = kept[others[place]] = True
    return kept


def _free(pointer: list[int], place: int, taken: bytearray) -> int:
    """The first place that isn't taken, going where pointers lead; they are moved on to it, so that it is found at once next time."""
    if not 0 <= place < len(taken) or not taken[place]:
        return place
    passed = []
    while 0 <= place < len(taken) and taken[place]:
        passed.append(place)
        place = pointer[place]
    for each in passed:
        pointer[each] = place
    return place


def arm_numbers(target: Mask) -> Ints:
    """Numbers of the arms in their order: the target is 0."""
    assert ARMS[0] == "target"
    return np.where(target, 0, 1).astype(np.int64)
