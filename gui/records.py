"""Records: the runs of this session, saved as soon as they end, shown again on request.

An untitled session is made in the user's data folder with the first run; what is written there
survives anything that may happen to the window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs
from PySide6.QtCore import QObject, Signal

from engine.errors import FileError
from engine.session import Run, Session, Writer
from engine.worker import DONE
from gui.jobs import Jobs
from gui.panel import Panel
from gui.settings import remember

RESULTS_HELD = 12  # newest results kept in memory; older ones are read from the file again


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the list of runs. run None: the file's row is unreadable, and `note` says why."""

    title: str
    run: Run | None
    id: int = 0
    note: str = ""


class Records(QObject):
    """The session file, its writer and the list of runs."""

    changed = Signal()
    saved = Signal(str, bool)  # what the status bar says, whether it is bad news
    opened = Signal()  # another session's runs are listed
    loaded = Signal(object)  # Run with its result
    refused = Signal(object)  # FileError

    def __init__(self, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.jobs = jobs
        self.entries: list[Entry] = []
        self.path: Path | None = None
        self.titled = False
        self._writer: Writer | None = None

    @property
    def name(self) -> str:
        return self.path.stem if self.path and self.titled else "Untitled session"

    def keep(self, panel: Panel, result: Any, error: BaseException | None = None) -> None:
        """Add the run that a panel has just ended and write it, off this thread."""
        job = panel.job
        if job is None or job.worker.state not in DONE:
            return  # it was cancelled before it began
        metrics = dict(job.tick.metrics) if job.tick else {}
        run = Run.of(job.worker, result, error, metrics)
        if result is not None:
            panel.run_shown = run
        self.entries.append(Entry(job.name, run))
        self._forget_old_results()
        self.changed.emit()
        if self._open_writer() and self._writer is not None:
            self._writer.add(run)
            self.jobs.poll_too(self._poll)
            self.saved.emit(f"{self.name}  ·  saving", False)

    def _forget_old_results(self) -> None:
        for index, entry in enumerate(self.entries[:-RESULTS_HELD]):
            if entry.id and entry.run is not None and entry.run.result is not None:
                self.entries[index] = replace(entry, run=replace(entry.run, result=None))

    def _open_writer(self) -> bool:
        if self._writer is None:
            try:
                if self.path is None:
                    folder = Path(platformdirs.user_data_dir("mechanoscope")) / "sessions"
                    session = Session.untitled(folder)
                    self.path = session.path
                    session.close()
            except FileError as error:
                self.saved.emit(f"Not saved: {error.why}", True)
                return False
            self._writer = Writer(self.path)
        return True

    def _poll(self) -> bool:
        if self._writer is None:
            return False
        for told in self._writer.poll():
            if told.error is not None:
                why = getattr(told.error, "why", str(told.error))
                self.saved.emit(f"{self.name} not saved: {why}", True)
                continue
            for index, entry in enumerate(self.entries):
                if entry.run is told.run:
                    self.entries[index] = replace(entry, id=told.id)
        if self._writer.pending:
            return True
        if not self._writer.unsaved:
            self.saved.emit(f"{self.name}  ·  saved", False)
        self.changed.emit()
        return False

    def retry(self) -> None:
        """Write again what a full disk, say, refused."""
        if self._writer is not None and self._writer.unsaved:
            self._writer.retry()
            self.jobs.poll_too(self._poll)

    def open(self, path: Path) -> None:
        """Go on with the session in a file; its runs are listed, newest last."""

        def read(watch: Any, report: Any) -> Any:
            with Session.open(path) as session:
                return session.runs(), session.read_only

        job = self.jobs.do(read, f"Opening {path.name}")
        job.finished.connect(lambda found: self._opened(path, *found))
        job.failed.connect(lambda error, _: self._fail(path, error))

    def _opened(self, path: Path, rows: Any, read_only: bool) -> None:
        self.close()
        self.path, self.titled, self._writer = path, True, None
        self.entries = []
        for row in rows:
            title = getattr(type(row.run.spec), "title", "") if row.run else row.kind
            note = row.unreadable or ("" if row.kept else "result not kept")
            self.entries.append(Entry(title or row.kind or "Run", row.run, row.id, note))
        remember("recent/sessions", str(path))
        self.saved.emit(f"{self.name}  ·  {'read-only' if read_only else 'saved'}", False)
        self.changed.emit()
        self.opened.emit()

    def save_as(self, path: Path) -> None:
        """A whole copy under another name; the session goes on there."""
        source = self.path
        if source is None:
            self.refused.emit(FileError(path, "there is nothing to save yet: run something first"))
            return

        def copy(watch: Any, report: Any) -> None:
            with Session.open(source) as session:
                session.save_as(path)

        job = self.jobs.do(copy, f"Saving {path.name}")
        job.finished.connect(lambda _: self._moved(path))
        job.failed.connect(lambda error, _: self._fail(path, error))

    def _moved(self, path: Path) -> None:
        self.close()
        self.path, self.titled, self._writer = path, True, None
        remember("recent/sessions", str(path))
        self.saved.emit(f"{self.name}  ·  saved", False)

    def show(self, entry: Entry) -> None:
        """Bring a run back with its result, from memory or from the file."""
        if entry.run is None:
            return
        if entry.run.result is not None or not entry.id or self.path is None:
            self.loaded.emit(entry.run)
            return
        path = self.path

        def load(watch: Any, report: Any) -> Run:
            with Session.open(path) as session:
                return session.load(entry.id)

        job = self.jobs.do(load, f"Reading run {entry.id}")
        job.finished.connect(self.loaded)
        job.failed.connect(lambda error, _: self._fail(path, error))

    def _fail(self, path: Path, error: BaseException) -> None:
        if not isinstance(error, FileError):
            raise error
        self.refused.emit(error)

    def close(self) -> None:
        """Wait for what is being written; called when the window closes."""
        if self._writer is not None:
            self._writer.close()
