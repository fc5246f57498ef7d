"""WheelStrip: small wheels of many instances in rows; one is chosen."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.plots.arrows import colours_of
from gui.plots.canvas import Canvas
from gui.plots.grid import NOWHERE, Grid, edges
from gui.plots.tokens import token_pen

Array = np.ndarray
PITCH, LABEL = 62, 15  # px of a wheel, and of the line under it
MOST = 40  # wheels that are drawn; the chosen one is always among them


class WheelStrip(Canvas):
    """`set_data` gives instances; clicked gives (0, index among all instances)."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "instances") -> None:
        super().__init__(parent, name)
        self.arrows = np.zeros((0, 2, 0))  # [instance, d_hidden, feature]
        self.importance = np.zeros((0, 0))  # [instance, feature]
        self.labels: list[str] = []
        self.first = self.current = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_empty("Instances will be here.")

    def set_data(self, arrows: Array, importance: Array, labels: list[str], current: int) -> None:
        """arrows [instance, d_hidden, feature], of which two dimensions are drawn."""
        if len(arrows) != len(self.arrows):
            self.hover = self.chosen = NOWHERE
        self.arrows, self.importance, self.labels = (
            np.asarray(arrows),
            np.asarray(importance),
            labels,
        )
        self.current = current
        self.set_empty("" if len(arrows) else "No instances to show.")

    def describe(self, row: int, col: int) -> str:
        at = self.first + col
        return f"instance {at + 1} of {len(self.arrows)}, {self.labels[at]}"

    def sizeHint(self) -> QSize:
        return QSize(300, PITCH + LABEL)

    def minimumSizeHint(self) -> QSize:
        return QSize(PITCH, PITCH + LABEL)

    def page_height(self, width: int) -> int:
        return PITCH + LABEL

    def lay_out(self) -> None:
        fit = min(max(self.width() // PITCH, 1), MOST, len(self.arrows))
        self.grid = None
        if fit:
            self.first = min(max(self.current - fit // 2, 0), len(self.arrows) - fit)
            self.grid = Grid(edges(0, fit * PITCH, fit), (0, PITCH + LABEL), up=False)

    def choose(self, row: int, col: int) -> None:
        """In instances, though the grid has only those that fit."""
        self.current = self.first + col
        self.chosen = (row, col)
        self.setAccessibleDescription(self.describe(row, col))
        self.clicked.emit(row, self.current)
        self.changed()

    def paint_base(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        now, pen, bold = theme.current(), token_pen(11), token_pen(11, 600)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        for col in range(self.grid.cols):
            at, box = self.first + col, QRectF(self.grid.cell_rect(0, col))
            box = box.adjusted(2, 1, -2, -1)
            mine = at == self.current
            if mine:
                painter.setPen(QPen(now.color("accent"), 1))
                painter.setBrush(now.color("selection"))
                painter.drawRoundedRect(box, 4, 4)
            middle = QPointF(box.center().x(), box.top() + PITCH / 2 - 1)
            unit = PITCH / 2 / 1.45
            painter.setPen(QPen(now.color("field"), 0.8))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(middle, unit, unit)
            for tip, colour in zip(self.arrows[at].T, colours_of(self.importance[at]), strict=True):
                x, y = float(tip[0]), float(tip[1]) if len(tip) > 1 else 0.0
                if np.isfinite([x, y]).all() and np.hypot(x, y) > 0.05:
                    painter.setPen(QPen(colour, 1.6))
                    painter.drawLine(
                        QLineF(middle, QPointF(middle.x() + x * unit, middle.y() - y * unit))
                    )
            line = QRectF(box.left(), box.bottom() - LABEL, box.width(), LABEL)
            shade = now.color("accent" if mine else "muted")
            (bold if mine else pen).draw(painter, line, self.labels[at], shade)

    def paint_overlay(self, painter: QPainter) -> None:
        if self.grid is not None and self.hover != NOWHERE:
            box = QRectF(self.grid.cell_rect(*self.hover)).adjusted(2, 1, -2, -1)
            painter.setPen(QPen(theme.current().color("text"), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box, 4, 4)
