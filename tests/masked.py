"""Vectors summed under masks, the arithmetic of a whole exchange in one call: for tests whose sums are to go that way."""

import hashlib

import numpy as np

from dure.guard import masks
from dure.guard.neighbours import threshold
from dure.study.protocol.batch import holders
from dure.wire import ring


def masked_sum(vectors, *, place):
    """The sum of hospitals' vectors (ring lanes), as a hub gets it that sees only masked ones.

    Args:
        place: names the exchange; no two have one name.
    """
    names = tuple(f"h{number:03}" for number in range(len(vectors)))
    secrets = {name: hashlib.sha256(f"{place} {name}".encode()).digest() for name in names}
    announced = {name: masks.announce(secret, place) for name, secret in secrets.items()}
    transcript = hashlib.sha256(place.encode()).digest()
    near = holders(names, transcript)
    pieces = {n: masks.deal(secrets[n], [place], near[n], threshold(len(near[n]))) for n in names}
    total = np.zeros_like(vectors[0])
    for name, numbers in zip(names, vectors, strict=True):
        others = {other: announced[other].key for other in near[name] if other != name}
        sent = masks.mask(numbers, secrets[name], place, me=name, others=others, transcript=transcript)
        assert len(names) == 1 or not (sent == numbers).all() or not len(numbers)
        total = ring.add(total, sent)
    selves = {
        name: {
            at: masks.piece_of(pieces[name][holder], 0, of_key=False)
            for at, holder in list(enumerate(near[name], 1))[: threshold(len(near[name]))]
        }
        for name in names
    }
    return masks.unmask(
        total, place, announced=announced, near=near, survivors=names, dropped=(), selves=selves, keys={},
        transcript=transcript,
    )  # fmt: skip
