"""What is told of an SAE in training: curves, densities, near copies among its latents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["COSINE_EDGES", "DENSITY_EDGES", "Densities", "Records", "binned", "nearest_cosine"]

Array = npt.NDArray[Any]

MOST_RECORDS = 2000
DENSITY_EDGES = np.linspace(-6, 0, 49)  # [edge], log10 of a share: eight bins a decade
COSINE_EDGES = np.linspace(0, 1, 41)  # [cosine_edge]
MOST_ASKED = 4096  # latents whose nearest one is looked for: the product is with all others
SLAB = 32 << 20  # bytes of cosines at once


class Records:
    """Curves [metric, record, variant]: means over the steps since the record before.

    One record a step, until there are `most`, an even number; then every two become one. What was
    handed out stays as it is. `latest` are metrics that are told as they are, not as a mean.
    """

    def __init__(
        self, names: Sequence[str], n_variants: int, latest: Sequence[str] = (),
        most: int = MOST_RECORDS,
    ) -> None:  # fmt: skip
        self.names, self.most, self.count, self.stride = tuple(names), most, 0, 1
        self._latest = np.isin(self.names, latest)  # [metric]
        self._steps = np.zeros(most, np.int64)  # [record]
        self._lr = np.zeros(most)  # [record]
        self._values = np.zeros((most, len(names), n_variants))  # [record, metric, variant]
        self._sum = np.zeros((len(names), n_variants))  # [metric, variant]
        self._since = 0  # steps in the sum

    def add(self, step: int, lr: float, values: Array) -> None:
        """Metrics [metric, variant] of one step, the step's number counted from 1."""
        self._sum += values
        self._since += 1
        if self._since < self.stride:
            return
        mean = self._sum / self._since  # [metric, variant]
        mean[self._latest] = values[self._latest]
        self._steps[self.count], self._lr[self.count] = step, lr
        self._values[self.count] = mean
        self.count += 1
        self._sum, self._since = np.zeros_like(self._sum), 0
        if self.count == self.most:  # now, so that the next record spans the new stride
            self._thin()

    def newest(self) -> dict[str, float]:
        """The last record: each metric's mean over the variants."""
        if not self.count:
            return {}
        mean = self._values[self.count - 1].mean(axis=1)  # [metric]
        return dict(zip(self.names, mean.tolist(), strict=True))

    def fields(self) -> dict[str, Array]:
        """The result's fields, as views: what is written is not written again."""
        return {
            "history_step": self._steps[: self.count], "history_lr": self._lr[: self.count],
            "history": self._values[: self.count].swapaxes(0, 1),  # [metric, record, variant]
        }  # fmt: skip

    def state(self) -> dict[str, Array]:
        """Everything that the next record depends on, as copies."""
        return {
            "steps": self._steps[: self.count].copy(), "lr": self._lr[: self.count].copy(),
            "values": self._values[: self.count].copy(), "sum": self._sum.copy(),
            "counts": np.array([self.stride, self._since], np.int64),
        }  # fmt: skip

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on from a `state()` of the same metrics and variants; ValueError where it is none."""
        count = len(state["steps"])
        stride, since = (int(value) for value in state["counts"])
        if count >= self.most or stride < 1 or not 0 <= since < stride:
            raise ValueError(f"{count:,} records at a stride of {stride}")
        for name, shape in (
            ("steps", (count,)), ("lr", (count,)), ("values", (count, *self._sum.shape)),
            ("sum", self._sum.shape),
        ):  # fmt: skip
            if state[name].shape != shape:
                raise ValueError(f"{name} has the shape {state[name].shape} and should be {shape}")
        self.count, self.stride, self._since = count, stride, since
        self._steps[:count], self._lr[:count] = state["steps"], state["lr"]
        self._values[:count], self._sum = state["values"], np.array(state["sum"], float)

    def _thin(self) -> None:
        """Every two records become one, in fresh arrays: older ones are still shown somewhere."""
        half = self.most // 2
        steps, lr, values = self._steps, self._lr, self._values
        pairs = values.reshape(half, 2, *values.shape[1:])  # [pair, 2, metric, variant]
        self._steps, self._lr = np.zeros_like(steps), np.zeros_like(lr)  # [record]
        self._values = np.zeros_like(values)  # [record, metric, variant]
        self._values[:half] = pairs.mean(axis=1)
        self._values[:half, self._latest] = pairs[:, 1, self._latest]
        self._steps[:half], self._lr[:half] = steps[1::2], lr[1::2]
        self.count, self.stride = half, 2 * self.stride


class Densities:
    """How often each latent fires, over the interval before and the present one together.

    An interval is what lies between two checks: so the histogram moves, and is never of a handful
    of rows but at the very start.
    """

    def __init__(self, n_variants: int, d_sae: int) -> None:
        self.before = np.zeros((n_variants, d_sae), np.int64)  # [variant, latent]
        self.rows_before = 0

    def turn(self, fired: Array, rows: int) -> None:
        """An interval ends: fired [variant, latent] of its rows."""
        self.before, self.rows_before = np.array(fired, np.int64), rows

    def restore(self, before: Array, rows: int) -> None:
        """Go on from the interval before; ValueError where it is of another number of latents."""
        if before.shape != self.before.shape:
            raise ValueError(f"the density has the shape {before.shape}, not {self.before.shape}")
        self.turn(before, rows)

    def fields(self, fired: Array, rows: int) -> dict[str, Any]:
        """The result's fields, with what has fired [variant, latent] since the last turn."""
        total, seen = self.before + fired, self.rows_before + rows  # [variant, latent]
        density = total / seen if seen else np.full(total.shape, np.nan)  # [variant, latent]
        silent = (total == 0).sum(axis=1) if seen else np.zeros(len(total), np.int64)  # [variant]
        with np.errstate(divide="ignore"):
            logs = np.log10(density)  # [variant, latent]
        return {
            "density": density.astype(np.float32), "density_edges": DENSITY_EDGES.copy(),
            "density_counts": binned(logs, DENSITY_EDGES), "silent": silent, "n_density": seen,
        }  # fmt: skip


def binned(values: Array, edges: Array) -> Array:
    """Counts [variant, bin] of values [variant, latent]; beyond an edge is in the outer bin.

    What is not finite is in none.
    """
    counts = np.zeros((len(values), len(edges) - 1), np.int64)  # [variant, bin]
    for row, line in zip(counts, values, strict=True):
        held = np.clip(line[np.isfinite(line)], edges[0], edges[-1])  # [latent]
        row += np.histogram(held, edges)[0]
    return counts


def nearest_cosine(
    W_dec: Array, listen: Callable[[], object], most: int = MOST_ASKED
) -> Array:  # fmt: skip
    """W_dec [latent, d_in] -> [latent]: the largest cosine with another latent's row.

    Of more than `most` latents an even choice is asked, each against all; the rest are NaN.
    """
    d_sae = len(W_dec)
    found = np.full(d_sae, np.nan, np.float32)  # [latent]
    if d_sae < 2:
        return found
    norms = np.sqrt(np.einsum("ld,ld->l", W_dec, W_dec))  # [latent]
    unit = W_dec / np.maximum(norms, 1e-30)[:, None]  # [latent, d_in]
    asked = np.unique(np.linspace(0, d_sae - 1, min(most, d_sae)).astype(int))  # [asked]
    step = max(1, min(256, SLAB // (4 * d_sae)))
    for first in range(0, len(asked), step):
        listen()
        some = asked[first : first + step]  # [some]
        cosines = unit[some] @ unit.T  # [some, latent]
        cosines[np.arange(len(some)), some] = -np.inf  # itself
        found[some] = cosines.max(axis=1)
    return found
