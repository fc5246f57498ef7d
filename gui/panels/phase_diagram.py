"""Phase diagram: what training does with an extra feature beside what is best in closed form."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.errors import RunError
from engine.techniques.phase_diagram import PhaseDiagram, PhaseDiagramResult
from engine.toy import theory
from engine.toy.reading_diagrams import agreeing, cell_sentence, phase_sentence
from gui.panel import Panel
from gui.plots import Key, Legend
from gui.plots.grid import NOWHERE
from gui.plots.verdict_maps import CATEGORIES, VerdictMaps

AXES = ("relative importance of the extra feature", "density p")
KEYS = [
    Key("badge", word, letter=letter, colour=colour)
    for word, (colour, letter) in zip(theory.VERDICTS, CATEGORIES, strict=True)
]


class PhaseDiagramPanel(Panel):
    """Left the best of the trained models, right the closed form, cell by cell."""

    kind = "PhaseDiagram"
    title = "Phase diagram"
    icon = "grid-3x3"
    place = "centre-top"
    order = 70
    form_open = True
    arrangement: ClassVar[str] = "Toy models"
    words = {  # noqa: RUF012
        "case": "Features in dimensions", "columns": "Importances", "rows": "Densities",
        "best_of": "Runs per cell", "n_steps": "Steps", "lr": "Learning rate",
    }  # fmt: skip
    question = ("Find where superposition begins", "Train every mix of importance and density, "
                "and set theory beside it.")  # fmt: skip
    empty = (
        "Here each cell says what training does with an extra feature: left out, in superposition, "
        "or with a dimension of its own. Beside it stands the closed form. Press Run."
    )

    def build(self) -> QWidget:
        page = QWidget()
        self.maps = VerdictMaps(name="phase diagram, trained and in closed form")
        self.legend = Legend(KEYS)
        box = QVBoxLayout(page)
        box.setContentsMargins(16, 8, 16, 4)
        box.setSpacing(4)
        box.addWidget(self.maps, 1)
        box.addWidget(self.legend)
        self.maps.clicked.connect(self._clicked)
        return page

    def draw(self, result: PhaseDiagramResult) -> None:
        known = result.trained >= 0  # [row, column]
        differs = known & ~agreeing(result)  # [row, column]
        rows, columns = result.trained.shape
        runs = result.run_verdicts.shape[-1]
        best = f"trained, best of {runs}" if runs > 1 else "trained, one run"
        self.maps.set_data(
            result.trained,
            result.closed_form,
            result.importance,
            result.density,
            differs=differs,
            titles=(best, "closed form"),
            axes=AXES,
            head=self._head(result, int(known.sum()), runs),
            words=[
                [cell_sentence(result, row, column) for column in range(columns)]
                for row in range(rows)
            ],
        )
        keys = list(KEYS)
        if differs.any():
            keys.append(Key("mark", "the two differ"))
        if not known.all():
            keys.append(Key("hatch", "not trained yet"))
        self.legend.set_keys(keys)

    def _head(self, result: PhaseDiagramResult, count: int, runs: int) -> tuple[str, str, str]:
        """The agreement, large; what it is of; and what single runs have."""
        if not count:
            return "–", "agreement with the closed form", "no cell has been trained to its end yet"
        whole = result.trained.size
        of = f"{whole} cells" if count == whole else f"the first {count} of {whole} cells"
        kept = f"the best of {runs} runs" if runs > 1 else "a single run"
        said = f"of {of}: {kept} does what the closed form says"
        if runs == 1:
            return f"{result.agreement:.1%}", said, "single runs may be local optima"
        alone = f"single runs: {result.run_agreement:.1%}, the others are local optima"
        return f"{result.agreement:.1%}", said, alone

    def sentence(self, result: PhaseDiagramResult) -> str:
        return phase_sentence(result)

    def difference(self, result_a: Any, result_b: Any) -> str:
        """How many cells two diagrams of the same cells judge differently."""
        same = all(
            np.array_equal(getattr(result_a, axis), getattr(result_b, axis))
            for axis in ("importance", "density")
        )
        if not same:
            return "The two have different cells."
        known = (result_a.trained >= 0) & (result_b.trained >= 0)  # [row, column]
        other = int((known & (result_a.trained != result_b.trained)).sum())
        rates = ", ".join(
            f"{name} {result.agreement:.1%}" for name, result in (("A", result_a), ("B", result_b))
            if not math.isnan(result.agreement)
        )  # fmt: skip
        return f"{other} of {int(known.sum())} cells end differently. Agreement: {rates}."

    def labels(self, axis: str, n: int) -> tuple[list[str], bool]:
        """Cells by their importance and density, options by their names."""
        result = self.result
        values = {"column": result.importance, "row": result.density}.get(axis)
        if values is not None and len(values) == n:
            return [f"{value:.2g}" for value in values], False
        if axis == "option" and n == len(theory.VERDICTS):
            return list(theory.VERDICTS), False
        return super().labels(axis, n)

    def _clicked(self, row: int, column: int) -> None:
        """Open the best model of the cell in the wheel."""
        spec, result = self.drawn[0], self.result
        if result is None or self._twin:
            return
        if not isinstance(spec, PhaseDiagram):
            return
        try:
            found, opened = spec.cell(result, row, column)
        except RunError as error:
            self.say(f"{str(error)[:1].upper()}{str(error)[1:]}.", "info")
            return
        self.message.hide()
        self.desk.ask("show result", ("ToyModel", found, opened))

    def view(self) -> dict[str, Any]:
        row, column = self.maps.chosen
        return {"cell": [row, column]} if self.maps.chosen != NOWHERE else {}

    def set_view(self, view: dict[str, Any]) -> None:
        cell = view.get("cell")
        self.maps.chosen = NOWHERE
        pair = cell if isinstance(cell, list) and len(cell) == 2 else []
        if pair and all(type(at) is int and at >= 0 for at in pair):
            self.maps.chosen = (pair[0], pair[1])
        self.maps.update()
