"""DirectLogitAttribution: a logit as the sum of what every part of the model wrote towards it.

The last residual stream is a sum, the final norm divides it by one number and W_U reads it
linearly. With that number kept as it was, each component c adds (c - mean c) / scale times
gain * (W_U[:, answer] - W_U[:, wrong]), and the bars of all of them, the final norm's bias and b_U
sum to the logit, or to the difference of two. Elhage et al. 2021; RMSNorm does not centre.

What would fool you: an attribution is what was written, not what would happen without it: another
layer may erase or replace it (compare an ablation). The scale depends on every component, and is
held. A bar for one logit alone moves all logits too: a difference of two says what tells them
apart. "folded" centres W_U over the vocabulary and moves value biases out of the heads, as
TransformerLens does: single logits change by a constant per position, differences do not.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.lens.attributing import FINAL, Direction, Parts
from engine.lens.rows import rows
from engine.model.taps import Taps
from engine.technique import (
    RunError,
    SpecError,
    Technique,
    Update,
    array,
    bos_param,
    param,
)

Floats = npt.NDArray[np.floating]
Ids = npt.NDArray[np.integer]

UNITS = ("component", "layer", "head", "neuron")
WEIGHTS = ("raw", "folded")


@dataclass(frozen=True)
class DirectLogitAttributionResult:
    """A logit, or the difference of two, as a sum of bars at every position. NaN = not yet."""

    tokens: Ids = array("pos", "the exact token ids that were read")
    answer_id: int = array("", "the token whose logit is taken apart")
    wrong_id: int = array("", "the token whose logit is taken away from it, -1 = none")
    position: int = array("", "the chosen position, counted from 0")
    unit: str = array("", "what a bar stands for: component, layer, head or neuron")
    weights: str = array("", "raw: W_U as in the file; folded: W_U centred over the vocabulary")
    names: tuple[str, ...] = array(
        "component", "short name of each bar: embed, 3.attn, 3.mlp, 3, 3.5 (a head), 3.n120 (a "
        "neuron), 3.b_O, final norm bias, b_U"
    )  # fmt: skip
    kinds: tuple[str, ...] = array(
        "component",
        "what a bar is: embed, attn, mlp, layer, head, neuron, bias, rest, intervention",
    )
    hooks: tuple[str, ...] = array("component", "the activation it is read from, '' = a weight")
    layers: Ids = array("component", "its layer, -1 = none")
    indices: Ids = array("component", "head or neuron within the layer, -1 = neither")
    value: Floats = array("component pos", "what each bar adds, in logits")
    logit: Floats = array("pos", "what the model says: the logit or the difference")
    total: Floats = array("pos", "sum of the bars, in float64")
    deviation: Floats = array("pos", "total less logit")
    scale: Floats = array("pos", "what the final norm divided by, held fixed (1 without a norm)")
    heads: Floats = array(
        "layer head pos", "what each head adds, without b_O; folded: without its value bias too"
    )
    neuron_layer: Ids = array("neuron", "layer of the neurons that add most at the position")
    neuron_index: Ids = array("neuron", "their index within the layer")
    neuron_value: Floats = array("neuron", "what they add there, largest in absolute value first")
    row_names: tuple[str, ...] = array("row", "points of the stream: embed, 0.attn, 0.mlp or 0 ...")
    row_hooks: tuple[str, ...] = array("row", "the activation of each point")
    accumulated: Floats = array(
        "row pos", "the stream up to each point, read with the final scale; without b_U and the "
        "final norm's bias (see `constant`)"
    )  # fmt: skip
    constant: float = array("", "b_U and the final norm's bias together: the same everywhere")


@dataclass(frozen=True, kw_only=True)
class DirectLogitAttribution(Technique):
    """Which parts of the model wrote one token's logit, or one against another."""

    Result: ClassVar[type] = DirectLogitAttributionResult
    title: ClassVar[str] = "Direct logit attribution"
    summary: ClassVar[str] = "A logit as the sum of what every part of the model wrote"

    prompt: str | tuple[int, ...] = param((), "text, or exact token ids", role="clean")
    bos: str = bos_param()
    answer: str | int | None = param(
        None, "the token whose logit is taken apart; without one, the final prediction",
        role="answer",
    )  # fmt: skip
    wrong: str | int | None = param(
        None, "the token whose logit is taken away; without one, the answer's logit alone",
        role="wrong",
    )  # fmt: skip
    unit: str = param("component", "what a bar stands for", choices=UNITS)
    position: int = param(-1, "the position read, negative from the end; every one is computed")
    weights: str = param(
        "raw", "W_U as in the file, or folded: centred over the vocabulary", choices=WEIGHTS
    )
    top_neurons: int = param(40, "how many neurons to list", low=1, high=1000)

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        ids = model.tokens(self.prompt, self.bos)  # [pos]
        n_pos, n_layers = len(ids), model.config.n_layers
        if not -n_pos <= self.position < n_pos:
            raise SpecError(
                "position", f"{self.position} is not in this prompt of {n_pos} tokens: choose "
                f"{-n_pos} to {n_pos - 1}"
            )  # fmt: skip
        at = self.position % n_pos
        asked = [None if token in (None, "") else model.token(token)
                 for token in (self.answer, self.wrong)]  # fmt: skip
        answer = _predicted(model, ids, at) if asked[0] is None else asked[0]
        wrong = asked[1]
        if wrong == answer:
            word = model.pieces([answer])[0] if answer < model.config.d_vocab else str(answer)
            raise RunError(
                f"answer and wrong are both {word!r} (id {answer}), so their difference is zero: "
                "choose another token"
            )
        direction = Direction.of(model, answer, wrong, self.weights)
        parts = Parts(model, direction, n_pos, at, self.top_neurons)

        def update(step: int) -> Update:
            return Update(step, n_layers + 1, lambda: self._result(model, ids, at, parts))

        if parts.whole:  # something is changed after the last block
            model.forward(ids, tap=parts.see)
        else:
            for layer in model.walk(ids, tap=parts.see):
                yield update(layer + 1)
            taps = Taps(tap=parts.see, watch=model.watch)
            model.unembed(parts.stream[None], taps, columns=direction.columns)
        parts.finished = True
        yield update(n_layers + 1)

    def _result(
        self, model: Any, ids: Ids, position: int, parts: Parts
    ) -> DirectLogitAttributionResult:
        columns = parts.direction.columns.tolist()
        bars = parts.bars(self.unit)
        value = np.stack([told for _, told in bars])  # [component, pos]
        if not parts.finished:  # the scale, which divides every bar, comes last
            value[:] = np.nan
        points = rows(model.config, "sublayers")
        accumulated = parts.accumulated([point.hook for point in points])  # [row, pos]
        total = value.sum(axis=0)  # [pos]
        unknown = np.nan if not parts.finished else 1.0
        return DirectLogitAttributionResult(
            tokens=ids.copy(),
            answer_id=columns[0],
            wrong_id=columns[1] if len(columns) > 1 else -1,
            position=position, unit=self.unit, weights=self.weights,
            names=tuple(bar.name for bar, _ in bars), kinds=tuple(bar.kind for bar, _ in bars),
            hooks=tuple(bar.hook for bar, _ in bars),
            layers=np.array([bar.layer for bar, _ in bars]),
            indices=np.array([bar.index for bar, _ in bars]),
            value=value, logit=parts.logit.copy(), total=total, deviation=total - parts.logit,
            scale=parts.scale * unknown, heads=parts.heads / parts.scale * unknown,
            neuron_layer=np.array([layer for layer, _, _ in parts.neurons], np.int64),
            neuron_index=np.array([index for _, index, _ in parts.neurons], np.int64),
            neuron_value=np.array(
                [told[position] / parts.scale[position] * unknown for _, _, told in parts.neurons],
                np.float64,
            ),
            row_names=tuple(point.name for point in points),
            row_hooks=tuple(point.hook for point in points),
            accumulated=accumulated * unknown, constant=parts.constant,
        )  # fmt: skip


def _predicted(model: Any, ids: Ids, position: int) -> int:
    """The model's own likeliest output at a position."""
    if {entry.name for entry in model.interventions}.isdisjoint(FINAL):
        last = f"blocks.{model.config.n_layers - 1}.hook_resid_post"
        stream = model.forward(ids, names=[last], logits="none").cache[last][0]  # [pos, d_model]
        return int(model.unembed(stream[position : position + 1])[0].argmax())
    return int(model.forward(ids).logits[0, position].argmax())
