"""TopCard: the likeliest tokens of one cell as bars, over the map, beside the pointer's cell."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import figure
from gui.plots.tokens import token_pen

MOST = 10  # tokens
ROW, EDGE, WIDE = 17, 10, 236  # px
NAME, NUMBER = 84, 42  # px of a token and of its number
CLEAR = 10  # px between the card and its cell


class TopCard(QWidget):
    """`show_top` fills it; the pointer goes through it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.heading = ""
        self.foot: list[str] = []
        self.rows: list[tuple[str, float, bool]] = []
        self.hide()

    def show_top(
        self, heading: str, rows: Sequence[tuple[str, float, bool]], foot: Sequence[str]
    ) -> None:
        """rows: (token, probability, whether it is the tracked one), likeliest first."""
        self.heading, self.foot = heading, [line for line in foot if line]
        self.rows = list(rows[:MOST])
        zoom = theme.zoom()
        lines = 1 + len(self.rows) + len(self.foot)
        self.resize(QSize(round(WIDE * zoom), round((lines * ROW + 2 * EDGE + 4) * zoom)))
        self.update()

    def stand_beside(self, cell: QRect) -> None:
        """At the right of a cell of the parent, or at its left, wholly inside the parent."""
        room, parent = self.size(), self.parentWidget()
        assert parent is not None
        x = cell.right() + CLEAR
        if x + room.width() > parent.width():
            x = cell.left() - CLEAR - room.width()
        x = min(max(x, 0), max(parent.width() - room.width(), 0))
        y = min(max(cell.center().y() - room.height() // 2, 0),
                max(parent.height() - room.height(), 0))  # fmt: skip
        self.move(QPoint(x, y))
        self.raise_()
        self.show()

    def paintEvent(self, _: QPaintEvent) -> None:
        painter, now, zoom = QPainter(self), theme.current(), theme.zoom()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(now.color("line"), 1))
        painter.setBrush(now.color("raised"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        edge, row = EDGE * zoom, ROW * zoom
        line = QRectF(edge, edge, self.width() - 2 * edge, row)
        token_pen(11, 600).draw(painter, line, self.heading, now.color("text"), 0)
        line.translate(0, row + 2)
        for word, chance, tracked in self.rows:
            self._paint_row(painter, line, word, chance, tracked)
            line.translate(0, row)
        line.translate(0, 2)
        for text in self.foot:
            token_pen(11).draw(painter, line, text, now.color("muted"), 0)
            line.translate(0, row)
        painter.end()

    def _paint_row(
        self, painter: QPainter, line: QRectF, word: str, chance: float, tracked: bool
    ) -> None:
        now, zoom = theme.current(), theme.zoom()
        name, number = NAME * zoom, NUMBER * zoom
        pen = token_pen(11, 600 if tracked else 400, mono=True)
        pen.draw(painter, QRectF(line.left(), line.top(), name, line.height()), word,
                 now.color("text"), 0)  # fmt: skip
        left = line.left() + name + 6
        room = line.width() - name - number - 12
        track = QRectF(left, line.center().y() - 4, room, 8)
        painter.fillRect(track, now.color("track"))
        shade = now.color("accent" if tracked else "muted")
        painter.fillRect(QRectF(left, track.top(), max(room * min(chance, 1.0), 1), 8), shade)
        where = QRectF(line.right() - number, line.top(), number, line.height())
        token_pen(11, 600 if tracked else 400).draw(
            painter, where, figure(chance, 3), now.color("text"), 1
        )
