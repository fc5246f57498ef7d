"""UseBoard: existence at the left, use at the right: what a probe reads, what the output makes."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.buttons import Elided
from gui.plots.curve import shade_of
from gui.plots.probe_marks import paint_marker
from gui.plots.probe_strips import ROW, Strips
from gui.plots.tokens import token_pen
from gui.stage import Stage

EDGE, BETWEEN, CAPTION = 16, 8, 20  # px
TWO_COLUMNS, ROOMY = 620, 300  # px: width for two columns, height for the second line
TALL, TALL_ROW = 640, 52  # px: height from which rows are further apart
NAMES = {
    "accuracy": "Existence: what a probe trained anew still reads, %",
    "kl": "Use: KL of the prediction where the label stands, nats",
    "loss": "Use: change of the loss on the text, nats per token",
    "watched": "Use: probability of chosen tokens, %",
}


class Signs(QWidget):
    """What the markers of the strips are, in one line."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.keys: list[tuple[str, str, str]] = []  # name, colour, marker

    def set_keys(self, keys: Sequence[tuple[str, str, str]]) -> None:
        self.keys = list(keys)
        self.setAccessibleName("legend: " + ", ".join(name for name, *_ in keys))
        self.update()

    def paintEvent(self, _: QPaintEvent) -> None:
        painter, pen = QPainter(self), token_pen(11)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        ink, line = theme.current().color("muted"), round(CAPTION * theme.zoom())
        for (name, colour, marker), (x, row) in zip(
            self.keys, self._places(self.width()), strict=True
        ):
            middle = (row + 0.5) * line
            if colour:
                at = QPointF(x + 6, middle)
                paint_marker(painter, at, marker, shade_of(colour))
            elif marker == "dash":
                dashes = QPen(ink, 1)
                dashes.setDashPattern([4, 3])
                painter.setPen(dashes)
                painter.drawLine(QPointF(x, middle), QPointF(x + 14, middle))
            else:
                grey = QRect(int(x), int(middle) - 5, 14, 10)
                painter.fillRect(grey, theme.current().color("field", 0.7))
            box = QRect(int(x) + 18, row * line, int(pen.width(name)) + 3, line)
            pen.draw(painter, box.toRectF(), name, ink, 0)
        painter.end()

    def _places(self, width: int) -> list[tuple[float, int]]:
        """(x, line) of each key, wrapped."""
        pen, x, row, found = token_pen(11), 0.0, 0, []
        for name, *_ in self.keys:
            need = 18 + pen.width(name) + 3
            if found and x + need > width:
                x, row = 0.0, row + 1
            found.append((x, row))
            x += need + 15
        return found

    def wanted(self, width: int) -> int:
        """Pixels of height for all keys at a width."""
        lines = 1 + max((row for _, row in self._places(width)), default=0)
        return round(CAPTION * theme.zoom()) * lines


class UseBoard(Stage):
    """A panel fills `strips` by name and the sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.strips = {name: Strips(self, name=title) for name, title in NAMES.items()}
        self.captions = {name: Elided(title, "caption") for name, title in NAMES.items()}
        for caption in self.captions.values():
            caption.setParent(self)
        self.signs = Signs(self)
        self.facts = Elided("", "small")
        self.facts.setParent(self)
        self.detail.setAlignment(Qt.AlignmentFlag.AlignTop)

    def refresh(self) -> None:
        """Arrange anew where something needs another room."""
        texts = (self.detail.text(), self.sentence.text() if self.sentence else "")
        if self.changes((texts, tuple(len(each.strips) for each in self.strips.values()))):
            self.arrange()

    def parts(self) -> list[QWidget]:
        return [*self.strips.values(), *self.captions.values(), self.signs, self.facts, self.detail]

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 120)

    def sizeHint(self) -> QSize:
        return QSize(820, 460)

    @property
    def shown(self) -> list[str]:
        return [name for name, each in self.strips.items() if name != "watched" or each.strips]

    def lay_out_parts(self) -> None:
        edge = 0 if self.paper else EDGE
        left, right, top = edge, self.width() - edge, 0 if self.paper else BETWEEN + 4
        if not self.paper:
            top = self._headline(left, right, top)
        wide = right - left
        line = round(CAPTION * theme.zoom())
        keys = self.signs.wanted(wide)
        self.put(self.signs, QRect(left, top, wide, keys))
        top += keys + BETWEEN
        two = wide >= TWO_COLUMNS * (0.7 if self.paper else 1)
        column = (wide - 2 * EDGE) // 2 if two else wide
        for each in self.strips.values():
            each.row = TALL_ROW if two and self.height() >= TALL and not self.paper else ROW
        at = {"accuracy": left}
        below = {"accuracy": top}
        end = top
        for name in self.shown:
            first = name == "accuracy"
            x = at["accuracy"] if first or not two else left + column + 2 * EDGE
            y = top if first else below["accuracy"] if not two else below.get("use", top)
            tall = self.strips[name].sizeHint().height()
            self.put(self.captions[name], QRect(x, y, column, line))
            self.put(self.strips[name], QRect(x, y + line, column, tall))
            y += line + tall + 2 * BETWEEN
            below["accuracy" if first or not two else "use"] = y
            end = max(end, y)
        if two:
            x = left + column + EDGE
            self.lines.append((x, top, x, min(end, self.height() - BETWEEN) - BETWEEN))
        if end + line <= self.height() or self.paper:
            self.put(self.facts, QRect(left, end, wide, line))

    def _headline(self, left: int, right: int, top: int) -> int:
        wide, said = right - left, self.sentence
        if said is not None and said.text():
            tall = said.heightForWidth(wide) if said.hasHeightForWidth() else 24
            tall = min(tall, 3 * said.fontMetrics().lineSpacing() + 4)
            said.setGeometry(left, top, wide, tall)
            top += tall + 2
        if self.detail.text() and self.height() >= ROOMY:
            tall = min(
                self.detail.heightForWidth(wide), 3 * self.detail.fontMetrics().lineSpacing()
            )
            self.put(self.detail, QRect(left, top, wide, tall + 2))
            top += tall + 2
        return top + 6

    def page_height(self, width: int) -> int:
        """Pixels of height that suit everything at this width."""
        tall = {name: self.strips[name].sizeHint().height() + CAPTION + 2 * BETWEEN
                for name in self.shown}  # fmt: skip
        first = tall.pop("accuracy")
        both = (
            max(first, sum(tall.values()))
            if width >= TWO_COLUMNS * 0.7
            else first + sum(tall.values())
        )
        return both + self.signs.wanted(width) + CAPTION + BETWEEN
