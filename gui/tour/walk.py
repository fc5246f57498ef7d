"""Walk: the window and the camera of a tour; waits for what it started, then photographs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QBuffer, QTimer
from PySide6.QtGui import QImage, QPixmap

from engine.errors import RunError
from engine.session import Run
from gui.app import run_until
from gui.panel import Panel

SECONDS = 30.0  # the longest wait for one thing
CALM_TURNS = 4  # turns of the event loop in which nothing happens: layouts have settled
SOON = 2000  # ms: what ends an offer in the status line comes later
FEWEST_COLOURS = 8  # smoothed text alone has more
QUICKLY = 80  # how PNG is pressed: a third less time for 5 % more bytes
STRIDE = 7  # every seventh pixel is enough to see that


@dataclass(frozen=True, eq=False)
class Photo:
    """One picture: the name of its file, what it shows, its PNG bytes."""

    file: str
    title: str
    png: bytes
    width: int
    height: int


@dataclass(eq=False)
class Step:
    """What one step of the tour left behind."""

    number: int
    title: str
    words: str
    windows: list[Photo] = field(default_factory=list)
    panels: list[Photo] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    seconds: float = 0.0


class Walk:
    """Does what a person would do, and keeps what they would see."""

    def __init__(self, window: Any, out: Path, home: Path) -> None:
        self.window, self.out, self.home = window, out, home
        self.steps: list[Step] = []
        self.photographed: set[type[Panel]] = set()
        self.faults: list[BaseException] = []
        self._heard: dict[Panel, str] = {}
        self._seen: dict[Panel, Any] = {}  # the result that was in the picture
        self._kept: list[Run] = []

    # what a step does

    def panel(self, kind: str) -> Panel:
        """The panel that runs a kind of technique."""
        return self.window.panel(kind)

    def bottom(self) -> Any:
        """The panel at the bottom, which lists the runs."""
        return next(panel for panel in self.window.panels if panel.place == "bottom")

    def open(self, folder: Path) -> None:
        """Open a model and wait for its self-check, which must pass."""
        desk = self.window.desk
        self.window.open_path(folder)
        self.wait(lambda: desk.model is not None and desk.active.folder == folder, "the model")
        self.wait(lambda: desk.active.check is not None, "its self-check")
        if not desk.active.check.passed:
            raise RunError(f"the self-check failed: {desk.active.check.sentence}")

    def start(self, kind: str) -> Panel:
        """Press Run in a panel; RunError with the panel's own words where it does not start."""
        panel = self.panel(kind)
        before = panel.job
        if self.window.host.belongs(panel) and not self._in_sight(panel):
            self.window.host.dock_of(panel).raise_()
        panel.header.run_button.click()
        if panel.job is before:
            raise RunError(f"{panel.title} did not start: {panel.message.text.text()}")
        return panel

    def run(self, kind: str) -> Any:
        """Press Run, wait, and give the result."""
        panel = self.start(kind)
        self.wait(lambda: not panel.running, f"{panel.title} to end")
        if panel.result is None or panel.job is None or panel.job.state != "finished":
            raise RunError(f"{panel.title} has no result: {panel.message.text.text()}")
        return panel.result

    def choose(self, kind: str, **values: Any) -> None:
        """Set fields of a panel's form."""
        form = self.panel(kind).form
        for name, value in values.items():
            if form is None or name not in form.entries:
                raise RunError(f"the form of {kind} has no field {name}")
            form.entries[name].value = value

    def resize(self, width: int, height: int) -> None:
        """Another size of the window, with the arrangement that fits it."""
        self.window.resize(width, height)
        self.settle()
        self.window.host.arrange()
        self.settle()

    # waiting

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Keep the window alive until `done`; whatever failed meanwhile is raised here."""
        ended = run_until(lambda: bool(self.faults) or done(), SECONDS)
        if self.faults:
            raise self.faults.pop(0)
        if not ended:
            raise RunError(f"waited {SECONDS:.0f} s for {what}")

    def settle(self) -> None:
        """Until nothing runs, nothing is about to and the session is written."""
        calm = 0

        def still() -> bool:
            nonlocal calm
            jobs = self.window.jobs
            busy = jobs.running or jobs.waiting or "saving" in self.window.status.session.text()
            clocks = (timer for timer in self.window.findChildren(QTimer) if timer.isSingleShot())
            soon = (clock for clock in clocks if clock.isActive() and clock.interval() < SOON)
            calm = 0 if busy or any(soon) else calm + 1
            return calm >= CALM_TURNS

        self.wait(still, "the window to settle")

    def breathe(self) -> None:
        """A few turns of the event loop: layouts follow what was just shown."""
        turns = iter(range(CALM_TURNS))
        self.wait(lambda: next(turns, None) is None, "the event loop")

    # the camera

    def take(self, number: int, title: str, words: str, do: Callable[[Walk], object]) -> None:
        """One step: do it, let it settle, photograph the window and every panel."""
        step = Step(number, title, words)
        self.steps.append(step)
        began = time.perf_counter()
        do(self)
        self.settle()
        step.seconds = time.perf_counter() - began
        self.look("window")
        self._listen(step)

    def look(self, name: str) -> None:
        """Photograph the window, the panels in sight, and those behind a tab that have changed."""
        step = self.steps[-1]
        step.windows.append(self._photo(self.window.grab(), name, "The whole window"))
        if self.window.pages.currentWidget() is not self.window.host:
            return
        step.panels.clear()
        own = [panel for panel in self.window.panels if self.window.host.belongs(panel)]
        hidden = {panel for panel in own if not self._in_sight(panel)}
        for panel in own:
            if panel in hidden:
                if self._seen.get(panel) is panel.result or self.window.jobs.running:
                    continue  # photographed with this picture in it; or the window never settles
                self._bring_up(panel)
            self._seen[panel] = panel.result
            place = type(panel).__module__.rpartition(".")[2].replace("_", "-")
            step.panels.append(self._photo(panel.picture(), f"{name}-{place}", panel.title))
            if panel.result is not None or not panel.kind:
                self.photographed.add(type(panel))
        for panel in own:
            if panel not in hidden and not self._in_sight(panel):
                self._bring_up(panel)

    def keep(self, picture: QImage, name: str, title: str) -> None:
        """Show a picture that is not of the window in this step."""
        self.steps[-1].windows.append(self._photo(QPixmap.fromImage(picture), name, title))

    def _in_sight(self, panel: Panel) -> bool:
        """Not hidden, and not behind another tab."""
        return self.window.host.in_sight(panel)

    def _bring_up(self, panel: Panel) -> None:
        dock = self.window.host.dock_of(panel)
        dock.show()
        dock.raise_()
        self.settle()

    def _photo(self, picture: QPixmap, name: str, title: str) -> Photo:
        if blank(picture.toImage()):
            raise RunError(f"the picture of {title} is blank")
        buffer = QBuffer()
        buffer.open(QBuffer.OpenModeFlag.WriteOnly)
        picture.save(buffer, "PNG", QUICKLY)
        png = bytes(buffer.data().data())
        file = f"{self.steps[-1].number:02}-{name}.png"
        (self.out / file).write_bytes(png)
        return Photo(file, title, png, picture.width(), picture.height())

    def _listen(self, step: Step) -> None:
        """Sentences and messages that are new since the step before, and the runs that ended."""
        for panel in self.window.panels:
            shown = [panel.message.text.text()] if panel.message.isVisible() else []
            shown += [panel.line.text()] if panel.line.isVisible() else []
            text = " ".join(shown)
            if text and text != self._heard.get(panel, ""):
                step.said.append((panel.title, text))
            self._heard[panel] = text
        runs = [entry.run for entry in self.window.records.entries if entry.run is not None]
        step.runs = runs[len(self._kept) :]
        self._kept = runs


def blank(image: QImage) -> bool:
    """Whether a picture has hardly a colour: nothing was drawn."""
    if image.isNull():
        return True
    plain = image.convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(plain.constBits(), np.uint32)  # [y * x]
    return len(np.unique(pixels[::STRIDE])) < FEWEST_COLOURS
