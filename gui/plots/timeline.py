"""Timeline: what was done over what came of it, along the steps, and where one looks now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QLineF, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.plots.canvas import Canvas
from gui.plots.curve import ticks
from gui.plots.grid import NOWHERE
from gui.plots.tokens import token_pen

Array = np.ndarray
TOP, LINE, BAND, GAP = 4, 18, 20, 5  # px: above; of the upper row; of the lower one; between
AXIS = 20  # px of the steps
LARGE = 10  # records that PageUp and PageDown go


@dataclass(frozen=True)
class Stretch:
    """From a step to a step; strength 0 to 1 shades it, and its text says what it is."""

    first: int
    last: int
    text: str
    strength: float = 0.0


class Timeline(Canvas):
    """Two rows of stretches over recorded steps; `scrubbed` gives the index of a record."""

    scrubbed = Signal(int)

    def __init__(self, parent: QWidget | None = None, *, name: str = "timeline") -> None:
        super().__init__(parent, name)
        self.above: list[Stretch] = []
        self.below: list[Stretch] = []
        self.names = ("density", "shape", "step")
        self.steps = np.zeros(0, int)  # [record], growing
        self.at = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_empty("What was recorded will be here.")

    def set_data(
        self,
        steps: Array,
        at: int,
        above: Sequence[Stretch],
        below: Sequence[Stretch],
        names: tuple[str, str, str] = ("density", "shape", "step"),
    ) -> None:
        """steps [record] that were recorded, at: the record in the picture."""
        self.steps = np.asarray(steps, int)
        self.above, self.below, self.names = list(above), list(below), names
        self.at = int(np.clip(at, 0, max(len(self.steps) - 1, 0)))
        self.set_empty("" if len(self.steps) else "No steps were recorded.")

    def show_record(self, at: int) -> None:
        at = int(np.clip(at, 0, max(len(self.steps) - 1, 0)))
        if at != self.at:
            self.at = at
            self.repaint_base()

    def describe(self, row: int, col: int) -> str:
        step = int(self.steps[col])
        said = [f"step {step:,}"]
        for name, stretches in zip(self.names, (self.above, self.below), strict=False):
            held = [s.text for s in stretches if s.first <= step <= s.last]
            said += [f"{name} {held[-1]}"] if held else []
        return ", ".join(said)

    # layout

    def sizeHint(self) -> QSize:
        return QSize(420, TOP + LINE + GAP + BAND + AXIS)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def page_height(self, width: int) -> int:
        return self.sizeHint().height()

    def lay_out(self) -> None:
        pen = token_pen(11)
        self.left = int(max(pen.width(name) for name in self.names)) + 14
        self.right = max(self.width() - 10, self.left + 20)
        self.row_above = QRect(0, TOP, self.width(), LINE)
        self.row_below = QRect(0, TOP + LINE + GAP, self.width(), BAND)
        self.end = max(int(self.steps[-1]), 1) if len(self.steps) else 1

    def x_of(self, step: float) -> float:
        return self.left + step / self.end * (self.right - self.left)

    def record_at(self, x: float) -> int:
        """The record nearest to a pixel."""
        step = (x - self.left) / max(self.right - self.left, 1) * self.end
        return int(np.abs(self.steps - step).argmin())

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        self.settle()
        if self._empty or not self.left - 6 <= where.x() <= self.right + 8:
            return NOWHERE
        return 0, self.record_at(where.x())

    # moving

    def _go(self, at: int) -> None:
        at = int(np.clip(at, 0, max(len(self.steps) - 1, 0)))
        self.show_record(at)
        self.setAccessibleDescription(self.describe(0, at))
        self.scrubbed.emit(at)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and cell != NOWHERE:
            self._go(cell[1])

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton and not self._empty:
            self._go(self.record_at(event.position().x()))
        else:
            super().mouseMoveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = len(self.steps) - 1
        to = {
            Qt.Key.Key_Left: self.at - 1, Qt.Key.Key_Right: self.at + 1,
            Qt.Key.Key_PageUp: self.at - LARGE, Qt.Key.Key_PageDown: self.at + LARGE,
            Qt.Key.Key_Home: 0, Qt.Key.Key_End: last,
        }.get(Qt.Key(event.key()))  # fmt: skip
        if to is None or self._empty:
            super().keyPressEvent(event)
            return
        self._go(to)

    # painting

    def paint_base(self, painter: QPainter) -> None:
        now, pen = theme.current(), token_pen(11)
        for name, y in zip(self.names, (self.row_above.center().y(), self.row_below.center().y(),
                                        self.row_below.bottom() + 11), strict=True):  # fmt: skip
            pen.draw(painter, QRectF(0, y - 8, self.left - 8, 16), name, now.color("muted"), 0)
        self._paint_above(painter)
        self._paint_below(painter)
        y = self.row_below.bottom() + 3
        most = min(max(int((self.right - self.left) / 70), 1), 8)
        for mark in ticks(0, self.end, most):
            word = f"{abs(mark):,.0f}"
            wide = pen.width(word) + 2
            x = min(max(self.x_of(mark), self.left + wide / 2), self.width() - wide / 2)
            pen.draw(painter, QRectF(x - wide / 2, y, wide, 16), word, now.color("muted"))
        self._paint_now(painter)

    def _paint_above(self, painter: QPainter) -> None:
        """A line with a corner at every beginning, and its value beside the corner."""
        now, pen = theme.current(), token_pen(11)
        painter.setPen(QPen(now.color("muted"), 0.75 if theme.paper() else 1))
        bottom = self.row_above.bottom() + 0.5
        gold = self._marker()
        for at, part in enumerate(self.above):
            x = round(self.x_of(part.first)) + 0.5
            next_x = self.x_of(self.above[at + 1].first) if at + 1 < len(self.above) else self.right
            painter.setPen(QPen(now.color("muted"), 0.75 if theme.paper() else 1))
            painter.drawLine(QLineF(x, self.row_above.top() + 3, x, bottom))
            painter.drawLine(QLineF(x, bottom, next_x - 3, bottom))
            room = next_x - x - 8
            box = QRectF(x + 5, self.row_above.top(), pen.width(part.text) + 2, LINE - 2)
            if pen.width(part.text) <= room and not box.adjusted(-2, 0, 2, 0).intersects(gold):
                pen.draw(painter, box, part.text, now.color("text"), 0)

    def _paint_below(self, painter: QPainter) -> None:
        now, pen = theme.current(), token_pen(11, 500)
        table = theme.probability_lut()  # [256, 4]
        for part in self.below:
            left, right = self.x_of(part.first), self.x_of(part.last)
            box = QRectF(left, self.row_below.top(), max(right - left, 1.0), BAND)
            colour = table[round(30 + 200 * min(max(part.strength, 0.0), 1.0))]
            painter.fillRect(box.adjusted(0.5, 0, -0.5, 0), theme.color_of(colour))
            if pen.width(part.text) + 12 <= box.width():
                pen.draw(painter, box.adjusted(7, 0, 0, 0), part.text, theme.text_on(colour), 0)
        if not self.below:
            painter.fillRect(
                QRectF(self.left, self.row_below.top(), self.right - self.left, BAND),
                now.color("track"),
            )

    def _words(self) -> str:
        step = int(self.steps[self.at]) if len(self.steps) else 0
        return f"{'now' if self.at == len(self.steps) - 1 else 'at'} {step:,}"

    def _marker(self) -> QRectF:
        """Where the words of the gold marker stand."""
        pen = token_pen(11, 600)
        wide = pen.width(self._words()) + 4
        x = self.x_of(int(self.steps[self.at])) if len(self.steps) else self.left
        left = x - wide - 9 if x - wide - 9 > self.left else x + 9
        return QRectF(left, self.row_above.top() - 2, wide, LINE - 2)

    def _paint_now(self, painter: QPainter) -> None:
        if not len(self.steps):
            return
        now, pen = theme.current(), token_pen(11, 600)
        x = self.x_of(int(self.steps[self.at]))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(QPen(now.color("gold"), 2))
        top = self.row_above.top() + 5
        painter.drawLine(QLineF(x, top, x, self.row_below.bottom() + 3))
        painter.setPen(QPen(now.color("panel"), 1))
        painter.setBrush(now.color("gold"))
        painter.drawEllipse(QPointF(x, top), 5, 5)
        pen.draw(painter, self._marker(), self._words(), now.color("text"), 0.5)

    def paint_overlay(self, painter: QPainter) -> None:
        if self.hover != NOWHERE and 0 <= self.hover[1] < len(self.steps):
            x = round(self.x_of(int(self.steps[self.hover[1]]))) + 0.5
            painter.setPen(QPen(theme.current().color("text", 0.6), 1))
            painter.drawLine(QLineF(x, self.row_above.top(), x, self.row_below.bottom()))
        if self.hasFocus():
            painter.setPen(QPen(theme.current().color("accent"), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            box = QRectF(self.row_below).adjusted(0, -2, 0, 2)
            box.setLeft(self.left - 2.0)
            box.setRight(self.right + 2.0)
            painter.drawRect(box)
