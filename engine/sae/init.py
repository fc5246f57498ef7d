"""How an SAE begins, as in SAELens: decoder rows of one length, the encoder their transpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.sae.topk import Array

__all__ = ["decoder_start"]


def decoder_start(d_in: int, d_sae: int, length: float, seed: int, dtype: Any) -> Array:
    """[d_sae, d_in]: Kaiming-uniform rows, brought to one length (Anthropic, April 2024)."""
    rng = np.random.default_rng(seed)
    limit = np.sqrt(6 / d_in)  # He et al. 2015 (arXiv:1502.01852)
    W_dec = rng.uniform(-limit, limit, (d_sae, d_in))  # [d_sae, d_in]
    W_dec *= length / np.linalg.norm(W_dec, axis=1, keepdims=True)
    return W_dec.astype(dtype)
