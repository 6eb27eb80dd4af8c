"""How good a prediction is, from a released score table: discrimination, calibration, net benefit.

Responsible for: functions of `score_table`'s result. Not responsible for: calibration intercept and slope, which are a logistic
`glm` with the score's logit as its offset or as its only covariate.

What the table can't tell is given as bounds: whether a case's score is above a control's in the same part of the grid, and
people between a threshold and the nearest edge.
"""

import numpy as np
from numpy.typing import NDArray

from dure.stats.intervals import clopper_pearson, z_of
from dure.stats.problems import NoEstimate
from dure.stats.score_table import ScoreTableResult
from dure.wire.codec import message

Vector = NDArray[np.float64]


@message
class Discrimination:
    """The area under the ROC curve.

    Attributes:
        auc, se, low, high: of the scores moved to the grid, ties counted half; DeLong's standard error.
        least, most: between which the area of the scores themselves lies.
    """

    auc: float
    se: float
    low: float
    high: float
    least: float
    most: float


@message
class CalibrationBin:
    """People of like scores. `observed` is the share with the outcome, with its exact interval."""

    people: int
    predicted: float
    observed: float
    low: float
    high: float


@message
class NetBenefit:
    """The net benefit of treating everyone whose score is at the threshold or above.

    Attributes:
        least, most: bounds; the same where the threshold is an edge of the grid.
        everyone: of treating everyone. That of treating nobody is 0.
    """

    threshold: float
    least: float
    most: float
    everyone: float


def discrimination(table: ScoreTableResult, level: float = 0.95) -> Discrimination:
    """The area under the ROC curve, its DeLong interval, and what the grid leaves open.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), whose variance is made of counts by score and class.
    """
    without, cases = _classes(table)
    m, n = cases.sum(), without.sum()
    below = np.cumsum(without) - without
    above = m - np.cumsum(cases)
    of_cases = (below + without / 2) / n
    of_others = (above + cases / 2) / m
    auc = float(cases @ of_cases / m)
    ties = float(cases @ without / (m * n))
    variance = 0.0
    for count, placed, size in ((cases, of_cases, m), (without, of_others, n)):
        if size > 1:
            variance += float(count @ (placed - auc) ** 2 / (size - 1) / size)
    se = float(np.sqrt(variance))
    reach = z_of(level) * se
    return Discrimination(
        auc=auc,
        se=se,
        low=max(auc - reach, 0.0),
        high=min(auc + reach, 1.0),
        least=auc - ties / 2,
        most=auc + ties / 2,
    )


def roc(table: ScoreTableResult) -> tuple[tuple[float, float, float], ...]:
    """Threshold, false positive share and true positive share at every edge, from the highest threshold."""
    without, cases = _classes(table)
    false = np.append(0, np.cumsum(without[::-1]) / without.sum())
    true = np.append(0, np.cumsum(cases[::-1]) / cases.sum())
    return tuple(zip(table.edges[::-1], false.tolist(), true.tolist(), strict=True))


def brier(table: ScoreTableResult) -> float:
    """The mean squared distance from score to outcome; exact, whatever the grid."""
    return float(np.sum(table.squares) / np.sum(table.people))


def calibration(table: ScoreTableResult, bins: int = 10) -> tuple[CalibrationBin, ...]:
    """Predicted against observed in parts of the grid joined to at most so many bins of about as many people."""
    people = np.array(table.people, dtype=np.int64)
    scores = np.array(table.scores).sum(axis=0)
    both = people.sum(axis=0)
    if not both.sum():
        raise _nobody()
    middle = (np.cumsum(both) - both / 2) / both.sum()
    which = np.minimum((middle * bins).astype(np.int64), bins - 1)
    made = []
    for number in range(bins):
        inside = which == number
        size, cases = int(both[inside].sum()), int(people[1][inside].sum())
        if not size:
            continue
        low, high = clopper_pearson(cases, size)
        made.append(
            CalibrationBin(
                people=size,
                predicted=float(scores[inside].sum() / size),
                observed=cases / size,
                low=low,
                high=high,
            )
        )
    return tuple(made)


def net_benefit(table: ScoreTableResult, threshold: float) -> NetBenefit:
    """One point of the decision curve.

    Source: Vickers and Elkin, Medical Decision Making 26 (2006).
    """
    if not 0 < threshold < 1:
        raise NoEstimate(
            f"At a threshold of {threshold} nothing is decided.",
            where="threshold",
            mend="Give one between 0 and 1.",
        )
    without, cases = _classes(table)
    odds = threshold / (1 - threshold)
    people = without.sum() + cases.sum()
    edges = np.array(table.edges)
    surely, maybe = edges[:-1] >= threshold, (edges[:-1] < threshold) & (threshold < edges[1:])
    base = cases[surely].sum() - odds * without[surely].sum()
    return NetBenefit(
        threshold=threshold,
        least=float((base - odds * without[maybe].sum()) / people),
        most=float((base + cases[maybe].sum()) / people),
        everyone=float((cases.sum() - odds * without.sum()) / people),
    )


def _classes(table: ScoreTableResult) -> tuple[Vector, Vector]:
    if not table.people or not sum(table.people[0]) or not sum(table.people[1]):
        raise _nobody()
    without, cases = np.array(table.people, dtype=np.float64)
    return without, cases


def _nobody() -> NoEstimate:
    return NoEstimate(
        "The score table is hidden, or one class is empty.",
        where="score table",
        mend="Ask more hospitals.",
    )
