"""Logit lens: the predicted token at every layer and position, and the answer's rise at one."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QGridLayout, QMenu, QWidget

from engine.techniques.logit_lens import LogitLensResult, settled
from gui.focus import Focus
from gui.panel import Panel
from gui.plots import HeatMap, Key, LayerCurve, Legend, Line, figure, token_text

KEYS = {
    "border": Key("border", "from here the final answer stays"),
    "thin": Key("thin", "it settles only in the last layer"),
    "corner": Key("corner", "it leads here first"),
}


class LogitLensPanel(Panel):
    """Rows are layers, columns positions; gold marks where the final answer is found."""

    kind = "LogitLens"
    title = "Logit lens"
    icon = "layers"
    place = "centre-top"
    order = 10
    question = ("Read a sentence layer by layer", "What would each layer answer, and from where "
                "does the answer stay?")  # fmt: skip
    empty = (
        "Here each layer says which token it would predict at each position. "
        "Write a clean prompt and press Run."
    )

    def build(self) -> QWidget:
        page = QWidget()
        self.map = HeatMap(name="logit lens")
        self.curve = LayerCurve(name="probability by layer")
        self.curve.follow(self.map)
        self.legend = Legend([Key("ramp", "probability"), KEYS["border"]])
        grid = QGridLayout(page)
        grid.setContentsMargins(16, 8, 16, 4)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        grid.addWidget(self.map, 0, 0)
        grid.addWidget(self.curve, 0, 1)
        grid.addWidget(self.legend, 1, 0, 1, 2)
        grid.setColumnStretch(0, 1)
        grid.setRowStretch(0, 1)
        self.map.clicked.connect(self._clicked)
        self.curve.clicked.connect(lambda row, _col: self._turn(row, self._position()))
        return page

    def menu(self) -> QMenu:
        menu = super().menu()
        self.sized = QAction("Size tokens by probability", menu, checkable=True)
        self.sized.toggled.connect(lambda _on: self.result is not None and self.draw(self.result))
        menu.addSeparator()
        menu.addAction(self.sized)
        return menu

    def view(self) -> dict[str, Any]:
        return {"sized": self.sized.isChecked()}

    def set_view(self, view: dict[str, Any]) -> None:
        self.sized.setChecked(view.get("sized") is True)

    def draw(self, result: LogitLensResult) -> None:
        n_layers, n_pos, _k = result.top_ids.shape
        shown = result.top_probabilities[..., 0]  # [layer, pos]
        known = sorted({int(i) for i in result.top_ids[..., 0].reshape(-1) if i >= 0})
        word_of = dict(zip(known, self.pieces(known), strict=True))
        text = [
            [word_of.get(int(result.top_ids[row, col, 0])) for col in range(n_pos)]
            for row in range(n_layers)
        ]
        stays, appears = settled(result.top_ids)
        self.map.set_data(
            shown,
            ["embed", *(str(layer) for layer in range(n_layers - 1))],
            self.pieces(result.tokens),
            col_sublabels=[str(at) for at in range(n_pos)],
            text=text,
            text_size_by=shown if self.sized.isChecked() else None,
            borders=_at(np.where(stays < n_layers - 1, stays, -1), n_layers),
            thin=_at(np.where(stays == n_layers - 1, stays, -1), n_layers),
            corners=_at(np.where(appears < stays, appears, -1), n_layers),
            axis_title="layer",
            tokens="cols",
        )
        seen = {
            "border": (stays >= 0) & (stays < n_layers - 1),
            "thin": stays == n_layers - 1,
            "corner": (appears >= 0) & (appears < stays),
        }
        keys = [KEYS[kind] for kind, where in seen.items() if where.any()]
        self.legend.set_keys([Key("ramp", "probability"), *keys])
        self._draw_curve(result)

    def _draw_curve(self, result: LogitLensResult) -> None:
        """Probability of the tracked token at the chosen position, and of the runner-up's."""
        at = self._position()
        name = self.pieces([int(result.target_ids[at])])[0] if result.target_ids[at] >= 0 else ""
        lines = [Line(name, result.target_probability[:, at], "accent", token=True)]
        rival = result.top_probabilities[:, at, 0]  # [layer]
        other = result.top_ids[:, at, 0] != result.target_ids[at]  # [layer]
        if other.any() and np.isfinite(rival[other]).any():
            lines.append(Line("best", rival, "faint", dashed=True))
        labels = ["embed", *(str(layer) for layer in range(len(rival) - 1))]
        self.curve.set_lines(lines, title=f"P at {at}", limits=(0.0, 1.0), labels=labels)

    def sentence(self, result: LogitLensResult) -> str:
        stays, appears = settled(result.top_ids)
        at = self._position()
        if result.target_ids[at] < 0 or stays[at] < 0:
            return ""
        final = int(result.top_ids[-1, at, 0])
        word = token_text(self.pieces([final])[0])
        chance = figure(float(result.top_probabilities[-1, at, 0]), 2)
        place = _row_name(int(stays[at]))
        if stays[at] == len(result.top_ids) - 1:
            said = f"At position {at} the final answer {word} (P {chance}) settles only in {place}"
        else:
            said = f"At position {at} the final answer {word} (P {chance}) leads from {place} on"
        if 0 <= appears[at] < stays[at]:
            said += f", after a first lead at {_row_name(int(appears[at]))}"
        if int(result.target_ids[at]) != final:
            target = token_text(self.pieces([int(result.target_ids[at])])[0])
            rank = int(result.target_rank[-1, at]) + 1
            said += f"; {target} ends at rank {rank:,}"
        return said + "."

    def look_at(self, focus: Focus) -> None:
        if self.result is None:
            return
        self._draw_curve(self.result)
        row = None if focus.layer is None else focus.layer + 1
        if focus.hook == "hook_embed":
            row = 0
        self.map.set_focus(row, self._position())
        self.curve.set_focus(row)
        self.line.setText(self.sentence(self.result))

    def _position(self) -> int:
        """The Focus' position, or the last one."""
        n = len(self.result.tokens) if self.result is not None else 1
        at = self.desk.focus.position
        return at if at is not None and 0 <= at < n else n - 1

    def _clicked(self, row: int, col: int) -> None:
        self._turn(row, col)

    def _turn(self, row: int, position: int) -> None:
        layer = row - 1 if row else None
        hook = f"blocks.{row - 1}.hook_resid_post" if row else "hook_embed"
        component: Any = f"blocks.{row - 1}" if row else "embed"
        self.desk.turn(layer=layer, position=position, hook=hook, component=component)


def _row_name(row: int) -> str:
    return f"layer {row - 1}" if row else "the embedding"


def _at(rows: np.ndarray, n_layers: int) -> np.ndarray:
    """One True per column at its row [pos] -> [layer, pos]; -1 marks none."""
    return rows[None, :] == np.arange(n_layers)[:, None]
