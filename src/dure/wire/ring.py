"""The ring Z/2^128 in which sums are added: two unsigned 64-bit lanes, low lane first.

Responsible for: fixed-point numbers in and out of the ring, exact addition (the order of addends never matters), coarser steps.
Not responsible for: which numbers may be sent (`guard`), what they mean (`sums`).
"""

import numpy as np
from numpy.typing import NDArray

Lanes = NDArray[np.uint64]
HALF = 64
TWO_64 = 2.0**64
LARGEST = 2.0**120
"""Magnitudes from here on are refused before they enter: 128 hospitals at the limit still don't wrap."""


def to_ring(values: NDArray[np.float64] | NDArray[np.int64], scale: int) -> Lanes:
    """Fixed point with `scale` fractional bits. Integers at scale 0 are exact.

    Args:
        values: shape (n,), finite.

    Returns:
        shape (n, 2).

    Raises:
        OverflowError: not finite, or 2^120 or more after scaling.
    """
    lanes = np.empty((len(values), 2), dtype=np.uint64)
    if values.dtype.kind == "i" and scale == 0:
        lanes[:, 0] = values.astype(np.int64, copy=False).view(np.uint64)
        lanes[:, 1] = np.where(values < 0, np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0))
        return lanes
    with np.errstate(over="ignore"):
        scaled = np.rint(np.ldexp(values.astype(np.float64, copy=False), scale))
    if not np.all(np.abs(scaled) < LARGEST):
        raise OverflowError("a value is not finite or too large for the ring")
    # Towards zero, both parts are exact; where the rest is below zero, it is borrowed from the high lane.
    high = np.trunc(scaled / TWO_64)
    rest = scaled - high * TWO_64
    low, below = np.abs(rest).astype(np.uint64), rest < 0
    lanes[:, 0] = np.where(below, ~low + np.uint64(1), low)
    lanes[:, 1] = (high.astype(np.int64) - below).view(np.uint64)
    return lanes


def negated(lanes: Lanes) -> Lanes:
    """Element-wise negative modulo 2^128. Shapes (n, 2)."""
    one = np.zeros_like(lanes)
    one[:, 0] = 1
    return add(~lanes, one)


def add(left: Lanes, right: Lanes) -> Lanes:
    """Element-wise sum modulo 2^128. Shapes (n, 2)."""
    lanes = np.empty_like(left)
    np.add(left[:, 0], right[:, 0], out=lanes[:, 0])
    np.add(left[:, 1], right[:, 1], out=lanes[:, 1])
    lanes[:, 1] += lanes[:, 0] < left[:, 0]
    return lanes


def shifted(lanes: Lanes, bits: int) -> Lanes:
    """Element-wise times 2^bits modulo 2^128, for 0 to 127 bits. Shapes (n, 2)."""
    moved = lanes.copy()
    if bits >= HALF:
        moved[:, 1], moved[:, 0] = lanes[:, 0], 0
        bits -= HALF
    if bits:
        moved[:, 1] = (moved[:, 1] << np.uint64(bits)) | (moved[:, 0] >> np.uint64(HALF - bits))
        moved[:, 0] <<= np.uint64(bits)
    return moved


def rounded(lanes: Lanes, bits: int) -> Lanes:
    """To the nearest multiple of 2^bits, halves up: signed numbers, 0 to 126 bits. Shapes (n, 2)."""
    if not bits:
        return lanes.copy()
    half = np.zeros_like(lanes)
    half[:, 0] = 1
    raised = add(lanes, shifted(half, bits - 1))
    for lane in (0, 1):
        low = min(max(bits - HALF * lane, 0), HALF)
        raised[:, lane] &= np.uint64((2**HALF - 1) ^ (2**low - 1))
    return raised


def subtract(left: Lanes, right: Lanes) -> Lanes:
    """Element-wise difference modulo 2^128. Shapes (n, 2)."""
    lanes = np.empty_like(left)
    np.subtract(left[:, 0], right[:, 0], out=lanes[:, 0])
    np.subtract(left[:, 1], right[:, 1], out=lanes[:, 1])
    lanes[:, 1] -= left[:, 0] < right[:, 0]
    return lanes


def from_ring(lanes: Lanes, scale: int) -> NDArray[np.float64]:
    """Signed numbers from the ring, rounded once to double, half to even. Shape (n,)."""
    negative = lanes[:, 1].view(np.int64) < 0
    magnitude = np.where(negative[:, None], negated(lanes), lanes)
    low, high = magnitude[:, 0], magnitude[:, 1]
    # The top 64 bits, the lowest of which also says whether any bit below it is set: one rounding, and the right one.
    shift = np.frexp(high.astype(np.float64))[1].astype(np.uint64)
    apart = (shift > 0) & (shift < 64)
    kept = np.where(apart, shift, np.uint64(1))
    top = (high << (np.uint64(64) - kept)) | (low >> kept)
    top |= (low & ((np.uint64(1) << kept) - np.uint64(1)) != 0).astype(np.uint64)
    top = np.where(apart, top, np.where(shift > 0, high | (low != 0).astype(np.uint64), low))
    number = np.ldexp(top.astype(np.float64), shift.astype(np.int64) - scale)
    return np.where(negative, -number, number)


def integers(lanes: Lanes) -> NDArray[np.int64]:
    """Signed integers from the ring at scale 0. Shape (n,).

    Raises:
        OverflowError: a value needs more than 64 bits.
    """
    low, high = lanes[:, 0].view(np.int64), lanes[:, 1].view(np.int64)
    if not np.all(high == (low >> 63)):
        raise OverflowError("a count needs more than 64 bits")
    return low.copy()


def to_bytes(lanes: Lanes) -> bytes:
    """Little-endian bytes, 16 a value."""
    return np.ascontiguousarray(lanes, dtype="<u8").tobytes()


def from_bytes(data: bytes, count: int) -> Lanes:
    """`count` values from `to_bytes`.

    Raises:
        ValueError: another number of bytes.
    """
    if len(data) != 16 * count:
        raise ValueError(f"{len(data)} bytes where {16 * count} belong")
    return np.frombuffer(data, dtype="<u8").astype(np.uint64, copy=False).reshape(count, 2)
