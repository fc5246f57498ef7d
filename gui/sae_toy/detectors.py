"""Detectors: for each concept, how much of it is there against what its latent says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.arrows import faded
from gui.plots.canvas import Canvas
from gui.plots.grid import NOWHERE, Grid, edges
from gui.plots.tokens import token_pen
from gui.sae_toy.globe import concept_colour

Array = np.ndarray
HEAD, AXIS, PAD = 18, 16, 6  # px: a cell's title, the words below, and between cells
NARROW = 62  # px: narrower cells go into two rows
ABSENT = 0.16  # of the width: room for the samples without the concept, side by side


class Detectors(Canvas):
    """`set_data` gives a small plot per concept; clicked gives (row, column) of its cell."""

    paints_chosen = True

    def __init__(self, parent: QWidget | None = None, *, name: str = "detectors") -> None:
        super().__init__(parent, name)
        self.names: list[str] = []
        self.amount = self.f = np.zeros((0, 0))  # [concept, sample]
        self.f1 = self.threshold = np.zeros(0)  # [concept]
        self.latents: list[int] = []
        self.lit: int | None = None
        self._top = 1.0
        self.set_empty("What each concept's latent says will be here.")

    def set_data(
        self, names: Sequence[str], amount: Array, f: Array, latents: Sequence[int], f1: Array,
        threshold: Array,
    ) -> None:  # fmt: skip
        """amount [concept, sample] of each concept, f [concept, sample] of its latent.

        latents [concept]: which one, -1 = none; f1 and threshold [concept], NaN = not known.
        """
        if len(names) != len(self.names):
            self.hover = self.chosen = NOWHERE
        self.names, self.latents = list(names), list(latents)
        self.amount, self.f = np.asarray(amount), np.asarray(f)
        self.f1, self.threshold = np.asarray(f1, float), np.asarray(threshold, float)
        self._top = max(float(self.f.max(initial=0.0)), float(self.amount.max(initial=0.0)), 1e-6)
        self.set_empty("" if names else "No concepts to show.")

    def light(self, concept: int | None) -> None:
        """Bring one concept out, because it was chosen elsewhere."""
        if concept != self.lit:
            self.lit = concept
            self.repaint_base()

    def concept_at(self, row: int, col: int) -> int | None:
        """Which concept a cell is of."""
        assert self.grid is not None
        at = row * self.grid.cols + col
        return at if 0 <= at < len(self.names) else None

    def describe(self, row: int, col: int) -> str:
        at = self.concept_at(row, col)
        if at is None:
            return ""
        if self.latents[at] < 0:
            return f"{self.names[at]}: no latent is left alive"
        said = f"{self.names[at]}, read by latent {self.latents[at]}"
        if np.isfinite(self.f1[at]):
            said += (
                f": F1 {shades.figure(float(self.f1[at]), 3)} above "
                f"{shades.figure(float(self.threshold[at]), 3)}"
            )
        return said

    # layout

    def lay_out(self) -> None:
        count = len(self.names)
        if not count:
            self.grid = None
            return
        across = self.width() / count < NARROW * theme.zoom() and self.height() > 170
        cols = -(-count // 2) if across else count
        rows = -(-count // cols)
        xs = edges(0, self.width(), cols)
        ys = edges(0, max(self.height() - AXIS, 1), rows)
        self.grid = Grid(xs, ys, up=False)

    def sizeHint(self) -> QSize:
        return QSize(400, 150)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 60)

    def page_height(self, width: int) -> int:
        return 190 if width / max(len(self.names), 1) < NARROW else 130

    # painting

    def paint_base(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        for at in range(len(self.names)):
            cell = QRectF(self.grid.cell_rect(at // self.grid.cols, at % self.grid.cols))
            self._paint_cell(painter, at, cell)
        now, pen = theme.current(), token_pen(11)
        words = "amount of the concept \N{RIGHTWARDS ARROW}, activation \N{UPWARDS ARROW}"
        words += "; at the left, grey: it is not there"
        if pen.width(words) > self.width():
            words = words.partition(";")[0]
        box = QRectF(0, self.height() - AXIS, self.width(), AXIS)
        pen.draw(painter, box, words, now.color("muted"), 0)

    def _paint_cell(self, painter: QPainter, at: int, cell: QRectF) -> None:
        now, pen = theme.current(), token_pen(11)
        apart = self.lit is not None and self.lit != at and theme.marks()
        colour = faded(concept_colour(at), 0.35 if apart else 1.0)
        box = cell.adjusted(0, HEAD, -PAD, -PAD)
        strong = token_pen(11, 600 if self.lit == at else 400)
        score = "" if not np.isfinite(self.f1[at]) else shades.figure(float(self.f1[at]), 2)
        wide = pen.width(score) + 2 if score else 0
        dot = QPointF(cell.left() + 4, cell.top() + HEAD / 2)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawEllipse(dot, 3.5, 3.5)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        room = box.width() - 11
        fits = wide and strong.width(self.names[at]) + wide + 4 <= room
        title = QRectF(cell.left() + 11, cell.top(), room - (wide if fits else 0), HEAD)
        strong.draw(painter, title, self.names[at], now.color("text"), 0)
        if fits:
            where = QRectF(box.right() - wide, cell.top(), wide, HEAD)
            pen.draw(painter, where, score, now.color("muted"), 1)
        painter.setPen(QPen(now.color("line"), 0.75 if theme.paper() else 1))
        painter.drawLine(QLineF(box.left(), box.bottom(), box.right(), box.bottom()))
        painter.drawLine(QLineF(box.left(), box.top(), box.left(), box.bottom()))
        start = box.left() + ABSENT * box.width()
        long, high = box.right() - start - 2, box.height() - 3
        dashed = QPen(now.color("faint"), 0.75)
        dashed.setDashPattern([3, 3])
        painter.setPen(dashed)
        painter.drawLine(QLineF(start, box.bottom(), start + long, box.bottom() - high))
        if np.isfinite(self.threshold[at]) and self.threshold[at] > 0:
            y = box.bottom() - high * self.threshold[at] / self._top
            painter.drawLine(QLineF(box.left(), y, box.right(), y))
        there = self.amount[at] > 0  # [sample]
        spread = np.arange(len(there)) * 0.6180339887 % 1.0  # [sample]
        x = np.where(there, start + long * self.amount[at] / self._top,
                     box.left() + 2 + spread * (start - box.left() - 4))  # [sample]  # fmt: skip
        y = box.bottom() - high * self.f[at] / self._top  # [sample]
        for some, shade, size in ((~there, faded(now.color("muted"), 0.6), 2.0),
                                  (there, colour, 2.6)):  # fmt: skip
            dots = QPen(shade, size * (0.8 if theme.paper() else 1))
            dots.setCapStyle(Qt.PenCapStyle.RoundCap)
            painter.setPen(dots)
            painter.drawPoints(
                [QPointF(a, b) for a, b in zip(x[some].tolist(), y[some].tolist(), strict=True)]
            )

    def paint_overlay(self, painter: QPainter) -> None:
        if self.grid is None or self.hover == NOWHERE:
            return
        if self.concept_at(*self.hover) is not None:
            painter.fillRect(
                self.grid.cell_rect(*self.hover), theme.current().color("accent", 0.06)
            )
