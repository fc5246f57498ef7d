"""Weights: every tensor of a transformer in the layout of its matrix product.

Row-vector convention: activations are rows and multiply from the left, so W_in is
[d_model, d_mlp] and so on, as in TransformerLens. Query, key and value are one fused matrix.
An array may be a read-only view of a memory-mapped file or a transposed view; both are what BLAS
takes without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Ids = npt.NDArray[np.integer]


@dataclass(eq=False)
class Norm:
    """Gain w [d_model] and bias b [d_model] (LayerNorm only)."""

    w: Array
    b: Array | None = None


@dataclass(eq=False)
class Block:
    """One layer. None where the architecture has no such tensor."""

    W_QKV: Array  # [d_model, (n_heads + 2 * n_key_value_heads) * d_head]
    W_O: Array  # [n_heads * d_head, d_model]
    b_QKV: Array | None = None  # [(n_heads + 2 * n_key_value_heads) * d_head]
    b_O: Array | None = None  # [d_model]
    ln1: Norm | None = None
    ln2: Norm | None = None
    W_in: Array | None = None  # [d_model, d_mlp]
    b_in: Array | None = None  # [d_mlp]
    W_gate: Array | None = None  # [d_model, d_mlp]
    b_gate: Array | None = None  # [d_mlp]
    W_out: Array | None = None  # [d_mlp, d_model]
    b_out: Array | None = None  # [d_model]


@dataclass(eq=False)
class Weights:
    """The whole network. W_U may be a transposed view of W_E (tied embeddings)."""

    W_E: Array  # [d_vocab, d_model]
    W_U: Array  # [d_model, d_vocab_out]
    blocks: list[Block]
    W_pos: Array | None = None  # [n_ctx, d_model]
    ln_final: Norm | None = None
    b_U: Array | None = None  # [d_vocab_out]

    def named(self) -> Iterator[tuple[str, Array]]:
        """Every tensor with its name: `W_E`, `blocks.0.W_QKV`, `blocks.0.ln1.w`, ..."""
        yield from _named(self, "")
        for index, block in enumerate(self.blocks):
            yield from _named(block, f"blocks.{index}.")


def _named(owner: Weights | Block | Norm, prefix: str) -> Iterator[tuple[str, Array]]:
    for item in fields(owner):
        value = getattr(owner, item.name)
        if isinstance(value, np.ndarray):
            yield prefix + item.name, value
        elif isinstance(value, Norm):
            yield from _named(value, f"{prefix}{item.name}.")
