"""QK and OV: what one head would look for and say, read from its weights alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.techniques.head_circuits import HeadCircuits, HeadCircuitsResult
from gui.circuits import sentences
from gui.circuits.circuits_page import Circuit, CircuitsPage, Weights
from gui.focus import Focus
from gui.panel import Panel
from gui.plots import Score, figure
from gui.plots.pair_list import PairRow

QK_ABOUT = "Attention score from a token to another through the embeddings, positions left out"
OV_ABOUT = "What attending to a source token adds to the logit of an output token"
NO_PROMPT = "Without a clean prompt there is no excerpt: only the largest entries are listed."
AXES = {"query_token", "key_token", "source", "output", "token"}


class HeadCircuitsPanel(Panel):
    """Both circuits on the prompt's tokens, their largest entries in the vocabulary, copying."""

    kind = "HeadCircuits"
    title = "QK and OV"
    icon = "arrow-left-right"
    place = "centre-beside"
    order = 50
    words = {  # noqa: RUF012
        "normed": "after the norm",
        "raw": "W_E alone",
        "mlp0": "with MLP 0",
    }
    question = ("Open one head", "Which token looks for which, and what it says when it does.")
    empty = (
        "Here one head's QK and OV circuits show which token it would look for and what it would "
        "then say, without any prompt's context. Click a head anywhere and press Run."
    )

    def build(self) -> QWidget:
        outer = QWidget()
        self.page = CircuitsPage()
        box = QVBoxLayout(outer)
        box.setContentsMargins(16, 8, 16, 4)
        box.addWidget(self.page)
        self._follows = True
        self.desk.focus_changed.connect(self._follow)
        self.desk.model_changed.connect(self._fit_fields)
        return outer

    # the head that is asked for

    def catch_up(self) -> None:
        self._fit_fields(self.desk.model)
        self._follow(self.desk.focus)

    def _follow(self, focus: Focus) -> None:
        """The form asks for the head that everybody looks at."""
        config = getattr(self.desk.model, "config", None)
        if not self._follows or self.running or config is None or self.form is None:
            return
        if focus.layer is None or focus.head is None:
            return
        if focus.layer < config.n_layers and focus.head < config.n_heads:
            self.form.entries["layer"].value = focus.layer
            self.form.entries["head"].value = focus.head

    def _fit_fields(self, model: Any) -> None:
        """Another model may not have the layer and the head that the form names."""
        config = getattr(model, "config", None)
        if config is None or self.form is None:
            return
        for name, count in (("layer", config.n_layers), ("head", config.n_heads)):
            entry = self.form.entries[name]
            if isinstance(entry.value, int) and entry.value >= count:
                entry.value = 0

    def take_view(self, view: Mapping[str, Any]) -> None:
        self._follows = False  # a stored run's fields are its own, wherever its Focus was
        super().take_view(view)
        self._follows = True

    def view(self) -> dict[str, Any]:
        return {"part": self.page.view}

    def set_view(self, view: dict[str, Any]) -> None:
        self.page.show_view(str(view.get("part", "")))

    # the picture

    def draw(self, result: HeadCircuitsResult) -> None:
        words = self.pieces(result.excerpt_tokens)
        says = self.pieces(result.excerpt_output_ids)
        qk = Circuit(
            "QK: score from query to key", QK_ABOUT,
            result.qk_excerpt, words, words,
            self._pairs(result.qk_query_ids, result.qk_key_ids, result.qk_value),
            ("query", "key"), "score",
        )  # fmt: skip
        ov = Circuit(
            "OV: logit from source to output", OV_ABOUT,
            result.ov_excerpt, words, says,
            self._pairs(result.ov_source_ids, result.ov_output_ids, result.ov_value),
            ("source", "output"), "logit",
        )  # fmt: skip
        shares = [
            Score("Own token first", float(result.own_first),
                  help="share of tokens whose own logit is the one that the head raises most"),
            Score("In top five", float(result.own_top5),
                  help="share of tokens whose own logit is among the five it raises most"),
        ]  # fmt: skip
        weights = Weights(result.eigenvalues, float(result.ov_copying),
                          float(result.null_ov_copying), shares,
                          (float(result.qk_diagonal_z), float(result.ov_diagonal_z)))  # fmt: skip
        self.page.show_circuits(qk, ov, weights)
        if not words and not self._twin:
            self.say(NO_PROMPT, "info")

    def _pairs(self, left: Any, right: Any, values: Any) -> list[PairRow]:
        """The largest entries found so far."""
        known = np.flatnonzero((np.asarray(left) >= 0) & np.isfinite(values))
        texts = zip(self.pieces(left[known]), self.pieces(right[known]), strict=True)
        return [PairRow(*pair, float(value))
                for pair, value in zip(texts, values[known], strict=True)]  # fmt: skip

    def sentence(self, result: HeadCircuitsResult) -> str:
        spec = self._drawn_spec()
        return sentences.circuits(result, spec.layer, spec.head, self.pieces)

    def difference(self, result_a: HeadCircuitsResult, result_b: HeadCircuitsResult) -> str:
        ours = self._drawn_spec()
        other = ours if self.comparison is None else self.comparison.run.spec
        names = [f"{spec.layer}.{spec.head}" for spec in (ours, other)]
        scores = [figure(float(result.ov_copying)) for result in (result_a, result_b)]
        said = f"OV copying: {scores[0]} in A, {scores[1]} in B."
        return said if names[0] == names[1] else f"A is head {names[0]}, B head {names[1]}. {said}"

    def labels(self, axis: str, n: int) -> tuple[list[str], bool]:
        """Tokens of the excerpt are no positions of the prompt: they turn nobody's Focus."""
        ids = () if self.result is None else self.result.excerpt_tokens
        if axis in AXES and len(ids) == n:
            return self.pieces(ids), axis == "token"
        if axis == "part":
            return ["real", "imaginary"], False
        return super().labels(axis, n)

    def _drawn_spec(self) -> HeadCircuits:
        spec = self.drawn[0]
        return spec if isinstance(spec, HeadCircuits) else HeadCircuits()
