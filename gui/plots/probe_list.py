"""SignedBars: named numbers around 0 as bars to either side, on one scale: cosines, logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.grid import NOWHERE, Grid
from gui.plots.tokens import token_pen, token_text

ROW, NUMBER = 20, 46  # px


@dataclass(frozen=True)
class Signed:
    """A number with its name; token: the name is written as token text. NaN = not known."""

    name: str
    value: float
    token: bool = False
    strong: bool = False
    help: str = ""


class SignedBars(Canvas):
    """`set_rows` gives them; clicked gives (row, 0)."""

    def __init__(
        self, parent: QWidget | None = None, *, name: str = "values", empty: str = ""
    ) -> None:
        super().__init__(parent, name)
        self.rows: list[Signed] = []
        self.reach: float | None = None
        self.places = 2
        self.nothing = empty or "Values will be here."
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_empty(self.nothing)

    def set_rows(self, rows: Sequence[Signed], reach: float | None = None, places: int = 2) -> None:
        """reach: the number at either end of the scale; None = the largest."""
        grows = len(rows) != len(self.rows)
        self.rows, self.reach, self.places = list(rows), reach, places
        if self.hover[0] >= len(self.rows):
            self.hover = NOWHERE
        if self.chosen[0] >= len(self.rows):
            self.chosen = NOWHERE
        self.set_empty("" if self.rows else self.nothing)
        if grows:
            self.updateGeometry()

    def describe(self, row: int, col: int) -> str:
        each = self.rows[row]
        name = token_text(each.name) if each.token else each.name
        said = f"{name}: {shades.figure(each.value, self.places + 1, sign=True)}"
        return f"{said}\n{each.help}" if each.help else said

    def page_height(self, width: int) -> int:
        return self.sizeHint().height()

    def sizeHint(self) -> QSize:
        return QSize(220, round(ROW * theme.zoom()) * max(len(self.rows), 2) + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(110, self.sizeHint().height())

    def lay_out(self) -> None:
        row = round(ROW * theme.zoom())
        ys = tuple(row * at for at in range(len(self.rows) + 1))
        self.grid = Grid((0, max(self.width(), 1)), ys, up=False) if self.rows else None

    def paint_base(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        now = theme.current()
        widest = max(token_pen(11, 600, mono=r.token).width(r.name) for r in self.rows)
        left = min(widest + 12, self.width() * 0.5)
        right = self.width() - NUMBER * theme.zoom()
        values = [abs(r.value) for r in self.rows if np.isfinite(r.value)]
        reach = self.reach or max([*values, 1e-9])
        both = any(r.value < 0 for r in self.rows) or self.reach is not None
        zero = (left + right) / 2 if both else left
        half = max(right - zero - 4, 8)
        for row, each in enumerate(self.rows):
            box = QRectF(self.grid.cell_rect(row, 0))
            pen = token_pen(11, 600 if each.strong else 400, mono=each.token)
            ink = now.color("text" if each.strong or each.token else "muted")
            pen.draw(painter, QRectF(0, box.top(), left - 8, box.height()), each.name, ink, 0)
            word = "–" if np.isnan(each.value) else shades.figure(each.value, self.places, True)
            number = QRectF(right, box.top(), box.right() + 1 - right, box.height())
            token_pen(11, 600 if each.strong else 400).draw(painter, number, word, ink, 1)
            if np.isfinite(each.value):
                long = float(np.clip(each.value / reach, -1, 1)) * half
                bar = QRectF(min(zero, zero + long), box.center().y() - 4, max(abs(long), 1), 8)
                token = "map_red" if each.value >= 0 else "map_blue"
                painter.fillRect(bar, now.color(token, 0.9 if each.strong else 0.65))
        bottom = self.grid.ys[-1]
        painter.fillRect(QRectF(round(zero), 2, 1, bottom - 4), now.color("faint"))

    def paint_overlay(self, painter: QPainter) -> None:
        row = self.hover[0]
        if self.grid is not None and 0 <= row < self.grid.rows:
            painter.fillRect(self.grid.row_rect(row), theme.current().color("accent", 0.08))
