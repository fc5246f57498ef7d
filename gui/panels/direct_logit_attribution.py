"""Direct logit attribution: which parts wrote a logit, as bars that sum to it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.techniques.direct_logit_attribution import DirectLogitAttributionResult
from gui.causal.ranked import Bar
from gui.focus import Focus
from gui.lens import parts_said as said
from gui.lens import rows
from gui.lens.parts_page import PARTS, UNITS, PartsPage
from gui.panel import Panel
from gui.plots import Line, token_text

COMPONENTS = {"attn": ".attn", "head": ".attn", "mlp": ".mlp", "neuron": ".mlp"}
NEURON_ROWS = 24  # listed in the picture; the run has more


class DirectLogitAttributionPanel(Panel):
    """A waterfall at one position, heads and the stream beside it, all positions below."""

    kind = "DirectLogitAttribution"
    title = "Direct attribution"
    icon = "sliders-horizontal"
    place = "centre-top"
    order = 15
    words = {"unit": "A bar for each", "top_neurons": "Neurons listed", **UNITS}  # noqa: RUF012
    question = ("Take a logit apart", "Which attention, MLP, head or neuron wrote the answer? The "
                "bars sum to the logit.")  # fmt: skip
    empty = (
        "Here the answer's logit stands as a sum: a bar for what each part of the model wrote "
        "towards it, and against it. Write a clean prompt, choose an answer and press Run."
    )

    def build(self) -> QWidget:
        outer = QWidget()
        self.page = PartsPage()
        box = QVBoxLayout(outer)
        box.setContentsMargins(16, 8, 16, 4)
        box.addWidget(self.page)
        page = self.page
        page.turned.connect(self._draw_again)
        page.asked.connect(self._ask)
        page.parts_plot.clicked.connect(self._part_clicked)
        page.heads.clicked.connect(self._head_clicked)
        page.stream.clicked.connect(lambda _row, col: self._row_clicked(col))
        page.neurons.picked.connect(self._neuron_clicked)
        page.strip.clicked.connect(self._strip_clicked)
        return outer

    def view(self) -> dict[str, Any]:
        return {"view": self.page.view, "order": self.page.order}

    def set_view(self, view: dict[str, Any]) -> None:
        self.page.show_view(str(view.get("view", PARTS)))
        self.page.show_order(str(view.get("order", "flow")))

    def become_twin(self) -> None:
        super().become_twin()
        self.page.bare = True

    # drawing

    def draw(self, result: DirectLogitAttributionResult) -> None:
        heads, neurons = result.heads.shape[1] > 0, len(result.neuron_value) > 0
        self.page.show_run(result.unit, result.weights, heads, neurons)
        self._draw_position(result)
        if neurons:
            self._draw_neurons(result)
        self.page.arrange()

    def _draw_position(self, result: DirectLogitAttributionResult) -> None:
        """All that is of the chosen position."""
        page, at = self.page, self._position()
        page.title.setText(said.title(result, at, self.pieces))
        page.parts_plot.set_parts(
            said.bars(result, at), float(result.total[at]), name="sum",
            unit="logits", by_size=page.order == "size",
        )  # fmt: skip
        page.identity.setText(said.adds_up(result, at))
        page.identity.setToolTip(page.identity.text())
        constant = float(result.constant)
        page.stream.set_lines(
            [Line("so far", result.accumulated[:, at] + constant, "accent")], result.row_names,
            title="The stream up to each point, read with the final scale, in logits",
        )  # fmt: skip
        if result.heads.shape[1]:
            self._draw_heads(result, at)
        self._draw_strip(result, at)

    def _draw_heads(self, result: DirectLogitAttributionResult, at: int) -> None:
        values = result.heads[:, :, at]  # [layer, head]
        layers = [str(layer) for layer in range(len(values))]
        self.page.heads.set_data(
            values, layers, [str(head) for head in range(values.shape[1])], scale="diverging",
            axis_title="head", unit="logits", tokens="none",
        )  # fmt: skip
        word = token_text(self.pieces([int(result.tokens[at])])[0])
        self.page.heads_title.setText(f"What every head adds after {word} ({at})")

    def _draw_strip(self, result: DirectLogitAttributionResult, at: int) -> None:
        """The logit at every position, and above it the part that is looked at."""
        part = self._looked_at(result)
        named = [("all", result.total)]
        if part is not None:
            named.insert(0, (result.names[part], result.value[part]))
        names = [name for name, _ in reversed(named)]
        values = np.stack([each for _, each in reversed(named)])  # [row, pos]
        page = self.page
        page.strip.set_data(
            values, names, self.pieces(result.tokens), scale="diverging", unit="logits",
            col_sublabels=[str(pos) for pos in range(len(result.tokens))], tokens="cols",
            bar=False,
        )  # fmt: skip
        page.strip.set_focus(None, at)

    def _draw_neurons(self, result: DirectLogitAttributionResult) -> None:
        found = zip(result.neuron_layer, result.neuron_index, result.neuron_value, strict=True)
        bars = [
            Bar(f"{layer}.n{index}", float(value), float("nan"), (int(layer), int(index)))
            for layer, index, value in list(found)[:NEURON_ROWS]
        ]
        title = f"neurons at position {int(result.position)}"
        self.page.neurons.set_bars(bars, None, title=title, unit="logits")

    def _draw_again(self) -> None:
        if self.result is not None:
            self.draw(self.result)
            self.look_at(self.desk.focus)

    def sentence(self, result: DirectLogitAttributionResult) -> str:
        return said.sentence(result, self._position(), self.pieces)

    def difference(
        self, result_a: DirectLogitAttributionResult, result_b: DirectLogitAttributionResult
    ) -> str:
        places = [self._position_in(each) for each in (result_a, result_b)]
        return said.compared(result_a, result_b, places)

    def labels(self, axis: str, n: int) -> tuple[list[str], bool]:
        result = self.result
        if result is not None and axis == "component" and len(result.names) == n:
            return list(result.names), False
        if result is not None and axis == "row" and len(result.row_names) == n:
            return list(result.row_names), False
        if result is not None and axis == "neuron" and len(result.neuron_value) == n:
            found = zip(result.neuron_layer, result.neuron_index, strict=True)
            return [f"{layer}.n{index}" for layer, index in found], False
        return super().labels(axis, n)

    # where one looks

    def look_at(self, focus: Focus) -> None:
        result = self.result
        if result is None:
            return
        self._draw_position(result)
        self.page.parts_plot.set_focus(self._looked_at(result))
        self.page.stream.set_focus(rows.row_of(focus, result.row_names, result.row_hooks))
        self.page.heads.set_focus(focus.layer, focus.head)
        own = focus.layer is not None and focus.feature is not None
        self.page.neurons.set_focus((focus.layer or 0, focus.feature or 0) if own else None)
        self.line.setText(self.sentence(result))

    def _position(self) -> int:
        return self._position_in(self.result)

    def _position_in(self, result: Any) -> int:
        """The Focus' position, or that of the run."""
        at = self.desk.focus.position
        if at is not None and 0 <= at < len(result.tokens):
            return at
        return min(max(int(result.position), 0), len(result.tokens) - 1)

    def _looked_at(self, result: DirectLogitAttributionResult) -> int | None:
        """The bar of the Focus: of its head or neuron, else of its attention, MLP or layer."""
        focus, found = self.desk.focus, None
        for index, kind in enumerate(result.kinds):
            layer, number = int(result.layers[index]), int(result.indices[index])
            if kind == "embed" and focus.component == result.names[index]:
                return index
            if focus.layer is None or layer != focus.layer:
                continue
            if kind in ("head", "neuron"):
                if number == (focus.head if kind == "head" else focus.feature):
                    return index
            elif kind == "layer" or (kind in COMPONENTS and _of(focus, COMPONENTS[kind])):
                found = index
        return found

    def _part_clicked(self, row: int, _col: int) -> None:
        result, part = self.result, self.page.parts_plot.part_at(row)
        if part is None or part.index < 0:
            return
        kind, layer = result.kinds[part.index], int(result.layers[part.index])
        hook, number = result.hooks[part.index], int(result.indices[part.index])
        if layer < 0:
            if kind == "embed":
                self.desk.turn(layer=None, head=None, hook=hook, component=part.name)
            return
        turned: dict[str, Any] = {"head": number if kind == "head" else None}
        if kind == "neuron":
            turned["feature"] = number
        component = f"blocks.{layer}{COMPONENTS.get(kind, '')}"
        self.desk.turn(layer=layer, hook=hook, component=component, **turned)

    def _head_clicked(self, layer: int, head: int) -> None:
        self.desk.turn(layer=layer, head=head, hook=f"blocks.{layer}.attn.hook_z",
                       component=f"blocks.{layer}.attn")  # fmt: skip

    def _row_clicked(self, row: int) -> None:
        names, hooks = self.result.row_names, self.result.row_hooks
        self.desk.turn(head=None, **rows.focus_fields(names[row], hooks[row]))

    def _neuron_clicked(self, layer: int, index: int) -> None:
        self.desk.turn(layer=layer, head=None, feature=index, component=f"blocks.{layer}.mlp",
                       hook=f"blocks.{layer}.mlp.hook_post")  # fmt: skip

    def _strip_clicked(self, _row: int, position: int) -> None:
        self.desk.turn(position=position)

    def _ask(self, field: str, value: str) -> None:
        """Another unit or other weights: a run of its own."""
        if self.form is None or self.running or self._twin:
            return
        self.form.entries[field].value = value
        if self.result is not None:
            self.run()


def _of(focus: Focus, part: str) -> bool:
    return focus.component.endswith(part) or f"{part}." in focus.hook
