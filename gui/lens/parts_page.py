"""PartsPage: a logit as a waterfall; beside it the heads, the stream so far, neurons, positions.

All at once where there is room; else a switch turns between them.
"""

from __future__ import annotations

from PySide6.QtCore import QRect, Signal
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.buttons import Elided
from gui.causal.effect_page import Tools
from gui.causal.ranked import RankedBars
from gui.circuits.switch import Switch
from gui.entry import Choice
from gui.flow import Flow
from gui.plots import HeatMap
from gui.plots.rank_curve import RankCurve
from gui.plots.waterfall import Waterfall
from gui.stage import Stage

PARTS, STREAM, HEADS, NEURONS = "Parts", "So far", "Heads", "Neurons"
VIEWS = {
    PARTS: "The bars one after the other, from 0 to the logit",
    STREAM: "What the stream would say up to each point, with the final norm's scale",
    HEADS: "What every head adds",
    NEURONS: "The neurons that add most",
}
UNITS = {"component": "attn, MLP", "layer": "layers", "head": "heads", "neuron": "neurons"}
WEIGHTS = {
    "raw": "W_U as it is in the file",
    "folded": "W_U centred over the vocabulary: single logits change by a constant, "
    "differences do not",
}
ORDERS = {"flow": "as it flows", "size": "largest first"}
GAP, LINE = 20, 20  # px
BESIDE, BOTH = 700, 440  # px: two columns; both pictures in the right one
LOW_TOOLS, LOW_STRIP = 130, 150  # px: lower, there are no tools; bars have that beside the strip


class PartsPage(Stage):
    """The panel fills its parts; `turned` tells of a switch, `asked` (field, value) of a run."""

    turned = Signal()
    asked = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumSize(220, 96)
        self.bare = self.paper  # the picture alone, without its switches
        self.view, self.order = PARTS, "flow"
        self.has_heads = self.has_neurons = False
        self.title = self._line("caption")
        self.identity = self._line("small")
        self.parts_plot = Waterfall(self)
        self.stream = RankCurve(self, name="the stream so far")
        self.heads_title = self._line("caption")
        self.heads = HeatMap(self, name="what every head adds")
        self.neurons = RankedBars(self, name="neurons that add most")
        self.strip = HeatMap(self, name="at every position")
        self.tools = self._tools()

    def _line(self, role: str) -> Elided:
        made = Elided("", role)
        made.setParent(self)
        return made

    def _tools(self) -> Tools:
        made = Tools(self)
        self.views = Switch(tuple(VIEWS.items()), "What is shown")
        self.views.show_chosen(self.view)
        self.views.chosen.connect(self.show_view)
        self.units = self._choice(UNITS, "What a bar stands for", "unit")
        self.orders = Choice()
        for key, word in ORDERS.items():
            self.orders.addItem(word, key)
        self.orders.setAccessibleName("Order of the bars")
        self.orders.activated.connect(lambda _: self._order(self.orders.currentData()))
        self.weights = Switch(tuple(WEIGHTS.items()), "Weights")
        self.weights.chosen.connect(lambda word: self.asked.emit("weights", word))
        row = Flow(made, gap=6)
        for widget in (self.views, self.units, self.weights, self.orders):
            row.addWidget(widget)
        return made

    def _choice(self, words: dict[str, str], name: str, field: str) -> Choice:
        made = Choice()
        for key, word in words.items():
            made.addItem(word, key)
        made.setAccessibleName(name)
        made.setToolTip(name)
        made.activated.connect(lambda _: self.asked.emit(field, made.currentData()))
        return made

    # switches

    def show_view(self, view: str) -> None:
        if view in VIEWS and view != self.view:
            self.view = view
            self.views.show_chosen(view)
            self.arrange()

    def show_order(self, order: str) -> None:
        if order in ORDERS:
            self.order = order
            self.orders.setCurrentIndex(list(ORDERS).index(order))

    def show_run(self, unit: str, weights: str, heads: bool, neurons: bool) -> None:
        """What the run in the picture is of, in silence, and what it has."""
        if unit in UNITS:
            self.units.setCurrentIndex(list(UNITS).index(unit))
        self.weights.show_chosen(weights)
        self.has_heads, self.has_neurons = heads, neurons
        self.views.buttons[HEADS].setEnabled(heads)
        self.views.buttons[NEURONS].setEnabled(neurons)

    def _order(self, order: str) -> None:
        if order != self.order:
            self.order = order
            self.turned.emit()

    @property
    def shown_beside(self) -> str:
        """What stands beside the bars."""
        able = {HEADS: self.has_heads, NEURONS: self.has_neurons, STREAM: True, PARTS: False}
        if able[self.view]:
            return self.view
        return HEADS if self.has_heads else STREAM

    # layout

    def parts(self) -> list[QWidget]:
        return [self.tools, self.title, self.parts_plot, self.identity, self.heads_title,
                self.heads, self.stream, self.neurons, self.strip]  # fmt: skip

    def page_height(self, width: int) -> int:
        strip = self.strip.page_height(width) + 8
        main = self.parts_plot.page_height(width)
        if self.view != PARTS:
            main += GAP + self._page_beside(width)
        return 2 * LINE + main + strip

    def _page_beside(self, width: int) -> int:
        if self.shown_beside == HEADS:
            return LINE + self.heads.page_height(width)
        plot = self.stream if self.shown_beside == STREAM else self.neurons
        return plot.page_height(width)

    def lay_out_parts(self) -> None:
        box, zoom = QRect(0, 0, self.width(), self.height()), theme.zoom()
        if not self.bare and box.height() >= LOW_TOOLS * zoom:
            wide = box.width() >= 500 * zoom
            self.orders.setVisible(box.width() >= 620 * zoom)
            self.weights.setVisible(wide)
            high = self.tools.fit(box.width())
            self.put(self.tools, QRect(0, 0, box.width(), high))
            box.adjust(0, high + 6, 0, 0)
        line = round(LINE * zoom)
        self.put(self.title, QRect(0, box.top(), box.width(), line))
        box.adjust(0, line, 0, 0)
        box = self._put_strip(box, zoom)
        if self.paper:
            self._lay_out_paper(box)
        elif box.width() >= BESIDE * zoom:
            side = round(box.width() * 0.44)
            x = box.right() + 1 - side - GAP // 2
            self.lines = [(x, box.top(), x, box.bottom())]
            self._put_parts(box.adjusted(0, 0, -side - GAP, 0))
            right = QRect(box.right() + 1 - side, box.y(), side, box.height())
            self._put_right(right, zoom)
        elif self.view == PARTS:
            self._put_parts(box)
        else:
            self._put_one(self.shown_beside, box)

    def _put_strip(self, box: QRect, zoom: float) -> QRect:
        """The positions at the bottom, where there is room for them; what is left."""
        own = self.strip.page_height(box.width())
        if not self.paper and box.height() - own - 8 < LOW_STRIP * zoom:
            return box
        self.put(self.strip, QRect(0, box.bottom() + 1 - own, box.width(), own))
        return box.adjusted(0, 0, 0, -own - 8)

    def _lay_out_paper(self, box: QRect) -> None:
        if self.view != PARTS:
            own = self._page_beside(box.width())
            self._put_one(self.shown_beside, QRect(0, box.bottom() + 1 - own, box.width(), own))
            box = box.adjusted(0, 0, 0, -own - GAP)
        self._put_parts(box)

    def _put_parts(self, box: QRect) -> None:
        """The bars, and what they sum to right under them."""
        line = round(LINE * theme.zoom())
        high = min(box.height() - line, self.parts_plot.most_height())
        self.put(self.parts_plot, QRect(box.left(), box.top(), box.width(), high))
        self.put(self.identity, QRect(box.left(), box.top() + high, box.width(), line))

    def _put_right(self, box: QRect, zoom: float) -> None:
        beside = self.shown_beside
        if box.height() < BOTH * zoom or beside == NEURONS:
            self._put_one(beside, box)
            return
        if not self.has_heads:
            self._put_one(STREAM, box.adjusted(0, 0, 0, -box.height() // 3))
            return
        half = box.height() // 2
        self._put_one(HEADS, box.adjusted(0, 0, 0, -half))
        self._put_one(STREAM, box.adjusted(0, box.height() - half + 12, 0, 0))

    def _put_one(self, view: str, box: QRect) -> None:
        if view == HEADS:
            line = round(LINE * theme.zoom())
            self.put(self.heads_title, QRect(box.left(), box.top(), box.width(), line))
            self.put(self.heads, box.adjusted(0, line, 0, 0))
        else:
            self.put(self.stream if view == STREAM else self.neurons, box)
