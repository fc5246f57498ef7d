"""Repeated random tokens: the task on which induction heads form (Olsson et al. 2022).

A block of random tokens of random length, repeated to the end of the context. Inside the first copy
nothing can be predicted; from the second on, the next token is the one that followed the current
token before. With a fixed length a model cheats by position, so the length must vary.
"""

from __future__ import annotations

import numpy as np

from engine.model.weights import Ids


def repeated_blocks(
    rng: np.random.Generator, batch: int, n_ctx: int, d_vocab: int, low: int = 8, high: int = 32
) -> tuple[Ids, Ids]:
    """tokens [batch, pos] and the length of each prompt's block [batch], uniform in low..high."""
    length = rng.integers(low, high + 1, batch)  # [batch]
    blocks = rng.integers(0, d_vocab, (batch, high))  # [batch, high]
    place = np.arange(n_ctx)[None, :] % length[:, None]  # [batch, pos]
    return np.take_along_axis(blocks, place, axis=1), length


def stripe_scores(pattern: np.ndarray, length: int) -> dict[str, np.ndarray]:
    """Mean attention on textbook targets over the second copy of a block: [head, query, key].

    previous, duplicate (the same token one block earlier) and induction (the token after that one):
    name -> [head]. Queries length .. 2 * length - 1; no BOS token is assumed.
    """
    query = np.arange(length, 2 * length)
    targets = {"previous": query - 1, "duplicate": query - length, "induction": query - length + 1}
    return {name: pattern[:, query, key].mean(axis=1) for name, key in targets.items()}
