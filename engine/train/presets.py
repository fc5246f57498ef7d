"""Presets: trainings worth watching, each with what is expected beside what is measured.

Expected values are what these settings gave over several seeds, not what a text hopes for.
Induction: Olsson et al. 2022 (arXiv:2209.11895), settings of the bundled induction model.
Grokking: Nanda et al. 2023 (arXiv:2301.05217), with a smaller prime.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from engine import technique

LEARNED = 0.5  # nats of loss in the second half below which the repetition is used
NOT_LEARNED = 3.0  # and above which it is not
STRIPE = 0.4  # ARENA's threshold on stripe scores
TOLD = 0.99  # accuracy that counts as all of it


@dataclass(frozen=True)
class Preset:
    """A training: its settings, what is to be seen, and whether it is.

    expected: words for a table; check(result) -> whether it came out so; measured(result) -> the
    same words from the curves. needs: a field that a person has to fill first.
    """

    name: str
    chosen: tuple[tuple[str, Any], ...]
    facts: str
    expected: str
    why: str
    check: Callable[[Any], bool]
    measured: Callable[[Any], str]
    needs: str = ""

    @property
    def values(self) -> dict[str, Any]:
        """Every field of what this preset trains; what a person has to fill is None."""
        kind = technique.of("TrainTransformer")
        return {item.name: item.default for item in fields(kind)} | dict(self.chosen)

    def is_of(self, spec: Any) -> bool:
        """Whether a spec is this preset, whatever was filled in."""
        return all(getattr(spec, name) == value for name, value in self.values.items()
                   if name != self.needs)  # fmt: skip

    def done(self, result: Any) -> bool:
        """Whether the result is that of a whole run, so that it may be measured."""
        return int(result.step) >= self.values["n_steps"]


def last(result: Any, name: str) -> float:
    """The newest defined value of a curve; NaN where there is none."""
    if name not in result.curve_names:
        return float("nan")
    values = np.asarray(result.curves[list(result.curve_names).index(name)])  # [record]
    known = values[np.isfinite(values)]
    return float(known[-1]) if known.size else float("nan")


def best_score(result: Any, name: str, layers: slice = slice(None)) -> float:
    """The highest newest score of that name among heads of some layers; NaN without scores."""
    if name not in result.score_names or not np.shape(result.scores)[1]:
        return float("nan")
    scores = np.asarray(result.scores[list(result.score_names).index(name)][-1])  # [layer, head]
    some = scores[layers]
    return float(some.max()) if some.size else float("nan")


def circuit(result: Any) -> bool:
    """Whether a head attends to the previous token and a head of a later layer to the match."""
    previous = best_score(result, "previous", slice(0, -1))
    return previous > STRIPE and best_score(result, "induction", slice(1, None)) > STRIPE


def _second(result: Any) -> str:
    return f"{last(result, 'second_half'):.2f}"


def _by_position(result: Any) -> bool:
    """The loss falls though no previous-token head forms: what position tells is enough."""
    learned = last(result, "second_half") < LEARNED
    return learned and best_score(result, "previous") < STRIPE


def _grokked(result: Any) -> bool:
    return min(last(result, "train_accuracy"), last(result, "test_accuracy")) >= TOLD


def _accuracy(name: str) -> Callable[[Any], str]:
    return lambda result: f"{100 * last(result, name):.0f} %"


PRESETS: tuple[Preset, ...] = (
    Preset(
        "Induction heads", (), "2 layers", "loss < 0.5",
        "two drops of the loss in the second half: a head learns to attend to the previous token, "
        "and heads of the next layer to what followed the match",
        lambda result: last(result, "second_half") < LEARNED and circuit(result), _second,
    ),
    Preset(
        "Fixed period cheats", (("period", "fixed"),), "block of 32", "loss < 0.5",
        "the loss falls just as far, without a previous-token head: where the block is always "
        "equally long, position alone says where to look",
        _by_position, _second,
    ),
    Preset(
        "One layer cannot", (("n_layers", 1),), "the control", "loss > 3",
        "induction takes two heads in a row; one layer stays above 3 nats",
        lambda result: last(result, "second_half") > NOT_LEARNED, _second,
    ),
    Preset(
        "Grokking a + b mod 59",
        (("task", "addition"), ("modulus", 59), ("n_layers", 1), ("d_mlp", 256), ("norm", "none"),
         ("positions", "learned"), ("lr", 0.002), ("weight_decay", 1.0), ("n_steps", 3000),
         ("warm_up", 10), ("score_every", 10)),
        "half of all sums", "test 100 %",
        "memorised within 300 steps, understood after 1,000 or more: a few frequencies of the "
        "embedding take over",
        _grokked, _accuracy("test_accuracy"),
    ),
    Preset(
        "Sorting",
        (("task", "sorting"), ("n_layers", 1), ("schedule", "linear"), ("batch", 64)),
        "lists of 6 numbers", "98 % right",
        "each head learns to attend to the next larger number of a range of its own",
        lambda result: last(result, "accuracy") >= 0.98, _accuracy("accuracy"),
    ),
    Preset(
        "Six layers, eight words",
        (("task", "cycle"), ("n_layers", 6), ("n_heads", 2), ("d_model", 16), ("d_mlp", 32),
         ("positions", "learned"), ("warm_up", 10), ("n_steps", 400)),
        "a cycle", "P > 0.99",
        "the next word of a cycle of eight; open the last checkpoint and look at it with the logit "
        "lens: the prediction sharpens from layer to layer",
        lambda result: last(result, "probability") >= TOLD,
        lambda result: f"{last(result, 'probability'):.3f}",
    ),
    Preset(
        "Your own text…",
        (("task", "text"), ("d_vocab", 2000), ("d_mlp", 128), ("positions", "learned"),
         ("norm", "LN"), ("act_fn", "gelu"), ("biases", True), ("lr", 0.001),
         ("schedule", "cosine"), ("weight_decay", 0.1), ("n_steps", 600)),
        "a text file", "< frequencies",
        "next words of a file that you choose; the last tenth is held out, and should cost less "
        "than knowing how frequent each word is",
        lambda result: last(result, "held_out_loss") < last(result, "unigram_loss"),
        lambda result: f"{last(result, 'held_out_loss'):.2f}", "corpus",
    ),
)  # fmt: skip
