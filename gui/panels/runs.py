"""The runs of this session in one bar at the bottom: a click shows a run again in its panel."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.buttons import Button, IconButton, label
from gui.panel import Panel

BAR = 38
LISTED = 160
SHOWN = 8
SIGNS = {
    "finished": ("circle-check", "good"),
    "cancelled": ("history", "warn"),
    "failed": ("circle-x", "bad"),
}


class RunsPanel(Panel):
    title = "Runs"
    icon = "history"
    place = "bottom"
    order = 10

    def build(self) -> QWidget:
        self.header.hide()
        self.records: Any = None
        self.fold = IconButton("chevron-right", "Show all runs", self.unfold)
        self.count = label("", "muted")
        self.recent = QHBoxLayout()
        self.recent.setSpacing(8)
        self.buttons = [Button("", "circle-check", flat=True) for _ in range(SHOWN)]
        for index, button in enumerate(self.buttons):
            button.clicked.connect(lambda _=False, index=index: self._show(index))
            button.hide()
            self.recent.addWidget(button)
        self.nothing = label("Runs are kept here as they finish.", "muted")
        self.list = QListWidget()
        self.list.setAccessibleName("All runs")
        self.list.itemActivated.connect(lambda item: self._ask(item.data(Qt.ItemDataRole.UserRole)))
        self.list.hide()
        bar = QWidget()
        bar.setFixedHeight(BAR)
        row = QHBoxLayout(bar)
        row.setContentsMargins(8, 0, 16, 0)
        row.setSpacing(8)
        for widget in (self.fold, label("Runs", "panel"), self.count):
            row.addWidget(widget)
        row.addSpacing(8)
        row.addWidget(self.nothing)
        row.addLayout(self.recent)
        row.addStretch(1)
        body = QFrame()
        box = QVBoxLayout(body)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(bar)
        box.addWidget(self.list)
        self.setFixedHeight(BAR)
        return body

    def watch_records(self, records: Any) -> None:
        """The window gives the session's runs."""
        self.records = records
        records.changed.connect(self.refresh)

    def unfold(self) -> None:
        wide = self.list.isHidden()
        self.list.setVisible(wide)
        self.fold.set_icon("chevron-down" if wide else "chevron-right")
        self.setFixedHeight(BAR + (LISTED if wide else 0))

    def refresh(self) -> None:
        entries = self.records.entries
        self.count.setText(str(len(entries)) if entries else "")
        self.nothing.setVisible(not entries)
        newest = list(reversed(entries[-SHOWN:]))
        for index, button in enumerate(self.buttons):
            button.setVisible(index < len(newest))
            if index < len(newest):
                icon, token = sign(newest[index])
                button.set_text(f"{newest[index].title}  {duration(newest[index])}")
                button.set_icon(icon, token)
                button.setToolTip(about(newest[index]))
        self.list.clear()
        for entry in reversed(entries):
            icon, token = sign(entry)
            item = QListWidgetItem(theme.icon(icon, 16, token), f"{entry.title}    {about(entry)}")
            item.setData(Qt.ItemDataRole.UserRole, entry)
            self.list.addItem(item)

    def _show(self, index: int) -> None:
        self._ask(self.records.entries[-1 - index])

    def _ask(self, entry: Any) -> None:
        if entry.run is None:
            self.say(entry.note)
        else:
            self.desk.ask("show run", entry)


def sign(entry: Any) -> tuple[str, str]:
    return SIGNS.get(entry.run.status if entry.run else "failed", SIGNS["failed"])


def duration(entry: Any) -> str:
    if entry.run is None:
        return "unreadable"
    words = {"cancelled": "stopped after ", "failed": "failed after "}.get(entry.run.status, "")
    seconds = entry.run.seconds
    return f"{words}{seconds:.2f} s" if seconds < 10 else f"{words}{seconds:.0f} s"


def about(entry: Any) -> str:
    """Model, time, and what went wrong."""
    if entry.run is None:
        return entry.note
    model = entry.run.model.name if entry.run.model else ""
    when = entry.run.started[:16].replace("T", " ")
    parts = (duration(entry), model, f"{when} UTC" if when else "", entry.run.error, entry.note)
    return ", ".join(part for part in parts if part)
