"""Fields: the form in two columns under captions; what an architecture does not use is hidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QCompleter, QGridLayout, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from engine.errors import SpecError
from gui.buttons import Button, label
from gui.entry import Entry
from gui.form import Form
from gui.ref_field import RefField
from gui.slider import Slider

GAP, WIDE = 8, 236  # px: beside the form's margins and the bar that scrolls it
Values = Mapping[str, Any]

GROUPS = {
    "Text": ("data", "n_tokens", "context", "held_out", "skip_first"),
    "Site": ("hook", "head"),
    "Dictionary": ("architecture", "k", "l1", "norm", "expansion", "d_sae"),
    "Training": ("lr", "n_steps", "batch", "decay", "seed", "checkpoint_every"),
    "Go on from": ("start",),
}
ADVANCED = "Advanced: schedule, checks"
WORDS = {
    "data": "Text", "n_tokens": "Tokens", "skip_first": "Skip BOS", "d_sae": "Latents",
    "expansion": "Per dimension", "k": "k, one or several",
    "l1": "Sparsity weight, one or several", "norm": "Decoder rows",
    "lr": "Learning rate, live", "n_steps": "Steps, live", "checkpoint_every": "Keep every, live",
    "start": "Checkpoint", "held_out": "Held out", "b_dec": "Decoder bias", "clip": "Gradient clip",
    "normalize": "Scale of activations", "aux_k": "Weight of aux-k", "l0_loss": "L0 loss",
    "pre_act": "Loss for dead", "target_l0": "Target L0", "init_threshold": "First threshold",
    "buffer_mb": "Buffer, MB", "n_held_out": "Tokens to check", "check_every": "Check every",
    "dead_window": "Dead after", "pace": "Pace, live", "threshold_lr": "Threshold's rate",
    "topk": "TopK", "batchtopk": "BatchTopK", "jumprelu": "JumpReLU", "standard": "ReLU with L1",
    "gated": "Gated", "weighted": "weighted", "unit": "length 1",
    "expected_average_only_in": "one factor", "constant_norm_rescale": "each to one norm",
    "layer_norm": "LayerNorm",
}  # fmt: skip
FULL = ("data", "hook", "architecture", "k", "l1", "start")
BY_K = ("topk", "batchtopk")
HEADED = ("hook_z", "hook_q", "hook_k", "hook_v", "hook_result")
APPLIES: dict[str, Callable[[Values], bool]] = {
    "head": lambda now: str(now["hook"]).endswith(HEADED),
    "k": lambda now: now["architecture"] in BY_K,
    "l1": lambda now: now["architecture"] not in BY_K,
    "expansion": lambda now: not now["d_sae"],
    "aux_k": lambda now: now["architecture"] in BY_K,
    "sparsity_warm_up": lambda now: now["architecture"] not in BY_K,
    "threshold_lr": lambda now: now["architecture"] == "batchtopk",
    "l0_loss": lambda now: now["architecture"] == "jumprelu",
    "bandwidth": lambda now: now["architecture"] == "jumprelu",
    "init_threshold": lambda now: now["architecture"] == "jumprelu",
    "pre_act": lambda now: now["architecture"] == "jumprelu",
    "target_l0": lambda now: now["architecture"] == "jumprelu" and now["l0_loss"] == "quadratic",
    "resample_last": lambda now: now["resample_every"] != 0,
}


class Fields(QWidget):
    """Belongs to a form, whose entries it lays out."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form, self.entries = form, form.entries
        self._grids: dict[str, tuple[tuple[str, ...], QGridLayout]] = {}
        self._shown: tuple[str, ...] = ()
        self._open = False
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        known = {name for names in GROUPS.values() for name in names}
        for caption, names in GROUPS.items():
            heading = label(caption, "panel")
            heading.setContentsMargins(0, 6 if self._grids else 0, 0, 0)
            box.addWidget(heading)
            self._add(box, caption, names)
        self.more = Button(ADVANCED, "chevron-right", self.toggle, flat=True)
        self.more.setProperty("align", "left")
        box.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        self._add(box, ADVANCED, tuple(name for name in self.entries if name not in known))
        form.take_over(self)
        for entry in self.entries.values():  # two fit beside each other, however long they may get
            entry.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            entry.control.setMinimumWidth(40)
            entry.caption.setMinimumWidth(40)
        form.changed.connect(self.arrange)
        self.arrange()

    def _add(self, box: QVBoxLayout, caption: str, names: tuple[str, ...]) -> None:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(GAP)
        grid.setVerticalSpacing(6)
        for column in (0, 1):
            grid.setColumnStretch(column, 1)
        box.addLayout(grid)
        self._grids[caption] = (tuple(name for name in names if name in self.entries), grid)

    def sizeHint(self) -> QSize:
        return QSize(WIDE, super().sizeHint().height())

    def offer_hooks(self, hooks: list[str]) -> None:
        """Names to complete what is typed as the hook."""
        line = self.entries["hook"].control
        if isinstance(line, QLineEdit):
            completer = QCompleter(hooks, line)
            completer.setFilterMode(Qt.MatchFlag.MatchContains)
            completer.activated.connect(lambda _: self.form.changed.emit())
            line.setCompleter(completer)

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
        now, shown = self.values(), []
        for caption, (names, _grid) in self._grids.items():
            folded = caption == ADVANCED and not self._open
            for name in names:
                fits = name not in APPLIES or APPLIES[name](now)
                if (fits and not folded) or self.entries[name].reason.text():
                    shown.append(name)
        if tuple(shown) == self._shown:
            return
        self._shown = tuple(shown)
        for names, grid in self._grids.values():
            self._fill(names, grid)
        self.updateGeometry()
        self.form.updateGeometry()

    def _fill(self, names: tuple[str, ...], grid: QGridLayout) -> None:
        while grid.count():
            grid.takeAt(0)
        row = col = 0
        for name in names:
            entry = self.entries[name]
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
        return entry.name in FULL or isinstance(entry.control, Slider | RefField)
