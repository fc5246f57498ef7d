"""LensMap: the map of a lens, whose cells say everything that is known of them in one breath."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QWidget

from gui.plots import HeatMap
from gui.plots.lens_text import LensText


class LensMap(HeatMap):
    """`asked` gives the cell over which the pointer rests, in place of a tooltip."""

    asked = Signal(int, int)

    def __init__(self, parent: QWidget | None = None, *, name: str = "logit lens") -> None:
        super().__init__(parent, name=name)
        self.words_of = lambda row, col: f"row {row}, position {col}"

    def describe(self, row: int, col: int) -> str:
        return self.words_of(row, col)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            self.asked.emit(*self.cell_at(event.pos()))
            return True
        return super().event(event)


class LensWords(LensText):
    """The same for the text."""

    asked = Signal(int, int)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            self.asked.emit(*self.cell_at(event.pos()))
            return True
        return super().event(event)
