"""Board: the sphere under its sentence, the cosines, the detectors and the curves beside it.

Where there is no room for a column, each picture has a tab of its own. On paper nothing is left
out and nothing can be pressed.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtWidgets import QTabBar, QWidget

from gui import theme
from gui.buttons import Elided
from gui.plots import HeatMap
from gui.plots.step_lines import StepLines
from gui.sae_toy.detectors import Detectors
from gui.sae_toy.globe import Globe
from gui.stage import Stage

EDGE, BETWEEN, CAPTION, TABS = 16, 8, 20, 38  # px: around, between, a caption, the row of tabs
COLUMN = (260, 420)  # px: the column at the right, at its narrowest and widest
TWO_COLUMNS, ON_PAPER = 580, 420  # px: width from which there is one
LOW, ROOMY = 330, 480  # px: heights at which the second line and the curves below the sphere go
ROW = (9, 22)  # px of a latent's row, at its lowest and highest
TAB_NAMES = ("Sphere", "Cosines", "Detectors", "Over steps")
SPHERE, COSINES, DETECTORS, STEPS = TAB_NAMES


@dataclass(frozen=True)
class Scene:
    """What there is to see: the tab, whether there are several SAEs, how many latents."""

    tab: str = SPHERE
    several: bool = False
    latents: int = 12


class Board(Stage):
    """Everything that is drawn of toy SAEs; a panel fills the plots and sets the scene."""

    shown = Signal(str)  # the tab

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.more: tuple[str, ...] = ()
        self.tabs = QTabBar(self)
        self.tabs.setExpanding(False)
        self.tabs.setDrawBase(False)
        self.tabs.setUsesScrollButtons(False)
        self.tabs.setElideMode(Qt.TextElideMode.ElideRight)
        self.tabs.setAccessibleName("What is drawn of the SAEs")
        for name in TAB_NAMES:
            self.tabs.addTab(name)
        self.tabs.currentChanged.connect(lambda at: self.shown.emit(TAB_NAMES[at]))
        self.detail.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.globe, self.detectors = Globe(self), Detectors(self)
        self.matrix = HeatMap(self, name="cosine of each latent with each concept", origin="top")
        self.seeds = HeatMap(self, name="scores by seed", origin="top")
        self.scores = StepLines(self, name="cosine and F1 by step", empty="Scores will be here.")
        self.counts = StepLines(self, name="latents by step", empty="Counts will be here.")
        self.plots: dict[str, QWidget] = {
            "globe": self.globe, "matrix": self.matrix, "detectors": self.detectors,
            "scores": self.scores, "counts": self.counts, "seeds": self.seeds,
        }  # fmt: skip
        self.captions = {name: Elided("", "caption") for name in self.plots}
        self.notes = {name: Elided("", "small") for name in self.plots}
        for each in (*self.captions.values(), *self.notes.values()):
            each.setParent(self)
        for note in self.notes.values():
            note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for name, text in (
            ("matrix", "Cosine, latent × concept"), ("detectors", "Latents as detectors"),
            ("scores", "Mean best cosine and F1"), ("counts", "Latents: per sample, and of no use"),
            ("seeds", "Every SAE, by seed"),
        ):  # fmt: skip
            self.captions[name].setText(text)
        self.notes["matrix"].setText("gold: its match")
        self.notes["detectors"].setText("beside the name: F1")
        for one, other in ((self.scores, self.counts), (self.counts, self.scores)):
            one.pointed.connect(other.point_at)
            one.named = False  # no phases: the room belongs to the curves

    def set_scene(self, scene: Scene) -> None:
        """Show what there is; arranges anew only where something needs another room."""
        said = self.sentence.text() if self.sentence is not None else ""
        if self.changes((scene, said, self.more)):
            self.scene = scene
            self.arrange()

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 120)

    def sizeHint(self) -> QSize:
        return QSize(960, 680)

    def parts(self) -> list[QWidget]:
        return [self.tabs, self.detail, *self.plots.values(), *self.captions.values(),
                *self.notes.values()]  # fmt: skip

    # arranging

    def lay_out_parts(self) -> None:
        if self.paper:
            self._lay_on_paper()
        elif self.width() >= TWO_COLUMNS:
            self._lay_in_columns()
        else:
            self._lay_in_tabs()

    def _lay_in_columns(self) -> None:
        width, height, zoom = self.width(), self.height(), theme.zoom()
        column = round(min(max(width * 0.4, COLUMN[0]), COLUMN[1]) * zoom)
        column = min(column, width // 2)
        line = width - EDGE - column - EDGE
        self._column(QRect(line + EDGE, BETWEEN + 2, column, height - 2 * BETWEEN))
        self.lines.append((line, 0, line, height))
        box = QRect(EDGE, 0, line - 2 * EDGE, height - BETWEEN)
        box.setTop(self._headline(box.left(), box.right(), BETWEEN + 4))
        if self.scene.several and box.height() > 260:
            box.setTop(self._seeds(box))
        if box.height() >= ROOMY * 0.75:
            low = round(min(box.height() * 0.3, 190))
            self._section("scores", QRect(box.left(), box.bottom() + 1 - low, box.width(), low))
            y = box.bottom() - low - BETWEEN // 2
            self.lines.append((box.left(), y, box.right(), y))
            box.setBottom(box.bottom() - low - BETWEEN)
        self.put(self.globe, box)

    def _column(self, box: QRect) -> None:
        """Cosines, detectors, counts: as many as have room."""
        rows, zoom = self.scene.latents, theme.zoom()
        table = round((CAPTION + 26 + min(max(rows * ROW[1], 90), 320)) * zoom)
        small, curve = round(170 * zoom), round(140 * zoom)
        names = ["matrix", "detectors", "counts"]
        if box.height() < 560 * zoom:
            names.pop()
        if box.height() < 330 * zoom:
            names.pop()
        wants = {"matrix": table, "detectors": small, "counts": curve}
        room = box.height() - (len(names) - 1) * 2 * BETWEEN
        total = sum(wants[name] for name in names)
        heights = [wants[name] * room // total if total > room else wants[name] for name in names]
        heights[-1] = min(room - sum(heights[:-1]), 300 if len(names) > 1 else room)
        top = box.top()
        for at, (name, tall) in enumerate(zip(names, heights, strict=True)):
            if at:
                y = top - BETWEEN
                self.lines.append((box.left(), y, box.right(), y))
            self._section(name, QRect(box.left(), top, box.width(), tall))
            top += tall + 2 * BETWEEN

    def _lay_in_tabs(self) -> None:
        width, tall = self.width(), round(TABS * theme.zoom())
        self.tabs.blockSignals(True)
        self.tabs.setCurrentIndex(TAB_NAMES.index(self.scene.tab))
        self.tabs.blockSignals(False)
        self.put(self.tabs, QRect(EDGE - 10, 0, width - 2 * EDGE + 20, tall))
        self.lines.append((0, tall, width, tall))
        top = self._headline(EDGE, width - EDGE, tall + 6)
        box = QRect(EDGE, top, width - 2 * EDGE, max(self.height() - top - 4, 40))
        tab = self.scene.tab
        if tab == SPHERE:
            if self.scene.several and box.height() > 220:
                box.setTop(self._seeds(box))
            self.put(self.globe, box)
        elif tab == STEPS:
            half = box.height() // 2
            self._section("scores", box.adjusted(0, 0, 0, half - box.height()))
            self._section("counts", box.adjusted(0, half, 0, 0))
        else:
            self._section("matrix" if tab == COSINES else "detectors", box)

    def _headline(self, left: int, right: int, top: int) -> int:
        """The sentence and its second line; where the picture below begins."""
        wide, said, height = right - left + 1, self.sentence, self.height()
        if said is not None and said.text():
            tall = said.heightForWidth(wide) if said.hasHeightForWidth() else 24
            tall = min(tall, 3 * said.fontMetrics().lineSpacing() + 4)
            said.setGeometry(left, top, wide, tall)
            top += tall + 2
        most = (5 if height >= ROOMY else 2) * self.detail.fontMetrics().lineSpacing() + 2
        for count in range(len(self.more) if height >= LOW else 0, 0, -1):  # whole sentences
            self.detail.setText(" ".join(self.more[:count]))
            tall = self.detail.heightForWidth(wide)
            if tall <= most:
                self.put(self.detail, QRect(left, top, wide, tall))
                top += tall
                break
        return top + 6

    def _seeds(self, box: QRect) -> int:
        tall = round((CAPTION + 64) * theme.zoom())
        self._section("seeds", QRect(box.left(), box.top(), box.width(), tall))
        return box.top() + tall + BETWEEN

    def _section(self, name: str, box: QRect) -> None:
        """A caption, a quiet note at its right where there is room, and the plot below."""
        caption, note, high = self.captions[name], self.notes[name], round(CAPTION * theme.zoom())
        need = caption.fontMetrics().horizontalAdvance(caption.text()) + 12
        rest = box.width() - need
        fits = bool(note.text()) and rest >= note.fontMetrics().horizontalAdvance(note.text()) + 4
        wide = need if fits else box.width()
        self.put(caption, QRect(box.left(), box.top(), wide, high))
        if fits:
            self.put(note, QRect(box.right() + 1 - rest, box.top(), rest, high))
        self.put(self.plots[name], box.adjusted(0, high, 0, 0))

    # paper

    def page_height(self, width: int) -> int:
        """Pixels of height that suit everything at this width."""
        rows = self._paper_rows(width)
        if width < ON_PAPER:
            return sum(tall + BETWEEN for _name, tall in rows)
        left, right = rows[:2], rows[2:]
        return max(sum(tall + BETWEEN for _name, tall in side) for side in (left, right))

    def _paper_rows(self, width: int) -> list[tuple[str, int]]:
        """Name and height of what stands one under the other; beside it from the third on."""
        side = width if width < ON_PAPER else round(width * 0.46)
        return [
            ("globe", self.globe.page_height(side)),
            ("scores", self.scores.page_height(side) + CAPTION),
            ("matrix", self.matrix.page_height(side) + CAPTION),
            ("detectors", self.detectors.page_height(side) + CAPTION),
            ("counts", self.counts.page_height(side) + CAPTION),
        ]

    def _lay_on_paper(self) -> None:
        width, height = self.width(), self.height()
        rows = self._paper_rows(width)
        if width < ON_PAPER:
            self._stack(rows, 0, width, height)
            return
        half = (width - EDGE) // 2
        self._stack(rows[:2], 0, half, height)
        self._stack(rows[2:], width - half, half, height)

    def _stack(self, rows: list[tuple[str, int]], left: int, width: int, height: int) -> None:
        spare = height - sum(tall + BETWEEN for _name, tall in rows)
        top = 0
        for name, tall in rows:
            tall = max(tall + min(spare, 0) // len(rows), 60)
            box = QRect(left, top, width, tall)
            if name == "globe":
                self.put(self.globe, box)
            else:
                self._section(name, box)
            top += tall + BETWEEN
