"""ProbeCurves: a share by site, curves with bands and markers, baselines dashed, all named."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.curve import shade_of, ticks
from gui.plots.grid import NOWHERE
from gui.plots.probe_marks import SiteColumns, SiteCurve, legible, paint_marker
from gui.plots.step_axis import polygon, spread
from gui.plots.step_parts import Level
from gui.plots.tokens import token_pen

Array = np.ndarray
LINE, TOP, AXIS = 16, 8, 24  # px of a name at the right, above the plot, of the sites' names
BAND = 0.16  # of a curve's colour
CLOSE = 9  # px between two sites below which markers would be a stripe


class ProbeCurves(Canvas):
    """`set_data` gives curves; clicked gives (0, site)."""

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        name: str = "accuracy by layer",
        empty: str = "Accuracy by layer will be here, beside its controls.",
    ) -> None:
        super().__init__(parent, name)
        self.nothing = empty
        self.sites: list[str] = []
        self.curves: list[SiteCurve] = []
        self.levels: list[Level] = []
        self.limits: tuple[float, float] | None = None
        self.columns = SiteColumns()
        self.box = QRectF()
        self.axis, self.axis_name = True, ""  # with the sites' names below
        self.places = 1
        self._focus: int | None = None
        self.set_empty(empty)

    def set_data(
        self,
        sites: Sequence[str],
        curves: Sequence[SiteCurve],
        *,
        levels: Sequence[Level] = (),
        limits: tuple[float, float] | None = None,
        axis: str = "",
    ) -> None:
        """Shares from 0 to 1, printed in per cent; one value of every curve per site, NaN = none.

        levels: baselines that no site changes, as dashed lines with their names. limits: of the
        shares; None = what the curves need, never more than from 0 to 1. axis: what the sites'
        names count, written beside them.
        """
        self.sites, self.curves, self.levels = list(sites), list(curves), list(levels)
        self.limits, self.axis_name = limits, axis
        known = any(curve.last >= 0 for curve in self.curves)
        if self.hover[1] >= len(self.sites):
            self.hover = NOWHERE
        if self.chosen[1] >= len(self.sites):
            self.chosen = NOWHERE
        self.set_empty("" if known and self.sites else self.nothing)

    def set_focus(self, site: int | None) -> None:
        """The site that is looked at, because it was chosen elsewhere; None = none."""
        site = site if site is not None and 0 <= site < len(self.sites) else None
        if site != self._focus:
            self._focus = site
            self.chosen = (0, site) if site is not None else NOWHERE  # the arrows go on from it
            self.repaint_base()

    @property
    def focus(self) -> int | None:
        return self._focus

    def describe(self, row: int, col: int) -> str:
        said = [self.sites[col]]
        for curve in self.curves:
            value = float(curve.values[col])
            if not np.isfinite(value):
                continue
            text = f"{curve.name} {shades.figure(100 * value, 1)} %"
            if curve.low is not None and curve.high is not None and np.isfinite(curve.low[col]):
                ends = [shades.figure(100 * float(end[col]), 1) for end in (curve.low, curve.high)]
                text += f", 95 %: {ends[0]} to {ends[1]}"
            said.append(text)
        said += [f"{level.name} {shades.figure(100 * level.value, 1)} %" for level in self.levels]
        return "\n".join(said)

    def sizeHint(self) -> QSize:
        return QSize(560, 320)

    def minimumSizeHint(self) -> QSize:
        return QSize(140, 90)

    def page_height(self, width: int) -> int:
        return min(round(width * 0.58), 330)

    # layout

    def lay_out(self) -> None:
        if self._empty:
            self.grid = None
            return
        self.low, self.high = self.limits or self._reach()
        zoom = theme.zoom()
        self._named = self._names()
        wide = max((token_pen(11, 600).width(text) for text, *_ in self._named), default=0.0)
        self.columns = SiteColumns.across(self.width(), len(self.sites), wide + 14)
        top, below = TOP * zoom, (AXIS * zoom if self.axis else 4)
        self.box = QRectF(
            self.columns.left, top, self.columns.right - self.columns.left,
            max(self.height() - top - below, 10),
        )  # fmt: skip
        self.grid = self.columns.grid(0, self.height())

    def _reach(self) -> tuple[float, float]:
        """From a round tenth under the lowest to one over the highest, within 0 to 1."""
        found = [np.asarray(curve.values, np.float64) for curve in self.curves]
        found += [c.low for c in self.curves if c.low is not None]
        found += [c.high for c in self.curves if c.high is not None]
        found.append(np.array([level.value for level in self.levels]))
        values = np.concatenate(found)  # [n]
        values = values[np.isfinite(values)]
        if not len(values):
            return 0.0, 1.0
        low = max(np.floor((values.min() - 0.01) * 10) / 10, 0.0)
        high = min(np.ceil((values.max() + 0.01) * 10) / 10, 1.0)
        return float(low), float(max(high, low + 0.1))

    def ys(self, values: Array) -> Array:
        """Shares [n] -> pixels from the top [n]."""
        share = (np.asarray(values, np.float64) - self.low) / (self.high - self.low)
        return self.box.bottom() - np.clip(share, -0.02, 1.02) * self.box.height()

    def _names(self) -> list[tuple[str, float, str, bool]]:
        """What stands at the right: text with its value, the value, a colour, whether bold."""
        said = [
            (f"{level.name}  {shades.figure(100 * level.value, self.places)}",
             level.value, "muted", False)
            for level in self.levels
        ]  # fmt: skip
        for curve in self.curves:
            if curve.last >= 0:
                value = float(curve.values[curve.last])
                text = f"{curve.name}  {shades.figure(100 * value, self.places)}"
                said.append((text, value, curve.style[0], curve.strong))
        return said

    # painting

    def paint_base(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        self._paint_axes(painter)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        self._paint_levels(painter)
        ordered = sorted(self.curves, key=lambda curve: curve.strong)
        painter.save()
        painter.setClipRect(self.box.adjusted(-6, -6, 6, 6))
        for curve in ordered:
            self._paint_band(painter, curve)
        for curve in ordered:
            self._paint_curve(painter, curve)
        painter.restore()
        self._paint_names(painter)

    def _paint_axes(self, painter: QPainter) -> None:
        now, pen = theme.current(), token_pen(11)
        thin = QPen(now.color("line"), 0.75 if theme.paper() else 1)
        most = max(int(self.box.height() / (38 * theme.zoom())), 1)
        marks = ticks(100 * self.low, 100 * self.high, min(most, 6))
        places = max((len(f"{m:.4f}".rstrip("0").split(".")[1]) for m in marks), default=0)
        for mark, y in zip(marks, self.ys(np.array(marks) / 100), strict=True):
            painter.setPen(thin)
            line = round(y) + 0.5
            painter.drawLine(QLineF(self.box.left(), line, self.box.right(), line))
            room = QRectF(0, y - 8, self.box.left() - 8, 16)
            pen.draw(painter, room, shades.figure(mark, places), now.color("muted"), 1)
        painter.setPen(thin)
        left, bottom = round(self.box.left()) + 0.5, round(self.box.bottom()) + 0.5
        painter.drawLine(QLineF(left, self.box.top(), left, bottom))
        painter.drawLine(QLineF(left, bottom, self.box.right(), bottom))
        focus = self._focus if theme.marks() else None
        if focus is not None and focus < len(self.columns.xs):
            x = round(float(self.columns.xs[focus])) + 0.5
            painter.setPen(QPen(now.color("accent", 0.5), 1))
            painter.drawLine(QLineF(x, self.box.top(), x, bottom))
        if self.axis:
            self.columns.paint_names(painter, self.box.bottom() + 7, self.sites, focus)
            beside = QRectF(self.box.right() + 11, self.box.bottom() + 7, 80, pen.height)
            pen.draw(painter, beside, self.axis_name, now.color("muted"), 0)

    def _paint_levels(self, painter: QPainter) -> None:
        dashes = QPen(theme.current().color("muted"), 1)
        dashes.setDashPattern([4, 3])
        painter.setPen(dashes)
        for level in self.levels:
            if np.isfinite(level.value):
                y = float(self.ys(np.array([level.value]))[0])
                painter.drawLine(QLineF(self.box.left(), y, self.box.right(), y))

    def _stretches(self, known: Array) -> list[Array]:
        """Runs of neighbouring sites that are known."""
        some = np.flatnonzero(known)  # [known site]
        return [run for run in np.split(some, np.flatnonzero(np.diff(some) > 1) + 1) if len(run)]

    def _paint_band(self, painter: QPainter, curve: SiteCurve) -> None:
        if curve.low is None or curve.high is None:
            return
        shade = shade_of(curve.style[0])
        shade.setAlphaF(BAND)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(shade)
        for run in self._stretches(np.isfinite(curve.low) & np.isfinite(curve.high)):
            x = self.columns.xs[run]  # [site of the run]
            above, under = self.ys(curve.high[run]), self.ys(curve.low[run])
            if len(run) == 1:  # one site alone has no width
                painter.drawRect(QRectF(x[0] - 4, above[0], 8, max(under[0] - above[0], 1)))
                continue
            ring = np.concatenate([x, x[::-1]]), np.concatenate([above, under[::-1]])
            painter.drawPolygon(polygon(*ring))

    def _paint_curve(self, painter: QPainter, curve: SiteCurve) -> None:
        colour, marker = curve.style
        shade = shade_of(colour)
        y = self.ys(np.where(np.isfinite(curve.values), curve.values, 0.0))  # [site]
        points = [QPointF(float(a), float(b)) for a, b in zip(self.columns.xs, y, strict=True)]
        known = np.isfinite(curve.values)  # [site]
        painter.setPen(QPen(shade, 2 if curve.strong else 1.25))
        for run in self._stretches(known):
            for a, b in pairwise(run.tolist()):
                painter.drawLine(points[a], points[b])
        apart = np.diff(self.columns.xs).min() if len(points) > 1 else np.inf
        focus = self._focus if theme.marks() else None
        for at in np.flatnonzero(known).tolist():
            if at == focus or apart >= CLOSE:
                size = (4.6 if curve.strong else 3.6) + (1.2 if at == focus else 0)
                paint_marker(painter, points[at], marker, shade, size)

    def _paint_names(self, painter: QPainter) -> None:
        """Names with their values at the right, moved apart, a hairline to where each belongs."""
        if not self._named:
            return
        gap = LINE * theme.zoom()
        wanted = self.ys(np.array([value for _, value, *_ in self._named])).tolist()
        low, high = gap / 2, max(self.box.bottom() - (2 if self.axis_name else -gap), gap)
        places = spread(wanted, gap, low, high)
        room = self.width() - self.box.right() - 12
        for (text, _value, colour, strong), y0, y in zip(self._named, wanted, places, strict=True):
            pen = token_pen(11, 600 if strong else 500)
            if abs(y - y0) > 3:
                painter.setPen(QPen(theme.current().color("faint"), 0.75))
                painter.drawLine(QLineF(self.box.right() + 1, y0, self.box.right() + 8, y))
            box = QRectF(self.box.right() + 11, y - gap / 2, room, gap)
            pen.draw(painter, box, text, legible(colour), 0)

    def paint_overlay(self, painter: QPainter) -> None:
        site = self.hover[1]
        if self.grid is None or not 0 <= site < len(self.columns.xs):
            return
        now, x = theme.current(), float(self.columns.xs[site])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(QPen(now.color("accent", 0.35), 1))
        painter.drawLine(QLineF(x, self.box.top(), x, self.box.bottom()))
        for curve in self.curves:
            value = float(curve.values[site])
            if np.isfinite(value):
                at = QPointF(x, float(self.ys(np.array([value]))[0]))
                paint_marker(painter, at, curve.style[1], shade_of(curve.style[0]), 5.5)
