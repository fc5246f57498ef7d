"""ActivationHistogram: how often a feature is active how strongly; the height is logarithmic."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QLineF, QPoint, QRectF, QSize
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.curve import ticks
from gui.plots.grid import NOWHERE, Grid
from gui.plots.tokens import token_pen

Array = np.ndarray
LEFT, LINE, AXIS = 50, 16, 34  # px


class ActivationHistogram(Canvas):
    """`set_data` gives counts between edges; cuts are the activations that part the bands."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "activations") -> None:
        super().__init__(parent, name)
        self.counts, self.edges = np.zeros(0, int), np.zeros(1)  # [bin], [bin + 1]
        self.cuts, self.names = np.zeros(0), []
        self.title = ""
        self.box = QRectF()
        self.set_empty("How strongly it is active will be here.")

    def set_data(
        self, counts: Array, edges: Array, cuts: Array | None = None, *, title: str = "activation",
        nothing: str = "It is never active on this text.",
    ) -> None:  # fmt: skip
        """counts [bin], edges [bin + 1], cuts [cut]: drawn as quiet dashed lines."""
        counts, edges = np.asarray(counts), np.asarray(edges, np.float64)
        some = np.flatnonzero(counts)
        self.title, self.hover = title, NOWHERE
        if not len(some) or not np.isfinite(edges).all():
            self.counts, self.edges = np.zeros(0, int), np.zeros(1)
            self.set_empty(nothing)
            return
        low = min(int(some[0]), int(np.searchsorted(edges, 0.0, "right")) - 1)
        low, high = max(low, 0), int(some[-1]) + 1
        self.counts, self.edges = counts[low:high], edges[low : high + 1]
        cuts = np.asarray([] if cuts is None else cuts, np.float64)  # [cut]
        self.cuts = cuts[np.isfinite(cuts) & (cuts > self.edges[0]) & (cuts < self.edges[-1])]
        self.set_empty("")

    def describe(self, row: int, col: int) -> str:
        if not 0 <= col < len(self.counts):
            return ""
        places = shades.decimals(float(np.abs(self.edges).max()))
        low, high = (shades.figure(float(self.edges[at]), places) for at in (col, col + 1))
        count = int(self.counts[col])
        return f"{low} to {high}: {count:,} token{'' if count == 1 else 's'}"

    def sizeHint(self) -> QSize:
        return QSize(260, 130)

    def minimumSizeHint(self) -> QSize:
        return QSize(140, 84)

    def page_height(self, width: int) -> int:
        return min(round(width * 0.4), 150)

    def lay_out(self) -> None:
        self.grid = None
        if self.is_empty():
            return
        zoom = theme.zoom()
        self.box = QRectF(LEFT * zoom, 6, max(self.width() - LEFT * zoom - 10, 10),
                          max(self.height() - 6 - AXIS * zoom, 10))  # fmt: skip
        xs = np.rint([self.x(float(edge)) for edge in self.edges])  # [bin + 1]
        ys = (int(self.box.top()), int(self.box.bottom()))
        self.grid = Grid(tuple(int(x) for x in xs), ys, up=False)

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        cell = super().cell_at(where)
        return cell if cell == NOWHERE else (0, cell[1])

    def x(self, value: float) -> float:
        low, high = float(self.edges[0]), float(self.edges[-1])
        return self.box.left() + (value - low) / max(high - low, 1e-30) * self.box.width()

    def _height(self, count: float) -> float:
        """Of a bar: a count of 1 stands a little over the axis, so that none is lost."""
        most = max(np.log10(float(self.counts.max())), 0.3) + 0.15
        return (np.log10(count) + 0.15) / most * self.box.height() if count > 0 else 0.0

    def paint_base(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        now, pen, box = theme.current(), token_pen(11), self.box
        muted, line = now.color("muted"), LINE * theme.zoom()
        decade = 10 ** np.arange(int(np.log10(self.counts.max())) + 1)  # [mark]
        taken = box.bottom() + line
        for mark in decade:
            y = box.bottom() - self._height(float(mark))
            painter.setPen(QPen(now.color("line"), 1))
            painter.drawLine(QLineF(box.left(), round(y) + 0.5, box.right(), round(y) + 0.5))
            if taken - y >= line - 2 and y > box.top() - 2:
                where = QRectF(0, y - line / 2, box.left() - 5, line)
                pen.draw(painter, where, f"{mark:,}", muted, 1)
                taken = y
        for at, count in enumerate(self.counts):
            if count:
                left, right = self.grid.xs[at], self.grid.xs[at + 1]
                tall = self._height(float(count))
                bar = QRectF(left, box.bottom() - tall, max(right - left - (right - left > 3), 1),
                             tall)  # fmt: skip
                painter.fillRect(bar, now.color("accent", 0.75))
        painter.setPen(QPen(now.color("faint"), 1))
        painter.drawLine(QLineF(box.left(), round(box.bottom()) + 0.5, box.right(),
                                round(box.bottom()) + 0.5))  # fmt: skip
        dashes = QPen(muted, 1)
        dashes.setDashPattern([4, 3])
        painter.setPen(dashes)
        for cut in self.cuts:
            x = round(self.x(float(cut))) + 0.5
            painter.drawLine(QLineF(x, box.top(), x, box.bottom()))
        self._paint_axis(painter)

    def _paint_axis(self, painter: QPainter) -> None:
        now, pen, box = theme.current(), token_pen(11), self.box
        muted, line = now.color("muted"), LINE * theme.zoom()
        low, high = float(self.edges[0]), float(self.edges[-1])
        marks = ticks(low, high, max(min(int(box.width() / 50), 6), 1))
        places = max((len(f"{m:.4f}".rstrip("0").split(".")[1]) for m in marks), default=0)
        for mark in marks:
            word, x = shades.figure(mark, places), self.x(mark)
            wide = pen.width(word) + 2
            pen.draw(painter, QRectF(x - wide / 2, box.bottom() + 2, wide, line), word, muted)
        below = QRectF(box.left(), box.bottom() + 2 + line, box.width(), line)
        pen.draw(painter, below, self.title, muted, 0.5)

    def paint_overlay(self, painter: QPainter) -> None:
        col = self.hover[1]
        if self.grid is not None and 0 <= col < self.grid.cols:
            painter.fillRect(self.grid.col_rect(col), theme.current().color("accent", 0.12))
