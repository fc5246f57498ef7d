"""Writer: all that is written to a session, in order, on a Worker's thread; the clock polls it.

A commit of 100 MB takes most of a second, so it never happens on the window's thread. What could
not be written stays in memory, in order, and can be tried again: a full disk loses nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import FileError
from engine.session.run import Run
from engine.session.store import Session
from engine.worker import Worker


@dataclass(frozen=True, eq=False)
class Saved:
    """What became of a run: its id in the file once durable, or the error that kept it out.

    digest: SHA-256 of the result as it was stored.
    """

    run: Run
    id: int = 0
    error: BaseException | None = None
    digest: str = ""


@dataclass(frozen=True, eq=False)
class Edit:
    """A change of the session other than a run: what it does, in words, and the call that does."""

    about: str
    work: Callable[[Session], Any] = field(repr=False)
    keep: bool = field(default=True, repr=False)


@dataclass(frozen=True, eq=False)
class Done:
    """What became of an edit: what its call returned, or the error that kept it from being made."""

    edit: Edit
    value: Any = None
    error: BaseException | None = None


@dataclass(frozen=True, eq=False)
class _Item:
    what: Run | Edit | None  # None: from here on edits are tried again
    keep_large: bool = False


class Writer:
    """The queue of all that goes into one session file. Used by one thread, as Session is.

    Runs are tried each on its own. An edit never overtakes an earlier one that was refused: it is
    refused with the same error, and `retry` brings both in their order.
    """

    def __init__(
        self, path: str | Path, open_session: Callable[[Path], Session] = Session.open
    ) -> None:
        self.path = Path(path)
        self._open = open_session
        self._inbox: deque[_Item] = deque()
        self._outbox: deque[tuple[_Item, Saved | Done]] = deque()
        self._unsaved: list[_Item] = []
        self._waiting = 0
        self._at: _Item | None = None
        self._refused: BaseException | None = None  # of an edit that waits for `retry`
        self._worker: Worker | None = None

    @property
    def pending(self) -> int:
        """Runs and edits that were added and of which `poll` has not yet told."""
        return self._waiting

    @property
    def unsaved(self) -> list[Run | Edit]:
        """What could not be written and waits for `retry`, in order."""
        return [item.what for item in self._unsaved if item.what is not None]

    def add(self, run: Run, keep_large: bool = False) -> None:
        """Store this run soon; `poll` tells when it is durable."""
        self._put(_Item(run, keep_large))

    def do(self, edit: Callable[[Session], Any], about: str, *, keep: bool = True) -> Edit:
        """Call `edit` with the open session, after all that came before; `poll` tells the end.

        about: what it does, in words. keep: what a full disk, say, refuses waits for `retry`; False
        where trying later is the user's own choice, as with compacting.
        """
        made = Edit(about, edit, keep)
        self._put(_Item(made))
        return made

    def poll(self) -> list[Saved | Done]:
        """What was written, or could not be, since the last poll, in order. Never waits."""
        worker = self._worker
        over = worker is not None and not worker.alive  # read first: what it said is in the outbox
        told: list[tuple[_Item, Saved | Done]] = []
        while self._outbox:
            told.append(self._outbox.popleft())
        if over and worker is not None:
            self._worker = None
            error = worker.poll().error
            if error is not None and self._at is not None:
                told.append((self._at, _end(self._at, error=error)))
            self._at = None
            if self._inbox:
                self._start()
        self._waiting -= len(told)
        self._unsaved.extend(item for item, end in told if _waits(end))
        return [end for _, end in told]

    def retry(self) -> None:
        """Try again to write what could not be written, before all that came later."""
        items, self._unsaved = self._unsaved, []
        if items:
            self._waiting += len(items)
            self._inbox.extendleft(reversed([_Item(None), *items]))
            self._start()

    def close(self) -> list[Saved | Done]:
        """Wait until all was written or refused; what became of it, as `poll` tells it."""
        told = self.poll()
        while self._waiting:
            if self._worker is not None:
                self._worker.join()
            told.extend(self.poll())
        return told

    def _put(self, item: _Item) -> None:
        self._waiting += 1
        self._inbox.append(item)
        self._start()

    def _start(self) -> None:
        if self._worker is None:
            self._worker = Worker(work=self._drain)
            self._worker.start()

    def _drain(self, watch: Callable[[], None], report: Callable[[int, int], None]) -> None:
        """On the Worker's thread: write until the queue is empty."""
        session: Session | None = None
        try:
            while self._inbox:
                item = self._at = self._inbox.popleft()
                if isinstance(item.what, Edit) and self._refused is not None:
                    end = _end(item, error=self._refused)
                elif item.what is None:
                    self._refused, self._at = None, None
                    continue
                else:
                    try:
                        session = session or self._open(self.path)
                        end = _write(session, item)
                    except (FileError, TypeError, ValueError, LookupError) as error:
                        end = _end(item, error=error)
                        if isinstance(end, Done) and _waits(end):
                            self._refused = end.error
                self._at = None
                self._outbox.append((item, end))
        finally:
            if session is not None:
                session.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def _write(session: Session, item: _Item) -> Saved | Done:
    if isinstance(item.what, Run):
        number = session.add(item.what, item.keep_large)
        return Saved(item.what, number, digest=session.digest(number))
    assert item.what is not None
    return Done(item.what, item.what.work(session))


def _end(item: _Item, error: BaseException) -> Saved | Done:
    if isinstance(item.what, Run):
        return Saved(item.what, error=error)
    assert item.what is not None
    return Done(item.what, error=error)


def _waits(end: Saved | Done) -> bool:
    """Whether it stays in memory: a run always, an edit where the file was at fault, not it."""
    if isinstance(end, Saved):
        return end.error is not None
    return end.edit.keep and isinstance(end.error, FileError)
