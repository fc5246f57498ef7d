"""Cycle: eight words that follow each other round and round; each position predicts the next.

Nothing could be easier, which is the point: six layers share the work, because each of them gets
the same gradient through the residual stream, and a logit lens on the trained network shows a
prediction that sharpens layer by layer. Untrained, it is flat at one in eight.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.model.weights import Array, Ids
from engine.train import held_out
from engine.train.tasks import Look

WORDS = ("dawn", "morning", "noon", "afternoon", "dusk", "evening", "night", "midnight")


def told(seen: Any) -> str:
    """What is seen in a training's result, in one sentence: its newest record."""
    chance, right = 1 / len(WORDS), _newest(seen, "probability")
    return (
        f"The right next word of the cycle has a probability of {right:.3f} on average; knowing "
        f"nothing gives {chance:.3f}."
    )


def more(seen: Any) -> list[str]:
    """The figures behind it."""
    right, loss = _newest(seen, "train_accuracy"), _newest(seen, "train_loss")
    lines = [
        f"{100 * right:.0f} % of all positions are right, loss {loss:.3f} nats (chance "
        f"{seen.chance_loss:.2f})."
    ]
    if right == 1:
        lines.append("Open a checkpoint and read it with the logit lens, layer by layer.")
    return lines


def _newest(seen: Any, name: str) -> float:
    return float(seen.curves[list(seen.curve_names).index(name)][-1])


class Cycle:
    """One whole turn from each of the eight words: all there is, in every step.

    There is nothing to hold out: the measures are on the very prompts that are trained on, and say
    so by having no other name. probability is that of the right next word, mean over positions.
    """

    name = "cycle"
    tokenizer = ""
    full_batch = True
    n_ctx = d_vocab = d_vocab_out = len(WORDS)
    words: tuple[str, ...] = WORDS
    scored: slice | None = None
    measures: tuple[str, ...] = ("train_loss", "train_accuracy", "probability")
    score_names: tuple[str, ...] = ()

    def __init__(self) -> None:
        turn = np.arange(len(WORDS))
        self.held_out: Ids = (turn[:, None] + turn) % len(WORDS)  # [prompt, pos]
        self._targets = (self.held_out + 1) % len(WORDS)  # [prompt, pos]
        self.prompt: Ids = self.held_out[0]  # [pos]
        self.score_null: Array = np.zeros(0)

    def batch(self, rng: Any = None, size: int = 0) -> tuple[Ids, Ids]:
        """Every turn, always; the same arrays each time: read only."""
        return self.held_out, self._targets

    def measure(self, look: Look, network: Any = None) -> dict[str, float]:
        """Loss, share of right words and probability of the right word."""
        losses = held_out.token_losses(look.logits, self._targets)  # [prompt, pos]
        return {
            "train_loss": held_out.mean(losses),
            "train_accuracy": held_out.mean(held_out.right(look.logits, self._targets)),
            "probability": held_out.mean(np.exp(-losses)),
        }

    def head_scores(self, look: Look) -> dict[str, Array]:
        """None here: the last word alone decides."""
        return {}

    def position_loss(self, look: Look) -> Array:
        """Loss by position [pos]."""
        return held_out.token_losses(look.logits, self._targets).mean(axis=0)

    def spectrum(self, network: Any) -> Array:
        """None here."""
        return np.zeros(0)
