"""Runs without a network, and ways in which a disk refuses them."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from engine.session import ModelRef, Run, Session

_seconds = itertools.count(1)


def made(counting, count=1, **about):
    """A finished run of the counting technique."""
    spec = counting(steps_wanted=count)
    number = next(_seconds)
    return Run(
        spec=spec,
        result=counting.Result(count=np.int64(count)),
        words={0: "x" * 50_000},  # more than the room left in a page
        started=f"2026-11-22T21:30:{number % 60:02d}.{number:03d}+00:00",
        seconds=float(number),
        **about,
    )


def header(digest="header:" + "a" * 57):
    return ModelRef("fake", digest, "", {})


def stored(path) -> list[Any]:
    """The readable runs of a file, without their results."""
    with Session.open(path) as session:
        return [row.run for row in session.runs() if row.run is not None]


def settle(qtbot, records):
    qtbot.waitUntil(lambda: not records.busy, timeout=5000)


def add(qtbot, records, *runs):
    found = [records.add(run) for run in runs]
    settle(qtbot, records)
    return [records.now(entry) for entry in found]


def titles(path):
    return [run.title for run in stored(path)]


def opened(qtbot, records, path):
    with qtbot.waitSignal(records.opened, timeout=5000):
        records.open(path)


def full_disk(monkeypatch):
    """No session can grow by a page, as SQLite says it; call what comes back to make room."""
    from gui import session_file

    whole = session_file.open_or_create
    full = [True]

    def bounded(path: Path):
        session = whole(path)
        if full:
            session._db.execute("PRAGMA max_page_count = 1")
        return session

    monkeypatch.setattr(session_file, "open_or_create", bounded)
    return full.clear


def dead_process() -> int:
    """The id of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def stale_lock(path: Path) -> Path:
    """The lock of a program that died with this session open."""
    from PySide6.QtCore import QLockFile

    lock = Path(f"{path}.lock")
    taken = QLockFile(str(lock))
    assert taken.tryLock(0)
    lines = lock.read_text().splitlines()
    taken.unlock()
    lock.write_text("\n".join([str(dead_process()), *lines[1:]]) + "\n")
    return lock
