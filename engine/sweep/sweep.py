"""Sweep: one technique over a grid of field values and seeds.

    sweep = Sweep(ToyModel(n_features=5), {"density": (0.9, 0.3, 0.1)}, seeds=5)
    result = sweep.run()
    result.values["loss"]  # [density, seed]

Every cell is computed with one BLAS thread, wherever that is: the same bits here, on processes of
this machine and on a cluster of its like; within 1e-5 on another kind of processor. A sweep is no
technique of the table: its axes depend on its grid, and where it runs is nobody's to store (a
session from a stranger could name a cluster, which may run any code). It is driven like one:
`steps` yields updates, and `Worker(work=sweep.run)` has its progress, its Stop and its result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

import engine
from engine import blas
from engine.errors import Cancelled, RunError, SpecError
from engine.refs import Ref
from engine.sweep.cell import Task, Watch, drive, opened
from engine.sweep.executors import Factory
from engine.sweep.grid import Grid, cells_of, checked_grid, checked_seeds, name_of, shape_of
from engine.sweep.queue import Queue, Sign
from engine.sweep.result import SweepResult, Table
from engine.technique import Technique, Update


@dataclass(frozen=True)
class Sweep:
    """A spec, the values that some of its fields take, and the seeds of every combination.

    grid: field -> values. seeds: how many, from the spec's own on, or which. model: see
    `model_ref`. keep: "metrics" (every metric, every field of the result that is one number) or
    "results" (whole results too). executor: None = here, in order; else a factory, see
    `processes` and `cluster`. SpecError names a field and a value before anything starts.
    """

    spec: Technique
    grid: Mapping[str, Iterable[Any]]
    seeds: int | Sequence[int] = 1
    model: Ref | None = None
    keep: Literal["metrics", "results"] = "metrics"
    executor: Factory | None = field(default=None, compare=False, repr=False)
    cells: tuple[Technique, ...] = field(init=False, compare=False, repr=False)
    shape: tuple[int, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        kind = type(self.spec).__name__
        if self.keep not in ("metrics", "results"):
            raise SpecError("keep", f"{self.keep!r} is not metrics or results")
        if self.spec.needs and self.model is None:
            raise SpecError("model", f"{kind} reads a model: give its folder")
        if self.model is not None and not self.spec.needs:
            raise SpecError("model", f"{kind} reads no model: leave it out")
        grid = checked_grid(self.spec, self.grid)
        seeds = checked_seeds(self.spec, grid, self.seeds)
        for name, value in {
            "grid": grid,
            "cells": cells_of(self.spec, grid, seeds),
            "shape": shape_of(grid, seeds),
        }.items():
            object.__setattr__(self, name, value)

    def steps(self, watch: Watch = None) -> Generator[Update, None, None]:
        """An update per finished cell, and several a second in between with an unchanged step.

        Closed half-way, it cancels what waits and abandons what runs. A cell whose science goes
        wrong stays NaN and is listed; a lost process, a wrong model or a bug ends the sweep.
        """
        grid: Grid = dict(self.grid)  # pyright: ignore[reportAssignmentType]  (checked: tuples)
        seeds = checked_seeds(self.spec, grid, self.seeds)
        names = [name_of(cell, grid, seeds) for cell in self.cells]
        tasks = [Task(cell, self.model, self.keep == "results") for cell in self.cells]
        table = Table(grid, seeds, self.shape)
        yield Update(0, table.total, table.snapshot)
        if self.executor is None:
            signs = _inline(tasks, watch)
        else:
            signs = Queue(tasks, names, self.executor).outcomes()
        with blas.limit("one"), closing(signs):
            for sign in signs:
                if watch is not None:
                    watch()
                if sign is not None:
                    _check(sign, names)
                    number, outcome = sign
                    table.put(number, names[number], outcome)
                note = f"{len(table.failures)} failed" if table.failures else ""
                yield Update(table.done, table.total, table.snapshot, note=note)

    def run(
        self, watch: Watch = None, report: Callable[[int, int], None] | None = None
    ) -> SweepResult:
        """Drive `steps` to the end; what ends it sooner carries what is finished.

        `watch` may raise Cancelled, which then holds the result so far; any other error has it as
        `partial_result`: what a Worker expects of its work. report(done, total) counts cells.
        """
        last: Update | None = None
        try:
            with closing(self.steps(watch)) as steps:
                for last in steps:
                    if report is not None:
                        report(last.step, last.total)
        except Cancelled:
            raise Cancelled(last.snapshot() if last else None) from None
        except Exception as problem:
            kept = last.snapshot() if last else None
            problem.partial_result = kept  # pyright: ignore[reportAttributeAccessIssue]
            raise
        if last is None:
            raise RunError("the sweep made no update, so there is no result")
        return last.snapshot()


def _inline(tasks: Sequence[Task], watch: Watch) -> Generator[Sign, None, None]:
    """Every cell in this thread, in order."""
    ref = tasks[0].model
    model = None if ref is None else opened(ref, watch)
    for number, task in enumerate(tasks):
        with closing(drive(task, model, watch)) as steps:
            while True:
                try:
                    next(steps)
                except StopIteration as done:
                    yield number, done.value
                    break
                yield None


def _check(sign: tuple[int, Any], names: Sequence[str]) -> None:
    """Raise what a cell says about all of them."""
    number, outcome = sign
    if outcome.fatal:
        raise RunError(outcome.fatal)
    if outcome.bug:
        raise RuntimeError(f"in the cell {names[number]}:\n{outcome.bug}")
    own = f"mechanoscope {engine.__version__},"
    if not outcome.made_by.startswith(own):
        raise RunError(f"a worker runs {outcome.made_by}; this is {own[:-1]}: install the same")
