"""Populations as compressed bitmaps, for the journal: people by their 64-bit ordinal.

Not responsible for: comparing them (`dure.guard.populations`).
"""

import numpy as np
from numpy.typing import NDArray


def compress(people: NDArray[np.int64]) -> bytes:
    """Sorted, distinct ordinals as the bytes of a 64-bit Roaring bitmap."""
    from pyroaring import BitMap64

    return bytes(BitMap64(people.astype(np.int64).view(np.uint64).tolist()).serialize())


def expand(data: bytes) -> NDArray[np.int64]:
    """The ordinals in the bytes of `compress`, ascending."""
    from pyroaring import BitMap64

    return np.sort(np.array(list(BitMap64.deserialize(data)), dtype=np.uint64).view(np.int64))
