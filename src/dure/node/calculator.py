"""The calculator: a warm process that turns frames into answers, and can't reach a file or the network.

Responsible for: running a statistic's `local`. Not responsible for: where frames come from (`extractor`), what of an
answer may leave (`dure.guard.gate`, in the main process).

Run as `python -m dure.node.calculator MEMORY_BYTES CPU_SECONDS FRAMES`, errands on standard input, replies on standard
output.
"""

import sys
from collections import OrderedDict
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np

from dure.node import channel, frames, sandbox
from dure.node.errands import NO_FRAME, Compute, Computed, Trouble
from dure.stats import ALL
from dure.stats.base import Answer, Frame
from dure.wire.codec import Malformed, decode, encode

ERRANDS, REPLIES = 0, 1
MOST_FRAMES = 4


def compute(errand: Compute, params: bytes, state: bytes, frame: Frame) -> tuple[Answer, tuple[str, ...]]:
    """The answer, and its populations' names in order."""
    statistic = ALL[errand.statistic]
    known = _params(errand.statistic, params)
    asked: Any = decode(statistic.state, state, where="state")
    answer = statistic.local(frame, known, asked)
    return answer, tuple(sorted(answer.populations))


@lru_cache(maxsize=MOST_FRAMES)
def _params(statistic: str, params: bytes) -> Any:
    """The same object every round, by which what rounds have in common is found again."""
    return decode(ALL[statistic].params, params, where="params")


def blobs(answer: Answer, populations: tuple[str, ...]) -> list[bytes]:
    """An answer's arrays as little-endian bytes, in the order that `Computed` states."""
    fields = [answer.sums.values[field.name] for field in answer.sums.layout.fields]
    arrays = [*fields, answer.support, *(answer.populations[name] for name in populations)]
    return [np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays]


def main(memory_bytes: int, cpu_seconds: int, pipe: int) -> None:
    """Serve errands until standard input ends."""
    sandbox.limit(memory_bytes=memory_bytes, may_write_files=False)
    _warm()
    sandbox.shut_in_calculator(cpu_seconds=cpu_seconds)
    held: OrderedDict[str, Frame] = OrderedDict()
    while True:
        try:
            head, params, state = channel.receive(ERRANDS)
            errand: Compute = decode(Compute, head, where="errand")
            if errand.frame not in held:
                _take(held, pipe)
        except channel.Closed:
            return
        channel.send(REPLIES, _reply(errand, params, state, held))


def _reply(errand: Compute, params: bytes, state: bytes, held: OrderedDict[str, Frame]) -> list[bytes]:
    frame = held.get(errand.frame)
    if frame is None:
        return [_trouble(NO_FRAME, "The frame isn't there.", held)]
    held.move_to_end(errand.frame)
    try:
        answer, populations = compute(errand, params, state, frame)
        head = encode(Computed(populations=populations, held=tuple(held)), Computed | Trouble)
        return [head, *blobs(answer, populations)]
    except MemoryError:
        return [_trouble("", "The calculator's memory is not enough.", held)]
    except Exception as error:  # noqa: BLE001 - its text may quote a value, so only its kind is told
        return [_trouble("", f"{type(error).__name__} in {errand.statistic}.", held)]


def _take(held: OrderedDict[str, Frame], pipe: int) -> None:
    """The next frame from the pipe; an empty one says that there is none."""
    name, data = channel.receive(pipe)
    if not data:
        return
    while len(held) >= MOST_FRAMES:
        held.popitem(last=False)
    try:
        held[name.decode()] = frames.load(data)
    except (ValueError, MemoryError):
        held.pop(name.decode(), None)


def _trouble(slug: str, what: str, held: OrderedDict[str, Frame]) -> bytes:
    told = Trouble(slug=slug, what=what, where="calculator", mend="See the node's manual.", held=tuple(held))
    return encode(told, Computed | Trouble)


def _warm() -> None:
    """Do once what libraries load late, while files can still be opened."""
    frame = Frame(person=np.arange(3), columns={"day": np.zeros(3, dtype="datetime64[D]"), "x": np.ones(3)})
    frames.load(bytes(frames.dump(frame)))
    np.unique(np.stack([frame.person, frame.person]), axis=1)
    _trouble("", "", OrderedDict())
    for kind in (Compute, *(kind for each in ALL.values() for kind in (each.params, each.state))):
        with suppress(Malformed):
            decode(kind, b"[]", where="nothing")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
