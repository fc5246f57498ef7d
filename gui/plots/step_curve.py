"""StepCurve: one painted curve over steps, with named dashed baselines, marks and events on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QLineF, QPoint, QPointF, QRectF, QSize
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.arrows import thinned
from gui.plots.canvas import Canvas
from gui.plots.curve import ticks
from gui.plots.grid import NOWHERE
from gui.plots.tokens import token_pen

Array = np.ndarray
POINTS = 800  # of the line; more would be thinner than a pixel
AXIS, RIGHT, TOP = 34, 12, 8  # px
APART = 10  # px between the dots of two events
OFF = 3.0  # a peak higher than this many times the rest of the curve leaves the picture


@dataclass(frozen=True)
class Baseline:
    """A quiet dashed line with its name: one value per step of the curve, NaN = none."""

    name: str
    values: Array


@dataclass(frozen=True)
class Mark:
    """At a step a thin line with its text (a change), or a dot on the curve (an event)."""

    step: int
    text: str
    event: bool = False


class StepCurve(Canvas):
    """`set_data` gives a curve; clicked gives (0, index of a step)."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "loss by step") -> None:
        super().__init__(parent, name)
        self.steps = self.values = np.zeros(0)  # [record]
        self.baselines: list[Baseline] = []
        self.marks: list[Mark] = []
        self.at = 0
        self.set_empty("The loss will be here.")

    def set_data(
        self,
        steps: Array,
        values: Array,
        *,
        baselines: Sequence[Baseline] = (),
        marks: Sequence[Mark] = (),
        at: int | None = None,
    ) -> None:
        """steps, values [record]; at: the record in the picture, None = the last one."""
        self.steps, self.values = np.asarray(steps, np.float64), np.asarray(values, np.float64)
        self.baselines, self.marks = list(baselines), list(marks)
        self.at = len(self.steps) - 1 if at is None else int(at)
        known = np.isfinite(self.values)
        self.set_empty("" if known.any() else "The loss will be here.")

    def show_record(self, at: int) -> None:
        if at != self.at:
            self.at = at
            self.repaint_base()

    def describe(self, row: int, col: int) -> str:
        said = f"step {int(self.steps[col]):,}: {shades.figure(float(self.values[col]), 4)}"
        for line in self.baselines:
            if np.isfinite(line.values[col]):
                said += f", {line.name} {shades.figure(float(line.values[col]), 4)}"
        near = [m.text for m in self.marks if m.step == int(self.steps[col])]
        return "\n".join([said, *near])

    def sizeHint(self) -> QSize:
        return QSize(300, 180)

    def page_height(self, width: int) -> int:
        return min(round(width * 0.55), 200)

    # layout

    def lay_out(self) -> None:
        pen = token_pen(11)
        shown = [self.values, *(line.values for line in self.baselines)]
        values = np.concatenate([v[np.isfinite(v)] for v in shown]) if shown else np.zeros(0)
        top = float(values.max()) if values.size else 1.0
        usual = float(np.quantile(values, 0.95)) if values.size else 1.0
        self.high = max(min(top * 1.06, usual * OFF), 1e-12)
        self.places = min(shades.decimals(self.high) + (1 if self.high < 0.3 else 0), 5)
        words = [shades.figure(mark, self.places) for mark in ticks(0, self.high, 4)]
        self.left = int(max((pen.width(word) for word in words), default=20)) + 8
        self.box = QRectF(self.left, TOP, max(self.width() - self.left - RIGHT, 10),
                          max(self.height() - TOP - AXIS, 10))  # fmt: skip
        self.end = max(float(self.steps[-1]), 1.0) if len(self.steps) else 1.0

    def x_of(self, step: float) -> float:
        return self.box.left() + step / self.end * self.box.width()

    def y_of(self, value: float) -> float:
        return self.box.bottom() - min(value / self.high, 1.02) * self.box.height()

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        self.settle()
        if self._empty or not self.box.adjusted(-4, -4, 4, 4).contains(QPointF(where)):
            return NOWHERE
        step = (where.x() - self.box.left()) / self.box.width() * self.end
        return 0, int(np.abs(self.steps - step).argmin())

    # painting

    def paint_base(self, painter: QPainter) -> None:
        now, pen = theme.current(), token_pen(11)
        thin = QPen(now.color("line"), 0.75 if theme.paper() else 1)
        most = 4 if self.box.height() > 90 else 2
        for mark in ticks(0, self.high, most):
            y = round(self.y_of(mark)) + 0.5
            painter.setPen(thin)
            if mark == 0:
                painter.drawLine(QLineF(self.box.left(), y, self.box.right(), y))
            word = shades.figure(mark, self.places) if mark else "0"
            pen.draw(painter, QRectF(0, y - 8, self.left - 6, 16), word, now.color("muted"), 1)
        for mark in ticks(0, self.end, min(max(int(self.box.width() / 74), 1), 5)):
            x, word = self.x_of(mark), f"{abs(mark):,.0f}"
            wide = pen.width(word) + 2
            x = min(max(x, self.left + 2 - 6), self.width() - wide / 2)
            pen.draw(painter, QRectF(x - wide / 2, self.box.bottom() + 3, wide, 15), word,
                     now.color("muted"))  # fmt: skip
        below = QRectF(self.left, self.box.bottom() + 17, self.box.width(), 15)
        pen.draw(painter, below, "step", now.color("muted"))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        taken: list[QRectF] = []
        self._paint_marks(painter, taken)
        painter.save()
        painter.setClipRect(self.box.adjusted(-1, -2, 2, 2))
        for line in self.baselines:
            style = QPen(now.color("faint"), 1)
            style.setDashPattern([4, 3])
            painter.setPen(style)
            self._polyline(painter, line.values)
        painter.setPen(QPen(now.color("accent"), 1.5))
        self._polyline(painter, self.values)
        painter.restore()
        self._paint_dots(painter)
        self._paint_now(painter, taken)
        self._paint_names(painter, taken)

    def _polyline(self, painter: QPainter, values: Array) -> None:
        some = thinned(len(values), POINTS)
        some = some[np.isfinite(values[some])]
        x = self.box.left() + self.steps[some] / self.end * self.box.width()
        y = self.box.bottom() - np.minimum(values[some] / self.high, 1.05) * self.box.height()
        painter.drawPolyline([QPointF(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])

    def _paint_marks(self, painter: QPainter, taken: list[QRectF]) -> None:
        """A hairline for each change, with its text at the bottom where there is room."""
        now, pen = theme.current(), token_pen(11)
        for mark in self.marks:
            if mark.event:
                continue
            x = round(self.x_of(mark.step)) + 0.5
            painter.setPen(QPen(now.color("field"), 0.75 if theme.paper() else 1))
            painter.drawLine(QLineF(x, self.box.top(), x, self.box.bottom()))
            wide = pen.width(mark.text) + 2
            box = QRectF(x + 3, self.box.bottom() - 17, wide, 15)
            if box.right() <= self.box.right() + 4 and not any(box.intersects(t) for t in taken):
                pen.draw(painter, box, mark.text, now.color("muted"), 0)
                taken.append(box)

    def _paint_dots(self, painter: QPainter) -> None:
        now = theme.current()
        painter.setPen(QPen(now.color("accent"), 1.2))
        painter.setBrush(now.color("panel"))
        before = -np.inf
        for mark in reversed(self.marks):  # of a flicker the last one, which stayed
            if not mark.event or abs(self.x_of(mark.step) - before) < APART:
                continue
            at = int(np.abs(self.steps - mark.step).argmin())
            if np.isfinite(self.values[at]) and self.values[at] <= self.high:
                before = self.x_of(mark.step)
                painter.drawEllipse(QPointF(before, self.y_of(float(self.values[at]))), 3, 3)

    def _paint_now(self, painter: QPainter, taken: list[QRectF]) -> None:
        """A gold line where one looks, unless that is the end, and the value there."""
        at = min(max(self.at, 0), len(self.steps) - 1)
        value = float(self.values[at])
        if not np.isfinite(value):
            return
        now, pen = theme.current(), token_pen(13, 600)
        x, y = self.x_of(float(self.steps[at])), self.y_of(value)
        if at < len(self.steps) - 1:
            painter.setPen(QPen(now.color("gold"), 1.5))
            painter.drawLine(QLineF(x, self.box.top(), x, self.box.bottom()))
        painter.setPen(QPen(now.color("panel"), 1))
        painter.setBrush(now.color("accent"))
        painter.drawEllipse(QPointF(x, y), 3.5, 3.5)
        word = shades.figure(value, self.places)
        wide = pen.width(word) + 2
        fits = [
            box
            for top in (y - 21, y + 5, y - 37, y + 21)
            for left in (x - wide - 6, x + 7)
            if self.box.adjusted(0, -4, 1, -1).contains(box := QRectF(left, top, wide, 16))
            and not any(box.intersects(other) for other in taken)
        ]
        left = min(max(x - wide - 6, self.box.left() + 2), self.box.right() - wide)
        free = [box for box in fits if not self._crossed(box)]
        box = next(iter(free or fits), QRectF(left, y - 21, wide, 16))
        pen.draw(painter, box, word, now.color("accent"), 1)
        taken.append(box)

    def _paint_names(self, painter: QPainter, taken: list[QRectF]) -> None:
        """The baselines' names at their right ends, above or below, moved along where needed."""
        now, pen = theme.current(), token_pen(11)
        for line in self.baselines:
            known = np.flatnonzero(np.isfinite(line.values))
            if not len(known):
                continue
            wide = pen.width(line.name) + 2
            y = self.y_of(float(line.values[known[-1]]))
            middle = self.box.center().x() - wide / 2
            tried = [
                QRectF(left, top, wide, 14)
                for left in (self.box.right() - wide, self.box.left() + 6, middle)
                for top in (y - 15, y + 1)
            ]
            room = QRectF(self.box.left(), 0, self.box.width() + 1, self.box.bottom())
            fits = [
                box
                for box in tried
                if room.contains(box)
                and not any(box.intersects(t) for t in taken)
                and not self._crossed(box)
            ]
            if fits:
                pen.draw(painter, fits[0], line.name, now.color("muted"))
                taken.append(fits[0])

    def _crossed(self, box: QRectF) -> bool:
        """Whether a curve runs through a box."""
        x = self.box.left() + self.steps / self.end * self.box.width()  # [record]
        inside = (x >= box.left()) & (x <= box.right())
        for values in (self.values, *(line.values for line in self.baselines)):
            y = self.box.bottom() - values / self.high * self.box.height()  # [record]
            if (inside & (y >= box.top() + 1) & (y <= box.bottom() - 2)).any():
                return True
        return False

    def paint_overlay(self, painter: QPainter) -> None:
        if self.hover != NOWHERE and 0 <= self.hover[1] < len(self.steps):
            x = round(self.x_of(float(self.steps[self.hover[1]]))) + 0.5
            painter.setPen(QPen(theme.current().color("text", 0.5), 1))
            painter.drawLine(QLineF(x, self.box.top(), x, self.box.bottom()))
