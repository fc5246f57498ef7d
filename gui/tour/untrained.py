"""Untrained networks of any size: to show and to measure what takes a while, where no file is."""

from __future__ import annotations

import numpy as np

from engine.model import Block, ModelConfig, Norm, Transformer, Weights

SPREAD = 0.02  # standard deviation of GPT-2's initial weights (Radford et al. 2019)


def untrained(name: str, *, layers: int, width: int, heads: int, mlp: int, words: int, context: int,
              seed: int = 0) -> Transformer:  # fmt: skip
    """A GPT-2-like network whose weights are drawn at random, with tied embeddings."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, spread: float = SPREAD) -> np.ndarray:
        array = rng.standard_normal(shape, np.float32)
        array *= np.float32(spread)
        return array

    def zeros(n: int) -> np.ndarray:
        return np.zeros(n, np.float32)

    def norm() -> Norm:
        return Norm(np.ones(width, np.float32), zeros(width))

    # Wider where attention reads: at GPT-2's spread every pattern of a narrow network is flat.
    blocks = [
        Block(
            W_QKV=normal(width, 3 * width, spread=width**-0.5), W_O=normal(width, width),
            b_QKV=zeros(3 * width), b_O=zeros(width), ln1=norm(), ln2=norm(),
            W_in=normal(width, mlp), b_in=zeros(mlp),
            W_out=normal(mlp, width), b_out=zeros(width),
        )
        for _ in range(layers)
    ]  # fmt: skip
    W_E = normal(words, width, spread=0.1)
    weights = Weights(
        W_E=W_E, W_U=W_E.T, blocks=blocks, W_pos=normal(context, width),
        ln_final=norm(), b_U=zeros(words),
    )  # fmt: skip
    config = ModelConfig(
        n_layers=layers, d_model=width, n_heads=heads, d_head=width // heads, n_ctx=context,
        d_vocab=words, d_vocab_out=words, n_key_value_heads=heads, d_mlp=mlp, act_fn="gelu_new",
        attn_scale=float(np.sqrt(width // heads)), tied=True,
    )  # fmt: skip
    return Transformer(name, config, weights)
