"""PromptBoard: features by tokens, what they leave out under it, and what may be done to one."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.buttons import Elided
from gui.plots import HeatMap
from gui.plots.feature_error import TALL, LeftOut
from gui.sae_browse.acts import Acts
from gui.stage import Stage

EDGE, BETWEEN, CAPTION = 16, 8, 20  # px
ROOMY, LOW, NARROW = 400, 300, 700  # px: heights for the second line and the acts; a narrow width


class PromptBoard(Stage):
    """A panel fills `map`, `left_out` and `chosen`."""

    def __init__(self) -> None:
        super().__init__()
        self.map = HeatMap(self, name="features by token", origin="top")
        self.left_out = LeftOut(self)
        self.left_out.follow(self.map)
        self.acts = Acts(self)
        self.chosen = Elided("", "caption")
        self.under = Elided("Left out by all features, share of the activation's length", "caption")
        for each in (self.chosen, self.under):
            each.setParent(self)
        self.detail.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.bars = True  # whether anything is left out at all

    def parts(self) -> list[QWidget]:
        return [self.map, self.left_out, self.acts, self.chosen, self.under, self.detail]

    def settle_for(self, *state: object) -> None:
        texts = [self.detail, *([self.sentence] if self.sentence is not None else [])]
        said = tuple(text.heightForWidth(max(self.width() - 2 * EDGE, 100)) for text in texts
                     if text.text())  # fmt: skip
        if self.changes((said, self.bars, theme.zoom(), *state)):
            self.arrange()

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 120)

    def sizeHint(self) -> QSize:
        return QSize(900, 560)

    def lay_out_parts(self) -> None:
        if self.paper:
            self._lay_on_paper()
            return
        left, right, height = EDGE, self.width() - EDGE, self.height()
        top, wide, zoom = BETWEEN, right - EDGE, theme.zoom()
        said = self.sentence
        if said is not None and said.text():
            lines = 3 if wide < NARROW and height >= LOW else 2
            tall = min(said.heightForWidth(wide), lines * said.fontMetrics().lineSpacing())
            said.setGeometry(left, top, wide, tall)
            top += tall + 2
        if self.detail.text() and height >= ROOMY:
            tall = min(self.detail.heightForWidth(wide),
                       2 * self.detail.fontMetrics().lineSpacing() + 2)  # fmt: skip
            self.put(self.detail, QRect(left, top, wide, tall))
            top += tall + 4
        bottom = height - BETWEEN
        tall = self.acts.buttons_height()
        need = min(self.acts.buttons_width(), wide)
        if height >= LOW:
            self.put(self.acts, QRect(right - need, bottom - tall, need, tall))
            if wide - need > 80:
                self.put(self.chosen, QRect(left, bottom - tall, wide - need - BETWEEN, tall))
            bottom -= tall + BETWEEN
            self.lines.append((left, bottom, right, bottom))
            bottom -= 4
        if self.bars and height >= ROOMY:
            bars, line = round(TALL * zoom), round(CAPTION * zoom)
            self.put(self.left_out, QRect(left, bottom - bars, wide, bars))
            self.put(self.under, QRect(left, bottom - bars - line, wide, line))
            bottom -= bars + line + 4
        self.put(self.map, QRect(left, top, wide, max(bottom - top, 40)))

    # paper

    def page_height(self, width: int) -> int:
        below = TALL + CAPTION + BETWEEN if self.bars else 0
        return self.map.page_height(width) + below

    def _lay_on_paper(self) -> None:
        width, bottom = self.width(), self.height()
        if self.bars and self.height() > 3 * TALL:
            self.put(self.left_out, QRect(0, bottom - TALL, width, TALL))
            self.put(self.under, QRect(0, bottom - TALL - CAPTION, width, CAPTION))
            bottom -= TALL + CAPTION + BETWEEN
        self.put(self.map, QRect(0, 0, width, max(bottom, 40)))
