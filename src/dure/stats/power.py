"""Power: what effect a study could find, from numbers that are known before any outcome is compared."""

import numpy as np
from scipy.special import ndtri

from dure.stats.problems import NoEstimate


def least_detectable_ratio(events: int, exposed: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The minimum detectable rate ratio (MDRR) of a Cox comparison, above 1.

    Args:
        events: in both groups together.
        exposed: share of people in the first group.

    Source: Schoenfeld, Biometrics 39 (1983), as in OHDSI CohortMethod.
    """
    if events <= 0 or not 0 < exposed < 1:
        raise NoEstimate(
            "Without events, or with one group empty, no effect can be found.",
            where="events",
            mend="Widen the cohorts.",
        )
    reach = ndtri(1 - alpha / 2) + ndtri(power)
    return float(np.exp(reach / np.sqrt(events * exposed * (1 - exposed))))
