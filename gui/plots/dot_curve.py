"""DotCurve: dots and one line over a logarithmic axis, with named lines to compare with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QLineF, QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots.canvas import Canvas
from gui.plots.grid import NOWHERE
from gui.plots.tokens import token_pen
from gui.plots.verdict_maps import log_ticks

Array = np.ndarray
SPREAD = 7.0  # px to either side, so that dots of one value are seen apart
TOP, BOTTOM, ROTATED = 10, 38, 16  # px
NEAR = 14  # px: how far a dot may be from the pointer


class DotCurve(Canvas):
    """`set_data` gives dots and a line; hovered and clicked give (point on the axis, dot)."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "dots and a line") -> None:
        super().__init__(parent, name)
        self.axis = np.zeros(0)  # [point]
        self.line = np.zeros(0)  # [point]
        self.dots = np.zeros((0, 0))  # [point, dot]
        self.strong = np.zeros((0, 0), bool)  # [point, dot]
        self.references: list[tuple[float, str]] = []
        self.line_name, self.axes = "", ("", "")
        self.words: dict[str, str] = {}
        self.set_empty("Dots will be here.")

    def set_data(
        self,
        x: Array,
        line: Array,
        dots: Array,
        strong: Array,
        *,
        references: Sequence[tuple[float, str]],
        line_name: str,
        axes: tuple[str, str],
    ) -> None:
        """x, line [point]; dots, strong [point, dot]: strong ones have colour, NaN is not drawn.

        references: (value, name) of the lines to compare with.
        """
        if dots.shape != self.dots.shape:
            self.hover = self.chosen = NOWHERE
        self.axis, self.line = np.asarray(x, float), np.asarray(line, float)
        self.dots, self.strong = np.asarray(dots, float), np.asarray(strong, bool)
        self.references, self.line_name, self.axes = list(references), line_name, axes
        self.set_empty("" if np.isfinite(self.line).any() else "No density has been trained yet.")

    def describe(self, row: int, col: int) -> str:
        said = f"{self.axes[0]} {self.axis[row]:.3g}: {self.line_name} {self.line[row]:.3f}"
        if col >= 0:
            value = float(self.dots[row, col])
            near = min(self.references, key=lambda line: abs(line[0] - value), default=None)
            kind = "" if self.strong[row, col] else ", not represented"
            said += f"\nfeature {col}: {value:.3f}{kind}"
            if near is not None:
                said += f"; the nearest line is {near[1]}, {near[0]:.3g}"
        return said

    def sizeHint(self) -> QSize:
        return QSize(760, 460)

    def page_height(self, width: int) -> int:
        return min(max(round(width * 0.62), 220), 420)

    # layout

    def lay_out(self) -> None:
        pen, zoom = token_pen(11), theme.zoom()
        left = ROTATED + pen.width("0.75") + 8
        names = [self._named(value, name) for value, name in self.references]
        right = max((pen.width(text) for text in names), default=0) + 14
        right = min(right, self.width() * 0.34)
        top, bottom = TOP * zoom, BOTTOM * zoom
        self.box = QRectF(left, top, max(self.width() - left - right, 20),
                          max(self.height() - top - bottom, 20))  # fmt: skip
        known = self.axis[np.isfinite(self.axis) & (self.axis > 0)]
        low, high = (known.min(), known.max()) if known.size else (1.0, 10.0)
        pad = max((np.log(high) - np.log(low)) * 0.05, 0.05)
        self.ends = (np.log(low) - pad, np.log(high) + pad)
        values = [self.dots, self.line, np.array([value for value, _ in self.references])]
        finite = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.zeros(0)
        self.high = max(float(finite.max(initial=1.0)) * 1.04, 1e-9)

    def _named(self, value: float, name: str) -> str:
        return f"{value:.3g} {name}"

    def x_of(self, value: float | Array) -> float | Array:
        low, high = self.ends
        return self.box.left() + (np.log(value) - low) / (high - low) * self.box.width()

    def y_of(self, value: float | Array) -> float | Array:
        return self.box.bottom() - np.maximum(value, 0) / self.high * self.box.height()

    def _where(self, row: int) -> tuple[Array, Array]:
        """Pixels of a point's dots: [dot] each; a dot's place beside the middle is its own."""
        n = self.dots.shape[1]
        golden = (np.arange(n) * 0.6180339887 % 1.0 * 2 - 1) * SPREAD * theme.zoom()  # [dot]
        return self.x_of(self.axis[row]) + golden, np.asarray(self.y_of(self.dots[row]))

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        self.settle()
        inside = not self._empty and self.box.adjusted(-8, -8, 8, 8).contains(QPointF(where))
        if not inside or not len(self.axis):
            return NOWHERE
        row = int(np.abs(np.asarray(self.x_of(self.axis)) - where.x()).argmin())
        x, y = self._where(row)
        far = np.hypot(x - where.x(), y - where.y())  # [dot]
        if not np.isfinite(far).any():
            return NOWHERE
        col = int(np.nanargmin(far))
        return (row, col) if far[col] <= NEAR else (row, -1)

    # painting

    def paint_base(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        self._paint_axes(painter)
        self._paint_references(painter)
        self._paint_dots(painter)
        self._paint_line(painter)

    def _paint_axes(self, painter: QPainter) -> None:
        now, pen, box = theme.current(), token_pen(11), self.box
        tall, muted = pen.height, now.color("muted")
        thin = QPen(now.color("field"), 0.75 if theme.paper() else 1)
        painter.setPen(thin)
        painter.drawLine(QLineF(box.left(), box.bottom(), box.right(), box.bottom()))
        painter.drawLine(QLineF(box.left(), box.top(), box.left(), box.bottom()))
        most = max(int(box.width() / 40), 2)
        for value in log_ticks(np.exp(self.ends), most):
            x = float(self.x_of(value))
            painter.setPen(thin)
            painter.drawLine(QLineF(x, box.bottom(), x, box.bottom() + 4))
            word = QRectF(x - 24, box.bottom() + 5, 48, tall)
            pen.draw(painter, word, f"{value:g}", muted)
        for value in np.arange(0, self.high + 1e-9, 0.25 if box.height() > 130 else 0.5):
            y = float(self.y_of(value))
            painter.setPen(thin)
            painter.drawLine(QLineF(box.left() - 4, y, box.left(), y))
            word = QRectF(0, y - tall / 2, box.left() - 7, tall)
            pen.draw(painter, word, f"{value:g}", muted, 1)
        below = QRectF(0, box.bottom() + 6 + tall, box.left() + box.right(), tall)
        pen.draw(painter, below.intersected(QRectF(self.rect())), self.axes[0], muted)
        painter.save()
        painter.translate(0, box.center().y())
        painter.rotate(-90)
        wide = self.height()
        pen.draw(painter, QRectF(-wide / 2, 0, wide, tall), self.axes[1], muted)
        painter.restore()

    def _paint_references(self, painter: QPainter) -> None:
        now, pen, box = theme.current(), token_pen(11), self.box
        tall = pen.height - 1
        lines = sorted(self.references, key=lambda line: line[0])
        wanted = [float(self.y_of(value)) for value, _ in lines]
        places: list[float] = []
        for y in wanted:  # from the bottom up, each above the one before
            places.append(min(y, places[-1] - tall) if places else y)
        if places and (over := box.top() - places[-1]) > 0:  # too many for the height: closer
            places = [y + over * at / max(len(places) - 1, 1) for at, y in enumerate(places)]
        for (value, name), y, place in zip(lines, wanted, places, strict=True):
            style = QPen(now.color("faint"), 0.75 if theme.paper() else 1)
            style.setDashPattern([4, 3])
            painter.setPen(style)
            painter.drawLine(QLineF(box.left(), y, box.right(), y))
            painter.setPen(QPen(now.color("line"), 1))
            painter.drawLine(QLineF(box.right(), y, box.right() + 8, place))
            room = QRectF(box.right() + 10, place - tall / 2, self.width() - box.right() - 10, tall)
            pen.draw(painter, room, self._named(value, name), now.color("muted"), 0)

    def _paint_dots(self, painter: QPainter) -> None:
        now, zoom = theme.current(), theme.zoom()
        many = self.dots.shape[1] > 60
        crowd = 0.5 if many else 0.75
        for strong, token, alpha in ((False, "faint", 0.55), (True, "accent", crowd)):
            size = (2.2 if theme.paper() else 3.0 if many else 4.0) * zoom
            pen = QPen(now.color(token, alpha), size)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            painter.setPen(pen)
            for row in range(len(self.axis)):
                x, y = self._where(row)
                some = np.isfinite(y) & (self.strong[row] == strong)
                painter.drawPoints(
                    [QPointF(a, b) for a, b in zip(x[some].tolist(), y[some].tolist(), strict=True)]
                )

    def _paint_line(self, painter: QPainter) -> None:
        known = np.flatnonzero(np.isfinite(self.line))
        if not len(known):
            return
        now, colour = theme.current(), self._line_colour()
        points = [
            QPointF(float(self.x_of(self.axis[at])), float(self.y_of(self.line[at])))
            for at in known
        ]
        painter.setPen(QPen(colour, 1.25 if theme.paper() else 1.75))
        painter.drawPolyline(points)
        for point in points:
            painter.setPen(QPen(now.color("panel"), 1.25))
            painter.setBrush(colour)
            painter.drawEllipse(point, 4.5, 4.5)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        pen = token_pen(13 if not theme.paper() else 11, 600)
        wide = pen.width(self.line_name) + 2
        word = QRectF(points[0].x() + 9, points[0].y() - 18, wide, 16)
        word.moveTop(max(word.top(), 0))
        painter.fillRect(word.adjusted(-2, 1, 2, -1), now.color("panel", 0.8))
        pen.draw(painter, word, self.line_name, colour, 0)

    @staticmethod
    def _line_colour() -> QColor:
        return theme.okabe_ito(5)

    def paint_overlay(self, painter: QPainter) -> None:
        now = theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        for (row, col), token in ((self.hover, "text"), (self.chosen, "accent")):
            if not 0 <= row < len(self.axis):
                continue
            middle = float(self.x_of(self.axis[row]))
            if token == "text":
                painter.setPen(QPen(now.color("text", 0.35), 1))
                painter.drawLine(QLineF(middle, self.box.top(), middle, self.box.bottom()))
            if 0 <= col < self.dots.shape[1]:
                x, y = self._where(row)
                if np.isfinite(y[col]):
                    painter.setPen(QPen(now.color(token), 1.5))
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                    painter.drawEllipse(QPointF(float(x[col]), float(y[col])), 5, 5)
