"""Boundary: the square [-1, 1]^2 as a network sees it, with labelled points and its own line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QLineF, QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.contour import contour
from gui.plots.grid import NOWHERE
from gui.plots.step_axis import polygon
from gui.plots.tokens import token_pen

Array = np.ndarray
LEFT, TOP, LARGEST, ON_PAPER = 22, 4, 560, 200  # px: numbers at the left; the largest sides
NEAR, DOT = 9, 5.0  # px: how far a point may be from the pointer; the width of its mark
SOFT = 0.72  # the half width of the colour scale of P - 1/2: pale enough for marks on top of it
KEY = 18  # px of a line of the legend
LINE_NAME = "P = 0.5"
MARKS = {0: ("class 0", Qt.PenCapStyle.SquareCap), 1: ("class 1", Qt.PenCapStyle.RoundCap)}


class Boundary(Canvas):
    """`set_data` draws P(class 1), `set_unit` one hidden unit; clicked gives (point, 0)."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "what it decides") -> None:
        super().__init__(parent, name)
        self.values = np.zeros((0, 0))  # [row, col]; row 0 is y = -1
        self.points = np.zeros((0, 2))  # [point, xy]
        self.labels = np.zeros(0, int)  # [point]
        self.wrong = np.zeros(0, bool)  # [point]
        self.words: Callable[[int], str] = str  # of a point, for the tooltip
        self.unit, self.signed, self.reach = False, True, 1.0
        self.wrong_name = ""
        self._arranged: object = None  # what the legend was laid out for
        self.box, self._row_tops, self._keys_left = QRectF(), 0.0, 0.0
        self.set_empty("What the network decides will be here.")

    def set_data(
        self,
        probability: Array,
        points: Array,
        labels: Array,
        wrong: Array,
        wrong_name: str,
        words: Callable[[int], str],
    ) -> None:
        """probability [row, col] of class 1 at the centres of cells; row 0 is y near -1.

        points [point, xy]; labels, wrong [point]: those that a probe gets wrong, and what the
        legend says of them. words: what the tooltip says of a point.
        """
        self.unit, self.signed, self.reach, self.wrong_name = False, True, SOFT, wrong_name
        self._take(np.asarray(probability) - 0.5, points, labels, wrong, words)

    def set_unit(
        self,
        values: Array,
        points: Array,
        labels: Array,
        words: Callable[[int], str],
        signed: bool,
    ) -> None:
        """values [row, col] of one hidden unit; signed: it can be negative."""
        values = np.asarray(values, np.float64)
        known = values[np.isfinite(values)]  # [n]
        self.unit, self.signed = True, signed
        self.reach = float(np.abs(known).max(initial=0.0)) or 1.0
        self._take(values, points, labels, np.zeros(len(points), bool), words)

    def _take(
        self,
        values: Array,
        points: Array,
        labels: Array,
        wrong: Array,
        words: Callable[[int], str],
    ) -> None:
        if len(points) != len(self.points):
            self.hover = self.chosen = NOWHERE
        self.values, self.points = values, np.asarray(points)
        self.labels, self.wrong, self.words = np.asarray(labels), np.asarray(wrong), words
        known = np.isfinite(values).any()
        before, self._arranged = self._arranged, (self._keys(), self._ends())
        if known and before == self._arranged and not self.is_empty():
            self.repaint_base()
        else:
            self.set_empty("" if known else "What the network decides will be here.")

    def describe(self, row: int, col: int) -> str:
        return self.words(row) if row < len(self.points) else ""

    def sizeHint(self) -> QSize:
        return QSize(300, 340)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, 80)

    def page_height(self, width: int) -> int:
        return min(width, ON_PAPER) + self.foot(width)

    # layout

    def _keys(self) -> list[tuple[str, str]]:
        """Kind and words of the legend."""
        keys = [("1", MARKS[1][0]), ("0", MARKS[0][0])]
        if self.unit:
            return [*keys, ("ramp", "activation")]
        return [*keys, ("wrong", self.wrong_name), ("line", LINE_NAME)]

    def _rows_of_keys(self, width: float) -> list[list[tuple[str, str, float]]]:
        """The legend's lines: kind, words and left edge of each."""
        rows, x = [[]], 0.0
        for kind, words in self._keys():
            need = self._key_width(kind, words)
            if rows[-1] and x + need > width:
                rows, x = [*rows, []], 0.0
            rows[-1].append((kind, words, x))
            x += need + 12
        return rows

    def _key_width(self, kind: str, words: str) -> float:
        pen = token_pen(11)
        if kind == "ramp":
            low, high = self._ends()
            return pen.width(words) + pen.width(low) + pen.width(high) + 60
        return pen.width(words) + (24 if kind == "line" else 16)

    def _ends(self) -> tuple[str, str]:
        places = min(shades.decimals(self.reach), 3)
        low = -self.reach if self.signed else 0.0
        return shades.figure(low, places if low else 0), shades.figure(self.reach, places)

    def foot(self, width: float) -> int:
        """Pixels of the numbers and the legend below the square."""
        line = token_pen(11).height
        return round(line + 6 + KEY * theme.zoom() * len(self._rows_of_keys(width - LEFT)))

    def lay_out(self) -> None:
        self.keys = self._rows_of_keys(self.width() - LEFT)
        line, zoom = token_pen(11).height, theme.zoom()
        below = line + 6 + KEY * zoom * len(self.keys)
        if self.height() - below < 90:  # the square first
            self.keys, below = [], line + 4
        left = LEFT * zoom
        room = min(self.width() - left - 4, self.height() - TOP - below, LARGEST)
        side = max(float(int(room)), 10.0)
        spare = max(self.width() - left - 4 - side, 0)
        self.box = QRectF(left + int(spare / 2), TOP, side, side)
        self._row_tops = self.box.bottom() + line + 6
        ends = [row[-1][2] + self._key_width(*row[-1][:2]) for row in self.keys]
        over = self.box.left() + max(ends, default=0.0) - self.width() + 2
        self._keys_left = max(self.box.left() - max(over, 0.0), 2.0)

    def where(self, points: Array) -> tuple[Array, Array]:
        """[point, xy] -> pixels [point] across and down; y = 1 is at the top."""
        self.settle()
        half = self.box.width() / 2
        centre = self.box.center()
        return centre.x() + points[:, 0] * half, centre.y() - points[:, 1] * half

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        self.settle()
        if self._empty or not len(self.points):
            return NOWHERE
        x, y = self.where(self.points)
        far = np.hypot(x - where.x(), y - where.y())  # [point]
        best = int(far.argmin())
        return (best, 0) if far[best] <= NEAR else NOWHERE

    # painting

    def paint_base(self, painter: QPainter) -> None:
        painter.save()
        painter.setClipRect(self.box)
        self._paint_field(painter)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        if not self.unit or self.signed:
            self._paint_line(painter)
        self._paint_points(painter)
        painter.restore()
        self._paint_axes(painter)
        for at, row in enumerate(self.keys):
            top = self._row_tops + at * KEY * theme.zoom()
            for kind, words, x in row:
                self._paint_key(painter, kind, words, QPointF(self._keys_left + x, top))

    def _paint_field(self, painter: QPainter) -> None:
        """The values as one image."""
        scale = "diverging" if self.signed else "probability"
        limits = (-self.reach, self.reach) if self.signed else (0.0, self.reach)
        rgba = np.ascontiguousarray(shades.shade(self.values[::-1], scale, limits))  # [y, x, 4]
        rows, cols = self.values.shape
        image = QImage(rgba.data, cols, rows, 4 * cols, QImage.Format.Format_RGBA8888)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        painter.setRenderHint(QPainter.RenderHint.LosslessImageRendering, True)
        painter.drawImage(self.box, image)

    def _paint_line(self, painter: QPainter) -> None:
        rows, cols = self.values.shape
        ends = contour(self.values, 0.0).reshape(-1, 2)  # [end, (col, row)]
        xy = (ends + 0.5) / [cols, rows] * 2 - 1  # [end, xy]: values are those of cells' centres
        x, y = self.where(xy)
        four = np.stack([x, y], axis=1).reshape(-1, 4).tolist()  # [segment][4]
        painter.setPen(QPen(theme.current().color("text"), 1.25))
        painter.drawLines([QLineF(*segment) for segment in four])

    def _paint_points(self, painter: QPainter) -> None:
        now, size = theme.current(), DOT * (0.8 if theme.paper() else theme.zoom())
        size *= min(max(self.box.width() / 260, 0.45), 1.25)
        x, y = self.where(self.points)
        for label in MARKS:
            own = self.labels == label
            spots = polygon(x[own], y[own])
            rim = 2.0 if self.box.width() > 160 else 1.0
            for wide, colour in ((size + rim, now.color("panel")), (size, ink(label))):
                painter.setPen(_dot(label, wide, colour))
                painter.drawPoints(spots)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(now.color("text"), 1.4))
        for at in np.flatnonzero(self.wrong).tolist():
            painter.drawEllipse(QPointF(float(x[at]), float(y[at])), size * 0.95, size * 0.95)

    def _paint_axes(self, painter: QPainter) -> None:
        now, pen, box = theme.current(), token_pen(11), self.box
        painter.setPen(QPen(now.color("line"), 0.75 if theme.paper() else 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(box)
        high = pen.height
        for value, word in ((-1.0, "−1"), (0.0, "0"), (1.0, "1")):
            x = box.center().x() + value * box.width() / 2
            y = box.center().y() - value * box.height() / 2
            y = min(max(y, box.top() + high / 2), box.bottom() - high / 2)
            muted = now.color("muted")
            pen.draw(painter, QRectF(box.left() - 24, y - high / 2, 20, high), word, muted, 1)
            x = min(max(x, box.left() + 6), box.right() - 4)
            pen.draw(painter, QRectF(x - 10, box.bottom() + 2, 20, high), word, muted)

    def _paint_key(self, painter: QPainter, kind: str, words: str, corner: QPointF) -> None:
        now, pen, high = theme.current(), token_pen(11), KEY * theme.zoom()
        y, x = corner.y() + high / 2, corner.x()
        ink_of_words = now.color("muted")
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        if kind == "ramp":
            low, high_end = self._ends()
            text = f"{words} {low}"
            wide = pen.width(text) + 2
            pen.draw(painter, QRectF(x, corner.y(), wide, high), text, ink_of_words, 0)
            table = shades.table("diverging" if self.signed else "probability")  # [256, 4]
            strip = np.repeat(table[None, 1::4], 8, axis=0)  # [y, x, 4]
            box = QRectF(x + wide + 4, y - 4, 44, 8).toRect()
            shades.draw_pixels(painter, box, strip)
            box_right = QRectF(x + wide + 52, corner.y(), pen.width(high_end) + 2, high)
            pen.draw(painter, box_right, high_end, ink_of_words, 0)
            return
        mark = 18 if kind == "line" else 10
        if kind in ("0", "1"):
            painter.setPen(_dot(int(kind), 7, ink(int(kind))))
            painter.drawPoint(QPointF(x + 5, y))
        elif kind == "wrong":
            painter.setPen(QPen(now.color("text"), 1.4))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(QPointF(x + 5, y), 4.5, 4.5)
        else:
            painter.setPen(QPen(now.color("text"), 1.25))
            painter.drawLine(QLineF(x, y, x + 18, y))
        box = QRectF(x + mark + 4, corner.y(), pen.width(words) + 2, high)
        pen.draw(painter, box, words, ink_of_words, 0)

    def paint_overlay(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        x, y = self.where(self.points)
        for (row, _), token, reach in ((self.chosen, "accent", 7.5), (self.hover, "text", 6.5)):
            if 0 <= row < len(x):
                painter.setPen(QPen(theme.current().color("panel"), 3.5))
                painter.drawEllipse(QPointF(float(x[row]), float(y[row])), reach, reach)
                painter.setPen(QPen(theme.current().color(token), 2))
                painter.drawEllipse(QPointF(float(x[row]), float(y[row])), reach, reach)


def ink(label: int) -> QColor:
    """The colour of a class: the end of the map that means it."""
    return theme.current().color("map_red" if label else "map_blue")


def _dot(label: int, wide: float, colour: QColor) -> QPen:
    """A pen whose points are the mark of a class: round for 1, square for 0."""
    pen = QPen(colour, wide if label else wide * 0.9)
    pen.setCapStyle(MARKS[label][1])
    return pen
