"""Pareto: what is kept against what it costs: L0 across, the recovered loss up, a dot per SAE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QLineF, QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.arrows import faded
from gui.plots.canvas import Canvas
from gui.plots.curve import ticks
from gui.plots.grid import NOWHERE
from gui.plots.tokens import token_pen
from gui.plots.verdict_maps import log_ticks

Array = np.ndarray
TOP, LINE, LEFT, RIGHT = 12, 15, 54, 14  # px
TITLED = 130  # px: lower, the axis has numbers only
NEAR = 16  # px: how far a dot may be from the pointer
LOWEST = -0.25  # of the recovered share: what is worse lies at the lower edge
LEAST = 0.01  # of it: a smaller range would make noise look like a difference
CLOSE = 1.25  # between the outermost dots and the edges


@dataclass(frozen=True)
class ParetoPoint:
    """One SAE. own: of the run in the picture; strong: the one that is looked at."""

    name: str
    l0: float
    recovered: float
    own: bool = True
    strong: bool = False
    about: str = ""


class Pareto(Canvas):
    """`set_data` gives dots; clicked gives (0, dot)."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "L0 against recovered"):
        super().__init__(parent, name)
        self.points: list[ParetoPoint] = []
        self.box = QRectF()
        self.nothing = (
            "Each SAE is a dot here once held-out text was read: few active latents at the left, "
            "little lost at the top."
        )
        self.set_empty(self.nothing)

    def set_data(self, points: Sequence[ParetoPoint]) -> None:
        """Those without both numbers are left out of the picture but keep their place."""
        self.points = list(points)
        self.count_things(len(self.points))
        if self.hover[1] >= len(self.points):
            self.hover = NOWHERE
        self.set_empty("" if self._known().any() else self.nothing)

    def _known(self) -> Array:
        """[dot] whether it can be drawn."""
        return np.array([
            bool(np.isfinite(p.l0) and np.isfinite(p.recovered) and p.l0 > 0) for p in self.points
        ], bool)  # fmt: skip

    def describe(self, row: int, col: int) -> str:
        point = self.points[col]
        share = shades.figure(100 * point.recovered, 2)
        said = f"{point.name}: L0 {shades.figure(point.l0, 1)}, recovered {share} %"
        return f"{said}\n{point.about}" if point.about else said

    def sizeHint(self) -> QSize:
        return QSize(360, 260)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 90)

    def page_height(self, width: int) -> int:
        return min(round(width * 0.7), 240)

    # layout

    def lay_out(self) -> None:
        if self._empty:
            return
        zoom = theme.zoom()
        left, top = LEFT * zoom, TOP * zoom
        self.titled = self.height() >= TITLED * zoom
        below = (2 if self.titled else 1) * LINE * zoom + 8
        self.box = QRectF(left, top, max(self.width() - left - RIGHT * zoom, 20),
                          max(self.height() - top - below, 20))  # fmt: skip
        known = self._known()
        l0 = np.array([p.l0 for p in self.points])[known]  # [known]
        recovered = np.array([p.recovered for p in self.points])[known]
        low, high = float(l0.min()) / CLOSE, float(l0.max()) * CLOSE
        wider = max(4 / (high / low), 1.0) ** 0.5  # at least a factor of four
        self.ends = (np.log(low / wider), np.log(high * wider))
        span = max(1.0 - max(float(recovered.min()), LOWEST), LEAST, float(recovered.max()) - 1)
        self.low, self.high = 1.0 - 1.1 * span, max(1.0, float(recovered.max())) + 0.05 * span

    def x_of(self, l0: float) -> float:
        low, high = self.ends
        return self.box.left() + (np.log(l0) - low) / (high - low) * self.box.width()

    def y_of(self, recovered: float) -> float:
        share = (max(recovered, self.low) - self.low) / (self.high - self.low)
        return self.box.bottom() - share * self.box.height()

    def place(self, at: int) -> QPointF:
        """Where a dot lies."""
        self.settle()
        return QPointF(self.x_of(self.points[at].l0), self.y_of(self.points[at].recovered))

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        self.settle()
        if self._empty:
            return NOWHERE
        some = np.flatnonzero(self._known()).tolist()
        spots = [self.place(at) for at in some]
        far = [np.hypot(p.x() - where.x(), p.y() - where.y()) for p in spots]  # [known]
        best = int(np.argmin(far))
        return (0, some[best]) if far[best] <= NEAR * theme.zoom() else NOWHERE

    def frontier(self) -> list[int]:
        """The dots that no other one beats in both: from the sparsest to the most faithful."""
        some = np.flatnonzero(self._known())
        order = sorted(some, key=lambda at: (self.points[at].l0, -self.points[at].recovered))
        found: list[int] = []
        for at in order:
            if not found or self.points[at].recovered > self.points[found[-1]].recovered:
                found.append(int(at))
        return found

    # painting

    def paint_base(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        self._paint_axes(painter)
        now, known = theme.current(), self._known()
        front = self.frontier()
        if len(front) > 1:
            dashes = QPen(now.color("faint"), 1)
            dashes.setDashPattern([4, 3])
            painter.setPen(dashes)
            painter.drawPolyline([self.place(at) for at in front])
        own = [at for at in np.flatnonzero(known).tolist() if self.points[at].own]
        if len(own) > 1:
            painter.setPen(QPen(now.color("accent"), 1.5))
            by_l0 = sorted(own, key=lambda at: self.points[at].l0)
            painter.drawPolyline([self.place(at) for at in by_l0])
        for at in np.flatnonzero(known):
            self._paint_dot(painter, int(at))
        self._paint_names(painter)

    def _paint_dot(self, painter: QPainter, at: int) -> None:
        now, point, where = theme.current(), self.points[at], self.place(at)
        size = (5.5 if point.strong else 4.5 if point.own else 3.5) * theme.zoom()
        colour = now.color("accent" if point.own else "muted")
        painter.setPen(QPen(now.color("panel"), 1.25) if point.own else QPen(colour, 1.25))
        painter.setBrush(colour if point.own else faded(colour, 0.35))
        if point.recovered < self.low:  # beyond the edge: it points there
            x, y = where.x(), where.y()
            painter.drawPolygon([QPointF(x - size, y - size), QPointF(x + size, y - size),
                                 QPointF(x, y + 2)])  # fmt: skip
            return
        painter.drawEllipse(where, size, size)
        if point.strong:
            painter.setPen(QPen(now.color("accent"), 1.25))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(where, size + 3, size + 3)

    def _paint_axes(self, painter: QPainter) -> None:
        now, pen, box, zoom = theme.current(), token_pen(11), self.box, theme.zoom()
        muted, thin = now.color("muted"), QPen(now.color("line"), 0.75 if theme.paper() else 1)
        painter.setPen(thin)
        bottom = round(box.bottom()) + 0.5
        painter.drawLine(QLineF(box.left(), bottom, box.right(), bottom))
        for mark in log_ticks(np.exp(self.ends), max(int(box.width() / (42 * zoom)), 2)):
            x = self.x_of(mark)
            painter.setPen(thin)
            painter.drawLine(QLineF(x, bottom, x, bottom + 3))
            word = QRectF(x - 30, bottom + 3, 60, LINE * zoom)
            pen.draw(painter, word, f"{mark:,g}", muted)
        if self.titled:
            below = QRectF(box.left(), bottom + 4 + LINE * zoom, box.width(), LINE * zoom)
            pen.draw(painter, below, "L0: active latents per activation", muted)
        marks = ticks(100 * self.low, 100 * self.high, max(min(int(box.height() / 36), 5), 1))
        places = max((len(f"{m:.2f}".rstrip("0").split(".")[1]) for m in marks), default=0)
        for mark in marks:
            y = self.y_of(mark / 100)
            painter.setPen(thin)
            painter.drawLine(QLineF(box.left(), y, box.right(), y))
            word = QRectF(0, y - 8, box.left() - 6, 16)
            pen.draw(painter, word, f"{shades.figure(mark, places)} %" if mark else "0 %", muted, 1)
        dashes = QPen(now.color("faint"), 1)
        dashes.setDashPattern([4, 3])
        self._baselines: list[QRectF] = []
        for value, name in ((1.0, "nothing lost"), (0.0, "as bad as zeros")):
            if self.low <= value <= self.high:
                y = self.y_of(value)
                painter.setPen(dashes)
                painter.drawLine(QLineF(box.left(), y, box.right(), y))
                self._name_baseline(painter, name, y, below=bool(value))

    def _name_baseline(self, painter: QPainter, name: str, y: float, below: bool) -> None:
        """At the left or the right end, where no dot lies."""
        pen, box = token_pen(11), self.box
        wide = pen.width(name) + 4
        spots = [self.place(at) for at in np.flatnonzero(self._known()).tolist()]
        for left in (box.left() + 2, box.right() - wide, box.center().x() - wide / 2):
            room = QRectF(left, y + (1 if below else -15), wide, 14)
            around = room.adjusted(-7, -7, 7, 7)
            if not any(around.contains(spot) for spot in spots):
                pen.draw(painter, room, name, theme.current().color("muted"), 0)
                self._baselines.append(room)
                return

    def _paint_names(self, painter: QPainter) -> None:
        """Own dots by name, the one that is looked at first, each where nothing else is."""
        now = theme.current()
        known, spots = self._known(), {}
        for at in np.flatnonzero(known):
            spots[int(at)] = self.place(int(at))
        dots = [QRectF(p.x() - 5, p.y() - 5, 10, 10) for p in spots.values()]
        taken = [*dots, *self._baselines]
        own = [at for at in spots if self.points[at].own]
        for at in sorted(own, key=lambda each: not self.points[each].strong):
            point, where = self.points[at], spots[at]
            pen = token_pen(11, 600 if point.strong else 400)
            wide, high = pen.width(point.name) + 4, 14
            beside = (
                (where.x() + 10, where.y() - 1), (where.x() - wide / 2, where.y() - 24),
                (where.x() - wide - 10, where.y() - 14), (where.x() - wide / 2, where.y() + 9),
            )  # fmt: skip
            for left, top in beside:
                box = QRectF(left, top, wide, high)
                inside = self.box.adjusted(0, -10, 12, 0).contains(box)
                if inside and not any(box.intersects(other) for other in taken):
                    pen.draw(painter, box, point.name,
                             now.color("text" if point.strong else "muted"), 0)  # fmt: skip
                    taken.append(box)
                    break

    def paint_overlay(self, painter: QPainter) -> None:
        at = self.hover[1]
        if 0 <= at < len(self.points) and self._known()[at]:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            painter.setPen(QPen(theme.current().color("text"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(self.place(at), 7, 7)
