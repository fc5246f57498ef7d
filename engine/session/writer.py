"""Writer: stores runs one after the other on a Worker's thread; the window's clock polls it.

A commit of 100 MB takes most of a second, so it never happens on the window's thread. What could
not be written stays in memory and can be tried again: a full disk loses nothing.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import FileError
from engine.session.run import Run
from engine.session.store import Session
from engine.worker import Worker


@dataclass(frozen=True, eq=False)
class Saved:
    """What became of a run: its id in the file once durable, or the error that kept it out."""

    run: Run
    id: int = 0
    error: BaseException | None = None


class Writer:
    """The queue of runs on their way into one session file. Used by one thread, as Session is."""

    def __init__(
        self, path: str | Path, open_session: Callable[[Path], Session] = Session.open
    ) -> None:
        self.path = Path(path)
        self.unsaved: list[Run] = []
        self._open = open_session
        self._inbox: queue.SimpleQueue[tuple[Run, bool]] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[Saved] = queue.SimpleQueue()
        self._waiting = 0
        self._at: Run | None = None
        self._worker: Worker | None = None

    @property
    def pending(self) -> int:
        """Runs that were added and of which `poll` has not yet told."""
        return self._waiting

    def add(self, run: Run, keep_large: bool = False) -> None:
        """Store this run soon; `poll` tells when it is durable."""
        self._waiting += 1
        self._inbox.put((run, keep_large))
        self._start()

    def poll(self) -> list[Saved]:
        """The runs that were written, or could not be, since the last poll. Never waits."""
        worker = self._worker
        over = worker is not None and not worker.alive  # read first: what it said is in the outbox
        told: list[Saved] = []
        while not self._outbox.empty():
            told.append(self._outbox.get())
        if over and worker is not None:
            self._worker = None
            error = worker.poll().error
            if error is not None and self._at is not None:
                told.append(Saved(self._at, error=error))
            self._at = None
            if not self._inbox.empty():
                self._start()
        self._waiting -= len(told)
        self.unsaved.extend(saved.run for saved in told if saved.error is not None)
        return told

    def retry(self) -> None:
        """Try again to write what could not be written."""
        runs, self.unsaved = self.unsaved, []
        for run in runs:
            self.add(run)

    def close(self) -> list[Saved]:
        """Wait until every run was written or refused; what they became, as `poll` tells it."""
        told = self.poll()
        while self._waiting:
            if self._worker is not None:
                self._worker.join()
            told.extend(self.poll())
        return told

    def _start(self) -> None:
        if self._worker is None:
            self._worker = Worker(work=self._drain)
            self._worker.start()

    def _drain(self, watch: Callable[[], None], report: Callable[[int, int], None]) -> None:
        """On the Worker's thread: write until the queue is empty."""
        session: Session | None = None
        try:
            while not self._inbox.empty():
                self._at, keep_large = self._inbox.get()
                try:
                    session = session or self._open(self.path)
                    saved = Saved(self._at, session.add(self._at, keep_large))
                except (FileError, TypeError, ValueError) as error:
                    saved = Saved(self._at, error=error)
                self._at = None
                self._outbox.put(saved)
        finally:
            if session is not None:
                session.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
