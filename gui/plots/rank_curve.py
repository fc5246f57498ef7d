"""RankCurve: named values over layers, left to right; ranks stand on a log axis with 1 on top."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.axes import GAP
from gui.plots.canvas import Canvas
from gui.plots.curve import Line, shade_of, ticks
from gui.plots.grid import Grid, edges
from gui.plots.step_axis import spread
from gui.plots.tokens import token_pen, token_text

HEAD, LABEL = 22, 14  # px: the line of the title, a name at the right
MOST_LABEL, TIGHT = 132, 300  # px that the names take, and a narrower plot gives them a third
MARKED = 40  # layers: with more a line has no dots


class RankCurve(Canvas):
    """`set_lines` gives them; clicked gives (0, layer row)."""

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        name: str = "values by layer",
        empty: str = "Values by layer will be here.",
    ) -> None:
        super().__init__(parent, name)
        self.lines: list[Line] = []
        self.labels: list[str] = []
        self.title = self.unit = ""
        self.ranks = False
        self.limits: tuple[float, float] = (0.0, 1.0)
        self._nothing = empty
        self._focus: int | None = None
        self.set_empty(empty)

    def set_lines(
        self,
        lines: Sequence[Line],
        labels: Sequence[str],
        *,
        title: str = "",
        unit: str = "",
        ranks: bool = False,
        limits: tuple[float, float] | None = None,
    ) -> None:
        """values [row] of each line; ranks: they count from 1. limits None: as the values are.

        title stands above, unit is said with a value.
        """
        self.lines, self.labels, self.title, self.unit = list(lines), list(labels), title, unit
        self.ranks = ranks
        found = [np.asarray(line.values, np.float64) for line in lines]
        values = np.concatenate(found) if found else np.zeros(0)  # [line row]
        values = values[np.isfinite(values)]
        if limits is not None:
            self.limits = limits
        elif ranks:
            self.limits = (1.0, max(10.0, float(values.max(initial=10.0))))
        else:
            low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
            self.limits = (low, high if high > low else low + 1)
        if self.hover[1] >= len(self.labels):
            self.hover = (-1, -1)
        self.set_empty("" if self.lines and self.labels else self._nothing)

    def set_focus(self, row: int | None) -> None:
        """Light up a layer."""
        if row != self._focus:
            self._focus = row
            self.repaint_base()

    def describe(self, row: int, col: int) -> str:
        said = [f"{token_text(line.name)} {self._figure(float(line.values[col]), 3)}"
                for line in self.lines]  # fmt: skip
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.labels[col]}: " + ", ".join(said) + unit

    def _figure(self, value: float, places: int) -> str:
        if self.ranks and np.isfinite(value):
            return f"{value:,.0f}"
        return shades.figure(value, places)

    def sizeHint(self) -> QSize:
        return QSize(320, 200)

    def minimumSizeHint(self) -> QSize:
        return QSize(140, 80)

    def page_height(self, width: int) -> int:
        return min(round(width * 0.5), 220) if self.lines else 0

    # layout

    def lay_out(self) -> None:
        self.grid = None
        if self._empty:
            return
        zoom, pen = theme.zoom(), token_pen(11)
        self._marks = self._ticks()
        left = max((pen.width(word) for _, word in self._marks), default=0) + GAP + 4
        names = [token_pen(11, 500, mono=line.token).width(line.name) for line in self.lines]
        most = MOST_LABEL * zoom if self.width() >= TIGHT * zoom else self.width() / 3
        room = max(names, default=0) + pen.width(self._widest()) + 22
        self._names = min(room, most)
        xs = edges(left, max(self.width() - left - self._names, 8), len(self.labels))
        below = int(GAP + pen.height + 2)
        head = round(HEAD * zoom)
        self.grid = Grid(xs, (head, max(self.height() - below, head + 8)), False)

    def _widest(self) -> str:
        ends = [self._figure(value, 2) for value in self.limits]
        return max(ends, key=len)

    def _ticks(self) -> list[tuple[float, str]]:
        low, high = self.limits
        if self.ranks:
            powers = range(int(np.ceil(np.log10(high) - 1e-9)) + 1)
            return [
                (float(min(10**p, high)), _short(10**p)) for p in powers if 10**p <= high * 1.01
            ]
        marks = ticks(low, high, 4 if self.height() >= 140 * theme.zoom() else 2)
        places = max((len(f"{m:.6f}".rstrip("0").split(".")[1]) for m in marks), default=0)
        return [(mark, shades.figure(mark, places) if mark else "0") for mark in marks]

    def at(self, row: int, value: float) -> QPointF:
        """Pixel of a value at a layer."""
        box, (low, high) = self.cells.cell_rect(0, row), self.limits
        if self.ranks:
            share = 1 - np.log10(max(value, 1.0)) / np.log10(high)
        else:
            share = (value - low) / (high - low)
        x = box.left() + box.width() / 2
        return QPointF(x, box.bottom() - float(share) * (box.height() - 1))

    # painting

    def paint_base(self, painter: QPainter) -> None:
        grid = self.grid
        if grid is None:
            return
        now, pen, box = theme.current(), token_pen(11), grid.rect
        title = QRectF(0, 0, self.width(), HEAD * theme.zoom() - 6)
        pen.draw(painter, title, self.title, now.color("muted"), 0)
        for mark, word in self._marks:
            y = round(self.at(0, mark).y()) + 0.5
            painter.setPen(QPen(now.color("line"), 0.5 if theme.paper() else 1))
            painter.drawLine(QLineF(box.left(), y, box.right(), y))
            where = QRectF(0, y - pen.height / 2, box.left() - GAP, pen.height)
            pen.draw(painter, where, word, now.color("muted"), 1)
        focus = self._focus if theme.marks() else None
        self._paint_labels(painter, grid, focus)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        for line in reversed(self.lines):
            self._paint_line(painter, line, focus)
        self._paint_names(painter)

    def _paint_labels(self, painter: QPainter, grid: Grid, focus: int | None) -> None:
        """The layer in Focus, the first and the last one, and as many others as have room."""
        now, taken = theme.current(), []
        first = [] if focus is None or focus >= grid.cols else [focus]
        order: list[int] = [*first, 0, grid.cols - 1, *range(1, grid.cols - 1)]
        for col in order:
            lit = col == focus
            pen = token_pen(11, 600 if lit else 400)
            wide = pen.width(self.labels[col]) + 2
            middle = QRectF(grid.col_rect(col)).center().x()
            if any(abs(middle - at) < (wide + other) / 2 + 5 for at, other in taken):
                continue
            taken.append((middle, wide))
            box = QRectF(middle - wide / 2, grid.ys[-1] + GAP, wide, pen.height)
            pen.draw(painter, box, self.labels[col], now.color("accent" if lit else "muted"))

    def _points(self, line: Line) -> list[tuple[int, QPointF]]:
        return [(i, self.at(i, float(v))) for i, v in enumerate(line.values) if np.isfinite(v)]

    def _paint_line(self, painter: QPainter, line: Line, focus: int | None) -> None:
        colour, points = shade_of(line.colour), self._points(line)
        pen = QPen(colour, 1.25 if line.dashed else 1.75)
        if line.dashed:
            pen.setDashPattern([4, 3])
        painter.setPen(pen)
        for (row, start), (after, end) in pairwise(points):
            if after == row + 1:
                painter.drawLine(start, end)
        painter.setBrush(colour)
        painter.setPen(QPen(theme.current().color("panel"), 1))
        for row, point in points:
            if row == focus or (not line.dashed and len(self.labels) <= MARKED):
                size = 4.5 if row == focus else 3.0
                painter.drawEllipse(point, size, size)

    def _paint_names(self, painter: QPainter) -> None:
        """At the right end of each line, its name and its last value, apart from each other."""
        assert self.grid is not None
        known = [(line, self._points(line)) for line in self.lines]
        known = [(line, points[-1]) for line, points in known if points]
        high = LABEL * theme.zoom()
        places = spread([point.y() for _, (_, point) in known], high, high / 2,
                        self.height() - high / 2)  # fmt: skip
        left = self.grid.xs[-1] + 6
        for (line, (row, point)), y in zip(known, places, strict=True):
            pen = token_pen(11, 500, mono=line.token)
            number, small = self._figure(float(line.values[row]), 2), token_pen(11)
            wide = small.width(number) + 2
            room = max(self.width() - left - wide - 6, 8)
            colour = shade_of(line.colour)
            if abs(y - point.y()) > 3:
                painter.setPen(QPen(colour, 0.75))
                painter.drawLine(QLineF(point.x() + 5, point.y(), left - 2, y))
            name = QRectF(left, y - high / 2, room, high)
            pen.draw(painter, name, line.name, theme.current().color("text"), 0)
            at = left + min(pen.width(line.name), room) + 6
            small.draw(painter, QRectF(at, y - high / 2, wide, high), number, colour, 0)

    def paint_overlay(self, painter: QPainter) -> None:
        for col, alpha in ((self.hover[1], 0.11), (self._focus, 0.07)):
            if self.grid is not None and col is not None and 0 <= col < self.grid.cols:
                wash = theme.current().color("accent", alpha)
                painter.fillRect(self.grid.cell_rect(0, col), wash)


def _short(count: int) -> str:
    """10000 -> "10k"."""
    if count >= 1_000_000:
        return f"{count // 1_000_000}M"
    return f"{count // 1000}k" if count >= 1000 else str(count)
