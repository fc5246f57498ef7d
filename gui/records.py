"""Records: the session of this window: its runs and its data, saved as they come, shown again.

An untitled session is made in the user's data folder with the first run; what is written there
survives anything that may happen to the window.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject

from engine.errors import FileError
from engine.session import Run, Session
from gui import moving
from gui.entries import Entry, from_row
from gui.jobs import Job, Jobs
from gui.run_log import RunLog
from gui.session_data import SessionData
from gui.session_file import SessionFile, unstorable
from gui.settings import remember

__all__ = ["Entry", "Records"]


class Records(RunLog):
    """Opens, saves and leaves sessions; reads runs back."""

    def __init__(self, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(jobs, parent)
        self.kept_data = SessionData(jobs, self.out, self.data_changed.emit, self._blame)
        self._target: SessionFile | None = None  # of a move that waits for the writers

    # the file

    @property
    def path(self) -> Path | None:
        return self.out.file.path if self.out.file else None

    @property
    def titled(self) -> bool:
        return self.out.file is not None and self.out.file.titled

    @property
    def name(self) -> str:
        return self.out.file.path.stem if self.out.file and self.titled else "Untitled session"

    @property
    def read_only(self) -> bool:
        return self.out.file is not None and bool(self.out.file.blocked)

    @property
    def blocked(self) -> str:
        """Why it can only be read: "window" (another one has it), "file"; "" if it cannot."""
        return self.out.file.blocked if self.out.file else ""

    @property
    def nbytes(self) -> int:
        """Size on disk of the file that is listed."""
        size = 0
        for end in ("", "-wal") if self.path is not None else ():
            with suppress(OSError):  # the log goes when the writer closes the file, at any moment
                size += os.stat(f"{self.path}{end}").st_size
        return size

    # data

    def data(self) -> list[Any]:
        """The DataRows of the session."""
        return list(self.kept_data.rows)

    def put_data(self, kind: str, content: bytes, origin: str = "") -> Any:
        """Keep what was made here, prompt pairs say, with the session; its Ref."""
        return self.kept_data.put(kind, content, origin)

    @property
    def places(self) -> dict[str, str]:
        """Where data that had moved was found: digest -> path."""
        return self.kept_data.places

    # reading

    def load(self, entry: Entry, then: Callable[[Run], object]) -> None:
        """Give a run with its result, from memory or from the file, to `then`."""
        entry = self.now(entry)
        if entry.run is None:
            return
        if entry.run.result is not None or not entry.id or entry.path is None:
            then(entry.run)
            return
        path, number = entry.path, entry.id

        def read(watch: Any, report: Any) -> Run:
            with Session.open(path, read_only=True) as session:
                return session.load(number)

        job = self.jobs.do(read, f"Reading {entry.title}", beside=True)
        job.finished.connect(lambda run: then(self._read(entry, run)))
        job.failed.connect(lambda error, _: self._fail(error, "read"))

    def _read(self, entry: Entry, run: Run) -> Run:
        """The run as the list knows it, with the result and the words that the file had."""
        entry = self.now(entry)
        if entry not in self._runs or entry.run is None:
            return run
        run = replace(entry.run, result=run.result, words=run.words)
        if run.result is not None:
            self._runs.touch(self._runs.change(entry, run=run))
        return run

    def show(self, entry: Entry) -> None:
        """Bring a run back with its result; `loaded` gives it."""
        self.load(entry, self.loaded.emit)

    def _fail(self, error: BaseException, attempt: str) -> None:
        if not isinstance(error, FileError):
            raise error
        self._refuse(error, attempt)

    # another session

    def open(self, path: Path) -> None:
        """Go on with the session in a file; its runs are listed, newest last."""
        path = path.absolute()
        if path == self.path:
            self.opened.emit()
            return
        file = SessionFile.take(path)
        work = lambda watch, report: moving.read(path)  # noqa: E731
        job = self.jobs.do(work, f"Opening {path.name}", beside=True)
        job.finished.connect(lambda found: self._opened(file, found))
        job.failed.connect(lambda error, _: self._not_opened(file, error))
        job.cancelled.connect(lambda _: file.release())

    def _not_opened(self, file: SessionFile, error: BaseException) -> None:
        file.release()
        self._fail(error, "opened")

    def _opened(self, file: SessionFile, found: moving.Found) -> None:
        self._leave()
        if found.read_only and not file.blocked:
            file.only_read()
        self.out.file = file
        for row in found.rows:
            entry = self._runs.add(from_row(row, file.path))
            if entry.run is not None:
                self._runs.change(entry, run=self._known(entry.run))
        for header in found.headers & self._learnt.keys():
            self.out.ask(file, self._learning(header))
        self.kept_data.show(found.data)
        self.kept_data.check(self.data_missing.emit)
        if file.titled:
            remember("recent/sessions", str(file.path))
        self._tell()
        self.changed.emit()
        self.opened.emit()

    def new(self) -> None:
        """An empty untitled session; the present one is on disk and stays there."""
        self._leave()
        self._tell()
        self.changed.emit()
        self.opened.emit()

    def keep_in(self, path: Path) -> None:
        """Begin a session in a file of this name, as an untitled one."""
        self._leave()
        self.out.file = SessionFile.take(path)

    def _leave(self) -> None:
        """Let go of the present session; what is still being written goes on."""
        self.flush_views()
        self.out.leave()
        self._runs.clear()
        self._undo.clear()
        self._views.clear()
        self.trouble = ""
        self.kept_data.show(())
        self.deleted_some.emit(0)

    # saving

    def _retry(self) -> None:
        super()._retry()
        self.kept_data.retry()

    def save(self) -> None:
        """Write at once what waits, and what was refused before."""
        self.flush_views()
        self.retry()
        self._tell()

    def save_as(self, path: Path) -> None:
        """The whole session under another name, and on there; an untitled file moves."""
        path = path.absolute()
        if self.path is None and not self.entries:
            why = "there is nothing to save yet: run something first"
            self._refuse(FileError(path, why), "saved")
        elif path == self.path and not self.read_only:
            self.save()
        elif self.out.held is None:
            target = SessionFile.take(path)
            if target.blocked:
                words = {
                    "window": "it is open in another window: choose another name",
                    "file": "its folder cannot be written: choose another",
                }
                self._refuse(FileError(path, words[target.blocked]), "saved")
                return
            self.flush_views()
            self._target = target
            self.jobs.poll_too(self._move)
            self._tell()

    def _move(self) -> bool:
        """Once everything is written or refused: copy, read the copy again, go on there."""
        target = self._target
        if target is None or self.out.writing:
            return target is not None
        self._target, self.out.held = None, []
        source = self.path
        extras = [
            moving.Extra(entry.key, entry.run, entry.kept, entry.deleted, entry.path, entry.id)
            for entry in self._runs
            if entry.run is not None and (entry.path != source or source is None)
        ]
        data = list(self.kept_data.unsaved)
        work = lambda watch, report: moving.move(source, target.path, extras, data)  # noqa: E731
        job = self.jobs.do(work, f"Saving {target.path.name}", beside=True)
        job.finished.connect(lambda ids: self._moved(target, ids))
        job.failed.connect(lambda error, _: self._not_moved(target, error))
        job.cancelled.connect(lambda _: self._not_moved(target, None))
        self._moving: Job = job
        return False

    def _moved(self, target: SessionFile, ids: dict[int, int]) -> None:
        old, aside = self.out.file, self.out.aside
        self.out.file, self.out.aside = target, None
        for file in (old, aside):
            if file is not None and not file.titled and not file.blocked:
                file.remove()  # all that is in it was read again from the copy
            elif file is not None:
                file.release()
        target.titled = True
        for entry in self._runs:
            number = ids.get(entry.key, entry.id)
            if entry.key in ids or (old is not None and entry.path == old.path):
                state = "saved" if entry.run is not None else entry.state
                note = "" if entry.state == "memory" else entry.note
                self._runs.change(entry, path=target.path, id=number, state=state, note=note)
        self._sent.clear()
        self.kept_data.unsaved.clear()
        remember("recent/sessions", str(target.path))
        self._go_on()

    def _not_moved(self, target: SessionFile, error: BaseException | None) -> None:
        target.release()
        self._go_on()
        if error is not None:
            self._fail(error, "saved")

    def _go_on(self) -> None:
        self.out.go_on()
        self._runs.make_room()
        self._tell()
        self.changed.emit()
        if not self.busy:
            self.settled.emit()

    # what is said, and the end

    @property
    def busy(self) -> bool:
        return self._target is not None or super().busy

    def state_words(self) -> tuple[str, bool]:
        unsaved = len(self.unsaved)
        short = self.trouble.split(":")[0]
        file = self.out.file
        if self.busy:
            return f"{self.name}  ·  saving", False
        if unsaved and file is None:
            return f"In memory only: {short}", True
        if unsaved or self.out.refused or self.kept_data.unsaved:
            what = f"{count(unsaved, 'run')} not saved" if unsaved else "Changes not saved"
            return f"{what}: {short}", True
        if file is None:
            kept = not unstorable()
            return ("Nothing to save yet", False) if kept else ("Runs stay in memory only", True)
        if file.blocked:
            where = "open in another window" if file.blocked == "window" else "read-only"
            new = ", new runs saved apart" if self.out.aside is not None else ""
            return f"{self.name}  ·  {where}{new}", False
        return f"{self.name}  ·  saved", False

    def wait(self, seconds: float) -> bool:
        """Hold the window for what is being written; False if that takes longer."""
        self.flush_views()
        return self.jobs.wait(lambda: not self._still_writing(), seconds)

    def close(self, seconds: float = 20.0) -> None:
        """Write what waits and let other windows have the file."""
        self.wait(seconds)
        self.out.close()

    def _still_writing(self) -> bool:
        self.out.poll()
        if self._target is not None:
            self._move()
        elif self.out.held is not None:
            self._moving.poll()
        return self.busy


def count(number: int, word: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{number} {word}{'' if number == 1 else 's'}"
