"""PresetList: named models to run, each with what is expected and what its run here measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QKeyEvent, QPainter
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.plots.canvas import Canvas
from gui.plots.grid import NOWHERE, Grid
from gui.plots.tokens import token_pen

HEAD, ROW = 20, 40  # px
EDGE, MEASURED = 16, 74  # px: at both sides, and of the last column


@dataclass(frozen=True)
class Row:
    """What the list says of one preset; agrees: None while nothing was measured.

    expected: "" where nothing is run, so that there is nothing to measure.
    """

    name: str
    facts: str
    expected: str
    help: str = ""
    measured: str = ""
    agrees: bool | None = None


class PresetList(Canvas):
    """Rows to click; clicked gives (row, 0)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, "presets")
        self.rows: list[Row] = []
        self.current = -1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def set_rows(self, rows: Sequence[Row], current: int = -1) -> None:
        """current: the one whose settings are in the form; -1 = none."""
        grows = len(rows) != len(self.rows)
        if list(rows) == self.rows and current == self.current:
            return
        self.rows, self.current = list(rows), current
        self.set_empty("" if rows else "No presets.")
        if grows:
            self.updateGeometry()

    def describe(self, row: int, col: int) -> str:
        found = self.rows[row]
        said = f"{found.name}: expected {found.expected}" if found.expected else found.name
        if found.measured:
            verdict = "agrees" if found.agrees else "does not agree"
            said += f"; measured here {found.measured}, which {verdict}"
        return f"{said}\n{found.help}" if found.help else said

    def sizeHint(self) -> QSize:
        return QSize(240, self._head + ROW * max(len(self.rows), 1))

    @property
    def _head(self) -> int:
        """Room for the names of the columns; none where nothing is expected of any row."""
        return HEAD if any(row.expected for row in self.rows) else 0

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self.sizeHint().height())

    def lay_out(self) -> None:
        ys = tuple(self._head + ROW * at for at in range(len(self.rows) + 1))
        self.grid = Grid((0, max(self.width(), 1)), ys, up=False) if self.rows else None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up and down move, Return runs."""
        move = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()), 0)
        at = self.chosen[0] if self.chosen != NOWHERE else self.current
        if move and self.rows:
            at = min(max(at + move, 0), len(self.rows) - 1)
            self.chosen = (at, 0)
            self.setAccessibleDescription(self.describe(at, 0))
            self.update()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and at >= 0:
            self.choose(at, 0)
        else:
            super(Canvas, self).keyPressEvent(event)

    def paint_base(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        now, small, bold = theme.current(), token_pen(11), token_pen(11, 600)
        right = self.width() - EDGE
        ends = (right - MEASURED - 6, right)
        heads = ("expected", "measured") if self._head else ()
        for end, word in zip(ends, heads, strict=False):
            box = QRectF(end - MEASURED, 0, MEASURED, HEAD - 2)
            small.draw(painter, box, word, now.color("muted"), 1)
        for at, row in enumerate(self.rows):
            box = QRectF(self.grid.cell_rect(at, 0))
            mine = at == self.current
            if mine:
                painter.fillRect(box, now.color("selection"))
                side = QRectF(box.left(), box.top(), 3, box.height())
                painter.fillRect(side, now.color("accent"))
            name = QRectF(EDGE, box.top() + 3, right - EDGE - 20, 18)
            token_pen(13, 600 if mine else 400).draw(painter, name, row.name, now.color("text"), 0)
            line = QRectF(EDGE, box.top() + 21, small.width(row.facts) + 2, 15)
            small.draw(painter, line, row.facts, now.color("muted"), 0)
            cell = QRectF(line.right() + 6, line.top(), ends[0] - line.right() - 6, 15)
            small.draw(painter, cell, row.expected, now.color("muted"), 1)
            cell = QRectF(right - MEASURED, line.top(), MEASURED, 15)
            if row.measured:
                bold.draw(painter, cell, row.measured, now.color("text"), 1)
                sign = ("check", "good") if row.agrees else ("x", "warn")
                mark = QRect(right - 14, round(box.top()) + 5, 14, 14)
                theme.icon(sign[0], 16, sign[1]).paint(painter, mark)
            elif row.expected:
                small.draw(painter, cell, "–", now.color("faint"), 1)

    def paint_overlay(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        now = theme.current()
        if self.hover != NOWHERE:
            painter.fillRect(self.grid.cell_rect(*self.hover), now.color("accent", 0.06))
        if self.hasFocus():
            at = self.chosen[0] if self.chosen != NOWHERE else max(self.current, 0)
            painter.setPen(now.color("accent"))
            painter.drawRect(
                self.grid.cell_rect(min(at, len(self.rows) - 1), 0).adjusted(0, 0, -1, -1)
            )
