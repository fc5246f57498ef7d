"""Confusion: how often each class was taken for each, as cells of counts with their shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.axes import every
from gui.plots.canvas import Canvas
from gui.plots.grid import Grid, frame
from gui.plots.shades import figure
from gui.plots.tokens import token_pen

Array = np.ndarray
LINE, GAP, MOST_CELL = 16, 6, 44  # px of a word's line, between words and cells, of a cell's height
ROWS = 24  # classes on a page or in a column; more are a table


class Confusion(Canvas):
    """`set_data` gives counts [true, predicted]; clicked gives (true, predicted)."""

    always_marked = True

    def __init__(self, parent: QWidget | None = None, *, name: str = "confusion") -> None:
        super().__init__(parent, name)
        self.counts = np.zeros((0, 0))  # [true, predicted]
        self.classes: list[str] = []
        self.tokens = False
        self._cell: tuple[int, int] | None = None
        self.set_empty("The confusion of the chosen site will be here.")

    def set_data(self, counts: Array, classes: Sequence[str], tokens: bool = False) -> None:
        """tokens: the classes are written as token text."""
        grows = len(classes) != len(self.classes)
        self.counts, self.classes = np.asarray(counts, np.float64), list(classes)
        self.tokens = tokens
        self.hover = (-1, -1) if grows else self.hover
        known = self.counts.size and np.isfinite(self.counts).any() and self.counts.sum() > 0
        self.set_empty("" if known else "The confusion of the chosen site will be here.")
        if grows:
            self.updateGeometry()

    def set_cell(self, cell: tuple[int, int] | None) -> None:
        """The cell whose examples are listed."""
        if cell != self._cell:
            self._cell = cell
            self.update()

    @property
    def share(self) -> Array:
        """Of the examples of a class [true, predicted]; NaN where there is none."""
        whole = self.counts.sum(axis=1, keepdims=True)  # [true, 1]
        return np.divide(
            self.counts, whole, out=np.full(self.counts.shape, np.nan), where=whole > 0
        )

    def describe(self, row: int, col: int) -> str:
        count, share = self.counts[row, col], self.share[row, col]
        part = f", {figure(100 * share, 1)} % of it" if np.isfinite(share) else ""
        said = f"true {self.classes[row]}, predicted {self.classes[col]}"
        return f"{said}: {count:,.0f}{part}"

    def _wanted(self, width: int) -> int:
        n = max(len(self.classes), 1)
        cell = min(MOST_CELL * theme.zoom(), max(width / (n + 1.5), 6))
        if n > ROWS:
            cell = max(min(cell, 360 / n), 2)
        return round(n * cell + 2 * LINE * theme.zoom() + 8)

    def sizeHint(self) -> QSize:
        return QSize(240, self._wanted(240))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 80)

    def wanted(self, width: int) -> int:
        """Pixels of height that suit the classes at a width."""
        return self._wanted(width)

    def page_height(self, width: int) -> int:
        return self._wanted(width)

    def lay_out(self) -> None:
        self.grid = None
        if self._empty:
            return
        pen, n, zoom = token_pen(11, mono=self.tokens), len(self.classes), theme.zoom()
        self.name_room = min(max(pen.width(name) for name in self.classes), self.width() * 0.3)
        line = LINE * zoom
        self.heading = token_pen(11).width("true") + 2
        left = self.name_room + GAP + 2
        top = 2 * line
        wide = (self.width() - left - 1) / n
        tall = min((self.height() - top - 1) / n, MOST_CELL * zoom)
        xs = tuple(int(e) for e in np.rint(left + np.arange(n + 1) * wide))
        ys = tuple(int(e) for e in np.rint(top + np.arange(n + 1) * tall))
        self.grid = Grid(xs, ys, up=False)

    def paint_base(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        grid, now, pen = self.grid, theme.current(), token_pen(11, mono=self.tokens)
        share = self.share  # [true, predicted]
        rgba = shades.shade(share, "probability", (0.0, 1.0))  # [true, predicted, 4]
        if shades.on_screen(painter) and grid.cell.width() < 3:
            shades.draw_pixels(painter, grid.rect, rgba)
        else:
            shades.draw_cells(painter, np.array(grid.xs), np.array(grid.ys), rgba)
        frame(painter, grid.rect)
        line = LINE * theme.zoom()
        muted, small = now.color("muted"), token_pen(11)
        small.draw(painter, QRectF(0, 0, grid.xs[0] - GAP, line), "true ↓", muted, 1)
        head = QRectF(grid.xs[0], 0, grid.rect.width(), line)
        small.draw(painter, head, "predicted", muted)
        widest = max(pen.width(name) for name in self.classes)
        step = 1 if grid.cell.width() > 24 else every(grid.cell.width(), min(widest, 40) + 4)
        for at in range(0, len(self.classes), step):
            box = QRectF(grid.xs[at], line, grid.cell.width() * step - 2, line)
            pen.draw(painter, box, self.classes[at], now.color("text"), 0.5 if step == 1 else 0)
        step = every(grid.rect.height() / grid.rows, pen.height)
        for at in range(0, len(self.classes), step):
            cell = grid.cell_rect(at, 0)
            y = cell.center().y() - line / 2
            pen.draw(painter, QRectF(0, y, grid.xs[0] - GAP, line), self.classes[at],
                     now.color("text"), 1)  # fmt: skip
        self._paint_figures(painter, rgba, share)

    def _paint_figures(self, painter: QPainter, rgba: Array, share: Array) -> None:
        assert self.grid is not None
        bold, small = token_pen(13, 600), token_pen(11)
        cell = self.grid.cell
        if cell.height() < 12:
            return
        two = cell.height() >= 32 * theme.zoom()
        widest = f"{self.counts.max():,.0f}"
        pen = bold if cell.height() >= 18 and bold.width(widest) + 6 <= cell.width() else small
        if pen.width(widest) + 2 > cell.width():
            return
        for true, row in enumerate(self.counts):
            for predicted, count in enumerate(row):
                if not count and len(row) > 2:
                    continue
                box = QRectF(self.grid.cell_rect(true, predicted))
                ink = theme.text_on(rgba[true, predicted])
                said = share[true, predicted]
                if two and np.isfinite(said) and small.width("100.0 %") + 4 < cell.width():
                    upper = QRectF(box.left(), box.top() + 3, box.width(), box.height() / 2)
                    lower = QRectF(box.left(), box.center().y() + 1, box.width(), box.height() / 2)
                    pen.draw(painter, upper, f"{count:,.0f}", ink)
                    small.draw(painter, lower.adjusted(0, -2, 0, -4),
                               f"{figure(100 * said, 1)} %", ink)  # fmt: skip
                else:
                    pen.draw(painter, box, f"{count:,.0f}", ink)

    def paint_overlay(self, painter: QPainter) -> None:
        grid = self.grid
        if grid is None:
            return
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for cell, token, wide in ((self.hover, "accent", 1), (self._cell, "accent", 2)):
            if cell is not None and 0 <= cell[0] < grid.rows and 0 <= cell[1] < grid.cols:
                painter.setPen(QPen(theme.current().color(token), wide))
                box: QRect = grid.cell_rect(*cell)
                painter.drawRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5))
