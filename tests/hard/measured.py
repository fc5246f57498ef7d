"""The process that is measured: it makes, opens or empties a session of 1 GB, or starts the window.

python -m tests.hard.measured make|open|empty PATH
python -m tests.hard.measured start [PATH RUNS]
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.session import Run, Session
from tests.hard import work
from tests.hard.child import say
from tests.hard.reader import fresh_peak, peak

BIG_RUNS, BIG = 4, 256 << 20  # runs, bytes of each


def make(path: Path) -> None:
    """A session of 1 GB in a few runs."""
    model, rng = work.model(), np.random.default_rng(0)
    worker = work.driven(work.random_spec(model, rng), model)
    result = worker.poll().result
    with Session.create(path) as session:
        for number in range(BIG_RUNS):
            run = Run.of(worker, work.grown(result, BIG, rng))
            session.add(replace(run, title=f"run {number}"), keep_large=True)


def listed(path: Path) -> None:
    """Open and list: seconds, and how much the most memory grew."""
    before, began = fresh_peak(), time.perf_counter()
    with Session.open(path) as session:
        rows = session.runs()
        size, seconds = session.nbytes, time.perf_counter() - began
    titles = [row.run.title for row in rows if row.run is not None]
    say(seconds=seconds, grown=peak() - before, titles=titles, size=size,
        sizes=[row.size for row in rows])  # fmt: skip


def empty(path: Path) -> None:
    """Delete all runs but the first, for good."""
    before, began = fresh_peak(), time.perf_counter()
    with Session.open(path) as session:
        session.delete([row.id for row in session.runs()][1:])
        deleting = time.perf_counter() - began
        freed = session.compact()
        say(deleting=deleting, seconds=time.perf_counter() - began, freed=freed,
            size=session.nbytes, grown=peak() - before)  # fmt: skip


def start(arguments: list[str]) -> None:
    """Tell when the window is painted and, where a session is named, its list full."""
    from PySide6.QtWidgets import QApplication

    from gui import app
    from gui.window import Window

    def until_full(*_: object) -> int:
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        window = next(w for w in application.topLevelWidgets() if isinstance(w, Window))

        def ready() -> bool:
            handle = window.windowHandle()
            painted = window.isVisible() and handle is not None and handle.isExposed()
            return painted and len(window.records.entries) >= int(arguments[1] if arguments else 0)

        if not app.run_until(ready, 60.0):
            raise SystemExit(f"the window was not ready: {len(window.records.entries)} runs listed")
        window.grab()
        say(at=time.time(), runs=len(window.records.entries))
        return 0

    QApplication.exec = until_full
    sys.exit(app.main(arguments[:1]))


def main() -> None:
    what, *arguments = sys.argv[1:]
    if what == "start":
        start(arguments)
    {"make": make, "open": listed, "empty": empty}[what](Path(arguments[0]))


if __name__ == "__main__":
    main()
