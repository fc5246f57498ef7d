"""A session in memory for tests of what shows one: its entries, and records that act at once."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from engine import technique
from engine.session import ModelRef, Run
from gui.entries import Entry


class FakeRecords(QObject):
    """A session in memory that does what it is told at once."""

    changed = Signal()
    opened = Signal()
    loaded = Signal(object)
    deleted_some = Signal(int)

    def __init__(self, entries=()):
        super().__init__()
        self.all = list(entries)
        self.nbytes = 1_250_000
        self.undone = []

    @property
    def entries(self):
        return [entry for entry in self.all if not entry.deleted]

    @property
    def deleted(self):
        return [entry for entry in self.all if entry.deleted]

    def _put(self, entry, **changes):
        at = next(n for n, each in enumerate(self.all) if each.key == entry.key)
        self.all[at] = replace(self.all[at], **changes)

    def add(self, entry):
        self.all.append(entry)
        self.changed.emit()

    def rename(self, entry, title):
        self._put(entry, title=title, run=replace(entry.run, title=title))
        self.changed.emit()

    def annotate(self, entry, note):
        self._put(entry, run=replace(entry.run, note=note))
        self.changed.emit()

    def delete(self, entries):
        self.undone.append(entries)
        for entry in entries:
            self._put(entry, deleted=True)
        self.changed.emit()
        self.deleted_some.emit(len(entries))

    def undo(self):
        self.restore(self.undone.pop())

    def restore(self, entries):
        for entry in entries:
            self._put(entry, deleted=False)
        self.changed.emit()
        self.deleted_some.emit(0)

    def compact(self):
        self.all = self.entries
        self.changed.emit()

    def load(self, entry, then):
        then(entry.run)


def made(number, kind="LogitLens", *, model="induction-2l", **facts):
    """An entry whose spec, model and times say something."""
    values = {"prompt": "cat sun tree"} if kind == "LogitLens" else {}
    if kind == "ActivationPatching":
        values = {"clean": "dog moon ring", "corrupted": "dog moon coat", "component": "z"}
    values |= facts.pop("spec", {})
    known = {"started": f"2026-03-01T12:{number % 60:02}:00+00:00", "seconds": number / 100}
    run = Run(spec=technique.of(kind)(**values), model=ModelRef(model), **(known | facts))
    title = run.title or run.spec.title
    return Entry(title, run, id=number, size=1000 * number, key=number)


def unreadable(number):
    why = "its arrays do not have the digest that was stored"
    return Entry("LogitLens", None, number, why, state="unreadable", key=number)
