"""The k largest of every row of a wide matrix, or of the whole matrix: exactly, in few passes.

A partition of [2048, 8192] takes a tenth of a second. Instead each row is cut into groups: the k-th
largest of the groups' maxima is a lower bound of the k-th largest number, since k numbers reach it;
about k numbers of a row do, which one comparison finds, and only these are ordered.
Groups take every G-th column, so that their maximum runs along the memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "BatchTop", "row_top"]

Array = npt.NDArray[Any]

_NARROW = 1024  # columns below which ordering them all is as fast
_GROUPS_PER_K = 16  # with so many groups the k largest rarely share one
_ROWS = 256  # rows whose maxima are taken at a time: their part of the matrix stays in the cache


def row_top(values: Array, k: int) -> tuple[Array, Array]:
    """values [row, n] -> (index [row, k] ascending int32, value [row, k]).

    Among equals the first column counts. A row with a NaN has NaN among its values.
    """
    n_rows, n = values.shape
    maxima = _maxima(values, k)  # [row, group]
    if maxima is None:
        return _ordered(values, k)
    bound = np.partition(maxima, maxima.shape[1] - k, axis=1)[:, -k]  # [row]
    flat = np.flatnonzero(values >= bound[:, None])  # [candidate]
    rows = flat // n  # [candidate]
    columns = (flat - rows * n).astype(np.int32)  # [candidate]
    counts = np.bincount(rows, minlength=n_rows)  # [row]
    if (counts < k).any():  # NaN: no comparison with it is true
        return _ordered(values, k)
    found = values.reshape(-1)[flat]  # [candidate]
    if (counts == k).all():
        return columns.reshape(n_rows, k), found.reshape(n_rows, k)
    first = np.cumsum(counts) - counts  # [row]
    slot = np.arange(len(flat)) - first[rows]  # [candidate]
    table = np.full((n_rows, counts.max()), -np.inf, values.dtype)  # [row, slot]
    table[rows, slot] = found
    chosen, value = _ordered(table, k)
    return columns[first[:, None] + chosen], value


def _ordered(values: Array, k: int) -> tuple[Array, Array]:
    """As `row_top`, by a partition of each row and a look at who equals the k-th largest."""
    n = values.shape[1]
    if k == n:
        return np.broadcast_to(np.arange(n, dtype=np.int32), values.shape), values
    least = np.partition(values, n - k, axis=1)[:, n - k, None]  # [row, 1]
    above = values > least  # [row, n]
    level = values == least  # [row, n]
    wanted = k - above.sum(axis=1, keepdims=True)  # [row, 1] of those that equal it
    above |= level & (np.cumsum(level, axis=1) <= wanted)
    if (above.sum(axis=1) != k).any():  # NaN
        index = np.sort(np.argpartition(values, n - k, axis=1)[:, n - k :], axis=1)  # [row, k]
    else:
        index = np.nonzero(above)[1].reshape(-1, k)  # [row, k]
    return index.astype(np.int32), np.take_along_axis(values, index, axis=1)


def _maxima(values: Array, k: int) -> Array | None:
    """[row, group]: the largest of every G-th column; None where groups save nothing."""
    n_rows, n = values.shape
    groups = 1 << max(9, (_GROUPS_PER_K * k - 1).bit_length())
    while groups * 4 > n and groups // 2 >= 4 * k:
        groups //= 2
    if n < _NARROW or groups * 2 > n:
        return None
    maxima = np.empty((n_rows, groups), values.dtype)  # [row, group]
    whole = n // groups * groups
    for first in range(0, n_rows, _ROWS):
        part = values[first : first + _ROWS]
        cut = part[:, :whole].reshape(len(part), -1, groups)  # [row, member, group]
        into = np.max(cut, axis=1, out=maxima[first : first + _ROWS])
        if whole < n:
            rest = into[:, : n - whole]
            np.maximum(rest, part[:, whole:], out=rest)
    return maxima


class BatchTop:
    """The `count` largest positive numbers of a matrix that arrives in blocks of rows.

    What is kept is always the exact answer for the blocks so far; memory is that of the block and
    of what is kept. Among equals the earlier entry counts.
    """

    def __init__(self, count: int, n: int, dtype: Any = np.float32) -> None:
        self.count, self.n = count, n
        self._bound: Any = np.zeros((), dtype)[()]  # nothing below it can be among them
        self._flat = np.zeros(0, np.int64)  # [kept] row * n + column
        self._value = np.zeros(0, dtype)  # [kept]

    def add(self, values: Array, first_row: int) -> None:
        """values [row, n] of the rows from `first_row` on."""
        maxima = _maxima(values, max(1, -(-self.count // max(1, len(values)))))
        if maxima is not None and maxima.size >= self.count:
            least = np.partition(maxima, maxima.size - self.count, axis=None)[-self.count]
            self._bound = max(self._bound, least)
        here = values >= self._bound if self._bound > 0 else values > 0  # [row, n]
        flat = np.flatnonzero(here)  # [candidate]
        found = values.reshape(-1)[flat]  # [candidate]
        self._flat = np.concatenate([self._flat, flat + first_row * self.n])
        self._value = np.concatenate([self._value, found])
        if len(self._value) > self.count:
            least = np.partition(self._value, -self.count)[-self.count]
            level = self._value == least  # [kept]
            kept = self._value > least  # [kept]
            kept |= level & (np.cumsum(level) <= self.count - kept.sum())
            self._flat, self._value, self._bound = self._flat[kept], self._value[kept], least

    def chosen(self) -> tuple[Array, Array, Array]:
        """(row [kept], column [kept] int32, value [kept]), by row and column."""
        rows = self._flat // self.n  # [kept]
        return rows, (self._flat - rows * self.n).astype(np.int32), self._value
