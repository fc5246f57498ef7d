"""EditedLatents: some latents of an SAE put to other values, the error of the SAE kept.

x' = x + s (f'_i - f_i) W_dec[i]: what the SAE does not explain stays as it is (Templeton et al.
2024, Scaling Monosemanticity, clamp so). A pair like any op: `apply` and its `vjp`.

What would fool you: splicing x_hat in instead changes the model by the SAE's error too, before any
feature is touched; and the activation of a TopK latent hangs on all the others, so who is among the
k is found from all of them (and held fixed by the gradient, which is right almost everywhere).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.sae.sae import LAYER_NORM_EPS, SAE
from engine.sae.topk import Array, row_top

__all__ = ["EDITS", "EditedLatents"]

Edit = Literal["zero", "scale", "steer", "clamp"]
EDITS: tuple[Edit, ...] = ("zero", "scale", "steer", "clamp")
SLAB_FLOPS = 4e9  # one product between two looks at Stop: under 100 ms on a slow core
SLAB_NUMBERS = 16 << 20  # of [row, d_sae] at a time: 64 MB in float32


@dataclass(frozen=True, eq=False)
class EditedLatents:
    """`latents` [chosen] of `sae` zeroed, scaled by, raised by or held at `factor`.

    "steer" and "clamp" do so whether a latent fires or not. Numbers are computed in the dtype of
    what is read, so that difference quotients in float64 are worth something. `watch` raises
    Cancelled between slabs.
    """

    sae: SAE
    latents: tuple[int, ...]
    edit: Edit
    factor: float = 0.0
    watch: Callable[[], None] | None = None

    def apply(self, x: Array) -> Array:
        """x [row, d_in] -> x' [row, d_in], a new array."""
        out = x.copy()  # [row, d_in]
        for at in self._slabs(len(x)):
            f, _ = self._read(x[at])
            out[at] += self._length(x[at]) * (self._moved(f) @ self._decoder(x.dtype))
        return out

    def vjp(self, grad: Array, x: Array) -> Array:
        """Gradient of what `apply` gave -> of the x it was given, both [row, d_in]."""
        found = grad.copy()  # [row, d_in]
        share = {"scale": self.factor - 1.0, "steer": 0.0}.get(self.edit, -1.0)  # d (f' - f) / d f
        decoder = self._decoder(x.dtype)  # [chosen, d_in]
        encoder = self.sae.W_enc[:, self.latents].astype(x.dtype)  # [d_in, chosen]
        for at in self._slabs(len(x)):
            f, slope = self._read(x[at])
            along = grad[at] @ decoder.T  # [row, chosen]
            into = along * slope * (share * self._length(x[at])) @ encoder.T  # [row, d_in]
            moved = (along * self._moved(f)).sum(axis=1, keepdims=True)  # [row, 1]
            found[at] += self._through_norm(x[at], into, moved)
        return found

    # --- the activations and their slope --------------------------------------------------------

    def _read(self, x: Array) -> tuple[Array, Array]:
        """x [row, d_in] -> f [row, chosen], and its slope by the product with W_enc."""
        sae, chosen = self.sae, list(self.latents)
        inside, _ = sae.normalised(x)
        centred = inside - sae.b_dec if sae.apply_b_dec_to_input else inside
        norms = sae.decoder_norms if sae.rescale_acts_by_decoder_norm else None  # [d_sae]
        if sae.architecture == "topk":
            pre = centred @ sae.W_enc + sae.b_enc  # [row, d_sae]
            if norms is not None:
                pre *= norms
            index, _ = row_top(pre, sae.k or 0)  # [row, k]
            kept = np.zeros(pre.shape, bool)  # [row, d_sae]
            np.put_along_axis(kept, index, True, axis=1)
            pre, on = pre[:, chosen], kept[:, chosen]  # [row, chosen]
        elif sae.architecture == "gated":
            product = centred @ sae.W_enc[:, chosen]  # [row, chosen]
            gain = np.exp(_some(sae.r_mag, chosen))  # [chosen]
            on = product + _some(sae.b_gate, chosen) > 0
            pre = product * gain + _some(sae.b_mag, chosen)
            return self._fired(pre, on, gain)
        else:
            pre = centred @ sae.W_enc[:, chosen] + _some(sae.b_enc, chosen)  # [row, chosen]
            if norms is not None:
                pre *= norms[chosen]
            on = pre > (0.0 if sae.threshold is None else sae.threshold[chosen])
        return self._fired(pre, on, None if norms is None else norms[chosen])

    def _fired(self, pre: Array, on: Array, gain: Array | None) -> tuple[Array, Array]:
        on = on & (pre > 0)  # [row, chosen]
        slope = on.astype(pre.dtype)  # [row, chosen]
        return np.where(on, pre, pre.dtype.type(0)), slope if gain is None else slope * gain

    def _moved(self, f: Array) -> Array:
        """f' - f [row, chosen]."""
        factor = f.dtype.type(self.factor)
        match self.edit:
            case "scale":
                return f * (factor - 1)
            case "steer":
                return np.full_like(f, factor)
            case "clamp":
                return factor - f
            case "zero":
                return -f

    def _decoder(self, dtype: np.dtype) -> Array:
        """What one unit of each latent writes [chosen, d_in], in the SAE's own scale."""
        chosen = list(self.latents)
        rows = self.sae.W_dec[chosen].astype(dtype)  # [chosen, d_in]
        if self.sae.rescale_acts_by_decoder_norm:
            rows /= self.sae.decoder_norms[chosen, None]
        return rows

    # --- normalised activations -----------------------------------------------------------------

    def _length(self, x: Array) -> Array:
        """How much longer x is than what the SAE reads: [row, 1], or [1, 1] for all rows."""
        kind = self.sae.normalize_activations
        if kind == "constant_norm_rescale":
            return np.linalg.norm(x, axis=1, keepdims=True) / x.dtype.type(np.sqrt(x.shape[1]))
        if kind == "layer_norm":
            return x.std(axis=1, keepdims=True, ddof=1)
        scale = self.sae.scaling if kind == "expected_average_only_in" else None
        return np.full((1, 1), 1 / (scale or 1.0), x.dtype)

    def _through_norm(self, x: Array, into: Array, moved: Array) -> Array:
        """Gradient through what normalises x [row, d_in]: of what is read, and of the way back.

        into [row, d_in] is that of the normalised x, moved [row, 1] that of `_length`.
        """
        kind, length = self.sae.normalize_activations, self._length(x)  # [row, 1]
        if kind == "constant_norm_rescale":
            out = x / (length * length * x.shape[1])  # [row, d_in], d length / d x over length
            part = (into * x).sum(axis=1, keepdims=True)  # [row, 1]
            return (into - out * part) / length + out * length * moved
        if kind == "layer_norm":
            off = x - x.mean(axis=1, keepdims=True)  # [row, d_in]
            slope = off / (length * (x.shape[1] - 1))  # [row, d_in], d length / d x
            over = length + x.dtype.type(LAYER_NORM_EPS)  # [row, 1]
            part = (into * off).sum(axis=1, keepdims=True) / (over * over)  # [row, 1]
            flat = into - into.mean(axis=1, keepdims=True)  # [row, d_in]
            return flat / over + slope * (moved - part)
        return into / length

    def _slabs(self, n_rows: int) -> Iterator[slice]:
        columns = self.sae.d_sae if self.sae.architecture == "topk" else len(self.latents)
        flops = 2.0 * self.sae.d_in * columns
        size = max(1, min(int(SLAB_FLOPS / flops), SLAB_NUMBERS // columns))
        for first in range(0, n_rows, size):
            if first and self.watch is not None:
                self.watch()
            yield slice(first, first + size)


def _some(values: Array | None, chosen: Sequence[int]) -> Array:
    assert values is not None, "an SAE has what its architecture needs"
    return values[chosen]
