"""Two shares of a vector: each alone is uniform and says nothing, both together are the vector; and sums of shares are shares of sums.

Responsible for: splitting and joining in the ring. Pure: the secret is an argument. Not responsible for: sealing (`masks`),
who may add what (`dure.study.protocol.by_hand`), what may be summed (`gate`).

One share is the stream of a 32-byte seed, so that its file is small; the other is what is left of the numbers. A seed is used for one vector
of one exchange: two vectors under one stream would differ as their numbers do.
"""

from dure.guard import masks
from dure.wire import ring


def split(numbers: ring.Lanes, secret: bytes, place: str) -> tuple[ring.Lanes, bytes]:
    """The share that is a vector, and the seed of the other.

    Args:
        secret: 32 fresh random bytes.
        place: names the exchange, by which the seed is derived: one secret gives another seed at every place.
    """
    seed = masks.derived(secret, "half", place)
    return ring.subtract(numbers, masks.expand(seed, len(numbers))), seed


def expanded(seed: bytes, size: int) -> ring.Lanes:
    """The share that a seed stands for. Raises ValueError where it is no seed."""
    if len(seed) != masks.SEED_BYTES:
        raise ValueError(f"{len(seed)} bytes are no seed")
    return masks.expand(seed, size)
