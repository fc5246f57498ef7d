"""Tracing: where a fact is held, by noise on its subject and one clean state put back."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from engine.errors import RunError, SpecError
from engine.techniques.causal_tracing import CausalTracing, CausalTracingResult
from gui import theme
from gui.causal import words
from gui.causal.tracing_page import Trace, TracingPage
from gui.focus import Desk, Focus
from gui.jobs import Jobs
from gui.panel import Panel
from gui.plots import Key, token_text

TITLES = {"stream": "Stream", "mlp": "MLPs", "attn": "Attention"}
WIDTHS = {"subject": 112, "answer": 76, "samples": 76, "noise": 76, "window": 76}  # px of fields
SITES = {"stream": "hook_resid_post", "mlp": "hook_mlp_out", "attn": "hook_attn_out"}
PARTS = {"stream": "", "mlp": ".mlp", "attn": ".attn"}


class CausalTracingPanel(Panel):
    """Three maps of tokens by layers, beside each other as in ROME's figure."""

    kind = "CausalTracing"
    title = "Tracing"
    icon = "activity"
    place = "centre-bottom"
    order = 22
    form_open = True
    words = {"noise": "Noise (σ)"}  # noqa: RUF012
    question = ("Where is a fact held?", "Noise on its subject, and one clean state put back.")
    empty = (
        "Here each cell shows how much of the answer comes back when one clean state is put into "
        "a run whose subject is noised. Write the subject, words of the prompt, and press Run."
    )

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        super().__init__(desk, jobs)
        self._suggest()

    def build(self) -> QWidget:
        outer = QWidget()
        self.page = TracingPage()
        box = QVBoxLayout(outer)
        box.setContentsMargins(16, 8, 16, 4)
        box.addWidget(self.page)
        self.page.picked.connect(self._picked)
        self._suggested = ""
        self.desk.prompts_changed.connect(lambda _: self._suggest())
        self.desk.model_changed.connect(lambda _: self._suggest())
        self._fit_form()
        return outer

    def _fit_form(self) -> None:
        """Say what may stand in a field, and keep them narrow: the form is high enough."""
        if self.form is None:
            return
        for name, text in (("subject", "words, or @2-4"), ("answer", "its own")):
            control = self.form.entries[name].control
            if isinstance(control, QLineEdit):
                control.setPlaceholderText(text)
        for name, wide in WIDTHS.items():
            self.form.entries[name].control.setMaximumWidth(round(wide * theme.zoom()))

    def catch_up(self) -> None:
        self._suggest()

    def _suggest(self) -> None:
        """An empty subject is filled with what tells the two prompts apart."""
        if self.form is None or self.running:
            return
        entry = self.form.entries["subject"]
        if entry.value not in ("", self._suggested):
            return
        found = self._differing()
        if found != entry.value:
            entry.value = found
            self.form.changed.emit()
        self._suggested = found

    def _differing(self) -> str:
        """ "@4", "@2-3": where prompts of equal length differ, if that is a small part of them."""
        model, pair = self.desk.model, self.desk.prompts
        if model is None or not pair.clean or not pair.corrupted:
            return ""
        try:
            ids = [model.tokens(text, pair.bos) for text in (pair.clean, pair.corrupted)]
        except (RunError, SpecError):
            return ""
        if len(ids[0]) != len(ids[1]):
            return ""
        at = np.flatnonzero(ids[0] != ids[1])
        if not len(at) or 2 * len(at) > len(ids[0]) or at[-1] - at[0] >= len(at):
            return ""
        return f"@{at[0]}" if len(at) == 1 else f"@{at[0]}-{at[-1]}"

    # the picture

    def draw(self, result: CausalTracingResult) -> None:
        pieces = self.pieces(result.tokens)
        reach = max(words.reach_of(result.ie), words.reach_of(np.array([result.te]))) or 1.0
        traces = [self._trace(result, kind, pieces) for kind in range(len(result.kinds))]
        n, high = words.samples(result), float(result.high)
        answer = words.quoted(self.pieces([result.answer_id]))
        low = words.plus_minus(result.low, result.low_spread, n, high)
        note = f"* subject, noised   P({answer}): low {low}, high {words.number(high, high)}"
        missing = np.isnan(result.ie).any()
        self.page.show_traces(
            traces, pieces, result.subject.tolist(), (-reach, reach), unit="Δ P",
            keys=[Key("hatch", "not computed yet")] if missing else [], note=note,
        )  # fmt: skip

    def _trace(self, result: CausalTracingResult, kind: int, pieces: list[str]) -> Trace:
        name, spec = result.kinds[kind], self._drawn_spec()
        n_layers = result.ie.shape[1]
        title = short = TITLES.get(name, name)
        about = "put back at one position"
        if name == "stream":
            title = f"{title} after a block"
        else:
            title += f", {words.blocks(spec.window, n_layers)}"
            about = f"outputs of those around a layer, {about} together"

        def say(pos: int, layer: int) -> str:
            where = f"after layer {layer}"
            if name != "stream":
                where = f"of {words.window_of(layer, spec.window, n_layers)}"
            role = ", subject" if pos in result.subject else ""
            head = f"{token_text(pieces[pos])} ({pos}{role}), {words.KINDS.get(name, name)} {where}"
            value = float(result.value[kind, layer, pos])
            if np.isnan(value):
                return f"{head}: not computed yet"
            n = int(result.done[kind, layer, pos])
            high, spread = float(result.high), float(result.spread[kind, layer, pos])
            p = words.plus_minus(value, spread, n, high)
            effect = words.number(float(result.ie[kind, layer, pos]), high, sign=True)
            count = f", {n} samples" if n > 1 else ""
            return f"{head}: P {p}, {effect} on the noised run{count}"

        return Trace(title, short, about, result.ie[kind].T, say)

    def sentence(self, result: CausalTracingResult) -> str:
        spec = self._drawn_spec()
        return words.traced(result, self.pieces, spec.samples, spec.window)

    def difference(self, result_a: CausalTracingResult, result_b: CausalTracingResult) -> str:
        return words.compared_traces(result_a, result_b)

    def labels(self, axis: str, n: int) -> tuple[list[str], bool]:
        if axis == "kind" and self.result is not None and len(self.result.kinds) == n:
            return list(self.result.kinds), False
        return super().labels(axis, n)

    # where one looks

    def look_at(self, focus: Focus) -> None:
        if self.result is not None:
            self.page.set_focus(focus.layer, focus.position)

    def _picked(self, at: int, layer: int, position: int) -> None:
        kind = self.result.kinds[at]
        self.desk.turn(
            layer=layer, position=position,
            hook=f"blocks.{layer}.{SITES[kind]}", component=f"blocks.{layer}{PARTS[kind]}",
        )  # fmt: skip

    def _drawn_spec(self) -> CausalTracing:
        spec: Any = self.drawn[0]
        return spec if isinstance(spec, CausalTracing) else CausalTracing()
