"""FeatureBoard: the table of all features, and the page of the one that is looked at beside it.

Where there is no room for both, a switch turns from one to the other.
"""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QLineEdit, QWidget

from gui import theme
from gui.circuits.switch import Switch
from gui.entry import Choice
from gui.plots.feature_table import FeatureTable
from gui.sae_browse.feature_page import FeaturePage
from gui.sae_browse.story import KINDS
from gui.stage import Stage

EDGE, BETWEEN, LINE = 16, 8, 30  # px: around, between, a line of controls
TWO, COLUMN = 680, (300, 560)  # px: room for both; the table at its narrowest and widest
SHARE = 0.44  # of the width: the table
ROOMY, LOW, NARROW = 400, 300, 700
"""px: heights for the second line, and for a sentence over a page; a width that needs more lines"""
TABLE, PAGE = VIEWS = ("Table", "Feature")
TIPS = ("All features, sorted by a column", "The chosen feature: examples, tokens, neighbours")


class FilterLine(QLineEdit):
    """Down goes on into the table; Escape empties it."""

    left = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.left.emit()
        elif event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        else:
            super().keyPressEvent(event)


class FeatureBoard(Stage):
    """A panel fills `table` and `page`; `filtered` tells that other rows are wanted."""

    filtered = Signal()
    turned = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.view, self.beside = TABLE, False
        self.one = False  # a basis of one latent: no table is needed
        self.table = FeatureTable(self)  # the first to have the keyboard
        self.switch = Switch(list(zip(VIEWS, TIPS, strict=True)), "What is seen", self)
        self.switch.show_chosen(self.view)
        self.switch.chosen.connect(self._chosen)
        self.filter = FilterLine(self)
        self.filter.setPlaceholderText("Number, label or token")
        self.filter.setClearButtonEnabled(True)
        self.filter.setAccessibleName("List only features with this number, label or token")
        self.filter.textChanged.connect(lambda _: self.filtered.emit())
        self.kind: QComboBox = Choice()
        self.kind.setParent(self)
        self.kind.setAccessibleName("Which features are listed")
        self.kind.addItems([word.capitalize() for word in KINDS])
        self.kind.currentIndexChanged.connect(lambda _: self.filtered.emit())
        self.page = FeaturePage(self)
        self.filter.left.connect(self._into_table)
        self.detail.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setFocusProxy(self.table)

    def parts(self) -> list[QWidget]:
        return [self.switch, self.filter, self.kind, self.table, self.page, self.detail]

    @property
    def kept(self) -> str:
        """Which kind of features is listed."""
        return KINDS[max(self.kind.currentIndex(), 0)]

    def set_view(self, view: str) -> None:
        if view in VIEWS and view != self.view:
            self.view = view
            self.switch.show_chosen(view)
            self.arrange()

    def call_it(self, word: str) -> None:
        """What one of the rows is: "Feature", "Neuron"."""
        self.switch.buttons[PAGE].setText(word)

    def set_filter(self, kind: str, text: str) -> None:
        for box in (self.kind, self.filter):
            box.blockSignals(True)
        self.kind.setCurrentIndex(KINDS.index(kind) if kind in KINDS else 0)
        self.filter.setText(text)
        for box in (self.kind, self.filter):
            box.blockSignals(False)

    def settle_for(self, *state: object) -> None:
        """Arrange anew if something needs another room."""
        texts = [self.detail, *([self.sentence] if self.sentence is not None else [])]
        tall = tuple(text.heightForWidth(max(self.width() - 2 * EDGE, 100)) for text in texts
                     if text.text())  # fmt: skip
        if self.changes((tall, self.one, self.view, theme.zoom(), *state)):
            self.arrange()

    def _chosen(self, view: str) -> None:
        self.set_view(view)
        self.turned.emit()

    def _into_table(self) -> None:
        self.table.setFocus(Qt.FocusReason.TabFocusReason)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 120)

    def sizeHint(self) -> QSize:
        return QSize(1000, 680)

    # room

    def lay_out_parts(self) -> None:
        if self.paper:
            self._lay_on_paper()
            return
        zoom, width, height = theme.zoom(), self.width(), self.height()
        left, right = EDGE, width - EDGE
        top = self._headline(left, right, BETWEEN)
        bottom = height - BETWEEN
        self.beside = width >= TWO * zoom and not self.one
        box = QRect(left, top, right - left, max(bottom - top, 40))
        if self.one:
            self.put(self.page, box)
        elif self.beside:
            least, most = COLUMN
            wide = round(min(max(width * SHARE, least * zoom), most * zoom))
            self._table(QRect(left, top, wide, box.height()), False)
            line = left + wide + BETWEEN
            self.lines.append((line, top, line, height))
            self.lines.append((0, top - 5, width, top - 5))
            self.put(self.page, QRect(line + EDGE, top, width - line - EDGE - 8, box.height()))
        elif self.view == PAGE:
            tall = round(LINE * zoom)
            wide = min(self.switch.sizeHint().width(), box.width())
            self.put(self.switch, QRect(left, top, wide, tall))
            self.put(self.page, box.adjusted(0, tall + BETWEEN, 8, 0))
        else:
            self._table(box, True)

    def _headline(self, left: int, right: int, top: int) -> int:
        """The sentence and its second line; where the rest begins."""
        wide, said = right - left, self.sentence
        if self.view == PAGE and self.height() < LOW:
            return top if said is None else self._without(said, top)
        if said is not None and said.text():
            lines = 3 if wide < NARROW else 2
            tall = min(said.heightForWidth(wide), lines * said.fontMetrics().lineSpacing())
            said.setGeometry(left, top, wide, tall)
            top += tall + 2
        if self.detail.text() and self.height() >= ROOMY:
            tall = min(self.detail.heightForWidth(wide),
                       2 * self.detail.fontMetrics().lineSpacing() + 2)  # fmt: skip
            self.put(self.detail, QRect(left, top, wide, tall))
            top += tall + 2
        return top + 8

    def _without(self, said: QWidget, top: int) -> int:
        """A low page needs all its room: the feature's own name is its headline."""
        said.setGeometry(EDGE, 0, self.width() - 2 * EDGE, 0)
        return top

    def _table(self, box: QRect, switched: bool) -> None:
        """The controls in a line, the table below."""
        tall, x, right = round(LINE * theme.zoom()), box.left(), box.right() + 1
        if switched:
            wide = min(self.switch.sizeHint().width(), box.width())
            self.put(self.switch, QRect(x, box.top(), wide, tall))
            x += wide + BETWEEN
        wide = min(round(96 * theme.zoom()), max(right - x, 40))
        self.put(self.kind, QRect(right - wide, box.top(), wide, tall))
        if right - wide - BETWEEN - x > 60:
            self.put(self.filter, QRect(x, box.top(), right - wide - BETWEEN - x, tall))
        self.put(self.table, box.adjusted(0, tall + 6, 0, 0))

    # paper

    @property
    def on_page(self) -> QWidget:
        """A figure is of the feature that is looked at, or of the table where that is shown."""
        return self.table if self.view == TABLE and not self.one else self.page

    def page_height(self, width: int) -> int:
        shown = self.page.page_height(width)
        if self.on_page is self.table:
            shown = self.table.page_height(width)
        return shown

    def _lay_on_paper(self) -> None:
        self.put(self.on_page, self.rect())
