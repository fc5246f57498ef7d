"""What stands in a plot by site: a curve with band and marker, and the columns of the sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from gui import theme
from gui.plots.axes import every
from gui.plots.curve import shade_of
from gui.plots.grid import Grid
from gui.plots.tokens import token_pen

Array = np.ndarray
LEFT, LEFTMOST = 34, 8  # px of the numbers at the left, and from there to the first site
BESIDE = 0.37  # share of a plot's width that names may take at its right end

STYLES = {
    "task": ("accent", "disc"),
    "linear probe": ("accent", "disc"),
    "control task": ("okabe:1", "triangle"),
    "random weights": ("okabe:5", "square"),
    "shuffled labels": ("faint", "cross"),
    "network": ("okabe:2", "diamond"),
}
"""Colour and marker of what stands in a probe's plot, the same everywhere."""


@dataclass(frozen=True)
class SiteCurve:
    """Values [site] with their interval; NaN = not computed yet.

    colour: a token of the theme or "okabe:3"; marker: "disc", "triangle", "square", "cross" or
    "diamond". Both "" = as STYLES has it for the name. strong: drawn last, named in bold.
    """

    name: str
    values: Array
    low: Array | None = None
    high: Array | None = None
    colour: str = ""
    marker: str = ""
    strong: bool = False

    @property
    def style(self) -> tuple[str, str]:
        usual = STYLES.get(self.name, ("muted", "disc"))
        return self.colour or usual[0], self.marker or usual[1]

    @property
    def last(self) -> int:
        """The last site that is known; −1 = none."""
        known = np.flatnonzero(np.isfinite(self.values))
        return int(known[-1]) if len(known) else -1


@dataclass
class SiteColumns:
    """Between which pixels the sites stand; plots one below the other share it."""

    left: float = 0.0
    right: float = 1.0
    xs: Array = field(default_factory=lambda: np.zeros(0))  # [site] pixels

    @classmethod
    def across(cls, width: int, count: int, names: float) -> SiteColumns:
        """For `count` sites in a plot whose names at the right need so many pixels."""
        zoom = theme.zoom()
        left = LEFT * zoom
        right = max(width - min(names, width * BESIDE) - 8, left + 20)
        inner = min(max((right - left) / max(count, 1) * 0.16, LEFTMOST), 28)
        middle = (left + right) / 2
        first, last = (left + inner, right - inner) if count > 1 else (middle, middle)
        return cls(left, right, np.linspace(first, last, count))

    def grid(self, top: float, bottom: float) -> Grid:
        """One row whose columns are the sites, for the pointer and the keys."""
        middle = (self.xs[1:] + self.xs[:-1]) / 2  # [site - 1]
        xs = [self.left, *middle.tolist(), self.right]
        return Grid(tuple(int(x) for x in xs), (int(top), max(int(bottom), int(top) + 1)), up=False)

    def paint_names(
        self, painter: QPainter, y: float, names: Sequence[str], focus: int | None
    ) -> None:
        """The sites' names below a plot, fewer where they would touch."""
        if not len(self.xs):
            return
        now, pen, bold = theme.current(), token_pen(11), token_pen(11, 600)
        widest = max((pen.width(name) for name in names), default=0)
        apart = float(self.xs[1] - self.xs[0]) if len(self.xs) > 1 else 1e6
        step = every(apart, widest + 8)
        for at, name in enumerate(names):
            lit = at == focus
            near = focus is not None and step > 1 and abs(at - focus) < step
            if not lit and (at % step or near):
                continue
            used = bold if lit else pen
            wide = used.width(name) + 4
            x = max(float(self.xs[at]) - wide / 2, 0.0)
            ink = now.color("accent" if lit else "muted")
            used.draw(painter, QRectF(x, y, wide, pen.height), name, ink)


def paint_marker(
    painter: QPainter, at: QPointF, marker: str, colour: QColor, size: float = 4.0
) -> None:
    """A filled sign with a rim of the panel's colour; a cross is of strokes."""
    if marker == "cross":
        painter.setPen(QPen(colour, 1.5))
        for tilt in (1, -1):
            reach = QPointF(size * 0.7, size * 0.7 * tilt)
            painter.drawLine(QLineF(at - reach, at + reach))
        return
    painter.setPen(QPen(theme.current().color("panel"), 1))
    painter.setBrush(colour)
    if marker == "square":
        side = size * 0.9
        painter.drawRect(QRectF(at.x() - side, at.y() - side, 2 * side, 2 * side))
    elif marker == "triangle":
        painter.drawPolygon(_corners(at, size * 1.15, ((0, -1), (0.95, 0.75), (-0.95, 0.75))))
    elif marker == "diamond":
        painter.drawPolygon(_corners(at, size * 1.2, ((0, -1), (1, 0), (0, 1), (-1, 0))))
    else:
        painter.drawEllipse(at, size, size)


def _corners(at: QPointF, size: float, corners: Sequence[tuple[float, float]]) -> QPolygonF:
    return QPolygonF([at + QPointF(x * size, y * size) for x, y in corners])


def legible(colour: str) -> QColor:
    """A curve's colour as text: darkened or lightened until it can be read on the panel."""
    now, made = theme.current(), shade_of(colour)
    own = now.color("text")
    for share in (0.0, 0.2, 0.35, 0.5, 0.65, 0.8):
        pairs = (
            (made.redF(), own.redF()), (made.greenF(), own.greenF()), (made.blueF(), own.blueF()),
        )  # fmt: skip
        mixed = QColor.fromRgbF(*(a * (1 - share) + b * share for a, b in pairs))
        if theme.contrast(mixed.name(), now.panel) >= 4.5:
            return mixed
    return own
