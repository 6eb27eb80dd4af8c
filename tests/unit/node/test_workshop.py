"""The extractor and the calculator as processes: what they answer, what they can't do, what happens when they die."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from dure.demo.synth import generate
from dure.engines import open_engine
from dure.node import frames
from dure.node.errands import DATASET_CHANGED, Trouble
from dure.node.problems import WorkFailed
from dure.node.workshop import Job, Workshop, memory_bytes
from dure.stats.base import Answer, Frame
from dure.study.kinds import kind_of
from dure.study.kinds.base import Cohort
from dure.study.kinds.feasibility import Feasibility
from dure.wire.codec import encode

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="system calls are filtered on Linux only")


@pytest.fixture(scope="module")
def cdm(tmp_path_factory):
    path = tmp_path_factory.mktemp("cdm") / "hospital.duckdb"
    generate(persons=400, seed=1, hospital=1, path=path, force=True, progress=lambda done: None)
    with open_engine(str(path)) as engine:
        return path, engine.dataset


@pytest.fixture
def job(cdm, shared_cohort):
    _, dataset = cdm
    question = Feasibility(cohort=shared_cohort, first_year=2010, last_year=2026)
    (step,) = kind_of(question).steps(question)
    return Job(
        kind="feasibility",
        question=encode(question),
        step=step,
        state=encode(step.statistic.begin(step.params)),
        dataset_version=dataset.version,
    )


@pytest.fixture(scope="module")
def shared_cohort():
    from importlib.resources import files

    text = files("dure.demo").joinpath("cohorts", "adults_seen.json").read_text()
    return Cohort(name="adults", circe=json.loads(text))


@pytest.fixture
def workshop(cdm, tmp_path):
    path, _ = cdm
    made = Workshop(cdm=str(path), memory="1GB", work_seconds=60, spill=tmp_path / "spill")
    yield made
    made.stop()


def test_the_answer_is_the_one_computed_at_hand(workshop, job, cdm):
    path, _ = cdm
    answer = workshop.answer(job)
    kind = kind_of(Feasibility(cohort=Cohort(name="x", circe={})))
    with open_engine(str(path)) as engine:
        from dure.wire.codec import decode

        frame = kind.extract(decode(Feasibility, job.question, where=""), job.step.name, engine, {})
    expected = job.step.statistic.local(frame, job.step.params, job.step.statistic.begin(job.step.params))
    assert isinstance(answer, Answer)
    assert answer.support.tolist() == expected.support.tolist()
    assert answer.support[0] > 0
    for name, values in expected.sums.values.items():
        assert answer.sums.values[name].tolist() == values.tolist()
    for name, people in expected.populations.items():
        assert answer.populations[name].tolist() == people.tolist()


def test_both_processes_start_at_first_need_and_stay(workshop, job):
    assert workshop.processes == ()
    workshop.answer(job)
    processes = workshop.processes
    workshop.answer(job)
    assert workshop.processes == processes
    assert len(processes) == 2
    workshop.stop()
    assert not any(psutil.pid_exists(process) for process in processes)
    assert not workshop.spill.exists()


@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_process_is_started_again_and_the_answer_comes(workshop, job, which):
    first = workshop.answer(job)
    os.kill(workshop.processes[which], signal.SIGKILL)
    second = workshop.answer(job)
    assert second.support.tolist() == first.support.tolist()


def test_a_process_killed_while_it_works_gives_the_answer_all_the_same(workshop, job):
    workshop.answer(job)
    _, calculator = workshop.processes
    os.kill(calculator, signal.SIGSTOP)
    killer = threading.Timer(0.3, os.kill, (calculator, signal.SIGKILL))
    killer.start()
    assert isinstance(workshop.answer(job), Answer)
    killer.join()


def test_a_hanging_calculator_ends_in_a_problem(workshop, job, monkeypatch):
    start = workshop._start

    def start_and_hang():
        start()
        os.kill(workshop.processes[1], signal.SIGSTOP)

    monkeypatch.setattr(workshop, "_start", start_and_hang)
    workshop.work_seconds = 1.0
    with pytest.raises(WorkFailed, match="failed twice"):
        workshop.answer(job)
    assert workshop.processes == ()


def test_another_dataset_version_is_not_read(workshop, job):
    from dataclasses import replace

    trouble = workshop.answer(replace(job, dataset_version="another"))
    assert isinstance(trouble, Trouble)
    assert trouble.slug == DATASET_CHANGED


def test_a_missing_database_is_a_trouble_with_its_name(cdm, job, tmp_path):
    workshop = Workshop(
        cdm=str(tmp_path / "gone.duckdb"), memory="1GB", work_seconds=60, spill=tmp_path / "spill"
    )
    try:
        trouble = workshop.answer(job)
        assert isinstance(trouble, Trouble)
        assert trouble.slug == "database-missing"
        assert isinstance(workshop.answer(job), Trouble)
    finally:
        workshop.stop()


@pytest.mark.parametrize(("text", "size"), [("2GB", 2 * 10**9), ("512MiB", 2**29), ("1.5gb", 15 * 10**8)])
def test_sizes(text, size):
    assert memory_bytes(text) == size


def test_frames_cross_unchanged():
    frame = Frame(
        person=np.array([3, 1, 2**62]),
        columns={
            "person": np.array([1, 2, 3]),
            "x": np.array([0.5, -1.0, 2.0]),
            "d": np.array(["2020-01-01"] * 3, "M8[D]"),
        },
    )
    back = frames.load(bytes(frames.dump(frame)))
    assert back.person.tolist() == frame.person.tolist()
    assert {name: column.tolist() for name, column in back.columns.items()} == {
        name: column.tolist() for name, column in frame.columns.items()
    }


ATTEMPTS = {
    "open a file": "open('/etc/hostname')",
    "open a file through os": "os.open('/etc/hostname', os.O_RDONLY)",
    "make a file": "open('/tmp/dure-was-here', 'w')",
    "list a folder": "os.listdir('/')",
    "make a socket": "socket.socket()",
    "make a pair of sockets": "socket.socketpair()",
    "look a name up": "socket.create_connection(('127.0.0.1', 9), 1)",
    "fork": "os.fork()",
    "start a program": "os.execv('/bin/true', ['true'])",
    "start a program by subprocess": "subprocess.run(['/bin/true'])",
    "start a thread": "threading.Thread(target=print).start()",
    "signal another process": "os.kill(os.getppid(), 0)",
    "remove a file": "os.unlink('/tmp/nothing')",
    "change the folder": "os.chdir('/')",
}
PROBE = """
import encodings.idna, os, socket, subprocess, sys, threading
from dure.node import sandbox
sandbox.limit(memory_bytes=None, may_write_files=False)
sandbox.{shut}
try:
    {attempt}
except (OSError, RuntimeError) as error:
    os.write(1, type(error).__name__.encode())
else:
    os.write(1, b"it worked")
"""


def probe(shut: str, attempt: str) -> str:
    code = PROBE.format(shut=shut, attempt=attempt)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    return run.stdout.decode()


@ON_LINUX
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_inside_the_calculator_nothing_but_arithmetic_works(attempt):
    assert probe("shut_in_calculator(cpu_seconds=60)", ATTEMPTS[attempt]) in {
        "PermissionError",
        "RuntimeError",
        "OSError",
        "BlockingIOError",
    }


@ON_LINUX
@pytest.mark.parametrize(
    "attempt", ["make a socket", "look a name up", "fork", "start a program", "signal another process"]
)
def test_inside_the_extractor_no_network_and_no_program_works(attempt):
    assert probe("shut_in_extractor()", ATTEMPTS[attempt]) == "PermissionError"


@ON_LINUX
def test_inside_the_extractor_files_and_threads_work():
    assert probe("shut_in_extractor()", "os.listdir('/')") == "it worked"
    assert probe("shut_in_extractor()", "threading.Thread(target=int).start()") == "it worked"


def test_the_probe_itself_would_succeed_outside():
    assert probe("limit(memory_bytes=None, may_write_files=False)", "socket.socket()") == "it worked"


@ON_LINUX
def test_the_running_processes_are_shut_in(workshop, job):
    """The kernel says so of the processes that serve, not only of a probe."""
    workshop.answer(job)
    for process in workshop.processes:
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{process}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert status["Seccomp"] == "2"
        assert status["NoNewPrivs"] == "1"
        assert resource_limit(process, "Max core file size") == "0"
    assert resource_limit(workshop.processes[1], "Max file size") == "0"


def resource_limit(process: int, name: str) -> str:
    for line in Path(f"/proc/{process}/limits").read_text().splitlines():
        if line.startswith(name):
            return line[len(name) :].split()[0]
    raise AssertionError(name)


@ON_LINUX
def test_too_little_memory_is_a_trouble_and_no_hang(cdm, job, tmp_path):
    path, _ = cdm
    workshop = Workshop(cdm=str(path), memory="1KB", work_seconds=60, spill=tmp_path / "spill")
    import dure.node.workshop as module

    before = module.LIBRARIES
    try:
        module.LIBRARIES = 200 * 2**20
        with pytest.raises(WorkFailed):
            workshop.answer(job)
    finally:
        module.LIBRARIES = before
        workshop.stop()


@ON_LINUX
def test_both_processes_end_with_the_node(cdm, tmp_path):
    """Killed without a word, the node leaves nothing behind that reads records."""
    path, _ = cdm
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom dure.node.workshop import Workshop\n"
        "w = Workshop(cdm=sys.argv[1], memory='1GB', work_seconds=60, spill=Path(sys.argv[2]))\nw._start()\n"
        "print(*w.processes, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(tmp_path / "spill")], stdout=subprocess.PIPE, text=True
    )
    children = [int(number) for number in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 30
    while any(_lives(child) for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(_lives(child) for child in children)


def _lives(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
