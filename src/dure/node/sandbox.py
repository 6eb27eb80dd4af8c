"""Shutting a process in: limits, and on Linux a filter of system calls.

Responsible for: what the extractor and the calculator can no longer do once they work. Not responsible for: what they
compute. On macOS there are the limits only, since it has no filter that a program may set for itself.
"""

import ctypes
import errno
import os
import resource
import signal
import sys
from types import ModuleType

from dure.node.problems import NoSandbox

PR_SET_PDEATHSIG = 1
CLONE_THREAD = 0x00010000

COMPUTING = (
    "read", "readv", "write", "writev", "close", "fstat", "lseek", "poll", "ppoll", "select", "pselect6",
    "mmap", "munmap", "mremap", "mprotect", "madvise", "brk", "membarrier",
    "futex", "futex_wait", "futex_wake", "sched_yield", "sched_getaffinity", "set_robust_list", "rseq",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "tgkill",
    "getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getrandom", "uname", "sysinfo", "getcpu",
    "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "getrusage",
    "exit", "exit_group",
)  # fmt: skip
"""All that arithmetic over pipes needs. No open, no socket, no exec, no fork or thread, no ptrace, no signal to others."""

LEAVING = (
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendmmsg",
    "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "kill", "tkill",
    "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "io_uring_setup", "io_uring_enter", "bpf", "mount", "unshare",
    "setns", "chroot", "keyctl", "add_key", "request_key", "userfaultfd", "perf_event_open",
)  # fmt: skip
"""What a database needs for nothing: new sockets, other programs, other processes."""

SPEAKING = ("sendto", "sendmsg")
"""Words on a socket that is there already: what a connection to a database server needs, and a file doesn't."""


def limit(*, memory_bytes: int | None, may_write_files: bool) -> None:
    """Set this process's limits for good: no core dump (it would hold records), memory, written files.

    On Linux the process also ends with its parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _lower(resource.RLIMIT_CORE, 0)
    if memory_bytes is not None and sys.platform == "linux":
        _lower(resource.RLIMIT_AS, memory_bytes)
    if not may_write_files:
        _lower(resource.RLIMIT_FSIZE, 0)


def shut_in_calculator(*, cpu_seconds: int) -> str:
    """From here on: no file, no socket, no program, no process. Returns what holds, for the log.

    Raises:
        NoSandbox: on Linux, the filter can't be set.
    """
    filters = _filters() if sys.platform == "linux" else None
    _lower(resource.RLIMIT_CPU, cpu_seconds)
    _lower(resource.RLIMIT_NOFILE, max(int(name) for name in _open_descriptors()) + 1)
    _lower(resource.RLIMIT_NPROC, 0)
    if filters is None:
        return "limits only"
    rules = filters.SyscallFilter(filters.ERRNO(errno.EPERM))
    for name in COMPUTING:
        _rule(filters, rules, filters.ALLOW, name)
    _load(rules)
    return "limits and a filter of system calls"


def shut_in_extractor(*, connected: bool = False) -> str:
    """From here on: no new socket, no program, no other process. Files stay, since the database may be one.

    Args:
        connected: whether the sockets that are open now may be used. They lead to the hospital's database server; no other
            socket can be made, so nothing else can be reached.

    Raises:
        NoSandbox: on Linux, the filter can't be set.
    """
    if sys.platform != "linux":
        return "limits only"
    filters = _filters()
    rules = filters.SyscallFilter(filters.ALLOW)
    for name in LEAVING if connected else (*LEAVING, *SPEAKING):
        _rule(filters, rules, filters.ERRNO(errno.EPERM), name)
    # A thread is a clone that stays in the process. clone3 hides its flags from filters; without it libc uses clone.
    _rule(filters, rules, filters.ERRNO(errno.ENOSYS), "clone3")
    thread = filters.Arg(0, filters.MASKED_EQ, CLONE_THREAD, 0)
    _rule(filters, rules, filters.ERRNO(errno.EPERM), "clone", thread)
    _load(rules)
    return "limits and a filter of system calls"


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(kind, (most, most))


def _open_descriptors() -> list[str]:
    return os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")  # noqa: PTH208 - names only


def _filters() -> ModuleType:
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError) as error:
        raise NoSandbox(
            f"libseccomp can't be used: {type(error).__name__}.",
            where="pyseccomp",
            mend="Install Dure with its extra 'node', and the system's libseccomp (libseccomp2).",
        ) from error
    return pyseccomp  # type: ignore[no-any-return]


def _rule(filters: ModuleType, rules: object, action: int, name: str, *arguments: object) -> None:
    try:
        filters.resolve_syscall(filters.Arch.NATIVE, name)
    except ValueError:
        return
    rules.add_rule(action, name, *arguments)  # type: ignore[attr-defined]


def _load(rules: object) -> None:
    try:
        rules.load()  # type: ignore[attr-defined]
    except OSError as error:
        raise NoSandbox(
            f"The kernel doesn't take the filter: {error.strerror}.",
            where="seccomp",
            mend="Run on a kernel with CONFIG_SECCOMP_FILTER; in a container, let it set filters.",
        ) from error
