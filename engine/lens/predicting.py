"""The softmax of many rows over a large vocabulary, in tiles of logits that never leave the cache.

Rows by rows, the logits of a lens are layers x positions x d_vocab numbers: gigabytes. A tile is a
product of some columns of W_U with all rows, [output, row]; while it is in the cache one sweep
takes what is wanted of it (maxima of blocks, exponentials and their sum, the entropy's sum, ranks),
and the next tile takes its place. Totals are kept relative to the largest logit so far (Milakov &
Gimelshein 2018, arXiv:1805.02867), in float64.

KL needs no second look at the logits, for they are linear: with E_f the columns of W_U averaged
under the final prediction p_f, KL(p_f || p) = ln Z - ln Z_f - (y - y_f) . E_f.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.lens.top import BLOCK, Tops, block_maxima

Floats = npt.NDArray[np.floating]
Ids = npt.NDArray[np.integer]

MOST_ROWS = 512  # rows of one product: fewer, and packing W_U for it costs more than 3 %
TILE = 512 << 10  # logits of one tile: 2 MB, and as much for their exponentials
WIDEST = 4096  # outputs in a tile of few rows
SWEEP = 128 << 10  # logits that pass through the second-level cache at once
LONGEST = 256  # terms of one float32 sum
COUNTED = 128  # a count of booleans in one byte


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a softmax over the vocabulary says in each of many rows."""

    log_total: Floats  # [row], ln of the sum of exp(logit), float64
    entropy: Floats  # [row], in nats, float64
    top_ids: Ids  # [row, k], best first
    top_logits: Floats  # [row, k]
    logits: Floats  # [row, tracked]
    ranks: Ids  # [row, tracked], outputs with a larger logit
    expected: Floats  # [first rows, d_model], W_U averaged under the prediction, float64


def predictions(
    model: Any, y: Floats, k: int, tracked: Ids, n_expected: int = 0
) -> Generator[float, None, Predictions]:
    """Read rows y [row, d_model], normed, through the unembedding; yields work done, in FLOPs.

    tracked [row, tracked]: output ids whose logits and ranks are wanted, -1 = none. n_expected: of
    how many of the first rows `expected` is wanted. A row whose logits are not finite has no finite
    log_total and -1 for its tops.
    """
    W_U, b_U = model.weights.W_U, model.weights.b_U
    d_model, n_out = W_U.shape
    n_rows = len(y)
    width = tile_width(n_rows, n_out)
    columns = np.ascontiguousarray(y.T)  # [d_model, row]
    tile = np.empty((width, n_rows), y.dtype)  # [output, row]
    sums = _Sums(tile, W_U, n_expected)
    tops = Tops(n_rows, min(k, n_out))
    follow = _Tracked(y, W_U, b_U, tracked, exact=width >= n_out)
    for first in range(0, n_out, width):
        model.listen()
        part = slice(first, min(first + width, n_out))
        logits = tile[: part.stop - first]  # [output, row]
        np.matmul(W_U[:, part].T, columns, out=logits)
        if b_U is not None:
            logits += b_U[part, None]
        maxima = block_maxima(logits, tops.block)  # [block, row]
        tops.offer(first, logits, maxima)
        follow.meet(first, logits)
        sums.add(part, logits, maxima.max(axis=0))
        yield 2.0 * n_rows * d_model * len(logits)
    return sums.result(tops, follow)


def tile_width(n_rows: int, n_out: int) -> int:
    """Outputs in one tile of so many rows."""
    width = min(WIDEST, max(BLOCK, TILE // max(1, n_rows)))
    return min(n_out, width - width % BLOCK)


class _Sums:
    """Sums of exp(logit - largest) and of that times (logit - largest), tile by tile."""

    def __init__(self, tile: Floats, W_U: Floats, n_expected: int) -> None:
        n_rows = tile.shape[1]
        self.largest = np.full(n_rows, -np.inf)  # [row]
        self.total = np.zeros(n_rows)  # [row]
        self.moment = np.zeros(n_rows)  # [row]
        self.W_U, self.n_expected = W_U, n_expected
        self.expected = np.zeros((len(W_U), n_expected))  # [d_model, first rows]
        self.step = max(1, min(LONGEST, SWEEP // n_rows))  # outputs of one sweep
        # The exponentials of a whole tile only where a product with all of them follows.
        self.work = np.empty((len(tile) if n_expected else self.step, n_rows), tile.dtype)

    def add(self, part: slice, x: Floats, maxima: Floats) -> None:
        """Outputs `part`: their logits x [output, row], spent by this, and their maxima [row]."""
        self._rebase(np.maximum(self.largest, maxima))
        largest = self.largest.astype(x.dtype)  # [row]
        for first in range(0, len(x), self.step):
            shifted = x[first : first + self.step]  # [output, row]
            start = first if self.n_expected else 0
            weight = self.work[start : start + len(shifted)]  # [output, row]
            shifted -= largest
            np.exp(shifted, out=weight)
            self.total += weight.sum(axis=0)
            self.moment += np.einsum("vr,vr->r", weight, shifted)
        if self.n_expected:
            self.expected += self.W_U[:, part] @ self.work[: len(x), : self.n_expected]

    def _rebase(self, largest: Floats) -> None:
        moved = np.where(np.isfinite(self.largest), self.largest - largest, 0.0)  # [row]
        scale = np.exp(moved)  # [row]
        self.moment = scale * (self.moment + moved * self.total)
        self.total *= scale
        self.expected *= scale[: self.n_expected]
        self.largest = largest

    def result(self, tops: Tops, follow: _Tracked) -> Predictions:
        with np.errstate(invalid="ignore", divide="ignore"):
            log_total = np.log(self.total)  # [row]
            entropy = np.maximum(log_total - self.moment / self.total, 0.0)  # [row]
            log_total += self.largest
            expected = (self.expected / self.total[: self.n_expected]).T  # [first rows, d_model]
        if np.isfinite(log_total).all():
            ids, values = tops.result()
        else:
            shape = (tops.n_rows, tops.k)
            ids, values = np.full(shape, -1), np.full(shape, np.nan, np.float32)
        return Predictions(
            log_total, entropy, ids, values, follow.logits.T, follow.ranks.T, expected
        )


class _Tracked:
    """Logits and ranks of chosen outputs: `ids` [tracked, row].

    To count what is above it, a token's logit is needed before the first tile: the dot product of
    its row, which rounding may put a hair away from the tile's own. What is told is the tile's, and
    a token is never counted above itself. `exact`: one tile holds everything, so it is waited for.
    """

    def __init__(
        self, y: Floats, W_U: Floats, b_U: Floats | None, tracked: Ids, *, exact: bool
    ) -> None:
        self.ids = np.ascontiguousarray(tracked.T)  # [tracked, row]
        self.logits = np.full(self.ids.shape, np.nan, y.dtype)  # [tracked, row]
        self.ranks = np.zeros(self.ids.shape, np.int64)  # [tracked, row]
        self.exact = exact
        self.bars = self.logits.copy()  # [tracked, row]
        if exact:
            return
        for ids, bar in zip(self.ids, self.bars, strict=True):
            chosen, which = np.unique(ids, return_inverse=True)
            columns = W_U[:, chosen].T  # [chosen, d_model]
            bar[:] = np.einsum("rd,rd->r", y, columns[which])
            if b_U is not None:
                bar += b_U[ids]

    def meet(self, first: int, x: Floats) -> None:
        """Outputs first, first + 1, ...: their logits x [output, row]."""
        n, n_rows = x.shape
        rows = np.arange(n_rows)
        above = np.empty((COUNTED, n_rows), bool)  # [output, row]
        for ids, bar, logit, rank in zip(self.ids, self.bars, self.logits, self.ranks, strict=True):
            if (ids < 0).all():
                continue
            here = rows[(ids >= first) & (ids < first + n)]
            logit[here] = x[ids[here] - first, here]
            if self.exact:
                bar[:] = logit
            for start in range(0, n, COUNTED):
                few = x[start : start + COUNTED]
                over = np.greater(few, bar, out=above[: len(few)])
                rank += over.view(np.uint8).sum(axis=0, dtype=np.uint8)
            rank[here] -= logit[here] > bar[here]
