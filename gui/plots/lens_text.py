"""LensText: a long prompt as running text; under each line of it, a line for every layer.

Tokens are as wide as their longest word in any layer, so that layers stand under their token;
lines wrap at the width and scroll. Shading, gold and hatch are those of the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPen, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QScrollBar, QWidget

from gui import theme
from gui.plots import shades
from gui.plots.axes import GAP, RowLabels, every
from gui.plots.canvas import STEPS, Canvas
from gui.plots.grid import NOWHERE, Grid, hatch, outline
from gui.plots.shades import Limits, Scale
from gui.plots.tokens import token_pen

Array = np.ndarray
LINE, INPUT, BETWEEN = 16, 18, 12  # px: a layer's line, the prompt's, between two stretches
AIR, WIDEST = 3, 84  # px: beside a word, and of the widest word
MOST_LINES = 400  # lines of layers on a page


@dataclass(frozen=True)
class _Layout:
    """Tokens first to last of each stretch and the left edges [pos + 1] of every token."""

    stretches: tuple[tuple[int, int], ...]
    lefts: Array
    rights: Array


class LensText(Canvas):
    """`set_data` gives it; hovered and clicked give (layer row, position)."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "lens as text") -> None:
        super().__init__(parent, name)
        self.values = np.zeros((0, 0), np.float32)  # [row, pos]
        self.words: list[str] = []
        self.text: Sequence[Sequence[str | None]] = []
        self.row_labels: list[str] = []
        self.scale: Scale = "probability"
        self.limits: Limits = (0.0, 1.0)
        self.borders: Array | None = None
        self.corners: Array | None = None
        self.words_of = lambda row, col: f"row {row}, position {col}"
        self._focus: tuple[int | None, int | None] = (None, None)
        self._laid: _Layout | None = None
        self.bar = QScrollBar(Qt.Orientation.Vertical, self)
        self.bar.valueChanged.connect(lambda _: self.repaint_base())
        self.bar.hide()
        self.set_empty("The layers as running text will be here.")

    def set_data(
        self,
        values: Array,
        row_labels: Sequence[str],
        words: Sequence[str],
        text: Sequence[Sequence[str | None]],
        *,
        scale: Scale = "probability",
        limits: Limits | None = None,
        borders: Array | None = None,
        corners: Array | None = None,
    ) -> None:
        """values [row, pos] shade the words text [row][pos] that stand under the prompt's."""
        values = np.asarray(values, np.float32)  # [row, pos]
        if values.shape != self.values.shape:
            self.hover = self.chosen = NOWHERE
            self._focus = (None, None)
        self.values, self.scale = values, scale
        self.limits = shades.limits_of(values, scale, limits)
        self.row_labels, self.words, self.text = list(row_labels), list(words), text
        self.borders, self.corners = borders, corners
        self.set_empty("" if values.size else "No layers to show.")

    def set_focus(self, row: int | None, col: int | None) -> None:
        """Outline a layer at a position, and bring it into sight."""
        rows, cols = self.values.shape
        row = row if row is not None and 0 <= row < rows else None
        col = col if col is not None and 0 <= col < cols else None
        if (row, col) != self._focus:
            self._focus = (row, col)
            if col is not None and not theme.paper():
                self.show_position(col)
            self.repaint_base()

    def show_position(self, col: int) -> None:
        """Scroll so that a position's stretch is in sight."""
        self.settle()
        if self._laid is None or not self.bar.isVisibleTo(self):
            return
        at = next((i for i, (first, last) in enumerate(self._laid.stretches)
                   if first <= col < last), 0)  # fmt: skip
        top, high = at * self._high, self._high
        if top < self.bar.value() or top + high > self.bar.value() + self.height():
            self.bar.setValue(round(top))

    def describe(self, row: int, col: int) -> str:
        return self.words_of(row, col)

    # layout

    def sizeHint(self) -> QSize:
        return QSize(480, 320)

    def page_height(self, width: int) -> int:
        """All of it, as far as a page can be thought of."""
        laid, high = self._lay(width), self._stretch_height()
        most = max(MOST_LINES // max(len(self.row_labels), 1), 1)
        return round(high * min(len(laid.stretches), most)) if len(self.words) else 120

    def _stretch_height(self) -> float:
        zoom = theme.zoom()
        return round(LINE * zoom) * len(self.row_labels) + round(INPUT * zoom) + BETWEEN * zoom

    def _left(self) -> int:
        return RowLabels(self.row_labels, False).width(80 * theme.zoom())

    def _lay(self, width: int) -> _Layout:
        """Where the stretches break; a token is as wide as its widest word."""
        pen, left, zoom = token_pen(11, mono=True), self._left(), theme.zoom()
        wide = np.array([pen.width(word) for word in self.words])  # [pos]
        for line in self.text:
            own = [pen.width(word) if word else 0.0 for word in line]
            wide = np.maximum(wide, own)
        wide = np.minimum(np.ceil(wide), WIDEST * zoom) + 2 * AIR  # [pos]
        lefts, rights = np.zeros(len(wide), int), np.zeros(len(wide), int)
        breaks, x = [0], left
        for at, each in enumerate(wide.astype(int).tolist()):
            if x > left and x + each > width:
                breaks.append(at)
                x = left
            lefts[at], rights[at] = x, x + each
            x += each + 1
        ends = [*breaks, len(wide)]
        return _Layout(tuple(pairwise(ends)), lefts, rights)

    def lay_out(self) -> None:
        self.grid, self._laid = None, None
        if self._empty or not len(self.words):
            self.bar.hide()
            return
        self._high = self._stretch_height()
        scroll = 0 if theme.paper() else self.bar.sizeHint().width()
        self._laid = self._lay(self.width() - 2)
        whole = self._high * len(self._laid.stretches)
        if whole > self.height() + BETWEEN and scroll:
            self._laid = self._lay(self.width() - scroll - 4)
            whole = self._high * len(self._laid.stretches)
            self.bar.setGeometry(self.width() - scroll, 0, scroll, self.height())
            self.bar.setRange(0, max(round(whole) - self.height(), 0))
            self.bar.setPageStep(self.height())
            self.bar.setSingleStep(round(LINE * theme.zoom()))
            self.bar.show()
        else:
            self.bar.setRange(0, 0)
            self.bar.hide()
        rows, cols = self.values.shape
        self.grid = Grid(tuple(range(cols + 1)), tuple(range(rows + 1)), True)

    def box_of(self, row: int, col: int) -> QRect:
        """Where a word stands; row -1: of the prompt."""
        self.settle()
        assert self._laid is not None
        laid, zoom = self._laid, theme.zoom()
        at = next(i for i, (first, last) in enumerate(laid.stretches) if first <= col < last)
        line, top = round(LINE * zoom), at * self._high - self.bar.value()
        below = len(self.row_labels) - 1 - row if row >= 0 else len(self.row_labels)
        high = line if row >= 0 else round(INPUT * zoom)
        left = int(laid.lefts[col])
        return QRect(left, round(top + below * line), int(laid.rights[col]) - left, high)

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        self.settle()
        if self._laid is None or self._empty:
            return NOWHERE
        laid, line = self._laid, round(LINE * theme.zoom())
        y = where.y() + self.bar.value()
        at = int(y // self._high)
        if not 0 <= at < len(laid.stretches):
            return NOWHERE
        below = int((y - at * self._high) // line)
        row = len(self.row_labels) - 1 - below
        first, last = laid.stretches[at]
        inside = (laid.lefts[first:last] <= where.x()) & (where.x() < laid.rights[first:last])
        if not inside.any() or row < 0:
            return NOWHERE
        return row, first + int(inside.argmax())

    # events

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._focus[1] is not None and not theme.paper():
            self.show_position(self._focus[1])

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.bar.isVisibleTo(self):
            self.bar.setValue(self.bar.value() - event.angleDelta().y() // 2)
            event.accept()
        else:
            super().wheelEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        pages = {Qt.Key.Key_PageDown: 1, Qt.Key.Key_PageUp: -1}
        if event.key() in pages:
            self.bar.setValue(self.bar.value() + pages[Qt.Key(event.key())] * self.height())
            return
        super().keyPressEvent(event)
        if event.key() in STEPS and self.chosen != NOWHERE:
            self.show_position(self.chosen[1])

    # painting

    def paint_base(self, painter: QPainter) -> None:
        laid = self._laid
        if laid is None:
            return
        rgba = shades.shade(self.values, self.scale, self.limits)  # [row, pos, 4]
        inks = theme.inks()[::-1]
        ink = np.asarray(theme.wants_ink(rgba), int)  # [row, pos] index of inks
        for at, (first, last) in enumerate(laid.stretches):
            top = at * self._high - self.bar.value()
            if top > self.height() or top + self._high < 0:
                continue
            self._paint_names(painter, top)
            for col in range(first, last):
                self._paint_token(
                    painter, col, round(top), rgba, [inks[one] for one in ink[:, col]]
                )

    def _paint_token(
        self, painter: QPainter, col: int, top: int, rgba: Array, inks: Sequence[QColor]
    ) -> None:
        """A column: the layers' words, and under them the prompt's."""
        assert self._laid is not None
        now, line = theme.current(), round(LINE * theme.zoom())
        pen, n = token_pen(11, mono=True), len(self.row_labels)
        left, right = int(self._laid.lefts[col]), int(self._laid.rights[col])
        hidden, colours = np.isnan(self.values[:, col]), rgba[:, col].tolist()
        for row in range(n):
            box = QRect(left, top + (n - 1 - row) * line, right - left, line)
            if hidden[row]:
                hatch(painter, [box])
                continue
            painter.fillRect(box, theme.color_of(colours[row]))
            word = QRectF(left + AIR, box.top(), right - left - 2 * AIR + 1, line)
            pen.draw(painter, word, self.text[row][col] or "", inks[row], 0)
            if self.borders is not None and self.borders[row, col]:
                outline(painter, box, QPen(now.color("gold"), 2))
            elif self.corners is not None and self.corners[row, col]:
                painter.fillRect(QRect(box.topLeft(), QSize(4, 4)), now.color("gold"))
        lit = theme.marks() and self._focus[1] == col
        strong = token_pen(11, 600, mono=True)
        box = QRectF(left + AIR, top + n * line, right - left - 2 * AIR + 1, INPUT * theme.zoom())
        strong.draw(painter, box, self.words[col], now.color("accent" if lit else "text"), 0)

    def _paint_names(self, painter: QPainter, top: float) -> None:
        """The layers' names at the left of a stretch, as many as their lines have room for."""
        now, zoom = theme.current(), theme.zoom()
        line, pen, left = round(LINE * zoom), token_pen(11), self._left() - GAP - 2
        step = every(line, pen.height)
        for row in range(0, len(self.row_labels), step):
            below = len(self.row_labels) - 1 - row
            lit = theme.marks() and row == self._focus[0]
            box = QRectF(0, top + below * line, left, line)
            shade = now.color("accent" if lit else "muted")
            pen.draw(painter, box, self.row_labels[row], shade, 1)
        box = QRectF(0, top + len(self.row_labels) * line, left, round(INPUT * zoom))
        pen.draw(painter, box, "input", now.color("muted"), 1)

    def paint_overlay(self, painter: QPainter) -> None:
        if self._laid is None:
            return
        now, (row, col) = theme.current(), self._focus
        if self.hover != NOWHERE:
            outline(painter, self.box_of(*self.hover), QPen(now.color("text"), 1))
        if col is not None:
            whole = self.box_of(len(self.row_labels) - 1, col).united(self.box_of(-1, col))
            outline(painter, whole.adjusted(-1, 0, 1, 0), QPen(now.color("accent"), 1))
            if row is not None:
                box = self.box_of(row, col).adjusted(-1, -1, 1, 1)
                outline(painter, box, QPen(now.color("accent"), 2))
