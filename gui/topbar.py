"""The row above everything: the program's sign, its menus, the command field, theme and guide."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenuBar,
    QProxyStyle,
    QPushButton,
    QStyle,
    QStyleHintReturn,
    QStyleOption,
    QWidget,
)

from gui import theme
from gui.buttons import Button, IconButton, label

HEIGHT = 44


class _Plain(QProxyStyle):
    """Menus without underlined letters; Alt still opens them."""

    def __init__(self, parent: QMenuBar) -> None:
        super().__init__("Fusion")
        self.setParent(parent)

    def styleHint(
        self,
        hint: QStyle.StyleHint,
        option: QStyleOption | None = None,
        widget: QWidget | None = None,
        data: QStyleHintReturn | None = None,
    ) -> int:
        if hint == QStyle.StyleHint.SH_UnderlineShortcut:
            return 0
        return super().styleHint(hint, option, widget, data)


class Segments(QFrame):
    """Words of which one is chosen, or none."""

    chosen = Signal(str)

    def __init__(self, words: Sequence[str], name: str) -> None:
        super().__init__()
        self.setProperty("segmented", True)
        self.setAccessibleName(name)
        row = QHBoxLayout(self)
        row.setContentsMargins(2, 2, 2, 2)
        row.setSpacing(2)
        self.buttons: dict[str, QPushButton] = {}
        for at, word in enumerate(words):
            button = self.buttons[word] = QPushButton(word)
            button.setProperty("segment", True)
            button.setCheckable(True)
            button.setToolTip(f"{word} (Alt+{at + 1})")
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # Alt and its number choose it
            button.clicked.connect(lambda _=False, word=word: self.chosen.emit(word))
            row.addWidget(button)
        if len(words) < 2:
            self.hide()

    def show_chosen(self, word: str) -> None:
        """ "" for none."""
        for name, button in self.buttons.items():
            button.setChecked(name == word)


class TopBar(QFrame):
    def __init__(self, menus: QMenuBar, arrangements: Sequence[str] = ()) -> None:
        super().__init__()
        self.setProperty("bar", True)
        self.setFixedHeight(HEIGHT)
        menus.setNativeMenuBar(False)
        menus.setStyle(_Plain(menus))
        sign = QLabel()
        sign.setPixmap(theme.app_icon().pixmap(QSize(22, 22), self.devicePixelRatio()))
        self.search = Button("Go to, or run a command", "search")
        self.search.setProperty("search", True)
        self.search.setAccessibleName("Commands")
        keys = label("Ctrl K", "small", self.search)
        inner = QHBoxLayout(self.search)
        inner.setContentsMargins(0, 0, 10, 0)
        inner.addStretch(1)
        inner.addWidget(keys)
        self.theme_button = IconButton("moon", "Dark theme")
        self.help_button = IconButton("circle-help", "Guide (F1)")
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 0, 12, 0)
        row.setSpacing(4)
        row.addWidget(sign)
        row.addSpacing(8)
        row.addWidget(menus, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addStretch(1)
        self.segments = Segments(arrangements, "Arrangement of the window")
        row.addWidget(self.segments, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addStretch(1)
        for widget in (self.search, self.theme_button, self.help_button):
            row.addWidget(widget)

        self.fit()

    def fit(self) -> None:
        """Room for the words at the present size of type."""
        self.search.setMinimumWidth(round(248 * theme.zoom()))

    def show_theme(self, dark: bool) -> None:
        self.theme_button.set_icon("sun" if dark else "moon")
        words = "Light theme" if dark else "Dark theme"
        self.theme_button.setToolTip(words)
        self.theme_button.setAccessibleName(words)
