"""The two processes that touch records, as the main process sees them: started at first need, stopped when idle.

Responsible for: having an answer computed, deadlines, one more try after a death. Not responsible for: whether it may
be asked (`worker`), what may leave (`dure.guard.gate`). The main process sees answers; rows go from the extractor to
the calculator by a pipe of their own.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dure.node import channel
from dure.node.errands import NO_FRAME, Compute, Computed, Extract, Extracted, Trouble
from dure.node.problems import WorkFailed
from dure.wire.codec import decode, digest, encode

if TYPE_CHECKING:
    from dure.stats.base import Answer
    from dure.study.kinds.base import Step

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
LIBRARIES = 2**30
"""Address space that the calculator's libraries map without using."""
QUIET = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "LANG": "C.UTF-8",
}


def memory_bytes(text: str) -> int:
    """Bytes of a size such as "2GB".

    Raises:
        ValueError: not a number and a unit.
    """
    for unit, size in sorted(UNITS.items(), key=lambda pair: -len(pair[0])):
        if text.upper().endswith(unit):
            return int(float(text[: -len(unit)]) * size)
    raise ValueError(f"{text!r} is no size such as 2GB")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One answer to be computed. `question`, `state` and `carried` are encoded."""

    kind: str
    question: bytes
    step: "Step"
    state: bytes
    carried: tuple[bytes, ...] = ()
    dataset_version: str

    @property
    def frame(self) -> str:
        """Names the frame: equal questions, with equal results carried, over one dataset version have one."""
        told = (self.kind, self.step.name, self.dataset_version, self.carried)
        return digest(encode(told, tuple[str, str, str, tuple[bytes, ...]]) + b"\n" + self.question)


class Workshop:
    """The extractor and the calculator, living and dying together.

    Args:
        spill: a folder for what the database can't hold in memory: private, emptied at every start and stop.
    """

    def __init__(self, *, cdm: str, memory: str, work_seconds: float, spill: Path) -> None:
        self.cdm = cdm
        self.spill = spill
        self.memory = memory
        self.work_seconds = work_seconds
        self.last_used = time.monotonic()
        self._extractor: subprocess.Popen[bytes] | None = None
        self._calculator: subprocess.Popen[bytes] | None = None
        self._held: tuple[str, ...] = ()

    @property
    def processes(self) -> tuple[int, ...]:
        """Ids of the processes that run now."""
        return tuple(process.pid for process in (self._extractor, self._calculator) if process is not None)

    def answer(self, job: Job) -> "Answer | Trouble":
        """The answer to a job.

        Raises:
            WorkFailed: a process died, hung or talked nonsense, and did so again.
        """
        for last in (False, True):
            try:
                self._start()
                return self._ask(job)
            except channel.Closed as reason:
                self.stop()
                if last:
                    raise WorkFailed(
                        f"The extractor or the calculator failed twice ({reason}).",
                        where=f"step {job.step.name}",
                        mend="Give it more memory or time in node.yaml; see the log of the system for a killed process.",
                    ) from None
            finally:
                self.last_used = time.monotonic()
        raise AssertionError

    def stop(self) -> None:
        """End both processes and forget their frames."""
        for process in (self._extractor, self._calculator):
            if process is None:
                continue
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()
        self._extractor = self._calculator = None
        self._held = ()
        shutil.rmtree(self.spill, ignore_errors=True)

    def _start(self) -> None:
        alive = [p is not None and p.poll() is None for p in (self._extractor, self._calculator)]
        if all(alive):
            return
        self.stop()
        self.spill.mkdir(mode=0o700)
        taking, putting = os.pipe()
        try:
            most = str(memory_bytes(self.memory) + LIBRARIES)
            cpu = str(int(self.work_seconds) * 24)
            self._extractor = _run(
                "extractor", self.cdm, self.memory, str(putting), keep=putting, spill=self.spill
            )
            self._calculator = _run("calculator", most, cpu, str(taking), keep=taking, spill=self.spill)
        finally:
            os.close(taking)
            os.close(putting)

    def _ask(self, job: Job) -> "Answer | Trouble":
        assert self._extractor is not None
        assert self._calculator is not None
        until = time.monotonic() + self.work_seconds
        extracting = job.frame not in self._held
        if extracting:
            errand = Extract(
                frame=job.frame, kind=job.kind, step=job.step.name, dataset_version=job.dataset_version
            )
            channel.send(_in(self._extractor), [encode(errand), job.question, *job.carried])
        compute = Compute(frame=job.frame, statistic=job.step.statistic.name)
        channel.send(_in(self._calculator), [encode(compute), encode(job.step.params), job.state])
        extracted: Extracted | Trouble | None = None
        if extracting:
            (head,) = channel.receive(_out(self._extractor), within=max(until - time.monotonic(), 0))
            extracted = decode(Extracted | Trouble, head, where="extractor")
        head, *blobs = channel.receive(_out(self._calculator), within=max(until - time.monotonic(), 0))
        computed: Computed | Trouble = decode(Computed | Trouble, head, where="calculator")
        self._held = computed.held
        if isinstance(extracted, Trouble):
            return extracted
        if isinstance(computed, Trouble):
            if computed.slug == NO_FRAME:
                raise channel.Closed("the frame was lost")
            return computed
        return _read(job, computed.populations, blobs)


def _read(job: Job, populations: tuple[str, ...], blobs: list[bytes]) -> "Answer":
    """An answer from a calculator's arrays, with every size checked against the layout."""
    from dure.stats.base import Answer
    from dure.wire.sums import Sums

    layout = job.step.layout
    if len(blobs) != len(layout.fields) + 1 + len(populations):
        raise channel.Closed("another number of arrays")
    try:
        values = {
            field.name: np.frombuffer(blob, dtype="<i8" if field.scale == 0 else "<f8").reshape(
                field.rests_on.shape
            )
            for field, blob in zip(layout.fields, blobs, strict=False)
        }
        support, *people = (np.frombuffer(blob, dtype="<i8") for blob in blobs[len(layout.fields) :])
        return Answer(
            sums=Sums(layout=layout, values=values),
            support=support,
            populations=dict(zip(populations, people, strict=True)),
        )
    except ValueError as error:
        raise channel.Closed("arrays that aren't the layout's") from error


def _run(module: str, *arguments: str, keep: int, spill: Path) -> subprocess.Popen[bytes]:
    """Start one of them: an environment of our own, no other descriptor, no words on standard error (they could quote a value)."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and modules
        [sys.executable, "-I", "-m", f"dure.node.{module}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        pass_fds=(keep,),
        env={**QUIET, "TMPDIR": str(spill.absolute())},
        cwd="/",
    )


def _in(process: subprocess.Popen[bytes]) -> int:
    assert process.stdin is not None
    return process.stdin.fileno()


def _out(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    return process.stdout.fileno()
