"""Concepts: named directions in three dimensions, and activations in which they are mixed.

x = sum_i a_i d_i with a_i = 0 but with probability p, and then uniform on [0.5, 1.5]: the linear
representation hypothesis with the truth known. Five unit vectors do not fit at right angles into
three dimensions, so they overlap, as in superposition (Elhage et al. 2022, arXiv:2209.10652).

What would fool you: "spread" directions keep apart, but two of five stand nearly opposite, so that
both of them active cancel to almost nothing; "random" ones are often nearly parallel (the largest
cosine of five is about 0.8), and no method can tell apart what points the same way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["DIRECTIONS", "LEAST", "MOST", "NAMES", "Array", "directions", "draw"]

Array = npt.NDArray[Any]
NAMES = ("sports", "politics", "code", "music", "food", "weather", "travel")
DIRECTIONS = ("spread", "random")
LEAST, MOST = 0.5, 1.5  # of a concept that is there
_PUSHES, _PUSH = 400, 0.3  # steps of the repulsion, and the length of the first


def directions(kind: str, count: int, rng: np.random.Generator) -> Array:
    """[concept, 3] unit vectors: "random" on the sphere, or "spread" by repelling each other.

    The repulsion is that of equal charges (Thomson's problem): five end as two poles and a
    triangle around the equator, turned by chance.
    """
    found = _unit(rng.standard_normal((count, 3)))  # [concept, 3]
    if kind == "random":
        return found
    for push in range(_PUSHES):
        apart = found[:, None] - found[None]  # [concept, other, 3]
        away = (apart**2).sum(axis=-1) + np.eye(count)  # [concept, other], squared distance
        force = (apart / away[..., None] ** 1.5).sum(axis=1)  # [concept, 3]
        force -= (force * found).sum(axis=1, keepdims=True) * found  # along the sphere
        found = _unit(found + _PUSH * (1 - push / _PUSHES) * force)
    return found


def draw(true: Array, density: float, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Mixtures of the directions true [concept, 3]: x [3, sample] and amounts [concept, sample].

    One uniform draw u gives both whether a concept is there (u < p) and how much of it.
    """
    u = rng.random((len(true), count), np.float32)  # [concept, sample]
    amounts = np.where(u < density, LEAST + (MOST - LEAST) / density * u, 0)  # [concept, sample]
    amounts = amounts.astype(np.float32)
    return (true.T @ amounts).astype(np.float32), amounts


def _unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
