"""Side: the figures and the settings of a probed network, in a column that scrolls."""

from __future__ import annotations

from PySide6.QtCore import QSize

from gui.buttons import label
from gui.column import Column
from gui.form import Form
from gui.mlp.fields import Fields

WIDTH = 280  # px


class Side(Column):
    """`follows` says what the settings amount to."""

    def __init__(self, form: Form) -> None:
        super().__init__((0, 4, 0, 8), 4)
        self.setFixedWidth(WIDTH)
        self.fields = Fields(form)
        self.follows = label("", "small")
        self.follows.setContentsMargins(16, 0, 16, 8)
        self.follows.setWordWrap(True)
        for widget in (form, self.follows):
            self.box.addWidget(widget)
        self.box.addStretch(1)

    def minimumSizeHint(self) -> QSize:
        return QSize(WIDTH, 80)

    def say(self, text: str) -> None:
        if text != self.follows.text():
            self.follows.setText(text)
            self.follows.setVisible(bool(text))
