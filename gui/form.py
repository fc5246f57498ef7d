"""Form: the fields of a technique's dataclass -> widgets -> a spec.

A field is declared once, with `engine.technique.param`; its help is the tooltip, its limits bound
the arrows, its choices are a list. What the Desk knows (prompts, answer tokens, BOS) is not asked
again: `FROM_DESK` names the roles that are filled from its PromptPair, and a field with the role
"pairs" holds the Desk's set where one is in force: then the prompts keep their defaults.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import Field, fields
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QSettings, Qt, Signal
from PySide6.QtWidgets import QWidget

from engine.errors import SpecError
from engine.refs import Ref
from engine.technique import Technique
from gui.entry import Choice, Entry
from gui.flow import Flow
from gui.focus import PromptPair
from gui.jobs import Job, Jobs
from gui.ref_field import RefField, holds_ref
from gui.settings import LARGEST

FROM_DESK = {"prompt": "clean", "clean": "clean", "corrupted": "corrupted", "answer": "answer",
             "wrong": "wrong", "bos": "bos"}  # fmt: skip
OF_SET = ("pairs", "prompt pairs")


def desk_field(item: Field) -> str:
    """Which field of the PromptPair fills this one; "" = the form asks for it."""
    role = item.metadata.get("role", "")
    return FROM_DESK.get(role, "") if role else FROM_DESK.get(item.name, "")


@cache
def set_fields(kind: type[Technique]) -> tuple[str, ...]:
    """The fields that hold a set of prompt pairs, in place of the prompts."""
    hints = typing.get_type_hints(kind)
    named = (item.name for item in fields(kind) if item.metadata.get("role") in OF_SET)
    return tuple(name for name in named if holds_ref(hints[name]))


class Form(QWidget):
    """The fields of one kind of technique that the Desk does not fill."""

    changed = Signal()

    def __init__(
        self,
        kind: type[Technique],
        words: Mapping[str, str] | None = None,
        jobs: Jobs | None = None,
    ) -> None:
        """jobs: where files are read whose digest a field wants."""
        super().__init__()
        self.kind = kind
        hints = typing.get_type_hints(kind)
        self.entries: dict[str, Entry] = {}
        self.from_desk = {f.name: desk_field(f) for f in fields(kind) if desk_field(f)}
        self.of_set = set_fields(kind)
        flow = Flow(self, gap=12)
        flow.setContentsMargins(16, 8, 16, 8)
        self._advanced: list[Entry] = []
        for item in fields(kind):
            if item.name not in self.from_desk and item.name not in self.of_set:
                entry = Entry(item, hints[item.name], words or {}, jobs)
                entry.changed.connect(self._changed)
                self.entries[item.name] = entry
                if item.metadata.get("advanced"):
                    self._advanced.append(entry)
                flow.addWidget(entry)
        plain = [entry for entry in self.entries.values() if entry not in self._advanced]
        self._words = plain if all(isinstance(entry.control, Choice) for entry in plain) else []
        self._flow = flow
        self._holder: Any = None  # who lays the entries out instead
        self.unfold(False)

    def prompts_of(
        self, spec: Technique, inputs: Mapping[str, Ref] | None = None
    ) -> dict[str, Any]:
        """What a spec says of the desk's prompts, by fields of PromptPair.

        inputs: those of its run; of what is not the spec's own the prompts came. {} for a run over
        a set, which says nothing of them.
        """
        if self.pairs_of(spec) is not None:
            return {}
        own = spec.refs()
        came = {role: ref for role, ref in (inputs or {}).items() if ref not in own}
        return {source: getattr(spec, name) for name, source in self.from_desk.items()} | {
            "inputs": came
        }

    def pairs_of(self, spec: Any) -> Ref | None:
        """The set that a spec runs over; None where it is one pair."""
        return next((getattr(spec, name) for name in self.of_set), None)

    def replace_ref(self, old: Ref, where: str) -> Job | None:
        """Read what lies at `where` and take it as the place of `old` if the bytes are the same.

        The job finishes with the Ref, or fails with a FileError or MissingInput that the field
        then shows. None: no field holds `old`.
        """
        controls = [entry.control for entry in self.entries.values()]
        held = [each for each in controls if isinstance(each, RefField) and each.ref == old]
        job = held[0].read(Path(where), old) if held else None
        for other in held[1:]:
            if job is not None:
                job.finished.connect(other.show_ref)
        return job

    @property
    def has_advanced(self) -> bool:
        return bool(self._advanced)

    def take_over(self, holder: QWidget) -> None:
        """Let a widget of the panel's own lay the entries out; it has `unfold` too."""
        while self._flow.takeAt(0) is not None:
            pass
        self._words, self._holder = [], holder
        self._flow.addWidget(holder)

    def unfold(self, on: bool) -> None:
        """Show the advanced fields too."""
        if self._holder is not None:
            self._holder.unfold(on)
            return
        for entry in self._advanced:
            entry.setVisible(on)
        for entry in self._words:  # choices alone speak for themselves: one row without captions
            entry.show_caption(on)
        self._flow.set_gap(8 if self._words and not on else 12)
        self.updateGeometry()

    def _changed(self) -> None:
        self.changed.emit()

    def spec(self, prompts: PromptPair, pairs: Ref | None = None) -> Technique:
        """The spec as it stands, over a set where it can be; a SpecError also marks its field."""
        values: dict[str, Any] = {
            name: getattr(prompts, source) for name, source in self.from_desk.items()
        }
        if pairs is not None and self.of_set:
            values = dict.fromkeys(self.of_set, pairs)
        for entry in self.entries.values():
            entry.mark("")
        try:
            for name, entry in self.entries.items():
                try:
                    values[name] = entry.value
                except msgspec.ValidationError as error:
                    raise SpecError(name, f"cannot be read: {error}") from None
            return self.kind(**values)
        except SpecError as error:
            if error.field in self.entries:
                self.entries[error.field].show()
                self.entries[error.field].mark(error.message)
            raise

    def standing(self) -> Technique | None:
        """The spec as its own fields stand, without marking any; None where one is refused."""
        try:
            return self.kind(**{name: entry.value for name, entry in self.entries.items()})
        except (SpecError, ValueError, TypeError):
            return None

    def make_quick(self) -> None:
        """The technique's own quick settings."""
        for name, value in self.kind.quick.items():
            self.entries[name].value = value

    def show_spec(self, spec: Technique) -> None:
        """Put a spec's values into the fields."""
        self.blockSignals(True)
        for name, entry in self.entries.items():
            entry.value = getattr(spec, name)
        self.blockSignals(False)
        self.changed.emit()

    def save(self, settings: QSettings) -> None:
        values = {}
        for name, entry in self.entries.items():
            try:
                values[name] = msgspec.to_builtins(entry.value)
            except (msgspec.ValidationError, SpecError):
                continue
        settings.setValue(f"form/{self.kind.__name__}", json.dumps(values))

    def restore(self, settings: QSettings) -> None:
        """Take up the values of the last time; what no longer fits stays at its default."""
        try:
            values = json.loads(str(settings.value(f"form/{self.kind.__name__}", "{}")))
        except (ValueError, RecursionError):
            return
        for name, value in values.items() if isinstance(values, dict) else ():
            entry = self.entries.get(name)
            if entry is None or (isinstance(value, int) and abs(value) > LARGEST):
                continue
            try:
                entry.value = msgspec.convert(value, entry.hint)
            except (msgspec.ValidationError, ValueError, TypeError):
                continue

    def focus_first(self) -> None:
        for entry in self.entries.values():
            entry.control.setFocus(Qt.FocusReason.ShortcutFocusReason)
            break
