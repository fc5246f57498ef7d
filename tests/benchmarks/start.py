"""From the start of the process to the first painted window, the interpreter included; warm.

    python tests/benchmarks/start.py [PROGRAM]

PROGRAM is the packaged one, such as dist/mechanoscope/mechanoscope: then both are measured, turn by
turn. Settings, sessions and cache are those of somebody new.
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
GOALS = {"source": 2.0, "packaged": 1.5}  # s

FIRST_PAINT = """
import sys, time
from PySide6.QtWidgets import QApplication

def until_painted(*_):
    app = QApplication.instance()
    while not any(w.isVisible() and w.windowHandle().isExposed() for w in app.topLevelWidgets()):
        app.processEvents()
    app.processEvents()
    print(time.time())
    return 0

QApplication.exec = until_painted
from gui.app import main
sys.exit(main(["--new-window"]))
"""


def measure(command: list[str], home: Path) -> float:
    """Seconds of one start."""
    places = {"HOME": str(home), "USERPROFILE": str(home), "PYTHONPATH": str(ROOT)}
    places |= {f"XDG_{name}_HOME": f"{home}/{name}" for name in ("CONFIG", "DATA", "STATE")}
    began = time.time()
    done = subprocess.run(
        [*command, str(home / "first_paint.py")], env=os.environ | places, cwd=home,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the program did not start: {done.stderr.strip()}")
    return float(done.stdout.split()[-1]) - began


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
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory(prefix="mechanoscope-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "first_paint.py").write_text(FIRST_PAINT, encoding="utf-8")
        for command in ways.values():
            measure(command, home)  # from a cold disk: not counted
        for _ in range(STARTS):
            for name, command in ways.items():
                taken[name].append(measure(command, home))
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        met = "met" if middle < GOALS[name] else "NOT MET"
        print(
            f"  {name:9} median {middle:.2f} s of {STARTS} ({min(seconds):.2f} to "
            f"{max(seconds):.2f}), goal under {GOALS[name]:g} s: {met}"
        )


if __name__ == "__main__":
    main()
