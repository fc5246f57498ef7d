"""Arrivals: what is given to the window from outside: arguments, a double click, a second start.

Whatever arrives may be wrong; the window then says so. What a running window is given by a second
start never stops a run without being asked.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment
from PySide6.QtWidgets import QApplication

from engine import program
from engine.errors import FileError
from gui import dialogs
from gui.kinds import reads_model
from gui.session_file import SUFFIX

if TYPE_CHECKING:
    from gui.one_window import Request
    from gui.window import Window

OFFER_MS = 60_000
NEWS_MS = 5000
PATIENCE_SECONDS = 10.0  # for a session's writer, before another window is given its file


def is_session(path: Path) -> bool:
    return path.suffix.lower() == SUFFIX


def start_apart(words: Sequence[str]) -> bool:
    """Start a program that goes on when this one ends; whether it could be started."""
    process = QProcess()
    process.setProgram(words[0])
    process.setArguments(words[1:])
    surroundings = QProcessEnvironment.systemEnvironment()
    surroundings.insert("PYINSTALLER_RESET_ENVIRONMENT", "1")  # no part of the packaged one here
    process.setProcessEnvironment(surroundings)
    started: Any = process.startDetached()  # a tuple by its types, a bool in fact
    return started is True or (isinstance(started, tuple) and bool(started[0]))


class Arrivals(QObject):
    """Belongs to the window."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.window_ = window
        self.notice: dialogs.Notice | None = None
        self._due: tuple[Path, Path | None] | None = None  # a session on its way, the one before
        window.records.opened.connect(self._opened)
        window.records.refused.connect(self._refused)

    def open(self, paths: Sequence[Path]) -> None:
        """Open each as the window can; of several sessions the first."""
        sessions = [path for path in paths if is_session(path)]
        for path in paths:
            if path not in sessions[1:]:
                self.window_.open_path(path)
        if more := sessions[1:]:
            text = f"A window shows one session; {len(more)} not opened"
            act = lambda: [self.new_window([path]) for path in more]  # noqa: E731
            self.window_.status.offer(text, "Open in new windows", act, OFFER_MS)

    # a second start

    @property
    def may_receive(self) -> bool:
        """Not while the window is on its way out."""
        return not self.window_.session.closing

    def receive(self, request: Request) -> None:
        """Come to the front with what a second start was given, or ask where that would harm."""
        self.come_forward(request.token)
        paths = [Path(path) for path in request.paths]
        if not paths:
            text = "Mechanoscope is running already"
            self.window_.status.offer(text, "Open a new window", self.new_window, OFFER_MS)
        elif why := next(filter(None, map(self._harm, paths)), ""):
            self._ask(paths, why)
        else:
            self._take(paths)

    def come_forward(self, token: str = "") -> None:
        """Before all other windows, as far as the desktop lets us; else it marks this one."""
        window = self.window_
        if token:  # Qt shows it to a Wayland desktop with the next wish for the keyboard
            os.environ["XDG_ACTIVATION_TOKEN"] = token
        if window.isMinimized():
            window.setWindowState(window.windowState() & ~window.windowState().WindowMinimized)
        window.show()
        window.raise_()
        window.activateWindow()
        QApplication.alert(window)
        os.environ.pop("XDG_ACTIVATION_TOKEN", None)

    def _harm(self, path: Path) -> str:
        """What opening a path would do to what runs now; "" where nothing."""
        window = self.window_
        if not self._runs():
            return ""
        stopped = any(panel.running and reads_model(panel) for panel in window.panels)
        if is_session(path):
            if path.absolute() == window.records.path:
                return ""
            more = ", or be stopped by the model that it brings" if stopped else ""
            return f"Opened here, what runs now would be kept in that session{more}."
        active = window.desk.active
        if (active is not None and active.folder == path) or window.reader_of(path) is not None:
            return ""
        return "Opened here, it would stop what runs now." if stopped else ""

    def _runs(self) -> list[str]:
        """What runs or waits to, by its name."""
        jobs = self.window_.jobs
        return [job.name for job in (*jobs.running, *jobs.waiting) if job.spec is not None]

    def _ask(self, paths: list[Path], why: str) -> None:
        running = "".join(f" while '{name}' runs" for name in self._runs()[:1])
        name = paths[0].name if len(paths) == 1 else f"{len(paths)} files"
        if self.notice is not None and self.notice.is_open:
            self.notice.close()
        self.notice = dialogs.Notice(
            self.window_,
            f"{name} was opened by a second start{running}",
            why,
            sign="info",
            actions=[
                ("Open here", lambda: self._take(paths)),
                ("Open in a new window", lambda: self.new_window(paths)),
            ],
        )
        self.notice.show()

    def _take(self, paths: list[Path]) -> None:
        """Open it here, and offer quietly to have it in a window of its own."""
        missing = next((path for path in paths if not path.exists()), None)
        sessions = [path for path in paths if is_session(path)]
        before = self.window_.records.path
        self._due = (sessions[0].absolute(), before) if sessions and missing is None else None
        self.open(paths)
        if missing is None and not sessions:
            self._offer(lambda: self.new_window(paths))

    def _offer(self, act: Callable[[], object]) -> None:
        text = "Opened here by a second start"
        self.window_.status.offer(text, "Open in a new window", act, OFFER_MS)

    def _opened(self) -> None:
        """The session is here; it can be in one window only, so the offer gives it away again."""
        due, self._due = self._due, None
        if due is None or due[0] != self.window_.records.path:
            return
        session, before = due
        if session == before:
            text = f"'{session.stem}' is open in this window"
            self.window_.status.offer(text, milliseconds=NEWS_MS)
        else:
            self._offer(lambda: self._give_away(session, before))

    def _refused(self, _: FileError) -> None:
        self._due = None

    def _give_away(self, session: Path, before: Path | None) -> None:
        """Go back to the session of before, and open the other one in a new window."""
        window = self.window_
        if window.records.path == session:
            if before is not None and before.exists():
                window.session.open(before)
            else:
                window.session.new()
        until = time.monotonic() + PATIENCE_SECONDS

        def wait() -> bool:
            """Whether this window still holds the file, whose last runs are being written."""
            held = any(file.path == session for file in window.records.out.files)
            if held and time.monotonic() < until:
                return True
            self.new_window([session])
            return False

        window.jobs.poll_too(wait)

    # another window

    def new_window(self, paths: Sequence[Path] = ()) -> None:
        """This program once more, beside this window."""
        words = [*program.command(), "--new-window", *map(str, paths)]
        if start_apart(words):
            self.window_.status.offer("A new window opens", milliseconds=NEWS_MS)
        else:
            self.window_.show_file_error(FileError(Path(words[0]), "it cannot be started"))
