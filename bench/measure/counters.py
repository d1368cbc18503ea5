"""Counters: CPU time, wall time, memory and threads of the measured process.

Next to them stands what helps to judge a figure: page faults, context switches, and how
fast the core was directly before and after.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def cpu_time(pid: int) -> float:
    """Seconds, user and system, of another process, on Linux."""
    # The CPU clock of another process, as clock_getcpuclockid(3) builds it.
    return time.clock_gettime((~pid << 3) | 2)


def events(pid: int) -> dict[str, int]:
    """Page faults (minor ones) and context switches of another process until now.

    The switches are those of its first thread.
    """
    if not LINUX:
        return {}
    # The name in parentheses may contain blanks; the field is the eighth after it.
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text().split()
    return {
        "page_faults": int(stat[7]),
        "waits": int(status[status.index("voluntary_ctxt_switches:") + 1]),
        "preemptions": int(status[status.index("nonvoluntary_ctxt_switches:") + 1]),
    }


def usage() -> dict[str, float]:
    """CPU time, page faults and context switches of this process until now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu": used.ru_utime + used.ru_stime,
        "page_faults": used.ru_minflt,
        "waits": used.ru_nvcsw,
        "preemptions": used.ru_nivcsw,
    }


def probe() -> float:
    """Seconds of CPU time for work that is always the same: how fast the core is."""
    begin, total = time.thread_time(), 0
    for number in range(100_000):
        total += number & 7
    return time.thread_time() - begin


class Meter:
    """CPU time of the measured process and of the peer, wall time, growth of memory.

    Args:
        peer_pid: the raw peer.
        pid: the measured process, if it is not this one; asked when it begins.
    """

    def __init__(self, peer_pid: int, pid: Callable[[], int] = os.getpid) -> None:
        self.peer_pid = peer_pid
        self.pid = pid

    def now(self) -> dict[str, float]:
        """Counters that only grow; those that this system does not have are missing."""
        pid = self.pid()
        found: dict[str, float] = {}
        if pid == os.getpid() or not LINUX:
            found.update(usage())
        else:
            found.update(events(pid))
            found["cpu"] = cpu_time(pid)
        found["wall"] = time.perf_counter()
        if LINUX:
            found["peer_cpu"] = cpu_time(self.peer_pid)
        return found

    def start(self) -> None:
        gc.collect()
        self.before = probe()
        self.memory = resident_size(self.pid())
        self.threads = threads(self.pid())
        self.begin = self.now()

    def stop(self) -> None:
        self.end = self.now()
        self.after = probe()
        gc.collect()
        self.memory = resident_size(self.pid()) - self.memory
        self.threads = threads(self.pid()) - self.threads

    def figures(self) -> dict[str, Any]:
        """Figures of `rows.MEASURES` and of the report, between `start` and `stop`."""
        return {
            **{name: self.end[name] - begin for name, begin in self.begin.items()},
            "memory": self.memory,
            "threads": self.threads,
            "probe": [self.before, self.after],
        }


def same(got: object, wanted: object, what: str) -> None:
    """Nobody may skip work: what arrived is compared, and is a ``str`` or ``bytes``."""
    if type(got) is not type(wanted) or got != wanted:
        raise AssertionError(f"{what}: got {got!r:.80}, expected {wanted!r:.80}")
