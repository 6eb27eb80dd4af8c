"""What masks cost: `python -m benchmarks.masks [--small] [--flower PYTHON]`.

One exchange of a masked sum, the arithmetic of one hospital and of the hub, beside the plain sum in the same process: processor seconds, and
bytes that one hospital sends. Keys and pieces of that one exchange are in it, though a run deals them for 64 at once. Networks with and without a fifth of drop-outs (of 5 hospitals one). For large networks five hospitals are timed, and
the sum of the others' vectors is made of the masks that don't cancel in it, untimed. Signatures, files and the network are not in it: `benchmarks.masks_round` has a whole round.

`--flower PYTHON`: a Python that has `flwr`. Then Flower's SecAgg+ beside ours on the same sizes, by Flower's own client and server code in a process of its own
(`flower_secagg.py`), with as many neighbours and the same threshold; recorded apart.
"""

import argparse
import hashlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import record
from dure.guard import masks
from dure.guard.neighbours import holding, threshold
from dure.study.protocol.batch import holders
from dure.wire import ring

SIZES = tuple((hospitals, cells) for hospitals in (5, 60, 200, 1_000) for cells in (1_000, 100_000))
TOO_LONG = {(1_000, 100_000, 200)}
"""The hub would expand 32,000 masks of 100,000 cells, minutes of it: the arithmetic is that of 200 hospitals."""
FLOWER = (
    (5, 1_000, 0), (5, 1_000, 1), (5, 100_000, 0), (5, 100_000, 1), (60, 100_000, 12), (200, 1_000, 0), (200, 100_000, 0),
)  # fmt: skip
"""Of 60 hospitals Flower's server takes most of a minute whatever the vector; a client of 1,000 has as many neighbours as one of 200."""
WHOLE_TO = 60
"""Up to so many hospitals Flower's whole workflow is run; of more, one client up to its masked vector: its sharing takes minutes."""
TIMED = 5
PLACE = "benchmark/0/0/values"


def secret_of(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def uncancelled(name, numbers, near, announced, together, transcript):
    """A hospital's masked vector without the masks that cancel against others of `together`."""
    others = {other: announced[other].key for other in near if other != name and other not in together}
    return masks.mask(numbers, secret_of(name), PLACE, me=name, others=others, transcript=transcript)


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
    total = np.zeros_like(numbers)
    for name in survivors[:TIMED]:
        others = {other: announced[other].key for other in near[name] if other != name}
        began = time.process_time()
        sent = masks.mask(numbers, secret_of(name), PLACE, me=name, others=others, transcript=transcript)
        masking += time.process_time() - began
        total = ring.add(total, sent)
    for name in survivors[TIMED:]:
        total = ring.add(
            total, uncancelled(name, numbers, near[name], announced, set(survivors[TIMED:]), transcript)
        )
    plain = ring.to_ring(np.arange(cells, dtype=np.int64) * len(survivors), 0)
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


def beside_flower(python: str, hospitals: int, cells: int, lost: int) -> dict[str, Any]:
    """Ours and Flower's on one size."""
    ours = measure(hospitals, cells, lost)
    held = holding(hospitals)
    clients = 0 if hospitals <= WHOLE_TO else 1
    script = str(Path(__file__).with_name("flower_secagg.py"))
    told = subprocess.run(
        [python, script, *map(str, (hospitals, cells, lost, held, threshold(held), clients))],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    theirs = json.loads(told.stdout)
    figure = {key: ours[key] for key in ("hospitals", "cells", "lost", "hospital_ms")}
    figure |= {
        "flower_client_ms": theirs["client_ms"],
        "hub_ms": ours["hub_ms"],
        "flower_server_ms": theirs["server_ms"],
    }
    return figure | {"hospital_bytes": ours["hospital_bytes"], "flower_client_bytes": theirs["client_bytes"]}


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="two sizes only; records nothing")
    parser.add_argument("--flower", metavar="PYTHON", help="a Python that has flwr")
    told = parser.parse_args()
    sizes = SIZES[:1] + SIZES[2:3] if told.small else SIZES
    if told.flower:
        wanted = FLOWER[:2] if told.small else FLOWER
        name, figures = "masks_flower", [beside_flower(told.flower, *size) for size in wanted]
    else:
        wanted = [(n, cells, lost) for n, cells in sizes for lost in (0, n // 5)]
        name, figures = "masks", [measure(*size) for size in wanted if size not in TOO_LONG]
    if told.small:
        print(*figures, sep="\n")
    else:
        record(name, figures)


if __name__ == "__main__":
    main()
