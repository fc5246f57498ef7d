"""InContext: examples one under the other, the word that is read in a column of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.plots.canvas import Canvas
from gui.plots.grid import NOWHERE, Grid
from gui.plots.probe_marks import paint_marker
from gui.plots.scatter_map import ink_of, marker_of
from gui.plots.tokens import token_pen

ROW, MARK, GAP = 22, 18, 5  # px
SHARE = 0.4  # of the room beside the mark: what stands before the word
MOST_WORD = 0.3  # of that room: the word


@dataclass(frozen=True)
class InText:
    """An example: the word that is read, what stands before and after it, its class."""

    word: str
    before: str = ""
    after: str = ""
    kind: int = 0
    about: str = ""


class InContext(Canvas):
    """`set_rows` gives examples; clicked gives (row, 0)."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "examples") -> None:
        super().__init__(parent, name)
        self.rows: list[InText] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.set_empty("Examples will be here.")

    def set_rows(self, rows: Sequence[InText], chosen: int | None = None) -> None:
        """chosen: the row of the example that is looked at."""
        where = NOWHERE if chosen is None else (chosen, 0)
        if list(rows) == self.rows and where == self.chosen:
            return
        grows = len(rows) != len(self.rows)
        self.rows, self.chosen, self.hover = list(rows), where, NOWHERE
        self.set_empty("" if rows else "No example to list.")
        if grows:
            self.updateGeometry()

    def describe(self, row: int, col: int) -> str:
        return self.rows[row].about if row < len(self.rows) else ""

    def sizeHint(self) -> QSize:
        return QSize(260, round(ROW * max(len(self.rows), 2) * theme.zoom()) + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(100, self.sizeHint().height())

    def page_height(self, width: int) -> int:
        return self.sizeHint().height()

    def lay_out(self) -> None:
        self.grid = None
        if self.rows:
            row = ROW * theme.zoom()
            shown = min(len(self.rows), max(int(self.height() / row + 0.2), 1))
            ys = tuple(round(row * at) for at in range(shown + 1))
            self.grid = Grid((0, max(self.width(), 1)), ys, up=False)

    def paint_base(self, painter: QPainter) -> None:
        grid = self.grid
        if grid is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        zoom = theme.zoom()
        left = MARK * zoom
        room = self.width() - left - 4
        bare = not any(row.before or row.after for row in self.rows)
        before = 0 if bare else room * SHARE
        for at in range(grid.rows):
            row, box = self.rows[at], QRectF(grid.cell_rect(at, 0))
            spot = QPointF(8 * zoom, box.center().y())
            paint_marker(painter, spot, marker_of(row.kind), ink_of(row.kind), 4)
            self._paint_row(painter, row, box.adjusted(left, 0, -4, 0), before)

    def _paint_row(self, painter: QPainter, row: InText, box: QRectF, before: float) -> None:
        now = theme.current()
        muted, plain, bold = now.color("muted"), token_pen(11), token_pen(11, 600)
        if before:
            metrics = QFontMetricsF(plain.font)
            end = Qt.TextElideMode.ElideLeft
            text = metrics.elidedText(row.before, end, before - GAP)
            plain.draw(painter, QRectF(box.left(), box.top(), before - GAP, box.height()),
                       text, muted, 1)  # fmt: skip
        x = box.left() + before
        most = box.width() * MOST_WORD if before else box.width()
        wide = min(bold.width(row.word) + 2, most)
        bold.draw(painter, QRectF(x, box.top(), wide, box.height()), row.word,
                  now.color("text"), 0)  # fmt: skip
        rest = QRectF(x + wide + GAP, box.top(), box.right() - x - wide - GAP, box.height())
        if rest.width() > 12 and row.after:
            plain.draw(painter, rest, row.after, muted, 0)

    def paint_overlay(self, painter: QPainter) -> None:
        grid = self.grid
        if grid is None:
            return
        now = theme.current()
        for (row, _), strength in ((self.chosen, 0.16), (self.hover, 0.08)):
            if 0 <= row < grid.rows:
                painter.fillRect(grid.row_rect(row), now.color("accent", strength))
        if self.hasFocus() and 0 <= self.chosen[0] < grid.rows:
            painter.setPen(QPen(now.color("accent"), 1))
            painter.drawRect(grid.row_rect(self.chosen[0]).adjusted(0, 0, -1, -1))
