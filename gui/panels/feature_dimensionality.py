"""Feature dimensionality: how much of a dimension each feature gets, over how rare features are."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from engine.techniques.feature_dimensionality import (
    FeatureDimensionality,
    FeatureDimensionalityResult,
    small_figure,
)
from engine.toy.reading_diagrams import dimensionality_sentence
from gui import theme
from gui.buttons import Button, label
from gui.focus import Desk
from gui.jobs import Jobs
from gui.panel import Panel
from gui.plots.dot_curve import DotCurve
from gui.plots.grid import NOWHERE

AXES = ("1 / (1 − S)", "dimensions per feature")


class FeatureDimensionalityPanel(Panel):
    """D* as a line, every D_i as a dot, and the shapes that they may sit on."""

    kind = "FeatureDimensionality"
    title = "Dimensionality"
    icon = "activity"
    place = "centre-top"
    order = 80
    form_open = True
    arrangement: ClassVar[str] = "Toy models"
    words = {  # noqa: RUF012
        "n_features": "Features n", "d_hidden": "Hidden m", "lowest": "1/(1 − S) from",
        "highest": "to", "count": "Densities", "n_steps": "Steps", "lr": "Learning rate",
    }  # fmt: skip
    empty = (
        "Here each dot is the share of a dimension that one feature gets; features settle on the "
        "lines of small regular solids. Press Run, or choose a figure above."
    )

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        super().__init__(desk, jobs)
        self.presets: dict[str, tuple[Button, FeatureDimensionality]] = {}
        self.row: QWidget | None = None
        if not theme.paper():
            self._offer_presets()

    def build(self) -> QWidget:
        page = QWidget()
        self.plot = DotCurve(name="dimensionality of every feature")
        box = QVBoxLayout(page)
        box.setContentsMargins(16, 8, 16, 4)
        box.addWidget(self.plot, 1)
        return page

    def _offer_presets(self) -> None:
        """The large and the small figure, over the picture; a click runs one."""
        assert self.form is not None
        self.row = QWidget()
        row = QHBoxLayout(self.row)
        row.setContentsMargins(16, 0, 16, 8)
        row.setSpacing(8)
        row.addWidget(label("Figures", "caption"))
        for spec in (FeatureDimensionality(), small_figure()):
            count = len(spec.points) or spec.count
            name = f"n {spec.n_features}, m {spec.d_hidden}"
            button = Button(name, "", lambda spec=spec: self.run_preset(spec))
            button.setToolTip(f"{count} densities, {spec.n_steps:,} steps each; runs at once")
            self.presets[name] = (button, spec)
            row.addWidget(button)
        row.addStretch(1)
        box = self.layout()
        assert isinstance(box, QVBoxLayout)
        box.insertWidget(box.indexOf(self.form) + 1, self.row)
        self.row.setVisible(self.form_open)
        self.header.form_toggled.connect(self.row.setVisible)

    def run_preset(self, spec: FeatureDimensionality) -> None:
        """Take its settings and run it, after the run that may be going on."""
        if self.form is None:
            return
        if self.running and self.job is not None:
            again = Qt.ConnectionType.SingleShotConnection
            self.job.ended.connect(lambda: self.run_preset(spec), again)
            self.stop()
            return
        self.form.show_spec(spec)
        self.run()

    def draw(self, result: FeatureDimensionalityResult) -> None:
        names = zip(result.line.tolist(), result.line_name, strict=True)
        self.plot.set_data(
            result.inverse,
            result.D_star,
            result.D,
            result.represented,
            references=list(names),
            line_name="D*",
            axes=AXES,
        )

    def sentence(self, result: FeatureDimensionalityResult) -> str:
        return dimensionality_sentence(result)

    def difference(self, result_a: Any, result_b: Any) -> str:
        """How far apart the two lines are where both were trained."""
        if not np.array_equal(result_a.inverse, result_b.inverse):
            return "The two were trained at different densities."
        return ""

    def labels(self, axis: str, n: int) -> tuple[list[str], bool]:
        """Densities by 1/(1 - S), lines by their names."""
        result = self.result
        if axis == "density" and n == len(result.inverse):
            return [f"{value:.3g}" for value in result.inverse], False
        if axis == "line" and n == len(result.line_name):
            return list(result.line_name), False
        return super().labels(axis, n)

    def become_twin(self) -> None:
        super().become_twin()
        if self.row is not None:
            self.row.hide()

    def view(self) -> dict[str, Any]:
        row, dot = self.plot.chosen
        return {"dot": [row, dot]} if self.plot.chosen != NOWHERE else {}

    def set_view(self, view: dict[str, Any]) -> None:
        dot = view.get("dot")
        self.plot.chosen = NOWHERE
        pair = dot if isinstance(dot, list) and len(dot) == 2 else []
        if pair and all(type(at) is int and at >= -1 for at in pair):
            self.plot.chosen = (pair[0], pair[1])
        self.plot.update()
