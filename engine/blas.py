"""How many threads BLAS uses: the count decides the last bits of a sum, so a run fixes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from threadpoolctl import ThreadpoolController

Blas = Literal["all", "one"]


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def limit(blas: Blas) -> Iterator[int]:
    """Inside the `with` BLAS uses all cores or one, in the whole process.

    Gives how many threads it says it uses, for it may allow fewer; 0 where it does not say.
    """
    controller = ThreadpoolController()
    with controller.limit(limits=cores() if blas == "all" else 1, user_api="blas"):
        libraries = controller.select(user_api="blas").info()
        yield max((library["num_threads"] for library in libraries), default=0)
