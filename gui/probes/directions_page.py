"""DirectionsPage: the direction of one class at one site: projections, cosines, tokens, acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QComboBox, QSizePolicy, QVBoxLayout, QWidget

from gui import theme
from gui.buttons import Button, Elided, label
from gui.census.lesson import scrolling
from gui.column import Column
from gui.entry import Choice
from gui.flow import Flow
from gui.plots.probe_histogram import Group, Projections
from gui.plots.probe_list import Signed, SignedBars

BROAD, TALL = 620, (150, 260)  # px: two columns; of the histogram
ACTS = (
    ("ablate", "Ablate along it", "scissors",
     "Take the component along this direction out, at every position: an intervention under which "
     "every panel runs"),
    ("steer", "Steer along it", "arrow-left-right",
     "Add a multiple of this direction, at every position: an intervention under which every panel "
     "runs"),
    ("keep", "Keep direction", "save", "Write it to a file that other runs can read"),
    ("use", "Measure its use", "gauge",
     "What the output makes of it: ablated and compared with random directions"),
)  # fmt: skip


@dataclass(frozen=True)
class Pointed:
    """What there is to see of a direction. able: whether interventions can be made along it."""

    title: str
    classes: Sequence[str]
    which: int
    groups: Sequence[Group]
    axis: str
    threshold: float
    cosines: Sequence[Signed] = ()
    tokens: Sequence[Signed] = ()
    token_words: str = ""
    able: bool = False
    why: str = ""


class DirectionsPage(Column):
    """`show_direction` fills it; `class_chosen` gives a class, `acted` one of ACTS' names."""

    class_chosen = Signal(int)
    acted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__((0, 0, 0, 0), 8, parent)
        self.setVerticalScrollBarPolicy(scrolling())
        self.pointed: Pointed | None = None
        self.choice: QComboBox = Choice()
        self.choice.setAccessibleName("The class whose direction is shown")
        self.buttons: dict[str, Button] = {}
        for name, word, icon, tip in ACTS:
            button = Button(word, icon, lambda name=name: self.acted.emit(name))
            button.setToolTip(tip)
            self.buttons[name] = button
        self.histogram = Projections(name="projections by class")
        self.cosines = SignedBars(name="cosine with other directions",
                                  empty="There is no other direction to compare with.")  # fmt: skip
        self.tokens = SignedBars(
            name="tokens that the direction writes",
            empty="Only a direction in the stream has tokens: choose a site that is d_model wide.",
        )
        self.captions = {
            "histogram": Elided("Projections of the test part by class", "caption"),
            "cosines": Elided("Cosine with other directions", "caption"),
            "tokens": Elided("Tokens through the unembedding, logits", "caption"),
        }
        self.note = label("", "small")
        self.note.setWordWrap(True)
        self._lay()
        self.choice.currentIndexChanged.connect(self._choose)

    def _lay(self) -> None:
        bar = QWidget()
        flow = Flow(bar, gap=8)
        self.title = label("Direction of", "caption")
        self.title.setMinimumHeight(self.choice.sizeHint().height())
        for widget in (self.title, self.choice, *self.buttons.values()):
            flow.addWidget(widget)
        if theme.paper():
            bar.hide()
        self.box.addWidget(bar)
        self.box.addWidget(self.note)
        self.histogram.setMinimumHeight(round(TALL[0] * theme.zoom()))
        self.box.addWidget(self.captions["histogram"])
        self.box.addWidget(self.histogram, 2)
        self.sides = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self.sides.setSpacing(16)
        for name, plot in (("cosines", self.cosines), ("tokens", self.tokens)):
            side = QWidget()
            side.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            box = QVBoxLayout(side)
            box.setContentsMargins(0, 4, 0, 0)
            box.setSpacing(4)
            box.addWidget(self.captions[name])
            box.addWidget(plot)
            box.addStretch(1)
            self.sides.addWidget(side, 1)
        self.box.addLayout(self.sides, 1)

    def show_direction(self, pointed: Pointed) -> None:
        self.pointed = pointed
        self._list(pointed.classes)
        self.choice.blockSignals(True)
        self.choice.setCurrentIndex(pointed.which)
        self.choice.blockSignals(False)
        self.captions["histogram"].setText(pointed.title)
        self.histogram.set_data(pointed.groups, title=pointed.axis, threshold=pointed.threshold)
        self.cosines.set_rows(pointed.cosines, reach=1.0)
        self.tokens.set_rows(pointed.tokens)
        self.captions["tokens"].setText(pointed.token_words or "Tokens through the unembedding")
        for name in ("ablate", "steer", "use"):
            self.buttons[name].setEnabled(pointed.able)
        self.buttons["keep"].setEnabled(bool(pointed.groups))
        self.note.setText(pointed.why)
        self.note.setVisible(bool(pointed.why))

    def _list(self, classes: Sequence[str]) -> None:
        names = [str(name) for name in classes]
        if [self.choice.itemText(at) for at in range(self.choice.count())] == names:
            return
        self.choice.blockSignals(True)
        self.choice.clear()
        self.choice.addItems(names)
        self.choice.blockSignals(False)

    def _choose(self, at: int) -> None:
        if at >= 0:
            self.class_chosen.emit(at)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        broad = self.width() >= BROAD
        way = QBoxLayout.Direction.LeftToRight if broad else QBoxLayout.Direction.TopToBottom
        if self.sides.direction() != way:
            self.sides.setDirection(way)

    def page_height(self, width: int) -> int:
        """Pixels of height that suit it on a page."""
        plots = [plot.page_height(width) for plot in (self.cosines, self.tokens)]
        below = max(plots) if width >= BROAD else sum(plots) + 32
        return self.histogram.page_height(width) + below + 84

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 80)
