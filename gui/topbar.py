"""The row above everything: the program's sign, its menus, the command field, theme and guide."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenuBar,
    QProxyStyle,
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


class TopBar(QFrame):
    def __init__(self, menus: QMenuBar) -> None:
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
