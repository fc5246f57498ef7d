"""Board: curves over selectivity, or the map, or the directions; the chosen site beside them.

Less important parts hide where there is no room: the site's column (it is a tab of its own then),
the second line, then the selectivity. On paper what belongs to the tab stands one under the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QTabBar, QWidget

from gui import theme
from gui.buttons import Elided
from gui.circuits.switch import Switch
from gui.plots import HeatMap
from gui.plots.probe_bars import SelectivityBars
from gui.plots.probe_curves import ProbeCurves
from gui.probes.directions_page import DirectionsPage
from gui.probes.site_view import SiteView
from gui.stage import Stage

EDGE, BETWEEN, CAPTION, TABS = 16, 8, 20, 38  # px: around, between, a caption, the row of tabs
COLUMN = (252, 340)  # px: the chosen site at its narrowest and widest
TWO_COLUMNS = 740  # px: width from which it stands beside the curves
NARROW = 480  # px: width under which the sentence may take three lines
ROOMY, LOW = 430, 320  # px: heights at which the second line and the selectivity go
LAYERS, MAP, DIRECTIONS, SITE = TAB_NAMES = ("By layer", "Layer × position", "Directions", "Site")
ABOVE, PLAIN = "Above majority", "Accuracy"
BAND = "band: 95 % over seeds and test groups"


@dataclass(frozen=True)
class Scene:
    """What there is to see. mapped: whether there are probes by position; selective: whether the
    control task was asked for."""

    tab: str = LAYERS
    mapped: bool = False
    selective: bool = True


class Board(Stage):
    """Everything that is drawn of a probing run; a panel fills the plots and sets the scene."""

    turned = Signal(str)  # the tab
    switched = Signal(str)  # what the map shows

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.beside = False  # whether the chosen site has a column of its own
        self.tabs = QTabBar(self)
        self.tabs.setExpanding(False)
        self.tabs.setDrawBase(False)
        self.tabs.setUsesScrollButtons(False)
        self.tabs.setAccessibleName("What is drawn of the probes")
        for name in TAB_NAMES:
            self.tabs.addTab(name)
        self.tabs.currentChanged.connect(lambda at: self.turned.emit(TAB_NAMES[at]))
        self.facts = Elided("", "small")
        self.facts.setParent(self)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        self.facts.setAlignment(right)
        self.detail.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.curves = ProbeCurves(self)
        self.bars = SelectivityBars(self)
        self.bars.follow(self.curves)
        self.map = HeatMap(self, name="accuracy by layer and position")
        self.map_switch = Switch(
            ((ABOVE, "Accuracy less that of the most frequent class at the position"),
             (PLAIN, "Share of the test part that is read right")),
            "What the map shows", self,
        )  # fmt: skip
        self.map_switch.show_chosen(ABOVE)
        self.map_switch.chosen.connect(self.switched)
        self.directions = DirectionsPage(self)
        self.site = SiteView(self)
        self.captions = {name: Elided("", "caption") for name in ("main", "bars", "map")}
        self.notes = {name: Elided("", "small") for name in ("main", "bars")}
        for each in (*self.captions.values(), *self.notes.values()):
            each.setParent(self)
        for note in self.notes.values():
            note.setAlignment(right)
        self.captions["main"].setText("Test accuracy, %")
        self.notes["main"].setText(BAND)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # its arrows go from site to site

    def set_scene(self, scene: Scene) -> None:
        """Show what there is; arranges anew only where something needs another room."""
        texts = [self.detail, *([self.sentence] if self.sentence is not None else [])]
        said = tuple(text.text() for text in texts)
        self.scene = scene
        if self.changes((scene, said)):
            self.arrange()
        self._show_tab()

    def _show_tab(self) -> None:
        self.tabs.blockSignals(True)
        self.tabs.setTabVisible(TAB_NAMES.index(MAP), self.scene.mapped)
        self.tabs.setTabVisible(TAB_NAMES.index(SITE), not self.beside and not self.paper)
        self.tabs.setCurrentIndex(TAB_NAMES.index(self.tab))
        self.tabs.blockSignals(False)

    @property
    def tab(self) -> str:
        """The tab that is shown: the chosen one, where it is there."""
        tab = self.scene.tab
        gone = (tab == SITE and (self.beside or self.paper)) or (
            tab == MAP and not self.scene.mapped
        )
        return LAYERS if gone else tab

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 120)

    def sizeHint(self) -> QSize:
        return QSize(1000, 720)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self.curves.keyPressEvent(event)

    # arranging

    def lay_out_parts(self) -> None:
        if self.paper:
            self._lay_on_paper()
        else:
            self._lay_on_screen()

    def parts(self) -> list[QWidget]:
        return [
            self.tabs, self.facts, self.detail, self.curves, self.bars, self.map, self.map_switch,
            self.directions, self.site, *self.captions.values(), *self.notes.values(),
        ]  # fmt: skip

    def _lay_on_screen(self) -> None:
        width, height = self.width(), self.height()
        left, right = EDGE, width - EDGE
        self.beside = width >= TWO_COLUMNS * theme.zoom()
        self._show_tab()
        if self.beside:
            column = min(max(round(width * 0.28), COLUMN[0]), COLUMN[1])
            column = round(column * theme.zoom())
            self.put(self.site, QRect(right - column + 4, BETWEEN, column + 4, height - BETWEEN))
            line = right - column - EDGE + 4
            self.lines.append((line, 0, line, height))
            right = line - EDGE
        top = self._tab_row(left, right)
        top = self._headline(left, right, top)
        inner = QRect(left, top, right - left, max(height - BETWEEN - top, 40))
        if self.tab == LAYERS:
            self._layers(inner)
        elif self.tab == MAP:
            self._lay_map(inner)
        else:
            self.put(self.directions if self.tab == DIRECTIONS else self.site,
                     inner.adjusted(0, 0, 8, 8))  # fmt: skip

    def _tab_row(self, left: int, right: int) -> int:
        tall = round(TABS * theme.zoom())
        need = self.tabs.sizeHint().width()
        room = right - left - need - BETWEEN
        self.put(self.tabs, QRect(left - 10, 0, min(need + 10, right - left + 10), tall))
        if room >= 120:
            self.put(self.facts, QRect(right - room, 0, room, tall))
        end = right + EDGE
        self.lines.append((0, tall, end, tall))
        return tall + BETWEEN

    def _headline(self, left: int, right: int, top: int) -> int:
        """The sentence and its second line; where the picture below begins."""
        wide, said = right - left, self.sentence
        if said is not None and said.text():
            tall = said.heightForWidth(wide) if said.hasHeightForWidth() else 24
            lines = 3 if wide < NARROW else 2
            tall = min(tall, lines * said.fontMetrics().lineSpacing() + 4)
            said.setGeometry(left, top, wide, tall)
            top += tall + 2
        if self.detail.text() and self.height() >= ROOMY:
            lines = (4 if self.height() >= 560 else 2) * self.detail.fontMetrics().lineSpacing()
            tall = min(self.detail.heightForWidth(wide), lines + 2)
            self.put(self.detail, QRect(left, top, wide, tall))
            top += tall
        return top + 4

    def _titled(self, name: str, box: QRect) -> None:
        """A caption at the left of a line, at its right a note."""
        caption = self.captions[name]
        need = caption.fontMetrics().horizontalAdvance(caption.text()) + 8
        self.put(caption, QRect(box.left(), box.top(), min(need, box.width()), box.height()))
        note = self.notes.get(name)
        rest = box.width() - need - BETWEEN
        if note is not None and note.text() and rest > 60:
            self.put(note, QRect(box.right() + 1 - rest, box.top(), rest, box.height()))

    def _layers(self, box: QRect) -> None:
        line = round(CAPTION * theme.zoom())
        self._titled("main", QRect(box.left(), box.top(), box.width(), line))
        inner = box.adjusted(0, line, 0, 0)
        if not self.scene.selective or self.height() < LOW:
            self.put(self.curves, inner)
            return
        below = min(max(round(inner.height() * 0.27), 64), 190)
        top = inner.bottom() + 1 - below
        self.put(self.curves, QRect(box.left(), inner.top(), box.width(),
                                    top - line - 8 - inner.top()))  # fmt: skip
        self.lines.append((0, top - line - 4, box.right() + EDGE, top - line - 4))
        self._titled("bars", QRect(box.left(), top - line, box.width(), line))
        self.put(self.bars, QRect(box.left(), top, box.width(), below))

    def _lay_map(self, box: QRect) -> None:
        tall = self.map_switch.sizeHint().height()
        wide = min(self.map_switch.sizeHint().width(), box.width())
        self.put(self.map_switch, QRect(box.right() + 1 - wide, box.top(), wide, tall))
        caption = QRect(box.left(), box.top(), box.width() - wide - BETWEEN, tall)
        if caption.width() > 60:
            self._titled("map", caption)
        self.put(self.map, box.adjusted(0, tall + BETWEEN, 0, 0))

    # paper

    def page_height(self, width: int) -> int:
        """Pixels of height that suit everything at this width."""
        return sum(tall + BETWEEN for _part, _name, tall in self._paper_rows(width))

    def _paper_rows(self, width: int) -> list[tuple[QWidget, str, int]]:
        """What stands one under the other: (part, caption, height with the caption's line)."""
        if self.tab == DIRECTIONS:
            return [(self.directions, "", self.directions.page_height(width))]
        if self.tab == MAP:
            return [(self.map, "map", self.map.page_height(width) + CAPTION)]
        rows: list[tuple[QWidget, str, int]] = [
            (self.curves, "main", self.curves.page_height(width) + CAPTION)
        ]
        if self.scene.selective:
            rows.append((self.bars, "bars", self.bars.page_height(width) + CAPTION))
        return rows

    def _lay_on_paper(self) -> None:
        width, height = self.width(), self.height()
        rows, top = self._paper_rows(width), 0
        spare = height - sum(tall + BETWEEN for *_, tall in rows)
        for part, name, tall in rows:
            tall = max(tall + min(spare, 0) // len(rows), 60)
            box = QRect(0, top, width, tall)
            top += tall + BETWEEN
            if name:
                self._titled(name, QRect(0, box.top(), width, CAPTION))
                box = box.adjusted(0, CAPTION, 0, 0)
            self.put(part, box)
