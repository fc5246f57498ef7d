"""Pair: the gallery of heads and the chosen one share a room, each as large as the other allows.

Gallery left and large pattern right, or one above the other; the legend stands where room is left.
The caption has a line of its own, so that what it says never moves the pictures.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from PySide6.QtCore import QPoint, QRect, QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from gui import theme
from gui.plots.axes import GAP as LABEL_GAP
from gui.plots.axes import longest_turned
from gui.plots.gallery import LARGEST, PAGE_TILE, Gallery
from gui.plots.heat_map import HeatMap
from gui.plots.legend import Legend
from gui.plots.tokens import token_pen

GAP, LINE = 12, 20  # px: between the pictures; the caption
ROWS, COLS = 54, 24  # px: the gallery's own labels, left and below
READABLE = 150  # px: a large pattern that is smaller leaves its row labels to the columns
LEAST = 48  # px
PAGE_LEAST, MORE = 620, 160  # px of height that both may always take on a page; to name all
ALL_NAMED = 4.0  # times as good as a pattern that names few of its tokens
ENOUGH, PAGE_ENOUGH = (
    44,
    30,
)  # px: a tile that shows its stripes; beyond it the large pattern gains more


@dataclass(frozen=True)
class Plan:
    """Where each part stands, and how good that is."""

    score: float
    gallery: QRect
    large: QRect
    legend: QRect
    bare: bool


class Pair(QWidget):
    """Tries every size of tile and keeps the arrangement that shows most of both."""

    def __init__(self, gallery: Gallery, large: HeatMap, caption: QLabel, legend: Legend) -> None:
        super().__init__()
        self.gallery, self.large, self.caption, self.legend = gallery, large, caption, legend
        for widget in (caption, gallery, large, legend):
            widget.setParent(self)
        caption.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumSize(200, 140)
        self._last: tuple[object, ...] = ()
        self._tall: Callable[[int], int] = legend.heightForWidth

    def resizeEvent(self, _: QResizeEvent) -> None:
        self.arrange()

    def arrange(self) -> None:
        """Share the room anew, where the size, the heads, the tokens or the legend differ."""
        shape = self.gallery.patterns.shape[:2]
        state = (self.width(), self.height(), shape, tuple(self.large.row_labels),
                 tuple(self.legend.keys), theme.zoom())  # fmt: skip
        if state == self._last:
            return
        self._last = state
        line, paper = round(LINE * theme.zoom()), theme.paper()
        self.caption.setGeometry(0, 0, self.width(), line)
        room = QRect(0, 0 if paper else line, self.width(), max(self.height() - line, 1))
        best = max(self._plans(room, *shape), key=lambda plan: plan.score, default=None)
        if best is None:
            half = room.width() // 2
            self.gallery.setGeometry(room.adjusted(0, 0, -half, 0))
            self.large.setGeometry(room.adjusted(half, 0, 0, 0))
            self.legend.setGeometry(QRect(0, room.bottom() - line, room.width(), line))
            return
        self.gallery.setGeometry(best.gallery)
        self.large.set_bare(best.bare)
        down = line if paper else 0  # nothing is hovered on paper: the words stand over their head
        if paper:
            where = best.large.topLeft() + QPoint(LABEL_GAP, 0)
            self.caption.setGeometry(QRect(where, QSize(best.large.width(), line)))
        self.large.setGeometry(best.large.translated(0, down))
        self.legend.setGeometry(best.legend.translated(0, down))

    def page_height(self, width: int) -> int:
        """All heads at their best width, the chosen one beside them or below, caption, legend."""
        gallery = self.gallery.page_height(width)
        heads = max(self.gallery.patterns.shape[1], 1)
        tile = min((width - ROWS) / heads, PAGE_TILE)
        rest = width - ROWS - tile * heads - GAP
        least = max(READABLE + longest_turned(), width * 0.3)
        if rest < least <= width - ROWS - PAGE_ENOUGH * heads - GAP:
            rest = width - ROWS - PAGE_ENOUGH * heads - GAP  # smaller tiles, and a lower figure
            gallery = PAGE_ENOUGH * max(self.gallery.patterns.shape[0], 1) + COLS
        beside = rest >= least
        keys = self.legend.minimumSizeHint().width() + GAP
        large = self.large.page_height(int(rest if beside else width - keys))
        pictures = max(gallery, large) if beside else gallery + GAP + large
        foot = self.legend.heightForWidth(width) + 4 if beside else 0
        least, most = LINE + pictures + foot, max(round(width * 1.25), PAGE_LEAST)
        shape = self.gallery.patterns.shape[:2]
        for height in range(least, min(least + MORE, most), 8):
            plans = self._plans(QRect(0, 0, width, height - LINE), *shape)
            best = max(plans, key=lambda plan: plan.score, default=None)
            if best is not None and self._named(best) == ALL_NAMED:
                return height
        return min(least, most)

    def _plans(self, room: QRect, layers: int, heads: int) -> Iterator[Plan]:
        if not layers or not heads:
            return
        zoom = theme.zoom()
        self.large.name_axes()
        self._tall = cache(self.legend.heightForWidth)
        self._keys = self.legend.minimumSizeHint().width()
        pen = token_pen(11, mono=True)
        widest = max(map(pen.width, self.large.row_labels), default=0)
        self._label = min(widest, longest_turned()) + LABEL_GAP + 4
        rows, cols = int(ROWS * zoom), int(COLS * zoom)
        most = min((room.width() - rows) / heads, (room.height() - cols) / layers, LARGEST)
        for tile in range(max(int(most), 1), 0, -1):
            wide, high = rows + tile * heads + 2, cols + tile * layers + 3
            for below in (False, True):  # the legend under everything, or beside the large pattern
                foot = self._tall(room.width()) + 4 if below else 0
                inner = room.adjusted(0, 0, 0, -foot)
                legend = QRect(room.x(), inner.bottom() + 1, room.width(), foot) if below else None
                for way in (self._beside, self._above):
                    plan = way(tile, wide, high, inner, legend)
                    if plan is not None:
                        yield replace(plan, score=plan.score * self._named(plan))

    def _named(self, plan: Plan) -> float:
        """On paper nobody can hover: a large pattern that names every token counts far more."""
        if not theme.paper() or plan.bare:
            return 1.0
        every = self.large.named(plan.large.width(), plan.large.height())
        return {1: ALL_NAMED, 2: 2.0}.get(every, 1.0)

    def _beside(
        self, tile: int, wide: int, high: int, r: QRect, legend: QRect | None
    ) -> Plan | None:
        """Gallery left, large pattern right, the legend under the latter."""
        rest = r.width() - wide - GAP
        tall = self._tall(max(rest, 1)) + 4 if legend is None else 0
        side, bare, label = self._side(rest, r.height() - tall)
        too_narrow = legend is None and rest < self._keys
        if side < LEAST or high > r.height() or too_narrow:
            return None
        large = QRect(r.x() + wide + GAP, r.y(), rest, r.height() - tall)
        if legend is None:
            large.setHeight(min(int(side + label) + 4, large.height()))
            legend = QRect(large.x(), large.bottom() + 1, rest, tall)
        gallery = QRect(r.x(), r.y(), wide, r.height())
        return Plan(min(tile, ENOUGH) ** 3 * side**2, gallery, large, legend, bare)

    def _above(
        self, tile: int, wide: int, high: int, r: QRect, legend: QRect | None
    ) -> Plan | None:
        """Gallery above, large pattern below it, the legend beside the latter."""
        keys = 0 if legend is not None else self._keys + GAP
        side, bare, label = self._side(r.width() - keys, r.height() - high - GAP)
        if side < LEAST or wide > r.width():
            return None
        top = r.y() + high + GAP
        left = min(int(side + (0 if bare else label)) + 8, r.width() - keys)
        large = QRect(r.x(), top, left, r.bottom() + 1 - top)
        if legend is None:
            room = r.width() - left - GAP
            legend = QRect(r.x() + left + GAP, top, room, self._tall(room))
        return Plan(
            min(tile, ENOUGH) ** 3 * side**2,
            QRect(r.x(), r.y(), r.width(), high),
            large,
            legend,
            bare,
        )

    def _side(self, wide: float, high: float) -> tuple[float, bool, float]:
        """Pixels of the square pattern in a room, whether its rows go bare, and of its labels."""
        label = self._label
        side = min(wide - label, high - label)
        if side >= READABLE:
            return side, False, label
        return min(wide - LABEL_GAP - 4, high - label), True, label
