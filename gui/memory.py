"""How much memory this process holds and this machine has, without a dependency."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def used() -> int:
    """Resident bytes of this process; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        pass
    if sys.platform == "win32":
        return _windows()[0]
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def total() -> int:
    """Bytes of memory that this machine, or the container it is, offers; 0 if unknown."""
    if sys.platform == "win32":
        return _windows()[1]
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 0
    try:
        return min(whole, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return whole


def _windows() -> tuple[int, int]:
    import ctypes

    class Counters(ctypes.Structure):
        _fields_ = [("cb", ctypes.c_ulong), ("faults", ctypes.c_ulong)] + [
            (name, ctypes.c_size_t) for name in ("peak", "resident", "a", "b", "c", "d", "e", "f")
        ]

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong) for name in ("total", "free", "a", "b", "c", "d", "e")
        ]

    counters, status = Counters(), Status()
    counters.cb, status.length = ctypes.sizeof(counters), ctypes.sizeof(status)
    windows = getattr(ctypes, "windll")  # noqa: B009  (exists on Windows only)
    windows.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    process = windows.kernel32.GetCurrentProcess()
    windows.psapi.GetProcessMemoryInfo(process, ctypes.byref(counters), counters.cb)
    return int(counters.resident), int(status.total)


def size(nbytes: int | float) -> str:
    """0.4 MB, 6.9 MB, 548 MB, 7.7 GB: two or three figures."""
    for unit, step, least in (("GB", 1e9, 1e9), ("MB", 1e6, 1e5), ("kB", 1e3, 0)):
        if nbytes >= least:
            value = nbytes / step
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    return f"{nbytes:.0f} B"
