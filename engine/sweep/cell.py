"""One cell of a sweep, in whatever process computes it; what it needs and what it gives travel.

A task is a spec and the Ref of a model; an outcome is numbers and texts. An exception never
travels: some of ours cannot be rebuilt from their text, and that would look like a dead process.
"""

from __future__ import annotations

import functools
import platform
import time
import traceback
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

import engine
from engine import blas
from engine.errors import FileError, RunError, SpecError
from engine.refs import MissingInput, Ref
from engine.technique import Technique

HERE = uuid.uuid4().hex
"""This process. Its id would not do: in containers on two machines both are often 1."""

Watch = Callable[[], None] | None


class Lost(RunError):
    """A cell was begun again and again, and each time the process that computed it died."""


@dataclass(frozen=True)
class Task:
    """What travels to a process. whole: the result itself is wanted too. origin: who asks."""

    spec: Technique
    model: Ref | None = None
    whole: bool = False
    origin: str = HERE


@dataclass(frozen=True)
class Outcome:
    """What came of a task. failure: this cell's science went wrong. fatal: so would every cell's.

    bug: the traceback of anything else. made_by: versions and machine.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    seconds: float = float("nan")
    result: Any = None
    failure: str = ""
    fatal: str = ""
    bug: str = ""
    made_by: str = ""


def run(task: Task) -> Outcome:
    """Compute a cell in a process of a pool or a cluster."""
    if task.origin != HERE:
        _one_blas_thread()
    try:
        model = None if task.model is None else _kept_model(task.model)
        steps = drive(task, model)
        while True:
            next(steps)
    except StopIteration as done:
        return done.value
    except (RunError, FileError) as error:
        return Outcome(fatal=f"{error} (on {platform.node()})")
    except Exception:  # noqa: BLE001  (it goes on in the process that asked)
        return Outcome(bug=traceback.format_exc())


def drive(task: Task, model: Any, watch: Watch = None) -> Generator[None, None, Outcome]:
    """Compute a cell, giving a sign of life at each of its updates; the outcome is returned."""
    began = time.perf_counter()
    metrics: dict[str, float] = {}
    view = None if model is None else model.under((), watch=watch)
    last = None
    try:
        with closing(task.spec.steps(view)) as steps:
            for last in steps:
                metrics.update(last.metrics)
                yield
            if last is None:
                raise RunError(f"{type(task.spec).__name__} made no update")
            result = last.snapshot()
    except (SpecError, RunError, FileError) as error:
        return Outcome(failure=str(error), made_by=made_by())
    except MemoryError:
        return Outcome(failure="there is too little memory for this", made_by=made_by())
    return Outcome(
        scalars(result, metrics),
        time.perf_counter() - began,
        result if task.whole else None,
        made_by=made_by(),
    )


def scalars(result: Any, metrics: Mapping[str, float]) -> dict[str, float]:
    """The last value of every metric, and every field of a result that is one number.

    A field wins over a metric of its name: it is of the final state.
    """
    values = {name: float(value) for name, value in metrics.items()}
    for item in fields(result):
        value = getattr(result, item.name)
        if isinstance(value, np.ndarray | np.generic | bool | int | float):
            array = np.asarray(value)
            if array.size == 1 and array.dtype.kind in "biuf":
                values[item.name] = float(array.reshape(()))
    return values


@functools.cache
def made_by() -> str:
    """What makes the numbers of this process."""
    return (
        f"mechanoscope {engine.__version__}, numpy {np.__version__}, "
        f"python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )


@functools.cache
def _one_blas_thread() -> None:
    """For good: a limit that is lifted after each cell would be lifted under a cell beside it."""
    blas.limit("one")


# --- models --------------------------------------------------------------------------------------


def model_ref(folder: str | Path, watch: Watch = None) -> Ref:
    """The model in a folder by the digest that a run records: of its config and its weights."""
    from engine.model import checkpoint  # a cell without a model need not wait for these

    found = checkpoint.peek(folder)
    return Ref("model", checkpoint.digest(found, watch), str(found.folder.resolve()))


def opened(ref: Ref, watch: Watch = None) -> Any:
    """The model of a Ref; MissingInput where its folder holds other weights."""
    from engine.model import open_model

    found = model_ref(ref.where, watch)
    if found.digest != ref.digest:
        why = f"at {ref.where} has changed: its digest is now {found.short}…"
        raise MissingInput(ref, why, changed=True)
    return open_model(ref.where, watch)


@functools.lru_cache(maxsize=1)
def _kept_model(ref: Ref) -> Any:
    return opened(ref)
