"""How smooth the window is while a grid fills: `make latency`.

    python tests/benchmarks/latency.py [--seconds 30] [--model NAME]... [--storing] [--live]

The real window in its default arrangement. A patching run fills its grid and begins again as soon
as it has ended; after every eighth grid the lens and the heads run anew too. A timer of 16 ms
measures how late the event loop comes: lateness = gap between two ticks - 16 ms. Then a result of
300 MB is stored again and again while the window is looked at, Stop is pressed in the middle of ten
grids, toy models and a transformer are trained in sight, and the program is started five times in a
fresh process. The exit code says only whether the measuring itself went well.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PySide6
from PySide6.QtCore import QEvent, QEventLoop, Qt, QTimer

from engine import technique
from gui import library, theme
from gui.app import Tidy, application, run_until
from gui.focus import Opened, PromptPair
from gui.tour.apart import apart
from gui.tour.untrained import untrained

ROOT = Path(__file__).resolve().parents[2]
TICK_MS = 16
RUNS = 3
GOAL_LATENESS, GOAL_STOP = 33.0, 200.0  # ms
STOPS = 10
N_POS = 16
SMALL, LARGE = "bundled", "gpt2-small-sized"
PAUSE = 8  # the other panels run after every eighth grid
GRID, LENS, TOY = "ActivationPatching", "LogitLens", "ToyModel"
TRAIN = "TrainTransformer"
LIVE: tuple[tuple[str, dict[str, Any]], ...] = (
    (TOY, {"n_features": 8, "d_hidden": 2, "batch": 64}),
    (TOY, {"n_features": 8, "d_hidden": 2, "batch": 1024}),
    (TOY, {"n_features": 8, "d_hidden": 3, "batch": 64}),
    (TOY, {"n_features": 80, "d_hidden": 2, "batch": 64}),
    (TRAIN, {"n_steps": 20_000, "checkpoint_every": 100}),
)
STORED_BYTES = 300 << 20
STORING_SECONDS = 10.0  # of each run
ROOM = 16 << 30  # bytes of disk: three runs of so many seconds, and the log beside the file


class Bench:
    """The window, one model in it, and a grid that fills without end."""

    def __init__(self, app: Any, window: Any) -> None:
        self.app, self.window = app, window
        self.grid = window.panel(GRID)
        self.others: list[Any] = []  # that read the model in sight, not behind another tab
        self.live = {kind: window.panel(kind) for kind in (TOY, TRAIN)}
        self.goes_on = False
        self.grids, self.stored, self.filling = 0, 0, 0.0
        self.large: Any = None
        self.grid.ended.connect(self._again)

    def open(self, name: str) -> None:
        """The bundled model from its folder, or an untrained one of GPT-2 small's size."""
        desk = self.window.desk
        if name == SMALL:
            self.window.open_path(library.bundled_model("induction-2l"))
        else:
            model = untrained(
                name, layers=12, width=768, heads=12, mlp=3072, words=50257, context=1024
            )
            peek = SimpleNamespace(
                name=name, config=model.config, n_params=model.n_params, tensors=()
            )
            desk.put_model(Opened(Path(name), peek, model), activate=True)
        wait(lambda: desk.model is not None, "the model")
        self.settle()
        rng = np.random.default_rng(0)
        clean = rng.choice(desk.model.config.d_vocab, N_POS, replace=False)
        corrupted = clean.copy()
        corrupted[N_POS // 2] = (clean[N_POS // 2] + 1) % desk.model.config.d_vocab
        prompts = [tuple(map(int, ids)) for ids in (clean, corrupted)]
        desk.set_prompts(PromptPair(*prompts, int(clean[0]), int(clean[1])))
        self.settle()
        self.others = [
            panel for panel in self.window.panels
            if panel.kind and technique.of(panel.kind).needs and panel is not self.grid
            and not self.window.host.dock_of(panel).visibleRegion().isEmpty()
        ]  # fmt: skip

    def settle(self) -> None:
        wait(lambda: not (self.window.jobs.running or self.window.jobs.waiting), "the jobs")

    def lateness(self, seconds: float) -> list[float]:
        """Milliseconds by which each tick came late while the grid filled, ascending."""
        self.goes_on, self.grids = True, 0
        self._again()
        late = self._ticks(
            seconds, lambda: self.grid.job is not None and self.grid.job.state == "running"
        )
        self.goes_on = False
        for panel in (self.grid, *self.others):
            panel.stop()
        wait(lambda: not any(panel.running for panel in self.window.panels), "the runs")
        return late

    def storing(self, seconds: float) -> list[float]:
        """The same while a large result is stored, and again as soon as it is durable."""
        self.goes_on, self.stored = True, 0
        self._store()
        late = self._ticks(seconds, lambda: self.window.records.busy)
        self.goes_on = False
        wait(lambda: not self.window.records.busy, "the session")
        return late

    def idle(self, seconds: float) -> list[float]:
        """The same while nothing happens: what the machine alone is late by."""
        return self._ticks(seconds, lambda: self.window.records.busy)

    def _ticks(self, seconds: float, busy: Callable[[], bool]) -> list[float]:
        ticks: list[float] = []
        filling: list[bool] = []

        def tick() -> None:
            ticks.append(time.perf_counter())
            filling.append(busy())

        timer = QTimer()
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(tick)
        loop = QEventLoop()
        QTimer.singleShot(round(1000 * seconds), loop.quit)
        timer.start(TICK_MS)
        loop.exec()
        timer.stop()
        self.filling = float(np.mean(filling))
        return sorted(np.diff(ticks) * 1000 - TICK_MS)

    def training(
        self, seconds: float, kind: str, fields: dict[str, Any]
    ) -> tuple[list[float], float, float]:
        """The same while something trains in sight; pictures and training steps a second."""
        panel = self.live[kind]
        panel.form.show_spec(technique.of(kind)(**{"n_steps": 1_000_000} | fields))
        if panel.run() is None:
            raise SystemExit(f"{panel.title} did not start: {panel.message.text.text()}")
        wait(lambda: panel.result is not None and panel.result.step > 0, panel.title)
        drawn: list[int] = []
        panel.shown.connect(lambda result: drawn.append(result.step))
        late = self._ticks(seconds, lambda: panel.running)
        panel.shown.disconnect()
        panel.stop()
        wait(lambda: not panel.running, panel.title)
        return late, len(drawn) / seconds, (drawn[-1] - drawn[0]) / seconds

    def make_large(self) -> None:
        """A run of the lens with a result of 300 MB, too large to be kept unless asked for."""
        lens = next(panel for panel in self.others if panel.kind == LENS)
        if lens.run() is None:
            raise SystemExit(f"{lens.title} did not start: {lens.message.text.text()}")
        wait(lambda: not lens.running and not self.window.records.busy, "the lens")
        rows = np.random.default_rng(0).random((STORED_BYTES // 4096, 1024), np.float32)
        self.large = replace(
            lens.run_shown, result=replace(lens.run_shown.result, entropy=rows), id=0, digest=""
        )
        self.window.records.settled.connect(self._store)

    def _store(self) -> None:
        """List the run, then ask for its result, as a person would; then another one like it."""
        if not self.goes_on:
            return
        records = self.window.records
        newest = records.entries[-1]
        if newest.run.result is self.large.result and not newest.kept:
            records.keep_large(newest)
        else:
            self.stored += newest.run.result is self.large.result
            records.add(replace(self.large))

    def _again(self, *_: object) -> None:
        if not self.goes_on:
            return
        self.grids += 1
        others = self.others if self.grids % PAUSE == 1 else ()
        for panel in (self.grid, *others):
            if not panel.running and panel.run() is None:
                raise SystemExit(f"{panel.title} did not start: {panel.message.text.text()}")

    def stopping(self, turn: int) -> float:
        """Milliseconds from pressing Stop until the panel is idle, at another place each turn."""
        if self.grid.run() is None:
            raise SystemExit(f"the grid did not start: {self.grid.message.text.text()}")
        moment = 0.05 + 0.05 * turn
        until = time.perf_counter() + moment
        wait(lambda: time.perf_counter() > until or not self.grid.running, "the moment")
        pressed = time.perf_counter()
        if not self.grid.running:
            return float("nan")  # it had ended before
        self.grid.header.run_button.click()
        wait(lambda: not self.grid.running, "Stop")
        return 1000 * (time.perf_counter() - pressed)


def wait(done: Any, what: str) -> None:
    if not run_until(done, 120.0):
        raise SystemExit(f"waited 120 s for {what}")


@contextmanager
def window() -> Iterator[Bench]:
    """A window of its own in its default arrangement, with a home of its own."""
    app = application()
    with apart():
        from gui.window import Window

        theme.apply(app, theme.LIGHT)
        made = Window()
        tidy = Tidy(made)
        made.resize(1600, 1000)
        made.show()
        bench = Bench(app, made)
        bench.settle()
        try:
            yield bench
        finally:
            made.close()
            tidy.stop()
            made.deleteLater()
            app.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def load() -> str:
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"


def verdict(value: float, goal: float, unit: str) -> str:
    return f"{value:.4g} {unit}, goal under {goal:g} {unit}: {'met' if value < goal else 'NOT MET'}"


def measure_lateness(bench: Bench, name: str, seconds: float) -> None:
    bench.window.host.arrange()
    live = len(bench.others) + 1
    print(f"\n{name}: {bench.window.desk.model.n_params:,} parameters, {live} live panels")
    print("  run      p50      p95      p99      max   ticks   grids   filling   load")
    tails = []
    for run in range(1, RUNS + 1):
        late = bench.lateness(seconds)
        tails.append(table_row(run, late, bench.grids, bench.filling))
    print("  lateness, median p99:", verdict(statistics.median(tails), GOAL_LATENESS, "ms"))


def measure_training(bench: Bench, seconds: float) -> None:
    print("\ntraining in sight")
    for kind, fields in LIVE:
        bench.window.reveal(bench.live[kind])
        bench.settle()
        print(f"  {kind}: {', '.join(f'{name} {value}' for name, value in fields.items())}")
        print("  run      p50      p95      p99      max   ticks     fps   running   load")
        tails, pace = [], []
        for run in range(1, RUNS + 1):
            late, pictures, steps = bench.training(seconds, kind, fields)
            tails.append(table_row(run, late, round(pictures), bench.filling))
            pace.append(steps)
        print("  lateness, median p99:", verdict(statistics.median(tails), GOAL_LATENESS, "ms"))
        print(f"  training steps a second, median: {statistics.median(pace):,.0f}", flush=True)


def measure_storing(bench: Bench) -> None:
    if shutil.disk_usage(tempfile.gettempdir()).free < ROOM:
        print(f"  storing 300 MB: skipped, it takes {ROOM >> 30} GB of disk")
        return
    bench.window.host.arrange()
    bench.make_large()
    print("\nstoring a result of 300 MB, one after the other; run 0: nothing is stored")
    print("  run      p50      p95      p99      max   ticks  stored   writing   load")
    table_row(0, bench.idle(STORING_SECONDS), 0, bench.filling)
    tails, largest = [], []
    for run in range(1, RUNS + 1):
        late = bench.storing(STORING_SECONDS)
        tails.append(table_row(run, late, bench.stored, bench.filling))
        largest.append(late[-1])
    print("  lateness, median p99:", verdict(statistics.median(tails), GOAL_LATENESS, "ms"))
    held = bench.window.records.nbytes >> 20
    print(f"  lateness, largest: {max(largest):.1f} ms; the session has {held} MB now", flush=True)


def table_row(run: int, late: list[float], count: int, share: float) -> float:
    """Print one run; its p99."""
    p50, p95, p99 = np.percentile(late, (50, 95, 99))
    print(
        f"  {run:3} {p50:8.2f} {p95:8.2f} {p99:8.2f} {late[-1]:8.2f} {len(late):7} "
        f"{count:7} {share:9.0%}   {load()}",
        flush=True,
    )
    return float(p99)


def measure_stop(bench: Bench) -> None:
    taken = [ms for ms in (bench.stopping(turn) for turn in range(STOPS)) if ms == ms]
    middle = statistics.median(taken) if taken else float("nan")
    largest = max(taken, default=float("nan"))
    print(f"  Stop, {len(taken)} times: median {middle:.1f} ms, largest", end=" ")
    print(verdict(largest, GOAL_STOP, "ms"), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--storing", action="store_true", help="only the scene of storing")
    parser.add_argument("--live", action="store_true", help="only the scenes of training")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each run")
    parser.add_argument("--model", action="append", choices=(SMALL, LARGE), help="default: both")
    given = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    print(
        f"Python {platform.python_version()}, PySide6 {PySide6.__version__}, "
        f"{os.environ['QT_QPA_PLATFORM']}, {os.cpu_count()} cores, load {load()}; "
        f"{RUNS} runs of {given.seconds:g} s, lateness of a {TICK_MS} ms timer in ms",
        flush=True,
    )
    if given.live:
        with window() as bench:
            measure_training(bench, given.seconds)
        return
    for name in given.model or ((SMALL,) if given.storing else (SMALL, LARGE)):
        with window() as bench:
            bench.open(name)
            if not given.storing:
                measure_lateness(bench, name, given.seconds)
            if name == SMALL:
                measure_storing(bench)
            if name == SMALL and not given.storing:
                measure_training(bench, given.seconds)
            if name == LARGE:
                measure_stop(bench)


if __name__ == "__main__":
    main()
