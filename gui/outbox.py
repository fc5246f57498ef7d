"""Outbox: everything on its way into session files: which file, in which order, what was refused.

A window writes to one file. While that can only be read, new runs go to a second one beside it; and
files of sessions that were left are kept until their writers have ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.session import Done, Run, Saved, Session
from gui.jobs import Jobs
from gui.session_file import SessionFile

Edit = Callable[[Session, list[int]], Any]


@dataclass(eq=False)
class Asked:
    """An edit on its way: what to do with which runs, and what to do with what it gives."""

    do: Edit
    about: str
    then: Callable[[Any], object] | None = None
    ids: list[int] = field(default_factory=list)
    keep: bool = True  # what is refused waits for `retry`
    edit: Any = None


class Outbox:
    """Polled by the window's clock while something is under way; tells through two callables."""

    def __init__(
        self,
        jobs: Jobs,
        wrote: Callable[[SessionFile, Saved], object],
        turned: Callable[[bool, bool], object],
        refused: Callable[[SessionFile, BaseException, bool], object],
    ) -> None:
        self.jobs = jobs
        self.file: SessionFile | None = None  # what is listed
        self.aside: SessionFile | None = None  # for new runs while `file` can only be read
        self.left: list[SessionFile] = []
        self.held: list[Callable[[], object]] | None = None  # what waits for a move to end
        self._wrote, self._turned, self._refuse = wrote, turned, refused
        self._edits: list[Asked] = []

    @property
    def files(self) -> list[SessionFile]:
        return [file for file in (self.file, self.aside, *self.left) if file is not None]

    @property
    def writing(self) -> bool:
        return any(file.busy for file in self.files)

    def target(self) -> SessionFile:
        """Where new runs go; FileError if there is no such place."""
        if self.file is None:
            self.file = SessionFile.untitled()
        if not self.file.blocked:
            return self.file
        if self.aside is None:
            self.aside = SessionFile.untitled()
        return self.aside

    def of(self, path: Path | None) -> SessionFile | None:
        """The file of a path, if this window may write to it."""
        for file in (self.file, self.aside):
            if file is not None and file.path == path and file.writer is not None:
                return file
        return None

    def add(self, file: SessionFile, run: Run, keep_large: bool) -> None:
        if file.writer is not None:
            file.writer.add(run, keep_large)
            self.jobs.poll_too(self.poll)

    def ask(self, file: SessionFile, asked: Asked) -> None:
        """Let the writer of a file make an edit after all that it was given before."""
        if self.held is not None:
            self.held.append(lambda: self.ask(file, asked))
        elif file.writer is not None:
            work = lambda session: asked.do(session, asked.ids)  # noqa: E731
            asked.edit = file.writer.do(work, asked.about, keep=asked.keep)
            self._edits.append(asked)
            self.jobs.poll_too(self.poll)

    @property
    def refused(self) -> bool:
        """Whether anything that a full disk, say, kept out waits for `retry`."""
        return any(file.writer.unsaved for file in self.files if file.writer is not None)

    def retry(self) -> None:
        """Try again to write what was refused."""
        for file in self.files:
            if file.writer is not None and file.writer.unsaved:
                file.writer.retry()
                self.jobs.poll_too(self.poll)

    def leave(self) -> None:
        """Begin without a file; what is still being written goes on."""
        self.left += [file for file in (self.file, self.aside) if file is not None]
        self.file = self.aside = None
        self.jobs.poll_too(self.poll)

    def poll(self) -> bool:
        """Hear what the writers did; False once nothing is under way."""
        heard = False
        for file in self.files:
            for told in file.writer.poll() if file.writer is not None else ():
                heard = True
                if isinstance(told, Saved):
                    self._wrote(file, told)
                else:
                    self._edited(file, told)
        writing = self.writing
        if not writing:
            for file in self.left:
                file.release()
            self.left.clear()
        self._turned(heard, writing)
        return self.writing  # what was heard may have asked for more

    def _edited(self, file: SessionFile, told: Done) -> None:
        asked = next((asked for asked in self._edits if asked.edit is told.edit), None)
        if asked is None:
            return
        waits = file.writer is not None and told.edit in file.writer.unsaved
        if not waits or file in self.left:
            self._edits.remove(asked)
        if told.error is not None:
            self._refuse(file, told.error, waits and file not in self.left)
        elif asked.then is not None:
            asked.then(told.value)

    def go_on(self) -> None:
        """After a move: do what was held."""
        held, self.held = self.held or [], None
        for do in held:
            do()

    def close(self) -> None:
        """Let other windows have the files; whatever is not written by now is lost."""
        for file in self.files:
            file.release()
