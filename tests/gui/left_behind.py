"""Every window test ends clean: no running thread, no ticking clock, no window left on the screen.

conftest.py imports these fixtures, which makes them act on every test of this folder. The cyclic
collector runs here as it does in the application: never by itself, because it would then run on
whichever thread allocates and destroy widgets off the GUI thread; here once per test.
"""

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QSettings, QTimer
from PySide6.QtWidgets import QApplication

SECONDS_TO_STOP = 2.0  # ten times what Stop is allowed


def address(thing: QObject) -> int:
    """Where the C++ object lives: unlike a wrapper's id, the same for every wrapper of it."""
    return shiboken6.getCppPointer(thing)[0]


def ticking() -> list[QTimer]:
    """Active timers that do not belong to the application itself."""
    timers = []
    for timer in shiboken6.getAllValidWrappers():
        if isinstance(timer, QTimer) and timer.isActive():
            root: QObject = timer
            while (owner := root.parent()) is not None:
                root = owner
            if not isinstance(root, QCoreApplication):
                timers.append(timer)
    return timers


def describe(timer: QTimer) -> str:
    owner = timer.parent()
    of = f"a child of {type(owner).__name__}" if owner else "without a parent"
    return f"QTimer every {timer.interval()} ms, {of}"


@pytest.fixture(autouse=True)
def nothing_left_behind(qapp: QApplication, home: Path) -> Iterator[None]:
    """Fail a test that leaves a running thread, an active timer or a visible window behind."""
    for form in (QSettings.Format.NativeFormat, QSettings.Format.IniFormat):
        QSettings.setPath(form, QSettings.Scope.UserScope, str(home / "settings"))
    # What was there before is somebody else's; without this one leak would fail every later test.
    threads = set(threading.enumerate())
    timers = {address(timer) for timer in ticking()}
    windows = {address(window) for window in qapp.topLevelWidgets()}
    gc.disable()

    yield  # qtbot has closed its widgets when we go on

    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    left = []
    for thread in set(threading.enumerate()) - threads:
        thread.join(SECONDS_TO_STOP)
        if thread.is_alive():
            left.append(f"running thread {thread.name}")
    left += [describe(timer) for timer in ticking() if address(timer) not in timers]
    for window in qapp.topLevelWidgets():
        if window.isVisible() and address(window) not in windows:
            left.append(f"visible {type(window).__name__} {window.windowTitle()!r}")
            window.hide()
    gc.enable()
    assert not left, "left behind: " + "; ".join(sorted(left))


@pytest.fixture(autouse=True, scope="session")
def frozen_imports() -> None:
    """Modules live for ever: out of the collector's sight they cost a collection nothing."""
    gc.collect()
    gc.freeze()
