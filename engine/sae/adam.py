"""Adam (Kingma and Ba 2014, arXiv:1412.6980), in place, in pieces that stay in the cache.

theta <- theta - lr m^ / (sqrt(v^) + eps). A step must read w, m, v and the gradient and write three
of them: 28 bytes a parameter, which is the floor; the twelve passes run over a piece in the cache.
Every parameter moves in every step, also of a latent that did not fire: its moments still decay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.sae.topk import Array

__all__ = ["Adam"]

_PIECE = 1 << 15  # numbers: five arrays of 128 kB


class Adam:
    """Moments m and v of named parameters, and the count of steps t."""

    def __init__(self, parameters: Mapping[str, Array]) -> None:
        self.parameters = dict(parameters)
        self.m = {name: np.zeros_like(array) for name, array in self.parameters.items()}
        self.v = {name: np.zeros_like(array) for name, array in self.parameters.items()}
        self.t = 0

    def step(
        self,
        gradients: Mapping[str, Array],
        lr: float,
        scale: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        """One step with `scale` times the gradients (what clipping leaves of them)."""
        self.t += 1
        beta1, beta2 = betas
        root = math.sqrt(1 - beta2**self.t)
        rate, small = lr * root / (1 - beta1**self.t), eps * root
        for name, whole in self.parameters.items():
            parts = (whole, self.m[name], self.v[name], gradients[name])
            flat = [part.reshape(-1) for part in parts]
            spare = np.empty(min(_PIECE, whole.size), whole.dtype)  # [piece]
            for first in range(0, whole.size, _PIECE):
                w, m, v, g = (part[first : first + _PIECE] for part in flat)
                own = spare[: len(w)]
                m *= beta1
                m += np.multiply(g, (1 - beta1) * scale, out=own)
                np.multiply(g, g, out=own)
                own *= (1 - beta2) * scale * scale
                v *= beta2
                v += own
                np.sqrt(v, out=own)
                own += small
                np.divide(m, own, out=own)
                own *= rate
                w -= own

    def forget(self, index: Mapping[str, Any]) -> None:
        """Begin the moments of some rows of each named parameter anew."""
        for name, rows in index.items():
            self.m[name][rows] = 0
            self.v[name][rows] = 0
