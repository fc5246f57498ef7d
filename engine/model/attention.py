"""Who may attend to whom, and softmax(q k^T / scale) v for every head.

Masks: causal or not, a sliding window in some layers, and keys of one token masked everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.model import ops
from engine.model.config import ModelConfig
from engine.model.taps import Taps
from engine.model.weights import Array, Ids

SLAB_BYTES = 16 << 20  # scores computed between two looks at Stop: some 40 ms

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Mask:
    """Which keys are hidden, for all layers of one pass.

    hidden [query, key] (True = may not look) in layers that see everything, `windowed` in sliding
    ones; keys [batch, key] marks masked tokens, whose score becomes `value`.
    """

    hidden: Bools | None
    windowed: Bools | None
    sliding: frozenset[int]
    keys: Bools | None
    value: float

    @staticmethod
    def of(cfg: ModelConfig, ids: Ids, start: int = 0) -> Mask:
        """For queries at positions start.. of tokens [batch, pos]; keys are 0..start+pos-1."""
        n_key = start + ids.shape[1]
        query = np.arange(start, n_key)[:, None]  # [query, 1]
        key = np.arange(n_key)[None, :]  # [1, key]
        hidden = windowed = None
        if cfg.attention_dir == "causal":
            hidden = key > query  # [query, key]
            if cfg.window_size and cfg.sliding_layers:
                windowed = hidden | (key <= query - cfg.window_size)  # [query, key]
            if not hidden.any():
                hidden = None
        keys = None
        if cfg.mask_token is not None and (ids == cfg.mask_token).any():
            keys = ids == cfg.mask_token  # [batch, key]
        return Mask(hidden, windowed, frozenset(cfg.sliding_layers), keys, cfg.mask_value)

    def layer(self, layer: int) -> Mask:
        """The mask of one layer: `hidden` is the one to use."""
        if self.windowed is None or layer not in self.sliding:
            return self
        return Mask(self.windowed, self.windowed, self.sliding, self.keys, self.value)

    def apply(self, scores: Array, queries: slice | Ids = slice(None)) -> None:
        """Hide in place; scores [batch, head, query, key] of the given query positions."""
        if self.keys is not None:
            np.copyto(scores, scores.dtype.type(self.value), where=self.keys[:, None, None, :])
        if self.hidden is not None:
            np.copyto(scores, scores.dtype.type(-np.inf), where=self.hidden[queries])


def attention(q: Array, k: Array, v: Array, mask: Mask, scale: float, taps: Taps, at: str) -> Array:
    """q [batch, query, head, d_head], k, v [batch, key, kv_head, d_head] -> z as q's shape.

    A few heads at a time, so that Stop is heard; where nobody looks at scores and pattern, they are
    dropped with their heads.
    """
    hooks = {f"{at}hook_attn_scores", f"{at}hook_pattern"}
    looked_at = taps.tap is not None or bool(hooks & (taps.keep | taps.changes))
    slabs = _head_slabs(q, k)
    if looked_at:
        return _whole(q, k, v, mask, scale, taps, at, slabs)
    z = np.empty(q.shape, q.dtype)  # [batch, query, head, d_head]
    for heads, kv in slabs:
        taps.listen()
        scores = ops.attention_scores(q[:, :, heads], k[:, :, kv], scale)
        mask.apply(scores)
        z[:, :, heads] = ops.attend(ops.softmax(scores, out=scores), v[:, :, kv])
    return z


def _whole(
    q: Array, k: Array, v: Array, mask: Mask, scale: float, taps: Taps, at: str,
    slabs: list[tuple[slice, slice]],
) -> Array:  # fmt: skip
    """The same with scores and pattern of all heads, offered to taps."""
    shape = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
    scores = np.empty(shape, q.dtype)  # [batch, head, query, key]
    for heads, kv in slabs:
        taps.listen()
        scores[:, heads] = ops.attention_scores(q[:, :, heads], k[:, :, kv], scale)
        mask.apply(scores[:, heads])
    seen = taps.see(f"{at}hook_attn_scores", scores)
    keep_scores = f"{at}hook_attn_scores" in taps.keep or taps.tap is not None
    pattern = np.empty_like(seen) if keep_scores else seen  # [batch, head, query, key]
    for heads, _kv in slabs:
        taps.listen()
        ops.softmax(seen[:, heads], out=pattern[:, heads])
    pattern = taps.see(f"{at}hook_pattern", pattern)
    z = np.empty(q.shape, q.dtype)  # [batch, query, head, d_head]
    for heads, kv in slabs:
        taps.listen()
        z[:, :, heads] = ops.attend(pattern[:, heads], v[:, :, kv])
    return z


def _head_slabs(q: Array, k: Array) -> list[tuple[slice, slice]]:
    """(query heads, key heads) of each slab, about SLAB_BYTES of scores in each."""
    batch, n_query, n_heads, _ = q.shape
    n_kv, n_key = k.shape[2], k.shape[1]
    group = n_heads // n_kv
    step = max(1, SLAB_BYTES // max(1, batch * group * n_query * n_key * q.itemsize))
    kv = [slice(first, min(n_kv, first + step)) for first in range(0, n_kv, step)]
    return [(slice(part.start * group, part.stop * group), part) for part in kv]


def rotary_tables(cfg: ModelConfig, position: Ids) -> tuple[Array, Array] | None:
    """cos and sin [pos, 1, n_pairs] of each position's angles; None without rotary positions.

    Angle of pair i at position t: t * base^(-2i / rotary_dim) (Su et al. 2021, arXiv:2104.09864),
    rounded to float32 as the references do; Llama 3.1 stretches the slow ones.
    """
    if cfg.positional_embedding_type != "rotary":
        return None
    exponent = np.arange(0, cfg.rotary_dim, 2, dtype=np.float32) / np.float32(cfg.rotary_dim)
    frequency = 1.0 / np.float32(cfg.rotary_base) ** exponent  # [n_pairs]
    if cfg.rotary_scaling is not None:
        frequency = _llama3(frequency, cfg)
    angle = position.astype(np.float32)[..., None] * frequency.astype(np.float32)
    return np.cos(angle)[..., None, :], np.sin(angle)[..., None, :]


def _llama3(frequency: Array, cfg: ModelConfig) -> Array:
    """Slow pairs slower by `factor`, fast ones unchanged, in between a blend by wavelength."""
    scaling = cfg.rotary_scaling
    if scaling is None:
        return frequency
    wavelength = 2.0 * np.pi / frequency  # [n_pairs]
    context = scaling.original_max_position_embeddings
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    blend = np.clip((context / wavelength - low) / (high - low), 0.0, 1.0)  # 1 = fast
    return ((1.0 - blend) / scaling.factor + blend) * frequency
