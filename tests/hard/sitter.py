"""The whole window in a process of its own, without a display, at work until it is killed.

python -m tests.hard.sitter work SEED
python -m tests.hard.sitter look
"""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from gui import library, recovery, theme
from gui.app import Tidy, application, run_until
from tests.hard import work
from tests.hard.child import say, told

SECONDS = 60.0
ROOM = 16_384  # bytes of any file; a run takes more


class Sitter:
    """Somebody who presses Run again and again, and names what he sees."""

    def __init__(self, window: Any, seed: int) -> None:
        self.window, self.records = window, window.records
        self.rng = np.random.default_rng(seed)
        self.marks: dict[int, str] = {}  # by the key of a line
        self.told: set[int] = set()
        self.panels = [window.panel(kind) for kind in window.kinds if kind.kind]
        for panel in self.panels:
            panel.form.make_quick()
        self.records.changed.connect(self.look)

    def look(self) -> None:
        """Tell of every run that the window says is saved."""
        for entry in self.records.entries:
            if entry.key not in self.marks and entry.run.result is not None:
                self.marks[entry.key] = work.mark(entry.run.result)
            if entry.state == "saved" and entry.key not in self.told:
                self.told.add(entry.key)
                say(saved=self.marks.get(entry.key), path=str(entry.path))
                if self.rng.random() < 0.3:
                    self.records.rename(entry, f"named {len(self.told)}")

    def press(self) -> bool:
        for panel in self.panels:
            if not panel.running:
                panel.run()
        return False


def open_window() -> tuple[Any, Tidy]:
    from gui.window import Window

    theme.apply(application(), theme.LIGHT)
    window = Window()
    tidy = Tidy(window)
    window.show()
    return window, tidy


def ready_window() -> tuple[Any, Tidy]:
    window, tidy = open_window()
    window.open_path(library.bundled_model("induction-2l"))
    assert run_until(lambda: window.desk.model is not None, SECONDS)
    assert run_until(lambda: not window.jobs.running, SECONDS)
    return window, tidy


def sit(seed: int) -> None:
    window, _ = ready_window()
    sitter = Sitter(window, seed)
    say(ready=True)
    run_until(sitter.press, SECONDS)


def full() -> None:
    """Runs on a disk without room, then with room: where each is, and what is said."""
    import resource

    window, tidy = ready_window()
    records = window.records
    panels = [window.panel(kind) for kind in window.kinds if kind.kind]
    for panel in panels:
        panel.form.make_quick()

    def run_all() -> None:
        before = len(records.entries)
        for panel in panels:
            panel.run()
        assert run_until(lambda: len(records.entries) == before + len(panels), SECONDS)
        assert run_until(lambda: not records.busy, SECONDS)

    _, most = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (None, ROOM, None):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, most) if room else limits)
        run_all()
        shown: list[Any] = []
        records.load(records.entries[-1], shown.append)
        assert run_until(lambda shown=shown: bool(shown), SECONDS)
        said, bad = records.state_words()
        say(states=[entry.state for entry in records.entries], said=said, bad=bad,
            loaded=shown[0].result is not None,
            drawn=all(panel.result for panel in panels))  # fmt: skip
    window.close()
    tidy.stop()


def look() -> None:
    """What the next start finds: the sessions that were not closed, and the runs in the newest."""
    found = recovery.unclosed()
    window, tidy = open_window()
    listed: list[int] = []
    trouble: list[str] = []
    window.records.refused.connect(lambda error: trouble.append(str(error)))
    if found:
        window.open_path(found[0])
        run_until(lambda: window.records.path == found[0] or bool(trouble), SECONDS)
        listed = [entry.id for entry in window.records.entries if entry.state == "saved"]
    window.close()
    tidy.stop()
    say(found=[str(path) for path in found], listed=listed, trouble=trouble,
        still=[str(path) for path in recovery.unclosed()])  # fmt: skip


def open_all() -> None:
    """Sessions one after the other, as told: opened or refused, and whether a bug came up."""
    window, tidy = open_window()
    refused: list[str] = []
    bugs: list[str] = []

    def bug(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        frames = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(trace)]
        bugs.append(f"{kind.__name__}: {str(error)[:200]} at {' < '.join(frames[::-1])}")

    sys.excepthook = bug
    window.records.refused.connect(lambda error: refused.append(error.why))
    say(ready=True)
    while (order := told()) is not None:
        path = Path(order["path"])
        refused.clear()
        bugs.clear()
        began, opened = time.perf_counter(), lambda path=path: window.records.path == path
        window.open_path(path)
        run_until(lambda is_open=opened: is_open() or bool(refused or bugs), SECONDS)
        seconds = time.perf_counter() - began
        run_until(lambda: not window.jobs.running, SECONDS)  # its model, its newest runs
        window.grab()
        say(opened=opened(), refused=refused[:1], bugs=bugs, seconds=seconds,
            rows=len(window.records.entries))  # fmt: skip
    window.close()
    tidy.stop()


def main() -> None:
    what, *seed = sys.argv[1:]
    application()
    if what == "work":
        sit(int(seed[0]))
    else:
        {"look": look, "full": full, "open": open_all}[what]()


if __name__ == "__main__":
    main()
