"""A logit as a sum: every part of the stream, read by the final norm and W_U as they were.

Bars are collected during one forward pass by a tap, as dot products with one direction in float64,
and divided by the final norm's scale at its end. Interventions are bars of their own wherever they
make the stream something else than the sum of what was written to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.model.weights import Block, Weights

Floats = npt.NDArray[np.floating]
Ids = npt.NDArray[np.integer]

FINAL = ("ln_final.hook_scale", "ln_final.hook_normalized", "unembed.hook_in", "unembed.hook_out")


@dataclass(frozen=True)
class Bar:
    """One part: its short name, what it is, the activation it is read from, layer and index."""

    name: str
    kind: str
    hook: str = ""
    layer: int = -1
    index: int = -1


@dataclass(frozen=True, eq=False)
class Direction:
    """How a logit, or the difference of two, reads the stream. All in float64.

    stream [d_model] meets the residual stream (gain folded in, centred for LayerNorm), normed
    [d_model] the norm's output before its gain, output [d_model] what W_U reads.
    """

    columns: Ids  # [answer] or [answer, wrong]
    folded: bool
    output: Floats
    normed: Floats
    stream: Floats
    norm_bias: float
    b_U: float
    mean: Floats | None  # [d_model], W_U averaged over outputs where logits are centred
    mean_b: float

    @staticmethod
    def of(model: Any, answer: int, wrong: int | None, weights: str) -> Direction:
        """The direction of `answer`, less that of `wrong`; weights raw or folded."""
        w: Weights = model.weights
        columns = np.array([answer] if wrong is None else [answer, wrong])
        folded = weights == "folded"
        output = _difference(w.W_U[:, columns].astype(np.float64))  # [d_model]
        b_U = 0.0 if w.b_U is None else float(_difference(w.b_U[columns].astype(np.float64)))
        mean, mean_b = None, 0.0
        if folded and wrong is None:  # the mean of all logits is in both terms of a difference
            mean = w.W_U.mean(axis=1, dtype=np.float64)  # [d_model]
            mean_b = 0.0 if w.b_U is None else float(w.b_U.mean(dtype=np.float64))
            output, b_U = output - mean, b_U - mean_b
        norm = w.ln_final
        normed = output if norm is None else output * norm.w  # [d_model]
        norm_bias = 0.0 if norm is None or norm.b is None else float(norm.b @ output)
        centred = norm is not None and not model.config.is_rms("ln_final.")
        stream = normed - normed.mean() if centred else normed  # [d_model]
        return Direction(columns, folded, output, normed, stream, norm_bias, b_U, mean, mean_b)

    def logit(self, out: Floats, y: Floats, *, whole: bool) -> Floats:
        """What the model says, [pos]: out holds logits of all outputs (`whole`) or of `columns`.

        out [pos, output], y [pos, d_model] what W_U met.
        """
        chosen = out[:, self.columns] if whole else out  # [pos, answer and wrong]
        said = _difference(chosen.astype(np.float64))  # [pos]
        if self.mean is None:
            return said
        if whole:
            return said - out.mean(axis=1, dtype=np.float64)
        return said - y @ self.mean - self.mean_b


def _difference(pair: Floats) -> Floats:
    """[..., 1] -> itself, [..., 2] -> first less second: [...]."""
    return pair[..., 0] if pair.shape[-1] == 1 else pair[..., 0] - pair[..., 1]


class Parts:
    """A tap that collects what every part writes along a direction: [pos] each, not yet divided."""

    def __init__(
        self, model: Any, direction: Direction, n_pos: int, position: int, top: int
    ) -> None:
        cfg = model.config
        self.model, self.cfg, self.direction = model, cfg, direction
        self.position, self.top = position, top
        self.changed = {entry.name for entry in model.interventions}
        self.whole = not self.changed.isdisjoint(FINAL)  # or the logits of `columns` are enough
        self.stream = np.zeros((0, cfg.d_model), np.float32)  # [pos, d_model], after the last block
        self.at: dict[str, Floats] = {}  # [pos] of every activation that is a part of the stream
        self.heads = np.full((cfg.n_layers, cfg.n_heads, n_pos), np.nan)  # [layer, head, pos]
        self.b_O = np.zeros(cfg.n_layers)  # [layer]
        self.neurons: list[tuple[int, int, Floats]] = []  # layer, index, [pos]
        self.breaks: list[tuple[Bar, Floats]] = []  # by interventions on the stream, undivided
        self.late: list[tuple[Bar, Floats]] = []  # by interventions after the scale, as they are
        self.scale = np.ones(n_pos)  # [pos]
        self.logit = np.full(n_pos, np.nan)  # [pos]
        self.output = np.full(n_pos, np.nan)  # [pos], what arrives at W_U along the direction
        self.finished = False
        self._y = np.zeros((n_pos, cfg.d_model), np.float32)  # [pos, d_model]

    def see(self, name: str, value: Floats) -> None:
        """Take what is wanted of an activation [1, pos, ...]."""
        x = value[0]  # [pos, ...]
        place = name.split(".")
        layer = int(place[1]) if place[0] == "blocks" else -1
        match place[-1]:
            case "hook_embed" | "hook_pos_embed" | "hook_attn_out" | "hook_mlp_out":
                self._part(name, x, layer)
            case "hook_resid_pre" | "hook_resid_mid" | "hook_resid_post":
                self._stream(name, place[-1], x, layer)
            case "hook_z":
                self._heads(x, layer)
            case "hook_post" if place[2] == "mlp":
                self._neurons(x, layer)
            case _:
                if name in FINAL:
                    self._final(name, x)

    def _along(self, x: Floats) -> Floats:
        return x @ self.direction.stream  # [pos], summed in float64

    def _part(self, name: str, x: Floats, layer: int) -> None:
        self.at[name] = self._along(x)
        if name in self.changed and name.endswith("hook_attn_out"):
            written = self.heads[layer].sum(axis=0) + self.b_O[layer]  # [pos]
            self.at[f"{name} by heads"] = self.at[name] - written

    def _stream(self, name: str, kind: str, x: Floats, layer: int) -> None:
        here = self._along(x)  # [pos]
        self.at[name], self.stream = here, x
        if name not in self.changed:
            return
        at, parts = f"blocks.{layer}.", []
        match kind:
            case "hook_resid_pre" if layer == 0:
                parts = ["hook_embed"] + ["hook_pos_embed"] * self.adds_positions
            case "hook_resid_pre":
                parts = [f"blocks.{layer - 1}.hook_resid_post"]
            case "hook_resid_mid":
                parts = [f"{at}hook_resid_pre", f"{at}hook_attn_out"]
            case _ if f"{at}hook_resid_mid" in self.at:
                parts = [f"{at}hook_resid_mid", f"{at}hook_mlp_out"]
            case _:
                parts = [f"{at}hook_resid_pre", f"{at}hook_attn_out"]
                parts += [f"{at}hook_mlp_out"] * (not self.cfg.attn_only)
        added = here - np.sum([self.at[part] for part in parts], axis=0)  # [pos]
        self.breaks.append((Bar(f"change of {name}", "intervention", name, layer), added))

    @property
    def adds_positions(self) -> bool:
        """Whether position embeddings are part of the stream."""
        return self.cfg.positional_embedding_type == "standard"

    def _heads(self, z: Floats, layer: int) -> None:
        """z [pos, head, d_head]."""
        cfg, block, u = self.cfg, self.model.weights.blocks[layer], self.direction.stream
        by_head = block.W_O.reshape(cfg.n_heads, cfg.d_head, -1)  # [head, d_head, d_model]
        write = np.stack([W @ u for W in by_head])  # [head, d_head]
        b_O = 0.0 if block.b_O is None else float(block.b_O @ u)
        self.heads[layer] = np.einsum("phd,hd->hp", z, write)
        if self.direction.folded:  # a pattern's rows sum to 1, so b_V arrives whole
            moved = (_b_V(block, cfg) * write).sum(axis=1)  # [head]
            self.heads[layer] -= moved[:, None]
            b_O += float(moved.sum())
        self.b_O[layer] = b_O

    def _neurons(self, post: Floats, layer: int) -> None:
        """Keep those of post [pos, d_mlp] that add most at the chosen position."""
        u = self.direction.stream.astype(np.float32)  # or W_out would be copied in float64
        write = self.model.weights.blocks[layer].W_out @ u  # [d_mlp]
        size = np.abs(post[self.position] * write)  # [d_mlp]
        most = np.argsort(-size, kind="stable")[: self.top]  # [chosen]
        found = [(layer, int(index), post[:, index] * write[index]) for index in most]
        self.neurons += found
        self.neurons.sort(key=lambda one: (-abs(one[2][self.position]), one[0], one[1]))
        del self.neurons[self.top :]

    def _final(self, name: str, x: Floats) -> None:
        ours = self.direction
        if name == "unembed.hook_out":
            self.logit = ours.logit(x, self._y, whole=self.whole)
            if name in self.changed:
                self._late(name, self.logit - self.output - ours.b_U)
        elif name == "unembed.hook_in":
            self._y = x  # [pos, d_model]
            arrived = x @ ours.output  # [pos]
            if self.cfg.normalization_type is None:
                self.output = self.at[f"blocks.{self.cfg.n_layers - 1}.hook_resid_post"]
            if name in self.changed:
                self._late(name, arrived - self.output)
            self.output = arrived
        elif name == "ln_final.hook_scale":
            self.scale = x[:, 0].astype(np.float64)  # [pos]
        else:
            final = self.at[f"blocks.{self.cfg.n_layers - 1}.hook_resid_post"]  # [pos]
            through = x @ ours.normed  # [pos]
            if name in self.changed:
                self._late(name, through - final / self.scale)
            self.output = through + ours.norm_bias

    def _late(self, name: str, added: Floats) -> None:
        self.late.append((Bar(f"change of {name}", "intervention", name), added))

    # --- what they add up to --------------------------------------------------------------------

    def bars(self, unit: str) -> list[tuple[Bar, Floats]]:
        """Every bar with its values [pos], in logits; their sum is the logit."""
        found = [(Bar("embed", "embed", "hook_embed"), self._told("hook_embed"))]
        if self.adds_positions:
            found.append(
                (Bar("pos_embed", "embed", "hook_pos_embed"), self._told("hook_pos_embed"))
            )
        for layer in range(self.cfg.n_layers):
            found += self._layer(unit, layer)
        ours, n_pos = self.direction, len(self.scale)
        found += [(bar, value / self.scale) for bar, value in self.breaks]
        found += self.late
        if self.norm_is_biased and not ours.folded:
            found.append((Bar("final norm bias", "bias"), np.full(n_pos, ours.norm_bias)))
        if self.model.weights.b_U is not None or (self.norm_is_biased and ours.folded):
            b_U = ours.b_U + (ours.norm_bias if ours.folded else 0.0)
            found.append((Bar("b_U", "bias"), np.full(n_pos, b_U)))
        return found

    def _layer(self, unit: str, layer: int) -> list[tuple[Bar, Floats]]:
        at, cfg = f"blocks.{layer}.", self.cfg
        attn = self._told(f"{at}hook_attn_out")  # [pos]
        mlp = None if cfg.attn_only else self._told(f"{at}hook_mlp_out")  # [pos]
        if unit == "layer":
            both = attn if mlp is None else attn + mlp
            return [(Bar(str(layer), "layer", f"{at}hook_resid_post", layer), both)]
        found = []
        if unit == "head":
            hook = f"{at}attn.hook_z"
            for head in range(cfg.n_heads):
                bar = Bar(f"{layer}.{head}", "head", hook, layer, head)
                found.append((bar, self.heads[layer, head] / self.scale))
            if self.b_O[layer]:
                found.append((Bar(f"{layer}.b_O", "bias", "", layer), self.b_O[layer] / self.scale))
            changed = f"{at}hook_attn_out"
            if f"{changed} by heads" in self.at:
                bar = Bar(f"change of {changed}", "intervention", changed, layer)
                found.append((bar, self._told(f"{changed} by heads")))
        else:
            found.append((Bar(f"{layer}.attn", "attn", f"{at}hook_attn_out", layer), attn))
        if mlp is None:
            return found
        if unit != "neuron":
            return [*found, (Bar(f"{layer}.mlp", "mlp", f"{at}hook_mlp_out", layer), mlp)]
        rest = mlp.copy()
        for _, index, written in (one for one in self.neurons if one[0] == layer):
            bar = Bar(f"{layer}.n{index}", "neuron", f"{at}mlp.hook_post", layer, index)
            found.append((bar, written / self.scale))
            rest -= written / self.scale
        return [*found, (Bar(f"{layer}.mlp rest", "rest", f"{at}hook_mlp_out", layer), rest)]

    def _told(self, name: str) -> Floats:
        """What an activation adds [pos], in logits; NaN where the pass has not come by it."""
        found = self.at.get(name)
        return np.full(len(self.scale), np.nan) if found is None else found / self.scale

    @property
    def norm_is_biased(self) -> bool:
        norm = self.model.weights.ln_final
        return norm is not None and norm.b is not None

    def accumulated(self, hooks: list[str]) -> Floats:
        """The stream at these activations, read with the final scale: [row, pos]."""
        return np.stack([self._told(hook) for hook in hooks])

    @property
    def constant(self) -> float:
        """b_U and the final norm's bias."""
        return self.direction.b_U + self.direction.norm_bias


def _b_V(block: Block, cfg: Any) -> Floats:
    """Value biases by head, those of a group repeated: [head, d_head]."""
    if block.b_QKV is None:
        return np.zeros((cfg.n_heads, cfg.d_head))
    b_V = block.b_QKV[-cfg.d_kv :].reshape(cfg.n_key_value_heads, cfg.d_head)
    return np.repeat(b_V, cfg.n_heads // cfg.n_key_value_heads, axis=0).astype(np.float64)
