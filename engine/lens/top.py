"""The largest entries of each of many rows, by block maxima: `argpartition` costs as much as the
matrix product that made the rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ids = npt.NDArray[np.integer]

BLOCK = 64  # entries that share one maximum, where a row is long


def top_k(values: Floats, k: int) -> Ids:
    """Indices of the k largest of each row, best first, ties to the lower index: [row, k].

    values [row, n] are all there. The k best lie in the k blocks with the largest maxima, so one
    pass over the row and a sort of a few candidates do.
    """
    n_rows, n = values.shape
    n_blocks = n // BLOCK
    if n_blocks <= 4 * k:
        return np.argsort(-values, axis=-1, kind="stable")[:, :k]
    head = values[:, : n_blocks * BLOCK].reshape(n_rows, n_blocks, BLOCK)
    best = np.argsort(-head.max(-1), axis=-1, kind="stable")[:, :k]  # [row, k] blocks
    best.sort(axis=-1)
    inside = (best[:, :, None] * BLOCK + np.arange(BLOCK)).reshape(n_rows, -1)  # [row, k * BLOCK]
    rest = np.broadcast_to(np.arange(n_blocks * BLOCK, n), (n_rows, n - n_blocks * BLOCK))
    candidates = np.concatenate([inside, rest], axis=-1)  # [row, candidate]
    order = np.argsort(
        -np.take_along_axis(values, candidates, axis=-1), axis=-1, kind="stable"
    )[:, :k]  # fmt: skip
    return np.take_along_axis(candidates, order, axis=-1)


class Tops:
    """The k largest of each row while its entries come by in tiles, lower indices first.

    Held are the entries that were above what the k-th largest was known to be, about k ln(n / tile)
    a row: most blocks of a later tile have none, which their maxima say. An entry is one number
    whose order is the one wanted: row, then value from the largest down, then index.
    """

    def __init__(self, n_rows: int, k: int) -> None:
        if n_rows > MOST_ROWS:
            raise ValueError(f"{n_rows} rows: at most {MOST_ROWS} at once")
        self.n_rows, self.k = n_rows, k
        self.block = BLOCK // 2 if k <= _FEW else BLOCK // 8  # entries that share a maximum
        self.low: Floats | None = None  # [row], the k-th largest so far, or less
        self.keys: list[npt.NDArray[np.uint64]] = []
        self.held = 0

    def offer(self, first: int, tile: Floats, maxima: Floats) -> None:
        """Entries first, first + 1, ... of every row: tile [entry, row], float32.

        maxima: `block_maxima` of blocks of `block` entries.
        """
        if self.low is None:
            self.low = _lower_bound(tile, self.k)
        hit = np.flatnonzero(maxima > self.low)  # [hit], block * n_rows + row
        if not len(hit):
            return
        row = hit % self.n_rows
        start = (hit - row) * self.block + row  # of the block's first entry in the tile, row by row
        at = start + self.n_rows * np.arange(self.block)[:, None]  # [entry of block, hit]
        if at[-1, -1] >= tile.size:
            at = np.where(at < tile.size, at, start)  # the last block may be shorter
        values = tile.reshape(-1).take(at)  # [entry of block, hit]
        over = at[values > self.low[row]]  # [entry]
        ids, rows = np.divmod(over, self.n_rows)
        self.keys.append(_keys(rows, tile.reshape(-1)[over], first + ids))
        self.held += len(over)
        if self.held > 2 * self.k * self.n_rows:
            self._prune()

    def _prune(self) -> None:
        assert self.low is not None
        keys = np.sort(np.concatenate(self.keys))
        keys = keys[np.append(True, keys[1:] != keys[:-1])]
        rows = (keys >> _ROW).astype(np.int64)
        starts = np.searchsorted(rows, np.arange(self.n_rows))  # [row]
        rank = np.arange(len(rows)) - starts[rows]
        kth = rank == self.k - 1
        self.low[rows[kth]] = _values(keys[kth])
        self.keys = [keys[rank < self.k]]
        self.held = len(self.keys[0])

    def result(self) -> tuple[Ids, Floats]:
        """Indices and values [row, k], best first, ties to the lower index."""
        self._prune()
        keys = self.keys[0].reshape(self.n_rows, self.k)
        return (keys & _INDICES).astype(np.int64), _values(keys)


MOST_ROWS = 1 << 10
_FEW = 10  # tops for which long blocks pay: more of them, and more blocks hold one
_ROW, _VALUE = np.uint64(54), np.uint64(22)  # bits below the row, below the value
_INDICES = np.uint64((1 << 22) - 1)  # no vocabulary has four million outputs
_SIGN, _ALL = np.uint32(1 << 31), np.uint32(0xFFFFFFFF)


def _keys(rows: Ids, values: Floats, ids: Ids) -> npt.NDArray[np.uint64]:
    """Numbers that sort by row, then by value downwards, then by index."""
    bits = (values + np.float32(0)).view(np.uint32)  # + 0: no negative zero
    falling = np.where(bits & _SIGN, bits, ~(bits | _SIGN))
    return (
        rows.astype(np.uint64) << _ROW | falling.astype(np.uint64) << _VALUE | ids.astype(np.uint64)
    )


def _values(keys: npt.NDArray[np.uint64]) -> Floats:
    """The values that `_keys` has put in, float32."""
    falling = (keys >> _VALUE).astype(np.uint32)
    return np.where(falling & _SIGN, falling, ~falling & ~_SIGN).astype(np.uint32).view(np.float32)


def block_maxima(tile: Floats, block: int) -> Floats:
    """Maxima of `block` entries each of tile [entry, row] -> [block, row]; the last is shorter."""
    n, n_rows = tile.shape
    whole = n // block
    maxima = np.empty((-(-n // block), n_rows), tile.dtype)  # [block, row]
    np.max(tile[: whole * block].reshape(whole, block, n_rows), axis=1, out=maxima[:whole])
    if whole * block < n:
        np.max(tile[whole * block :], axis=0, out=maxima[-1])
    return maxima


def _lower_bound(tile: Floats, k: int) -> Floats:
    """Below the k-th largest of each row of tile [entry, row], if not by much: [row].

    The k-th largest of maxima over short blocks; -inf where the tile has hardly k entries.
    """
    n, n_rows = tile.shape
    width = max(1, min(BLOCK, n // (4 * k)))
    whole = n // width
    if whole < k:
        return np.full(n_rows, -np.inf, tile.dtype)
    maxima = block_maxima(tile[: whole * width], width)  # [block, row]
    kth = np.partition(maxima, whole - k, axis=0)[whole - k]  # [row]
    return np.nextafter(kth, np.array(-np.inf, tile.dtype))
