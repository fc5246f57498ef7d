"""What tests of sweeps share: a small technique that can fail, die and dawdle on demand.

A module of its own and light: fresh processes import it for each cell's spec.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.errors import RunError
from engine.sweep import SweepResult
from engine.technique import Technique, Update, array, param

PATIENCE = 30.0  # seconds; a test that needs them has failed
PROMPT = 0.2  # seconds from Stop to an answer
GRID = {"x": (0.5, 1.0, 2.0), "width": (100, 300)}
FOUR = {"x": (1.0, 2.0, 3.0, 4.0)}


@dataclass(frozen=True)
class _BowlResult:
    curve: npt.NDArray[np.float32] = array("step", "the loss at each step")
    bottom: npt.NDArray[np.float32] = array("instance", "the last loss")
    depth: float = array("", "a number")
    label: str = array("", "a text")


@dataclass(frozen=True, kw_only=True)
class _Bowl(Technique):
    """Multiplies matrices large enough for BLAS to use its threads."""

    Result: ClassVar[type] = _BowlResult
    title: ClassVar[str] = "Bowl"
    needs: ClassVar[tuple[str, ...]] = ()
    x: float = param(1.0, "where", low=-10.0, high=10.0)
    width: int = param(200, "of the matrices", low=1, high=2000)
    n: int = param(3, "steps", low=1)
    pause: float = param(0.0, "seconds per step", low=0.0)
    ends: tuple[float, ...] = param((), "an x that goes wrong", low=-10.0, high=10.0)
    how: str = param("run", "how it goes wrong", choices=("run", "bug", "once", "always", "int"))
    place: str = param("", "a folder for the traces of the dead")
    seed: int = param(0, "of the matrices", low=0)

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        if self.place and not self.ends:
            Path(self.place, f"{os.getpid()}.pid").touch()
            Path(self.place, f"{self.pause}.begun").touch()
        if self.x in self.ends:
            self._end()
        rng = np.random.default_rng(self.seed)
        a = rng.standard_normal((self.width, self.width)).astype(np.float32)  # [row column]
        curve: list[float] = []
        for step in range(1, self.n + 1):
            time.sleep(self.pause)
            a = a @ a / np.float32(self.width**0.5) + np.float32(self.x)
            a /= np.abs(a).max()
            curve.append(float(a.sum() + self.x**2))

            def result() -> _BowlResult:
                found = np.array(curve, np.float32)
                return _BowlResult(found, found[-1:], float(found.min()), "bowl")

            yield Update(step, self.n, result, {"loss": curve[-1], "depth": -1.0})

    def _end(self) -> None:
        trace = Path(self.place, f"died at {self.x}")
        if self.how == "run":
            raise RunError("loss is NaN at step 1; lower lr")
        if self.how == "bug":
            raise KeyError("a bug")
        if self.how == "int":
            signal.raise_signal(signal.SIGINT)
            return
        with trace.open("a") as stream:
            stream.write("x")
        if self.how == "always" or trace.read_text() == "x":
            os._exit(3)


def assert_same(one: SweepResult, other: SweepResult) -> None:
    assert (one.grid, one.seeds, one.failures) == (other.grid, other.seeds, other.failures)
    assert one.values.keys() == other.values.keys()
    for name, values in one.values.items():
        np.testing.assert_array_equal(values, other.values[name])


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; a zombie, whose parent has not yet looked, has."""
    if sys.platform == "win32":  # there os.kill(pid, 0) is Ctrl-C for everybody
        import ctypes

        kernel, may_wait = ctypes.windll.kernel32, 0x100000
        handle = kernel.OpenProcess(may_wait, False, pid)
        return not handle or kernel.WaitForSingleObject(handle, 0) == 0
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"
