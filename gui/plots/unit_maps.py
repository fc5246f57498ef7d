"""UnitMaps: every hidden unit of a network over the plane, a row of small pictures per layer.

One stitched image, as for the heads: the small pictures move 30 times a second while it trains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QImage, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import STEPS, Canvas
from gui.plots.grid import NOWHERE, frame, outline
from gui.plots.tokens import token_pen

Array = np.ndarray
LARGEST, GAP, LINE, PAGE_TILE = 112, 4, 20, 19  # px: a picture, between two, a layer's name
WORTH = 1.15  # how much larger pictures must be to break a layer into more lines


@dataclass(frozen=True)
class Places:
    """Where everything stands: the side of a picture, its columns, the top of each layer."""

    side: int
    cols: int
    tops: tuple[int, ...]  # [layer]: of its name
    height: int


class UnitMaps(Canvas):
    """`set_data` draws all units; clicked gives (layer, unit)."""

    always_marked = True  # a page says which unit is the large one

    def __init__(self, parent: QWidget | None = None, *, name: str = "hidden units") -> None:
        super().__init__(parent, name)
        self.maps = np.zeros((0, 0, 0, 0), np.float32)  # [layer, unit, row, col]
        self.counts: tuple[int, ...] = ()  # [layer]: units
        self.signed, self.current = False, NOWHERE
        self.places = Places(1, 1, (), 0)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.set_empty("The hidden units will be here.")

    def set_data(self, maps: Array, counts: tuple[int, ...], signed: bool) -> None:
        """maps [layer, unit, row, col], NaN beyond a layer's units; row 0 is y = -1.

        counts: units of each layer. signed: an activation can be negative.
        """
        maps = np.asarray(maps)
        same = maps.shape == self.maps.shape and counts == self.counts and not self.is_empty()
        if not same:
            self.hover = self.chosen = NOWHERE
        self.maps, self.counts, self.signed = maps, counts, signed
        if same:
            self.repaint_base()
        else:
            self.set_empty("" if maps.size else "This network has no hidden units.")

    def set_current(self, layer: int, unit: int) -> None:
        """The unit that is shown large; (-1, -1) = none."""
        if (layer, unit) != self.current:
            self.current = (layer, unit)
            self.update()

    @property
    def dead(self) -> Array:
        """[layer, unit]: whether it says the same everywhere."""
        with np.errstate(invalid="ignore"):
            return np.ptp(self.maps, axis=(2, 3)) == 0

    def describe(self, row: int, col: int) -> str:
        own = self.maps[row, col]
        low, high = shades.figure(float(own.min())), shades.figure(float(own.max()))
        said = f"dead, {low} everywhere" if np.ptp(own) == 0 else f"activation {low} to {high}"
        return f"Layer {row + 1}, unit {col}: {said}"

    def sizeHint(self) -> QSize:
        return QSize(300, 240)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, 60)

    def page_height(self, width: int) -> int:
        return self._placed(width, PAGE_TILE, 1.0).height

    # layout

    def _placed(self, width: int, side: int, zoom: float) -> Places:
        fit, most = max((width - 2) // (side + GAP), 1), max(self.counts, default=1)
        cols = -(-most // -(-most // fit))  # lines of equal length
        tops, top = [], 0
        for count in self.counts:
            tops.append(top)
            top += round(LINE * zoom) + -(-count // cols) * (side + GAP)
        return Places(side, cols, tuple(tops), top)

    def lay_out(self) -> None:
        """The largest pictures with which everything has room."""
        best = self._placed(self.width(), 4, theme.zoom())
        for side in range(5, LARGEST + 1):
            tried = self._placed(self.width(), side, theme.zoom())
            fewer = tried.cols >= best.cols or side > best.side * WORTH
            if tried.height <= self.height() and fewer and side + 2 <= self.width():
                best = tried
        self.places = best

    def tile(self, layer: int, unit: int) -> QRect:
        self.settle()
        at = self.places
        row, col = divmod(unit, at.cols)
        top = at.tops[layer] + round(LINE * theme.zoom()) + row * (at.side + GAP)
        return QRect(1 + col * (at.side + GAP), top, at.side, at.side)

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        self.settle()
        at, zoom = self.places, theme.zoom()
        if self._empty:
            return NOWHERE
        for layer, count in enumerate(self.counts):
            down = where.y() - at.tops[layer] - round(LINE * zoom)
            row, col = down // (at.side + GAP), (where.x() - 1) // (at.side + GAP)
            unit = row * at.cols + col
            if down >= 0 and 0 <= col < at.cols and 0 <= unit < count:
                return (layer, unit) if self.tile(layer, unit).contains(where) else NOWHERE
        return NOWHERE

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if self._empty or key not in STEPS:
            event.ignore()  # Escape, Space: for whoever stands around it
            return
        down, right = STEPS[Qt.Key(key)]
        layer, unit = self.current if self.current != NOWHERE else (0, -right)
        layer = min(max(layer + down, 0), len(self.counts) - 1)
        self.choose(layer, min(max(unit + right, 0), self.counts[layer] - 1))

    def choose(self, row: int, col: int) -> None:
        self.current = (row, col)
        super().choose(row, col)

    # painting

    def paint_base(self, painter: QPainter) -> None:
        now, pen, at = theme.current(), token_pen(11), self.places
        self._paint_maps(painter)
        dead = self.dead
        for layer, count in enumerate(self.counts):
            line = QRectF(1, at.tops[layer] + 3, self.width() - 2, (LINE - 3) * theme.zoom())
            gone = int(dead[layer, :count].sum())
            said = f"layer {layer + 1}, {count} units" + (f", {gone} dead" if gone else "")
            pen.draw(painter, line, said, now.color("muted"), 0)
            for unit in range(count):
                box = self.tile(layer, unit)
                if at.side >= 10:
                    frame(painter, box)
                if dead[layer, unit]:
                    painter.setPen(QPen(now.color("faint"), 1))
                    painter.drawLine(box.bottomLeft(), box.topRight())

    def _paint_maps(self, painter: QPainter) -> None:
        """All in one image, each on its own scale; finer than a pixel is not looked at."""
        fine = 1 if shades.on_screen(painter) else 2
        side = self.places.side * fine
        rows, cols = self.maps.shape[2:]
        down = (np.arange(side) * rows // side)[::-1]  # [side]: y = 1 is at the top
        across = np.arange(side) * cols // side  # [side]
        small = min(side, rows)
        some = np.arange(small) * rows // small  # of more rows than pixels
        maps = self.maps[:, :, some][..., np.arange(small) * cols // small]  # [.., small, small]
        with np.errstate(invalid="ignore", divide="ignore"):
            reach = np.abs(maps).max(axis=(2, 3), keepdims=True)  # [layer, unit, 1, 1]
            share = np.nan_to_num(maps / np.where(reach > 0, reach, 1))
        entry = 128 + share * 127 if self.signed else share * 255
        entry = np.rint(entry).astype(np.uint8)  # [layer, unit, small, small]
        table = shades.table("diverging" if self.signed else "probability")
        table = np.ascontiguousarray(table).view(np.uint32)[:, 0]  # [256]
        down, across = down * small // rows, across * small // cols
        screen = shades.on_screen(painter)
        empty = table[0] if not self.signed else table[128]  # the panel's own colour
        size = (self.places.height * fine, self.width() * fine)
        whole = np.full(size, empty if screen else 0, np.uint32)  # [y, x]
        for layer, count in enumerate(self.counts):
            for unit in range(count):
                box = self.tile(layer, unit)
                top, left = box.top() * fine, box.left() * fine
                pixels = table[entry[layer, unit]][down][:, across]  # [side, side]
                room = whole[top : top + side, left : left + side]
                room[:] = pixels[: room.shape[0], : room.shape[1]]
        if screen:  # opaque: a tenth of the time of one that may be seen through
            high, wide = whole.shape
            image = QImage(whole.data, wide, high, 4 * wide, QImage.Format.Format_RGBX8888)
            painter.drawImage(0, 0, image)
            return
        rgba = whole.view(np.uint8).reshape(*whole.shape, 4)  # [y, x, 4]
        shades.draw_pixels(painter, QRect(0, 0, self.width(), self.places.height), rgba)

    def paint_overlay(self, painter: QPainter) -> None:
        now = theme.current()
        for where, token in ((self.hover, "text"), (self.current, "accent")):
            if self._known(*where):
                pen = QPen(now.color(token), 2 if token == "accent" else 1)
                pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
                outline(painter, self.tile(*where).adjusted(-2, -2, 2, 2), pen)

    def _known(self, layer: int, unit: int) -> bool:
        return 0 <= layer < len(self.counts) and 0 <= unit < self.counts[layer]
