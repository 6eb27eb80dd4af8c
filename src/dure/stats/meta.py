"""Meta-analysis: hospitals' own estimates put together, for `by_hospital` results only.

It is shown beside the exact answer, never in its place. Pure functions of released numbers. Not responsible for:
2×2 tables by hospital (`mantel_haenszel`), likelihood profiles (`profile`).

Conventions are those of R's metafor.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from dure.stats.problems import NoEstimate
from dure.wire.codec import message

Vector = NDArray[np.float64]
ITERATIONS = 1_000
CLOSE = 1e-13


class Between(StrEnum):
    """How the variance between hospitals (τ²) is estimated."""

    FE = "FE"
    DL = "DL"
    REML = "REML"
    ML = "ML"
    PM = "PM"
    SJ = "SJ"
    HE = "HE"
    EB = "EB"


class RestsOn(StrEnum):
    """What the interval of the mean rests on: the normal distribution, or Hartung, Knapp, Sidik and Jonkman's t."""

    Z = "z"
    HKSJ = "hksj"


@message
class Pooled:
    """A pooled estimate.

    Attributes:
        mean, se, low, high: of the mean effect.
        tau2: variance between hospitals; 0 in the fixed-effect model.
        q: Cochran's heterogeneity statistic, on k-1 degrees of freedom.
        i2: share of the total variance that lies between hospitals, in per cent.
        h2: total over within-hospital variance.
        predicted_low, predicted_high: where the effect of another hospital would lie; None in the fixed-effect model.
    """

    mean: float
    se: float
    low: float
    high: float
    tau2: float
    q: float
    i2: float
    h2: float
    predicted_low: float | None
    predicted_high: float | None


def pool(
    estimates: Sequence[float],
    variances: Sequence[float],
    *,
    between: Between = Between.REML,
    test: RestsOn = RestsOn.HKSJ,
    level: float = 0.95,
) -> Pooled:
    """The mean of hospitals' effects.

    Args:
        estimates: one a hospital, on the scale on which they are normal (such as log ratios).
        variances: their squared standard errors.
    """
    y, v = np.asarray(estimates, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    k = len(y)
    if k < 2 or len(v) != k or not (np.isfinite(y).all() and np.isfinite(v).all() and (v > 0).all()):
        raise NoEstimate(
            "A meta-analysis needs at least two estimates, each with a variance above 0.",
            where="estimates",
            mend="Leave out hospitals without an estimate.",
        )
    tau2 = _ESTIMATORS[between](y, v)
    weight = 1 / (v + tau2)
    mean = float(weight @ y / weight.sum())
    se = float(weight.sum() ** -0.5)
    critical = float(ndtri(0.5 + level / 2))
    if test is RestsOn.HKSJ:
        se *= float(np.sqrt(_q(y, v, tau2) / (k - 1)))
        critical = float(stdtrit(k - 1, 0.5 + level / 2))
    q = _q(y, v, 0.0)
    i2, h2 = _heterogeneity(v, tau2, q, k, fixed=between is Between.FE)
    reach = None if between is Between.FE else critical * float(np.sqrt(tau2 + se**2))
    return Pooled(
        mean=mean,
        se=se,
        low=mean - critical * se,
        high=mean + critical * se,
        tau2=tau2,
        q=q,
        i2=i2,
        h2=h2,
        predicted_low=None if reach is None else mean - reach,
        predicted_high=None if reach is None else mean + reach,
    )


def _q(y: Vector, v: Vector, tau2: float) -> float:
    weight = 1 / (v + tau2)
    return float(weight @ (y - weight @ y / weight.sum()) ** 2)


def _heterogeneity(v: Vector, tau2: float, q: float, k: int, *, fixed: bool) -> tuple[float, float]:
    if fixed:
        return max(0.0, 100 * (q - (k - 1)) / q) if q > 0 else 0.0, q / (k - 1)
    weight = 1 / v
    typical = (k - 1) * weight.sum() / (weight.sum() ** 2 - (weight**2).sum())
    return float(100 * tau2 / (typical + tau2)), float(tau2 / typical + 1)


def _dersimonian_laird(y: Vector, v: Vector) -> float:
    weight = 1 / v
    return max(
        0.0,
        float((_q(y, v, 0.0) - (len(y) - 1)) / (weight.sum() - (weight**2).sum() / weight.sum())),
    )


def _hedges(y: Vector, v: Vector) -> float:
    return max(0.0, float(y.var(ddof=1) - v.mean()))


def _sidik_jonkman(y: Vector, v: Vector) -> float:
    start = float(y.var())
    return start * _q(y, v, start) / (len(y) - 1) if start > 0 else 0.0


def _paule_mandel(y: Vector, v: Vector) -> float:
    """The τ² at which Q is what it is expected to be. The empirical Bayes estimate solves the same equation."""

    def excess(tau2: float) -> float:
        return _q(y, v, tau2) - (len(y) - 1)

    if excess(0.0) <= 0:
        return 0.0
    # Q falls with tau2: at the spread of all estimates times their number it is below its mean.
    return float(brentq(excess, 0.0, len(y) * np.ptp(y) ** 2 + 1, xtol=CLOSE, rtol=4 * np.finfo(float).eps))


def _likelihood(y: Vector, v: Vector, *, restricted: bool) -> float:
    """Fisher scoring on τ², its step halved where the likelihood would fall."""

    def value(tau2: float) -> float:
        weight = 1 / (v + tau2)
        both = np.log(weight).sum() - _q(y, v, tau2)
        return float(both - np.log(weight.sum()) if restricted else both)

    tau2 = _hedges(y, v)
    for _ in range(ITERATIONS):
        weight = 1 / (v + tau2)
        away2 = (y - weight @ y / weight.sum()) ** 2
        w1, w2, w3 = (float((weight**power).sum()) for power in (1, 2, 3))
        score = float(weight**2 @ away2) - w1
        information = w2
        if restricted:
            score += w2 / w1
            information += (w2 / w1) ** 2 - 2 * w3 / w1
        step = score / information
        now = value(tau2)
        while abs(step) > CLOSE and value(max(0.0, tau2 + step)) < now - abs(now) * CLOSE:
            step /= 2
        after = max(0.0, tau2 + step)
        if abs(after - tau2) <= CLOSE * (1 + tau2):
            return after
        tau2 = after
    raise NoEstimate(
        "The variance between hospitals did not settle.", where="estimates", mend="Use the estimator PM."
    )


_ESTIMATORS: dict[Between, Callable[[Vector, Vector], float]] = {
    Between.FE: lambda _y, _v: 0.0,
    Between.DL: _dersimonian_laird,
    Between.REML: lambda y, v: _likelihood(y, v, restricted=True),
    Between.ML: lambda y, v: _likelihood(y, v, restricted=False),
    Between.PM: _paule_mandel,
    Between.SJ: _sidik_jonkman,
    Between.HE: _hedges,
    Between.EB: _paule_mandel,
}
