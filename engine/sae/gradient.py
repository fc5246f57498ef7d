"""The loss of a batch and its gradient: the passes of a step, in blocks of rows.

A block's pre-activations [row, d_sae] are made by one product and reduced to what matters in them:
entries where they are few, else the block as it is. TopK and BatchTopK gather the entries of the
whole batch first, so that each latent's gradient is summed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.sae.active import Active, Dense, Entries
from engine.sae.architectures import Block, Outcome, matters, run
from engine.sae.dead import Auxiliary
from engine.sae.inside import Inside
from engine.sae.settings import Settings
from engine.sae.topk import Array, BatchTop, row_top

__all__ = ["Gradient"]

_DENSE_BLOCK = 64 << 20  # bytes of [row, d_sae]; a dense step has two such arrays and a mask
_TOP_BLOCK = 32 << 20  # bytes of [row, d_sae] where only the k largest are looked for
_SMALL = 1e-30  # keeps a decoder row of length 0 from dividing by 0
_FEW = 0.02  # share of [row, d_sae] below which entries cost less than dense products

Listen = Callable[[], None]


@dataclass
class Gradient:
    """What a batch gives. `sums` holds dL/dparameter by name, `fired` [d_sae] rows."""

    settings: Settings
    parameters: Mapping[str, Array]
    dead: Array  # [d_sae] bool
    l1: float
    threshold: float  # of BatchTopK, before and after
    buffer: Array  # [row, d_sae], used again by the next step
    sums: dict[str, Array] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    fired: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    active: int = 0

    def of(self, inside: Inside, listen: Listen) -> dict[str, float]:
        """Fill everything in for a batch -> metrics of the loss."""
        settings, own = self.settings, self.parameters
        W_dec, encoder = own["W_dec"], own["encoder"]
        n_rows, self._per = len(inside.x), 1 / len(inside.x)
        self.fired = np.zeros(len(W_dec), np.int64)  # [d_sae]
        self._norms = np.ones(len(W_dec), W_dec.dtype)  # [d_sae]
        if settings.norm == "weighted":
            lengths = np.sqrt(np.einsum("ld,ld->l", W_dec, W_dec))  # [d_sae]
            self._norms = np.maximum(lengths, _SMALL)
        self._left = np.empty(inside.target.shape, W_dec.dtype)  # [row, d_in] x_hat - x
        self.sums, self.losses, self.active = {}, {}, 0
        if "topk" in settings.architecture:
            self._top(inside, listen)
        else:
            for at, h in self._blocks(inside, encoder, _DENSE_BLOCK, listen):
                here = matters(self._block(inside, at), h)  # [row, d_sae]
                if np.count_nonzero(here) < _FEW * here.size:
                    rows, columns, values = _entries(h, here)
                    self._add(inside, at, values, Entries(rows, columns, h.shape))
                else:
                    del here
                    self._add(inside, at, h, Dense())
        self._finish(inside)
        mse = self._per * float((inside.weight * self._left * self._left).sum())
        losses = {"sparsity": 0.0, "auxiliary": 0.0, "pre_act": 0.0} | self.losses
        return {
            "loss": mse + sum(losses.values()), "mse": mse, **losses,
            "explained_variance": 1 - mse / inside.variance if inside.variance else np.nan,
            "l0": self.active / n_rows, "dead": float(self.dead.sum()), "l1": self.l1,
        }  # fmt: skip

    # --- inside ---------------------------------------------------------------------------------

    def _blocks(self, inside: Inside, encoder: Array, limit: int, listen: Listen) -> Any:
        """(rows, pre-activations [row, d_sae] in the buffer) one block after the other."""
        n_rows, d_sae = len(inside.x), len(encoder)
        size = max(1, min(n_rows, limit // (d_sae * encoder.itemsize)))
        if self.buffer.shape != (size, d_sae):
            self.buffer = np.empty((size, d_sae), encoder.dtype)  # [row, d_sae]
        for first in range(0, n_rows, size):
            listen()
            at = slice(first, min(n_rows, first + size))
            h = self.buffer[: at.stop - first]
            yield at, np.matmul(inside.x[at], encoder.T, out=h)
        listen()

    def _block(self, inside: Inside, at: slice) -> Block:
        return Block(
            self.settings, self.parameters, inside.target[at], inside.weight[at], self._norms,
            self.dead, self.l1, self._per,
        )  # fmt: skip

    def _top(self, inside: Inside, listen: Listen) -> None:
        """The entries that TopK or BatchTopK keeps of the whole batch, and what they give."""
        settings, encoder, n_rows = self.settings, self.parameters["encoder"], len(inside.x)
        rescales, d_sae = settings.rescales, len(encoder)
        reading = encoder * self._norms[:, None] if rescales else encoder  # [d_sae, d_in + 1]
        k, batch = settings.k, settings.architecture == "batchtopk"
        blocks = self._blocks(inside, reading, _TOP_BLOCK, listen)
        if batch:
            top = BatchTop(min(k, d_sae) * n_rows, d_sae, encoder.dtype)
            for at, h in blocks:
                top.add(h, at.start)
            rows, columns, values = top.chosen()
            if len(values):
                share = settings.threshold_lr
                self.threshold += share * (float(values.min()) - self.threshold)
        else:
            rows = np.repeat(np.arange(n_rows), k)  # [entry]
            columns = np.empty((n_rows, k), np.int32)  # [row, k]
            values = np.empty((n_rows, k), encoder.dtype)  # [row, k]
            for at, h in blocks:
                columns[at], values[at] = row_top(h, k)
            columns, values = columns.reshape(-1), values.reshape(-1)
        if rescales:
            values /= self._norms[columns]
        self._add(inside, slice(0, n_rows), values, Entries(rows, columns, (n_rows, d_sae)))
        dead = np.flatnonzero(self.dead)  # [dead]
        if settings.aux_k and len(dead):
            norms = self._norms if rescales else np.ones_like(self._norms)
            extra = Auxiliary.of(
                settings, encoder, self.parameters["W_dec"], norms, dead, inside.x,
                -self._left, inside.weight, self._per,
            )  # fmt: skip
            self.losses["auxiliary"] = extra.loss
            self.sums["W_dec"][dead] += extra.W_dec
            self.sums["encoder"][dead] += extra.encoder
            if settings.apply_b_dec_to_input:
                self._sum("b_dec", -(extra.encoder[:, -1] @ encoder[dead, :-1]))

    def _add(self, inside: Inside, at: slice, h: Array, active: Active) -> None:
        found: Outcome = run(self._block(inside, at), h, active)
        self._left[at] = found.error
        firing = found.f > 0  # values
        fired = active.per_latent(firing).astype(np.int64)  # [d_sae]
        self.fired += fired
        self.active += int(fired.sum())
        for values, rows in found.decoded:
            self._sum("W_dec", active.onto(values, rows))
        onto = active.onto(found.encoder, inside.x[at])  # [d_sae, d_in + 1]
        self._sum("b_dec", found.into_b_dec.sum(axis=0))
        if self.settings.apply_b_dec_to_input:
            self._sum("b_dec", -(onto[:, -1] @ self.parameters["encoder"][:, :-1]))
        if found.bias is not None:
            onto[:, -1] = found.bias
        self._sum("encoder", onto)
        for name, part in found.others.items():
            self._sum(name, part)
        if found.norms is not None:
            self._sum("norms", found.norms)
        for name, loss in found.losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + loss

    def _sum(self, name: str, part: Array) -> None:
        whole = self.sums.get(name)
        if whole is None:
            self.sums[name] = part
        else:
            whole += part

    def _finish(self, inside: Inside) -> None:
        """The norms' gradient onto the decoder, or its part along the rows taken out."""
        W_dec, onto = self.parameters["W_dec"], self.sums["W_dec"]
        norms = self.sums.pop("norms", None)
        if self.settings.norm == "unit":
            onto -= np.einsum("ld,ld->l", onto, W_dec)[:, None] * W_dec
        elif norms is not None:
            onto += (norms / self._norms).astype(W_dec.dtype)[:, None] * W_dec
        if not self.settings.b_dec:
            del self.sums["b_dec"]


def _entries(h: Array, here: Array) -> tuple[Array, Array, Array]:
    """(row [entry], column [entry] int32, value [entry]) where `here` [row, d_sae] is true."""
    flat = np.flatnonzero(here)  # [entry]
    rows = flat // h.shape[1]  # [entry]
    columns = (flat - rows * h.shape[1]).astype(np.int32)  # [entry]
    return rows, columns, h.reshape(-1)[flat]
