"""Edge: the upper edge of a list that can be made higher."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from gui import theme


class Edge(QWidget):
    """The upper edge of the list: drag it, or press Up and Down, for another height."""

    moved = Signal(int)  # px upwards
    STEP = 24

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(7)
        self.setCursor(Qt.CursorShape.SizeVerCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setToolTip("Drag for another height")
        self.setAccessibleName("Height of the list of runs: Up and Down change it")
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self._from: float | None = None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._from = event.globalPosition().y()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._from is not None:
            now = event.globalPosition().y()
            self.moved.emit(round(self._from - now))
            self._from = now

    def mouseReleaseEvent(self, _: QMouseEvent) -> None:
        self._from = None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Up: self.STEP, Qt.Key.Key_Down: -self.STEP}
        if event.key() in steps:
            self.moved.emit(steps[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def paintEvent(self, _: QPaintEvent) -> None:
        """A short grip, brighter under the mouse or with the keyboard."""
        now, painter = theme.current(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(now.color("accent" if self.hasFocus() or self.underMouse() else "field"))
        painter.drawRoundedRect(self.width() // 2 - 18, 3, 36, 3, 1.5, 1.5)
        painter.end()
