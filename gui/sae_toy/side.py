"""Side: the settings of a toy SAE in two columns under captions, over its presets."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QVBoxLayout, QWidget

from engine.sae.toy_presets import PRESETS
from gui.buttons import Button, label
from gui.column import Column
from gui.field_grid import two_columns
from gui.form import Form
from gui.presets_list import PresetList, Row

WIDTH, WIDE = 280, 228  # px: the column, and what stands in it
GROUPS = {
    "Concepts": ("directions", "n_concepts", "density"),
    "Autoencoder": ("architecture", "norm", "n_latents", "k", "sparsity", "bandwidth"),
    "Training": ("lr", "n_steps", "instances", "seed"),
}
ADVANCED = "Advanced: optimiser, data, records"
ONLY = {"k": ("topk",), "bandwidth": ("jumprelu",), "sparsity": ("standard", "jumprelu")}
WORDS = {
    "n_concepts": "Concepts", "density": "Density p", "n_latents": "Latents", "k": "k",
    "sparsity": "Sparsity weight, live", "lr": "Learning rate, live", "n_steps": "Steps, live",
    "instances": "SAEs", "norm": "Decoder norm", "b_dec": "Decoder bias",
    "n_samples": "Samples", "resample_every": "Resample every", "spread": "Kept apart",
    "random": "By chance", "standard": "Standard, L1", "topk": "TopK", "jumprelu": "JumpReLU",
    "unit": "Unit", "weighted": "Weighted", "free": "Free", "adam": "Adam", "sgd": "SGD",
    "linear": "Linear to 0", "constant": "Constant",
}  # fmt: skip


class Fields(QWidget):
    """Belongs to a form, whose entries it lays out; what an architecture lacks is not asked."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form, self.entries = form, form.entries
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        named = [name for names in GROUPS.values() for name in names]
        for caption, names in GROUPS.items():
            heading = label(caption, "panel")
            heading.setContentsMargins(0, 0 if caption == "Concepts" else 6, 0, 0)
            box.addWidget(heading)
            box.addLayout(self._grid(list(names)))
        self.more = Button(ADVANCED, "chevron-right", self.toggle, flat=True)
        self.more.setProperty("align", "left")
        box.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        self.rest = [name for name in self.entries if name not in named]
        box.addLayout(self._grid(self.rest))
        form.take_over(self)
        self._open = True
        self.unfold(False)
        form.changed.connect(self._show)
        self._show()

    def _grid(self, names: list[str]) -> QGridLayout:
        return two_columns([self.entries[name] for name in names])

    def sizeHint(self) -> QSize:
        return QSize(WIDE, super().sizeHint().height())

    def _show(self) -> None:
        """Only what the chosen architecture has; a refused field is never hidden."""
        chosen = self.entries["architecture"].value
        for name, kinds in ONLY.items():
            entry = self.entries[name]
            entry.setVisible(chosen in kinds or bool(entry.reason.text()))

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


class Side(Column):
    """A column that scrolls: presets over the settings they fill in."""

    def __init__(self, form: Form) -> None:
        super().__init__((0, 4, 0, 8), 4)
        self.setFixedWidth(WIDTH)
        self.specs: list[Any] = [preset.spec for preset in PRESETS]
        self.measured: dict[str, tuple[str, bool]] = {}
        self._current = -1
        self.fields, self.presets = Fields(form), PresetList()
        line = QFrame()
        line.setProperty("hairline", True)
        heading = label("Presets", "panel")
        heading.setContentsMargins(16, 8, 0, 0)
        for widget in (form, line, heading, self.presets):
            self.box.addWidget(widget)
        self.box.addStretch(1)
        self._fill()

    def minimumSizeHint(self) -> QSize:
        return QSize(WIDTH, 80)

    def show_form(self, form: Form | None) -> None:
        """Which preset the fields are, as they stand."""
        spec: Any = form.standing() if form is not None else None
        self._current = self.specs.index(spec) if spec in self.specs else -1
        self._fill()

    def measure(self, spec: Any, result: Any) -> None:
        """Put what a preset's whole run gave beside what was expected."""
        if spec not in self.specs or result.step < spec.n_steps:
            return
        preset = PRESETS[self.specs.index(spec)]
        self.measured[preset.name] = (preset.measured(result), bool(preset.check(result)))
        self._fill()

    def _fill(self) -> None:
        rows = []
        for preset in PRESETS:
            text, agrees = self.measured.get(preset.name, ("", None))
            about = f"{preset.why[:1].upper()}{preset.why[1:]}. {preset.source}."
            rows.append(Row(preset.name, preset.facts, preset.expected, about, text, agrees))
        self.presets.set_rows(rows, self._current)
