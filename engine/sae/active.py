"""What is active in a block of rows: dense, or the few entries that matter.

The products of an SAE's step in both forms. With 32 of 8,192 latents active, an entry costs d_in
multiplications in each product and the rest cost none: 67 million instead of 17 billion.
Values are [row, d_sae] in the dense form and [entry] in the sparse one; `at` picks the parameters
[d_sae] that belong to them, so that the elementwise rules are written once for both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.sae.sparse import csr
from engine.sae.topk import Array

__all__ = ["Active", "Dense", "Entries"]

_GATHERED = 256  # decoder rows gathered at a time: half a megabyte at width 512, in the cache


class Dense:
    """Every latent of every row. Values [row, d_sae]."""

    at: Any = slice(None)

    def error(
        self, values: Array, W_dec: Array, target: Array, factor: Array
    ) -> tuple[Array, Array]:
        """(values W_dec - target [row, d_in], that times factor [row, 1] on W_dec [row, d_sae])."""
        error = values @ W_dec  # [row, d_in]
        error -= target
        return error, (error * factor) @ W_dec.T

    def onto(self, values: Array, rows: Array) -> Array:
        """values^T rows: rows [row, width] -> [d_sae, width]."""
        return values.T @ rows

    def per_latent(self, values: Array) -> Array:
        """[d_sae]: sums over the rows."""
        return values.sum(axis=0)

    def per_row(self, values: Array) -> Array:
        """[row]: sums over the latents."""
        return values.sum(axis=1)

    def of_row(self, per_row: Array) -> Array:
        """[row] -> what multiplies values."""
        return per_row[:, None]


class Entries:
    """Some latents of each row. Values [entry]; rows [entry] ascending, columns [entry] int32."""

    def __init__(self, rows: Array, columns: Array, shape: tuple[int, int]) -> None:
        self.rows, self.at, self.shape = rows, columns, shape
        self.counts = np.bincount(rows, minlength=shape[0])  # [row]
        self._first = np.zeros(shape[0] + 1, np.int32)  # [row + 1]
        np.cumsum(self.counts, out=self._first[1:])
        order = np.arange(len(columns), dtype=np.int32)  # [entry]
        turned: Any = csr(order, columns, self._first, shape).tocsc()
        self._order = turned.data  # [entry], by latent
        self._turned = turned.indices, turned.indptr  # [entry], [d_sae + 1]
        self._even = bool(len(columns)) and self.counts.min() == self.counts.max()

    def error(
        self, values: Array, W_dec: Array, target: Array, factor: Array
    ) -> tuple[Array, Array]:
        """(values W_dec - target [row, d_in], that times factor [row, 1] on W_dec [entry])."""
        even = self._error_even if self._even else self._error_uneven
        error, inner = even(values, W_dec, target)
        inner *= factor[self.rows, 0]
        return error, inner

    def _error_uneven(self, values: Array, W_dec: Array, target: Array) -> tuple[Array, Array]:
        sparse = csr(values, self.at, self._first, self.shape)
        error = sparse @ W_dec  # [row, d_in]
        error -= target
        inner = np.empty(len(values), error.dtype)  # [entry]
        for begin in range(0, len(values), _GATHERED):
            part = slice(begin, begin + _GATHERED)
            decoder, own = W_dec[self.at[part]], error[self.rows[part]]  # [entry, d_in] each
            np.vecdot(decoder, own, out=inner[part])
        return error, inner

    def _error_even(self, values: Array, W_dec: Array, target: Array) -> tuple[Array, Array]:
        """Where every row has k entries: each decoder row is gathered once for both products."""
        n_rows, width = target.shape
        k = len(values) // n_rows
        error = np.empty(target.shape, target.dtype)  # [row, d_in]
        inner = np.empty((n_rows, k), target.dtype)  # [row, k]
        several = max(1, _GATHERED // k)
        buffer = np.empty((several * k, width), target.dtype)  # [several * k, d_in]
        columns, f = self.at.reshape(n_rows, k), values.reshape(n_rows, 1, k)
        for begin in range(0, n_rows, several):
            part = slice(begin, min(n_rows, begin + several))
            index = columns[part].reshape(-1)
            rows = np.take(W_dec, index, axis=0, out=buffer[: len(index)], mode="clip")
            rows = rows.reshape(-1, k, width)  # [several, k, d_in]
            own = error[part]
            np.matmul(f[part], rows, out=own[:, None])
            own -= target[part]
            np.vecdot(rows, own[:, None], out=inner[part])
        return error, inner.reshape(-1)

    def onto(self, values: Array, rows: Array) -> Array:
        """values^T rows: rows [row, width] -> [d_sae, width]; each latent reads its own rows."""
        indices, first = self._turned
        shape = (self.shape[1], self.shape[0])
        return csr(values[self._order], indices, first, shape) @ rows

    def per_latent(self, values: Array) -> Array:
        """[d_sae]: sums over the rows."""
        sums = np.bincount(self.at, weights=values, minlength=self.shape[1])
        return sums.astype(values.dtype if values.dtype.kind == "f" else np.float64)

    def per_row(self, values: Array) -> Array:
        """[row]: sums over the latents."""
        return np.bincount(self.rows, weights=values, minlength=self.shape[0])

    def of_row(self, per_row: Array) -> Array:
        """[row] -> what multiplies values."""
        return per_row[self.rows]


Active = Dense | Entries
