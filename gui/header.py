"""A panel's 40 px header: its title, what is quietly true of its picture, settings, Run or Stop."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QSizePolicy, QToolButton, QWidget

from gui.buttons import Button, Dot, Elided, Icon, IconButton, label
from gui.theme import restyle

Act = tuple[str, Callable[[], object]]
"""A word on a button and what it does."""

HEIGHT = 40
SIGNS = {"bad": "circle-x", "warn": "triangle-alert", "info": "info", "good": "circle-check"}


class Header(QFrame):
    """In a dock it is the title bar, so dragging it moves the panel."""

    run_pressed = Signal()
    stop_pressed = Signal()
    form_toggled = Signal(bool)
    about_pressed = Signal()

    def __init__(self, title: str, *, runs: bool, has_form: bool) -> None:
        super().__init__()
        self.setProperty("header", True)
        self.setFixedHeight(HEIGHT)
        self.title = label(title, "panel")
        self.dot = Dot()
        self.note = Elided("", "small")
        self.note.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.about_button = IconButton("info", "Where this comes from (Ctrl+I)")
        self.about_button.clicked.connect(lambda: self.about_pressed.emit())
        self.about_button.hide()  # until there is a picture
        self.form_button = IconButton("sliders-horizontal", "Settings of this reading")
        self.form_button.setCheckable(True)
        self.form_button.toggled.connect(self.form_toggled)
        self.run_button = Button("Run", "play", self._press)
        self.run_button.setMinimumWidth(76)
        self.menu_button = IconButton("ellipsis", "Export, script, arrangement")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.running = False
        self._active = False
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 0, 8, 0)
        row.setSpacing(4)
        row.addWidget(self.title)
        row.addSpacing(4)
        row.addWidget(self.dot)
        row.addSpacing(4)
        row.addWidget(self.note, 1)
        row.addSpacing(4)
        self.extra = QHBoxLayout()
        self.extra.setSpacing(4)
        row.addLayout(self.extra)
        for widget in (self.about_button, self.form_button, self.run_button, self.menu_button):
            row.addWidget(widget)
        self.form_button.setVisible(has_form)  # only now: without a parent it would be a window
        self.run_button.setVisible(runs)
        for later in (self.dot, self.about_button) if runs else ():
            keeps = later.sizePolicy()  # or the first result would need more room than there is
            keeps.setRetainSizeWhenHidden(True)
            later.setSizePolicy(keeps)

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), HEIGHT)  # what a dock asks its title bar

    def minimumSizeHint(self) -> QSize:
        return QSize(super().minimumSizeHint().width(), HEIGHT)

    def add(self, widget: QWidget) -> None:
        """A widget of the panel's own, left of the buttons."""
        self.extra.addWidget(widget)

    def set_menu(self, menu: QMenu) -> None:
        self.menu_button.setMenu(menu)

    def set_note(self, text: str) -> None:
        self.note.setText(text)
        self.note.setToolTip(text)

    def set_running(self, running: bool) -> None:
        """Run becomes Stop in the same place."""
        if running != self.running:
            self.running = running
            self.run_button.set_text("Stop" if running else "Run")
            self.run_button.set_icon("square" if running else "play")
            self.run_button.setToolTip("Stop (Esc)" if running else "Run (Ctrl+R)")
            self._dress()

    def set_active(self, active: bool) -> None:
        """The filled button is in the panel that has the keyboard, and nowhere else."""
        self._active = active
        self._dress()

    def _dress(self) -> None:
        self.run_button.set_primary(self._active and not self.running)

    def _press(self) -> None:
        (self.stop_pressed if self.running else self.run_pressed).emit()


class Message(QFrame):
    """The message line of a panel: what went wrong and what to do, with a sign beside the words.

    It may carry one action, as a button at its end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sign = Icon("info")
        self.text = label()
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.action = Button("", "", self._act)
        self.action.hide()
        self._do: Callable[[], object] | None = None
        close = IconButton("x", "Dismiss", self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 4, 4)
        self.setMinimumHeight(32)
        row.setSpacing(8)
        row.addWidget(self.sign)
        row.addWidget(self.text, 1)
        row.addWidget(self.action)
        row.addWidget(close)
        self.hide()

    def say(self, text: str, tone: str = "warn", action: Act | None = None) -> None:
        if not text:
            self.hide()
            return
        restyle(self, badge=tone)
        self.sign.show_icon(SIGNS[tone], "accent" if tone == "info" else tone)
        self.text.setText(text)
        self._do = action[1] if action is not None else None
        self.action.set_text(action[0] if action is not None else "")
        self.action.setVisible(action is not None)
        self.show()

    def _act(self) -> None:
        if self._do is not None:
            self._do()
