"""Overlay: two curves over one axis, A solid and B dashed, with their names above them."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.axes import GAP, ColLabels
from gui.plots.canvas import Canvas
from gui.plots.curve import ticks
from gui.plots.grid import Grid, edges
from gui.plots.tokens import token_pen, token_text

Array = np.ndarray
HEAD, SAMPLE = 24, 22  # px: the line of names; the piece of line beside a name
MANY = 60  # points: beyond it the curve alone is drawn


class Overlay(Canvas):
    """`set_curves` gives a picture; clicked gives (0, index)."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "two curves") -> None:
        super().__init__(parent, name)
        self.curves: tuple[Array, Array] = (np.zeros(0), np.zeros(0))  # [index] each
        self.names = ("A", "B")
        self.labels: list[str] = []
        self.tokens = False
        self.axis_title = ""
        self._focus: int | None = None

    def set_curves(
        self,
        a: Array,
        b: Array,
        labels: Sequence[str],
        *,
        names: tuple[str, str] = ("A", "B"),
        tokens: bool = False,
        axis_title: str = "",
    ) -> None:
        """Two curves [index] of one length over the same labels."""
        self.curves = (np.asarray(a, np.float64), np.asarray(b, np.float64))
        self.labels, self.names, self.tokens = list(labels), names, tokens
        self.axis_title = axis_title
        values = np.concatenate(self.curves)  # [2 index]
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
        low, high = min(low, 0.0), max(high, 0.0)
        self.limits = (low, high if high > low else low + 1)
        self.set_empty("" if labels else "No values to show.")

    def set_focus(self, index: int | None) -> None:
        if index != self._focus:
            self._focus = index
            self.repaint_base()

    def describe(self, row: int, col: int) -> str:
        said = [shades.figure(float(curve[col]), 4) for curve in self.curves]
        return f"{token_text(self.labels[col])} ({col}): A {said[0]}, B {said[1]}"

    def minimumSizeHint(self) -> QSize:
        return QSize(160, 100)

    def colours(self) -> tuple[QColor, QColor]:
        return theme.current().color("accent"), theme.okabe_ito(5)

    def lay_out(self) -> None:
        self.grid = None
        n = len(self.labels)
        if not n:
            return
        pen = token_pen(11)
        low, high = self.limits
        self._ticks = ticks(low, high, 4)
        self._places = max(
            (len(f"{t:.6f}".rstrip("0").split(".")[1]) for t in self._ticks), default=0
        )
        widest = max((pen.width(shades.figure(t, self._places)) for t in self._ticks), default=0)
        title = pen.width(self.axis_title) if self.axis_title else 0
        left = int(max(widest, title)) + GAP + 4
        subs = [str(i) for i in range(n)] if self.tokens else None
        self._cols = ColLabels(self.labels, self.tokens, subs)
        xs = edges(left, max(self.width() - left - 4, 1), n)
        below = self._cols.height((xs[-1] - xs[0]) / n)
        head = round(HEAD * theme.zoom())
        bottom = max(self.height() - below, head + 2)
        self.grid = Grid(xs, (head, bottom), False)

    def at(self, index: int, value: float) -> QPointF:
        """Pixel of a value."""
        assert self.grid is not None
        box = self.grid.cell_rect(0, index)
        low, high = self.limits
        y = box.bottom() - (value - low) / (high - low) * (box.height() - 1)
        return QPointF(box.center().x() + 0.5, y)

    def paint_base(self, painter: QPainter) -> None:
        grid = self.grid
        if grid is None:
            return
        now, pen, box = theme.current(), token_pen(11), grid.rect
        for tick in self._ticks:
            y = round(self.at(0, tick).y()) + 0.5
            painter.setPen(QPen(now.color("field" if tick == 0 else "line"), 1))
            painter.drawLine(QLineF(box.left(), y, box.right(), y))
            left = QRectF(0, y - pen.height / 2, box.left() - GAP, pen.height)
            text = shades.figure(tick, self._places)
            pen.draw(painter, left, text, now.color("muted"), 1)
        self._cols.paint(painter, grid, self._focus, box.bottom() + 1)
        if self.axis_title:
            left = QRectF(0, box.bottom() + 1 + GAP, box.left() - GAP, self._cols.pen.height)
            pen.draw(painter, left, self.axis_title, now.color("muted"), 1)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        x = float(box.left())
        for index, (curve, colour) in enumerate(zip(self.curves, self.colours(), strict=True)):
            line = QPen(colour, 1.75)
            if index:
                line.setDashPattern([4, 3])
            self._paint_curve(painter, curve, line)
            middle = (box.top() - 8) / 2
            painter.setPen(line)
            painter.drawLine(QLineF(x, middle, x + SAMPLE, middle))
            room = max((box.right() - box.left()) / 2 - SAMPLE - 24, 1.0)
            wide = min(pen.width(self.names[index]) + 2, room)
            name = QRectF(x + SAMPLE + 6, middle - pen.height / 2, wide, pen.height)
            pen.draw(painter, name, self.names[index], now.color("text"), 0)
            x += SAMPLE + 6 + wide + 16

    def _paint_curve(self, painter: QPainter, curve: Array, line: QPen) -> None:
        points = [(i, self.at(i, float(v))) for i, v in enumerate(curve) if np.isfinite(v)]
        painter.setPen(line)
        for (index, start), (after, end) in pairwise(points):
            if after == index + 1:
                painter.drawLine(start, end)
        if len(curve) <= MANY:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(line.color())
            for _, point in points:
                painter.drawEllipse(point, 2.5, 2.5)

    def paint_overlay(self, painter: QPainter) -> None:
        for col, share in ((self.hover[1], 0.11), (self._focus, 0.07)):
            if self.grid is not None and col is not None and 0 <= col < self.grid.cols:
                wash = theme.current().color("accent", share)
                painter.fillRect(self.grid.cell_rect(0, col), wash)
