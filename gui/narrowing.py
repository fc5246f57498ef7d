"""What narrows a list: a field for words, and a box for one of a few names."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QIcon, QKeyEvent
from PySide6.QtWidgets import QLineEdit

from gui import theme
from gui.entry import Choice


class Search(QLineEdit):
    """Esc takes the words away before it stops a run; Down goes to the list."""

    down_pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setPlaceholderText("Search in titles, notes, prompts, models, errors")
        self.setAccessibleName("Search the runs")
        self.setToolTip("Search (Ctrl+F)")
        self.setMinimumWidth(120)
        self.setStyleSheet("QToolButton { border: none; padding: 0px; min-height: 0px; }")
        self._lens = self.addAction(QIcon(), QLineEdit.ActionPosition.LeadingPosition)
        self._cross = self.addAction(QIcon(), QLineEdit.ActionPosition.TrailingPosition)
        self._cross.setToolTip("Show all runs (Esc)")
        self._cross.triggered.connect(self.clear)
        self._cross.setVisible(False)
        self.textChanged.connect(lambda text: self._cross.setVisible(bool(text)))
        self._dress()

    def _dress(self) -> None:
        self._lens.setIcon(theme.icon("search", 16, "faint"))
        self._cross.setIcon(theme.icon("x", 16, "muted"))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._dress()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            mine = event.key() == Qt.Key.Key_Escape and bool(self.text())
            event.setAccepted(mine)
            if mine:
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        elif event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.down_pressed.emit()
        else:
            super().keyPressEvent(event)


class Names(Choice):
    """A box of names; its first entry, "", stands for every one."""

    chosen = Signal(str)

    def __init__(self, every: str) -> None:
        super().__init__()
        self.addItem(every, "")
        self.setAccessibleName(every)
        self.currentIndexChanged.connect(lambda _: self.chosen.emit(self.currentData() or ""))

    @property
    def of_use(self) -> bool:
        """Whether there is anything to choose, or a choice to take back."""
        return self.count() > 2 or self.currentIndex() > 0

    def show_names(self, names: list[str]) -> None:
        """Other names to choose from; what was chosen stays, if it is still there."""
        if [self.itemData(index) for index in range(1, self.count())] == names:
            return
        chosen = self.currentData()
        self.blockSignals(True)
        while self.count() > 1:
            self.removeItem(1)
        for name in names:
            self.addItem(name, name)
        self.setCurrentIndex(max(0, self.findData(chosen)))
        self.blockSignals(False)
        if self.currentData() != chosen:
            self.currentIndexChanged.emit(self.currentIndex())
