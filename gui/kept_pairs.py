"""KeptPairs: a person's own named pairs, kept as data of the session and listed again with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Signal

from engine.data.prompt_table import parse_table, to_line
from engine.errors import FileError
from engine.refs import Ref, of_bytes
from engine.session import Session
from gui.examples import Example, pair_of, row_of
from gui.focus import PromptPair
from gui.jobs import Jobs

KIND = "prompt pair"
FORMAT = "kept.jsonl"  # one line of JSON, as in a table


class KeptPairs(QObject):
    """`listed` are those of the session that is open, in the order of keeping."""

    changed = Signal()
    unreadable = Signal(str)  # which, and why

    def __init__(self, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.jobs = jobs
        self.keep_data: Callable[[str, bytes, str], Ref] | None = None
        self.listed: list[Example] = []
        self._records: Any = None
        self._known: dict[str, Example] = {}  # by digest; content never changes
        self._asked: set[tuple[str, str]] = set()  # (path, digest) that a job reads or has read

    def watch(self, records: Any) -> None:
        """Keep in this session's records and list what they hold."""
        self._records, self.keep_data = records, records.put_data
        records.data_changed.connect(self.refresh)
        self.refresh()

    def keep(self, pair: PromptPair, title: str) -> None:
        """Add a pair under a name; one that is kept under that name already stays one."""
        content = to_line(row_of(pair, title))
        ref = of_bytes(KIND, content)
        self._known[ref.digest] = self._example(content, ref)
        if self.keep_data is not None:
            self.keep_data(KIND, content, next(iter(pair.inputs), "typed"))
        if self._records is None and all(title != each.title for each in self.listed):
            self.listed.append(self._known[ref.digest])
            self.changed.emit()

    def refresh(self) -> None:
        """List what the session holds; what is only in its file is read by a job."""
        path = self._records.path
        refs = [row.ref for row in self._records.data() if row.ref.kind == KIND and row.inside]
        self.listed = [self._known[ref.digest] for ref in refs if ref.digest in self._known]
        self.changed.emit()
        asked = [(str(path), ref.digest) for ref in refs]
        missing = [ref for ref in refs if ref.digest not in self._known]
        missing = [ref for ref in missing if (str(path), ref.digest) not in self._asked]
        if not missing or path is None:
            return
        self._asked.update(asked)

        def read(watch: Any, report: Any) -> list[tuple[Ref, bytes | FileError]]:
            found: list[tuple[Ref, bytes | FileError]] = []
            with Session.open(path, read_only=True) as session:
                for ref in missing:
                    watch()
                    try:
                        found.append((ref, session.content(ref)))
                    except FileError as error:
                        found.append((ref, error))
            return found

        job = self.jobs.do(read, "Reading kept prompts", background=True)
        job.finished.connect(self._read)
        job.failed.connect(self._failed)

    def _read(self, found: list[tuple[Ref, bytes | FileError]]) -> None:
        for ref, content in found:
            try:
                if isinstance(content, FileError):
                    raise content
                self._known[ref.digest] = self._example(content, ref)
            except FileError as error:
                self.unreadable.emit(f"A kept pair (sha {ref.short}…) cannot be read: {error.why}")
        self.refresh()

    def _failed(self, error: BaseException, _: Any) -> None:
        if not isinstance(error, FileError):
            raise error
        self.unreadable.emit(f"The kept prompts cannot be read: {error.why}")

    def _example(self, content: bytes, ref: Ref) -> Example:
        row = parse_table(content, FORMAT).rows[0]
        title = row.title or "Unnamed"
        return Example(title, pair_of(row, f"prompts, {title}", ref))
