"""TaskTiles: the figures that a network can learn, as small pictures to choose from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.mlp import tasks
from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.grid import Grid, edges, outline
from gui.plots.tokens import token_pen

Array = np.ndarray
COLS, TILE, NAME, GAP = 3, 60, 17, 8  # px of a picture, of its name, between two
FINE = 64  # points on a side of a picture
SOFT = 0.75  # the half width of the colour scale of class - 1/2


class TaskTiles(Canvas):
    """clicked gives a cell; `chose` is told the task's name."""

    def __init__(self, chose: Callable[[str], object], parent: QWidget | None = None) -> None:
        super().__init__(parent, "the figure to learn")
        self.chose, self.current = chose, tasks.NAMES[0]
        points = tasks.grid(FINE)  # [point, xy]
        self.maps = [tasks.label(name, points).reshape(FINE, FINE)[::-1] for name in tasks.NAMES]
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.clicked.connect(self._tell)
        self.set_empty("")

    def show_task(self, name: str) -> None:
        """Frame the one that is in the form."""
        if name != self.current:
            self.current = name
            self.repaint_base()

    def _name(self, row: int, col: int) -> str:
        return tasks.NAMES[min(row * COLS + col, len(tasks.NAMES) - 1)]

    def _tell(self, row: int, col: int) -> None:
        self.chose(self._name(row, col))

    def describe(self, row: int, col: int) -> str:
        name = self._name(row, col)
        return f"{name}: {tasks.FIGURES[name][1]}"

    def sizeHint(self) -> QSize:
        rows = -(-len(tasks.NAMES) // COLS)
        return QSize(248, round(rows * (TILE + NAME + 6) * theme.zoom()))

    def minimumSizeHint(self) -> QSize:
        return QSize(150, self.sizeHint().height())

    def lay_out(self) -> None:
        rows = -(-len(tasks.NAMES) // COLS)
        self.grid = Grid(edges(0, self.width(), COLS), edges(0, self.height(), rows), up=False)

    def tile(self, row: int, col: int) -> QRect:
        box = self.cells.cell_rect(row, col)
        side = round(min(TILE * theme.zoom(), box.width() - GAP, box.height() - NAME - 4))
        return QRect(box.center().x() - side // 2, box.top() + 3, side, side)

    def paint_base(self, painter: QPainter) -> None:
        now = theme.current()
        for at, name in enumerate(tasks.NAMES):
            tile, mine = self.tile(*divmod(at, COLS)), name == self.current
            rgba = shades.shade(self.maps[at] - 0.5, "diverging", (-SOFT, SOFT))  # [y, x, 4]
            shades.draw_pixels(painter, tile, rgba)
            if mine:
                pen = QPen(now.color("accent"), 2)
                pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
                outline(painter, tile.adjusted(-3, -3, 3, 3), pen)
            box = self.cells.cell_rect(*divmod(at, COLS))
            words = QRectF(box.left(), tile.bottom() + 4, box.width(), NAME * theme.zoom())
            pen = token_pen(11, 600 if mine else 400)
            pen.draw(painter, words, name, now.color("text" if mine else "muted"))

    def paint_overlay(self, painter: QPainter) -> None:
        row, col = self.hover
        if row >= 0 and row * COLS + col < len(tasks.NAMES):
            pen = QPen(theme.current().color("text"), 1)
            outline(painter, self.tile(row, col).adjusted(-2, -2, 2, 2), pen)
        if self.hasFocus():
            at = tasks.NAMES.index(self.current)
            box = self.cells.cell_rect(*divmod(at, COLS)).adjusted(1, 0, -1, -1)
            outline(painter, box, QPen(theme.current().color("accent"), 1))
