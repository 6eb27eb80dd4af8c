"""The extractor: the process that reads the hospital's database, and nothing else.

Responsible for: making the frame of one step of a study, and putting it into the pipe to the calculator. Not
responsible for: permission (asked before), keys and the network (it has neither), numbers that leave.

Run as `python -m dure.node.extractor CDM MEMORY FRAMES`, errands on standard input, replies on standard output.
"""

import sys
from pathlib import Path
from typing import Any

from dure.engines import open_engine
from dure.engines.base import Engine
from dure.node import channel, frames, sandbox
from dure.node.errands import DATASET_CHANGED, Extract, Extracted, Trouble
from dure.study.kinds import KINDS
from dure.study.protocol.carry import read
from dure.wire.codec import decode, encode
from dure.wire.problems import Problem

ERRANDS, REPLIES = 0, 1


class Database:
    """The engine, opened when first needed and again when the file was replaced."""

    def __init__(self, location: str, memory: str) -> None:
        self.location = location
        self.memory = memory
        self._engine: Engine | None = None
        self._opened: tuple[int, ...] = ()

    def engine(self) -> Engine:
        """The engine on the file that has the name now. Raises the engine's Problems."""
        now = self._file()
        if self._engine is not None and now != self._opened:
            self._engine.close()
            self._engine = None
        if self._engine is None:
            self._engine, self._opened = open_engine(self.location, memory=self.memory), now
        return self._engine

    def _file(self) -> tuple[int, ...]:
        try:
            found = Path(self.location.removeprefix("duckdb:")).stat()
        except OSError:
            return ()
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def extract(
    errand: Extract, question: bytes, carried: list[bytes], database: Database
) -> tuple[Extracted | Trouble, memoryview]:
    """The reply, and the frame's bytes (none where there is trouble)."""
    kind = KINDS.get(errand.kind)
    nothing = memoryview(b"")
    try:
        engine = database.engine()
        if engine.dataset.version != errand.dataset_version:
            return Trouble(
                slug=DATASET_CHANGED,
                what="The database holds another version than the one permitted.",
                where=database.location,
                mend="Declare the new version (dure node declare); its board signs again.",
            ), nothing
        assert kind is not None
        spec: Any = decode(kind.spec, question, where="question")
        steps = kind.steps(spec)
        step = next(each for each in steps if each.name == errand.step)
        frame = kind.extract(spec, errand.step, engine, read(steps, step, carried, where="carried"))
        return Extracted(rows=len(frame.person)), frames.dump(frame)
    except Problem as problem:
        return Trouble(slug=problem.slug, what=problem.what, where=problem.where, mend=problem.mend), nothing
    except Exception as error:  # noqa: BLE001 - its text may quote a value, so only its kind and place are told
        return unforeseen(error), nothing


def unforeseen(error: BaseException) -> Trouble:
    """An error that nobody foresaw, without its text, which may quote a person's value."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    place = "" if last is None else f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}"
    return Trouble(slug="", what=f"{type(error).__name__}.", where=place, mend="Report it, with this line.")


def main(location: str, memory: str, pipe: int) -> None:
    """Serve errands until standard input ends."""
    sandbox.limit(memory_bytes=None, may_write_files=True)
    database = Database(location, memory)
    sandbox.shut_in_extractor()
    while True:
        try:
            head, question, *carried = channel.receive(ERRANDS)
        except channel.Closed:
            return
        errand: Extract = decode(Extract, head, where="errand")
        reply, data = extract(errand, question, carried, database)
        channel.send(pipe, [errand.frame.encode(), data])
        channel.send(REPLIES, [encode(reply, Extracted | Trouble)])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
