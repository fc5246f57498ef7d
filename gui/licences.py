"""Licences: what others made, under which terms it is used, and every text in full."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QPlainTextEdit,
    QSplitter,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from engine import licences
from engine.errors import FileError
from engine.licences import Part
from engine.versions import LIBRARIES
from gui import theme
from gui.buttons import Button, label
from resources import path

WINDOW_LIBRARIES = ("pyqtgraph", "PySide6_Essentials")
"""The distributions that the window asks for beyond the engine."""
WIDE, HIGH = 1140, 700  # px, where the screen has room
QT = (
    "Mechanoscope itself is free under the MIT licence. Qt is used under the LGPL: its libraries "
    "lie as separate files in the program's folder and can be replaced."
)
NO_TEXT = (
    "This installation has no text of this licence; what was installed names it as: {licence}.\n"
    "The packaged program and the source of Mechanoscope carry the text."
)


class Licences(QDialog):
    """A list of the parts, and beside it the texts of the one that is chosen."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Licences - Mechanoscope")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setModal(False)
        self.parts: list[Part] = []
        self.list = QTreeWidget()
        self.list.setHeaderLabels(["Part", "Version", "Licence"])
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setAccessibleName("Parts of other makers")
        self.heading = label("", "panel")
        self.note = label("", "small")
        for words in (self.heading, self.note):
            words.setWordWrap(True)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setProperty("mono", True)
        self.text.setAccessibleName("Texts of the licence")
        self.close_button = Button("Close", action=self.close, primary=True)
        self._lay_out()
        self._fill()
        self.list.currentItemChanged.connect(lambda *_: self._show_chosen())
        if first := self.list.topLevelItem(0):
            self.list.setCurrentItem(first)
        self.list.setFocus()
        self._fit(parent)

    def _lay_out(self) -> None:
        words = label(QT, "muted")
        words.setWordWrap(True)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(8, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.heading)
        column.addWidget(self.note)
        column.addWidget(self.text, 1)
        halves = QSplitter(Qt.Orientation.Horizontal)
        halves.setChildrenCollapsible(False)
        halves.addWidget(self.list)
        halves.addWidget(right)
        halves.setStretchFactor(1, 1)
        halves.setSizes([round(420 * theme.zoom()), round(680 * theme.zoom())])
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(self.close_button)
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 16, 16, 16)
        box.setSpacing(12)
        box.addWidget(words)
        box.addWidget(halves, 1)
        box.addLayout(foot)

    def _fill(self) -> None:
        try:
            self.parts = licences.parts((*LIBRARIES, *WINDOW_LIBRARIES), path())
        except FileError as error:
            self.heading.setText("The list of licences cannot be read")
            self.note.setText(f"{error}. Install Mechanoscope again to have it back.")
            return
        for part in self.parts:
            words = [_name(part), part.version or "–", part.licence or "see its text"]
            item = QTreeWidgetItem(words)
            for column, word in enumerate(words):
                item.setToolTip(column, word)
            self.list.addTopLevelItem(item)
        header, zoom = self.list.header(), theme.zoom()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        for column, wide in enumerate((170, 78)):
            self.list.setColumnWidth(column, round(wide * zoom))

    def _show_chosen(self) -> None:
        part = self.parts[self.list.currentIndex().row()]
        self.heading.setText(f"{_name(part)} {part.version}".strip())
        said = (part.licence, part.note)
        self.note.setText("; ".join(word for word in said if word))
        try:
            texts = part.texts()
        except FileError as error:
            self.text.setPlainText(f"A text of this licence cannot be read: {error}")
            return
        shown = [_titled(name, text, len(texts)) for name, text in texts]
        self.text.setPlainText("\n\n".join(shown) or NO_TEXT.format(licence=part.licence or "-"))

    def _fit(self, parent: QWidget) -> None:
        """Large enough to read, and never larger than the screen or beside it."""
        room = parent.screen().availableGeometry().adjusted(24, 48, -24, -24)
        wide, high = (round(value * theme.zoom()) for value in (WIDE, HIGH))
        self.resize(min(wide, room.width()), min(high, room.height()))


def _name(part: Part) -> str:
    """As people know it."""
    known = {"PySide6_Essentials": "Qt and PySide6", "numpy": "NumPy", "scipy": "SciPy"}
    return known.get(part.name, part.name)


def _titled(name: str, text: str, count: int) -> str:
    """A text below the name of its file, where there are several."""
    if count == 1:
        return text.strip()
    line = "─" * len(name)
    return f"{line}\n{name}\n{line}\n\n{text.strip()}\n"
