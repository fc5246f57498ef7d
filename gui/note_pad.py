"""NotePad: where a note on a run is written; a popover, because the list is low."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from gui import theme
from gui.buttons import Button, Elided, label


class NotePad(QFrame):
    """A note on a run. Ctrl+Enter, or a click elsewhere, saves it; Esc leaves the old one."""

    saved = Signal(str)

    def __init__(self, parent: QWidget, title: str, note: str) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setProperty("card", True)
        self.setAccessibleName(f"Note on {title}")
        self.owner, self._before, self._left = parent, note, False
        self.text = QPlainTextEdit(note)
        self.text.setAccessibleName("Note")
        self.text.setPlaceholderText("What this run shows, or what to try next")
        self.text.setTabChangesFocus(True)
        self.text.installEventFilter(self)
        heading = Elided(
            f"Note on {title}", "panel"
        )  # or a long title would push it off the window
        heading.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        row = QHBoxLayout()
        row.addWidget(label("Ctrl+Enter saves, Esc leaves it as it was", "small"), 1)
        row.addWidget(Button("Save", action=self.close, primary=True))
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 12, 12, 12)
        box.setSpacing(8)
        box.addWidget(heading)
        box.addWidget(self.text, 1)
        box.addLayout(row)
        zoom = theme.zoom()
        self.resize(round(380 * zoom), round(190 * zoom))

    def open_over(self, where: QPoint) -> None:
        """With its lower left corner at a place on the screen: the list is at the bottom."""
        window = self.owner.window()
        room = QRect(window.mapToGlobal(QPoint(0, 0)), window.size())
        left = max(room.left() + 8, min(where.x(), room.right() - self.width() - 8))
        self.move(left, max(room.top() + 8, where.y() - self.height() - 4))
        self.show()
        self.text.setFocus()
        self.text.moveCursor(self.text.textCursor().MoveOperation.End)

    def eventFilter(self, watched: Any, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
            if enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                self.close()
                return True
            if event.key() == Qt.Key.Key_Escape:
                self._left = True
                self.close()
                return True
        return super().eventFilter(watched, event)

    def closeEvent(self, event: Any) -> None:
        text = self.text.toPlainText().strip()
        if not self._left and text != self._before:
            self.saved.emit(text)
        super().closeEvent(event)
