"""What decoder rows write: output tokens through W_U, and which rows are alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.lens.top import top_k
from engine.probes.directions import is_stream
from engine.sae.bases import Basis

__all__ = ["Writing", "onto_stream"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

SLAB_FLOPS = 2e9  # of one product between two looks at Stop
LEAST_ROWS = 32  # latents in a product: with fewer, reading W_U takes longer than multiplying


@dataclass(eq=False)
class Writing:
    """Ids and values [latent, rank]; -1 and NaN where nothing is known or there is nothing."""

    promoted: Ints
    promoted_logits: Floats
    suppressed: Ints
    suppressed_logits: Floats
    nearest: Ints
    cosine: Floats

    @classmethod
    def unknown(cls, n: int, n_out: int, ranks: int) -> Self:
        """Nothing is known of n latents."""
        shape, others = (n, min(ranks, n_out)), (n, min(ranks, n - 1))
        nan = np.nan
        return cls(
            np.full(shape, -1, np.int32), np.full(shape, nan, np.float32),
            np.full(shape, -1, np.int32), np.full(shape, nan, np.float32),
            np.full(others, -1, np.int32), np.full(others, nan, np.float32),
        )  # fmt: skip

    def fill(self, model: Any, basis: Basis) -> Iterator[float]:
        """Fill in place; yields the share of the work that is done."""
        stream = onto_stream(model, basis)  # [latent, d_model] or None
        half = 0.5 if stream is not None else 0.0
        if stream is not None:
            for share in self._tokens(model, stream):
                yield half * share
        if not self.nearest.shape[1]:
            return
        rows = basis.rows if basis.kind == "SAE" else None  # other rows are orthogonal
        if basis.kind == "neurons" and not is_stream(model, basis.hook):
            rows = stream  # what units write may be alike
        if rows is not None:
            for share in self._neighbours(model, rows):
                yield half + (1 - half) * share

    def _tokens(self, model: Any, stream: Floats) -> Iterator[float]:
        norm, cfg, W_U = model.weights.ln_final, model.config, model.weights.W_U
        k = self.promoted.shape[1]
        step = max(LEAST_ROWS, int(SLAB_FLOPS / (2 * W_U.size)))
        for first in range(0, len(stream), step):
            part = slice(first, first + step)
            x = _unit(stream[part])  # [latent, d_model]
            if norm is not None:
                if not cfg.is_rms("ln_final."):
                    x = x - x.mean(axis=1, keepdims=True)
                x = x * norm.w
            logits = _product(x, W_U, model.listen)  # [latent, token]
            mean = logits.mean(axis=1, keepdims=True)
            top = top_k(logits, k)  # [latent, rank]
            self.promoted[part] = top
            self.promoted_logits[part] = np.take_along_axis(logits, top, axis=1) - mean
            top = top_k(np.negative(logits, out=logits), k)
            self.suppressed[part] = top
            self.suppressed_logits[part] = -np.take_along_axis(logits, top, axis=1) - mean
            silent = ~np.isfinite(mean[:, 0]) | ~stream[part].any(axis=1)  # [latent]
            self.promoted[part][silent] = self.suppressed[part][silent] = -1
            self.promoted_logits[part][silent] = self.suppressed_logits[part][silent] = np.nan
            yield min(1.0, (first + step) / len(stream))

    def _neighbours(self, model: Any, rows: Floats) -> Iterator[float]:
        unit = _unit(rows)  # [latent, width]
        zero = np.linalg.norm(rows, axis=1) == 0  # [latent]
        n, k = len(unit), self.nearest.shape[1]
        step = max(1, int(SLAB_FLOPS / (2 * unit.size)))
        for first in range(0, n, step):
            model.listen()
            part = slice(first, min(first + step, n))
            cosine = unit[part] @ unit.T  # [latent, other]
            at = np.arange(part.stop - part.start)
            cosine[at, first + at] = -np.inf  # itself
            cosine[:, zero] = -np.inf
            top = top_k(cosine, k)  # [latent, rank]
            value = np.take_along_axis(cosine, top, axis=1)
            there = np.isfinite(value) & ~zero[part, None]
            self.nearest[part] = np.where(there, top, -1)
            self.cosine[part] = np.where(there, value, np.nan)
            yield part.stop / n


def _product(x: Floats, W_U: Floats, listen: Callable[[], object]) -> Floats:
    """x [latent, d_model] W_U -> [latent, token], heard by Stop between slabs of the vocabulary."""
    logits = np.empty((len(x), W_U.shape[1]), np.float32)  # [latent, token]
    width = max(LEAST_ROWS, int(SLAB_FLOPS / (2 * x.size)))
    for first in range(0, W_U.shape[1], width):
        listen()
        part = slice(first, first + width)
        np.matmul(x, W_U[:, part], out=logits[:, part])
    return logits


def onto_stream(model: Any, basis: Basis) -> Floats | None:
    """Decoder rows as what they add to the residual stream [latent, d_model]; None where they do
    not write to it directly (queries, scores, what is normalised).

    Rows of an MLP's units go through W_out, rows of z through W_O.
    """
    if is_stream(model, basis.hook):
        return basis.rows
    found = re.fullmatch(r"blocks\.(\d+)\.(mlp\.hook_post|attn\.hook_z)", basis.hook)
    if found is None:
        return None
    block = model.weights.blocks[int(found.group(1))]
    W = block.W_O if "hook_z" in basis.hook else block.W_out
    if W is None:
        return None
    if basis.site.head >= 0:
        W = W.reshape(-1, basis.site.width, W.shape[-1])[basis.site.head]  # [d_head, d_model]
    return np.asarray(W if basis.kind == "neurons" else basis.rows @ W, np.float32)


def _unit(rows: Floats) -> Floats:
    """Rows [row, width] with length 1; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)  # [row, 1]
    return rows / np.where(length > 0, length, 1)
