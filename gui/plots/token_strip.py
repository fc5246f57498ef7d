"""TokenStrip: a pair of prompts as rows of token chips, aligned, with what differs in gold."""

from collections.abc import Collection, Mapping, Sequence

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QWidget

from gui import theme
from gui.plots.chips import BETWEEN, CHIP, ROLE, Chips, aligned, parting


class TokenStrip(QWidget):
    """Clean over corrupted; `clicked` and `hovered` give positions of the clean prompt."""

    hovered = Signal(int)  # -1 when the pointer leaves
    clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None, *, most_lines: int = 6) -> None:
        super().__init__(parent)
        self._most = most_lines
        self._zoom = 0.0  # of the type that the chips were fitted to
        self.chips = Chips()
        self._scroll = QScrollArea(self)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(self.chips)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the chips have the keyboard
        self.setFocusProxy(self.chips)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.chips.hovered.connect(self.hovered)
        self.chips.clicked.connect(self.clicked)

    def set_tokens(
        self,
        clean: Sequence[str],
        corrupted: Sequence[str] | None = None,
        clean_ids: Sequence[int] = (),
        corrupted_ids: Sequence[int] = (),
        *,
        roles: Mapping[int, str] | None = None,
        special: Collection[str] = (),
    ) -> None:
        """roles: clean position -> label above the chip; special: tokens set quietly (BOS)."""
        chips = self.chips
        chips.clean = list(clean)
        chips.corrupted = list(corrupted) if corrupted is not None else None
        chips.ids = (clean_ids, corrupted_ids)
        chips.roles = dict(roles or {})
        chips.special = set(special)
        chips.columns = aligned(chips.clean, chips.corrupted)
        chips.hover = None
        chips.forget()
        chips.setFocusPolicy(Qt.FocusPolicy.StrongFocus if clean else Qt.FocusPolicy.NoFocus)
        if chips.focus is not None and chips.focus >= len(chips.clean):
            chips.focus = None
        self._fit()
        self.updateGeometry()

    def set_focus(self, position: int | None) -> None:
        self.chips.focus = position
        if position is not None and not (box := self.chips.box_of(position)).isEmpty():
            self._scroll.ensureVisible(box.center().x(), box.center().y(), 0, 2 * CHIP)
        self.chips.update()

    def summary(self) -> str:
        """What the strip shows, in words: how many tokens, where the prompts part."""
        clean, corrupted = self.chips.clean, self.chips.corrupted
        if corrupted is None:
            return f"{len(clean)} tokens"
        if len(clean) != len(corrupted):
            where = parting(clean, corrupted)
            return (
                f"{len(clean)} clean and {len(corrupted)} corrupted tokens: "
                f"they part at position {where}"
            )
        places = [i for i, (a, b) in enumerate(zip(clean, corrupted, strict=True)) if a != b]
        if not places:
            return f"{len(clean)} tokens; both prompts are the same"
        if len(places) == 1:
            return f"{len(clean)} tokens; one differs, at position {places[0]}"
        return f"{len(clean)} tokens; {len(places)} differ"

    def _most_height(self) -> int:
        rows = 2 if self.chips.corrupted is not None else 1
        return self._most * (rows * (CHIP + 3) + BETWEEN + ROLE)

    def heightForWidth(self, width: int) -> int:
        return min(self.chips.arrange(width)[1], self._most_height())

    def sizeHint(self) -> QSize:
        width = max(self.width(), 200)
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, min(self.heightForWidth(max(self.width(), 120)), self._most_height()))

    def _fit(self) -> None:
        self._zoom = theme.zoom()
        self._scroll.setGeometry(self.rect())
        width = max(self.width(), 60)
        height = self.chips.lay_out(width)
        if height > self.height():
            width -= self._scroll.verticalScrollBar().sizeHint().width()
            height = self.chips.lay_out(width)
        self.chips.resize(width, height)
        self.chips.setAccessibleDescription(self.summary())

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and theme.zoom() != self._zoom:
            self._fit()  # the chips paint their colours themselves; only type has other widths
