"""What masks cost: `python -m benchmarks.masks [--small]`.

One exchange of a masked sum, the arithmetic of one hospital and of the hub, beside the plain sum in the same process: processor seconds, and
bytes that one hospital sends. Keys and pieces of that one exchange are in it, though a run deals them for 64 at once. Networks with and without a fifth of drop-outs (of 5 hospitals one). For large networks five hospitals are timed and the
others' vectors made by the same code, untimed. Signatures, files and the network are not in it: `benchmarks.network` has a whole round.
"""

import argparse
import hashlib
import time
from typing import Any

import numpy as np

from benchmarks.record import record
from dure.guard import masks
from dure.guard.neighbours import threshold
from dure.study.protocol.batch import holders
from dure.wire import ring

SIZES = ((5, 1_000), (5, 100_000), (60, 1_000), (60, 100_000), (200, 1_000), (1_000, 1_000))
TIMED = 5
PLACE = "benchmark/0/0/values"


def secret_of(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def measure(hospitals: int, cells: int, lost: int) -> dict[str, Any]:
    """One exchange with `lost` hospitals that masked and never sent."""
    names = tuple(f"h{number:04}" for number in range(hospitals))
    transcript = hashlib.sha256(PLACE.encode()).digest()
    near = holders(names, transcript)
    announced = {name: masks.announce(secret_of(name), PLACE) for name in names}
    numbers = ring.to_ring(np.arange(cells, dtype=np.int64), 0)
    survivors, dropped = names[: hospitals - lost], names[hospitals - lost :]
    told = {}
    dealing = masking = 0.0
    for place, name in enumerate(names):
        began = time.process_time()
        told[name] = masks.deal(secret_of(name), [PLACE], near[name], threshold(len(near[name])))
        if place < TIMED:
            dealing += time.process_time() - began
    total, plain = np.zeros_like(numbers), np.zeros_like(numbers)
    for place, name in enumerate(survivors):
        others = {other: announced[other].key for other in near[name] if other != name}
        began = time.process_time()
        sent = masks.mask(numbers, secret_of(name), PLACE, me=name, others=others, transcript=transcript)
        if place < TIMED:
            masking += time.process_time() - began
        total, plain = ring.add(total, sent), ring.add(plain, numbers)
    timed = min(TIMED, len(survivors))

    def pieces(about: str, *, of_key: bool) -> dict[int, bytes]:
        helpers = [(at, who) for at, who in enumerate(near[about], 1) if who in alive]
        needed = threshold(len(near[about]))
        return {at: masks.piece_of(told[about][who], 0, of_key=of_key) for at, who in helpers[:needed]}

    alive = set(survivors)
    selves = {name: pieces(name, of_key=False) for name in survivors}
    keys = {name: pieces(name, of_key=True) for name in dropped}
    began = time.process_time()
    opened = masks.unmask(
        total,
        PLACE,
        announced=announced,
        near=near,
        survivors=survivors,
        dropped=dropped,
        selves=selves,
        keys=keys,
        transcript=transcript,
    )
    hub = time.process_time() - began
    assert (opened == plain).all()
    began = time.process_time()
    for _ in range(TIMED):
        ring.add(numbers, plain)
    adding = (time.process_time() - began) / TIMED
    held = len(near[names[0]])
    return {
        "hospitals": hospitals,
        "cells": cells,
        "lost": lost,
        "hospital_ms": round(1000 * (masking / timed + dealing / TIMED), 2),
        "hub_ms": round(1000 * hub, 2),
        "plain_hub_ms": round(1000 * adding * len(survivors), 3),
        "hospital_bytes": 16 * cells + held * masks.PIECE_BYTES + held * masks.shamir.SHARE_BYTES + 64,
        "plain_bytes": 16 * cells,
    }


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="two sizes only; records nothing")
    small = parser.parse_args().small
    sizes = SIZES[:1] + SIZES[2:3] if small else SIZES
    figures = [measure(n, cells, lost) for n, cells in sizes for lost in (0, n // 5)]
    if small:
        print(*figures, sep="\n")
    else:
        record("masks", figures)


if __name__ == "__main__":
    main()
