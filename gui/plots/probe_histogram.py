"""Projections: where the examples of each class lie along a direction, as steps over one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QLineF, QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.curve import shade_of, ticks
from gui.plots.grid import NOWHERE, Grid
from gui.plots.probe_marks import legible, paint_marker
from gui.plots.step_axis import polygon
from gui.plots.tokens import token_pen

Array = np.ndarray
LINE, AXIS, LEFT = 16, 34, 34  # px of a name, below the bars, at the left
BINS = (8, 40)
OUTLIER = 0.002  # share at either end that the axis may leave to its first and last bin


@dataclass(frozen=True)
class Group:
    """Values of the examples of one class. colour: a token or "okabe:3"."""

    name: str
    values: Array
    colour: str = "accent"
    marker: str = "disc"
    token: bool = False


class Projections(Canvas):
    """`set_data` gives up to about three groups; clicked gives (group, bin)."""

    def __init__(
        self, parent: QWidget | None = None, *, name: str = "projections by class"
    ) -> None:
        super().__init__(parent, name)
        self.groups: list[Group] = []
        self.title, self.threshold = "", float("nan")
        self.edges = np.zeros(1)  # [bin + 1]
        self.shares = np.zeros((0, 0))  # [group, bin] of each group's examples
        self.box = QRectF()
        self.set_empty("Where the examples of each class lie along the direction will be here.")

    def set_data(
        self, groups: Sequence[Group], *, title: str = "", threshold: float = float("nan")
    ) -> None:
        """title: of the axis; threshold: where the probe changes its mind, NaN = nowhere."""
        self.groups = [group for group in groups if np.isfinite(group.values).any()]
        self.title, self.threshold = title, threshold
        self.hover = NOWHERE
        self.set_empty(
            "" if self.groups
            else "Where the examples of each class lie along the direction will be here."
        )  # fmt: skip
        if self.groups:
            self._count()

    def _count(self) -> None:
        values = np.concatenate([group.values[np.isfinite(group.values)] for group in self.groups])
        low, high = np.quantile(values, [OUTLIER, 1 - OUTLIER])
        if np.isfinite(self.threshold):
            low, high = min(low, self.threshold), max(high, self.threshold)
        if high <= low:
            low, high = low - 0.5, low + 0.5
        many = int(np.clip(np.sqrt(len(values)) * 2, *BINS))
        self.edges = np.linspace(low, high, many + 1)  # [bin + 1]
        rows = []
        for group in self.groups:
            known = np.clip(group.values[np.isfinite(group.values)], low, high)
            count, _ = np.histogram(known, self.edges)
            rows.append(count / len(known))
        self.shares = np.array(rows)  # [group, bin]

    def describe(self, row: int, col: int) -> str:
        low, high = (shades.figure(float(self.edges[at]), 2) for at in (col, col + 1))
        said = [f"{self.title or 'projection'} {low} to {high}"]
        for group, share in zip(self.groups, self.shares, strict=True):
            said.append(f"{group.name}: {shades.figure(100 * float(share[col]), 1)} % of it")
        return "\n".join(said)

    def sizeHint(self) -> QSize:
        return QSize(420, 200)

    def minimumSizeHint(self) -> QSize:
        return QSize(140, 80)

    def page_height(self, width: int) -> int:
        return min(round(width * 0.5), 200)

    def lay_out(self) -> None:
        self.grid = None
        if self._empty:
            return
        zoom = theme.zoom()
        self.legend = self._legend()
        lines = 1 + max((line for line, *_ in self.legend), default=0)
        top = lines * LINE * zoom + 4
        self.box = QRectF(LEFT * zoom, top, max(self.width() - LEFT * zoom - 8, 10),
                          max(self.height() - top - AXIS * zoom, 10))  # fmt: skip
        xs = np.rint(np.linspace(self.box.left(), self.box.right(), len(self.edges)))
        ys = (int(top), int(self.box.bottom()))
        self.grid = Grid(tuple(int(x) for x in xs), ys, up=False)

    def _legend(self) -> list[tuple[int, float, Group, str]]:
        """Names above the bars: (line, x, group, text), wrapped at the widget's width."""
        placed, x, line = [], LEFT * theme.zoom(), 0
        for group, share in zip(self.groups, self.shares, strict=True):
            text = f"{len(group.values):,}" if len(share) else ""
            room = token_pen(11, 600, mono=group.token).width(group.name)
            room += token_pen(11).width(text) + 36
            if placed and x + room > self.width():
                x, line = LEFT * theme.zoom(), line + 1
            placed.append((line, x, group, text))
            x += room
        return placed

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        cell = super().cell_at(where)
        return cell if cell == NOWHERE else (0, cell[1])

    def x(self, value: float) -> float:
        low, high = float(self.edges[0]), float(self.edges[-1])
        return self.box.left() + (value - low) / (high - low) * self.box.width()

    def paint_base(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        now, pen, box = theme.current(), token_pen(11), self.box
        line = LINE * theme.zoom()
        for row, x, group, text in self.legend:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            y = row * line
            paint_marker(painter, QPointF(x + 6, y + line / 2), group.marker,
                         shade_of(group.colour))  # fmt: skip
            bold = token_pen(11, 600, mono=group.token)
            wide = bold.width(group.name) + 2
            bold.draw(painter, QRectF(x + 14, y, wide, line), group.name, legible(group.colour), 0)
            pen.draw(painter, QRectF(x + 18 + wide, y, pen.width(text) + 2, line), text,
                     now.color("muted"), 0)  # fmt: skip
        most = max(float(self.shares.max()), 1e-9)
        self._paint_axis(painter, most)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        for group, share in zip(self.groups, self.shares, strict=True):
            xs = np.repeat([self.x(float(edge)) for edge in self.edges], 2)  # [2 bin + 2]
            ys = box.bottom() - np.concatenate([[0], np.repeat(share, 2), [0]]) / most * (
                box.height() - 2
            )  # [2 bin + 2]
            shade = shade_of(group.colour)
            painter.setPen(QPen(shade, 1.25))
            fill = shade_of(group.colour)
            fill.setAlphaF(0.18)
            painter.setBrush(fill)
            painter.drawPolygon(polygon(xs, ys))
            painter.setBrush(Qt.BrushStyle.NoBrush)

    def _paint_axis(self, painter: QPainter, most: float) -> None:
        now, pen, box = theme.current(), token_pen(11), self.box
        muted, line = now.color("muted"), LINE * theme.zoom()
        painter.setPen(QPen(now.color("line"), 1))
        painter.drawLine(QLineF(box.left(), round(box.bottom()) + 0.5, box.right(),
                                round(box.bottom()) + 0.5))  # fmt: skip
        top = f"{shades.figure(100 * most, 0)} %"
        pen.draw(painter, QRectF(0, box.top() - 2, box.left() - 4, line), top, muted, 1)
        low, high = float(self.edges[0]), float(self.edges[-1])
        marks = ticks(low, high, max(min(int(box.width() / 60), 6), 1))
        places = max((len(f"{m:.4f}".rstrip("0").split(".")[1]) for m in marks), default=0)
        for mark in marks:
            x = self.x(mark)
            word = shades.figure(mark, places)
            wide = pen.width(word) + 2
            pen.draw(painter, QRectF(x - wide / 2, box.bottom() + 3, wide, 15), word, muted)
        below = QRectF(box.left(), box.bottom() + 3 + line, box.width(), line)
        pen.draw(painter, below, self.title, muted, 0.5)
        if np.isfinite(self.threshold):
            dashes = QPen(muted, 1)
            dashes.setDashPattern([4, 3])
            painter.setPen(dashes)
            x = round(self.x(self.threshold)) + 0.5
            painter.drawLine(QLineF(x, box.top(), x, box.bottom()))

    def paint_overlay(self, painter: QPainter) -> None:
        col = self.hover[1]
        if self.grid is not None and 0 <= col < self.grid.cols:
            painter.fillRect(self.grid.col_rect(col), theme.current().color("accent", 0.1))
