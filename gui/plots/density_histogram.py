"""DensityHistogram: latents counted by how often they are active, or by any other number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QLineF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.curve import ticks
from gui.plots.grid import Grid
from gui.plots.step_parts import Level
from gui.plots.tokens import token_pen

Array = np.ndarray
TOP, LINE, LEFT, RIGHT = 16, 15, 40, 10  # px
SILENT, APART = 26, 20  # px of the bar of those without a number, and from there to the axis
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class DensityHistogram(Canvas):
    """`set_data` gives edges and counts; clicked gives (0, bin), where bin 0 may be the silent."""

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        name: str = "histogram of latents",
        empty: str = "How often each latent is active will be here.",
    ) -> None:
        super().__init__(parent, name)
        self.nothing = empty
        self.edges = np.zeros(1)  # [bin + 1]
        self.counts = np.zeros(0, int)  # [bin]
        self.silent: int | None = None
        self.title, self.log, self.marks = "", True, ()
        self.box = QRectF()
        self.set_empty(empty)

    def set_data(
        self,
        edges: Array,
        counts: Array,
        *,
        title: str,
        silent: int | None = None,
        log: bool = True,
        marks: Sequence[Level] = (),
    ) -> None:
        """edges [bin + 1], with `log` the logarithms to base 10; counts [bin].

        silent: how many have no number to be counted by, a bar of its own; None = no such bar.
        marks: named lines across, where the axis has them. A logarithmic axis leaves out whole
        powers of ten at both ends that are empty.
        """
        edges, counts = np.asarray(edges, float), np.asarray(counts, int)
        some = np.flatnonzero(counts)
        if len(some) and log:  # to whole powers of ten, so that the axis stands while counts move
            first, last = some[0], some[-1] + 1
            low, high = np.floor(edges[first] + 1e-9), np.ceil(edges[last] - 1e-9)
            inside = np.flatnonzero((edges >= low - 1e-9) & (edges <= high + 1e-9))
            first, last = min(inside[0], first), max(inside[-1], last)
            edges, counts = edges[first : last + 1], counts[first:last]
        self.edges, self.counts, self.silent = edges, counts, silent
        self.title, self.log, self.marks = title, log, tuple(marks)
        known = len(some) or bool(silent)
        self.count_things(len(counts))
        self.set_empty("" if known else self.nothing)

    @property
    def _offset(self) -> int:
        return 0 if self.silent is None else 1

    def _number(self, value: float) -> str:
        if not self.log:
            return shades.figure(value, 2)
        return f"{10**value:.2g}" if value > -3 else f"{10**value:.1e}".replace("e-0", "e-")

    def describe(self, row: int, col: int) -> str:
        total = int(self.counts.sum()) + int(self.silent or 0)
        if self.silent is not None and col == 0:
            return f"{self.silent:,} of {total:,} latents were never active"
        at = min(max(col - self._offset, 0), len(self.counts) - 1)
        low, high = (self._number(float(self.edges[each])) for each in (at, at + 1))
        return f"{int(self.counts[at]):,} of {total:,} latents: {low} to {high}"

    def sizeHint(self) -> QSize:
        return QSize(360, 170)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 70)

    def page_height(self, width: int) -> int:
        return min(round(width * 0.45), 170)

    # layout

    def lay_out(self) -> None:
        self.grid = None
        if self._empty:
            return
        zoom = theme.zoom()
        left, below = LEFT * zoom, (2 if self.title else 1) * LINE * zoom + 6
        self.aside = QRectF()
        bottom = max(self.height() - below, TOP * zoom + 10)
        if self.silent is not None:
            self.aside = QRectF(left, TOP * zoom, SILENT * zoom, bottom - TOP * zoom)
            left += (SILENT + APART) * zoom
        right = max(self.width() - RIGHT * zoom, left + 10)
        self.box = QRectF(left, TOP * zoom, right - left, bottom - TOP * zoom)
        xs = np.rint(np.linspace(self.box.left(), self.box.right(), len(self.counts) + 1))
        inner = [int(x) for x in xs]
        if self.silent is not None:
            inner = [round(self.aside.left()), *inner]
        self.grid = Grid(tuple(inner), (int(self.box.top()), int(bottom)), up=False)

    def x(self, value: float) -> float:
        low, high = float(self.edges[0]), float(self.edges[-1])
        return self.box.left() + (value - low) / max(high - low, 1e-9) * self.box.width()

    # painting

    def paint_base(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        now, box = theme.current(), self.box
        most = max(int(self.counts.max(initial=0)), int(self.silent or 0), 1)
        self._paint_axes(painter, most)
        high = box.height() - 1
        xs = [self.x(float(edge)) for edge in self.edges]
        gap = 1.0 if len(self.counts) and box.width() / len(self.counts) > 5 else 0.0
        for at, count in enumerate(self.counts.tolist()):
            if count:
                tall = max(count / most * high, 1.5)
                bar = QRectF(xs[at], box.bottom() - tall, xs[at + 1] - xs[at] - gap, tall)
                painter.fillRect(bar, now.color("accent", 0.75))
        if self.silent:
            tall = max(self.silent / most * high, 1.5)
            bar = QRectF(self.aside.left(), box.bottom() - tall, self.aside.width(), tall)
            painter.fillRect(bar, now.color("faint", 0.35))
            painter.fillRect(bar, QBrush(now.color("muted"), Qt.BrushStyle.BDiagPattern))
        self._paint_marks(painter)

    def _paint_axes(self, painter: QPainter, most: int) -> None:
        now, pen, box = theme.current(), token_pen(11), self.box
        muted, zoom = now.color("muted"), theme.zoom()
        thin = QPen(now.color("line"), 0.75 if theme.paper() else 1)
        for mark in [m for m in ticks(0, most, 3 if box.height() > 70 else 1) if m == int(m)]:
            y = box.bottom() - mark / most * (box.height() - 1)
            painter.setPen(thin)
            painter.drawLine(QLineF(LEFT * zoom - 4, y, LEFT * zoom, y))
            word = QRectF(0, y - 8, LEFT * zoom - 6, 16)
            pen.draw(painter, word, f"{abs(mark):,.0f}", muted, 1)
        painter.setPen(thin)
        y = round(box.bottom()) + 0.5
        painter.drawLine(QLineF(box.left(), y, box.right(), y))
        if self.silent is not None:
            painter.drawLine(QLineF(self.aside.left(), y, self.aside.right(), y))
            word = QRectF(self.aside.left() - 10, y + 3, self.aside.width() + 20, LINE * zoom)
            pen.draw(painter, word, "never", muted)
        for mark, word in self._numbers():
            x = self.x(mark)
            painter.setPen(thin)
            painter.drawLine(QLineF(x, y, x, y + 3))
            wide = pen.width(word) + 2
            x = min(max(x - wide / 2, box.left() - wide / 2), self.width() - wide)
            pen.draw(painter, QRectF(x, y + 3, wide, LINE * zoom), word, muted)
        below = QRectF(box.left(), y + 3 + LINE * zoom, box.width(), LINE * zoom)
        pen.draw(painter, below, self.title, muted, 0.5)

    def _numbers(self) -> list[tuple[float, str]]:
        low, high = float(self.edges[0]), float(self.edges[-1])
        many = max(int(self.box.width() / (46 * theme.zoom())), 1)
        if not self.log:
            marks = ticks(low, high, many)
            places = max((len(f"{m:.3f}".rstrip("0").split(".")[1]) for m in marks), default=0)
            return [(mark, shades.figure(mark, places)) for mark in marks]
        powers = np.arange(np.ceil(low - 1e-9), high + 1e-9)
        powers = powers[:: -(-len(powers) // many)] if len(powers) else powers
        return [(float(n), _power(int(n))) for n in powers]

    def _paint_marks(self, painter: QPainter) -> None:
        """Named lines; a name stands over the bars."""
        now, pen = theme.current(), token_pen(11)
        for mark in self.marks:
            if not self.edges[0] <= mark.value <= self.edges[-1]:
                continue
            dashes = QPen(now.color("muted"), 1)
            dashes.setDashPattern([4, 3])
            painter.setPen(dashes)
            x = round(self.x(mark.value)) + 0.5
            painter.drawLine(QLineF(x, self.box.top(), x, self.box.bottom()))
            wide = pen.width(mark.name) + 2
            left = min(max(x - wide / 2, 0), self.width() - wide)
            pen.draw(painter, QRectF(left, 0, wide, self.box.top()), mark.name, now.color("muted"))

    def paint_overlay(self, painter: QPainter) -> None:
        col = self.hover[1]
        if self.grid is not None and 0 <= col < self.grid.cols:
            box = self.aside if self._offset and col == 0 else QRectF(self.grid.col_rect(col))
            painter.fillRect(box, theme.current().color("accent", 0.12))


def _power(n: int) -> str:
    """1, 0.1, 0.01, then 10⁻³ and on."""
    return f"{10.0**n:g}" if n >= -2 else f"10{str(n).translate(RAISED)}"
