"""Splicing: what a model says with an SAE's reconstruction in the place of its activation.

recovered = (CE_zero - CE_spliced) / (CE_zero - CE_clean), the zero-ablation baseline of SAELens.
Positions that the SAE does not read (the first of each context) are left as they are, in the
spliced run and in the one with zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.heads.loss import next_token_loss
from engine.probes.sites import after_last_block
from engine.sae.sae import SAE
from engine.sae.store import Site, read, together

__all__ = ["HeldOut", "Measured", "predicts_tokens", "recovered", "spliced_loss"]

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Measured:
    """One SAE on held-out text: losses in nats per prediction, NaN where the model makes none."""

    ce: float
    explained_variance: float
    l0: float
    alive: int


def predicts_tokens(model: Any) -> bool:
    """Whether what the model says at a position is about the next token."""
    cfg = model.config
    return cfg.attention_dir == "causal" and cfg.d_vocab_out == cfg.d_vocab


def spliced_loss(
    model: Any, contexts: Ints, site: Site, change: Callable[[Array], Array] | None
) -> float:
    """Mean loss in nats of each next token, the activation [row, width] changed by `change`.

    contexts [context, pos]. None changes nothing.
    """
    total, count = 0.0, 0

    def tap(name: str, value: Array) -> Array | None:
        if name != site.hook or change is None:
            return None
        part = site.part(value)  # [batch, pos, width]
        rows = change(part.reshape(-1, site.width))  # [row, width]
        return site.replaced(value, rows.reshape(part.shape))

    for ids in _batches(model, contexts):
        loss = _losses(model, ids, tap, site)  # [batch, pos - 1]
        total += float(loss.sum())
        count += loss.size
    return total / count


def _losses(model: Any, ids: Ints, tap: Any, site: Site) -> Array:
    targets = ids[:, 1:]  # [batch, pos - 1]
    if after_last_block(site.hook):
        logits = model.forward(ids, tap=tap).logits[:, :-1].astype(np.float64)
        top = logits.max(axis=-1, keepdims=True)  # [batch, pos - 1, 1]
        total = np.log(np.exp(logits - top).sum(axis=-1)) + top[..., 0]  # [batch, pos - 1]
        return total - np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    last = f"blocks.{model.config.n_layers - 1}.hook_resid_post"
    x = model.forward(ids, tap=tap, names=[last], logits="none").cache[last]
    return next_token_loss(model, x[:, :-1], targets, np.arange(ids.shape[1] - 1))[0]


def _batches(model: Any, contexts: Ints) -> Iterator[Ints]:
    size = together(model, contexts.shape[1])
    for first in range(0, len(contexts), size):
        yield contexts[first : first + size]


def recovered(clean: float, zero: float, spliced: float) -> float:
    """Share of the loss between zeros and the clean run that is kept; NaN if zeros do no harm."""
    return (zero - spliced) / (zero - clean) if zero > clean else float("nan")


class HeldOut:
    """Text that no SAE has seen [context, pos], and the model's losses on it without one."""

    def __init__(self, model: Any, site: Site, contexts: Ints) -> None:
        self.model, self.site, self.contexts = model, site, contexts
        self.n_rows = len(contexts) * (contexts.shape[1] - site.skip)
        self.clean = self.zero = float("nan")
        self._rows: Array | None = None

    def rows(self) -> Array:
        """The activations [row, width], read once."""
        if self._rows is None:
            parts = [
                read(self.model, ids, self.site) for ids in _batches(self.model, self.contexts)
            ]
            self._rows = np.concatenate(parts).reshape(-1, self.site.width)  # [row, width]
        return self._rows

    def baselines(self) -> None:
        """The losses that every SAE is measured between; once."""
        if not np.isnan(self.clean) or not predicts_tokens(self.model):
            return
        self.clean = spliced_loss(self.model, self.contexts, self.site, None)
        self.zero = spliced_loss(self.model, self.contexts, self.site, np.zeros_like)

    def measure(self, sae: SAE) -> Measured:
        """What this SAE keeps: of the variance, and of what the model says."""
        rows, listen = self.rows(), self.model.listen
        mean = rows.mean(axis=0, dtype=np.float64)  # [width]
        spread = float(np.square(rows - mean).sum())
        missed, active = 0.0, 0
        fired = np.zeros(sae.d_sae, np.int64)  # [latent]
        for first in range(0, len(rows), 512):
            listen()
            some = rows[first : first + 512]  # [row, width]
            missed += float(np.square(some - sae.reconstruct(some), dtype=np.float64).sum())
            f = sae.csr(some)
            active += f.nnz
            fired += np.bincount(f.indices, minlength=sae.d_sae)
        ce = float("nan")
        if predicts_tokens(self.model):
            ce = spliced_loss(self.model, self.contexts, self.site, sae.reconstruct)
        share = 1 - missed / spread if spread else float("nan")
        return Measured(ce, share, active / len(rows), int((fired > 0).sum()))
