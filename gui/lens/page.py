"""LensPage: the lens as a table or as text, the answer's rise beside it, watched tokens by layer.

Where there is no room for all of them, a switch turns between them.
"""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtWidgets import QMenu, QWidget

from gui import theme
from gui.buttons import Button
from gui.causal.effect_page import Tools
from gui.circuits.switch import Switch
from gui.entry import Choice
from gui.flow import Flow
from gui.lens.card import TopCard
from gui.lens.map import LensMap, LensWords
from gui.lens.reading import HELP, SHOWS
from gui.plots import LayerCurve, Legend
from gui.plots.rank_curve import RankCurve
from gui.stage import Stage

TABLE, TEXT, WATCH = "Table", "Text", "Watch"
VIEWS = {
    TABLE: "A row for each layer, a column for each position",
    TEXT: "The prompt as running text, the layers under each line of it",
    WATCH: "Chosen tokens through the layers, at one position",
}
QUANTITIES = {
    "P": "Probability by layer",
    "rank": "Rank by layer, 1 on top",
    "logit": "Logit by layer, weights as in the file",
}
GAP, SIDE, LEAST_SIDE = 20, 340, 240  # px: between the parts; of the plot at the right
BESIDE, UNDER = 760, 420  # px: the plot of watched tokens beside the table, or under it
CURVE, LEAST_CURVE, CURVED = 120, 92, 330  # px of the narrow curve; a page that has room for it
LOW_TOOLS, LOW_TABLE, LOW_LEGEND = 130, 200, 150  # px: a lower page leaves them out
BAR = 30  # px of the switch above the plot


class LensPage(Stage):
    """The panel fills its parts; `turned` tells of another view, what is shown or followed."""

    turned = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumSize(220, 96)
        self.bare = self.paper  # the picture alone, without its switches
        self.view, self.show_, self.quantity = TABLE, "token", "P"
        self.watches = False  # whether tokens were chosen to be followed
        self.map = LensMap(self)
        self.text = LensWords(self, name="logit lens as text")
        self.curve = LayerCurve(self, name="probability by layer")
        self.curve.follow(self.map)
        self.watch = RankCurve(
            self, name="watched tokens by layer",
            empty="Choose tokens to follow: click a cell and press Watch.",
        )  # fmt: skip
        self.legend = Legend(parent=self)
        self.card = TopCard(self)
        self.quantities = Switch(tuple(QUANTITIES.items()), "What is followed", self)
        self.quantities.show_chosen(self.quantity)
        self.quantities.chosen.connect(self._follow)
        self.tools = self._tools()

    def _tools(self) -> Tools:
        made = Tools(self)
        self.views = Switch(tuple(VIEWS.items()), "How the lens is shown")
        self.views.show_chosen(self.view)
        self.views.chosen.connect(lambda view: self.show_view(view))
        self.shows = Choice()
        self.shows.setAccessibleName("What a cell shows")
        for at, (key, word) in enumerate(SHOWS.items()):
            self.shows.addItem(word, key)
            self.shows.setItemData(at, HELP[key], Qt.ItemDataRole.ToolTipRole)
        self.shows.setToolTip("What a cell shows")
        self.shows.activated.connect(lambda _: self._show(self.shows.currentData()))
        self.watch_button = Button("Watch token", "plus", flat=True)
        self.watch_button.setToolTip("Follow the top token of the chosen cell through the layers")
        self.lens_button = Button("Logit lens", "layers", flat=True)
        self.lens_button.setToolTip("Which lens reads the layers")
        self.lens_menu = QMenu(self.lens_button)
        self.lens_button.setMenu(self.lens_menu)
        row = Flow(made, gap=6)
        for widget in (self.views, self.shows, self.watch_button, self.lens_button):
            row.addWidget(widget)
        return made

    # switches

    def show_view(self, view: str, told: bool = True) -> None:
        if view in VIEWS and view != self.view:
            self.view = view
            self.views.show_chosen(view)
            self.card.hide()
            if told:
                self.turned.emit()
            self.arrange()

    def show_quantity(self, quantity: str) -> None:
        if quantity in QUANTITIES:
            self.quantity = quantity
            self.quantities.show_chosen(quantity)

    def show_cells(self, what: str) -> None:
        """What a cell shows, in silence."""
        if what in SHOWS:
            self.show_ = what
            self.shows.setCurrentIndex(list(SHOWS).index(what))

    def _show(self, what: str) -> None:
        if what != self.show_:
            self.show_ = what
            self.turned.emit()

    def _follow(self, quantity: str) -> None:
        self.quantity = quantity
        self.turned.emit()

    # layout

    def parts(self) -> list[QWidget]:
        return [self.tools, self.map, self.text, self.curve, self.quantities, self.watch,
                self.legend]  # fmt: skip

    def page_height(self, width: int) -> int:
        legend = self._legend_height(width)
        if self.view == WATCH:
            return self.watch.page_height(width)
        if self.view == TEXT:
            return self.text.page_height(width) + legend
        high = self.map.page_height(width - self._narrow(width) - 8)
        below = self.watch.page_height(width) + GAP if self.watches else 0
        return high + legend + below

    def _legend_height(self, width: int) -> int:
        return self.legend.heightForWidth(width) + 4 if self.legend.keys else 0

    def _narrow(self, width: int) -> int:
        """Px of the narrow curve beside the table."""
        if width < CURVED * theme.zoom() and not self.paper:
            return 0
        return LEAST_CURVE if self.paper or width < 520 else round(CURVE * theme.zoom())

    def lay_out_parts(self) -> None:
        box, zoom = QRect(0, 0, self.width(), self.height()), theme.zoom()
        low = LOW_TABLE if self.view == TABLE else LOW_TOOLS
        if not self.bare and box.height() >= low * zoom:
            wide = box.width() >= 520 * zoom
            self.shows.setVisible(self.view != WATCH)
            self.watch_button.setVisible(wide)
            self.lens_button.setVisible(wide)
            high = self.tools.fit(box.width())
            self.put(self.tools, QRect(0, 0, box.width(), high))
            box.adjust(0, high + 6, 0, 0)
        if self.view == WATCH:
            self._put_watch(box)
            return
        if self.watches and self.paper and self.view == TABLE:
            own = self.watch.page_height(box.width())
            self._put_watch(QRect(0, box.bottom() + 1 - own, box.width(), own))
            box.adjust(0, 0, 0, -own - GAP)
        elif self.watches and not self.paper:
            box = self._put_beside(box, zoom)
        legend = self._legend_height(box.width())
        if legend and (self.paper or box.height() - legend >= LOW_LEGEND * zoom):
            where = QRect(box.left(), box.bottom() + 5 - legend, box.width(), legend - 4)
            self.put(self.legend, where)
            box.adjust(0, 0, 0, -legend)
        if self.view == TEXT:
            self.put(self.text, box)
            return
        beside = self.watch in self._placed and not self.paper
        narrow = 0 if beside else self._narrow(box.width())
        self.put(self.map, box.adjusted(0, 0, -narrow - 8 if narrow else 0, 0))
        if narrow:
            self.put(self.curve, QRect(box.right() + 1 - narrow, box.y(), narrow, box.height()))

    def _put_beside(self, box: QRect, zoom: float) -> QRect:
        """The watched tokens at the right or under the table, where there is room; what is left."""
        if box.width() >= BESIDE * zoom:
            side = round(min(max(box.width() * 0.3, LEAST_SIDE * zoom), SIDE * zoom))
            high = min(box.height(), round(480 * zoom))
            self._put_watch(QRect(box.right() + 1 - side, box.y(), side, high))
            x = box.right() + 1 - side - GAP // 2
            self.lines = [(x, box.top(), x, box.bottom())]
            return box.adjusted(0, 0, -side - GAP, 0)
        if box.height() >= UNDER * zoom:
            own = round(min(box.height() * 0.36, 220 * zoom))
            self._put_watch(QRect(0, box.bottom() + 1 - own, box.width(), own))
            y = box.bottom() + 1 - own - 6
            self.lines = [(0, y, box.width(), y)]
            return box.adjusted(0, 0, 0, -own - 12)
        return box

    def _put_watch(self, box: QRect) -> None:
        """The plot, and over its title's line the switch of what is followed."""
        self.put(self.watch, box)
        if self.bare or box.height() < 90 * theme.zoom():
            return
        size = self.quantities.sizeHint()
        bar = round(BAR * theme.zoom())
        self.put(self.watch, box.adjusted(0, bar, 0, 0))
        self.put(self.quantities, QRect(box.topLeft(), size).intersected(box))
