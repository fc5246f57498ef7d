"""What a transformer is trained on: `Task`, and `task_of` a spec.

A task draws batches, knows its vocabulary, and measures a network on held-out data that come from a
seed of their own: the same prompts for every run, whatever the seed of its weights and batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from engine.errors import SpecError
from engine.model.weights import Array, Ids

TASKS = ("induction", "addition", "sorting", "cycle", "text")
PERIODS = ("random", "fixed")

Watch = Callable[[], object] | None


class Look(Protocol):
    """What a network did with tokens [batch, pos]: `engine.train.network.Network.look`."""

    @property
    def logits(self) -> Array:
        """[batch, pos, d_vocab_out]; pos may be the scored positions alone."""
        ...

    @property
    def patterns(self) -> Array | None:
        """[layer, batch, head, query, key], where asked for."""
        ...


class Task(Protocol):
    """One thing to learn.

    words: the vocabulary, id -> text. tokenizer: a tokenizer.json that reads text into these ids;
    "" where blanks between the words say it all. scored: positions whose next token counts in
    training; None = all. prompt [pos], at most 48 tokens, is what patterns are shown on. held_out
    [batch, pos] is what `measure`, `head_scores` and `position_loss` want a look at. score_null
    [score] is what attention spread evenly over all earlier positions would score.
    """

    name: str
    words: tuple[str, ...]
    tokenizer: str
    n_ctx: int
    d_vocab: int
    d_vocab_out: int
    scored: slice | None
    full_batch: bool
    prompt: Ids
    held_out: Ids
    measures: tuple[str, ...]
    score_names: tuple[str, ...]
    score_null: Array

    def batch(self, rng: Any, size: int) -> tuple[Ids, Ids]:
        """tokens [batch, pos] and their targets [batch, pos], -1 where none is scored."""
        ...

    def measure(self, look: Look, network: Any) -> dict[str, float]:
        """Every one of `measures` in a look at `held_out`; NaN where it is not defined."""
        ...

    def head_scores(self, look: Look) -> dict[str, Array]:
        """score name -> [layer, head]."""
        ...

    def position_loss(self, look: Look) -> Array:
        """Held-out loss by position [pos], nats; NaN where nothing is scored."""
        ...

    def spectrum(self, network: Any) -> Array:
        """Share of the embedding's power by frequency [frequency]; empty where there is none."""
        ...


def check(spec: Any) -> None:
    """SpecError where the sizes of a task do not go together. No file is touched."""
    if spec.task == "induction":
        half = spec.n_ctx // 2
        if spec.period_high > half:
            raise SpecError(
                "period_high",
                f"{spec.period_high} is above {half}, half of the {spec.n_ctx} positions: a block "
                "must fit twice; lower it or raise n_ctx",
            )
        least = 4 if spec.period == "fixed" else 2
        if spec.period_high < least:
            raise SpecError("period_high", f"{spec.period_high} is below {least}")
        if spec.period == "random" and not 1 <= spec.period_low <= spec.period_high:
            raise SpecError(
                "period_low", f"{spec.period_low} is not in 1..{spec.period_high}, period_high"
            )
        if spec.d_vocab < 2:
            raise SpecError("d_vocab", f"{spec.d_vocab} is below 2: nothing to predict")
    elif spec.task == "addition":
        if spec.modulus < 3:
            raise SpecError("modulus", f"{spec.modulus} is below 3")
        pairs = spec.modulus**2
        if not 1 <= round(spec.train_fraction * pairs) < pairs:
            raise SpecError(
                "train_fraction", f"{spec.train_fraction:g} of {pairs:,} pairs leaves no pair to "
                "train on or none to hold out"
            )  # fmt: skip
    elif spec.task == "sorting":
        if spec.list_length < 2:
            raise SpecError("list_length", f"{spec.list_length} is below 2: nothing to sort")
        if spec.list_length > spec.d_vocab - 1:
            raise SpecError(
                "list_length", f"{spec.list_length} different numbers are more than the "
                f"{spec.d_vocab - 1} of a vocabulary of {spec.d_vocab}, one of which is the "
                "separator; raise d_vocab"
            )  # fmt: skip
    elif spec.task == "text":
        if spec.corpus is None:
            raise SpecError("corpus", "choose a text file to read")
        if spec.n_ctx < 4:
            raise SpecError("n_ctx", f"{spec.n_ctx} is below 4")
        if spec.tokenizer is None and spec.d_vocab < 4:
            raise SpecError("d_vocab", f"{spec.d_vocab} is below 4: too few words for a text")
    elif spec.task != "cycle":
        raise SpecError("task", f"{spec.task!r} is none of {', '.join(TASKS)}")


def task_of(spec: Any, watch: Watch = None) -> Task:
    """The task of a spec. `text` reads its file, calling `watch` on the way; RunError says why not.

    spec: task and the fields that this task reads (`TrainTransformer` has them all).
    """
    from engine.train import addition, cycle, induction, sorting

    check(spec)
    if spec.task == "induction":
        return induction.Induction(
            d_vocab=spec.d_vocab, n_ctx=spec.n_ctx, low=spec.period_low, high=spec.period_high,
            fixed=spec.period == "fixed",
        )  # fmt: skip
    if spec.task == "addition":
        return addition.Addition(spec.modulus, spec.train_fraction, spec.seed)
    if spec.task == "sorting":
        return sorting.Sorting(spec.list_length, spec.d_vocab)
    if spec.task == "cycle":
        return cycle.Cycle()
    from engine.train import text

    return text.open_text(
        spec.corpus, spec.tokenizer, n_ctx=spec.n_ctx, d_vocab=spec.d_vocab, watch=watch
    )
