"""Gold marks on a map of layers: from where the final answer stays, and where it first leads."""

import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF

from gui import theme
from gui.plots.grid import Grid, outline

Array = np.ndarray


def paint_gold(
    painter: QPainter, grid: Grid, borders: Array | None, thin: Array | None, corners: Array | None
) -> None:
    """borders, thin (quiet borders, a little inside the cell), corners: [row, col] bool."""
    gold = theme.current().color("gold")
    if corners is not None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(gold)
        for row, col in np.argwhere(corners):
            box = grid.cell_rect(row, col)
            at, side = QPointF(box.topLeft()), min(8, box.width() // 2, box.height() // 2)
            painter.drawPolygon(QPolygonF([at, at + QPointF(side, 0), at + QPointF(0, side)]))
    small = min(grid.cell.width(), grid.cell.height()) < 12
    inset = 1 if grid.cell.height() >= 16 else 0
    for marks, pen, by in (
        (borders, QPen(gold, 1 if small else 2), (0, 0, 0, 0)),
        (thin, QPen(gold, 1), (inset, inset, -1 - inset, -1 - inset)),
    ):
        pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        for row, col in np.argwhere(marks) if marks is not None else ():
            outline(painter, grid.cell_rect(row, col).adjusted(*by), pen)
