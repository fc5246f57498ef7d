"""Board: points on two components, what each explains, and the examples that are looked at.

The column at the right goes where there is no room beside the points: below them, then nowhere.
"""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtWidgets import QComboBox, QFrame, QLabel, QScrollArea, QWidget

from gui import theme
from gui.buttons import Elided, IconButton, label
from gui.plots.component_bars import ComponentBars
from gui.plots.in_context import InContext
from gui.plots.scatter_map import ScatterMap
from gui.stage import Stage

EDGE, BETWEEN, CAPTION, CHOICE = 16, 8, 20, 30  # px: around, between, a caption, the choices
COLUMN = (230, 400)  # px: the column at the right, at its narrowest and widest
TWO_COLUMNS, ON_PAPER, TALL, LOW = 540, 480, 430, 300
"""px: widths for a column; heights from which the list is below, and the second line is there."""
MOST_BARS = 0.42  # of the column's height
BRUSH = "Draw around points, or click a class, to list its examples"


class Board(Stage):
    """A panel fills the plots; `axes_chosen` tells which components were asked for."""

    axes_chosen = Signal(int, int)  # across, up

    def __init__(self) -> None:
        super().__init__()
        self.scatter, self.bars = ScatterMap(self), ComponentBars(self)
        self.list = InContext()
        self.holder = QScrollArea(self)
        self.holder.setFrameShape(QFrame.Shape.NoFrame)
        self.holder.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.holder.setWidget(self.list)
        self.across, self.up = QComboBox(self), QComboBox(self)
        self.signs: list[QLabel] = []
        for box, name, word in ((self.across, "Component across", "Across"),
                                (self.up, "Component up", "Up")):  # fmt: skip
            box.setAccessibleName(name)
            box.setToolTip(name)
            box.activated.connect(lambda _: self._tell())
            sign = label(word, "muted", self)
            self.signs.append(sign)
        self.swap = IconButton("arrow-left-right", "Swap across and up", self._swap)
        self.swap.setParent(self)
        self.brush = Elided(BRUSH, "small")
        self.bars.clicked.connect(self._row_clicked)
        self.captions = {name: Elided("", "caption") for name in ("bars", "list")}
        self.captions["bars"].setText("What each component explains")
        self.note = Elided("", "small")
        for each in (*self.captions.values(), self.note, self.brush):
            each.setParent(self)
        for each in (self.note, self.brush):
            each.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.detail.setAlignment(Qt.AlignmentFlag.AlignTop)

    def show_axes(self, count: int, across: int, up: int) -> None:
        """Which components are drawn, of how many."""
        for box, at in ((self.across, across), (self.up, up)):
            if box.count() != count:
                box.clear()
                box.addItems([f"PC {each + 1}" for each in range(count)])
            box.setCurrentIndex(at)

    def _tell(self) -> None:
        self.axes_chosen.emit(self.across.currentIndex(), self.up.currentIndex())

    def _swap(self) -> None:
        self.axes_chosen.emit(self.up.currentIndex(), self.across.currentIndex())

    def _row_clicked(self, component: int, axis: int) -> None:
        across, up = self.across.currentIndex(), self.up.currentIndex()
        if axis == 0:
            self.axes_chosen.emit(component, across if component == up else up)
        else:
            self.axes_chosen.emit(up if component == across else across, component)

    def settle_for(self, state: object) -> None:
        """Arrange anew if something needs another room."""
        texts = [self.detail, *([self.sentence] if self.sentence is not None else [])]
        said = tuple(text.heightForWidth(self.scatter.width()) for text in texts if text.text())
        if self.changes((state, said, len(self.bars.explained))):
            self.arrange()
        self.settle_list()

    def settle_list(self) -> None:
        """Give the list the room of its rows now: a layout would, but one picture later."""
        room, tall = self.holder.size(), self.list.sizeHint().height()
        bar = self.holder.verticalScrollBar().sizeHint().width() if tall > room.height() else 0
        self.list.resize(room.width() - bar, max(tall, room.height()))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 120)

    def sizeHint(self) -> QSize:
        return QSize(900, 560)

    # arranging

    def parts(self) -> list[QWidget]:
        return [
            self.detail, self.scatter, self.bars, self.holder, self.across, self.up, self.swap,
            self.brush, self.note, *self.signs, *self.captions.values(),
        ]  # fmt: skip

    def lay_out_parts(self) -> None:
        if self.paper:
            self._lay_on_paper()
            return
        width, height = self.width(), self.height()
        left, right, top, bottom = EDGE, width - EDGE, BETWEEN, height - BETWEEN
        if width >= TWO_COLUMNS:
            column = round(min(max(width * 0.34, COLUMN[0]), COLUMN[1]) * min(theme.zoom(), 1.2))
            box = QRect(right - column, top, column, bottom - top)
            self._column(box)
            right = box.left() - EDGE
            self.lines.append((right, 0, right, height))
            right -= EDGE
        elif height >= TALL:
            tall = min(round(height * 0.26), self.list.sizeHint().height() + CAPTION)
            box = QRect(left, bottom - tall, right - left, tall)
            self._examples(box)
            self.lines.append((left, box.top() - 4, right, box.top() - 4))
            bottom = box.top() - BETWEEN
        if height >= LOW and self.detail.text():
            wide = right - left
            tall = self.detail.heightForWidth(wide)
            lines = 2 if height < TALL else 4
            tall = min(tall, lines * self.detail.fontMetrics().lineSpacing() + 2)
            self.put(self.detail, QRect(left, top, wide, tall))
            top += tall + 6
        top = self._choices(left, right, top)
        self.put(self.scatter, QRect(left, top, right - left, max(bottom - top, 40)))

    def _choices(self, left: int, right: int, top: int) -> int:
        zoom = theme.zoom()
        tall, x = round(CHOICE * zoom), left
        roomy = right - left > 270 * zoom
        for box, sign in ((self.across, self.signs[0]), (self.up, self.signs[1])):
            if roomy:
                wide = sign.sizeHint().width()
                self.put(sign, QRect(x, top, wide, tall))
                x += wide + 6
            wide = min(round(86 * zoom), (right - left - 40) // 2)
            self.put(box, QRect(x, top, wide, tall))
            x += wide + 8
        self.put(self.swap, QRect(x - 2, top, tall, tall))
        x += tall + 4
        if right - x > 150:
            self.put(self.brush, QRect(x, top, right - x, tall))
        return top + tall + 6

    def _column(self, box: QRect) -> None:
        """The bars, as high as they need, over the list."""
        wanted = self.bars.sizeHint().height() + CAPTION
        tall = min(wanted, round(box.height() * MOST_BARS))
        if box.height() < 180:
            self._bars(box)
            return
        self._bars(QRect(box.left(), box.top(), box.width(), tall))
        y = box.top() + tall + BETWEEN
        self.lines.append((box.left(), y, box.right(), y))
        self._examples(QRect(box.left(), y + 4, box.width(), box.bottom() - y - 4))

    def _bars(self, box: QRect) -> None:
        self.put(self.captions["bars"], QRect(box.left(), box.top(), box.width(), CAPTION))
        self.put(self.bars, box.adjusted(0, CAPTION, 0, 0))

    def _examples(self, box: QRect) -> None:
        caption, note = self.captions["list"], self.note
        need = note.fontMetrics().horizontalAdvance(note.text()) + 6 if note.text() else 0
        room = box.width() - (need if need < box.width() // 2 else 0)
        self.put(caption, QRect(box.left(), box.top(), room, CAPTION))
        if room < box.width():
            self.put(note, QRect(box.left() + room, box.top(), box.width() - room, CAPTION))
        self.put(self.holder, box.adjusted(0, CAPTION, 0, 0))
        self.settle_list()

    # paper

    def page_height(self, width: int) -> int:
        """Pixels of height that suit everything at this width."""
        bars = self.bars.page_height(width) + CAPTION + BETWEEN
        if width >= ON_PAPER:
            return max(round(width * 0.62 * 0.8), bars)
        return self.scatter.page_height(width) + bars

    def _lay_on_paper(self) -> None:
        """Points and bars: a list of examples belongs to a table."""
        width, height = self.width(), self.height()
        if width >= ON_PAPER:
            column = round(width * 0.33)
            tall = min(self.bars.page_height(column) + CAPTION, height)
            self._bars(QRect(width - column, 0, column, tall))
            self.put(self.scatter, QRect(0, 0, width - column - EDGE, height))
            return
        bars = min(self.bars.page_height(width) + CAPTION, height // 2)
        self.put(self.scatter, QRect(0, 0, width, height - bars - BETWEEN))
        self._bars(QRect(0, height - bars, width, bars))
