"""Fields: the form's entries in two columns under captions; what a task does not use is hidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from engine.errors import SpecError
from gui.buttons import Button, label
from gui.entry import Choice, Entry
from gui.form import Form
from gui.ref_field import RefField
from gui.slider import Slider

GAP, WIDE = 8, 256  # px
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """A caption over fields, in the order in which they fill two columns."""

    name: str
    fields: tuple[str, ...]


GROUPS = (
    Group("Task", ("task", "corpus", "period", "period_low", "period_high", "modulus",
                   "train_fraction", "list_length", "d_vocab", "n_ctx")),
    Group("Optimiser", ("lr", "weight_decay", "n_steps", "batch", "seed")),
    Group("Model", ("n_layers", "n_heads", "d_model", "d_mlp", "norm", "positions")),
    Group("Record", ("score_every", "checkpoint_every")),
)  # fmt: skip
ADVANCED = Group(
    "Advanced: schedule, betas, clip",
    ("act_fn", "gated_mlp", "biases", "tokenizer", "schedule", "warm_up", "beta1", "beta2", "clip",
     "pace", "start"),
)  # fmt: skip
FULL = ("task", "corpus", "tokenizer", "start")  # beside anything that is a slider
APPLIES: dict[str, Callable[[Values], bool]] = {
    "period": lambda now: now["task"] == "induction",
    "period_low": lambda now: now["task"] == "induction" and now["period"] == "random",
    "period_high": lambda now: now["task"] == "induction",
    "modulus": lambda now: now["task"] == "addition",
    "train_fraction": lambda now: now["task"] == "addition",
    "list_length": lambda now: now["task"] == "sorting",
    "corpus": lambda now: now["task"] == "text",
    "tokenizer": lambda now: now["task"] == "text",
    "d_vocab": lambda now: now["task"] not in ("addition", "cycle"),
    "n_ctx": lambda now: now["task"] in ("induction", "text"),
    "batch": lambda now: now["task"] not in ("addition", "cycle"),
    "act_fn": lambda now: now["d_mlp"] != 0,
    "gated_mlp": lambda now: now["d_mlp"] != 0,
}


class Fields(QWidget):
    """Belongs to a form, whose entries it lays out."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form, self.entries = form, form.entries
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        self._grids: list[tuple[Group, QGridLayout]] = []
        self._shown: tuple[str, ...] = ()
        self._open = False
        known = {name for group in (*GROUPS, ADVANCED) for name in group.fields}
        rest = tuple(name for name in self.entries if name not in known)
        for group in GROUPS:
            heading = label(group.name, "panel")
            heading.setContentsMargins(0, 6 if self._grids else 0, 0, 0)
            box.addWidget(heading)
            self._add(box, group)
        self.more = Button(ADVANCED.name, "chevron-right", self.toggle, flat=True)
        self.more.setProperty("align", "left")
        box.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        self._add(box, Group(ADVANCED.name, ADVANCED.fields + rest))
        form.take_over(self)
        for entry in self.entries.values():  # two fit beside each other, however long they may get
            entry.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            entry.control.setMinimumWidth(40)
            entry.caption.setMinimumWidth(40)
        for name in ("task", "period", "d_mlp"):
            if name in self.entries:
                self.entries[name].changed.connect(self.arrange)
        form.changed.connect(self.arrange)
        self.arrange()

    def _add(self, box: QVBoxLayout, group: Group) -> None:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(GAP)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        box.addLayout(grid)
        self._grids.append((group, grid))

    def sizeHint(self) -> QSize:
        return QSize(WIDE, super().sizeHint().height())

    def toggle(self) -> None:
        self.unfold(not self._open)

    def unfold(self, on: bool) -> None:
        """Show the advanced fields too."""
        self._open = on
        self.more.set_icon("chevron-down" if on else "chevron-right")
        self.arrange()

    def values(self) -> dict[str, Any]:
        """What the form says where it can be read, else the defaults."""
        found: dict[str, Any] = {}
        for name, entry in self.entries.items():
            try:
                found[name] = entry.value
            except (SpecError, ValueError):
                found[name] = entry.default
        return found

    def arrange(self) -> None:
        """Show what applies to the values as they stand; a refused field is never hidden."""
        now = self.values()
        shown = []
        for group, _grid in self._grids:
            folded = group.name == ADVANCED.name and not self._open
            for name in group.fields:
                entry = self.entries.get(name)
                if entry is None:
                    continue
                fits = name not in APPLIES or APPLIES[name](now)
                marked = bool(entry.reason.text())
                if (fits and not folded) or marked:
                    shown.append(name)
        if tuple(shown) == self._shown:
            return
        self._shown = tuple(shown)
        for group, grid in self._grids:
            self._fill(group, grid)
        self.updateGeometry()
        self.form.updateGeometry()

    def _fill(self, group: Group, grid: QGridLayout) -> None:
        while grid.count():
            grid.takeAt(0)
        row = col = 0
        for name in group.fields:
            entry = self.entries.get(name)
            if entry is None:
                continue
            if name not in self._shown:
                entry.hide()
                continue
            if self._wide(entry):
                row += col  # a half-filled row is closed
                grid.addWidget(entry, row, 0, 1, 2)
                row, col = row + 1, 0
            else:
                grid.addWidget(entry, row, col)
                row, col = row + col, 1 - col
            entry.show()

    @staticmethod
    def _wide(entry: Entry) -> bool:
        return (
            entry.name in FULL
            or isinstance(entry.control, Slider | RefField)
            or (entry.name == "period" and isinstance(entry.control, Choice))
        )
