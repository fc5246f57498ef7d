"""How many threads BLAS uses: the count decides the last bits of a sum, so a run fixes it."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any, Literal

from threadpoolctl import ThreadpoolController

Blas = Literal["all", "one"]


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads(blas: Blas) -> int:
    """The number of threads that a technique's `blas` stands for."""
    return cores() if blas == "all" else 1


def limit(blas: Blas) -> AbstractContextManager[Any]:
    """BLAS uses that many threads inside the `with`. It holds for the whole process."""
    return ThreadpoolController().limit(limits=threads(blas), user_api="blas")
