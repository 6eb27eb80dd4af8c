"""Messages between the node's own processes: a head (a strict message) and blobs of bytes, over pipes.

Responsible for: framing, deadlines, never trusting a length. Not responsible for: what is said (`extractor`,
`calculator`). Nothing is ever unpickled.
"""

import os
import select
import struct
import time
from collections.abc import Sequence

COUNT = struct.Struct("<I")
LENGTH = struct.Struct("<Q")
MOST_PARTS = 4096
LONGEST = 1 << 36


class Closed(Exception):
    """The other side is gone, too late, or talks nonsense."""


def send(descriptor: int, parts: Sequence[bytes | memoryview]) -> None:
    """Write one message.

    Raises:
        Closed: nobody reads it.
    """
    head = COUNT.pack(len(parts)) + b"".join(LENGTH.pack(memoryview(part).nbytes) for part in parts)
    for part in (head, *parts):
        left = memoryview(part).cast("B")
        while left:
            try:
                left = left[os.write(descriptor, left[: 1 << 20]) :]
            except OSError as error:
                raise Closed(f"write: {error.strerror}") from error


def receive(descriptor: int, *, within: float | None = None) -> list[bytes]:
    """Read one message.

    Args:
        within: seconds until all of it must be there; None waits.

    Raises:
        Closed: the end, the deadline, or a length that can't be.
    """
    until = None if within is None else time.monotonic() + within
    (count,) = COUNT.unpack(_exactly(descriptor, COUNT.size, until))
    if count > MOST_PARTS:
        raise Closed(f"{count} parts")
    lengths = [LENGTH.unpack(_exactly(descriptor, LENGTH.size, until))[0] for _ in range(count)]
    if sum(lengths) > LONGEST:
        raise Closed(f"{sum(lengths)} bytes")
    return [_exactly(descriptor, length, until) for length in lengths]


def _exactly(descriptor: int, size: int, until: float | None) -> bytes:
    chunks, left = [], size
    while left:
        if until is not None:
            ready, _, _ = select.select([descriptor], [], [], max(until - time.monotonic(), 0))
            if not ready:
                raise Closed("no answer in time")
        try:
            chunk = os.read(descriptor, min(left, 1 << 20))
        except OSError as error:
            raise Closed(f"read: {error.strerror}") from error
        if not chunk:
            raise Closed("it ended")
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)
