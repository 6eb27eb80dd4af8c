"""Who masks with whom: everybody with everybody in a small network, a random regular graph in a large one.

Responsible for: the graph and the threshold in it, as a function of what all parties agreed on. Not responsible for:
masks (`masks`). The choice of DEGREE is argued in docs/adr/0005-secure-summation.md.

Source: Bell, Bonawitz, Gascón, Lepoint, Raykova, Secure single-server aggregation with (poly)logarithmic overhead, CCS 2020.
"""

import hashlib
from collections.abc import Sequence

DEGREE = 200
"""Neighbours of a hospital in a large network: an even number."""
COMPLETE_TO = DEGREE
"""Up to so many hospitals everybody masks with everybody."""
FEW = 5
"""With fewer hospitals than this hardly one may drop out: the asker and the hub's operator are told."""


def threshold(parties: int) -> int:
    """How many of a group must help to open a sum: more than two thirds."""
    return 2 * parties // 3 + 1


def holding(parties: int) -> int:
    """How many hold the pieces of one hospital: its neighbours and itself."""
    return parties if parties <= COMPLETE_TO else DEGREE + 1


def tolerated(parties: int) -> int:
    """How many may drop out before the first sum, whichever they are, so that it can still be opened."""
    return holding(parties) - threshold(holding(parties))


def neighbours(roster: Sequence[str], seed: bytes) -> dict[str, tuple[str, ...]]:
    """The neighbours of every hospital, in the roster's order; nobody is its own.

    Args:
        seed: nobody may have known it when it chose its keys: a digest of everybody's.
    """
    if len(roster) <= COMPLETE_TO:
        return {name: tuple(other for other in roster if other != name) for name in roster}
    ring = sorted(roster, key=lambda name: hashlib.sha256(seed + name.encode()).digest())
    at = {name: index for index, name in enumerate(ring)}
    near = {}
    for name in roster:
        steps = (step for half in range(1, DEGREE // 2 + 1) for step in (half, -half))
        chosen = {ring[(at[name] + step) % len(ring)] for step in steps}
        near[name] = tuple(other for other in roster if other in chosen)
    return near
