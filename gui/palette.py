"""The command palette (Ctrl+K): every action by its name, filtered as one types."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QVBoxLayout,
    QWidget,
)

ROWS = 12.5
_PASSED_ON = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)


def actions_of(menus: Iterable[QMenu]) -> list[tuple[str, QAction]]:
    """Every enabled entry of some menus and their submenus, with the path that leads to it."""
    found = []
    for menu in menus:
        for action in menu.actions():
            inner = action.menu()
            if isinstance(inner, QMenu):
                above = menu.title().replace("&", "")
                found += [(f"{above}: {path}", entry) for path, entry in actions_of([inner])]
            elif not action.isSeparator() and action.isEnabled() and action.isVisible():
                title = menu.title().replace("&", "")
                found.append((f"{title}: {action.text().replace('&', '')}", action))
    return found


class Palette(QFrame):
    """A list under a line; Return does what is chosen, Esc goes back."""

    def __init__(self, window: QWidget, actions: list[tuple[str, QAction]]) -> None:
        super().__init__(window, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setProperty("card", True)
        self.setAccessibleName("Commands")
        self.line = QLineEdit()
        self.line.setPlaceholderText("Go to, or run a command")
        self.line.installEventFilter(self)
        self.list = QListWidget()
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._box = box = QVBoxLayout(self)
        box.setContentsMargins(8, 8, 8, 8)
        box.setSpacing(8)
        box.addWidget(self.line)
        box.addWidget(self.list)
        for title, action in actions:
            keys = action.shortcut().toString()
            entry = QListWidgetItem(f"{title}    {keys}" if keys else title)
            entry.setData(Qt.ItemDataRole.UserRole, action)
            self.list.addItem(entry)
        self.line.textChanged.connect(self.filter)
        self.line.returnPressed.connect(self.do)
        self.list.itemClicked.connect(lambda _: self.do())
        self.filter("")

    def open_over(self, window: QWidget) -> None:
        width = min(560, window.width() - 32)
        self.resize(width, self.sizeHint().height())
        self.move(window.mapToGlobal(QPoint((window.width() - width) // 2, 56)))
        self.show()
        self.line.setFocus()

    def filter(self, text: str) -> None:
        """Show the entries that hold every word; choose the first."""
        words = text.lower().split()
        first = None
        for row in range(self.list.count()):
            entry = self.list.item(row)
            fits = all(word in entry.text().lower() for word in words)
            entry.setHidden(not fits)
            first = row if fits and first is None else first
        self.list.setCurrentRow(-1 if first is None else first)
        self._fit()

    def _fit(self) -> None:
        """As high as what is left, up to a dozen rows and a half."""
        rows = sum(not self.list.item(row).isHidden() for row in range(self.list.count()))
        high = self.list.sizeHintForRow(0) if self.list.count() else 24
        self.list.setFixedHeight(int(min(max(rows, 1), ROWS) * high) + 8)
        self._box.activate()
        self.resize(self.width(), self.sizeHint().height())

    def do(self) -> None:
        entry = self.list.currentItem()
        self.close()
        if entry is not None and not entry.isHidden():
            entry.data(Qt.ItemDataRole.UserRole).trigger()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() != QEvent.Type.KeyPress or not isinstance(event, QKeyEvent):
            return super().eventFilter(watched, event)
        if event.key() in _PASSED_ON:
            step = 1 if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_PageDown) else -1
            self._move(step)
            return True
        return super().eventFilter(watched, event)

    def _move(self, step: int) -> None:
        row = self.list.currentRow() + step
        while 0 <= row < self.list.count():
            if not self.list.item(row).isHidden():
                self.list.setCurrentRow(row)
                return
            row += step
