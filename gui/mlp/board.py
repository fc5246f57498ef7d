"""Board: probes by layer and over the steps, the square as the network sees it, its units.

Less important parts hide where there is no room: the selectivity, the curves over the steps, the
column at the right, whose pictures then have tabs of their own, then the second line. On paper
nothing is left out and nothing can be pressed.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QTabBar, QWidget

from gui import theme
from gui.buttons import Elided, IconButton, label
from gui.plots.boundary import Boundary
from gui.plots.probe_bars import SelectivityBars
from gui.plots.probe_curves import ProbeCurves
from gui.plots.step_lines import StepLines
from gui.plots.unit_maps import UnitMaps
from gui.stage import Stage

EDGE, BETWEEN, CAPTION, TABS = 16, 8, 20, 38  # px: around, between, a caption, the row of tabs
COLUMN = (220, 330)  # px: the column at the right, at its narrowest and widest
TWO_COLUMNS, ON_PAPER = 600, 420  # px: width from which there is one
LOWEST, LOW, ROOMY = 240, 400, 560
"""px: heights at which the second line, the curves over the steps and the selectivity go."""
TAB_NAMES = ("By layer", "Over steps", "Hidden units", "Decision")
LAYERS, STEPS, UNITS, DECISION = TAB_NAMES


@dataclass(frozen=True)
class Scene:
    """What there is to see: the tab, whether selectivity is known, whether a unit is large."""

    tab: str = LAYERS
    selectivity: bool = False
    unit: bool = False


class Board(Stage):
    """Everything that is drawn of a probed network; a panel fills the plots and sets the scene."""

    turned = Signal(str)  # the tab
    left_unit = Signal()  # back to what the network decides

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.tabs = QTabBar(self)
        self.tabs.setExpanding(False)
        self.tabs.setDrawBase(False)
        self.tabs.setUsesScrollButtons(False)
        self.tabs.setElideMode(Qt.TextElideMode.ElideRight)
        self.tabs.setAccessibleName("What is drawn of the networks")
        for name in TAB_NAMES:
            self.tabs.addTab(name)
        self.tabs.currentChanged.connect(lambda at: self.turned.emit(TAB_NAMES[at]))
        self.rate = label("", "small", self)
        self.rate.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.detail.setAlignment(Qt.AlignmentFlag.AlignTop)  # what has no room is its last line
        self.curves, self.bars = ProbeCurves(self), SelectivityBars(self)
        self.bars.follow(self.curves)
        self.steps = StepLines(self, name="accuracy by step", empty="Accuracy will be here.")
        self.loss = StepLines(self, name="loss by step", empty="The loss will be here.")
        self.map, self.units = Boundary(self), UnitMaps(self)
        names = ("curves", "bars", "steps", "loss", "map", "units")
        self.captions = {name: Elided("", "caption") for name in names}
        self.notes = {name: Elided("", "small") for name in names}
        for each in (*self.captions.values(), *self.notes.values()):
            each.setParent(self)
        for note in self.notes.values():
            note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for name, text in (
            ("curves", "Held-out accuracy, %"), ("bars", "Probe minus control task, points"),
            ("steps", "Held-out accuracy over the steps, %"), ("loss", "Held-out loss, nats"),
            ("units", "Hidden units over the square"),
        ):  # fmt: skip
            self.captions[name].setText(text)
        self.notes["units"].setText("each on its own scale")
        self.away = IconButton("x", "Back to what the network decides (Esc)", self.left_unit.emit)
        self.away.setParent(self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # Escape leaves a unit
        for one, other in ((self.steps, self.loss), (self.loss, self.steps)):
            one.pointed.connect(other.point_at)

    def set_scene(self, scene: Scene) -> None:
        """Show what there is; arranges anew only where something needs another room."""
        texts = [self.detail, *([self.sentence] if self.sentence is not None else [])]
        wide = self.curves.width()
        said = tuple(text.heightForWidth(wide) if text.text() else 0 for text in texts)
        if self.changes((scene, said, self.units.counts, len(self.notes["map"].text()))):
            self.scene = scene
            self.arrange()

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 120)

    def sizeHint(self) -> QSize:
        return QSize(960, 680)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.scene.unit:
            self.left_unit.emit()
        else:
            super().keyPressEvent(event)

    # arranging

    def lay_out_parts(self) -> None:
        if self.paper:
            self._lay_on_paper()
        else:
            self._lay_on_screen()

    def parts(self) -> list[QWidget]:
        return [
            self.tabs, self.rate, self.detail, self.curves, self.bars, self.steps, self.loss,
            self.map, self.units, self.away, *self.captions.values(), *self.notes.values(),
        ]  # fmt: skip

    @property
    def tab(self) -> str:
        """The tab that is shown: the last one is there only where the column is not."""
        beside = self.width() >= TWO_COLUMNS
        return LAYERS if beside and self.scene.tab == DECISION else self.scene.tab

    def _lay_on_screen(self) -> None:
        width, height = self.width(), self.height()
        left, right = EDGE, width - EDGE
        beside = width >= TWO_COLUMNS
        if beside:
            column = round(min(max(width * 0.31, COLUMN[0]), COLUMN[1]) * theme.zoom())
            box = QRect(right - column, BETWEEN + 2, column, height - 2 * BETWEEN)
            self._column(box)
            right = box.left() - EDGE
            self.lines.append((right, 0, right, height))
            right -= EDGE
        self.tabs.blockSignals(True)
        self.tabs.setTabVisible(TAB_NAMES.index(DECISION), not beside)
        self.tabs.setCurrentIndex(TAB_NAMES.index(self.tab))
        self.tabs.blockSignals(False)
        top = self._tab_row(left, right)
        top = self._headline(left, right, top)
        box = QRect(left, top, right - left, max(height - BETWEEN - top, 40))
        if self.tab == STEPS:
            upper = round(box.height() * 0.56)
            self._titled("steps", self.steps, box.adjusted(0, 0, 0, upper - box.height()))
            self._titled("loss", self.loss, box.adjusted(0, upper, 0, 0))
        elif self.tab == UNITS:
            self._titled("units", self.units, box)
        elif self.tab == DECISION:
            self._large(box)
        else:
            self._by_layer(box)

    def _tab_row(self, left: int, right: int) -> int:
        tall, rate = round(TABS * theme.zoom()), round(92 * theme.zoom())
        roomy = right - left > 4.6 * rate
        self.put(self.tabs, QRect(left - 10, 0, right - left + 10 - (rate if roomy else 0), tall))
        if roomy:
            self.put(self.rate, QRect(right - rate, 0, rate, tall))
        self.lines.append((left - EDGE, tall, right + EDGE, tall))
        return tall + BETWEEN

    def _headline(self, left: int, right: int, top: int) -> int:
        """The sentence and its second line; where the picture below begins."""
        wide, said, height = right - left, self.sentence, self.height()
        if said is not None and said.text():
            tall = said.heightForWidth(wide) if said.hasHeightForWidth() else 24
            tall = min(tall, 2 * said.fontMetrics().lineSpacing() + 4)
            said.setGeometry(left, top, wide, tall)
            top += tall + 2
        if self.detail.text() and height >= LOW:
            most = (3 if height >= ROOMY else 2) * self.detail.fontMetrics().lineSpacing() + 2
            tall = min(self.detail.heightForWidth(wide), most)
            self.put(self.detail, QRect(left, top, wide, tall))
            top += tall
        return top + 6

    def _by_layer(self, box: QRect) -> None:
        """Curves by layer, selectivity below them, and what came of it over the steps."""
        height, tall = self.height(), box.height()
        self.curves.axis = True
        if height >= LOW:
            low = round(tall * (0.28 if height >= ROOMY else 0.4))
            box_of_steps = QRect(box.left(), box.bottom() + 1 - low, box.width(), low)
            self._titled("steps", self.steps, box_of_steps)
            tall -= low + BETWEEN
            y = box_of_steps.top() - BETWEEN // 2
            self.lines.append((box.left(), y, box.right(), y))
        if height >= ROOMY and self.scene.selectivity:
            low = round(tall * 0.3)
            self._titled("bars", self.bars, QRect(box.left(), box.top() + tall - low,
                                                  box.width(), low))  # fmt: skip
            tall -= low + BETWEEN // 2
        self._titled("curves", self.curves, QRect(box.left(), box.top(), box.width(), tall))

    def _column(self, box: QRect) -> None:
        """The square, and below it the units where there is room for them."""
        square = min(box.width() + self.map.foot(box.width()), box.height() - CAPTION)
        rest = box.height() - CAPTION - square
        units = rest >= 3 * CAPTION and self.tab != UNITS
        self._large(QRect(box.left(), box.top(), box.width(), square + CAPTION))
        if units:
            top = box.top() + CAPTION + square + BETWEEN
            self.lines.append((box.left(), top, box.right(), top))
            below = QRect(box.left(), top + 4, box.width(), box.bottom() - top - 4)
            self._titled("units", self.units, below)

    def _large(self, box: QRect) -> None:
        """The square with its caption; of a unit with the way back."""
        if self.scene.unit and not self.paper:
            side = CAPTION + 4
            self.put(self.away, QRect(box.right() + 1 - side, box.top() - 2, side, side))
            heading = QRect(box.left(), box.top(), box.width() - side - 4, CAPTION)
        else:
            heading = QRect(box.left(), box.top(), box.width(), CAPTION)
        self._heading("map", heading)
        self.put(self.map, box.adjusted(0, CAPTION, 0, 0))

    def _titled(self, name: str, plot: QWidget, box: QRect) -> None:
        """A caption, a quiet note at its right, and the plot below."""
        self._heading(name, QRect(box.left(), box.top(), box.width(), CAPTION))
        self.put(plot, box.adjusted(0, CAPTION, 0, 0))

    def _heading(self, name: str, box: QRect) -> None:
        caption, note = self.captions[name], self.notes[name]
        measure = note.fontMetrics().horizontalAdvance
        need = caption.fontMetrics().horizontalAdvance(caption.text()) + 12
        rest = box.width() - need
        fits = bool(note.text()) and rest >= min(measure(note.text()) + 4, 90)
        self.put(caption, box if not fits else QRect(box.left(), box.top(), need, box.height()))
        if fits:
            self.put(note, QRect(box.right() + 1 - rest, box.top(), rest, box.height()))

    # paper

    def page_height(self, width: int) -> int:
        """Pixels of height that suit everything at this width."""
        if width < ON_PAPER:
            return sum(tall + BETWEEN for _name, tall in self._paper_rows(width))
        left = sum(tall + BETWEEN for _name, tall in self._paper_rows(width)[:-2])
        return max(left, round(width * 0.36) + 40)

    def _paper_rows(self, width: int) -> list[tuple[str, int]]:
        """Name and height of what stands one under the other."""
        plot = self.curves.page_height(round(width * 0.62) if width >= ON_PAPER else width)
        rows = [("curves", plot + CAPTION)]
        if self.scene.selectivity:
            rows.append(("bars", round(plot * 0.45) + CAPTION))
        rows.append(("steps", round(plot * 0.7) + CAPTION))
        rows.append(("map", self.map.page_height(width) + CAPTION))
        return [*rows, ("units", self.units.page_height(width) + CAPTION)]

    def _lay_on_paper(self) -> None:
        width, height, wide = self.width(), self.height(), self.width()
        rows = self._paper_rows(width)
        if width >= ON_PAPER:
            column = round(width * 0.36)
            self._column(QRect(width - column, 0, column, height))
            wide, rows = width - column - 2 * EDGE, rows[:-2]
        spare = height - sum(tall + BETWEEN for _name, tall in rows)
        top, plots = 0, {"curves": self.curves, "bars": self.bars, "steps": self.steps,
                         "map": self.map, "units": self.units}  # fmt: skip
        for name, tall in rows:
            tall = max(tall + min(spare, 0) // len(rows), 60)
            self._titled(name, plots[name], QRect(0, top, wide, tall))
            top += tall + BETWEEN
