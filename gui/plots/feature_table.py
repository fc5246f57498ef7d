"""FeatureTable: every latent of a dictionary as a row: label, top token, density, activations.

One painted widget of which only the lines in sight are painted, so sixty thousand rows cost what
twenty do. Columns are sorted by a click; texts of tokens are asked for when they are seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPen, QWheelEvent
from PySide6.QtWidgets import QScrollBar, QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.feature_columns import (
    COLUMNS,
    FIRST,
    FLOOR,
    NUMBERS,
    Column,
    columns_for,
    paint_density,
    paint_heading,
)
from gui.plots.grid import NOWHERE, Grid
from gui.plots.tokens import token_pen, token_text

Array = np.ndarray
ROW, HEAD, BAR = 22, 22, 10  # px: a row, the header, scrolling
PAGE_ROWS = 24  # rows on a page; more are a table, not a figure
NEXT = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -10, Qt.Key.Key_PageDown: 10}


def _nothing() -> Array:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """What is known of each latent: density 0 to 1, highest, mean [latent]; top ids, -1 = none."""

    density: Array = field(default_factory=_nothing)
    highest: Array = field(default_factory=_nothing)
    mean: Array = field(default_factory=_nothing)
    top: Array = field(default_factory=_nothing)  # [latent] token ids
    promoted: Array = field(default_factory=_nothing)  # [latent] token ids; empty: none are known
    labels: Mapping[int, str] = field(default_factory=dict)


class FeatureTable(Canvas):
    """`set_rows` fills it; `picked` gives a latent, `named` one whose label is to be written."""

    picked = Signal(int)
    named = Signal(int)
    sorted_by = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None, *, name: str = "features") -> None:
        super().__init__(parent, name)
        self.rows = FeatureRows()
        self.word = "Feature"
        self.pieces: Callable[[Any], list[str]] = lambda ids: [str(int(i)) for i in ids]
        self.kept = np.zeros(0, int)  # [line] -> latent, unsorted: those that the filter leaves
        self.order = np.zeros(0, int)  # [line] -> latent
        self.sort, self.falling = "highest", True
        self.focus: int | None = None
        self._columns: list[tuple[Column, int, int]] = []  # with left and right
        self._down = QScrollBar(Qt.Orientation.Vertical, self)
        self._down.hide()
        self._down.valueChanged.connect(self._scrolled)
        self.set_empty("A table of features will be here.")

    def set_rows(
        self, rows: FeatureRows, pieces: Callable[[Any], list[str]], kept: Array | None = None,
        word: str = "Feature",
    ) -> None:  # fmt: skip
        """pieces: texts of token ids. kept: the latents to list, None = all. word: what one is."""
        count = len(rows.density)
        self.rows, self.pieces, self.word = rows, pieces, word
        self.kept = np.arange(count) if kept is None else np.asarray(kept, int)  # [line]
        self._sort()
        self.set_empty("" if len(self.kept) else
                       "No feature is like that." if count else "There is no feature.")  # fmt: skip

    def sort_by(self, key: str, falling: bool) -> None:
        """Sort by a column; what is not known comes last either way."""
        if key in COLUMNS:
            self.sort, self.falling = key, falling
            self._sort()
            self.changed()
            self.sorted_by.emit(key, falling)

    def _sort(self) -> None:
        kept = self.kept
        if self.sort in ("top", "label"):
            texts = self._texts(kept)
            blank = np.array([not text for text in texts], bool)  # [line]
            _, place = np.unique(texts, return_inverse=True)  # [line]
            wanted = -place if self.falling else place
            self.order = kept[np.lexsort((kept, wanted, blank))] if len(kept) else kept
            return
        values = kept if self.sort == FIRST else np.asarray(getattr(self.rows, self.sort))[kept]
        values = np.asarray(values, np.float64)  # [line]
        missing = ~np.isfinite(values)
        wanted = np.where(missing, np.inf, -values if self.falling else values)
        self.order = kept[np.lexsort((kept, wanted))]

    def _texts(self, kept: Array) -> Array:
        """[line]: what a column of words says there; "" for nothing."""
        if self.sort == "label":
            return np.array([self.rows.labels.get(int(at), "").lower() for at in kept], str)
        ids = np.asarray(self.rows.top, int)[kept] if len(self.rows.top) else np.full(len(kept), -1)
        found = iter(self.pieces(ids[ids >= 0]))
        return np.array([next(found).strip().lower() if one >= 0 else "" for one in ids], str)

    def set_focus(self, latent: int | None) -> None:
        """Mark the row of a latent and bring it into sight."""
        if latent != self.focus:
            self.focus = latent
            self.settle()
            self._reveal()
            self.repaint_base()

    def line_of(self, latent: int | None) -> int:
        """The line where a latent stands now; -1 where it is not listed."""
        found = np.flatnonzero(self.order == (-1 if latent is None else latent))
        return int(found[0]) if len(found) else -1

    def _reveal(self) -> None:
        line = self.line_of(self.focus)
        if line >= 0 and self._down.isVisibleTo(self):
            low, high = (line + 1) * self.row - self._body().height(), line * self.row
            self._down.setValue(min(max(self._down.value(), low), high))

    def _scrolled(self) -> None:
        self.hover = NOWHERE
        self.changed()

    # layout

    @property
    def row(self) -> int:
        return round(ROW * theme.zoom())

    @property
    def head(self) -> int:
        return round(HEAD * theme.zoom())

    def _body(self) -> QRect:
        side = BAR if self._down.isVisibleTo(self) else 0
        return QRect(0, self.head, max(self.width() - side, 1), max(self.height() - self.head, 1))

    def lay_out(self) -> None:
        tall, room = len(self.order) * self.row, self.height() - self.head
        deep = tall > room and not theme.paper()
        self._down.setVisible(deep)
        body = self._body()
        self._down.blockSignals(True)
        self._down.setRange(0, max(tall - body.height(), 0))
        self._down.setPageStep(body.height())
        self._down.setSingleStep(self.row)
        self._down.blockSignals(False)
        self._down.setGeometry(body.right() + 1, body.top(), BAR, body.height())
        rows = self.rows
        self._columns = columns_for(body.width(), self.word, len(rows.density),
                                    bool(rows.labels), bool(len(rows.promoted)))  # fmt: skip
        lines = self.lines
        first = self.head - (self._down.value() if deep else 0)
        ys = tuple(first + self.row * line for line in range(lines.start, lines.stop + 1))
        self.grid = Grid((0, body.width()), ys, up=False) if len(lines) else None

    @property
    def lines(self) -> range:
        """The lines in sight."""
        room = max(self.height() - self.head, 1)
        top = self._down.value() if self._down.isVisibleTo(self) else 0
        last = min((top + room - 1) // self.row + 1, len(self.order))
        return range(min(top // self.row, last), last)

    def page_height(self, width: int) -> int:
        return HEAD + min(max(len(self.order), 1), PAGE_ROWS) * ROW + 2

    def cramped(self) -> str:
        shown = (self.height() - self.head) // self.row
        if theme.paper() and shown < len(self.order):
            return f"only {shown} of {len(self.order):,} rows are listed"
        return ""

    def sizeHint(self) -> QSize:
        return QSize(420, HEAD + ROW * 14)

    # where

    def _box(self, line: int) -> QRect:
        top = self.head - (self._down.value() if self._down.isVisibleTo(self) else 0)
        return QRect(0, top + line * self.row, self._body().width(), self.row)

    def _column_at(self, x: int) -> int:
        spans = [(left, right) for _, left, right in self._columns]
        return next((at for at, (low, high) in enumerate(spans) if low <= x < high), -1)

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        """(line from the top of the table, column)."""
        self.settle()
        if self.is_empty() or not self._body().contains(where):
            return NOWHERE
        top = self._down.value() if self._down.isVisibleTo(self) else 0
        line, column = (where.y() - self.head + top) // self.row, self._column_at(where.x())
        return (line, column) if 0 <= line < len(self.order) and column >= 0 else NOWHERE

    def describe(self, row: int, col: int) -> str:
        if not 0 <= row < len(self.order):
            return ""
        at, rows = int(self.order[row]), self.rows
        name = rows.labels.get(at, "")
        said = f"{self.word} {at}{f': {name}' if name else ''}\n{self._told(at)}"
        if 0 <= col < len(self._columns):
            said += f"\n{self._columns[col][0].help}"
        return said

    def _told(self, at: int) -> str:
        rows = self.rows
        density = float(rows.density[at])
        if np.isnan(density):
            return "not counted yet"
        if density <= 0:
            return "never active on this text"
        high, mean = (shades.figure(float(each[at]), 3) for each in (rows.highest, rows.mean))
        word = token_text(self.pieces([rows.top[at]])[0]) if int(rows.top[at]) >= 0 else "–"
        share = shades.figure(100 * density, max(2, shades.decimals(100 * density)))
        return f"active at {share} % of the tokens, at most {high} at {word}, {mean} on average"

    # doing

    def choose(self, row: int, col: int) -> None:
        latent = int(self.order[row])
        self.set_focus(latent)
        super().choose(row, col)
        self.picked.emit(latent)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        where = event.position().toPoint()
        if event.button() == Qt.MouseButton.LeftButton and where.y() < self.head:
            if len(self.rows.density) and (at := self._column_at(where.x())) >= 0:
                key = self._columns[at][0].key
                falls = not self.falling if key == self.sort else key in NUMBERS
                self.sort_by(key, falls) if key in COLUMNS else None
            return
        super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        line, _ = self.cell_at(event.position().toPoint())
        if line >= 0:
            self.named.emit(int(self.order[line]))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self.settle()
        key, last = Qt.Key(event.key()), len(self.order) - 1
        line = self.line_of(self.focus)
        if self.is_empty() or last < 0:
            event.ignore()
        elif key in NEXT:
            self.choose(min(max(line + NEXT[key] if line >= 0 else 0, 0), last), 0)
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self.choose(0 if key == Qt.Key.Key_Home else last, 0)
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            keys = [column.key for column, *_ in self._columns if column.key in COLUMNS]
            now = keys.index(self.sort) if self.sort in keys else 0
            to = min(max(now + (1 if key == Qt.Key.Key_Right else -1), 0), len(keys) - 1)
            self.sort_by(keys[to], keys[to] in NUMBERS)
        elif key == Qt.Key.Key_Space:
            self.sort_by(self.sort, not self.falling)
        elif key in (Qt.Key.Key_F2, Qt.Key.Key_Return, Qt.Key.Key_Enter) and line >= 0:
            self.named.emit(int(self.order[line]))
        else:
            event.ignore()

    def wheelEvent(self, event: QWheelEvent) -> None:
        before = self._down.value()
        self._down.setValue(before - round(event.angleDelta().y() / 120 * 3 * self.row))
        event.setAccepted(self._down.value() != before)

    # painting

    def paint_base(self, painter: QPainter) -> None:
        now, body = theme.current(), self._body()
        painter.save()
        painter.setClipRect(body)
        lines = self.lines
        here = self.order[lines.start : lines.stop]
        focus = self.line_of(self.focus) if theme.marks() else -1
        if lines.start <= focus < lines.stop:
            painter.fillRect(self._box(focus), now.color("selection"))
        for column, left, right in self._columns:
            texts = self._words(column, here)
            for at, line in enumerate(lines):
                box = QRectF(self._box(line))
                box.setLeft(left + 4)
                box.setRight(right - 6)
                self._paint_cell(painter, column, int(here[at]), box, texts[at], line == focus)
        painter.restore()
        for column, left, right in self._columns:
            name = QRectF(left + 4, 0, right - left - 10, self.head - 2)
            arrow = 0 if column.key != self.sort or theme.paper() else 1 if self.falling else -1
            paint_heading(painter, name, column, arrow)
        painter.setPen(QPen(now.color("line"), 1))
        painter.drawLine(0, body.top() - 1, body.width(), body.top() - 1)

    def _words(self, column: Column, here: Array) -> list[str]:
        """What a column of tokens says in the lines in sight."""
        if column.key not in ("top", "promoted"):
            return [""] * len(here)
        ids = np.asarray(getattr(self.rows, column.key), int)[here]  # [line]
        found = iter(self.pieces(ids[ids >= 0]))
        return [next(found) if one >= 0 else "" for one in ids]

    def _paint_cell(
        self, painter: QPainter, column: Column, at: int, box: QRectF, text: str, lit: bool
    ) -> None:
        now, rows = theme.current(), self.rows
        dead = not float(rows.density[at]) > 0
        ink = now.color("faint" if dead else "text")
        if column.key == FIRST:
            shade = now.color("accent") if lit else ink
            token_pen(11, 600 if lit or at in rows.labels else 400).draw(
                painter, box, str(at), shade, 1)  # fmt: skip
        elif column.key == "label":
            token_pen(11).draw(painter, box, rows.labels.get(at, ""), now.color("text"), 0)
        elif column.token:
            word, shade = (text, ink) if text else ("–", now.color("faint"))
            token_pen(11, mono=True).draw(painter, box, word, shade, 0)
        elif column.key == "density":
            paint_density(painter, box, float(rows.density[at]), FLOOR)
        else:
            value = float(getattr(rows, column.key)[at])
            word = "–" if dead or not np.isfinite(value) else shades.figure(value, 2)
            token_pen(11).draw(painter, box, word, ink, 1)

    def paint_overlay(self, painter: QPainter) -> None:
        now, body = theme.current(), self._body()
        if 0 <= self.hover[0] < len(self.order):
            box = self._box(self.hover[0]).intersected(body)
            painter.fillRect(box, now.color("accent", 0.07))
        if self.hasFocus() and (line := self.line_of(self.focus)) >= 0:
            box = self._box(line).intersected(body)
            painter.fillRect(QRect(0, box.top(), 2, box.height()), now.color("accent"))
