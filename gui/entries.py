"""Entries: the runs of a session as they are listed, and which results stay in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from engine.session import Run, RunRow
from gui.memory import size as size_words

State = Literal["saving", "saved", "memory", "unreadable"]
RESULTS_HELD = 64  # results in memory at most; older ones are read from the file again
BYTES_HELD = 512 << 20  # and no more than these bytes of them, but always the newest


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the list of runs. run None: the file's row is unreadable, and `note` says why.

    note: why it is unreadable, not saved, or kept without its result. What a person wrote is
    `run.note`. size: bytes of the result. kept: whether the file has the result too. path: the file
    the run is in. key: the same for all states of one line; a later state replaces this one.
    """

    title: str
    run: Run | None
    id: int = 0
    note: str = ""
    size: int = 0
    deleted: bool = False
    state: State = "saved"
    kept: bool = True
    path: Path | None = None
    key: int = 0


class Entries:
    """Every line by its key, oldest first."""

    def __init__(self) -> None:
        self._by_key: dict[int, Entry] = {}
        self._next = 1
        self._touched: dict[int, None] = {}  # keys with a result in memory, oldest use first

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._by_key.values()))

    def __len__(self) -> int:
        return len(self._by_key)

    def listed(self, deleted: bool = False) -> list[Entry]:
        return [entry for entry in self._by_key.values() if entry.deleted == deleted]

    def add(self, entry: Entry) -> Entry:
        entry = replace(entry, key=self._next)
        self._next += 1
        self._by_key[entry.key] = entry
        if entry.run is not None and entry.run.result is not None:
            self.touch(entry)
        return entry

    def now(self, entry: Entry) -> Entry:
        """The present state of a line that somebody has held on to."""
        return self._by_key.get(entry.key, entry)

    def __contains__(self, entry: Entry) -> bool:
        return entry.key in self._by_key

    def change(self, entry: Entry, **changes: Any) -> Entry:
        made = replace(self._by_key[entry.key], **changes)
        self._by_key[entry.key] = made
        return made

    def drop(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._by_key.pop(entry.key, None)
            self._touched.pop(entry.key, None)

    def of(self, run: Run) -> Entry | None:
        """The line of a run, also of a copy of it that was loaded or changed since."""
        same = (run.started, run.seconds, run.kind)
        for entry in reversed(self._by_key.values()):
            mine = entry.run
            if mine is None:
                continue
            if mine is run or (run.started and (mine.started, mine.seconds, mine.kind) == same):
                return entry
        return None

    def clear(self) -> None:
        """Forget every line; keys are never given twice."""
        self._by_key.clear()
        self._touched.clear()

    def touch(self, entry: Entry) -> None:
        """This result was made or read just now; the longest unused ones make room."""
        self._touched.pop(entry.key, None)
        self._touched[entry.key] = None
        self.make_room()

    def make_room(self) -> None:
        """Let go of results that can be read again, or that nobody asked to store."""
        held, count = 0, 0
        for key in reversed(list(self._touched)):
            entry = self._by_key[key]
            count, held = count + 1, held + entry.size
            over = count > 1 and (count > RESULTS_HELD or held > BYTES_HELD)
            if over and entry.state == "saved" and entry.run is not None:
                held -= entry.size
                self._by_key[key] = replace(entry, run=replace(entry.run, result=None))
                del self._touched[key]


def from_row(row: RunRow, path: Path) -> Entry:
    """A line for a row of a file."""
    if row.run is None:
        title = row.kind or "Run"
        return Entry(title, None, row.id, row.unreadable, row.size, row.deleted, "unreadable",
                     False, path)  # fmt: skip
    there_was_none = not row.run.digest
    note = row.about_note or ("" if row.kept or there_was_none else not_kept(row.size))
    return Entry(title_of(row.run), row.run, row.id, note, row.size, row.deleted, "saved",
                 row.kept, path)  # fmt: skip


def title_of(run: Run) -> str:
    """What a person calls a run, or else its technique."""
    return run.title or getattr(type(run.spec), "title", "") or run.kind


def not_kept(size: int) -> str:
    return f"{size_words(size)}: settings kept, result not" if size else "result not kept"


def nbytes(result: Any) -> int:
    """Bytes of a result's arrays."""
    if result is None:
        return 0
    return sum(int(getattr(getattr(result, item.name), "nbytes", 0)) for item in fields(result))
