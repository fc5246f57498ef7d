"""A form's entries in two columns, for the panels that lay out their own forms."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QGridLayout, QSizePolicy

from gui.entry import Entry
from gui.slider import Slider

GAP, LEAST = 8, 40  # px


def two_columns(entries: Sequence[Entry]) -> QGridLayout:
    """Two columns of equal width; a slider takes both."""
    grid = QGridLayout()
    grid.setHorizontalSpacing(GAP)
    grid.setVerticalSpacing(6)
    row = col = 0
    for entry in entries:
        entry.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        entry.control.setMinimumWidth(LEAST)
        entry.caption.setMinimumWidth(LEAST)
        wide = isinstance(entry.control, Slider)
        row, col = (row + col, 0) if wide else (row, col)
        grid.addWidget(entry, row, col, 1, 2 if wide else 1)
        row, col = (row + 1, 0) if wide else (row + col, 1 - col)
    for at in (0, 1):
        grid.setColumnStretch(at, 1)
    return grid
