"""The same network with random weights: what can be read off an architecture that learned nothing.

Every tensor is drawn anew, normal with its own mean and standard deviation; norms keep their gains.
Tokens still differ from each other and attention still mixes them, so this is no floor of nothing.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from engine.model.transformer import Transformer
from engine.model.weights import Array, Block, Weights

MOST_BYTES = 4 << 30  # of weights that are drawn beside the model's own


def with_random_weights(model: Any, seed: int) -> Any:
    """A network like this one that has learned nothing, without interventions; Stop still works.

    The unembedding is left as it is, as no probe reads it, but where it is the embedding.
    """
    if not isinstance(model, Transformer):
        return model.with_random_weights(seed).under((), model.watch)
    rng, old = np.random.default_rng(seed), model.weights
    W_E = _drawn(old.W_E, rng)  # [d_vocab, d_model]
    weights = Weights(
        W_E, W_E.T if model.config.tied else old.W_U,
        [_block(block, rng, model) for block in old.blocks],
        None if old.W_pos is None else _drawn(old.W_pos, rng), old.ln_final, old.b_U,
    )  # fmt: skip
    name = f"{model.name}, random weights"
    return replace(model, name=name, weights=weights, interventions=(), digest="")


def too_large(model: Any) -> bool:
    """Whether a second set of weights would take too much memory."""
    return 4 * model.n_params > MOST_BYTES


def _block(block: Block, rng: np.random.Generator, model: Transformer) -> Block:
    drawn = {}
    for item in fields(block):
        value = getattr(block, item.name)
        model.listen()
        drawn[item.name] = _drawn(value, rng) if isinstance(value, np.ndarray) else value
    return Block(**drawn)


def _drawn(value: Array, rng: np.random.Generator) -> Array:
    """An array of the same shape, mean and standard deviation."""
    made = rng.standard_normal(value.shape, np.float32)
    made *= np.float32(value.std(dtype=np.float64))
    made += np.float32(value.mean(dtype=np.float64))
    return made
