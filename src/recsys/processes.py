"""Which process made a thing, and whether it still runs; and how many cores a process has."""

import os
import platform
import time
from pathlib import Path

CPU_LIMIT = "/sys/fs/cgroup/cpu.max"  # of a container: microseconds of CPU in a period, or max, and the period


def usable_cores() -> int:
    """Cores that this process may use: of the machine, or of the container where that has fewer."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed, _, period = Path(CPU_LIMIT).read_text().strip().partition(" ") if Path(CPU_LIMIT).is_file() else ("",) * 3
    if allowed.isdigit() and period.isdigit():
        cores = min(cores, int(allowed) // int(period))
    return max(1, cores)


def alive(pid: int) -> bool:
    """Whether a process of that number runs."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def started(process: int) -> str:
    """When a process started, in clock ticks since boot: tells it from a later one of its number; "" if none runs.

    Linux only; elsewhere always "".
    """
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def born(process: int) -> float | None:
    """The same as seconds since the epoch, to about a second; None where it cannot be told."""
    ticks = started(process)
    try:
        up = float(Path("/proc/uptime").read_text().split()[0])
        return time.time() - up + int(ticks) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None


def identity() -> dict[str, str]:
    """host, pid and start of this process."""
    return {"host": platform.node(), "pid": str(os.getpid()), "started": started(os.getpid())}


def died(of: dict[str, str]) -> bool:
    """Whether the process of that `identity` is gone. One of another machine is taken to live."""
    if of.get("host") != platform.node() or not of.get("pid", "").isdigit():
        return False
    pid = int(of["pid"])
    return not alive(pid) or bool(of.get("started") and started(pid) and started(pid) != of["started"])


def made_by_other(process: int, made: float) -> bool:
    """Whether a thing made at `made` (seconds since the epoch) cannot be of the process that has that number now.

    Numbers are used again: who started after the thing was made did not make it.
    """
    birth = born(process)
    return birth is not None and birth > made + 60  # clocks are set now and then
