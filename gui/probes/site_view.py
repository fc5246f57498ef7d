"""SiteView: one site of a probing run: its confusion, what follows from it, its worst examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QSizePolicy, QWidget

from gui import theme
from gui.buttons import Elided, IconButton, label
from gui.census.lesson import scrolling
from gui.column import Column
from gui.plots import figure
from gui.plots.probe_confusion import Confusion
from gui.plots.probe_examples import Example, ExampleList
from gui.probes import story
from gui.probes.words import capital, class_text, per_cent, site_name

SCORES = (
    ("precision", "Of the examples that the probe calls so, the share that are"),
    ("recall", "Of the examples that are so, the share that the probe calls so"),
    ("F1", "The harmonic mean of precision and recall"),
)


@dataclass(frozen=True)
class Shown:
    """A site of a result. cell: of the confusion, whose examples are listed. example: the chosen
    one's number."""

    result: Any
    site: int
    cell: tuple[int, int] | None = None
    example: int | None = None
    rows: list[Example] = field(default_factory=list)
    total: int = 0  # examples that belong in the list, also where it is cut


class SiteView(Column):
    """`show_site` fills it; `moved` gives −1 or 1, `cell_chosen` a cell, `picked` an example."""

    moved = Signal(int)
    cell_chosen = Signal(int, int)
    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__((0, 0, 0, 0), 6, parent)
        self.setVerticalScrollBarPolicy(scrolling())
        self.shown: Shown | None = None
        self.title, self.note = label("", "panel"), Elided("", "small")
        self.note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.note.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.before = IconButton("chevron-left", "The site before", lambda: self.moved.emit(-1))
        self.after = IconButton("chevron-right", "The next site", lambda: self.moved.emit(1))
        self.confusion = Confusion(name="confusion of the chosen site")
        self.confusion.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.examples = ExampleList(name="examples, wrong ones first")
        self.captions = {name: Elided("", "caption") for name in ("confusion", "examples")}
        self.notes = {name: Elided("", "small") for name in ("confusion", "examples")}
        self.values = {name: label("", "value") for name, _ in SCORES}
        self.counts = label("", "small")
        self.counts.setWordWrap(True)
        self._lay()
        self.confusion.clicked.connect(self.cell_chosen)
        self.examples.clicked.connect(self._pick)

    def _lay(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(self.title)
        head.addWidget(self.note, 1)
        for button in (self.before, self.after):
            head.addWidget(button)
        scores = QGridLayout()
        scores.setContentsMargins(0, 2, 0, 2)
        scores.setHorizontalSpacing(6)
        for at, (name, meaning) in enumerate(SCORES):
            caption = label(name, "small")
            for widget in (caption, self.values[name]):
                widget.setToolTip(meaning)
            scores.addWidget(caption, 0, 2 * at)
            scores.addWidget(self.values[name], 0, 2 * at + 1)
            scores.setColumnStretch(2 * at + 1, 1)
        self.box.addLayout(head)
        self._headed("confusion", self.confusion)
        self.box.addLayout(scores)
        self.box.addWidget(self.counts)
        line = QFrame()
        line.setProperty("hairline", True)
        self.box.addWidget(line)
        self._headed("examples", self.examples)
        self.box.addStretch(1)

    def _headed(self, name: str, plot: QWidget) -> None:
        row = QHBoxLayout()
        row.setSpacing(8)
        caption, note = self.captions[name], self.notes[name]
        for each in (caption, note):
            each.setMinimumWidth(20)
        note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(caption, 1)
        row.addWidget(note)
        self.box.addLayout(row)
        self.box.addWidget(plot)

    def show_site(self, shown: Shown) -> None:
        self.shown = shown
        result, site = shown.result, shown.site
        name = str(result.site_labels[site])
        self.title.setText(capital(site_name(name)))
        first = float(np.asarray(result.accuracy)[story.TASK, 0, site])
        self.note.setText(f"seed 0, {per_cent(first, 1)} %" if np.isfinite(first) else "")
        self.note.setToolTip(f"{result.site_names[site]}: test accuracy of the first seed")
        self.before.setEnabled(site > 0)
        self.after.setEnabled(site < len(result.site_names) - 1)
        counts = np.asarray(result.confusion)[site]  # [true, predicted]
        self.confusion.set_data(counts, [class_text(each) for each in result.classes])
        self.confusion.set_cell(shown.cell)
        tested = int(counts.sum())
        self.captions["confusion"].setText("Confusion, test part")
        self.notes["confusion"].setText(f"{tested:,} examples" if tested else "")
        self._show_scores(counts)
        self.counts.setText(_counts(result))
        self._show_examples(shown, tested)
        self._fit()

    def _show_scores(self, counts: Any) -> None:
        about, *values = story.scores_of(counts)
        for (name, meaning), value in zip(SCORES, values, strict=True):
            known = bool(np.isfinite(value)) and counts.sum() > 0
            self.values[name].setText(figure(float(value), 3) if known else "–")
            more = "; mean over the classes" if about == "mean" else ", of the second class"
            self.values[name].setToolTip(f"{meaning}{more}")

    def _show_examples(self, shown: Shown, tested: int) -> None:
        result, cell = shown.result, shown.cell
        if cell is None:
            caption = "Wrong with most confidence"
        else:
            true, said = (class_text(result.classes[at]) for at in cell)
            caption = f"True {true}, read as {said}"
        self.captions["examples"].setText(caption)
        count, listed = shown.total, len(shown.rows)
        text = f"{listed} of {count:,} wrong" if listed < count else f"{count:,}"
        if cell is not None:
            text = f"{listed} of {count:,}" if listed < count else f"{count:,}"
        elif listed == count:
            text = f"{count:,} of {tested:,}"
        self.notes["examples"].setText(text)
        nothing = "None of the test part is read wrong." if tested else ""
        self.examples.set_examples(shown.rows, nothing)
        self.examples.show_example(shown.example)

    def _pick(self, row: int, _col: int) -> None:
        self.picked.emit(self.examples.examples[row].number)

    # room

    def _fit(self) -> None:
        wide = max(self.viewport().width(), 120)
        self.confusion.setFixedHeight(self.confusion.wanted(wide))

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._fit()

    def page_height(self, width: int) -> int:
        """Pixels of height that suit it on a page."""
        words = 6 * 22 + (20 if self.counts.text() else 0)
        return self.confusion.page_height(width) + self.examples.page_height(width) + words

    def minimumSizeHint(self) -> QSize:
        return QSize(round(200 * theme.zoom()), 80)


def _counts(result: Any) -> str:
    """How many examples of each class there are, the largest classes first."""
    counts = np.asarray(result.counts)
    if not len(counts) or not counts.sum():
        return ""
    largest = np.argsort(-counts, kind="stable")[:5]
    said = [f"{int(counts[at]):,} {class_text(result.classes[at])}" for at in largest]
    rest = len(counts) - len(largest)
    more = f" and {rest} more classes" if rest > 0 else ""
    return f"Of all {int(counts.sum()):,} examples: {', '.join(said)}{more}."
