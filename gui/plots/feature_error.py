"""LeftOut: at each token the share of the activation that features leave out, under their map."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QLineF, QRect, QRectF, QSize
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.grid import NOWHERE, Grid, hatch
from gui.plots.heat_map import HeatMap
from gui.plots.tokens import token_pen, token_text

Array = np.ndarray
TALL, AIR = 64, 4  # px


class LeftOut(Canvas):
    """`follow` a map whose columns are tokens; `set_data` gives shares [pos]; clicked (0, pos)."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "share left out") -> None:
        super().__init__(parent, name)
        self.shares = np.zeros(0)  # [pos]
        self.words: list[str] = []
        self.map: HeatMap | None = None
        self._focus: int | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_empty("What is left out at each token will be here.")

    def follow(self, map_: HeatMap) -> None:
        self.map = map_
        map_.laid_out.connect(self.changed)

    def set_data(self, shares: Array, words: list[str]) -> None:
        self.shares, self.words = np.asarray(shares, np.float64), list(words)
        self.hover = NOWHERE
        self.set_empty("" if len(self.words) else "What is left out will be here.")

    def set_focus(self, position: int | None) -> None:
        if position != self._focus:
            self._focus = position
            self.update()

    def describe(self, row: int, col: int) -> str:
        if not 0 <= col < len(self.words):
            return ""
        value = float(self.shares[col])
        said = "not known" if np.isnan(value) else f"{shades.figure(100 * value, 1)} % left out"
        return f"{token_text(self.words[col])} ({col}): {said}"

    def sizeHint(self) -> QSize:
        return QSize(320, round(TALL * theme.zoom()))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 40)

    def page_height(self, width: int) -> int:
        return TALL

    @property
    def top(self) -> float:
        """The share at the top of the scale: all, or more where the fit is worse than nothing."""
        known = self.shares[np.isfinite(self.shares)]
        return max(1.0, float(known.max())) if len(known) else 1.0

    def lay_out(self) -> None:
        self.grid = None
        if self.is_empty() or self.map is None or self.map.grid is None:
            return
        xs = self.map.cells.xs
        if len(xs) == len(self.words) + 1:
            bottom = max(self.height() - 2, AIR + 4)
            self.grid = Grid(xs, (AIR, bottom), up=False)

    def paint_base(self, painter: QPainter) -> None:
        grid = self.grid
        if grid is None:
            return
        now, pen = theme.current(), token_pen(11)
        box, top = grid.rect, self.top
        ends = (0.0, 1.0) if box.height() > 30 else (1.0,)
        for end in ends:
            y = round(box.bottom() - end / top * box.height()) + 0.5
            painter.setPen(QPen(now.color("line"), 1))
            painter.drawLine(QLineF(box.left(), y, box.right(), y))
            word = f"{round(100 * end)} %"
            where = QRectF(box.right() + 6, y - 4 if end else y - 13, 44, 16)
            pen.draw(painter, where, word, now.color("muted"), 0)
        missing: list[QRect] = []
        for at, share in enumerate(self.shares):
            left, right = grid.xs[at], grid.xs[at + 1]
            if np.isnan(share):
                missing.append(QRect(left, box.top(), right - left, box.height()))
                continue
            tall = share / top * box.height()
            wide = max(right - left - (2 if right - left > 6 else 0), 1)
            painter.fillRect(QRectF(left, box.bottom() + 1 - tall, wide, tall),
                             now.color("faint", 0.7))  # fmt: skip
        if missing:
            hatch(painter, missing)

    def paint_overlay(self, painter: QPainter) -> None:
        grid = self.grid
        if grid is None:
            return
        for col, strength in ((self.hover[1], 0.12), (self._focus, 0.2)):
            if col is not None and 0 <= col < grid.cols:
                painter.fillRect(grid.col_rect(col), theme.current().color("accent", strength))
