"""Waterfall: signed parts one after the other, each from where the last one ended, to their sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PySide6.QtCore import QLineF, QRectF, QSize
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.grid import NOWHERE, Grid
from gui.plots.tokens import token_pen

ROW, LEAST_ROW, MOST_ROW, AIR = 17, 14, 30, 3  # px
GAP, SHARE = 8, 0.36  # px; of the width: the longest name
SHADE = 216  # of 256 diverging colours, 128 being none
PAGE_ROWS = 44  # on a page
EMPTY = "The parts of the logit will be here, one after the other."


@dataclass(frozen=True)
class Part:
    """index: in what was given; -1 for parts that were put together. quiet: a constant, a bias."""

    name: str
    value: float
    index: int = -1
    quiet: bool = False
    help: str = ""


class Waterfall(Canvas):
    """`set_parts` gives them; `clicked` gives (row, 0), and `part_at` what stands in a row.

    Where not all have room, the largest keep their bars and the rest are one bar, so that the sum
    stays the sum.
    """

    def __init__(self, parent: QWidget | None = None, *, name: str = "parts of the logit") -> None:
        super().__init__(parent, name)
        self.parts: list[Part] = []
        self.by_size = False
        self.sum_name, self.sum = "sum", 0.0
        self.unit = ""
        self.places = 2
        self._shown: list[Part] = []
        self._focus: int | None = None
        self.set_empty(EMPTY)

    def set_parts(
        self, parts: Sequence[Part], total: float, *, name: str, unit: str, by_size: bool = False
    ) -> None:
        """total: what the parts sum to, at the bottom under `name`. by_size: the largest first."""
        if len(parts) != len(self.parts):
            self.hover = self.chosen = NOWHERE
        self.parts, self.sum, self.sum_name = list(parts), float(total), name
        self.by_size, self.unit = by_size, unit
        reach = max((abs(part.value) for part in parts if np.isfinite(part.value)), default=1.0)
        self.places = min(max(shades.decimals(reach), 2), 4)
        self.set_empty("" if parts else EMPTY)

    def set_focus(self, index: int | None) -> None:
        """Mark the part that is looked at."""
        if index != self._focus:
            self._focus = index
            self.repaint_base()

    def part_at(self, row: int) -> Part | None:
        """What stands in a row; None for the sum."""
        return self.shown[row] if 0 <= row < len(self.shown) else None

    @property
    def shown(self) -> list[Part]:
        """Those that have a row, from the top down."""
        self.settle()
        return self._shown

    def describe(self, row: int, col: int) -> str:
        part, places = self.part_at(row), max(self.places, 3)
        if part is None:
            return f"{self.sum_name}: {shades.figure(self.sum, places, sign=True)} {self.unit}"
        said = f"{part.name}: {shades.figure(part.value, places, sign=True)} {self.unit}"
        ends = self._running[row : row + 2]
        said += f"\nfrom {shades.figure(ends[0], places)} to {shades.figure(ends[1], places)}"
        return f"{said}\n{part.help}" if part.help else said

    # layout

    def sizeHint(self) -> QSize:
        return QSize(320, round(ROW * theme.zoom()) * (min(len(self.parts), PAGE_ROWS) + 2))

    def minimumSizeHint(self) -> QSize:
        return QSize(180, round(LEAST_ROW * theme.zoom()) * 5)

    def most_height(self) -> int:
        """Pixels beyond which the rows are no higher."""
        return round(MOST_ROW * theme.zoom()) * (len(self.parts) + 1) + AIR + 1

    def page_height(self, width: int) -> int:
        return ROW * (min(len(self.parts), PAGE_ROWS) + 1) + 4

    def cramped(self) -> str:
        self.settle()
        out = len(self.parts) - sum(part.index >= 0 for part in self.shown)
        return f"{out} parts share one bar" if out else ""

    def lay_out(self) -> None:
        zoom, self.grid = theme.zoom(), None
        if not self.parts or self._empty:
            return
        most = max(int((self.height() - AIR) / (LEAST_ROW * zoom)) - 1, 2)
        self._shown = self._fold(most)
        rows = len(self.shown) + 1
        high = min((self.height() - AIR) / rows, MOST_ROW * zoom)
        ys = tuple(round(high * row) + (AIR if row == rows else 0) for row in range(rows + 1))
        self.grid = Grid((0, max(self.width(), 1)), ys, up=False)
        values = [part.value for part in self.shown]
        self._running = np.concatenate([[0.0], np.nancumsum(values)])  # [row + 1]
        self.names = min(
            max(token_pen(11, 600).width(name) for name in self._names()) + 6,
            self.width() * SHARE,
        )
        figures = [self._figure(value) for value in (*values, self.sum)]
        self.number = max(map(token_pen(11, 600).width, figures)) + 4
        left = self.names + GAP
        self.track = QRectF(left, 0, max(self.width() - left - GAP - self.number, 16), 1)

    def _names(self) -> list[str]:
        return [*(part.name for part in self.shown), self.sum_name]

    def _fold(self, most: int) -> list[Part]:
        """The parts that get a row: all, or the largest and one for the rest, last."""
        size = np.array([0.0 if np.isnan(part.value) else abs(part.value) for part in self.parts])
        order = np.argsort(-size, kind="stable")
        kept = order if len(order) <= most else order[: most - 1]
        rest = [] if len(order) <= most else sorted(order[most - 1 :].tolist())
        ranked = kept.tolist() if self.by_size else sorted(kept.tolist())
        shown = [self.parts[at] for at in ranked]
        if rest:
            others = [self.parts[at] for at in rest]
            value = float(np.nansum([part.value for part in others]))
            names = ", ".join(part.name for part in others[:12])
            more = " …" if len(others) > 12 else ""
            shown.append(Part(f"{len(rest)} others", value, quiet=True, help=names + more))
        return shown

    def _figure(self, value: float) -> str:
        return "–" if np.isnan(value) else shades.figure(value, self.places, sign=True)

    def _reach(self) -> tuple[float, float]:
        ends = [*self._running.tolist(), 0.0]
        if np.isfinite(self.sum):
            ends.append(self.sum)
        low, high = min(ends), max(ends)
        return (low, high) if high > low else (0.0, 1.0)

    def x(self, value: float) -> float:
        """Pixel of a value."""
        low, high = self._reach()
        return self.track.left() + (value - low) / (high - low) * self.track.width()

    # painting

    def paint_base(self, painter: QPainter) -> None:
        grid = self.grid
        if grid is None:
            return
        now, zero = theme.current(), round(self.x(0.0)) + 0.5
        painter.setPen(QPen(now.color("field"), 1))
        painter.drawLine(QLineF(zero, grid.ys[0], zero, grid.ys[-1]))
        boxes = []
        for row, part in enumerate(self.shown):
            box = QRectF(grid.cell_rect(row, 0))
            lit = theme.marks() and part.index >= 0 and part.index == self._focus
            self._paint_words(painter, box, part.name, part.value, lit, part.quiet)
            boxes.append(self._paint_part(painter, box, row, part))
        for (row, one), (_, other) in pairwise(enumerate(boxes)):
            x = self.x(float(self._running[row + 1]))
            painter.setPen(QPen(now.color("faint"), 0.75))
            painter.drawLine(QLineF(x, one.bottom(), x, other.top()))
        self._paint_sum(painter, grid)

    def _paint_part(self, painter: QPainter, box: QRectF, row: int, part: Part) -> QRectF:
        """From where the last one ended, red for more and blue for less; a constant is grey."""
        now = theme.current()
        ends = sorted((self.x(float(self._running[row])), self.x(float(self._running[row + 1]))))
        high = max(box.height() - 6, 4)
        bar = QRectF(ends[0], box.center().y() - high / 2, max(ends[1] - ends[0], 1.5), high)
        if part.quiet:
            painter.fillRect(bar, now.color("faint"))
        else:
            entry = shades.table("diverging")[SHADE if part.value > 0 else 256 - SHADE]  # [4]
            painter.fillRect(bar, theme.color_of(entry))
        return bar

    def _paint_words(
        self, painter: QPainter, box: QRectF, name: str, value: float, lit: bool, quiet: bool
    ) -> None:
        now = theme.current()
        ink = now.color("accent" if lit else "muted" if quiet else "text")
        pen = token_pen(11, 600 if lit else 400)
        pen.draw(painter, QRectF(0, box.top(), self.names, box.height()), name, ink, 0)
        where = QRectF(box.right() + 1 - self.number, box.top(), self.number, box.height())
        token_pen(11, 500).draw(painter, where, self._figure(value), ink, 1)

    def _paint_sum(self, painter: QPainter, grid: Grid) -> None:
        now, box = theme.current(), QRectF(grid.cell_rect(grid.rows - 1, 0))
        painter.setPen(QPen(now.color("line"), 1))
        painter.drawLine(QLineF(0, box.top() + 0.5, self.width(), box.top() + 0.5))
        inner = box.adjusted(0, AIR, 0, 0)
        pen = token_pen(11, 600)
        name = QRectF(0, inner.top(), self.names, inner.height())
        pen.draw(painter, name, self.sum_name, now.color("text"), 0)
        where = QRectF(box.right() + 1 - self.number, inner.top(), self.number, inner.height())
        pen.draw(painter, where, self._figure(self.sum), now.color("text"), 1)
        if np.isfinite(self.sum):
            left, right = sorted((self.x(0.0), self.x(self.sum)))
            high = max(inner.height() - 6, 4)
            bar = QRectF(left, inner.center().y() - high / 2, max(right - left, 1.5), high)
            painter.fillRect(bar, now.color("accent"))

    def paint_overlay(self, painter: QPainter) -> None:
        grid = self.grid
        if grid is None:
            return
        now = theme.current()
        if 0 <= self.hover[0] < grid.rows:
            painter.fillRect(grid.row_rect(self.hover[0]), now.color("accent", 0.08))
        if self.hasFocus() and 0 <= self.chosen[0] < grid.rows:
            painter.setPen(QPen(now.color("accent"), 1))
            painter.drawRect(grid.row_rect(self.chosen[0]).adjusted(0, 0, -1, -1))
