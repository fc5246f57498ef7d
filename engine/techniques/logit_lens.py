"""LogitLens: what would the model say if it stopped at this layer? (nostalgebraist 2020)

Each layer's residual stream goes through the final norm, its statistics recomputed on that very
stream, and the unembedding. Row 0 is the embedding, then comes one row after each block, or after
each attention and each MLP; the last row is the model's own prediction. With a tuned lens (Belrose
et al. 2023, arXiv:2303.08112) a learned affine map is added before the norm to the rows that it was
trained on, the inputs of blocks; rows inside a block have none and are read as without it.

What would fool you: the lens reads early layers through a basis learned for the last one, so a flat
early row does not prove that nothing is known there (a tuned lens corrects this); a word that leads
early is often the bias of the final norm and unembedding alone; BOS rows say little. Weights are
read raw, as in the file: probabilities and ranks do not depend on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.lens import tuned
from engine.lens.predicting import MOST_ROWS, Predictions, predictions, tile_width
from engine.lens.rows import DETAILS, Row, rows
from engine.lens.top import top_k
from engine.technique import Ref, RunError, Technique, Update, array, bos_param, param

__all__ = ["LogitLens", "LogitLensResult", "settled", "top_k"]

Floats = npt.NDArray[np.floating]
Ids = npt.NDArray[np.integer]

_UPDATE = 4e9  # FLOPs between two updates: some 30 ms


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
    target_logit: Floats = array("layer pos", "logit of the tracked token, weights as in the file")
    row_names: tuple[str, ...] = array("layer", "each row's short name: embed, 0.attn, 0.mlp or 0")
    row_hooks: tuple[str, ...] = array("layer", "the activation that each row reads")
    read_by: tuple[str, ...] = array("layer", "what reads each row: logit lens, tuned lens, or "
                                     "the model itself (the last row)")  # fmt: skip
    warnings: tuple[str, ...] = array(
        "sentence", "what is doubtful about the tuned lens; mostly none"
    )
    watched_ids: Ids = array("watch", "the chosen tokens")
    watched_logit: Floats = array("watch layer pos", "their logits")
    watched_probability: Floats = array("watch layer pos", "their probabilities, 0 to 1")
    watched_rank: Ids = array("watch layer pos", "their ranks, 0 = likeliest; -1 not computed yet")


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
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Logit lens"
    summary: ClassVar[str] = "What each layer would predict at each position"

    prompt: str | tuple[int, ...] = param((), "text, or exact token ids", role="clean")
    bos: str = bos_param()
    target: str | int | None = param(
        None, "token to track at every position; without one, the final prediction", role="answer"
    )
    top_k: int = param(5, "how many of the likeliest tokens to keep", low=1, high=100)
    detail: str = param(
        "blocks", "one row after each block, or one after each attention and each MLP",
        choices=DETAILS,
    )  # fmt: skip
    watch: tuple[str | int, ...] = param((), "tokens to follow through every row", role="tokens")
    lens: Ref | None = param(
        None, "a tuned lens that reads the rows before each block; without one, the logit lens",
        role="lens",
    )  # fmt: skip

    @classmethod
    def upgrade_result(
        cls, arrays: dict[str, Any], values: dict[str, Any], version: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Version 1 had rows after blocks only, no logits and no chosen tokens."""
        arrays, values = dict(arrays), dict(values)
        n_rows, n_pos = arrays["entropy"].shape
        arrays["target_logit"] = np.full((n_rows, n_pos), np.nan, np.float32)
        arrays["watched_ids"] = np.zeros(0, np.int64)
        for name in ("watched_logit", "watched_probability"):
            arrays[name] = np.zeros((0, n_rows, n_pos), np.float32)
        arrays["watched_rank"] = np.zeros((0, n_rows, n_pos), np.int64)
        blocks = range(n_rows - 1)
        values["row_names"] = ["embed", *(str(layer) for layer in blocks)]
        posts = (f"blocks.{layer}.hook_resid_post" for layer in blocks)
        values["row_hooks"] = ["blocks.0.hook_resid_pre", *posts]
        values["warnings"] = []
        values["read_by"] = ["logit lens"] * len(blocks) + ["the model itself"]
        return arrays, values

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        ids = model.tokens(self.prompt, self.bos)  # [pos]
        target = None if self.target in (None, "") else model.token(self.target)
        watch = np.array([model.token(token) for token in self.watch], np.int64)  # [watch]
        points = rows(model.config, self.detail)
        reader = _Reader(model, points, tuned.load(self.lens, model) if self.lens else None)
        run = model.forward(ids, names=[point.hook for point in points], logits="none")
        streams = np.stack([run.cache[point.hook][0] for point in points[::-1]])
        streams = streams.reshape(-1, streams.shape[-1])  # [cell, d_model], the last row first
        state = _State.empty(ids, reader, watch, min(self.top_k, model.config.d_vocab_out))
        if target is not None:
            state.target_ids[:] = target
        n_pos, d_vocab = len(ids), model.config.d_vocab_out
        # The final prediction is the target unless one is given: then its cells come first, alone.
        parts = [(0, n_pos), (n_pos, len(streams))] if target is None else [(0, len(streams))]
        groups = [cells for part in parts for cells in _groups(*part)]
        sizes = [cells.stop - cells.start for cells in groups]
        n_steps = sum(-(-d_vocab // tile_width(size, d_vocab)) for size in sizes)
        done, flops = 0, 0.0  # tiles, and work since the last update
        for cells in groups:
            y = reader.normed(streams, cells)  # [cell, d_model]
            n_final = max(0, min(cells.stop, n_pos) - cells.start)
            reading = predictions(model, y, self.top_k, state.tracked(cells), n_final)
            while True:
                try:
                    flops += next(reading)
                except StopIteration as end:
                    state.fill(cells, y, end.value)
                    break
                done += 1
                if flops >= _UPDATE and done < n_steps:
                    yield Update(done, n_steps, state.result)
                    flops = 0.0
            if flops or done == n_steps:
                yield Update(done, n_steps, state.result)
                flops = 0.0


def _groups(start: int, stop: int) -> list[slice]:
    """Cells that share one product: as many as allowed, of nearly equal size."""
    n_groups = -(-(stop - start) // MOST_ROWS)
    edges = np.linspace(start, stop, n_groups + 1).round().astype(int).tolist()
    return [slice(low, high) for low, high in itertools.pairwise(edges)]


class _Reader:
    """Cells of the table, counted from the last row up to the first, position by position."""

    def __init__(self, model: Any, points: list[Row], lens: tuned.Translators | None) -> None:
        self.model, self.points, self.lens = model, points, lens

    def row_and_position(self, cells: slice, n_pos: int) -> tuple[Ids, Ids]:
        back, position = np.divmod(np.arange(cells.start, cells.stop), n_pos)  # [cell]
        return len(self.points) - 1 - back, position

    def translates(self, row: int) -> bool:
        block = self.points[row].next_block
        last = row == len(self.points) - 1
        return self.lens is not None and block is not None and not last and block in self.lens

    def read_by(self) -> tuple[str, ...]:
        """What reads each row."""
        lenses = ["tuned lens" if self.translates(row) else "logit lens"
                  for row in range(len(self.points) - 1)]  # fmt: skip
        return (*lenses, "the model itself")

    def normed(self, streams: Floats, cells: slice) -> Floats:
        """streams [cell, d_model] -> what W_U reads: translated where there is a lens, normed."""
        x = streams[cells].copy()  # [cell, d_model]
        n_pos = len(streams) // len(self.points)
        row_of, _ = self.row_and_position(cells, n_pos)  # [cell]
        for row in np.unique(row_of).tolist():
            if self.translates(row) and self.lens is not None:
                mine = row_of == row  # [cell]
                x[mine] = self.lens.apply(self.points[row].next_block or 0, x[mine])
        return self.model.final_norm(x)


@dataclass(eq=False)
class _State:
    """The result while it fills, and of the final row what KL needs."""

    reader: _Reader
    tokens: Ids
    target_ids: Ids
    watched_ids: Ids
    top_ids: Ids
    top_probabilities: Floats
    entropy: Floats
    kl: Floats
    logit: Floats  # [tracked, layer, pos]: the target, then the chosen tokens
    probability: Floats
    rank: Ids
    final_y: Floats  # [pos, d_model]
    final_expected: Floats  # [pos, d_model]
    final_log_total: Floats  # [pos]

    @staticmethod
    def empty(ids: Ids, reader: _Reader, watch: Ids, k: int) -> _State:
        shape = (len(reader.points), len(ids))
        each = (1 + len(watch), *shape)
        d_model = reader.model.config.d_model

        def unknown(*axes: int) -> Floats:
            return np.full(axes, np.nan, np.float32)

        return _State(
            reader, ids, np.full(len(ids), -1), watch, np.full((*shape, k), -1),
            unknown(*shape, k), unknown(*shape), unknown(*shape), unknown(*each), unknown(*each),
            np.full(each, -1), np.zeros((len(ids), d_model)), np.zeros((len(ids), d_model)),
            np.zeros(len(ids)),
        )  # fmt: skip

    def tracked(self, cells: slice) -> Ids:
        """Output ids followed in these cells: [cell, 1 + watch]; -1 = not known yet."""
        _, position = self.reader.row_and_position(cells, len(self.tokens))
        chosen = np.broadcast_to(self.watched_ids, (len(position), len(self.watched_ids)))
        return np.concatenate([self.target_ids[position, None], chosen], axis=1)

    def fill(self, cells: slice, y: Floats, seen: Predictions) -> None:
        """What was read in these cells; y [cell, d_model] is what W_U met."""
        row, at = self.reader.row_and_position(cells, len(self.tokens))  # [cell]
        if not np.isfinite(seen.log_total).all():
            bad = row[np.flatnonzero(~np.isfinite(seen.log_total))[0]]
            hook = self.reader.points[bad].hook
            raise RunError(f"the logits of {hook} are not finite; this prompt overflows the model")
        log_total = seen.log_total[:, None]  # [cell, 1]
        self.top_ids[row, at] = seen.top_ids
        self.top_probabilities[row, at] = np.exp(seen.top_logits - log_total)
        self.entropy[row, at] = seen.entropy
        logits, ranks = seen.logits, seen.ranks  # [cell, 1 + watch]
        n_final = len(seen.expected)
        if n_final:
            first = at[:n_final]  # [pos of this group]
            self.final_y[first], self.final_expected[first] = y[:n_final], seen.expected
            self.final_log_total[first] = seen.log_total[:n_final]
            if (self.target_ids[first] < 0).any():
                self.target_ids[first] = seen.top_ids[:n_final, 0]
                logits[:n_final, 0], ranks[:n_final, 0] = seen.top_logits[:n_final, 0], 0
        self.logit[:, row, at] = logits.T
        self.probability[:, row, at] = np.exp(logits - log_total).T
        self.rank[:, row, at] = ranks.T
        moved = np.einsum("cd,cd->c", y - self.final_y[at], self.final_expected[at])  # [cell]
        kl = seen.log_total - self.final_log_total[at] - moved  # [cell]
        self.kl[row, at] = np.maximum(kl, 0.0)

    def result(self) -> LogitLensResult:
        points = self.reader.points
        return LogitLensResult(
            tokens=self.tokens.copy(),
            top_ids=self.top_ids.copy(), top_probabilities=self.top_probabilities.copy(),
            target_ids=self.target_ids.copy(), target_probability=self.probability[0].copy(),
            target_rank=self.rank[0].copy(), entropy=self.entropy.copy(), kl=self.kl.copy(),
            target_logit=self.logit[0].copy(),
            row_names=tuple(point.name for point in points),
            row_hooks=tuple(point.hook for point in points), read_by=self.reader.read_by(),
            warnings=() if self.reader.lens is None else tuple(self.reader.lens.warnings),
            watched_ids=self.watched_ids.copy(), watched_logit=self.logit[1:].copy(),
            watched_probability=self.probability[1:].copy(), watched_rank=self.rank[1:].copy(),
        )  # fmt: skip
