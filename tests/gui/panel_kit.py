"""A panel of the technique that counts, and what its tests do with it."""

from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QLabel

from engine.session import Run
from gui.panel import Panel
from gui.provenance import card_of


def make_quick(panel: Panel) -> None:
    assert panel.form is not None
    panel.form.make_quick()


class CountingPanel(Panel):
    """Shows the number and remembers what it drew."""

    title = "Counting"
    empty = "Here it will count."
    drawn_counts: list[int]

    def build(self):
        self.drawn_counts = []
        self.number = QLabel()
        return self.number

    def draw(self, result):
        self.drawn_counts.append(result.count)
        self.number.setText(str(result.count))

    def sentence(self, result):
        return f"It came to {result.count}."


class FakeRecords(QObject):
    """The lines of a session as a panel asks for them."""

    changed = Signal()

    def __init__(self):
        super().__init__()
        self.line: Any = None

    def entry_of(self, run):
        return self.line if self.line is not None and self.line.run is run else None


def press(qtbot, panel):
    qtbot.mouseClick(panel.header.run_button, Qt.MouseButton.LeftButton)


def long(panel):
    panel.form.entries["steps_wanted"].control.setValue(1_000_000_000)


def finish(qtbot, panel):
    """Press Run and wait; the run as a session keeps it."""
    press(qtbot, panel)
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)
    words, view = panel.words_shown(), panel.state_of_view()
    panel.run_shown = Run.of(panel.job.worker, panel.result, words=words, view=view)
    return panel.run_shown


def card(panel) -> Any:
    """The panel's open card, or None."""
    return card_of(panel)
