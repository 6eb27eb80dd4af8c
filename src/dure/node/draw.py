"""Drawing noise: integers of a discrete Gaussian, exactly, from the system's entropy. OpenDP's sampler.

Not responsible for: how much is drawn (`dure.guard.noise`), adding it (`dure.guard.gate`).

A draw is never kept and never repeated: to the same question in another run the noise is another. Were it the same, two sums of
hospitals that differ by one would subtract to that one's number with its share only.
"""

import numpy as np
from numpy.typing import NDArray

from dure.guard.accounting import opendp


def draw(scale: float, size: int) -> NDArray[np.int64]:
    """`size` integers with probabilities in proportion to exp(-x²/2 scale²). Raises NoiseMissing."""
    dp = opendp()
    whole = dp.domains.vector_domain(dp.domains.atom_domain(T="i64"))
    made = dp.measurements.make_gaussian(whole, dp.metrics.l2_distance(T=float), scale)
    return np.asarray(made([0] * size), dtype=np.int64)
