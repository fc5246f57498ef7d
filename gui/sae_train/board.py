"""Board: curves over the steps, latents by density and cosine, what is recovered against L0.

A column at the right shows what the tab does not. Less important parts hide where there is no
room. On paper nothing can be pressed; a wide figure has everything, a narrow one what the tab has.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QMenu, QTabBar, QWidget

from gui import theme
from gui.buttons import Button, Elided, label
from gui.entry import Choice
from gui.plots import StepLines
from gui.plots.density_histogram import DensityHistogram
from gui.plots.loss_bars import LossBars
from gui.plots.pareto import Pareto
from gui.stage import Stage

EDGE, BETWEEN, CAPTION, TABS, BUTTONS = 16, 8, 20, 38, 30  # px
SPARE = 14  # px: a list's word is not cut by its arrow
COLUMN = (250, 400)  # px: the column at the right, at its narrowest and widest
TWO_COLUMNS, ON_PAPER = 620, 420  # px: width from which there is one
LOW, LOWER, ROOMY = 400, 250, 560  # px: heights at which parts go
PLOT, SIDE_BY_SIDE, CLOSE = 104, 460, 400
"""px: the least height of a plot; width for two in a row, where that is wished and where needed."""
TAB_NAMES = ("Training", "Latents", "All runs")
TRAINING, LATENTS, RUNS = TAB_NAMES
CURVES = ("shares", "loss", "l0", "dead")
CAPTIONS = {
    "shares": "Share of variance and of loss that is kept",
    "loss": "Loss per activation",
    "l0": "L0: active latents per activation",
    "dead": "Dead latents",
    "pareto": "Recovered against L0",
    "losses": "The model's loss on held-out text, nats",
    "density": "How often each latent is active",
    "cosine": "Each latent's nearest neighbour",
}


@dataclass(frozen=True)
class Scene:
    """What there is to see: the tab, whether the model's loss is known, how many SAEs."""

    tab: str = TRAINING
    losses: bool = False
    variants: int = 1


class Board(Stage):
    """Everything that is drawn of a training; a panel fills the plots and sets the scene."""

    turned = Signal(str)  # the tab
    chosen = Signal(int)  # the SAE to look at

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.tabs = QTabBar(self)
        self.tabs.setExpanding(False)
        self.tabs.setDrawBase(False)
        self.tabs.setUsesScrollButtons(False)
        self.tabs.setElideMode(Qt.TextElideMode.ElideRight)
        self.tabs.setAccessibleName("What is drawn of the training")
        for name in TAB_NAMES:
            self.tabs.addTab(name)
        self.tabs.currentChanged.connect(lambda at: self.turned.emit(TAB_NAMES[at]))
        self.rate = label("", "small", self)
        self.rate.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.detail.setAlignment(Qt.AlignmentFlag.AlignTop)  # what has no room is its last line
        empty = {"shares": "What is explained", "loss": "The loss", "l0": "L0", "dead": "Dead ones"}
        self.curves = {
            name: StepLines(self, name=f"{CAPTIONS[name]} by step", empty=f"{word} will be here.")
            for name, word in empty.items()
        }
        for one in self.curves.values():
            one.named = False
            for other in self.curves.values():
                if one is not other:
                    one.pointed.connect(other.point_at)
        self.pareto, self.losses = Pareto(self), LossBars(self, name="the model's losses")
        self.density = DensityHistogram(self, name="density of the latents")
        self.cosine = DensityHistogram(
            self, name="nearest cosine of the latents",
            empty="How close each latent's direction is to another one's will be here.",
        )  # fmt: skip
        self.captions = {name: Elided(text, "caption") for name, text in CAPTIONS.items()}
        self.notes = {name: Elided("", "small") for name in CAPTIONS}
        for each in (*self.captions.values(), *self.notes.values()):
            each.setParent(self)
        for note in self.notes.values():
            note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._make_controls()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # its keys choose among the SAEs

    def _make_controls(self) -> None:
        self.variants = Choice()
        self.variants.setParent(self)
        self.variants.setAccessibleName("SAE to look at")
        self.variants.setToolTip("Which of the SAEs of this run is looked at, saved and browsed")
        self.variants.currentIndexChanged.connect(self.chosen)
        self.browse = Button("Browse its features", "table")
        self.save = Button("Save as SAELens folder…", "save")
        self.go_on = Button("Go on from", "step-forward")
        self.browse.setToolTip("Every latent of this SAE: when it is active and what it writes")
        self.save.setToolTip("Write this SAE as a folder that SAELens loads")
        self.go_on.setToolTip("Train on from a checkpoint, as if it had never been stopped")
        self.checkpoints = QMenu(self.go_on)
        self.go_on.setMenu(self.checkpoints)
        self.buttons = (self.browse, self.save, self.go_on)
        for button in self.buttons:
            button.setParent(self)

    def name_variants(self, names: tuple[str, ...], at: int) -> None:
        """The SAEs there are to choose from."""
        box = self.variants
        box.blockSignals(True)
        if [box.itemText(each) for each in range(box.count())] != list(names):
            box.clear()
            box.addItems(list(names))
        box.setCurrentIndex(at)
        box.blockSignals(False)

    def set_scene(self, scene: Scene) -> None:
        """Show what there is; arranges anew only where something needs another room."""
        texts = [self.detail, *([self.sentence] if self.sentence is not None else [])]
        wide = max(self.curves["shares"].width(), 100)
        said = tuple(text.heightForWidth(wide) if text.text() else 0 for text in texts)
        if self.changes((scene, said, len(self.losses.bars))):
            self.scene = scene
            self.tabs.blockSignals(True)
            self.tabs.setCurrentIndex(TAB_NAMES.index(scene.tab))
            self.tabs.blockSignals(False)
            self.arrange()

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 120)

    def sizeHint(self) -> QSize:
        return QSize(1000, 700)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and Right go to the SAE before and after."""
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()), 0)
        at = self.variants.currentIndex() + step
        if step and 0 <= at < self.variants.count():
            self.chosen.emit(at)
        else:
            super().keyPressEvent(event)

    # arranging

    def parts(self) -> list[QWidget]:
        return [
            self.tabs, self.rate, self.detail, *self.curves.values(), self.pareto, self.losses,
            self.density, self.cosine, self.variants, *self.buttons,
            *self.captions.values(), *self.notes.values(),
        ]  # fmt: skip

    def lay_out_parts(self) -> None:
        if self.paper:
            self._lay_on_paper()
        else:
            self._lay_on_screen()

    def _lay_on_screen(self) -> None:
        width, height, zoom = self.width(), self.height(), theme.zoom()
        left, right = EDGE, width - EDGE
        tab = self.scene.tab
        if width >= TWO_COLUMNS:
            column = round(min(max(width * 0.34, COLUMN[0]), COLUMN[1]) * zoom)
            self._column(QRect(right - column, BETWEEN + 2, column, height - 2 * BETWEEN))
            right -= column + EDGE
            self.lines.append((right, 0, right, height))
            right -= EDGE
        top = self._tab_row(left, right)
        top = self._headline(left, right, top)
        bottom = height - BETWEEN
        if height >= LOWER:
            bottom = self._controls(left, right, bottom)
        box = QRect(left, top, right - left, max(bottom - top, 40))
        if tab == TRAINING:
            self._curves(box)
        elif tab == LATENTS:
            self._pair("density", "cosine", box)
        else:
            self._runs(box, width >= TWO_COLUMNS)

    def _tab_row(self, left: int, right: int) -> int:
        tall, rate = round(TABS * theme.zoom()), round(110 * theme.zoom())
        roomy = right - left > 3.6 * rate
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
            most = 3 if height >= LOW else 2
            tall = min(tall, most * said.fontMetrics().lineSpacing() + 1)
            said.setGeometry(left, top, wide, tall)
            top += tall + 2
        if self.detail.text() and height >= LOW:
            most = (4 if height >= ROOMY else 2) * self.detail.fontMetrics().lineSpacing() + 2
            tall = min(self.detail.heightForWidth(wide), most)
            self.put(self.detail, QRect(left, top, wide, tall))
            top += tall
        return top + 6

    def _controls(self, left: int, right: int, bottom: int) -> int:
        """Which SAE, and what can be done with it; what has no room is in the menu too."""
        high = round(BUTTONS * theme.zoom())
        x, top = left, bottom - high
        widgets: list[QWidget] = [self.variants] if self.scene.variants > 1 else []
        for widget in (*widgets, *self.buttons):
            wide = widget.sizeHint().width() + (SPARE if widget is self.variants else 0)
            if x + wide > right + 1:
                continue
            self.put(widget, QRect(x, top, wide, high))
            x += wide + BETWEEN
        self.lines.append((left - EDGE, top - BETWEEN, right + EDGE, top - BETWEEN))
        return top - 2 * BETWEEN

    def _curves(self, box: QRect) -> None:
        """As many of the four as have room, the most telling first."""
        zoom, least = theme.zoom(), round((PLOT + CAPTION) * theme.zoom())
        all_of_them = box.height() >= 4 * least  # in one column
        room = SIDE_BY_SIDE if all_of_them or box.height() < 2 * least else CLOSE
        columns = 2 if box.width() >= room * zoom else 1
        rows = min(max(box.height() // least, 1), 4 // columns)
        tall, wide = box.height() // rows, (box.width() - (columns - 1) * EDGE) // columns
        for at, name in enumerate(CURVES[: rows * columns]):
            row, col = divmod(at, columns)
            self.curves[name].axis = True
            place = QRect(box.left() + col * (wide + EDGE), box.top() + row * tall, wide,
                          tall - (BETWEEN if row < rows - 1 else 0))  # fmt: skip
            self._titled(name, place)

    def _pair(self, one: str, other: str, box: QRect) -> None:
        """Two plots, one under the other where there is room for both."""
        if box.height() < 2 * (PLOT + CAPTION):
            if box.width() < SIDE_BY_SIDE:
                self._titled(one, box)
                return
            half = (box.width() - EDGE) // 2
            self._titled(one, QRect(box.left(), box.top(), half, box.height()))
            self._titled(other, QRect(box.right() + 1 - half, box.top(), half, box.height()))
            return
        upper = round(box.height() * 0.52)
        self._titled(one, box.adjusted(0, 0, 0, upper - box.height() - BETWEEN))
        self._titled(other, box.adjusted(0, upper, 0, 0))

    def _runs(self, box: QRect, beside: bool) -> None:
        if not beside and self.scene.losses and box.height() >= LOWER:
            box = self._put_losses(box)
        self._titled("pareto", box)

    def _put_losses(self, box: QRect) -> QRect:
        """The three losses at the foot of a box; what is left above."""
        tall = self.losses.sizeHint().height() + CAPTION
        foot = QRect(box.left(), box.bottom() + 1 - tall, box.width(), tall)
        self._titled("losses", foot)
        y = foot.top() - BETWEEN
        self.lines.append((box.left(), y, box.right(), y))
        return box.adjusted(0, 0, 0, -tall - 2 * BETWEEN)

    def _column(self, box: QRect) -> None:
        """What the tab does not show: the Pareto plot, the losses, the densities."""
        tab = self.scene.tab
        if self.scene.losses and box.height() >= LOWER:
            box = self._put_losses(box)
        if tab == RUNS:
            self._pair("density", "cosine", box)
        elif tab == LATENTS or box.height() < 2 * (PLOT + CAPTION) + 2 * BETWEEN:
            self._titled("pareto", box)
        else:
            upper = round(box.height() * 0.58)
            self._titled("pareto", QRect(box.left(), box.top(), box.width(), upper))
            y = box.top() + upper + BETWEEN
            self.lines.append((box.left(), y, box.right(), y))
            self._titled("density", box.adjusted(0, upper + 2 * BETWEEN, 0, 0))

    def plot(self, name: str) -> QWidget:
        own = {"pareto": self.pareto, "losses": self.losses, "density": self.density,
               "cosine": self.cosine}  # fmt: skip
        return own[name] if name in own else self.curves[name]

    def _titled(self, name: str, box: QRect) -> None:
        """A caption, a quiet note at its right, and the plot below."""
        caption, note = self.captions[name], self.notes[name]
        need = caption.fontMetrics().horizontalAdvance(caption.text()) + 12
        rest = box.width() - need
        fits = bool(note.text()) and rest >= note.fontMetrics().horizontalAdvance(note.text()) + 4
        self.put(caption, QRect(box.left(), box.top(), need if fits else box.width(), CAPTION))
        if fits:
            self.put(note, QRect(box.right() + 1 - rest, box.top(), rest, CAPTION))
        self.put(self.plot(name), box.adjusted(0, CAPTION, 0, 0))

    # paper

    def page_height(self, width: int) -> int:
        """Pixels of height that suit everything at this width."""
        return sum(tall + BETWEEN for _names, tall in self._paper_rows(width))

    def _paper_rows(self, width: int) -> list[tuple[tuple[str, ...], int]]:
        """What stands beside each other, row by row, and how high."""
        if width < ON_PAPER:  # a column of a journal holds what one tab shows
            losses = ("losses",) if self.scene.losses else ()
            own = {TRAINING: CURVES, LATENTS: ("density", "cosine"), RUNS: ("pareto", *losses)}
            rows: list[tuple[str, ...]] = [(name,) for name in own[self.scene.tab]]
        else:
            rows = [("shares", "loss"), ("l0", "dead"), ("density", "cosine"),
                    ("pareto", "losses") if self.scene.losses else ("pareto",)]  # fmt: skip
        return [(names, CAPTION + self._tallest(names, width)) for names in rows]

    def _tallest(self, names: tuple[str, ...], width: int) -> int:
        wide = (width - EDGE * (len(names) - 1)) // len(names)
        return max(self._page_height_of(name, wide) for name in names)

    def _page_height_of(self, name: str, wide: int) -> int:
        plot = self.plot(name)
        if isinstance(plot, StepLines):
            return max(plot.page_height(wide), 96)
        return (
            plot.page_height(wide) if isinstance(plot, Pareto | DensityHistogram | LossBars) else 0
        )

    def _lay_on_paper(self) -> None:
        width, top = self.width(), 0
        rows = self._paper_rows(width)
        spare = self.height() - sum(tall + BETWEEN for _names, tall in rows)
        for names, tall in rows:
            tall = max(tall + min(spare, 0) // len(rows), 60)
            wide = (width - EDGE * (len(names) - 1)) // len(names)
            for at, name in enumerate(names):
                self._titled(name, QRect(at * (wide + EDGE), top, wide, tall))
            top += tall + BETWEEN
