"""ScatterMap: points in classes on two axes; drawn around with a lasso, or chosen one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PySide6.QtCore import QLineF, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.grid import NOWHERE
from gui.plots.pair_scatter import ticks
from gui.plots.probe_marks import paint_marker
from gui.plots.tokens import token_pen

Array = np.ndarray
NEAR, SIZE, MANY = 9, 3.2, 3000  # px; from so many on points are only dots
AIR = 0.05  # of the range, at each end of an axis
KEY, BETWEEN = 20, 14  # px of a line of the legend, between two of its names
FAR = 4  # px that the mouse moves before a press is a lasso
DIM = 0.16  # what is left of a point that is not among the chosen ones
MARKERS = ("disc", "square", "triangle", "diamond", "cross")
ORDER = (4, 0, 2, 6, 5, 1, 3, 7)  # of Okabe and Ito's colours, the palest ones last
ON_DARK = (1, 0, 2, 6, 5, 3, 4, 7)  # and there the darkest one


def marker_of(kind: int) -> str:
    """The sign of a class, beside its colour."""
    return MARKERS[kind % len(MARKERS)]


def ink_of(kind: int) -> QColor:
    """The colour of a class; the eighth is the grey of what has none."""
    order = ON_DARK if theme.current().dark else ORDER
    return theme.okabe_ito(order[kind % len(order)])


class ScatterMap(Canvas):
    """`set_data` gives points; clicked gives (point, 0), brushed the points drawn around."""

    brushed = Signal(object)  # [point] indices; empty = all again

    def __init__(self, parent: QWidget | None = None, *, name: str = "points in classes") -> None:
        super().__init__(parent, name)
        self.points = np.zeros((0, 2))  # [point, 2]
        self.kinds = np.zeros(0, int)  # [point]
        self.names: Sequence[str] = ()  # [kind]
        self.axes, self.words = ("", ""), str
        self.picked = np.zeros(0, bool)  # [point]: drawn around; none = all count
        self.lasso: list[QPointF] = []
        self.box = QRectF()
        self.keys: list[tuple[int, QRectF]] = []
        self._pressed: QPointF | None = None
        self.set_empty("A point for every example will be here.")

    def set_data(
        self, points: Array, kinds: Array, names: Sequence[str], axes: tuple[str, str],
        words: Callable[[int], str],
    ) -> None:  # fmt: skip
        """points [point, 2], NaN = not known; kinds [point] index names; axes: across and up.

        words: what the tooltip says of a point.
        """
        if len(points) != len(self.points):
            self.hover = self.chosen = NOWHERE
            self.picked = np.zeros(len(points), bool)
        self.points, self.kinds = np.asarray(points, np.float64), np.asarray(kinds)
        self.names, self.axes, self.words = list(names), axes, words
        self.lasso = []
        known = np.isfinite(self.points).all(axis=1).any() if len(self.points) else False
        self.set_empty("" if known else "A point for every example will be here.")

    def show_picked(self, some: Array) -> None:
        """Which points count, by index; the others fade. None of them = all count."""
        self.picked = np.zeros(len(self.points), bool)
        self.picked[some] = True
        self.repaint_base()

    def show_chosen(self, point: int | None) -> None:
        chosen = NOWHERE if point is None or not 0 <= point < len(self.points) else (point, 0)
        if chosen != self.chosen:
            self.chosen = chosen
            self.update()

    def describe(self, row: int, col: int) -> str:
        return self.words(row) if 0 <= row < len(self.points) else ""

    def sizeHint(self) -> QSize:
        return QSize(420, 360)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 100)

    def page_height(self, width: int) -> int:
        return min(round(width * 0.75), 380)

    def cramped(self) -> str:
        self.settle()
        left_out = len(self.names) - len(self.keys)
        return f"{left_out} classes have no room in the legend" if left_out > 0 else ""

    # layout

    def lay_out(self) -> None:
        if self._empty:
            return
        pen, zoom = token_pen(11), theme.zoom()
        known = self.points[np.isfinite(self.points).all(axis=1)]  # [known, 2]
        low, high = known.min(axis=0), known.max(axis=0)  # [2] each
        air = np.maximum((high - low) * AIR, 1e-6)
        self.low, self.high = low - air, high + air
        top = self._place_keys(KEY * zoom)
        self.up, self.up_places = ticks(self.low[1], self.high[1], 6 if self.height() > 240 else 3)
        left = 12 + pen.height + max(pen.width(shades.figure(v, self.up_places)) for v in self.up)
        bottom = 2 * pen.height + 8
        self.box = QRectF(left, top, max(self.width() - left - 8, 10),
                          max(self.height() - top - bottom, 10))  # fmt: skip
        room = max(int(self.box.width() / (56 * zoom)), 2)
        self.across, self.places = ticks(self.low[0], self.high[0], room)

    def _place_keys(self, line: float) -> float:
        """The legend above the plot, in as many lines as a share of the height takes."""
        pen, x, y = token_pen(11), 4.0, 0.0
        most = max(self.height() * (0.35 if theme.paper() else 0.2), line)
        self.keys = []
        for kind, name in enumerate(self.names):
            need = pen.width(name) + 18
            if self.keys and x + need > self.width():
                x, y = 4.0, y + line
            if y + line > most:
                break
            self.keys.append((kind, QRectF(x, y, min(need, self.width() - x), line)))
            x += need + BETWEEN
        return (self.keys[-1][1].bottom() + 4) if self.keys else 6.0

    def where(self, points: Array) -> tuple[Array, Array]:
        """[point, 2] -> pixels [point] across and down."""
        self.settle()
        share = (points - self.low) / (self.high - self.low)  # [point, 2]
        box = self.box
        return box.left() + share[:, 0] * box.width(), box.bottom() - share[:, 1] * box.height()

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        self.settle()
        if self._empty or not self.box.adjusted(-6, -6, 6, 6).contains(QPointF(where)):
            return NOWHERE
        x, y = self.where(self.points)
        far = np.hypot(x - where.x(), y - where.y())  # [point]
        if self.picked.any():
            far[~self.picked] = np.inf
        far[np.isnan(far)] = np.inf
        best = int(far.argmin())
        return (best, 0) if far[best] <= NEAR else NOWHERE

    # mouse and keys

    def key_at(self, where: QPointF) -> int | None:
        """The class whose name in the legend is there."""
        self.settle()
        return next((kind for kind, box in self.keys if box.contains(where)), None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or self._empty:
            return
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        kind = self.key_at(event.position())
        if kind is not None:
            some = np.flatnonzero(self.kinds == kind)  # [point of the class]
            again = len(some) == self.picked.sum() and self.picked[some].all()
            self._brush(some[:0] if again else some)
            return
        self._pressed, self.lasso = event.position(), []

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed is None:
            hand = self.key_at(event.position()) is not None
            self.setCursor(
                Qt.CursorShape.PointingHandCursor if hand else Qt.CursorShape.ArrowCursor
            )
            super().mouseMoveEvent(event)
            return
        moved = QLineF(self._pressed, event.position()).length() > FAR
        if self.lasso or moved:
            self.lasso = [*(self.lasso or [self._pressed]), event.position()]
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        pressed, self._pressed = self._pressed, None
        if pressed is None:
            return
        if self.lasso:
            ring = QPolygonF(self.lasso)
            x, y = self.where(self.points)
            fill = Qt.FillRule.OddEvenFill
            inside = [ring.containsPoint(QPointF(a, b), fill)
                      for a, b in zip(x.tolist(), y.tolist(), strict=True)]  # fmt: skip
            self.lasso = []
            self._brush(np.flatnonzero(inside))
            return
        cell = self.cell_at(pressed.toPoint())
        if cell != NOWHERE:
            self.choose(*cell)
        elif self.picked.any():
            self._brush(np.zeros(0, int))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and Right go from point to point in their order, Escape takes the lasso away."""
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        if event.key() == Qt.Key.Key_Escape and self.picked.any():
            self._brush(np.zeros(0, int))
        elif event.key() in steps and not self._empty:
            count = self.picked if self.picked.any() else np.isfinite(self.points).all(axis=1)
            order = np.flatnonzero(count)  # [point that counts]
            way = steps[Qt.Key(event.key())]
            beyond = order[order > self.chosen[0]] if way > 0 else order[order < self.chosen[0]]
            if len(beyond):
                self.choose(int(beyond[0] if way > 0 else beyond[-1]), 0)
        else:
            event.ignore()

    def _brush(self, some: Array) -> None:
        self.show_picked(some)
        self.brushed.emit(some)

    # painting

    def paint_base(self, painter: QPainter) -> None:
        self._paint_axes(painter)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        known = np.asarray(np.isfinite(self.points).all(axis=1))  # [point]
        if self.picked.any():
            self._paint_points(painter, known & ~self.picked, DIM)
            known &= self.picked
        self._paint_points(painter, known, 0.85)
        now, pen = theme.current(), token_pen(11)
        for kind, box in self.keys:
            middle = box.center().y()
            paint_marker(painter, QPointF(box.left() + 5, middle), marker_of(kind),
                         ink_of(kind), 4.2)  # fmt: skip
            words = box.adjusted(14, 0, 0, 0)
            pen.draw(painter, words, self.names[kind], now.color("text"), 0)

    def _paint_points(self, painter: QPainter, some: Array, strength: float) -> None:
        """In an order that lets no class hide the others: as the examples came."""
        x, y = self.where(self.points)
        size = SIZE * (0.75 if theme.paper() else theme.zoom())
        inks = []
        for kind in range(len(self.names)):
            ink = ink_of(kind)
            ink.setAlphaF(strength)
            inks.append(ink)
        at = np.flatnonzero(some)  # [point]
        if len(at) > MANY:
            for kind, ink in enumerate(inks):
                own = at[self.kinds[at] == kind]
                pen = QPen(ink, 2)
                pen.setCapStyle(Qt.PenCapStyle.RoundCap)
                painter.setPen(pen)
                spots = zip(x[own].tolist(), y[own].tolist(), strict=True)
                painter.drawPoints([QPointF(a, b) for a, b in spots])
            return
        for point in at.tolist():
            kind = int(self.kinds[point])
            spot = QPointF(float(x[point]), float(y[point]))
            paint_marker(painter, spot, marker_of(kind), inks[kind], size)

    def _paint_axes(self, painter: QPainter) -> None:
        now, pen, box = theme.current(), token_pen(11), self.box
        muted, high = now.color("muted"), token_pen(11).height
        line = QPen(now.color("line"), 0.75 if theme.paper() else 1)
        painter.setPen(QPen(now.color("field"), 1))
        painter.drawLine(QLineF(box.left(), box.bottom(), box.right(), box.bottom()))
        painter.drawLine(QLineF(box.left(), box.top(), box.left(), box.bottom()))
        xs, _ = self.where(np.array([[v, 0.0] for v in self.across]))
        _, ys = self.where(np.array([[0.0, v] for v in self.up]))
        for value, x in zip(self.across, xs.tolist(), strict=True):
            if value == 0:
                painter.setPen(line)
                painter.drawLine(QLineF(x, box.top(), x, box.bottom()))
            text = shades.figure(value, self.places)
            pen.draw(painter, QRectF(x - 28, box.bottom() + 3, 56, high), text, muted)
        for value, y in zip(self.up, ys.tolist(), strict=True):
            if value == 0:
                painter.setPen(line)
                painter.drawLine(QLineF(box.left(), y, box.right(), y))
            text = shades.figure(value, self.up_places)
            pen.draw(painter, QRectF(0, y - high / 2, box.left() - 5, high), text, muted, 1)
        below = QRectF(box.left(), box.bottom() + 4 + high, box.width(), high)
        pen.draw(painter, below, _fitting(self.axes[0], below.width()), now.color("text"))
        painter.save()
        painter.translate(0, box.center().y())
        painter.rotate(-90)
        beside = QRectF(-box.height() / 2, 0, box.height(), high)
        pen.draw(painter, beside, _fitting(self.axes[1], box.height()), now.color("text"))
        painter.restore()

    def paint_overlay(self, painter: QPainter) -> None:
        now = theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        x, y = self.where(self.points)
        for (row, _), token, wide in ((self.hover, "text", 1.5), (self.chosen, "accent", 2.2)):
            if 0 <= row < len(x) and np.isfinite(x[row]) and np.isfinite(y[row]):
                painter.setPen(QPen(now.color(token), wide))
                painter.drawEllipse(QPointF(float(x[row]), float(y[row])), 6.5, 6.5)
        if self.lasso:
            painter.setPen(QPen(now.color("accent"), 1.25))
            painter.setBrush(now.color("accent", 0.1))
            painter.drawPolygon(QPolygonF(self.lasso))


def _fitting(words: str, room: float) -> str:
    """An axis' name, without what stands after its comma where that has no room."""
    return words if token_pen(11).width(words) <= room else words.partition(",")[0]
