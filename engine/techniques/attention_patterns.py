"""AttentionPatterns: who looks at whom, for every head, with its scores on this prompt.

pattern[layer, head, query, key] is the softmax of the scores: each row sums to 1. Beside it the
fraction of attention that falls on five textbook targets, averaged over the queries that have one
(Olsson et al. 2022, arXiv:2209.11895; TransformerLens' head detector).

What would fool you: attention says where a head reads, not what it moves or whether that matters
(patch it to know); much of it rests on the first token as a place to look at nothing; a score on
one prompt is an anecdote. A head is called an induction head on repeated random tokens, with its
nulls beside it, not from this picture.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.technique import RunError, Technique, Update, array, bos_param, param

Floats = npt.NDArray[np.floating]
Ids = npt.NDArray[np.integer]

_MAX_BYTES = 2 << 30


@dataclass(frozen=True)
class AttentionPatternsResult:
    """All patterns of one prompt. Layers not computed yet hold NaN."""

    tokens: Ids = array(
        "pos", "the exact token ids that were read, BOS included where there is one"
    )
    pattern: Floats = array("layer head query key", "attention, 0 to 1; rows sum to 1")
    previous_token: Floats = array("layer head", "mean attention to the position before, 0 to 1")
    first_token: Floats = array("layer head", "mean attention to position 0 from later ones")
    current_token: Floats = array("layer head", "mean attention to the own position")
    duplicate_token: Floats = array(
        "layer head", "mean attention to earlier copies of the own token, over the positions that "
        "have one; NaN if none has",
    )  # fmt: skip
    induction: Floats = array(
        "layer head", "mean attention to the positions just after earlier copies of the own token, "
        "over the positions that have one; NaN if none has",
    )  # fmt: skip


def strongest(score: Floats, n: int, at_least: float = 0.0) -> list[tuple[int, int, float]]:
    """The n heads with the largest score [layer, head]: (layer, head, score), best first."""
    flat = np.where(np.isfinite(score), score, -np.inf).reshape(-1)  # [layer * head]
    order = np.argsort(-flat, kind="stable")[:n]
    places = [divmod(int(index), score.shape[1]) for index in order]
    found = [(layer, head, float(score[layer, head])) for layer, head in places]
    return [entry for entry in found if entry[2] >= at_least]


@dataclass(frozen=True, kw_only=True)
class AttentionPatterns(Technique):
    """The attention patterns of all heads on one prompt."""

    Result: ClassVar[type] = AttentionPatternsResult
    title: ClassVar[str] = "Attention patterns"
    summary: ClassVar[str] = "Where every head looks, on this prompt"

    prompt: str | tuple[int, ...] = param((), "text, or exact token ids", role="clean")
    bos: str = bos_param()

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        cfg = model.config
        ids = model.tokens(self.prompt, self.bos)  # [pos]
        n = len(ids)
        size = 4 * cfg.n_layers * cfg.n_heads * n * n
        if size > _MAX_BYTES:
            raise RunError(
                f"all patterns of {n} tokens take {size / 2**30:.1f} GB, above the limit of "
                f"{_MAX_BYTES / 2**30:.0f} GB: shorten the prompt"
            )
        pattern = np.empty((cfg.n_layers, cfg.n_heads, n, n), np.float32)
        for layer in range(cfg.n_layers):  # half a gigabyte takes a while to write
            model.listen()
            pattern[layer] = np.nan
        scores = {name: np.full(pattern.shape[:2], np.nan, np.float32) for name in _TARGETS}
        targets = {name: target(ids) for name, target in _TARGETS.items()}  # [query, key]
        asked = {name: int(target.any(axis=-1).sum()) for name, target in targets.items()}

        def result() -> AttentionPatternsResult:
            # Each layer is written once and as a whole, so the one large array is not copied.
            return AttentionPatternsResult(
                tokens=ids, pattern=pattern, **{k: v.copy() for k, v in scores.items()}
            )

        def keep(name: str, value: Floats) -> None:
            if name.endswith("attn.hook_pattern"):
                layer = int(name.split(".")[1])
                pattern[layer] = value[0]
                for key, target in targets.items():
                    if asked[key]:
                        total = np.einsum("hqk,qk->h", value[0], target)  # [head]
                        scores[key][layer] = total / asked[key]

        for layer in model.walk(ids, tap=keep):
            yield Update(layer + 1, cfg.n_layers, result)


def _earlier_copies(ids: Ids) -> Floats:
    return np.tril(ids[:, None] == ids[None, :], -1).astype(np.float32)  # [query, key]


def _after_copies(ids: Ids) -> Floats:
    shifted = np.zeros((len(ids), len(ids)), np.float32)  # [query, key]
    shifted[:, 1:] = _earlier_copies(ids)[:, :-1]
    return np.tril(shifted)


def _first(ids: Ids) -> Floats:
    target = np.zeros((len(ids), len(ids)), np.float32)  # [query, key]
    target[1:, 0] = 1.0
    return target


_TARGETS = {
    "previous_token": lambda ids: np.eye(len(ids), k=-1, dtype=np.float32),
    "first_token": _first,
    "current_token": lambda ids: np.eye(len(ids), dtype=np.float32),
    "duplicate_token": _earlier_copies,
    "induction": _after_copies,
}
