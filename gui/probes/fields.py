"""Fields: the entries of a probing form under captions; what does not apply is hidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from PySide6.QtCore import QEvent, QPointF, QSize, Qt
from PySide6.QtGui import QAction, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from engine.errors import SpecError
from gui import theme
from gui.buttons import Button, Elided, label
from gui.entry import Entry
from gui.form import Form
from gui.plots.curve import shade_of
from gui.plots.probe_marks import STYLES, paint_marker
from gui.ref_field import RefField

GAP, WIDE = 8, 256  # px
Values = Mapping[str, Any]
Test = Callable[[Values], bool]


@dataclass(frozen=True)
class Group:
    """A caption over fields, in the order in which they fill two columns; one may be folded."""

    name: str
    fields: tuple[str, ...]
    folded: bool = False


@dataclass(frozen=True)
class Plan:
    """How a form is laid out. applies: whether a field says anything, given the values as they
    stand. marks: switches of curves -> the curve's name; always: what stands beside them without a
    switch, with a word. names: a text field -> what it may be; blanks: what
    an empty one means."""

    groups: tuple[Group, ...]
    wide: tuple[str, ...] = ()
    applies: Mapping[str, Test] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    always: tuple[tuple[str, str], ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    blanks: Mapping[str, str] = field(default_factory=dict)


class CurveKey(QWidget):
    """A curve's line and marker, as the plot draws it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.setFixedSize(22, 14)
        self.setAccessibleName(f"how {name} is drawn")

    def paintEvent(self, _: QPaintEvent) -> None:
        colour, marker = STYLES[self.name]
        shade, middle = shade_of(colour), QPointF(self.width() / 2, self.height() / 2)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(shade, 1.5))
        painter.drawLine(QPointF(1, middle.y()), QPointF(self.width() - 1, middle.y()))
        paint_marker(painter, middle, marker, shade)
        painter.end()


class Names(QAction):
    """A small arrow in a line of text that offers what it may say."""

    def __init__(self, line: QLineEdit, names: tuple[str, ...]) -> None:
        super().__init__(line)
        self.line, self.menu_ = line, QMenu(line)
        for name in names:
            self.menu_.addAction(name.replace("_", " ")).setData(name)
        self.setToolTip("What the little world's texts are labelled with")
        self.triggered.connect(self._open)
        self.menu_.triggered.connect(self._take)
        line.addAction(self, QLineEdit.ActionPosition.TrailingPosition)
        self.dress()

    def dress(self) -> None:
        self.setIcon(theme.icon("chevron-down", 16, "muted"))

    def _open(self) -> None:
        self.menu_.popup(self.line.mapToGlobal(self.line.rect().bottomLeft()))

    def _take(self, action: QAction) -> None:
        name = str(action.data())
        self.line.setText(name)
        self.line.textEdited.emit(name)


class Fields(QWidget):
    """Belongs to a form, whose entries it lays out by a plan."""

    def __init__(self, form: Form, plan: Plan) -> None:
        super().__init__()
        self.form, self.entries, self.plan = form, form.entries, plan
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        self._grids: list[tuple[Group, QGridLayout]] = []
        self._folds: dict[str, Button] = {}
        self._open: set[str] = set()
        self._shown: tuple[str, ...] | None = None
        self._keys: dict[str, QWidget] = {}
        self._names: list[Names] = []
        known = {name for group in plan.groups for name in group.fields}
        rest = tuple(name for name in self.entries if name not in known)
        for group in plan.groups:
            last = group is plan.groups[-1]
            self._add(box, Group(group.name, group.fields + (rest if last else ()), group.folded))
        form.take_over(self)
        self._dress_entries()
        for entry in self.entries.values():
            entry.changed.connect(self.arrange)
        form.changed.connect(self.arrange)
        self.arrange()

    def _add(self, box: QVBoxLayout, group: Group) -> None:
        if group.folded:
            fold = Button(group.name, "chevron-right", lambda: self.toggle(group.name), flat=True)
            fold.setProperty("align", "left")
            self._folds[group.name] = fold
            box.addWidget(fold, 0, Qt.AlignmentFlag.AlignLeft)
        else:
            heading = label(group.name, "panel")
            heading.setContentsMargins(0, 6 if self._grids else 0, 0, 0)
            box.addWidget(heading)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(GAP)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        box.addLayout(grid)
        self._grids.append((group, grid))
        if group.fields and group.fields[0] in self.plan.marks:
            for name, word in self.plan.always:
                row = QHBoxLayout()
                row.setContentsMargins(24, 0, 0, 0)
                what = Elided(name, "small")
                what.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
                what.setToolTip(name)
                row.addWidget(what, 1)
                row.addWidget(label(word, "small"))
                box.addLayout(row)

    def _dress_entries(self) -> None:
        """Two fit beside each other, however long they may get; switches go without a caption."""
        for name, entry in self.entries.items():
            entry.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            entry.control.setMinimumWidth(40)
            entry.caption.setMinimumWidth(40)
            if isinstance(entry.control, QCheckBox):
                entry.caption.hide()
            if name in self.plan.blanks and isinstance(entry.control, QLineEdit):
                entry.control.setPlaceholderText(self.plan.blanks[name])
            if name in self.plan.marks:
                self._keys[name] = CurveKey(self.plan.marks[name])
            if name in self.plan.names and isinstance(entry.control, QLineEdit):
                self._names.append(Names(entry.control, self.plan.names[name]))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_names"):
            for each in self._names:
                each.dress()

    def sizeHint(self) -> QSize:
        return QSize(WIDE, super().sizeHint().height())

    def toggle(self, name: str) -> None:
        self._open ^= {name}
        self._folds[name].set_icon("chevron-down" if name in self._open else "chevron-right")
        self.arrange()

    def unfold(self, on: bool) -> None:
        """Show the advanced fields too."""
        for name in self._folds:
            if (name in self._open) != on:
                self.toggle(name)

    def values(self) -> dict[str, Any]:
        """What the form says where it can be read, else the defaults."""
        found: dict[str, Any] = {}
        for name, entry in self.entries.items():
            try:
                found[name] = entry.value
            except (SpecError, ValueError, msgspec.ValidationError):
                found[name] = entry.default
        return found

    def arrange(self) -> None:
        """Show what applies to the values as they stand; a refused field is never hidden."""
        now, shown = self.values(), []
        for group, _grid in self._grids:
            folded = group.folded and group.name not in self._open
            for name in group.fields:
                entry = self.entries.get(name)
                if entry is None:
                    continue
                fits = name not in self.plan.applies or self.plan.applies[name](now)
                if (fits and not folded) or bool(entry.reason.text()):
                    shown.append(name)
        if tuple(shown) == self._shown:
            return
        self._shown = tuple(shown)
        for group, grid in self._grids:
            self._fill(group, grid)
        self.updateGeometry()
        self.form.updateGeometry()

    def _fill(self, group: Group, grid: QGridLayout) -> None:
        while grid.count():
            grid.takeAt(0)
        row = col = 0
        for name in group.fields:
            entry = self.entries.get(name)
            if entry is None:
                continue
            if name not in (self._shown or ()):
                entry.hide()
                continue
            key = self._keys.get(name)
            if key is not None:
                row += col
                grid.addWidget(entry, row, 0, 1, 2)
                grid.addWidget(key, row, 1, Qt.AlignmentFlag.AlignRight)
                key.show()
                key.raise_()
                row, col = row + 1, 0
            elif self._wide(entry):
                row += col  # a half-filled row is closed
                grid.addWidget(entry, row, 0, 1, 2)
                row, col = row + 1, 0
            else:
                grid.addWidget(entry, row, col)
                row, col = row + col, 1 - col
            entry.show()

    def _wide(self, entry: Entry) -> bool:
        return entry.name in self.plan.wide or isinstance(entry.control, RefField | QCheckBox)
