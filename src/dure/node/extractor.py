"""The extractor: the process that reads the hospital's database, and nothing else.

Responsible for: making the frame of one step of a study, and putting it into the pipe to the calculator. Not
responsible for: permission (asked before), keys and the network (it has neither), numbers that leave.

Run as `python -m dure.node.extractor CDM MEMORY FRAMES`, errands on standard input, replies on standard output.
"""

import sys
from typing import Any

from dure.engines import is_file, open_engine
from dure.engines.base import Engine
from dure.node import channel, frames, sandbox
from dure.node.errands import DATASET_CHANGED, Extract, Extracted, Trouble
from dure.study.kinds import KINDS
from dure.study.protocol.carry import read
from dure.wire.codec import decode, encode
from dure.wire.problems import Problem

ERRANDS, REPLIES = 0, 1


class Changed(Exception):
    """The database holds another version than the one permitted."""


class Database:
    """The engine: of a file, opened when first needed and again when the file was replaced; of a server, opened once.

    Attributes:
        remote: whether it is on a server. Then it is opened before the process is shut in, which makes no connection afterwards.
    """

    def __init__(self, location: str, memory: str) -> None:
        self.location = location
        self.memory = memory
        self.remote = not is_file(location)
        self._engine: Engine | None = None
        self._trouble: Problem | None = None

    def connect(self) -> None:
        """Open a server's database; what goes wrong is told to the errand that needs it."""
        try:
            self._engine = open_engine(self.location, memory=self.memory)
        except Problem as problem:
            self._trouble = problem

    def engine(self, version: str) -> Engine:
        """The engine on what is at the location now. Raises the engine's Problems, and Changed."""
        if self._trouble is not None:
            raise self._trouble
        if self._engine is not None and not self._engine.unchanged():
            if self.remote:
                raise Changed
            self._engine.close()
            self._engine = None
        if self._engine is None:
            self._engine = open_engine(self.location, memory=self.memory)
        if self._engine.dataset.version != version:
            raise Changed
        return self._engine


def extract(
    errand: Extract, question: bytes, carried: list[bytes], database: Database
) -> tuple[Extracted | Trouble, memoryview]:
    """The reply, and the frame's bytes (none where there is trouble)."""
    kind = KINDS.get(errand.kind)
    nothing = memoryview(b"")
    try:
        engine = database.engine(errand.dataset_version)
        assert kind is not None
        spec: Any = decode(kind.spec, question, where="question")
        steps = kind.steps(spec)
        step = next(each for each in steps if each.name == errand.step)
        frame = kind.extract(spec, errand.step, engine, read(steps, step, carried, where="carried"))
        database.engine(errand.dataset_version)  # what was read is of one version if it still is that one
        return Extracted(rows=len(frame.person)), frames.dump(frame)
    except Changed:
        return Trouble(
            slug=DATASET_CHANGED,
            what="The database holds another version than the one permitted.",
            where=database.location,
            mend="Declare the new version (dure node declare); its board signs again.",
        ), nothing
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
    """Serve errands until standard input ends; on a server's database, until the first trouble, so that it is connected anew."""
    sandbox.limit(memory_bytes=None, may_write_files=True)
    database = Database(location, memory)
    if database.remote:
        database.connect()
    sandbox.shut_in_extractor(connected=database.remote)
    while True:
        try:
            head, question, *carried = channel.receive(ERRANDS)
        except channel.Closed:
            return
        errand: Extract = decode(Extract, head, where="errand")
        reply, data = extract(errand, question, carried, database)
        channel.send(pipe, [errand.frame.encode(), data])
        channel.send(REPLIES, [encode(reply, Extracted | Trouble)])
        if database.remote and isinstance(reply, Trouble):
            return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
