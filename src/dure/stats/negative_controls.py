"""Negative controls: how far estimates of effects that don't exist stray, and other estimates seen in that light.

The null distribution is a random-effects meta-analysis, by maximum likelihood, of log ratios whose truth is 0.
Calibrated intervals take the systematic error of a true effect to be that of no effect. Pure functions of estimates.

Source: Schuemie et al., Statistics in Medicine 33 (2014) and PNAS 115 (2018), as in OHDSI EmpiricalCalibration.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from dure.stats.intervals import Estimate, ratio
from dure.stats.meta import Between, RestsOn, pool
from dure.stats.problems import NoEstimate
from dure.wire.codec import message


@message
class Null:
    """The distribution of systematic error on the log scale: its mean and standard deviation."""

    mean: float
    sd: float

    @property
    def ease(self) -> float:
        """The expected absolute systematic error; above 0.25 a study should say so before anything else."""
        if self.sd == 0:
            return abs(self.mean)
        density = np.exp(-((self.mean / self.sd) ** 2) / 2) / (self.sd * np.sqrt(2 * np.pi))
        return float(self.mean * (1 - 2 * ndtr(-self.mean / self.sd)) + 2 * self.sd**2 * density)


def null_distribution(log_ratios: Sequence[float], ses: Sequence[float]) -> Null:
    """Fitted to negative controls.

    Args:
        log_ratios, ses: one a control, with finite standard errors above 0.
    """
    if len(log_ratios) < 5:
        raise NoEstimate(
            f"{len(log_ratios)} negative controls say nothing about the spread of errors.",
            where="negative controls",
            mend="Give five at the least; fifty is usual.",
        )
    fitted = pool(log_ratios, np.square(ses).tolist(), between=Between.ML, test=RestsOn.Z)
    return Null(mean=fitted.mean, sd=float(np.sqrt(fitted.tau2)))


def p_value(null: Null, log_ratio: float, se: float) -> float:
    """The two-sided p-value against the null distribution; `Null(mean=0, sd=0)` gives the usual one."""
    z = (log_ratio - null.mean) / np.hypot(null.sd, se)
    return float(2 * ndtr(-abs(z)))


def calibrated(null: Null, log_ratio: float, se: float, level: float = 0.95) -> Estimate:
    """The ratio with systematic error taken away from it and added to its interval."""
    return ratio(log_ratio - null.mean, float(np.hypot(null.sd, se)), level)
