"""The self-test from beginning to end: its parts in order, one line for each."""

from __future__ import annotations

import faulthandler
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engine.errors import RunError
from engine.session import Run
from gui.panel import Panel
from gui.records import count
from gui.self_test import kept, outside, panels
from gui.self_test.trial import LIMIT, Faults, Trial, Watchdog, say
from gui.tour import apart as tour

LAST = 8.0  # seconds for the start and for the watchdog's words, until the program is ended

Part = tuple[str, Callable[[Trial], str]]


@contextmanager
def apart() -> Iterator[Path]:
    """A home that is nobody's, and an end to it even where no thread of Python gets a turn."""
    with tour.apart() as home:
        with suppress(AttributeError, ValueError, OSError, RuntimeError):  # no terminal
            faulthandler.dump_traceback_later(LIMIT + LAST, exit=True, file=sys.stderr)
        try:
            yield home
        finally:
            faulthandler.cancel_dump_traceback_later()


def self_test(window: Any, home: Path) -> int:
    """Try out a window that is shown; 0, or 1 where anything is wrong. home: for its files."""
    trial = Trial(window, home)
    with Watchdog(trial):
        return go(trial, parts())


def parts() -> list[Part]:
    """In this order: what is exported is a run that came back from a session."""
    shown: list[tuple[Run, Panel]] = []

    def session(trial: Trial) -> str:
        shown.append(kept.reopen(trial))
        return f"{len(trial.window.records.entries)} runs saved and opened again"

    def back() -> tuple[Run, Panel]:
        if not shown:
            raise RunError("there is no run from a session to export")
        return shown[0]

    return [
        ("panels", panels.open_panels),
        ("techniques", panels.run_techniques),
        ("sweep", outside.sweep),
        ("session", session),
        ("script", lambda trial: outside.run_script(trial, back()[0])),
        ("export", lambda trial: outside.export(trial, back()[1])),
    ]


def go(trial: Trial, wanted: list[Part]) -> int:
    """Take every part, whatever came of those before; 0 if nothing was wrong in any."""
    began = time.perf_counter()
    with Faults(trial):
        for name, do in wanted:
            take(trial, name, do)
    seconds = time.perf_counter() - began
    if trial.problems:
        say(f"self-test failed: {count(len(trial.problems), 'problem')}, {seconds:.1f} s")
        return 1
    say(f"self-test passed: {len(trial.window.kinds)} panels, {seconds:.1f} s")
    return 0


def take(trial: Trial, name: str, do: Callable[[Trial], str]) -> None:
    trial.part, began, before = name, time.perf_counter(), len(trial.problems)
    told: list[str] = []
    trial.attempt("it ended early", lambda: told.append(do(trial)))
    said = told[0] if told and len(trial.problems) == before else "not in order"
    say(f"self-test, {name}: {said}; {time.perf_counter() - began:.1f} s")
