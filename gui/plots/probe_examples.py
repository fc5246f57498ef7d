"""ExampleList: labelled examples, two lines each: the word with its classes, the text around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.plots import shades
from gui.plots.canvas import Canvas
from gui.plots.grid import NOWHERE, Grid
from gui.plots.tokens import token_pen, token_text

ROW, NUMBER = 42, 52  # px
PAGE_ROWS = 10  # on a page; more are a table


@dataclass(frozen=True)
class Example:
    """An example of the test part: what is read, its true class, what the probe says, how surely.

    before, word, after: its text around what is read. margin: negative = wrong. number: whose it is
    among all examples.
    """

    word: str
    before: str
    after: str
    true: str
    said: str
    margin: float
    number: int

    @property
    def wrong(self) -> bool:
        return self.margin < 0


class ExampleList(Canvas):
    """`set_examples` gives them; clicked gives (row, 0)."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "examples") -> None:
        super().__init__(parent, name)
        self.examples: list[Example] = []
        self.nothing = "Examples will be here, wrong ones first."
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_empty(self.nothing)

    def set_examples(self, examples: Sequence[Example], nothing: str = "") -> None:
        grows = len(examples) != len(self.examples)
        self.examples = list(examples)
        if self.hover[0] >= len(self.examples):
            self.hover = NOWHERE
        if self.chosen[0] >= len(self.examples):
            self.chosen = NOWHERE
        self.set_empty("" if self.examples else nothing or self.nothing)
        if grows:
            self.updateGeometry()

    def show_example(self, number: int | None) -> None:
        """Light up an example by its number, because it was chosen elsewhere."""
        rows = [row for row, each in enumerate(self.examples) if each.number == number]
        chosen = (rows[0], 0) if rows else NOWHERE
        if chosen != self.chosen:
            self.chosen = chosen
            self.update()

    def describe(self, row: int, col: int) -> str:
        each = self.examples[row]
        text = f"{each.before}{each.word}{each.after}"
        verdict = "wrong" if each.wrong else "right"
        said = f"true {each.true}, the probe says {each.said}: {verdict}"
        return f"{text}\n{said}, margin {shades.figure(each.margin, 3, sign=True)}"

    def page_height(self, width: int) -> int:
        return ROW * max(min(len(self.examples), PAGE_ROWS), 1)

    def cramped(self) -> str:
        self.settle()
        shown = self.height() // ROW
        few = theme.paper() and shown < len(self.examples)
        return f"only {shown} of {len(self.examples)} examples are listed" if few else ""

    def sizeHint(self) -> QSize:
        return QSize(240, round(ROW * theme.zoom()) * max(len(self.examples), 2))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def lay_out(self) -> None:
        row = round(ROW * theme.zoom())
        ys = tuple(row * at for at in range(len(self.examples) + 1))
        self.grid = Grid((0, max(self.width(), 1)), ys, up=False) if self.examples else None

    def paint_base(self, painter: QPainter) -> None:
        if self.grid is None:
            return
        now, small, mono = theme.current(), token_pen(11), token_pen(11, 600, mono=True)
        number = NUMBER * theme.zoom()
        for row, each in enumerate(self.examples):
            box = QRectF(self.grid.cell_rect(row, 0))
            if row:
                painter.setPen(QPen(now.color("line", 0.6), 1))
                painter.drawLine(box.topLeft(), box.topRight())
            upper = QRectF(box.left() + 4, box.top() + 3, box.width() - 8, box.height() / 2 - 2)
            lower = QRectF(upper.left(), box.center().y(), upper.width(), box.height() / 2 - 3)
            right = QRectF(upper.right() - number, upper.top(), number, upper.height())
            word = shades.figure(each.margin, 2, sign=True)
            ink = now.color("text" if each.wrong else "muted")
            token_pen(13).draw(painter, right, word, ink, 1)
            classes = f"{each.true}, read as {each.said}" if each.wrong else f"{each.true}, right"
            room = upper.width() - number - 8
            wide = min(mono.width(each.word) + 2, room * 0.5)
            mono.draw(painter, QRectF(upper.left(), upper.top(), wide, upper.height()), each.word,
                      now.color("text"), 0)  # fmt: skip
            small.draw(painter, QRectF(upper.left() + wide + 10, upper.top(), room - wide - 10,
                       upper.height()), classes, ink, 0)  # fmt: skip
            self._paint_text(painter, lower, each)

    def _paint_text(self, painter: QPainter, box: QRectF, each: Example) -> None:
        """The text around the word: what stands before it is cut at its left, what after, right."""
        now, plain, bold = theme.current(), token_pen(11, mono=True), token_pen(11, 600, mono=True)
        muted = now.color("muted")
        word = token_text(each.word).strip("·") if each.before or each.after else ""
        if not word:
            return
        wide = min(bold.metrics.horizontalAdvance(word) + 1, box.width())
        rest = box.width() - wide - 8
        need = plain.metrics.horizontalAdvance(each.after.strip())
        left = max(rest - need, rest / 2)
        mode = Qt.TextElideMode
        before = plain.metrics.elidedText(each.before.strip(), mode.ElideLeft, left)
        used = plain.metrics.horizontalAdvance(before)
        after = plain.metrics.elidedText(each.after.strip(), mode.ElideRight, rest - used)
        x = box.left()
        for text, pen, ink in ((before, plain, muted), (word, bold, now.color("text")),
                               (after, plain, muted)):  # fmt: skip
            if text:
                room = pen.metrics.horizontalAdvance(text) + 1
                pen.draw(painter, QRectF(x, box.top(), room + 1, box.height()), text, ink, 0)
                x += room + (plain.metrics.horizontalAdvance(" ") - 1)

    def paint_overlay(self, painter: QPainter) -> None:
        now = theme.current()
        for (row, _), token, alpha in ((self.hover, "accent", 0.08), (self.chosen, "accent", 0.14)):
            if self.grid is not None and 0 <= row < self.grid.rows:
                painter.fillRect(self.grid.row_rect(row), now.color(token, alpha))
