"""The tour from beginning to end: the window, the stops, the report, and what failed."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication

from engine.errors import FileError
from engine.session import Session
from gui import theme
from gui.tour.apart import apart
from gui.tour.report import write_report
from gui.tour.stops import STOPS
from gui.tour.walk import Walk


def main(out: str | Path) -> int:
    """Write numbered pictures and report.html into a folder; 0 if every step and panel is there."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(out, f"the pictures cannot be written there ({error.strerror})") from error
    from gui.app import application

    app = application()
    with apart() as home, _window(app, home, out) as walk:
        problem = _go(walk)
        opened = walk.window.desk.models[0] if walk.window.desk.models else None
        write_report(out / "report.html", walk.steps, opened, problem)
        missing = [kind.title for kind in walk.window.kinds if kind not in walk.photographed]
    if not problem and missing:
        problem = f"no step photographed a result of {', '.join(missing)}"
    if problem:
        sys.stderr.write(f"mechanoscope: the tour stopped: {problem}\n")
    return 1 if problem else 0


def _go(walk: Walk) -> str:
    """Take every step; what failed and why, or nothing."""
    for number, stop in enumerate(STOPS, 1):
        try:
            walk.take(number, stop.title, stop.words, stop.do)
        except Exception as error:  # noqa: BLE001  (the report shows the steps before it)
            if os.environ.get("MECHANOSCOPE_DEBUG"):
                traceback.print_exception(error)
            why = str(error) or type(error).__name__
            return " ".join(f"step {number}, {stop.title}: {why}".split())
    return ""


@contextmanager
def _window(app: QApplication, home: Path, out: Path) -> Iterator[Walk]:
    """The real window with a session in `home`; nothing of it is left afterwards."""
    from gui.app import Tidy
    from gui.window import Window

    theme.apply(app, theme.LIGHT)
    window = Window()
    tidy, hook = Tidy(window), sys.excepthook
    session = Session.untitled(home / "sessions")
    session.close()
    window.records.keep_in(session.path)
    walk = Walk(window, out, home)

    def hear(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:  # what fails inside a slot of Qt
        walk.faults.append(error)

    sys.excepthook = hear
    try:
        window.show()
        yield walk
    finally:
        sys.excepthook = hook
        window.close()
        tidy.stop()
        window.deleteLater()
        app.sendPostedEvents(None, QEvent.Type.DeferredDelete)
