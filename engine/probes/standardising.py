"""Activations as the solvers read them: centred, scaled, in slabs, without a second copy if large.

A model's stream has directions hundreds of times larger than the rest and far from 0, so every
product reads rows that were standardised once for the whole matrix, in float32; what a task's own
training rows change about that (their means and deviations differ a little) is folded into its
weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import RunError
from engine.probes.problems import Booleans, Floats, Integers, Listen, Singles

KEPT_BYTES = 256 << 20  # a standardised copy no larger than this is kept
SLAB_ENTRIES = 1 << 20  # of X in one slab
OUTPUT_ENTRIES = 1 << 20  # of a product with X in one slab
CONSTANT = 1e-9  # a deviation below this share of the mean is rounding: a dead unit


class Rows:
    """Some rows of X [row, d], standardised by themselves: (X - mean) / scale, in slabs.

    rows: indices into X, None = all of it. Raises RunError where X is not finite.
    """

    def __init__(self, X: Singles, rows: Integers | None, listen: Listen) -> None:
        self.X, self.rows, self.listen = X, rows, listen
        self.n = len(X) if rows is None else len(rows)
        self.d = X.shape[1]
        self.mean, spread = moments(self, None)  # [d] each
        self.dead = spread == 0  # [d] units that never move
        self._low = self.mean.astype(np.float32)  # [d]
        # The rounding of the mean stays: with it, mean and scale say exactly what was subtracted.
        self.mean = self._low.astype(np.float64)  # [d]
        self._inverse = (1 / np.where(spread > 0, spread, 1.0)).astype(np.float32)  # [d]
        self.scale = 1 / self._inverse.astype(np.float64)  # [d]
        self._kept: Singles | None = None
        if self.n * self.d * 4 <= KEPT_BYTES:
            kept = np.empty((self.n, self.d), np.float32)  # [row, d]
            for at in self.slabs(1):
                kept[at] = self._read(at)
            self._kept = kept

    def slabs(self, outputs: int) -> Iterator[slice]:
        """Consecutive rows, few enough for a product with `outputs` columns to stay short."""
        most = min(SLAB_ENTRIES // self.d, OUTPUT_ENTRIES // max(outputs, 1))
        step = max(16, most)
        for start in range(0, self.n, step):
            self.listen()
            yield slice(start, min(start + step, self.n))

    def of(self, table: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The columns of a table [..., row of X] that belong to these rows."""
        return table if self.rows is None else table[..., self.rows]

    def raw(self, at: slice) -> Singles:
        """[row, d] as the model made them."""
        return np.asarray(self.X[at] if self.rows is None else self.X[self.rows[at]], np.float32)

    def _read(self, at: slice) -> Singles:
        out = self.raw(at) - self._low  # [row, d]
        out *= self._inverse
        return out

    def pick(self, at: Integers) -> Singles:
        """[row, d] standardised, of any of these rows by index."""
        if self._kept is not None:
            return self._kept[at]
        out = np.asarray(self.X[at if self.rows is None else self.rows[at]], np.float32) - self._low
        out *= self._inverse
        return out

    def __getitem__(self, at: slice) -> Singles:
        """[row, d] standardised; not to be written to."""
        return self._read(at) if self._kept is None else self._kept[at]


def moments(rows: Rows, keep: Booleans | None) -> tuple[Floats, Floats]:
    """Mean and deviation [d] of the raw rows that `keep` [row] names (None = all); 0 if constant.

    Two passes in float64: one would lose the deviation of a unit that is far from 0.
    """
    n = rows.n if keep is None else int(np.count_nonzero(keep))
    total = np.zeros(rows.d)  # [d]
    for at in rows.slabs(1):
        part = rows.raw(at)  # [row, d]
        total += (part if keep is None else part[keep[at]]).sum(axis=0, dtype=np.float64)
    if not np.isfinite(total).all():
        raise RunError(
            f"activations are not finite in {np.count_nonzero(~np.isfinite(total)):,} of "
            f"{rows.d:,} units; look at the model's weights, or read an earlier layer"
        )
    mean = total / max(n, 1)  # [d]
    square = np.zeros(rows.d)  # [d]
    for at in rows.slabs(1):
        part = rows.raw(at)  # [row, d]
        part = (part if keep is None else part[keep[at]]) - mean
        square += np.einsum("rd,rd->d", part, part)
    spread = np.sqrt(square / max(n, 1))  # [d]
    return mean, np.where(spread > CONSTANT * np.abs(mean), spread, 0.0)


@dataclass(frozen=True)
class Own:
    """What tasks' own training rows change: x_own = x_all * stretch + shift.

    mean, scale [task, d] in raw space; stretch, shift [task, d], both 0 in a column that is
    constant over the task's training rows, so that its weight stays exactly 0.
    """

    mean: Floats
    scale: Floats
    stretch: Floats
    shift: Floats


def own(rows: Rows, train: Booleans) -> Own:
    """The standardisation of each task by its training rows; train [task, row] of these rows."""
    mean = np.empty((len(train), rows.d))  # [task, d]
    spread = np.empty_like(mean)  # [task, d]
    known: dict[bytes, int] = {}  # tasks of one split share their moments
    for task, keep in enumerate(train):
        first = known.setdefault(np.packbits(keep).tobytes(), task)
        pair = moments(rows, keep) if first == task else (mean[first], spread[first])
        mean[task], spread[task] = pair
    scale = np.where(spread > 0, spread, 1.0)  # [task, d]
    stretch = np.where(spread > 0, rows.scale / scale, 0.0)  # [task, d]
    shift = np.where(spread > 0, (rows.mean - mean) / scale, 0.0)  # [task, d]
    return Own(mean, scale, stretch, shift)
