"""What is counted: CPU time, wall time, memory and threads of the measured process."""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

# Elsewhere there is no /proc: the CPU time of this process is still known.
LINUX = sys.platform == "linux"


def resident_size(pid: int) -> int:
    """Bytes of memory a process has; elsewhere than on Linux, the most we had."""
    if LINUX:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def threads(pid: int) -> int:
    if LINUX:
        return len(os.listdir(f"/proc/{pid}/task"))
    return threading.active_count()


def cpu_time(pid: int) -> float | None:
    """Seconds, user and system, of another process; ``None`` where nobody can say."""
    if not LINUX:
        return None
    # The CPU clock of another process, as clock_getcpuclockid(3) builds it.
    return time.clock_gettime((~pid << 3) | 2)


class Meter:
    """CPU time of the measured process and of the peer, wall time, growth of memory.

    Args:
        peer_pid: the raw peer.
        pid: who is measured, if it is not this process; asked when it begins.
    """

    def __init__(self, peer_pid: int, pid: Callable[[], int] = os.getpid) -> None:
        self.peer_pid = peer_pid
        self.pid = pid

    def now(self) -> tuple[float, float, float | None]:
        pid = self.pid()
        cpu = None if pid == os.getpid() else cpu_time(pid)
        if cpu is None:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            cpu = usage.ru_utime + usage.ru_stime
        return cpu, time.perf_counter(), cpu_time(self.peer_pid)

    def start(self) -> None:
        gc.collect()
        self.memory = resident_size(self.pid())
        self.threads = threads(self.pid())
        self.begin = self.now()

    def stop(self) -> None:
        self.end = self.now()
        gc.collect()
        self.memory = resident_size(self.pid()) - self.memory
        self.threads = threads(self.pid()) - self.threads

    def figures(self) -> dict[str, float | None]:
        (cpu, wall, peer), (cpu2, wall2, peer2) = self.begin, self.end
        return {
            "cpu": cpu2 - cpu,
            "wall": wall2 - wall,
            "memory": self.memory,
            "threads": self.threads,
            "peer_cpu": None if peer is None or peer2 is None else peer2 - peer,
        }


def same(got: object, wanted: object, what: str) -> None:
    """Nobody may skip work: what arrived is compared, and is a ``str`` or ``bytes``."""
    if type(got) is not type(wanted) or got != wanted:
        raise AssertionError(f"{what}: got {got!r:.80}, expected {wanted!r:.80}")
