"""ShadedExamples: stretches of text, one under the other, each token shaded by an activation.

The token that an example is about stands in one column, so that what comes before it and after it
is compared at a glance. A second number at the same tokens (a neuron beside a feature) has a
column of its own, with the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.grid import NOWHERE, Grid, hatch, outline
from gui.plots.shades import figure
from gui.plots.tokens import token_pen, token_text

Array = np.ndarray
ROW, CAPTION, NUMBER, AIR = 22, 24, 44, 2  # px
SHARE, GAP = 0.58, 12  # of a column: what stands before the token's end; px between columns
PAGE_ROWS = 14


@dataclass(frozen=True, eq=False)
class Stretch:
    """words and values [token]; at: the token it is about. beside [token]: another number there.

    group: the name of the band that begins with this row; "" = as the row before.
    """

    words: tuple[str, ...]
    values: Array
    at: int
    group: str = ""
    beside: Array | None = None


@dataclass(frozen=True)
class _Box:
    """A token where it is drawn: row, column of text, index of the token."""

    row: int
    column: int
    token: int
    where: QRectF


class ShadedExamples(Canvas):
    """`set_rows` gives them; `picked` gives (row, token)."""

    picked = Signal(int, int)

    def __init__(self, parent: QWidget | None = None, *, name: str = "examples") -> None:
        super().__init__(parent, name)
        self.rows: list[Stretch] = []
        self.most, self.reach = 1.0, 1.0  # the values of full colour, of both columns
        self.signed = (False, False)
        self.titles = ("", "")
        self._boxes: list[_Box] = []
        self._tops: list[tuple[str, int, int]] = []  # (caption, row or -1, y)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_empty("Examples will be here.")

    def set_rows(
        self, rows: Sequence[Stretch], most: float, *, reach: float = 1.0,
        signed: tuple[bool, bool] = (False, False), titles: tuple[str, str] = ("", ""),
        nothing: str = "No example.",
    ) -> None:  # fmt: skip
        """most, reach: what has the full colour, of the values and of what stands beside them.

        titles: over the columns, where there are two. signed: columns with values below 0.
        """
        tall = self._tall()
        self.rows, self.titles, self.signed = list(rows), titles, signed
        self.most, self.reach = max(most, 1e-9), max(reach, 1e-9)
        self.hover = NOWHERE
        if self.chosen[0] >= len(rows):
            self.chosen = NOWHERE
        self.set_empty("" if rows else nothing)
        if self._tall() != tall:
            self.updateGeometry()

    @property
    def double(self) -> bool:
        """Whether a second number is there."""
        return any(row.beside is not None for row in self.rows)

    def _values(self, row: Stretch, column: int) -> Array:
        if column == 0:
            return row.values
        return np.full(len(row.values), np.nan) if row.beside is None else row.beside

    def describe(self, row: int, col: int) -> str:
        """col: the token."""
        stretch = self.rows[row]
        if not 0 <= col < len(stretch.words):
            return ""
        said = []
        for column in range(2 if self.double else 1):
            value = float(self._values(stretch, column)[col])
            name = f"{self.titles[column]}: " if self.double else ""
            said.append(f"{name}{'left out' if np.isnan(value) else figure(value, 3)}")
        return f"{token_text(stretch.words[col])}\n" + "\n".join(said)

    # layout

    def _tall(self) -> int:
        """Pixels of all rows, captions and titles."""
        groups = sum(bool(row.group) for row in self.rows)
        titles = CAPTION if self.double else 0
        return round((ROW * max(len(self.rows), 2) + CAPTION * groups + titles) * theme.zoom()) + 2

    def sizeHint(self) -> QSize:
        return QSize(360, self._tall())

    def minimumSizeHint(self) -> QSize:
        return QSize(140, self._tall())

    def page_height(self, width: int) -> int:
        shown = self.rows[:PAGE_ROWS]
        groups = sum(bool(row.group) for row in shown)
        return ROW * max(len(shown), 2) + CAPTION * (groups + self.double) + 2

    def cramped(self) -> str:
        self.settle()
        shown = sum(row >= 0 for _, row, _ in self._tops)
        return f"{shown} of {len(self.rows)} examples are shown" if shown < len(self.rows) else ""

    def _columns(self) -> list[QRectF]:
        """The room of text in each column."""
        number = NUMBER * theme.zoom()
        if not self.double:
            return [QRectF(number, 0, self.width() - number, self.height())]
        half = (self.width() - GAP) / 2
        return [QRectF(number + at * (half + GAP), 0, half - number, self.height())
                for at in (0, 1)]  # fmt: skip

    def lay_out(self) -> None:
        zoom = theme.zoom()
        self._tops, self._boxes, y = [], [], round(CAPTION * zoom) if self.double else 0
        for at, row in enumerate(self.rows):
            if y + (CAPTION * zoom if row.group else 0) + ROW * zoom > self.height() + 4:
                break
            if row.group:
                self._tops.append((row.group, -1, y))
                y += round(CAPTION * zoom)
            self._tops.append(("", at, y))
            y += round(ROW * zoom)
        for column, room in enumerate(self._columns()):
            for _, at, top in self._tops:
                if at >= 0:
                    self._place(at, column, room, top)
        rows = max((row for _, row, _ in self._tops), default=-1) + 1
        self.grid = Grid((0, max(self.width(), 1)), tuple(range(rows + 1)), up=False)

    def _place(self, at: int, column: int, room: QRectF, top: int) -> None:
        """The tokens of a row from the one it is about outwards, as far as there is room."""
        pen, row, line = token_pen(11, mono=True), self.rows[at], round(ROW * theme.zoom())
        widths = [pen.width(word) + 2 * AIR for word in row.words]
        before, after = sum(widths[: row.at + 1]), sum(widths[row.at + 1 :])
        split = room.left() + room.width() * SHARE
        if after < room.right() - split:
            split = max(split, min(room.right() - after, room.left() + before))
        x = split
        for token in range(row.at, -1, -1):
            wide = min(widths[token], room.width())
            if x - wide < room.left() - 1:
                break
            x -= wide
            box = QRectF(x, top + 1, wide, line - 3)
            self._boxes.append(_Box(at, column, token, box))
        x = split
        for token in range(row.at + 1, len(row.words)):
            if x + widths[token] > room.right() + 1:
                break
            box = QRectF(x, top + 1, widths[token], line - 3)
            self._boxes.append(_Box(at, column, token, box))
            x += widths[token]

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        self.settle()
        if self.is_empty():
            return NOWHERE
        for box in self._boxes:
            if box.where.contains(where):
                return box.row, box.token
        return NOWHERE

    # doing

    def choose(self, row: int, col: int) -> None:
        super().choose(row, col)
        self.picked.emit(row, col)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self.settle()
        steps = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}
        key = Qt.Key(event.key())
        if key not in steps or not self.rows:
            event.ignore()
            return
        row = self.chosen[0]
        to = min(max(row + steps[key], 0), len(self.rows) - 1) if row >= 0 else 0
        self.choose(to, self.rows[to].at)

    # painting

    def paint_base(self, painter: QPainter) -> None:
        now, small, zoom = theme.current(), token_pen(11), theme.zoom()
        caption, line = CAPTION * zoom, ROW * zoom
        columns = self._columns()
        if self.double:
            for title, room in zip(self.titles, columns, strict=True):
                left = room.left() - NUMBER * zoom
                box = QRectF(left, 0, room.right() - left, caption - 4)
                token_pen(11, 600).draw(painter, box, title, now.color("text"), 0)
        for text, row, y in self._tops:
            if row < 0:
                box = QRectF(0, y, self.width(), caption - 2)
                small.draw(painter, box, text, now.color("muted"), 0)
                continue
            for column, room in enumerate(columns):
                value = float(self._values(self.rows[row], column)[self.rows[row].at])
                number = QRectF(room.left() - NUMBER * zoom, y, (NUMBER - 8) * zoom, line)
                word = "–" if np.isnan(value) else figure(value, shades.decimals(self._top(column)))
                strong = column == 0
                token_pen(11, 600 if strong else 400).draw(
                    painter, number, word, now.color("text" if strong else "muted"), 1)  # fmt: skip
        self._paint_tokens(painter)

    def _top(self, column: int) -> float:
        return self.reach if column else self.most

    def _paint_tokens(self, painter: QPainter) -> None:
        pen, (dark, light), accent = token_pen(11, mono=True), theme.inks(), theme.current()
        missing = []
        for column in range(2 if self.double else 1):
            boxes = [box for box in self._boxes if box.column == column]
            values = np.array([self._values(self.rows[box.row], column)[box.token]
                               for box in boxes], np.float32)  # [box]  # fmt: skip
            rgba = tint(values, self._top(column), self.signed[column])  # [box, 4]
            ink = theme.wants_ink(rgba)  # [box]
            for at, box in enumerate(boxes):
                row = self.rows[box.row]
                if np.isnan(values[at]):
                    missing.append(box.where.toRect())
                elif values[at]:
                    painter.fillRect(box.where, theme.color_of(rgba[at]))
                inside = box.where.adjusted(AIR, 0, -AIR + 1, 0)
                pen.draw(painter, inside, row.words[box.token], dark if ink[at] else light)
                if box.token == row.at:
                    line = QRectF(
                        box.where.left(), box.where.bottom() - 0.5, box.where.width(), 1.5
                    )
                    painter.fillRect(line, accent.color("accent"))
        if missing:
            hatch(painter, missing)

    def paint_overlay(self, painter: QPainter) -> None:
        now = theme.current()
        for box in self._boxes:
            at = (box.row, box.token)
            if at == self.hover:
                outline(painter, box.where.toRect(), QPen(now.color("accent"), 1))
            elif at == self.chosen and self.hasFocus():
                outline(painter, box.where.toRect(), QPen(now.color("accent"), 1.5))


def tint(values: Array, most: float, signed: bool = False) -> Array:
    """RGBA of activations [n], [n, 4] uint8: panel to blue, or blue - panel - red where signed."""
    if signed:
        return shades.shade(values, "diverging", (-most, most))
    return shades.shade(np.maximum(values, 0), "probability", (0.0, most))
