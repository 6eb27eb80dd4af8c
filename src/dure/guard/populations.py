"""Populations don't subtract: two answered groups of people may not differ by a few.

Responsible for: pairs of populations within one hospital. Not responsible for: keeping them (the node's journal), cells
of one layout (`suppression`).
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

People = NDArray[np.int64]


def small_difference(new: People, past: Iterable[People], k: int) -> bool:
    """Whether `new` without some past population, or that without `new`, is 1 to k-1 people.

    Args:
        new, past: sorted, distinct ordinals of people.
    """
    for other in past:
        common = len(np.intersect1d(new, other, assume_unique=True))
        if 0 < len(new) - common < k or 0 < len(other) - common < k:
            return True
    return False
