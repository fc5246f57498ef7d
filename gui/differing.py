"""What two runs were told otherwise: a few quiet rows, each name with A's value and B's."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QGridLayout, QScrollArea, QSizePolicy, QWidget

from engine.compare import Comparison, Difference
from gui import theme
from gui.buttons import Elided
from gui.plots.tokens import token_pen

LINE, SEEN = 18, 3  # px of a row; rows that are seen without scrolling
LONG, LEAD = 24, 12  # letters: a common beginning that is cut, and what is left of it
PROMPTS = ("prompt", "clean", "corrupted")


def heading(found: Comparison) -> str:
    """What differs, in one sentence."""
    if not found.settings:
        if found.same_bits:
            return "Nothing differs: the same settings, the same bits."
        return "The settings are the same; the numbers are not."
    names = {entry.name for entry in found.settings}
    if all(name in PROMPTS or is_tokens(name) for name in names):
        said = "Only the prompts differ."
    else:
        count = len(rows(found))
        said = "One setting differs." if count == 1 else f"{count} settings differ."
    return f"{said} The numbers are the same bits." if found.same_bits else said


def is_tokens(name: str) -> bool:
    return name.removesuffix(", ids").endswith("tokens")


def rows(found: Comparison) -> list[Difference]:
    """The differences worth a row: tokens only where no prompt says the same in letters."""
    prompts = any(entry.name in PROMPTS for entry in found.settings)
    plain = [entry for entry in found.settings if not entry.name.endswith(", ids")]
    kept = [entry for entry in plain if not (prompts and is_tokens(entry.name))]
    return kept or plain or list(found.settings)


def beginnings_cut(a: str, b: str) -> tuple[str, str]:
    """Both texts from shortly before where they part, if they share a long beginning."""
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    same = min(len(a), len(b)) if same is None else same
    if same <= LONG:
        return a, b
    return f"…{a[same - LEAD :]}", f"…{b[same - LEAD :]}"


class Settings(QScrollArea):
    """A sentence, and a row for each setting that differs; more than a few are scrolled."""

    def __init__(self) -> None:
        super().__init__()
        self.heading = Elided("", "small")
        self.rows: list[Difference] = []
        self._inside = QWidget()
        self._grid = QGridLayout(self._inside)
        self._grid.setContentsMargins(16, 0, 16, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(0)
        self._grid.setColumnStretch(1, 1)
        self._grid.setColumnStretch(2, 1)
        self._add(self.heading, 0, 0, 3)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setWidget(self._inside)
        self.setAccessibleName("Settings that differ")
        self.setFixedHeight(self._tall(1))

    def _tall(self, lines: int) -> int:
        return round(LINE * theme.zoom()) * lines + 2

    def _add(self, widget: Elided, row: int, column: int, columns: int = 1) -> None:
        widget.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        widget.setFixedHeight(round(LINE * theme.zoom()))
        self._grid.addWidget(widget, row, column, 1, columns)

    def fill(self, found: Comparison) -> None:
        """Say what differs; once per comparison."""
        self.heading.setText(heading(found))
        self.rows = rows(found)
        widest = max((token_pen(11).width(entry.name) for entry in self.rows), default=0)
        self._grid.setColumnMinimumWidth(0, round(widest) + 2)
        for row, entry in enumerate(self.rows, 1):
            a, b = beginnings_cut(entry.a, entry.b)
            self._add(Elided(entry.name, "small"), row, 0)
            for column, text, whole in ((1, f"A  {a}", entry.a), (2, f"B  {b}", entry.b)):
                cell = Elided(text, "small")
                cell.setToolTip(whole)
                self._add(cell, row, column)
        self.setFixedHeight(self._tall(min(len(self.rows) + 1, SEEN)))
