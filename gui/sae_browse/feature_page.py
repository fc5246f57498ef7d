"""FeaturePage: one feature: its label, numbers, activations, tokens, neighbours and examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from engine.sae.pages import Page
from gui import theme
from gui.buttons import Button, Elided, IconButton, label
from gui.census.lesson import scrolling
from gui.column import Column
from gui.plots.feature_histogram import ActivationHistogram
from gui.plots.feature_text import ShadedExamples
from gui.plots.probe_list import SignedBars
from gui.sae_browse import story
from gui.sae_browse.acts import Acts
from gui.sae_browse.labels import LETTERS
from gui.sae_browse.words import capital, one

BROAD, SIDES = 310, 620  # px: two plots beside each other; the neighbours beside them
TALL = 160  # px of the histogram
ON_PROMPT = "Where it is active on the clean prompt, beside all others that are"
BESIDE = (
    "The same tokens, shaded by the unit of this activation along which the feature's decoder row "
    "is longest"
)


@dataclass(frozen=True, eq=False)
class Seen:
    """What a page is drawn from. both: with the neuron beside it, on the same examples; why_not:
    why nothing can be changed."""

    result: Any
    page: Page
    labels: Mapping[int, str] = field(default_factory=dict)
    both: bool = False
    why_not: str = ""


class LabelLine(QLineEdit):
    """A label under the hand: Return keeps it, Escape takes the old one back."""

    written = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setPlaceholderText("Write a label…")
        self.setMaxLength(LETTERS)
        self.setAccessibleName("Label of the feature")
        self.kept = ""
        self.editingFinished.connect(self._finish)

    def show_label(self, text: str) -> None:
        if not self.isModified() or text != self.kept:
            self.kept = text
            self.setText(text)
            self.setModified(False)

    def _finish(self) -> None:
        if self.text().strip() != self.kept:
            self.kept = self.text().strip()
            self.setModified(False)
            self.written.emit(self.kept)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.text() != self.kept:
            self.setText(self.kept)
            self.setModified(False)
            return
        super().keyPressEvent(event)


class FeaturePage(Column):
    """`show_feature` fills it; signals give what was asked for."""

    moved = Signal(int)  # one up or down in the table
    labelled = Signal(str)
    picked = Signal(int, int)  # example, token
    neighbour = Signal(int)  # row of the list
    wanted = Signal()  # to be read on the current prompt
    compared = Signal(bool)  # whether a neuron is to stand beside it

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__((0, 0, 8, 8), 6, parent)
        self.setVerticalScrollBarPolicy(scrolling())
        self.seen: Seen | None = None
        self.examples: list[Any] = []
        self.title = label("", "heading")
        self.before = IconButton("chevron-up", "The one above it in the table",
                                 lambda: self.moved.emit(-1))  # fmt: skip
        self.after = IconButton("chevron-down", "The one below it in the table",
                                lambda: self.moved.emit(1))  # fmt: skip
        self.label = LabelLine()
        self.label.written.connect(self.labelled)
        self.facts, self.verdict = label("", "muted"), label("", "small")
        for text in (self.facts, self.verdict):
            text.setWordWrap(True)
        self.acts = Acts()
        self.on_prompt = IconButton("type", ON_PROMPT, self.wanted.emit)
        self.histogram = ActivationHistogram()
        self.tokens = SignedBars(name="tokens that it promotes and suppresses",
                                 empty="It writes no tokens.")  # fmt: skip
        self.nearest = SignedBars(name="nearest features", empty="None are known.")
        self.text = ShadedExamples()
        self.captions = {
            "histogram": Elided("Tokens by activation, logarithmic", "caption"),
            "tokens": Elided("Promotes and suppresses, logits", "caption"),
            "nearest": Elided("Nearest, cosine of decoder rows", "caption"),
            "text": Elided("Where it is active", "caption"),
        }
        self.compare = Button("Beside a neuron")
        self.compare.setCheckable(True)
        self.compare.setToolTip(BESIDE)
        self.compare.toggled.connect(self.compared)
        self.r = label("", "small")
        self._lay()
        self.text.picked.connect(self.picked)
        self.nearest.clicked.connect(lambda row, _col: self.neighbour.emit(row))

    def _lay(self) -> None:
        self.label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.title)
        head.addWidget(self.label, 1)
        for button in (self.on_prompt, self.before, self.after):
            head.addWidget(button)
            if theme.paper():
                button.hide()
        self.box.addLayout(head)
        for widget in (self.facts, self.verdict, self.acts):
            self.box.addWidget(widget)
        self.histogram.setFixedHeight(round(TALL * theme.zoom()))
        self.sides = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self.sides.setSpacing(16)
        self.columns = {name: self._column(name) for name in ("histogram", "tokens", "nearest")}
        for column in self.columns.values():
            self.sides.addWidget(column, 1)
        self.box.addLayout(self.sides)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.captions["text"], 1)
        for widget in (self.r, self.compare):
            row.addWidget(widget)
        self.compare.setVisible(False)
        self.r.hide()
        self.box.addLayout(row)
        self.box.addWidget(self.text)
        self.box.addStretch(1)

    def _column(self, name: str) -> QWidget:
        side = QWidget()
        side.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        box = QVBoxLayout(side)
        box.setContentsMargins(0, 2, 0, 0)
        box.setSpacing(2)
        box.addWidget(self.captions[name])
        box.addWidget(getattr(self, name))
        box.addStretch(1)
        return side

    def show_feature(self, seen: Seen, pieces: story.Pieces) -> None:
        fresh = self.seen is None or self.seen.page.latent != seen.page.latent
        self.seen = seen
        result, page = seen.result, seen.page
        word = capital(one(result))
        self.title.setText(f"{word} {page.latent}")
        self.label.show_label(seen.labels.get(page.latent, ""))
        self.label.setVisible(not theme.paper() or bool(self.label.text()))
        self.facts.setText(story.facts(result, page).replace(" %", "\u00a0%"))
        self.verdict.setText(story.verdict(page, pieces))
        self.verdict.setVisible(bool(self.verdict.text()))
        self.acts.allow(seen.why_not)
        nothing = "" if int(result.n_read) else "How strongly it is active will be here."
        self.histogram.set_data(page.counts, page.edges, page.cuts,
                                nothing=nothing or "It is never active on this text.")  # fmt: skip
        writes, near = story.tokens(page, pieces), story.neighbours(result, page, seen.labels)
        self.tokens.set_rows(writes)
        self.nearest.set_rows(near, reach=1.0)
        self.columns["tokens"].setVisible(bool(writes))
        self.columns["nearest"].setVisible(bool(near))
        self._show_examples(seen, pieces)
        if fresh:
            self.verticalScrollBar().setValue(0)
        self._lie()

    def _show_examples(self, seen: Seen, pieces: story.Pieces) -> None:
        result, page = seen.result, seen.page
        able = page.unit >= 0 and bool(page.bands)
        both = able and seen.both
        rows, self.examples = story.stretches(page, pieces, both)
        self.compare.setVisible(able and not theme.paper())
        self.compare.set_text(f"Beside neuron {page.unit}")
        self.compare.blockSignals(True)
        self.compare.setChecked(both)
        self.compare.blockSignals(False)
        self.r.setText(story.together(page) if both else "")
        self.r.setVisible(both)
        titles = (f"{capital(one(result))} {page.latent}", f"Neuron {page.unit}, same text")
        self.text.set_rows(
            rows, story.most(page), reach=story.reach([row.beside for row in rows if both]),
            signed=(bool(result.signed), both), titles=titles, nothing=_nothing(result, page),
        )  # fmt: skip

    # room

    def _lie(self) -> None:
        """Plots beside each other as the width has it; neighbours without room follow the text."""
        room = self.viewport().width() / theme.zoom()
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self.sides.setDirection(across if room >= BROAD else down)
        near, above = self.columns["nearest"], room >= SIDES
        if above != (self.sides.indexOf(near) >= 0):
            (self.box if above else self.sides).removeWidget(near)
            if above:
                self.sides.addWidget(near, 1)
            else:
                self.box.insertWidget(self.box.count() - 1, near)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lie()

    def minimumSizeHint(self) -> QSize:
        return QSize(140, 80)

    def page_height(self, width: int) -> int:
        """Pixels of height that suit it on a page."""
        wide = width - 8
        shown = {name: getattr(self, name) for name in self.columns
                 if name == "histogram" or getattr(self, name).rows}  # fmt: skip
        tall = {name: (TALL if name == "histogram" else each.page_height(wide)) + 24
                for name, each in shown.items()}  # fmt: skip
        under = tall.pop("nearest", 0) if width < SIDES else 0
        middle = max(tall.values()) if width >= BROAD else sum(tall.values()) + 16 * len(tall)
        middle += under + 8
        texts = [each for each in (self.facts, self.verdict) if each.text()]
        said = 34 + sum(each.heightForWidth(wide) + 6 for each in texts)
        return said + middle + 26 + self.text.page_height(wide) + 16


def _nothing(result: Any, page: Page) -> str:
    if not int(result.n_read):
        return "Examples will be here."
    return "It is never active on this text." if page.dead else "No example is kept of it."
