"""Beside: the neuron to set beside each latent, on the very same tokens.

That unit of the hook which the decoder row is longest along. It is known before the text is read,
so its activations are kept with the examples of the latent, whatever the examples turn out to be.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.sae.bases import Basis
from engine.sae.examples import Slots

__all__ = ["Beside", "about_units"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


class Beside:
    """The unit of the hook beside each latent, and the sums behind their correlation."""

    def __init__(self, basis: Basis) -> None:
        size = np.abs(basis.rows)  # [latent, d_in]
        self.unit = size.argmax(axis=1)  # [latent]
        at = np.arange(basis.n)
        length = np.linalg.norm(basis.rows, axis=1)  # [latent]
        self.weight = basis.rows[at, self.unit] / np.where(length > 0, length, 1)  # [latent]
        self.f, self.ff, self.fu = (np.zeros(basis.n) for _ in range(3))  # [latent]
        self.u, self.uu = (np.zeros(basis.site.width) for _ in range(2))  # [unit]

    def add(self, x: Floats, row: Ints, latent: Ints, value: Floats) -> None:
        """x [row, d_in], 0 where a token is not counted; all entries of f that are not 0."""
        n = len(self.f)
        self.f += np.bincount(latent, value, n)
        self.ff += np.bincount(latent, value.astype(np.float64) ** 2, n)
        self.fu += np.bincount(latent, value * x[row, self.unit[latent]], n)
        self.u += x.sum(axis=0, dtype=np.float64)
        self.uu += np.einsum("ri,ri->i", x, x, dtype=np.float64)

    def correlation(self, count: int) -> Floats:
        """[latent] over `count` tokens; NaN where one of the two does not vary."""
        u, uu = self.u[self.unit], self.uu[self.unit]  # [latent]
        shared = count * self.fu - self.f * u
        spread = np.maximum(count * self.ff - self.f**2, 0) * np.maximum(count * uu - u**2, 0)
        found = np.full(len(u), np.nan)
        np.divide(shared, np.sqrt(spread), out=found, where=spread > 0)
        return np.clip(found, -1, 1)


def about_units(beside: Beside | None, slots: Slots, count: int) -> dict[str, Any]:
    """The fields of a result about the unit beside each latent."""
    n, n_slots = slots.value.shape
    if beside is None:
        unknown = np.full(n, np.nan, np.float32)  # [latent]
        return {
            "unit": np.full(n, -1), "unit_weight": unknown, "unit_correlation": unknown.copy(),
            "example_unit": np.zeros((n, n_slots, 0), np.float32),
        }  # fmt: skip
    return {
        "unit": beside.unit.copy(), "unit_weight": beside.weight.astype(np.float32),
        "unit_correlation": beside.correlation(count).astype(np.float32),
        "example_unit": slots.window[:, :, 1],
    }  # fmt: skip
