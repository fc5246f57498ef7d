"""SelectivityBars: a difference of two shares by site, as bars from 0 with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QLineF, QRectF, QSize
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.curve import ticks
from gui.plots.grid import NOWHERE
from gui.plots.probe_curves import ProbeCurves
from gui.plots.probe_marks import SiteColumns
from gui.plots.tokens import token_pen

Array = np.ndarray
TOP, BELOW, WIDEST = 12, 8, 30  # px over and under the bars, and of one bar at most
CAP = 4  # px to either side of an interval's end


class SelectivityBars(Canvas):
    """`set_data` gives them; clicked gives (0, site). `follow` shares the columns of curves."""

    def __init__(
        self, parent: QWidget | None = None, *, name: str = "selectivity by layer"
    ) -> None:
        super().__init__(parent, name)
        self.sites: list[str] = []
        self.values = self.low = self.high = np.zeros(0)  # [site]
        self.columns = SiteColumns()
        self.box = QRectF()
        self._above: ProbeCurves | None = None
        self._focus: int | None = None
        self.set_empty("Accuracy minus that of the control task will be here.")

    def follow(self, curves: ProbeCurves) -> None:
        """Stand in the columns of the curves above, and leave the sites' names to them."""
        self._above = curves
        curves.laid_out.connect(self.changed)

    def set_data(self, sites: Sequence[str], values: Array, low: Array, high: Array) -> None:
        """Differences of shares [site], −1 to 1, and the ends of their intervals; NaN = none."""
        self.sites = list(sites)
        self.values = np.asarray(values, np.float64)
        self.low, self.high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        if self.hover[1] >= len(self.sites):
            self.hover = NOWHERE
        if self.chosen[1] >= len(self.sites):
            self.chosen = NOWHERE
        known = len(self.sites) and np.isfinite(self.values).any()
        self.set_empty("" if known else "Selectivity needs the control task beside the probe.")

    def set_focus(self, site: int | None) -> None:
        site = site if site is not None and 0 <= site < len(self.sites) else None
        if site != self._focus:
            self._focus = site
            self.repaint_base()

    def describe(self, row: int, col: int) -> str:
        said = f"{self.sites[col]}: {shades.figure(100 * self.values[col], 1, sign=True)} points"
        if np.isfinite(self.low[col]):
            ends = [shades.figure(100 * end[col], 1, sign=True) for end in (self.low, self.high)]
            said += f", 95 %: {ends[0]} to {ends[1]}"
        return said

    def sizeHint(self) -> QSize:
        return QSize(560, 140)

    def minimumSizeHint(self) -> QSize:
        return QSize(140, 50)

    def page_height(self, width: int) -> int:
        return min(round(width * 0.26), 150)

    def lay_out(self) -> None:
        self.grid = None
        if self._empty:
            return
        above = self._above
        if above is not None and above.grid is not None and above.width() == self.width():
            self.columns = above.columns
        else:
            self.columns = SiteColumns.across(self.width(), len(self.sites), 12)
        if len(self.columns.xs) != len(self.sites):  # the curves are of another run still
            self.columns = SiteColumns.across(self.width(), len(self.sites), 12)
        zoom = theme.zoom()
        self.box = QRectF(
            self.columns.left, TOP * zoom, self.columns.right - self.columns.left,
            max(self.height() - (TOP + BELOW) * zoom, 10),
        )  # fmt: skip
        found = np.concatenate([self.values, self.low, self.high, [0.0]])  # [n]
        found = found[np.isfinite(found)]
        reach = max(float(found.max() - found.min()), 0.02)
        self.bottom = float(found.min()) - 0.06 * reach
        self.top = float(found.max()) + 0.12 * reach
        self.grid = self.columns.grid(0, self.height())

    def y(self, value: float) -> float:
        share = (value - self.bottom) / (self.top - self.bottom)
        return self.box.bottom() - share * self.box.height()

    def paint_base(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        now, pen = theme.current(), token_pen(11)
        most = max(int(self.box.height() / (24 * theme.zoom())), 1)
        marks = ticks(100 * self.bottom, 100 * self.top, min(most, 4))
        places = max((len(f"{m:.4f}".rstrip("0").split(".")[1]) for m in marks), default=0)
        for mark in marks:
            y = self.y(mark / 100)
            nought = abs(mark) < 1e-9
            painter.setPen(QPen(now.color("faint" if nought else "line"), 1))
            painter.drawLine(QLineF(self.box.left(), round(y) + 0.5, self.box.right(),
                                    round(y) + 0.5))  # fmt: skip
            room = QRectF(0, y - 8, self.box.left() - 8, 16)
            word = shades.figure(mark, places)
            pen.draw(painter, room, word, now.color("muted"), 1)
        apart = float(np.diff(self.columns.xs).min()) if len(self.sites) > 1 else 200.0
        wide = min(max(apart * 0.34, 3), WIDEST * theme.zoom())
        bold = token_pen(11, 600)
        said = apart > wide + bold.width("+00.0") + 10
        focus = self._focus if theme.marks() else None
        for at, x in enumerate(self.columns.xs.tolist()):
            value = float(self.values[at])
            if not np.isfinite(value):
                continue
            ends = sorted((self.y(0.0), self.y(value)))
            token = "accent" if value >= 0 else "faint"
            sure = np.isfinite(self.low[at]) and self.low[at] > 0
            strength = 0.85 if sure or at == focus else 0.45
            bar = QRectF(x - wide / 2, ends[0], wide, max(ends[1] - ends[0], 1))
            painter.fillRect(bar, now.color(token, strength))
            self._paint_interval(painter, at, x, min(CAP, wide / 2 + 1))
            word = shades.figure(100 * value, 1, sign=True)
            room = bold.width(word) + 4
            if not said and room > apart - 2:
                continue
            y = self.y(value) - 8 if value >= 0 else self.y(0.0) - 16
            left = x + wide / 2 + 3
            if not said:  # over the interval, where there is no room beside it
                tops = [v for v in (value, float(self.high[at]), 0.0) if np.isfinite(v)]
                y, left = self.y(max(tops)) - 17, x - room / 2
            y = min(max(y, 0.0), self.height() - 16.0)
            ink = now.color("accent" if at == focus else "text")
            bold.draw(painter, QRectF(left, y, room, 16), word, ink, 0 if said else 0.5)

    def _paint_interval(self, painter: QPainter, at: int, x: float, cap: float) -> None:
        low, high = float(self.low[at]), float(self.high[at])
        if not (np.isfinite(low) and np.isfinite(high)):
            return
        painter.setPen(QPen(theme.current().color("text"), 1))
        middle = round(x) + 0.5
        ends = [round(self.y(end)) + 0.5 for end in (low, high)]
        painter.drawLine(QLineF(middle, ends[0], middle, ends[1]))
        for y in ends:
            painter.drawLine(QLineF(middle - cap, y, middle + cap, y))

    def paint_overlay(self, painter: QPainter) -> None:
        site = self.hover[1]
        if self.grid is not None and 0 <= site < self.grid.cols:
            painter.fillRect(self.grid.col_rect(site), theme.current().color("accent", 0.06))
