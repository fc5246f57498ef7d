"""Side: recipes over the settings of a training in groups, in a column that scrolls."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QFrame

from gui.buttons import label
from gui.column import Column
from gui.form import Form
from gui.presets_list import PresetList, Row
from gui.sae_train.fields import Fields
from gui.sae_train.presets import PRESETS, preset_of

WIDTH = 280  # px
STREAMS = ("hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_attn_out", "hook_mlp_out")


class Side(Column):
    """`follows` says what the settings amount to."""

    def __init__(self, form: Form) -> None:
        super().__init__((0, 4, 0, 8), 4)
        self.setFixedWidth(WIDTH)
        self.form, self.fields = form, Fields(form)
        self.follows = label("", "small")
        self.follows.setContentsMargins(16, 0, 16, 8)
        self.follows.setWordWrap(True)
        line = QFrame()
        line.setProperty("hairline", True)
        heading = label("Recipes", "panel")
        heading.setContentsMargins(16, 4, 0, 0)
        self.presets = PresetList()
        self.rows = [Row(each.name, each.facts, "", each.help) for each in PRESETS]
        for widget in (heading, self.presets, line, form, self.follows):
            self.box.addWidget(widget)
        self.box.addStretch(1)
        self.presets.set_rows(self.rows)

    def minimumSizeHint(self) -> QSize:
        return QSize(WIDTH, 80)

    def take(self, row: int) -> None:
        """Put a recipe into the form; text, site and size stay as they are."""
        for name, value in PRESETS[row].values.items():
            self.form.entries[name].value = value
        self.form.changed.emit()

    def show_form(self, spec: Any, model: Any, running: bool) -> None:
        """Which recipe the fields are, and what they amount to. spec: None where one is refused."""
        if spec is None:
            return
        self.presets.set_rows(self.rows, preset_of(spec))
        self.say(
            "Sliders act at once; anything else starts with the next run."
            if running else amounts(spec, model)
        )  # fmt: skip

    def say(self, text: str) -> None:
        if text != self.follows.text():
            self.follows.setText(text)
            self.follows.setVisible(bool(text))


def amounts(spec: Any, model: Any) -> str:
    """How many latents are trained, on how many activations."""
    width = getattr(getattr(model, "config", None), "d_model", 0)
    size = spec.d_sae
    if not size and width and str(spec.hook).endswith(STREAMS):
        size = spec.expansion * width
    latents = f"{size:,} latents" if size else f"{spec.expansion} latents for each dimension"
    several = max(len(spec.k if spec.architecture in ("topk", "batchtopk") else spec.l1), 1)
    each = f", {several} SAEs from one forward pass" if several > 1 else ""
    return f"{latents}{each}; {spec.n_steps * spec.batch:,} activations in {spec.n_steps:,} steps."
