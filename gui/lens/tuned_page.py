"""TunedPage: how far each layer's lens is from the end, before and after, and over the steps."""

from __future__ import annotations

from PySide6.QtCore import QRect
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.buttons import Button, Elided
from gui.plots import StepLines
from gui.plots.rank_curve import RankCurve
from gui.stage import Stage

EDGE, GAP, LINE, BUTTONS = 16, 20, 20, 30  # px
BESIDE, UNDER = 640, 300  # px: both plots in a row; one under the other
HEADING, LOW_BUTTONS = 24, 120  # px


class TunedPage(Stage):
    """The panel fills its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumSize(140, 96)
        self.by_layer = RankCurve(
            self, name="KL by layer", empty="KL to the end by layer will be here."
        )
        self.over_steps = StepLines(
            self, name="KL by step", empty="KL over the training steps will be here."
        )
        self.caption = Elided("KL over the steps, nats, on each step's own tokens", "caption")
        self.caption.setParent(self)
        self.caption.setToolTip("A line for each layer, and their mean; the layer in Focus is blue")
        self.use = Button("Use it in the lens", "layers")
        self.save = Button("Save as folder…", "save")
        for button in (self.use, self.save):
            button.setParent(self)
            button.setEnabled(False)

    def parts(self) -> list[QWidget]:
        return [self.detail, self.by_layer, self.caption, self.over_steps, self.use, self.save]

    def page_height(self, width: int) -> int:
        return self.by_layer.page_height(width) + GAP + LINE + self.over_steps.page_height(width)

    def lay_out_parts(self) -> None:
        box, zoom = QRect(0, 0, self.width(), self.height()), theme.zoom()
        if not self.paper:
            box.adjust(EDGE, 4, -EDGE, -8)
            box = self._put_words(box, zoom)
            box = self._put_buttons(box, zoom)
        line = round(LINE * zoom)
        if box.width() >= BESIDE * zoom and not self.paper:
            half = (box.width() - GAP) // 2
            self.put(self.by_layer, QRect(box.x(), box.y(), half, box.height()))
            right = QRect(box.right() + 1 - half, box.y(), half, box.height())
            x = box.x() + half + GAP // 2
            self.lines.append((x, box.top(), x, box.bottom()))
            self._put_steps(right, line)
        elif box.height() >= UNDER * zoom or self.paper:
            half = (box.height() - GAP) // 2
            self.put(self.by_layer, box.adjusted(0, 0, 0, -half - GAP))
            self._put_steps(box.adjusted(0, box.height() - half, 0, 0), line)
        else:
            self.put(self.by_layer, box)

    def _put_steps(self, box: QRect, line: int) -> None:
        self.put(self.caption, QRect(box.left(), box.top(), box.width(), line))
        self.put(self.over_steps, box.adjusted(0, line, 0, 0))

    def _put_words(self, box: QRect, zoom: float) -> QRect:
        """The sentence and its second line above; what is left."""
        for text, least in ((self.sentence, 0), (self.detail, 200)):
            if text is None or not text.text() or box.height() < least * zoom:
                continue
            high = min(max(text.heightForWidth(box.width()), 0), round(3 * HEADING * zoom))
            if text is self.sentence:
                text.setGeometry(QRect(box.left(), box.top(), box.width(), high))
            else:
                self.put(text, QRect(box.left(), box.top(), box.width(), high))
            box = box.adjusted(0, high + 6, 0, 0)
        return box

    def _put_buttons(self, box: QRect, zoom: float) -> QRect:
        if box.height() < LOW_BUTTONS * zoom:
            return box
        high, x = round(BUTTONS * zoom), box.left()
        for button in (self.use, self.save):
            wide = button.sizeHint().width()
            if x + wide > box.right() + 1:
                break  # the "…" menu has them too
            self.put(button, QRect(x, box.bottom() + 1 - high, wide, high))
            x += wide + 8
        return box.adjusted(0, 0, 0, -high - 8)
