"""LogitLens: what would the model say if it stopped at this layer? (nostalgebraist 2020)

Each layer's residual stream goes through the final norm, its statistics recomputed on that very
stream, and the unembedding: layer row 0 is the embedding, row l + 1 the output of block l, and the
last row is the model's own prediction.

What would fool you: the lens reads early layers through a basis learned for the last one, so a flat
early row does not prove that nothing is known there (a tuned lens corrects this); a word that leads
early is often the bias of the final norm and unembedding alone; BOS rows say little. Weights are
read raw, as in the file: probabilities and ranks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.model.ops import THIN_ROWS
from engine.technique import RunError, Technique, Update, array, bos_param, param

Floats = npt.NDArray[np.floating]
Ids = npt.NDArray[np.integer]

_SLAB_BYTES = 8 << 20  # logits held at once: positions x vocabulary; one update each


@dataclass(frozen=True)
class LogitLensResult:
    """Predictions by layer and position. Rows not computed yet hold -1 (ids, ranks) and NaN."""

    tokens: Ids = array(
        "pos", "the exact token ids that were read, BOS included where there is one"
    )
    top_ids: Ids = array("layer pos k", "likeliest output tokens, best first; layer 0 = embedding")
    top_probabilities: Floats = array("layer pos k", "their probabilities, 0 to 1")
    target_ids: Ids = array("pos", "the token tracked at each position: the target or, without "
                            "one, the model's own final prediction")  # fmt: skip
    target_probability: Floats = array("layer pos", "probability of the tracked token, 0 to 1")
    target_rank: Ids = array("layer pos", "rank of the tracked token, 0 = likeliest")
    entropy: Floats = array("layer pos", "entropy of the prediction, in nats")
    kl: Floats = array("layer pos", "KL(final prediction || this layer's), in nats")


def settled(top_ids: Ids) -> tuple[Ids, Ids]:
    """Where the final answer is found: top_ids [layer, pos, k] -> (stays [pos], appears [pos]).

    stays: the first layer row from which the final token leads without a break; appears: the first
    row where it leads at all. -1 where rows that would decide it are not computed yet.
    """
    best = top_ids[..., 0]  # [layer, pos]
    leads = best == best[-1]  # [layer, pos]
    known = best >= 0  # [layer, pos]
    breaks = ~leads  # [layer, pos]
    n_layers = len(best)
    lowest_break = n_layers - 1 - np.argmax(breaks[::-1], axis=0)  # the highest row that differs
    stays = np.where(breaks.any(axis=0), lowest_break + 1, 0)  # [pos]
    below = np.clip(stays - 1, 0, None)
    open_end = (stays > 0) & ~known[below, np.arange(best.shape[1])]
    stays = np.where(open_end | ~known[-1], -1, stays)
    appears = np.where(known.all(axis=0), np.argmax(leads, axis=0), -1)  # [pos]
    return stays, appears


@dataclass(frozen=True, kw_only=True)
class LogitLens(Technique):
    """Read every layer of one prompt through the final norm and the unembedding."""

    Result: ClassVar[type] = LogitLensResult
    title: ClassVar[str] = "Logit lens"
    summary: ClassVar[str] = "What each layer would predict at each position"

    prompt: str | tuple[int, ...] = param((), "text, or exact token ids", role="clean")
    bos: str = bos_param()
    target: str | int | None = param(
        None, "token to track at every position; without one, the final prediction", role="answer"
    )
    top_k: int = param(5, "how many of the likeliest tokens to keep", low=1, high=100)

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        cfg = model.config
        ids = model.tokens(self.prompt, self.bos)  # [pos]
        target = None if self.target in (None, "") else model.token(self.target)
        names = ["blocks.0.hook_resid_pre"]
        names += [f"blocks.{layer}.hook_resid_post" for layer in range(cfg.n_layers)]
        run = model.forward(ids, names=names, logits="none")
        state = _State.empty(ids, len(names), min(self.top_k, cfg.d_vocab_out))
        most = max(1, min(THIN_ROWS, _SLAB_BYTES // (4 * cfg.d_vocab_out)))  # rows in one product
        slabs = [slice(first, first + most) for first in range(0, len(ids), most)]
        n_steps, done = len(slabs) * len(names), 0
        for slab in slabs:
            final = None
            n_pos = len(ids[slab])
            together = max(1, most // n_pos)  # layers whose rows share one product
            for high in range(len(names), 0, -together):
                layers = range(max(0, high - together), high)
                streams = [run.cache[names[layer]][0, slab] for layer in layers]
                seen = _Prediction.of(model, np.concatenate(streams), layers)
                final = final or seen.part(len(layers) - 1, n_pos)
                state.track(slab, final, target)
                for index, layer in enumerate(layers):
                    state.fill(layer, slab, seen.part(index, n_pos), final)
                done += len(layers)
                yield Update(done, n_steps, state.result)


@dataclass(frozen=True, eq=False)
class _Prediction:
    """A softmax [pos, d_vocab] in the pieces that every number is made of, each computed once.

    shifted = logits - max, weight = exp(shifted), total and log_total its sum [pos].
    """

    shifted: Floats
    weight: Floats
    total: Floats
    log_total: Floats

    @staticmethod
    def of(model: Any, stream: Floats, layers: range) -> _Prediction:
        """The lens on rows of one or several layers' streams [pos, d_model]."""
        shifted = model.unembed(stream)  # [pos, d_vocab]
        shifted -= shifted.max(axis=-1, keepdims=True)
        weight = np.exp(shifted)  # [pos, d_vocab]
        total = weight.sum(axis=-1)  # [pos]
        if not np.isfinite(total).all():
            bad = layers[int(np.flatnonzero(~np.isfinite(total))[-1]) * len(layers) // len(total)]
            where = f"after block {bad - 1}" if bad else "at the embedding"
            raise RunError(f"the logits {where} are not finite; this prompt overflows the model")
        return _Prediction(shifted, weight, total, np.log(total))

    def part(self, index: int, n_pos: int) -> _Prediction:
        """The rows of one layer among several."""
        rows = slice(index * n_pos, (index + 1) * n_pos)
        return _Prediction(
            self.shifted[rows], self.weight[rows], self.total[rows], self.log_total[rows]
        )

    def log_probability(self, rows: Ids, ids: Ids) -> Floats:
        return self.shifted[rows, ids] - self.log_total[rows]

    def cross(self, other: _Prediction) -> Floats:
        """Cross entropy [pos] of this prediction under another's probabilities, in nats."""
        mean = np.einsum("pv,pv->p", self.weight, other.shifted) / self.total  # [pos]
        return other.log_total - mean


@dataclass(eq=False)
class _State:
    """The result while it fills."""

    tokens: Ids
    top_ids: Ids
    top_probabilities: Floats
    target_ids: Ids
    target_probability: Floats
    target_rank: Ids
    entropy: Floats
    kl: Floats

    @staticmethod
    def empty(ids: Ids, n_layers: int, k: int) -> _State:
        shape = (n_layers, len(ids))
        return _State(
            ids, np.full((*shape, k), -1), np.full((*shape, k), np.nan, np.float32),
            np.full(len(ids), -1), np.full(shape, np.nan, np.float32), np.full(shape, -1),
            np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32),
        )  # fmt: skip

    def track(self, slab: slice, final: _Prediction, target: int | None) -> None:
        self.target_ids[slab] = final.shifted.argmax(-1) if target is None else target

    def fill(self, layer: int, slab: slice, seen: _Prediction, final: _Prediction) -> None:
        rows, tracked = np.arange(len(seen.total)), self.target_ids[slab]
        top = top_k(seen.shifted, self.top_ids.shape[-1])  # [pos, k]
        self.top_ids[layer, slab] = top
        chance = np.exp(seen.log_probability(rows[:, None], top))  # [pos, k]
        self.top_probabilities[layer, slab] = chance
        self.target_probability[layer, slab] = np.exp(seen.log_probability(rows, tracked))
        mine = seen.shifted[rows, tracked][:, None]  # [pos, 1]
        self.target_rank[layer, slab] = np.count_nonzero(seen.shifted > mine, axis=-1)
        self.entropy[layer, slab] = np.maximum(seen.cross(seen), 0.0)
        own = final.cross(final)  # [pos]
        self.kl[layer, slab] = np.maximum(final.cross(seen) - own, 0.0)

    def result(self) -> LogitLensResult:
        return LogitLensResult(**{name: value.copy() for name, value in vars(self).items()})


def top_k(values: Floats, k: int) -> Ids:
    """Indices of the k largest of each row, best first, ties to the lower index: [row, k].

    By block maxima: the k best lie in the k blocks with the largest maxima, so one pass over the
    row and a sort of a few candidates do, where argpartition costs as much as the matrix product.
    """
    n_rows, n = values.shape
    width = 64
    n_blocks = n // width
    if n_blocks <= 4 * k:
        return np.argsort(-values, axis=-1, kind="stable")[:, :k]
    head = values[:, : n_blocks * width].reshape(n_rows, n_blocks, width)
    best = np.argsort(-head.max(-1), axis=-1, kind="stable")[:, :k]  # [row, k] blocks
    best.sort(axis=-1)
    inside = (best[:, :, None] * width + np.arange(width)).reshape(n_rows, -1)  # [row, k * width]
    rest = np.broadcast_to(np.arange(n_blocks * width, n), (n_rows, n - n_blocks * width))
    candidates = np.concatenate([inside, rest], axis=-1)  # [row, candidate]
    order = np.argsort(
        -np.take_along_axis(values, candidates, axis=-1), axis=-1, kind="stable"
    )[:, :k]  # fmt: skip
    return np.take_along_axis(candidates, order, axis=-1)
