"""RecentRuns: the newest runs as buttons in one row, as many as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.buttons import Button, label
from gui.run_line import RunLine

SHOWN = 12
WIDEST = 220  # px of a title
GAP = 4


class RecentRuns(QWidget):
    asked = Signal(object)  # entry

    def __init__(self) -> None:
        super().__init__()
        self.nothing = label("Runs are kept here as they end.", "muted", self)
        self.buttons = [Button("", "circle-check", flat=True) for _ in range(SHOWN)]
        self._newest: list[Any] = []
        for index, button in enumerate(self.buttons):
            button.setParent(self)
            button.hide()
            button.clicked.connect(lambda _=False, index=index: self._ask(index))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)

    def show_entries(self, entries: Sequence[Any]) -> None:
        """Oldest first; the newest stands at the left."""
        newest = list(reversed(entries[-SHOWN:]))
        if newest and newest == self._newest:
            return
        self._newest = newest
        room = round(WIDEST * theme.zoom())
        for button, entry in zip(self.buttons, self._newest, strict=False):
            line = RunLine(entry)
            icon, token, word = line.sign
            end = Qt.TextElideMode.ElideRight
            title = button.fontMetrics().elidedText(line.title, end, room).replace("&", "&&")
            button.set_text(f"{title}  {line.brief}")
            button.setAccessibleName(f"{line.title}, {word}, {line.took}")
            button.set_icon(icon, token)
            button.setToolTip(line.tip)
        self._place()

    def _ask(self, index: int) -> None:
        self.asked.emit(self._newest[index])

    def sizeHint(self) -> QSize:
        return QSize(240, 28)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, 28)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:  # larger type, say, makes wider buttons
            self._place()
        return super().event(event)

    def _place(self) -> None:
        x, full = 0, False
        for index, button in enumerate(self.buttons):
            size = button.sizeHint()
            full = full or index >= len(self._newest) or (x + size.width() > self.width() and x > 0)
            button.setVisible(not full)
            if not full:
                button.setGeometry(x, (self.height() - size.height()) // 2, *size.toTuple())
                x += size.width() + GAP
        self.nothing.setVisible(not self._newest)
        self.nothing.setGeometry(0, 0, self.width(), self.height())
