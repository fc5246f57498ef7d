"""What leaves the window: a sweep on processes, a script run by the program itself, figures."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtGui import QImage

from engine import program, technique
from engine.errors import RunError
from engine.export import to_script
from engine.session import Run, pack
from engine.sweep import Factory, Sweep, SweepResult, processes
from gui import exporting
from gui.panel import Panel
from gui.self_test.trial import Trial, seal

CELLS, WORKERS = 4, 2
NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # on Windows no terminal flashes up
SVG = "{http://www.w3.org/2000/svg}"  # before each name of an element
WINDOWED = ("PySide6", "shiboken6", "pyqtgraph", "gui")

TAIL = f"""

# What follows is the self-test's own: it keeps the arrays, and which modules they took.
import json
import sys

import numpy as np
from engine.session import pack

arrays, values = pack(result)
loaded = sorted({{name.partition(".")[0] for name in sys.modules}} & set({WINDOWED!r}))
about = np.array(json.dumps([values, loaded]))
np.savez(sys.argv[1], about, **{{f"result.{{name}}": array for name, array in arrays.items()}})
"""


# --- a sweep -------------------------------------------------------------------------------------


def sweep(trial: Trial, factory: Factory | None = None) -> str:
    """The first technique of the table that needs no model and is seeded, on two processes."""
    table = technique.kinds().values()
    kind = next((cls for cls in table if not cls.needs and hasattr(cls(), "seed")), None)
    if kind is None:
        raise RunError("no technique of the table can be swept without a model")
    here = Sweep(kind(**kind.quick), {}, seeds=CELLS, keep="results")
    there = replace(here, executor=factory or processes(WORKERS))
    expected = trial.beside(here.run, "the sweep in this process")
    found = trial.beside(there.run, "the sweep on processes")
    if (differs := difference_of_sweeps(expected, found)) is not None:
        trial.problem(f"{kind.title}, swept on processes: {differs}")
    return f"{CELLS} cells of {kind.title} on {WORKERS} processes"


def difference_of_sweeps(expected: SweepResult, found: SweepResult) -> str | None:
    """What is not the same to the bit; the seconds are nobody's result."""
    for one in (expected, found):
        if one.finished < one.total:
            return f"{one.finished} of {one.total} cells finished {_why(one)}".rstrip()
    for name in sorted({*expected.values, *found.values}):
        pair = [one.values.get(name, np.zeros(0)).tobytes() for one in (expected, found)]
        if pair[0] != pair[1]:
            return f"{name} is not what this process computes"
    for at, result in expected.results.items():
        if seal(result) != seal(found.results.get(at)):
            return f"the result of cell {at} is not what this process computes"
    return None


def _why(one: SweepResult) -> str:
    return f"({one.failures[0].message})" if one.failures else ""


# --- a script ------------------------------------------------------------------------------------


def run_script(trial: Trial, run: Run, command: Sequence[str] | None = None) -> str:
    """Export a run, let this same program execute the script, and compare every array."""
    file, out = trial.home / "exported.py", trial.home / "exported.npz"
    file.write_text(to_script(run) + TAIL, encoding="utf-8")
    words = [*(command or program.command()), "script", str(file), str(out)]
    done = trial.beside(lambda: execute(words, trial), "the script to run")
    if done.returncode or not out.is_file():
        last = done.stderr.strip().rpartition("\n")[2] or "it said nothing"
        raise RunError(f"the script of {run.kind} ended with {done.returncode}: {last}")
    with np.load(out) as kept:
        values, loaded = json.loads(str(kept["arr_0"]))
        arrays = {name.removeprefix("result."): kept[name] for name in kept if name != "arr_0"}
    trial.check(not loaded, f"a script without a window imported {', '.join(loaded)}")
    if (name := differing(run.result, arrays, values)) is not None:
        trial.problem(f"{name} of {run.kind} differs between the script and the window")
    return f"{len(arrays)} arrays of {run.kind} computed again, the same"


def execute(words: Sequence[str], trial: Trial) -> subprocess.CompletedProcess[str]:
    """Run a command without a window; RunError where it hangs or is not there."""
    try:
        return subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8",
            errors="replace", timeout=trial.seconds * 0.9, creationflags=NO_WINDOW, check=False,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise RunError(f"{Path(words[0]).name} did not end in {error.timeout:.0f} s") from None
    except OSError as error:
        raise RunError(f"{words[0]} could not be started: {error.strerror}") from None


def differing(
    result: Any, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]
) -> str | None:
    """The first field of a result that is not the same to the bit; None where all are."""
    expected, others = pack(result)
    others = json.loads(json.dumps(others))
    for name in sorted({*expected, *arrays, *others, *values}):
        one, other = expected.get(name), arrays.get(name)
        if (one is None) != (other is None) or others.get(name) != values.get(name):
            return name
        if one is not None and other is not None:
            same = one.dtype == other.dtype and one.shape == other.shape
            if not same or one.tobytes() != other.tobytes():
                return name
    return None


# --- figures -------------------------------------------------------------------------------------


def export(trial: Trial, panel: Panel) -> str:
    """The picture and the numbers of a panel in every format, each read again."""
    formats = (*exporting.PICTURES, *exporting.NUMBERS)
    for suffix in formats:
        file = trial.home / f"figure.{suffix}"
        trial.attempt(file.name, lambda file=file: _write(panel, file))
    return f"{panel.title} as {', '.join(formats)}"


def _write(panel: Panel, file: Path) -> None:
    exporting.save(panel, file)
    why = unreadable(file, panel.result)
    if why:
        raise RunError(f"{panel.title}: {why}")


def unreadable(file: Path, result: Any) -> str:
    """What is wrong with an exported file; "" where it holds what was drawn."""
    content = file.read_bytes()
    if not content:
        return "the file is empty"
    match file.suffix:
        case ".png":
            return "it is no picture" if QImage(str(file)).isNull() else ""
        case ".svg":
            drawing = ElementTree.fromstring(content.decode())
            return "" if drawing.find(f".//{SVG}text") is not None else "it holds no text"
        case ".pdf":
            whole = content.startswith(b"%PDF") and b"%%EOF" in content[-32:]
            return "" if whole else "it is no whole page"
        case ".csv":
            rows = list(csv.reader(content.decode().splitlines()))
            return "" if len(rows) > 1 else "it has no rows"
        case ".npz":
            with np.load(file) as kept:
                same = all(
                    name in kept and kept[name].tobytes() == array.tobytes()
                    for name, array in pack(result)[0].items()
                )
            return "" if same else "its arrays are not those of the picture"
    return "nobody knows how to read it again"
