"""Fields: the form's entries in two columns under captions; the tasks are small pictures."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from gui.buttons import Button, label
from gui.field_grid import two_columns
from gui.form import Form
from gui.mlp.tiles import TaskTiles

WIDE = 228  # px: beside the form's margins and the bar that scrolls it
GROUPS = {
    "Figure": ("task",),
    "Network": ("width", "depth", "act_fn", "instances"),
    "Training": ("lr", "n_steps", "n_train", "n_test", "seed"),
    "Probe": ("probe",),
}
ADVANCED = "Advanced: schedule, batch, records"
WORDS = {
    "width": "Units per layer", "depth": "Hidden layers", "act_fn": "Activation",
    "instances": "Networks", "lr": "Learning rate, live", "n_steps": "Steps, live",
    "n_train": "Train points", "n_test": "Test points", "probe": "Fitted as",
    "ridge": "Ridge", "logistic": "Logistic", "relu": "ReLU", "tanh": "tanh", "gelu": "GELU",
}  # fmt: skip


class Fields(QWidget):
    """Belongs to a form, whose entries it lays out."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form, self.entries = form, form.entries
        self.tiles = TaskTiles(self._chose)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        named = [name for names in GROUPS.values() for name in names]
        for caption, names in GROUPS.items():
            heading = label(caption, "panel")
            heading.setContentsMargins(0, 0 if caption == "Figure" else 6, 0, 0)
            box.addWidget(heading)
            if caption == "Figure":
                box.addWidget(self.tiles)
            box.addLayout(self._grid([name for name in names if name in self.entries]))
        self.more = Button(ADVANCED, "chevron-right", self.toggle, flat=True)
        self.more.setProperty("align", "left")
        box.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        self.rest = [name for name in self.entries if name not in named]
        box.addLayout(self._grid(self.rest))
        form.take_over(self)
        self.entries["task"].hide()  # the pictures stand for it
        self._open = True
        self.unfold(False)
        form.changed.connect(self._show)
        self._show()

    def _grid(self, names: list[str]) -> QGridLayout:
        return two_columns([self.entries[name] for name in names])

    def sizeHint(self) -> QSize:
        return QSize(WIDE, super().sizeHint().height())

    def _chose(self, task: str) -> None:
        self.entries["task"].value = task

    def _show(self) -> None:
        self.tiles.show_task(self.entries["task"].value)

    def toggle(self) -> None:
        self.unfold(not self._open)

    def unfold(self, on: bool) -> None:
        """Show the advanced fields too; a refused one is never hidden."""
        self._open = on
        self.more.set_icon("chevron-down" if on else "chevron-right")
        for name in self.rest:
            entry = self.entries[name]
            entry.setVisible(on or bool(entry.reason.text()))
        self.updateGeometry()
        self.form.updateGeometry()
