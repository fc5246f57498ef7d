"""SweepResult: numbers over a grid of field values and seeds, NaN where a cell has none (yet)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from engine.sweep.cell import Outcome
from engine.sweep.grid import SEED, Grid

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Failure:
    """A cell whose science went wrong: its index in the arrays, its name, the words."""

    index: tuple[int, ...]
    cell: str
    message: str


@dataclass(frozen=True)
class SweepResult:
    """What a sweep has found so far.

    grid: field -> its values, one axis each; seeds: the last axis, () where nothing is seeded.
    values: metric or one-number field of the result -> [*grid, seed], NaN where a cell has none.
    seconds: [*grid, seed], NaN where a cell is not finished. results: index -> the whole result of
    a finished cell, where they were asked for. made_by: versions and machines.
    """

    grid: Grid
    seeds: tuple[int, ...]
    values: Mapping[str, Floats]
    seconds: Floats
    failures: tuple[Failure, ...] = ()
    results: Mapping[tuple[int, ...], Any] = field(default_factory=dict)
    made_by: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return self.seconds.size

    @property
    def finished(self) -> int:
        return int(np.isfinite(self.seconds).sum())

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it by name, as an NPZ file takes it, with `grid.<field>` for the axes.

        Whole results are `result.<field>` [*grid, seed, ...] where all have one shape.
        """
        axes = {**self.grid, SEED: self.seeds} if self.seeds else self.grid
        arrays: dict[str, npt.NDArray[Any]] = dict(self.values)
        arrays |= {f"grid.{name}": _plain(values) for name, values in axes.items()}
        arrays["cell.seconds"] = self.seconds
        arrays["cell.failures"] = np.array(
            [f"{entry.cell}: {entry.message}" for entry in self.failures], np.str_
        )
        first = next(iter(self.results.values()), None)
        for item in () if first is None else fields(first):
            stack = self._stack(item.name)
            if stack is not None:
                arrays[f"result.{item.name}"] = stack
        return arrays

    def _stack(self, name: str) -> npt.NDArray[Any] | None:
        """One field of all whole results; None where they do not fit together."""
        held = {at: getattr(one, name) for at, one in self.results.items()}
        if not all(isinstance(one, np.ndarray | np.generic | int | float) for one in held.values()):
            return None
        found = {at: np.asarray(one) for at, one in held.items()}
        first = next(iter(found.values()))
        if first.dtype.kind not in "biufc" or any(
            one.shape != first.shape for one in found.values()
        ):
            return None
        whole = len(found) == self.total
        dtype = first.dtype if whole else np.result_type(first.dtype, np.float32)
        stack = np.full(self.seconds.shape + first.shape, 0 if whole else np.nan, dtype)
        for at, one in found.items():
            stack[at] = one
        return stack


def _plain(values: tuple[Any, ...]) -> npt.NDArray[Any]:
    """The values of an axis as numbers or texts; anything else as JSON."""
    if all(isinstance(value, str) for value in values) or all(
        isinstance(value, bool | int | float) for value in values
    ):
        return np.asarray(values)
    return np.asarray([json.dumps(msgspec.to_builtins(value)) for value in values])


class Table:
    """The result while it grows; `snapshot` gives fresh arrays."""

    def __init__(self, grid: Grid, seeds: tuple[int, ...], shape: tuple[int, ...]) -> None:
        self.grid, self.seeds, self.shape = grid, seeds, shape
        self.values: dict[str, Floats] = {}
        self.seconds = np.full(shape, np.nan)  # [*grid, seed]
        self.failures: list[Failure] = []
        self.results: dict[tuple[int, ...], Any] = {}
        self.made_by: set[str] = set()
        self.done, self.total = 0, math.prod(shape)

    def put(self, number: int, cell: str, outcome: Outcome) -> None:
        at = tuple(int(index) for index in np.unravel_index(number, self.shape))
        self.done += 1
        if outcome.made_by:
            self.made_by.add(outcome.made_by)
        if outcome.failure:
            self.failures.append(Failure(at, cell, outcome.failure))
            return
        self.seconds[at] = outcome.seconds
        for name, value in outcome.values.items():
            if name not in self.values:
                self.values[name] = np.full(self.shape, np.nan)  # [*grid, seed]
            self.values[name][at] = value
        if outcome.result is not None:
            self.results[at] = outcome.result

    def snapshot(self) -> SweepResult:
        return SweepResult(
            grid=self.grid,
            seeds=self.seeds,
            values={name: array.copy() for name, array in sorted(self.values.items())},
            seconds=self.seconds.copy(),
            failures=tuple(sorted(self.failures, key=lambda entry: entry.index)),
            results=dict(sorted(self.results.items())),
            made_by=tuple(sorted(self.made_by)),
        )
