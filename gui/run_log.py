"""RunLog: the list of runs and every change to it, in memory at once and in the file in order.

What cannot be written stays in memory, is said, and is tried again with the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from engine.errors import FileError
from engine.session import Run, Saved, Session
from engine.session.store import LARGE
from engine.worker import DONE
from gui.entries import Entries, Entry, nbytes, not_kept, title_of
from gui.jobs import Jobs
from gui.outbox import Asked, Edit, Outbox
from gui.panel import Panel
from gui.session_file import SessionFile


class RunLog(QObject):
    """The runs that are listed, where they are written, and every change to them."""

    changed = Signal()
    saved = Signal(str, bool)  # what the status bar says, whether it is bad news
    opened = Signal()  # another session's runs are listed
    loaded = Signal(object)  # Run with its result
    refused = Signal(object)  # FileError
    deleted_some = Signal(int)  # so many runs can be brought back with `undo`; 0: no more
    compacted = Signal(object)  # bytes that were freed: more than a C int holds
    data_changed = Signal()
    data_missing = Signal(object)  # [MissingInput] of the session's data, after opening it
    settled = Signal()  # nothing is being written any more

    def __init__(self, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.jobs = jobs
        self.out = Outbox(jobs, self._written, self._turned, self._edit_refused)
        self.attempt = "opened"  # what `refused` was about: "opened", "read", "saved", "changed"
        self.trouble = ""  # why the newest thing that was not saved was not
        self._runs = Entries()
        self._sent: list[tuple[Entry, Run]] = []  # what writers were given
        self._undo: list[list[Entry]] = []
        self._learnt: dict[
            str, tuple[str, str]
        ] = {}  # a header's digest -> the weights', since when
        self._views: dict[int, Mapping[str, Any]] = {}

    # what there is

    @property
    def entries(self) -> list[Entry]:
        return self._runs.listed()

    @property
    def deleted(self) -> list[Entry]:
        return self._runs.listed(deleted=True)

    @property
    def unsaved(self) -> list[Entry]:
        """Runs that are only in memory, and are lost with the window."""
        return [entry for entry in self._runs if entry.state == "memory"]

    @property
    def busy(self) -> bool:
        """Whether something is being written."""
        return self.out.held is not None or self.out.writing or bool(self.out.left)

    def now(self, entry: Entry) -> Entry:
        """The present state of a line; a list may still hold an earlier one."""
        return self._runs.now(entry)

    def entry_of(self, run: Run) -> Entry | None:
        """The line of a run, also of a copy that was loaded from the file."""
        return self._runs.of(run)

    # writing runs

    def keep(self, panel: Panel, result: Any, error: BaseException | None = None) -> None:
        """Add the run that a panel has just ended and write it, off this thread."""
        job = panel.job
        if job is None or job.worker.state not in DONE:
            return  # it was cancelled before it began
        metrics = dict(job.tick.metrics) if job.tick else {}
        run = Run.of(
            job.worker, result, error, metrics,
            words=panel.words_shown(), inputs=panel.inputs(), view=panel.state_of_view(),
        )  # fmt: skip
        run = self._known(run)
        if result is not None:
            panel.run_shown = run
        self.add(run)

    def add(self, run: Run) -> Entry:
        """List a run and write it."""
        size = nbytes(run.result)
        large = size > LARGE
        kept = run.result is not None and not large
        note = not_kept(size) if large else ""
        self._retry()
        entry = self._runs.add(Entry(title_of(run), run, 0, note, size, state="saving", kept=kept))
        self._write(entry)
        self._tell()
        self.changed.emit()
        return entry

    def _write(self, entry: Entry) -> None:
        if self.out.held is not None:
            self.out.held.append(lambda: self._write(entry))
            return
        entry = self.now(entry)
        try:
            file = self.out.target()
        except FileError as error:
            self._not_saved(entry, error)
            return
        run = entry.run
        if run is not None:
            self._sent.append((self._runs.change(entry, state="saving"), run))
            self.out.add(file, run, entry.kept)

    def _not_saved(self, entry: Entry, error: BaseException) -> None:
        self._blame(error)
        if entry not in self._runs:  # of a session that was left meanwhile: it comes along
            entry = self._runs.add(entry)
        self._runs.change(entry, state="memory", note=f"not saved: {self.trouble}", id=0)

    def _edit_refused(self, file: SessionFile, error: BaseException, waits: bool) -> None:
        self._blame(error)
        if not waits:
            self._refuse(FileError(file.path, self.trouble), "changed")

    def _refuse(self, error: FileError, attempt: str) -> None:
        self.attempt = attempt
        self.refused.emit(error)

    def _blame(self, error: BaseException) -> None:
        self.trouble = getattr(error, "why", "") or str(error) or type(error).__name__

    def retry(self) -> None:
        """Write again what a full disk, say, refused."""
        self._retry()
        self._tell()
        self.changed.emit()

    def _retry(self) -> None:
        sent = {entry.key for entry, _ in self._sent}
        for entry in self.unsaved:
            if entry.key in sent:  # its writer still holds it
                self._runs.change(entry, state="saving")
            else:
                self._write(entry)
        self.out.retry()

    def _turned(self, heard: bool, writing: bool) -> None:
        if heard or not writing:
            self._tell()
            self.changed.emit()
        if not self.busy:
            self.settled.emit()

    def _written(self, file: SessionFile, told: Saved) -> None:
        given = next((given for given in self._sent if given[1] is told.run), None)
        if given is None:
            return
        entry, sent = self.now(given[0]), given[1]
        if told.error is None or file in self.out.left:
            self._sent.remove(given)
        if told.error is not None:
            self._not_saved(entry, told.error)
        elif entry in self._runs and entry.run is not None:
            entry = self._runs.change(
                entry,
                run=replace(entry.run, id=told.id, digest=told.digest),
                id=told.id,
                path=file.path,
                state="saved",
                note=not_kept(entry.size) if entry.size and not entry.kept else "",
            )
            self._catch_up(entry, sent)
            self._runs.make_room()

    def _catch_up(self, entry: Entry, sent: Run) -> None:
        """What was changed while the run was being written."""
        run = entry.run
        if run is None or run is sent:
            new: dict[str, Any] = {}
        else:
            new = {name: getattr(run, name) for name in ("title", "note", "view")}
            new = {name: value for name, value in new.items() if value != getattr(sent, name)}
        if new:
            self._do([entry], lambda session, ids: session.describe(ids[0], **new), "Describing")
        if entry.deleted:
            self._do([entry], lambda session, ids: session.delete(ids), "Deleting")
        if run and run.model and sent.model and run.model.digest != sent.model.digest:
            self._do([entry], self._learning(sent.model.digest).do, "Learning a digest")

    # changing what is listed

    def rename(self, entry: Entry, title: str) -> None:
        self._describe(entry, title=title.strip())

    def annotate(self, entry: Entry, note: str) -> None:
        self._describe(entry, note=note.strip())

    def viewed(self, run: Run, view: Mapping[str, Any]) -> None:
        """The newest view of a run that is shown; `flush_views` writes it."""
        entry = self.entry_of(run)
        if entry is not None and entry.run is not None and dict(entry.run.view) != dict(view):
            self._views[entry.key] = dict(view)

    def flush_views(self) -> None:
        """Write how the runs were seen last."""
        views, self._views = self._views, {}
        for entry in self._runs:
            if entry.key in views and (not entry.id or self.out.of(entry.path)):
                self._describe(entry, view=views[entry.key])

    def _describe(self, entry: Entry, **new: Any) -> None:
        entry = self.now(entry)
        if entry.run is None or entry not in self._runs or not self._may_change([entry]):
            return
        run = replace(entry.run, **new)
        entry = self._runs.change(entry, run=run, title=title_of(run))
        if entry.state == "saved":
            self._do([entry], lambda session, ids: session.describe(ids[0], **new), "Describing")
        self.changed.emit()

    def delete(self, entries: Sequence[Entry]) -> None:
        """Take runs off the list; `undo` and `restore` bring them back until `compact`."""
        entries = [self.now(entry) for entry in entries]
        entries = [entry for entry in entries if entry in self._runs and not entry.deleted]
        if entries and self._may_change(entries):
            self._undo.append(entries)
            self._mark_deleted(entries, True)
            self.deleted_some.emit(len(entries))

    def undo(self) -> None:
        """Bring back what was deleted last."""
        if self._undo:
            self.restore(self._undo[-1])

    def restore(self, entries: Sequence[Entry]) -> None:
        """Bring deleted runs back."""
        entries = [self.now(entry) for entry in entries]
        entries = [entry for entry in entries if entry in self._runs and entry.deleted]
        if not entries or not self._may_change(entries):
            return
        keys = {entry.key for entry in entries}
        groups = [[entry for entry in group if entry.key not in keys] for group in self._undo]
        self._undo = [group for group in groups if group]
        self._mark_deleted(entries, False)
        self.deleted_some.emit(len(self._undo[-1]) if self._undo else 0)

    def _mark_deleted(self, entries: Sequence[Entry], gone: bool) -> None:
        by_file: dict[Path | None, list[Entry]] = {}
        for entry in entries:
            entry = self._runs.change(entry, deleted=gone)
            if entry.id and entry.state != "saving":
                by_file.setdefault(entry.path, []).append(entry)
        for group in by_file.values():
            if gone:
                self._do(group, lambda session, ids: session.delete(ids), "Deleting")
            else:
                self._do(group, lambda session, ids: session.restore(ids), "Restoring")
        self.changed.emit()

    def compact(self) -> None:
        """Remove what was deleted for good and give its room back; `compacted` tells how much."""
        file = self.out.file
        if file is None or not self._may_change(self.deleted or self.entries[:1]):
            return
        gone = [entry for entry in self.deleted if entry.id]

        def done(freed: int) -> None:
            self._runs.drop(entry for entry in map(self.now, gone) if entry.deleted)
            self._undo.clear()
            self.deleted_some.emit(0)
            self.changed.emit()
            self.compacted.emit(freed)

        self.out.ask(
            file, Asked(lambda session, _: session.compact(), "Compacting", done, keep=False)
        )
        self._tell()

    def keep_large(self, entry: Entry) -> None:
        """Store a large result after all, while it is still in memory."""
        entry = self.now(entry)
        run = entry.run
        if run is None or run.result is None or entry.kept or not self._may_change([entry]):
            return
        entry = self._runs.change(entry, kept=True)
        if entry.state != "saved":
            return

        def store(session: Session, ids: list[int]) -> int:
            new = session.add(run, keep_large=True)
            session.delete(ids)
            return new

        def stored(new: int) -> None:
            now = self.now(entry)
            if now in self._runs and now.run is not None:
                now = self._runs.change(
                    now, run=replace(now.run, id=new), id=new, note="", state="saved"
                )
                self._catch_up(now, run)

        self._runs.change(entry, state="saving")
        self._do([entry], store, "Storing a large result", stored)
        self.changed.emit()

    def learn(self, header: str, digest: str, since: str) -> None:
        """The weights behind a header's digest are known, for every run since they were opened.

        Earlier runs may have read other weights under the same header: a checkpoint trained on.
        """
        self._learnt[header] = digest, since
        files: set[Path | None] = set()
        for entry in self._runs:
            if entry.run is not None and (known := self._known(entry.run)) is not entry.run:
                self._runs.change(entry, run=known)
                files.add(entry.path)
        for file in (self.out.of(path) for path in files):
            if file is not None:
                self.out.ask(file, self._learning(header))
        if files:
            self.changed.emit()

    def _learning(self, header: str) -> Asked:
        digest, since = self._learnt[header]
        return Asked(lambda session, _: session.learn(header, digest, since), "Learning a digest")

    def _known(self, run: Run) -> Run:
        """The run under its weights' own digest, where that is known by now."""
        header = run.model.digest if run.model is not None else ""
        digest, since = self._learnt.get(header, ("", ""))
        if run.model is None or not digest or run.started < since:
            return run
        return replace(run, model=replace(run.model, digest=digest))

    def _may_change(self, entries: Sequence[Entry]) -> bool:
        """False, with a word, for runs of a file that can only be read."""
        for entry in entries:
            if entry.path is not None and self.out.of(entry.path) is None:
                why = "it can only be read here: save the session under another name first"
                self._refuse(FileError(entry.path, why), "changed")
                return False
        return True

    def _do(
        self,
        entries: Sequence[Entry],
        edit: Edit,
        about: str,
        then: Callable[[Any], object] | None = None,
    ) -> None:
        """Let the writer of these runs, all of one file, make an edit."""
        if self.out.held is not None:
            self.out.held.append(lambda: self._do(entries, edit, about, then))
            return
        entries = [self.now(entry) for entry in entries]
        file = self.out.of(entries[0].path)
        if file is not None:
            self.out.ask(file, Asked(edit, about, then, [entry.id for entry in entries]))
            self._tell()

    def _tell(self) -> None:
        """One line for the status bar: `saved` carries it."""
        self.saved.emit(*self.state_words())

    def state_words(self) -> tuple[str, bool]:
        """How things stand with the file, and whether that is bad news."""
        raise NotImplementedError
