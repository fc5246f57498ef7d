"""Strips: a value on a track beside what it is compared with: a band and ticks of random draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.curve import shade_of, ticks
from gui.plots.grid import NOWHERE, Grid
from gui.plots.probe_marks import paint_marker
from gui.plots.tokens import token_pen

Array = np.ndarray
ROW, AXIS, NUMBER = 30, 22, 64  # px: a row, the numbers below, the one at the right
LEAST = 1e-5  # of the largest value: smaller ones count as 0 on an asinh axis
NAMES = 0.4  # share of the width that names may take


@dataclass(frozen=True)
class Mark:
    """A value on a track: colour is a token or "okabe:3". strong: it is the one in the number."""

    name: str
    value: float
    colour: str = "accent"
    marker: str = "disc"
    strong: bool = False


@dataclass(frozen=True)
class Strip:
    """A track with its marks. band: from, to; draws: of the null, each a faint tick."""

    name: str
    marks: Sequence[Mark]
    number: str
    band: tuple[float, float] = (float("nan"), float("nan"))
    draws: Array = field(default_factory=lambda: np.zeros(0))
    strong: bool = False
    token: bool = False
    help: str = ""


class Strips(Canvas):
    """`set_strips` gives rows that share one axis; clicked gives (row, 0)."""

    def __init__(
        self, parent: QWidget | None = None, *, name: str = "values", empty: str = ""
    ) -> None:
        super().__init__(parent, name)
        self.strips: list[Strip] = []
        self.unit, self.level = "", ("", float("nan"))
        self.limits: tuple[float, float] | None = None
        self.row = ROW  # px; more where there is room
        self.wide, self._small = False, 1.0  # where an asinh axis turns from linear to logarithmic
        self.nothing = empty or "Values will be here."
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_empty(self.nothing)

    def set_strips(
        self, strips: Sequence[Strip], *, unit: str = "",
        limits: tuple[float, float] | None = None, level: tuple[str, float] = ("", float("nan")),
        wide: bool = False,
    ) -> None:  # fmt: skip
        """unit: of the axis. limits: None = what the values need, with 0. level: a dashed line.

        wide: the values span powers of ten: linear about 0, logarithmic beyond (asinh).
        """
        self.wide = wide
        grows = len(strips) != len(self.strips)
        self.strips, self.unit, self.limits, self.level = list(strips), unit, limits, level
        if self.hover[0] >= len(self.strips):
            self.hover = NOWHERE
        if self.chosen[0] >= len(self.strips):
            self.chosen = NOWHERE
        self.set_empty("" if self.strips else self.nothing)
        if grows:
            self.updateGeometry()

    def describe(self, row: int, col: int) -> str:
        each = self.strips[row]
        said = [each.name]
        said += [f"{mark.name}: {shades.figure(mark.value, 4)} {self.unit}".strip()
                 for mark in each.marks if np.isfinite(mark.value)]  # fmt: skip
        if np.isfinite(each.band[0]):
            ends = [shades.figure(end, 4) for end in each.band]
            said.append(f"95 % of the random ones: {ends[0]} to {ends[1]}")
        return "\n".join([*said, each.help] if each.help else said)

    def page_height(self, width: int) -> int:
        return self.sizeHint().height()

    def sizeHint(self) -> QSize:
        rows = max(len(self.strips), 2)
        return QSize(300, round((self.row * rows + AXIS + 4) * theme.zoom()))

    def minimumSizeHint(self) -> QSize:
        return QSize(140, self.sizeHint().height())

    def lay_out(self) -> None:
        if self._empty:
            self.grid = None
            return
        row = round(self.row * theme.zoom())
        ys = tuple(row * at for at in range(len(self.strips) + 1))
        self.grid = Grid((0, max(self.width(), 1)), ys, up=False)
        widest = max(token_pen(11, 600, mono=s.token).width(s.name) for s in self.strips)
        self.left = min(widest + 14, self.width() * NAMES)
        self.right = max(self.width() - NUMBER * theme.zoom() - 6, self.left + 20)
        self.low, self.high = self.limits or self._reach()

    def _reach(self) -> tuple[float, float]:
        values = [mark.value for strip in self.strips for mark in strip.marks]
        values += [end for strip in self.strips for end in strip.band]
        values += [float(v) for strip in self.strips for v in strip.draws]
        values = [value for value in [*values, self.level[1], 0.0] if np.isfinite(value)]
        low, high = min(values), max(values)
        sizes = [abs(value) for value in values if value]
        self._small = max(min(sizes, default=1.0), max(sizes, default=1.0) * LEAST)
        if self.wide:
            return low * 1.5 if low < 0 else 0.0, high * 1.5 if high > 0 else 0.0
        room = 0.05 * max(high - low, 1e-9)
        return low - (room if low < 0 else 0), high + room

    def _scaled(self, value: float) -> float:
        return math.asinh(value / self._small) if self.wide else value

    def _marks(self) -> list[tuple[float, str]]:
        """Values with their words along the axis."""
        room = max(int((self.right - self.left) / 56), 1)
        if not self.wide:
            found = ticks(self.low, self.high, min(room, 5))
            places = max((len(f"{m:.5f}".rstrip("0").split(".")[1]) for m in found), default=0)
            return [(mark, shades.figure(mark, places)) for mark in found]
        first = math.ceil(math.log10(self._small))
        last = math.floor(math.log10(max(abs(self.low), abs(self.high), self._small * 1.01)))
        every_ = max((last - first + 1) * (2 if self.low < 0 else 1) // room, 1)
        powers = [10.0**n for n in range(last, first - 1, -every_)]
        both = [*powers, *(-power for power in powers), 0.0]
        return [(mark, f"{mark:g}".replace("-", "−").replace("e−0", "e−"))
                for mark in both if self.low <= mark <= self.high]  # fmt: skip

    def x(self, value: float) -> float:
        value, low, high = (self._scaled(each) for each in (value, self.low, self.high))
        share = (value - low) / max(high - low, 1e-12)
        return self.left + 6 + min(max(share, 0.0), 1.0) * (self.right - self.left - 12)

    def paint_base(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        now = theme.current()
        self._paint_axis(painter)
        for row, strip in enumerate(self.strips):
            box = QRectF(self.grid.cell_rect(row, 0))
            y = box.center().y()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            track = QRectF(self.x(self.low), y - 1, self.x(self.high) - self.x(self.low), 2)
            painter.fillRect(track, now.color("track"))
            if np.isfinite(strip.band[0]):
                ends = [self.x(end) for end in strip.band]
                wide = max(ends[1] - ends[0], 1)
                painter.fillRect(QRectF(ends[0], y - 6, wide, 12), now.color("field", 0.7))
            painter.setPen(QPen(now.color("faint"), 1))
            painter.drawLines([QLineF(self.x(v), y - 4, self.x(v), y + 4)
                               for v in np.asarray(strip.draws, float).tolist()
                               if np.isfinite(v)])  # fmt: skip
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            for mark in sorted(strip.marks, key=lambda each: each.strong):
                if np.isfinite(mark.value):
                    at = QPointF(self.x(mark.value), y)
                    size = 5.0 if mark.strong else 4.0
                    paint_marker(painter, at, mark.marker, shade_of(mark.colour), size)
            pen = token_pen(11, 600 if strip.strong else 400, mono=strip.token)
            ink = now.color("text" if strip.strong else "muted")
            name = QRectF(0, box.top(), self.left - 8, box.height())
            pen.draw(painter, name, strip.name, ink, 0)
            number = QRectF(self.right, box.top(), box.right() + 1 - self.right, box.height())
            token_pen(13, 600 if strip.strong else 400).draw(painter, number, strip.number, ink, 1)

    def _paint_axis(self, painter: QPainter) -> None:
        assert self.grid is not None
        now, pen, bottom = theme.current(), token_pen(11), self.grid.ys[-1]
        taken: list[QRectF] = []
        for mark, word in sorted(self._marks(), key=lambda each: (each[0] != 0, -abs(each[0]))):
            x = self.x(mark)
            painter.setPen(QPen(now.color("line"), 1))
            painter.drawLine(QLineF(round(x) + 0.5, 2, round(x) + 0.5, bottom))
            wide = pen.width(word) + 2
            box = QRectF(x - wide / 2, bottom + 2, wide, 15)
            if not any(box.adjusted(-4, 0, 4, 0).intersects(other) for other in taken):
                pen.draw(painter, box, word, now.color("muted"))
                taken.append(box)
        unit = QRectF(self.right, bottom + 2, self.width() - self.right, 15)
        pen.draw(painter, unit, self.unit, now.color("muted"), 1)
        value = self.level[1]
        if np.isfinite(value):
            dashes = QPen(now.color("muted"), 1)
            dashes.setDashPattern([4, 3])
            painter.setPen(dashes)
            x = round(self.x(value)) + 0.5
            painter.drawLine(QLineF(x, 2, x, bottom))

    def paint_overlay(self, painter: QPainter) -> None:
        row = self.hover[0]
        if self.grid is not None and 0 <= row < self.grid.rows:
            painter.fillRect(self.grid.row_rect(row), theme.current().color("accent", 0.08))
