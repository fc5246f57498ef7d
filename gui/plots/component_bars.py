"""ComponentBars: what each principal component explains, of all variance and of the label."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.grid import Grid
from gui.plots.tokens import token_pen

Array = np.ndarray
HEAD, ROW, MOST_ROW = 18, 17, 24  # px
NAME, NUMBER, GAP = 58, 48, 8  # px


class ComponentBars(Canvas):
    """clicked gives (component, 0) for the axis across, and (component, 1) with Shift: up."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "components") -> None:
        super().__init__(parent, name)
        self.explained = self.eta = self.null = np.zeros(0)  # [component]
        self.shown = (0, 1)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.set_empty("What each component explains will be here.")

    def set_data(self, explained: Array, eta: Array, null: Array, shown: tuple[int, int]) -> None:
        """Shares [component], 0 to 1, of all variance; of its own between classes, and that share
        with shuffled labels. shown: the components across and up.
        """
        self.explained, self.eta = np.asarray(explained), np.asarray(eta)
        self.null, self.shown = np.asarray(null), shown
        known = len(self.explained) and np.isfinite(self.explained).any()
        self.set_empty("" if known else "What each component explains will be here.")

    def describe(self, row: int, col: int) -> str:
        said = f"Component {row + 1}: {shades.figure(100 * self.explained[row], 1)} % of variance"
        if np.isfinite(self.eta[row]):
            said += f"; {shades.figure(100 * self.eta[row], 1)} % of its own between the classes"
            said += f" (shuffled labels: {shades.figure(100 * self.null[row], 1)} %)"
        return said + "\nClick: across; Shift and click: up"

    def sizeHint(self) -> QSize:
        return QSize(260, round((HEAD + ROW * max(len(self.explained), 1)) * theme.zoom()) + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 60)

    def page_height(self, width: int) -> int:
        return self.sizeHint().height()

    def cramped(self) -> str:
        self.settle()
        left_out = len(self.explained) - (0 if self.grid is None else self.grid.rows)
        return f"{left_out} components have no room" if left_out > 0 else ""

    def lay_out(self) -> None:
        zoom, count = theme.zoom(), len(self.explained)
        head, row = HEAD * zoom, ROW * zoom
        self.grid = None
        if not count:
            return
        shown = min(count, max(int((self.height() - head) / row), 1))
        if shown == count:
            row = min((self.height() - head) / count, MOST_ROW * zoom)
        ys = tuple(round(head + row * at) for at in range(shown + 1))
        self.grid = Grid((0, max(self.width(), 1)), ys, up=False)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        row, _ = self.cell_at(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and row >= 0:
            self.choose(row, 1 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 0)

    def paint_base(self, painter: QPainter) -> None:
        grid = self.grid
        if grid is None:
            return
        now, pen, zoom = theme.current(), token_pen(11), theme.zoom()
        name, number = NAME * zoom, NUMBER * zoom
        eta = bool(np.isfinite(self.eta).any())
        end = self.width() - (number if eta else 0)
        muted = now.color("muted")
        head = HEAD * zoom
        pen.draw(painter, QRectF(name, 0, end - name, head), "variance, %", muted, 1)
        if eta:
            pen.draw(painter, QRectF(end, 0, number, head), "η², %", muted, 1)
        reach = float(np.nanmax(self.explained)) or 1.0
        room = max(end - number - name - GAP, 4)
        for row in range(grid.rows):
            box = QRectF(grid.cell_rect(row, 0))
            role = {self.shown[0]: "across", self.shown[1]: "up"}.get(row, "")
            strong = token_pen(11, 600 if role else 400)
            left = QRectF(4, box.top(), name - 4, box.height())
            strong.draw(painter, left, f"{row + 1} {role}".strip(),
                        now.color("accent" if role else "text"), 0)  # fmt: skip
            share = float(self.explained[row])
            if not np.isfinite(share):
                continue
            ink = now.color("accent", 0.85 if role else 0.4)
            wide = max(share / reach * room, 1)
            painter.fillRect(QRectF(name, box.center().y() - 4, wide, 8), ink)
            number_box = QRectF(end - number, box.top(), number, box.height())
            pen.draw(painter, number_box, shades.figure(100 * share, 1), now.color("text"), 1)
            value = float(self.eta[row]) if eta else np.nan
            if np.isfinite(value):  # bold where shuffled labels do not reach it
                above = not value <= float(self.null[row])
                text = shades.figure(100 * value, 1)
                last = QRectF(end, box.top(), number, box.height())
                token_pen(11, 600 if above else 400).draw(
                    painter, last, text, now.color("text") if above else muted, 1)  # fmt: skip

    def paint_overlay(self, painter: QPainter) -> None:
        grid = self.grid
        if grid is None:
            return
        row = self.hover[0]
        if 0 <= row < grid.rows:
            painter.fillRect(grid.row_rect(row), theme.current().color("accent", 0.08))
        if self.hasFocus() and 0 <= self.chosen[0] < grid.rows:
            painter.setPen(QPen(theme.current().color("accent"), 1))
            painter.drawRect(grid.row_rect(self.chosen[0]).adjusted(0, 0, -1, -1))
