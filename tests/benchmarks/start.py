"""From the start of the process to the first painted window, the interpreter included; warm.

    python tests/benchmarks/start.py [PROGRAM]

PROGRAM is the packaged one, such as dist/mechanoscope/mechanoscope: then both are measured, turn by
turn. Settings, sessions and cache are those of somebody new; modules are compiled as those of an
installed program, whatever this shell says about writing them (compiling them all takes 0.8 s).
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STARTS = 7
GOALS = {"source": 1.2, "packaged": 1.5}  # s

FIRST_PAINT = """
import sys, time
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication

class Watch(QObject):
    painted = False

    def eventFilter(self, thing, event):
        self.painted |= event.type() == QEvent.Type.Paint
        return False

def until_painted(*_):
    app, watch = QApplication.instance(), Watch()
    window = next(widget for widget in app.topLevelWidgets() if hasattr(widget, "welcome"))
    window.welcome.installEventFilter(watch)
    while not watch.painted:
        app.processEvents()
    print(time.time(), time.process_time())
    return 0

QApplication.exec = until_painted
from gui.app import main
sys.exit(main(["--new-window"]))
"""


def measure(command: list[str], home: Path) -> tuple[float, float]:
    """Seconds of one start, by the clock and of all processors together."""
    places = {"HOME": str(home), "USERPROFILE": str(home), "PYTHONPATH": str(ROOT)}
    places |= {f"XDG_{name}_HOME": f"{home}/{name}" for name in ("CONFIG", "DATA", "STATE")}
    places |= {"PYTHONPYCACHEPREFIX": f"{home}/compiled", "PYTHONDONTWRITEBYTECODE": ""}
    began = time.time()
    done = subprocess.run(
        [*command, str(home / "first_paint.py")], env=os.environ | places, cwd=home,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the program did not start: {done.stderr.strip()}")
    ended, worked = map(float, done.stdout.split()[-2:])
    return ended - began, worked


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", nargs="?", help="the packaged program, to be measured too")
    given = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    ways = {"source": [sys.executable]}
    if given.program:
        ways["packaged"] = [str(Path(given.program).absolute()), "script"]
    load = f", load {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else ""
    print(f"First window; Python {platform.python_version()}, {os.cpu_count()} cores{load}")
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory(prefix="mechanoscope-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "first_paint.py").write_text(FIRST_PAINT, encoding="utf-8")
        for command in ways.values():
            measure(command, home)  # from a cold disk: not counted
        for _ in range(STARTS):
            for name, command in ways.items():
                taken[name].append(measure(command, home))
    for name, starts in taken.items():
        seconds, worked = zip(*starts, strict=True)
        middle = statistics.median(seconds)
        met = "met" if middle < GOALS[name] else "NOT MET"
        print(
            f"  {name:9} median {middle:.2f} s of {STARTS} ({min(seconds):.2f} to "
            f"{max(seconds):.2f}), {statistics.median(worked):.2f} s of processor time; "
            f"goal under {GOALS[name]:g} s: {met}"
        )


if __name__ == "__main__":
    main()
